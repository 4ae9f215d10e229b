//! Scaling policies of EC2 Auto Scaling: the one that target tracking of a group stands for.

use super::Xml;
use super::autoscaling::{group_arn, invalid_token};
use super::page::page;
use super::query::Form;
use super::uuid_of;
use crate::sandbox::world::{Fault, Group, World};

/// DescribePolicies: of one group, or of all.
pub fn describe(world: &World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["AutoScalingGroupName", "MaxRecords", "NextToken"])?;
    let size = form.bounded("MaxRecords", 50, 1, 100)?;
    let name = form.get("AutoScalingGroupName");
    if let Some(name) = name {
        world.scaling_activities(Some(name))?;
    }
    let own = |group: &&Group| name.is_none_or(|name| group.name == name) && (group.cpu_target.is_some() || group.backlog_target.is_some());
    let groups: Vec<&Group> = world.groups.values().filter(own).collect();
    let page = page(groups, "DescribePolicies", form.get("NextToken"), size.min(world.timing.page_items)).ok_or_else(invalid_token)?;
    let mut xml = Xml::new();
    xml.members("ScalingPolicies", page.items, |xml, group| policy(xml, world, group)).leaf_if("NextToken", page.next);
    Ok(xml)
}

fn policy(xml: &mut Xml, world: &World, group: &Group) {
    let tracked = if group.cpu_target.is_some() { "cpu" } else { "backlog" };
    let name = format!("{}-{tracked}", group.name);
    let arn = group_arn(world, &group.name).replacen(":autoScalingGroup:", &format!(":scalingPolicy:{}:", uuid_of(&name)), 1);
    xml.leaf("AutoScalingGroupName", &group.name)
        .leaf("PolicyName", &name)
        .leaf("PolicyARN", format!("{arn}:policyName/{name}"))
        .leaf("PolicyType", "TargetTrackingScaling")
        .leaf("Enabled", true)
        .within("TargetTrackingConfiguration", |xml| {
            match group.cpu_target {
                Some(_) => xml.within("PredefinedMetricSpecification", |xml| {
                    xml.leaf("PredefinedMetricType", "ASGAverageCPUUtilization");
                }),
                None => xml.within("CustomizedMetricSpecification", |xml| {
                    xml.leaf("MetricName", "BacklogPerInstance").leaf("Namespace", "Queue").leaf("Statistic", "Average");
                }),
            };
            let target = group.cpu_target.or(group.backlog_target).unwrap_or_default();
            xml.leaf("TargetValue", target).leaf("DisableScaleIn", false);
        });
}
