//! A world that was filled by hand goes on by itself: timers that no API tells are set, and what belongs together is brought together.

use super::build::SETTLED;
use super::targets::NOT_IN_USE;
use super::{Lifecycle, TargetState, Time, World};

/// Holds targets whose instances belong to no group of this world; nothing is launched or ended there.
pub const ELSEWHERE: &str = "(elsewhere)";

impl World {
    /// Sets what moves instances and targets on, draws what is not known, and follows up.
    pub fn take_up(&mut self) {
        self.take_up_instances();
        self.take_up_elsewhere();
        self.take_up_targets();
        for group in self.groups.values_mut() {
            let healthy = |arn: &&String| {
                self.target_groups.get(*arn).is_some_and(|g| g.targets.values().any(|target| target.state == TargetState::Healthy))
            };
            group.traffic_in_service = group.target_groups.iter().filter(healthy).cloned().collect();
        }
        self.refresh();
    }

    /// Addresses, and when the present state of each ends.
    fn take_up_instances(&mut self) {
        let ids: Vec<String> = self.instances.keys().cloned().collect();
        for id in ids {
            let address = self.instances.get(&id).is_some_and(|i| i.private_ip.is_empty()).then(|| self.new_private_ip());
            let ends = self.timing.termination.draw(&mut self.rng);
            let Some(instance) = self.instances.get_mut(&id) else { continue };
            let boot = self.groups.get(&instance.group).map_or(0, |group| group.boot.draw(&mut self.rng));
            instance.private_ip = address.unwrap_or_else(|| instance.private_ip.clone());
            instance.until = match instance.lifecycle {
                // What takes longer than any boot before is about to come.
                Lifecycle::Pending => Some(instance.launched.after_ms(boot).max(self.now.after_ms(1000))),
                Lifecycle::Terminating | Lifecycle::Terminated => Some(self.now.after_ms(ends)),
                Lifecycle::InService | Lifecycle::Standby => None,
            };
        }
    }

    /// Targets that are no instance of any group: they serve, and nothing here moves them.
    fn take_up_elsewhere(&mut self) {
        let targets = self.target_groups.values().flat_map(|group| group.targets.values());
        let lost: Vec<(String, bool)> = targets
            .filter(|target| !self.instances.contains_key(&target.id))
            .map(|target| (target.id.clone(), !matches!(target.state, TargetState::Unhealthy { .. })))
            .collect();
        for (id, answers) in lost {
            let since = Time(self.now.0.saturating_sub(SETTLED));
            if !self.groups.contains_key(ELSEWHERE) {
                let group = super::plain_group(ELSEWHERE, "");
                let suspended = ["Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy"].map(str::to_owned).into();
                self.groups.insert(ELSEWHERE.to_owned(), super::Group { suspended, ..group });
            }
            if let Some(group) = self.groups.get_mut(ELSEWHERE).filter(|_| !self.instances.contains_key(&id)) {
                group.desired += 1;
                group.max = group.desired;
            }
            let private_ip = self.new_private_ip();
            let instance = super::Instance {
                id: id.clone(),
                group: ELSEWHERE.to_owned(),
                lifecycle: Lifecycle::InService,
                healthy: true,
                protected: false,
                zone: format!("{}a", self.region),
                instance_type: String::new(),
                spot: false,
                private_ip,
                launched: since,
                until: None,
                in_service: Some(since),
                answers_from: answers.then_some(since),
                answers_until: None,
                version: None,
                interrupted_at: None,
                next_interruption: None,
            };
            self.instances.entry(id).or_insert(instance);
        }
    }

    /// The next check of what is checked; what a rule has just taken up or let go is so from now on.
    fn take_up_targets(&mut self) {
        let used = self.target_groups_in_use();
        let now = self.now;
        for (arn, group) in &mut self.target_groups {
            let interval = u64::from(group.interval_seconds.max(1)) * 1000;
            for target in group.targets.values_mut() {
                let (next, drain) = (self.rng.between(0, interval), u64::from(group.deregistration_delay_seconds) * 1000);
                (target.next_check, target.draining_until) = (None, None);
                match target.state {
                    TargetState::Draining => target.draining_until = Some(now.after_ms(drain.max(1))),
                    _ if !used.contains(arn) => target.state = TargetState::unused(NOT_IN_USE),
                    TargetState::Unused { .. } => {}
                    TargetState::Initial { .. } | TargetState::Healthy | TargetState::Unhealthy { .. } => {
                        target.next_check = Some(now.after_ms(next.max(1)));
                    }
                }
            }
        }
    }
}
