//! The run without a fault: its calls, its events, and the account at each of them.

use super::ProveError;
use super::lab::{Left, Outcome, Subject, Trouble};
use super::verdict::charter;
use crate::run::event::{self, Event, What};
use crate::sandbox::Traced;
use crate::sandbox::audit::{Charter, Findings, Phase, judge};
use crate::sandbox::world::{Caller, Happening, Time, World};
use std::collections::BTreeMap;

/// An account without the run is watched this long; longer than runs take.
const QUIET_MS: u64 = 4 * 3_600_000;

/// What everything else is compared with.
pub struct Baseline {
    pub before: World,
    pub whole: Outcome,
    /// Calls at which faults are placed, by index; polls of one wait are first, middle and last.
    pub calls: Vec<usize>,
    /// How many earlier calls there were of the same kind, for each call.
    pub nth: Vec<u32>,
    /// First moment at which a route was moved to the other colour.
    pub switched: Option<Time>,
    /// Listeners and rules that the run changes.
    pub routes: Vec<String>,
    pub charter: Charter,
    /// What the audit finds in the account when nothing is run and nothing happens: crashed, at rest, undone.
    pub quiet: [Findings; 3],
}

/// At rest, with nothing declared.
pub fn at_rest(undone: bool) -> Phase {
    Phase::AtRest { finals: Vec::new(), undone, lock_owner: None }
}

impl Baseline {
    pub fn play(subject: &Subject) -> Result<Baseline, ProveError> {
        if let Err(problems) = crate::script::params::parse(&subject.playbook.params, &subject.params) {
            return Err(ProveError::Params(problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>().join("; ")));
        }
        let before = subject.world()?;
        let whole = subject.begin(&before, Trouble { snapshots: true, ..Trouble::default() });
        let outcome = whole.ended.as_ref().map(|e| e.outcome);
        if outcome != Some(event::Outcome::Done) {
            let why = whole.ended.as_ref().and_then(|e| e.why.clone()).unwrap_or_else(|| whole.error.clone());
            return Err(ProveError::Baseline { ended: outcome.map_or("before it began", event::Outcome::word).to_owned(), why });
        }
        let charter = charter(subject);
        let mut quiet = before.clone();
        quiet.advance(before.now.after_ms(QUIET_MS));
        let quiet = [Phase::Crashed, at_rest(false), at_rest(true)].map(|phase| judge(&before, &quiet, &charter, &phase));
        let found = judge(&before, &whole.left.world, &charter, &Phase::Crashed);
        let routes = routes(&before, &whole.left.world);
        let (calls, nth) = (collapsed(&whole), nth(&whole.trace));
        Ok(Baseline { switched: found.tally.switched.map(|(first, _)| first), before, calls, nth, routes, charter, quiet, whole })
    }

    /// The account at the last event before a call.
    pub fn world_at(&self, call: usize) -> &World {
        let event = self.whole.marks.iter().rposition(|calls| *calls <= call);
        event.and_then(|event| self.whole.worlds.get(event)).unwrap_or(&self.before)
    }

    /// As if the process had died when the kept event `seq` was just recorded, or just before that.
    pub fn crash(&self, seq: usize, recorded: bool) -> Left {
        let count = if recorded { seq + 1 } else { seq };
        // Lines that ride along with the next durable event were not on disk.
        let durable = self.whole.events[..count].iter().rposition(|e| e.what.is_durable()).map_or(0, |last| last + 1);
        let lines: Vec<&[u8]> = self.whole.left.journal.split_inclusive(|byte| *byte == b'\n').collect();
        Left { journal: lines[..durable].concat(), world: self.whole.worlds[seq].clone() }
    }
}

fn routes(before: &World, after: &World) -> Vec<String> {
    let mut found = Vec::new();
    for entry in &after.log[before.log.len()..] {
        if let Happening::Rerouted { resource, .. } = &entry.what
            && !found.contains(resource)
        {
            found.push(resource.clone());
        }
    }
    found
}

fn nth(trace: &[Traced]) -> Vec<u32> {
    let mut seen: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let mut all = Vec::with_capacity(trace.len());
    for call in trace {
        let known = seen.entry((&call.service, &call.operation)).or_default();
        all.push(*known);
        *known += 1;
    }
    all
}

/// All calls, but of those that one wait made only the first, middle and last of each kind.
fn collapsed(whole: &Outcome) -> Vec<usize> {
    let mut keep = vec![true; whole.trace.len()];
    let mut from = 0;
    for (event, mark) in whole.events.iter().zip(&whole.marks) {
        if is_wait(event) {
            thin(&whole.trace, from, (*mark).min(whole.trace.len()), &mut keep);
        }
        from = *mark;
    }
    (0..whole.trace.len()).filter(|call| keep[*call]).collect()
}

fn is_wait(event: &Event) -> bool {
    matches!(event.what, What::Waited { .. })
}

fn thin(trace: &[Traced], from: usize, to: usize, keep: &mut [bool]) {
    let mut kinds: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (index, call) in trace.iter().enumerate().take(to).skip(from) {
        kinds.entry((&call.service, &call.operation)).or_default().push(index);
    }
    for polls in kinds.values() {
        let wanted = [polls.first(), polls.get(polls.len() / 2), polls.last()];
        polls.iter().filter(|poll| !wanted.contains(&Some(*poll))).for_each(|poll| keep[*poll] = false);
    }
}

/// The changes that a client made between two states of an account, for people.
pub fn changes(before: &World, after: &World) -> Vec<String> {
    let line = |entry: &crate::sandbox::world::Entry| match &entry.what {
        Happening::Call { service: _, operation, resource, set, by } => {
            let who = if *by == Caller::Other { " (somebody else)" } else { "" };
            let name = resource.strip_prefix("arn:").and_then(|arn| arn.rsplit(':').next()).unwrap_or(resource);
            let at = entry.at.since(before.now) as f64 / 1000.0;
            Some(format!("{at:>6.1} s  {operation} {name}: {set}{who}"))
        }
        _ => None,
    };
    after.log[before.log.len().min(after.log.len())..].iter().filter_map(line).collect()
}
