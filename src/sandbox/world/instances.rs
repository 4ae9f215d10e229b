//! What an instance does by itself: it boots, reads its version, comes into service, is reclaimed, and ends.

use super::{Happening, Lifecycle, World};

/// Warning that EC2 gives before it takes a spot instance back.
const SPOT_NOTICE: u64 = 120_000;

impl World {
    /// Everything of instances that is due, in the order of their ids.
    pub(super) fn move_instances(&mut self) {
        let now = self.now;
        let due: Vec<String> = self.instances.values().filter(|i| i.until.is_some_and(|t| t <= now)).map(|i| i.id.clone()).collect();
        for id in due {
            match self.instances.get(&id).map(|i| i.lifecycle) {
                Some(Lifecycle::Pending) => self.come_into_service(&id),
                Some(Lifecycle::InService | Lifecycle::Standby) => self.notice_end(&id),
                Some(Lifecycle::Terminating) => self.terminated(&id),
                Some(Lifecycle::Terminated) | None => {
                    self.instances.remove(&id);
                }
            }
        }
        let in_service = self.instances.values().filter(|i| i.lifecycle == Lifecycle::InService);
        let reclaimed: Vec<String> = in_service
            .filter(|i| i.interrupted_at.is_none() && i.next_interruption.is_some_and(|t| t <= now))
            .map(|i| i.id.clone())
            .collect();
        for id in reclaimed {
            self.give_spot_notice(&id);
        }
        self.touch_changed();
    }

    /// Groups whose instances begin or cease to answer, or whose grace or warm-up ends, at this moment.
    fn touch_changed(&mut self) {
        let now = Some(self.now);
        let mut touched = Vec::new();
        for instance in self.instances.values().filter(|i| i.in_service.is_some()) {
            if instance.answers_from == now || instance.answers_until == now {
                self.stir.traffic = true;
            }
            let Some(group) = self.groups.get(&instance.group) else { continue };
            let grace = instance.in_service.map(|t| t.after_ms(super::motion::grace_ms(group)));
            let warm = instance.in_service.map(|t| t.after_ms(self.timing.warmup));
            if grace == now || warm == now {
                touched.push(instance.group.clone());
            }
        }
        self.stir.groups.extend(touched);
    }

    /// The end of Pending: the version key is read now, then the instance is registered and InService.
    fn come_into_service(&mut self, id: &str) {
        let Some(group) = self.instances.get(id).and_then(|i| self.groups.get(&i.group)) else { return };
        let name = group.name.clone();
        let target_groups = if group.suspended.contains("AddToLoadBalancer") { Vec::new() } else { group.target_groups.clone() };
        let version = self.version_of(&group.version_bucket, &group.version_key);
        let starts_at_all = match &version {
            Some(version) => !self.bad_builds.contains(version),
            None => group.version_key.is_empty(),
        };
        let starts = self.now.after_ms(group.app_start.draw(&mut self.rng));
        let now = self.now;
        if let Some(instance) = self.instances.get_mut(id) {
            instance.enter(Lifecycle::InService);
            instance.until = None;
            instance.in_service = Some(now);
            // Without a version there is nothing to start: the application never answers.
            instance.answers_from = starts_at_all.then_some(starts);
            instance.version.clone_from(&version);
        }
        if let Some(version) = version {
            self.record(Happening::Booted { group: name.clone(), instance: id.to_owned(), version });
        }
        for arn in target_groups {
            self.register(&arn, id);
        }
        self.record(Happening::InService { group: name.clone(), instance: id.to_owned() });
        self.end_activity(&name, id, "Successful");
        self.stir.traffic = true;
        self.touch(&name);
    }

    /// The text at a version key, `None` when there is no such object.
    fn version_of(&self, bucket: &str, key: &str) -> Option<String> {
        let object = self.buckets.get(bucket)?.get(key)?;
        Some(String::from_utf8_lossy(&object.body).trim().to_owned())
    }

    fn give_spot_notice(&mut self, id: &str) {
        let end = self.now.after_ms(SPOT_NOTICE);
        let group = self.end_instance_at(id, end);
        self.record(Happening::SpotNotice { group, instance: id.to_owned() });
    }

    /// EC2 ends the instance at `end`; Auto Scaling sees it a little later. Returns its group.
    pub(super) fn end_instance_at(&mut self, id: &str, end: super::Time) -> String {
        let seen = end.after_ms(self.timing.ec2_check.draw(&mut self.rng));
        let Some(instance) = self.instances.get_mut(id) else { return String::new() };
        instance.interrupted_at = Some(end);
        instance.answers_until = Some(instance.answers_until.map_or(end, |t| t.min(end)));
        instance.until = Some(seen);
        self.stir.traffic = true;
        instance.group.clone()
    }

    /// The instance ended some seconds ago; now Auto Scaling knows.
    fn notice_end(&mut self, id: &str) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.until = None;
        let group = instance.group.clone();
        self.touch(&group);
    }

    fn terminated(&mut self, id: &str) {
        let listed = self.now.after_ms(self.timing.terminated_listed.draw(&mut self.rng));
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.enter(Lifecycle::Terminated);
        instance.until = Some(listed);
        let group = instance.group.clone();
        let registered: Vec<String> =
            self.target_groups.iter().filter(|(_, g)| g.targets.contains_key(id)).map(|(arn, _)| arn.clone()).collect();
        for arn in registered {
            self.drop_target(&arn, id);
        }
        self.end_activity(&group, id, "Successful");
        self.record(Happening::Terminated { group: group.clone(), instance: id.to_owned() });
        self.touch(&group);
    }
}
