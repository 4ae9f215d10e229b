//! Elastic Load Balancing v2, awsQuery 2015-12-01: load balancers, listeners and rules. Target groups are next door.

use super::page::{Page, page};
use super::query::Form;
use super::{Xml, actions, digits_of, no_operation, targets};
use crate::sandbox::world::{Action, Condition, Fault, Listener, LoadBalancer, Rule, Time, World};

/// When every simulated load balancer was created; nothing depends on it.
const CREATED: Time = Time(1_700_000_000_000);
pub const VPC: &str = "vpc-0123456789abcdef0";
/// Names or ARNs in one Describe call.
const NAMED_MAX: usize = 20;
/// What PageSize may be, and what it is when it is not given.
const PAGE_MAX: u32 = 400;

pub fn handle(world: &mut World, operation: &str, form: &Form) -> Result<Xml, Fault> {
    of_this_region(world, form)?;
    match operation {
        "DescribeLoadBalancers" => describe_load_balancers(world, form),
        "DescribeListeners" => describe_listeners(world, form),
        "DescribeRules" => describe_rules(world, form),
        "ModifyListener" => modify_listener(world, form),
        "ModifyRule" => modify_rule(world, form),
        "DescribeTargetGroups" => targets::describe_groups(world, form),
        "DescribeTargetGroupAttributes" => targets::describe_attributes(world, form),
        "DescribeTargetHealth" => targets::describe_health(world, form),
        "RegisterTargets" => targets::register(world, form),
        "DeregisterTargets" => targets::deregister(world, form),
        _ => Err(no_operation(operation, "2015-12-01")),
    }
}

/// An ARN of another region is no ARN here (seen on AWS: aws/aws-cli issue 3673).
fn of_this_region(world: &World, form: &Form) -> Result<(), Fault> {
    let here = format!("arn:aws:elasticloadbalancing:{}:", world.region);
    let elsewhere = |value: &&String| value.starts_with("arn:aws:elasticloadbalancing:") && !value.starts_with(&here);
    let Some(arn) = form.values().find(elsewhere) else { return Ok(()) };
    let kind = match arn.splitn(6, ':').nth(5).and_then(|resource| resource.split('/').next()) {
        Some("loadbalancer") => "load balancer",
        Some("targetgroup") => "target group",
        Some("listener-rule") => "listener rule",
        Some("listener") => "listener",
        Some(_) | None => "resource",
    };
    Err(validation(&format!("'{arn}' is not a valid {kind} ARN")))
}

fn describe_load_balancers(world: &World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["LoadBalancerArns", "Names", "Marker", "PageSize"])?;
    let (arns, names) = (form.list("LoadBalancerArns"), form.list("Names"));
    either(&arns, &names, "load balancers")?;
    let missing =
        |wanted: &[String]| Fault::new(400, "LoadBalancerNotFound", format!("Load balancers '[{}]' not found", wanted.join(", ")));
    let mut found: Vec<&LoadBalancer> = world.load_balancers.values().collect();
    if !arns.is_empty() {
        found = select(&found, &arns, |lb| &lb.arn).ok_or_else(|| missing(&arns))?;
    } else if !names.is_empty() {
        found = select(&found, &names, |lb| &lb.name).ok_or_else(|| missing(&names))?;
    }
    let page = cut(world, found, "DescribeLoadBalancers", form)?;
    let mut xml = Xml::new();
    xml.members("LoadBalancers", &page.items, |xml, lb| load_balancer(xml, world, lb)).leaf_if("NextMarker", page.next);
    Ok(xml)
}

fn load_balancer(xml: &mut Xml, world: &World, lb: &LoadBalancer) {
    let zones: Vec<char> = ('a'..='f').take((lb.nodes as usize).max(1)).collect();
    xml.leaf("LoadBalancerArn", &lb.arn)
        .leaf("DNSName", &lb.dns_name)
        .leaf("CanonicalHostedZoneId", "Z35SXDOTRQ7X7K")
        .leaf("CreatedTime", CREATED)
        .leaf("LoadBalancerName", &lb.name)
        .leaf("Scheme", "internet-facing")
        .leaf("VpcId", VPC)
        .within("State", |xml| {
            xml.leaf("Code", "active");
        })
        .leaf("Type", "application")
        .members("AvailabilityZones", zones, |xml, zone| {
            xml.leaf("ZoneName", format!("{}{zone}", world.region))
                .leaf("SubnetId", format!("subnet-0{}", digits_of(&format!("{}{zone}", lb.name))));
        })
        .leaf("IpAddressType", "ipv4");
}

