//! SSM parameters and S3 objects: versions, conditions, visibility.

use super::{Fault, Object, Parameter, Past, World};
use md5::{Digest, Md5};
use std::collections::BTreeMap;

/// Versions of a parameter that are kept.
const PARAMETER_HISTORY: usize = 100;
/// Characters of a value in the standard tier.
const PARAMETER_LIMIT: usize = 4096;
/// Bodies up to this length stand in the log as they are.
const LOGGED_BODY: usize = 200;

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
    pub acl: Option<String>,
}

fn not_found() -> Fault {
    Fault::new(400, "ParameterNotFound", "")
}

fn no_such_key() -> Fault {
    Fault::new(404, "NoSuchKey", "The specified key does not exist.")
}

fn precondition_failed() -> Fault {
    Fault::new(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

/// The ETag of an object put in one part: its MD5, quoted.
fn etag(body: &[u8]) -> String {
    let hex: String = Md5::digest(body).iter().map(|b| format!("{b:02x}")).collect();
    format!("\"{hex}\"")
}

impl Parameter {
    /// The parameter as it was at one of its versions.
    fn at_version(&self, version: u64) -> Option<Parameter> {
        let value = self.history.get(&version)?.clone();
        Some(Parameter { value, version, ..self.clone() })
    }
}

impl World {
    /// GetParameter, `name`, `name:version`.
    pub fn parameter(&self, name: &str) -> Result<Parameter, Fault> {
        if let Some(found) = self.parameters.get(name) {
            return match found.stale.seen(self.now) {
                Some(old) => old.and_then(|v| found.at_version(v)).ok_or_else(not_found),
                None => Ok(found.clone()),
            };
        }
        let selected = name.rsplit_once(':').and_then(|(base, version)| Some((base, version.parse::<u64>().ok()?)));
        let (base, version) = selected.ok_or_else(not_found)?;
        let found = self.parameters.get(base).ok_or_else(not_found)?;
        found.at_version(version).ok_or_else(|| {
            let message = format!("Systems Manager could not find version {version} of {base}. Verify the version and try again.");
            Fault::new(400, "ParameterVersionNotFound", message)
        })
    }

    /// PutParameter; returns the new version. `kind` is needed when the parameter is new.
    pub fn put_parameter(&mut self, name: &str, value: &str, kind: Option<&str>, overwrite: bool) -> Result<u64, Fault> {
        let known = self.parameters.get(name);
        if known.is_some() && !overwrite {
            let message = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.";
            return Err(Fault::new(400, "ParameterAlreadyExists", message));
        }
        check_parameter(name, value, kind, known.is_some())?;
        let until = self.now.after_ms(self.timing.parameter_staleness.draw(&mut self.rng));
        let known = self.parameters.remove(name);
        let secret = kind.or(known.as_ref().map(|p| p.kind.as_str())) == Some("SecureString");
        let set = if secret { "(secure)" } else { value };
        self.record_call("ssm", "PutParameter", name, set.to_owned());
        let old_version = known.as_ref().map(|p| p.version);
        let version = old_version.map_or(1, |v| v + 1);
        let (old_kind, mut history, mut stale) = match known {
            Some(old) => (Some(old.kind), old.history, old.stale),
            None => (None, BTreeMap::new(), Past::default()),
        };
        stale.keep(self.now, until, old_version);
        history.insert(version, value.to_owned());
        while history.len() > PARAMETER_HISTORY {
            history.pop_first();
        }
        let kind = kind.map(str::to_owned).or(old_kind).unwrap_or_else(|| "String".to_owned());
        let parameter = Parameter { value: value.to_owned(), version, kind, modified: self.now, history, stale };
        self.parameters.insert(name.to_owned(), parameter);
        Ok(version)
    }

    /// DeleteParameter.
    pub fn delete_parameter(&mut self, name: &str) -> Result<(), Fault> {
        self.parameters.remove(name).ok_or_else(not_found)?;
        self.record_call("ssm", "DeleteParameter", name, String::new());
        Ok(())
    }

    fn bucket(&self, bucket: &str) -> Result<&BTreeMap<String, Object>, Fault> {
        self.buckets.get(bucket).ok_or_else(|| Fault::new(404, "NoSuchBucket", "The specified bucket does not exist"))
    }

    /// GetObject and HeadObject.
    pub fn object(&self, bucket: &str, key: &str) -> Result<&Object, Fault> {
        self.bucket(bucket)?.get(key).ok_or_else(no_such_key)
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
        let known = self.bucket(bucket)?.get(key);
        match (condition, known) {
            (PutCondition::None, _) | (PutCondition::Absent, None) => {}
            (PutCondition::Absent, Some(_)) => return Err(precondition_failed()),
            (PutCondition::Match(wanted), Some(object)) => check_match(wanted, object)?,
            (PutCondition::Match(_), None) => return Err(no_such_key()),
        }
        self.record_call("s3", "PutObject", &format!("{bucket}/{key}"), summary(&body));
        let etag = etag(&body);
        let ObjectMeta { content_type, cache_control, metadata, acl } = meta;
        let object = Object { body, etag: etag.clone(), modified: self.now, content_type, cache_control, metadata, acl };
        self.buckets.entry(bucket.to_owned()).or_default().insert(key.to_owned(), object);
        Ok(etag)
    }

    /// CopyObject within or between buckets; returns the ETag of the copy.
    pub fn copy_object(&mut self, from: (&str, &str), to: (&str, &str), acl: Option<String>) -> Result<String, Fault> {
        let source = self.object(from.0, from.1)?.clone();
        self.bucket(to.0)?;
        self.record_call("s3", "CopyObject", &format!("{}/{}", to.0, to.1), format!("from {}/{}", from.0, from.1));
        let copy = Object { modified: self.now, acl, ..source };
        let etag = copy.etag.clone();
        self.buckets.entry(to.0.to_owned()).or_default().insert(to.1.to_owned(), copy);
        Ok(etag)
    }

    /// DeleteObject, with `If-Match` where given; an absent key succeeds unless a condition was given.
    pub fn delete_object(&mut self, bucket: &str, key: &str, condition: &PutCondition) -> Result<(), Fault> {
        let known = self.bucket(bucket)?.get(key);
        match (condition, known) {
            (PutCondition::None, None) => return Ok(()),
            (PutCondition::None, Some(_)) => {}
            (PutCondition::Absent, _) => {
                let message = "A header you provided implies functionality that is not implemented";
                return Err(Fault::new(501, "NotImplemented", message));
            }
            (PutCondition::Match(wanted), Some(object)) => check_match(wanted, object)?,
            (PutCondition::Match(_), None) => return Err(no_such_key()),
        }
        self.record_call("s3", "DeleteObject", &format!("{bucket}/{key}"), String::new());
        self.buckets.entry(bucket.to_owned()).or_default().remove(key);
        Ok(())
    }

    /// Keys under a prefix in UTF-8 binary order, with their objects.
    pub fn list_objects(&self, bucket: &str, prefix: &str) -> Result<Vec<(&str, &Object)>, Fault> {
        let keys = self.bucket(bucket)?.range(prefix.to_owned()..);
        Ok(keys.take_while(|(key, _)| key.starts_with(prefix)).map(|(key, object)| (key.as_str(), object)).collect())
    }
}

fn check_parameter(name: &str, value: &str, kind: Option<&str>, known: bool) -> Result<(), Fault> {
    let refused = |message: &str| Err(Fault::new(400, "ValidationException", message));
    if value.is_empty() {
        return refused(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1.",
        );
    }
    if value.chars().count() > PARAMETER_LIMIT {
        return refused(
            "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, \
             upgrade the parameter to use the advanced-parameter tier.",
        );
    }
    if name.contains('/') && !name.starts_with('/') {
        return refused("Parameter name must be a fully qualified name.");
    }
    match kind {
        None if !known => refused("A parameter type is required when you create a parameter."),
        Some(kind) if !["String", "StringList", "SecureString"].contains(&kind) => refused(&format!(
            "1 validation error detected: Value '{kind}' at 'type' failed to satisfy constraint: Member must satisfy enum value set: \
             [SecureString, StringList, String]"
        )),
        Some(_) | None => Ok(()),
    }
}

/// `*` matches any object that is there; quotes around an ETag are optional.
fn check_match(wanted: &str, object: &Object) -> Result<(), Fault> {
    let same = wanted == "*" || wanted.trim_matches('"') == object.etag.trim_matches('"');
    if same { Ok(()) } else { Err(precondition_failed()) }
}

/// A short text body as it is, else its length.
fn summary(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) if text.len() <= LOGGED_BODY => text.to_owned(),
        Ok(_) | Err(_) => format!("{} bytes", body.len()),
    }
}

pub(super) fn new_object(text: &str, modified: super::Time) -> Object {
    let body = text.as_bytes().to_vec();
    Object {
        etag: etag(&body),
        body,
        modified,
        content_type: Some("text/plain".to_owned()),
        cache_control: None,
        metadata: BTreeMap::new(),
        acl: None,
    }
}
