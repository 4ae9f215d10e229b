//! Instance refresh: a group's instances are replaced batch by batch, and each batch must be healthy and warm before the next (AWS page
//! "How an instance refresh works in an Auto Scaling group").

use super::autoscaling::invalid;
use super::{Fault, Group, Instance, Lifecycle, TargetState, Time, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// From the call until the first instance is taken; AWS says nothing about it.
const PENDING_MS: u64 = 5_000;
/// From a cancel that waits for nothing until `Cancelled`.
const CANCELLING_MS: u64 = 5_000;
/// A refresh that gets nowhere for so long fails (AWS page "Limitations of an instance refresh").
const STUCK_MS: u64 = 3_600_000;

/// One refresh of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refresh {
    pub id: String,
    pub group: String,
    pub status: RefreshStatus,
    pub reason: Option<String>,
    pub start: Time,
    pub end: Option<Time>,
    pub preferences: RefreshPreferences,
    /// Instances that were there when it began.
    pub old: BTreeSet<String>,
    pub percentage: u32,
    /// Cancelling: instances on their way are waited for.
    waits: bool,
    /// Last moment at which it got on.
    moved: Time,
    /// Instances launched before old ones end.
    spare: u32,
}

/// What StartInstanceRefresh is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshPreferences {
    pub min_healthy: u32,
    pub max_healthy: u32,
    /// `None`: the group's grace period.
    pub warmup_seconds: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefreshStatus {
    Pending,
    InProgress,
    Successful,
    Failed,
    Cancelling,
    Cancelled,
}

impl RefreshStatus {
    pub fn is_active(self) -> bool {
        match self {
            RefreshStatus::Pending | RefreshStatus::InProgress | RefreshStatus::Cancelling => true,
            RefreshStatus::Successful | RefreshStatus::Failed | RefreshStatus::Cancelled => false,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            RefreshStatus::Pending => "Pending",
            RefreshStatus::InProgress => "InProgress",
            RefreshStatus::Successful => "Successful",
            RefreshStatus::Failed => "Failed",
            RefreshStatus::Cancelling => "Cancelling",
            RefreshStatus::Cancelled => "Cancelled",
        }
    }
}

impl Refresh {
    /// Instances that are still to be replaced, as far as the percentage says.
    pub fn to_update(&self) -> u32 {
        let total = self.old.len() as u32;
        total - total * self.percentage / 100
    }

    fn warmup_ms(&self, group: &Group) -> u64 {
        u64::from(self.preferences.warmup_seconds.unwrap_or(group.grace_seconds)) * 1000
    }
}

/// What a refresh finds of its group.
struct Sight {
    /// Old instances that may be taken, those that are not well first.
    takeable: Vec<String>,
    unwell: u32,
    old: usize,
    /// New ones that are healthy and warm.
    ready: usize,
    /// Of all, as many as may be needed are on their way.
    settled: bool,
    desired: u32,
    members: u32,
}

impl World {
    /// StartInstanceRefresh; its id.
    pub fn start_refresh(&mut self, name: &str, preferences: RefreshPreferences) -> Result<String, Fault> {
        self.group(name)?;
        let RefreshPreferences { min_healthy, max_healthy, .. } = preferences;
        if min_healthy > 100 || !(100..=200).contains(&max_healthy) || max_healthy - min_healthy > 100 {
            return Err(invalid(
                "MinHealthyPercentage is from 0 to 100, MaxHealthyPercentage from 100 to 200, and they differ by 100 at most.",
            ));
        }
        if self.active_refresh(name).is_some() {
            let message = "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.";
            return Err(Fault::new(400, "InstanceRefreshInProgress", message));
        }
        self.record_call("autoscaling", "StartInstanceRefresh", name, format!("min_healthy={min_healthy} max_healthy={max_healthy}"));
        let refresh = Refresh {
            id: self.rng.uuid(),
            group: name.to_owned(),
            status: RefreshStatus::Pending,
            reason: None,
            start: self.now,
            end: None,
            preferences,
            old: self.instances.values().filter(|i| i.group == name && counts(i)).map(|i| i.id.clone()).collect(),
            percentage: 0,
            waits: true,
            moved: self.now,
            spare: 0,
        };
        let id = refresh.id.clone();
        self.refreshes.entry(name.to_owned()).or_default().insert(0, refresh);
        self.settle();
        Ok(id)
    }

