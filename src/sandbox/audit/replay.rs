//! The environment at any instant, rebuilt from the first world and the log alone.

use super::charter::Resolved;
use crate::sandbox::world::{Action, Actions, Caller, Entry, Happening, Instance, Lifecycle, TargetState, Time, Weighted, World};
use std::collections::{BTreeMap, BTreeSet};

/// Shares of a listener's or rule's requests by target group; they sum to 1, or there are none.
pub(super) type Shares = BTreeMap<String, f64>;

/// What stands in the log about the environment, folded up to some instant.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// By rule or listener of a route: what the API says.
    pub api: BTreeMap<String, Shares>,
    /// By rule or listener of a route: what each node does.
    pub nodes: BTreeMap<String, Vec<Shares>>,
    /// By target group: its registered targets that are not draining, and whether each is healthy.
    pub targets: BTreeMap<String, BTreeMap<String, bool>>,
    pub groups: BTreeMap<String, Sizes>,
    /// Desired capacity by group at the start, where it was not 0.
    pub wanted_first: BTreeMap<String, u32>,
    /// Version that an instance booted.
    pub versions: BTreeMap<String, String>,
    /// When an instance booted, and the index of the log that it is put down to; those that ran at the start have none.
    pub booted: BTreeMap<String, (Time, usize)>,
    /// Group of every instance that ever was.
    pub owner: BTreeMap<String, String>,
    /// Instances that the world broke: the application does not answer from this moment on.
    pub broken: BTreeMap<String, Time>,
    /// By target group: losses of healthy targets that were the world's doing and are not made up for yet, oldest first.
    pub losses: BTreeMap<String, Vec<Time>>,
    /// Index in the log of the client's last call on each resource; a call on an instance counts for its group.
    pub touched: BTreeMap<String, usize>,
    /// When routes were last changed.
    pub last_route_change: Option<Time>,
    /// It was not the client who did that.
    pub moved_by_other: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub min: u32,
    pub desired: u32,
    pub suspended: BTreeSet<String>,
}

/// A two-minute notice ends like this much later.
pub(super) const SPOT_NOTICE: u64 = 120_000;

impl Scene {
    pub fn begin(names: &Resolved, world: &World) -> Scene {
        let actions = |resource: &String| -> Option<&Actions> {
            world.rules.get(resource).map(|r| &r.actions).or_else(|| world.listeners.get(resource).map(|l| &l.actions))
        };
        let found = || names.routes.iter().filter_map(|(arn, _)| Some((arn.clone(), actions(arn)?)));
        let sizes = |name: &String| {
            let group = world.groups.get(name)?;
            Some((name.clone(), Sizes { min: group.min, desired: group.desired, suspended: group.suspended.clone() }))
        };
        let broken = |i: &Instance| Some((i.id.clone(), i.interrupted_at.into_iter().chain(i.answers_until).min()?));
        Scene {
            api: found().map(|(arn, a)| (arn, shares(weighted(&a.api)))).collect(),
            nodes: found().map(|(arn, a)| (arn, a.nodes.iter().map(|n| shares(weighted(n))).collect())).collect(),
            targets: world
                .target_groups
                .iter()
                .map(|(arn, group)| {
                    let known = group.targets.values().filter(|t| t.state != TargetState::Draining);
                    (arn.clone(), known.map(|t| (t.id.clone(), t.state == TargetState::Healthy)).collect())
                })
                .collect(),
            groups: names.charter.colors.iter().filter_map(|c| sizes(&c.group)).collect(),
            wanted_first: world.groups.values().filter(|g| g.desired > 0).map(|g| (g.name.clone(), g.desired)).collect(),
            versions: world.instances.values().filter_map(|i| Some((i.id.clone(), i.version.clone()?))).collect(),
            booted: BTreeMap::new(),
            owner: world.instances.values().map(|i| (i.id.clone(), i.group.clone())).collect(),
            broken: world.instances.values().filter(|i| i.lifecycle != Lifecycle::Terminated).filter_map(broken).collect(),
            losses: BTreeMap::new(),
            touched: BTreeMap::new(),
            last_route_change: None,
            moved_by_other: false,
        }
    }

