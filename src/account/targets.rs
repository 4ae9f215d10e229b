//! Instances as targets of a target group: registered one by one, not by their group.

use super::action::{Action, Facts, GONE, REGISTERED, ends};
use super::classify::answer;
use super::retry::Class;
use super::{Account, AccountError, Group, Target, balancing};
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use futures_util::future::join_all;

/// Targets in one call. AWS documents no limit; this is what its users keep to.
const TARGETS_MAX: usize = 20;

impl Account {
    /// RegisterTargets or DeregisterTargets, so many in a call and all calls at once; all are brought to an end before the first failure is
    /// told.
    pub(super) async fn set_targets(&self, target_group: &str, registered: bool, ids: &[String]) -> Result<(), AccountError> {
        let calls = ids.chunks(TARGETS_MAX).map(|ids| async move {
            let operation = if registered { "RegisterTargets" } else { "DeregisterTargets" };
            let call = balancing::call(operation, target_group, Class::SetAbsolute);
            self.call(call, || async {
                let targets: Vec<TargetDescription> = ids.iter().map(|id| TargetDescription::builder().id(id).build()).collect();
                match registered {
                    true => {
                        let request = self.balancing.register_targets().target_group_arn(target_group);
                        answer(request.set_targets(Some(targets)).send().await)?.read(|_| Ok(()))
                    }
                    false => {
                        let request = self.balancing.deregister_targets().target_group_arn(target_group);
                        answer(request.set_targets(Some(targets)).send().await)?.read(|_| Ok(()))
                    }
                }
            })
            .await
        });
        join_all(calls).await.into_iter().collect()
    }
}

/// More targets than one call takes, or more than one route, so that one call may fail and another not.
pub fn takes_several_calls(action: &Action) -> bool {
    matches!(action, Action::Targets { instances, .. } if instances.len() > TARGETS_MAX) || action.forwards().len() > 1
}

/// Those of the action's instances that have to change. One that has gone cannot: AWS refuses the call that names it.
pub(super) fn unlike(action: &Action, facts: &Facts) -> Vec<String> {
    let wanted = action.wanted();
    let found = facts.fields(action).into_iter().filter(|(id, value)| wanted.get(id) != Some(value) && !action.took(value));
    found.map(|(id, _)| id).collect()
}

/// Whether the load balancer knows this instance as a target, of those that it says it has.
pub fn is_registered(target: &Target) -> bool {
    target.state != "draining" && target.reason != "Target.NotRegistered"
}

/// What `Action::Targets` sets of an instance: a target, not one, or gone from its group for good.
pub(super) fn registration(id: &str, group: &Group, targets: &[Target]) -> Option<String> {
    if targets.iter().any(|target| target.id == id && is_registered(target)) {
        return Some(REGISTERED.to_string());
    }
    let lives = group.instances.iter().any(|instance| instance.id == id && !ends(&instance.lifecycle));
    (!lives).then(|| GONE.to_string())
}
