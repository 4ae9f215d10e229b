//! Targets of a target group: registered, checked, in use or not, drained.

use super::possible::is_target_state;
use super::{Action, Instance, Lifecycle, Past, Target, TargetGroup, TargetState, Time, World};
use std::collections::BTreeSet;

pub(super) const REGISTERING: &str = "Elb.RegistrationInProgress";
pub(super) const CHECKING: &str = "Elb.InitialHealthChecking";
pub(super) const NOT_IN_USE: &str = "Target.NotInUse";
pub(super) const NOT_REGISTERED: &str = "Target.NotRegistered";

impl TargetState {
    pub(super) fn initial(reason: &str) -> TargetState {
        TargetState::Initial { reason: reason.to_owned() }
    }

    pub(super) fn unused(reason: &str) -> TargetState {
        TargetState::Unused { reason: reason.to_owned() }
    }

    /// State, reason and description in AWS's words.
    pub fn texts(&self) -> (&'static str, Option<&str>, Option<&str>) {
        match self {
            TargetState::Initial { reason } if reason == REGISTERING => {
                ("initial", Some(reason), Some("Target registration is in progress"))
            }
            TargetState::Initial { reason } => ("initial", Some(reason), Some("Initial health checks in progress")),
            TargetState::Healthy => ("healthy", None, None),
            TargetState::Unhealthy { reason, description } => ("unhealthy", Some(reason), Some(description)),
            TargetState::Unused { reason } if reason == NOT_REGISTERED => {
                ("unused", Some(reason), Some("Target is not registered to the target group"))
            }
            TargetState::Unused { reason } => {
                ("unused", Some(reason), Some("Target group is not configured to receive traffic from the load balancer"))
            }
            TargetState::Draining => ("draining", Some("Target.DeregistrationInProgress"), Some("Target deregistration is in progress")),
        }
    }
}

impl Target {
    /// What DescribeTargetHealth says of it at `now`.
    pub(super) fn visible(&self, now: Time) -> &TargetState {
        self.stale.seen(now).unwrap_or(&self.state)
    }
}

impl Instance {
    /// Whether the application answers 200 at `at`, if the instance still runs then.
    pub(super) fn answers(&self, at: Time) -> bool {
        let running = match self.lifecycle {
            Lifecycle::InService | Lifecycle::Standby | Lifecycle::Terminating => true,
            Lifecycle::Pending | Lifecycle::Terminated => false,
        };
        running && self.answers_from.is_some_and(|from| from <= at) && self.answers_until.is_none_or(|until| at < until)
    }

    /// The first moment from `at` on at which `answers` is `wanted`.
    fn first_moment(&self, wanted: bool, at: Time) -> Option<Time> {
        if self.answers(at) == wanted {
            return Some(at);
        }
        let change = if wanted { self.answers_from } else { self.answers_until };
        change.filter(|t| *t > at && self.answers(*t) == wanted)
    }
}

/// The next check of this target that can change anything. Checks go on every interval, but those whose result is the
/// one expected in a settled state are passed over, so that a quiet day costs nothing.
pub(super) fn check_due(group: &TargetGroup, target: &Target, instance: Option<&Instance>, now: Time) -> Option<Time> {
    let next = target.next_check?;
    let matters = match &target.state {
        TargetState::Healthy if target.failed == 0 => false,
        TargetState::Unhealthy { .. } if target.passed == 0 => true,
        TargetState::Healthy | TargetState::Unhealthy { .. } | TargetState::Initial { .. } => return Some(next),
        TargetState::Unused { .. } | TargetState::Draining => return None,
    };
    let Some(instance) = instance else { return if matters { None } else { Some(next) } };
    let from = instance.first_moment(matters, next.max(now))?;
    let interval = interval_ms(group);
    let mut due = on_grid(next, from, interval);
    while instance.answers(due) != matters {
        let again = instance.first_moment(matters, due)?;
        due = on_grid(next, again, interval);
    }
    Some(due)
}

/// The first of `start`, `start + interval`, … that is not before `from`.
fn on_grid(start: Time, from: Time, interval: u64) -> Time {
    start.after_ms(from.since(start).div_ceil(interval).saturating_mul(interval))
}

