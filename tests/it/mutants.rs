//! The shipped playbooks with one thing wrong: nearly all are caught by the check, the gate, the audit, a proof or a test; the rest is listed.

mod operators;
mod trials;

use operators::{Mutant, mutants};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use trials::{Bench, Verdict};

/// Per cent of the mutants that count: of the whole; and of the sample, which is played without faults.
const WANTED: usize = 95;
const OF_A_SAMPLE: usize = 80;

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

/// First all without a fault; then what is left: of the whole under faults, of a sample by the shipped tests alone.
fn judged(bench: &Bench, all: &[Mutant]) -> Vec<Verdict> {
    let mut verdicts = each(all, |mutant| bench.played(mutant));
    let left: Vec<usize> = (0..all.len()).filter(|index| verdicts[*index] == Verdict::Survived).collect();
    let again: Vec<Mutant> = left.iter().map(|index| all[*index].clone()).collect();
    println!("{} of {} are left", left.len(), all.len());
    let closer = each(&again, |mutant| if whole() { bench.under_faults(mutant) } else { bench.tested(mutant) });
    for (index, verdict) in left.into_iter().zip(closer) {
        verdicts[index] = verdict;
    }
    verdicts
}

fn settle(bench: &Bench, files: &[&str], sample: usize) {
    let all: Vec<Mutant> = files.iter().flat_map(|file| mutants(file, &bench.texts()[*file])).collect();
    let all: Vec<Mutant> = all.into_iter().skip(if whole() { 0 } else { sample / 2 }).step_by(if whole() { 1 } else { sample }).collect();
    let verdicts = judged(bench, &all);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    verdicts.iter().for_each(|verdict| *kinds.entry(verdict.kind()).or_default() += 1);
    let of = |kind: &str| kinds.get(kind).copied().unwrap_or(0);
    let survivors: Vec<String> =
        all.iter().zip(&verdicts).filter(|(_, v)| **v == Verdict::Survived).map(|(mutant, _)| mutant.id()).collect();
    let count = all.len() - of("equivalent");
    let caught = count - survivors.len();
    println!(
        "{}: {} mutants, {caught} of {count} caught, {} of them by a test alone: {kinds:?}\nleft:\n{}",
        bench.playbook,
        all.len(),
        of("test"),
        survivors.join("\n")
    );
    let wanted = if whole() { WANTED } else { OF_A_SAMPLE };
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
    settle(&bench, &[&bench.name(), "std/serving.rhai"], 13);
}
