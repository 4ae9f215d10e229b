//! EC2 Auto Scaling as its API says it: groups, their arithmetic, AWS's messages.

use super::{Activity, Fault, Group, Happening, Instance, Lifecycle, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The processes that SuspendProcesses knows (AWS page "Suspend and resume Amazon EC2 Auto Scaling processes").
pub(super) const PROCESSES: [&str; 9] = [
    "AZRebalance",
    "AddToLoadBalancer",
    "AlarmNotification",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
];

/// The default cooldown of a group, in milliseconds.
const COOLDOWN: u64 = 300_000;

/// The fields of UpdateAutoScalingGroup that bgx uses; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupUpdate {
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub desired: Option<u32>,
}

/// What DescribeAutoScalingGroups answers for one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    pub name: String,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    pub target_groups: Vec<String>,
    pub health_check_type: String,
    pub grace_seconds: u32,
    pub suspended: BTreeSet<String>,
    pub instances: Vec<Instance>,
    pub tags: Vec<(String, String)>,
}

pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "ValidationError", message)
}

/// Min, max and desired (`sizes`) after an update, or AWS's refusal. `current` is the size that a lone min or max is compared with.
pub(super) fn bounds(sizes: (u32, u32, u32), update: &GroupUpdate, current: u32) -> Result<(u32, u32, u32), Fault> {
    let (min, max) = (update.min.unwrap_or(sizes.0), update.max.unwrap_or(sizes.1));
    if max < min {
        return Err(invalid(format!("Max bound, {max}, must be greater than or equal to min bound, {min}")));
    }
    if let Some(desired) = update.desired {
        if desired < min || desired > max {
            return Err(invalid(format!("Desired capacity:{desired} must be between the specified min size:{min} and max size:{max}")));
        }
        return Ok((min, max, desired));
    }
    let mut desired = sizes.2;
    if update.min.is_some_and(|m| m > current) {
        desired = min;
    }
    if update.max.is_some_and(|m| m < current) {
        desired = max;
    }
    Ok((min, max, desired.clamp(min, max)))
}

impl World {
    /// DescribeAutoScalingGroups; unknown names are left out, no names means all. Sorted by name.
    pub fn describe_groups(&self, names: &[String]) -> Vec<GroupView> {
        self.groups
            .values()
            .filter(|g| names.is_empty() || names.contains(&g.name))
            .map(|g| g.stale.seen(self.now).map_or_else(|| self.group_view(g), |old| (**old).clone()))
            .collect()
    }

    /// UpdateAutoScalingGroup, with the coupling of min, max and desired, and AWS's messages.
    pub fn update_group(&mut self, name: &str, update: &GroupUpdate) -> Result<(), Fault> {
        let group = self.group(name)?;
        let current = if self.timing.current_size_is_instances { self.members(name).count() as u32 } else { group.desired };
        let (min, max, desired) = bounds((group.min, group.max, group.desired), update, current)?;
        self.remember_view(name);
        let set = [("min", update.min), ("max", update.max), ("desired", update.desired)];
        let set: Vec<String> = set.iter().filter_map(|(k, v)| v.map(|v| format!("{k}={v}"))).collect();
        self.record_call("autoscaling", "UpdateAutoScalingGroup", name, set.join(" "));
        if let Some(group) = self.groups.get_mut(name) {
            let changed = (group.min, group.max, group.desired) != (min, max, desired);
            group.min = min;
            group.max = max;
            if changed {
                self.record_size(name, desired);
            }
        }
        let reason = format!("a user request update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {desired}");
        self.change_desired(name, desired, &reason);
        self.touch(name);
        self.settle();
        Ok(())
    }

    /// SetDesiredCapacity.
    pub fn set_desired(&mut self, name: &str, desired: u32, honor_cooldown: bool) -> Result<(), Fault> {
        let group = self.group(name)?;
        let (min, max) = (group.min, group.max);
        let refused = |word: &str, bound: &str, limit: u32| {
            invalid(format!("New SetDesiredCapacity value {desired} is {word} {bound} value {limit} for the AutoScalingGroup."))
        };
        if desired > max {
            return Err(refused("above", "max", max));
        }
        if desired < min {
            return Err(refused("below", "min", min));
        }
        if honor_cooldown && group.cooldown_until.is_some_and(|t| t > self.now) {
            let id = group.activities.front().map_or_else(|| "00000000-0000-4000-a000-000000000000".to_owned(), |a| a.id.clone());
            let message = format!("Scaling activity {id} is in progress and blocks this action");
            return Err(Fault::new(400, "ScalingActivityInProgress", message));
        }
        self.remember_view(name);
        self.record_call("autoscaling", "SetDesiredCapacity", name, format!("desired={desired}"));
        self.record_size(name, desired);
        self.change_desired(name, desired, "a user request explicitly set group desired capacity");
        self.settle();
        Ok(())
    }

    /// SuspendProcesses; no processes named means all.
    pub fn suspend(&mut self, name: &str, processes: &[String]) -> Result<(), Fault> {
        self.switch_processes(name, processes, true)
    }

    /// ResumeProcesses; no processes named means all.
    pub fn resume(&mut self, name: &str, processes: &[String]) -> Result<(), Fault> {
        self.switch_processes(name, processes, false)
    }

