//! Takes a run back, last step first, and gives its leases back. Nothing else here changes the account.

use super::event::{Effect, What};
use super::perform::{LOOK_LONGEST, READ_BACK, Unsent};
use super::targets::to_take_back;
use super::{Done, Entry, Run, RunError, survey, traffic};
use crate::account::action::REFRESH;
use crate::account::{AccountError, Action, Facts, Fields, Kind};
use std::collections::BTreeSet;
use std::time::Duration;

/// An undo that could not be done; names what a person must look at.
#[derive(Clone, Debug, thiserror::Error)]
#[error("step {step} could not be taken back: {why}")]
pub struct Stuck {
    pub step: u64,
    pub why: String,
}

/// How long an outage is waited for on the way back. A run that gives up here leaves the account half-way.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Between two tries; each is as patient as any call.
const TRY_AGAIN: Duration = Duration::from_secs(15);

/// The refresh that takes one back goes batch by batch, each with a boot; AWS ends one that gets nowhere for an hour by itself.
const REFRESH_LONGEST: Duration = Duration::from_secs(6 * 3600);

/// One try to take a step back that did not go through.
struct Failed {
    why: String,
    /// What was to be sent.
    action: Option<Action>,
    /// It may well go through later.
    passes: bool,
}

impl Failed {
    fn by(error: RunError, action: Option<&Action>) -> Failed {
        let passes = match &error {
            RunError::Account(error) => match error.kind {
                Kind::Throttled | Kind::Unavailable | Kind::Lost | Kind::Unreachable => true,
                Kind::NotFound | Kind::Denied | Kind::Expired | Kind::Conflict | Kind::Invalid => false,
            },
            RunError::Refused { .. } | RunError::Timeout { .. } | RunError::Failed { .. } | RunError::Halt(_) => false,
        };
        Failed { why: error.to_string(), action: action.cloned(), passes }
    }
}

impl Run {
    /// Takes back everything that was done, last first, and stops at the first step that cannot be: what came before it may rest on it.
    pub(super) async fn take_back(&mut self) -> Result<(), Stuck> {
        self.entries = to_take_back(std::mem::take(&mut self.entries));
        while let Some(entry) = self.entries.last().cloned() {
            self.go_to(entry.env());
            match entry {
                Entry::Action(done) if done.returned || done.before == done.action.wanted() => {}
                Entry::Action(done) => self.undo_action(&done).await?,
                Entry::OnUndo { step, request, .. } => {
                    // A cache that stays warm is no reason to stop half-way; the failure is in the journal.
                    let _ = self.send_effect(step, &request).await;
                }
            }
            self.entries.pop();
        }
        Ok(())
    }

    /// An outage of AWS passes: as long as one may, the way back is tried again.
    pub(super) async fn undo_action(&mut self, done: &Done) -> Result<(), Stuck> {
        let step = done.step;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let failed = loop {
            match self.try_undo(done).await {
                Ok(()) => return Ok(()),
                Err(failed) if failed.passes && !self.fenced && tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                Err(failed) => break failed,
            }
        };
        let why = failed.why;
        let _ = self.record(What::UndoFailed { step, action: failed.action, why: why.clone() });
        Err(Stuck { step, why: format!("{} ({why})", done.action) })
    }

