//! A playbook played in an account that is given, with trouble placed at its calls, and the audit's judgement of what it did.

use bgx::config::{Config, Environment, Target};
use bgx::host::{Host, Options};
use bgx::prove::charter::{declared, strict};
use bgx::run::event::{Ended, Event, OnFailure, Outcome};
use bgx::run::journal::Journal;
use bgx::run::{Answers, Resumes};
use bgx::sandbox::audit::{Findings, Phase, judge, worse};
use bgx::sandbox::fault::Rule;
use bgx::sandbox::world::World;
use bgx::sandbox::{Bell, Sandbox, Traced};
use bgx::script::params;
use bgx::script::session::{self, Playbook, Request};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// What a run set in motion has settled by then.
const SETTLED_MS: u64 = 900_000;
/// A run that takes longer than this is told to stop.
const LATEST_MS: u64 = 86_400_000;

/// A playbook with what it is given.
#[derive(Clone)]
pub struct Act {
    pub config: Config,
    pub env: Environment,
    pub playbook: Playbook,
    pub params: BTreeMap<String, String>,
    pub answers: BTreeMap<String, String>,
    pub seed: u64,
}

/// What happens to one run.
#[derive(Clone, Default)]
pub struct Trouble {
    pub rules: Vec<Rule>,
    /// A signal while the call of this index is under way.
    pub signal: Option<(usize, &'static str)>,
    /// Keep the account as it was at each event.
    pub snapshots: bool,
}

/// What is left of a run.
pub struct Left {
    pub ended: Ended,
    pub events: Vec<Event>,
    /// At each kept event: calls so far, and the account where that was wanted.
    pub marks: Vec<usize>,
    pub worlds: Vec<World>,
    pub trace: Vec<Traced>,
    pub before: World,
    pub world: World,
}

#[derive(Default)]
struct Record {
    events: Vec<Event>,
    marks: Vec<usize>,
    worlds: Vec<World>,
}

impl Act {
    /// A new account.
    pub fn world(&self) -> World {
        let options = Options { seed: Some(self.seed), in_memory: true, target: None };
        let host = Host::open(&self.config, &Target::Sandbox, &options).expect("a sandbox opens");
        let sandbox = host.sandbox.as_ref().expect("the target is the sandbox");
        sandbox.lock().expect("nobody holds it").world.clone()
    }

    /// Plays it in a copy of an account.
    pub fn play(&self, before: &World, trouble: Trouble) -> Left {
        let (sender, interrupt) = watch::channel(String::new());
        let (call, signal) = trouble.signal.unwrap_or((usize::MAX, "SIGTERM"));
        let mut sandbox = Sandbox::new(before.clone());
        let ring = Arc::new(move || drop(sender.send_replace(signal.to_owned())));
        sandbox.bell = Some(Bell { call, latest: before.now.after_ms(LATEST_MS), ring });
        trouble.rules.into_iter().for_each(|rule| sandbox.faults.add(rule));
        let host = Host::over(sandbox, self.seed, None).expect("a sandbox opens");
        let sandbox = host.sandbox.clone().expect("the target is the sandbox");
        let record = Arc::new(Mutex::new(Record::default()));
        let (seen, watched, snapshots) = (record.clone(), sandbox.clone(), trouble.snapshots);
        let observer = Box::new(move |event: &Event| {
            if event.what.is_kept() {
                let (mut seen, sandbox) = (seen.lock().unwrap(), watched.lock().unwrap());
                seen.marks.push(sandbox.trace.len());
                if snapshots {
                    seen.worlds.push(sandbox.world.clone());
                }
                seen.events.push(event.clone());
            }
        });
        let request = Request {
            also: Vec::new(),
            plan: None,
            params: params::parse(&self.playbook.params, &self.params).unwrap_or_default(),
            answers: Answers { given: self.answers.clone(), yes: true, confirm: Some(self.env.name.clone()), terminal: None },
            observer,
            interrupt,
            journal: Journal::in_memory(),
            run_id: "stage".to_owned(),
            reason: None,
            actor: None,
            commit: None,
            host_name: "stage".to_owned(),
            user: "stage".to_owned(),
            who: "stage".to_owned(),
            approved: false,
            on_failure: OnFailure::Undo,
            resumes: Resumes::default(),
            lock_wait: Duration::ZERO,
            events: Vec::new(),
            env: self.env.clone(),
        };
        let played = session::run(&self.playbook, &host, request).expect("the run begins");
        let Record { events, marks, worlds } = std::mem::take(&mut *record.lock().unwrap());
        let sandbox = sandbox.lock().expect("nobody holds it");
        let (world, trace) = (sandbox.world.clone(), sandbox.trace.clone());
        Left { ended: played.ended, events, marks, worlds, trace, before: before.clone(), world }
    }
}

impl Left {
    /// The account at the last event before a call, and the events until then.
    pub fn at_call(&self, call: usize) -> (World, Vec<Event>) {
        let events = self.marks.iter().filter(|mark| **mark <= call).count();
        let world = events.checked_sub(1).map_or(&self.before, |last| &self.worlds[last]);
        (world.clone(), self.events[..events].to_vec())
    }

    /// Index of the n-th call of an operation, from 0.
    pub fn index(&self, operation: &str, nth: usize) -> usize {
        let mut calls = self.trace.iter().enumerate().filter(|(_, call)| call.operation == operation);
        calls.nth(nth).unwrap_or_else(|| panic!("there are not {nth} {operation}")).0
    }

    /// How many calls of the same kind there were before this one.
    pub fn nth(&self, call: usize) -> u32 {
        let kind = |traced: &Traced| (traced.service.clone(), traced.operation.clone());
        let same = self.trace[..call].iter().filter(|earlier| kind(earlier) == kind(&self.trace[call])).count();
        u32::try_from(same).expect("a run has fewer calls")
    }

    /// What is wrong with a run of the gate, by how it ended.
    pub fn findings(&self, env: &Environment) -> Findings {
        let at_rest = |undone| Phase::AtRest { finals: declared(&self.events, std::iter::empty()), undone, lock_owner: None };
        let phase = match self.ended.outcome {
            Outcome::Done | Outcome::Abandoned => at_rest(false),
            Outcome::Undone | Outcome::Refused => at_rest(true),
            Outcome::Paused | Outcome::Stuck | Outcome::Diverged => Phase::Crashed,
        };
        findings(&self.before, &self.world, env, &phase)
    }
}

/// What the settled account shows and the same account without the run does not.
pub fn findings(before: &World, world: &World, env: &Environment, phase: &Phase) -> Findings {
    let (mut with_run, mut quiet) = (world.clone(), before.clone());
    with_run.advance(with_run.now.after_ms(SETTLED_MS));
    quiet.advance(with_run.now);
    let bare = match phase {
        Phase::Crashed => Phase::Crashed,
        Phase::AtRest { undone, .. } => Phase::AtRest { finals: Vec::new(), undone: *undone, lock_owner: None },
    };
    let charter = strict(env);
    worse(&judge(before, &with_run, &charter, phase), &judge(before, &quiet, &charter, &bare))
}
