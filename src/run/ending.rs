//! How a run ends: committed and read back, taken back, paused as it is, or given up.

use super::event::{Change, Ended, OnFailure, Outcome, Place, What};
use super::scope::Thing;
use super::survey::{self, About};
use super::{Done, Entry, Halt, Run, RunError, invariant, traffic, undo};
use crate::account::{Action, CallRecord};
use std::collections::{BTreeMap, BTreeSet};

/// How a script ended when it did not end well.
#[derive(Clone, Debug)]
pub struct Broke {
    pub text: String,
    pub place: Option<Place>,
    pub halt: Option<Halt>,
    /// A guard said no.
    pub refused: bool,
}

impl Broke {
    pub fn by(error: RunError) -> Broke {
        let text = error.to_string();
        let refused = matches!(error, RunError::Refused { .. });
        let halt = if let RunError::Halt(halt) = error { Some(halt) } else { None };
        Broke { text, place: None, halt, refused }
    }
}

impl Run {
    /// Ends the run after its script did: commits, gives leases back and reads the end state, or takes everything back.
    pub async fn finish(&mut self, result: Result<(), Broke>) -> Ended {
        if self.ungated {
            return self.finish_ungated(result).await;
        }
        let (outcome, why) = match result {
            Ok(()) => match self.complete().await {
                Ok(()) => (Outcome::Done, None),
                Err(error) => self.settle(Broke::by(error)).await,
            },
            Err(broke) => self.settle(broke).await,
        };
        let (own, others) = match outcome {
            Outcome::Done => self.end_state().await,
            Outcome::Undone if self.committed => self.end_state().await,
            Outcome::Undone | Outcome::Paused | Outcome::Stuck | Outcome::Refused | Outcome::Diverged | Outcome::Abandoned => {
                (Vec::new(), Vec::new())
            }
        };
        let (outcome, why) = match own.first() {
            Some(first) => (Outcome::Paused, Some(format!("the end state is not as it should be: {first}"))),
            None => (outcome, why),
        };
        self.ended(outcome, why, own.into_iter().chain(others).collect()).await
    }

    /// Takes a run back that another process left.
    pub async fn undo_all(&mut self) -> Ended {
        self.undoing = true;
        let (outcome, why) = match self.take_back().await {
            Ok(()) => (Outcome::Undone, None),
            Err(stuck) => self.stopped_undoing(&stuck),
        };
        self.settle_all().await;
        self.ended(outcome, why, Vec::new()).await
    }

    /// No node of any environment sends users anywhere else any more.
    async fn settle_all(&mut self) {
        let before = self.env.name.clone();
        for name in self.envs().to_vec() {
            self.go_to(&name);
            self.settle_traffic().await;
        }
        self.go_to(&before);
    }

    /// Without the lock or a journal nothing is known about the step that was not taken back: whoever has the lock goes on.
    fn stopped_undoing(&self, stuck: &undo::Stuck) -> (Outcome, Option<String>) {
        let cut_off = self.fenced || self.journal.is_broken();
        (if cut_off { Outcome::Paused } else { Outcome::Stuck }, Some(stuck.to_string()))
    }

    /// Gives a run up: its leases go back, everything else stays as it is.
    pub async fn abandon(&mut self, reason: &str) -> Result<Ended, Halt> {
        self.undoing = true;
        self.record(What::Abandoned { reason: reason.to_owned() })?;
        Ok(match self.return_leases().await {
            Ok(()) => self.ended(Outcome::Abandoned, None, Vec::new()).await,
            Err(error) => self.ended(Outcome::Stuck, Some(format!("a lease was not given back: {error}")), Vec::new()).await,
        })
    }

    /// The last event, with what changed and what it cost.
    pub(super) async fn ended(&mut self, outcome: Outcome, why: Option<String>, disagreements: Vec<String>) -> Ended {
        let (outcome, why) = self.end_lock(outcome, why).await;
        let seconds = self.now().duration_since(self.began).as_secs_f64();
        let mut ended = Ended { outcome, why, seconds, changes: self.changes(), calls: BTreeMap::new(), disagreements };
        self.tell_ended(&ended).await;
        self.own_calls();
        ended.calls.clone_from(&self.calls);
        // A journal that cannot be written at the very end changes nothing in the account; the text still reaches the operator.
        let _ = self.record(What::Ended(Box::new(ended.clone())));
        if let Err(halt) = self.keep().await {
            let lacking = format!("the end of the journal is on this machine alone: {halt}");
            ended.why = Some(ended.why.map_or_else(|| lacking.clone(), |why| format!("{why}; {lacking}")));
        }
        ended
    }

