//! Loads a playbook and plays it against an open target: the place where script, run and host meet.

use super::check::{check, questions};
use super::diagnose::{Diagnostic, Level};
use super::engine;
pub use super::engine::on_a_thread;
use super::header::{Header, Permission};
use super::params::{self, ParamSpec, ParamValue};
use super::play::{self, Lines, Play, PlayError, StepMark};
use super::sources::{Roots, Sources, Stdlib};
use super::verb::Verb;
use super::verbs::{self, Stage};
use crate::config::{Config, Environment};
use crate::host::Host;
use crate::run::desk::Desk;
use crate::run::event::{Began, Ended, Event, FORMAT, OnFailure, Outcome, Place};
use crate::run::guard::Allow;
use crate::run::journal::Journal;
use crate::run::{Answers, Broke, Halt, Observer, Opening, Process, Resumes, Run, plan::Bound, replay};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The stdlib as it was when bgx was built.
pub const STDLIB: &[(&str, &str)] = &[
    ("batches", include_str!("../../stdlib/batches.rhai")),
    ("blue_green", include_str!("../../stdlib/blue_green.rhai")),
    ("builds", include_str!("../../stdlib/builds.rhai")),
    ("discovery", include_str!("../../stdlib/discovery.rhai")),
    ("instances", include_str!("../../stdlib/instances.rhai")),
    ("judge", include_str!("../../stdlib/judge.rhai")),
    ("migration", include_str!("../../stdlib/migration.rhai")),
    ("rolling", include_str!("../../stdlib/rolling.rhai")),
    ("serving", include_str!("../../stdlib/serving.rhai")),
    ("github", include_str!("../../stdlib/github.rhai")),
    ("smoke", include_str!("../../stdlib/smoke.rhai")),
    ("targets", include_str!("../../stdlib/targets.rhai")),
];

/// A playbook that was read and checked; nothing of it has run.
#[derive(Clone, Debug)]
pub struct Playbook {
    pub sources: Arc<Sources>,
    pub header: Header,
    pub params: Vec<ParamSpec>,
    /// What an `--answer` can name; `None`: only the run itself can tell.
    pub questions: Option<Vec<questions::Id>>,
    /// `embedded`, or the folder that was used in its place.
    pub stdlib: String,
    /// It is played without the gate.
    ungated: bool,
    /// Where the lines are noted that are reached, if somebody wants to know.
    pub lines: Option<Lines>,
}

/// What is wrong with a playbook, and its sources where they could be read.
#[derive(Debug)]
pub struct Problems {
    pub diagnostics: Vec<Diagnostic>,
    pub sources: Sources,
}

impl Problems {
    fn one(diagnostic: Diagnostic) -> Problems {
        Problems { diagnostics: vec![diagnostic], sources: Sources::default() }
    }

    pub fn render(&self, color: bool) -> String {
        self.diagnostics.iter().map(|d| d.render(&self.sources, color)).collect::<Vec<_>>().join("\n\n")
    }
}

