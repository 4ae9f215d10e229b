//! Gets the lock: a new run if nobody has it, a run that goes on if its last process is known to be gone.

use super::super::event::What;
use super::super::wait::short;
use super::free::free;
use super::{Claim, LEASE, Lock, LockError, Moment, Place, Record, Seen, TRIES, Written};
use crate::account::When;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Between two looks at a lock that somebody else has.
const LOOK: Duration = Duration::from_secs(5);
/// Between two looks at a lease that should run out: few calls, and soon enough.
const LEASE_LOOK: Duration = Duration::from_secs(15);
/// After a reply that left a doubt.
const AGAIN: Duration = Duration::from_secs(1);

/// Takes the lock for a new run; waits up to `wait` while another run has it.
pub async fn acquire(
    place: Place,
    claim: &Claim,
    wait: Duration,
    stop: &mut watch::Receiver<String>,
    mut show: impl FnMut(What),
) -> Result<Lock, LockError> {
    let end = Instant::now() + wait;
    let mut free: Option<String> = None;
    for _ in 0..TRIES {
        let record = claim.record(place.now(), 1, place.now());
        let sent = place.moment();
        let when = free.as_deref().map_or(When::Absent, When::Unchanged);
        if let Written::Yes(etag) = place.write(&record, when).await? {
            return Ok(Lock::begin(place, record, etag, sent));
        }
        free = None;
        match place.read().await? {
            Some(seen) if seen.record.ended => free = Some(seen.etag),
            Some(seen) if seen.record.nonce == claim.nonce => return Ok(Lock::begin(place, seen.record, seen.etag, sent)),
            Some(seen) => until_free(&place, seen, end, stop, &mut show).await?,
            None => pause(AGAIN, stop).await?,
        }
    }
    Err(LockError::Doubt)
}

/// Waits until nobody has the lock.
async fn until_free(
    place: &Place,
    mut seen: Seen,
    end: Instant,
    stop: &mut watch::Receiver<String>,
    show: &mut impl FnMut(What),
) -> Result<(), LockError> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(LockError::Held { seen: Box::new(seen.record), now: place.now() });
        }
        show(waiting(format!("the lock of {}", seen.record.env), seen.record.describe(place.now()), left));
        pause(LOOK.min(left), stop).await?;
        match place.held().await? {
            Some(still) => seen = still,
            None => return Ok(()),
        }
    }
}

/// Takes the lock for a run that another process began: at once if that one gave it up, else when its lease was seen to run out unchanged.
pub async fn take_over(place: Place, claim: &Claim, stop: &mut watch::Receiver<String>, show: impl FnMut(What)) -> Result<Lock, LockError> {
    take_over_watched(place, claim, Watch::default(), stop, show).await
}

/// The same, where the lease was looked at before: the time since then counts.
pub async fn take_over_watched(
    place: Place,
    claim: &Claim,
    mut watch: Watch,
    stop: &mut watch::Receiver<String>,
    mut show: impl FnMut(What),
) -> Result<Lock, LockError> {
    for _ in 0..TRIES {
        let asked = place.moment();
        let Some(seen) = place.held().await? else { return acquire(place, claim, Duration::ZERO, stop, show).await };
        if seen.record.nonce == claim.nonce {
            return Ok(Lock::begin(place, seen.record, seen.etag, asked));
        }
        if seen.record.run != claim.run {
            return Err(LockError::Held { seen: Box::new(seen.record), now: place.now() });
        }
        let seen = watch.ended(&place, seen, stop, &mut show).await?;
        let Some(seen) = seen else { continue };
        let record = claim.record(seen.record.begun, seen.record.epoch + 1, place.now());
        let sent = place.moment();
        match place.write(&record, When::Unchanged(&seen.etag)).await? {
            Written::Yes(etag) => return Ok(Lock::begin(place, record, etag, sent)),
            Written::Unclear => pause(AGAIN, stop).await?,
        }
    }
    Err(LockError::Doubt)
}

/// Removes the lock of a run that is over, once its lease ran out. `Ok(false)`: it is somebody else's by now.
pub async fn clear(place: &Place, run: &str, stop: &mut watch::Receiver<String>, mut show: impl FnMut(What)) -> Result<bool, LockError> {
    let Some(seen) = place.held().await? else { return Ok(true) };
    if seen.record.run != run {
        return Ok(false);
    }
    let Some(seen) = Watch::default().ended(place, seen, stop, &mut show).await? else { return Ok(true) };
    free(place, seen).await.map_err(|why| LockError::Kept { why })
}

/// Since when a lease was seen unchanged, by this process's own clocks.
#[derive(Default)]
pub struct Watch {
    since: Option<(String, Moment)>,
}

impl Watch {
    /// Looks at the lease for the first time.
    pub async fn begin(place: &Place) -> Result<Watch, LockError> {
        let asked = place.moment();
        Ok(Watch { since: place.held().await?.map(|seen| (seen.etag, asked)) })
    }

    /// Waits until the lease is over. A heartbeat meanwhile is an error: its process lives. `None`: the lock is gone.
    async fn ended(
        &mut self,
        place: &Place,
        mut seen: Seen,
        stop: &mut watch::Receiver<String>,
        show: &mut impl FnMut(What),
    ) -> Result<Option<Seen>, LockError> {
        let run = seen.record.run.clone();
        loop {
            if seen.record.lease_seconds == 0 {
                return Ok(Some(seen));
            }
            let (etag, since) = self.since.get_or_insert_with(|| (seen.etag.clone(), place.moment()));
            if *etag != seen.etag {
                return Err(LockError::Alive { seen: Box::new(seen.record) });
            }
            let left = lease(&seen.record).saturating_sub(place.since(*since));
            if left.is_zero() {
                return Ok(Some(seen));
            }
            show(waiting(format!("the lease of {} to run out", seen.record.holder()), format!("at most {}", short(left)), left));
            pause(LEASE_LOOK.min(left), stop).await?;
            match place.held().await? {
                Some(now) if now.record.run != run => return Err(LockError::Held { seen: Box::new(now.record), now: place.now() }),
                Some(now) => seen = now,
                None => return Ok(None),
            }
        }
    }
}

/// What the holder wrote, but never forever.
fn lease(record: &Record) -> Duration {
    Duration::from_secs(record.lease_seconds).min(LEASE * 10)
}

fn waiting(what: String, why: String, left: Duration) -> What {
    What::Waiting { step: 0, what, why: vec![why], done: None, total: None, left_seconds: Some(left.as_secs()) }
}

/// Sleeps; a signal ends it.
async fn pause(length: Duration, stop: &mut watch::Receiver<String>) -> Result<(), LockError> {
    let signalled = async {
        match stop.wait_for(|signal| !signal.is_empty()).await {
            Ok(signal) => signal.clone(),
            Err(_) => std::future::pending().await, // nobody is left who could signal
        }
    };
    tokio::select! {
        () = tokio::time::sleep(length) => Ok(()),
        signal = signalled => Err(LockError::Signal { signal }),
    }
}
