//! What must be true of every world at rest; for tests and for faults that change a world by hand.

use super::balancing::forwards;
use super::possible::are_sizes;
use super::{Actions, Target, TargetState, World};
use std::collections::BTreeSet;

impl World {
    /// Says what is wrong with this world, if anything is.
    pub fn check(&self) -> Result<(), String> {
        self.check_groups()?;
        self.check_targets()?;
        let listeners = self.listeners.values().map(|l| (&l.arn, &l.actions));
        for (arn, actions) in listeners.chain(self.rules.values().map(|r| (&r.arn, &r.actions))) {
            self.check_rule(arn, actions)?;
        }
        let addresses: BTreeSet<&str> = self.instances.values().map(|i| i.private_ip.as_str()).collect();
        require(addresses.len() == self.instances.len(), || "two instances share an address".to_owned())?;
        require(self.log.is_sorted_by_key(|e| e.at), || "the log is out of order".to_owned())?;
        require(self.log.last().is_none_or(|e| e.at <= self.now), || "the log is ahead of the clock".to_owned())?;
        require(self.stir == Default::default(), || "something touched was not followed up".to_owned())?;
        require(self.next_due().is_none_or(|t| t > self.now), || "something due was not done".to_owned())?;
        self.check_traffic()
    }

    fn check_groups(&self) -> Result<(), String> {
        for group in self.groups.values() {
            let (name, min, max, desired) = (&group.name, group.min, group.max, group.desired);
            require(are_sizes(min, max, desired), || format!("{name}: {min} <= {desired} <= {max} does not hold"))?;
            let live = self.members(name).count();
            let kept = group.suspended.contains("Terminate") || group.told_protected || group.rebalancing.is_some();
            require(live <= (desired + self.spare(name)) as usize || kept, || format!("{name}: {live} instances, {desired} desired"))?;
        }
        let lost = self.instances.values().find(|i| !self.groups.contains_key(&i.group));
        require(lost.is_none(), || format!("instance of no group: {lost:?}"))
    }

    fn check_targets(&self) -> Result<(), String> {
        let used = self.target_groups_in_use();
        for (arn, group) in &self.target_groups {
            for target in group.targets.values() {
                let id = &target.id;
                require(self.instances.contains_key(id), || format!("{arn}: target {id} is no instance"))?;
                require(is_consistent(target, used.contains(arn)), || format!("{arn}: {target:?} cannot be"))?;
            }
        }
        Ok(())
    }

    fn check_rule(&self, arn: &str, actions: &Actions) -> Result<(), String> {
        let all = actions.nodes.iter().flatten().chain(&actions.api).cloned().collect::<Vec<_>>();
        let unknown = forwards(&all).find(|w| !self.target_groups.contains_key(&w.target_group));
        require(unknown.is_none(), || format!("{arn}: forwards to {unknown:?}"))?;
        let idle = actions.pending.is_empty();
        require(!idle || actions.nodes.iter().all(|n| *n == actions.api), || format!("{arn}: a node was left behind"))
    }

    fn check_traffic(&self) -> Result<(), String> {
        for (env, marks) in &self.traffic {
            require(marks.is_sorted_by(|a, b| a.at < b.at), || format!("{env}: marks are out of order"))?;
            for mark in marks {
                // Each flow rounds its shares by itself.
                let slack = 1 + mark.versions.len() as u64 * self.flows.len() as u64;
                let served = mark.errors + mark.versions.values().sum::<u64>();
                require(served <= mark.requests + slack, || format!("{env}: more answers than requests in {mark:?}"))?;
            }
        }
        Ok(())
    }
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// A target's timers fit its state, and its state fits whether its group is in use.
fn is_consistent(target: &Target, in_use: bool) -> bool {
    let (checked, draining) = (target.next_check.is_some(), target.draining_until.is_some());
    match target.state {
        TargetState::Initial { .. } | TargetState::Healthy | TargetState::Unhealthy { .. } => in_use && checked && !draining,
        TargetState::Unused { .. } => !in_use && !checked && !draining,
        TargetState::Draining => !checked && draining,
    }
}
