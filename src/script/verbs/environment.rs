//! Verbs about the environment as a whole: what it is called, which colour is live, whether a deploy may begin.

use super::{Answer, field, raise, text, with};
use crate::account::Object;
use crate::config::{ColorNames, Environment};
use crate::run::traffic::{self, Serving, Topology};
use crate::run::{Halt, Question, Run, RunError, survey};
use crate::script::duration::show_duration;
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised, Record};
use rhai::Dynamic;

pub static VERBS: &[Verb] = &[
    Verb {
        name: "env",
        params: &[],
        options: &[],
        returns: "name, min, guarded, shares_version_key, timeout.boot, timeout.healthy, region, bucket",
        summary: "What bgx.toml says about the environment.",
        errors: &[],
        example: "env().name",
        effect: Effect::Read,
        since: 1,
        call: env,
    },
    Verb {
        name: "colors",
        params: &[],
        options: &[Opt::new("to", Kind::Text, "name of the colour to call idle; it must not serve, or be empty")],
        returns: "live and idle, each with name, asg, tg, version",
        summary: "Which colour serves and which does not, read from the listener; the names do not move when traffic does.",
        errors: &["refused", "failed"],
        example: "let c = colors(); say(c.live.asg);",
        effect: Effect::Read,
        since: 1,
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
        summary: "Checks before anything is changed: disagreements, MaxSize, the target group attached, stickiness.",
        errors: &["refused", "failed"],
        example: "preflight(colors(), #{ capacity: 2 })",
        effect: Effect::Ask,
        since: 1,
        call: preflight,
    },
    Verb {
        name: "resolve_version",
        params: &[Param::required("version", Kind::Any, "\"gh-123\", \"123\", \"latest\", or the full text of a version key")],
        options: &[],
        returns: "the text to write into the version key",
        summary: "Finds the build that a short name means; it must exist.",
        errors: &["not_found", "denied"],
        example: "resolve_version(\"latest\")",
        effect: Effect::Read,
        since: 1,
        call: resolve_version,
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
                ("timeout", Dynamic::from(timeout)),
                ("region", Dynamic::from(env.region.clone())),
                ("bucket", Dynamic::from(env.bucket.clone())),
            ],
        )))
    })
}

fn colors(call: &Call) -> Answer {
    let to = call.opt_text("to");
    let found = with(call, async |run| {
        let topology = run.topology().await?;
        let weights = traffic::read(&run.account, &run.env, &topology).await?;
        let live = match weights.serving(&topology) {
            Serving::Color(color) => color,
            Serving::Split { colors, text } => unclear(run, colors.first().cloned(), &format!("traffic is split: {text}"))?,
            Serving::Foreign { text } => {
                let recorded = run.account.parameter(&run.env.active_color_parameter()).await?;
                unclear(run, recorded.map(|p| p.value), &text)?
            }
        };
        let idle = idle_color(run, &live, to.as_deref()).await?;
        let versions = versions(run, &live).await?;
        let of = |name: &str| {
            let names = run.env.color(name).ok_or_else(|| RunError::failed(format!("there is no colour `{name}`")))?;
            let version = versions.iter().find(|(color, _)| color == name).and_then(|(_, v)| v.clone());
            Ok::<Record, RunError>(color_record(names, &topology, version))
        };
        let colors = Record::new("colors", [("live", Dynamic::from(of(&live)?)), ("idle", Dynamic::from(of(&idle)?))]);
        run.keep_read("colors", &run.env.name.clone(), serde_json::json!({ "live": live, "idle": idle, "versions": versions }))?;
        Ok(colors)
    })?;
    Ok(Dynamic::from(found))
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
    };
    match run.ask(&question)?.as_str() {
        "go" => Ok(guess),
        _ => Err(Halt::Declined { text: format!("stopped: {text}") }.into()),
    }
}

