//! Verbs that wait: each has a limit, says why it is not there yet, and ends at once on a signal.

use super::environment::own_color;
use super::reads::states;
use super::{Answer, lock, raise, with};
use crate::account::{Activity, Group, Target};
use crate::config::ColorNames;
use crate::run::sight::{Looks, Of, of_members, of_targets};
use crate::run::{Halt, Progress, Run, RunError, Wait};
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised, VerbError, explain};
use rhai::Dynamic;
use std::time::Duration;

/// Between two looks at the account: often enough to lose no time, far below the published API rates with nine environments at once.
pub(super) const EVERY: Duration = Duration::from_secs(4);
/// Between two looks while instances boot, which takes minutes.
const BOOT_EVERY: Duration = Duration::from_secs(10);
/// Scaling activities are asked for at every so many looks: they only explain why an instance does not come.
const ACTIVITIES_EVERY: u32 = 3;
const COLOR: Param = Param::required("color", Kind::Color, "such as c.idle");
const TIMEOUT: Opt = Opt::new("timeout", Kind::Duration, "how long at most; default from bgx.toml");

pub static VERBS: &[Verb] = &[
    Verb {
        name: "wait_in_service",
        params: &[COLOR],
        options: &[Opt::new("count", Kind::Int, "instances; default: the desired capacity"), TIMEOUT],
        returns: "nothing",
        summary: "Waits until so many instances are InService: they have booted and read their version.",
        errors: &["timeout", "denied"],
        example: "wait_in_service(c.idle, #{ count: 2, timeout: \"10m\" })",
        effect: Effect::Wait,
        since: 1,
        deprecated: None,
        call: wait_in_service,
    },
    Verb {
        name: "wait_healthy",
        params: &[COLOR],
        options: &[Opt::new("count", Kind::Int, "targets; default: the desired capacity"), TIMEOUT],
        returns: "nothing",
        summary: "Waits until the load balancer itself finds so many targets healthy; its target group must stand in a rule.",
        errors: &["timeout", "denied", "failed"],
        example: "wait_healthy(c.idle, #{ timeout: \"10m\" })",
        effect: Effect::Wait,
        since: 1,
        deprecated: None,
        call: wait_healthy,
    },
    Verb {
        name: "wait_until",
        params: &[
            Param::required("reason", Kind::Text, "what is waited for"),
            Param::required(
                "options",
                Kind::Map,
                "every: time between two looks, default \"4s\"; timeout: how long at most, default \"10m\"",
            ),
            Param::required("check", Kind::Closure, "gives true, or the reason why not yet"),
        ],
        options: &[],
        returns: "nothing",
        summary: "Waits until a closure says true.",
        errors: &["timeout"],
        example: "wait_until(\"somebody is there\", #{ every: \"5s\", timeout: \"1m\" }, || asg(c.live).in_service > 0)",
        effect: Effect::Wait,
        since: 1,
        deprecated: None,
        call: wait_until,
    },
    Verb {
        name: "sleep",
        params: &[Param::required("length", Kind::Duration, "how long")],
        options: &[],
        returns: "nothing",
        summary: "Does nothing for a while.",
        errors: &[],
        example: "sleep(\"30s\")",
        effect: Effect::Wait,
        since: 1,
        deprecated: None,
        call: sleep,
    },
];

fn wait_in_service(call: &Call) -> Answer {
    let color = call.record(0);
    let (count, timeout) = (call.opt_count("count")?, call.opt_duration("timeout"));
    with(call, async |run| {
        let asg = own_color(run, &color)?.asg;
        let started = run.now();
        let timeout = timeout.unwrap_or(run.env.boot_timeout);
        let Some(wait) = run.begin_wait(&format!("{asg} in service"), timeout)? else { return Ok(()) };
        let (mut looks, mut failed) = (0, None);
        poll(run, wait, BOOT_EVERY, async |run, seen| {
            let from = run.now();
            let group = run.account.groups(&[&asg]).await?.remove(&asg);
            let group = group.ok_or_else(|| RunError::failed(format!("there is no group `{asg}`")))?;
            seen.note(Of::Instances, &asg, (from, run.now()), of_members(&group.instances));
            looks += 1;
            if looks % ACTIVITIES_EVERY == 0 {
                let activities = run.account.activities(&asg, 10).await?;
                failed = activities.into_iter().find(|a| a.status == "Failed" && a.start >= started);
            }
            Ok(in_service(&group, count.unwrap_or(group.desired), failed.as_ref()))
        })
        .await
    })?;
    Ok(Dynamic::UNIT)
}

