//! The environments of a run: its calls are about one of them at a time, and each has its own lock, routes and confirmation.

use super::event::{Event, What};
use super::lock::{self, Claim, Lock, LockError, Place, Watch};
use super::traffic::Topology;
use super::{Done, Halt, Opening, Run, RunError};
use crate::account::{Account, Accounts, Action};
use crate::config::Environment;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::mem::swap;
use std::sync::Arc;

/// An environment that the calls of a run are not about now, with all that the run knows of it.
#[derive(Debug)]
pub(super) struct Scope {
    pub env: Environment,
    /// In its region.
    pub account: Arc<Account>,
    pub lock: Option<Lock>,
    pub confirmed: bool,
    pub topology: Option<Arc<Topology>>,
    pub traffic_moved: Option<Timestamp>,
    pub accepted: BTreeMap<String, u32>,
}

/// A region, or nothing for what is the account's, and the name of a resource there.
pub(super) type Thing = (String, String);

impl Scope {
    pub fn new(env: Environment, accounts: &Accounts, confirmed: bool) -> Scope {
        let account = accounts.in_region(&env.region);
        Scope { env, account, lock: None, confirmed, topology: None, traffic_moved: None, accepted: BTreeMap::new() }
    }
}

impl Run {
    /// The names of its environments, in the order in which they were given.
    pub fn envs(&self) -> &[String] {
        &self.envs
    }

    /// From now on the run's calls are about this environment; the one that they were about.
    pub fn enter(&mut self, name: &str) -> Result<String, RunError> {
        let before = self.env.name.clone();
        if name == before {
            return Ok(before);
        }
        let Some(scope) = self.aside.iter_mut().find(|scope| scope.env.name == name) else {
            let hint = format!("this run has {}: give it more with --env {},{name}", self.envs.join(", "), self.envs.join(","));
            return Err(RunError::refused(format!("`{name}` is no environment of this run"), hint));
        };
        swap(&mut self.env, &mut scope.env);
        swap(&mut self.account, &mut scope.account);
        swap(&mut self.lock, &mut scope.lock);
        swap(&mut self.confirmed, &mut scope.confirmed);
        swap(&mut self.topology, &mut scope.topology);
        swap(&mut self.traffic_moved, &mut scope.traffic_moved);
        swap(&mut self.accepted, &mut scope.accepted);
        Ok(before)
    }

    /// What an action is about, among all that a run over several regions does: groups and parameters of two regions may have one name,
    /// objects are the account's.
    pub(super) fn thing(&self, env: &str, action: &Action) -> Thing {
        let region = match action {
            Action::Object { .. } | Action::Copy { .. } => String::new(),
            Action::Capacity { .. }
            | Action::Processes { .. }
            | Action::Forward { .. }
            | Action::ForwardEach { .. }
            | Action::Parameter { .. }
            | Action::Standby { .. }
            | Action::Terminate { .. }
            | Action::Targets { .. }
            | Action::Refresh { .. }
            | Action::CancelRefresh { .. } => self.environment(env).region.clone(),
        };
        (region, action.resource())
    }

    pub(super) fn same_thing(&self, one: &Done, other: &Done) -> bool {
        self.thing(&one.env, &one.action) == self.thing(&other.env, &other.action)
    }

    /// Its environments are in several regions.
    pub(super) fn spans_regions(&self) -> bool {
        self.aside.iter().any(|scope| scope.env.region != self.env.region)
    }

    /// The account in the region of one of its environments.
    pub(super) fn account_of(&self, env: &str) -> Arc<Account> {
        self.aside.iter().find(|scope| scope.env.name == env).map_or(&self.account, |scope| &scope.account).clone()
    }

    fn environment(&self, name: &str) -> &Environment {
        self.aside.iter().map(|scope| &scope.env).find(|env| env.name == name).unwrap_or(&self.env)
    }

    /// For what the run itself knows to be one of its own.
    pub(super) fn go_to(&mut self, name: &str) {
        let known = self.enter(name);
        debug_assert!(known.is_ok(), "{known:?}");
    }

    /// What was done in the environment that the calls are about stays, whatever becomes of the others; its leases go back now.
    pub async fn commit_env(&mut self) -> Result<(), RunError> {
        self.check_interrupt()?;
        self.outside_waits("commit_env")?;
        let step = self.next_step();
        if self.replay.answers(step) || self.committed {
            return Ok(()); // it stays already
        }
        let env = self.env.name.clone();
        for index in (0..self.entries.len()).rev().filter(|index| self.entries[*index].env() == env).collect::<Vec<_>>() {
            self.return_lease(index).await?;
        }
        self.record(What::CommittedEnv { step, env: env.clone() })?;
        self.keep().await?;
        self.stays.extend(self.entries.extract_if(.., |entry| entry.env() == env));
        Ok(())
    }

