//! What was found, counted by fault, with the shortest story of each way to fail.

use super::cells::{Cell, Point, Token};
use super::faults::FAULTS;
use super::lab::Subject;
use super::trace::Baseline;
use super::verdict::{Judged, Verdict};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One fault in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    pub fault: String,
    pub cells: usize,
    pub runs: usize,
    pub ok: usize,
    pub bad: usize,
    /// Runs by how they ended.
    pub endings: BTreeMap<String, usize>,
}

/// One way to fail, told by its shortest example.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Story {
    pub fault: String,
    /// At which call or event.
    pub at: String,
    pub how: String,
    pub ended: String,
    /// Codes of what was breached.
    pub codes: Vec<String>,
    pub problems: Vec<String>,
    pub users: String,
    /// Changes of the account, in order.
    pub changes: Vec<String>,
    pub token: String,
    /// Runs that failed so.
    pub times: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub playbook: String,
    pub env: String,
    pub seed: u64,
    /// Calls of the run without a fault, and how many of them faults were placed at.
    pub calls: usize,
    pub points: usize,
    pub cells: usize,
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
    pub fn of(subject: &Subject, base: &Baseline, judged: Vec<Judged>, took: Duration, threads: usize) -> Report {
        let judged: Vec<Judged> = judged.into_iter().filter(|j| j.applies).collect();
        let rows: Vec<Row> = FAULTS.iter().filter_map(|fault| row(fault.name, &judged)).collect();
        let verdicts = || judged.iter().flat_map(|j| &j.verdicts);
        let distinct = verdicts().map(|v| v.hash).collect::<BTreeSet<_>>().len();
        let seconds = took.as_secs_f64();
        let points = base.calls.len();
        Report {
            playbook: subject.path.clone(),
            env: subject.env.name.clone(),
            seed: subject.seed,
            calls: base.whole.trace.len(),
            points,
            cells: judged.len(),
            runs: verdicts().count(),
            bad: verdicts().filter(|v| !v.problems.is_empty()).count(),
            distinct,
            excused: verdicts().map(|v| v.excused).sum(),
            allows: subject.playbook.header.allow.iter().map(|a| format!("{}: {}", a.what.word(), a.reason)).collect(),
            seconds,
            per_second_per_core: distinct as f64 / seconds.max(0.001) / threads as f64,
            stories: stories(subject, base, &judged),
            rows,
        }
    }

    pub fn is_clean(&self) -> bool {
        self.bad == 0
    }
}

fn row(name: &str, judged: &[Judged]) -> Option<Row> {
    let of = || judged.iter().filter(|j| j.cell.fault == name);
    let mut row = Row { fault: name.to_owned(), cells: of().count(), ..Row::default() };
    for verdict in of().flat_map(|j| &j.verdicts) {
        row.runs += 1;
        if verdict.problems.is_empty() {
            row.ok += 1
        } else {
            row.bad += 1
        }
        let word = verdict.ended.split(':').next().unwrap_or_default().to_owned();
        *row.endings.entry(word).or_default() += 1;
    }
    (row.cells > 0).then_some(row)
}

/// Fault, recovery, codes of what was breached.
type Way = (String, &'static str, Vec<String>);
/// How often, and the shortest.
type Example<'a> = (usize, &'a Cell, &'a Verdict);

/// The shortest run for each fault, recovery and set of broken rules.
fn stories(subject: &Subject, base: &Baseline, judged: &[Judged]) -> Vec<Story> {
    let mut found: BTreeMap<Way, Example<'_>> = BTreeMap::new();
    for (cell, verdict) in judged.iter().flat_map(|j| j.verdicts.iter().map(move |v| (&j.cell, v))) {
        if verdict.problems.is_empty() {
            continue;
        }
        let codes: BTreeSet<String> = verdict.problems.iter().map(|(code, _)| code.clone()).collect();
        let key = (cell.fault.clone(), verdict.how, codes.into_iter().collect());
        let known = found.entry(key).or_insert((0, cell, verdict));
        known.0 += 1;
        if verdict.changes.len() < known.2.changes.len() {
            (known.1, known.2) = (cell, verdict);
        }
    }
    let tell = |((fault, how, codes), (times, cell, verdict)): (Way, Example<'_>)| Story {
        fault,
        at: place(base, cell.point),
        how: how.to_owned(),
        ended: verdict.ended.clone(),
        codes,
        problems: verdict.problems.iter().map(|(code, text)| format!("{code}: {text}")).collect(),
        users: users(verdict),
        changes: verdict.changes.clone(),
        token: token(subject, cell).encode(),
        times,
    };
    found.into_iter().map(tell).collect()
}

fn token(subject: &Subject, cell: &Cell) -> Token {
    Token {
        playbook: subject.path.clone(),
        env: subject.env.name.clone(),
        params: subject.params.clone(),
        answers: subject.answers.clone(),
        seed: subject.seed,
        cell: cell.clone(),
    }
}

fn place(base: &Baseline, point: Point) -> String {
    match point {
        Point::Call(index) => {
            let call = &base.whole.trace[index];
            let at = call.at.since(base.before.now) as f64 / 1000.0;
            format!("call {index}, {} {} number {}, after {at:.1} s", call.service, call.operation, base.nth[index] + 1)
        }
        Point::Event(seq) => {
            let kind = serde_json::to_value(&base.whole.events[seq].what).ok();
            let kind = kind.and_then(|what| Some(what.get("event")?.as_str()?.to_owned())).unwrap_or_default();
            format!("event {seq}, {kind}")
        }
    }
}

fn users(verdict: &Verdict) -> String {
    let users = &verdict.users;
    let lowest = users.lowest_healthy.map_or("unknown".to_owned(), |n| n.to_string());
    format!(
        "{:.0} requests, {:.0} errors, {:.1} s of two versions, at least {lowest} healthy",
        users.requests, users.errors, users.mixed_seconds
    )
}