    /// CancelInstanceRefresh: what it has replaced stays replaced. Without `wait`, what is on its way is not waited for.
    pub fn cancel_refresh(&mut self, name: &str, wait: bool) -> Result<String, Fault> {
        self.group(name)?;
        let now = self.now;
        let Some(refresh) = self.active_refresh(name).map(|refresh| refresh.id.clone()) else { return Err(no_active()) };
        self.record_call("autoscaling", "CancelInstanceRefresh", name, format!("wait={wait}"));
        self.change(name, |own| {
            own.status = RefreshStatus::Cancelling;
            own.waits = wait;
            own.moved = now;
            own.spare = 0;
        });
        self.touch(name);
        self.settle();
        Ok(refresh)
    }

    /// RollbackInstanceRefresh: only a refresh that was given a configuration to go to has one to go back to.
    pub fn rollback_refresh(&mut self, name: &str) -> Result<String, Fault> {
        self.group(name)?;
        match self.active_refresh(name) {
            None => Err(no_active()),
            Some(_) => Err(Fault::new(
                400,
                "IrreversibleInstanceRefresh",
                "The desired configuration of this Instance Refresh is not specified, so it cannot be rolled back.",
            )),
        }
    }

    /// DescribeInstanceRefreshes, newest first.
    pub fn refreshes_of(&self, name: &str) -> Result<Vec<Refresh>, Fault> {
        self.group(name)?;
        Ok(self.refreshes.get(name).cloned().unwrap_or_default())
    }

