//! Judges a canary against the colour that serves, from counts of requests, and of errors or slow ones among them, by minute; pure, and
//! the same on every machine.
//!
//! Per minute, the canary's errors given those of both sides are Binomial(N, p(θ)) with p(θ) = θ n_c / (θ n_c + n_b), where θ is the
//! canary's error rate over the baseline's: what shakes both sides in one minute cancels. Bad is told by a mixture of likelihood
//! ratios, which is an e-value: on a good canary it ever reaches 1/α with probability α at most, however often it is looked at
//! (Ville's inequality). A power 1/φ tempers it where errors come in clumps. What is assumed: requests are routed by weight
//! alone (stickiness breaks it), and φ is an estimate, so that α is approximate where errors are clumped.

mod judged;
mod minutes;
#[cfg(test)]
mod tests;

pub use judged::{Judged, Slow};
pub use minutes::{Counts, DISPERSION_UNKNOWN, Dispersion, Series, Window, dispersion, join};

use serde::{Deserialize, Serialize};
use std::fmt;

/// A canary whose error rate is at most this many times the baseline's is no reason to stop.
const NO_WORSE: f64 = 1.25;
/// Times `NO_WORSE`: the error ratios that are looked for, all alike.
const ALTERNATIVES: [f64; 8] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 300.0];
/// Chance that a good canary is ever called bad, by any of what is judged.
const FALSE_ALARM: f64 = 0.01;
/// Chance that a bad canary is called good.
const MISS: f64 = 0.05;

/// Requests of one side, and those of them that failed, or were slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    pub requests: u64,
    pub errors: u64,
}

/// What both sides answered in one whole minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Its first second, since 1970.
    pub at: i64,
    pub canary: Side,
    pub baseline: Side,
    /// It belongs to the present share of traffic; what was shown at a smaller one says nothing of this load.
    pub present: bool,
}

/// What a canary must show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Times the baseline's error rate that must be ruled out to pass.
    pub worse: f64,
    /// Or this error rate, whatever the baseline's: where nothing ever fails, no ratio can be told.
    pub tolerated: f64,
    /// φ, from 1 on: how much wider counts scatter than independent errors would.
    pub dispersion: f64,
    /// How many metrics are judged: they share the chance of a false alarm.
    pub metrics: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The canary is worse; true from the minute on in which it showed.
    Fail,
    /// A canary that is `worse` is ruled out, as things stand now.
    Pass,
    /// Neither has shown.
    Inconclusive,
}

/// What was found, and on what grounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub verdict: Verdict,
    /// Minutes that counted, and how many of them at the present share.
    pub minutes: usize,
    pub present_minutes: usize,
    /// Over those minutes, up to the verdict.
    pub canary: Side,
    pub baseline: Side,
    /// Natural logarithms of the e-values for a bad and for a good canary.
    pub against: f64,
    pub in_favour: f64,
    /// Of the two grounds to pass, the canary's own error rate is the stronger.
    pub by_rate: bool,
    pub policy: PolicyTold,
    /// Canary requests that a good canary would still need to pass; `None`: it has passed or failed, or no number would do.
    pub more_requests: Option<u64>,
    /// Canary requests in a minute of the present share.
    pub per_minute: f64,
}

/// The policy as the journal keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyTold {
    pub worse: f64,
    pub tolerated: f64,
    pub dispersion: f64,
    #[serde(default = "alone")]
    pub metrics: u32,
}

fn alone() -> u32 {
    1
}

/// The e-value at which a canary is called bad, where so many metrics are judged (Bonferroni).
fn enough(metrics: u32) -> f64 {
    f64::from(metrics) / FALSE_ALARM
}

/// Sums over the minutes so far, in logarithms.
#[derive(Clone, Debug, Default)]
struct Evidence {
    against: [f64; ALTERNATIVES.len()],
    by_ratio: f64,
    by_rate: f64,
    /// The present share alone.
    canary: Side,
    baseline: Side,
    minutes: usize,
}

