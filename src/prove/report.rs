//! What was found, counted by fault, with the shortest story of each way to fail.

use super::cells::{DEATHS, Leg, Scenario, Token};
use super::faults::FAULTS;
use super::lab::{Go, Subject};
use super::search::{Found, Mode};
use super::trace::Baseline;
use super::verdict::Verdict;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Scenarios of one kind, by whether something was wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    pub ok: usize,
    pub bad: usize,
}

/// One fault in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    pub fault: String,
    pub runs: usize,
    /// Runs whose world's log or ending differs from all others' of this row and of those before it.
    pub distinct: usize,
    pub ok: usize,
    pub bad: usize,
    /// By what was done last: `run`, `left alone`, `resume`, …
    pub recoveries: BTreeMap<String, Count>,
    /// Runs by how they ended.
    pub endings: BTreeMap<String, usize>,
}

/// One way to fail, told by its shortest example.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Story {
    pub fault: String,
    /// What happened, in order: which fault at which call or event, who went on, in which timing.
    pub told: Vec<String>,
    pub how: String,
    pub ended: String,
    /// Codes of what was breached.
    pub codes: Vec<String>,
    pub problems: Vec<String>,
    pub users: String,
    /// Changes of the account, in order.
    pub changes: Vec<String>,
    /// Empty where the account was given.
    pub token: String,
    /// Runs that failed so.
    pub times: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub playbook: String,
    pub env: String,
    pub seed: u64,
    /// `single`, `pairs` or `random`.
    pub faults: String,
    /// The account before the run: `fresh`, `warm`, `empty` or `given`.
    pub world: String,
    /// Calls of the run without a fault, and how many of them faults were placed at.
    pub calls: usize,
    pub points: usize,
    /// Faults that were placed, of how many (`None`: no end), and those with nothing there to happen to.
    pub cells: usize,
    pub planned: Option<usize>,
    pub skipped: usize,
    /// It was stopped before its end.
    pub partial: bool,
    pub runs: usize,
    pub bad: usize,
    /// Runs whose world's log or ending differs from all others'.
    pub distinct: usize,
    /// Breaches that a version key shared by both colours excuses.
    pub excused: u32,
    /// What the playbook's header allows, as written there.
    pub allows: Vec<String>,
    pub seconds: f64,
    pub per_second_per_core: f64,
    pub rows: Vec<Row>,
    pub stories: Vec<Story>,
}

impl Report {
    pub fn of(subject: &Subject, base: &Baseline, found: Found, mode: Mode, took: Duration, threads: usize) -> Report {
        let verdicts = &found.verdicts;
        let distinct = verdicts.iter().map(|v| v.hash).collect::<BTreeSet<_>>().len();
        let seconds = took.as_secs_f64();
        Report {
            playbook: subject.path.clone(),
            env: subject.env_list(),
            seed: subject.seed,
            faults: mode.word().to_owned(),
            world: subject.given.as_ref().map_or(subject.start.word(), |_| "given").to_owned(),
            calls: base.whole.outcome.trace.len(),
            points: base.calls.len(),
            cells: found.placed,
            planned: found.planned,
            skipped: found.skipped,
            partial: found.stopped,
            runs: verdicts.len(),
            bad: verdicts.iter().filter(|v| !v.problems.is_empty()).count(),
            distinct,
            excused: verdicts.iter().map(|v| v.excused).sum(),
            allows: subject.playbook.header.allow.iter().map(|a| format!("{}: {}", a.what.word(), a.reason)).collect(),
            seconds,
            per_second_per_core: distinct as f64 / seconds.max(0.001) / threads as f64,
            rows: rows(verdicts),
            stories: stories(subject, base, verdicts),
        }
    }

    pub fn is_clean(&self) -> bool {
        self.bad == 0
    }
}

/// In the order of the table; timings after it.
fn rows(verdicts: &[Verdict]) -> Vec<Row> {
    let mut rows: BTreeMap<(usize, String), Row> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for verdict in verdicts {
        let fault = verdict.scenario.heading();
        let place = FAULTS.iter().position(|row| row.name == fault).unwrap_or(FAULTS.len());
        let row = rows.entry((place, fault.clone())).or_insert_with(|| Row { fault, ..Row::default() });
        let count = row.recoveries.entry(verdict.how.to_owned()).or_default();
        let (all, one) = if verdict.problems.is_empty() { (&mut row.ok, &mut count.ok) } else { (&mut row.bad, &mut count.bad) };
        *all += 1;
        *one += 1;
        row.runs += 1;
        row.distinct += usize::from(seen.insert(verdict.hash));
        let word = verdict.ended.split(':').next().unwrap_or_default().to_owned();
        *row.endings.entry(word).or_default() += 1;
    }
    rows.into_values().collect()
}

