//! Brings a group nearer to its desired capacity: launches, victims of scale-in, replacement of the unhealthy.

use super::motion::grace_ms;
use super::{Activity, Group, Happening, Instance, Lifecycle, TargetState, World};
use std::collections::BTreeMap;

const ALL_PROTECTED: &str = "Could not scale to desired capacity because all remaining instances are protected from scale-in.";
const NO_SPOT: &str = "There is no Spot capacity available that matches your request. Launching EC2 instance failed.";

impl World {
    /// Instances that count towards the desired capacity.
    pub(super) fn members(&self, group: &str) -> impl Iterator<Item = &Instance> {
        self.instances.values().filter(move |i| match i.lifecycle {
            Lifecycle::Pending | Lifecycle::InService => i.group == group,
            Lifecycle::Standby | Lifecycle::Terminating | Lifecycle::Terminated => false,
        })
    }

    /// Replaces what is unhealthy, then launches or ends as many instances as the desired capacity asks for.
    pub(super) fn reconcile(&mut self, name: &str) {
        self.replace_unhealthy(name);
        let extra = self.rebalance(name) + self.carry_refresh_on(name);
        let live = self.members(name).count() as u32;
        let Some(group) = self.groups.get_mut(name) else { return };
        let desired = group.desired + extra;
        if live == desired {
            group.cause.clear();
            group.launch_retry = None;
            group.launch_failures = 0;
        } else if live < desired && !group.suspended.contains("Launch") && group.launch_retry.is_none() {
            self.launch_all(name, live, desired);
        } else if live > desired && !group.suspended.contains("Terminate") {
            self.scale_in(name, live, desired);
        }
    }

    /// Zone rebalancing launches first and terminates then, so the group is one above its desired capacity for a while,
    /// above its maximum too (AWS page "Rebalancing activities"). Returns how many instances more are wanted now.
    fn rebalance(&mut self, name: &str) -> u32 {
        let Some(group) = self.groups.get(name) else { return 0 };
        let Some(old) = group.rebalancing.clone() else { return 0 };
        let in_service = self.members(name).filter(|i| i.lifecycle == Lifecycle::InService).count() as u32;
        let still_there = self.members(name).any(|i| i.id == old && !i.protected);
        let (ready, held) = (in_service > group.desired, group.suspended.contains("Terminate"));
        if still_there && (!ready || held) {
            return 1;
        }
        if let Some(group) = self.groups.get_mut(name) {
            group.rebalancing = None;
        }
        if still_there {
            let at = self.now.whole_seconds();
            let cause = format!(
                "At {at} instances were launched to balance instances in zones with other zones resulting in more than desired number \
                 of instances in the group.  At {at} an instance was taken out of service."
            );
            self.begin_terminating(&old, cause, true);
        }
        0
    }

    fn launch_all(&mut self, name: &str, live: u32, desired: u32) {
        let cause = self.launch_cause(name, live, desired);
        for count in live..desired {
            let Some(group) = self.groups.get(name) else { return };
            if group.capacity_limit.is_some_and(|limit| count >= limit) {
                self.launch_failed(name, cause);
                return;
            }
            self.launch_one(name, &cause);
        }
        if let Some(group) = self.groups.get_mut(name) {
            group.launch_failures = 0;
        }
    }

    fn launch_cause(&self, name: &str, live: u32, desired: u32) -> String {
        let at = self.now.whole_seconds();
        let asked = self.groups.get(name).map_or("", |g| g.cause.as_str());
        if self.groups.get(name).is_some_and(|g| g.rebalancing.is_some()) {
            return format!("At {at} an instance was launched to aid in balancing the group's zones.");
        }
        if asked.is_empty() {
            return format!("At {at} an instance was launched in response to an unhealthy instance needing to be replaced.");
        }
        format!(
            "{asked}  At {at} an instance was started in response to a difference between desired and actual capacity, increasing \
             the capacity from {live} to {desired}."
        )
    }

