//! Verbs about the environment as a whole: what it is called, which colour is live, whether a deploy may begin.

use super::builds::locked;
use super::{Answer, field, raise, text, with};
use crate::account::Object;
use crate::config::{ColorNames, Environment};
use crate::run::traffic::{self, Serving, Topology};
use crate::run::{Halt, Question, Run, RunError, survey};
use crate::script::duration::show_duration;
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised, Record};
use rhai::Dynamic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub static VERBS: &[Verb] = &[
    Verb {
        name: "env",
        params: &[],
        options: &[],
        returns: "name, min, guarded, shares_version_key, shares_target_group, migrates, timeout.boot, timeout.healthy, region, bucket, restart, alarms, repository, live_label, outside (names of hosts)",
        summary: "What bgx.toml says about the environment.",
        errors: &[],
        example: "env().name",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: env,
    },
    Verb {
        name: "envs",
        params: &[],
        options: &[],
        returns: "a list of names, in the order of --env",
        summary: "The environments of this run; env() is the first one, or the one of in_env.",
        errors: &[],
        example: "for name in envs() { in_env(name, || say(env().name)); }",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: envs,
    },
    Verb {
        name: "in_env",
        params: &[Param::required("name", Kind::Text, "one of envs()"), Param::required("work", Kind::Closure, "what is done there")],
        options: &[],
        returns: "what the closure gives",
        summary: "Carries out a closure whose calls are about another environment of this run, with its own lock, guards and confirmation.",
        errors: &["refused"],
        example: "in_env(envs()[0], || say(env().name))",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: in_env,
    },
    Verb {
        name: "commit_env",
        params: &[],
        options: &[],
        returns: "nothing",
        summary: "What was done in this environment stays when the run fails later; the other environments are taken back.",
        errors: &["denied"],
        example: "in_env(envs()[0], || commit_env())",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: |call| with(call, async |run| run.commit_env().await).map(Dynamic::from),
    },
    Verb {
        name: "colors",
        params: &[],
        options: &[Opt::new("to", Kind::Text, "name of the colour to call idle, or `original`; it must not serve, or be empty")],
        returns: "live and idle, each with name, asg, tg, version",
        summary: "Which colour serves and which does not, read from the listener; the names do not move when traffic does.",
        errors: &["refused", "failed"],
        example: "let c = colors(); say(c.live.asg);",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: colors,
    },
    Verb {
        name: "preflight",
        params: &[Param::required("colors", Kind::Record, "what colors() gave")],
        options: &[
            Opt::new("capacity", Kind::Int, "instances that the idle colour will get"),
            Opt::new("version", Kind::Text, "build that will be deployed"),
            Opt::new("stickiness", Kind::Text, "\"refuse\": target group stickiness is an error"),
        ],
        returns: "nothing",
        summary: "Checks before anything is changed: disagreements, MaxSize, the target group attached, stickiness, builds not locked.",
        errors: &["refused", "failed"],
        example: "preflight(colors(), #{ capacity: 2 })",
        effect: Effect::Ask,
        since: 1,
        deprecated: None,
        call: preflight,
    },
    Verb {
        name: "drift",
        params: &[],
        options: &[],
        returns: "a list of texts, empty where all agrees",
        summary: "Where listener, SSM, version keys and instances disagree, and what of a colour that serves is pinned or suspended.",
        errors: &["denied", "failed"],
        example: "drift().len()",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: drift,
    },
];

fn env(call: &Call) -> Answer {
    with(call, async |run| {
        let env = &run.env;
        let timeout = Record::new(
            "timeouts",
            [("boot", Dynamic::from(show_duration(env.boot_timeout))), ("healthy", Dynamic::from(show_duration(env.healthy_timeout)))],
        );
        Ok(Dynamic::from(Record::new(
            "environment",
            [
                ("name", Dynamic::from(env.name.clone())),
                ("min", Dynamic::from(i64::from(env.min))),
                ("guarded", Dynamic::from(env.guarded)),
                ("shares_version_key", Dynamic::from(env.shares_version_key())),
                ("shares_target_group", Dynamic::from(env.shares_target_group())),
                ("migrates", Dynamic::from(env.original().is_some())),
                ("timeout", Dynamic::from(timeout)),
                ("region", Dynamic::from(env.region.clone())),
                ("bucket", Dynamic::from(env.bucket.clone())),
                ("restart", text(env.restart.as_ref().map(|restart| restart.command().to_owned()))),
                ("alarms", Dynamic::from(env.alarms.iter().cloned().map(Dynamic::from).collect::<rhai::Array>())),
                ("repository", text(env.repository.clone())),
                ("live_label", text(env.live_label.clone())),
                ("outside", Dynamic::from(env.outside.keys().cloned().map(Dynamic::from).collect::<rhai::Array>())),
            ],
        )))
    })
}

