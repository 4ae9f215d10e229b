//! Plays a run in a copy of the account: with whoever sits at the terminal, and again in other timings without anybody.

use super::super::ProveError;
use super::super::lab::{DAY_MS, Go, Left, Outcome, Subject, Trouble};
use super::super::timing::Timing;
use super::super::trace::Baseline;
use super::super::verdict::Bench;
use super::curve::{Sample, samples};
use crate::account::CallRecord;
use crate::host::Host;
use crate::run::Answers;
use crate::run::event::{Event, What};
use crate::run::journal::Journal;
use crate::sandbox::world::{Users, World};
use crate::sandbox::{Bell, Sandbox};
use crate::script::params;
use crate::script::session::{self, Request};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// A question that was put, and its answer.
pub type Asked = BTreeMap<String, String>;

/// A run that was rehearsed.
pub struct Rehearsed {
    pub outcome: Outcome,
    pub answers: Asked,
    pub samples: Vec<Sample>,
    pub calls: Vec<CallRecord>,
    before: World,
}

impl Rehearsed {
    pub fn users(&self, env: &str) -> Users {
        self.outcome.left.world.users(env, self.before.now)
    }
}

#[derive(Default)]
struct Seen {
    events: Vec<Event>,
    marks: Vec<usize>,
}

/// One run; questions go where the answers say.
pub fn play(subject: &Subject, answers: Answers) -> Result<Rehearsed, ProveError> {
    let before = subject.new_world()?;
    let (sender, interrupt) = watch::channel(String::new());
    let mut sandbox = Sandbox::new(before.clone());
    let rules = subject.given.iter().flat_map(|given| &given.rules);
    rules.for_each(|rule| sandbox.faults.add(rule.clone()));
    let ring = Arc::new(move || drop(sender.send_replace("SIGTERM".to_owned())));
    sandbox.bell = Some(Bell { call: usize::MAX, latest: before.now.after_ms(DAY_MS), ring });
    let host = Host::over(sandbox, subject.seed, None)?;
    host.account.keep_calls();
    let sandbox = host.sandbox.clone().expect("the target is the sandbox");
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (noted, watched) = (seen.clone(), sandbox.clone());
    let observer = Box::new(move |event: &Event| {
        let mut seen = noted.lock().unwrap_or_else(PoisonError::into_inner);
        if event.what.is_kept() {
            seen.marks.push(watched.lock().unwrap_or_else(PoisonError::into_inner).trace.len());
            seen.events.push(event.clone());
        }
    });
    let given = params::parse(&subject.playbook.params, &subject.params);
    let params = given.map_err(|problems| ProveError::Params(problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>().join("; ")))?;
    let request = Request {
        params,
        answers,
        observer,
        journal: Journal::in_memory(),
        also: subject.also.clone(),
        ..Request::unwatched(subject.env.clone(), "plan", interrupt)
    };
    let played = session::run(&subject.playbook, &host, request).map_err(|halt| ProveError::Begin(halt.to_string()))?;
    let Seen { events, marks } = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let (world, trace) = {
        let mut sandbox = sandbox.lock().unwrap_or_else(PoisonError::into_inner);
        (sandbox.world.clone(), std::mem::take(&mut sandbox.trace))
    };
    let error = played.error.map(|error| error.message).unwrap_or_default();
    let answers = answered(&events);
    let worlds = vec![None; events.len()];
    let samples = samples(&before, &world, &subject.envs().collect::<Vec<_>>());
    let left = Left { journal: played.journal, world };
    let outcome = Outcome { ended: Some(played.ended), error, events, marks, worlds, trace, left, beginning: None, parted: false };
    Ok(Rehearsed { outcome, answers, samples, calls: host.account.kept_calls(), before })
}

fn answered(events: &[Event]) -> Asked {
    let answer = |event: &Event| match &event.what {
        What::Answered { id, key, .. } => Some((id.clone(), key.clone())),
        _ => None,
    };
    events.iter().filter_map(answer).collect()
}

/// What the audit finds that the account without the run does not show.
pub fn problems(subject: &Subject, rehearsed: &Rehearsed) -> Vec<String> {
    let base = Baseline::over(subject, &Timing::default(), rehearsed.before.clone(), rehearsed.outcome.clone());
    let verdict = Bench { subject, base: &base, shares: false }.ended(&base.whole);
    verdict.problems.into_iter().map(|(code, text)| format!("{code}: {text}")).collect()
}

/// The same run in accounts of other timings, as many at a time as there are cores.
pub fn in_timings(subject: &Subject, timings: &[Timing]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Outcome)>> = Mutex::default();
    let work = || {
        while let Some((index, timing)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, timings.get(n)?))) {
            let Ok(mut world) = subject.new_world() else { return };
            subject.envs().for_each(|env| timing.set(&mut world, env));
            let outcome = subject.play(&Left { journal: Vec::new(), world }, Trouble::default(), Go::Run, 0);
            found.lock().unwrap_or_else(PoisonError::into_inner).push((index, outcome));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, outcome)| outcome).collect()
}
