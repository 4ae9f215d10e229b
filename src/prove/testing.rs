//! What `bgx test` plays for a test: playbooks in accounts that the test describes, with its faults, and what became of them.

use super::lab::DAY_MS;
use super::staged::{self, Stage};
use super::world::Start;
use crate::config::{Config, Environment};
use crate::host::Host;
use crate::host::world::{built, given, version};
use crate::run::event::{Event, OnFailure, What};
use crate::run::journal::Journal;
use crate::run::{Answers, Halt};
use crate::sandbox::world::World;
use crate::sandbox::{Bell, Sandbox};
use crate::script::check::questions::Id;
use crate::script::diagnose::did_you_mean;
use crate::script::harness::{Ask, Refusal, Script, SignalAsk, Told, WorldAsk};
use crate::script::params;
use crate::script::session::{self, Fault, Playbook, Request};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The name of a playbook that is given as text.
pub const TEXT: &str = "text.rhai";

/// Signals that a test may send.
const SIGNALS: [&str; 3] = ["SIGTERM", "SIGINT", "SIGHUP"];

/// What one test has: its runs, and nothing of any other test.
pub struct Bench {
    config: Config,
    kept: Mutex<Vec<Kept>>,
    covers: bool,
    /// Sources that were played, with the lines of their line space that were reached.
    played: Mutex<Vec<Playbook>>,
}

/// What a run leaves for the next one.
#[derive(Clone)]
struct Kept {
    /// Of the run, for its lock.
    name: String,
    config: Config,
    world: World,
    journal: Vec<u8>,
    playbook: Playbook,
    /// Those of `env: "a,b"`, one at least.
    envs: Vec<Environment>,
    params: BTreeMap<String, String>,
    answers: BTreeMap<String, String>,
    yes: bool,
}

/// What an observer of a run notes.
#[derive(Default)]
struct Seen {
    events: Vec<Event>,
}

impl Bench {
    pub fn new(config: &Config, covers: bool) -> Bench {
        Bench { config: config.clone(), kept: Mutex::default(), covers, played: Mutex::default() }
    }

    /// The playbooks of this test, with what was reached of them.
    pub fn played(&self) -> Vec<Playbook> {
        locked(&self.played).clone()
    }

    /// The journal of each process, and the account that it left.
    pub fn left(&self) -> Vec<(Vec<u8>, World)> {
        locked(&self.kept).iter().map(|kept| (kept.journal.clone(), kept.world.clone())).collect()
    }

    /// Plays what a test asks for.
    pub fn carry(&self, ask: Ask) -> Result<Told, Refusal> {
        let earlier = ask.after.and_then(|handle| locked(&self.kept).get(handle).cloned());
        let start = self.begin(&ask, earlier)?;
        let stage = staged::stage(&ask, &start.envs, &start.world)?;
        self.played_through(&ask, start, stage)
    }