impl Playbook {
    /// Reads and checks a playbook with all that it imports, and the hooks of its environments.
    pub fn load<'a>(path: &Path, config: &Config, hooks: impl IntoIterator<Item = &'a str>) -> Result<Playbook, Problems> {
        let (roots, words) = roots(config);
        let also: Vec<&str> = hooks.into_iter().collect();
        let sources = Sources::load_with(path, &roots, &also).map_err(|diagnostic| Problems::one(*diagnostic))?;
        Playbook::of(sources, words)
    }

    /// A playbook that is given as text.
    pub fn of_text<'a>(name: &str, text: &str, config: &Config, hooks: impl IntoIterator<Item = &'a str>) -> Result<Playbook, Problems> {
        let (roots, words) = roots(config);
        let also: Vec<&str> = hooks.into_iter().collect();
        let sources = Sources::load_text(name, text, &roots, &also).map_err(|diagnostic| Problems::one(*diagnostic))?;
        Playbook::of(sources, words)
    }

    /// The playbook that a journal holds: what began a run is what goes on with it.
    pub fn from_journal(texts: BTreeMap<String, String>, main: &str, stdlib: String) -> Result<Playbook, Problems> {
        let sources = Sources::from_texts(texts, main).map_err(|diagnostic| Problems::one(*diagnostic))?;
        Playbook::of(sources, stdlib)
    }

    /// Another's algorithm, to be played in a sandbox without the gate: no guard, lock or undo, and with the bare calls of
    /// `verbs/ungated.rs`. For tests of what the sandbox and the audit see; no command, header or file leads here.
    pub fn ungated(path: &Path, config: &Config) -> Result<Playbook, Problems> {
        let roots = Roots { stdlib: Stdlib::Embedded(STDLIB), project: config.root.clone() };
        let sources = Sources::load_with(path, &roots, &[]).map_err(|diagnostic| Problems::one(*diagnostic))?;
        Playbook::checked(sources, "embedded".to_owned(), true)
    }

    pub fn is_ungated(&self) -> bool {
        self.ungated
    }

    fn verbs(&self) -> &'static [Verb] {
        if self.ungated { verbs::ungated() } else { verbs::all() }
    }

    /// Checks sources that were read.
    pub fn of(sources: Sources, stdlib: String) -> Result<Playbook, Problems> {
        Playbook::checked(sources, stdlib, false)
    }

    fn checked(sources: Sources, stdlib: String, ungated: bool) -> Result<Playbook, Problems> {
        let main = sources.main().map(|file| (file.name.clone(), file.text.clone())).unwrap_or_default();
        let header = match Header::parse(&main.0, &main.1) {
            Ok(header) => header,
            Err(diagnostics) => return Err(Problems { diagnostics, sources }),
        };
        let verbs = if ungated { verbs::ungated() } else { verbs::all() };
        let engine = engine::bare(verbs);
        let diagnostics = check(&sources, &engine, verbs);
        if diagnostics.iter().any(|d| d.level == Level::Error) {
            return Err(Problems { diagnostics, sources });
        }
        match params::specs(&sources) {
            Ok(params) => {
                let questions = questions::ids(&sources, &engine);
                Ok(Playbook { sources: Arc::new(sources), header, params, questions, stdlib, ungated, lines: None })
            }
            Err(diagnostics) => Err(Problems { diagnostics, sources }),
        }
    }

    pub fn name(&self) -> String {
        self.sources.main().map(|file| file.name.clone()).unwrap_or_default()
    }

    fn allow(&self) -> Vec<Allow> {
        let allow = |what| match what {
            Permission::TakeDown => Allow::TakeDown,
            Permission::MixedVersions => Allow::MixedVersions,
            Permission::LessCapacity => Allow::LessCapacity,
            Permission::WithoutState => Allow::WithoutState,
        };
        self.header.allow.iter().map(|a| allow(a.what)).collect()
    }
}

/// Where a project's modules are looked for, and where its stdlib is, in words.
pub fn roots(config: &Config) -> (Roots, String) {
    let (stdlib, words) = match &config.stdlib {
        Some(folder) => (Stdlib::Folder(folder.clone()), folder.display().to_string()),
        None => (Stdlib::Embedded(STDLIB), "embedded".to_owned()),
    };
    (Roots { stdlib, project: config.root.clone() }, words)
}

/// One run to do.
pub struct Request {
    pub env: Environment,
    /// Its other environments; each has its own lock, and is confirmed by itself.
    pub also: Vec<Environment>,
    pub params: BTreeMap<String, ParamValue>,
    pub answers: Answers,
    pub observer: Observer,
    pub interrupt: watch::Receiver<String>,
    pub journal: Journal,
    pub run_id: String,
    pub reason: Option<String>,
    /// CI user, git commit: who and from what.
    pub actor: Option<String>,
    pub commit: Option<String>,
    pub host_name: String,
    /// Who runs this process.
    pub user: String,
    /// The same as approvals know people: by name in the sandbox, elsewhere AWS says it.
    pub who: String,
    /// Approvals are given at once, by nobody: for proofs.
    pub approved: bool,
    /// How long to wait for another run to end.
    pub lock_wait: Duration,
    /// What is in the journal already, of a run that goes on.
    pub events: Vec<Event>,
    pub on_failure: OnFailure,
    /// What is changed in a run that goes on.
    pub resumes: Resumes,
    /// The plan that it is held to.
    pub plan: Option<Bound>,
}

