//! Looks whether an environment is set up as bgx needs it, by reads alone, and names for each thing that is not what to do about it.

use super::survey::{self, About, Survey};
use super::traffic::{self, Balancer, target_group_name};
use crate::account::{Account, AccountError, Forward, Group, Kind, RouteRef, Rule, TargetGroup};
use crate::config::{Environment, Match, Route};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// It works, and is worth knowing.
    Warn,
    /// A run would fail, or do harm.
    Fail,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    pub about: &'static str,
    pub text: String,
    /// A command, or what to change.
    #[serde(rename = "do")]
    pub act: Option<String>,
}

impl Finding {
    pub fn ok(about: &'static str, text: impl Into<String>) -> Finding {
        Finding { level: Level::Ok, about, text: text.into(), act: None }
    }

    fn warn(about: &'static str, text: impl Into<String>, act: impl Into<String>) -> Finding {
        Finding { level: Level::Warn, about, text: text.into(), act: Some(act.into()) }
    }

    pub fn fail(about: &'static str, text: impl Into<String>, act: impl Into<String>) -> Finding {
        Finding { level: Level::Fail, about, text: text.into(), act: Some(act.into()) }
    }

    /// A read that did not succeed: what it was to tell is unknown.
    fn unread(about: &'static str, error: &AccountError) -> Finding {
        match error.kind {
            Kind::Denied => {
                let call = permission(error);
                Finding::fail(about, format!("{call} is denied"), format!("allow {call}: docs/adopting.md, \"Permissions\""))
            }
            _ => Finding::fail(about, format!("could not be read: {error}"), "try again; nothing was concluded from it"),
        }
    }
}

/// What is to be allowed: IAM's own text names it, and it is not always what was called. Without `s3:ListBucket` a key that is not there
/// cannot be read, for one.
fn permission(error: &AccountError) -> String {
    let named = error.message.split_once("not authorized to perform: ").and_then(|(_, rest)| rest.split_whitespace().next());
    named.map_or_else(|| format!("{}:{}", error.service, error.operation), str::to_owned)
}

/// All findings about one environment, in the order in which a request passes: load balancer, groups, records, what is beside.
pub async fn examine(account: &Account, env: &Environment) -> Vec<Finding> {
    let mut found = Vec::new();
    let names: Vec<&str> = env.colors.iter().flat_map(|color| color.target_groups().map(String::as_str)).collect();
    let asgs: Vec<&str> = env.colors.iter().map(|color| color.asg.as_str()).collect();
    let (balancer, targets, groups) =
        tokio::join!(traffic::whole_balancer(account, &env.load_balancer), account.target_groups(&names), account.groups(&asgs));
    match &balancer {
        Ok(balancer) => found.extend(routes(env, balancer, targets.as_ref().ok())),
        Err(error) => found.push(unread("load balancer", error)),
    }
    match (&targets, &groups) {
        (Ok(targets), Ok(groups)) => found.extend(env.colors.iter().flat_map(|color| {
            let targets: Vec<_> = color.target_groups().map(|name| (name, targets.get(name))).collect();
            group(&color.asg, groups.get(&color.asg), &targets, env.min, env.shares_target_group())
        })),
        (Err(error), _) => found.push(Finding::unread("target groups", error)),
        (_, Err(error)) => found.push(Finding::unread("groups", error)),
    }
    found.extend(stored(account, env).await);
    found.extend(beside(account, env, groups.as_ref().ok()).await);
    let is_whole = !found.iter().any(|finding| finding.level == Level::Fail);
    match survey::survey(account, env).await {
        Ok(survey) => found.extend(drift(env, &survey)),
        // What is in its way stands above.
        Err(error) if is_whole => found.push(unread("records", &error)),
        Err(_) => {}
    }
    found
}

fn unread(about: &'static str, error: &super::RunError) -> Finding {
    match error {
        super::RunError::Account(error) => Finding::unread(about, error),
        other => Finding::fail(about, other.to_string(), "correct bgx.toml, or the account"),
    }
}

