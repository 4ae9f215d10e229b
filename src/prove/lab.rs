//! One run in a sandbox in memory, begun or recovered, with everything that is left of it.

use super::ProveError;
use super::permissions::Rights;
use super::world::Start;
use crate::account::{Memo, Tape, Taped};
use crate::config::{Config, Environment};
use crate::host::Host;
use crate::run::Answers;
use crate::run::event::{Ended, Event};
use crate::run::journal::{Disk, Journal};
use crate::sandbox::fault::Rule;
use crate::sandbox::world::World;
use crate::sandbox::{Bell, Sandbox, Traced};
use crate::script::params;
use crate::script::session::{self, Playbook, Request};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A run that takes longer than this will not end.
pub const DAY_MS: u64 = 86_400_000;

/// Less than any line of a journal has.
const HALF_A_LINE: usize = 40;

/// What is to be proved.
pub struct Subject {
    pub config: Config,
    /// The first of its environments: what befalls the account befalls this one.
    pub env: Environment,
    pub also: Vec<Environment>,
    pub playbook: Playbook,
    /// As it was named on the command line.
    pub path: String,
    pub params: BTreeMap<String, String>,
    pub answers: BTreeMap<String, String>,
    pub seed: u64,
    /// The state of the environment before the run.
    pub start: Start,
    /// Of the identity that runs it.
    pub rights: Rights,
    /// The account itself, in place of a new one.
    pub given: Option<Arc<Given>>,
    /// What its runs have read; `None`: each reads anew.
    pub memo: Option<Memo>,
}

/// An account that runs begin in, and the calls that it refuses them each time.
#[derive(Debug)]
pub struct Given {
    pub world: World,
    pub rules: Vec<Rule>,
}

/// What is done with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Go {
    Run,
    Resume,
    Undo,
}

/// What a process leaves when it ends somewhere: the bytes on disk and the account.
#[derive(Clone)]
pub struct Left {
    pub journal: Vec<u8>,
    pub world: World,
}

/// At which events the account is kept as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Snap {
    #[default]
    None,
    /// At those that are durable.
    Durable,
    All,
}

/// What happens to one process.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    pub rules: Vec<Rule>,
    /// A signal at the call of this index.
    pub signal: Option<(usize, &'static str)>,
    /// The machine stands still at the call of this index.
    pub stall: Option<(usize, Duration)>,
    /// What fits on the disk of the journal; `None`: everything.
    pub disk: Option<Disk>,
    pub snap: Snap,
    /// Keep what another run needs to begin alike.
    pub keeps: bool,
    /// Begin as that run did up to the call of this index.
    pub begins: Option<(Arc<Beginning>, usize)>,
}

/// Calls of a run with their replies, and the account before each. Run, script and clock begin anew and go the same way; only the
/// client and the account behind it are not asked again.
#[derive(Default)]
pub struct Beginning {
    tape: Arc<Tape>,
    worlds: Vec<World>,
    trace: Vec<Traced>,
}

impl fmt::Debug for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beginning").field("calls", &self.trace.len()).finish_non_exhaustive()
    }
}

impl Beginning {
    /// `None`: calls and replies are not one for one.
    fn of(tape: Tape, worlds: Vec<World>, trace: &[Traced]) -> Option<Beginning> {
        let same = |(taped, call): (&Option<Taped>, &Traced)| {
            taped.as_ref().is_some_and(|taped| match taped.operation() {
                Some(operation) => operation == call.operation,
                None => ["instance", "webhook", "github"].contains(&call.service.as_str()),
            })
        };
        let whole = tape.len() == trace.len() && worlds.len() == trace.len() && tape.iter().zip(trace).all(same);
        whole.then(|| Beginning { tape: Arc::new(tape), worlds, trace: trace.to_vec() })
    }
}

/// What is left of a run.
#[derive(Clone)]
pub struct Outcome {
    /// `None`: it did not begin.
    pub ended: Option<Ended>,
    pub error: String,
    pub events: Vec<Event>,
    /// At each kept event: calls so far, and the account where that was wanted.
    pub marks: Vec<usize>,
    pub worlds: Vec<Option<World>>,
    pub trace: Vec<Traced>,
    pub left: Left,
    /// Where it was wanted, and can be used.
    pub beginning: Option<Arc<Beginning>>,
    /// It did not begin as it should have: nothing of it means anything.
    pub parted: bool,
}

impl Subject {
    pub fn envs(&self) -> impl Iterator<Item = &Environment> {
        [&self.env].into_iter().chain(&self.also)
    }

    /// As `--env` takes it.
    pub fn env_list(&self) -> String {
        self.envs().map(|env| env.name.as_str()).collect::<Vec<_>>().join(",")
    }

    /// The account that its runs begin in.
    pub fn new_world(&self) -> Result<World, ProveError> {
        match &self.given {
            Some(given) => Ok(given.world.clone()),
            None => super::world::new_world(&self.config, &self.env, self.seed, self.start),
        }
    }