fn envs(call: &Call) -> Answer {
    let names = with(call, async |run| Ok(run.envs().to_vec()))?;
    Ok(Dynamic::from(names.into_iter().map(Dynamic::from).collect::<rhai::Array>()))
}

fn in_env(call: &Call) -> Answer {
    let name = call.text(0);
    let before = with(call, async |run| run.enter(&name))?;
    let result = call.call_closure(1, vec![]);
    // Where it failed too: what catches that is about the environment before.
    with(call, async |run| run.enter(&before))?;
    result
}

/// What `colors` needs to know, read at one moment.
#[derive(Serialize, Deserialize)]
struct Seen {
    serving: Serving,
    /// `active-color`.
    recorded: Option<String>,
    /// Colour to desired capacity.
    desired: BTreeMap<String, u32>,
    /// Colour to the version recorded for it.
    versions: BTreeMap<String, String>,
    /// Colour to the text of its version key.
    keys: BTreeMap<String, String>,
}

fn colors(call: &Call) -> Answer {
    let to = call.opt_text("to");
    let found = with(call, async |run| {
        let topology = run.topology().await?;
        let seen = run.read("colors", &run.env.name.clone(), async |run| look(run, &topology).await).await?;
        let live = match &seen.serving {
            Serving::Color(color) => color.clone(),
            Serving::Split { colors, text } => unclear(run, colors.first().cloned(), &format!("traffic is split: {text}"))?,
            Serving::Foreign { text } => unclear(run, seen.recorded.clone(), text)?,
        };
        let idle = idle_color(run, &live, to.as_deref(), &seen)?;
        let of = |name: &str| {
            let names = run.env.color(name).ok_or_else(|| RunError::failed(format!("there is no colour `{name}`")))?;
            // Nothing recorded for the colour that serves: what its instances boot is the best that is known.
            let key = if name == live { seen.keys.get(name) } else { None };
            Ok::<Record, RunError>(color_record(names, &topology, seen.versions.get(name).or(key).cloned()))
        };
        Ok(Record::new("colors", [("live", Dynamic::from(of(&live)?)), ("idle", Dynamic::from(of(&idle)?))]))
    })?;
    Ok(Dynamic::from(found))
}

async fn look(run: &Run, topology: &Topology) -> Result<Seen, RunError> {
    let env = &run.env;
    let names: Vec<String> = env.colors.iter().map(|c| env.version_parameter(&c.name)).chain([env.active_color_parameter()]).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let asgs: Vec<&str> = env.colors.iter().map(|c| c.asg.as_str()).collect();
    let (serving, parameters, groups) =
        tokio::join!(traffic::who(&run.account, env, topology), run.account.parameters(&names), run.account.settings(&asgs));
    let (parameters, groups) = (parameters?, groups?);
    let mut seen = Seen {
        serving: serving?,
        recorded: parameters.get(&env.active_color_parameter()).map(|p| p.value.clone()),
        desired: BTreeMap::new(),
        versions: BTreeMap::new(),
        keys: BTreeMap::new(),
    };
    let reads_keys = !run.is_without_state();
    for color in &env.colors {
        let group = groups.get(&color.asg).ok_or_else(|| RunError::failed(format!("there is no group `{}`", color.asg)))?;
        seen.desired.insert(color.name.clone(), group.desired);
        if let Some(version) = parameters.get(&env.version_parameter(&color.name)) {
            seen.versions.insert(color.name.clone(), version.value.clone());
        }
        let other = env.colors.iter().find(|c| c.version_key == color.version_key && seen.keys.contains_key(&c.name));
        if let Some(text) = other.map(|c| seen.keys[&c.name].clone()) {
            seen.keys.insert(color.name.clone(), text);
        } else if reads_keys && let Some(object) = run.account.object(&env.bucket, &color.version_key).await? {
            let text =
                String::from_utf8(object.body).map_err(|_| RunError::failed(format!("`{}` is not UTF-8 text", color.version_key)))?;
            seen.keys.insert(color.name.clone(), text.trim().to_owned());
        }
    }
    Ok(seen)
}

