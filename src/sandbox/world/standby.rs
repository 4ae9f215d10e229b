//! Standby: an instance leaves the load balancer and its group's count, keeps running, and comes back (AWS page "Temporarily remove
//! instances from your Auto Scaling group").

use super::autoscaling::invalid;
use super::{Activity, Fault, Lifecycle, World};

impl World {
    /// EnterStandby: deregistered from its target groups; without `decrement` the group launches another one.
    pub fn enter_standby(&mut self, name: &str, ids: &[String], decrement: bool) -> Result<Vec<Activity>, Fault> {
        let (min, max, desired) = self.sizes(name)?;
        self.all_are(name, ids, Lifecycle::InService)?;
        let count = ids.len() as u32;
        if decrement && desired.saturating_sub(count) < min {
            return Err(invalid(format!(
                "AutoScalingGroup {name} has min-size={min}, max-size={max}, and desired-size={desired}. To place into standby {count} \
                 instance, please update the AutoScalingGroup sizes appropriately."
            )));
        }
        let wanted = if decrement { desired - count } else { desired };
        let moved = if decrement { format!(", shrinking the capacity from {desired} to {wanted}") } else { String::new() };
        self.moved(name, ids, Lifecycle::Standby, wanted, "EnterStandby", &format!("decrement={decrement}"));
        for id in ids {
            for arn in self.attached(id) {
                self.deregister(&arn, id);
            }
        }
        Ok(self.told(name, ids, "Moving EC2 instance to Standby", &format!("was moved to standby in response to a user request{moved}")))
    }

    /// ExitStandby: the desired capacity rises, and the instance is registered again.
    pub fn exit_standby(&mut self, name: &str, ids: &[String]) -> Result<Vec<Activity>, Fault> {
        let (min, max, desired) = self.sizes(name)?;
        self.all_are(name, ids, Lifecycle::Standby)?;
        let wanted = desired + ids.len() as u32;
        if wanted > max {
            return Err(invalid(format!(
                "AutoScalingGroup {name} has min-size={min}, max-size={max}, and desired-size={desired}. To exit standby {} instance, \
                 please update the AutoScalingGroup sizes appropriately.",
                ids.len()
            )));
        }
        self.moved(name, ids, Lifecycle::InService, wanted, "ExitStandby", "");
        let target_groups = self.group(name)?.target_groups.clone();
        for (id, arn) in ids.iter().flat_map(|id| target_groups.iter().map(move |arn| (id, arn))) {
            self.register(arn, id);
        }
        let moved = format!("was moved out of standby in response to a user request, increasing the capacity from {desired} to {wanted}");
        Ok(self.told(name, ids, "Moving EC2 instance out of Standby", &moved))
    }

    fn sizes(&self, name: &str) -> Result<(u32, u32, u32), Fault> {
        self.group(name).map(|group| (group.min, group.max, group.desired))
    }

    fn all_are(&self, name: &str, ids: &[String], wanted: Lifecycle) -> Result<(), Fault> {
        let fits = |id: &&String| self.instances.get(*id).is_some_and(|i| i.group == name && i.lifecycle == wanted);
        let word = if wanted == Lifecycle::Standby { "Standby" } else { "InService" };
        match ids.iter().find(|id| !fits(id)) {
            None => Ok(()),
            Some(id) if self.instances.get(id).is_none_or(|i| i.group != name) => {
                Err(invalid(format!("The instance {id} is not part of Auto Scaling group {name}.")))
            }
            Some(id) => Err(invalid(format!("The instance {id} is not in {word}."))),
        }
    }

    /// The state and the size, which change at one moment.
    fn moved(&mut self, name: &str, ids: &[String], to: Lifecycle, desired: u32, operation: &str, set: &str) {
        self.remember_view(name);
        for id in ids {
            self.record_call("autoscaling", operation, id, set.to_owned());
            if let Some(instance) = self.instances.get_mut(id) {
                instance.enter(to);
            }
        }
        if let Some(group) = self.groups.get_mut(name) {
            group.desired = desired;
        }
        self.record_size(name, desired);
    }

    /// What the group did, as its activities tell it.
    fn told(&mut self, name: &str, ids: &[String], what: &str, why: &str) -> Vec<Activity> {
        let at = self.now.whole_seconds();
        let mut activities = Vec::new();
        for id in ids {
            let cause = format!("At {at} instance {id} {why}.");
            activities.push(self.begin_activity(name, format!("{what}: {id}"), cause, "InProgress"));
            self.end_activity(name, id, "Successful");
        }
        self.stir.traffic = true;
        self.touch(name);
        self.settle();
        activities
    }
}
