//! S3 through its SDK client.

use super::{Account, BUCKET};
use crate::sandbox::Request;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{EncodingType, MetadataDirective};

async fn text(account: &Account, key: &str) -> String {
    let out = account.s3.get_object().bucket(BUCKET).key(key).send().await.expect("there");
    String::from_utf8(out.body.collect().await.expect("it arrives").to_vec()).expect("text")
}

#[tokio::test(start_paused = true)]
async fn an_object_comes_back_as_it_was_put() {
    let account = Account::new();
    let put = account.s3.put_object().bucket(BUCKET).key("x/é +?.json").body(ByteStream::from_static(b"{}"));
    let put = put.content_type("application/json").cache_control("max-age=60").metadata("run", "42").send().await.expect("put");
    let got = account.s3.get_object().bucket(BUCKET).key("x/é +?.json").send().await.expect("there");
    assert_eq!(got.e_tag, put.e_tag);
    assert_eq!((got.content_type(), got.cache_control(), got.content_length), (Some("application/json"), Some("max-age=60"), Some(2)));
    assert_eq!(got.metadata().and_then(|meta| meta.get("run").cloned()).as_deref(), Some("42"));
    let head = account.s3.head_object().bucket(BUCKET).key("x/é +?.json").send().await.expect("there");
    assert_eq!((head.e_tag, head.content_length), (put.e_tag, Some(2)));
    assert!(head.last_modified.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_file_arrives_in_chunks_with_its_checksum_behind_it() {
    let account = Account::new();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let long = "line of a long file\n".repeat(10_000);
    std::fs::write(file.path(), &long).expect("written");
    let body = ByteStream::from_path(file.path()).await.expect("readable");
    let put = account.s3.put_object().bucket(BUCKET).key("long").body(body).send().await.expect("put");
    assert!(put.checksum_crc32().is_some(), "the trailing checksum was seen");
    assert_eq!(text(&account, "long").await, long);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_not_found() {
    let account = Account::new();
    let error = account.s3.get_object().bucket(BUCKET).key("nobody").send().await.unwrap_err().into_service_error();
    assert!(error.is_no_such_key());
    let error = account.s3.head_object().bucket(BUCKET).key("nobody").send().await.unwrap_err().into_service_error();
    assert!(error.is_not_found());
    assert_eq!(error.code(), Some("NotFound"));
    let error = account.s3.get_object().bucket("no-bucket").key("k").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("NoSuchBucket"));
    account.s3.head_bucket().bucket(BUCKET).send().await.expect("there");
    assert!(account.s3.head_bucket().bucket("no-bucket").send().await.unwrap_err().into_service_error().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn conditions_on_writing_hold() {
    let account = Account::new();
    let put = |body: &'static str| account.s3.put_object().bucket(BUCKET).key("lock").body(ByteStream::from_static(body.as_bytes()));
    let first = put("1").if_none_match("*").send().await.expect("it was absent").e_tag.expect("an ETag");
    let error = put("2").if_none_match("*").send().await.unwrap_err();
    assert_eq!(error.raw_response().map(|r| r.status().as_u16()), Some(412));
    assert_eq!(error.into_service_error().code(), Some("PreconditionFailed"));
    let second = put("2").if_match(&first).send().await.expect("unchanged").e_tag.expect("an ETag");
    assert_eq!(put("3").if_match(&first).send().await.unwrap_err().into_service_error().code(), Some("PreconditionFailed"));
    let absent = account.s3.put_object().bucket(BUCKET).key("nobody").if_match(&first).body(ByteStream::from_static(b"x"));
    assert_eq!(absent.send().await.unwrap_err().into_service_error().code(), Some("NoSuchKey"));
    let delete = || account.s3.delete_object().bucket(BUCKET).key("lock");
    assert_eq!(delete().if_match(&first).send().await.unwrap_err().into_service_error().code(), Some("PreconditionFailed"));
    delete().if_match(&second).send().await.expect("unchanged");
    assert_eq!(delete().if_match("*").send().await.unwrap_err().into_service_error().code(), Some("NoSuchKey"));
    delete().send().await.expect("an absent key is deleted with success");
}

#[tokio::test(start_paused = true)]
async fn reading_conditions_hold() {
    let account = Account::new();
    let tag = account.s3.head_object().bucket(BUCKET).key("version/beta").send().await.expect("there").e_tag.expect("an ETag");
    let get = || account.s3.get_object().bucket(BUCKET).key("version/beta");
    get().if_match(&tag).send().await.expect("the same");
    assert_eq!(get().if_match("\"other\"").send().await.unwrap_err().into_service_error().code(), Some("PreconditionFailed"));
    let same = get().if_none_match(&tag).send().await.unwrap_err();
    assert_eq!(same.raw_response().map(|r| r.status().as_u16()), Some(304));
}

#[tokio::test(start_paused = true)]
async fn objects_are_copied_with_and_without_their_metadata() {
    let account = Account::new();
    let put = account.s3.put_object().bucket(BUCKET).key("from").body(ByteStream::from_static(b"text")).metadata("a", "b");
    put.content_type("text/plain").send().await.expect("put");
    let copy = || account.s3.copy_object().bucket(BUCKET).copy_source(format!("{BUCKET}/from"));
    let out = copy().key("to").send().await.expect("copied");
    assert!(out.copy_object_result().and_then(|r| r.e_tag()).is_some());
    let to = account.s3.head_object().bucket(BUCKET).key("to").send().await.expect("there");
    assert_eq!((to.content_type(), to.metadata().map(|m| m.len())), (Some("text/plain"), Some(1)));
    copy().key("new").metadata_directive(MetadataDirective::Replace).content_type("text/html").send().await.expect("copied");
    let new = account.s3.head_object().bucket(BUCKET).key("new").send().await.expect("there");
    assert_eq!((new.content_type(), new.metadata().map(|m| m.len())), (Some("text/html"), Some(0)));
    assert_eq!(text(&account, "new").await, "text");
    let error = copy().key("to").if_none_match("*").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("PreconditionFailed"));
    let error = account.s3.copy_object().bucket(BUCKET).key("x").copy_source(format!("{BUCKET}/nobody")).send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("NoSuchKey"));
}

#[tokio::test(start_paused = true)]
async fn an_odd_key_is_the_same_in_both_styles_of_address() {
    let account = Account::new();
    assert_eq!(text(&account, "a b/c+d.txt").await, "odd key");
    let request = Request {
        method: "GET".into(),
        host: "s3.us-east-1.amazonaws.com".into(),
        port: 443,
        path: format!("/{BUCKET}/a%20b/c%2Bd.txt"),
        query: String::new(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    assert_eq!(account.door.send(&request).await.expect("answered").body, b"odd key");
}

#[tokio::test(start_paused = true)]
async fn a_listing_is_paged_and_rolled_up() {
    let account = Account::new();
    let list = || account.s3.list_objects_v2().bucket(BUCKET);
    let all: Vec<String> = list().send().await.expect("listed").contents().iter().filter_map(|o| o.key.clone()).collect();
    assert!(all.is_sorted(), "{all:?}");
    let mut joined = Vec::new();
    let mut pages = list().max_keys(2).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.expect("every page");
        assert!(page.key_count.unwrap_or_default() <= 2);
        joined.extend(page.contents().iter().filter_map(|o| o.key.clone()));
    }
    assert_eq!(joined, all);
    let top = list().delimiter("/").send().await.expect("listed");
    let prefixes: Vec<_> = top.common_prefixes().iter().filter_map(|p| p.prefix()).collect();
    assert_eq!(prefixes, ["a b/", "dist/", "version/"]);
    let builds = list().prefix("dist/gh/main/").send().await.expect("listed");
    assert_eq!((builds.contents().len(), builds.is_truncated), (4, Some(false)));
    let later = list().prefix("dist/gh/main/").start_after("dist/gh/main/100.txt").send().await.expect("listed");
    assert_eq!(later.contents().len(), 2);
    let encoded = list().prefix("a b/").encoding_type(EncodingType::Url).send().await.expect("listed");
    assert_eq!(encoded.contents()[0].key(), Some("a%20b/c%2Bd.txt"));
    let error = list().continuation_token("!").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("InvalidArgument"));
    let error = account.s3.list_objects_v2().bucket("no-bucket").send().await.unwrap_err().into_service_error();
    assert!(error.is_no_such_bucket());
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_not_simulated_says_so() {
    let account = Account::new();
    let error = account.s3.create_multipart_upload().bucket(BUCKET).key("big").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("NotImplemented"));
}
