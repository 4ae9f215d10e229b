//! What a failed SDK call means: from any operation's error to one kind, AWS's code and a text that is safe to print.

use super::retry::Call;
use super::{AccountError, Kind};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use std::error::Error;
use std::io;

/// More would drown a terminal and a journal record; AWS's own texts are shorter.
const MESSAGE_CHARS_MAX: usize = 500;

/// AWS's and the SDK's lists of throttling codes.
const THROTTLES: [&str; 14] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
    "TooManyRequests",
];

const EXPIRED: [&str; 4] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];

const DENIED: [&str; 16] = [
    "AccessDenied",
    "AccessDeniedException",
    "AccountProblem",
    "AllAccessDisabled",
    "AuthFailure",
    "Forbidden",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

const NOT_FOUND: [&str; 9] = [
    "ListenerNotFound",
    "LoadBalancerNotFound",
    "NoSuchBucket",
    "NoSuchKey",
    "NotFound",
    "ParameterNotFound",
    "ParameterVersionNotFound",
    "RuleNotFound",
    "TargetGroupNotFound",
];

const CONFLICTS: [&str; 13] = [
    "AlreadyExists",
    "ConditionalRequestConflict",
    "InstanceRefreshInProgress",
    "OperationAborted",
    "ParameterAlreadyExists",
    "PreconditionFailed",
    "PriorRequestNotComplete",
    "PriorityInUse",
    "ResourceContention",
    "ResourceInUse",
    "ScalingActivityInProgress",
    "TooManyUpdates",
    "TargetGroupAssociationLimit",
];

const UNAVAILABLE: [&str; 7] = [
    "HealthUnavailable",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
];

/// What S3 says where a bucket lies in another region (API reference, "Error responses").
const WRONG_REGION: [&str; 3] = ["AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"];

/// A usable reply.
#[derive(Clone, Debug)]
pub(super) struct Answer<T> {
    pub value: T,
    pub request_id: Option<String>,
}

impl<T> Answer<T> {
    /// Turns the reply into our own types; a reply that cannot be so is none.
    pub fn read<U>(self, read: impl FnOnce(T) -> Result<U, Failure>) -> Result<Answer<U>, Failure> {
        match read(self.value) {
            Ok(value) => Ok(Answer { value, request_id: self.request_id }),
            Err(failure) => Err(Failure { request_id: self.request_id, ..failure }),
        }
    }
}

/// What a reply lacks: it may be anybody's.
impl From<String> for Failure {
    fn from(what: String) -> Failure {
        Failure::lost(what)
    }
}

impl From<&str> for Failure {
    fn from(what: &str) -> Failure {
        Failure::lost(what)
    }
}

/// One attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub kind: Kind,
    pub code: String,
    pub message: String,
    pub request_id: Option<String>,
    /// The request may have taken effect all the same.
    pub doubtful: bool,
    /// Sending again is pointless although the kind alone would allow it.
    pub final_: bool,
}

impl Failure {
    pub fn lost(message: impl AsRef<str>) -> Failure {
        Failure { doubtful: true, ..Failure::new(Kind::Lost, message) }
    }

    pub fn new(kind: Kind, message: impl AsRef<str>) -> Failure {
        Failure { kind, code: String::new(), message: printable(message.as_ref()), request_id: None, doubtful: false, final_: false }
    }

    /// The code, or one word for what happened.
    pub fn word(&self) -> &str {
        if !self.code.is_empty() {
            return &self.code;
        }
        match self.kind {
            Kind::NotFound => "not_found",
            Kind::Denied => "denied",
            Kind::Expired => "expired",
            Kind::Throttled => "throttled",
            Kind::Conflict => "conflict",
            Kind::Invalid => "invalid",
            Kind::Unavailable => "unavailable",
            Kind::Lost => "lost",
            Kind::Unreachable => "unreachable",
        }
    }

    pub fn into_error(self, call: &Call<'_>, kind: Kind, attempts: u32) -> AccountError {
        AccountError {
            kind,
            service: call.service.into(),
            operation: call.operation.into(),
            resource: call.resource.into(),
            code: self.code,
            message: self.message,
            request_id: self.request_id,
            attempts,
        }
    }
}

/// Sorts an SDK result into an answer or a failure.
pub(super) fn answer<T, E>(result: Result<T, SdkError<E>>) -> Result<Answer<T>, Failure>
where
    T: RequestId,
    E: ProvideErrorMetadata + Error + 'static,
{
    match result {
        Ok(value) => Ok(Answer { request_id: value.request_id().map(String::from), value }),
        Err(error) => Err(failure(&error)),
    }
}