/// The listener does not name one colour of ours: a person decides whether to go on from `guess`.
fn unclear(run: &mut Run, guess: Option<String>, text: &str) -> Result<String, RunError> {
    let Some(guess) = guess.filter(|name| run.env.color(name).is_some()) else {
        return Err(RunError::failed(format!("{text}, and no colour is recorded as active")));
    };
    let question = Question {
        id: "traffic".to_owned(),
        text: format!("{text}. Take {guess} for the live colour?"),
        choices: vec![("go".to_owned(), format!("go on; {guess} is live")), ("stop".to_owned(), "stop here".to_owned())],
        unattended: None,
        human: true,
        timeout: None,
    };
    match run.ask(&question)?.as_str() {
        "go" => Ok(guess),
        _ => Err(Halt::Declined { text: format!("stopped: {text}") }.into()),
    }
}

/// The colour to deploy to: the other one, or the one named, which may be the live one only while that is empty.
fn idle_color(run: &Run, live: &str, to: Option<&str>, seen: &Seen) -> Result<String, RunError> {
    let Some(to) = to else { return Ok(run.env.other(live).name.clone()) };
    if run.env.color(to).is_none() {
        let known = run.env.colors.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(" and ");
        return Err(RunError::failed(format!("there is no colour `{to}`; there are {known}")));
    }
    match seen.desired.get(to) {
        Some(desired) if to == live && *desired > 0 => Err(RunError::refused(
            format!("{to} serves now with {desired} instance(s)"),
            format!("deploy to {}, or leave --to away", run.env.other(live).name),
        )),
        _ => Ok(to.to_owned()),
    }
}

/// A body that is not text is an error: half-read it would look like another version.
pub(super) fn object_text(object: &Object, key: &str) -> Result<String, RunError> {
    let text = std::str::from_utf8(&object.body).map(str::to_owned);
    text.map_err(|e| RunError::failed(format!("the object `{key}` is not UTF-8: byte {} is wrong", e.valid_up_to() + 1)))
}

fn color_record(names: &ColorNames, topology: &Topology, version: Option<String>) -> Record {
    Record::new(
        "color",
        [
            ("name", Dynamic::from(names.name.clone())),
            ("asg", Dynamic::from(names.asg.clone())),
            ("tg", Dynamic::from(names.target_group.clone())),
            ("arn", Dynamic::from(topology.arn(&names.name).unwrap_or_default().to_owned())),
            ("version_key", Dynamic::from(names.version_key.clone())),
            ("version", text(version)),
        ],
    )
}

fn preflight(call: &Call) -> Answer {
    let colors = call.record(0);
    let idle = colors.get("idle").cloned().and_then(Dynamic::try_cast::<Record>);
    let idle = idle.ok_or_else(|| Raised::argument("preflight: wants what colors() gave"))?;
    let capacity = call.opt_count("capacity")?;
    let takes_build = call.option("version").is_some();
    let refuse_stickiness = call.opt_text("stickiness").as_deref() == Some("refuse");
    with(call, async |run| {
        let name = field(&idle, "name");
        let seen = run.read("preflight", &name, async |run| before_flight(run, &name).await).await?;
        if let Some(why) = seen.locked.as_ref().filter(|_| takes_build) {
            return Err(RunError::refused(
                format!("new builds are locked away from {}: {why}", run.env.name),
                format!("bgx run unlock-builds --env {}", run.env.name),
            ));
        }
        if let Some(wanted) = capacity.filter(|n| *n > seen.max) {
            return Err(RunError::refused(
                format!("`{}` can hold {} instance(s), {wanted} are wanted", seen.asg, seen.max),
                format!("raise its MaxSize, or ask for at most --capacity {}", seen.max),
            ));
        }
        registers(&seen, run.env.shares_target_group())?;
        if seen.sticky {
            if refuse_stickiness {
                return Err(RunError::refused(
                    "target group stickiness is on, so weights do not say who is served",
                    "turn it off on the rule",
                ));
            }
            run.say("target group stickiness is on: some users stay with their target group until their cookie ends", false)?;
        }
        disagreements(run, &seen.disagreements)
    })?;
    Ok(Dynamic::UNIT)
}

