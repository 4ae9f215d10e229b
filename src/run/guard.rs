//! What bgx refuses to do, whatever the playbook says; the rules are pure, the facts are read by the gate.
//!
//! They hold while undoing too. A refusal names the fact, the limit and the way to go on.

use super::RunError;
use super::traffic::{Topology, target_group_name};
use crate::account::{Action, GroupSettings, Refresh};
use crate::config::Environment;
use std::collections::BTreeMap;

/// What a playbook's header allows, always with a reason; guards 2 and 3 yield to nothing but the first three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allow {
    TakeDown,
    MixedVersions,
    LessCapacity,
    /// The run has no lock, and its journal is a file: for an outage of what they are kept in.
    WithoutState,
}

/// Guard 1: only what `bgx.toml` names for this environment is written.
pub fn within(env: &Environment, topology: Option<&Topology>, action: &Action) -> Result<(), RunError> {
    let named = |list: &[String], name: &str| list.iter().any(|known| matches(known, name));
    let own_asg = |asg: &str| env.colors.iter().any(|c| c.asg == asg) || named(&env.extra.asgs, asg);
    let lock = env.lock_key();
    let own_key = |key: &str| {
        // The lock is written by the gate itself and by no action.
        if env.state.bucket == env.bucket && key == lock {
            return false;
        }
        let discovery = env.discovery_key(&env.discovery_name, "*").is_some_and(|pattern| matches(&pattern, key));
        let own = env.colors.iter().map(|c| &c.version_key).chain(&env.build_lock).chain(&env.message).any(|own| own == key);
        own || discovery || named(&env.extra.objects, key)
    };
    let allowed = match action {
        Action::Capacity { asg, .. } | Action::Processes { asg, .. } | Action::Standby { asg, .. } => own_asg(asg),
        Action::CancelRefresh { asg } | Action::Terminate { asg, .. } => own_asg(asg),
        Action::Refresh { asg, bucket, key, .. } => own_asg(asg) && *bucket == env.bucket && own_key(key),
        Action::Targets { asg, target_group, .. } => own_asg(asg) && topology.is_some_and(|t| t.color_of(target_group).is_some()),
        Action::Forward { env: name, routes, weights } => {
            let known = topology.is_some_and(|t| {
                routes.iter().all(|r| t.routes.contains(r)) && weights.iter().all(|(arn, w)| *w == 0 || t.color_of(arn).is_some())
            });
            *name == env.name && known
        }
        Action::ForwardEach { env: name, routes } => {
            let known = topology.is_some_and(|t| routes.iter().all(|r| t.routes.contains(&r.route)));
            *name == env.name && known
        }
        Action::Parameter { name, .. } => name.starts_with(&format!("{}/", env.parameters)) || named(&env.extra.parameters, name),
        Action::Object { bucket, key, .. } => *bucket == env.bucket && own_key(key),
        Action::Copy { bucket, to, .. } => *bucket == env.bucket && own_key(to),
    };
    if allowed {
        return Ok(());
    }
    Err(RunError::refused(
        format!("`{}` does not belong to environment `{}`", action.resource(), env.name),
        format!("name it under [env.{}.extra] in bgx.toml", env.name),
    ))
}

/// `*` at the end of a pattern matches any rest; `*` inside matches any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail),
    }
}

/// Processes without which Auto Scaling does not replace what dies (AWS page "Suspend and resume Amazon EC2 Auto Scaling processes").
const REPLACING: [&str; 5] = ["AddToLoadBalancer", "HealthCheck", "Launch", "ReplaceUnhealthy", "Terminate"];

/// Guard 2: a group that production traffic reaches is never shrunk or emptied, and what dies there is replaced.
pub fn keeps_serving(group: &GroupSettings, carries_traffic: bool, allow: &[Allow], action: &Action) -> Result<(), RunError> {
    if !carries_traffic || allow.contains(&Allow::TakeDown) {
        return Ok(());
    }
    if let Action::Processes { asg, suspend, .. } = action
        && let Some(process) = REPLACING.iter().find(|process| suspend.contains(**process))
    {
        return Err(RunError::refused(
            format!("`{asg}` serves production traffic, and without {process} nobody would replace an instance that dies"),
            "protect_asg(…, #{ freeze: true }) keeps its size from moving and lets it be replaced",
        ));
    }
    let Action::Capacity { asg, max, desired, .. } = action else { return Ok(()) };
    let lowest = desired.unwrap_or(group.desired).min(max.unwrap_or(u32::MAX));
    if lowest >= group.desired {
        return Ok(());
    }
    Err(RunError::refused(
        format!("`{asg}` serves production traffic with {} instance(s) and would shrink to {lowest}", group.desired),
        "switch traffic to the other colour first, or declare `//! allow: take_down \"reason\"` in the playbook",
    ))
}

