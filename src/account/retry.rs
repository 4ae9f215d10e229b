//! The one retry layer: which failure is sent again, after how long, and what is written down about each attempt.

use super::classify::{Answer, Failure};
use super::failpoint::{self, Point};
use super::{Account, AccountError, Kind};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Eight attempts reach past a throttling burst (about 35 s of waiting at most) and still end within one call's limit.
const ATTEMPTS_MAX: u32 = 8;
/// First back-off ceiling: a control plane call takes about this long anyway.
const BACKOFF_BASE: Duration = Duration::from_millis(500);
/// A longer wait would not help a token bucket that refills within seconds.
const BACKOFF_CAP: Duration = Duration::from_secs(10);
/// One attempt: AWS's control planes answer within seconds; what takes longer is lost.
pub(super) const ATTEMPT_LIMIT: Duration = Duration::from_secs(15);
/// One call with all its attempts: the operator's lock lease and the reader's patience are both longer than this.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// Codes of refusals that pass by themselves and that the SDK's own list lacks or treats differently.
const PASSING_CONFLICTS: [&str; 6] = [
    "ConditionalRequestConflict",
    "OperationAborted",
    "PriorRequestNotComplete",
    "ResourceContention",
    "ScalingActivityInProgress",
    "TooManyUpdates",
];

/// What a call is, which decides whether it may be sent again when its reply was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Changes nothing.
    Read,
    /// Changes nothing and is sent once: whoever asks, asks again.
    Probe,
    /// Sets a thing to a value: twice is as once.
    SetAbsolute,
    /// Fails when the thing is there, so a second sending could fail on the first one's effect.
    CreateIfAbsent,
    /// Fails when the thing has changed, with the same catch.
    CompareAndSwap,
    /// Begins something: a second sending could begin it twice.
    Start,
}

impl Class {
    fn may_follow_a_doubt(self) -> bool {
        match self {
            Class::Read | Class::SetAbsolute => true,
            Class::Probe | Class::CreateIfAbsent | Class::CompareAndSwap | Class::Start => false,
        }
    }

    pub fn writes(self) -> bool {
        match self {
            Class::Read | Class::Probe => false,
            Class::SetAbsolute | Class::CreateIfAbsent | Class::CompareAndSwap | Class::Start => true,
        }
    }
}

/// One attempt of one call, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    pub service: String,
    pub operation: String,
    pub resource: String,
    pub class: Class,
    /// From 1.
    pub attempt: u32,
    pub millis: u64,
    /// `ok`, AWS's code, or what happened in one word where there is no code.
    pub outcome: String,
    pub request_id: Option<String>,
}

