//! Scenarios of more than one fault: drawn from a seed, so that the n-th is always the same.

use super::cells::{Death, Scenario, Strike, deaths, fault};
use super::faults::{FAULTS, Fault, Harm};
use super::lab::{Go, Snap};
use super::trace::points;
use super::verdict::{Bench, Verdict};
use super::walk::{Pause, Played};
use crate::sandbox::Traced;
use crate::sandbox::world::Rng;

/// Second faults that are tried after one first.
const SECONDS: usize = 4;
/// Scenarios that are drawn for one timing: making its account and playing it without a fault is shared.
pub const OF_A_TIMING: usize = 8;
/// Draws before a point is given up that nothing applies to.
const DRAWS: usize = 12;
/// Two faults so many calls apart cannot meet in one retry.
const APART: usize = 8;

/// What comes next for a run.
enum Next {
    Strike(Strike),
    Death(Death),
}

impl Bench<'_> {
    /// A first fault, and after it some seconds: in the same process or in one that recovers.
    pub fn pairs(&self, first: &Scenario, rng: &mut Rng) -> Vec<Verdict> {
        let Some(leg) = first.legs.first() else { return Vec::new() };
        let whole = &self.base.whole;
        let mut verdicts = Vec::new();
        match (leg.strikes.as_slice(), leg.death) {
            ([], Some(death)) => {
                let Some(pause) = whole.die(death) else { return verdicts };
                let recoveries: Vec<Played> =
                    self.ways(&pause).into_iter().map(|go| self.go(Some(&pause), go, Vec::new(), Snap::Durable)).collect();
                for (index, played) in (0..SECONDS).zip(recoveries.iter().cycle()) {
                    let from = if index < recoveries.len() { 0 } else { rng.index(played.outcome.trace.len()) };
                    verdicts.extend(self.second(Some(&pause), played, from, None, rng));
                }
            }
            ([strike], None) => {
                let Some(played) = self.strike(None, whole, strike.clone(), Snap::Durable) else { return verdicts };
                let recoveries = self.recovering(&played);
                for index in 0..SECONDS {
                    match recoveries.get(index / 2).filter(|_| index % 2 == 1) {
                        Some((pause, recovery)) => verdicts.extend(self.second(Some(pause), recovery, 0, None, rng)),
                        None => verdicts.extend(self.second(None, &played, strike.call, Some(strike), rng)),
                    }
                }
            }
            _ => {}
        }
        verdicts
    }

    fn recovering(&self, played: &Played) -> Vec<(Pause, Played)> {
        let Some(pause) = played.pause() else { return Vec::new() };
        let go = |go: Go| (pause.clone(), self.go(Some(&pause), go, Vec::new(), Snap::Durable));
        self.ways(&pause).into_iter().map(go).collect()
    }

    /// One thing more goes wrong with this process, at its call `from` or later.
    fn second(&self, prior: Option<&Pause>, played: &Played, from: usize, first: Option<&Strike>, rng: &mut Rng) -> Vec<Verdict> {
        match self.next(played, from, first, rng) {
            Some(Next::Death(death)) => played.die(death).map(|pause| self.dead(&pause, 0)).unwrap_or_default(),
            Some(Next::Strike(strike)) => {
                let struck = self.strike(prior, played, strike, Snap::None);
                struck.map(|played| self.and_recoveries(&played, 0)).unwrap_or_default()
            }
            None => Vec::new(),
        }
    }

    fn next(&self, played: &Played, from: usize, first: Option<&Strike>, rng: &mut Rng) -> Option<Next> {
        let outcome = &played.outcome;
        if rng.index(4) == 0 {
            let event = outcome.marks.iter().position(|calls| *calls > from)?.max(1);
            let kept = rng.index(2) == 0;
            let can: Vec<Death> = deaths(outcome, event, kept).into_iter().filter(|d| outcome.worlds[d.event].is_some()).collect();
            return (!can.is_empty()).then(|| Next::Death(can[rng.index(can.len())]));
        }
        let calls: Vec<usize> = points(outcome).into_iter().filter(|call| *call >= from).collect();
        if calls.is_empty() {
            return None;
        }
        (0..DRAWS).find_map(|_| {
            let (call, fault) = (calls[rng.index(calls.len())], &FAULTS[rng.index(FAULTS.len())]);
            let strike = Strike { fault: fault.name.to_owned(), call };
            let fits = applies(fault, &outcome.trace[call]) && !first.is_some_and(|first| commute(first, &strike, &outcome.trace));
            fits.then_some(Next::Strike(strike))
        })
    }

    /// One to three faults at any calls of a run and of those that go on with it.
    pub fn random(&self, rng: &mut Rng) -> Vec<Verdict> {
        let mut prior: Option<Pause> = None;
        let mut played = self.base.whole.clone();
        let faults = 1 + rng.index(3);
        for left in (0..faults).rev() {
            let next = match self.next(&played, 0, None, rng) {
                Some(Next::Strike(strike)) => match self.strike(prior.as_ref(), &played, strike, Snap::Durable) {
                    Some(struck) => {
                        played = struck;
                        // The next one meets the same process, or one that recovers.
                        played.pause().filter(|_| left > 0 && rng.index(2) == 0)
                    }
                    None => None,
                },
                Some(Next::Death(death)) => played.die(death),
                None => None,
            };
            let Some(pause) = next else { continue };
            let ways = self.ways(&pause);
            if left == 0 || ways.is_empty() || pause.scenario.legs.len() > 2 {
                return self.dead(&pause, 0);
            }
            played = self.go(Some(&pause), ways[rng.index(ways.len())], Vec::new(), Snap::Durable);
            prior = Some(pause);
        }
        self.and_recoveries(&played, 0)
    }
}

fn applies(fault: &Fault, call: &Traced) -> bool {
    !matches!(fault.harm, Harm::Nothing | Harm::Kill { .. }) && (fault.applies)(call)
}

/// Two faults that each cost one retry of a read, far apart, are met one after the other: nothing that two singles do not show.
fn commute(first: &Strike, second: &Strike, trace: &[Traced]) -> bool {
    let passing = |strike: &Strike| {
        let once = fault(&strike.fault).is_some_and(|fault| matches!(fault.harm, Harm::Once(_)));
        once && trace.get(strike.call).is_some_and(|call| !call.mutates)
    };
    passing(first) && passing(second) && second.call > first.call + APART
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::world::Time;

    #[test]
    fn two_retries_of_reads_far_apart_commute_and_nothing_else_does() {
        let call = |mutates| Traced { at: Time(0), service: "ssm".into(), region: None, operation: "X".into(), mutates, needs: [].into() };
        let mut trace = vec![call(false); 20];
        trace[15] = call(true);
        let strike = |fault: &str, call| Strike { fault: fault.to_owned(), call };
        assert!(commute(&strike("hang", 1), &strike("throttled once", 12), &trace));
        assert!(!commute(&strike("hang", 1), &strike("throttled once", 5), &trace), "within one retry");
        assert!(!commute(&strike("hang", 1), &strike("hang", 15), &trace), "a write");
        assert!(!commute(&strike("SIGTERM", 1), &strike("hang", 12), &trace), "not over with one retry");
    }
}