    /// The account and the playbook that a run begins with.
    fn begin(&self, ask: &Ask, earlier: Option<Kept>) -> Result<Kept, Refusal> {
        if let (Script::Resume | Script::Undo, Some(kept)) = (&ask.script, &earlier) {
            let answers = kept.answers.iter().chain(&ask.answers).map(|(id, key)| (id.clone(), key.clone())).collect();
            return Ok(Kept { answers, yes: kept.yes || ask.yes, ..kept.clone() });
        }
        let config = match &ask.config {
            Some(folder) => {
                Config::read(&self.config.root.join(folder).join("bgx.toml")).map_err(|error| Refusal::new(error.to_string()))?
            }
            None => earlier.as_ref().map_or_else(|| self.config.clone(), |kept| kept.config.clone()),
        };
        let list = ask.env.clone().or_else(|| earlier.as_ref().map(|kept| kept.envs[0].name.clone()));
        let list = list.or_else(|| config.envs.keys().next().cloned()).unwrap_or_default();
        let envs = environments(&config, &list)?;
        let playbook = self.playbook(&ask.script, &envs)?;
        if envs.len() > 1 && !playbook.header.several {
            return Err(Refusal::new(format!("`{}` is for one environment", playbook.name())));
        }
        let parsed = params::parse(&playbook.params, &ask.params);
        parsed.map_err(|problems| {
            let text = problems.iter().map(|p| p.message.as_str()).collect::<Vec<_>>().join("; ");
            Refusal::new(text).maybe_hint(problems.iter().find_map(|p| p.hint.clone()))
        })?;
        self.known_questions(ask, &playbook)?;
        let world = match earlier {
            Some(kept) if ask.world != WorldAsk::default() => {
                drop(kept);
                return Err(Refusal::new("`world` describes a new account; with `after` the account is the one that was left"));
            }
            Some(kept) => kept.world,
            None => world(&config, &envs[0], &ask.world)?,
        };
        let (params, answers) = (ask.params.clone(), ask.answers.clone());
        let name = format!("test{}", locked(&self.kept).len());
        Ok(Kept { name, config, world, journal: Vec::new(), playbook, envs, params, answers, yes: ask.yes })
    }

    fn playbook(&self, script: &Script, envs: &[Environment]) -> Result<Playbook, Refusal> {
        let hooks = envs.iter().filter_map(|env| env.hooks.as_deref());
        let loaded = match script {
            Script::Text(text) => Playbook::of_text(TEXT, text, &self.config, hooks),
            Script::Playbook(name) => Playbook::load(&find(name, &self.config)?, &self.config, hooks),
            Script::Resume | Script::Undo => return Err(Refusal::new("there is no run to go on with")),
        };
        let mut playbook = loaded.map_err(|problems| {
            let first = problems.diagnostics.first();
            let text = first.map(ToString::to_string).unwrap_or_default();
            Refusal::new(format!("the playbook is not right: {text}")).maybe_hint(first.and_then(|d| d.hint.clone()))
        })?;
        playbook.lines = self.covers.then(Arc::default);
        Ok(playbook)
    }

    /// An answer to a question that is never asked is a slip of the pen.
    fn known_questions(&self, ask: &Ask, playbook: &Playbook) -> Result<(), Refusal> {
        let Some(questions) = &playbook.questions else { return Ok(()) };
        match ask.answers.keys().find(|given| !questions.iter().any(|id| id.fits(given))) {
            Some(odd) => {
                let known: Vec<&str> = questions.iter().filter_map(Id::exact).collect();
                Err(Refusal::new(format!("the playbook asks no question `{odd}`")).maybe_hint(did_you_mean(odd, known)))
            }
            None => Ok(()),
        }
    }