impl Request {
    /// A run in a sandbox in memory that nobody watches, under one name for all its people and machines.
    pub fn unwatched(env: Environment, name: &str, interrupt: watch::Receiver<String>) -> Request {
        Request {
            params: BTreeMap::new(),
            answers: Answers { confirm: Some(env.name.clone()), ..Answers::default() },
            observer: Box::new(|_| {}),
            interrupt,
            journal: Journal::in_memory(),
            run_id: name.to_owned(),
            reason: None,
            actor: None,
            commit: None,
            host_name: name.to_owned(),
            user: name.to_owned(),
            who: name.to_owned(),
            approved: true,
            lock_wait: Duration::ZERO,
            events: Vec::new(),
            on_failure: OnFailure::Undo,
            resumes: Resumes::default(),
            plan: None,
            also: Vec::new(),
            env,
        }
    }
}

/// Whose mistake a failure is, where neither the account nor an operator brought it about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A wrong type, an endless loop, a value too large: the playbook must be corrected.
    Playbook,
    /// A panic in a verb.
    Bgx,
}

/// How a run ended, with the script's error where there was one.
pub struct Played {
    pub ended: Ended,
    pub error: Option<Diagnostic>,
    pub fault: Option<Fault>,
    /// Something was sent to the account.
    pub touched: bool,
    pub committed: bool,
    /// All is done but the release of the lock: how it ends then.
    pub unreleased: Option<Outcome>,
    pub run: String,
    pub began: jiff::Timestamp,
    /// The bytes of a journal in memory.
    pub journal: Vec<u8>,
}

/// Plays a playbook to its end on a thread of its own, in the target's time.
pub fn run(playbook: &Playbook, host: &Host, request: Request) -> Result<Played, Halt> {
    if playbook.ungated && !host.is_sandbox() {
        return Err(Halt::Paused { why: "a playbook without the gate is played in a sandbox in memory and nowhere else".to_owned() });
    }
    on_a_thread(host.seed, || play_through(playbook, host, request))
}

fn play_through(playbook: &Playbook, host: &Host, request: Request) -> Result<Played, Halt> {
    let (params, events, lock_wait) = (request.params.clone(), request.events.clone(), request.lock_wait);
    let opening = opening(playbook, host, request);
    if replay::settled(&events).is_some() {
        return host.driver.block_on(let_go(host, opening, &events, "resume"));
    }
    // Entered so that the clock is the runtime's from the first event on.
    let (mut run, ready) = host.driver.block_on(async {
        match events.is_empty() {
            true => Run::open(opening, lock_wait).await,
            false => reopen(host, opening, &events, "resume").await.map(|run| (run, Ok(()))),
        }
    })?;
    if ready.is_err() {
        let ended = host.driver.block_on(run.finish(ready));
        return Ok(played(&run, ended, None, None));
    }
    let stage = Arc::new(Stage { run: Mutex::new(run), driver: host.driver.clone() });
    let (broke, error, fault) = match act(playbook, &stage, params) {
        Ok(()) => (Ok(()), None, None),
        Err(error) => {
            let (broke, diagnostic, fault) = broke(error);
            (Err(broke), diagnostic, fault)
        }
    };
    let mut run = held(&stage);
    let ended = host.driver.block_on(run.finish(broke));
    Ok(played(&run, ended, error, fault))
}

/// The script, from its top to where it ends.
fn act(playbook: &Playbook, stage: &Arc<Stage>, params: BTreeMap<String, ParamValue>) -> Result<(), PlayError> {
    let mut play = Play::new(playbook.sources.clone(), Box::new(stage.clone()));
    play.params = params;
    play.lines = playbook.lines.clone();
    let blocks = stage.clone();
    play.on_step = Box::new(move |name, mark, _| {
        let ok = match mark {
            StepMark::Started => None,
            StepMark::Finished => Some(true),
            StepMark::Failed => Some(false),
        };
        // A journal that cannot be written stops the run at its next action.
        let _ = held(&blocks).block(name, ok);
    });
    let prints = stage.clone();
    play.on_print = Box::new(move |text| drop(held(&prints).say(text, false)));
    let play = Arc::new(play);
    let engine = engine::for_play(&play, playbook.verbs());
    play::play(&engine, &play).map(drop)
}

