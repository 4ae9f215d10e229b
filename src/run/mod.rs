//! The gate: everything that a playbook sees or does passes here, and becomes events.
//!
//! `Run` is the one door between a script and the account. It is async and owns no runtime; nothing here knows that there
//! is a script. Each verb call is one step; an action is written to the journal before it is sent, read back after it,
//! and can be taken back. A run that a process left is gone on with from its journal (`replay.rs`).

pub mod approve;
mod ask;
mod builds;
mod command;
pub mod desk;
mod diverge;
pub mod doctor;
mod effect;
mod ending;
mod error;
pub mod event;
pub mod guard;
pub mod history;
mod invariant;
pub mod journal;
pub mod judge;
pub mod lines;
pub mod lock;
mod opening;
pub mod order;
pub mod outside;
mod overdue;
mod perform;
pub mod plan;
mod rehearse;
mod release;
pub mod replay;
pub mod scope;
pub mod sight;
pub mod survey;
pub mod table;
pub mod targets;
pub mod tell;
pub mod traffic;
mod undo;
mod ungated;
mod wait;

pub use ask::{Answers, Asker, Question};
pub use effect::EffectRequest;
pub use ending::Broke;
pub use error::{Halt, RunError};
pub use opening::{Opening, Process, Resumes};
pub use perform::Perform;
pub use wait::{Progress, Wait, short};

use crate::account::failpoint::{self, Point};
use crate::account::{Account, Action, Fields};
use crate::config::Environment;
use aws_smithy_async::time::SharedTimeSource;
use desk::Desk;
use event::{Event, OnFailure, Outcome, What};
use guard::Allow;
use jiff::Timestamp;
use journal::Journal;
use lock::Lock;
use plan::Bound;
use replay::Replay;
use scope::Scope;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use table::Table;
use tell::Tale;
use tokio::sync::watch;
use traffic::Topology;

/// Sees every event once it is recorded: terminal, `--json`, tests.
pub type Observer = Box<dyn FnMut(&Event) + Send>;

/// One execution of a playbook in one environment, or in several.
pub struct Run {
    pub id: String,
    /// The environment that its calls are about now.
    pub env: Environment,
    /// The names of all its environments, as they were given.
    envs: Vec<String>,
    /// All its environments but that one.
    aside: Vec<Scope>,
    /// The environment that the journal's last event is about.
    told: String,
    pub account: Arc<Account>,
    pub allow: Vec<Allow>,
    pub answers: Answers,
    /// Where others lay their answers.
    desk: Desk,
    /// Who runs it, as approvals know people.
    who: String,
    /// What others are told of it.
    tale: Tale,
    time: SharedTimeSource,
    journal: Journal,
    observer: Observer,
    /// The name of a signal that asked the run to stop; empty while none came.
    interrupt: watch::Receiver<String>,
    began: Timestamp,
    /// When this process began it, or went on with it.
    opened: Timestamp,
    seq: u64,
    step: u64,
    /// Above 0 while the closure of a wait runs: its calls are part of that wait's step.
    inside: u32,
    /// What the journal answers when this process goes on with a run that another one began.
    replay: Replay,
    entries: Vec<Entry>,
    /// What it did in environments that were committed by themselves.
    stays: Vec<Entry>,
    /// What a process before this one sent to give a lease back, without knowing whether it went through.
    sent_back: Vec<(String, Action)>,
    /// This process was told where instances can be asked: a denial from then on is no right that was never there.
    told_addresses: AtomicBool,
    /// Its calls are typed line by line.
    lines: Option<lines::Lines>,
    committed: bool,
    undoing: bool,
    touched: bool,
    /// Somebody typed the name of a guarded environment, or it is not needed.
    confirmed: bool,
    /// The environment's lock, from before the first write until the run ends.
    lock: Option<Lock>,
    /// The lease could not be shown to live: nothing more is written.
    fenced: bool,
    on_failure: OnFailure,
    /// Another process began the run.
    resumed: bool,
    /// The plan that it is held to, and how many of its actions are done.
    plan: Option<(Bound, usize)>,
    /// Nothing is done or asked: the journal alone answers.
    rehearses: bool,
    /// The outcome of a run whose lock could not be released.
    unreleased: Option<Outcome>,
    /// Another's algorithm in a sandbox: see `ungated.rs`.
    ungated: bool,
    topology: Option<Arc<Topology>>,
    /// When this run last changed weights, until every node must have followed.
    traffic_moved: Option<Timestamp>,
    /// Colours that may take traffic with fewer healthy targets than guard 3 wants.
    accepted: BTreeMap<String, u32>,
    calls: BTreeMap<String, u64>,
}

