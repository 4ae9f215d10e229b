//! The lock of an environment: one object that names the run which may change it, and leases it to one process at a time.
//!
//! AWS's control planes know no fencing, so the holder itself must know, without asking, that its lease lives before it writes.

mod free;
mod held;
mod take;

pub use held::Lock;
pub use take::{Watch, acquire, clear, take_over, take_over_watched};

use super::wait::short;
use super::{Halt, RunError};
use crate::account::{Account, AccountError, Kind, When};
use crate::config::Environment;
use aws_smithy_async::time::SharedTimeSource;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How long a process may be silent before another one may go on with its run.
pub const LEASE: Duration = Duration::from_secs(120);
/// Between two heartbeats: three may fail in a row.
const BEAT: Duration = LEASE.checked_div(4).expect("4 is not 0");
/// A write is sent only while the lease lives for at least this long: it has to arrive within it.
const MARGIN: Duration = Duration::from_secs(20);
/// Times that a doubtful reply is followed up before it is given up.
const TRIES: u32 = 5;

/// What the object holds. `beat` makes every body different, so that an ETag never comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub run: String,
    pub playbook: String,
    pub env: String,
    /// When the run took the lock first.
    pub begun: Timestamp,
    /// Names the process.
    pub nonce: String,
    /// Raised by each process that takes over.
    pub epoch: u64,
    pub beat: u64,
    pub host: String,
    pub user: String,
    pub pid: u32,
    /// 0: the run has no process, and anybody may go on with it.
    pub lease_seconds: u64,
    /// The run is over and the object could not be deleted: the lock is as free as if it were not there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// When this was written, by its writer's clock.
    pub at: Timestamp,
}

impl Record {
    /// `alice on ci-7 (pid 12)`.
    pub fn holder(&self) -> String {
        format!("{} on {} (pid {})", self.user, self.host, self.pid)
    }

    /// What is left of the lease, as far as the writer's clock can be trusted; `None`: no process holds it.
    pub fn left(&self, now: Timestamp) -> Option<Duration> {
        let age = Duration::try_from(now.duration_since(self.at)).unwrap_or_default();
        Duration::from_secs(self.lease_seconds).checked_sub(age).filter(|left| !left.is_zero())
    }

    /// For people: the run, who carries it on, and since when.
    pub fn describe(&self, now: Timestamp) -> String {
        let age = Duration::try_from(now.duration_since(self.begun)).unwrap_or_default();
        let process = match self.lease_seconds {
            0 => "no process carries it on".to_owned(),
            _ => format!("carried on by {}", self.holder()),
        };
        format!("run {} of {} has had {} for {}, {process}", self.run, self.playbook, self.env, short(Duration::from_secs(age.as_secs())))
    }
}

/// The run and the process that ask for the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub run: String,
    pub playbook: String,
    pub env: String,
    pub nonce: String,
    pub host: String,
    pub user: String,
    pub pid: u32,
}

impl Claim {
    fn record(&self, begun: Timestamp, epoch: u64, at: Timestamp) -> Record {
        Record {
            run: self.run.clone(),
            playbook: self.playbook.clone(),
            env: self.env.clone(),
            begun,
            nonce: self.nonce.clone(),
            epoch,
            beat: 0,
            host: self.host.clone(),
            user: self.user.clone(),
            pid: self.pid,
            lease_seconds: LEASE.as_secs(),
            ended: false,
            at,
        }
    }
}

/// Why the lock was not got.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LockError {
    /// Another run has it.
    #[error("{}; bgx resume {run}, bgx undo {run} or bgx abandon {run} --reason … ends it, bgx recover --env {env} if its process died",
        .seen.describe(*.now), run = .seen.run, env = .seen.env)]
    Held { seen: Box<Record>, now: Timestamp },
    /// Another process goes on with the same run, and lives.
    #[error("another process carries run {} on: {}", .seen.run, .seen.holder())]
    Alive { seen: Box<Record> },
    #[error("{signal} received while waiting for the lock")]
    Signal { signal: String },
    #[error("`{url}` is not a lock: {why}")]
    Unreadable { url: String, why: String },
    /// The run is over, and its lock could not be freed.
    #[error("{why}")]
    Kept { why: String },
    /// It may have been written or not.
    #[error("it is not known whether the lock was taken")]
    Doubt,
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<LockError> for RunError {
    fn from(error: LockError) -> RunError {
        match error {
            LockError::Held { .. } | LockError::Alive { .. } | LockError::Unreadable { .. } => {
                Halt::Locked { why: error.to_string() }.into()
            }
            LockError::Signal { signal } => Halt::Signal { signal }.into(),
            LockError::Doubt | LockError::Kept { .. } => Halt::Paused { why: error.to_string() }.into(),
            LockError::Account(error) if error.kind == Kind::Lost => Halt::Paused { why: error.to_string() }.into(),
            LockError::Account(error) => error.into(),
        }
    }
}