/// Guards 2 and 3 for one instance: it leaves a group that serves only where the header says so, and where the others are enough to go
/// on. One that is healthy leaves two others behind, of which AWS may take one.
pub fn may_leave(instance: &str, is_healthy: bool, group: &GroupSettings, others: u32, allow: &[Allow]) -> Result<(), RunError> {
    if !allow.contains(&Allow::LessCapacity) {
        return Err(RunError::refused(
            format!("`{instance}` serves production traffic in `{}`", group.name),
            "switch traffic to the other colour first, or declare `//! allow: less_capacity \"reason\"` in the playbook",
        ));
    }
    let needed = if is_healthy { group.desired.saturating_sub(1).max(2) } else { 1 };
    if others >= needed {
        return Ok(());
    }
    Err(RunError::refused(
        format!("without `{instance}`, `{}` would serve with {others} healthy target(s), and needs {needed}", group.name),
        "let the group have one instance more first: scale(…, #{ desired: … })",
    ))
}

/// What cannot be taken back is done only where a failure takes nothing back.
pub fn once_committed(instance: &str, committed: bool) -> Result<(), RunError> {
    if committed {
        return Ok(());
    }
    Err(RunError::refused(
        format!("`{instance}` would not come back, and a failure takes everything back until `commit()`"),
        "call commit() first: from there on, what is done stays",
    ))
}

/// Guards 2 and 3 for an instance that ends: as [`may_leave`], but several of a group may go at a time, and half of it stays.
pub fn may_end(instance: &str, is_healthy: bool, group: &GroupSettings, others: u32, allow: &[Allow]) -> Result<(), RunError> {
    if allow.contains(&Allow::TakeDown) {
        return Ok(());
    }
    if !allow.contains(&Allow::LessCapacity) {
        return Err(RunError::refused(
            format!("`{instance}` serves production traffic in `{}`", group.name),
            "switch traffic to the other colour first, or declare `//! allow: less_capacity \"reason\"` in the playbook",
        ));
    }
    let needed = if is_healthy { group.desired.div_ceil(2).max(2) } else { 1 };
    if others >= needed {
        return Ok(());
    }
    Err(RunError::refused(
        format!("without `{instance}`, `{}` would serve with {others} healthy target(s), and needs {needed}", group.name),
        "let the group have more instances first: scale(…, #{ desired: … })",
    ))
}

/// Guard 3 for targets: those that stay are enough to go on with.
pub fn leaves_enough(target_group: &str, leaving: usize, left: u32, needed: u32, allow: &[Allow]) -> Result<(), RunError> {
    let least = if allow.contains(&Allow::LessCapacity) { 1 } else { needed };
    if leaving == 0 || left >= least || allow.contains(&Allow::TakeDown) {
        return Ok(());
    }
    Err(RunError::refused(
        format!("{} would be left with {left} healthy target(s), and needs {least}", target_group_name(target_group)),
        "register others and wait until they are healthy first",
    ))
}

/// Guard 3 for targets: instances of two groups serve at once only where the playbook says so.
pub fn one_group(target_group: &str, allow: &[Allow]) -> Result<(), RunError> {
    if allow.contains(&Allow::MixedVersions) {
        return Ok(());
    }
    Err(RunError::refused(
        format!("instances of two groups would serve at the same time in {}", target_group_name(target_group)),
        "declare `//! allow: mixed_versions \"reason\"` in the playbook if that is what it is for",
    ))
}

/// A refresh is taken back by another one, to what the version key said: so it must say something, and nobody else's may be under way.
pub fn can_return(asg: &str, version: Option<&str>, newest: Option<&Refresh>) -> Result<(), RunError> {
    if let Some(refresh) = newest.filter(|newest| newest.is_active()) {
        return Err(RunError::refused(
            format!("an instance refresh of `{asg}` is under way already ({}, {} %)", refresh.status, refresh.percent),
            format!("wait for its end, or: aws autoscaling cancel-instance-refresh --auto-scaling-group-name {asg}"),
        ));
    }
    match version {
        Some(_) => Ok(()),
        None => Err(RunError::refused(
            format!("the version key of `{asg}` says nothing, so a refresh could not be taken back"),
            "write what runs there now with set_version(…) first",
        )),
    }
}