/// `None`: enough are in service.
fn in_service(group: &Group, wanted: u32, failed: Option<&Activity>) -> Option<Progress> {
    let there = group.in_service() as u64;
    if there >= u64::from(wanted) {
        return None;
    }
    let others = group.instances.iter().filter(|i| i.lifecycle != "InService");
    let mut why: Vec<String> = others.map(|i| format!("{} {}", i.id, i.lifecycle)).collect();
    why.extend(failed.map(|a| format!("a launch failed: {}", if a.message.is_empty() { &a.description } else { &a.message })));
    let what = format!("{} {there}/{wanted} in service", group.name);
    Some(Progress { what, why, done: Some(there), total: Some(u64::from(wanted)) })
}

fn wait_healthy(call: &Call) -> Answer {
    let color = call.record(0);
    let (count, timeout) = (call.opt_count("count")?, call.opt_duration("timeout"));
    with(call, async |run| {
        let names = own_color(run, &color)?;
        let topology = run.topology().await?;
        let timeout = timeout.unwrap_or(run.env.healthy_timeout);
        let Some(wait) = run.begin_wait(&format!("{} healthy", names.asg), timeout)? else { return Ok(()) };
        let checked = in_a_rule(run, &names).await;
        if let Err(error) = checked {
            run.end_wait(wait, Some(&error))?;
            return Err(error);
        }
        poll(run, wait.healthy(&names.name), EVERY, async |run, seen| {
            let wanted = match count {
                Some(count) => count,
                None => desired_of(run, &names.asg).await?,
            };
            let from = run.now();
            let targets = run.color_targets(&names, &topology).await?;
            seen.note(Of::Targets, &names.target_group, (from, run.now()), of_targets(&targets));
            Ok(healthy(&names.asg, &targets, wanted))
        })
        .await
    })?;
    Ok(Dynamic::UNIT)
}

pub(super) async fn desired_of(run: &Run, asg: &str) -> Result<u32, RunError> {
    let groups = run.account.settings(&[asg]).await?;
    groups.get(asg).map(|g| g.desired).ok_or_else(|| RunError::failed(format!("there is no group `{asg}`")))
}

/// Targets of a group that stands in no rule are never checked: the wait could only run out.
async fn in_a_rule(run: &Run, color: &ColorNames) -> Result<(), RunError> {
    let names: Vec<&str> = color.target_groups().map(String::as_str).collect();
    let found = run.account.target_groups(&names).await?;
    match names.into_iter().find(|name| found.get(*name).is_none_or(|group| group.load_balancers.is_empty())) {
        None => Ok(()),
        Some(name) => Err(RunError::Failed {
            text: format!("`{name}` stands in no rule, so the load balancer does not check its targets"),
            hint: Some("put it into the rule first: set_weights(#{ live: …, idle: …, share: 0 })".to_owned()),
        }),
    }
}

/// `None`: enough are healthy.
fn healthy(asg: &str, targets: &[Target], wanted: u32) -> Option<Progress> {
    let there = states(targets).get("healthy").copied().unwrap_or(0) as u64;
    if there >= u64::from(wanted) {
        return None;
    }
    let what = format!("{asg} {there}/{wanted} healthy");
    Some(Progress { what, why: unwell(targets), done: Some(there), total: Some(u64::from(wanted)) })
}

