//! Judges what a simulated account has been through by the invariants: which were breached, when, and by which entry of its log.
//!
//! It sees two worlds and names, nothing of the program that made the calls; so it cannot share that program's mistakes.
//! Between two entries of the log nothing changes, so judging after each entry is judging every instant.

mod calls;
mod charter;
mod instants;
mod regions;
mod replay;
mod rest;
#[cfg(test)]
mod tests;

pub use charter::{Allows, Charter, Color, Extra, Route};

use crate::sandbox::world::{Time, World};
use charter::Resolved;
use std::collections::BTreeMap;
use std::fmt;

/// A replacement that AWS makes in two worlds takes each its own time; a breach may outlast its like in the other by this much. Boot,
/// start of the application, registration and health checks differ by up to two minutes between two draws, and one launch that failed
/// and is tried again adds as much. Less would blame a run for AWS's dice; more would hide a capacity that a run keeps low.
const REPLACEMENT_MS: u64 = 300_000;

/// What must hold. I6 (the journal tells the truth) and I7 (one run at a time) are not seen from the account alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// A target group that gets traffic has a healthy target.
    HealthyTarget,
    /// Capacity behind production stays what it was, unless AWS or autoscaling took it.
    Capacity,
    /// Users see no 5xx.
    Errors,
    /// At rest: routes and records agree.
    Agreement,
    /// At rest: every field of a group is as it was or as declared.
    Restored,
    /// One version serves, but for the propagation of a rule or a declared canary.
    OneVersion,
    /// The same, broken by an instance that booted the other colour's version from a key that both share.
    SharedKey,
    /// At rest: the lock object is absent, or owned.
    Lock,
    /// Nothing outside the environment is written.
    BlastRadius,
    /// A group that traffic reaches is never shrunk by a call.
    LiveGroup,
    /// At rest: the next instance boots the version that serves.
    BootVersion,
    /// After an undo: what a run may set is as it was.
    Undone,
    /// The account's API rate is not used up.
    Rate,
}

impl Invariant {
    pub fn code(self) -> &'static str {
        match self {
            Invariant::HealthyTarget => "I1a",
            Invariant::Capacity => "I1b",
            Invariant::Errors => "I1c",
            Invariant::Agreement => "I2",
            Invariant::Restored => "I3",
            Invariant::OneVersion => "I4",
            Invariant::SharedKey => "I4-key",
            Invariant::Lock => "I5",
            Invariant::BlastRadius => "I8",
            Invariant::LiveGroup => "I9",
            Invariant::BootVersion => "I10",
            Invariant::Undone => "I11",
            Invariant::Rate => "L2",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// One invariant that did not hold for one thing, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub invariant: Invariant,
    /// The thing it is about: the same in two worlds.
    pub subject: String,
    /// How bad it was at its worst, in whole units: instances missing, versions too many, thousandths of requests.
    pub severity: u32,
    pub at: Time,
    /// `None`: still so at the end; also for what has no duration.
    pub until: Option<Time>,
    /// At its worst, for people.
    pub what: String,
    /// Index into the log of the second world: the client's last call on what broke.
    pub caused_by: Option<usize>,
}

/// What was measured beside the breaches, breached or not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Seconds in which users could meet more than one version.
    pub mixed_seconds: f64,
    /// Seconds of each instance of a serving group that ran another version than its group, added up.
    pub foreign_instance_seconds: f64,
    /// Calls that were refused for the account's API rate.
    pub throttled: u32,
    /// First and last moment at which the routes were moved.
    pub switched: Option<(Time, Time)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    pub breaches: Vec<Breach>,
    /// Names of the charter that the account does not have: nothing was judged there.
    pub unknown: Vec<String>,
    pub tally: Tally,
}

/// How the run that is judged ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It ended by itself, and what it set in motion has settled.
    AtRest {
        /// Values that it declared to leave behind.
        finals: Vec<Final>,
        /// Everything was taken back.
        undone: bool,
        /// Text that the lock object holds where an open run may own it.
        lock_owner: Option<String>,
    },
    /// It died somewhere: only what must hold at every instant is judged.
    Crashed,
}

/// Fields of a group that a run meant to leave so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Final {
    pub group: String,
    /// `None`: the account's home region.
    pub region: Option<String>,
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub desired: Option<u32>,
}

impl Findings {
    /// Nothing was breached, and everything could be judged.
    pub fn is_clean(&self) -> bool {
        self.breaches.is_empty() && self.unknown.is_empty()
    }

    /// The invariants that were breached, each once, in order.
    pub fn invariants(&self) -> Vec<Invariant> {
        let found: std::collections::BTreeSet<Invariant> = self.breaches.iter().map(|b| b.invariant).collect();
        found.into_iter().collect()
    }
}

/// What happened between `before` and `after`, which is the same world later.
pub fn judge(before: &World, after: &World, charter: &Charter, phase: &Phase) -> Findings {
    let names = Resolved::find(charter, before);
    let (mut breaches, tally, scene) = instants::judge(&names, before, after);
    match phase {
        Phase::AtRest { finals, undone, lock_owner } => {
            let last = rest::Rest { names: &names, before, after, scene: &scene, finals };
            breaches.extend(last.judge(*undone, lock_owner.as_deref()));
        }
        Phase::Crashed => {}
    }
    breaches.sort_by(|a, b| (a.at, a.invariant, &a.subject).cmp(&(b.at, b.invariant, &b.subject)));
    Findings { breaches, unknown: names.missing, tally }
}

