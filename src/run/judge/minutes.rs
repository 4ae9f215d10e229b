//! From CloudWatch's series to minutes that can be judged, and from the stable side alone to how much its errors clump.

use super::{Minute, Side};
use std::collections::BTreeSet;

const MINUTE: i64 = 60;
/// Below so many degrees of freedom the estimate of φ says little.
const FREEDOM_LEAST: usize = 20;
/// φ where nothing is known of it.
pub const DISPERSION_UNKNOWN: f64 = 3.0;

pub use crate::account::Series;

/// What CloudWatch has about one target group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// RequestCount: a minute that is missing is no data.
    pub requests: Series,
    /// Counts that are published only where they are not 0: missing is 0 in a minute that has requests, else no data.
    pub errors: Vec<Series>,
}

/// Which minutes count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// When each share of traffic began, in order; the last one is the present.
    pub phases: Vec<i64>,
    /// Minutes at the beginning of each that are left out: instances with cold caches, nodes that follow the rule late.
    pub warm_up: u32,
    /// What ends later may still be growing.
    pub until: i64,
}

/// Minutes that lie wholly in one phase and have requests on both sides.
pub fn join(canary: &Counts, baseline: &Counts, window: &Window) -> Vec<Minute> {
    let minute = |at: &i64| {
        let phase = window.phase(*at)?;
        let (canary, baseline) = (canary.side(*at)?, baseline.side(*at)?);
        Some(Minute { at: *at, canary, baseline, present: phase + 1 == window.phases.len() })
    };
    canary.requests.keys().filter_map(minute).collect()
}

impl Window {
    /// The phase that a minute counts for.
    fn phase(&self, at: i64) -> Option<usize> {
        let index = self.phases.iter().rposition(|start| *start <= at)?;
        let warm = self.phases[index] + i64::from(self.warm_up) * MINUTE;
        let end = self.phases.get(index + 1).copied().unwrap_or(i64::MAX).min(self.until);
        (at >= warm && at + MINUTE <= end).then_some(index)
    }
}

impl Counts {
    fn side(&self, at: i64) -> Option<Side> {
        let requests = whole(*self.requests.get(&at)?);
        let errors: u64 = self.errors.iter().filter_map(|series| series.get(&at)).map(|sum| whole(*sum)).sum();
        // One request can meet several connection errors: it has failed once.
        (requests > 0).then(|| Side { requests, errors: errors.min(requests) })
    }
}

fn whole(sum: f64) -> u64 {
    sum.round().max(0.0) as u64
}

/// How much wider the errors of one and the same version scatter than independent ones would.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dispersion {
    pub phi: f64,
    /// Degrees of freedom that it rests on.
    pub freedom: usize,
}

/// φ of the stable side, split by availability zone: Pearson's χ² over its degrees of freedom, minute by minute, 1 at least.
pub fn dispersion(zones: &[Counts]) -> Dispersion {
    let all: BTreeSet<i64> = zones.iter().flat_map(|zone| zone.requests.keys().copied()).collect();
    let (mut chi_square, mut freedom) = (0.0, 0);
    for at in all {
        let sides: Vec<Side> = zones.iter().filter_map(|zone| zone.side(at)).collect();
        let (requests, errors) = sides.iter().fold((0, 0), |(r, e), side| (r + side.requests, e + side.errors));
        if sides.len() < 2 || errors == 0 {
            continue;
        }
        freedom += sides.len() - 1;
        for side in sides {
            let expected = errors as f64 * side.requests as f64 / requests as f64;
            chi_square += (side.errors as f64 - expected) * (side.errors as f64 - expected) / expected;
        }
    }
    let phi = if freedom < FREEDOM_LEAST { DISPERSION_UNKNOWN } else { (chi_square / freedom as f64).max(1.0) };
    Dispersion { phi, freedom }
}