/// The colour to deploy to: the other one, or the one named, which may be the live one only while that is empty.
async fn idle_color(run: &mut Run, live: &str, to: Option<&str>) -> Result<String, RunError> {
    let Some(to) = to else { return Ok(run.env.other(live).name.clone()) };
    let known = run.env.colors.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(" and ");
    let names = run.env.color(to).ok_or_else(|| RunError::failed(format!("there is no colour `{to}`; there are {known}")))?;
    if to == live {
        let asg = names.asg.clone();
        let groups = run.account.groups(&[&asg]).await?;
        let group = groups.get(&asg).ok_or_else(|| RunError::failed(format!("there is no group `{asg}`")))?;
        if group.desired > 0 {
            return Err(RunError::refused(
                format!("{to} serves now with {} instance(s)", group.desired),
                format!("deploy to {}, or leave --to away", run.env.other(live).name),
            ));
        }
    }
    Ok(to.to_owned())
}

/// The version recorded for each colour; for the live one, where nothing is recorded, what its version key says.
async fn versions(run: &Run, live: &str) -> Result<Vec<(String, Option<String>)>, RunError> {
    let names: Vec<String> = run.env.colors.iter().map(|c| run.env.version_parameter(&c.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let recorded = run.account.parameters(&names).await?;
    let mut versions = Vec::new();
    for color in &run.env.colors {
        let mut version = recorded.get(&run.env.version_parameter(&color.name)).map(|p| p.value.clone());
        if version.is_none() && color.name == live {
            let object = run.account.object(&run.env.bucket, &color.version_key).await?;
            version = object.map(|o| object_text(&o, &color.version_key).map(|text| text.trim().to_owned())).transpose()?;
        }
        versions.push((color.name.clone(), version));
    }
    Ok(versions)
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
    let refuse_stickiness = call.opt_text("stickiness").as_deref() == Some("refuse");
    with(call, async |run| {
        let seen = survey::survey(&run.account, &run.env).await?;
        let color = seen.colors.iter().find(|c| c.color == field(&idle, "name"));
        let color = color.ok_or_else(|| RunError::failed("the idle colour is not in the survey"))?;
        if let Some(wanted) = capacity.filter(|n| *n > color.max) {
            return Err(RunError::refused(
                format!("`{}` can hold {} instance(s), {wanted} are wanted", color.asg, color.max),
                format!("raise its MaxSize, or ask for at most --capacity {}", color.max),
            ));
        }
        let topology = run.topology().await?;
        let groups = run.account.groups(&[&color.asg]).await?;
        let arn = topology.arn(&color.color).unwrap_or_default();
        if !groups.get(&color.asg).is_some_and(|g| g.target_groups.iter().any(|t| t == arn)) {
            return Err(RunError::failed(format!("`{}` does not register its instances with `{}`", color.asg, color.target_group)));
        }
        let weights = traffic::read(&run.account, &run.env, &topology).await?;
        if weights.sticky() {
            if refuse_stickiness {
                return Err(RunError::refused(
                    "target group stickiness is on, so weights do not say who is served",
                    "turn it off on the rule",
                ));
            }
            run.say("target group stickiness is on: some users stay with their target group until their cookie ends", false)?;
        }
        disagreements(run, &seen)
    })?;
    Ok(Dynamic::UNIT)
}

/// Disagreements that were there before: a person decides whether to go on.
fn disagreements(run: &mut Run, seen: &survey::Survey) -> Result<(), RunError> {
    if seen.disagreements.is_empty() {
        return Ok(());
    }
    let text = seen.disagreements.iter().map(|d| d.text.as_str()).collect::<Vec<_>>().join("; ");
    let question = Question {
        id: "drift".to_owned(),
        text: format!("not everything agrees: {text}"),
        choices: vec![("go".to_owned(), "go on; the listener is the truth".to_owned()), ("stop".to_owned(), "stop here".to_owned())],
        unattended: None,
        human: true,
    };
    match run.ask(&question)?.as_str() {
        "go" => Ok(()),
        _ => Err(Halt::Declined { text: format!("stopped: {text}") }.into()),
    }
}

fn resolve_version(call: &Call) -> Answer {
    let given = call.args[0].clone().try_cast::<rhai::ImmutableString>();
    let given = given.ok_or_else(|| Raised::failed("no version is known for the live colour").hint("give one with --version"))?;
    let found = with(call, async |run| {
        let found = find_build(run, &given).await?;
        run.keep_read("resolve_version", &given, serde_json::json!(found))?;
        Ok(found)
    })?;
    Ok(Dynamic::from(found))
}

async fn find_build(run: &Run, given: &str) -> Result<String, RunError> {
    let Some(pattern) = run.env.builds.clone() else { return Ok(given.to_owned()) };
    let bucket = &run.env.bucket;
    if number_of(&pattern, given).is_some() {
        return match run.account.object_exists(bucket, given).await? {
            true => Ok(given.to_owned()),
            false => Err(RunError::failed(format!("there is no build `{given}` in `{bucket}`"))),
        };
    }
    let prefix = pattern.split('{').next().unwrap_or_default();
    let objects = run.account.list_objects(bucket, prefix).await?;
    let builds = objects.iter().filter_map(|o| Some((number_of(&pattern, &o.key)?, o.key.as_str())));
    let wanted = given.trim_start_matches("gh-");
    let found: Vec<(u64, &str)> = match (given, wanted.parse::<u64>()) {
        ("latest", _) => builds.max().into_iter().collect(),
        (_, Ok(number)) => builds.filter(|(n, _)| *n == number).collect(),
        (_, Err(_)) => return Err(RunError::failed(format!("`{given}` is not a build; write gh-123, 123 or latest"))),
    };
    match found.as_slice() {
        [(_, key)] => Ok((*key).to_owned()),
        [] => Err(RunError::failed(format!("there is no build `{given}` under `{prefix}`"))),
        many => {
            let keys = many.iter().map(|(_, key)| *key).collect::<Vec<_>>().join(", ");
            Err(RunError::failed(format!("`{given}` is ambiguous: {keys}; give the whole key")))
        }
    }
}

/// The number of a build whose key follows the pattern `…{branch}…{number}…`.
fn number_of(pattern: &str, key: &str) -> Option<u64> {
    let (head, rest) = pattern.split_once("{branch}").unwrap_or(("", pattern));
    let (middle, tail) = rest.split_once("{number}")?;
    let inner = key.strip_prefix(head)?.strip_suffix(tail)?;
    let number = if pattern.contains("{branch}") { inner.rsplit_once(middle)?.1 } else { inner.strip_prefix(middle)? };
    number.parse().ok()
}

/// For other rooms of verbs: the record's colour must be one of the environment's.
pub(super) fn own_color(run: &Run, color: &Record) -> Result<ColorNames, RunError> {
    let name = field(color, "name");
    run.env.color(&name).cloned().ok_or_else(|| RunError::failed(format!("`{name}` is not a colour of {}", run.env.name)))
}

/// The environment, copied out of the run.
pub(super) fn environment(call: &Call) -> Result<Environment, crate::script::VerbError> {
    let stage = call.play.user::<std::sync::Arc<super::Stage>>();
    let run = super::lock(stage);
    run.check_interrupt().map_err(|halt| raise(halt.into()))?;
    Ok(run.env.clone())
}

#[cfg(test)]
mod tests {
    use super::number_of;

    #[test]
    fn a_build_key_gives_its_number() {
        let pattern = "dist/gh/{branch}/{number}.tar.xz";
        assert_eq!(number_of(pattern, "dist/gh/main/41000.tar.xz"), Some(41000));
        assert_eq!(number_of(pattern, "dist/gh/feature/x/7.tar.xz"), Some(7));
        assert_eq!(number_of(pattern, "dist/gh/main/41000.txt"), None);
        assert_eq!(number_of(pattern, "gh-41000"), None);
    }
}