fn interval_ms(group: &TargetGroup) -> u64 {
    u64::from(group.interval_seconds.max(1)) * 1000
}

impl World {
    /// Gives a target its new state; DescribeTargetHealth may answer the old one for a while.
    pub(super) fn set_target_state(&mut self, group: &str, id: &str, state: TargetState) {
        let until = self.now.after_ms(self.timing.health_staleness.draw(&mut self.rng));
        let now = self.now;
        let Some(target) = self.target_groups.get_mut(group).and_then(|g| g.targets.get_mut(id)) else { return };
        debug_assert!(is_target_state(state.texts().0, state.texts().1.unwrap_or_default()), "{state:?}");
        let old = std::mem::replace(&mut target.state, state.clone());
        target.stale.keep(now, until, old);
        target.passed = 0;
        target.failed = 0;
        self.record_target(group, id, &state);
        self.stir.traffic = true;
        if let Some(owner) = self.instances.get(id).map(|i| i.group.clone()) {
            self.touch(&owner);
        }
    }

    /// Registers an instance: checked at once where the target group stands in a rule, `unused` elsewhere.
    pub(super) fn register(&mut self, group: &str, id: &str) {
        let in_use = self.target_groups_in_use().contains(group);
        let now = self.now;
        let Some(tg) = self.target_groups.get_mut(group) else { return };
        if tg.targets.get(id).is_some_and(|t| t.state != TargetState::Draining) {
            return;
        }
        let port = tg.port;
        let target = Target {
            id: id.to_owned(),
            port,
            registered: now,
            state: TargetState::unused(NOT_REGISTERED),
            next_check: None,
            passed: 0,
            failed: 0,
            draining_until: None,
            stale: Past::default(),
        };
        tg.targets.insert(id.to_owned(), target);
        if in_use {
            self.begin_checks(group, id);
        } else {
            self.set_target_state(group, id, TargetState::unused(NOT_IN_USE));
        }
    }

    /// Deregisters an instance; returns the moment at which it is drained, `None` when it was not registered.
    pub(super) fn deregister(&mut self, group: &str, id: &str) -> Option<Time> {
        let tg = self.target_groups.get_mut(group)?;
        let until = self.now.after_ms(u64::from(tg.deregistration_delay_seconds) * 1000);
        let target = tg.targets.get_mut(id)?;
        match target.state {
            TargetState::Draining => return target.draining_until,
            TargetState::Unused { .. } => {
                self.drop_target(group, id);
                return Some(self.now);
            }
            TargetState::Initial { .. } | TargetState::Healthy | TargetState::Unhealthy { .. } => {}
        }
        target.draining_until = Some(until);
        target.next_check = None;
        self.set_target_state(group, id, TargetState::Draining);
        Some(until)
    }

    pub(super) fn drop_target(&mut self, group: &str, id: &str) {
        if self.target_groups.get_mut(group).and_then(|g| g.targets.remove(id)).is_some() {
            self.record_target(group, id, &TargetState::unused(NOT_REGISTERED));
            self.stir.traffic = true;
        }
    }

    fn begin_checks(&mut self, group: &str, id: &str) {
        let first = self.now.after_ms(self.timing.registration.draw(&mut self.rng));
        self.set_target_state(group, id, TargetState::initial(REGISTERING));
        if let Some(target) = self.target_groups.get_mut(group).and_then(|g| g.targets.get_mut(id)) {
            target.next_check = Some(first);
        }
    }

    /// Target groups that stand in a rule, as the API says or as a node still does it.
    pub(super) fn target_groups_in_use(&self) -> BTreeSet<String> {
        let all = self.listeners.values().map(|l| &l.actions).chain(self.rules.values().map(|r| &r.actions));
        let mut used = BTreeSet::new();
        for action in all.flat_map(|a| a.api.iter().chain(a.nodes.iter().flatten())) {
            let Action::Forward { targets, .. } = action else { continue };
            for weighted in targets {
                if (weighted.weight > 0 || self.timing.weight_zero_is_checked) && !used.contains(&weighted.target_group) {
                    used.insert(weighted.target_group.clone());
                }
            }
        }
        used
    }