/// Plays changed sources against the journal of a run, without a call: do they agree with all of it?
pub fn rehearse(playbook: &Playbook, host: &Host, request: Request) -> Result<(), Halt> {
    on_a_thread(host.seed, || {
        let (params, events) = (request.params.clone(), request.events.clone());
        let run = Run::rehearsal(opening(playbook, host, request), &events)?;
        let stage = Arc::new(Stage { run: Mutex::new(run), driver: host.driver.clone() });
        let ended = match act(playbook, &stage, params) {
            Ok(()) => "nothing more: it ends".to_owned(),
            Err(PlayError::Halted(halt)) => match halt.downcast_ref::<Halt>() {
                Some(diverged @ Halt::Diverged { .. }) => return Err(diverged.clone()),
                Some(_) | None => halt.to_string(),
            },
            Err(PlayError::Script(uncaught)) => format!("nothing more: {}", uncaught.diagnostic.message),
        };
        held(&stage).rehearsed(&ended)
    })
}

/// Takes back a run that another process left; its playbook is not run.
pub fn undo(playbook: &Playbook, host: &Host, request: Request) -> Result<Played, Halt> {
    let events = request.events.clone();
    let opening = opening(playbook, host, request);
    host.driver.block_on(async {
        if replay::settled(&events).is_some() {
            return let_go(host, opening, &events, "undo").await;
        }
        let mut run = reopen(host, opening, &events, "undo").await?;
        let ended = run.undo_all().await;
        Ok(played(&run, ended, None, None))
    })
}

/// Gives a run up: leases go back, the rest stays.
pub fn abandon(playbook: &Playbook, host: &Host, request: Request, reason: &str) -> Result<Played, Halt> {
    let events = request.events.clone();
    let opening = opening(playbook, host, request);
    host.driver.block_on(async {
        if replay::settled(&events).is_some() {
            return let_go(host, opening, &events, "abandon").await;
        }
        let mut run = reopen(host, opening, &events, "abandon").await?;
        let ended = run.abandon(reason).await?;
        Ok(played(&run, ended, None, None))
    })
}

pub(super) async fn reopen(host: &Host, opening: Opening, events: &[Event], command: &str) -> Result<Run, Halt> {
    catch_up(host, &opening, events).await;
    Run::reopen(opening, events, command).await
}

/// The run has come to its end before: what is left is its lock.
async fn let_go(host: &Host, opening: Opening, events: &[Event], command: &str) -> Result<Played, Halt> {
    catch_up(host, &opening, events).await;
    let (run, ended) = Run::let_go(opening, events, command).await?;
    Ok(played(&run, ended, None, None))
}

/// A killed process may have saved the sandbox's world some time before its last event: nothing happens in the past of a journal.
async fn catch_up(host: &Host, opening: &Opening, events: &[Event]) {
    let now = jiff::Timestamp::try_from(opening.time.now()).ok();
    let behind = events.last().zip(now).and_then(|(last, now)| Duration::try_from(last.at.duration_since(now)).ok());
    if let Some(behind) = behind.filter(|_| host.is_sandbox()) {
        tokio::time::sleep(behind).await;
    }
}

pub(super) fn played(run: &Run, ended: Ended, error: Option<Diagnostic>, fault: Option<Fault>) -> Played {
    let journal = run.journal().bytes().to_vec();
    let (touched, committed) = (run.is_touched(), run.is_committed());
    Played { ended, error, fault, began: run.began(), journal, touched, committed, unreleased: run.unreleased(), run: run.id.clone() }
}

