//! EC2 Auto Scaling, awsQuery 2011-01-01.

use super::page::page;
use super::query::{Form, invalid, not_simulated};
use super::{Xml, no_operation, uuid_of};
use crate::sandbox::world::{Activity, Fault, Group, GroupUpdate, GroupView, Instance, Time, World};

/// When every simulated group was created; nothing depends on it.
const CREATED: Time = Time(1_700_000_000_000);

/// One call; `None` for an operation whose answer has no result.
pub fn handle(world: &mut World, operation: &str, form: &Form) -> Result<Option<Xml>, Fault> {
    match operation {
        "DescribeAutoScalingGroups" => describe_groups(world, form).map(Some),
        "DescribeAutoScalingInstances" => describe_instances(world, form).map(Some),
        "DescribeScalingActivities" => describe_activities(world, form).map(Some),
        "DescribePolicies" => super::policies::describe(world, form).map(Some),
        "UpdateAutoScalingGroup" => update(world, form).map(|()| None),
        "SetDesiredCapacity" => set_desired(world, form).map(|()| None),
        "SuspendProcesses" => {
            form.only(&["AutoScalingGroupName", "ScalingProcesses"])?;
            world.suspend(form.required("AutoScalingGroupName")?, &form.list("ScalingProcesses")).map(|()| None)
        }
        "ResumeProcesses" => {
            form.only(&["AutoScalingGroupName", "ScalingProcesses"])?;
            world.resume(form.required("AutoScalingGroupName")?, &form.list("ScalingProcesses")).map(|()| None)
        }
        "SetInstanceProtection" => set_protection(world, form).map(Some),
        "TerminateInstanceInAutoScalingGroup" => terminate(world, form).map(Some),
        "StartInstanceRefresh" | "DescribeInstanceRefreshes" | "CancelInstanceRefresh" | "RollbackInstanceRefresh" => {
            super::refresh::handle(world, operation, form).map(Some)
        }
        "EnterStandby" | "ExitStandby" => standby(world, operation, form).map(Some),
        _ => Err(no_operation(operation, "2011-01-01")),
    }
}

fn update(world: &mut World, form: &Form) -> Result<(), Fault> {
    form.only(&["AutoScalingGroupName", "MinSize", "MaxSize", "DesiredCapacity"])?;
    let update = GroupUpdate { min: form.number("MinSize")?, max: form.number("MaxSize")?, desired: form.number("DesiredCapacity")? };
    world.update_group(form.required("AutoScalingGroupName")?, &update)
}

fn set_desired(world: &mut World, form: &Form) -> Result<(), Fault> {
    form.only(&["AutoScalingGroupName", "DesiredCapacity", "HonorCooldown"])?;
    let name = form.required("AutoScalingGroupName")?;
    let desired = form.number("DesiredCapacity")?.ok_or_else(|| null("DesiredCapacity"))?;
    world.set_desired(name, desired, form.flag("HonorCooldown")?.unwrap_or(false))
}

fn set_protection(world: &mut World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["AutoScalingGroupName", "InstanceIds", "ProtectedFromScaleIn"])?;
    let ids = form.list("InstanceIds");
    at_most(50, ids.len(), "instance IDs")?;
    let protected = form.flag("ProtectedFromScaleIn")?.ok_or_else(|| null("ProtectedFromScaleIn"))?;
    world.protect_instances(form.required("AutoScalingGroupName")?, &ids, protected)?;
    Ok(Xml::new())
}

fn standby(world: &mut World, operation: &str, form: &Form) -> Result<Xml, Fault> {
    form.only(&["AutoScalingGroupName", "InstanceIds", "ShouldDecrementDesiredCapacity"])?;
    let (name, ids) = (form.required("AutoScalingGroupName")?, form.list("InstanceIds"));
    if ids.is_empty() {
        return Err(null("InstanceIds"));
    }
    at_most(20, ids.len(), "instance IDs")?;
    let activities = if operation == "EnterStandby" {
        let decrement = form.flag("ShouldDecrementDesiredCapacity")?.ok_or_else(|| null("ShouldDecrementDesiredCapacity"))?;
        world.enter_standby(name, &ids, decrement)?
    } else {
        world.exit_standby(name, &ids)?
    };
    let mut xml = Xml::new();
    xml.members("Activities", &activities, activity);
    Ok(xml)
}

fn terminate(world: &mut World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["InstanceId", "ShouldDecrementDesiredCapacity"])?;
    let decrement = form.flag("ShouldDecrementDesiredCapacity")?.ok_or_else(|| null("ShouldDecrementDesiredCapacity"))?;
    let done = world.terminate_instance(form.required("InstanceId")?, decrement)?;
    let mut xml = Xml::new();
    xml.within("Activity", |xml| activity(xml, &done));
    Ok(xml)
}

