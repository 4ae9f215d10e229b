//! How the account moves: finds the next moment at which something falls due, goes there, and follows up what it touched.
//!
//! Due moments are read from the state each time and kept nowhere else, so one jump and many small steps do the same things
//! at the same moments with the same draws.

use super::targets::check_due;
use super::{Caller, Entry, TargetState};
use super::{Group, Happening, Instance, Lifecycle, Time, World};
use std::collections::BTreeSet;

/// What a change touched: followed up before anything else happens.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stir {
    pub groups: BTreeSet<String>,
    /// A rule changed, so a target group may have come into use or out of it.
    pub rules: bool,
    /// Users may be served differently.
    pub traffic: bool,
}

impl World {
    /// Moves the world to `to`: boots, checks, drains, policies, interruptions, propagation and traffic, in the order in which they fall due.
    pub fn advance(&mut self, to: Time) {
        while let Some(due) = self.next_due() {
            if due > to.max(self.now) {
                break;
            }
            self.now = self.now.max(due);
            self.do_what_is_due();
            self.follow_up();
        }
        self.now = self.now.max(to);
        self.advance_elsewhere(to);
    }

    /// Follows up a change made just now, and does what fell due by it at this very moment.
    pub(super) fn settle(&mut self) {
        self.follow_up();
        self.advance(self.now);
    }

    pub(super) fn record(&mut self, what: Happening) {
        self.log.push(Entry { at: self.now, what });
    }

    pub(super) fn record_call(&mut self, service: &str, operation: &str, resource: &str, set: String) {
        let (service, operation, resource) = (service.to_owned(), operation.to_owned(), resource.to_owned());
        self.record(Happening::Call { service, operation, resource, set, by: Caller::Client });
    }

    pub(super) fn touch(&mut self, group: &str) {
        if !self.stir.groups.contains(group) {
            self.stir.groups.insert(group.to_owned());
        }
    }

    /// The fixed order of things that fall due at one moment: rules, targets, instances, groups.
    fn do_what_is_due(&mut self) {
        self.follow_rules();
        self.move_targets();
        self.move_instances();
        self.retry_launches();
        self.run_policies();
        self.move_refreshes();
    }

    /// Consequences, until nothing is touched any more.
    fn follow_up(&mut self) {
        loop {
            if std::mem::take(&mut self.stir.rules) {
                self.put_targets_in_use();
            }
            if std::mem::take(&mut self.stir.traffic) {
                self.note_traffic();
            }
            let groups = std::mem::take(&mut self.stir.groups);
            if groups.is_empty() {
                break;
            }
            for name in &groups {
                self.note_health(name);
                self.reconcile(name);
                self.arm_policy(name);
            }
        }
    }

    /// The next moment at which something happens by itself; may be in the past right after a change made by hand.
    pub(super) fn next_due(&self) -> Option<Time> {
        let mut next = Time(u64::MAX);
        let mut consider = |due: Option<Time>| next = next.min(due.unwrap_or(next));
        for actions in self.listeners.values().map(|l| &l.actions).chain(self.rules.values().map(|r| &r.actions)) {
            for (at, _, _) in &actions.pending {
                consider(Some(*at));
            }
        }
        for group in self.target_groups.values() {
            for target in group.targets.values() {
                consider(target.draining_until);
                consider(check_due(group, target, self.instances.get(&target.id), self.now));
            }
        }
        let longest = self.groups.values().map(grace_ms).max().unwrap_or(0).max(self.timing.warmup);
        for instance in self.instances.values() {
            consider(instance.until);
            consider(self.instance_due(instance, longest));
        }
        for group in self.groups.values() {
            consider(group.launch_retry);
            consider(group.policy_next);
        }
        consider(self.refresh_due());
        (next < Time(u64::MAX)).then_some(next)
    }

    /// Moments of an instance besides the end of its state: answering begins or ends, grace or warm-up is over, EC2 wants it back. No grace
    /// or warm-up takes longer than `longest`.
    fn instance_due(&self, instance: &Instance, longest: u64) -> Option<Time> {
        let ahead = |at: Option<Time>| at.filter(|t| *t > self.now);
        let in_service = instance.lifecycle == Lifecycle::InService;
        let notice = instance.next_interruption.filter(|_| in_service && instance.interrupted_at.is_none());
        let own = [ahead(instance.answers_from), ahead(instance.answers_until), notice].into_iter().flatten().min();
        // Most have been in service for long, and need no look at their group.
        let Some(since) = instance.in_service.filter(|t| in_service && t.after_ms(longest) > self.now) else { return own };
        let group = self.groups.get(&instance.group);
        let grace = ahead(group.map(|g| since.after_ms(grace_ms(g))));
        let warm = ahead(group.filter(|g| g.tracked().is_some()).map(|_| since.after_ms(self.timing.warmup)));
        [own, grace, warm].into_iter().flatten().min()
    }

    /// A state of a target as it stands in the log and in replies: state, reason, description.
    pub(super) fn record_target(&mut self, target_group: &str, instance: &str, state: &TargetState) {
        let (name, reason, _) = state.texts();
        self.record(Happening::TargetState {
            target_group: target_group.to_owned(),
            instance: instance.to_owned(),
            state: name.to_owned(),
            reason: reason.unwrap_or_default().to_owned(),
        });
    }
}

pub(super) fn grace_ms(group: &Group) -> u64 {
    u64::from(group.grace_seconds) * 1000
}
