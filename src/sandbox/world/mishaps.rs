//! What the outside world does to the account: interruptions, broken applications, exhausted capacity, policies that fire.

use super::{Happening, Lifecycle, Range, World};

/// Longer than any run is watched: a year.
const NEVER_MS: u64 = 31_536_000_000;

impl World {
    /// Follows up fields that were changed by hand, as if everything had been touched. The methods below do not need it.
    pub fn refresh(&mut self) {
        self.stir.rules = true;
        self.stir.traffic = true;
        self.stir.groups = self.groups.keys().cloned().collect();
        self.settle();
        for region in self.elsewhere.keys().cloned().collect::<Vec<_>>() {
            self.in_region(&region, World::refresh);
        }
    }

    /// EC2 gives the two-minute notice to this spot instance now; false when it is not an instance in service without one.
    pub fn interrupt(&mut self, id: &str) -> bool {
        let found = self.instances.get_mut(id).filter(|i| i.lifecycle == Lifecycle::InService && i.interrupted_at.is_none());
        let Some(instance) = found else { return false };
        instance.next_interruption = Some(self.now);
        self.settle();
        true
    }

    /// The machine dies now, without notice.
    pub fn kill_instance(&mut self, id: &str) -> bool {
        if self.instances.get(id).is_none_or(|i| i.lifecycle != Lifecycle::InService) {
            return false;
        }
        let group = self.end_instance_at(id, self.now);
        self.record(Happening::Broken { group, instance: id.to_owned() });
        self.settle();
        true
    }

    /// The application on the instance answers 503 from now on.
    pub fn break_application(&mut self, id: &str) -> bool {
        let now = self.now;
        let Some(instance) = self.instances.get_mut(id) else { return false };
        instance.answers_until = Some(instance.answers_until.map_or(now, |t| t.min(now)));
        let group = instance.group.clone();
        self.record(Happening::Broken { group, instance: id.to_owned() });
        self.stir.traffic = true;
        self.settle();
        true
    }

    /// What boots in the group from now on never answers its health check; false when nothing does that was not answering already.
    pub fn never_healthy(&mut self, group: &str) -> bool {
        let Some(found) = self.groups.get_mut(group) else { return false };
        found.app_start = Range::ms(NEVER_MS, NEVER_MS);
        let now = self.now;
        let starting = self.instances.values_mut().filter(|i| i.group == group && i.answers_from.is_some_and(|from| from > now));
        starting.for_each(|instance| instance.answers_from = None);
        self.settle();
        true
    }

    /// Launches above so many instances fail from now on; `None`: there is room again.
    pub fn limit_capacity(&mut self, group: &str, limit: Option<u32>) -> bool {
        let Some(found) = self.groups.get_mut(group) else { return false };
        found.capacity_limit = limit;
        self.settle();
        true
    }

    /// A scaling policy asks for `to` instances now, whatever the load; nothing happens while AlarmNotification is suspended.
    pub fn fire_policy(&mut self, group: &str, to: u32) -> bool {
        self.fire(group, to, "AlarmNotification", &format!("a monitor alarm {group} in state ALARM triggered policy {group}-steps"))
    }

    /// Zone rebalancing replaces an unprotected instance now; nothing happens while AZRebalance or Launch is suspended.
    pub fn fire_rebalance(&mut self, group: &str) -> bool {
        let Some(old) = self.members(group).find(|i| i.lifecycle == Lifecycle::InService && !i.protected).map(|i| i.id.clone()) else {
            return false;
        };
        let Some(found) = self.groups.get_mut(group) else { return false };
        if found.suspended.contains("AZRebalance") || found.suspended.contains("Launch") || found.rebalancing.is_some() {
            return false;
        }
        found.rebalancing = Some(old);
        self.touch(group);
        self.settle();
        true
    }

    /// A scheduled action asks for `to` instances now; nothing happens while ScheduledActions is suspended.
    pub fn fire_scheduled_action(&mut self, group: &str, to: u32) -> bool {
        self.fire(group, to, "ScheduledActions", &format!("a scheduled action update of AutoScalingGroup {group}"))
    }

    fn fire(&mut self, group: &str, to: u32, process: &str, reason: &str) -> bool {
        if self.groups.get(group).is_none_or(|g| g.suspended.contains(process)) {
            return false;
        }
        self.scale_by(group, to, reason);
        self.settle();
        true
    }
}
