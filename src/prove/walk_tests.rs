//! Shared beginnings change nothing: a scenario that is played from its beginning ends as it did when it was branched off another.

use super::super::Rights;
use super::super::cells::{Death, Scenario, Strike, singles};
use super::super::lab::Snap;
use super::super::timing::Timing;
use super::super::world::Start;
use super::super::{Baseline, Subject};
use super::*;
use crate::account::Memo;
use crate::config::Config;
use crate::sandbox::Traced;
use crate::script::session::Playbook;
use std::collections::BTreeMap;
use std::path::Path;

fn subject() -> Subject {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::find(root).unwrap();
    let playbook = Playbook::load(&root.join("playbooks/deploy.rhai"), &config, Some("team/compiler_explorer"))
        .unwrap_or_else(|p| panic!("{}", p.render(false)));
    let params = BTreeMap::from([("version".to_owned(), "latest".to_owned()), ("bake".to_owned(), "1m".to_owned())]);
    let env = config.env("beta").unwrap().clone();
    Subject {
        config,
        env,
        also: Vec::new(),
        playbook,
        path: "deploy".into(),
        params,
        answers: BTreeMap::new(),
        seed: 5,
        start: Start::Fresh,
        rights: Rights::default(),
        given: None,
        memo: Some(Memo::default()),
    }
}

/// Reads each reply anew.
fn forgetful() -> Subject {
    Subject { memo: None, ..subject() }
}

fn same(bench: &Bench<'_>, verdict: &Verdict) {
    let again = Bench { shares: false, subject: &forgetful(), ..*bench }
        .follow(&verdict.scenario)
        .unwrap_or_else(|| panic!("{:?} is not reached", verdict.scenario));
    let of = |v: &Verdict| (v.hash, v.ended.clone(), v.problems.clone(), v.how);
    assert_eq!(of(&again), of(verdict), "{:?}", verdict.scenario);
}

#[test]
fn a_branch_ends_as_the_whole_does() {
    let subject = subject();
    let base = Baseline::play(&subject, &Timing::default()).unwrap();
    let bench = Bench { subject: &subject, base: &base, shares: true };
    let commit = base.whole.outcome.events.iter().position(|e| matches!(e.what, What::Committed { .. })).unwrap();
    let dies = Scenario::calm(Timing::default()).killed(Death { event: commit, kept: false });
    let verdicts = bench.single(&dies, true).unwrap();
    let how = |how: &str| verdicts.iter().filter(|v| v.how == how).count();
    assert_eq!((how("resume"), how("undo")), (1, 1));
    assert!(how("undo again") > 2, "whoever undoes dies too, at several places");
    verdicts.iter().step_by(verdicts.len() / 2).for_each(|verdict| same(&bench, verdict));
    let struck = singles(&base).into_iter().filter(|s| s.legs[0].death.is_none());
    struck.step_by(1801).filter_map(|s| bench.single(&s, false)).flatten().for_each(|verdict| same(&bench, &verdict));
}

#[test]
fn a_run_can_begin_as_another_did() {
    let subject = subject();
    let base = Baseline::play(&subject, &Timing::default()).unwrap();
    let calls = base.whole.outcome.trace.len();
    assert!(base.whole.outcome.beginning.is_some(), "each call has its reply");
    let shares = Bench { subject: &subject, base: &base, shares: true };
    for call in [calls / 4, calls - 3] {
        let strike = Strike { fault: "hang".to_owned(), call };
        let [shared, whole] = [(true, &subject), (false, &forgetful())].map(|(with, subject)| {
            Bench { shares: with, subject, ..shares }.strike(None, &base.whole, strike.clone(), Snap::Durable).unwrap()
        });
        assert!(!shared.outcome.parted);
        assert_eq!(shared.outcome.left.journal, whole.outcome.left.journal, "the same to the byte");
        assert_eq!(shared.outcome.left.world, whole.outcome.left.world);
        assert_eq!((shared.outcome.trace, shared.outcome.marks), (whole.outcome.trace, whole.outcome.marks));
        assert_eq!(shared.outcome.worlds, whole.outcome.worlds);
    }
}

#[test]
fn two_faults_of_one_process_both_happen() {
    let subject = subject();
    let base = Baseline::play(&subject, &Timing::default()).unwrap();
    let bench = Bench { subject: &subject, base: &base, shares: true };
    let write = base.whole.outcome.trace.iter().position(|call| call.operation == "ModifyRule").unwrap();
    let strike = |call: usize| Strike { fault: "throttled once".to_owned(), call };
    let once = bench.strike(None, &base.whole, strike(write), Snap::Durable).unwrap();
    assert_eq!(once.outcome.trace[write + 1].operation, "ModifyRule", "it is sent again");
    let twice = bench.strike(None, &once, strike(write + 1), Snap::Durable).unwrap();
    let sent = |played: &Played| played.outcome.trace.iter().filter(|call| call.operation == "ModifyRule").count();
    assert_eq!((sent(&twice), sent(&once)), (sent(&base.whole) + 2, sent(&base.whole) + 1));
}

#[test]
fn traffic_does_not_move_on_what_was_seen_before_the_machine_stood_still() {
    let subject = subject();
    let base = Baseline::play(&subject, &Timing::default()).unwrap();
    let bench = Bench { subject: &subject, base: &base, shares: true };
    let moves = |trace: &[Traced]| trace.iter().rposition(|call| call.operation == "ModifyRule").unwrap();
    // The last thing that is asked before the switch.
    let asked = moves(&base.whole.outcome.trace) - 1;
    let strike = Strike { fault: "machine stands still 1 minute".to_owned(), call: asked };
    let trace = bench.strike(None, &base.whole, strike, Snap::Durable).unwrap().outcome.trace;
    let again: Vec<&str> = trace[asked + 1..moves(&trace)].iter().map(|call| call.operation.as_str()).collect();
    assert!(again.contains(&"DescribeRules") && again.contains(&"DescribeTargetHealth"), "{again:?}");
}

#[test]
fn a_line_that_was_being_written_is_torn() {
    let subject = subject();
    let base = Baseline::play(&subject, &Timing::default()).unwrap();
    let started = base.whole.outcome.events.iter().position(|e| matches!(e.what, What::Started { .. })).unwrap();
    let left = |kept: bool| base.whole.die(Death { event: started, kept }).unwrap().left.journal;
    let opened = |journal: &[u8]| Journal::reopen_bytes(journal).1.len();
    assert!(!left(false).ends_with(b"\n"));
    assert!(left(true).ends_with(b"\n"));
    assert_eq!(opened(&left(true)), started + 1);
    assert!(opened(&left(false)) <= started);
}
