//! Replies that were read before: where request and reply are known to the byte, the SDK neither writes the one nor reads the other anew.
//!
//! Only what plays many runs in one process uses it (`prove`): they ask the same of accounts that are much alike. Each call still reaches
//! the account, and a reply that was never read goes through the SDK. What the SDK makes of a request and of a reply depends on nothing else.

use super::classify::{Answer, Failure};
use super::retry::{Call, Class};
use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::config::{RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::error::ConnectorError;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Operations whose request is told by [`Call`]: its resource, and what it says besides.
const TOLD: [&str; 20] = [
    "DeleteObject",
    "DescribeAutoScalingGroups",
    "DescribeInstanceInformation",
    "DescribeInstanceRefreshes",
    "DescribeListeners",
    "DescribeLoadBalancers",
    "DescribePolicies",
    "DescribeRules",
    "DescribeTargetGroupAttributes",
    "DescribeTargetHealth",
    "GetObject",
    "GetParameter",
    "GetParameters",
    "ModifyListener",
    "ModifyRule",
    "PutObject",
    "PutParameter",
    "ResumeProcesses",
    "SuspendProcesses",
    "UpdateAutoScalingGroup",
];

/// Headers that differ from reply to reply and say nothing of what was asked.
const OF_ONE_REPLY: [&str; 3] = ["date", "x-amz-request-id", "x-amzn-requestid"];
/// Headers that differ from request to request and ask for nothing.
const OF_ONE_REQUEST: [&str; 6] =
    ["amz-sdk-invocation-id", "amz-sdk-request", "authorization", "user-agent", "x-amz-date", "x-amz-user-agent"];
/// Every so many-th call that need not go through the SDK does, so that what was to be sent is seen to be what was sent.
const CHECKED_EVERY: usize = if cfg!(debug_assertions) { 1 } else { 1024 };
/// What a request holds besides its body, about.
const HEADERS: usize = 2048;
/// What is kept of requests and replies, about; beyond it all of them are forgotten.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the accounts of a process have read. A clone is the same memory.
#[derive(Clone, Default)]
pub struct Memo(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    asked: BTreeMap<Key, Asked>,
    /// Of all requests and replies.
    bytes: usize,
    /// Calls that were known.
    hits: usize,
}

/// Region, operation, resource, what it says, and what the reply is read into.
type Key = (String, &'static str, String, Option<String>, TypeId);

struct Asked {
    request: HttpRequest,
    /// By a hash of their bytes.
    replies: BTreeMap<u64, (Vec<u8>, Box<dyn Any + Send>)>,
}

/// An account's side of the memory.
#[derive(Clone)]
pub(super) struct Recall {
    memo: Memo,
    region: String,
    /// What the SDK sends through; known from its first call on.
    wire: Arc<OnceLock<SharedHttpConnector>>,
}

/// One call through the SDK, seen from the wire.
#[derive(Default)]
struct Heard {
    /// The reply, where the request has been sent already.
    reply: Option<Result<HttpResponse, ConnectorError>>,
    request: Option<HttpRequest>,
    print: Option<Print>,
}

/// What there is to read in a reply, and its id.
struct Print {
    bytes: Vec<u8>,
    request_id: Option<String>,
}

tokio::task_local! {
    static HEARD: Arc<Mutex<Heard>>;
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").finish_non_exhaustive()
    }
}

impl fmt::Debug for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recall").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Recall {
    pub fn new(memo: Memo, region: &str) -> Recall {
        Recall { memo, region: region.to_owned(), wire: Arc::default() }
    }

    /// The same client, listened to.
    pub fn client(&self, inner: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Listening { inner, wire: self.wire.clone() })
    }

    /// Makes the call: through the SDK, unless both its request and its reply are known.
    pub async fn ask<T, F>(&self, call: &Call<'_>, send: impl Fn() -> F) -> Result<Answer<T>, Failure>
    where
        T: Clone + Send + 'static,
        F: Future<Output = Result<Answer<T>, Failure>>,
    {
        if call.class == Class::Probe || !TOLD.contains(&call.operation) {
            return Box::pin(send()).await;
        }
        let says = call.says.map(str::to_owned);
        let key = (self.region.clone(), call.operation, call.resource.to_owned(), says, TypeId::of::<T>());
        let known = self.memo.request(&key);
        let (Some(request), Some(wire)) = (known, self.wire.get()) else {
            let (answer, heard) = listened(Heard::default(), Box::pin(send())).await;
            self.memo.keep(key, heard, &answer);
            return answer;
        };
        let reply = wire.call(request).await;
        if let Some(print) = reply.as_ref().ok().and_then(Print::of)
            && let Some(value) = self.memo.value(&key, &print)
        {
            return Ok(Answer { value, request_id: print.request_id });
        }
        let (answer, heard) = listened(Heard { reply: Some(reply), ..Heard::default() }, Box::pin(send())).await;
        self.memo.keep(key, heard, &answer);
        answer
    }
}

