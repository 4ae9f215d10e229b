//! The verbs of the gate, one row each, by what they are about; here is what their bodies share.

mod builds;
mod environment;
mod groups;
mod http;
mod instances;
mod metrics;
mod reads;
mod records;
mod refreshes;
mod talk;
mod targets;
mod traffic;
mod ungated;
mod waits;
mod watches;

use super::call::Call;
use super::raised::{Raised, VerbError};
use super::record::Record;
use super::verb::Verb;
use crate::account::Action;
use crate::host::Driver;
use crate::run::event::Place;
use crate::run::{Perform, Run, RunError};
use rhai::Dynamic;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// What every verb reaches through its call.
pub struct Stage {
    pub run: Mutex<Run>,
    pub driver: Driver,
}

/// The verbs by what they are about: one file of this folder each.
pub static GROUPS: [(&str, &[Verb]); 14] = [
    ("builds", builds::VERBS),
    ("environment", environment::VERBS),
    ("groups", groups::VERBS),
    ("http", http::VERBS),
    ("instances", instances::VERBS),
    ("metrics", metrics::VERBS),
    ("reads", reads::VERBS),
    ("records", records::VERBS),
    ("refreshes", refreshes::VERBS),
    ("talk", talk::VERBS),
    ("targets", targets::VERBS),
    ("traffic", traffic::VERBS),
    ("waits", waits::VERBS),
    ("watches", watches::VERBS),
];

/// Every verb but the language's own, sorted by name.
pub fn all() -> &'static [Verb] {
    static ALL: LazyLock<Vec<Verb>> = LazyLock::new(|| {
        let mut all: Vec<Verb> = GROUPS.iter().flat_map(|(_, verbs)| verbs.iter().copied()).collect();
        all.sort_by_key(|verb| verb.name);
        all
    });
    &ALL
}

/// The same, and the bare calls of a playbook that is played without the gate.
pub fn ungated() -> &'static [Verb] {
    static ALL: LazyLock<Vec<Verb>> = LazyLock::new(|| {
        let mut all = [all(), ungated::VERBS].concat();
        all.sort_by_key(|verb| verb.name);
        all
    });
    &ALL
}

type Answer = Result<Dynamic, VerbError>;

/// Runs async code on the run; the lock is held for this one call, never while a closure of the script runs.
fn with<T>(call: &Call, work: impl AsyncFnOnce(&mut Run) -> Result<T, RunError>) -> Result<T, VerbError> {
    let stage = call.play.user::<Arc<Stage>>();
    let mut run = lock(stage);
    let answer = stage.driver.block_on(work(&mut run));
    if run.is_ungated() {
        // A handler of signals runs while the call is under way: its effect is there, its answer reaches nobody.
        if let Some(signal) = run.ungated_signal().map_err(|halt| raise(halt.into()))? {
            return Err(Raised::new("signal", format!("{signal} received")).into());
        }
    }
    answer.map_err(raise)
}

fn lock(stage: &Stage) -> MutexGuard<'_, Run> {
    stage.run.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error of the gate as the script meets it: a value to catch, or the end of the run.
fn raise(error: RunError) -> VerbError {
    match error {
        RunError::Halt(halt) => VerbError::Halt(Arc::new(halt)),
        other => Raised::new(other.code(), other.to_string()).maybe_hint(other.hint().map(str::to_owned)).into(),
    }
}

/// Carries out one action. `true`: something was changed.
fn perform(call: &Call, action: Action, lease: bool) -> Result<bool, VerbError> {
    let request = Perform { verb: call.verb.name, place: place(call), action, lease };
    with(call, async |run| run.perform(request).await)
}

/// Where the call stands in the sources.
fn place(call: &Call) -> Option<Place> {
    let at = call.play.sources.locate(call.position)?;
    Some(Place { file: at.file, line: at.line, column: at.column })
}

/// A field of a colour's record.
fn field(color: &Record, name: &'static str) -> String {
    color.text(name).unwrap_or_default()
}

fn text(value: Option<String>) -> Dynamic {
    value.map_or(Dynamic::UNIT, Dynamic::from)
}

fn number(value: impl TryInto<i64>) -> Dynamic {
    Dynamic::from(value.try_into().unwrap_or(i64::MAX))
}