    fn launch_failed(&mut self, name: &str, cause: String) {
        let (spot, kind) = self.next_purchase(name);
        let zone = self.emptiest_zone(name);
        let base = self.timing.launch_retry.draw(&mut self.rng).max(1);
        let Some(group) = self.groups.get_mut(name) else { return };
        let factor = 1 << group.launch_failures.min(5);
        group.launch_failures += 1;
        group.launch_retry = Some(self.now.after_ms(base * factor));
        let message = if spot {
            NO_SPOT.to_owned()
        } else {
            format!(
                "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our system will \
                 be working on provisioning additional capacity. Launching EC2 instance failed."
            )
        };
        let description = format!("Launching a new EC2 instance.  Status Reason: {message}");
        self.note_activity(name, description, cause, "Failed", &message);
        self.record(Happening::LaunchFailed { group: name.to_owned(), message });
    }

    fn launch_one(&mut self, name: &str, cause: &str) {
        let (spot, instance_type) = self.next_purchase(name);
        let zone = self.emptiest_zone(name);
        let id = self.new_instance_id();
        let Some(group) = self.groups.get(name) else { return };
        let boot = group.boot.draw(&mut self.rng);
        let hours = if spot && group.spot_interruptions_per_hour > 0.0 {
            Some(self.rng.exponential() / group.spot_interruptions_per_hour)
        } else {
            None
        };
        let instance = Instance {
            id: id.clone(),
            group: name.to_owned(),
            lifecycle: Lifecycle::Pending,
            healthy: true,
            protected: false,
            zone,
            instance_type,
            spot,
            private_ip: self.new_private_ip(),
            launched: self.now,
            until: Some(self.now.after_ms(boot)),
            in_service: None,
            answers_from: None,
            answers_until: None,
            version: None,
            interrupted_at: None,
            next_interruption: hours.map(|h| self.now.after_ms((h * 3_600_000.0) as u64)),
        };
        self.instances.insert(id.clone(), instance);
        self.begin_activity(name, format!("Launching a new EC2 instance: {id}"), cause.to_owned(), "PreInService");
        self.record(Happening::Launched { group: name.to_owned(), instance: id });
    }

    /// Never one that exists, also where the draws begin anew.
    pub(super) fn new_instance_id(&mut self) -> String {
        loop {
            let id = format!("i-0{}", self.rng.hex(16));
            if !self.instances.contains_key(&id) {
                return id;
            }
        }
    }

    /// Unique: counts up through 10.0.0.0/8, from 10.0.0.4, past those that are taken.
    pub(super) fn new_private_ip(&mut self) -> String {
        loop {
            let n = self.next_id;
            self.next_id += 1;
            let address = format!("10.{}.{}.{}", n / 62_500 % 250, n / 250 % 250, n % 250 + 4);
            if self.instances.values().all(|instance| instance.private_ip != address) {
                return address;
            }
        }
    }

    /// Whether the next instance is spot, and its type.
    pub(super) fn next_purchase(&mut self, name: &str) -> (bool, String) {
        let on_demand = self.members(name).filter(|i| !i.spot).count() as u32;
        let Some(group) = self.groups.get(name) else { return (false, String::new()) };
        let spot = group.on_demand_base.is_some_and(|base| on_demand >= base);
        let draw = self.rng.index(group.instance_types.len());
        (spot, group.instance_types.get(draw).cloned().unwrap_or_else(|| "c5.large".to_owned()))
    }

    /// The availability zone in which the group has the fewest instances; the first of equals.
    pub(super) fn emptiest_zone(&self, name: &str) -> String {
        let mut zones: BTreeMap<String, usize> = ["a", "b", "c"].iter().map(|z| (format!("{}{z}", self.region), 0)).collect();
        for instance in self.members(name) {
            *zones.entry(instance.zone.clone()).or_default() += 1;
        }
        zones.into_iter().min_by_key(|(_, count)| *count).map(|(zone, _)| zone).unwrap_or_default()
    }

