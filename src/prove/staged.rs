//! Between a test and its run: faults by their names on the way in, the events and the account as values on the way out.

use super::testing::known_signal;
use crate::config::Environment;
use crate::run::event::{Event, What};
use crate::sandbox::fault::{Make, Mishap, Rule};
use crate::sandbox::world::{Action, Lifecycle, Target, TargetState, World};
use crate::script::diagnose::did_you_mean;
use crate::script::harness::{Account, Ask, FaultAsk, Group, Refusal, SignalAsk, Told, UsersTold};
use std::collections::BTreeMap;

/// Larger objects are no texts to compare.
const OBJECT_BYTES_MAX: usize = 4096;

/// What a run meets.
pub struct Stage {
    pub rules: Vec<Rule>,
    pub signal: Option<SignalAsk>,
}

/// Faults of calls.
const FAULTS: [(&str, Make); 12] = [
    ("throttled", Rule::throttle),
    ("denied", Rule::denied),
    ("expired", Rule::expired),
    ("server_error", Rule::server_error),
    ("lost_request", Rule::lost_request),
    ("lost_reply", Rule::lost_reply),
    ("hang", Rule::hang),
    ("hang_after", Rule::hang_after),
    ("garbage", Rule::garbage),
    ("empty", Rule::empty),
    ("half_reply", Rule::half_reply),
    ("conflict", Rule::conflict),
];

/// What happens to a group, or to an alarm.
const MISHAPS: [&str; 11] = [
    "interrupted",
    "all_interrupted",
    "dies",
    "breaks",
    "never_healthy",
    "bad_build",
    "rebalanced",
    "no_capacity",
    "policy",
    "scheduled",
    "alarm",
];

/// Operations by service, as their rules are placed.
const CALLS: [(&str, &[&str]); 6] = [
    (
        "autoscaling",
        &[
            "DescribeAutoScalingGroups",
            "DescribeAutoScalingInstances",
            "DescribeScalingActivities",
            "UpdateAutoScalingGroup",
            "SetDesiredCapacity",
            "SuspendProcesses",
            "ResumeProcesses",
            "EnterStandby",
            "TerminateInstanceInAutoScalingGroup",
            "ExitStandby",
            "DescribeInstanceRefreshes",
            "StartInstanceRefresh",
            "CancelInstanceRefresh",
        ],
    ),
    (
        "elasticloadbalancing",
        &[
            "DescribeLoadBalancers",
            "DescribeListeners",
            "DescribeRules",
            "DescribeTargetGroups",
            "DescribeTargetHealth",
            "ModifyListener",
            "ModifyRule",
            "RegisterTargets",
            "DeregisterTargets",
        ],
    ),
    (
        "ssm",
        &[
            "GetParameter",
            "GetParameters",
            "GetParametersByPath",
            "PutParameter",
            "DeleteParameter",
            "DescribeInstanceInformation",
            "SendCommand",
            "ListCommands",
            "GetCommandInvocation",
        ],
    ),
    ("s3", &["GetObject", "HeadObject", "PutObject", "CopyObject", "DeleteObject", "ListObjectsV2"]),
    ("sts", &["GetCallerIdentity"]),
    ("monitoring", &["GetMetricData", "DescribeAlarms"]),
];

/// Reads what a test wants to happen.
pub fn stage(ask: &Ask, envs: &[Environment], world: &World) -> Result<Stage, Refusal> {
    if let Some(signal) = &ask.signal {
        known_signal(signal)?;
    }
    let rules = ask.faults.iter().map(|fault| rule(fault, envs, world)).collect::<Result<Vec<_>, _>>()?;
    Ok(Stage { rules, signal: ask.signal.clone() })
}