pub(super) fn held(stage: &Stage) -> MutexGuard<'_, Run> {
    stage.run.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn opening(playbook: &Playbook, host: &Host, request: Request) -> Opening {
    let process = process(host, request.user);
    let began = Began {
        format: FORMAT,
        run: request.run_id,
        playbook: playbook.name(),
        env: request.env.name.clone(),
        also: request.also.iter().map(|env| env.name.clone()).collect(),
        bgx: env!("CARGO_PKG_VERSION").to_owned(),
        target: host.target.to_string(),
        account: host.identity.account.clone(),
        identity: host.identity.arn.clone(),
        host: request.host_name,
        commit: request.commit,
        reason: request.reason,
        actor: request.actor,
        parameters: request.params.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        sources: playbook.sources.texts().into_iter().collect(),
        stdlib: playbook.stdlib.clone(),
        on_failure: request.on_failure,
        user: process.user.clone(),
        process: process.nonce.clone(),
        journal: request.journal.url(),
        plan: request.plan.map(Box::new),
        prompt: false,
    };
    let desk = match request.journal.path() {
        _ if request.approved => Desk::Scripted,
        Some(path) if host.is_sandbox() => Desk::File(path.with_extension("answers")),
        None if host.is_sandbox() => Desk::Empty,
        Some(_) | None => Desk::objects(&host.account, &request.env.state.bucket, &request.env.state.prefix, &began.run),
    };
    Opening {
        desk,
        who: if host.is_sandbox() { request.who } else { host.identity.arn.clone() },
        env: request.env,
        also: request.also,
        accounts: host.accounts.clone(),
        time: host.time.clone(),
        journal: request.journal,
        observer: request.observer,
        interrupt: request.interrupt,
        answers: request.answers,
        allow: playbook.allow(),
        confirmed: host.is_sandbox(),
        began,
        resumes: request.resumes,
        process,
        ungated: playbook.ungated,
    }
}

/// This process as the lock names it. In the sandbox, where only one can be, by the seed alone.
fn process(host: &Host, user: String) -> Process {
    if host.is_sandbox() {
        return Process { nonce: format!("{:016x}", fastrand::Rng::with_seed(host.seed).u64(..)), user, pid: 1 };
    }
    // Keyed by the system's random numbers: two processes with the same --seed must not take each other's lock for their own.
    let [first, second] = [(), ()].map(|()| std::hash::RandomState::new().build_hasher().finish());
    Process { nonce: format!("{first:016x}{second:016x}"), user, pid: std::process::id() }
}

/// How the script ended, in the gate's words.
pub(super) fn broke(error: PlayError) -> (Broke, Option<Diagnostic>, Option<Fault>) {
    match error {
        PlayError::Halted(halt) => {
            let text = halt.to_string();
            match halt.downcast_ref::<Halt>() {
                Some(halt) => (Broke { text, place: None, halt: Some(halt.clone()), refused: false }, None, None),
                // A panic in a verb: what was done is taken back as for any failure.
                None => {
                    let text = format!("a bug in bgx: {text}");
                    (Broke { text, place: None, halt: None, refused: false }, None, Some(Fault::Bgx))
                }
            }
        }
        PlayError::Script(uncaught) => {
            let place = uncaught.diagnostic.at.as_ref().map(|at| Place { file: at.file.clone(), line: at.line, column: at.column });
            let refused = uncaught.raised.as_ref().is_some_and(|raised| raised.kind == "refused");
            // Rhai's own errors throw nothing; a verb's may say that its call is wrong.
            let own = uncaught.raised.as_ref().map_or(uncaught.thrown.is_unit(), |raised| raised.kind == "argument");
            let broke = Broke { text: uncaught.diagnostic.message.clone(), place, halt: None, refused };
            (broke, Some(uncaught.diagnostic), own.then_some(Fault::Playbook))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::STDLIB;
    use std::collections::BTreeSet;

    #[test]
    fn every_module_of_the_stdlib_is_in_the_binary() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let there: BTreeSet<String> = names.filter(|name| !name.ends_with("_test.rhai")).collect();
        assert_eq!(STDLIB.iter().map(|(name, _)| format!("{name}.rhai")).collect::<BTreeSet<_>>(), there);
    }
}
