//! The verbs that play: `play`, `play_text`, `resume`, `undo`, and the record that they give.

use super::Bench;
use super::asked::{self, Ask, Script};
use crate::script::call::Call;
use crate::script::raised::{Raised, VerbError};
use crate::script::record::Record;
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use rhai::{Array, Dynamic, Map};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a run ended, and what became of the account and of its users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub outcome: String,
    pub exit: i64,
    pub why: Option<String>,
    pub seconds: f64,
    pub said: Vec<String>,
    pub actions: Vec<String>,
    pub undone: Vec<String>,
    /// Requests to instances that were sent for their effect, with what came of them.
    pub effects: Vec<String>,
    pub steps: Vec<String>,
    pub questions: Vec<String>,
    pub calls: i64,
    pub users: UsersTold,
    pub before: Account,
    pub after: Account,
    /// Of the run among those of this test.
    pub handle: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct UsersTold {
    pub requests: f64,
    pub errors: f64,
    pub mixed_seconds: f64,
    pub lowest_healthy: Option<i64>,
}

impl UsersTold {
    /// With those of another environment: together, and at their worst.
    pub fn add(&mut self, other: &UsersTold) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.mixed_seconds = self.mixed_seconds.max(other.mixed_seconds);
        self.lowest_healthy = [self.lowest_healthy, other.lowest_healthy].into_iter().flatten().min();
    }
}

/// What a test sees of an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// The colour that gets traffic.
    pub live: Option<String>,
    pub groups: BTreeMap<String, Group>,
    /// By target group, of the environment's first route.
    pub weights: BTreeMap<String, i64>,
    pub parameters: BTreeMap<String, String>,
    pub objects: BTreeMap<String, String>,
    /// At GitHub, by number: labels, then comments, of those that have any.
    pub issues: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub desired: i64,
    pub min: i64,
    pub max: i64,
    pub running: i64,
    /// Instances in a target group that gets traffic, and not draining.
    pub registered: i64,
    pub suspended: Vec<String>,
}

impl Account {
    /// With what another environment has; `live` stays the first one's.
    pub fn add(&mut self, other: Account) {
        self.groups.extend(other.groups);
        self.weights.extend(other.weights);
        self.parameters.extend(other.parameters);
        self.objects.extend(other.objects);
        self.issues.extend(other.issues);
    }
}

const ENV: Opt = Opt::new("env", Kind::Text, "environment of bgx.toml, or several as `a,b`; default: its first");
const CONFIG: Opt =
    Opt::new("config", Kind::Text, "folder of the project whose bgx.toml is taken instead, such as examples/one-target-group");
const PARAMS: Opt = Opt::new("params", Kind::Map, "parameters of the playbook");
const ANSWERS: Opt = Opt::new("answers", Kind::Map, "question to key of the answer");
const YES: Opt = Opt::new("yes", Kind::Bool, "answer what is not for a human");
const PAUSE: Opt = Opt::new("pause", Kind::Bool, "a failure leaves things as they are, as --on-failure pause");
const WORLD: Opt = Opt::new("world", Kind::Map, "file, or start, seed, groups, parameters, objects, boot, requests_per_second");
const FAULTS: Opt = Opt::new("faults", Kind::List, "of maps: fault, at (a call), nth, times, group, to, region");
const SIGNAL: Opt = Opt::new("signal", Kind::Map, "name, and at: a part of the text of an event");
const AFTER: Opt = Opt::new("after", Kind::Record, "a run whose account this one finds");

const RUN: Param = Param::required("run", Kind::Record, "what play gave");

pub const VERBS: &[Verb] = &[
    Verb {
        name: "play",
        params: &[Param::required("playbook", Kind::Text, "a .rhai file, or the name of one in playbooks/")],
        options: &[CONFIG, ENV, PARAMS, ANSWERS, YES, PAUSE, WORLD, FAULTS, SIGNAL, AFTER],
        returns: "how it ended: outcome, exit, why, seconds, said, actions, undone, steps, questions, calls, users, before, after",
        summary: "Plays a playbook to its end in a sandbox of its own, in virtual time.",
        errors: &["argument"],
        example: "let r = play(\"deploy\", #{ env: \"beta\", params: #{ version: \"latest\" } })",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: |call| play(call, Script::Playbook(call.text(0))),
    },
    Verb {
        name: "play_text",
        params: &[Param::required("text", Kind::Text, "a playbook")],
        options: &[CONFIG, ENV, PARAMS, ANSWERS, YES, PAUSE, WORLD, FAULTS, SIGNAL, AFTER],
        returns: "as play",
        summary: "Plays a playbook that is given as text: for functions of a module.",
        errors: &["argument"],
        example: "play_text(`import \"std/blue_green\" as bg; bg::empty(colors().idle);`, #{ env: \"beta\" })",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: |call| play(call, Script::Text(call.text(0))),
    },
    Verb {
        name: "resume",
        params: &[RUN],
        options: &[ANSWERS, YES, FAULTS, SIGNAL],
        returns: "as play",
        summary: "Goes on with a run that was paused, in the account that it left.",
        errors: &["argument"],
        example: "resume(r)",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: |call| play(call, Script::Resume),
    },
    Verb {
        name: "undo",
        params: &[RUN],
        options: &[ANSWERS, YES, FAULTS, SIGNAL],
        returns: "as play",
        summary: "Takes back a run that was paused, in the account that it left.",
        errors: &["argument"],
        example: "undo(r)",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: |call| play(call, Script::Undo),
    },
];