fn rule(fault: &FaultAsk, envs: &[Environment], world: &World) -> Result<Rule, Refusal> {
    let place = fault.at.as_deref().map(service_of).transpose()?;
    let (service, operation) = place.clone().unwrap_or_default();
    let mut rule = match FAULTS.iter().find(|(name, _)| *name == fault.fault) {
        Some((_, make)) if place.is_some() => make(&service, &operation),
        Some(_) => return Err(Refusal::new(format!("fault `{}`: `at` which call?", fault.fault))),
        None => {
            let (region, mishap) = mishap(fault, envs, world)?;
            Rule::mishap(&service, &operation, mishap).in_region(&region)
        }
    };
    if place.is_none() {
        (rule.service, rule.operation) = (None, None);
    }
    rule = fault.region.iter().fold(rule, |rule, region| rule.in_region(region));
    let times = fault.times.unwrap_or(1);
    Ok(rule.after(fault.nth.unwrap_or(1).saturating_sub(1)).times(if times == 0 { u32::MAX } else { times }))
}

fn service_of(operation: &str) -> Result<(String, String), Refusal> {
    let is_http = operation.starts_with("GET ") || operation.starts_with("POST ");
    if is_http && ["/repos/", "/graphql"].iter().any(|path| operation.contains(path)) {
        return Ok(("github".to_owned(), operation.to_owned()));
    }
    if is_http {
        return Ok(("instance".to_owned(), operation.to_owned()));
    }
    match CALLS.iter().find(|(_, operations)| operations.contains(&operation)) {
        Some((service, _)) => Ok(((*service).to_owned(), operation.to_owned())),
        None => {
            let hint = did_you_mean(operation, CALLS.iter().flat_map(|(_, operations)| operations.iter().copied()));
            Err(Refusal::new(format!("fault: `{operation}` is no call of a run")).maybe_hint(hint))
        }
    }
}

/// What happens, and in which region: that of the first environment which has the group or alarm.
fn mishap(fault: &FaultAsk, envs: &[Environment], world: &World) -> Result<(String, Mishap), Refusal> {
    let name = fault.fault.as_str();
    if !MISHAPS.contains(&name) {
        let hint = did_you_mean(name, FAULTS.iter().map(|(name, _)| *name).chain(MISHAPS));
        return Err(Refusal::new(format!("there is no fault `{name}`")).maybe_hint(hint));
    }
    if name == "alarm" {
        return alarm(fault, world);
    }
    if name == "bad_build" {
        let version = fault.build.clone().ok_or_else(|| Refusal::new("fault `bad_build`: which `build`, as the version key has it?"))?;
        return Ok((world.region.clone(), Mishap::BadBuild { version }));
    }
    let groups: Vec<&str> = envs.iter().flat_map(|env| &env.colors).map(|color| color.asg.as_str()).collect();
    let group = fault.group.clone().ok_or_else(|| Refusal::new(format!("fault `{name}`: which `group`?")))?;
    let there = |env: &&Environment| fault.region.as_ref().is_none_or(|region| env.region == *region);
    let Some(env) = envs.iter().filter(there).find(|env| env.colors.iter().any(|color| color.asg == group)) else {
        let hint = did_you_mean(&group, groups.iter().copied()).unwrap_or_else(|| groups.join(", "));
        return Err(Refusal::new(format!("fault `{name}`: there is no group `{group}`")).maybe_hint(Some(hint)));
    };
    let more = world.region(&env.region).and_then(|there| there.groups.get(&group)).map_or(1, |group| group.desired + 1);
    let mishap = match name {
        "interrupted" => Mishap::Interrupt { group },
        "all_interrupted" => Mishap::InterruptAll { group },
        "dies" => Mishap::Kill { group },
        "breaks" => Mishap::Break { group },
        "never_healthy" => Mishap::NeverHealthy { group },
        "rebalanced" => Mishap::Rebalance { group },
        "no_capacity" => Mishap::LimitCapacity { group, limit: Some(fault.to.unwrap_or(0)) },
        "policy" => Mishap::Policy { group, to: fault.to.unwrap_or(more) },
        _ => Mishap::Schedule { group, to: fault.to.unwrap_or(more) },
    };
    Ok((env.region.clone(), mishap))
}

