//! Elastic Load Balancing v2 as its API says it: rules that spread to nodes, targets and their health as Describe shows it.

use super::possible::{GROUPS_PER_ACTION, HIGHEST_WEIGHT};
use super::targets::NOT_REGISTERED;
use super::{Action, Actions, Fault, Happening, Lifecycle, Past, TargetGroup, Weighted, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const LONGEST_STICKINESS: u32 = 604_800;

/// Target states that an Application Load Balancer reports, with the reason where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetState {
    Initial { reason: String },
    Healthy,
    Unhealthy { reason: String, description: String },
    Unused { reason: String },
    Draining,
}

/// One row of DescribeTargetHealth: `state`, `reason` and `description` are AWS's own texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView {
    pub id: String,
    pub port: u16,
    pub state: String,
    pub reason: Option<String>,
    pub description: Option<String>,
}

impl TargetView {
    fn new(id: &str, port: u16, state: &TargetState) -> TargetView {
        let (name, reason, description) = state.texts();
        TargetView {
            id: id.to_owned(),
            port,
            state: name.to_owned(),
            reason: reason.map(str::to_owned),
            description: description.map(str::to_owned),
        }
    }
}

fn listener_not_found() -> Fault {
    Fault::new(400, "ListenerNotFound", "One or more listeners not found")
}

fn rule_not_found() -> Fault {
    Fault::new(400, "RuleNotFound", "One or more rules not found")
}

fn target_group_not_found() -> Fault {
    Fault::new(400, "TargetGroupNotFound", "One or more target groups not found")
}

impl Actions {
    /// The same actions everywhere, nothing on its way.
    pub fn settled(actions: Vec<Action>, nodes: u32) -> Actions {
        Actions { nodes: vec![actions.clone(); nodes.max(1) as usize], api: actions, pending: Vec::new(), stale: Past::default() }
    }

    fn visible(&self, now: super::Time) -> &[Action] {
        self.stale.seen(now).unwrap_or(&self.api)
    }
}

impl World {
    /// DescribeTargetHealth; ids that are not registered come back as `unused` / `Target.NotRegistered`.
    pub fn target_health(&self, target_group: &str, ids: Option<&[String]>) -> Result<Vec<TargetView>, Fault> {
        let group = self.target_groups.get(target_group).ok_or_else(target_group_not_found)?;
        let missing = TargetState::unused(NOT_REGISTERED);
        let Some(ids) = ids else {
            let seen = group.targets.values().map(|t| (t, t.visible(self.now)));
            return Ok(seen.filter(|(_, s)| **s != missing).map(|(t, s)| TargetView::new(&t.id, t.port, s)).collect());
        };
        let view = |id: &String| match group.targets.get(id) {
            Some(target) => TargetView::new(id, target.port, target.visible(self.now)),
            None => TargetView::new(id, group.port, &missing),
        };
        Ok(ids.iter().map(view).collect())
    }

    /// What DescribeListeners says of this listener's default actions (perhaps stale).
    pub fn listener_actions(&self, listener: &str) -> Result<Vec<Action>, Fault> {
        let found = self.listeners.get(listener).ok_or_else(listener_not_found)?;
        Ok(found.actions.visible(self.now).to_vec())
    }

    /// What DescribeRules says of this rule's actions (perhaps stale); a default rule's are its listener's.
    pub fn rule_actions(&self, rule: &str) -> Result<Vec<Action>, Fault> {
        if let Some(found) = self.rules.get(rule) {
            return Ok(found.actions.visible(self.now).to_vec());
        }
        self.listener_actions(self.listener_of_default_rule(rule).ok_or_else(rule_not_found)?)
    }

    /// The ARN of a listener's default rule, made from the listener's.
    pub fn default_rule_arn(listener: &str) -> String {
        let id = listener.rsplit('/').next().unwrap_or_default();
        let turned: String = id.chars().rev().collect();
        format!("{}/{turned}", listener.replacen(":listener/", ":listener-rule/", 1))
    }

    fn listener_of_default_rule(&self, rule: &str) -> Option<&str> {
        self.listeners.keys().find(|arn| World::default_rule_arn(arn) == rule).map(String::as_str)
    }

    /// ModifyListener(DefaultActions): replaces them wholly.
    pub fn modify_listener(&mut self, listener: &str, actions: Vec<Action>) -> Result<(), Fault> {
        if !self.listeners.contains_key(listener) {
            return Err(listener_not_found());
        }
        self.check_actions(&actions)?;
        let set = self.describe_actions(&actions);
        self.record_call("elasticloadbalancing", "ModifyListener", listener, set);
        self.replace_actions(listener, actions);
        Ok(())
    }

