//! The run without a fault in one account: its calls, its events, and the account at each of them.

use super::ProveError;
use super::cells::Scenario;
use super::charter::charters;
use super::lab::{Go, Left, Outcome, Snap, Subject, Trouble};
use super::timing::Timing;
use super::walk::{Fate, Played};
use crate::run::event::{Event, What};
use crate::sandbox::Traced;
use crate::sandbox::audit::{Charter, Findings, Phase, judge_all};
use crate::sandbox::world::{Caller, Entry, Happening, Time, World};
use std::collections::BTreeMap;

/// An account without the run is watched this long; longer than runs take.
const QUIET_MS: u64 = 4 * 3_600_000;

/// What everything else in the same account is compared with.
pub struct Baseline {
    pub timing: Timing,
    pub before: World,
    pub whole: Played,
    /// Calls at which faults are placed, by index; polls of one wait are first, middle and last.
    pub calls: Vec<usize>,
    /// Listeners and rules that the run changes.
    pub routes: Vec<String>,
    /// One for each environment.
    pub charters: Vec<Charter>,
    /// What the audit finds in the account when nothing is run and nothing happens: crashed, at rest, undone.
    pub quiet: [Findings; 3],
}

/// At rest, with nothing declared.
pub fn at_rest(undone: bool) -> Phase {
    Phase::AtRest { finals: Vec::new(), undone, lock_owner: None }
}

impl Baseline {
    pub fn play(subject: &Subject, timing: &Timing) -> Result<Baseline, ProveError> {
        if let Err(problems) = crate::script::params::parse(&subject.playbook.params, &subject.params) {
            return Err(ProveError::Params(problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>().join("; ")));
        }
        let mut before = subject.new_world()?;
        before.policy.clone_from(&subject.rights.policy);
        if !timing.is_default() {
            timing.set(&mut before, &subject.env);
        }
        let left = Left { journal: Vec::new(), world: before.clone() };
        let outcome = subject.play(&left, Trouble { snap: Snap::All, keeps: true, ..Trouble::default() }, Go::Run, 0);
        Ok(Baseline::over(subject, timing, before, outcome))
    }

    /// Of a run that was played in this account.
    pub fn over(subject: &Subject, timing: &Timing, before: World, outcome: Outcome) -> Baseline {
        let charters = charters(subject);
        let mut quiet = before.clone();
        quiet.advance(before.now.after_ms(QUIET_MS));
        let quiet = [Phase::Crashed, at_rest(false), at_rest(true)].map(|phase| judge_all(&before, &quiet, &charters, &phase));
        let routes = routes(&before, &outcome.left.world);
        let calls = points(&outcome);
        let scenario = Scenario::calm(timing.clone());
        let whole = Played { scenario, outcome, lines: 0, placed: Vec::new(), fate: Fate::default() };
        Baseline { timing: timing.clone(), before, calls, routes, charters, quiet, whole }
    }
}

fn routes(before: &World, after: &World) -> Vec<String> {
    let mut found = Vec::new();
    for (_, entry) in since(before, after) {
        if let Happening::Rerouted { resource, .. } = &entry.what
            && !found.contains(resource)
        {
            found.push(resource.clone());
        }
    }
    found
}

/// What happened between two states of an account, each with its region, in the order of time.
pub fn since<'a>(before: &World, after: &'a World) -> Vec<(&'a str, &'a Entry)> {
    let of = |there: &'a World| {
        let first = before.region(&there.region).map_or(0, |was| was.log.len()).min(there.log.len());
        there.log[first..].iter().map(|entry| (there.region.as_str(), entry))
    };
    let mut entries: Vec<_> = after.regions().flat_map(of).collect();
    entries.sort_by_key(|(_, entry)| entry.at);
    entries
}

/// All calls, but of those that one wait made only the first, middle and last of each kind.
pub fn points(whole: &Outcome) -> Vec<usize> {
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

/// When somebody else first called between two states of an account, at or after a moment.
pub fn first_by_other(before: &World, after: &World, from: Time) -> Option<Time> {
    let by_other = |entry: &Entry| matches!(&entry.what, Happening::Call { by: Caller::Other, .. });
    since(before, after).into_iter().map(|(_, entry)| entry).filter(|entry| entry.at >= from && by_other(entry)).map(|entry| entry.at).min()
}

/// The changes that a client made between two states of an account, for people.
pub fn changes(before: &World, after: &World) -> Vec<String> {
    let line = |(region, entry): (&str, &Entry)| match &entry.what {
        Happening::Call { service: _, operation, resource, set, by } => {
            let who = if *by == Caller::Other { " (somebody else)" } else { "" };
            let name = resource.strip_prefix("arn:").and_then(|arn| arn.rsplit(':').next()).unwrap_or(resource);
            let at = entry.at.since(before.now) as f64 / 1000.0;
            let place = if region == after.region { String::new() } else { format!("{region} ") };
            Some(format!("{at:>6.1} s  {place}{operation} {name}: {set}{who}"))
        }
        _ => None,
    };
    since(before, after).into_iter().filter_map(line).collect()
}
