//! What a single call may not do: reach outside the environment, shrink what serves, use up the account's API rate.

use super::charter::Resolved;
use super::replay::{Scene, shares};
use super::{Breach, Condition, Invariant, Tally};
use crate::sandbox::world::{Caller, Entry, Happening};
use std::collections::BTreeMap;

/// A client's call as the log has it.
struct Call<'a> {
    service: &'a str,
    operation: &'a str,
    resource: &'a str,
    set: &'a str,
}

/// Judges the entry at `index` against the scene just before it.
pub(super) fn judge(names: &Resolved, scene: &Scene, log: &[Entry], index: usize) -> Vec<Breach> {
    let Happening::Call { service, operation, resource, set, by: Caller::Client } = &log[index].what else { return Vec::new() };
    let call = Call { service, operation, resource, set };
    let next = log.get(index + 1).map(|entry| &entry.what);
    let mut found: Vec<Condition> = outside(names, scene, &call, next).into_iter().collect();
    if !names.charter.allows.take_down {
        found.extend(shrinks(names, scene, &call, next));
    }
    found.into_iter().map(|condition| Breach { caused_by: Some(index), ..condition.at(log[index].at) }).collect()
}

fn condition(invariant: Invariant, subject: &str, severity: u32, what: String) -> Condition {
    Condition { invariant, subject: subject.to_owned(), severity, what, caused_by: None }
}

/// I8: only what the charter names is written.
fn outside(names: &Resolved, scene: &Scene, call: &Call, next: Option<&Happening>) -> Option<Condition> {
    let charter = names.charter;
    let group = scene.owner.get(call.resource).map_or(call.resource, String::as_str);
    let own = match (call.service, call.operation) {
        ("autoscaling" | "instance", _) => charter.may_write_group(group),
        ("elasticloadbalancing", "ModifyListener" | "ModifyRule") => {
            names.is_route(call.resource) && foreign_target(names, scene, call.resource, next).is_none()
        }
        ("elasticloadbalancing", _) => names.color_of_target_group(call.resource).is_some(),
        ("ssm", "SendCommand") => charter.may_write_group(group),
        ("ssm", _) => charter.may_write_parameter(call.resource),
        ("s3", _) => charter.may_write_object(call.resource),
        _ => false,
    };
    let what = || match foreign_target(names, scene, call.resource, next) {
        Some(arn) => format!("{} sends the traffic of {} to {arn}", call.operation, charter.env),
        None => format!("{} on {group}, which is not part of {}", call.operation, charter.env),
    };
    (!own).then(|| condition(Invariant::BlastRadius, call.resource, 1, what()))
}

/// A target group that is none of the colours' and got nothing of this route before.
fn foreign_target(names: &Resolved, scene: &Scene, resource: &str, next: Option<&Happening>) -> Option<String> {
    let Some(Happening::Rerouted { targets, .. }) = next else { return None };
    let known = |arn: &String| names.color_of_target_group(arn).is_some() || scene.api.get(resource).is_some_and(|a| a.contains_key(arn));
    shares(targets).into_keys().find(|arn| !known(arn))
}

/// I9: a group that traffic reaches, by the API or on some node, keeps its desired capacity and its instances.
fn shrinks(names: &Resolved, scene: &Scene, call: &Call, next: Option<&Happening>) -> Option<Condition> {
    let breach = |group: &str, lost: u32, what: String| Some(condition(Invariant::LiveGroup, group, lost, what));
    match call.operation {
        "UpdateAutoScalingGroup" | "SetDesiredCapacity" => {
            let Some(Happening::Resized { group, desired, .. }) = next else { return None };
            let (_, target_group) = names.serves(scene, group)?;
            let old = scene.groups.get(group)?.desired;
            if *desired >= old {
                return None;
            }
            let healthy = scene.healthy(target_group);
            breach(group, old - desired, format!("{group} serves with {healthy} healthy target(s) and is shrunk from {old} to {desired}"))
        }
        "EnterStandby" if !names.charter.allows.less_capacity => {
            let group = scene.owner.get(call.resource)?;
            names.serves(scene, group)?;
            breach(group, 1, format!("{} leaves for Standby, and {group} serves", call.resource))
        }
        // Where it launches first, nobody leaves before another one is healthy.
        "StartInstanceRefresh" if !names.charter.allows.less_capacity && !call.set.contains("min_healthy=100") => {
            names.serves(scene, call.resource)?;
            breach(call.resource, 1, format!("{} is refreshed a batch at a time, and it serves", call.resource))
        }
        "TerminateInstanceInAutoScalingGroup" if !names.charter.allows.less_capacity => {
            let group = scene.owner.get(call.resource)?;
            names.serves(scene, group)?;
            breach(group, 1, format!("{} is terminated, and {group} serves", call.resource))
        }
        "DeregisterTargets" => {
            let color = names.color_of_target_group(call.resource).filter(|_| scene.serves(call.resource))?;
            let healthy = scene.targets.get(call.resource)?;
            let lost = call.set.split(',').filter(|id| healthy.get(*id) == Some(&true)).count() as u32;
            // What somebody asks for meanwhile may be known a moment later.
            let wanted = |group: &String| Some(scene.groups.get(group)?.desired.min(*scene.wanted_first.get(group).unwrap_or(&u32::MAX)));
            let wanted = |id: &str| scene.owner.get(id).and_then(wanted).unwrap_or(u32::MAX);
            let needed = call.set.split(',').map(wanted).max().unwrap_or(u32::MAX);
            // As many stay as their group wants: others have come in their place.
            if lost == 0 || scene.healthy(call.resource) - lost >= needed {
                return None;
            }
            breach(&color.group, lost, format!("{lost} healthy target(s) of {} are deregistered, and it serves", color.target_group))
        }
        _ => None,
    }
}

/// L2: calls that the account's own rate limits refused, as one breach.
pub(super) fn throttled(log: &[Entry], first: usize, tally: &mut Tally) -> Option<Breach> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut at = None;
    for entry in &log[first..] {
        if let Happening::Throttled { service, operation } = &entry.what {
            *counts.entry(format!("{service}:{operation}")).or_default() += 1;
            at = at.or(Some(entry.at));
        }
    }
    tally.throttled = counts.values().sum();
    let list: Vec<String> = counts.iter().map(|(operation, count)| format!("{count} x {operation}")).collect();
    let what = format!("the account's API rate was used up: {}", list.join(", "));
    at.map(|at| condition(Invariant::Rate, "API rate", tally.throttled, what).at(at))
}