async fn listened<T>(heard: Heard, send: impl Future<Output = T>) -> (T, Heard) {
    let slot = Arc::new(Mutex::new(heard));
    let answer = HEARD.scope(slot.clone(), send).await;
    let heard = std::mem::take(&mut *lock(&slot));
    (answer, heard)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memo {
    fn request(&self, key: &Key) -> Option<HttpRequest> {
        lock(&self.0).asked.get(key).and_then(|asked| asked.request.try_clone())
    }

    /// `None` too where the SDK is to be asked nevertheless.
    fn value<T: Clone + 'static>(&self, key: &Key, print: &Print) -> Option<T> {
        let mut known = lock(&self.0);
        let (bytes, value) = known.asked.get(key)?.replies.get(&hash(&print.bytes))?;
        let value = value.downcast_ref::<T>().filter(|_| *bytes == print.bytes).cloned()?;
        known.hits += 1;
        (!known.hits.is_multiple_of(CHECKED_EVERY)).then_some(value)
    }

    fn keep<T: Clone + Send + 'static>(&self, key: Key, heard: Heard, answer: &Result<Answer<T>, Failure>) {
        let Some(request) = heard.request else { return };
        let mut known = lock(&self.0);
        if known.bytes > BYTES_MAX {
            *known = Known::default();
        }
        let Known { asked, bytes, .. } = &mut *known;
        let asked = match asked.entry(key) {
            Entry::Vacant(vacant) => {
                *bytes += HEADERS + 2 * request.body().bytes().unwrap_or_default().len();
                vacant.insert(Asked { request, replies: BTreeMap::new() })
            }
            Entry::Occupied(known) => {
                assert_eq!(
                    words(&known.get().request),
                    words(&request),
                    "what {} asks is not told by its resource and what it says",
                    request.uri()
                );
                known.into_mut()
            }
        };
        if let (Some(print), Ok(answer)) = (heard.print, answer) {
            *bytes += print.bytes.len();
            asked.replies.insert(hash(&print.bytes), (print.bytes, Box::new(answer.value.clone())));
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// What a request asks for.
fn words(request: &HttpRequest) -> (&str, &str, Option<&[u8]>, BTreeMap<&str, &str>) {
    let headers = request.headers().iter().filter(|(name, _)| !OF_ONE_REQUEST.contains(name)).collect();
    (request.method(), request.uri(), request.body().bytes(), headers)
}

impl Print {
    /// `None`: a reply that is not in memory.
    fn of(reply: &HttpResponse) -> Option<Print> {
        let body = reply.body().bytes()?;
        let request_id = reply.headers().get("x-amzn-requestid").filter(|id| !id.is_empty()).map(str::to_owned);
        let mut bytes = Vec::with_capacity(body.len() + 200);
        bytes.extend_from_slice(&reply.status().as_u16().to_be_bytes());
        for (name, value) in reply.headers().iter().filter(|(name, _)| !OF_ONE_REPLY.contains(name)) {
            bytes.extend([name, ":", value, "\n"].into_iter().flat_map(str::as_bytes));
        }
        let rest = request_id.as_deref().and_then(|id| split(body, id.as_bytes()));
        let (before, after) = rest.unwrap_or((body, &[]));
        bytes.extend_from_slice(before);
        bytes.extend_from_slice(after);
        Some(Print { bytes, request_id })
    }
}

/// What stands before and after the last occurrence.
fn split<'a>(body: &'a [u8], part: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = body.windows(part.len()).rposition(|window| window == part)?;
    Some((&body[..at], &body[at + part.len()..]))
}

/// An HTTP client that tells what goes through it.
#[derive(Debug)]
struct Listening {
    inner: SharedHttpClient,
    wire: Arc<OnceLock<SharedHttpConnector>>,
}

impl HttpClient for Listening {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        self.wire.get_or_init(|| inner.clone());
        SharedHttpConnector::new(Wire(inner))
    }
}

#[derive(Debug)]
struct Wire(SharedHttpConnector);

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Ok(heard) = HEARD.try_with(Arc::clone) else { return self.0.call(request) };
        let kept = request.try_clone();
        let known = {
            let mut heard = lock(&heard);
            heard.request = kept;
            heard.reply.take()
        };
        let sent = if known.is_none() { Some(self.0.call(request)) } else { None };
        HttpConnectorFuture::new(async move {
            let reply = match (known, sent) {
                (Some(reply), _) => reply,
                (None, Some(sent)) => sent.await,
                (None, None) => unreachable!("what is not known was sent"),
            }?;
            lock(&heard).print = Print::of(&reply);
            Ok(reply)
        })
    }
}

#[cfg(test)]
#[path = "memo_tests.rs"]
mod tests;
