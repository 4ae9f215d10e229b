//! SSM parameters and S3 objects: versions, conditions, visibility.

use super::{Fault, Object, Parameter, World};
use std::collections::BTreeMap;

/// The headers of a conditional S3 write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutCondition {
    None,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match: <etag>`
    Match(String),
}

/// What an S3 PUT carries besides its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectMeta {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

impl World {
    /// GetParameter, `name`, `name:version`.
    pub fn parameter(&self, name: &str) -> Result<Parameter, Fault> {
        let _ = name;
        todo!()
    }

    /// PutParameter; returns the new version. `kind` is needed when the parameter is new.
    pub fn put_parameter(&mut self, name: &str, value: &str, kind: Option<&str>, overwrite: bool) -> Result<u64, Fault> {
        let _ = (name, value, kind, overwrite);
        todo!()
    }

    /// DeleteParameter.
    pub fn delete_parameter(&mut self, name: &str) -> Result<(), Fault> {
        let _ = name;
        todo!()
    }

    /// GetObject and HeadObject.
    pub fn object(&self, bucket: &str, key: &str) -> Result<&Object, Fault> {
        let _ = (bucket, key);
        todo!()
    }

    /// PutObject; returns the ETag (quoted).
    pub fn put_object(
        &mut self,
        bucket: &str,
        key: &str,
        body: Vec<u8>,
        meta: ObjectMeta,
        condition: &PutCondition,
    ) -> Result<String, Fault> {
        let _ = (bucket, key, body, meta, condition);
        todo!()
    }

    /// CopyObject within or between buckets; returns the ETag of the copy.
    pub fn copy_object(&mut self, from: (&str, &str), to: (&str, &str)) -> Result<String, Fault> {
        let _ = (from, to);
        todo!()
    }

    /// DeleteObject, with `If-Match` where given; an absent key succeeds unless a condition was given.
    pub fn delete_object(&mut self, bucket: &str, key: &str, condition: &PutCondition) -> Result<(), Fault> {
        let _ = (bucket, key, condition);
        todo!()
    }

    /// Keys under a prefix in UTF-8 binary order, with their objects.
    pub fn list_objects(&self, bucket: &str, prefix: &str) -> Result<Vec<(&str, &Object)>, Fault> {
        let _ = (bucket, prefix);
        todo!()
    }
}