    /// Folds in the entry at `index` of the whole log.
    pub fn apply(&mut self, log: &[Entry], index: usize) {
        let Entry { at, what } = &log[index];
        match what {
            Happening::Rerouted { resource, targets } => {
                if let Some(known) = self.api.get_mut(resource) {
                    *known = shares(targets);
                    self.last_route_change = Some(*at);
                }
            }
            Happening::Propagated { resource, node, targets } => {
                if let Some(slot) = self.nodes.get_mut(resource).and_then(|nodes| nodes.get_mut(*node)) {
                    *slot = shares(targets);
                }
            }
            Happening::TargetState { target_group, instance, state, reason } => {
                self.move_target(log, index, target_group, instance, (state, reason));
            }
            Happening::Resized { group, min, desired, .. } => {
                if let Some(known) = self.groups.get_mut(group) {
                    (known.min, known.desired) = (*min, *desired);
                }
            }
            Happening::Scaled { group, to, .. } => {
                if let Some(known) = self.groups.get_mut(group) {
                    known.desired = *to;
                }
            }
            Happening::Call { operation, resource, set, by, .. } => {
                if *by == Caller::Client {
                    self.touched.insert(self.owner.get(resource).unwrap_or(resource).clone(), index);
                }
                if self.api.contains_key(resource) {
                    self.moved_by_other = *by == Caller::Other;
                }
                self.switch_processes(operation, resource, set);
            }
            Happening::Booted { instance, version, .. } => {
                self.versions.insert(instance.clone(), version.clone());
                self.booted.insert(instance.clone(), (*at, index));
            }
            Happening::Launched { group, instance } => drop(self.owner.insert(instance.clone(), group.clone())),
            Happening::SpotNotice { instance, .. } => drop(self.broken.insert(instance.clone(), at.after_ms(SPOT_NOTICE))),
            Happening::Broken { instance, .. } => drop(self.broken.entry(instance.clone()).or_insert(*at)),
            Happening::InService { .. }
            | Happening::Terminating { .. }
            | Happening::Terminated { .. }
            | Happening::LaunchFailed { .. }
            | Happening::Throttled { .. } => {}
        }
    }

    fn move_target(&mut self, log: &[Entry], index: usize, target_group: &str, instance: &str, (state, reason): (&str, &str)) {
        let gone = state == "draining" || reason == "Target.NotRegistered";
        let targets = self.targets.entry(target_group.to_owned()).or_default();
        let was_healthy = targets.get(instance).copied().unwrap_or(false);
        let is_healthy = state == "healthy";
        if gone {
            targets.remove(instance);
        } else {
            targets.insert(instance.to_owned(), is_healthy);
        }
        let losses = self.losses.entry(target_group.to_owned()).or_default();
        if is_healthy && !was_healthy && !losses.is_empty() {
            losses.remove(0);
        }
        if was_healthy && !is_healthy && !lost_by_client(log, index, instance, state) {
            losses.push(log[index].at);
        }
    }

    fn switch_processes(&mut self, operation: &str, group: &str, set: &str) {
        let Some(known) = self.groups.get_mut(group) else { return };
        let named = set.split(',').map(str::to_owned);
        match operation {
            "SuspendProcesses" => known.suspended.extend(named),
            "ResumeProcesses" => named.for_each(|process| {
                known.suspended.remove(&process);
            }),
            _ => {}
        }
    }

    /// Target groups that get requests on some node, each with its largest share there.
    pub fn bearing(&self) -> Shares {
        let mut found = Shares::new();
        for (arn, share) in self.nodes.values().flatten().flatten() {
            let largest = found.entry(arn.clone()).or_default();
            *largest = largest.max(*share);
        }
        found
    }

    /// The group's target group gets requests, by the API or on some node.
    pub fn serves(&self, target_group: &str) -> bool {
        self.api.values().chain(self.nodes.values().flatten()).any(|shares| shares.contains_key(target_group))
    }