    /// Takes the locks of a new run, in the order of their names, so that no two runs wait for each other.
    pub(super) async fn take_locks(&mut self, claim: &Claim, wait: std::time::Duration) -> Result<(), RunError> {
        let first = self.env.name.clone();
        let mut result = Ok(());
        for name in self.by_name() {
            self.go_to(&name);
            let place = Place::of(&self.env, &self.account, &self.time);
            let claim = Claim { env: name, ..claim.clone() };
            let mut stop = self.interrupt.clone();
            match lock::acquire(place, &claim, wait, &mut stop, |what| drop(self.record(what))).await {
                Ok(lock) => self.lock = Some(lock),
                Err(error) => result = Err(error.into()),
            }
            if result.is_err() {
                break;
            }
        }
        self.go_to(&first);
        result
    }

    /// The locks that it has, the last one first, and not its own any more.
    pub(super) fn give_locks(&mut self) -> Vec<Lock> {
        let mut locks: Vec<(String, Lock)> = self.aside.iter_mut().filter_map(|s| Some((s.env.name.clone(), s.lock.take()?))).collect();
        locks.extend(self.lock.take().map(|lock| (self.env.name.clone(), lock)));
        locks.sort_by(|(a, _), (b, _)| b.cmp(a));
        locks.into_iter().map(|(_, lock)| lock).collect()
    }

    /// Locks that were taken over, by the names of their environments.
    pub(super) fn have_locks(&mut self, locks: Vec<(String, Lock)>) {
        for (name, lock) in locks {
            match self.aside.iter_mut().find(|scope| scope.env.name == name) {
                Some(scope) => scope.lock = Some(lock),
                None => self.lock = Some(lock),
            }
        }
    }

    fn by_name(&self) -> Vec<String> {
        let mut names = self.envs.clone();
        names.sort();
        names
    }
}

/// For a run that goes on: takes its locks over, in the order of their names, before anything is recorded of it.
pub(super) async fn take_over(opening: &mut Opening) -> Result<Vec<(String, Lock)>, Halt> {
    let mut locks = Vec::new();
    match take_all(opening, &mut locks).await {
        Ok(()) => Ok(locks),
        Err(error) => {
            for (_, lock) in locks.into_iter().rev() {
                lock.give_up().await;
            }
            Err(match error.into() {
                RunError::Halt(halt) => halt,
                other => Halt::Paused { why: other.to_string() },
            })
        }
    }
}

async fn take_all(opening: &mut Opening, locks: &mut Vec<(String, Lock)>) -> Result<(), LockError> {
    let mut envs: Vec<&Environment> = opening.also.iter().chain([&opening.env]).collect();
    envs.sort_by(|a, b| a.name.cmp(&b.name));
    let claim = opening.claim();
    let mut watched = Vec::new();
    for env in &envs {
        let place = Place::of(env, &opening.accounts.in_region(&env.region), &opening.time);
        // All leases run out at the same time: they are waited for at the same time.
        let watch = if envs.len() > 1 { Watch::begin(&place).await? } else { Watch::default() };
        watched.push((env.name.clone(), place, watch));
    }
    for (env, place, watch) in watched {
        let (time, observer) = (opening.time.clone(), &mut opening.observer);
        // Progress is shown and never kept: it takes no number.
        let show = |what| observer(&Event { seq: 0, at: super::now(&time), what });
        let claim = Claim { env: env.clone(), ..claim.clone() };
        locks.push((env, lock::take_over_watched(place, &claim, watch, &mut opening.interrupt, show).await?));
    }
    Ok(())
}

/// The events of a journal, each with the environment that it is about. A process begins in the first one.
pub fn with_env(events: &[Event]) -> impl Iterator<Item = (&str, &Event)> {
    let first = events.first().map_or("", |event| if let What::Began(began) = &event.what { began.env.as_str() } else { "" });
    events.iter().scan(first, move |env, event| {
        match &event.what {
            What::Entered { env: entered } => *env = entered.as_str(),
            What::Resumed { .. } => *env = first,
            _ => {}
        }
        Some((*env, event))
    })
}