    fn scale_in(&mut self, name: &str, live: u32, desired: u32) {
        for count in ((desired + 1)..=live).rev() {
            let asked = self.groups.get(name).map_or("", |g| g.cause.as_str()).to_owned();
            let Some(id) = self.victim(name) else {
                self.tell_protected(name, asked);
                return;
            };
            let at = self.now.whole_seconds();
            let space = if asked.is_empty() { "" } else { "  " };
            let cause = format!(
                "{asked}{space}At {at} an instance was taken out of service in response to a difference between desired and actual \
                 capacity, shrinking the capacity from {count} to {}.  At {at} instance {id} was selected for termination.",
                count - 1
            );
            self.begin_terminating(&id, cause, true);
        }
    }

    fn tell_protected(&mut self, name: &str, cause: String) {
        let Some(group) = self.groups.get_mut(name) else { return };
        if !std::mem::replace(&mut group.told_protected, true) {
            self.note_activity(name, "Terminating EC2 instance".to_owned(), cause, "Cancelled", ALL_PROTECTED);
        }
    }

    /// The default termination policy: zone with the most instances, then allocation strategy, then chance, since all
    /// instances of a group stem from the same launch template.
    fn victim(&mut self, name: &str) -> Option<String> {
        let group = self.groups.get(name)?;
        let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
        for instance in self.members(name) {
            *zones.entry(&instance.zone).or_default() += 1;
        }
        let free: Vec<&Instance> = self.members(name).filter(|i| !i.protected).collect();
        let most = free.iter().filter_map(|i| zones.get(i.zone.as_str())).max().copied()?;
        let in_zone: Vec<&Instance> = free.into_iter().filter(|i| zones.get(i.zone.as_str()) == Some(&most)).collect();
        let on_demand = self.members(name).filter(|i| !i.spot).count() as u32;
        let wants_spot = group.on_demand_base.is_some_and(|base| on_demand <= base);
        let strategy: Vec<&Instance> = in_zone.iter().copied().filter(|i| i.spot == wants_spot).collect();
        let pool = if strategy.is_empty() { in_zone } else { strategy };
        let ids: Vec<String> = pool.iter().map(|i| i.id.clone()).collect();
        let draw = self.rng.index(ids.len());
        ids.into_iter().nth(draw)
    }

    /// Deregisters the instance first; it ends when its targets have drained, or soon where `wait` is false.
    pub(super) fn begin_terminating(&mut self, id: &str, cause: String, wait: bool) -> Activity {
        let registered = self.attached(id);
        let ends: Vec<_> = registered.iter().filter_map(|arn| self.deregister(arn, id)).collect();
        let drained = ends.into_iter().max().filter(|_| wait).unwrap_or(self.now).max(self.now);
        let end = drained.after_ms(self.timing.termination.draw(&mut self.rng));
        // Auto Scaling does not wait for target groups that it is not attached to.
        let by_hand = self.target_groups.iter().any(|(arn, g)| g.targets.contains_key(id) && !registered.contains(arn));
        let mut group = String::new();
        let mut was_pending = false;
        if let Some(instance) = self.instances.get_mut(id) {
            was_pending = instance.lifecycle == Lifecycle::Pending;
            instance.enter(Lifecycle::Terminating);
            instance.until = Some(end);
            if by_hand {
                instance.answers_until = Some(self.now);
            }
            group.clone_from(&instance.group);
        }
        if was_pending {
            self.end_activity(&group, id, "Cancelled");
        }
        self.record(Happening::Terminating { group: group.clone(), instance: id.to_owned(), cause: cause.clone() });
        self.stir.traffic = true;
        self.touch(&group);
        let status = if drained > self.now { "WaitingForELBConnectionDraining" } else { "InProgress" };
        self.begin_activity(&group, format!("Terminating EC2 instance: {id}"), cause, status)
    }