/// Guards 2 and 3 for an instance refresh of a group that serves: versions mix and instances leave only where the header says so, and
/// somebody is always left.
pub fn may_refresh(group: &GroupSettings, was: Option<&str>, allow: &[Allow], action: &Action) -> Result<(), RunError> {
    let Action::Refresh { asg, version, min_healthy, .. } = action else { return Ok(()) };
    let declare = |what: &str, word: &str| {
        Err(RunError::refused(
            format!("`{asg}` serves production traffic, and {what}"),
            format!("declare `//! allow: {word} \"reason\"` in the playbook"),
        ))
    };
    if was != Some(version) && !allow.contains(&Allow::MixedVersions) {
        return declare("two versions would serve while it is refreshed", "mixed_versions");
    }
    let leaves = leave_at_once(group.desired, *min_healthy);
    if leaves > 0 && !allow.contains(&Allow::LessCapacity) {
        return declare(&format!("{leaves} of {} instance(s) would leave at once", group.desired), "less_capacity");
    }
    if leaves >= group.desired && !allow.contains(&Allow::TakeDown) {
        return Err(RunError::refused(
            format!("`{asg}` serves production traffic with {} instance(s), and all of them would leave at once", group.desired),
            "ask for 100 % healthy, which launches first, or give the group more instances",
        ));
    }
    Ok(())
}

/// Instances that a refresh takes at once: as many as may be missing, one at least; none where it launches first.
fn leave_at_once(desired: u32, min_healthy: u32) -> u32 {
    match min_healthy {
        100.. => 0,
        percent => (desired - (desired * percent).div_ceil(100)).max(1),
    }
}

/// What guard 3 must know about one target group that is to get traffic.
#[derive(Clone, Debug)]
pub struct Receiver {
    pub color: String,
    pub arn: String,
    pub healthy: u32,
    /// Targets by state, for the refusal's text.
    pub states: BTreeMap<String, u32>,
    /// Healthy targets that it must have.
    pub needed: u32,
}

/// Guard 3: traffic goes only to a target group with enough healthy targets.
pub fn can_receive(receiver: &Receiver) -> Result<(), RunError> {
    if receiver.healthy >= receiver.needed {
        return Ok(());
    }
    let states = receiver.states.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ");
    let states = if states.is_empty() { "no targets".to_owned() } else { states };
    Err(RunError::refused(
        format!(
            "{} has {} healthy target(s) and needs {} to take production traffic ({states})",
            receiver.color, receiver.healthy, receiver.needed
        ),
        "wait with wait_healthy(…) while it stands in the rule at weight 0, or ask for less with accept_less(…)",
    ))
}

/// Guard 3: the load balancer checks only the targets of a group that stands in the rule.
pub fn not_checked(color: &str) -> RunError {
    RunError::refused(
        format!("{color} does not stand in the rule, so the load balancer does not check its targets"),
        "put it there with set_weights(#{…, share: 0}), then wait with wait_healthy(…)",
    )
}

/// Guard 3: a target that is to serve runs what is recorded for its colour.
pub fn another_build(instance: &str, asg: &str, runs: &str, recorded: &str) -> RunError {
    RunError::refused(
        format!("`{instance}` of {asg} runs {runs}, and {recorded} is recorded for its colour"),
        "boot the colour afresh, or say what it is to run: record_version(c.idle, …)",
    )
}

/// Guard 3: two versions serve at once only where the playbook says so.
pub fn one_version(weights: &BTreeMap<String, u32>, allow: &[Allow]) -> Result<(), RunError> {
    let live: Vec<&str> = weights.iter().filter(|(_, w)| **w > 0).map(|(arn, _)| target_group_name(arn)).collect();
    match live.as_slice() {
        [] => Err(RunError::refused("no target group would get traffic", "give one colour a weight above 0")),
        [_] => Ok(()),
        _ if allow.contains(&Allow::MixedVersions) => Ok(()),
        many => Err(RunError::refused(
            format!("{} would serve at the same time", many.join(" and ")),
            "declare `//! allow: mixed_versions \"reason\"` in the playbook if that is what it is for",
        )),
    }
}

/// Target groups whose share of a route's traffic rises: these must be able to take it.
pub fn rising<'a>(before: &BTreeMap<String, u32>, after: &'a BTreeMap<String, u32>) -> Vec<&'a str> {
    let total = |weights: &BTreeMap<String, u32>| u64::from(weights.values().sum::<u32>());
    let (all_before, all_after) = (total(before), total(after));
    let rises = |(arn, weight): &(&String, &u32)| {
        let was = u64::from(before.get(*arn).copied().unwrap_or(0));
        u64::from(**weight) * all_before.max(1) > was * all_after
    };
    after.iter().filter(rises).map(|(arn, _)| arn.as_str()).collect()
}