    async fn try_undo(&mut self, done: &Done) -> Result<(), Failed> {
        let step = done.step;
        let facts = self.settled(done).await.map_err(|e| Failed::by(e.into(), done.undo.as_ref()))?;
        let found = facts.fields(&done.action);
        let mut before = self.before_splits(done);
        if found == done.before || found == before || self.is_as_first_found(done, &found) || done.action.is_moot(&found) {
            return self.record(What::UndoSkipped { step }).map_err(|e| Failed::by(e.into(), None));
        }
        if let Some(why) = strange(&done.action, &done.before, &found) {
            return Err(Failed::by(RunError::failed(why), done.undo.as_ref()));
        }
        before.retain(|field, _| found.get(field).is_none_or(|value| !done.action.took(value)));
        let undo = done.action.undo(&before).ok_or_else(|| Failed::by(RunError::failed("there is no way to take it back"), None))?;
        let undo = self.never_lower_live(undo, &facts).await.map_err(|e| Failed::by(e, done.undo.as_ref()))?;
        let failed = |error: RunError| Failed::by(error, Some(&undo));
        self.guard(&undo, &facts).await.map_err(|error| {
            // Auto Scaling replaces what died, targets become healthy, and the other colour serves until then.
            let heals = matches!(&error, RunError::Refused { .. }) && moves_traffic(&undo);
            let failed = failed(error);
            Failed { passes: failed.passes || heals, ..failed }
        })?;
        self.still_locked().await.map_err(|halt| failed(halt.into()))?;
        let fields = facts.fields(&undo);
        self.record(What::UndoStarted { step, action: undo.clone(), expect: done.action.wanted() }).map_err(|e| failed(e.into()))?;
        let sent = self.send(&undo, &facts, &fields).await;
        let calls = self.own_calls();
        match sent {
            Ok(_) => {
                if let Action::Refresh { asg, .. } = &undo {
                    self.refresh_over(step, asg).await.map_err(failed)?;
                }
                self.record(What::UndoFinished { step, calls }).map_err(|e| failed(e.into()))
            }
            // What was sent and not seen is looked at again.
            Err(Unsent::Unseen(why)) => Err(Failed { why, action: Some(undo), passes: true }),
            Err(Unsent::Error(error, Effect::None | Effect::Some | Effect::Unknown)) => Err(failed(error.into())),
        }
    }

    /// What the account says of a step. A process may have died right after it sent the call, and a read may lag behind: that
    /// nothing happened is believed only when a write of that age would be seen. What a process before this one sent may be as young
    /// as this one is: its machine may have stood still between its record and the call.
    async fn settled(&self, done: &Done) -> Result<Facts, AccountError> {
        let age = Duration::try_from(self.now().duration_since(done.at.max(self.opened))).unwrap_or_default();
        let deadline = tokio::time::Instant::now() + READ_BACK.saturating_sub(age);
        loop {
            let facts = self.account.facts(&done.action).await?;
            let found = facts.fields(&done.action);
            if found != done.before || found == done.action.wanted() || tokio::time::Instant::now() >= deadline {
                return Ok(facts);
            }
            tokio::time::sleep(LOOK_LONGEST).await;
        }
    }

    /// A value that this run has set more than once, and that is already as it was before the first time: a value of the time
    /// between would be there for as long as the rest of the undo takes, and instances that boot meanwhile would read it.
    fn is_as_first_found(&self, done: &Done, found: &Fields) -> bool {
        let is_value = match &done.action {
            Action::Parameter { .. } | Action::Object { .. } | Action::Copy { .. } | Action::Standby { .. } | Action::Processes { .. } => {
                true
            }
            Action::Capacity { .. } | Action::Forward { .. } | Action::ForwardEach { .. } => false,
            // What was replaced is not as it was, whatever the key says.
            Action::Refresh { .. } | Action::CancelRefresh { .. } => false,
            Action::Targets { .. } | Action::Terminate { .. } => false,
        };
        let first = self.entries.iter().find_map(|entry| match entry {
            Entry::Action(first) if self.same_thing(first, done) => {
                found.keys().all(|field| first.before.contains_key(field)).then_some(first)
            }
            Entry::Action(_) | Entry::OnUndo { .. } => None,
        });
        let as_found = |first: &Done| found.iter().all(|(field, value)| first.before.get(field) == Some(value));
        is_value && first.is_some_and(|first| first.step < done.step && as_found(first))
    }

