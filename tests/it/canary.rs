//! What a canary does not begin with, who is asked about it and for how long, and what the way back does to users.

use crate::support::{Crash, Go, Lab, Outcome, lab};
use bgx::run::event::{Answerer, Outcome as Ending, What};
use bgx::sandbox::fault::Rule;
use bgx::sandbox::world::{Action, World};

fn canary() -> Lab {
    lab("beta", "playbooks/canary.rhai").param("version", "41001").param("steps", "10,50").param("bake", "8m")
}

/// Users enough to tell within minutes.
fn busy(world: &mut World) {
    world.flows.iter_mut().filter(|flow| flow.env == "beta").for_each(|flow| flow.per_second = 400.0);
    world.refresh();
}

fn calls(outcome: &Outcome, operation: &str) -> usize {
    let total = |events: &[bgx::run::event::Event]| {
        events.iter().filter(|e| matches!(&e.what, What::UndoStarted { action, .. } if action.to_string().contains(operation))).count()
    };
    total(&outcome.events)
}

#[test]
fn stickiness_is_refused_because_weights_would_not_say_who_is_served() {
    let sticky = |world: &mut World| {
        for rule in world.rules.values_mut() {
            let all = rule.actions.api.iter_mut().chain(rule.actions.nodes.iter_mut().flatten());
            for action in all {
                if let Action::Forward { stickiness_seconds, .. } = action {
                    *stickiness_seconds = Some(600);
                }
            }
        }
    };
    let outcome = canary().prepare(sticky).run();
    assert_eq!(outcome.ended.outcome, Ending::Refused, "{:?}", outcome.ended);
    assert!(outcome.ended.why.as_ref().is_some_and(|why| why.contains("stickiness is on")), "{:?}", outcome.ended);
    assert!(!outcome.events.iter().any(|event| matches!(event.what, What::Started { .. })));
}

#[test]
fn where_both_colours_boot_from_one_key_the_instances_must_say_what_they_run() {
    let outcome = canary().fault(Rule::denied("ssm", "DescribeInstanceInformation").always()).run();
    assert_eq!(outcome.ended.outcome, Ending::Refused, "{:?}", outcome.ended);
    assert!(outcome.ended.why.as_ref().is_some_and(|why| why.contains("give each colour a key of its own")), "{:?}", outcome.ended);
}

fn answers(outcome: &Outcome) -> Vec<(&str, Answerer)> {
    let answer = |what| if let &What::Answered { ref key, by, .. } = what { Some((key.as_str(), by)) } else { None };
    outcome.events.iter().filter_map(|event| answer(&event.what)).collect()
}

#[test]
fn a_terminal_is_asked_about_an_undecided_canary_and_one_that_says_nothing_in_time_gets_the_declared_action() {
    let silent = canary().typed(&[]).run();
    assert_eq!(answers(&silent), [("undo", Answerer::Unattended)]);
    assert_eq!(silent.ended.outcome, Ending::Undone, "{:?}", silent.ended);
    let there = canary().typed(&["go", "undo"]).run();
    assert_eq!(answers(&there), [("go", Answerer::Terminal), ("undo", Answerer::Terminal)]);
    assert_eq!(there.ended.outcome, Ending::Undone, "{:?}", there.ended);
}

#[test]
fn a_bad_build_costs_users_no_more_than_its_share_until_it_is_found_and_one_call_ends_it() {
    let bad = |world: &mut World| {
        world.build_errors.insert("dist/gh/main/41001.tar.xz".to_owned(), 0.5);
        busy(world);
    };
    let outcome = canary().prepare(bad).run();
    assert_eq!(outcome.ended.outcome, Ending::Undone, "{:?}", outcome.ended);
    assert_eq!(calls(&outcome, "beta routes"), 2, "to weight 0, then out of the rule");
    // Found in the first whole minute after the two of warm-up: five to six minutes of half of a tenth of 400 a second.
    assert!(outcome.users.errors < 400.0 * 0.1 * 0.5 * 400.0, "{:?}", outcome.users);
}

#[test]
fn a_process_that_dies_at_a_share_leaves_it_and_another_one_goes_on_or_back() {
    let whole = || canary().prepare(busy);
    let outcome = whole().snapshots().run();
    assert_eq!(outcome.ended.outcome, Ending::Done, "{:?}", outcome.ended);
    let is_judged = |what: &What| matches!(what, What::Read { verb, .. } if verb == "judge");
    let at = outcome.events.iter().position(|event| is_judged(&event.what)).expect("it was judged");
    for (after, go, ending) in [(false, Go::Run, Ending::Done), (true, Go::Run, Ending::Done), (true, Go::Undo, Ending::Undone)] {
        let crash: Crash = outcome.crash(at, after);
        let recovered = whole().recover(&crash, go);
        assert_eq!(recovered.ended.outcome, ending, "{:?}", recovered.ended);
    }
}