    /// One process, the `number`-th of its run, in a copy of what the one before it left.
    pub fn play(&self, left: &Left, trouble: Trouble, go: Go, number: u64) -> Outcome {
        let (sender, interrupt) = watch::channel(String::new());
        let (call, signal) = trouble.signal.unwrap_or((usize::MAX, "SIGTERM"));
        let latest = left.world.now.after_ms(DAY_MS);
        let mut sandbox = Sandbox::new(left.world.clone());
        sandbox.bell = Some(Bell { call, latest, ring: Arc::new(move || drop(sender.send_replace(signal.to_owned()))) });
        sandbox.stall = trouble.stall;
        let refused = self.given.iter().flat_map(|given| &given.rules);
        refused.chain(&trouble.rules).for_each(|rule| sandbox.faults.add(rule.clone()));
        let seed = self.seed + number;
        let host = match Host::with_memo(sandbox, seed, self.memo.clone()) {
            Ok(host) => host,
            Err(error) => return nothing(left.clone(), error.to_string()),
        };
        let sandbox = host.sandbox.clone().expect("the target is the sandbox");
        if trouble.keeps {
            locked(&sandbox).kept = Some(Vec::new());
            host.account.keep_tape();
        }
        if let Some((beginning, call)) = &trouble.begins
            && let Some(world) = beginning.worlds.get(*call)
        {
            locked(&sandbox).jump(world.clone(), beginning.trace[..*call].to_vec());
            host.account.answer_from(beginning.tape.clone(), *call);
        }
        let record = Arc::new(Mutex::new(Record::default()));
        let (seen, watched, snap) = (record.clone(), sandbox.clone(), trouble.snap);
        let (journal, known) = match go {
            Go::Run => (Journal::in_memory(), Vec::new()),
            Go::Resume | Go::Undo => Journal::reopen_bytes(&left.journal),
        };
        let journal = journal.limited(trouble.disk.unwrap_or(Disk::ENDLESS));
        let observer = Box::new(move |event: &Event| note(&seen, &watched, event, snap));
        let params = params::parse(&self.playbook.params, &self.params).unwrap_or_default();
        let request = Request {
            params,
            answers: Answers { given: self.answers.clone(), yes: true, confirm: Some(self.env_list()), terminal: None },
            observer,
            journal,
            events: known,
            also: self.also.clone(),
            ..Request::unwatched(self.env.clone(), "prove", interrupt)
        };
        let played = match go {
            Go::Run | Go::Resume => session::run(&self.playbook, &host, request),
            Go::Undo => session::undo(&self.playbook, &host, request),
        };
        let Record { events, marks, worlds } = std::mem::take(&mut *record.lock().unwrap_or_else(PoisonError::into_inner));
        let (world, trace, kept) = {
            let mut sandbox = locked(&sandbox);
            (sandbox.world.clone(), std::mem::take(&mut sandbox.trace), sandbox.kept.take())
        };
        self.rights.note(&trace);
        let beginning = kept.and_then(|worlds| Beginning::of(host.account.take_tape(), worlds, &trace)).map(Arc::new);
        let parted = host.account.has_parted();
        match played {
            Ok(played) => {
                let error = played.error.map(|e| e.message).unwrap_or_default();
                let left = Left { journal: played.journal, world };
                Outcome { ended: Some(played.ended), error, events, marks, worlds, trace, left, beginning, parted }
            }
            Err(halt) => {
                Outcome { events, marks, worlds, trace, parted, ..nothing(Left { journal: left.journal.clone(), world }, halt.to_string()) }
            }
        }
    }
}

#[derive(Default)]
struct Record {
    events: Vec<Event>,
    marks: Vec<usize>,
    worlds: Vec<Option<World>>,
}

fn note(record: &Mutex<Record>, sandbox: &Mutex<Sandbox>, event: &Event, snap: Snap) {
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    if !event.what.is_kept() {
        return;
    }
    let sandbox = sandbox.lock().unwrap_or_else(PoisonError::into_inner);
    record.marks.push(sandbox.trace.len());
    let wanted = match snap {
        Snap::None => false,
        Snap::Durable => event.what.is_durable(),
        Snap::All => true,
    };
    record.worlds.push(wanted.then(|| sandbox.world.clone()));
    record.events.push(event.clone());
}

impl Outcome {
    /// A disk on which what this process had written before a call fits, and half a line more.
    pub fn disk_at(&self, call: usize) -> Disk {
        let lines: Vec<&[u8]> = self.left.journal.split_inclusive(|byte| *byte == b'\n').collect();
        let before = lines.len().saturating_sub(self.events.len());
        let written = self.marks.iter().filter(|mark| **mark <= call).count();
        let room = lines.iter().take(before + written).map(|line| line.len()).sum::<usize>();
        Disk { room: room + HALF_A_LINE, ..Disk::ENDLESS }
    }

    /// The account at the last kept state before a call.
    pub fn world_at(&self, call: usize) -> Option<&World> {
        let events = self.marks.iter().zip(&self.worlds).rev();
        events.filter(|(calls, _)| **calls <= call).find_map(|(_, world)| world.as_ref())
    }
}

fn nothing(left: Left, error: String) -> Outcome {
    Outcome {
        ended: None,
        error,
        events: Vec::new(),
        marks: Vec::new(),
        worlds: Vec::new(),
        trace: Vec::new(),
        left,
        beginning: None,
        parted: false,
    }
}

fn locked(sandbox: &Mutex<Sandbox>) -> std::sync::MutexGuard<'_, Sandbox> {
    sandbox.lock().unwrap_or_else(PoisonError::into_inner)
}