/// The shortest run for each fault, recovery and set of broken rules: the fewest faults, then the fewest changes.
fn stories(subject: &Subject, base: &Baseline, verdicts: &[Verdict]) -> Vec<Story> {
    let mut found: BTreeMap<_, (usize, &Verdict)> = BTreeMap::new();
    for verdict in verdicts.iter().filter(|v| !v.problems.is_empty()) {
        let known = found.entry(verdict.way()).or_insert((0, verdict));
        known.0 += 1;
        if length(verdict) < length(known.1) {
            known.1 = verdict;
        }
    }
    let tell = |((fault, how, codes), (times, verdict)): ((String, &str, Vec<String>), (usize, &Verdict))| Story {
        fault,
        told: told(base, &verdict.scenario),
        how: how.to_owned(),
        ended: verdict.ended.clone(),
        codes,
        problems: verdict.problems.iter().map(|(code, text)| format!("{code}: {text}")).collect(),
        users: users(verdict),
        changes: verdict.changes.clone(),
        // A token does not hold an account.
        token: subject.given.as_ref().map_or_else(|| token(subject, &verdict.scenario).encode(), |_| String::new()),
        times,
    };
    found.into_iter().map(tell).collect()
}

fn length(verdict: &Verdict) -> (usize, usize, usize) {
    (verdict.scenario.names().len(), verdict.scenario.legs.len(), verdict.changes.len())
}

fn token(subject: &Subject, scenario: &Scenario) -> Token {
    Token {
        playbook: subject.path.clone(),
        env: subject.env_list(),
        params: subject.params.clone(),
        answers: subject.answers.clone(),
        seed: subject.seed,
        start: subject.start,
        scenario: scenario.clone(),
    }
}

fn told(base: &Baseline, scenario: &Scenario) -> Vec<String> {
    let mut lines = Vec::new();
    if !scenario.timing.is_default() {
        lines.push(format!("timing: {}", scenario.timing));
    }
    for (index, leg) in scenario.legs.iter().enumerate() {
        // Names of calls are known for a run that nothing happened to yet.
        let calm = index == 0 && base.timing == scenario.timing;
        lines.extend(met(base, leg, calm).into_iter().map(|text| format!("{}: {text}", go(leg.go))));
        if leg.strikes.is_empty() && leg.death.is_none() && scenario.legs.len() > 1 {
            lines.push(format!("{}: nothing goes wrong", go(leg.go)));
        }
    }
    lines
}

fn go(go: Go) -> &'static str {
    match go {
        Go::Run => "run",
        Go::Resume => "resume",
        Go::Undo => "undo",
    }
}

fn met(base: &Baseline, leg: &Leg, calm: bool) -> Vec<String> {
    let outcome = &base.whole.outcome;
    let strikes = leg.strikes.iter().enumerate().map(|(index, strike)| {
        let call = outcome.trace.get(strike.call).filter(|_| calm && index == 0);
        let at = call.map(|call| {
            let seconds = call.at.since(base.before.now) as f64 / 1000.0;
            format!(", {} {}, after {seconds:.1} s", call.service, call.operation)
        });
        format!("{} at call {}{}", strike.fault, strike.call, at.unwrap_or_default())
    });
    let death = leg.death.map(|death| {
        let event = outcome.events.get(death.event).filter(|_| calm && leg.strikes.is_empty());
        let kind = event.and_then(|event| serde_json::to_value(&event.what).ok());
        let kind = kind.and_then(|what| Some(format!(", {}", what.get("event")?.as_str()?)));
        format!("{} at event {}{}", DEATHS[usize::from(death.kept)], death.event, kind.unwrap_or_default())
    });
    strikes.chain(death).collect()
}

fn users(verdict: &Verdict) -> String {
    let users = &verdict.users;
    let lowest = users.lowest_healthy.map_or("unknown".to_owned(), |n| n.to_string());
    format!(
        "{:.0} requests, {:.0} errors, {:.1} s of two versions, at least {lowest} healthy",
        users.requests, users.errors, users.mixed_seconds
    )
}
