//! The shipped deploy in every environment of bgx.toml, judged at every instant by the audit.

use crate::stage::{Act, Trouble};
use crate::support::{Outcome, config, lab, root};
use bgx::config::Environment;
use bgx::prove::charter::{declared, strict};
use bgx::run::event::Outcome as Ending;
use bgx::sandbox::audit::{Findings, Invariant, Phase, judge, worse};
use bgx::sandbox::world::{Entry, Happening, Time};
use bgx::script::session::Playbook;

/// What a run set in motion has settled by then.
const SETTLED_MS: u64 = 900_000;
const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;

/// What the world with the run shows and the same world without it does not.
pub fn findings(outcome: &Outcome, env: &Environment) -> Findings {
    let (mut with_run, mut without_run) = (outcome.after.clone(), outcome.before.clone());
    with_run.advance(with_run.now.after_ms(SETTLED_MS));
    without_run.advance(with_run.now);
    let charter = strict(env);
    let ended = |finals, undone| Phase::AtRest { finals, undone, lock_owner: None };
    let undone = outcome.ended.outcome == Ending::Undone;
    let with_run = judge(&outcome.before, &with_run, &charter, &ended(declared(&outcome.events, std::iter::empty()), undone));
    worse(&with_run, &judge(&outcome.before, &without_run, &charter, &ended(Vec::new(), undone)))
}

/// Where both colours boot from one key, AWS may start an instance of the wrong one at the wrong moment; nothing else is excused.
pub fn unexcused(findings: &Findings, env: &Environment) -> Vec<String> {
    let excused = |invariant| env.shares_version_key() && invariant == Invariant::SharedKey;
    let breaches = findings.breaches.iter().filter(|b| !excused(b.invariant)).map(ToString::to_string);
    breaches.chain(findings.unknown.iter().cloned()).collect()
}

/// Between the first and the last call that moves traffic; besides boot and health, until the switch; and until users are back.
const APART_MS: u64 = 2_000;
const OVERHEAD_MS: u64 = 15_000;
const BACK_MS: u64 = 60_000;

fn too_slow(name: &'static str, outcome: &Outcome, env: &Environment) -> Vec<String> {
    if outcome.ended.outcome != Ending::Done {
        return Vec::new();
    }
    let (begin, log) = (outcome.before.now, &outcome.after.log[outcome.before.log.len()..]);
    let calls = |word: &'static str| {
        log.iter().filter(move |entry| matches!(&entry.what, Happening::Call { operation, .. } if operation.starts_with(word)))
    };
    let moves: Vec<Time> = calls("Modify").map(|entry| entry.at).collect();
    let switch = &moves[moves.len() - env.routes.len()..];
    let apart = switch[switch.len() - 1].since(switch[0]);
    let idle = env.colors.iter().find(|color| !outcome.before.instances.values().any(|i| i.group == color.asg)).expect("one is empty");
    let arn = outcome.before.target_groups.values().find(|group| group.name == idle.target_group).expect("it has one").arn.clone();
    let healthy = |entry: &&Entry| {
        matches!(&entry.what, Happening::TargetState { target_group, state, .. } if *target_group == arn && state == "healthy")
            && entry.at <= switch[0]
    };
    let ready = log.iter().filter(healthy).map(|entry| entry.at).max().expect("it got healthy");
    let launched = log.iter().find(|entry| matches!(&entry.what, Happening::Launched { group, .. } if *group == idle.asg));
    let overhead = launched.expect("it booted").at.since(begin) + switch[0].since(ready);
    let back = way_back(outcome, env);
    println!("{name:<15} moved within {apart} ms, {overhead} ms besides boot and health, back after {back} ms");
    // Where policies have grown what serves since, the rest of it boots first.
    let desired = |asg: &str| outcome.after.groups[asg].desired;
    let is_warm = env.colors.iter().all(|color| desired(&color.asg) >= desired(&idle.asg));
    let back = if is_warm { back } else { 0 };
    let limits = [("moved within", apart, APART_MS), ("besides boot and health", overhead, OVERHEAD_MS), ("back after", back, BACK_MS)];
    limits.into_iter().filter(|(_, took, most)| took > most).map(|(what, took, _)| format!("{what} {took} ms")).collect()
}