/// The same for a run over several environments: a call is outside of them if it is outside of each.
pub fn judge_all(before: &World, after: &World, charters: &[Charter], phase: &Phase) -> Findings {
    match after.elsewhere.is_empty() {
        true => judge_each(before, after, charters, phase),
        false => regions::judge(before, after, charters, phase),
    }
}

/// In one region.
fn judge_each(before: &World, after: &World, charters: &[Charter], phase: &Phase) -> Findings {
    let each: Vec<Findings> = charters.iter().map(|charter| judge(before, after, charter, phase)).collect();
    let has = |findings: &Findings, breach: &Breach| {
        let same = |other: &Breach| (other.invariant, &other.subject, other.at) == (breach.invariant, &breach.subject, breach.at);
        findings.breaches.iter().any(same)
    };
    let mut all = Findings { tally: each.first().map(|first| first.tally).unwrap_or_default(), ..Findings::default() };
    for (index, findings) in each.iter().enumerate() {
        let counts = |breach: &&Breach| match breach.invariant {
            Invariant::BlastRadius => index == 0 && each.iter().all(|other| has(other, breach)),
            // The rate is the account's.
            Invariant::Rate => index == 0,
            _ => true,
        };
        all.breaches.extend(findings.breaches.iter().filter(counts).cloned());
        all.unknown.extend(findings.unknown.iter().cloned());
    }
    all.breaches.sort_by(|a, b| (a.at, a.invariant, &a.subject).cmp(&(b.at, b.invariant, &b.subject)));
    all
}

/// What only the world with the run shows: the other was moved as far, under the same mishaps, without it.
pub fn worse(with_run: &Findings, without_run: &Findings) -> Findings {
    let breaches = with_run.breaches.iter().filter(|breach| !without_run.breaches.iter().any(|other| covers(other, breach)));
    Findings { breaches: breaches.cloned().collect(), ..with_run.clone() }
}

/// The same trouble, as bad, at the same time, and about as long.
fn covers(other: &Breach, breach: &Breach) -> bool {
    let same = other.invariant == breach.invariant && other.subject == breach.subject && other.severity >= breach.severity;
    let end = |b: &Breach| b.until.unwrap_or(Time(u64::MAX)).after_ms(REPLACEMENT_MS);
    let begins_within = other.at <= breach.at.after_ms(REPLACEMENT_MS) && breach.at <= end(other);
    let ends_within = match (other.until, breach.until) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(_), Some(until)) => until <= end(other),
    };
    same && begins_within && ends_within
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<6} {}", self.invariant, self.at.whole_seconds())?;
        if let Some(until) = self.until {
            write!(f, " for {:.1} s", until.since(self.at) as f64 / 1000.0)?;
        }
        write!(f, ": {}", self.what)?;
        match self.caused_by {
            Some(index) => write!(f, " (log entry {index})"),
            None => Ok(()),
        }
    }
}

/// One line a finding.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("no invariant was breached");
        }
        let unknown = self.unknown.iter().map(|name| format!("not judged: the account has no {name}"));
        let lines: Vec<String> = self.breaches.iter().map(Breach::to_string).chain(unknown).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Something that does not hold at one instant.
#[derive(Clone, Debug)]
struct Condition {
    invariant: Invariant,
    subject: String,
    severity: u32,
    what: String,
    caused_by: Option<usize>,
}

impl Condition {
    fn at(self, at: Time) -> Breach {
        let Condition { invariant, subject, severity, what, caused_by } = self;
        Breach { invariant, subject, severity, at, until: None, what, caused_by }
    }
}

/// Makes breaches with a beginning and an end from what does not hold at each instant.
#[derive(Debug, Default)]
struct Intervals {
    /// What did not hold at the start, and how badly: excused for as long as it gets no worse.
    excused: BTreeMap<(Invariant, String), u32>,
    open: BTreeMap<(Invariant, String), Breach>,
    closed: Vec<Breach>,
}

impl Intervals {
    fn begin(found: Vec<Condition>) -> Intervals {
        let excused = found.into_iter().map(|c| ((c.invariant, c.subject), c.severity)).collect();
        Intervals { excused, ..Intervals::default() }
    }

    fn note(&mut self, now: Time, found: Vec<Condition>) {
        let found: BTreeMap<(Invariant, String), Condition> = found.into_iter().map(|c| ((c.invariant, c.subject.clone()), c)).collect();
        self.excused.retain(|key, _| found.contains_key(key));
        let holds = |key: &(Invariant, String), excused: &BTreeMap<(Invariant, String), u32>| {
            found.get(key).is_none_or(|c| excused.get(key).is_some_and(|known| c.severity <= *known))
        };
        let over: Vec<_> = self.open.keys().filter(|key| holds(key, &self.excused)).cloned().collect();
        for breach in over.iter().filter_map(|key| self.open.remove(key)).collect::<Vec<_>>() {
            self.closed.push(Breach { until: Some(now), ..breach });
        }
        for (key, condition) in found {
            if self.excused.get(&key).is_some_and(|known| condition.severity <= *known) {
                continue;
            }
            let breach = self.open.entry(key).or_insert_with(|| condition.clone().at(now));
            if condition.severity > breach.severity {
                (breach.severity, breach.what) = (condition.severity, condition.what);
            }
        }
    }

    fn finish(self) -> Vec<Breach> {
        self.closed.into_iter().chain(self.open.into_values()).collect()
    }
}