fn alarm(fault: &FaultAsk, world: &World) -> Result<(String, Mishap), Refusal> {
    let name = fault.alarm.clone().ok_or_else(|| Refusal::new("fault `alarm`: which `alarm`?"))?;
    let Some(there) = world.regions().find(|there| there.alarms.contains_key(&name)) else {
        let hint = did_you_mean(&name, world.regions().flat_map(|there| there.alarms.keys().map(String::as_str)));
        return Err(Refusal::new(format!("fault `alarm`: there is no alarm `{name}`")).maybe_hint(hint));
    };
    let state = fault.state.clone().unwrap_or_else(|| "ALARM".to_owned());
    if !["OK", "ALARM", "INSUFFICIENT_DATA"].contains(&state.as_str()) {
        return Err(Refusal::new(format!("fault `alarm`: `{state}` is no state; there are OK, ALARM and INSUFFICIENT_DATA")));
    }
    Ok((there.region.clone(), Mishap::Alarm { name, state }))
}

/// What an event says, for a test that waits for it.
pub fn text(what: &What) -> String {
    match what {
        What::BlockStarted { name } => format!("step {name}"),
        What::BlockEnded { name, ok } => format!("{} {name}", if *ok { "end of step" } else { "failure of step" }),
        What::Started { verb, action, .. } | What::Unchanged { verb, action, .. } => format!("{verb}: {action}"),
        What::Waiting { what, why, .. } => format!("waiting for {what}: {}", why.join(", ")),
        What::Waited { what, .. } => format!("waited for {what}"),
        What::Asked { id, text, .. } => format!("asked {id}: {text}"),
        What::Said { text, .. } | What::Noticed { text, .. } => text.clone(),
        What::Shown { table, .. } => table.to_string(),
        What::Effect { text, .. } => format!("effect {text}"),
        What::LeaseReturned { action, .. } => format!("lease given back: {action}"),
        What::Committed { .. } => "committed".to_owned(),
        What::CommittedEnv { env, .. } => format!("committed in {env}"),
        What::UndoStarted { action, .. } => format!("undo: {action}"),
        What::Broke { text, .. } => format!("broke: {text}"),
        What::Refused { verb, text, .. } => format!("refused {verb}: {text}"),
        What::Entered { env } => format!("in {env}"),
        What::Line { text, .. } => format!("line {text}"),
        What::Began(_)
        | What::LineEnded { .. }
        | What::Read { .. }
        | What::ReadFailed { .. }
        | What::Found { .. }
        | What::Answered { .. }
        | What::AwaitsApproval { .. }
        | What::Approved { .. }
        | What::Finished { .. }
        | What::Failed { .. }
        | What::OnUndo { .. }
        | What::LeaseKept { .. }
        | What::Signalled { .. }
        | What::Resumed { .. }
        | What::Abandoned { .. }
        | What::UndoFinished { .. }
        | What::UndoSkipped { .. }
        | What::UndoFailed { .. }
        | What::Settled { .. }
        | What::Ended(_) => String::new(),
    }
}

/// Events and accounts as a test reads them; how it ended is filled in by who knows.
pub fn told(envs: &[Environment], before: &World, after: &World, events: &[Event], calls: usize) -> Told {
    let mut told = Told { calls: i64::try_from(calls).unwrap_or(i64::MAX), ..Told::default() };
    for event in events {
        let what = &event.what;
        if let What::Said { text, .. } = what {
            told.said.push(text.clone());
        } else if let What::Shown { table, .. } = what {
            told.said.extend(table.to_string().lines().map(str::to_owned));
        } else if let What::Started { action, .. } = what {
            told.actions.push(action.to_string());
        } else if let What::UndoStarted { action, .. } = what {
            told.undone.push(action.to_string());
        } else if let What::Effect { text, detail, .. } = what {
            told.effects.push(format!("{text}: {detail}"));
        } else if let What::BlockStarted { name } = what {
            told.steps.push(name.clone());
        } else if let What::Asked { id, .. } = what {
            told.questions.push(id.clone());
        }
    }
    told.before.live = envs.first().and_then(|env| account(env, before).live);
    told.after.live = envs.first().and_then(|env| account(env, after).live);
    for env in envs {
        told.users.add(&users(&env.name, before, after));
        told.before.add(account(env, before));
        told.after.add(account(env, after));
    }
    told
}