/// Target groups whose share of a route's traffic falls to nothing.
pub fn leaving<'a>(before: &'a BTreeMap<String, u32>, after: &BTreeMap<String, u32>) -> Vec<&'a str> {
    let gone = |(arn, weight): &(&String, &u32)| **weight > 0 && after.get(*arn).copied().unwrap_or(0) == 0;
    before.iter().filter(gone).map(|(arn, _)| arn.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(desired: u32) -> GroupSettings {
        GroupSettings { name: "beta-blue".into(), min: 0, max: 4, desired, suspended: Default::default() }
    }

    fn capacity(min: Option<u32>, max: Option<u32>, desired: Option<u32>) -> Action {
        Action::Capacity { asg: "beta-blue".into(), min, max, desired }
    }

    #[test]
    fn a_group_with_traffic_is_not_shrunk_by_desired_or_by_max() {
        assert!(keeps_serving(&group(3), true, &[], &capacity(None, None, Some(2))).is_err());
        assert!(keeps_serving(&group(3), true, &[], &capacity(None, Some(2), None)).is_err());
        assert!(keeps_serving(&group(3), true, &[], &capacity(Some(0), None, None)).is_ok());
        assert!(keeps_serving(&group(3), true, &[], &capacity(None, None, Some(3))).is_ok());
        assert!(keeps_serving(&group(3), false, &[], &capacity(None, None, Some(0))).is_ok());
        assert!(keeps_serving(&group(3), true, &[Allow::TakeDown], &capacity(None, None, Some(0))).is_ok());
    }

    #[test]
    fn a_group_with_traffic_goes_on_replacing_what_dies() {
        let suspend =
            |process: &str| Action::Processes { asg: "beta-blue".into(), suspend: [process.to_owned()].into(), resume: Default::default() };
        assert!(keeps_serving(&group(3), true, &[], &suspend("Launch")).unwrap_err().to_string().contains("without Launch nobody"));
        assert!(keeps_serving(&group(3), true, &[], &suspend("AZRebalance")).is_ok());
        assert!(keeps_serving(&group(3), false, &[], &suspend("Launch")).is_ok());
    }

    #[test]
    fn an_instance_leaves_a_serving_group_only_where_the_others_are_enough_and_the_header_says_so() {
        let leaves = |healthy, desired, others, allow: &[Allow]| may_leave("i-1", healthy, &group(desired), others, allow);
        let declared = [Allow::LessCapacity];
        assert!(leaves(true, 3, 2, &[]).is_err());
        assert!(leaves(true, 3, 2, &declared).is_ok());
        assert!(leaves(true, 4, 2, &declared).is_err());
        assert!(leaves(false, 4, 1, &declared).is_ok(), "nobody misses it");
        let last = leaves(true, 2, 1, &declared).unwrap_err().to_string();
        assert_eq!(last, "without `i-1`, `beta-blue` would serve with 1 healthy target(s), and needs 2");
    }

    #[test]
    fn an_instance_of_a_serving_group_ends_only_where_half_of_it_stays_and_the_header_says_so() {
        let ends = |healthy, desired, others, allow: &[Allow]| may_end("i-1", healthy, &group(desired), others, allow);
        let declared = [Allow::LessCapacity];
        assert!(ends(true, 6, 5, &[]).is_err());
        assert!(ends(true, 6, 3, &declared).is_ok());
        assert!(ends(true, 6, 2, &declared).is_err());
        assert!(ends(true, 2, 1, &declared).is_err(), "one alone is a death away from an outage");
        assert!(ends(false, 6, 1, &declared).is_ok(), "nobody misses it");
        assert!(ends(true, 2, 0, &[Allow::TakeDown]).is_ok());
        assert!(once_committed("i-1", false).is_err() && once_committed("i-1", true).is_ok());
    }

    #[test]
    fn targets_leave_where_those_that_stay_are_enough() {
        let leaves = |leaving, left, allow: &[Allow]| leaves_enough("a:targetgroup/Beta/1", leaving, left, 2, allow);
        assert!(leaves(2, 2, &[]).is_ok());
        assert_eq!(leaves(1, 1, &[]).unwrap_err().to_string(), "Beta would be left with 1 healthy target(s), and needs 2");
        assert!(leaves(1, 1, &[Allow::LessCapacity]).is_ok());
        assert!(leaves(1, 0, &[Allow::LessCapacity]).is_err());
        assert!(leaves(0, 0, &[]).is_ok(), "nobody misses what is not healthy");
        assert!(one_group("a:targetgroup/Beta/1", &[]).is_err());
    }

    #[test]
    fn a_refresh_mixes_versions_and_takes_instances_only_where_the_header_says_so_and_never_all() {
        let refresh = |min_healthy| Action::Refresh {
            asg: "beta-blue".into(),
            bucket: "b".into(),
            key: "version/beta".into(),
            version: "2".into(),
            min_healthy,
        };
        let may = |desired, was: &str, min_healthy, allow: &[Allow]| may_refresh(&group(desired), Some(was), allow, &refresh(min_healthy));
        let both = [Allow::MixedVersions, Allow::LessCapacity];
        assert!(may(4, "1", 75, &[Allow::LessCapacity]).unwrap_err().to_string().contains("two versions would serve"));
        assert!(may(4, "2", 75, &[Allow::LessCapacity]).is_ok(), "the same version again");
        assert!(may(4, "1", 75, &[Allow::MixedVersions]).unwrap_err().to_string().contains("1 of 4 instance(s) would leave"));
        assert!(may(4, "1", 100, &[Allow::MixedVersions]).is_ok(), "new ones come first");
        assert!(may(4, "1", 75, &both).is_ok());
        assert!(may(1, "1", 75, &both).is_err());
        assert!(may(4, "1", 0, &both).is_err());
        assert!(may(1, "1", 100, &both).is_ok());
        assert_eq!([leave_at_once(40, 75), leave_at_once(6, 75), leave_at_once(2, 75), leave_at_once(6, 99)], [10, 1, 1, 1]);
    }

    #[test]
    fn a_refresh_that_could_not_be_taken_back_is_not_begun() {
        let newest = |status: &str| Refresh { id: "r".into(), status: status.into(), reason: String::new(), start: None, percent: 40 };
        assert!(can_return("beta-blue", Some("1"), None).is_ok());
        assert!(can_return("beta-blue", Some("1"), Some(&newest("Successful"))).is_ok());
        assert!(can_return("beta-blue", None, None).is_err());
        let refusal = can_return("beta-blue", Some("1"), Some(&newest("InProgress"))).unwrap_err().to_string();
        assert_eq!(refusal, "an instance refresh of `beta-blue` is under way already (InProgress, 40 %)");
    }

    #[test]
    fn traffic_needs_enough_healthy_targets() {
        let receiver = |healthy| Receiver {
            color: "green".into(),
            arn: "a".into(),
            healthy,
            states: BTreeMap::from([("initial".to_owned(), 2)]),
            needed: 2,
        };
        assert!(can_receive(&receiver(2)).is_ok());
        let refusal = can_receive(&receiver(1)).unwrap_err().to_string();
        assert_eq!(refusal, "green has 1 healthy target(s) and needs 2 to take production traffic (2 initial)");
    }

    #[test]
    fn two_live_weights_need_the_header() {
        let both = BTreeMap::from([("tg/a/1".to_owned(), 1), ("tg/b/2".to_owned(), 99)]);
        assert!(one_version(&both, &[]).is_err());
        assert!(one_version(&both, &[Allow::MixedVersions]).is_ok());
        assert!(one_version(&BTreeMap::from([("tg/a/1".to_owned(), 0)]), &[Allow::MixedVersions]).is_err());
    }

    #[test]
    fn a_target_group_that_keeps_all_the_traffic_rises_in_weight_but_not_in_share() {
        let weights = |a: u32, b: u32| BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]);
        assert!(rising(&BTreeMap::from([("a".to_owned(), 1)]), &weights(100, 0)).is_empty());
        assert_eq!(rising(&weights(100, 0), &weights(0, 100)), ["b"]);
        assert_eq!(rising(&weights(95, 5), &weights(75, 25)), ["b"]);
        assert_eq!(rising(&BTreeMap::new(), &weights(1, 0)), ["a"]);
        assert_eq!(leaving(&weights(100, 0), &weights(0, 100)), ["a"]);
    }

    #[test]
    fn a_star_in_a_pattern_stands_for_any_text() {
        assert!(matches("dist/discovery/beta/*.json", "dist/discovery/beta/gh-1.json"));
        assert!(!matches("dist/discovery/beta/*.json", "dist/discovery/prod/gh-1.json"));
        assert!(!matches("version/beta", "version/beta2"));
    }
}