/// What is called, for errors and the call log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub service: &'static str,
    pub operation: &'static str,
    pub resource: &'a str,
    pub class: Class,
    /// What tells it from another call for this resource: the token of a page, the sizes of a group.
    pub says: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub fn saying(self, words: &'a str) -> Call<'a> {
        Call { says: Some(words), ..self }
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    GiveUp,
    /// Send again after a random part of this time.
    Resend(Duration),
}

/// The policy. `attempt` counts from 1.
fn next(attempt: u32, failure: &Failure, class: Class) -> Decision {
    let barred = failure.doubtful && !class.may_follow_a_doubt();
    if class == Class::Probe || attempt >= ATTEMPTS_MAX || !is_passing(failure) || barred {
        return Decision::GiveUp;
    }
    Decision::Resend(BACKOFF_CAP.min(BACKOFF_BASE * 2u32.saturating_pow(attempt - 1)))
}

/// Whether the same call may well go through a moment later.
fn is_passing(failure: &Failure) -> bool {
    match failure.kind {
        Kind::Throttled | Kind::Unavailable | Kind::Lost | Kind::Unreachable => !failure.final_,
        Kind::Conflict => PASSING_CONFLICTS.contains(&failure.code.as_str()),
        Kind::NotFound | Kind::Denied | Kind::Expired | Kind::Invalid => false,
    }
}

/// The kind a call ends with. A doubt once raised stays: after a lost reply, a later refusal does not prove that nothing happened.
fn final_kind(class: Class, last: Kind, doubtful: bool, lost: bool) -> Kind {
    match class {
        Class::Read | Class::Probe => last,
        Class::SetAbsolute if lost || (doubtful && last != Kind::Unavailable) => Kind::Lost,
        Class::SetAbsolute => last,
        Class::CreateIfAbsent | Class::CompareAndSwap | Class::Start if doubtful => Kind::Lost,
        Class::CreateIfAbsent | Class::CompareAndSwap | Class::Start => last,
    }
}

/// How much longer the caller may write: asked before each attempt of a write, and the attempt ends with it.
pub type MayWrite = Arc<dyn Fn() -> Duration + Send + Sync>;

tokio::task_local! {
    static MAY_WRITE: MayWrite;
}

/// What the caller of this call may still take for one attempt.
fn allowed(class: Class) -> Duration {
    if class.writes() { MAY_WRITE.try_with(|left| left()).unwrap_or(Duration::MAX) } else { Duration::MAX }
}

/// Carries work out whose writes are sent only while `may` says so; an attempt that would be too late is not made.
pub(super) async fn only_while<T>(may: MayWrite, work: impl Future<Output = T>) -> T {
    MAY_WRITE.scope(may, work).await
}

impl Account {
    /// Sends a call until it is answered or the policy gives up.
    pub(super) async fn call<T, F>(&self, call: Call<'_>, send: impl Fn() -> F) -> Result<T, AccountError>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Answer<T>, Failure>>,
    {
        let end = Instant::now() + CALL_LIMIT;
        let (mut doubtful, mut lost) = (false, false);
        for attempt in 1.. {
            let failure = match self.attempt(&call, attempt, end, &send).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            doubtful |= failure.doubtful;
            lost |= failure.kind == Kind::Lost;
            let wait = match next(attempt, &failure, call.class) {
                Decision::GiveUp => None,
                Decision::Resend(ceiling) => Some(self.part_of(ceiling)).filter(|wait| Instant::now() + *wait < end),
            };
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => {
                    let kind = final_kind(call.class, failure.kind, doubtful, lost);
                    return Err(failure.into_error(&call, kind, attempt));
                }
            }
        }
        unreachable!("the policy gives up after {ATTEMPTS_MAX} attempts")
    }

    async fn attempt<T, F>(&self, call: &Call<'_>, attempt: u32, end: Instant, send: &impl Fn() -> F) -> Result<T, Failure>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Answer<T>, Failure>>,
    {
        let (start, allowed) = (Instant::now(), allowed(call.class));
        if allowed.is_zero() {
            let failure = Failure::new(Kind::Unreachable, "it was not sent: the lease of the lock ends");
            return Err(Failure { final_: true, ..failure });
        }
        let limit = ATTEMPT_LIMIT.min(end.saturating_duration_since(start)).min(allowed);
        let passing = failpoint::before(Point::Call);
        let (index, known) = self.begin_attempt(call);
        let outcome = if let Some((lasted, reply)) = known {
            tokio::time::sleep(lasted).await;
            reply
        } else {
            let sent = tokio::time::timeout(limit, self.ask(call, send)).await;
            sent.unwrap_or_else(|_| Err(Failure::lost(format!("no reply within {} s", limit.as_secs_f64()))))
        };
        self.end_attempt(index, call, start.elapsed(), &outcome);
        passing.after();
        let (word, request_id) = match &outcome {
            Ok(answer) => ("ok", &answer.request_id),
            Err(failure) => (failure.word(), &failure.request_id),
        };
        let record = CallRecord {
            service: call.service.into(),
            operation: call.operation.into(),
            resource: call.resource.into(),
            class: call.class,
            attempt,
            millis: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            outcome: word.into(),
            request_id: request_id.clone(),
        };
        if let Some(kept) = &mut *self.shared.kept_calls.lock().unwrap_or_else(PoisonError::into_inner) {
            kept.push(record.clone());
        }
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        outcome.map(|answer| answer.value)
    }

    async fn ask<T, F>(&self, call: &Call<'_>, send: &impl Fn() -> F) -> Result<Answer<T>, Failure>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Answer<T>, Failure>>,
    {
        match &self.recall {
            Some(recall) => recall.ask(call, send).await,
            None => send().await,
        }
    }

    /// Full jitter, in whole milliseconds so that a journal can say it.
    fn part_of(&self, ceiling: Duration) -> Duration {
        let part = self.shared.jitter.lock().unwrap_or_else(PoisonError::into_inner).f64();
        Duration::from_millis(ceiling.mul_f64(part).as_millis() as u64)
    }

    /// From now on every attempt is kept, whoever takes them.
    pub fn keep_calls(&self) {
        *self.shared.kept_calls.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Those that were kept, oldest first.
    pub fn kept_calls(&self) -> Vec<CallRecord> {
        self.shared.kept_calls.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    /// The attempts made since the last time this was asked, oldest first.
    pub fn take_calls(&self) -> Vec<CallRecord> {
        std::mem::take(&mut self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