fn play(call: &Call, script: Script) -> Result<Dynamic, VerbError> {
    let goes_on = matches!(script, Script::Resume | Script::Undo);
    let given = |key: &str| call.options.get(key).cloned();
    let map = |key: &str| given(key).and_then(Dynamic::try_cast::<Map>).unwrap_or_default();
    let flag = |key: &str| given(key).is_some_and(|value| value.as_bool().unwrap_or(false));
    let list = given("faults").and_then(Dynamic::try_cast::<Array>).unwrap_or_default();
    let earlier = if goes_on { Some(call.record(0)) } else { given("after").and_then(Dynamic::try_cast::<Record>) };
    let ask = Ask {
        script,
        config: given("config").map(|folder| folder.to_string()),
        env: given("env").map(|env| env.to_string()),
        params: asked::words(&map("params")),
        answers: asked::words(&map("answers")),
        yes: flag("yes"),
        pause: flag("pause"),
        world: asked::world(map("world"))?,
        faults: asked::faults(list)?,
        signal: given("signal").map(|_| asked::signal(map("signal"))).transpose()?,
        after: earlier.map(|run| handle(call, &run)).transpose()?,
    };
    let bench = call.play.user::<Arc<Bench>>();
    match (bench.carry)(ask) {
        Ok(told) => Ok(Dynamic::from(record(told))),
        Err(refusal) => Err(Raised::argument(format!("{}: {}", call.verb.name, refusal.message)).maybe_hint(refusal.hint).into()),
    }
}

fn handle(call: &Call, run: &Record) -> Result<usize, Raised> {
    let handle = run.get("handle").and_then(|handle| usize::try_from(handle.as_int().ok()?).ok());
    handle.ok_or_else(|| Raised::argument(format!("{}: wants what `play` gave, got {run}", call.verb.name)))
}

fn record(told: Told) -> Record {
    let users = Record::new(
        "users",
        [
            ("requests", Dynamic::from(told.users.requests)),
            ("errors", Dynamic::from(told.users.errors)),
            ("mixed_seconds", Dynamic::from(told.users.mixed_seconds)),
            ("lowest_healthy", told.users.lowest_healthy.map_or(Dynamic::UNIT, Dynamic::from)),
        ],
    );
    Record::new(
        "run",
        [
            ("outcome", Dynamic::from(told.outcome)),
            ("exit", Dynamic::from(told.exit)),
            ("why", told.why.map_or(Dynamic::UNIT, Dynamic::from)),
            ("seconds", Dynamic::from(told.seconds)),
            ("said", texts(told.said)),
            ("actions", texts(told.actions)),
            ("undone", texts(told.undone)),
            ("effects", texts(told.effects)),
            ("steps", texts(told.steps)),
            ("questions", texts(told.questions)),
            ("calls", Dynamic::from(told.calls)),
            ("users", Dynamic::from(users)),
            ("before", Dynamic::from(account(told.before))),
            ("after", Dynamic::from(account(told.after))),
            ("handle", Dynamic::from(i64::try_from(told.handle).unwrap_or(i64::MAX))),
        ],
    )
}

fn account(account: Account) -> Record {
    let groups: Map = account.groups.into_iter().map(|(name, g)| (name.into(), Dynamic::from(group(g)))).collect();
    let words = |map: BTreeMap<String, String>| -> Dynamic {
        Dynamic::from(map.into_iter().map(|(key, value)| (key.into(), Dynamic::from(value))).collect::<Map>())
    };
    let issues: Map = account.issues.into_iter().map(|(number, told)| (number.into(), texts(told))).collect();
    let weights: Map = account.weights.into_iter().map(|(name, weight)| (name.into(), Dynamic::from(weight))).collect();
    Record::new(
        "account",
        [
            ("live", account.live.map_or(Dynamic::UNIT, Dynamic::from)),
            ("groups", Dynamic::from(groups)),
            ("weights", Dynamic::from(weights)),
            ("parameters", words(account.parameters)),
            ("objects", words(account.objects)),
            ("issues", Dynamic::from(issues)),
        ],
    )
}

fn group(group: Group) -> Record {
    Record::new(
        "group",
        [
            ("desired", Dynamic::from(group.desired)),
            ("min", Dynamic::from(group.min)),
            ("max", Dynamic::from(group.max)),
            ("running", Dynamic::from(group.running)),
            ("registered", Dynamic::from(group.registered)),
            ("suspended", texts(group.suspended)),
        ],
    )
}

fn texts(list: Vec<String>) -> Dynamic {
    Dynamic::from(list.into_iter().map(Dynamic::from).collect::<Array>())
}
