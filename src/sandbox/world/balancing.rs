//! Elastic Load Balancing v2: rules that spread to nodes, targets that are checked, drained and fail open.

use super::{Action, Fault, World};
use serde::{Deserialize, Serialize};

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

impl World {
    /// DescribeTargetHealth; ids that are not registered come back as `unused` / `Target.NotRegistered`.
    pub fn target_health(&self, target_group: &str, ids: Option<&[String]>) -> Result<Vec<TargetView>, Fault> {
        let _ = (target_group, ids);
        todo!()
    }

    /// What DescribeListeners says of this listener's default actions (perhaps stale).
    pub fn listener_actions(&self, listener: &str) -> Result<Vec<Action>, Fault> {
        let _ = listener;
        todo!()
    }

    /// What DescribeRules says of this rule's actions (perhaps stale).
    pub fn rule_actions(&self, rule: &str) -> Result<Vec<Action>, Fault> {
        let _ = rule;
        todo!()
    }

    /// ModifyListener(DefaultActions): replaces them wholly.
    pub fn modify_listener(&mut self, listener: &str, actions: Vec<Action>) -> Result<(), Fault> {
        let _ = (listener, actions);
        todo!()
    }

    /// ModifyRule(Actions): replaces them wholly; a listener's default rule is refused.
    pub fn modify_rule(&mut self, rule: &str, actions: Vec<Action>) -> Result<(), Fault> {
        let _ = (rule, actions);
        todo!()
    }

    /// RegisterTargets.
    pub fn register_targets(&mut self, target_group: &str, ids: &[String]) -> Result<(), Fault> {
        let _ = (target_group, ids);
        todo!()
    }

    /// DeregisterTargets; an unknown target succeeds.
    pub fn deregister_targets(&mut self, target_group: &str, ids: &[String]) -> Result<(), Fault> {
        let _ = (target_group, ids);
        todo!()
    }

    /// ARNs of the load balancers in whose rules this target group stands.
    pub fn load_balancers_of(&self, target_group: &str) -> Vec<String> {
        let _ = target_group;
        todo!()
    }
}
