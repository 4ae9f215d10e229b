//! How often the judge of canaries is wrong, over simulated traffic: `cargo bench --bench judge` prints one line a case.

mod traffic;

use bgx::run::judge::{Judged, Judgement, Minute, Policy, Side, Slow, Verdict, judge};
use traffic::{Counted, Traffic};

const RUNS: u64 = 4000;
/// What a playbook has when it says nothing else, with errors that do not clump.
const POLICY: Policy = Policy { worse: 3.0, tolerated: 0.005, dispersion: 1.0, metrics: 1 };

fn main() {
    // What cargo hands to benchmarks (`--bench`) changes nothing here.
    let percent = |part: usize| part as f64 * 100.0 / RUNS as f64;
    println!("{RUNS} runs each; canary share 10 %, looked at every minute; verdicts in per cent of the runs");
    println!("{:<62} {:>6} {:>6} {:>9} {:>12}", "traffic", "fail", "pass", "unknown", "mean minute");
    for (name, per_minute, errors, times, minutes) in CASES {
        let traffic = Traffic { per_minute, share: 0.1, errors, times };
        let judged: Vec<Judgement> = (0..RUNS).map(|seed| judge(&read(&traffic.minutes(minutes, seed)), POLICY)).collect();
        let of = |verdict: Verdict| judged.iter().filter(|j| j.verdict == verdict).count();
        let failed: Vec<usize> = judged.iter().filter(|j| j.verdict == Verdict::Fail).map(|j| j.minutes).collect();
        let mean = if failed.is_empty() { "-".to_owned() } else { (failed.iter().sum::<usize>() / failed.len()).to_string() };
        let (fail, pass, unknown) = (of(Verdict::Fail), of(Verdict::Pass), of(Verdict::Inconclusive));
        println!("{name:<62} {:>6.2} {:>6.2} {:>9.2} {mean:>12}", percent(fail), percent(pass), percent(unknown));
    }
    println!("with time judged too: 0.5 % errors on both sides, and requests that take longer than a bound");
    for (name, slow, times, minutes) in SLOW {
        let errors = Traffic { per_minute: 600.0, share: 0.1, errors: 0.005, times: 1.0 };
        let policy = Policy { metrics: 2, ..POLICY };
        let of = |traffic: Traffic, seed: u64| judge(&read(&traffic.minutes(minutes, seed)), policy);
        let judged = (0..RUNS).map(|seed| {
            let slow = of(Traffic { errors: slow, times, ..errors }, seed + RUNS);
            Judged { errors: of(errors, seed), slow: Some(Slow { over_seconds: 0.5, judgement: slow }) }.verdict()
        });
        let verdicts: Vec<Verdict> = judged.collect();
        let of = |verdict: Verdict| percent(verdicts.iter().filter(|v| **v == verdict).count());
        println!("{name:<62} {:>6.2} {:>6.2} {:>9.2}", of(Verdict::Fail), of(Verdict::Pass), of(Verdict::Inconclusive));
    }
}

/// Name, share of slow requests of the baseline, times that for the canary, minutes.
const SLOW: [(&str, f64, f64, usize); 4] = [
    ("A/A,  600 requests/min, 1 % slow, 120 minutes", 0.01, 1.0, 120),
    ("A/A,  600 requests/min, 5 % slow, 120 minutes", 0.05, 1.0, 120),
    ("4x as many slow,  600 requests/min, 0.5 % slow, 30 minutes", 0.005, 4.0, 30),
    ("4x as many slow,  600 requests/min, 1 % slow, 30 minutes", 0.01, 4.0, 30),
];

/// Name, requests a minute, error rate of the baseline, times that for the canary, minutes.
const CASES: [(&str, f64, f64, f64, usize); 9] = [
    ("A/A,  60 requests/min, 0.5 % errors, 120 minutes", 60.0, 0.005, 1.0, 120),
    ("A/A,  600 requests/min, 0.5 % errors, 120 minutes", 600.0, 0.005, 1.0, 120),
    ("A/A,  6000 requests/min, 0.5 % errors, 120 minutes", 6000.0, 0.005, 1.0, 120),
    ("A/A,  600 requests/min, 5 % errors, 120 minutes", 600.0, 0.05, 1.0, 120),
    ("A/A,  6000 requests/min, no errors, 30 minutes", 6000.0, 0.0, 1.0, 30),
    ("4x worse,  600 requests/min, 0.5 % errors, 30 minutes", 600.0, 0.005, 4.0, 30),
    ("2x worse,  600 requests/min, 0.5 % errors, 30 minutes", 600.0, 0.005, 2.0, 30),
    ("2x worse,  6000 requests/min, 0.5 % errors, 30 minutes", 6000.0, 0.005, 2.0, 30),
    ("20x worse,  60 requests/min, 0.5 % errors, 30 minutes", 60.0, 0.005, 20.0, 30),
];

fn read(minutes: &[Counted]) -> Vec<Minute> {
    let minute = |(index, [nc, xc, nb, xb]): (usize, &Counted)| Minute {
        at: index as i64 * 60,
        canary: Side { requests: *nc, errors: *xc },
        baseline: Side { requests: *nb, errors: *xb },
        present: true,
    };
    // A minute with no request on one side is no data.
    minutes.iter().enumerate().map(minute).filter(|m| m.canary.requests > 0 && m.baseline.requests > 0).collect()
}