/// Judges minutes in their order. Looking again with more of them never takes a `Fail` back.
pub fn judge(minutes: &[Minute], policy: Policy) -> Judgement {
    let mut evidence = Evidence::default();
    let (mut canary, mut baseline) = (Side::default(), Side::default());
    let (mut counted, mut failed) = (0, false);
    for minute in minutes {
        counted += 1;
        canary.add(minute.canary);
        baseline.add(minute.baseline);
        evidence.add(minute, policy);
        failed = evidence.against(policy) >= ln(enough(policy.metrics));
        if failed {
            break;
        }
    }
    let in_favour = evidence.in_favour(policy);
    let verdict = match (failed, in_favour >= ln(1.0 / MISS)) {
        (true, _) => Verdict::Fail,
        (false, true) => Verdict::Pass,
        (false, false) => Verdict::Inconclusive,
    };
    let Policy { worse, tolerated, dispersion, metrics } = policy;
    Judgement {
        verdict,
        minutes: counted,
        present_minutes: evidence.minutes,
        canary,
        baseline,
        against: evidence.against(policy),
        in_favour,
        by_rate: tolerated > 0.0 && evidence.by_rate > evidence.by_ratio,
        policy: PolicyTold { worse, tolerated, dispersion, metrics },
        more_requests: if verdict == Verdict::Inconclusive { evidence.more_requests(policy) } else { None },
        per_minute: evidence.canary.requests as f64 / evidence.minutes.max(1) as f64,
    }
}

impl Side {
    fn add(&mut self, more: Side) {
        self.requests += more.requests;
        self.errors += more.errors;
    }

    fn rate(self) -> f64 {
        self.errors as f64 / self.requests.max(1) as f64
    }
}

impl Minute {
    /// ln L(a)/L(b) of two error ratios.
    fn ratio(&self, a: f64, b: f64) -> f64 {
        let (canary, baseline) = (self.canary.requests as f64, self.baseline.requests as f64);
        let errors = (self.canary.errors + self.baseline.errors) as f64;
        self.canary.errors as f64 * ln(a / b) - errors * ln((a * canary + baseline) / (b * canary + baseline))
    }

    /// ln of the likelihood of the canary's own errors at the rate `a`, over that at `b`.
    fn rate(&self, a: f64, b: f64) -> f64 {
        let Side { requests, errors } = self.canary;
        errors as f64 * ln(a / b) + requests.saturating_sub(errors) as f64 * ln((1.0 - a) / (1.0 - b))
    }
}

impl Evidence {
    fn add(&mut self, minute: &Minute, policy: Policy) {
        for (sum, times) in self.against.iter_mut().zip(ALTERNATIVES) {
            *sum += minute.ratio(times * NO_WORSE, NO_WORSE);
        }
        if !minute.present {
            return;
        }
        self.minutes += 1;
        self.canary.add(minute.canary);
        self.baseline.add(minute.baseline);
        self.by_ratio += minute.ratio(1.0, policy.worse);
        if policy.tolerated > 0.0 {
            self.by_rate += minute.rate(policy.tolerated / policy.worse, policy.tolerated);
        }
    }

    fn against(&self, policy: Policy) -> f64 {
        ln_mean(&self.against.map(|sum| sum / policy.dispersion))
    }

    /// The mean of two e-values against "much worse, and beyond what is tolerated" is one too.
    fn in_favour(&self, policy: Policy) -> f64 {
        let (ratio, rate) = (self.by_ratio / policy.dispersion, self.by_rate / policy.dispersion);
        if policy.tolerated > 0.0 { ln_mean(&[ratio, rate]) } else { ratio }
    }

