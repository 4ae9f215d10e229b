//! Replies of one process in the order of its calls, so that another process that begins alike need not ask for them again.
//!
//! Only `prove` uses it: many runs are the same until something goes wrong in each of them at another call.

use super::Account;
use super::classify::{Answer, Failure};
use super::retry::Call;
use std::any::Any;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// One attempt with its reply; the reply's type is known to whoever makes the same call.
pub struct Taped {
    service: &'static str,
    operation: &'static str,
    resource: String,
    lasted: Duration,
    reply: Box<dyn Any + Send + Sync>,
}

impl Taped {
    /// As the SDK names it; `None`: a plain HTTP request.
    pub fn operation(&self) -> Option<&str> {
        (self.service != "http").then_some(self.operation)
    }
}

/// Replies by attempt; `None`: the attempt did not end.
pub type Tape = Vec<Option<Taped>>;

/// A reply and after how long it came.
type Known<T> = (Duration, Result<Answer<T>, Failure>);

/// What an account does with its replies.
#[derive(Default)]
pub(super) struct Recorder {
    /// Answers the attempts before `limit`.
    known: Arc<Tape>,
    limit: usize,
    /// Attempts so far.
    count: usize,
    /// Keeps the replies.
    kept: Option<Tape>,
    /// An attempt was not the one that is on the tape.
    parted: bool,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("limit", &self.limit).field("count", &self.count).finish_non_exhaustive()
    }
}

impl Account {
    /// Keeps all replies from here on.
    pub fn keep_tape(&self) {
        self.recorder().kept = Some(Tape::new());
    }

    pub fn take_tape(&self) -> Tape {
        self.recorder().kept.take().unwrap_or_default()
    }

    /// Answers the first attempts from a tape, each after as long as it took.
    pub fn answer_from(&self, known: Arc<Tape>, limit: usize) {
        let mut recorder = self.recorder();
        (recorder.known, recorder.limit) = (known, limit);
    }

    /// Whether the calls were others than those on the tape: then nothing that followed means anything.
    pub fn has_parted(&self) -> bool {
        let recorder = self.recorder();
        recorder.parted || recorder.count < recorder.limit
    }

    fn recorder(&self) -> std::sync::MutexGuard<'_, Recorder> {
        self.shared.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of this attempt, and its reply where the tape has one.
    pub(super) fn begin_attempt<T: Clone + 'static>(&self, call: &Call<'_>) -> (usize, Option<Known<T>>) {
        let mut recorder = self.recorder();
        let index = recorder.count;
        recorder.count += 1;
        if index >= recorder.limit || recorder.parted {
            return (index, None);
        }
        let same = |taped: &&Taped| taped.service == call.service && taped.operation == call.operation && taped.resource == call.resource;
        let known = recorder.known.get(index).and_then(Option::as_ref).filter(same);
        let reply = known.and_then(|taped| Some((taped.lasted, taped.reply.downcast_ref::<Result<Answer<T>, Failure>>()?.clone())));
        recorder.parted |= reply.is_none();
        (index, reply)
    }

    pub(super) fn end_attempt<T>(&self, index: usize, call: &Call<'_>, lasted: Duration, reply: &Result<Answer<T>, Failure>)
    where
        T: Clone + Send + Sync + 'static,
    {
        let mut recorder = self.recorder();
        let Some(kept) = &mut recorder.kept else { return };
        if kept.len() <= index {
            kept.resize_with(index + 1, || None);
        }
        let (service, operation, resource) = (call.service, call.operation, call.resource.to_owned());
        kept[index] = Some(Taped { service, operation, resource, lasted, reply: Box::new(reply.clone()) });
    }
}
