//! Verbs that write what others read: the active colour, the version that instances boot, discovery files.

use super::environment::own_color;
use super::{Answer, perform, text, with};
use crate::account::Action;
use crate::run::{Run, RunError};
use crate::script::Call;
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use rhai::Dynamic;
use serde_json::{Map, Value};

const COLOR: Param = Param::required("color", Kind::Color, "such as c.idle");

pub static VERBS: &[Verb] = &[
    Verb {
        name: "set_active_color",
        params: &[COLOR],
        options: &[],
        returns: "nothing",
        summary: "Records which colour serves: active-color, then active-target-group-arn. The listener stays the truth.",
        errors: &["refused", "denied"],
        example: "set_active_color(c.idle)",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: set_active_color,
    },
    Verb {
        name: "set_version",
        params: &[Param::required("version", Kind::Text, "what resolve_version gave")],
        options: &[Opt::new("color", Kind::Color, "whose key; needed where each colour has its own")],
        returns: "true if something was changed",
        summary: "Writes the version key: what an instance that boots from now on will run.",
        errors: &["refused", "denied"],
        example: "set_version(\"dist/gh/main/41001.tar.xz\", #{ color: c.idle })",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: set_version,
    },
    Verb {
        name: "record_version",
        params: &[COLOR, Param::required("version", Kind::Text, "what resolve_version gave")],
        options: &[],
        returns: "true if something was changed",
        summary: "Records which version a colour runs, for status and rollback.",
        errors: &["refused", "denied"],
        example: "record_version(c.idle, \"dist/gh/main/41001.tar.xz\")",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: record_version,
    },
    Verb {
        name: "copy_discovery",
        params: &[
            Param::required("from", Kind::Text, "an environment that bgx.toml lists under discovery_from"),
            Param::required("version", Kind::Text, "such as gh-123"),
        ],
        options: &[],
        returns: "true if something was changed",
        summary: "Copies the discovery file of a version from another environment.",
        errors: &["refused", "not_found", "denied"],
        example: "copy_discovery(\"staging\", \"gh-41001\")",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: copy_discovery,
    },
    Verb {
        name: "message",
        params: &[],
        options: &[],
        returns: "the text, or () where there is none",
        summary: "What the environment's users are told now.",
        errors: &["denied", "failed"],
        example: "message()",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: message,
    },
    Verb {
        name: "set_message",
        params: &[Param::required("text", Kind::Any, "what its users read; () takes it away")],
        options: &[],
        returns: "true if something was changed",
        summary: "Writes what the environment's users are told; whatever else the message object holds stays as it is.",
        errors: &["refused", "failed", "denied"],
        example: "set_message(\"an update is under way\")",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: set_message,
    },
];

fn set_active_color(call: &Call) -> Answer {
    let color = call.record(0);
    let (name, arn, parameters) = with(call, async |run| {
        let names = own_color(run, &color)?;
        let topology = run.topology().await?;
        let arn = topology.arn(&names.name).unwrap_or_default().to_owned();
        Ok((names.name, arn, [run.env.active_color_parameter(), run.env.active_target_group_parameter()]))
    })?;
    let [color, group] = parameters;
    perform(call, Action::Parameter { name: color, value: Some(name) }, false)?;
    perform(call, Action::Parameter { name: group, value: Some(arn) }, false)?;
    Ok(Dynamic::UNIT)
}

fn set_version(call: &Call) -> Answer {
    let version = call.text(0);
    let color = call.opt_record("color");
    let action = with(call, async |run| {
        let key = match &color {
            Some(color) => own_color(run, color)?.version_key,
            None if run.env.shares_version_key() => run.env.colors[0].version_key.clone(),
            None => return Err(RunError::failed("each colour has its own version key here; say which with #{ color: … }")),
        };
        Ok(Action::Object { bucket: run.env.bucket.clone(), key, text: Some(version) })
    })?;
    perform(call, action, false).map(Dynamic::from)
}

fn record_version(call: &Call) -> Answer {
    let (color, version) = (call.record(0), call.text(1));
    let name = with(call, async |run| {
        let names = own_color(run, &color)?;
        Ok(run.env.version_parameter(&names.name))
    })?;
    perform(call, Action::Parameter { name, value: Some(version) }, false).map(Dynamic::from)
}

fn copy_discovery(call: &Call) -> Answer {
    let (from, version) = (call.text(0), call.text(1));
    let action = with(call, async |run| {
        let env = &run.env;
        let source = env.discovery_from.iter().find(|(name, _)| *name == from).map(|(_, name)| name).ok_or_else(|| {
            let known = env.discovery_from.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            RunError::refused(
                format!("`{from}` is not a discovery source of {}", env.name),
                format!("bgx.toml lists: {}", if known.is_empty() { "none" } else { &known }),
            )
        })?;
        let key = |name: &str| {
            env.discovery_key(name, &version).ok_or_else(|| RunError::failed("bgx.toml names no `discovery` key pattern under [app]"))
        };
        Ok(Action::Copy { bucket: env.bucket.clone(), from: key(source)?, to: key(&env.discovery_name)? })
    })?;
    perform(call, action, false).map(Dynamic::from)
}

/// The field of the message object that users read during an update.
const MESSAGE: &str = "update";

/// The message object as it is now, with its key; an absent one is empty.
async fn message_object(run: &Run) -> Result<(String, Map<String, Value>), RunError> {
    let key = run.env.message.clone().ok_or_else(|| RunError::failed("bgx.toml names no `message` key under [app]"))?;
    let Some(object) = run.account.object(&run.env.bucket, &key).await? else { return Ok((key, Map::new())) };
    let read = serde_json::from_slice::<Map<String, Value>>(&object.body);
    let fields = read.map_err(|e| RunError::failed(format!("the object `{key}` is not a JSON object, and is left alone: {e}")))?;
    Ok((key, fields))
}

fn message(call: &Call) -> Answer {
    let read = async |run: &mut Run| {
        let (_, fields) = message_object(run).await?;
        Ok(fields.get(MESSAGE).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned))
    };
    with(call, async |run| run.read("message", "", read).await).map(text)
}

fn set_message(call: &Call) -> Answer {
    let wanted = if call.args[0].is_unit() { String::new() } else { call.args[0].to_string() };
    let (bucket, key, body) = with(call, async |run| {
        run.read("set_message", &wanted, async |run| {
            let (key, mut fields) = message_object(run).await?;
            fields.insert(MESSAGE.to_owned(), Value::String(wanted.clone()));
            Ok((run.env.bucket.clone(), key, Value::Object(fields).to_string()))
        })
        .await
    })?;
    perform(call, Action::Object { bucket, key, text: Some(body) }, false).map(Dynamic::from)
}