    fn switch_processes(&mut self, name: &str, processes: &[String], suspend: bool) -> Result<(), Fault> {
        self.group(name)?;
        if let Some(unknown) = processes.iter().find(|p| !PROCESSES.contains(&p.as_str())) {
            return Err(invalid(format!("'{unknown}' is not a valid scaling process. Valid ones are: {}", PROCESSES.join(", "))));
        }
        let all = PROCESSES.map(str::to_owned);
        let named = if processes.is_empty() { &all[..] } else { processes };
        self.remember_view(name);
        let operation = if suspend { "SuspendProcesses" } else { "ResumeProcesses" };
        self.record_call("autoscaling", operation, name, named.join(","));
        if let Some(group) = self.groups.get_mut(name) {
            for process in named {
                if suspend {
                    group.suspended.insert(process.clone());
                } else {
                    group.suspended.remove(process);
                }
            }
        }
        self.touch(name);
        self.settle();
        Ok(())
    }

    /// SetInstanceProtection.
    pub fn protect_instances(&mut self, name: &str, ids: &[String], protected: bool) -> Result<(), Fault> {
        self.group(name)?;
        if let Some(id) = ids.iter().find(|id| self.members(name).all(|i| i.id != **id)) {
            return Err(invalid(format!("The instance {id} is not part of Auto Scaling group {name}.")));
        }
        self.remember_view(name);
        self.record_call("autoscaling", "SetInstanceProtection", name, format!("{}={protected}", ids.join(",")));
        for id in ids {
            if let Some(instance) = self.instances.get_mut(id) {
                instance.protected = protected;
            }
        }
        if let Some(group) = self.groups.get_mut(name) {
            group.told_protected = false;
        }
        self.touch(name);
        self.settle();
        Ok(())
    }

    /// TerminateInstanceInAutoScalingGroup.
    pub fn terminate_instance(&mut self, id: &str, decrement: bool) -> Result<Activity, Fault> {
        let known = self.instances.get(id).filter(|i| i.lifecycle != Lifecycle::Terminated);
        let Some(name) = known.map(|i| i.group.clone()) else {
            return Err(invalid(format!("Instance Id not found - No managed instance found for instance ID: {id}")));
        };
        let group = self.group(&name)?;
        let (min, desired) = (group.min, group.desired);
        if let Some(going_on) =
            group.activities.iter().find(|a| a.end.is_none() && a.description == format!("Terminating EC2 instance: {id}"))
        {
            return Ok(going_on.clone());
        }
        if decrement && desired <= min {
            return Err(invalid(format!(
                "Currently, desiredSize equals minSize ({min}). Terminating instance without replacement will violate group's min \
                 size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."
            )));
        }
        self.remember_view(&name);
        self.record_call("autoscaling", "TerminateInstanceInAutoScalingGroup", id, format!("decrement={decrement}"));
        if decrement && let Some(group) = self.groups.get_mut(&name) {
            group.desired = desired - 1;
            self.record_size(&name, desired - 1);
        }
        let shrinking = if decrement { format!(", shrinking the capacity from {desired} to {}", desired - 1) } else { String::new() };
        let cause =
            format!("At {} instance {id} was taken out of service in response to a user request{shrinking}.", self.now.whole_seconds());
        let activity = self.begin_terminating(id, cause, true);
        self.settle();
        Ok(activity)
    }

    /// The group, or AWS's refusal to a name that is not there.
    pub(super) fn group(&self, name: &str) -> Result<&Group, Fault> {
        let missing = || invalid(format!("AutoScalingGroup name not found - AutoScalingGroup {name} not found"));
        self.groups.get(name).ok_or_else(missing)
    }

    /// Sets the desired capacity and remembers why, for the activities that follow.
    pub(super) fn change_desired(&mut self, name: &str, desired: u32, reason: &str) {
        let now = self.now;
        let Some(group) = self.groups.get_mut(name) else { return };
        if group.desired == desired {
            return;
        }
        group.cause = format!("At {} {reason} changing the desired capacity from {} to {desired}.", now.whole_seconds(), group.desired);
        group.desired = desired;
        group.cooldown_until = Some(now.after_ms(COOLDOWN));
        group.launch_retry = None;
        group.told_protected = false;
        self.touch(name);
    }

    /// Bounds as they stand and the desired capacity that a call gives the group now.
    pub(super) fn record_size(&mut self, name: &str, desired: u32) {
        let Some(group) = self.groups.get(name) else { return };
        let (min, max) = (group.min, group.max);
        self.record(Happening::Resized { group: name.to_owned(), min, max, desired });
    }

    /// Keeps what Describe shows now, for the time in which it may lag behind the write that follows.
    pub(super) fn remember_view(&mut self, name: &str) {
        let until = self.now.after_ms(self.timing.group_staleness.draw(&mut self.rng));
        let now = self.now;
        if until <= now {
            return;
        }
        let Some(view) = self.groups.get(name).map(|g| Box::new(self.group_view(g))) else { return };
        if let Some(group) = self.groups.get_mut(name) {
            group.stale.keep(now, until, view);
        }
    }

    fn group_view(&self, group: &Group) -> GroupView {
        GroupView {
            name: group.name.clone(),
            min: group.min,
            max: group.max,
            desired: group.desired,
            target_groups: group.target_groups.clone(),
            health_check_type: group.health_check_type.clone(),
            grace_seconds: group.grace_seconds,
            suspended: group.suspended.clone(),
            instances: self.instances.values().filter(|i| i.group == group.name).cloned().collect(),
            tags: group.tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }
}