/// Each route: one rule, nothing before it that takes its requests, and a forward action with the environment's own target groups.
fn routes(env: &Environment, balancer: &Balancer, targets: Option<&BTreeMap<String, TargetGroup>>) -> Vec<Finding> {
    let mut found = Vec::new();
    for route in &env.routes {
        let reference = match traffic::route(balancer, env, route) {
            Ok(reference) => reference,
            Err(error) => {
                found.push(Finding::fail("route", error.to_string(), "a route is one rule: correct bgx.toml or the listener"));
                continue;
            }
        };
        let clashes = clashes(balancer, &reference, route);
        let own: Vec<&str> = env.colors.iter().filter_map(|c| c.target_groups().nth(route.service)).map(String::as_str).collect();
        let forward = balancer.forward(&reference);
        match (clashes.is_empty(), forwards(&reference.label, forward.as_ref(), &own)) {
            (true, None) => found.push(Finding::ok("route", format!("{} → {}", reference.label, shares(forward.as_ref())))),
            (_, wrong) => found.extend(clashes.into_iter().chain(wrong)),
        }
        if forward.is_some_and(|forward| forward.stickiness_seconds.is_some()) {
            let text = format!("{} keeps users of a cookie on the colour that they have", reference.label);
            found.push(Finding::warn("stickiness", text, "turn off target group stickiness of the forward action; canary refuses it"));
        }
    }
    let known: Vec<RouteRef> = env.routes.iter().filter_map(|route| traffic::route(balancer, env, route).ok()).collect();
    if let Some(targets) = targets.filter(|_| known.len() == env.routes.len()) {
        found.extend(strangers(&known, balancer, targets));
    }
    found
}

fn clashes(balancer: &Balancer, reference: &RouteRef, route: &Route) -> Vec<Finding> {
    let before = balancer.before(reference);
    let shadows = before.iter().filter(|rule| takes_all(rule, &route.matches));
    let clash = |rule: &Rule| {
        let text = format!("the rule of priority {} takes every request of {} before it", rule.priority, reference.label);
        Finding::fail("route clash", text, "give the route's rule a smaller priority, or take the other one away")
    };
    shadows.map(clash).collect()
}

/// Whether a rule leaves nothing of a route to the rules after it. Conditions other than path and host are never sure to hold.
fn takes_all(rule: &Rule, route: &Match) -> bool {
    let (path, host) = match route {
        Match::Default => ("*", "*"),
        Match::Path(path) => (path.as_str(), "*"),
        Match::Host(host) => ("*", host.as_str()),
    };
    let covers = |patterns: &[String], own: &str| patterns.is_empty() || patterns.iter().any(|pattern| covers(pattern, own));
    rule.other_conditions.is_empty() && covers(&rule.paths, path) && covers(&rule.hosts, host)
}

/// Whether whatever fits the pattern `own` fits `pattern` too; a `*` of `own` is matched by a `*` alone.
fn covers(pattern: &str, own: &str) -> bool {
    let (mut rest, own) = (pattern.chars(), own);
    match rest.next() {
        None => own.is_empty(),
        Some('*') => (0..=own.len()).filter(|at| own.is_char_boundary(*at)).any(|at| covers(rest.as_str(), &own[at..])),
        Some(wanted) => {
            let mut left = own.chars();
            let fits = left.next().is_some_and(|c| c != '*' && (wanted == '?' || c.eq_ignore_ascii_case(&wanted)));
            fits && covers(rest.as_str(), left.as_str())
        }
    }
}

/// What is wrong with the action of a route.
fn forwards(label: &str, forward: Option<&Forward>, own: &[&str]) -> Option<Finding> {
    let Some(forward) = forward else {
        return Some(Finding::fail("forward", format!("{label} does not forward to a target group"), "give its rule a forward action"));
    };
    let strange = forward.weights.iter().find(|(arn, _)| !own.contains(&target_group_name(arn)));
    if let Some((arn, weight)) = strange {
        let text = format!("{label} forwards to `{}` (weight {weight}), which is not this environment's", target_group_name(arn));
        return Some(match weight {
            0 => Finding::warn("forward", text, "it goes out of the action at the next switch"),
            _ => Finding::fail("forward", text, "send the route to one colour: bgx run switch asks first (id `traffic`)"),
        });
    }
    let live = forward.live().len();
    (live != 1).then(|| {
        let text = format!("{label} sends traffic to {live} target groups: {}", shares(Some(forward)));
        Finding::fail("forward", text, "a canary that somebody left? bgx runs --env …; then bgx run switch")
    })
}