    async fn complete(&mut self) -> Result<(), RunError> {
        self.commit().await?;
        self.return_leases().await?;
        self.settle_all().await;
        Ok(())
    }

    /// What is left to do after a failure, by where the run stood.
    async fn settle(&mut self, broke: Broke) -> (Outcome, Option<String>) {
        let why = Some(broke.text.clone());
        if let Some(Halt::Signal { signal }) = &broke.halt {
            let _ = self.record(What::Signalled { signal: signal.clone() });
        }
        let stays = self.stays(&broke);
        let rolled_back = matches!(broke.halt, Some(Halt::RolledBack { .. }));
        let (text, place) = (broke.text.clone(), broke.place.clone());
        let recorded = self.record(What::Broke { text, place, stays: stays.is_some(), rolled_back });
        if let Some(outcome) = stays {
            return (outcome, why);
        }
        if recorded.is_err() {
            return (Outcome::Paused, why);
        }
        self.undoing = true;
        if self.committed {
            return match self.return_leases().await {
                Ok(()) if rolled_back => (Outcome::Undone, why),
                Ok(()) => (Outcome::Paused, why),
                Err(error) => (Outcome::Paused, Some(format!("{}; and a lease was not given back: {error}", broke.text))),
            };
        }
        if !self.touched {
            let refused = broke.refused || matches!(broke.halt, Some(Halt::Declined { .. } | Halt::Unanswered { .. }));
            return (if refused { Outcome::Refused } else { Outcome::Undone }, why);
        }
        match self.take_back().await {
            Ok(()) => (Outcome::Undone, Some(format!("{}{}", broke.text, self.what_stays()))),
            Err(stuck) => self.stopped_undoing(&stuck),
        }
    }

    /// The environments that were committed by themselves.
    fn what_stays(&self) -> String {
        let of: BTreeSet<&str> = self.stays.iter().map(Entry::env).collect();
        match of.is_empty() {
            true => String::new(),
            false => format!("; what was done in {} stays", of.into_iter().collect::<Vec<_>>().join(", ")),
        }
    }

    /// How a run ends of which nothing is taken back, whatever it has done; `None`: that depends on where it stands.
    fn stays(&self, broke: &Broke) -> Option<Outcome> {
        let paused = |stays: bool| (stays && self.touched).then_some(Outcome::Paused);
        match &broke.halt {
            Some(Halt::Paused { .. } | Halt::Journal { .. }) => Some(Outcome::Paused),
            Some(Halt::Diverged { .. }) => Some(Outcome::Diverged),
            Some(Halt::Stuck { .. }) => Some(Outcome::Stuck),
            Some(Halt::Locked { .. }) if !self.touched => Some(Outcome::Refused),
            // An operator who says no wants it back as it was; what was put back is so already.
            Some(Halt::Declined { .. } | Halt::RolledBack { .. }) => None,
            // Who goes on with a run and does not know its questions has not asked for an undo.
            Some(Halt::Unanswered { .. }) if self.resumed => paused(true),
            Some(Halt::Unanswered { .. } | Halt::Signal { .. } | Halt::Locked { .. }) | None => {
                paused(self.on_failure == OnFailure::Pause && !self.committed)
            }
        }
    }

    /// Disagreements after a run that says it is done: those that it could have brought about, which it is held to, and the others.
    async fn end_state(&mut self) -> (Vec<String>, Vec<String>) {
        // Part of the end state is in S3, which may be out; each change was read back as it was made.
        if !self.touched || self.is_without_state() {
            return (Vec::new(), Vec::new());
        }
        let (mut own, mut others, before) = (Vec::new(), Vec::new(), self.env.name.clone());
        for name in self.envs().to_vec() {
            self.go_to(&name);
            let (of_own, of_others) = self.end_state_here().await;
            own.extend(of_own);
            others.extend(of_others);
        }
        self.go_to(&before);
        (own, others)
    }

    async fn end_state_here(&self) -> (Vec<String>, Vec<String>) {
        let check = match self.check_end().await {
            Ok(check) => check,
            Err(error) => return (vec![format!("the end state could not be read: {error}")], Vec::new()),
        };
        let (own, others): (Vec<_>, Vec<_>) = check.disagreements.into_iter().partition(|d| d.blocks && self.moved(d.about));
        let text = |d: survey::Disagreement| d.text;
        let others = others.into_iter().filter(|d| d.blocks || d.about == About::Serving);
        (own.into_iter().map(text).collect(), others.map(text).collect())
    }

