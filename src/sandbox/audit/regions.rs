//! An account in several regions: each environment is judged in its own; a call to a region of none of them, or to an object of none, is outside.

use super::{Breach, Charter, Condition, Findings, Invariant, Phase, judge_each};
use crate::sandbox::world::{Caller, Entry, Happening, World};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// All regions in which there is an environment, as the account looks from there.
pub(super) fn judge(before: &World, after: &World, charters: &[Charter], phase: &Phase) -> Findings {
    let region_of = |named: &Option<String>| named.clone().unwrap_or_else(|| after.region.clone());
    let regions: BTreeSet<String> = charters.iter().map(|charter| region_of(&charter.region)).collect();
    let mut all = Findings::default();
    for region in &regions {
        let own: Vec<Charter> = charters.iter().filter(|charter| region_of(&charter.region) == *region).cloned().collect();
        let (was, is) = (before.seen_from(region), with_objects(before, after, region));
        let phase = match phase {
            Phase::AtRest { finals, undone, lock_owner } => {
                let finals = finals.iter().filter(|last| region_of(&last.region) == *region).cloned().collect();
                Phase::AtRest { finals, undone: *undone, lock_owner: lock_owner.clone() }
            }
            Phase::Crashed => Phase::Crashed,
        };
        let found = judge_each(&was, &is, &own, &phase);
        if charters.first().is_some_and(|first| region_of(&first.region) == *region) {
            all.tally = found.tally;
        }
        let of_object = |breach: &Breach| breach.caused_by.is_some_and(|index| is_object(&is.log[index]));
        all.breaches.extend(found.breaches.into_iter().filter(|b| b.invariant != Invariant::BlastRadius || !of_object(b)));
        all.unknown.extend(found.unknown);
    }
    for there in after.regions() {
        let first = before.region(&there.region).map_or(0, |was| was.log.len());
        let entries = there.log.iter().enumerate().skip(first);
        all.breaches.extend(entries.filter_map(|(index, entry)| stray(index, entry, charters, regions.contains(&there.region))));
    }
    all.breaches.sort_by(|a, b| (a.at, a.invariant, &a.subject).cmp(&(b.at, b.invariant, &b.subject)));
    all
}

/// A region of the account, with the writes of objects in its log: those are in the log of the home region.
fn with_objects<'a>(before: &World, after: &'a World, region: &str) -> Cow<'a, World> {
    let mut there = after.seen_from(region);
    if region != after.region {
        let known = before.region(region).map_or(0, |was| was.log.len());
        let mut since = there.log[known..].to_vec();
        since.extend(after.log[before.log.len()..].iter().filter(|entry| is_object(entry)).cloned());
        since.sort_by_key(|entry| entry.at);
        let whole = there.to_mut();
        whole.log.truncate(known);
        whole.log.extend(since);
    }
    there
}

fn is_object(entry: &Entry) -> bool {
    matches!(&entry.what, Happening::Call { service, .. } if service == "s3")
}

/// I8, where no region's own judgement sees it: objects are the account's, and a region without an environment is nobody's.
fn stray(index: usize, entry: &Entry, charters: &[Charter], judged: bool) -> Option<Breach> {
    let Happening::Call { operation, resource, by: Caller::Client, .. } = &entry.what else { return None };
    let own = if is_object(entry) { charters.iter().any(|charter| charter.may_write_object(resource)) } else { judged };
    let what = format!("{operation} on {resource}, which is not part of any environment of the run");
    let condition = Condition { invariant: Invariant::BlastRadius, subject: resource.clone(), severity: 1, what, caused_by: Some(index) };
    (!own).then(|| condition.at(entry.at))
}
