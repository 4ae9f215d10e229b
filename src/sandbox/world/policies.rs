//! Target tracking on CPU, or on the messages of a queue that wait for an instance: two alarms a group, which act once a minute for as long as they are breached.

use super::{Group, Happening, Lifecycle, Time, World};
use serde::{Deserialize, Serialize};

/// An alarm repeats its action this often (AWS page "Using Amazon CloudWatch alarms", on Auto Scaling actions).
const MINUTE: u64 = 60_000;
/// Minutes above the target until the high alarm acts, and below nine tenths of it until the low alarm does.
const ABOVE: u64 = 3;
const BELOW: u64 = 15;

/// Which alarm is breached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    High,
    Low,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub side: Side,
    pub since: Time,
}

impl Alarm {
    /// The first moment after `now` at which this alarm acts.
    fn next_action(self, now: Time) -> Time {
        let minutes = match self.side {
            Side::High => ABOVE,
            Side::Low => BELOW,
        };
        let first = self.since.after_ms(minutes * MINUTE);
        if first > now { first } else { first.after_ms((now.since(first) / MINUTE + 1) * MINUTE) }
    }
}

impl Group {
    /// Target of its policy, and what it tracks.
    pub(super) fn tracked(&self) -> Option<(f64, &'static str)> {
        self.cpu_target.map(|target| (target, "cpu")).or_else(|| self.backlog_target.map(|target| (target, "backlog")))
    }
}

impl World {
    /// Keeps the alarm of a group in step with its CPU, and plans the next action if there is one to take.
    pub(super) fn arm_policy(&mut self, name: &str) {
        let Some(group) = self.groups.get(name) else { return };
        let Some((target, _)) = group.tracked() else { return };
        let side = if self.serving(name) == 0 { None } else { breached(group.cpu, target) };
        let mut alarm = group.alarm;
        if side != alarm.map(|a| a.side) {
            alarm = side.map(|side| Alarm { side, since: self.now });
        }
        let changed = alarm != group.alarm;
        let wanted = alarm.and_then(|a| self.tracked_capacity(group, target, a.side));
        let now = self.now;
        let Some(group) = self.groups.get_mut(name) else { return };
        group.alarm = alarm;
        group.policy_next = match (alarm, wanted, group.policy_next) {
            (Some(_), Some(_), Some(planned)) if !changed => Some(planned),
            (Some(alarm), Some(_), _) => Some(alarm.next_action(now)),
            (_, None, _) | (None, _, _) => None,
        };
    }

    /// Alarm actions that are due.
    pub(super) fn run_policies(&mut self) {
        let due = self.groups.values().filter(|g| g.policy_next.is_some_and(|t| t <= self.now));
        let names: Vec<String> = due.map(|g| g.name.clone()).collect();
        for name in names {
            let Some(group) = self.groups.get_mut(&name) else { continue };
            group.policy_next = None;
            let (Some(alarm), Some((target, policy))) = (group.alarm, group.tracked()) else { continue };
            let Some(group) = self.groups.get(&name) else { continue };
            if let Some(to) = self.tracked_capacity(group, target, alarm.side) {
                let word = match alarm.side {
                    Side::High => "High",
                    Side::Low => "Low",
                };
                let reason = format!("a monitor alarm TargetTracking-{name}-Alarm{word} in state ALARM triggered policy {name}-{policy}");
                self.scale_by(&name, to, &reason);
            }
            self.touch(&name);
        }
    }

    /// Somebody other than a user sets the desired capacity, within the group's bounds.
    pub(super) fn scale_by(&mut self, name: &str, to: u32, reason: &str) {
        let Some(group) = self.groups.get(name) else { return };
        let (from, to) = (group.desired, to.clamp(group.min, group.max));
        if from != to {
            self.change_desired(name, to, reason);
            self.record(Happening::Scaled { group: name.to_owned(), from, to, cause: reason.to_owned() });
        }
    }

    /// Instances in service that have not been taken back by EC2.
    fn serving(&self, name: &str) -> u32 {
        self.members(name).filter(|i| i.lifecycle == Lifecycle::InService).count() as u32
    }

    /// The capacity that target tracking asks for now, `None` when that is what the group has or nothing may be done.
    fn tracked_capacity(&self, group: &Group, target: f64, side: Side) -> Option<u32> {
        if group.suspended.contains("AlarmNotification") {
            return None;
        }
        // What rounding added to the load must not ask for an instance more.
        let ideal = (group.load as f64 / (target * 10_000.0) - 1e-4).ceil() as u32;
        match side {
            Side::High => Some(ideal.min(group.max)).filter(|to| *to > group.desired),
            Side::Low if self.warming_up(&group.name) => None,
            Side::Low => Some(ideal.max(group.min)).filter(|to| *to < group.desired),
        }
    }

    /// Scale-in waits while instances launch or warm up.
    fn warming_up(&self, name: &str) -> bool {
        let warm = |at: Time| at.after_ms(self.timing.warmup) <= self.now;
        self.members(name).any(|i| i.lifecycle == Lifecycle::Pending || !i.in_service.is_some_and(warm))
    }

    /// Failed launches whose pause is over.
    pub(super) fn retry_launches(&mut self) {
        let due = self.groups.values().filter(|g| g.launch_retry.is_some_and(|t| t <= self.now));
        let names: Vec<String> = due.map(|g| g.name.clone()).collect();
        for name in names {
            if let Some(group) = self.groups.get_mut(&name) {
                group.launch_retry = None;
            }
            self.touch(&name);
        }
    }
}

/// What is tracked, in hundredths, against its target.
fn breached(tracked: u32, target: f64) -> Option<Side> {
    let value = f64::from(tracked) / 100.0;
    if value > target {
        Some(Side::High)
    } else if value < target * 0.9 {
        Some(Side::Low)
    } else {
        None
    }
}
