//! EC2 Auto Scaling: groups with their instances, and what they have been doing.

use super::classify::{Answer, Failure, answer};
use super::pages::Pages;
use super::retry::{Call, Class};
use super::{Account, AccountError, Activity, Group, GroupSettings, Instance, Policy};
use aws_sdk_autoscaling::types as sdk;
use aws_smithy_types::DateTime;
use std::collections::{BTreeMap, BTreeSet};

/// AWS rejects more names than records in a page.
const NAMES_MAX: usize = 50;
const PAGE_MAX: i32 = 100;

pub(super) fn call<'a>(operation: &'static str, resource: &'a str, class: Class) -> Call<'a> {
    Call { service: "autoscaling", operation, resource, class, says: None }
}

impl Account {
    /// DescribeAutoScalingGroups by name: a group that does not exist is not in the map.
    pub async fn groups(&self, names: &[&str]) -> Result<BTreeMap<String, Group>, AccountError> {
        self.describe(names, None, |from| group(from).map(|group| (group.name.clone(), group))).await
    }

    /// The same without their instances, which are most of the reply.
    pub async fn settings(&self, names: &[&str]) -> Result<BTreeMap<String, GroupSettings>, AccountError> {
        self.describe(names, Some(false), |from| settings(&from).map(|group| (group.name.clone(), group))).await
    }

    async fn describe<T: Clone + Send + Sync + 'static>(
        &self,
        names: &[&str],
        include_instances: Option<bool>,
        convert: fn(sdk::AutoScalingGroup) -> Result<(String, T), String>,
    ) -> Result<BTreeMap<String, T>, AccountError> {
        // An empty list of names would ask for every group there is.
        let names: Vec<String> = names.iter().collect::<BTreeSet<_>>().into_iter().map(|n| n.to_string()).collect();
        let mut groups = BTreeMap::new();
        for names in names.chunks(NAMES_MAX) {
            let resource = names.join(" ");
            let call = call("DescribeAutoScalingGroups", &resource, Class::Read);
            let mut pages = Pages::default();
            loop {
                let send = async || {
                    let request = self.autoscaling.describe_auto_scaling_groups().set_auto_scaling_group_names(Some(names.to_vec()));
                    let request = request.set_include_instances(include_instances).max_records(PAGE_MAX);
                    answer(request.set_next_token(pages.token.clone()).send().await)?.read(|out| {
                        let groups = out.auto_scaling_groups.ok_or("the reply lacks `AutoScalingGroups`")?;
                        Ok((groups.into_iter().map(convert).collect::<Result<Vec<_>, String>>()?, out.next_token))
                    })
                };
                let (page, next) = self.call(pages.next(call), send).await?;
                groups.extend(page.into_iter().filter(|(name, _)| names.contains(name)));
                if !pages.go_on(next).map_err(|what| endless(call, what))? {
                    break;
                }
            }
        }
        Ok(groups)
    }

    /// DescribeScalingActivities: at most `limit`, newest first, as AWS has them.
    pub async fn activities(&self, asg: &str, limit: usize) -> Result<Vec<Activity>, AccountError> {
        let call = call("DescribeScalingActivities", asg, Class::Read);
        let mut activities = Vec::new();
        let mut pages = Pages::default();
        while activities.len() < limit {
            let size = PAGE_MAX.min(i32::try_from(limit - activities.len()).unwrap_or(PAGE_MAX));
            let (page, next) = self.call(pages.next(call), || self.activities_page(asg, size, &pages)).await?;
            activities.extend(page);
            if !pages.go_on(next).map_err(|what| endless(call, what))? {
                break;
            }
        }
        activities.truncate(limit);
        Ok(activities)
    }

    async fn activities_page(&self, asg: &str, size: i32, pages: &Pages) -> Result<Answer<(Vec<Activity>, Option<String>)>, Failure> {
        let request = self.autoscaling.describe_scaling_activities().auto_scaling_group_name(asg);
        let request = request.max_records(size).set_next_token(pages.token.clone());
        answer(request.send().await)?.read(|out| {
            let activities = out.activities.ok_or("the reply lacks `Activities`")?;
            Ok((activities.into_iter().map(activity).collect::<Result<_, String>>()?, out.next_token))
        })
    }

    /// DescribePolicies of a group.
    pub async fn policies(&self, asg: &str) -> Result<Vec<Policy>, AccountError> {
        let call = call("DescribePolicies", asg, Class::Read);
        let mut policies = Vec::new();
        let mut pages = Pages::default();
        loop {
            let (page, next) = self.call(pages.next(call), || self.policies_page(asg, &pages)).await?;
            policies.extend(page);
            if !pages.go_on(next).map_err(|what| endless(call, what))? {
                return Ok(policies);
            }
        }
    }

    async fn policies_page(&self, asg: &str, pages: &Pages) -> Result<Answer<(Vec<Policy>, Option<String>)>, Failure> {
        let request = self.autoscaling.describe_policies().auto_scaling_group_name(asg);
        let request = request.max_records(PAGE_MAX).set_next_token(pages.token.clone());
        answer(request.send().await)?.read(|out| {
            let policies = out.scaling_policies.ok_or("the reply lacks `ScalingPolicies`")?;
            Ok((policies.into_iter().map(policy).collect::<Result<_, String>>()?, out.next_token))
        })
    }
}