/// A group puts its instances into a target group of its own, and never into one that both colours share: they would serve at once.
fn registers(seen: &Preflight, shared: bool) -> Result<(), RunError> {
    let (asg, target_group) = (&seen.asg, &seen.target_group);
    match (seen.registers, shared) {
        (true, false) | (false, true) => Ok(()),
        (false, false) => Err(RunError::failed(format!("`{asg}` does not register its instances with `{target_group}`"))),
        (true, true) => Err(RunError::refused(
            format!("`{asg}` is attached to `{target_group}`, which both colours share: what it boots would serve at once"),
            format!("aws autoscaling detach-load-balancer-target-groups --auto-scaling-group-name {asg} --target-group-arns …"),
        )),
    }
}

/// What `preflight` judges, read at one moment.
#[derive(Serialize, Deserialize)]
struct Preflight {
    asg: String,
    target_group: String,
    max: u32,
    /// The group registers its instances with the target group.
    registers: bool,
    sticky: bool,
    disagreements: Vec<String>,
    /// Why no new build may come.
    #[serde(default)]
    locked: Option<String>,
}

async fn before_flight(run: &mut Run, color: &str) -> Result<Preflight, RunError> {
    let topology = run.topology().await?;
    let names = run.env.color(color).cloned().ok_or_else(|| RunError::failed(format!("there is no colour `{color}`")))?;
    let mut seen = survey::check(&run.account, &run.env, &topology, survey::Ask::Version).await?;
    let group = seen.groups.remove(&names.asg).ok_or_else(|| RunError::failed(format!("there is no group `{}`", names.asg)))?;
    Ok(Preflight {
        max: group.max,
        registers: topology.groups(color).iter().all(|own| group.target_groups.contains(&own.arn)),
        sticky: seen.sticky,
        disagreements: seen.disagreements.into_iter().map(|d| d.text).collect(),
        locked: locked(run).await?,
        target_group: names.target_groups().cloned().collect::<Vec<_>>().join("` and `"),
        asg: names.asg,
    })
}

fn drift(call: &Call) -> Answer {
    let found = with(call, async |run| {
        run.read("drift", "", async |run| {
            let topology = run.topology().await?;
            let check = survey::check(&run.account, &run.env, &topology, survey::Ask::Version).await?;
            let sticky = check.sticky.then(|| "target group stickiness is on: a cookie outlives a switch".to_owned());
            Ok(check.disagreements.into_iter().map(|d| d.text).chain(sticky).collect::<Vec<String>>())
        })
        .await
    })?;
    Ok(Dynamic::from(found.into_iter().map(Dynamic::from).collect::<rhai::Array>()))
}

/// Disagreements that were there before: a person decides whether to go on.
fn disagreements(run: &mut Run, seen: &[String]) -> Result<(), RunError> {
    if seen.is_empty() {
        return Ok(());
    }
    let text = seen.join("; ");
    let question = Question {
        id: "drift".to_owned(),
        text: format!("not everything agrees: {text}"),
        choices: vec![("go".to_owned(), "go on; the listener is the truth".to_owned()), ("stop".to_owned(), "stop here".to_owned())],
        unattended: None,
        human: true,
        timeout: None,
    };
    match run.ask(&question)?.as_str() {
        "go" => Ok(()),
        _ => Err(Halt::Declined { text: format!("stopped: {text}") }.into()),
    }
}

/// For other rooms of verbs: the record's colour must be one of the environment's.
pub(super) fn own_color(run: &Run, color: &Record) -> Result<ColorNames, RunError> {
    let (name, asg) = (field(color, "name"), field(color, "asg"));
    match run.env.color(&name) {
        Some(names) if names.asg == asg => Ok(names.clone()),
        // Every environment has a blue one: taken for this one's, another's would lead to the wrong group.
        _ => Err(RunError::failed(format!("`{name}` with `{asg}` is not a colour of {}", run.env.name))),
    }
}

/// The environment, copied out of the run.
pub(super) fn environment(call: &Call) -> Result<Environment, crate::script::VerbError> {
    let stage = call.play.user::<std::sync::Arc<super::Stage>>();
    let run = super::lock(stage);
    run.check_interrupt().map_err(|halt| raise(halt.into()))?;
    Ok(run.env.clone())
}