    /// Some rule sends requests to this target group, as the API says.
    pub fn carries(&self, target_group: &str) -> bool {
        let all = self.listeners.values().map(|l| &l.actions).chain(self.rules.values().map(|r| &r.actions));
        all.flat_map(|actions| super::balancing::forwards(&actions.api)).any(|w| w.weight > 0 && w.target_group == target_group)
    }

    /// Starts the checks of target groups that came into a rule and ends those of groups that left the last one.
    pub(super) fn put_targets_in_use(&mut self) {
        let used = self.target_groups_in_use();
        let mut moves = Vec::new();
        for (arn, group) in &self.target_groups {
            let in_use = used.contains(arn);
            for target in group.targets.values() {
                match (&target.state, in_use) {
                    (TargetState::Unused { .. }, true) => moves.push((arn.clone(), target.id.clone(), true)),
                    (TargetState::Initial { .. } | TargetState::Healthy | TargetState::Unhealthy { .. }, false) => {
                        moves.push((arn.clone(), target.id.clone(), false));
                    }
                    (TargetState::Unused { .. }, false)
                    | (TargetState::Initial { .. } | TargetState::Healthy | TargetState::Unhealthy { .. }, true)
                    | (TargetState::Draining, _) => {}
                }
            }
        }
        for (group, id, begins) in moves {
            if begins {
                self.begin_checks(&group, &id);
                continue;
            }
            self.set_target_state(&group, &id, TargetState::unused(NOT_IN_USE));
            if let Some(target) = self.target_groups.get_mut(&group).and_then(|g| g.targets.get_mut(&id)) {
                target.next_check = None;
            }
        }
    }

    /// Checks and ends of draining that are due.
    pub(super) fn move_targets(&mut self) {
        let now = self.now;
        let mut drained = Vec::new();
        let mut checked = Vec::new();
        for (arn, group) in &self.target_groups {
            for target in group.targets.values() {
                if target.draining_until.is_some_and(|t| t <= now) {
                    drained.push((arn.clone(), target.id.clone()));
                } else if check_due(group, target, self.instances.get(&target.id), now).is_some_and(|t| t <= now) {
                    checked.push((arn.clone(), target.id.clone()));
                }
            }
        }
        for (group, id) in drained {
            self.drop_target(&group, &id);
            self.drained(&id);
        }
        for (group, id) in checked {
            self.check_target(&group, &id);
        }
    }

    /// One health check, or the end of registration.
    fn check_target(&mut self, group: &str, id: &str) {
        let now = self.now;
        let instance = self.instances.get(id);
        let answers = instance.is_some_and(|i| i.answers(now));
        let refused = instance.is_none_or(|i| i.answers_from.is_none_or(|from| now < from));
        let Some(tg) = self.target_groups.get_mut(group) else { return };
        let (interval, healthy_after, unhealthy_after) = (interval_ms(tg), tg.healthy_threshold, tg.unhealthy_threshold);
        let Some(target) = tg.targets.get_mut(id) else { return };
        if target.state == TargetState::initial(REGISTERING) {
            target.next_check = Some(now.after_ms(self.rng.between(0, interval)));
            self.set_target_state(group, id, TargetState::initial(CHECKING));
            return;
        }
        target.next_check = Some(now.after_ms(interval));
        target.passed = if answers { target.passed + 1 } else { 0 };
        target.failed = if answers { 0 } else { target.failed + 1 };
        let next = match &target.state {
            TargetState::Initial { .. } if answers => Some(TargetState::Healthy),
            TargetState::Unhealthy { .. } if target.passed >= healthy_after => Some(TargetState::Healthy),
            TargetState::Initial { .. } | TargetState::Healthy if target.failed >= unhealthy_after => Some(unhealthy(refused)),
            TargetState::Initial { .. }
            | TargetState::Healthy
            | TargetState::Unhealthy { .. }
            | TargetState::Unused { .. }
            | TargetState::Draining => None,
        };
        if let Some(state) = next {
            self.set_target_state(group, id, state);
        }
    }
}

/// Nothing listens yet (no connection), or the application answers 503.
fn unhealthy(refused: bool) -> TargetState {
    let (reason, description) = if refused {
        ("Target.FailedHealthChecks", "Health checks failed")
    } else {
        ("Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]")
    };
    TargetState::Unhealthy { reason: reason.to_owned(), description: description.to_owned() }
}