    /// Target groups where the instance is registered and that its group is attached to.
    pub(super) fn attached(&self, id: &str) -> Vec<String> {
        let own = self.instances.get(id).and_then(|i| self.groups.get(&i.group)).map(|g| g.target_groups.as_slice()).unwrap_or_default();
        let registered = |arn: &&String| self.target_groups.get(*arn).is_some_and(|g| g.targets.contains_key(id));
        own.iter().filter(registered).cloned().collect()
    }

    /// Auto Scaling's view of its instances: EC2 always, the load balancer after the grace period and only where the
    /// traffic source is `InService` (AWS page "Verify the attachment status of your load balancer").
    pub(super) fn note_health(&mut self, name: &str) {
        let Some(group) = self.groups.get(name) else { return };
        let arrived: Vec<String> = group.target_groups.iter().filter(|arn| self.passes_anywhere(arn)).cloned().collect();
        let bad = if group.suspended.contains("HealthCheck") { Vec::new() } else { self.unhealthy_members(group) };
        if let Some(group) = self.groups.get_mut(name) {
            group.traffic_in_service.extend(arrived);
        }
        for id in bad {
            if let Some(instance) = self.instances.get_mut(&id) {
                instance.healthy = false;
            }
        }
    }

    fn passes_anywhere(&self, target_group: &str) -> bool {
        self.target_groups.get(target_group).is_some_and(|g| g.targets.values().any(|t| t.state == TargetState::Healthy))
    }

    fn unhealthy_members(&self, group: &Group) -> Vec<String> {
        let by_elb = |i: &&Instance| {
            group.health_check_type == "ELB"
                && i.in_service.is_some_and(|t| t.after_ms(grace_ms(group)) <= self.now)
                && group.traffic_in_service.iter().any(|arn| self.fails_in(arn, &i.id))
        };
        self.members(&group.name)
            .filter(|i| i.healthy && i.lifecycle == Lifecycle::InService)
            .filter(|i| self.is_gone(i) || by_elb(i))
            .map(|i| i.id.clone())
            .collect()
    }

    fn fails_in(&self, target_group: &str, id: &str) -> bool {
        let target = self.target_groups.get(target_group).and_then(|g| g.targets.get(id));
        target.is_some_and(|t| matches!(t.state, TargetState::Unhealthy { .. }))
    }

    /// EC2 has ended this instance, and Auto Scaling has had time to see it.
    fn is_gone(&self, instance: &Instance) -> bool {
        instance.until.is_none() && instance.interrupted_at.is_some_and(|t| t <= self.now)
    }

    /// Ended instances at once; those that fail the load balancer's checks a tenth of the group at a time, and while a
    /// replacement is under way only if nine tenths are well (AWS page "Health checks for instances in an Auto Scaling group").
    fn replace_unhealthy(&mut self, name: &str) {
        let Some(group) = self.groups.get(name) else { return };
        if group.suspended.contains("ReplaceUnhealthy") || group.suspended.contains("Terminate") {
            return;
        }
        let desired = group.desired as usize;
        let (gone, bad): (Vec<&Instance>, Vec<&Instance>) = self.members(name).filter(|i| !i.healthy).partition(|i| self.is_gone(i));
        if gone.is_empty() && bad.is_empty() {
            return;
        }
        let well = self.members(name).filter(|i| i.healthy && i.lifecycle == Lifecycle::InService).count();
        let busy = self.instances.values().any(|i| i.group == name && matches!(i.lifecycle, Lifecycle::Pending | Lifecycle::Terminating));
        let room = if busy && well * 10 < desired * 9 { 0 } else { (desired / 10).max(1) };
        let gone: Vec<String> = gone.iter().map(|i| i.id.clone()).collect();
        let bad: Vec<String> = bad.iter().take(room).map(|i| i.id.clone()).collect();
        let at = self.now.whole_seconds();
        for id in gone {
            let cause = format!(
                "At {at} an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped."
            );
            self.begin_terminating(&id, cause, false);
        }
        for id in bad {
            let cause = format!("At {at} an instance was taken out of service in response to an ELB system health check failure.");
            self.begin_terminating(&id, cause, true);
        }
    }
}