    /// How many more, if the canary is as good as the baseline and traffic stays as it is.
    fn more_requests(&self, policy: Policy) -> Option<u64> {
        let all = self.canary.requests + self.baseline.requests;
        let share = self.canary.requests as f64 / all.max(1) as f64;
        if share <= 0.0 {
            return None;
        }
        let failing = (self.canary.errors + self.baseline.errors) as f64 / all as f64;
        let by_ratio = failing * (ln(policy.worse * share + 1.0 - share) - share * ln(policy.worse)) / share;
        let (bad, good) = (policy.tolerated, policy.tolerated / policy.worse);
        let by_rate = if bad > 0.0 { (1.0 - failing) * ln((1.0 - good) / (1.0 - bad)) - failing * ln(policy.worse) } else { 0.0 };
        let halves = if bad > 0.0 { ln(2.0) } else { 0.0 };
        let wanted = (ln(1.0 / MISS) + halves) * policy.dispersion;
        let needed = |so_far: f64, gain: f64| if gain > 1e-12 { Some((wanted - so_far).max(0.0) / gain) } else { None };
        let least = [needed(self.by_ratio, by_ratio), needed(self.by_rate, by_rate)].into_iter().flatten().fold(f64::INFINITY, f64::min);
        (least < 1e15).then(|| (least.ceil() as u64).max(1))
    }
}

/// ln of the mean of what these are logarithms of, without leaving the range of numbers.
fn ln_mean(logs: &[f64]) -> f64 {
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|log| libm::exp(log - top)).sum();
    top + ln(sum / logs.len() as f64)
}

/// The same bits on every platform, which the machine's own logarithm does not promise.
fn ln(x: f64) -> f64 {
    libm::log(x)
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Fail => "fail",
            Verdict::Pass => "pass",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

/// What is counted, in words.
struct Words<'a> {
    /// What such a request did.
    did: &'a str,
    /// Such requests among all.
    rate: &'a str,
    /// There are none.
    nothing: &'a str,
}

const ERRORS: Words<'_> = Words { did: "failed", rate: "an error rate", nothing: "nothing fails" };

/// `12 of 310 requests of the canary failed (3.87 %), and 4 of 5890 beside it (0.07 %): …`
impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f, &ERRORS)
    }
}

impl Judgement {
    fn tell(&self, f: &mut fmt::Formatter<'_>, words: &Words<'_>) -> fmt::Result {
        if self.minutes == 0 {
            return f.write_str("no data: there is no whole minute with requests on both sides");
        }
        let Judgement { canary, baseline, .. } = self;
        let percent = |side: &Side| side.rate() * 100.0;
        write!(f, "{} of {} requests of the canary {} ({:.2} %), ", canary.errors, canary.requests, words.did, percent(canary))?;
        write!(f, "and {} of {} beside it ({:.2} %): ", baseline.errors, baseline.requests, percent(baseline))?;
        match self.verdict {
            Verdict::Fail => write!(f, "it is worse (e-value {}, and {:.0} is enough)", odds(self.against), enough(self.policy.metrics)),
            Verdict::Pass if self.by_rate => write!(f, "{} of {} % is ruled out", words.rate, self.policy.tolerated * 100.0),
            Verdict::Pass => write!(f, "{} times worse is ruled out", self.policy.worse),
            Verdict::Inconclusive => self.what_lacks(f, words),
        }
    }

    fn what_lacks(&self, f: &mut fmt::Formatter<'_>, words: &Words<'_>) -> fmt::Result {
        if self.present_minutes == 0 {
            return f.write_str("no data yet at this share");
        }
        match self.more_requests {
            Some(more) => {
                let minutes = (more as f64 / self.per_minute.max(1e-9)).ceil();
                write!(f, "too few to tell; a good canary needs about {more} more requests, {minutes} min at the present rate")
            }
            None => write!(f, "more requests would not tell: {} on either side", words.nothing),
        }
    }
}

/// An e-value from its logarithm, cut where more digits say nothing.
fn odds(log: f64) -> String {
    if log > ln(1e6) { "over a million".to_owned() } else { format!("{:.0}", libm::exp(log)) }
}
