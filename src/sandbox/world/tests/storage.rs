//! Rules of Parameter Store and S3.

use super::*;

const BUCKET: &str = "compiler-explorer";

fn put(world: &mut World, key: &str, text: &str, condition: &PutCondition) -> Result<String, Fault> {
    world.put_object(BUCKET, key, text.as_bytes().to_vec(), ObjectMeta::default(), condition)
}

#[test]
fn every_put_is_a_new_version_even_of_the_same_value() {
    let mut world = beta(1, 0);
    assert_eq!(world.put_parameter("/a", "x", Some("String"), false), Ok(1));
    assert_eq!(world.put_parameter("/a", "x", None, true), Ok(2));
    assert_eq!(world.put_parameter("/a", "y", None, true), Ok(3));
    let now = world.parameter("/a").unwrap();
    assert_eq!((now.value.as_str(), now.version, now.kind.as_str()), ("y", 3, "String"));
    assert_eq!(world.parameter("/a:1").unwrap().value, "x");
    assert_eq!(code(world.parameter("/a:9")), "ParameterVersionNotFound");
}

#[test]
fn a_parameter_is_not_overwritten_unless_asked() {
    let mut world = beta(1, 0);
    world.put_parameter("/a", "x", Some("String"), true).unwrap();
    let refused = world.put_parameter("/a", "y", Some("String"), false).unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (400, "ParameterAlreadyExists"));
    assert_eq!(refused.message, "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.");
    assert_eq!(code(world.put_parameter("/b", "y", None, false)), "ValidationException");
    assert_eq!(code(world.put_parameter("/b", "", Some("String"), false)), "ValidationException");
    assert_eq!(code(world.put_parameter("/b", &"y".repeat(4097), Some("String"), false)), "ValidationException");
}

#[test]
fn a_secret_does_not_stand_in_the_log() {
    let mut world = beta(1, 0);
    world.put_parameter("/key", "hunter2", Some("SecureString"), false).unwrap();
    world.put_parameter("/key", "hunter3", None, true).unwrap();
    assert!(!format!("{:?}", world.log).contains("hunter"));
    assert_eq!(world.log.len(), 2);
}

#[test]
fn a_missing_parameter_is_not_found() {
    let mut world = beta(1, 0);
    assert_eq!(code(world.parameter("/a")), "ParameterNotFound");
    assert_eq!(code(world.delete_parameter("/a")), "ParameterNotFound");
    world.put_parameter("/a", "x", Some("String"), false).unwrap();
    world.delete_parameter("/a").unwrap();
    assert_eq!(code(world.parameter("/a")), "ParameterNotFound");
    assert_eq!(world.put_parameter("/a", "x", Some("String"), false), Ok(1), "versions begin anew");
}

#[test]
fn a_parameter_may_be_read_as_it_was() {
    let mut world = beta(1, 0);
    world.put_parameter("/a", "old", Some("String"), false).unwrap();
    world.timing.parameter_staleness = Range::seconds(5, 5);
    world.put_parameter("/a", "new", None, true).unwrap();
    assert_eq!((world.parameter("/a").unwrap().value.as_str(), world.parameter("/a").unwrap().version), ("old", 1));
    world.wait(5);
    assert_eq!(world.parameter("/a").unwrap().value, "new");
}

#[test]
fn an_etag_is_the_quoted_md5() {
    let mut world = beta(1, 0);
    assert_eq!(put(&mut world, "k", "hello", &PutCondition::None).unwrap(), "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_eq!(world.object(BUCKET, "k").unwrap().etag, "\"5d41402abc4b2a76b9719d911017c592\"");
}

#[test]
fn if_none_match_creates_once() {
    let mut world = beta(1, 0);
    put(&mut world, "lock", "a", &PutCondition::Absent).unwrap();
    let refused = put(&mut world, "lock", "b", &PutCondition::Absent).unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (412, "PreconditionFailed"));
    assert_eq!(world.object(BUCKET, "lock").unwrap().body, b"a");
    world.delete_object(BUCKET, "lock", &PutCondition::None).unwrap();
    put(&mut world, "lock", "b", &PutCondition::Absent).unwrap();
    put(&mut world, "lock", "c", &PutCondition::Match("*".to_owned())).unwrap();
}

#[test]
fn if_match_compares_before_it_writes_or_deletes() {
    let mut world = beta(1, 0);
    let first = put(&mut world, "lock", "a", &PutCondition::None).unwrap();
    let second = put(&mut world, "lock", "b", &PutCondition::Match(first.clone())).unwrap();
    assert_eq!(put(&mut world, "lock", "c", &PutCondition::Match(first.clone())).unwrap_err().status, 412);
    assert_eq!(put(&mut world, "none", "c", &PutCondition::Match(first.clone())).unwrap_err().code, "NoSuchKey");
    assert_eq!(world.delete_object(BUCKET, "lock", &PutCondition::Match(first)).unwrap_err().status, 412);
    world.delete_object(BUCKET, "lock", &PutCondition::Match(second.trim_matches('"').to_owned())).unwrap();
    assert_eq!(world.delete_object(BUCKET, "lock", &PutCondition::Match("*".to_owned())).unwrap_err().status, 404);
    assert_eq!(world.delete_object(BUCKET, "lock", &PutCondition::None), Ok(()));
}

#[test]
fn missing_keys_and_buckets_are_404() {
    let mut world = beta(1, 0);
    let key = world.object(BUCKET, "nope").unwrap_err();
    assert_eq!((key.status, key.code.as_str(), key.message.as_str()), (404, "NoSuchKey", "The specified key does not exist."));
    let bucket = world.object("nope", "k").unwrap_err();
    assert_eq!(
        (bucket.status, bucket.code.as_str(), bucket.message.as_str()),
        (404, "NoSuchBucket", "The specified bucket does not exist")
    );
    assert_eq!(code(world.list_objects("nope", "")), "NoSuchBucket");
    assert_eq!(code(world.copy_object((BUCKET, "nope"), (BUCKET, "x"), None)), "NoSuchKey");
    assert_eq!(code(world.copy_object((BUCKET, NEW), ("nope", "x"), None)), "NoSuchBucket");
}

#[test]
fn keys_are_listed_in_binary_order() {
    let mut world = beta(1, 0);
    for key in ["p/é", "p/z", "p/B", "p/a", "p/10", "p/9", "q"] {
        put(&mut world, key, "x", &PutCondition::None).unwrap();
    }
    let keys: Vec<&str> = world.list_objects(BUCKET, "p/").unwrap().into_iter().map(|(k, _)| k).collect();
    assert_eq!(keys, ["p/10", "p/9", "p/B", "p/a", "p/z", "p/é"]);
}

#[test]
fn a_copy_keeps_bytes_etag_and_metadata() {
    let mut world = beta(1, 0);
    let meta = ObjectMeta { content_type: Some("application/json".to_owned()), ..ObjectMeta::default() };
    let etag = world.put_object(BUCKET, "a", b"{}".to_vec(), meta, &PutCondition::None).unwrap();
    world.wait(10);
    assert_eq!(world.copy_object((BUCKET, "a"), (BUCKET, "b"), None).unwrap(), etag);
    let copy = world.object(BUCKET, "b").unwrap();
    assert_eq!((copy.body.as_slice(), copy.content_type.as_deref(), copy.modified), (&b"{}"[..], Some("application/json"), world.now));
}
