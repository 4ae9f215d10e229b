//! Capacity and traffic by colour over the time of a rehearsal, from what the account's log says of each moment.

use super::super::trace::since;
use crate::config::Environment;
use crate::sandbox::world::{Action, Entry, Happening, Instance, Lifecycle, TargetState, World};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The environments from one moment on, until the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    pub at_seconds: f64,
    /// Environment to colour.
    pub envs: BTreeMap<String, BTreeMap<String, ColorSample>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorSample {
    /// Instances in service, and those of them that the load balancer finds healthy.
    pub in_service: u32,
    pub healthy: u32,
    /// Of the requests, 0 to 1.
    pub share: f64,
}

/// A sample at the beginning, and one at each moment at which something is otherwise than before.
pub fn samples(before: &World, after: &World, envs: &[&Environment]) -> Vec<Sample> {
    let mut curves: BTreeMap<&str, Curve> =
        envs.iter().map(|env| (env.region.as_str(), Curve::of(before.seen_from(&env.region).into_owned()))).collect();
    let now = |curves: &BTreeMap<&str, Curve>| envs.iter().map(|env| (env.name.clone(), curves[env.region.as_str()].colors(env))).collect();
    let mut samples = vec![Sample { at_seconds: 0.0, envs: now(&curves) }];
    let entries = since(before, after);
    for (index, (region, entry)) in entries.iter().enumerate() {
        if let Some(curve) = curves.get_mut(region) {
            curve.follow(entry);
        }
        if entries.get(index + 1).is_some_and(|(_, next)| next.at == entry.at) {
            continue;
        }
        let envs = now(&curves);
        if samples.last().is_none_or(|last| last.envs != envs) {
            samples.push(Sample { at_seconds: entry.at.since(before.now) as f64 / 1000.0, envs });
        }
    }
    samples
}

/// The account as the log tells it.
struct Curve {
    /// Its rules alone are followed; nothing in it moves by itself.
    world: World,
    /// Instance to its group: those in service.
    in_service: BTreeMap<String, String>,
    /// Instance to its group: all that were ever seen.
    groups: BTreeMap<String, String>,
    /// Target group ARN to instances.
    healthy: BTreeMap<String, BTreeSet<String>>,
}

impl Curve {
    fn of(world: World) -> Curve {
        let pair = |instance: &Instance| (instance.id.clone(), instance.group.clone());
        let healthy = world.target_groups.iter().map(|(arn, group)| {
            let healthy = group.targets.values().filter(|target| target.state == TargetState::Healthy);
            (arn.clone(), healthy.map(|target| target.id.clone()).collect())
        });
        Curve {
            in_service: world.instances.values().filter(|i| i.lifecycle == Lifecycle::InService).map(pair).collect(),
            groups: world.instances.values().map(pair).collect(),
            healthy: healthy.collect(),
            world,
        }
    }

    fn follow(&mut self, entry: &Entry) {
        match &entry.what {
            Happening::InService { group, instance } => {
                self.groups.insert(instance.clone(), group.clone());
                self.in_service.insert(instance.clone(), group.clone());
            }
            Happening::Terminating { instance, .. } | Happening::Terminated { instance, .. } => {
                self.in_service.remove(instance);
            }
            Happening::TargetState { target_group, instance, state, .. } => {
                let healthy = self.healthy.entry(target_group.clone()).or_default();
                if state == "healthy" {
                    healthy.insert(instance.clone())
                } else {
                    healthy.remove(instance)
                };
            }
            Happening::Propagated { resource, node, targets } => {
                let rule = self.world.rules.get_mut(resource).map(|rule| &mut rule.actions);
                let actions = rule.or_else(|| self.world.listeners.get_mut(resource).map(|listener| &mut listener.actions));
                if let Some(at) = actions.and_then(|actions| actions.nodes.get_mut(*node)) {
                    *at = vec![Action::Forward { targets: targets.clone(), stickiness_seconds: None }];
                }
            }
            Happening::Call { .. }
            | Happening::Resized { .. }
            | Happening::Rerouted { .. }
            | Happening::Launched { .. }
            | Happening::Booted { .. }
            | Happening::LaunchFailed { .. }
            | Happening::SpotNotice { .. }
            | Happening::Scaled { .. }
            | Happening::Broken { .. }
            | Happening::Throttled { .. } => {}
        }
    }

    fn colors(&self, env: &Environment) -> BTreeMap<String, ColorSample> {
        let shares = self.world.shares(&env.name);
        let mut all = BTreeMap::new();
        for color in &env.colors {
            let in_service = self.in_service.values().filter(|group| **group == color.asg).count();
            let own = |id: &&String| self.groups.get(*id) == Some(&color.asg);
            let (mut fewest, mut share) = (None, 0.0);
            for group in self.world.target_groups.values().filter(|group| color.target_groups().any(|name| *name == group.name)) {
                let healthy = self.healthy.get(&group.arn);
                let (mine, all) = (healthy.map_or(0, |h| h.iter().filter(own).count()), healthy.map_or(0, BTreeSet::len));
                fewest = Some(fewest.map_or(mine, |fewest: usize| fewest.min(mine)));
                // In a target group that colours share, by who is healthy there.
                let part = if all == 0 { 1.0 } else { mine as f64 / all as f64 };
                share += shares.get(&group.arn).copied().unwrap_or(0.0) * part;
            }
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let share = (share * 1000.0).round() / 1000.0;
            let sample = ColorSample { in_service: count(in_service), healthy: count(fewest.unwrap_or(0)), share };
            all.insert(color.name.clone(), sample);
        }
        all
    }
}