fn users(env: &str, before: &World, after: &World) -> UsersTold {
    let users = after.users(env, before.now);
    UsersTold {
        requests: users.requests.round(),
        errors: users.errors.round(),
        mixed_seconds: users.mixed_seconds,
        lowest_healthy: users.lowest_healthy.map(i64::from),
    }
}

fn account(env: &Environment, world: &World) -> Account {
    let world = &world.seen_from(&env.region);
    let mut account = Account { weights: weights(env, world), ..Account::default() };
    let heaviest = account.weights.iter().filter(|(_, weight)| **weight > 0).max_by_key(|(_, weight)| **weight);
    account.live = heaviest.and_then(|(name, _)| env.colors.iter().find(|c| c.target_group == *name)).map(|color| color.name.clone());
    for color in &env.colors {
        let Some(group) = world.groups.get(&color.asg) else { continue };
        let registered = world.target_groups.values().filter(|tg| world.carries(&tg.arn)).flat_map(|tg| tg.targets.values());
        let own = |target: &&Target| {
            target.state != TargetState::Draining && world.instances.get(&target.id).is_some_and(|i| i.group == color.asg)
        };
        let registered = i64::try_from(registered.filter(own).count()).unwrap_or(i64::MAX);
        let running = world.instances.values().filter(|i| i.group == color.asg && i.lifecycle == Lifecycle::InService).count();
        let group = Group {
            desired: i64::from(group.desired),
            min: i64::from(group.min),
            max: i64::from(group.max),
            running: i64::try_from(running).unwrap_or(i64::MAX),
            registered,
            suspended: group.suspended.iter().cloned().collect(),
        };
        account.groups.insert(color.asg.clone(), group);
    }
    if env.shares_target_group() {
        let most = env.colors.iter().max_by_key(|color| account.groups.get(&color.asg).map_or(0, |group| group.registered));
        account.live = most.map(|color| color.name.clone());
    }
    let own = |name: &&String| name.starts_with(&env.parameters);
    account.parameters = world.parameters.iter().filter(|(name, _)| own(name)).map(|(name, p)| (name.clone(), p.value.clone())).collect();
    let objects = world.buckets.get(&env.bucket).into_iter().flatten();
    let texts = objects.filter(|(_, object)| object.body.len() <= OBJECT_BYTES_MAX);
    account.objects = texts.map(|(key, object)| (key.clone(), String::from_utf8_lossy(&object.body).into_owned())).collect();
    for (number, issue) in world.repository.iter().flat_map(|repository| &repository.issues) {
        let told: Vec<String> = issue.labels.iter().chain(&issue.comments).cloned().collect();
        if !told.is_empty() {
            account.issues.insert(number.to_string(), told);
        }
    }
    account
}

/// Of the first rule or listener that forwards to one of the environment's target groups.
fn weights(env: &Environment, world: &World) -> BTreeMap<String, i64> {
    let name_of = |arn: &str| world.target_groups.get(arn).map(|group| group.name.clone()).unwrap_or_default();
    let all = world.rules.values().map(|rule| &rule.actions.api).chain(world.listeners.values().map(|listener| &listener.actions.api));
    let forwards = all.flatten().filter_map(|action| match action {
        Action::Forward { targets, .. } => Some(targets),
        Action::FixedResponse { .. } | Action::Redirect { .. } => None,
    });
    let mut named =
        forwards.map(|targets| targets.iter().map(|t| (name_of(&t.target_group), i64::from(t.weight))).collect::<BTreeMap<_, _>>());
    named.find(|weights| env.colors.iter().any(|color| weights.contains_key(&color.target_group))).unwrap_or_default()
}
