//! Goes through the scenarios of a playbook on all cores, until they are done or the time is over.

use super::cells::{self, Scenario};
use super::chance::OF_A_TIMING;
use super::lab::Subject;
use super::report::Report;
use super::shrink::shrink;
use super::timing::Timing;
use super::trace::Baseline;
use super::verdict::{Bench, Verdict};
use super::{ProveError, usual};
use crate::sandbox::world::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// In an account with another timing only every so many-th scenario is played.
const OF_A_SWEEP: usize = 97;
/// So many ways to fail are made smaller.
const SHRUNK: usize = 8;
/// A process that recovers dies after every so many-th death of the run, and those after writes.
const AGAIN_EVERY: usize = 5;

/// How many faults at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Single,
    Pairs,
    Random,
}

impl Mode {
    pub const ALL: [(&str, Mode); 3] = [("single", Mode::Single), ("pairs", Mode::Pairs), ("random", Mode::Random)];

    pub fn word(self) -> &'static str {
        match self {
            Mode::Single => "single",
            Mode::Pairs => "pairs",
            Mode::Random => "random",
        }
    }
}

/// How much to do.
#[derive(Clone, Debug)]
pub struct Extent {
    pub mode: Mode,
    /// Only this fault, by name.
    pub fault: Option<String>,
    /// Only every n-th scenario; 1: all.
    pub every: usize,
    /// No more than this long; pairs and draws have no other end.
    pub limit: Option<Duration>,
    /// No more scenarios than this are begun.
    pub most: Option<usize>,
    pub threads: usize,
}

/// Where a search is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    pub done: usize,
    /// `None`: there is no end but that of the time.
    pub all: Option<usize>,
    pub bad: usize,
    pub seconds: f64,
}

/// Told where the search is; false: it is to stop.
pub type Progress<'a> = &'a (dyn Fn(Standing) -> bool + Sync);

/// What a search gives.
pub struct Found {
    pub verdicts: Vec<Verdict>,
    /// Jobs that were done, of how many; and those whose fault had nothing to happen to.
    pub placed: usize,
    pub planned: Option<usize>,
    pub skipped: usize,
    pub stopped: bool,
}

enum Job {
    /// One fault at one point; true: who recovers dies too.
    Single(Scenario, bool),
    /// A sample in an account with this timing.
    Sweep(Timing),
    /// The n-th draw.
    Pairs(usize),
    Random(usize),
}

/// Everything that is asked for.
pub fn prove(subject: &Subject, extent: &Extent, progress: Progress<'_>) -> Result<Report, ProveError> {
    let began = Instant::now();
    let base = usual(subject)?;
    let search = Search { subject, base: &base, singles: singles(&base, extent), extent, began };
    let mut found = search.all(progress);
    let threads = extent.threads.max(1);
    let took = began.elapsed();
    search.shrink(&mut found.verdicts);
    Ok(Report::of(subject, &base, found, extent.mode, took, threads))
}

fn singles(base: &Baseline, extent: &Extent) -> Vec<Scenario> {
    let wanted = |scenario: &Scenario| extent.fault.as_ref().is_none_or(|name| *name == scenario.heading());
    cells::singles(base).into_iter().filter(wanted).step_by(extent.every.max(1)).collect()
}

struct Search<'a> {
    subject: &'a Subject,
    base: &'a Baseline,
    singles: Vec<Scenario>,
    extent: &'a Extent,
    began: Instant,
}

/// What several threads add to.
#[derive(Default)]
struct Sum {
    verdicts: Vec<(usize, Vec<Verdict>)>,
    skipped: usize,
    stopped: bool,
}