/// A list that goes round: the replies cannot be true.
pub(super) fn endless(call: Call<'_>, what: String) -> AccountError {
    Failure::lost(what).into_error(&call, super::Kind::Lost, 1)
}

fn settings(from: &sdk::AutoScalingGroup) -> Result<GroupSettings, String> {
    Ok(GroupSettings {
        name: from.auto_scaling_group_name.clone().filter(|n| !n.is_empty()).ok_or_else(|| lacks("AutoScalingGroupName"))?,
        min: size(from.min_size, "MinSize")?,
        max: size(from.max_size, "MaxSize")?,
        desired: size(from.desired_capacity, "DesiredCapacity")?,
        suspended: from.suspended_processes().iter().filter_map(|p| p.process_name.clone()).collect(),
    })
}

fn lacks(what: &str) -> String {
    format!("a group lacks `{what}`")
}

fn size(n: Option<i32>, what: &str) -> Result<u32, String> {
    n.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| lacks(what))
}

fn group(from: sdk::AutoScalingGroup) -> Result<Group, String> {
    let GroupSettings { name, min, max, desired, suspended } = settings(&from)?;
    let mut instances: Vec<Instance> = from.instances.unwrap_or_default().into_iter().map(instance).collect::<Result<_, _>>()?;
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Group {
        name,
        min,
        max,
        desired,
        target_groups: from.target_group_arns.unwrap_or_default(),
        health_check_type: from.health_check_type.unwrap_or_default(),
        grace_seconds: size(from.health_check_grace_period.or(Some(0)), "HealthCheckGracePeriod")?,
        suspended,
        instances,
    })
}

fn instance(from: sdk::Instance) -> Result<Instance, String> {
    let lacks = |what: &str| format!("an instance lacks `{what}`");
    Ok(Instance {
        id: from.instance_id.filter(|i| !i.is_empty()).ok_or_else(|| lacks("InstanceId"))?,
        lifecycle: from.lifecycle_state.ok_or_else(|| lacks("LifecycleState"))?.as_str().to_string(),
        // AWS has written it in both cases.
        healthy: from.health_status.is_some_and(|h| h.eq_ignore_ascii_case("healthy")),
        zone: from.availability_zone.unwrap_or_default(),
        instance_type: from.instance_type.unwrap_or_default(),
        protected: from.protected_from_scale_in.unwrap_or(false),
    })
}

fn activity(from: sdk::Activity) -> Result<Activity, String> {
    let lacks = |what: &str| format!("an activity lacks `{what}`");
    Ok(Activity {
        id: from.activity_id.ok_or_else(|| lacks("ActivityId"))?,
        start: from.start_time.as_ref().and_then(timestamp).ok_or_else(|| lacks("StartTime"))?,
        end: from.end_time.as_ref().and_then(timestamp),
        status: from.status_code.ok_or_else(|| lacks("StatusCode"))?.as_str().to_string(),
        description: from.description.unwrap_or_default(),
        cause: from.cause.unwrap_or_default(),
        message: from.status_message.unwrap_or_default(),
    })
}

fn policy(from: sdk::ScalingPolicy) -> Result<Policy, String> {
    let lacks = |what: &str| format!("a scaling policy lacks `{what}`");
    let tracking = from.target_tracking_configuration;
    let metric = tracking.as_ref().and_then(|t| t.predefined_metric_specification.as_ref()).and_then(|m| m.predefined_metric_type.as_ref());
    Ok(Policy {
        asg: from.auto_scaling_group_name.ok_or_else(|| lacks("AutoScalingGroupName"))?,
        name: from.policy_name.ok_or_else(|| lacks("PolicyName"))?,
        kind: from.policy_type.ok_or_else(|| lacks("PolicyType"))?,
        // AWS leaves it away for policies from before there was the switch.
        enabled: from.enabled.unwrap_or(true),
        tracks: metric.map(|metric| metric.as_str().to_string()),
        target: tracking.and_then(|t| t.target_value),
    })
}

pub(super) fn timestamp(from: &DateTime) -> Option<jiff::Timestamp> {
    jiff::Timestamp::new(from.secs(), i32::try_from(from.subsec_nanos()).ok()?).ok()
}