/// Where the lock of an environment lies, and the clocks that judge it.
#[derive(Clone, Debug)]
pub struct Place {
    pub account: Arc<Account>,
    pub time: SharedTimeSource,
    pub bucket: String,
    pub key: String,
}

/// The object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub record: Record,
    pub etag: String,
}

/// What became of a conditional write.
enum Written {
    /// With this ETag.
    Yes(String),
    /// Its condition was not met, or nobody knows: the object says.
    Unclear,
}

impl Place {
    pub fn of(env: &Environment, account: &Arc<Account>, time: &SharedTimeSource) -> Place {
        Place { account: account.clone(), time: time.clone(), bucket: env.state.bucket.clone(), key: env.lock_key() }
    }

    /// The object as it is. Where there is none, or its run has ended, nobody has the lock.
    pub async fn read(&self) -> Result<Option<Seen>, LockError> {
        let Some(object) = self.account.object(&self.bucket, &self.key).await? else { return Ok(None) };
        let record = serde_json::from_slice(&object.body);
        let unreadable = |e: serde_json::Error| LockError::Unreadable { url: self.url(), why: e.to_string() };
        Ok(Some(Seen { record: record.map_err(unreadable)?, etag: object.etag }))
    }

    /// The lock that a run has; `None`: it is free.
    pub async fn held(&self) -> Result<Option<Seen>, LockError> {
        Ok(self.read().await?.filter(|seen| !seen.record.ended))
    }

    async fn write(&self, record: &Record, when: When<'_>) -> Result<Written, AccountError> {
        let body = serde_json::to_vec(record).expect("a record is plain text and numbers");
        match self.account.put_object(&self.bucket, &self.key, &body, when).await {
            Ok(etag) => Ok(Written::Yes(etag)),
            Err(error) => match error.kind {
                Kind::Conflict | Kind::NotFound | Kind::Lost => Ok(Written::Unclear),
                Kind::Denied | Kind::Expired | Kind::Throttled | Kind::Invalid | Kind::Unavailable | Kind::Unreachable => Err(error),
            },
        }
    }

    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    pub fn now(&self) -> Timestamp {
        super::now(&self.time)
    }

    fn moment(&self) -> Moment {
        Moment { wall: self.time.now(), steady: Instant::now() }
    }

    fn since(&self, moment: Moment) -> Duration {
        moment.until(self.moment())
    }
}

/// A moment by both clocks: the steady one stands still while a machine is suspended, the wall's may be set back.
#[derive(Clone, Copy, Debug)]
struct Moment {
    wall: SystemTime,
    steady: Instant,
}

impl Moment {
    /// At least the time that went by.
    fn until(self, later: Moment) -> Duration {
        let wall = later.wall.duration_since(self.wall).unwrap_or_default();
        wall.max(later.steady.saturating_duration_since(self.steady))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(lease_seconds: u64) -> Record {
        let claim = Claim {
            run: "abc123".into(),
            playbook: "deploy.rhai".into(),
            env: "beta".into(),
            nonce: "n".into(),
            host: "ci-7".into(),
            user: "alice".into(),
            pid: 12,
        };
        Record { lease_seconds, ..claim.record(Timestamp::UNIX_EPOCH, 1, Timestamp::UNIX_EPOCH) }
    }

    fn after(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_what_the_clock_that_went_further_says() {
        let (steady, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
        let begin = Moment { wall, steady };
        let suspended = Moment { wall: wall + Duration::from_secs(300), steady: steady + Duration::from_secs(5) };
        assert_eq!(begin.until(suspended), Duration::from_secs(300));
        let set_back = Moment { wall: wall - Duration::from_secs(900), steady: steady + Duration::from_secs(40) };
        assert_eq!(begin.until(set_back), Duration::from_secs(40));
    }

    #[test]
    fn what_is_left_of_a_lease_ends_with_it_and_with_its_process() {
        assert_eq!(record(120).left(after(50)), Some(Duration::from_secs(70)));
        assert_eq!(record(120).left(after(120)), None);
        assert_eq!(record(0).left(after(0)), None);
    }

    #[test]
    fn a_refusal_names_holder_age_playbook_environment_and_what_to_type() {
        let error = LockError::Held { seen: Box::new(record(120)), now: after(65) };
        assert_eq!(
            error.to_string(),
            "run abc123 of deploy.rhai has had beta for 1m 5s, carried on by alice on ci-7 (pid 12); bgx resume abc123, bgx undo abc123 or \
             bgx abandon abc123 --reason … ends it, bgx recover --env beta if its process died"
        );
        assert!(record(0).describe(after(1)).ends_with("no process carries it on"));
    }

    #[test]
    fn a_write_needs_a_lease_that_outlives_a_missed_heartbeat() {
        assert!(BEAT * 2 < LEASE - MARGIN);
    }
}