fn shares(forward: Option<&Forward>) -> String {
    let weights = forward.iter().flat_map(|forward| &forward.weights);
    weights.map(|(arn, weight)| format!("{} {weight}", target_group_name(arn))).collect::<Vec<_>>().join(", ")
}

/// Rules that are no route of the environment and send requests to its target groups: a switch would leave them behind.
fn strangers(routes: &[RouteRef], balancer: &Balancer, targets: &BTreeMap<String, TargetGroup>) -> Vec<Finding> {
    let own = |forward: &Forward| forward.live().into_iter().find(|arn| targets.values().any(|group| group.arn == *arn)).map(str::to_owned);
    let is_route = |arn: &str| routes.iter().any(|route| route.rule.as_deref().unwrap_or(&route.listener) == arn);
    let finding = |(arn, label, forward): (&str, String, &Forward)| {
        let target = own(forward).filter(|_| !is_route(arn))?;
        let text = format!("{label} sends traffic to `{}` too, and is no route of bgx.toml", target_group_name(&target));
        Some(Finding::fail("forgotten rule", text, "add it to `routes`, or it stays with the old colour at a switch"))
    };
    balancer.forwards().into_iter().filter_map(finding).collect()
}

/// A group registers its instances with a target group of its own, and never with one that both colours share.
fn attachment(asg: &str, group: &Group, name: &str, known: &TargetGroup, shared: bool) -> Option<Finding> {
    let command = |word: &str| {
        format!("aws autoscaling {word}-load-balancer-target-groups --auto-scaling-group-name {asg} --target-group-arns {}", known.arn)
    };
    match (group.target_groups.contains(&known.arn), shared) {
        (true, false) | (false, true) => None,
        (false, false) => Some(Finding::fail("group", format!("{asg} does not register its instances with {name}"), command("attach"))),
        (true, true) => {
            let text = format!("{asg} is attached to {name}, which both colours share: what it boots serves at once");
            Some(Finding::fail("group", text, command("detach")))
        }
    }
}

fn group(asg: &str, group: Option<&Group>, targets: &[(&String, Option<&TargetGroup>)], least: u32, shared: bool) -> Vec<Finding> {
    let Some(group) = group else {
        return vec![Finding::fail("group", format!("there is no Auto Scaling group `{asg}`"), "make it, or correct `asg` in bgx.toml")];
    };
    let mut found = Vec::new();
    for (name, target_group) in targets {
        match target_group {
            None => {
                found.push(Finding::fail("target group", format!("there is no `{name}`"), "make it, or correct `target_group` in bgx.toml"))
            }
            Some(known) => found.extend(attachment(asg, group, name, known, shared)),
        }
    }
    if group.health_check_type != "ELB" {
        let text = format!("{asg} is checked by {}: what fails its health checks is never replaced", group.health_check_type);
        found.push(Finding::warn(
            "group",
            text,
            format!("aws autoscaling update-auto-scaling-group --auto-scaling-group-name {asg} --health-check-type ELB"),
        ));
    }
    if group.max < least {
        found.push(Finding::fail("group", format!("{asg} holds at most {}, and {least} must serve", group.max), "raise its MaxSize"));
    }
    if found.is_empty() {
        let registers = if shared { "its instances are registered one by one" } else { "registers with its target group" };
        found.push(Finding::ok("group", format!("{asg}: {}/{}/{} (desired/min/max), {registers}", group.desired, group.min, group.max)));
    }
    found
}

