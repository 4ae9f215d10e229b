//! What a test asks the host to play, read from the maps of its script.

use crate::script::diagnose::did_you_mean;
use crate::script::raised::Raised;
use crate::script::record::show;
use rhai::{Dynamic, Map};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One run to play, or to go on with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    pub script: Script,
    /// A folder with a `bgx.toml` in place of the project's.
    pub config: Option<String>,
    /// Default: the first environment of `bgx.toml`.
    pub env: Option<String>,
    pub params: BTreeMap<String, String>,
    pub answers: BTreeMap<String, String>,
    pub yes: bool,
    pub pause: bool,
    pub world: WorldAsk,
    pub faults: Vec<FaultAsk>,
    pub signal: Option<SignalAsk>,
    /// The run whose account this one finds.
    pub after: Option<usize>,
}

/// What is played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Script {
    /// As on the command line.
    Playbook(String),
    Text(String),
    /// The run of `after`, gone on with.
    #[default]
    Resume,
    /// The run of `after`, taken back.
    Undo,
}

/// The account before the run; what is not said is as in `bgx.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldAsk {
    /// A world that was saved, such as the clone of an account; a path of the project. Nothing else is said then.
    pub file: Option<String>,
    /// `fresh`, `warm` or `empty`.
    pub start: Option<String>,
    pub seed: Option<u64>,
    pub groups: BTreeMap<String, GroupAsk>,
    /// Name to value; `None`: there is no such parameter.
    pub parameters: BTreeMap<String, Option<String>>,
    /// Key to text; `None`: there is no such object.
    pub objects: BTreeMap<String, Option<String>>,
    pub boot: Option<String>,
    pub requests_per_second: Option<f64>,
    /// Build number to the share of its requests that it answers with a 500.
    pub build_errors: BTreeMap<String, f64>,
    /// As `build_slow` in bgx.toml.
    pub build_slow: BTreeMap<String, f64>,
    /// Alarm to its state; of one that `bgx.toml` does not name, too.
    pub alarms: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupAsk {
    pub desired: Option<u32>,
    pub min: Option<u32>,
    pub max: Option<u32>,
    /// What its instances booted.
    pub version: Option<String>,
}

/// A fault at a chosen call.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultAsk {
    pub fault: String,
    /// A call to AWS, by its operation; default: any.
    #[serde(default)]
    pub at: Option<String>,
    /// From the so-manieth such call on; default: 1.
    #[serde(default)]
    pub nth: Option<u32>,
    /// So many of them; 0: all; default: 1.
    #[serde(default)]
    pub times: Option<u32>,
    /// Of what happens to a group.
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub to: Option<u32>,
    /// Of `bad_build`: as the version key has it.
    #[serde(default)]
    pub build: Option<String>,
    /// Of what happens to an alarm: its name, and its new state.
    #[serde(default)]
    pub alarm: Option<String>,
    #[serde(default)]
    pub state: Option<String>,
    /// Only of calls to this region, or of what happens there; default: wherever.
    #[serde(default)]
    pub region: Option<String>,
}

/// A signal once the run has told of something.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalAsk {
    pub name: String,
    /// A part of the text of an event.
    pub at: String,
}

const WORLD: &[&str] =
    &["file", "start", "seed", "groups", "parameters", "objects", "boot", "requests_per_second", "build_errors", "build_slow", "alarms"];
const GROUP: &[&str] = &["desired", "min", "max", "version"];
const FAULT: &[&str] = &["fault", "at", "nth", "times", "group", "to", "build", "alarm", "state", "region"];
const SIGNAL: &[&str] = &["name", "at"];

pub fn world(map: Map) -> Result<WorldAsk, Raised> {
    keys(&map, "world", WORLD)?;
    if let Some(groups) = map.get("groups").and_then(|groups| groups.as_map_ref().ok()) {
        for (name, group) in groups.iter() {
            if let Ok(group) = group.as_map_ref() {
                keys(&group, &format!("group `{name}`"), GROUP)?;
            }
        }
    }
    read("world", Dynamic::from(map))
}

pub fn faults(list: Vec<Dynamic>) -> Result<Vec<FaultAsk>, Raised> {
    let one = |fault: Dynamic| {
        if let Ok(map) = fault.as_map_ref() {
            keys(&map, "fault", FAULT)?;
        }
        read("fault", fault)
    };
    list.into_iter().map(one).collect()
}

pub fn signal(map: Map) -> Result<SignalAsk, Raised> {
    keys(&map, "signal", SIGNAL)?;
    read("signal", Dynamic::from(map))
}

/// Values as on a command line.
pub fn words(map: &Map) -> BTreeMap<String, String> {
    let word = |value: &Dynamic| match value.as_array_ref() {
        Ok(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        Err(_) => value.to_string(),
    };
    map.iter().map(|(key, value)| (key.to_string(), word(value))).collect()
}

fn keys(map: &Map, of: &str, known: &[&str]) -> Result<(), Raised> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(odd) => {
            let hint = did_you_mean(odd, known.iter().copied()).unwrap_or_else(|| format!("it has {}", known.join(", ")));
            Err(Raised::argument(format!("{of}: `{odd}` is not known")).hint(hint))
        }
    }
}

fn read<T: for<'a> Deserialize<'a>>(of: &str, value: Dynamic) -> Result<T, Raised> {
    rhai::serde::from_dynamic(&value).map_err(|error| {
        let text = error.to_string();
        let why = text.split(" (line").next().unwrap_or_default().to_owned();
        Raised::argument(format!("{of}: {} is not right: {why}", show(&value)))
    })
}
