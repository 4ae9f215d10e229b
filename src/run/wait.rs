//! Waiting: a limit on every wait, progress that says why, and a signal that ends it at once.

use super::event::What;
use super::overdue::Overdue;
use super::sight::Looks;
use super::{Run, RunError};
use jiff::Timestamp;
use std::time::Duration;

/// How far a wait is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// `beta-green 2/4 healthy`.
    pub what: String,
    /// Why it is not there yet, one line each.
    pub why: Vec<String>,
    pub done: Option<u64>,
    pub total: Option<u64>,
}

/// A wait that has begun.
#[derive(Clone, Debug)]
pub struct Wait {
    pub(super) step: u64,
    what: String,
    started: Timestamp,
    timeout: Duration,
    /// The timeout as it was at first: an operator may add it again.
    pub(super) limit: Duration,
    /// The colour whose healthy targets are waited for: it may do with fewer.
    pub(super) color: Option<String>,
    /// How long it takes when all goes well, for people; the timeout where nobody knows.
    expected: Duration,
    pub(super) outermost: bool,
    /// What its looks show.
    pub looks: Looks,
}

impl Wait {
    /// A wait that has to take this long, whatever its timeout.
    pub fn lasting(self, expected: Duration) -> Wait {
        Wait { expected, ..self }
    }

    /// A wait for healthy targets of a colour.
    pub fn healthy(self, color: &str) -> Wait {
        Wait { color: Some(color.to_owned()), ..self }
    }
}

impl Run {
    /// Begins a wait; its timeout starts now. `None`: the journal says that it ended well.
    pub fn begin_wait(&mut self, what: &str, timeout: Duration) -> Result<Option<Wait>, RunError> {
        self.check_interrupt()?;
        let step = self.next_step();
        if self.inside == 0
            && let Some(known) = self.replay.wait(step, what)
        {
            self.accept_again(step);
            return known.map(|()| None);
        }
        let (started, outermost) = (self.now(), self.inside == 0);
        let looks = Looks::default();
        let wait = Wait { step, what: what.to_owned(), started, timeout, limit: timeout, color: None, expected: timeout, outermost, looks };
        self.inside += 1;
        Ok(Some(wait))
    }

    /// The closure of a wait only looks: it runs as often as it takes, and a replay does not run it.
    pub(super) fn outside_waits(&self, verb: &str) -> Result<(), RunError> {
        match self.inside {
            0 => Ok(()),
            _ => Err(RunError::failed(format!("{verb} cannot stand inside a wait, whose closure may run any number of times"))),
        }
    }

    /// Shows where the wait stands and sleeps until the next look, or ends it when its time is over. `Ok(false)`: the operator goes on
    /// with what there is.
    pub async fn keep_waiting(&mut self, wait: &mut Wait, progress: Progress, every: Duration) -> Result<bool, RunError> {
        let elapsed = self.elapsed(wait);
        let last = std::iter::once(&progress.what).chain(&progress.why).cloned().collect::<Vec<_>>().join(" · ");
        let left = wait.timeout.saturating_sub(elapsed);
        self.record(What::Waiting {
            step: wait.step,
            what: progress.what.clone(),
            why: progress.why.clone(),
            done: progress.done,
            total: progress.total,
            left_seconds: Some(wait.expected.saturating_sub(elapsed).as_secs()),
        })?;
        if left.is_zero() {
            let text = format!("{} did not come true within {}: {}", wait.what, short(wait.timeout), last);
            match self.overdue(wait, &progress, &text)? {
                Overdue::Fails => return Err(RunError::Timeout { text }),
                Overdue::Enough => return Ok(false),
                Overdue::Longer => {
                    wait.timeout = elapsed + wait.limit;
                    wait.expected = wait.timeout;
                }
            }
        }
        self.pause(every.min(wait.timeout.saturating_sub(elapsed))).await?;
        Ok(true)
    }

    /// Ends a wait, well or badly; every wait that began must come here.
    pub fn end_wait(&mut self, wait: Wait, error: Option<&RunError>) -> Result<(), RunError> {
        self.inside = self.inside.saturating_sub(1);
        // A run that is halted did not come to the end of this wait.
        if !wait.outermost || matches!(error, Some(RunError::Halt(_))) {
            return Ok(());
        }
        let seconds = self.elapsed(&wait).as_secs_f64();
        Ok(self.record(What::Waited { step: wait.step, what: wait.what, seconds, error: error.cloned(), seen: wait.looks.told() })?)
    }

    /// Sleeps; a signal ends the sleep.
    pub async fn pause(&mut self, length: Duration) -> Result<(), RunError> {
        self.check_interrupt()?;
        if self.undoing {
            tokio::time::sleep(length).await;
            return Ok(());
        }
        let interrupt = &mut self.interrupt;
        let signalled = async move {
            if interrupt.wait_for(|signal| !signal.is_empty()).await.is_err() {
                std::future::pending::<()>().await; // nobody is left who could signal
            }
        };
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            () = signalled => {}
        }
        Ok(self.check_interrupt()?)
    }

    fn elapsed(&self, wait: &Wait) -> Duration {
        Duration::try_from(self.now().duration_since(wait.started)).unwrap_or_default()
    }
}

/// `90s` -> `1m 30s`, for people.
pub fn short(length: Duration) -> String {
    let seconds = length.as_secs();
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (0, 0, s) if s < 10 && length.subsec_millis() > 0 => format!("{:.1}s", length.as_secs_f64()),
        (0, 0, s) => format!("{s}s"),
        (0, m, 0) => format!("{m}m"),
        (0, m, s) => format!("{m}m {s}s"),
        (h, 0, _) => format!("{h}h"),
        (h, m, _) => format!("{h}h {m}m"),
    }
}