/// From the first call of a rollback until the last node of the load balancer follows.
fn way_back(outcome: &Outcome, env: &Environment) -> u64 {
    let config = config();
    let playbook = Playbook::load(&root().join("playbooks/rollback.rhai"), &config, env.hooks.as_deref())
        .unwrap_or_else(|p| panic!("{}", p.render(false)));
    let params = [("why".to_owned(), "a test".to_owned())].into();
    let act = Act { config, env: env.clone(), playbook, params, answers: [("rollback".to_owned(), "yes".to_owned())].into(), seed: 7 };
    let left = act.play(&outcome.after, Trouble::default());
    assert_eq!(left.ended.outcome, Ending::Done, "{}: {:?}", env.name, left.ended);
    let followed = left.world.log[outcome.after.log.len()..].iter().filter(|entry| matches!(entry.what, Happening::Propagated { .. }));
    followed.map(|entry| entry.at.since(outcome.after.now)).max().expect("traffic moved")
}

#[test]
fn a_deploy_in_any_environment_breaches_nothing() {
    let mut wrong = Vec::new();
    for env in config().envs.values() {
        let name: &'static str = Box::leak(env.name.clone().into_boxed_str());
        for seed in SEEDS {
            let outcome = lab(name, "playbooks/deploy.rhai").param("version", "latest").seed(seed).run();
            let found = findings(&outcome, env);
            let minutes = found.tally.switched.map(|(first, _)| first.since(outcome.before.now) as f64 / 60_000.0);
            println!(
                "{name:<15} seed {seed}: {:?}, switched after {:.1} min, {:.1} s of two versions, {:.0} instance-seconds of another build",
                outcome.ended.outcome,
                minutes.unwrap_or(f64::NAN),
                found.tally.mixed_seconds,
                found.tally.foreign_instance_seconds
            );
            found.breaches.iter().for_each(|breach| println!("{breach}"));
            assert!(found.tally.switched.is_some() || outcome.ended.outcome != Ending::Done, "{name} {seed}: done without a switch");
            wrong.extend(too_slow(name, &outcome, env).into_iter().map(|line| format!("{name} seed {seed}: {line}")));
            let all = found.breaches.iter().map(ToString::to_string).chain(found.unknown.iter().cloned());
            wrong.extend(all.map(|line| format!("{name} seed {seed}: {line}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_journal_in_the_bucket_is_the_environments_own() {
    let config = config();
    let env = config.env("beta").expect("beta is in bgx.toml");
    for signal in [None, Some(20)] {
        let deploy = lab("beta", "playbooks/deploy.rhai").param("version", "latest").in_s3();
        let outcome = match signal {
            Some(after) => deploy.signal(after, "SIGTERM").run(),
            None => deploy.run(),
        };
        assert_eq!(unexcused(&findings(&outcome, env), env), Vec::<String>::new(), "{signal:?}");
        assert!(outcome.after.buckets["compiler-explorer"].keys().any(|key| key.starts_with("bgx/runs/beta/")));
    }
}

#[test]
fn a_deploy_that_is_interrupted_leaves_nothing_behind() {
    let config = config();
    let env = config.env("beta").expect("beta is in bgx.toml");
    for after in [5, 12, 20, 30] {
        let outcome = lab("beta", "playbooks/deploy.rhai").param("version", "latest").signal(after, "SIGTERM").run();
        assert_eq!(outcome.ended.outcome, Ending::Undone, "after event {after}");
        assert_eq!(unexcused(&findings(&outcome, env), env), Vec::<String>::new(), "after event {after}");
    }
}