    fn active_refresh(&self, name: &str) -> Option<&Refresh> {
        self.refreshes.get(name)?.first().filter(|refresh| refresh.status.is_active())
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Refresh)) {
        if let Some(refresh) = self.refreshes.get_mut(name).and_then(|all| all.first_mut()) {
            change(refresh);
        }
    }

    /// Groups under refresh are looked at whenever anything falls due.
    pub(super) fn move_refreshes(&mut self) {
        let active: Vec<String> = self.refreshes.keys().filter(|name| self.active_refresh(name).is_some()).cloned().collect();
        active.iter().for_each(|name| self.touch(name));
    }

    /// The next moment at which a refresh may get on by itself.
    pub(super) fn refresh_due(&self) -> Option<Time> {
        let active = self.refreshes.keys().filter_map(|name| Some((self.active_refresh(name)?, self.groups.get(name)?)));
        let moments = active.flat_map(|(refresh, group)| {
            let warm = self.members(&group.name).filter(|i| !refresh.old.contains(&i.id));
            let warm = warm.filter_map(|i| Some(i.in_service?.after_ms(refresh.warmup_ms(group))));
            let own = match refresh.status {
                RefreshStatus::Pending => PENDING_MS,
                RefreshStatus::Cancelling if !refresh.waits => CANCELLING_MS,
                _ => STUCK_MS,
            };
            warm.chain([refresh.moved.after_ms(own)]).collect::<Vec<_>>()
        });
        moments.filter(|moment| *moment > self.now).min()
    }

    /// Gets on with the refresh of a group, if there is one. Returns how many instances more than desired it wants now.
    pub(super) fn carry_refresh_on(&mut self, name: &str) -> u32 {
        let Some((refresh, group)) = self.active_refresh(name).cloned().zip(self.groups.get(name)) else { return 0 };
        let seen = self.sight(&refresh, group);
        let held = ["InstanceRefresh", "Launch", "Terminate"].iter().any(|process| group.suspended.contains(*process));
        let idle = self.now.since(refresh.moved);
        match refresh.status {
            RefreshStatus::Pending if idle >= PENDING_MS => {
                let now = self.now;
                self.change(name, |own| (own.status, own.moved) = (RefreshStatus::InProgress, now));
                return self.carry_refresh_on(name);
            }
            RefreshStatus::Cancelling if seen.settled || (!refresh.waits && idle >= CANCELLING_MS) => {
                self.end_refresh(name, RefreshStatus::Cancelled, Some("Cancelled due to user request."));
            }
            RefreshStatus::InProgress if seen.old == 0 && seen.settled => self.end_refresh(name, RefreshStatus::Successful, None),
            RefreshStatus::InProgress if idle >= STUCK_MS => {
                self.end_refresh(name, RefreshStatus::Failed, Some("Failed to make progress for an hour."));
            }
            RefreshStatus::InProgress => {
                self.note_progress(name, &refresh, &seen);
                if seen.settled && !held {
                    self.replace_batch(name, &refresh, &seen);
                }
            }
            RefreshStatus::Pending | RefreshStatus::Cancelling => {}
            RefreshStatus::Successful | RefreshStatus::Failed | RefreshStatus::Cancelled => {}
        }
        self.spare(name)
    }

    /// Instances more than desired that a refresh has launched first.
    pub(super) fn spare(&self, name: &str) -> u32 {
        self.active_refresh(name).map_or(0, |refresh| refresh.spare)
    }

    fn sight(&self, refresh: &Refresh, group: &Group) -> Sight {
        let (old, new): (Vec<&Instance>, Vec<&Instance>) =
            self.instances.values().filter(|i| i.group == group.name && counts(i)).partition(|i| refresh.old.contains(&i.id));
        let warmup = refresh.warmup_ms(group);
        let is_ready = |i: &&Instance| {
            let warm = i.in_service.is_some_and(|since| since.after_ms(warmup) <= self.now);
            i.lifecycle == Lifecycle::InService && i.healthy && warm && self.passes(group, i)
        };
        let ready = new.iter().filter(|i| is_ready(i)).count();
        let members = self.members(&group.name).count() as u32;
        // Standby and protection from scale-in are waited for.
        let may_go = old.iter().filter(|i| !i.protected && i.lifecycle != Lifecycle::Standby);
        let (well, unwell): (Vec<&Instance>, Vec<&Instance>) = may_go.partition(|i| i.healthy && self.passes(group, i));
        let takeable = unwell.iter().chain(&well).map(|i| i.id.clone()).collect();
        let unwell = unwell.len() as u32;
        let settled = ready == new.len() && members >= group.desired + refresh.spare;
        Sight { takeable, unwell, old: old.len(), ready, settled, desired: group.desired, members }
    }

    /// The load balancer finds it healthy, where it is asked.
    fn passes(&self, group: &Group, instance: &Instance) -> bool {
        let fine = |arn: &String| match self.target_groups.get(arn).and_then(|tg| tg.targets.get(&instance.id)).map(|t| &t.state) {
            Some(TargetState::Healthy | TargetState::Unused { .. }) | None => true,
            Some(TargetState::Initial { .. } | TargetState::Unhealthy { .. } | TargetState::Draining) => false,
        };
        group.health_check_type != "ELB" || group.target_groups.iter().all(fine)
    }

    fn note_progress(&mut self, name: &str, refresh: &Refresh, seen: &Sight) {
        let total = refresh.old.len();
        let percentage = (seen.ready.min(total) * 100 / total.max(1)) as u32;
        let now = self.now;
        if percentage > refresh.percentage {
            self.change(name, |own| (own.percentage, own.moved) = (percentage, now));
        }
    }

    /// Takes as many old instances as the healthy percentages leave room for, one at least; where more than all may be healthy, what is to
    /// replace them is launched first.
    fn replace_batch(&mut self, name: &str, refresh: &Refresh, seen: &Sight) {
        let RefreshPreferences { min_healthy, max_healthy, .. } = refresh.preferences;
        let launches_first = min_healthy == 100 && max_healthy > 100;
        let take = match launches_first {
            true => seen.members.saturating_sub(seen.desired),
            // Nobody misses these, and the others are needed.
            false if seen.unwell > 0 => seen.unwell,
            false => (seen.desired - (seen.desired * min_healthy).div_ceil(100).min(seen.desired)).max(1),
        };
        let taken: Vec<&String> = seen.takeable.iter().take(take as usize).collect();
        let left = (seen.takeable.len() - taken.len()) as u32;
        let room = (seen.desired * (max_healthy - 100) / 100).max(1);
        let spare = if launches_first { room.min(left) } else { 0 };
        let now = self.now;
        let got_on = !taken.is_empty() || spare > refresh.spare;
        self.change(name, |own| {
            own.spare = spare;
            own.moved = if got_on { now } else { own.moved };
        });
        for id in taken {
            let cause = format!("At {} an instance was taken out of service in response to an instance refresh.", now.whole_seconds());
            self.begin_terminating(id, cause, true);
        }
    }

    fn end_refresh(&mut self, name: &str, status: RefreshStatus, reason: Option<&str>) {
        let now = self.now;
        self.change(name, |own| {
            own.status = status;
            own.reason = reason.map(str::to_owned);
            own.end = Some(now);
            own.spare = 0;
            if status == RefreshStatus::Successful {
                own.percentage = 100;
            }
        });
    }
}

/// A member of its group that a refresh has to do with.
fn counts(instance: &Instance) -> bool {
    match instance.lifecycle {
        Lifecycle::Pending | Lifecycle::InService | Lifecycle::Standby => true,
        Lifecycle::Terminating | Lifecycle::Terminated => false,
    }
}

fn no_active() -> Fault {
    Fault::new(400, "ActiveInstanceRefreshNotFound", "There is no active Instance Refresh for this Auto Scaling group.")
}
