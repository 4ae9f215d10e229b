//! What can be and what can follow what: the rules by which the world moves, as leaf functions that replies of a real account are judged by too.
//!
//! The world asserts them of itself wherever it changes; `bgx doctor --conformance` asks them of a journal.

use super::autoscaling::{GroupUpdate, PROCESSES, bounds};
use super::targets::{CHECKING, NOT_IN_USE, NOT_REGISTERED, REGISTERING};
use super::{Fault, Lifecycle, Range, TargetGroup, Timing};

/// Target groups in one forward action, at most (AWS page "Quotas for your Application Load Balancers").
pub const GROUPS_PER_ACTION: usize = 5;
pub const HIGHEST_WEIGHT: u32 = 999;

/// Reasons beside each target state (AWS page "Health checks for Application Load Balancer target groups"). The world itself comes to
/// fewer of them.
const REASONS: [(&str, &[&str]); 6] = [
    ("initial", &[REGISTERING, CHECKING]),
    ("healthy", &[""]),
    ("unhealthy", &["Target.ResponseCodeMismatch", "Target.Timeout", "Target.FailedHealthChecks", "Elb.InternalError"]),
    ("unused", &[NOT_REGISTERED, NOT_IN_USE, "Target.InvalidState", "Target.IpUnusable"]),
    ("draining", &["Target.DeregistrationInProgress"]),
    ("unavailable", &["Target.HealthCheckDisabled", "Elb.InternalError"]),
];

impl Lifecycle {
    /// `None`: a state of an instance that is no member any more, or in a warm pool. Hooks (`Pending:Wait`) are part of their state.
    pub fn named(word: &str) -> Option<Lifecycle> {
        match word {
            "InService" => Some(Lifecycle::InService),
            "Standby" | "EnteringStandby" => Some(Lifecycle::Standby),
            "Terminated" => Some(Lifecycle::Terminated),
            word if word.starts_with("Pending") => Some(Lifecycle::Pending),
            word if word.starts_with("Terminating") => Some(Lifecycle::Terminating),
            _ => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Lifecycle::Pending => "Pending",
            Lifecycle::InService => "InService",
            Lifecycle::Standby => "Standby",
            Lifecycle::Terminating => "Terminating",
            Lifecycle::Terminated => "Terminated",
        }
    }

    /// One step (AWS page "Amazon EC2 Auto Scaling instance lifecycle"). Out of standby AWS goes through Pending, the world at once.
    pub fn may_become(self, next: Lifecycle) -> bool {
        match (self, next) {
            (Lifecycle::Pending, Lifecycle::InService | Lifecycle::Terminating) => true,
            (Lifecycle::InService, Lifecycle::Standby | Lifecycle::Terminating) => true,
            (Lifecycle::Standby, Lifecycle::Pending | Lifecycle::InService | Lifecycle::Terminating) => true,
            (Lifecycle::Terminating, Lifecycle::Terminated) => true,
            (Lifecycle::Pending | Lifecycle::InService | Lifecycle::Standby | Lifecycle::Terminating | Lifecycle::Terminated, _) => false,
        }
    }

    /// Any number of steps: who looks now and then does not see each.
    pub fn may_lead_to(self, later: Lifecycle) -> bool {
        const ALL: [Lifecycle; 5] =
            [Lifecycle::Pending, Lifecycle::InService, Lifecycle::Standby, Lifecycle::Terminating, Lifecycle::Terminated];
        let mut reached = vec![self];
        while let Some(next) = ALL.into_iter().find(|next| !reached.contains(next) && reached.iter().any(|from| from.may_become(*next))) {
            reached.push(next);
        }
        reached.contains(&later)
    }
}

/// Whether a target can be so.
pub fn is_target_state(state: &str, reason: &str) -> bool {
    REASONS.iter().any(|(known, reasons)| *known == state && reasons.contains(&reason))
}

/// What SuspendProcesses knows.
pub fn is_process(name: &str) -> bool {
    PROCESSES.contains(&name)
}

/// Sizes that a group can have.
pub fn are_sizes(min: u32, max: u32, desired: u32) -> bool {
    min <= desired && desired <= max
}

