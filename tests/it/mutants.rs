//! The shipped playbooks with one thing wrong: nearly all are caught by the check, the gate, the audit or a proof; the rest is listed.

mod operators;
mod trials;

use operators::{Mutant, mutants};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use trials::{Bench, Verdict};

/// Per cent of the mutants that count: of the whole, with faults; and of the sample, which is played without.
const WANTED: usize = 95;
const WITHOUT_FAULTS: usize = 25;

/// The whole of what is otherwise sampled.
fn whole() -> bool {
    std::env::var_os("BGX_WHOLE").is_some()
}

/// Every how many-th point of a fault is tried: `BGX_EVERY`, for a machine with less time.
fn every(otherwise: usize) -> usize {
    std::env::var("BGX_EVERY").ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Judges mutants on two threads, in their order.
fn each(mutants: &[Mutant], judge: impl Fn(&Mutant) -> Verdict + Sync) -> Vec<Verdict> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(mutant) = mutants.get(index) else { return };
                    let verdict = judge(mutant);
                    println!("{:<120} {verdict:?}", mutant.id());
                    found.lock().unwrap().insert(index, verdict);
                }
            });
        }
    });
    found.into_inner().unwrap().into_values().collect()
}

/// First all without a fault; then, of the whole, what is left under faults.
fn judged(bench: &Bench, all: &[Mutant]) -> Vec<Verdict> {
    let mut verdicts = each(all, |mutant| bench.played(mutant));
    let left: Vec<usize> = (0..all.len()).filter(|index| whole() && verdicts[*index] == Verdict::Survived).collect();
    let again: Vec<Mutant> = left.iter().map(|index| all[*index].clone()).collect();
    println!("{} of {} are left for a proof", left.len(), all.len());
    for (index, verdict) in left.into_iter().zip(each(&again, |mutant| bench.under_faults(mutant))) {
        verdicts[index] = verdict;
    }
    verdicts
}

fn settle(bench: &Bench, files: &[&str], sample: usize) {
    let all: Vec<Mutant> = files.iter().flat_map(|file| mutants(file, &bench.texts()[*file])).collect();
    let all: Vec<Mutant> = all.into_iter().skip(if whole() { 0 } else { sample / 2 }).step_by(if whole() { 1 } else { sample }).collect();
    let verdicts = judged(bench, &all);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut count, mut survivors) = (0, Vec::new());
    for (mutant, verdict) in all.iter().zip(&verdicts) {
        let kind = match verdict {
            Verdict::Check(_) => "check",
            Verdict::Otherwise(_) => "ended otherwise",
            Verdict::Audit(_) => "audit",
            Verdict::Rollback(_) => "rollback",
            Verdict::Prove(_) => "prove",
            Verdict::Equivalent => "equivalent",
            Verdict::Survived => "survived",
        };
        *kinds.entry(kind).or_default() += 1;
        count += usize::from(*verdict != Verdict::Equivalent);
        survivors.extend((*verdict == Verdict::Survived).then(|| mutant.id()));
    }
    let caught = count - survivors.len();
    println!("{}: {} mutants, {caught} of {count} caught: {kinds:?}", bench.playbook, all.len());
    let wanted = if whole() { WANTED } else { WITHOUT_FAULTS };
    assert!(caught * 100 >= count * wanted, "{caught} of {count} caught, {wanted} % are wanted; these survived:\n{}", survivors.join("\n"));
}

#[test]
fn mutants_of_the_shipped_deploy_are_caught() {
    let bench = Bench::deploy(every(if whole() { 3 } else { 90 }));
    settle(&bench, &[&bench.name(), "std/blue_green.rhai"], 29);
}

#[test]
fn mutants_of_the_shipped_rollback_are_caught() {
    let bench = Bench::rollback(every(if whole() { 4 } else { 40 }));
    settle(&bench, &[&bench.name()], 13);
}
