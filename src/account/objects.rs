//! S3: objects, whole and conditional, and lists of them.

use super::autoscaling::{endless, timestamp};
use super::classify::{Answer, Failure, answer, chain};
use super::pages::Pages;
use super::retry::{Call, Class};
use super::{Account, AccountError, Kind, Object, ObjectInfo};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ObjectCannedAcl;

/// What bgx reads are names, locks and records; anything larger is a mistake in a key.
const OBJECT_BYTES_MAX: i64 = 16 * 1024 * 1024;

fn call<'a>(operation: &'static str, resource: &'a str, class: Class) -> Call<'a> {
    Call { service: "s3", operation, resource, class, says: None }
}

fn url(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

/// When an object is written or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When<'a> {
    Always,
    /// `If-None-Match: *`.
    Absent,
    /// `If-Match` with this ETag.
    Unchanged(&'a str),
}

/// What a list holds.
#[derive(Clone, Debug, Default)]
struct Listed {
    objects: Vec<ObjectInfo>,
    /// Common beginnings of keys up to the delimiter.
    folders: Vec<String>,
}

impl When<'_> {
    fn class(self) -> Class {
        match self {
            When::Always => Class::SetAbsolute,
            When::Absent => Class::CreateIfAbsent,
            When::Unchanged(_) => Class::CompareAndSwap,
        }
    }
}

impl Account {
    /// GetObject: `None` only if S3 says that there is no such key.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<Option<Object>, AccountError> {
        let resource = url(bucket, key);
        match self.call(call("GetObject", &resource, Class::Read), || self.get_object(bucket, key)).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.code == "NoSuchKey" => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn get_object(&self, bucket: &str, key: &str) -> Result<Answer<Object>, Failure> {
        let Answer { value: out, request_id } = answer(self.s3(bucket).get_object().bucket(bucket).key(key).send().await)?;
        let length = out.content_length.ok_or("the reply lacks its length")?;
        if length > OBJECT_BYTES_MAX {
            return Err(Failure::new(Kind::Invalid, format!("the object has {length} bytes; more than {OBJECT_BYTES_MAX} are not read")));
        }
        let body = out.body.collect().await.map_err(|e| Failure::lost(chain(&e)))?.to_vec();
        if body.len() as i64 != length {
            return Err(format!("the reply ends after {} of {length} bytes", body.len()).into());
        }
        let modified = out.last_modified.as_ref().and_then(timestamp);
        Ok(Answer { value: Object { body, etag: out.e_tag.ok_or("the reply lacks `ETag`")?, modified }, request_id })
    }

