//! What can go wrong with one call to the account; small and serializable, because it goes into the journal.

use serde::{Deserialize, Serialize};

/// A call that failed, after the retry layer gave up on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{service}:{operation} on `{resource}`: {message}")]
pub struct AccountError {
    pub kind: Kind,
    /// As in IAM: `autoscaling`, `elasticloadbalancing`, `ssm`, `s3`, `sts`, `cloudwatch`, `http`.
    pub service: String,
    pub operation: String,
    pub resource: String,
    /// AWS's error code, or empty when there was no reply.
    pub code: String,
    /// AWS's text, stripped of control codes, or what the transport said.
    pub message: String,
    pub request_id: Option<String>,
    /// How many times the call was sent.
    pub attempts: u32,
}

/// What a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// It does not exist (404 and its like; never a 403).
    NotFound,
    /// Not allowed: whether the thing exists is unknown.
    Denied,
    /// The credentials ended; the same call may go through with new ones.
    Expired,
    /// Throttled until the retry layer gave up.
    Throttled,
    /// Something else is going on there, or a condition was not met (409, 412, in-use codes).
    Conflict,
    /// AWS says that the request is wrong.
    Invalid,
    /// 5xx until the retry layer gave up.
    Unavailable,
    /// No usable reply (reset, timeout, a body that does not parse): a write may have happened.
    Lost,
    /// The endpoint could not be reached at all: nothing happened.
    Unreachable,
}
