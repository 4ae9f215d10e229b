//! Carrying out an action: the one way in which bgx changes an account.

use super::action::{Action, Facts, RouteFacts};
use super::autoscaling;
use super::classify::answer;
use super::facts::refused;
use super::objects::When;
use super::refresh::Wish;
use super::retry::{Class, MayWrite, only_while};
use super::targets::unlike;
use super::{Account, AccountError};
use aws_sdk_elasticloadbalancingv2::types as sdk;
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

impl Account {
    /// As [`Account::apply`], and nothing of it is sent when `may` says that the time is over.
    pub async fn apply_while(&self, may: MayWrite, action: &Action, facts: &Facts, acl: Option<&str>) -> Result<(), AccountError> {
        only_while(may, self.apply(action, facts, acl)).await
    }

    /// Does what the action says. `facts` are those read for it: they hold what has to go back unchanged. `acl`: S3's canned ACL of the
    /// object that is written, if it is one.
    pub async fn apply(&self, action: &Action, facts: &Facts, acl: Option<&str>) -> Result<(), AccountError> {
        match action {
            Action::Capacity { asg, min, max, desired } => self.set_capacity(asg, *min, *max, *desired).await,
            Action::Processes { asg, suspend, resume } => {
                self.suspend(asg, suspend).await?;
                self.resume(asg, resume).await
            }
            Action::Forward { .. } | Action::ForwardEach { .. } => self.set_forwards(action, facts.routes()).await,
            Action::Parameter { name, value: Some(value) } => self.set_parameter(name, value, facts.parameter().is_none()).await,
            Action::Parameter { name, value: None } => self.delete_parameter(name).await,
            Action::Object { bucket, key, text: Some(text) } => {
                self.put_object_as(bucket, key, text.as_bytes(), When::Always, acl).await.map(|_| ())
            }
            Action::Object { bucket, key, text: None } => self.delete_object(bucket, key, When::Always).await,
            Action::Copy { bucket, from, to } => self.copy_object(bucket, from, to, acl).await,
            Action::Standby { asg, instance, standby: true, replace } => self.enter_standby(asg, instance, !replace).await,
            Action::Standby { asg, instance, standby: false, .. } => self.exit_standby(asg, instance).await,
            Action::Targets { target_group, registered, .. } => self.set_targets(target_group, *registered, &unlike(action, facts)).await,
            Action::Terminate { instance, decrement, .. } => self.terminate(instance, *decrement).await,
            // It was begun by a process that died before it could say so.
            Action::Refresh { .. } if facts.fields(action) == action.wanted() => Ok(()),
            Action::Refresh { asg, bucket, key, version, min_healthy } => {
                let (found, newest) = facts.refresh();
                let key_is = found.map(|object| object.body.as_slice()) == Some(version.as_bytes());
                self.refresh_to(Wish { asg, bucket, key, version, min_healthy: *min_healthy, acl }, key_is, newest).await
            }
            Action::CancelRefresh { asg } => self.cancel_refresh(asg).await,
        }
    }

    /// EnterStandby of one instance; `decrement`: the group wants one less from now on.
    async fn enter_standby(&self, asg: &str, instance: &str, decrement: bool) -> Result<(), AccountError> {
        self.call(autoscaling::call("EnterStandby", instance, Class::Start), || async {
            let request = self.autoscaling.enter_standby().auto_scaling_group_name(asg).instance_ids(instance);
            answer(request.should_decrement_desired_capacity(decrement).send().await)?.read(|_| Ok(()))
        })
        .await
    }

    async fn exit_standby(&self, asg: &str, instance: &str) -> Result<(), AccountError> {
        self.call(autoscaling::call("ExitStandby", instance, Class::Start), || async {
            let request = self.autoscaling.exit_standby().auto_scaling_group_name(asg).instance_ids(instance);
            answer(request.send().await)?.read(|_| Ok(()))
        })
        .await
    }

    async fn terminate(&self, instance: &str, decrement: bool) -> Result<(), AccountError> {
        self.call(autoscaling::call("TerminateInstanceInAutoScalingGroup", instance, Class::Start), || async {
            let request = self.autoscaling.terminate_instance_in_auto_scaling_group().instance_id(instance);
            answer(request.should_decrement_desired_capacity(decrement).send().await)?.read(|_| Ok(()))
        })
        .await
    }

