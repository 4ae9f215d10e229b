//! A process that dies at any event: another one goes on with the run, or takes it back, and the account is as it should be.

use crate::support::{Crash, Go, Lab, Outcome, lab, owned};
use bgx::run::event;
use bgx::sandbox::fault::Rule;
use bgx::sandbox::world::World;
use std::collections::BTreeMap;

fn deploy() -> Lab {
    lab("beta", "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m")
}

fn differences(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<String> {
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    keys.into_iter().filter(|key| a.get(*key) != b.get(*key)).map(|key| format!("{key}: {:?} -> {:?}", a.get(key), b.get(key))).collect()
}

/// Every point at which a process can die, with what it leaves: before and after each record.
fn crashes(whole: &Outcome) -> Vec<(String, Crash)> {
    let count = whole.worlds.len();
    let points = (1..count).flat_map(|seq| [(seq, true), (seq, false)]);
    points.map(|(seq, after)| (format!("{} event {seq}", if after { "after" } else { "before" }), whole.crash(seq, after))).collect()
}

fn check(expected: event::Outcome, recovered: &Outcome, world: &World, at: &str) {
    assert_eq!(recovered.ended.outcome, expected, "{at}: {:?}\n{}", recovered.ended, recovered.error.clone().unwrap_or_default());
    assert_eq!(differences(&owned(world, "beta"), &owned(&recovered.after, "beta")), Vec::<String>::new(), "{at}");
    assert_eq!(recovered.users.errors, 0.0, "{at}");
}

#[test]
fn a_run_that_died_anywhere_is_resumed_to_the_same_end() {
    let whole = deploy().snapshots().run();
    assert_eq!(whole.ended.outcome, event::Outcome::Done, "{:?}", whole.ended);
    for (at, crash) in crashes(&whole).iter().filter(|(_, crash)| !crash.journal.is_empty()) {
        if is_over(crash) {
            continue;
        }
        let recovered = deploy().recover(crash, Go::Run);
        check(event::Outcome::Done, &recovered, &whole.after, at);
    }
}

#[test]
fn a_run_that_died_anywhere_before_its_commit_is_taken_back() {
    let whole = deploy().snapshots().run();
    for (at, crash) in crashes(&whole).iter().filter(|(_, crash)| !crash.journal.is_empty()) {
        let (_, events) = bgx::run::journal::Journal::reopen_bytes(&crash.journal);
        if bgx::run::replay::committed(&events) {
            continue;
        }
        let recovered = deploy().recover(crash, Go::Undo);
        check(event::Outcome::Undone, &recovered, &whole.before, at);
    }
}

#[test]
fn a_run_that_died_while_it_was_taken_back_is_taken_back() {
    let whole = deploy().run();
    let broken = whole
        .events
        .iter()
        .filter(|e| e.what.is_kept())
        .find(|e| matches!(e.what, event::What::Waited { ref what, .. } if what.starts_with("watching")));
    let seq = broken.expect("the switch is watched").seq - 1;
    let undone = deploy().signal(seq, "SIGTERM").snapshots().run();
    assert_eq!(undone.ended.outcome, event::Outcome::Undone, "{:?}", undone.ended);
    let kept: Vec<_> = undone.events.iter().filter(|e| e.what.is_kept()).collect();
    let broke = kept.iter().position(|e| matches!(e.what, event::What::Broke { .. })).expect("it broke");
    for seq in broke..kept.len() - 1 {
        for after in [true, false] {
            let crash = undone.crash(seq, after);
            let recovered = deploy().recover(&crash, Go::Undo);
            check(event::Outcome::Undone, &recovered, &undone.before, &format!("undo died at event {seq}, recorded: {after}"));
        }
    }
}

#[test]
fn a_run_that_a_signal_stopped_after_its_commit_is_resumed_with_its_leases_given_back() {
    let whole = deploy().run();
    let committed = whole.events.iter().find(|e| matches!(e.what, event::What::Committed { .. })).expect("it commits").seq;
    let stopped = deploy().signal(committed, "SIGTERM").snapshots().run();
    assert_eq!(stopped.ended.outcome, event::Outcome::Paused, "{:?}", stopped.ended);
    let left = Crash { journal: stopped.journal.clone(), world: stopped.after.clone() };
    check(event::Outcome::Done, &deploy().recover(&left, Go::Run), &whole.after, "resumed");
}

fn is_over(crash: &Crash) -> bool {
    let (_, events) = bgx::run::journal::Journal::reopen_bytes(&crash.journal);
    matches!(bgx::run::replay::standing(&events), bgx::run::replay::Standing::Ended(_))
}

/// The calls of a deploy that change something, with how often each is sent before the commit.
const WRITES: [(&str, &str, u32); 5] = [
    ("autoscaling", "UpdateAutoScalingGroup", 2),
    ("autoscaling", "SuspendProcesses", 3),
    ("elasticloadbalancing", "ModifyRule", 2),
    ("ssm", "PutParameter", 3),
    ("s3", "PutObject", 3),
];

#[test]
fn a_write_that_fails_once_or_whose_reply_is_lost_harms_nobody() {
    let whole = deploy().run();
    for (service, operation, times) in WRITES {
        for number in 0..times {
            let spoiled = [
                ("lost reply", Rule::lost_reply(service, operation)),
                ("lost request", Rule::lost_request(service, operation)),
                ("throttled", Rule::throttle(service, operation)),
                ("server error", Rule::server_error(service, operation)),
                ("denied", Rule::denied(service, operation)),
            ];
            for (name, rule) in spoiled {
                let outcome = deploy().fault(rule.after(number)).run();
                let at = format!("{name} at {operation} {number}");
                // A denied heartbeat of the lock, which is a PutObject too, is made up for by the next one.
                let denied = name == "denied" && (operation != "PutObject" || outcome.ended.outcome != event::Outcome::Done);
                let end = if denied { (event::Outcome::Undone, &whole.before) } else { (event::Outcome::Done, &whole.after) };
                check(end.0, &outcome, end.1, &at);
            }
        }
    }
}
