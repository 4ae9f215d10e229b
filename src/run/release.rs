//! The last thing a run does: it lets go of its lock, and only then says how it ended.
//!
//! What it settled on is written down first. A process that dies after that, or whom AWS refuses the release, leaves a run of which only
//! the release is open: any command for it does that and nothing else.

use super::event::{Ended, Event, Outcome, What};
use super::lock::{self, Lock, LockError, Place};
use super::{Halt, Opening, Run, RunError};

impl Run {
    /// A run that is over lets go of its lock; any other keeps it, without a process. How the run stands after that, and why.
    pub(super) async fn end_lock(&mut self, outcome: Outcome, why: Option<String>) -> (Outcome, Option<String>) {
        let locks = self.give_locks();
        if locks.is_empty() {
            return (outcome, why);
        }
        if !outcome.is_over() {
            give_up(locks).await;
            return (outcome, why);
        }
        let recorded = match self.record(What::Settled { outcome, why: why.clone() }) {
            Ok(()) => self.keep().await,
            failed => failed,
        };
        if let Err(halt) = recorded {
            give_up(locks).await;
            return (Outcome::Paused, Some(halt.to_string()));
        }
        let mut kept = Vec::new();
        for lock in locks {
            kept.extend(lock.release().await.err());
        }
        if kept.is_empty() { (outcome, why) } else { self.not_released(outcome, &kept.join("; ")) }
    }

    fn not_released(&mut self, outcome: Outcome, kept: &str) -> (Outcome, Option<String>) {
        self.unreleased = Some(outcome);
        let what = match outcome {
            Outcome::Done => "the run is done",
            Outcome::Undone => "everything was taken back",
            Outcome::Refused => "nothing was touched",
            Outcome::Abandoned => "the run is given up",
            Outcome::Paused | Outcome::Stuck | Outcome::Diverged => "the run has stopped",
        };
        (Outcome::Paused, Some(format!("{what}; its lock is not released: {kept}")))
    }

    /// Ends a run of which only the release of the lock is open: if another run has the lock by now, or nobody, nothing is left to do.
    pub async fn let_go(opening: Opening, events: &[Event], command: &str) -> Result<(Run, Ended), Halt> {
        let settled = events.iter().rev().find_map(|event| match &event.what {
            What::Settled { outcome, why } => Some((*outcome, why.clone())),
            _ => None,
        });
        let Some((outcome, why)) = settled else { return Err(Halt::Paused { why: "the run is not settled".to_owned() }) };
        let resumed = opening.resumed(command);
        let mut run = Run::known(opening, events);
        run.record(resumed)?;
        run.keep().await?;
        let mut kept = Vec::new();
        for name in run.envs().to_vec().iter().rev() {
            // Progress of the wait is shown; what is kept from here on is the end, and about the first one.
            run.go_to(name);
            let place = Place::of(&run.env, &run.account, &run.time);
            let (id, mut stop) = (run.id.clone(), run.interrupt.clone());
            match lock::clear(&place, &id, &mut stop, |what| drop(run.record(what))).await {
                Ok(_) => {}
                Err(error @ (LockError::Held { .. } | LockError::Alive { .. })) => return Err(halt(error)),
                Err(error) => kept.push(error.to_string()),
            }
        }
        let (outcome, why) = if kept.is_empty() { (outcome, why) } else { run.not_released(outcome, &kept.join("; ")) };
        let ended = run.ended(outcome, why, Vec::new()).await;
        Ok((run, ended))
    }
}

async fn give_up(locks: Vec<Lock>) {
    for lock in locks {
        lock.give_up().await;
    }
}

fn halt(error: LockError) -> Halt {
    match RunError::from(error) {
        RunError::Halt(halt) => halt,
        other => Halt::Paused { why: other.to_string() },
    }
}