/// Parameters, version keys and the lock: what bgx keeps, and what instances boot from.
async fn stored(account: &Account, env: &Environment) -> Vec<Finding> {
    let mut found = Vec::new();
    let parameters = [env.active_color_parameter(), env.active_target_group_parameter()];
    match account.parameters(&parameters.each_ref().map(String::as_str)).await {
        Ok(known) if known.is_empty() && env.original().is_some() => {
            found.push(Finding::ok("parameters", "nobody has recorded a colour yet: the original serves".to_owned()));
        }
        Ok(known) if known.len() == parameters.len() => found.push(Finding::ok("parameters", format!("{}/… can be read", env.parameters))),
        Ok(known) => found.extend(parameters.iter().filter(|name| !known.contains_key(*name)).map(|name| {
            let act = format!("bgx run switch --env {} --to COLOUR-THAT-SERVES writes it", env.name);
            Finding::warn("parameters", format!("there is no `{name}`"), act)
        })),
        Err(error) => found.push(Finding::unread("parameters", &error)),
    }
    let mut keys: Vec<&String> = env.colors.iter().map(|color| &color.version_key).collect();
    keys.dedup();
    for key in keys {
        found.push(match account.object(&env.bucket, key).await {
            Ok(Some(_)) if env.shares_version_key() => {
                Finding::ok("version key", format!("s3://{}/{key}, for both colours: a deploy freezes groups for minutes", env.bucket))
            }
            Ok(Some(_)) => Finding::ok("version key", format!("s3://{}/{key}", env.bucket)),
            Ok(None) => {
                let act = format!("bgx run builds-set-current --env {} --version …", env.name);
                Finding::warn("version key", format!("there is no s3://{}/{key}: nothing new would boot", env.bucket), act)
            }
            Err(error) => Finding::unread("version key", &error),
        });
    }
    found.push(match account.object(&env.state.bucket, &env.lock_key()).await {
        Ok(None) => Finding::ok("lock", format!("s3://{}/{} is free", env.state.bucket, env.lock_key())),
        Ok(Some(_)) => Finding::warn("lock", "a run has the environment, or left its lock", format!("bgx runs --env {}", env.name)),
        Err(error) => Finding::unread("lock", &error),
    });
    found
}

/// What a run can do without, and says less then.
async fn beside(account: &Account, env: &Environment, groups: Option<&BTreeMap<String, Group>>) -> Vec<Finding> {
    let mut found = Vec::new();
    let ids: Vec<&str> = groups.into_iter().flatten().flat_map(|(_, group)| group.instances.iter().map(|i| i.id.as_str())).collect();
    match account.addresses(&ids).await {
        Ok(known) if known.len() < ids.len() => {
            let text = format!("{} of {} instances have no SSM agent that tells their address", ids.len() - known.len(), ids.len());
            found.push(Finding::warn("addresses", text, "without it nobody knows which version an instance runs"));
        }
        Ok(_) => found.push(Finding::ok("addresses", format!("of {} instance(s) are known", ids.len()))),
        Err(error) => {
            let unread = Finding::unread("addresses", &error);
            found.push(Finding { level: Level::Warn, ..unread });
        }
    }
    let names: Vec<&str> = env.alarms.iter().map(String::as_str).collect();
    match account.alarms(&names).await {
        _ if names.is_empty() => {}
        Ok(known) => match names.iter().find(|name| !known.contains_key(**name)) {
            Some(name) => found.push(Finding::fail(
                "alarms",
                format!("there is no alarm `{name}`: it would never ring"),
                "make it, or correct `alarms`",
            )),
            None => found.push(Finding::ok("alarms", names.join(", "))),
        },
        Err(error) => found.push(Finding::unread("alarms", &error)),
    }
    found
}