    /// ModifyRule(Actions): replaces them wholly; a listener's default rule is refused.
    pub fn modify_rule(&mut self, rule: &str, actions: Vec<Action>) -> Result<(), Fault> {
        if self.listener_of_default_rule(rule).is_some() {
            return Err(Fault::new(400, "OperationNotPermitted", format!("Default rule '{rule}' cannot be modified")));
        }
        if !self.rules.contains_key(rule) {
            return Err(rule_not_found());
        }
        self.check_actions(&actions)?;
        let set = self.describe_actions(&actions);
        self.record_call("elasticloadbalancing", "ModifyRule", rule, set);
        self.replace_actions(rule, actions);
        Ok(())
    }

    /// RegisterTargets.
    pub fn register_targets(&mut self, target_group: &str, ids: &[String]) -> Result<(), Fault> {
        if !self.target_groups.contains_key(target_group) {
            return Err(target_group_not_found());
        }
        let stopped: Vec<String> = ids.iter().filter(|id| !self.is_running(id)).map(|id| format!("'{id}'")).collect();
        if !stopped.is_empty() {
            let message = format!("The following targets are not in a running state and cannot be registered: {}", stopped.join(", "));
            return Err(Fault::new(400, "InvalidTarget", message));
        }
        self.record_call("elasticloadbalancing", "RegisterTargets", target_group, ids.join(","));
        for id in ids {
            self.register(target_group, id);
        }
        self.settle();
        Ok(())
    }

    fn is_running(&self, id: &str) -> bool {
        self.instances.get(id).is_some_and(|i| match i.lifecycle {
            Lifecycle::Pending | Lifecycle::InService | Lifecycle::Standby => true,
            Lifecycle::Terminating | Lifecycle::Terminated => false,
        })
    }

    /// DeregisterTargets; an unknown target succeeds.
    pub fn deregister_targets(&mut self, target_group: &str, ids: &[String]) -> Result<(), Fault> {
        if !self.target_groups.contains_key(target_group) {
            return Err(target_group_not_found());
        }
        self.record_call("elasticloadbalancing", "DeregisterTargets", target_group, ids.join(","));
        for id in ids {
            self.deregister(target_group, id);
        }
        self.settle();
        Ok(())
    }

    /// ARNs of the load balancers in whose rules this target group stands.
    pub fn load_balancers_of(&self, target_group: &str) -> Vec<String> {
        let names = |actions: &Actions| forwards(&actions.api).any(|w| w.target_group == target_group);
        let by_rule = self.rules.values().filter(|r| names(&r.actions)).filter_map(|r| self.listeners.get(&r.listener));
        let by_default = self.listeners.values().filter(|l| names(&l.actions));
        let found: BTreeSet<String> = by_rule.chain(by_default).map(|l| l.load_balancer.clone()).collect();
        found.into_iter().collect()
    }

    fn check_actions(&self, actions: &[Action]) -> Result<(), Fault> {
        let invalid = |message: String| Err(Fault::new(400, "ValidationError", message));
        match actions {
            [] => return invalid("You must specify at least one action".to_owned()),
            [_] => {}
            [_, _, ..] => return Err(Fault::new(400, "TooManyActions", "A rule can have only one routing action")),
        }
        for action in actions {
            match action {
                Action::Forward { targets, stickiness_seconds } => {
                    self.check_forward(targets)?;
                    if stickiness_seconds.is_some_and(|s| !(1..=LONGEST_STICKINESS).contains(&s)) {
                        return invalid(format!("Target group stickiness duration must be between 1 and {LONGEST_STICKINESS} seconds"));
                    }
                }
                Action::FixedResponse { status, .. } if ![2, 4, 5].contains(&(status / 100)) => {
                    return invalid(format!("'{status}' is not a valid fixed-response status code"));
                }
                Action::FixedResponse { .. } | Action::Redirect { .. } => {}
            }
        }
        Ok(())
    }

