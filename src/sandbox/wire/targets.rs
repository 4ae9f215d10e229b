//! Target groups of Elastic Load Balancing v2: what they are, who is in them, how they fare.

use super::Xml;
use super::elbv2::{self, VPC, cut, either, known_load_balancer, select, validation};
use super::query::{Form, not_simulated};
use crate::sandbox::world::{Fault, TargetGroup, World};

pub fn describe_groups(world: &World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["LoadBalancerArn", "TargetGroupArns", "Names", "Marker", "PageSize"])?;
    let (arns, names) = (form.list("TargetGroupArns"), form.list("Names"));
    either(&arns, &names, "target groups")?;
    let mut found: Vec<&TargetGroup> = world.target_groups.values().collect();
    if let Some(lb) = form.get("LoadBalancerArn") {
        known_load_balancer(world, lb)?;
        found.retain(|group| world.load_balancers_of(&group.arn).iter().any(|arn| arn == lb));
    }
    if !arns.is_empty() {
        found = select(&found, &arns, |group| &group.arn).ok_or_else(not_found)?;
    } else if !names.is_empty() {
        found = select(&found, &names, |group| &group.name).ok_or_else(not_found)?;
    }
    let page = cut(world, found, "DescribeTargetGroups", form)?;
    let mut xml = Xml::new();
    xml.members("TargetGroups", &page.items, |xml, one| group(xml, world, one)).leaf_if("NextMarker", page.next);
    Ok(xml)
}

fn group(xml: &mut Xml, world: &World, group: &TargetGroup) {
    xml.leaf("TargetGroupArn", &group.arn)
        .leaf("TargetGroupName", &group.name)
        .leaf("Protocol", "HTTP")
        .leaf("Port", group.port)
        .leaf("VpcId", VPC)
        .leaf("HealthCheckProtocol", "HTTP")
        .leaf("HealthCheckPort", "traffic-port")
        .leaf("HealthCheckEnabled", true)
        .leaf("HealthCheckIntervalSeconds", group.interval_seconds)
        .leaf("HealthCheckTimeoutSeconds", group.timeout_seconds)
        .leaf("HealthyThresholdCount", group.healthy_threshold)
        .leaf("UnhealthyThresholdCount", group.unhealthy_threshold)
        .leaf("HealthCheckPath", &group.path)
        .within("Matcher", |xml| {
            xml.leaf("HttpCode", &group.matcher);
        })
        .values("LoadBalancerArns", world.load_balancers_of(&group.arn))
        .leaf("TargetType", "instance")
        .leaf("ProtocolVersion", "HTTP1")
        .leaf("IpAddressType", "ipv4");
}

pub fn describe_attributes(world: &World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["TargetGroupArn"])?;
    let group = world.target_groups.get(form.required("TargetGroupArn")?).ok_or_else(not_found)?;
    let attributes = [
        ("deregistration_delay.timeout_seconds", group.deregistration_delay_seconds.to_string()),
        ("load_balancing.algorithm.type", group.algorithm.clone()),
        ("slow_start.duration_seconds", group.slow_start_seconds.to_string()),
        ("stickiness.enabled", group.stickiness.to_string()),
        ("stickiness.type", "lb_cookie".to_owned()),
        ("stickiness.lb_cookie.duration_seconds", "86400".to_owned()),
        ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1".to_owned()),
    ];
    let mut xml = Xml::new();
    xml.members("Attributes", attributes, |xml, (key, value)| {
        xml.leaf("Key", key).leaf("Value", value);
    });
    Ok(xml)
}

pub fn describe_health(world: &World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["TargetGroupArn", "Targets"])?;
    let arn = form.required("TargetGroupArn")?;
    let ids = target_ids(world, arn, form)?;
    let views = world.target_health(arn, (!ids.is_empty()).then_some(ids.as_slice()))?;
    let mut xml = Xml::new();
    xml.members("TargetHealthDescriptions", &views, |xml, view| {
        xml.within("Target", |xml| {
            xml.leaf("Id", &view.id).leaf("Port", view.port);
        })
        .leaf("HealthCheckPort", view.port)
        .within("TargetHealth", |xml| {
            xml.leaf("State", &view.state).leaf_if("Reason", view.reason.as_ref()).leaf_if("Description", view.description.as_ref());
        });
    });
    Ok(xml)
}

pub fn register(world: &mut World, form: &Form) -> Result<Xml, Fault> {
    let (arn, ids) = named_targets(world, form)?;
    world.register_targets(&arn, &ids).map(|()| Xml::new())
}

pub fn deregister(world: &mut World, form: &Form) -> Result<Xml, Fault> {
    let (arn, ids) = named_targets(world, form)?;
    world.deregister_targets(&arn, &ids).map(|()| Xml::new())
}

fn named_targets(world: &World, form: &Form) -> Result<(String, Vec<String>), Fault> {
    form.only(&["TargetGroupArn", "Targets"])?;
    let arn = form.required("TargetGroupArn")?;
    let ids = target_ids(world, arn, form)?;
    if ids.is_empty() {
        return Err(elbv2::validation("You must specify at least one target"));
    }
    Ok((arn.to_owned(), ids))
}

/// The ids in `Targets`; a target stands at its group's port only.
fn target_ids(world: &World, arn: &str, form: &Form) -> Result<Vec<String>, Fault> {
    let group = world.target_groups.get(arn).ok_or_else(not_found)?;
    let mut ids = Vec::new();
    for target in form.items("Targets") {
        if target.number("Port")?.is_some_and(|port| port != u32::from(group.port)) {
            return Err(not_simulated("a port that is not the target group's"));
        }
        ids.push(target.required("Id").map_err(|_| validation("A target must have an ID"))?.to_owned());
    }
    Ok(ids)
}

fn not_found() -> Fault {
    Fault::new(400, "TargetGroupNotFound", "One or more target groups not found")
}