    fn played_through(&self, ask: &Ask, start: Kept, stage: Stage) -> Result<Told, Refusal> {
        let number = locked(&self.kept).len();
        let (sender, interrupt) = watch::channel(String::new());
        let mut sandbox = Sandbox::new(start.world.clone());
        stage.rules.into_iter().for_each(|rule| sandbox.faults.add(rule));
        let (latest, late) = (start.world.now.after_ms(DAY_MS), sender.clone());
        // A run that takes a day will not end.
        let ring = Arc::new(move || drop(late.send_replace("SIGTERM".to_owned())));
        sandbox.bell = Some(Bell { call: usize::MAX, latest, ring });
        let seed = ask.world.seed.unwrap_or(self.config.sandbox_seed) + u64::try_from(number).unwrap_or(0);
        let host = Host::over(sandbox, seed, None).map_err(|error| Refusal::new(error.to_string()))?;
        let (journal, events) = match ask.script {
            Script::Playbook(_) | Script::Text(_) => (Journal::in_memory(), Vec::new()),
            Script::Resume | Script::Undo => Journal::reopen_bytes(&start.journal),
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let request = Request {
            params: params::parse(&start.playbook.params, &start.params).unwrap_or_default(),
            answers: Answers { given: start.answers.clone(), yes: start.yes, confirm: Some(names(&start.envs)), terminal: None },
            observer: observer(seen.clone(), stage.signal, sender),
            journal,
            events,
            on_failure: if ask.pause { OnFailure::Pause } else { OnFailure::Undo },
            also: start.envs[1..].to_vec(),
            ..Request::unwatched(start.envs[0].clone(), &start.name, interrupt)
        };
        let played = match ask.script {
            Script::Playbook(_) | Script::Text(_) | Script::Resume => session::run(&start.playbook, &host, request),
            Script::Undo => session::undo(&start.playbook, &host, request),
        };
        let sandbox = host.sandbox.clone().expect("the target is the sandbox");
        let (world, calls) = {
            let sandbox = sandbox.lock().unwrap_or_else(PoisonError::into_inner);
            (sandbox.world.clone(), sandbox.trace.len())
        };
        locked(&self.played).push(start.playbook.clone());
        let events = std::mem::take(&mut locked(&seen).events);
        let mut told = staged::told(&start.envs, &start.world, &world, &events, calls);
        let journal = ended(played, &mut told, &start.journal);
        told.handle = number;
        locked(&self.kept).push(Kept { world, journal, ..start });
        Ok(told)
    }
}

fn names(envs: &[Environment]) -> String {
    envs.iter().map(|env| env.name.as_str()).collect::<Vec<_>>().join(",")
}

/// How a run ended; its journal.
fn ended(played: Result<session::Played, Halt>, told: &mut Told, before: &[u8]) -> Vec<u8> {
    match played {
        Ok(played) => {
            told.outcome = played.ended.outcome.word().to_owned();
            let code = match played.fault {
                Some(Fault::Bgx) => 1,
                Some(Fault::Playbook) if !played.touched => 2,
                Some(Fault::Playbook) | None => played.ended.outcome.code(),
            };
            told.exit = i64::from(code);
            told.why = played.ended.why.or(played.error.map(|error| error.message));
            told.seconds = played.ended.seconds;
            played.journal
        }
        Err(halt) => {
            told.outcome = "not begun".to_owned();
            told.exit = 2;
            told.why = Some(halt.to_string());
            before.to_vec()
        }
    }
}

fn observer(seen: Arc<Mutex<Seen>>, signal: Option<SignalAsk>, sender: watch::Sender<String>) -> crate::run::Observer {
    let mut signal = signal;
    Box::new(move |event: &Event| {
        if signal.as_ref().is_some_and(|signal| staged::text(&event.what).contains(&signal.at))
            && let Some(signal) = signal.take()
        {
            sender.send_replace(signal.name);
        }
        if !matches!(event.what, What::Waiting { .. }) {
            locked(&seen).events.push(event.clone());
        }
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `deploy` -> `playbooks/deploy.rhai`; a path is one of the project.
fn find(name: &str, config: &Config) -> Result<PathBuf, Refusal> {
    let folder = config.root.join("playbooks");
    let path = match name.ends_with(".rhai") || Path::new(name).components().count() > 1 {
        true => config.root.join(name),
        false => folder.join(format!("{name}.rhai")),
    };
    if path.is_file() {
        return Ok(path);
    }
    let names: Vec<String> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    let known = names.iter().filter_map(|name| name.strip_suffix(".rhai")).filter(|name| !name.ends_with("_test"));
    Err(Refusal::new(format!("there is no playbook `{name}`")).maybe_hint(did_you_mean(name, known)))
}

/// A new account as a test describes it.
fn world(config: &Config, env: &Environment, ask: &WorldAsk) -> Result<World, Refusal> {
    if let Some(file) = &ask.file {
        if *ask != (WorldAsk { file: ask.file.clone(), ..WorldAsk::default() }) {
            return Err(Refusal::new("world: with `file` the account is the one that was saved, and nothing else is said of it"));
        }
        return given(&config.root.join(file)).map_err(|error| Refusal::new(format!("world: {error}")));
    }
    let word = ask.start.as_deref().unwrap_or("fresh");
    let Some((_, start)) = Start::ALL.iter().find(|(name, _)| *name == word) else {
        let hint = did_you_mean(word, Start::ALL.map(|(name, _)| name)).unwrap_or_else(|| "fresh, warm or empty".to_owned());
        return Err(Refusal::new(format!("world: `{word}` is no start")).maybe_hint(Some(hint)));
    };
    let mut config = config.clone();
    if let Some(shape) = config.envs.get_mut(&env.name).map(|env| &mut env.sandbox) {
        shape.boot = ask.boot.clone().unwrap_or_else(|| shape.boot.clone());
        shape.requests_per_second = ask.requests_per_second.unwrap_or(shape.requests_per_second);
        shape.build_errors.extend(ask.build_errors.clone());
        shape.build_slow.extend(ask.build_slow.clone());
    }
    let seed = ask.seed.unwrap_or(config.sandbox_seed);
    let refused = |text: String| Refusal::new(format!("world: {text}"));
    let mut spec = super::world::spec_of(&config, env, seed, *start).map_err(refused)?;
    let shape = spec.envs.iter_mut().find(|shape| shape.name == env.name).ok_or_else(|| refused("no such environment".to_owned()))?;
    for (name, wanted) in &ask.groups {
        let names: Vec<String> = shape.colors.iter().map(|color| color.group.clone()).collect();
        let Some(color) = shape.colors.iter_mut().find(|color| color.group == *name) else {
            let hint = did_you_mean(name, names.iter().map(String::as_str)).unwrap_or_else(|| names.join(", "));
            return Err(refused(format!("there is no group `{name}`")).maybe_hint(Some(hint)));
        };
        color.size = wanted.desired.unwrap_or(color.size);
        color.max = wanted.max.unwrap_or(color.max.max(color.size));
        color.min = wanted.min.unwrap_or(color.min.min(color.size));
        if let Some(build) = &wanted.version {
            color.version = build.parse().map_or_else(|_| build.clone(), |number| version(env, number));
        }
        let recorded = env.version_parameter(&color.name);
        if color.size > 0 && shape.parameters.iter().all(|(name, _)| *name != recorded) {
            shape.parameters.push((recorded, color.version.clone()));
        }
    }
    for (name, value) in &ask.parameters {
        shape.parameters.retain(|(known, _)| known != name);
        shape.parameters.extend(value.clone().map(|value| (name.clone(), value)));
    }
    spec.objects.retain(|(key, _)| !ask.objects.contains_key(key));
    spec.objects.extend(ask.objects.iter().filter_map(|(key, text)| Some((key.clone(), text.clone()?))));
    let mut world = built(&config, &spec).map_err(refused)?;
    world.in_region(&env.region, |there| ask.alarms.iter().for_each(|(name, state)| there.set_alarm(name, false, state)));
    Ok(world)
}

/// A signal of a test, if there is such a one.
pub(super) fn known_signal(signal: &SignalAsk) -> Result<(), Refusal> {
    match SIGNALS.contains(&signal.name.as_str()) {
        true => Ok(()),
        false => {
            let hint = did_you_mean(&signal.name, SIGNALS).unwrap_or_else(|| SIGNALS.join(", "));
            Err(Refusal::new(format!("signal: `{}` is not known", signal.name)).maybe_hint(Some(hint)))
        }
    }
}

/// The environments of a list of names.
fn environments(config: &Config, list: &str) -> Result<Vec<Environment>, Refusal> {
    let known = |name: &str| match config.envs.get(name) {
        Some(env) => Ok(env.clone()),
        None => {
            let hint = did_you_mean(name, config.envs.keys().map(String::as_str));
            Err(Refusal::new(format!("bgx.toml has no environment `{name}`")).maybe_hint(hint))
        }
    };
    list.split(',').map(|name| known(name.trim())).collect()
}