    fn check_forward(&self, targets: &[Weighted]) -> Result<(), Fault> {
        let invalid = |message: String| Err(Fault::new(400, "ValidationError", message));
        if targets.is_empty() {
            return invalid("A forward action must name a target group".to_owned());
        }
        if targets.len() > GROUPS_PER_ACTION {
            let message = format!("A forward action can name at most {GROUPS_PER_ACTION} target groups");
            return Err(Fault::new(400, "InvalidLoadBalancerAction", message));
        }
        let distinct: BTreeSet<&str> = targets.iter().map(|w| w.target_group.as_str()).collect();
        if distinct.len() < targets.len() {
            return invalid("A forward action can name a target group only once".to_owned());
        }
        if let Some(heavy) = targets.iter().find(|w| w.weight > HIGHEST_WEIGHT) {
            return invalid(format!("The weight of a target group must be between 0 and {HIGHEST_WEIGHT}, but was {}", heavy.weight));
        }
        if targets.iter().any(|w| !self.target_groups.contains_key(&w.target_group)) {
            return Err(target_group_not_found());
        }
        Ok(())
    }

    fn actions_mut(&mut self, resource: &str) -> Option<&mut Actions> {
        match self.listeners.get_mut(resource) {
            Some(listener) => Some(&mut listener.actions),
            None => self.rules.get_mut(resource).map(|r| &mut r.actions),
        }
    }

    /// Sets the actions of a listener or rule; each node follows at a moment of its own, and never an older write after a newer.
    fn replace_actions(&mut self, resource: &str, actions: Vec<Action>) {
        let now = self.now;
        self.record(Happening::Rerouted { resource: resource.to_owned(), targets: forwards(&actions).cloned().collect() });
        let until = now.after_ms(self.timing.rule_staleness.draw(&mut self.rng));
        let count = self.actions_mut(resource).map_or(0, |a| a.nodes.len());
        let moments: Vec<_> = (0..count).map(|_| now.after_ms(self.timing.propagation.draw(&mut self.rng))).collect();
        if let Some(changed) = self.actions_mut(resource) {
            for (node, at) in moments.into_iter().enumerate() {
                changed.pending.retain(|(older, n, _)| *n != node || *older < at);
                changed.pending.push((at, node, actions.clone()));
            }
            let old = std::mem::replace(&mut changed.api, actions);
            changed.stale.keep(now, until, old);
        }
        self.stir.rules = true;
        self.settle();
    }

    /// Nodes that take up changed actions now.
    pub(super) fn follow_rules(&mut self) {
        let now = self.now;
        let listeners = self.listeners.iter_mut().map(|(arn, l)| (arn, &mut l.actions));
        let rules = self.rules.iter_mut().map(|(arn, r)| (arn, &mut r.actions));
        let mut followed = Vec::new();
        for (resource, actions) in listeners.chain(rules) {
            if actions.pending.iter().all(|(at, _, _)| *at > now) {
                continue;
            }
            let (due, later) = std::mem::take(&mut actions.pending).into_iter().partition(|(at, _, _)| *at <= now);
            actions.pending = later;
            for (_, node, new) in Vec::from_iter::<Vec<_>>(due) {
                if let Some(slot) = actions.nodes.get_mut(node) {
                    *slot = new;
                    followed.push(Happening::Propagated { resource: resource.clone(), node, targets: forwards(slot).cloned().collect() });
                }
            }
        }
        self.stir.rules |= !followed.is_empty();
        self.stir.traffic |= !followed.is_empty();
        for what in followed {
            self.record(what);
        }
    }

    /// What an action sets, in one line for the log: `forward Beta-Blue=0 Beta-Green=100`.
    fn describe_actions(&self, actions: &[Action]) -> String {
        let name = |arn: &str| self.target_groups.get(arn).map_or_else(|| arn.to_owned(), |g: &TargetGroup| g.name.clone());
        let texts = actions.iter().map(|action| match action {
            Action::Forward { targets, .. } => {
                let parts: Vec<String> = targets.iter().map(|w| format!("{}={}", name(&w.target_group), w.weight)).collect();
                format!("forward {}", parts.join(" "))
            }
            Action::FixedResponse { status, .. } => format!("fixed-response {status}"),
            Action::Redirect { status, .. } => format!("redirect {status}"),
        });
        texts.collect::<Vec<_>>().join(", ")
    }
}

/// The weighted target groups of all forwards.
pub(super) fn forwards(actions: &[Action]) -> impl Iterator<Item = &Weighted> {
    actions.iter().flat_map(|action| match action {
        Action::Forward { targets, .. } => targets.as_slice(),
        Action::FixedResponse { .. } | Action::Redirect { .. } => &[],
    })
}