fn failure<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> Failure {
    let request_id = error.request_id().map(String::from);
    let failure = match error {
        SdkError::ConstructionFailure(_) => Failure::new(Kind::Invalid, chain(error)),
        SdkError::TimeoutError(_) => Failure::lost(chain(error)),
        SdkError::DispatchFailure(dispatch) => match dispatch.as_connector_error() {
            Some(connector) => undelivered(connector),
            None => Failure::lost(chain(error)),
        },
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            elsewhere(refusal(status, error.code().unwrap_or(""), error.message().unwrap_or("")), service.raw())
        }
        // An error that does not parse still has its status.
        SdkError::ResponseError(reply) if reply.raw().status().as_u16() >= 300 => {
            elsewhere(refusal(reply.raw().status().as_u16(), "", ""), reply.raw())
        }
        // A success that does not parse, and whatever the SDK may add: the request was sent.
        _ => Failure::lost(chain(error)),
    };
    Failure { request_id, ..failure }
}

/// S3 refuses a request for a bucket of another region, and names that region in a header; the answer to HEAD has nothing else.
fn elsewhere(failure: Failure, reply: &HttpResponse) -> Failure {
    let redirected = matches!(reply.status().as_u16(), 301 | 307) || WRONG_REGION.contains(&failure.code.as_str());
    let Some(region) = reply.headers().get("x-amz-bucket-region").filter(|_| redirected) else { return failure };
    let message = printable(&format!("the bucket lies in {region}, and bgx.toml says another region ({})", failure.message));
    Failure { kind: Kind::Invalid, message, ..failure }
}

/// A request that the connector gave no reply for.
pub(super) fn undelivered(error: &ConnectorError) -> Failure {
    let text = chain(error);
    if let Some(credentials) = source::<CredentialsError>(error) {
        let slow = matches!(credentials, CredentialsError::ProviderTimedOut(_));
        return Failure::new(if slow { Kind::Unreachable } else { Kind::Expired }, format!("no usable credentials: {text}"));
    }
    if error.is_user() {
        return Failure { final_: true, ..Failure::new(Kind::Unreachable, text) };
    }
    if never_connected(error) { Failure::new(Kind::Unreachable, text) } else { Failure::lost(text) }
}

/// What AWS says, by its code, else by the status.
fn refusal(status: u16, code: &str, message: &str) -> Failure {
    let kind = if THROTTLES.contains(&code) {
        Kind::Throttled
    } else if EXPIRED.contains(&code) {
        Kind::Expired
    } else if DENIED.contains(&code) {
        Kind::Denied
    } else if NOT_FOUND.contains(&code) || (code == "ValidationError" && names_a_missing_group(message)) {
        Kind::NotFound
    } else if CONFLICTS.contains(&code) {
        Kind::Conflict
    } else if UNAVAILABLE.contains(&code) {
        Kind::Unavailable
    } else {
        by_status(status)
    };
    let refused = matches!(code, "RequestTimeout" | "RequestTimeoutException");
    let doubtful = kind == Kind::Lost || (kind == Kind::Unavailable && !refused);
    let message = match (message, code) {
        ("", "") if (200..300).contains(&status) => format!("HTTP status {status} with a body that is no reply of AWS"),
        ("", "") => format!("HTTP status {status}"),
        // Some of AWS's errors have no text.
        ("", code) => code.to_string(),
        (message, _) => message.to_string(),
    };
    Failure { code: printable(code), doubtful, ..Failure::new(kind, message) }
}

fn by_status(status: u16) -> Kind {
    match status {
        // An error without a code in a reply that says success: not AWS's.
        0..=299 => Kind::Lost,
        401 | 403 => Kind::Denied,
        404 => Kind::NotFound,
        409 | 412 => Kind::Conflict,
        429 => Kind::Throttled,
        408 | 500.. => Kind::Unavailable,
        300..=499 => Kind::Invalid,
    }
}

/// Auto Scaling has no code of its own for this.
fn names_a_missing_group(message: &str) -> bool {
    message.starts_with("AutoScalingGroup name not found") || (message.starts_with("Group ") && message.ends_with(" not found"))
}

/// Whether the connection was never made, so that nothing can have happened. In doubt: false.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let refused = source::<io::Error>(error).is_some_and(|e| {
        matches!(
            e.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::AddrNotAvailable
        )
    });
    let text = chain(error);
    // Hyper's and the SDK's words for a failure while connecting; their types are not public.
    refused || ["(Connect)", "dns error", "tcp connect error", "HTTP connect timeout"].iter().any(|words| text.contains(words))
}

/// An error, what caused it, what caused that.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

fn source<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|e| e.downcast_ref())
}

/// An error and what caused it, in one line, without saying the same twice.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let part = cause.to_string();
        if !text.contains(&part) {
            text = if text.is_empty() { part } else { format!("{text}: {part}") };
        }
    }
    text
}

/// One line of printable characters: no control codes, no marks that turn the direction of writing, and an end.
pub(super) fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let clean: String =
        text.chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).filter(|c| !c.is_control() && !turns(*c)).collect();
    let clean = clean.trim();
    match clean.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean.to_string(),
    }
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