fn describe_groups(world: &World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["AutoScalingGroupNames", "IncludeInstances", "MaxRecords", "NextToken", "Filters"])?;
    let names = form.list("AutoScalingGroupNames");
    let size = form.bounded("MaxRecords", 50, 1, 100)?;
    at_most(size, names.len(), "group names")?;
    let with_instances = form.flag("IncludeInstances")?.unwrap_or(true);
    let mut views = world.describe_groups(&names);
    for filter in form.items("Filters") {
        let (name, values) = (filter.required("Name")?.to_owned(), filter.list("Values"));
        let key = tag_filter(&name)?;
        views.retain(|view| view.tags.iter().any(|tag| key.holds(tag, &values)));
    }
    let page =
        page(views, "DescribeAutoScalingGroups", form.get("NextToken"), size.min(world.timing.page_items)).ok_or_else(invalid_token)?;
    let mut xml = Xml::new();
    xml.members("AutoScalingGroups", &page.items, |xml, view| group(xml, world, view, with_instances)).leaf_if("NextToken", page.next);
    Ok(xml)
}

/// The filters by tag that DescribeAutoScalingGroups has.
enum TagFilter {
    Key,
    Value,
    ValueOf(String),
}

impl TagFilter {
    fn holds(&self, (key, value): &(String, String), wanted: &[String]) -> bool {
        match self {
            TagFilter::Key => wanted.contains(key),
            TagFilter::Value => wanted.contains(value),
            TagFilter::ValueOf(tag) => tag == key && wanted.contains(value),
        }
    }
}

fn tag_filter(name: &str) -> Result<TagFilter, Fault> {
    match (name, name.strip_prefix("tag:")) {
        ("tag-key", _) => Ok(TagFilter::Key),
        ("tag-value", _) => Ok(TagFilter::Value),
        (_, Some(tag)) => Ok(TagFilter::ValueOf(tag.to_owned())),
        _ => Err(validation(format!("Filter type {name} is not correct. Allowed Filter types are: tag-key, tag-value, tag:<key>"))),
    }
}

fn group(xml: &mut Xml, world: &World, view: &GroupView, with_instances: bool) {
    let zones: std::collections::BTreeSet<&str> = view.instances.iter().map(|instance| instance.zone.as_str()).collect();
    let default_zone = format!("{}a", world.region);
    xml.leaf("AutoScalingGroupName", &view.name)
        .leaf("AutoScalingGroupARN", group_arn(world, &view.name))
        .leaf("MinSize", view.min)
        .leaf("MaxSize", view.max)
        .leaf("DesiredCapacity", view.desired)
        .leaf("DefaultCooldown", 300)
        .leaf("CreatedTime", CREATED)
        .leaf("HealthCheckType", &view.health_check_type)
        .leaf("HealthCheckGracePeriod", view.grace_seconds)
        .values("AvailabilityZones", if zones.is_empty() { vec![default_zone.as_str()] } else { zones.into_iter().collect() })
        .values("LoadBalancerNames", [""; 0])
        .values("TargetGroupARNs", &view.target_groups)
        .members("TrafficSources", &view.target_groups, |xml, arn| {
            xml.leaf("Identifier", arn).leaf("Type", "elbv2");
        });
    if let Some(kept) = world.groups.get(&view.name) {
        launch_settings(xml, kept);
    }
    xml.members("Instances", view.instances.iter().filter(|_| with_instances), instance)
        .members("SuspendedProcesses", &view.suspended, |xml, process| {
            xml.leaf("ProcessName", process).leaf("SuspensionReason", "User suspended");
        })
        .members("Tags", &view.tags, |xml, (key, value)| {
            xml.leaf("ResourceId", &view.name)
                .leaf("ResourceType", "auto-scaling-group")
                .leaf("Key", key)
                .leaf("Value", value)
                .leaf("PropagateAtLaunch", true);
        })
        .values("TerminationPolicies", ["Default"])
        .leaf("NewInstancesProtectedFromScaleIn", false)
        .leaf("CapacityRebalance", false);
}

/// A group with spot instances has a mixed-instances policy, the others a launch template.
fn launch_settings(xml: &mut Xml, group: &Group) {
    let Some(base) = group.on_demand_base else {
        xml.within("LaunchTemplate", |xml| template(xml, &group.name));
        return;
    };
    xml.within("MixedInstancesPolicy", |xml| {
        xml.within("LaunchTemplate", |xml| {
            xml.within("LaunchTemplateSpecification", |xml| template(xml, &group.name)).members(
                "Overrides",
                &group.instance_types,
                |xml, kind| {
                    xml.leaf("InstanceType", kind);
                },
            );
        })
        .within("InstancesDistribution", |xml| {
            xml.leaf("OnDemandBaseCapacity", base).leaf("OnDemandPercentageAboveBaseCapacity", 0);
        });
    });
}

