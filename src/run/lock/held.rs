//! A lock that this process has: heartbeats keep its lease, every write asks whether it lives, and its end is written down.

use super::free::free;
use super::{BEAT, LEASE, MARGIN, Moment, Place, Record, Seen, TRIES, Written};
use crate::account::{MayWrite, When};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// After a heartbeat that failed, and between two tries of a renewal that a write waits for.
const AGAIN: Duration = Duration::from_secs(2);
/// What is sent this long before the lease ends has arrived by then.
const ARRIVES: Duration = Duration::from_secs(5);
/// A run that stops does not wait longer than this to say so in the lock; the lease runs out anyway.
const GIVE_UP_LIMIT: Duration = Duration::from_secs(10);

/// The lock of a run, and the task that keeps its lease.
#[derive(Debug)]
pub struct Lock {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    /// Held while the object is written: one writer at a time in this process.
    object: tokio::sync::Mutex<Object>,
    lease: Mutex<Lease>,
}

#[derive(Debug)]
struct Object {
    record: Record,
    etag: String,
}

#[derive(Clone, Debug)]
struct Lease {
    /// When the write that began it was sent.
    from: Moment,
    /// Why it is another's now.
    lost: Option<String>,
}

impl Lock {
    /// A lock that was just written; inside the runtime that its heartbeats are to live in.
    pub(super) fn begin(place: Place, record: Record, etag: String, sent: Moment) -> Lock {
        let lease = Mutex::new(Lease { from: sent, lost: None });
        let shared = Arc::new(Shared { place, object: tokio::sync::Mutex::new(Object { record, etag }), lease });
        let task = tokio::spawn(keep(shared.clone()));
        Lock { shared, task }
    }

    /// Nothing is asked while the lease certainly lives; else it is renewed first. The error says who has it, or why nobody knows.
    pub async fn check(&self) -> Result<(), String> {
        let mut doubt = String::new();
        for tried in 0..=TRIES {
            if self.shared.lives()? {
                return Ok(());
            }
            if tried > 0 {
                tokio::time::sleep(AGAIN).await;
            }
            let mut object = self.shared.object.lock().await;
            // A heartbeat may have been on its way.
            if !self.shared.lives()?
                && let Err(why) = self.shared.beat(&mut object).await
            {
                doubt = why;
            }
        }
        Err(format!("the lease of the lock ran out and could not be renewed: {doubt}"))
    }

    /// For how long a write may still be under way. Asked again before each attempt: heartbeats may have failed meanwhile.
    pub fn may_write(&self) -> MayWrite {
        let shared = self.shared.clone();
        Arc::new(move || shared.left())
    }

    /// Ends the lock: whoever comes next may take it. The error says why it may still be there.
    pub async fn release(self) -> Result<(), String> {
        let object = self.shared.object.lock().await;
        self.task.abort();
        let seen = Seen { record: object.record.clone(), etag: object.etag.clone() };
        free(&self.shared.place, seen).await.map(drop)
    }

    /// Keeps the lock for the run and ends the lease of this process: `resume` and `undo` need not wait. A failure costs only that.
    pub async fn give_up(self) {
        let shared = &self.shared;
        let write = async {
            let object = shared.object.lock().await;
            self.task.abort();
            let record = Record { beat: object.record.beat + 1, lease_seconds: 0, at: shared.place.now(), ..object.record.clone() };
            drop(shared.place.write(&record, When::Unchanged(&object.etag)).await);
        };
        drop(tokio::time::timeout(GIVE_UP_LIMIT, write).await);
    }
}

impl Drop for Lock {
    /// Only the heartbeats end: what the object says stays.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Renews the lease for as long as it is ours.
async fn keep(shared: Arc<Shared>) {
    let mut pause = BEAT;
    loop {
        tokio::time::sleep(pause).await;
        let mut object = shared.object.lock().await;
        pause = if shared.beat(&mut object).await.is_ok() { BEAT } else { AGAIN };
        if shared.lives().is_err() {
            return;
        }
    }
}

impl Shared {
    /// Whether a write that is sent now arrives within the lease; the error says who has the lock by now.
    fn lives(&self) -> Result<bool, String> {
        let lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match lease.lost {
            Some(why) => Err(why),
            None => Ok(self.place.since(lease.from) < LEASE - MARGIN),
        }
    }

    /// What is left of the lease, less the time that a request may take to arrive.
    fn left(&self) -> Duration {
        let lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match lease.lost {
            Some(_) => Duration::ZERO,
            None => (LEASE - ARRIVES).saturating_sub(self.place.since(lease.from)),
        }
    }

    fn set(&self, change: impl FnOnce(&mut Lease)) {
        change(&mut self.lease.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// One heartbeat; the error says why the lease is no longer than it was.
    async fn beat(&self, object: &mut Object) -> Result<(), String> {
        let next = Record { beat: object.record.beat + 1, at: self.place.now(), ..object.record.clone() };
        let sent = self.place.moment();
        match self.place.write(&next, When::Unchanged(&object.etag)).await {
            Ok(Written::Yes(etag)) => {
                *object = Object { record: next, etag };
                self.set(|lease| lease.from = sent);
                Ok(())
            }
            Ok(Written::Unclear) => self.look(object, &next, sent).await,
            Err(error) => Err(error.to_string()),
        }
    }

    /// After a heartbeat that did not say how it went: the object does.
    async fn look(&self, object: &mut Object, next: &Record, sent: Moment) -> Result<(), String> {
        let lost = |why: String| {
            self.set(|lease| lease.lost = Some(why.clone()));
            Err(why)
        };
        match self.place.held().await.map_err(|e| e.to_string())? {
            None => lost(format!("the lock {} was deleted", self.place.url())),
            Some(seen) if seen.record.nonce != next.nonce => {
                lost(format!("another process has the lock: {}", seen.record.describe(self.place.now())))
            }
            Some(seen) => {
                let arrived = seen.record == *next;
                *object = Object { record: seen.record, etag: seen.etag };
                if !arrived {
                    return Err("a heartbeat did not arrive".to_owned());
                }
                self.set(|lease| lease.from = sent);
                Ok(())
            }
        }
    }
}