impl Search<'_> {
    fn all(&self, progress: Progress<'_>) -> Found {
        let planned = self.planned();
        let (next, done, bad) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let sum = Mutex::new(Sum::default());
        std::thread::scope(|scope| {
            for _ in 0..self.extent.threads.max(1) {
                scope.spawn(|| {
                    while let Some((number, job)) = self.job(next.fetch_add(1, Ordering::Relaxed), planned) {
                        let verdicts = self.play(&job);
                        let wrong = verdicts.iter().flatten().filter(|v| !v.problems.is_empty()).count();
                        let bad = bad.fetch_add(wrong, Ordering::Relaxed) + wrong;
                        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                        let standing = Standing { done, all: planned, bad, seconds: self.began.elapsed().as_secs_f64() };
                        let mut sum = sum.lock().expect("no thread panics while it adds its result");
                        match verdicts {
                            Some(verdicts) => sum.verdicts.push((number, verdicts)),
                            None => sum.skipped += 1,
                        }
                        let more = progress(standing) && self.extent.limit.is_none_or(|limit| self.began.elapsed() < limit);
                        sum.stopped |= !more && planned.is_none_or(|all| done < all);
                        if !more {
                            next.store(usize::MAX / 2, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let mut sum = sum.into_inner().expect("the threads have ended");
        sum.verdicts.sort_by_key(|(number, _)| *number);
        let placed = sum.verdicts.len();
        let verdicts = sum.verdicts.into_iter().flat_map(|(_, verdicts)| verdicts).collect();
        Found { verdicts, placed, planned, skipped: sum.skipped, stopped: sum.stopped }
    }

    /// How many jobs there are; `None`: as many as there is time for.
    fn planned(&self) -> Option<usize> {
        match self.extent.mode {
            Mode::Single => Some(self.singles.len() + self.sweeps().len()),
            Mode::Pairs | Mode::Random => self.extent.most,
        }
    }

    /// Accounts with another timing are visited when all faults are.
    fn sweeps(&self) -> Vec<Timing> {
        if self.extent.fault.is_some() { Vec::new() } else { Timing::each().into_iter().step_by(self.extent.every.min(8)).collect() }
    }

    fn job(&self, number: usize, planned: Option<usize>) -> Option<(usize, Job)> {
        if number >= planned.unwrap_or(usize::MAX / 4) {
            return None;
        }
        let job = match self.extent.mode {
            Mode::Single => match self.singles.get(number) {
                Some(scenario) => Job::Single(scenario.clone(), self.dies_again(scenario, number)),
                None => Job::Sweep(self.sweeps().get(number - self.singles.len())?.clone()),
            },
            Mode::Pairs => Job::Pairs(number),
            Mode::Random => Job::Random(number),
        };
        Some((number, job))
    }

    /// After each death at a write, and after some of the others.
    fn dies_again(&self, scenario: &Scenario, number: usize) -> bool {
        let death = scenario.legs.first().and_then(|leg| leg.death);
        death.is_some_and(|death| number.is_multiple_of(AGAIN_EVERY) || self.base.whole.telling_deaths().contains(&death))
    }

    /// `None`: the account has nothing at this point that the fault could happen to.
    fn play(&self, job: &Job) -> Option<Vec<Verdict>> {
        let bench = Bench { subject: self.subject, base: self.base, shares: true };
        match job {
            Job::Single(scenario, again) => bench.single(scenario, *again),
            Job::Sweep(timing) => Some(self.sweep(timing)),
            Job::Pairs(number) => {
                let mut rng = self.rng(*number);
                let first = self.singles.get(rng.index(self.singles.len()))?;
                Some(bench.pairs(first, &mut rng)).filter(|verdicts| !verdicts.is_empty())
            }
            Job::Random(number) => {
                let mut rng = self.rng(*number);
                let timing = Timing::drawn(&mut rng);
                let base = Baseline::play(self.subject, &timing).ok()?;
                let bench = Bench { subject: self.subject, base: &base, shares: true };
                let calm = bench.and_recoveries(&base.whole, 0);
                Some(calm.into_iter().chain((0..OF_A_TIMING).flat_map(|_| bench.random(&mut rng))).collect())
            }
        }
    }

    /// Far apart, so that no two draws begin alike.
    fn rng(&self, number: usize) -> Rng {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let mut rng = Rng(self.subject.seed ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        rng.next();
        rng
    }

    /// The run in an account with another timing, and a sample of all faults there.
    fn sweep(&self, timing: &Timing) -> Vec<Verdict> {
        let Ok(base) = Baseline::play(self.subject, timing) else { return Vec::new() };
        let bench = Bench { subject: self.subject, base: &base, shares: true };
        let mut verdicts = bench.and_recoveries(&base.whole, 0);
        let every = OF_A_SWEEP * self.extent.every.max(1);
        verdicts.extend(cells::singles(&base).iter().skip(1).step_by(every).filter_map(|s| bench.single(s, false)).flatten());
        verdicts
    }

    /// Makes the shortest example of each way to fail smaller.
    fn shrink(&self, verdicts: &mut [Verdict]) {
        let mut bases: BTreeMap<Timing, Baseline> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let ways: Vec<usize> =
            (0..verdicts.len()).filter(|i| !verdicts[*i].problems.is_empty() && seen.insert(verdicts[*i].way())).collect();
        for index in ways.into_iter().take(SHRUNK) {
            let way = verdicts[index].codes();
            let mut best = None;
            shrink(&verdicts[index].scenario.clone(), |scenario| {
                let Some(again) = self.again(scenario, &mut bases) else { return false };
                let same = again.codes() == way;
                if same {
                    best = Some(again);
                }
                same
            });
            if let Some(best) = best {
                verdicts[index] = best;
            }
        }
    }

    fn again(&self, scenario: &Scenario, bases: &mut BTreeMap<Timing, Baseline>) -> Option<Verdict> {
        if scenario.timing.is_default() {
            return Bench { subject: self.subject, base: self.base, shares: true }.follow(scenario);
        }
        if !bases.contains_key(&scenario.timing) {
            bases.insert(scenario.timing.clone(), Baseline::play(self.subject, &scenario.timing).ok()?);
        }
        Bench { subject: self.subject, base: bases.get(&scenario.timing)?, shares: true }.follow(scenario)
    }
}