    /// UpdateAutoScalingGroup with the given fields only.
    async fn set_capacity(&self, asg: &str, min: Option<u32>, max: Option<u32>, desired: Option<u32>) -> Result<(), AccountError> {
        let call = autoscaling::call("UpdateAutoScalingGroup", asg, Class::SetAbsolute);
        let fits = |n: Option<u32>| n.map(i32::try_from).transpose();
        let (Ok(min), Ok(max), Ok(desired)) = (fits(min), fits(max), fits(desired)) else {
            return Err(refused(call.service, call.operation, asg, "a size is out of range"));
        };
        let words = format!("{min:?} {max:?} {desired:?}");
        self.call(call.saying(&words), || async {
            let request = self.autoscaling.update_auto_scaling_group().auto_scaling_group_name(asg);
            let request = request.set_min_size(min).set_max_size(max).set_desired_capacity(desired);
            answer(request.send().await)?.read(|_| Ok(()))
        })
        .await
    }

    async fn suspend(&self, asg: &str, processes: &BTreeSet<String>) -> Result<(), AccountError> {
        // AWS takes an empty list for all processes.
        if processes.is_empty() {
            return Ok(());
        }
        let words = format!("{processes:?}");
        self.call(autoscaling::call("SuspendProcesses", asg, Class::SetAbsolute).saying(&words), || async {
            let names = Some(processes.iter().cloned().collect());
            let request = self.autoscaling.suspend_processes().auto_scaling_group_name(asg).set_scaling_processes(names);
            answer(request.send().await)?.read(|_| Ok(()))
        })
        .await
    }

    async fn resume(&self, asg: &str, processes: &BTreeSet<String>) -> Result<(), AccountError> {
        // As above.
        if processes.is_empty() {
            return Ok(());
        }
        let words = format!("{processes:?}");
        self.call(autoscaling::call("ResumeProcesses", asg, Class::SetAbsolute).saying(&words), || async {
            let names = Some(processes.iter().cloned().collect());
            let request = self.autoscaling.resume_processes().auto_scaling_group_name(asg).set_scaling_processes(names);
            answer(request.send().await)?.read(|_| Ok(()))
        })
        .await
    }

    /// One call per route, all at once and each retried on its own; all are brought to an end before the first failure is told.
    async fn set_forwards(&self, action: &Action, facts: &[RouteFacts]) -> Result<(), AccountError> {
        let mut changes = Vec::new();
        for (route, weights) in action.forwards() {
            let refusal = |what: &str| refused("elasticloadbalancing", "ModifyRule", &route.label, what);
            let found = facts.iter().find(|f| f.route == *route).ok_or_else(|| refusal("it was not read"))?;
            changes.push((route, with_weights(&found.actions, weights).map_err(refusal)?));
        }
        let calls = changes.iter().map(|(route, actions)| async move {
            match &route.rule {
                Some(rule) => self.set_rule_actions(rule, actions).await,
                None => self.set_default_actions(&route.listener, actions).await,
            }
        });
        join_all(calls).await.into_iter().collect()
    }
}

/// A rule's actions with other weights: everything but the target groups goes back as it was read.
fn with_weights(actions: &[sdk::Action], weights: &BTreeMap<String, u32>) -> Result<Vec<sdk::Action>, &'static str> {
    if weights.is_empty() {
        return Err("no target group is named");
    }
    let mut groups = Vec::new();
    for (arn, weight) in weights {
        let weight = i32::try_from(*weight).map_err(|_| "a weight is out of range")?;
        groups.push(sdk::TargetGroupTuple::builder().target_group_arn(arn).weight(weight).build());
    }
    let is_forward = |a: &sdk::Action| a.r#type == Some(sdk::ActionTypeEnum::Forward);
    if !actions.iter().any(is_forward) {
        return Err("it has no forward action");
    }
    let changed = |action: &sdk::Action| {
        let mut action = action.clone();
        if is_forward(&action) {
            let stickiness = action.forward_config.as_ref().and_then(|c| c.target_group_stickiness_config.clone());
            let config = sdk::ForwardActionConfig::builder().set_target_groups(Some(groups.clone()));
            action.forward_config = Some(config.set_target_group_stickiness_config(stickiness).build());
            // AWS rejects this beside any other target group in the configuration.
            action.target_group_arn = None;
        }
        // AWS never shows the secret, and wants to be told that it shall stay.
        if let Some(oidc) = action.authenticate_oidc_config.as_mut().filter(|c| c.client_secret.is_none()) {
            oidc.use_existing_client_secret = Some(true);
        }
        action
    };
    Ok(actions.iter().map(changed).collect())
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