/// What a run did, in order, so that it can be taken back.
#[derive(Clone, Debug)]
enum Entry {
    Action(Done),
    /// A request to send once what came after it was taken back.
    OnUndo {
        step: u64,
        env: String,
        request: EffectRequest,
    },
}

impl Entry {
    /// The environment that it was done in.
    fn env(&self) -> &str {
        match self {
            Entry::Action(done) => &done.env,
            Entry::OnUndo { env, .. } => env,
        }
    }

    fn step(&self) -> u64 {
        match self {
            Entry::Action(done) => done.step,
            Entry::OnUndo { step, .. } => *step,
        }
    }
}

#[derive(Clone, Debug)]
struct Done {
    step: u64,
    env: String,
    action: Action,
    before: Fields,
    undo: Option<Action>,
    /// Must not outlive the run.
    lease: bool,
    at: Timestamp,
    returned: bool,
}

impl Run {
    fn unopened(opening: Opening, began: Timestamp) -> Run {
        Run {
            tale: Tale::of(&opening),
            lines: lines::Lines::of(&opening),
            on_failure: opening.began.on_failure,
            plan: opening.began.plan.map(|plan| (*plan, 0)),
            id: opening.began.run,
            told: opening.env.name.clone(),
            envs: [&opening.env].into_iter().chain(&opening.also).map(|env| env.name.clone()).collect(),
            account: opening.accounts.in_region(&opening.env.region),
            aside: opening.also.into_iter().map(|env| Scope::new(env, &opening.accounts, opening.confirmed)).collect(),
            env: opening.env,
            allow: opening.allow,
            answers: opening.answers,
            desk: opening.desk,
            who: opening.who,
            opened: now(&opening.time),
            time: opening.time,
            journal: opening.journal,
            observer: opening.observer,
            interrupt: opening.interrupt,
            began,
            seq: 0,
            step: 0,
            inside: 0,
            replay: Replay::default(),
            entries: Vec::new(),
            stays: Vec::new(),
            sent_back: Vec::new(),
            told_addresses: AtomicBool::new(false),
            committed: false,
            undoing: false,
            touched: false,
            confirmed: opening.confirmed,
            lock: None,
            fenced: false,
            resumed: false,
            rehearses: false,
            unreleased: None,
            ungated: opening.ungated,
            topology: None,
            traffic_moved: None,
            accepted: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    /// Goes on with a run from its journal, once its lock is this process's: what was done is known, the rest of its state is as its events
    /// say.
    pub async fn reopen(mut opening: Opening, events: &[Event], command: &str) -> Result<Run, Halt> {
        let locks = match opening.allow.contains(&Allow::WithoutState) {
            true => Vec::new(),
            false if opening.began.prompt && lines::only_looked(events) => Vec::new(),
            false => scope::take_over(&mut opening).await?,
        };
        let resumed = opening.resumed(command);
        let mut run = Run::known(opening, events);
        run.have_locks(locks);
        let recorded = match run.record(resumed) {
            Ok(()) => run.keep().await,
            failed => failed,
        };
        if let Err(halt) = recorded {
            run.end_lock(event::Outcome::Paused, None).await;
            return Err(halt);
        }
        Ok(run)
    }

    /// A run as its events tell it.
    fn known(opening: Opening, events: &[Event]) -> Run {
        let began = events.first().map_or_else(|| now(&opening.time), |event| event.at);
        let on_failure = opening.resumes.on_failure;
        let mut run = Run::unopened(opening, began);
        run.resumed = true;
        run.on_failure = on_failure.unwrap_or_else(|| replay::on_failure(events));
        run.seq = events.last().map_or(0, |event| event.seq + 1);
        (run.entries, run.stays) = replay::entries(events);
        run.sent_back = replay::sent_back(events);
        run.plan = plan::bound(events);
        run.touched = events.iter().any(|event| matches!(event.what, What::Started { .. }));
        run.committed = replay::committed(events);
        run.replay = Replay::of(events);
        let opened = run.opened;
        let moved = |env: &str| replay::traffic_moved(events, env).map(|moved| moved.unwrap_or(opened));
        run.confirmed |= replay::confirmed(events, &run.env.name);
        run.traffic_moved = moved(&run.env.name);
        for scope in &mut run.aside {
            scope.confirmed |= replay::confirmed(events, &scope.env.name);
            scope.traffic_moved = moved(&scope.env.name);
        }
        run
    }

    pub fn now(&self) -> Timestamp {
        now(&self.time)
    }

    pub fn began(&self) -> Timestamp {
        self.began
    }

    pub fn is_committed(&self) -> bool {
        self.committed
    }

    /// Goes without a lock, reads and writes no object, and its journal is a file: S3 may be out.
    pub fn is_without_state(&self) -> bool {
        self.allow.contains(&Allow::WithoutState)
    }

    /// True once an action was sent to the account.
    pub fn is_touched(&self) -> bool {
        self.touched
    }

    /// How the run has ended but for its lock, which could not be released.
    pub fn unreleased(&self) -> Option<Outcome> {
        self.unreleased
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The only way an event comes into being: kept first, shown second.
    pub fn record(&mut self, what: What) -> Result<(), Halt> {
        if what.is_kept() && self.told != self.env.name {
            self.told = self.env.name.clone();
            self.write(What::Entered { env: self.env.name.clone() })?;
        }
        self.write(what)
    }

    fn write(&mut self, what: What) -> Result<(), Halt> {
        let event = Event { seq: self.seq, at: self.now(), what };
        if event.what.is_kept() {
            self.seq += 1;
            let passing = failpoint::before(Point::Record);
            self.journal.append(&event).map_err(|e| Halt::Journal { why: e.to_string() })?;
            passing.after();
        }
        (self.observer)(&event);
        Ok(())
    }

    /// Where the journal is in S3, what was recorded is there on return. Before a call that changes something and after it, and whenever
    /// another machine has to know.
    pub(super) async fn keep(&mut self) -> Result<(), Halt> {
        self.journal.keep().await.map_err(|error| {
            self.fenced |= matches!(error, journal::StoreError::Fenced { .. });
            match error {
                journal::StoreError::Fenced { .. } => Halt::Paused { why: error.to_string() },
                other => Halt::Journal { why: other.to_string() },
            }
        })
    }

    /// Number of a new verb call; calls inside a wait's closure keep the wait's.
    pub fn next_step(&mut self) -> u64 {
        if self.inside == 0 {
            self.step += 1;
        }
        self.step
    }

    /// A signal stops the run at the next verb; while undoing it no longer does. A rehearsal stops where the journal does.
    pub fn check_interrupt(&self) -> Result<(), Halt> {
        self.check_rehearsal()?;
        self.check_line()?;
        let signal = self.interrupt.borrow().clone();
        match signal.as_str() {
            _ if self.undoing => Ok(()),
            "" => Ok(()),
            // The terminal is gone: nobody sees what an undo would say. Left as it is, users are unharmed.
            "SIGHUP" => Err(Halt::Paused { why: "SIGHUP received: the terminal is gone".to_owned() }),
            _ => Err(Halt::Signal { signal }),
        }
    }

    /// The environment's rules and target groups, found once.
    pub async fn topology(&mut self) -> Result<Arc<Topology>, RunError> {
        if let Some(topology) = &self.topology {
            return Ok(topology.clone());
        }
        match self.replay.topology(self.step, &self.env.name) {
            Some(known) => Ok(known),
            None if self.rehearses => Err(self.not_told("the environment's rules").into()),
            None => self.look_up().await,
        }
    }

    /// The rules and target groups as they are now.
    async fn look_up(&mut self) -> Result<Arc<Topology>, RunError> {
        let found = Arc::new(traffic::discover(&self.account, &self.env).await?);
        self.record(What::Found { topology: Box::new((*found).clone()) })?;
        self.topology = Some(found.clone());
        Ok(found)
    }

    /// Asks the account something: the answer, or the error, is kept, and is what a replay gets.
    pub async fn read<T: Serialize + DeserializeOwned>(
        &mut self,
        verb: &str,
        of: &str,
        work: impl AsyncFnOnce(&mut Run) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        self.check_interrupt()?;
        if self.inside > 0 {
            return work(self).await;
        }
        let step = self.next_step();
        if let Some(known) = self.replay.read(step, verb, of) {
            return known;
        }
        let result = work(self).await;
        let (verb, of) = (verb.to_owned(), of.to_owned());
        match &result {
            Ok(answer) => {
                let answer = serde_json::to_value(answer).map_err(|e| Halt::Journal { why: e.to_string() })?;
                self.record(What::Read { step, verb, of, answer })?;
            }
            Err(RunError::Halt(_)) => {}
            Err(error) => self.record(What::ReadFailed { step, verb, of, error: error.clone() })?,
        }
        result
    }

    /// False: a process before this one has said it.
    pub fn say(&mut self, text: &str, notify: bool) -> Result<bool, RunError> {
        self.check_interrupt()?;
        let step = self.next_step();
        if self.replay.answers(step) {
            return Ok(false);
        }
        self.record(What::Said { step, text: text.to_owned(), notify })?;
        Ok(true)
    }

    /// Shows what was found: the result that the operator asked for.
    pub fn show(&mut self, table: Table) -> Result<(), RunError> {
        self.check_interrupt()?;
        let step = self.next_step();
        if self.replay.answers(step) {
            return Ok(());
        }
        Ok(self.record(What::Shown { step, table })?)
    }

    /// Guard 3 yields for this colour down to `healthy` targets, once a person said so.
    pub fn accept_less(&mut self, color: &str, healthy: u32, reason: &str) -> Result<(), RunError> {
        let question = Question {
            id: format!("accept-{color}"),
            text: format!("{color} may take production traffic with {healthy} healthy target(s): {reason}"),
            choices: vec![("yes".to_owned(), "go on with less".to_owned()), ("no".to_owned(), "stop".to_owned())],
            unattended: None,
            human: true,
            timeout: None,
        };
        if self.ask(&question)? == "yes" {
            self.accepted.insert(color.to_owned(), healthy.max(1));
            return Ok(());
        }
        Err(Halt::Declined { text: format!("{}: answered no", question.text) }.into())
    }

    /// From here on a failure pauses and no longer undoes.
    pub async fn commit(&mut self) -> Result<(), RunError> {
        self.check_interrupt()?;
        self.outside_waits("commit")?;
        let step = self.next_step();
        if self.committed {
            return Ok(());
        }
        self.record(What::Committed { step })?;
        self.keep().await?;
        self.committed = true;
        Ok(())
    }

    pub fn block(&mut self, name: &str, ok: Option<bool>) -> Result<(), Halt> {
        if self.step < self.replay.cutoff {
            return Ok(()); // shown by the process that was there
        }
        let name = name.to_owned();
        self.record(match ok {
            None => What::BlockStarted { name },
            Some(ok) => What::BlockEnded { name, ok },
        })
    }
}

fn now(time: &SharedTimeSource) -> Timestamp {
    let now = Timestamp::try_from(time.now()).expect("the clock is within the years that a timestamp holds");
    Timestamp::from_millisecond(now.as_millisecond()).expect("a whole millisecond of a timestamp is one")
}