/// AWS's refusal of a call that contradicts itself, whatever the group is.
pub fn refusal(update: &GroupUpdate) -> Option<Fault> {
    let min = update.min.unwrap_or(0);
    let sizes = (min, update.max.unwrap_or(u32::MAX), update.desired.unwrap_or(min));
    bounds(sizes, update, sizes.2).err()
}

/// What the checks of a target group can be set to (AWS page "Health checks for Application Load Balancer target groups").
pub fn are_checks(interval_seconds: u32, healthy_after: u32, unhealthy_after: u32) -> bool {
    (5..=300).contains(&interval_seconds) && (2..=10).contains(&healthy_after) && (2..=10).contains(&unhealthy_after)
}

/// How the targets of one group are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    pub interval_ms: u64,
    pub healthy_after: u32,
    pub unhealthy_after: u32,
    /// Milliseconds.
    pub drain_ms: u64,
    pub registration: Range,
}

/// The states of a target whose length is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
}

impl Phase {
    pub fn named(state: &str) -> Option<Phase> {
        match state {
            "initial" => Some(Phase::Initial),
            "healthy" => Some(Phase::Healthy),
            "unhealthy" => Some(Phase::Unhealthy),
            "draining" => Some(Phase::Draining),
            _ => None,
        }
    }
}

impl Checks {
    pub fn of(group: &TargetGroup, timing: &Timing) -> Checks {
        Checks {
            interval_ms: u64::from(group.interval_seconds.max(1)) * 1000,
            healthy_after: group.healthy_threshold,
            unhealthy_after: group.unhealthy_threshold,
            drain_ms: u64::from(group.deregistration_delay_seconds) * 1000,
            registration: timing.registration,
        }
    }

    /// A target is in `phase` for so many milliseconds at least before its checks make it `next`. After its registration one passed
    /// check is enough (AWS page as above).
    pub fn least_ms(&self, phase: Phase, next: Phase) -> u64 {
        match (phase, next) {
            (Phase::Initial, Phase::Healthy) => self.registration.low,
            (Phase::Initial, Phase::Unhealthy) => self.registration.low + self.checks(self.unhealthy_after.saturating_sub(1)),
            (Phase::Unhealthy, Phase::Healthy) => self.checks(self.healthy_after),
            (Phase::Healthy, Phase::Unhealthy) => self.checks(self.unhealthy_after),
            (Phase::Initial | Phase::Healthy | Phase::Unhealthy | Phase::Draining, _) => 0,
        }
    }

    /// For so many milliseconds at most; `None`: as long as it likes.
    pub fn most_ms(&self, phase: Phase) -> Option<u64> {
        match phase {
            Phase::Initial => Some(self.registration.high + self.checks(self.unhealthy_after)),
            Phase::Draining => Some(self.drain_ms),
            Phase::Healthy | Phase::Unhealthy => None,
        }
    }

    fn checks(&self, count: u32) -> u64 {
        u64::from(count) * self.interval_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Lifecycle::*;

    #[test]
    fn what_ends_does_not_come_back_and_what_boots_has_not_served() {
        assert!(Pending.may_lead_to(Terminated) && Standby.may_lead_to(InService) && InService.may_lead_to(Pending));
        assert!(!Terminating.may_lead_to(InService) && !Terminated.may_lead_to(Terminating) && !Pending.may_become(Standby));
        assert_eq!(Lifecycle::named("Terminating:Wait"), Some(Terminating));
        assert_eq!(Lifecycle::named("Warmed:Running"), None);
    }

    #[test]
    fn a_reason_goes_with_its_state() {
        assert!(is_target_state("unused", NOT_IN_USE) && is_target_state("healthy", ""));
        assert!(!is_target_state("healthy", NOT_IN_USE) && !is_target_state("unused", "") && !is_target_state("gone", ""));
    }

    #[test]
    fn a_call_that_contradicts_itself_is_refused() {
        let update = |min, max, desired| GroupUpdate { min, max, desired };
        assert_eq!(refusal(&update(Some(2), None, Some(2))), None);
        assert_eq!(refusal(&update(None, Some(4), None)), None);
        assert!(refusal(&update(Some(6), Some(4), None)).is_some_and(|fault| fault.message.starts_with("Max bound, 4")));
        assert!(refusal(&update(None, Some(4), Some(9))).is_some_and(|fault| fault.message.starts_with("Desired capacity:9")));
    }
}
