//! The judge against what can be counted out, and against simulated traffic.

use super::*;
use std::collections::BTreeMap;
use traffic::Traffic;

#[path = "../../../benches/judge/traffic.rs"]
mod traffic;

const POLICY: Policy = Policy { worse: 3.0, tolerated: 0.005, dispersion: 1.0, metrics: 1 };

fn minute(index: usize, [nc, xc, nb, xb]: [u64; 4]) -> Minute {
    let (canary, baseline) = (Side { requests: nc, errors: xc }, Side { requests: nb, errors: xb });
    Minute { at: index as i64 * 60, canary, baseline, present: true }
}

fn read(counted: &[[u64; 4]]) -> Vec<Minute> {
    counted.iter().enumerate().map(|(index, counts)| minute(index, *counts)).collect()
}

fn simulated(traffic: Traffic, minutes: usize, runs: u64) -> Vec<Judgement> {
    (0..runs).map(|seed| judge(&read(&traffic.minutes(minutes, seed)), POLICY)).collect()
}

fn share(judged: &[Judgement], verdict: Verdict) -> f64 {
    judged.iter().filter(|j| j.verdict == verdict).count() as f64 / judged.len() as f64
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

#[test]
fn a_canary_as_good_as_the_rest_is_rarely_called_bad_however_often_it_is_looked_at() {
    let judged = simulated(Traffic { per_minute: 600.0, share: 0.1, errors: 0.005, times: 1.0 }, 120, 2000);
    assert!(share(&judged, Verdict::Fail) <= FALSE_ALARM, "{} of all", share(&judged, Verdict::Fail));
    assert!(share(&judged, Verdict::Pass) >= 0.9, "{} of all", share(&judged, Verdict::Pass));
}

#[test]
fn a_canary_four_times_worse_is_caught_within_half_an_hour() {
    let judged = simulated(Traffic { per_minute: 600.0, share: 0.1, errors: 0.005, times: 4.0 }, 30, 500);
    assert!(share(&judged, Verdict::Fail) >= 0.9, "{} of all", share(&judged, Verdict::Fail));
    assert_eq!(share(&judged, Verdict::Pass), 0.0);
}

#[test]
fn a_canary_three_times_worse_rarely_passes() {
    let judged = simulated(Traffic { per_minute: 600.0, share: 0.1, errors: 0.005, times: 3.0 }, 30, 1000);
    assert!(share(&judged, Verdict::Pass) <= MISS, "{} of all", share(&judged, Verdict::Pass));
}

fn choose(n: u64, k: u64) -> f64 {
    (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}

/// The chance of so many errors of the canary among all errors of a minute.
fn binomial([nc, xc, nb, xb]: [u64; 4], theta: f64) -> f64 {
    let p = theta * nc as f64 / (theta * nc as f64 + nb as f64);
    choose(xc + xb, xc) * p.powi(xc as i32) * (1.0 - p).powi(xb as i32)
}

#[test]
fn likelihood_ratios_are_those_of_the_binomial_counted_out() {
    let counts = [[30, 2, 270, 3], [25, 0, 240, 4], [40, 1, 300, 0]];
    let product = |theta: f64| counts.iter().map(|c| binomial(*c, theta)).product::<f64>();
    for (a, b) in [(1.0, 3.0), (1.875, 1.25), (375.0, 1.25)] {
        let sum: f64 = read(&counts).iter().map(|m| m.ratio(a, b)).sum();
        assert!(close(sum, (product(a) / product(b)).ln()), "{a} over {b}");
    }
    let judged = judge(&read(&counts), Policy { tolerated: 0.0, ..POLICY });
    let mean = ALTERNATIVES.iter().map(|g| product(g * NO_WORSE) / product(NO_WORSE)).sum::<f64>() / 8.0;
    assert!(close(judged.against, mean.ln()) && close(judged.in_favour, (product(1.0) / product(3.0)).ln()), "{judged:?}");
}

#[test]
fn over_all_outcomes_the_evidence_against_a_good_canary_is_one_at_most() {
    // Two minutes with four and three errors, each placed in every way.
    for (theta, dispersion) in [(NO_WORSE, 1.0), (1.0, 1.0), (NO_WORSE, 2.0)] {
        let (mut mean, mut alarms) = (0.0, 0.0);
        for first in 0..=4 {
            for second in 0..=3 {
                let counts = [[50, first, 450, 4 - first], [60, second, 440, 3 - second]];
                let chance: f64 = counts.iter().map(|c| binomial(*c, theta)).product();
                let judged = judge(&read(&counts), Policy { dispersion, ..POLICY });
                // A verdict after the first minute stops the sum there; what it is worth then is known.
                mean += chance * judged.against.exp();
                alarms += if judged.verdict == Verdict::Fail { chance } else { 0.0 };
            }
        }
        assert!(mean <= 1.0 + 1e-9, "θ {theta}, φ {dispersion}: {mean}");
        assert!(alarms <= FALSE_ALARM, "θ {theta}, φ {dispersion}: {alarms}");
        assert!(theta < NO_WORSE || dispersion > 1.0 || close(mean, 1.0), "at the border it is exactly 1: {mean}");
    }
}

#[test]
fn swapped_sides_have_the_inverse_ratio() {
    let counts = [31, 4, 280, 7];
    let swapped = [counts[2], counts[3], counts[0], counts[1]];
    for (a, b) in [(1.0, 3.0), (2.5, 1.25)] {
        assert!(close(minute(0, counts).ratio(a, b), minute(0, swapped).ratio(1.0 / a, 1.0 / b)));
    }
}

#[test]
fn each_more_error_of_the_canary_speaks_against_it() {
    let judged: Vec<Judgement> = (0..=40).map(|errors| judge(&[minute(0, [600, errors, 5400, 20])], POLICY)).collect();
    assert!(judged.windows(2).all(|pair| pair[0].against < pair[1].against && pair[0].in_favour > pair[1].in_favour));
    assert_eq!((judged[0].verdict, judged[40].verdict), (Verdict::Pass, Verdict::Fail));
}

#[test]
fn the_same_minutes_give_the_same_bits_and_more_of_them_never_take_a_failure_back() {
    let traffic = Traffic { per_minute: 600.0, share: 0.1, errors: 0.01, times: 5.0 };
    let minutes = read(&traffic.minutes(60, 7));
    let bits = |j: &Judgement| (j.against.to_bits(), j.in_favour.to_bits(), j.to_string());
    assert_eq!(bits(&judge(&minutes, POLICY)), bits(&judge(&minutes, POLICY)));
    let first = (1..=60).find(|n| judge(&minutes[..*n], POLICY).verdict == Verdict::Fail).expect("it is five times worse");
    for n in first..=60 {
        assert_eq!(judge(&minutes[..n], POLICY), judge(&minutes[..first], POLICY));
    }
}

#[test]
fn numbers_stay_finite_where_everything_or_nothing_fails() {
    for counts in [[1_000_000, 1_000_000, 9_000_000, 9_000_000], [9_000_000, 9_000_000, 1, 0], [1, 0, 9_000_000, 0], [1, 1, 1, 1]] {
        let judged = judge(&read(&[counts; 500]), POLICY);
        assert!(judged.against.is_finite() && judged.in_favour.is_finite(), "{judged:?}");
    }
}

#[test]
fn where_nothing_fails_enough_requests_pass_and_few_say_how_many_more() {
    let few = judge(&read(&[[30, 0, 270, 0]; 10]), POLICY);
    assert_eq!(few.verdict, Verdict::Inconclusive);
    let more = few.more_requests.expect("more would tell");
    assert!((700..900).contains(&more), "{more}");
    let text =
        "0 of 300 requests of the canary failed (0.00 %), and 0 of 2700 beside it (0.00 %): too few to tell; a good canary needs about";
    assert!(few.to_string().starts_with(text) && few.to_string().ends_with("min at the present rate"), "{few}");
    let enough = judge(&[minute(0, [300 + more, 0, 2700, 0])], POLICY);
    assert_eq!(enough.verdict, Verdict::Pass);
    assert!(enough.to_string().ends_with("an error rate of 0.5 % is ruled out"), "{enough}");
    let by_ratio = judge(&[minute(0, [4000, 160, 36_000, 1440])], POLICY);
    assert!(by_ratio.to_string().ends_with("3 times worse is ruled out"), "{by_ratio}");
    let short = judge(&[minute(0, [300 + more - 20, 0, 2700, 0])], POLICY);
    assert_eq!(short.verdict, Verdict::Inconclusive);
}

#[test]
fn what_was_shown_at_a_smaller_share_does_not_pass_a_larger_one_and_does_fail_it() {
    let earlier = |counts| Minute { present: false, ..minute(0, counts) };
    let judged = judge(&[earlier([5000, 0, 50_000, 0]), minute(1, [10, 0, 90, 0])], POLICY);
    assert_eq!((judged.verdict, judged.minutes, judged.present_minutes), (Verdict::Inconclusive, 2, 1));
    assert_eq!(judge(&[earlier([500, 50, 50_000, 0]), minute(1, [10, 0, 90, 0])], POLICY).verdict, Verdict::Fail);
}

#[test]
fn no_data_is_never_a_pass() {
    let judged = judge(&[], POLICY);
    assert_eq!((judged.verdict, judged.more_requests), (Verdict::Inconclusive, None));
    assert!(judged.to_string().starts_with("no data"), "{judged}");
}

fn series(points: &[(i64, f64)]) -> Series {
    points.iter().copied().collect()
}

#[test]
fn a_missing_error_count_is_zero_only_where_requests_were_counted() {
    let canary = Counts { requests: series(&[(0, 10.0), (120, 12.0), (180, 9.0)]), errors: vec![series(&[(120, 2.0), (60, 5.0)])] };
    let baseline =
        Counts { requests: series(&[(0, 90.0), (60, 91.0), (120, 92.0)]), errors: vec![series(&[(0, 1.0)]), series(&[(0, 2.0)])] };
    let window = Window { phases: vec![0], warm_up: 0, until: 1000 };
    // At 60 the canary had no requests that anybody knows of, at 180 the baseline had none.
    assert_eq!(join(&canary, &baseline, &window), [minute(0, [10, 0, 90, 3]), minute(2, [12, 2, 92, 0])]);
}

#[test]
fn a_request_that_met_several_connection_errors_failed_once() {
    let side = Counts { requests: series(&[(0, 4.0)]), errors: vec![series(&[(0, 12.0)])] };
    let window = Window { phases: vec![0], warm_up: 0, until: 1000 };
    assert_eq!(join(&side, &side, &window)[0].canary, Side { requests: 4, errors: 4 });
}

#[test]
fn minutes_that_may_grow_that_warm_up_or_that_lie_across_two_shares_do_not_count() {
    let all = Counts { requests: (0..20).map(|n| (n * 60, 10.0)).collect(), errors: Vec::new() };
    let window = Window { phases: vec![30, 610], warm_up: 2, until: 1079 };
    let found: Vec<(i64, bool)> = join(&all, &all, &window).iter().map(|m| (m.at / 60, m.present)).collect();
    // The first share begins at 30 s and is warm at 150 s; the second begins in minute 10 and is warm at 730 s; minute 17 ends at 1080 s.
    let expected: Vec<(i64, bool)> = (3..10).map(|n| (n, false)).chain((13..17).map(|n| (n, true))).collect();
    assert_eq!(found, expected);
}

/// One zone of one version: so many requests each minute, and these errors.
fn zone(errors: impl Iterator<Item = u64>) -> Counts {
    let errors: BTreeMap<i64, f64> = errors.enumerate().map(|(n, e)| (n as i64 * 60, e as f64)).collect();
    Counts { requests: errors.keys().map(|at| (*at, 1000.0)).collect(), errors: vec![errors] }
}

#[test]
fn errors_that_come_alike_in_all_zones_have_no_dispersion_and_clumps_have() {
    let even = [zone((0..60).map(|_| 5)), zone((0..60).map(|_| 5)), zone((0..60).map(|_| 5))];
    assert_eq!(dispersion(&even), Dispersion { phi: 1.0, freedom: 120 });
    let clumped = [zone((0..60).map(|n| if n % 6 == 0 { 12 } else { 0 })), zone((0..60).map(|n| if n % 6 == 3 { 12 } else { 0 }))];
    let found = dispersion(&clumped);
    assert_eq!((found.phi, found.freedom), (12.0, 20));
}

#[test]
fn independent_errors_are_found_to_be_so_and_few_of_them_to_be_unknown() {
    let traffic = Traffic { per_minute: 2000.0, share: 0.5, errors: 0.005, times: 1.0 };
    let counted = traffic.minutes(180, 11);
    let side = |at: usize| {
        let requests = counted.iter().enumerate().map(|(n, c)| (n as i64 * 60, c[at] as f64)).collect();
        Counts { requests, errors: vec![counted.iter().enumerate().map(|(n, c)| (n as i64 * 60, c[at + 1] as f64)).collect()] }
    };
    let found = dispersion(&[side(0), side(2)]);
    assert!(found.freedom > 170 && found.phi < 1.3, "{found:?}");
    assert_eq!(dispersion(&[zone(0..5), zone(0..5)]).phi, 3.0, "too little to go by");
    assert_eq!(dispersion(&[]), Dispersion { phi: 3.0, freedom: 0 });
}

/// Errors and slow requests of the same runs, as they are judged together.
fn both(errors: Traffic, slow: Traffic, minutes: usize, runs: u64) -> Vec<Judged> {
    let policy = Policy { metrics: 2, ..POLICY };
    let of = |traffic: Traffic, seed: u64| judge(&read(&traffic.minutes(minutes, seed)), policy);
    let judged = |seed: u64| Judged {
        errors: of(errors, seed),
        slow: Some(Slow { over_seconds: 0.5, judgement: of(slow, seed.wrapping_mul(7919).wrapping_add(1)) }),
    };
    (0..runs).map(judged).collect()
}

fn share_of_both(judged: &[Judged], verdict: Verdict) -> f64 {
    judged.iter().filter(|j| j.verdict() == verdict).count() as f64 / judged.len() as f64
}

const GOOD: Traffic = Traffic { per_minute: 600.0, share: 0.1, errors: 0.005, times: 1.0 };

#[test]
fn with_time_judged_too_a_good_canary_is_as_rarely_called_bad() {
    for slow in [0.005, 0.01, 0.05] {
        let judged = both(GOOD, Traffic { errors: slow, ..GOOD }, 120, 2000);
        let failed = share_of_both(&judged, Verdict::Fail);
        assert!(failed <= FALSE_ALARM, "{failed} of all where {slow} are slow");
        assert!(share_of_both(&judged, Verdict::Pass) >= 0.9, "{} of all", share_of_both(&judged, Verdict::Pass));
    }
}

#[test]
fn a_canary_with_four_times_as_many_slow_requests_is_caught_within_half_an_hour() {
    for slow in [0.005, 0.01, 0.05] {
        let judged = both(GOOD, Traffic { errors: slow, times: 4.0, ..GOOD }, 30, 500);
        let failed = share_of_both(&judged, Verdict::Fail);
        assert!(failed >= 0.9, "{failed} of all where {slow} are slow");
    }
}

#[test]
fn one_that_fails_is_enough_and_only_both_pass() {
    let of = |errors: u64| judge(&[minute(0, [600, errors, 5400, 20])], Policy { metrics: 2, ..POLICY });
    let few = judge(&[minute(0, [30, 0, 270, 0])], Policy { metrics: 2, ..POLICY });
    let (good, bad) = (of(0), of(40));
    let judged = |errors: &Judgement, slow: &Judgement| Judged {
        errors: errors.clone(),
        slow: Some(Slow { over_seconds: 0.5, judgement: slow.clone() }),
    };
    assert_eq!(judged(&good, &good).verdict(), Verdict::Pass);
    assert_eq!(judged(&good, &few).verdict(), Verdict::Inconclusive);
    assert_eq!(judged(&few, &bad).verdict(), Verdict::Fail);
    assert_eq!(judged(&bad, &good).verdict(), Verdict::Fail);
    let slow = "40 of 600 requests of the canary took longer than 0.5 s (6.67 %), and 20 of 5400 beside it (0.37 %): it is worse (e-value over a million, and 200 is enough)";
    assert_eq!(judged(&good, &bad).to_string(), slow);
    assert_eq!(judged(&good, &good).to_string().matches("is ruled out").count(), 2);
    assert_eq!((judged(&good, &few).more_requests(), judged(&good, &good).more_requests()), (few.more_requests, None));
}

#[test]
fn what_an_earlier_journal_has_of_a_judge_is_read() {
    let alone = judge(&[minute(0, [600, 3, 5400, 20])], POLICY);
    let mut kept = serde_json::to_value(&alone).unwrap();
    kept["policy"].as_object_mut().unwrap().remove("metrics");
    let read: Judged = serde_json::from_value(kept).unwrap();
    assert_eq!(read, Judged { errors: alone, slow: None });
    assert_eq!(serde_json::from_value::<Judged>(serde_json::to_value(&read).unwrap()).unwrap(), read);
}