fn template(xml: &mut Xml, group: &str) {
    xml.leaf("LaunchTemplateId", format!("lt-0{}", super::digits_of(group))).leaf("LaunchTemplateName", group).leaf("Version", "1");
}

fn instance(xml: &mut Xml, instance: &Instance) {
    xml.leaf("InstanceId", &instance.id)
        .leaf("InstanceType", &instance.instance_type)
        .leaf("AvailabilityZone", &instance.zone)
        .leaf("LifecycleState", instance.lifecycle.word())
        .leaf("HealthStatus", if instance.healthy { "Healthy" } else { "Unhealthy" })
        .within("LaunchTemplate", |xml| template(xml, &instance.group))
        .leaf("ProtectedFromScaleIn", instance.protected);
}

fn describe_instances(world: &World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["InstanceIds", "MaxRecords", "NextToken"])?;
    let ids = form.list("InstanceIds");
    at_most(50, ids.len(), "instance IDs")?;
    let size = form.bounded("MaxRecords", 50, 1, 50)?;
    let views = world.describe_groups(&[]);
    let mut instances: Vec<&Instance> = views.iter().flat_map(|view| &view.instances).collect();
    instances.retain(|instance| ids.is_empty() || ids.contains(&instance.id));
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    let page = page(instances, "DescribeAutoScalingInstances", form.get("NextToken"), size.min(world.timing.page_items))
        .ok_or_else(invalid_token)?;
    let mut xml = Xml::new();
    xml.members("AutoScalingInstances", page.items, |xml, shown| {
        xml.leaf("AutoScalingGroupName", &shown.group);
        // This operation alone writes the health in capitals.
        xml.leaf("InstanceId", &shown.id)
            .leaf("InstanceType", &shown.instance_type)
            .leaf("AvailabilityZone", &shown.zone)
            .leaf("LifecycleState", shown.lifecycle.word())
            .leaf("HealthStatus", if shown.healthy { "HEALTHY" } else { "UNHEALTHY" })
            .within("LaunchTemplate", |xml| template(xml, &shown.group))
            .leaf("ProtectedFromScaleIn", shown.protected);
    })
    .leaf_if("NextToken", page.next);
    Ok(xml)
}

fn describe_activities(world: &World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["ActivityIds", "AutoScalingGroupName", "IncludeDeletedGroups", "MaxRecords", "NextToken"])?;
    if form.flag("IncludeDeletedGroups")? == Some(true) {
        return Err(not_simulated("IncludeDeletedGroups"));
    }
    let size = form.bounded("MaxRecords", 100, 1, 100)?;
    let ids = form.list("ActivityIds");
    at_most(50, ids.len(), "activity IDs")?;
    let mut activities = world.scaling_activities(form.get("AutoScalingGroupName"))?;
    activities.retain(|activity| ids.is_empty() || ids.contains(&activity.id));
    let page = page(activities, "DescribeScalingActivities", form.get("NextToken"), size.min(world.timing.page_items))
        .ok_or_else(invalid_token)?;
    let mut xml = Xml::new();
    xml.members("Activities", &page.items, activity).leaf_if("NextToken", page.next);
    Ok(xml)
}

fn activity(xml: &mut Xml, activity: &Activity) {
    xml.leaf("ActivityId", &activity.id)
        .leaf("AutoScalingGroupName", &activity.group)
        .leaf("Description", &activity.description)
        .leaf("Cause", &activity.cause)
        .leaf("StartTime", activity.start)
        .leaf_if("EndTime", activity.end)
        .leaf("StatusCode", &activity.status)
        .leaf_if("StatusMessage", activity.status_message.as_ref())
        .leaf("Progress", activity.progress)
        .leaf("Details", "{}");
}

pub(super) fn group_arn(world: &World, name: &str) -> String {
    let (region, account) = (&world.region, &world.account);
    format!("arn:aws:autoscaling:{region}:{account}:autoScalingGroup:{}:autoScalingGroupName/{name}", uuid_of(name))
}

fn at_most(limit: u32, given: usize, what: &str) -> Result<(), Fault> {
    if given > limit as usize {
        return Err(validation(format!("The number of {what} that may be passed in is limited to {limit}")));
    }
    Ok(())
}

fn null(name: &str) -> Fault {
    invalid("null", name, "Member must not be null")
}

fn validation(message: String) -> Fault {
    Fault::new(400, "ValidationError", message)
}

pub(super) fn invalid_token() -> Fault {
    Fault::new(400, "InvalidNextToken", "The token is not valid")
}