fn describe_listeners(world: &World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["LoadBalancerArn", "ListenerArns", "Marker", "PageSize"])?;
    let arns = form.list("ListenerArns");
    let all: Vec<&Listener> = world.listeners.values().collect();
    let found = match form.get("LoadBalancerArn") {
        Some(_) if !arns.is_empty() => return Err(validation("You cannot specify both a load balancer ARN and listener ARNs")),
        Some(lb) => {
            known_load_balancer(world, lb)?;
            all.into_iter().filter(|listener| listener.load_balancer == lb).collect()
        }
        None if arns.is_empty() => return Err(validation("You must specify either listener ARNs or a load balancer ARN")),
        None => select(&all, &arns, |listener| &listener.arn).ok_or_else(listener_not_found)?,
    };
    let page = cut(world, found, "DescribeListeners", form)?;
    let mut shown = Vec::new();
    for one in page.items {
        shown.push((one, world.listener_actions(&one.arn)?));
    }
    let mut xml = Xml::new();
    xml.members("Listeners", &shown, |xml, (one, actions)| listener(xml, one, actions)).leaf_if("NextMarker", page.next);
    Ok(xml)
}

fn listener(xml: &mut Xml, listener: &Listener, actions: &[Action]) {
    xml.leaf("ListenerArn", &listener.arn)
        .leaf("LoadBalancerArn", &listener.load_balancer)
        .leaf("Port", listener.port)
        .leaf("Protocol", &listener.protocol);
    if listener.protocol == "HTTPS" {
        xml.leaf("SslPolicy", "ELBSecurityPolicy-TLS13-1-2-2021-06").members("Certificates", [&listener.arn], |xml, arn| {
            let digits = super::uuid_of(arn);
            let acm = arn.replace("elasticloadbalancing", "acm");
            let account = acm.split(":listener").next().unwrap_or(arn);
            xml.leaf("CertificateArn", format!("{account}:certificate/{digits}"));
        });
    }
    actions::write(xml, "DefaultActions", actions);
}

fn describe_rules(world: &World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["ListenerArn", "RuleArns", "Marker", "PageSize"])?;
    let arns = form.list("RuleArns");
    let mut rows: Vec<Row> = Vec::new();
    match form.get("ListenerArn") {
        Some(_) if !arns.is_empty() => return Err(validation("You cannot specify both a listener ARN and rule ARNs")),
        Some(arn) => rows = rows_of(world.listeners.get(arn).ok_or_else(listener_not_found)?, world),
        None if arns.is_empty() => return Err(validation("You must specify either rule ARNs or a listener ARN")),
        None => {
            let all: Vec<Row> = world.listeners.values().flat_map(|listener| rows_of(listener, world)).collect();
            for arn in &arns {
                rows.push(*all.iter().find(|row| row.arn() == *arn).ok_or_else(rule_not_found)?);
            }
        }
    }
    let page = cut(world, rows, "DescribeRules", form)?;
    let mut shown = Vec::new();
    for row in page.items {
        shown.push((row, world.rule_actions(&row.arn())?));
    }
    let mut xml = Xml::new();
    xml.members("Rules", &shown, |xml, (row, actions)| write_row(xml, *row, actions)).leaf_if("NextMarker", page.next);
    Ok(xml)
}

/// A row of DescribeRules: a rule, or the default that every listener has.
#[derive(Clone, Copy)]
enum Row<'a> {
    Rule(&'a Rule),
    Default(&'a Listener),
}

impl Row<'_> {
    fn arn(self) -> String {
        match self {
            Row::Rule(rule) => rule.arn.clone(),
            Row::Default(listener) => World::default_rule_arn(&listener.arn),
        }
    }
}

/// The rules of a listener by priority, the default last.
fn rows_of<'a>(listener: &'a Listener, world: &'a World) -> Vec<Row<'a>> {
    let mut rules: Vec<&Rule> = world.rules.values().filter(|rule| rule.listener == listener.arn).collect();
    rules.sort_by_key(|rule| rule.priority);
    rules.into_iter().map(Row::Rule).chain([Row::Default(listener)]).collect()
}

