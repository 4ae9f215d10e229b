//! Moments and random draws of the simulated account, both plain data.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    pub fn after_ms(self, ms: u64) -> Time {
        Time(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here; 0 when `earlier` is later.
    pub fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `2026-11-21T05:08:38Z`, as in the causes of scaling activities.
    pub fn whole_seconds(self) -> String {
        let stamp = jiff::Timestamp::from_second((self.0 / 1000) as i64).unwrap_or(jiff::Timestamp::MAX);
        format!("{stamp:.0}")
    }
}

/// RFC 3339 in UTC with milliseconds, as AWS writes it: `2026-11-21T05:08:38.000Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = jiff::Timestamp::from_millisecond(self.0 as i64).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{stamp:.3}")
    }
}

/// What a reader may still be shown of a thing that was changed: each old view until a moment of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past<T>(Vec<(Time, T)>);

impl<T> Default for Past<T> {
    fn default() -> Past<T> {
        Past(Vec::new())
    }
}

impl<T> Past<T> {
    /// The oldest view that is still shown at `now`; `None`: readers see how it is.
    pub fn seen(&self, now: Time) -> Option<&T> {
        self.0.iter().find(|(until, _)| *until > now).map(|(_, view)| view)
    }

    /// A change at `now`: `old` is shown until `until`, and what was shown before it not longer than it would have been.
    pub fn keep(&mut self, now: Time, until: Time, old: T) {
        self.0.retain(|(end, _)| *end > now);
        if until > now {
            self.0.push((until, old));
        }
    }
}

/// SplitMix64: small enough to live in the world's data, so that a cloned world draws the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rng(pub u64);

impl Rng {
    #[expect(clippy::should_implement_trait, reason = "a source of draws never ends, so it is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.next() % (high - low + 1) }
    }

    /// Index below `count`, which is at least 1.
    pub fn index(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    /// Lower-case hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(digits);
        text
    }

    /// A version 4 style UUID.
    pub fn uuid(&mut self) -> String {
        let h = self.hex(32);
        format!("{}-{}-4{}-a{}-{}", &h[..8], &h[8..12], &h[13..16], &h[17..20], &h[20..])
    }

    /// Exponentially distributed with mean 1, by von Neumann's comparisons: no logarithm, so every platform draws the same.
    pub fn exponential(&mut self) -> f64 {
        let mut whole = 0.0;
        loop {
            let first = self.unit();
            let mut last = first;
            let mut length = 1u32;
            loop {
                let next = self.unit();
                if next >= last {
                    break;
                }
                last = next;
                length += 1;
            }
            if length % 2 == 1 {
                return whole + first;
            }
            whole += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_draws_have_mean_and_median_of_the_distribution() {
        let mut rng = Rng(7);
        let mut draws: Vec<f64> = (0..20_000).map(|_| rng.exponential()).collect();
        draws.sort_by(f64::total_cmp);
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        assert!((0.97..1.03).contains(&mean), "{mean}");
        assert!((0.67..0.72).contains(&draws[10_000]), "{}", draws[10_000]);
    }

    #[test]
    fn times_print_as_aws_writes_them() {
        assert_eq!(Time(1_795_237_718_000).to_string(), "2026-11-21T05:08:38.000Z");
        assert_eq!(Time(1_795_237_718_999).whole_seconds(), "2026-11-21T05:08:38Z");
    }
}