    /// Instances of a group that are registered in a target group.
    pub fn registered(&self, target_group: &str, group: &str) -> usize {
        let own = |id: &&String| self.owner.get(*id).is_some_and(|owner| owner == group);
        self.targets.get(target_group).map_or(0, |targets| targets.keys().filter(own).count())
    }

    pub fn healthy(&self, target_group: &str) -> u32 {
        self.targets.get(target_group).map_or(0, |t| t.values().filter(|healthy| **healthy).count() as u32)
    }

    /// Targets that requests go to: the healthy ones, or all when none is.
    pub fn reached(&self, target_group: &str) -> Vec<&str> {
        let Some(targets) = self.targets.get(target_group) else { return Vec::new() };
        let open = targets.values().all(|healthy| !healthy);
        targets.iter().filter(|(_, healthy)| open || **healthy).map(|(id, _)| id.as_str()).collect()
    }

    /// Targets that get requests though the world has broken them, as a share of those that get any.
    pub fn broken_share(&self, target_group: &str, now: Time) -> f64 {
        let reached = self.reached(target_group);
        let broken = reached.iter().filter(|id| self.broken.get(**id).is_some_and(|from| *from <= now)).count();
        broken as f64 / reached.len().max(1) as f64
    }
}

/// Whether a client's call took this healthy target out, rather than AWS, its policies, or somebody else.
fn lost_by_client(log: &[Entry], index: usize, instance: &str, state: &str) -> bool {
    match state {
        // Its target group left every rule.
        "unused" => rerouted_by_client(log, index),
        "draining" => {
            // The deregistration stands in the log just before the termination that it belongs to.
            let here = log[index..].iter().take_while(|e| e.at == log[index].at);
            let mut terminations = here.filter_map(|e| {
                if let Happening::Terminating { instance: id, cause, group } = &e.what {
                    return (id == instance).then_some((cause, group));
                }
                None
            });
            match terminations.next() {
                Some((cause, group)) => cause.contains("user request") && asked_by_client(log, index, group, instance),
                None => asked_by_client(log, index, "", instance),
            }
        }
        // Its checks fail: no call does that.
        _ => false,
    }
}

/// The last change of a route was the client's.
fn rerouted_by_client(log: &[Entry], index: usize) -> bool {
    let by = log[..=index].iter().rev().find_map(|entry| match &entry.what {
        Happening::Call { operation, by, .. } if ["ModifyRule", "ModifyListener"].contains(&operation.as_str()) => Some(*by),
        _ => None,
    });
    by != Some(Caller::Other)
}

/// The last call that could have ended this instance was the client's.
fn asked_by_client(log: &[Entry], index: usize, group: &str, instance: &str) -> bool {
    let ends = |operation: &str, resource: &str, set: &str| match operation {
        "UpdateAutoScalingGroup" | "SetDesiredCapacity" => resource == group,
        "TerminateInstanceInAutoScalingGroup" => resource == instance,
        "DeregisterTargets" => set.split(',').any(|id| id == instance),
        _ => false,
    };
    for entry in log[..=index].iter().rev() {
        if let Happening::Call { operation, resource, set, by, .. } = &entry.what
            && ends(operation, resource, set)
        {
            return *by == Caller::Client;
        }
    }
    false
}

/// The weighted target groups of the routing action.
pub(super) fn weighted(actions: &[Action]) -> &[Weighted] {
    match actions.last() {
        Some(Action::Forward { targets, .. }) => targets,
        Some(Action::FixedResponse { .. } | Action::Redirect { .. }) | None => &[],
    }
}

pub(super) fn shares(targets: &[Weighted]) -> Shares {
    let total: u32 = targets.iter().map(|w| w.weight).sum();
    let part = |w: &Weighted| (w.target_group.clone(), f64::from(w.weight) / f64::from(total));
    targets.iter().filter(|w| w.weight > 0).map(part).collect()
}
