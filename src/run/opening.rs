//! How a run gets its environment: what it starts from, and the lock before its first call.

use super::desk::Desk;
use super::event::{Began, OnFailure, Outcome, What};
use super::guard::Allow;
use super::journal::Journal;
use super::lock::Claim;
use super::{Answers, Broke, Halt, Observer, Run, now};
use crate::account::Accounts;
use crate::config::Environment;
use aws_smithy_async::time::SharedTimeSource;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What a run starts from.
pub struct Opening {
    /// The first of its environments: its calls are about that one until the script says otherwise.
    pub env: Environment,
    /// Its other environments.
    pub also: Vec<Environment>,
    pub accounts: Arc<Accounts>,
    pub time: SharedTimeSource,
    pub journal: Journal,
    pub observer: Observer,
    pub interrupt: watch::Receiver<String>,
    pub answers: Answers,
    pub desk: Desk,
    /// Who runs it, as approvals know people.
    pub who: String,
    pub allow: Vec<Allow>,
    /// No typed confirmation is needed before the first write.
    pub confirmed: bool,
    pub began: Began,
    /// What is changed in a run that goes on.
    pub resumes: Resumes,
    /// Names this process in the lock.
    pub process: Process,
    /// No guard, lock or undo: for another's algorithm, in a sandbox.
    pub ungated: bool,
}

/// What another process may change in a run that it goes on with.
#[derive(Clone, Debug, Default)]
pub struct Resumes {
    pub on_failure: Option<OnFailure>,
    /// In place of those that began it.
    pub sources: Option<Vec<(String, String)>>,
}

/// One process of bgx; no two that can reach the same account have the same nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub nonce: String,
    pub user: String,
    pub pid: u32,
}

impl Opening {
    /// What a process says first of a run that it goes on with.
    pub(super) fn resumed(&self, command: &str) -> What {
        What::Resumed {
            command: command.to_owned(),
            host: self.began.host.clone(),
            identity: self.began.identity.clone(),
            user: self.began.user.clone(),
            actor: self.began.actor.clone(),
            process: self.began.process.clone(),
            on_failure: self.resumes.on_failure,
            sources: self.resumes.sources.clone(),
        }
    }

    pub(super) fn claim(&self) -> Claim {
        let (began, process) = (&self.began, &self.process);
        Claim {
            run: began.run.clone(),
            playbook: began.playbook.clone(),
            env: began.env.clone(),
            nonce: process.nonce.clone(),
            host: began.host.clone(),
            user: process.user.clone(),
            pid: process.pid,
        }
    }
}

impl Run {
    /// Opens the run: its first event is durable before anything is read or done, then it takes the environment's lock, for which it
    /// waits. Without the lock the run is open all the same, so that its journal tells how it ended.
    pub async fn open(opening: Opening, wait: Duration) -> Result<(Run, Result<(), Broke>), Halt> {
        let began = now(&opening.time);
        let first = opening.began.clone();
        let claim = opening.claim();
        let mut run = Run::unopened(opening, began);
        run.record(What::Began(Box::new(first)))?;
        if run.ungated {
            return Ok((run, Ok(())));
        }
        if let Err(halt) = run.keep().await {
            // Nothing was done: the copy on this machine must not stand in the way of the next run.
            run.ended(Outcome::Refused, Some(halt.to_string()), Vec::new()).await;
            return Err(halt);
        }
        if run.is_without_state() || run.lines.is_some() {
            return Ok((run, Ok(())));
        }
        let ready = run.take_locks(&claim, wait).await.map_err(Broke::by);
        Ok((run, ready))
    }

    /// Before a write: the lease lives, known without a call, or after it was renewed.
    pub(super) async fn still_locked(&mut self) -> Result<(), Halt> {
        let checked = match &self.lock {
            _ if self.ungated || self.is_without_state() => Ok(()),
            Some(lock) => lock.check().await,
            None => Err("this run does not have the lock of its environment".to_owned()),
        };
        self.fenced |= checked.is_err();
        checked.map_err(|why| Halt::Paused { why })
    }
}
