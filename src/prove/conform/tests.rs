//! No run that the sandbox played itself is impossible there: with faults, deaths and recoveries, and in accounts of any timing.

use super::super::cells::{Scenario, singles};
use super::super::lab::Snap;
use super::super::timing::Timing;
use super::super::verdict::Bench;
use super::super::walk::{Pause, Played};
use super::super::world::Start;
use super::super::{Baseline, Rights, Subject};
use super::*;
use crate::config::Config;
use crate::run::journal;
use crate::script::session::Playbook;
use std::path::Path;

fn subject(playbook: &str, env: &str, params: &[(&str, &str)], seed: u64) -> Subject {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::find(root).unwrap();
    let env = config.env(env).unwrap().clone();
    let path = root.join(format!("playbooks/{playbook}.rhai"));
    let script = Playbook::load(&path, &config, env.hooks.as_deref()).unwrap_or_else(|p| panic!("{}", p.render(false)));
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Subject {
        config,
        env,
        also: Vec::new(),
        playbook: script,
        path: playbook.to_owned(),
        params,
        answers: BTreeMap::new(),
        seed,
        start: Start::Fresh,
        rights: Rights::default(),
        given: None,
        memo: None,
    }
}

/// What was judged so far.
#[derive(Default)]
struct Tally {
    journals: u64,
    judged: u64,
    rules: BTreeMap<&'static str, u64>,
    wrong: Vec<String>,
}

impl Tally {
    fn add(&mut self, what: &str, journal: &[u8], base: &Baseline, subject: &Subject) {
        let opened = journal::open(journal);
        let found = examine(&opened.events, &base.before, &subject.config.envs);
        self.journals += 1;
        self.judged += found.judged;
        found.rules.iter().for_each(|(rule, count)| *self.rules.entry(rule).or_default() += count);
        self.wrong.extend(found.impossible.first().map(|first| format!("{what}: {first:#?}")));
    }

    fn is_clean(&self, least: u64) {
        println!("{} replies of {} journals judged: {:?}", self.judged, self.journals, self.rules);
        assert!(self.wrong.is_empty(), "{} of {}\n{}", self.wrong.len(), self.journals, self.wrong[..self.wrong.len().min(3)].join("\n"));
        assert!(self.judged > least, "{}", self.judged);
    }

    fn played(&mut self, bench: &Bench<'_>, played: &Played) {
        self.add(&format!("{:?}", played.scenario), &played.outcome.left.journal, bench.base, bench.subject);
        if let Some(pause) = played.pause() {
            self.paused(bench, &pause);
        }
    }

    fn paused(&mut self, bench: &Bench<'_>, pause: &Pause) {
        for go in bench.ways(pause) {
            let played = bench.go(Some(pause), go, Vec::new(), Snap::None);
            self.add(&format!("{:?}", played.scenario), &played.outcome.left.journal, bench.base, bench.subject);
        }
    }

    /// One scenario with what goes on from it.
    fn scenario(&mut self, bench: &Bench<'_>, scenario: &Scenario) {
        let leg = &scenario.legs[0];
        let whole = &bench.base.whole;
        if let Some(pause) = leg.death.and_then(|death| whole.die(death)) {
            self.paused(bench, &pause);
        }
        if let Some(played) = leg.strikes.first().and_then(|strike| bench.strike(None, whole, strike.clone(), Snap::None)) {
            self.played(bench, &played);
        }
    }
}

#[test]
fn no_single_fault_makes_a_reply_impossible() {
    let mut tally = Tally::default();
    let subject = subject("deploy", "beta", &[("version", "latest"), ("bake", "1m")], 5);
    let base = Baseline::play(&subject, &Timing::default()).unwrap();
    let bench = Bench { subject: &subject, base: &base, shares: true };
    let mut by_fault: BTreeMap<String, Vec<Scenario>> = BTreeMap::new();
    singles(&base).into_iter().for_each(|scenario| by_fault.entry(scenario.heading()).or_default().push(scenario));
    let count = by_fault.len();
    for (index, scenarios) in by_fault.values().enumerate() {
        // Of each fault one, all along the run.
        tally.scenario(&bench, &scenarios[(scenarios.len() - 1) * (index * 7 % count) / count]);
    }
    tally.is_clean(1_500);
}

#[test]
fn no_timing_makes_a_reply_impossible_in_its_own_account() {
    let mut tally = Tally::default();
    for (playbook, env) in [("deploy", "beta"), ("rolling", "staging")] {
        let subject = subject(playbook, env, &[("version", "latest")], 11);
        for timing in Timing::longest() {
            let base = Baseline::play(&subject, &timing).unwrap();
            tally.add(&format!("{playbook} in {env}, {timing}"), &base.whole.outcome.left.journal, &base, &subject);
        }
    }
    tally.is_clean(500);
}

#[test]
fn the_same_names_in_two_regions_are_two_groups() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::find(&root.join("examples/two-regions")).unwrap();
    let script = Playbook::load(&root.join("playbooks/waves.rhai"), &config, None).unwrap_or_else(|p| panic!("{}", p.render(false)));
    let usual = subject("deploy", "beta", &[("version", "latest"), ("bake", "1m")], 5);
    let (env, also) = (config.env("us").unwrap().clone(), vec![config.env("eu").unwrap().clone()]);
    let waves = Subject { config, env, also, playbook: script, path: "waves".to_owned(), ..usual };
    let base = Baseline::play(&waves, &Timing::default()).unwrap();
    let journal = &base.whole.outcome.left.journal;
    let mut tally = Tally::default();
    tally.add("waves in two regions", journal, &base, &waves);
    let booted = tally.rules.get("boot").copied().unwrap_or(0);
    assert!(booted >= 5, "two instances in one region and three in the other: {booted}");
    // Who takes them for one sees a group whose instances are all others from one look to the next.
    let mut mixed = waves;
    mixed.config.envs.values_mut().for_each(|env| env.region = "us-east-1".to_owned());
    let as_one = examine(&journal::open(journal).events, &base.before, &mixed.config.envs);
    assert_ne!(as_one.rules, tally.rules);
    tally.is_clean(50);
}

#[test]
fn a_run_in_an_account_of_another_timing_is_impossible() {
    let subject = subject("deploy", "beta", &[("version", "latest"), ("bake", "1m")], 5);
    let usual = Baseline::play(&subject, &Timing::default()).unwrap();
    for (dial, value, rule) in
        [("boot", 300, "boot"), ("boot", 5, "boot"), ("stale groups", 15, "stale group"), ("stale rules", 15, "stale rule")]
    {
        let other = Baseline::play(&subject, &Timing::one(dial, value)).unwrap();
        let events = journal::open(&other.whole.outcome.left.journal).events;
        let found = examine(&events, &usual.before, &subject.config.envs);
        let rules: Vec<&str> = found.impossible.iter().map(|finding| finding.rule.name).collect();
        assert!(!rules.is_empty() && rules.iter().all(|found| *found == rule), "{dial} {value}: {rules:?}");
        assert!(!found.impossible[0].measured.is_empty() && found.impossible[0].act.contains("bgx.toml"));
    }
}