    /// Both versions serve until a refresh is over; AWS itself ends one that gets nowhere. One that ends badly is enough where every
    /// instance that answers runs what is recorded: nothing gets healthy there, whatever it boots.
    async fn refresh_over(&mut self, step: u64, asg: &str) -> Result<(), RunError> {
        let deadline = tokio::time::Instant::now() + REFRESH_LONGEST;
        let refresh = loop {
            match self.account.newest_refresh(asg).await? {
                Some(refresh) if refresh.is_active() && tokio::time::Instant::now() >= deadline => {
                    let hours = REFRESH_LONGEST.as_secs() / 3600;
                    return Err(RunError::failed(format!("the instance refresh of {asg} is at {} % after {hours} h", refresh.percent)));
                }
                Some(refresh) if refresh.is_active() => tokio::time::sleep(TRY_AGAIN).await,
                Some(refresh) => break refresh,
                None => return Err(RunError::failed(format!("the instance refresh of {asg} has gone"))),
            }
        };
        if refresh.holds() {
            return Ok(());
        }
        let text = format!("the instance refresh of {asg} ended as {}: {}", refresh.status, refresh.reason);
        if !self.runs_what_is_recorded(asg).await? {
            return Err(RunError::failed(text));
        }
        let text = format!("{text}; every instance that answers runs the recorded version all the same");
        Ok(self.record(What::Noticed { step, text })?)
    }

    async fn runs_what_is_recorded(&mut self, asg: &str) -> Result<bool, RunError> {
        let Some(color) = self.env.colors.iter().find(|color| color.asg == asg).map(|color| color.name.clone()) else { return Ok(false) };
        let is_known = self.account.parameter(&self.env.version_parameter(&color)).await?.is_some();
        if !is_known || self.env.version_probe.is_none() {
            return Ok(false);
        }
        let topology = self.topology().await?;
        let check = survey::check(&self.account, &self.env, &topology, survey::Ask::Version).await?;
        Ok(check.disagreements.iter().all(|found| found.about != survey::About::Version))
    }

    /// What a change of traffic goes back to: past the splits that this run made, so that a canary is at 0 after one call and no
    /// share of it is ever put back.
    fn before_splits(&self, done: &Done) -> Fields {
        let earlier = self.entries.iter().rev().filter_map(|entry| match entry {
            Entry::Action(earlier) if earlier.step <= done.step && self.same_thing(earlier, done) => Some(earlier),
            Entry::Action(_) | Entry::OnUndo { .. } => None,
        });
        let mut whole = earlier.map(|earlier| &earlier.before).skip_while(|before| done.action.is_split(before));
        whole.next().unwrap_or(&done.before).clone()
    }

    /// `desired` is never lowered on a group with traffic, also when that is how it was before.
    async fn never_lower_live(&mut self, undo: Action, facts: &Facts) -> Result<Action, RunError> {
        let (Action::Capacity { asg, min, max, desired: Some(desired) }, Facts::Group(group)) = (&undo, facts) else { return Ok(undo) };
        if *desired >= group.desired || !self.carries_traffic(asg).await? {
            return Ok(undo);
        }
        Ok(Action::Capacity { asg: asg.clone(), min: *min, max: *max, desired: None })
    }

    pub(super) async fn carries_traffic(&mut self, asg: &str) -> Result<bool, RunError> {
        let Some(color) = self.env.colors.iter().find(|c| c.asg == asg).map(|c| c.name.clone()) else { return Ok(false) };
        let topology = self.topology().await?;
        let traffic = traffic::read(&self.account, &self.env, &topology).await?;
        if self.env.mixes_groups() {
            return self.has_targets(asg, &topology, &traffic).await;
        }
        Ok(traffic.reaches(&topology, &color))
    }

    /// Gives back every lease that is still held; a field that a later action set is that action's.
    pub(super) async fn return_leases(&mut self) -> Result<(), RunError> {
        for index in (0..self.entries.len()).rev() {
            self.return_lease(index).await?;
        }
        Ok(())
    }