/// Where records and the account disagree, with the command that repairs it.
fn drift(env: &Environment, survey: &Survey) -> Vec<Finding> {
    if survey.disagreements.is_empty() {
        return vec![Finding::ok("records", "listener, SSM, version keys and instances agree")];
    }
    let live = survey.live.as_deref().unwrap_or("COLOUR");
    let name = &env.name;
    let act = |about: About| match about {
        About::Traffic => format!("bgx run switch --env {name} --to COLOUR"),
        About::Record => format!("bgx run switch --env {name} --to {live}"),
        About::Version => format!("bgx run builds-set-current --env {name} --version WHAT-RUNS, or bgx run deploy"),
        About::Serving => format!("bgx run health-check --env {name}, and the group in AWS"),
    };
    let finding = |d: &survey::Disagreement| match d.blocks {
        true => Finding::fail("drift", d.text.clone(), act(d.about)),
        false => Finding::warn("drift", d.text.clone(), act(d.about)),
    };
    survey.disagreements.iter().map(finding).collect()
}

/// What Terraform must leave alone, a line for each kind of resource that the environment has.
pub fn ignore_changes(env: &Environment) -> Vec<(&'static str, &'static str)> {
    let default = env.routes.iter().any(|route| route.matches == Match::Default);
    let rule = env.routes.iter().any(|route| route.matches != Match::Default);
    let lines = [
        (rule, "aws_lb_listener_rule", "[action]"),
        (default, "aws_lb_listener", "[default_action]"),
        (true, "aws_autoscaling_group", "[desired_capacity, min_size, suspended_processes]"),
        (true, "aws_ssm_parameter", "[value]"),
        (true, "aws_s3_object", "[content, etag]"),
    ];
    lines.into_iter().filter(|(needed, ..)| *needed).map(|(_, resource, fields)| (resource, fields)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(paths: &[&str], hosts: &[&str], other: &[&str]) -> Rule {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Rule {
            arn: "r".into(),
            listener: "l".into(),
            priority: "7".into(),
            paths: texts(paths),
            hosts: texts(hosts),
            other_conditions: texts(other),
            forward: None,
        }
    }

    #[test]
    fn a_rule_takes_all_of_a_route_only_where_each_of_its_conditions_holds_for_it() {
        let beta = Match::Path("/beta*".into());
        assert!(takes_all(&rule(&["/b*"], &[], &[]), &beta));
        assert!(takes_all(&rule(&["/x", "/beta*"], &[], &[]), &beta));
        assert!(!takes_all(&rule(&["/beta/api/*"], &[], &[]), &beta), "only a part");
        assert!(!takes_all(&rule(&["/b*"], &["a.example"], &[]), &beta), "only of one host");
        assert!(!takes_all(&rule(&["/b*"], &[], &["http-header"]), &beta));
        assert!(takes_all(&rule(&[], &["*.example"], &[]), &Match::Host("A.example".into())));
        assert!(takes_all(&rule(&["*"], &[], &[]), &Match::Default) && !takes_all(&rule(&["/*"], &[], &[]), &Match::Default));
    }

    #[test]
    fn patterns_cover_patterns() {
        for (pattern, own, expected) in
            [("/b?ta*", "/beta*", true), ("/beta", "/beta*", false), ("*", "", true), ("/*/x", "/a/b/x", true), ("/b?", "/b*", false)]
        {
            assert_eq!(covers(pattern, own), expected, "{pattern} {own}");
        }
    }

    #[test]
    fn a_stranger_at_weight_0_is_told_of_and_one_with_traffic_fails() {
        let arn = |name: &str| format!("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/{name}/0");
        let forward = |pairs: &[(&str, u32)]| Forward {
            weights: pairs.iter().map(|(name, weight)| (arn(name), *weight)).collect(),
            stickiness_seconds: None,
        };
        let level = |pairs: &[(&str, u32)]| forwards("r", Some(&forward(pairs)), &["a", "b"]).map(|finding| finding.level);
        assert_eq!(level(&[("a", 1), ("b", 0)]), None);
        assert_eq!(level(&[("a", 1), ("c", 0)]), Some(Level::Warn));
        assert_eq!(level(&[("c", 1)]), Some(Level::Fail));
        assert_eq!(level(&[("a", 1), ("b", 1)]), Some(Level::Fail));
        assert_eq!(forwards("r", None, &["a"]).map(|finding| finding.level), Some(Level::Fail));
    }
}
