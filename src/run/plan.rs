//! A run that is held to a plan: it does what the plan says, in this order, and stops before anything else.

use super::event::{Event, What};
use super::{Halt, Run, RunError};
use crate::account::Action;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Of a plan's hash, so much is typed.
const TYPED: usize = 8;

/// What a plan says that a run will do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// SHA-256 of the plan, in hex.
    pub hash: String,
    /// A guarded environment is changed by it until then.
    pub until: Timestamp,
    pub actions: Vec<Expected>,
    /// Instances that there were when it was made. Others are new ones, which have other ids each time.
    pub instances: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub env: String,
    /// Since the run began.
    pub at_seconds: f64,
    pub action: Action,
}

impl Bound {
    /// As it is typed to confirm it: `1f0c77ab`.
    pub fn short(&self) -> &str {
        self.hash.get(..TYPED).unwrap_or(&self.hash)
    }

    /// Alike but for the ids of instances that did not exist when the plan was made.
    fn is(&self, expected: &Expected, env: &str, action: &Action) -> bool {
        expected.env == env && self.general(&expected.action) == self.general(action)
    }

    fn general(&self, action: &Action) -> Action {
        let any = |id: &str| if self.instances.contains(id) { id.to_owned() } else { "new".to_owned() };
        match action {
            Action::Standby { asg, instance, standby, replace } => {
                Action::Standby { asg: asg.clone(), instance: any(instance), standby: *standby, replace: *replace }
            }
            Action::Terminate { asg, instance, decrement } => {
                Action::Terminate { asg: asg.clone(), instance: any(instance), decrement: *decrement }
            }
            Action::Targets { asg, target_group, instances, registered } => {
                let (known, new): (Vec<&String>, Vec<&String>) = instances.iter().partition(|id| self.instances.contains(*id));
                let new = (0..new.len()).map(|n| format!("new {n}"));
                let instances = known.into_iter().cloned().chain(new).collect();
                Action::Targets { asg: asg.clone(), target_group: target_group.clone(), instances, registered: *registered }
            }
            Action::Capacity { .. }
            | Action::Processes { .. }
            | Action::Forward { .. }
            | Action::ForwardEach { .. }
            | Action::Parameter { .. }
            | Action::Object { .. }
            | Action::Copy { .. }
            | Action::Refresh { .. }
            | Action::CancelRefresh { .. } => action.clone(),
        }
    }
}

/// The plan of a run that goes on, and how far the run has come in it.
pub(super) fn bound(events: &[Event]) -> Option<(Bound, usize)> {
    let What::Began(began) = &events.first()?.what else { return None };
    let plan = (**began.plan.as_ref()?).clone();
    let mut done = 0;
    for (env, event) in super::scope::with_env(events) {
        let (What::Started { action, .. } | What::Unchanged { action, .. }) = &event.what else { continue };
        if plan.actions.get(done).is_some_and(|expected| plan.is(expected, env, action)) {
            done += 1;
        }
    }
    Some((plan, done))
}

impl Run {
    /// Before a new action: it must be the plan's next one.
    pub(super) fn as_planned(&mut self, action: &Action) -> Result<(), RunError> {
        let Some((plan, done)) = &mut self.plan else { return Ok(()) };
        let expected = plan.actions.get(*done);
        if expected.is_some_and(|expected| plan.is(expected, &self.env.name, action)) {
            *done += 1;
            return Ok(());
        }
        let next = expected.map_or_else(|| "nothing more".to_owned(), |expected| format!("{} in {}", expected.action, expected.env));
        let text = format!("plan {} has {next} here, this is {action} in {}: nothing of it was sent", plan.short(), self.env.name);
        Err(Halt::Declined { text }.into())
    }

    /// What the plan was to change is so already.
    pub(super) fn planned_was_so(&mut self, action: &Action) {
        let Some((plan, done)) = &mut self.plan else { return };
        if plan.actions.get(*done).is_some_and(|expected| plan.is(expected, &self.env.name, action)) {
            *done += 1;
        }
    }

    /// What is typed to let this run change the environment; of a plan only for as long as it is good.
    pub(super) fn confirmed_by(&self) -> Result<String, RunError> {
        let name = &self.env.name;
        let Some((plan, _)) = &self.plan else { return Ok(name.clone()) };
        if self.now() > plan.until {
            let text = format!("plan {} was good until {}; make a new one with bgx plan", plan.short(), plan.until);
            return Err(Halt::Declined { text }.into());
        }
        Ok(format!("{name}@{}", plan.short()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(ids: &[&str]) -> Action {
        let instances = ids.iter().map(|id| (*id).to_owned()).collect();
        Action::Targets { asg: "a".into(), target_group: "t".into(), instances, registered: true }
    }

    #[test]
    fn new_instances_are_alike_and_known_ones_are_not() {
        let instances = BTreeSet::from(["i-1".to_owned(), "i-2".to_owned()]);
        let bound = Bound { hash: "0123456789".into(), until: Timestamp::UNIX_EPOCH, actions: Vec::new(), instances };
        let is = |planned: &[&str], done: &[&str]| {
            bound.is(&Expected { env: "beta".into(), at_seconds: 0.0, action: targets(planned) }, "beta", &targets(done))
        };
        assert!(is(&["i-1", "i-7"], &["i-1", "i-8"]));
        assert!(!is(&["i-1", "i-7"], &["i-2", "i-8"]));
        assert!(!is(&["i-7"], &["i-7", "i-8"]));
        assert_eq!(bound.short(), "01234567");
        let expected = Expected { env: "beta".into(), at_seconds: 0.0, action: targets(&["i-1"]) };
        assert!(!bound.is(&expected, "prod", &targets(&["i-1"])));
    }
}