    /// HeadObject: `false` only if S3 itself says 404; without permission to list, S3 says 403, which is an error here.
    pub async fn object_exists(&self, bucket: &str, key: &str) -> Result<bool, AccountError> {
        let resource = url(bucket, key);
        let head = || async { answer(self.s3(bucket).head_object().bucket(bucket).key(key).send().await)?.read(|_| Ok(())) };
        match self.call(call("HeadObject", &resource, Class::Read), head).await {
            Ok(()) => Ok(true),
            // A reply to HEAD has no body: the request id alone tells S3's 404 from that of something in between.
            Err(error) if error.code == "NotFound" && error.request_id.is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// ListObjectsV2, in the order of the keys.
    pub async fn list_objects(&self, bucket: &str, prefix: &str) -> Result<Vec<ObjectInfo>, AccountError> {
        Ok(self.list(bucket, prefix, None).await?.objects)
    }

    /// ListObjectsV2 up to the next `/`: the folders whose names, with the slash, begin so.
    pub async fn list_folders(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, AccountError> {
        Ok(self.list(bucket, prefix, Some("/")).await?.folders)
    }

    async fn list(&self, bucket: &str, prefix: &str, delimiter: Option<&str>) -> Result<Listed, AccountError> {
        let resource = url(bucket, prefix);
        let call = call("ListObjectsV2", &resource, Class::Read);
        let mut all = Listed::default();
        let mut pages = Pages::default();
        loop {
            let (page, next) = self.call(pages.next(call), || self.objects_page(bucket, prefix, delimiter, &pages)).await?;
            all.objects.extend(page.objects);
            all.folders.extend(page.folders);
            if !pages.go_on(next).map_err(|what| endless(call, what))? {
                break;
            }
        }
        all.objects.sort_by(|a, b| a.key.cmp(&b.key));
        all.folders.sort();
        Ok(all)
    }

    async fn objects_page(
        &self,
        bucket: &str,
        prefix: &str,
        delimiter: Option<&str>,
        pages: &Pages,
    ) -> Result<Answer<(Listed, Option<String>)>, Failure> {
        let request = self.s3(bucket).list_objects_v2().bucket(bucket).prefix(prefix).set_delimiter(delimiter.map(String::from));
        let request = request.set_continuation_token(pages.token.clone());
        answer(request.send().await)?.read(|out| {
            if out.is_truncated == Some(true) && out.next_continuation_token.is_none() {
                return Err("the list is cut and names no next page".into());
            }
            let objects = out.contents.unwrap_or_default().into_iter().map(object_info).collect::<Result<_, String>>()?;
            let folders = out.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix).collect();
            Ok((Listed { objects, folders }, out.next_continuation_token))
        })
    }

    /// PutObject: the new ETag. With a condition, `Kind::Conflict` and code `PreconditionFailed` say that it was not met, and `Kind::Lost`
    /// that the caller must read what is there now.
    pub async fn put_object(&self, bucket: &str, key: &str, body: &[u8], when: When<'_>) -> Result<String, AccountError> {
        self.put_object_as(bucket, key, body, when, None).await
    }

    /// The same with a canned ACL; without one S3 makes the object private.
    pub(super) async fn put_object_as(
        &self,
        bucket: &str,
        key: &str,
        body: &[u8],
        when: When<'_>,
        acl: Option<&str>,
    ) -> Result<String, AccountError> {
        let resource = url(bucket, key);
        let content_type = if key.ends_with(".json") { "application/json" } else { "text/plain" };
        let words = format!("{when:?} {acl:?} {}", body.escape_ascii());
        self.call(call("PutObject", &resource, when.class()).saying(&words), || async {
            let request =
                self.s3(bucket).put_object().bucket(bucket).key(key).content_type(content_type).set_acl(acl.map(ObjectCannedAcl::from));
            let request = request.body(ByteStream::from(body.to_vec()));
            let request = match when {
                When::Always => request,
                When::Absent => request.if_none_match("*"),
                When::Unchanged(etag) => request.if_match(etag),
            };
            answer(request.send().await)?.read(|out| Ok(out.e_tag.ok_or("the reply lacks `ETag`")?))
        })
        .await
    }

    /// DeleteObject, whole or if unchanged; that it is gone already is as good, where it need not be unchanged.
    pub async fn delete_object(&self, bucket: &str, key: &str, when: When<'_>) -> Result<(), AccountError> {
        let resource = url(bucket, key);
        let words = format!("{when:?}");
        self.call(call("DeleteObject", &resource, when.class()).saying(&words), || async {
            let request = self.s3(bucket).delete_object().bucket(bucket).key(key);
            let request = match when {
                When::Always => request,
                When::Absent => return Err(Failure::new(Kind::Invalid, "what is absent cannot be deleted")),
                When::Unchanged(etag) => request.if_match(etag),
            };
            answer(request.send().await)?.read(|_| Ok(()))
        })
        .await
    }

    /// CopyObject within a bucket, with its metadata; S3 copies no ACL.
    pub(super) async fn copy_object(&self, bucket: &str, from: &str, to: &str, acl: Option<&str>) -> Result<(), AccountError> {
        let resource = url(bucket, to);
        let source = format!("{}/{}", escaped(bucket), escaped(from));
        self.call(call("CopyObject", &resource, Class::SetAbsolute), || async {
            let request = self.s3(bucket).copy_object().bucket(bucket).key(to).copy_source(&source).set_acl(acl.map(ObjectCannedAcl::from));
            answer(request.send().await)?.read(|_| Ok(()))
        })
        .await
    }
}

fn object_info(from: aws_sdk_s3::types::Object) -> Result<ObjectInfo, String> {
    let lacks = |what: &str| format!("an object lacks `{what}`");
    Ok(ObjectInfo {
        key: from.key.ok_or_else(|| lacks("Key"))?,
        size: from.size.and_then(|s| u64::try_from(s).ok()).ok_or_else(|| lacks("Size"))?,
        etag: from.e_tag.ok_or_else(|| lacks("ETag"))?,
    })
}

/// As a copy source has to be written: percent-encoded but for slashes.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_source_is_percent_encoded() {
        assert_eq!(escaped("dist/a b+ü.json"), "dist/a%20b%2B%C3%BC.json");
    }
}