/// `i-0ab… initial: Elb.InitialHealthChecking`, one line for each target that is not healthy.
pub(super) fn unwell(targets: &[Target]) -> Vec<String> {
    let others = targets.iter().filter(|t| t.state != "healthy");
    others
        .map(|t| if t.reason.is_empty() { format!("{} {}", t.id, t.state) } else { format!("{} {}: {}", t.id, t.state, t.reason) })
        .collect()
}

/// Looks again and again until `look` gives `None`.
pub(super) async fn poll(
    run: &mut Run,
    mut wait: Wait,
    every: Duration,
    mut look: impl AsyncFnMut(&mut Run, &mut Looks) -> Result<Option<Progress>, RunError>,
) -> Result<(), RunError> {
    let result = loop {
        let progress = match look(run, &mut wait.looks).await {
            Ok(None) => break Ok(()),
            Ok(Some(progress)) => progress,
            Err(error) => break Err(error),
        };
        match run.keep_waiting(&mut wait, progress, every).await {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    run.end_wait(wait, result.as_ref().err())?;
    result
}

fn wait_until(call: &Call) -> Answer {
    let reason = call.text(0);
    let options = call.map(1);
    let every = duration_of(&options, "every", EVERY)?;
    let timeout = duration_of(&options, "timeout", Duration::from_secs(600))?;
    if let Some(odd) = options.keys().find(|key| !["every", "timeout"].contains(&key.as_str())) {
        return Err(Raised::argument(format!("wait_until: option `{odd}` is not known; there are every and timeout")).into());
    }
    let Some(mut wait) = with(call, async |run| run.begin_wait(&reason, timeout))? else { return Ok(Dynamic::UNIT) };
    let result = loop {
        // The run is not held while the closure runs: the closure's own verbs need it.
        let why = match call.call_closure(2, vec![]) {
            Ok(answer) if answer.as_bool() == Ok(true) => break Ok(()),
            Ok(answer) => not_yet(&answer),
            Err(error) => break Err(error),
        };
        let progress = Progress { what: reason.clone(), why, done: None, total: None };
        let waited = with(call, async |run| run.keep_waiting(&mut wait, progress, every).await);
        match waited {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let stage = call.play.user::<std::sync::Arc<super::Stage>>();
    lock(stage).end_wait(wait, result.as_ref().err().map(|error| kept(call, error)).as_ref()).map_err(raise)?;
    result.map(|()| Dynamic::UNIT)
}

/// A script's error as the journal keeps it.
pub(super) fn kept(call: &Call, error: &VerbError) -> RunError {
    match error {
        VerbError::Raised(raised) if raised.kind == "timeout" => RunError::Timeout { text: raised.message.clone() },
        VerbError::Raised(raised) => RunError::Failed { text: raised.message.clone(), hint: raised.hint.clone() },
        VerbError::Script(error) => RunError::failed(explain::eval_error(error, &call.play.sources).message),
        VerbError::Halt(halt) => Halt::Paused { why: halt.to_string() }.into(),
    }
}

fn not_yet(answer: &Dynamic) -> Vec<String> {
    if answer.is_string() { vec![answer.to_string()] } else { Vec::new() }
}

fn duration_of(options: &rhai::Map, key: &str, otherwise: Duration) -> Result<Duration, VerbError> {
    let Some(value) = options.get(key) else { return Ok(otherwise) };
    let given = value.clone().try_cast::<rhai::ImmutableString>();
    let parsed = given.ok_or_else(|| format!("`{key}` wants a duration such as \"5m\"")).and_then(|text| crate::config::duration(&text));
    parsed.map_err(|why| Raised::argument(format!("wait_until: {why}")).into())
}

fn sleep(call: &Call) -> Answer {
    let length = call.duration(0);
    with(call, async |run| {
        let Some(mut wait) = run.begin_wait("sleeping", length.saturating_add(Duration::from_secs(1)))? else { return Ok(()) };
        let progress = Progress { what: "sleeping".to_owned(), ..Progress::default() };
        let result = run.keep_waiting(&mut wait, progress, length).await;
        run.end_wait(wait, result.as_ref().err())?;
        result.map(drop)
    })?;
    Ok(Dynamic::UNIT)
}