    /// Instances are not asked: what one of them runs is nothing that a run is held to at its end.
    async fn check_end(&self) -> Result<survey::Check, RunError> {
        let topology = match &self.topology {
            Some(known) => known.clone(),
            None => traffic::discover(&self.account, &self.env).await?.into(),
        };
        survey::check(&self.account, &self.env, &topology, survey::Ask::Nothing).await
    }

    /// Whether an action of this run is of those that such a disagreement comes from.
    fn moved(&self, about: About) -> bool {
        let keys = |key: &str| self.env.colors.iter().any(|color| color.version_key == key);
        let versions = |name: &str| self.env.colors.iter().any(|color| self.env.version_parameter(&color.name) == name);
        self.stays.iter().chain(&self.entries).filter(|entry| entry.env() == self.env.name).any(|entry| match entry {
            Entry::OnUndo { .. } => false,
            Entry::Action(done) => match &done.action {
                Action::Forward { .. } | Action::ForwardEach { .. } => true,
                action @ Action::Parameter { name, .. } => match about {
                    About::Record => invariant::is_record(&self.env, action),
                    About::Version => versions(name),
                    About::Traffic | About::Serving => false,
                },
                Action::Object { key, .. } | Action::Copy { to: key, .. } => about == About::Version && keys(key),
                Action::Targets { .. } => about == About::Traffic || about == About::Record,
                Action::Refresh { key, .. } => about == About::Version && keys(key),
                Action::Capacity { .. }
                | Action::Processes { .. }
                | Action::Standby { .. }
                | Action::Terminate { .. }
                | Action::CancelRefresh { .. } => false,
            },
        })
    }

    /// For a playbook that failed after its commit and has put back itself what it did: ends the run as undone. Refused while a
    /// setting is not as it was; records say what is, and the end state is read to see that they do.
    pub fn rolled_back(&mut self, why: &str) -> RunError {
        if let Err(halt) = self.check_interrupt() {
            return halt.into();
        }
        if !self.committed {
            return RunError::refused("nothing was committed: what fails before is taken back by itself", "use `fail`");
        }
        // Leases go back at the end, and an instance that has ended is none that could be put back.
        let stays = |done: &Done| done.lease || matches!(done.action, Action::Terminate { .. }) || self.is_record(&done.action);
        let found = self.changed().find(|(_, last)| !stays(last)).map(|(change, _)| change);
        match found {
            Some(Change { resource, field, .. }) => {
                RunError::refused(format!("{field} of {resource} is not as it was before this run"), "put it back first, or use `fail`")
            }
            None => Halt::RolledBack { text: why.to_owned() }.into(),
        }
    }

    fn is_record(&self, action: &Action) -> bool {
        let version = |name: &String| self.env.colors.iter().any(|color| self.env.version_parameter(&color.name) == *name);
        invariant::is_record(&self.env, action) || matches!(action, Action::Parameter { name, .. } if version(name))
    }

    fn changes(&self) -> Vec<Change> {
        self.changed().map(|(change, _)| change).collect()
    }

    /// First and last value of every field that a run set and that is not as it was, and the action that set it last.
    fn changed(&self) -> impl Iterator<Item = (Change, &Done)> {
        let mut fields: BTreeMap<(Thing, String), (Change, &Done)> = BTreeMap::new();
        let several = self.spans_regions();
        for entry in self.stays.iter().chain(&self.entries) {
            let Entry::Action(done) = entry else { continue };
            let now = if done.returned { &done.before } else { &done.action.wanted() };
            for (field, value) in now {
                let (thing, field) = (self.thing(&done.env, &done.action), field.clone());
                let before = done.before.get(&field).cloned().flatten();
                let place = if several && !thing.0.is_empty() { format!("{} ", thing.0) } else { String::new() };
                let change = || Change { resource: format!("{place}{}", thing.1), field: field.clone(), before, now: None };
                let (change, last) = fields.entry((thing.clone(), field.clone())).or_insert_with(|| (change(), done));
                change.now.clone_from(value);
                *last = done;
            }
        }
        fields.into_values().filter(|(change, _)| change.before != change.now)
    }

    /// Counts the calls since the last time this was asked; those that changed something for the run, its lock and journal aside.
    pub(super) fn own_calls(&mut self) -> Vec<CallRecord> {
        let state = format!("s3://{}/{}", self.env.state.bucket, self.env.state.prefix);
        let calls = self.account.take_calls();
        calls.iter().for_each(|call| *self.calls.entry(call.service.clone()).or_default() += 1);
        calls.into_iter().filter(|call| call.class.writes() && !call.resource.starts_with(&state)).collect()
    }
}