    /// Resumes, before the run ends, the processes of a group that this run suspended.
    pub async fn thaw(&mut self, asg: &str) -> Result<(), RunError> {
        self.check_interrupt()?;
        let step = self.next_step();
        if self.replay.answers(step) {
            return Ok(());
        }
        for index in (0..self.entries.len()).rev() {
            let entry = &self.entries[index];
            let own = matches!(entry, Entry::Action(Done { action: Action::Processes { asg: own, .. }, .. }) if own == asg);
            if own && entry.env() == self.env.name {
                self.return_lease(index).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn return_lease(&mut self, index: usize) -> Result<(), RunError> {
        let Entry::Action(done) = &self.entries[index] else { return Ok(()) };
        if !done.lease || done.returned {
            return Ok(());
        }
        let done = done.clone();
        self.go_to(&done.env);
        let taken_over = self.fields_set_after(index, &done);
        let mut before = done.before.clone();
        let facts = self.settled(&done).await?;
        let found = facts.fields(&done.action);
        // What a later action owns stays as it is found.
        taken_over.iter().for_each(|field| drop(before.insert(field.clone(), found.get(field).cloned().flatten())));
        if let Some(undo) = done.action.undo(&before).filter(|_| found != before) {
            let undo = self.never_lower_live(undo, &facts).await?;
            self.guard(&undo, &facts).await?;
            self.still_locked().await?;
            let step = done.step;
            self.record(What::UndoStarted { step, action: undo.clone(), expect: done.action.wanted() })?;
            let sent = self.send(&undo, &facts, &facts.fields(&undo)).await;
            let calls = self.own_calls();
            match sent {
                Ok(_) => {}
                Err(Unsent::Error(error, _)) => {
                    self.record(What::LeaseKept { step, why: error.to_string() })?;
                    return Err(error.into());
                }
                Err(Unsent::Unseen(why)) => {
                    self.record(What::LeaseKept { step, why: why.clone() })?;
                    return Err(RunError::failed(why));
                }
            }
            let held_seconds = self.now().duration_since(done.at).as_secs_f64();
            self.record(What::LeaseReturned { step, action: undo, held_seconds, calls })?;
        }
        if let Entry::Action(done) = &mut self.entries[index] {
            done.returned = true;
            done.before = before;
        }
        Ok(())
    }

    fn fields_set_after(&self, index: usize, done: &Done) -> BTreeSet<String> {
        let later = self.entries[index + 1..].iter().filter_map(|entry| match entry {
            Entry::Action(later) if self.same_thing(later, done) && !later.returned => Some(later.action.wanted()),
            Entry::Action(_) | Entry::OnUndo { .. } => None,
        });
        let own = done.action.wanted();
        later.flat_map(|fields| fields.into_keys()).filter(|field| own.contains_key(field)).collect()
    }
}

/// Where users are sent: what serves them now goes on until others can.
fn moves_traffic(action: &Action) -> bool {
    match action {
        Action::Forward { .. } | Action::ForwardEach { .. } | Action::Targets { registered: false, .. } => true,
        Action::Capacity { .. }
        | Action::Processes { .. }
        | Action::Parameter { .. }
        | Action::Object { .. }
        | Action::Copy { .. }
        | Action::Standby { .. }
        | Action::Targets { registered: true, .. }
        | Action::Terminate { .. }
        | Action::Refresh { .. }
        | Action::CancelRefresh { .. } => false,
    }
}

/// Fields that are neither as they were before the step nor as it left them: somebody else changed them. `None`: there are none.
pub(super) fn strange(action: &Action, before: &Fields, found: &Fields) -> Option<String> {
    if action.is_moot(found) {
        return None; // nobody changed it: AWS took it away
    }
    let wanted = action.wanted();
    let number = |name: &str| found.get(name).cloned().flatten().and_then(|v| v.parse::<u32>().ok());
    // Autoscaling may move `desired` anywhere within the bounds that were left.
    let within = number("desired") >= number("min").or(Some(0)) && number("desired") <= number("max").or(Some(u32::MAX));
    let moved_by_scaling = |field: &str| field == "desired" && matches!(action, Action::Capacity { .. }) && within;
    // Which refresh is the newest says nothing about who changed what: the version does.
    let is_begun_anew = |field: &str| field == REFRESH && matches!(action, Action::Refresh { .. });
    let show = |value: Option<&Option<String>>| value.cloned().flatten().unwrap_or_else(|| "absent".to_owned());
    let odd: Vec<String> = found
        .iter()
        .filter(|(field, value)| Some(*value) != wanted.get(*field) && Some(*value) != before.get(*field))
        .filter(|(field, value)| !moved_by_scaling(field) && !is_begun_anew(field) && !action.took(value))
        .map(|(field, value)| {
            format!("{field} is {}, this run left {} and found {}", show(Some(value)), show(wanted.get(field)), show(before.get(field)))
        })
        .collect();
    (!odd.is_empty()).then(|| format!("somebody else changed {}: {}", action.resource(), odd.join("; ")))
}
