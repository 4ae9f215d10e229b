//! Simulated minutes of a canary and its baseline: requests come as they like, and each fails by itself with a given chance.

/// What two sides of a release meet.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Requests in a minute, of both sides together.
    pub per_minute: f64,
    /// Of the canary.
    pub share: f64,
    /// Error rate of the baseline.
    pub errors: f64,
    /// The canary's error rate over that.
    pub times: f64,
}

/// One minute: requests and errors of the canary, then of the baseline.
pub type Counted = [u64; 4];

impl Traffic {
    /// So many minutes; the same for the same seed.
    pub fn minutes(&self, count: usize, seed: u64) -> Vec<Counted> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let rates = [(self.per_minute * self.share, self.errors * self.times), (self.per_minute * (1.0 - self.share), self.errors)];
        let side = |rng: &mut fastrand::Rng, (mean, rate): (f64, f64)| {
            let requests = arrivals(rng, mean);
            [requests, failures(rng, requests, rate)]
        };
        (0..count).map(|_| rates.map(|one| side(&mut rng, one))).map(|[[a, b], [c, d]]| [a, b, c, d]).collect()
    }
}

/// Half as many to half as many again: the judge goes by what came, however it came.
fn arrivals(rng: &mut fastrand::Rng, mean: f64) -> u64 {
    (mean * (0.5 + rng.f64())).round() as u64
}

/// How many of so many requests fail: the gaps between failures are geometric.
fn failures(rng: &mut fastrand::Rng, requests: u64, rate: f64) -> u64 {
    let (mut count, mut place) = (0, 0.0);
    if rate <= 0.0 {
        return 0;
    }
    loop {
        place += ((1.0 - rng.f64()).ln() / (1.0 - rate).ln()).floor() + 1.0;
        if place > requests as f64 {
            return count;
        }
        count += 1;
    }
}