fn write_row(xml: &mut Xml, row: Row, actions: &[Action]) {
    xml.leaf("RuleArn", row.arn());
    match row {
        Row::Rule(rule) => xml.leaf("Priority", rule.priority).members("Conditions", &rule.conditions, condition),
        Row::Default(_) => xml.leaf("Priority", "default").values("Conditions", [""; 0]),
    };
    actions::write(xml, "Actions", actions);
    xml.leaf("IsDefault", matches!(row, Row::Default(_)));
}

fn condition(xml: &mut Xml, condition: &Condition) {
    xml.leaf("Field", &condition.field).values("Values", &condition.values);
    let config = match condition.field.as_str() {
        "path-pattern" => Some("PathPatternConfig"),
        "host-header" => Some("HostHeaderConfig"),
        _ => None,
    };
    if let Some(config) = config {
        xml.within(config, |xml| {
            xml.values("Values", &condition.values);
        });
    }
}

fn modify_listener(world: &mut World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["ListenerArn", "DefaultActions"])?;
    let arn = form.required("ListenerArn")?;
    world.modify_listener(arn, some(actions::parse(form, "DefaultActions")?)?)?;
    let changed = world.listeners.get(arn).ok_or_else(listener_not_found)?;
    let mut xml = Xml::new();
    xml.members("Listeners", [changed], |xml, one| listener(xml, one, &one.actions.api));
    Ok(xml)
}

fn modify_rule(world: &mut World, form: &Form) -> Result<Xml, Fault> {
    form.only(&["RuleArn", "Actions"])?;
    let arn = form.required("RuleArn")?;
    world.modify_rule(arn, some(actions::parse(form, "Actions")?)?)?;
    let changed = world.rules.get(arn).ok_or_else(rule_not_found)?;
    let mut xml = Xml::new();
    xml.members("Rules", [changed], |xml, rule| write_row(xml, Row::Rule(rule), &rule.actions.api));
    Ok(xml)
}

fn some(actions: Vec<Action>) -> Result<Vec<Action>, Fault> {
    if actions.is_empty() { Err(validation("You must specify the actions")) } else { Ok(actions) }
}

/// One page by Marker and PageSize.
pub fn cut<T>(world: &World, items: Vec<T>, operation: &str, form: &Form) -> Result<Page<T>, Fault> {
    let size = form.bounded("PageSize", PAGE_MAX, 1, PAGE_MAX)?.min(world.timing.page_items);
    page(items, operation, form.get("Marker"), size).ok_or_else(|| validation("The marker is not valid"))
}

/// The items wanted, in the order of `items`; `None` when one of them is missing.
pub fn select<'a, T>(items: &[&'a T], wanted: &[String], key: impl Fn(&T) -> &String) -> Option<Vec<&'a T>> {
    let all_there = wanted.iter().all(|name| items.iter().any(|item| key(item) == name));
    all_there.then(|| items.iter().copied().filter(|item| wanted.contains(key(item))).collect())
}

/// Refuses names together with ARNs, and too many of either.
pub fn either(arns: &[String], names: &[String], what: &str) -> Result<(), Fault> {
    if !arns.is_empty() && !names.is_empty() {
        return Err(validation(&format!("You cannot specify both names and ARNs of {what}")));
    }
    if arns.len().max(names.len()) > NAMED_MAX {
        return Err(validation(&format!("You cannot describe more than '{NAMED_MAX}' {what} at a time")));
    }
    Ok(())
}

pub fn known_load_balancer(world: &World, arn: &str) -> Result<(), Fault> {
    if world.load_balancers.contains_key(arn) {
        return Ok(());
    }
    Err(Fault::new(400, "LoadBalancerNotFound", format!("Load balancer '{arn}' not found")))
}

pub fn validation(message: &str) -> Fault {
    Fault::new(400, "ValidationError", message)
}

fn listener_not_found() -> Fault {
    Fault::new(400, "ListenerNotFound", "One or more listeners not found")
}

fn rule_not_found() -> Fault {
    Fault::new(400, "RuleNotFound", "One or more rules not found")
}
