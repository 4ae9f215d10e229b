//! What a step may not make worse than it found it, judged on what is read for it anyway.
//!
//! The rules are pure. What this run did fails the step; what the world did meanwhile is shown and stands in nobody's way.

use super::RunError;
use super::guard::Allow;
use super::traffic::{Serving, Topology};
use crate::account::{Action, Facts, Fields};
use crate::config::Environment;

/// An invariant that does not hold any more after an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub text: String,
    /// The action did it, and not something else at the same time.
    pub ours: bool,
}

/// The record of who serves follows the listener: a write that would make it disagree where it agreed is refused.
pub fn record_follows(env: &Environment, topology: &Topology, serving: &Serving, action: &Action, before: &Fields) -> Result<(), RunError> {
    let Action::Parameter { name, value } = action else { return Ok(()) };
    // Where the listener names no single colour there is nothing to agree with.
    let Serving::Color(live) = serving else { return Ok(()) };
    let expected = match name {
        name if *name == env.active_color_parameter() => Some(live.as_str()),
        name if *name == env.active_target_group_parameter() => topology.arn(live),
        _ => None,
    };
    let Some(expected) = expected else { return Ok(()) };
    let agreed = before.get("value").cloned().flatten().as_deref() == Some(expected);
    if !agreed || value.as_deref() == Some(expected) {
        return Ok(());
    }
    Err(RunError::refused(
        format!("the listener sends traffic to {live}, and `{name}` would say {}", value.as_deref().unwrap_or("nothing")),
        "switch the traffic first: the listener is the truth, the parameter records it",
    ))
}

/// Whether the parameter is one that records who serves.
pub fn is_record(env: &Environment, action: &Action) -> bool {
    let Action::Parameter { name, .. } = action else { return false };
    *name == env.active_color_parameter() || *name == env.active_target_group_parameter()
}

/// One version serves each route, and somebody does, after a change of weights as before it.
pub fn weights_after(before: &Facts, after: &Facts, allow: &[Allow]) -> Option<Breach> {
    let (Facts::Routes(before), Facts::Routes(after)) = (before, after) else { return None };
    let live = |facts: &[crate::account::RouteFacts], label: &str| {
        facts.iter().find(|f| f.route.label == label).and_then(|f| f.forward.as_ref()).map_or(0, |forward| forward.live().len())
    };
    after.iter().find_map(|facts| {
        let label = &facts.route.label;
        let (was, is) = (live(before, label), live(after, label));
        let text = match is {
            0 if was > 0 => format!("{label} sends traffic to no target group any more"),
            1 => return None,
            many if many > was.max(1) && !allow.contains(&Allow::MixedVersions) => format!("{label} sends traffic to {many} target groups"),
            _ => return None,
        };
        Some(Breach { text, ours: true })
    })
}

/// A group that serves has no fewer instances wanted than before. `None` too where the action itself is to shrink it, which is the
/// guard's to judge.
pub fn capacity_after(action: &Action, before: &Facts, after: &Facts) -> Option<Breach> {
    let (Action::Capacity { asg, max, desired, .. }, Facts::Group(was), Facts::Group(is)) = (action, before, after) else { return None };
    let asked = desired.unwrap_or(was.desired).min(max.unwrap_or(u32::MAX));
    (is.desired < was.desired && is.desired < asked).then(|| Breach {
        text: format!("the desired capacity of {asg} went from {} to {}, which this run did not ask for", was.desired, is.desired),
        ours: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Forward, GroupSettings, RouteFacts, RouteRef};
    use std::collections::BTreeMap;

    fn group(desired: u32) -> Facts {
        Facts::Group(GroupSettings { name: "beta-blue".into(), min: 0, max: 4, desired, suspended: Default::default() })
    }

    fn routes(weights: &[(&str, u32)]) -> Facts {
        let route = RouteRef { listener: "l".into(), rule: None, label: "https:443".into() };
        let weights: BTreeMap<String, u32> = weights.iter().map(|(arn, weight)| ((*arn).to_owned(), *weight)).collect();
        let forward = Forward { weights, stickiness_seconds: None };
        Facts::Routes(vec![RouteFacts { route, forward: Some(forward), actions: Vec::new() }])
    }

    #[test]
    fn a_second_live_weight_is_a_breach_unless_it_was_there_or_is_allowed() {
        let (one, two) = (routes(&[("a", 1), ("b", 0)]), routes(&[("a", 1), ("b", 1)]));
        assert!(weights_after(&one, &two, &[]).is_some_and(|breach| breach.ours));
        assert_eq!(weights_after(&two, &two, &[]), None);
        assert_eq!(weights_after(&one, &two, &[Allow::MixedVersions]), None);
        assert_eq!(weights_after(&one, &one, &[]), None);
    }

    #[test]
    fn a_route_without_any_live_weight_is_a_breach() {
        assert!(weights_after(&routes(&[("a", 1)]), &routes(&[("a", 0)]), &[Allow::MixedVersions]).is_some());
    }

    #[test]
    fn capacity_that_autoscaling_took_is_shown_and_not_ours() {
        let action = |desired| Action::Capacity { asg: "beta-blue".into(), min: Some(1), max: None, desired };
        assert!(capacity_after(&action(None), &group(3), &group(2)).is_some_and(|breach| !breach.ours));
        assert_eq!(capacity_after(&action(Some(2)), &group(3), &group(2)), None, "it was asked for");
        assert_eq!(capacity_after(&action(None), &group(2), &group(3)), None);
    }
}
