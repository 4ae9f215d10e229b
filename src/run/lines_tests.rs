//! Lines as a journal tells them, and which events a line allows.

use super::super::event::{Began, Ended, Outcome};
use super::super::order::legal;
use super::*;
use crate::account::Action;
use jiff::Timestamp;
use std::collections::BTreeMap;

fn numbered(whats: Vec<What>) -> Vec<Event> {
    (0..).zip(whats).map(|(seq, what)| Event { seq, at: Timestamp::UNIX_EPOCH, what }).collect()
}

fn began() -> What {
    What::Began(Box::new(Began { prompt: true, ..Began::example() }))
}

fn line(line: u64, text: &str) -> What {
    What::Line { line, text: text.to_owned(), modules: Vec::new() }
}

fn ended(line: u64, step: u64, error: Option<&str>) -> What {
    What::LineEnded { line, step, error: error.map(str::to_owned) }
}

fn action() -> Action {
    Action::Capacity { asg: "beta-green".to_owned(), min: None, max: None, desired: Some(1) }
}

fn started(step: u64) -> What {
    let (verb, before) = ("scale".to_owned(), BTreeMap::new());
    What::Started { step, verb, place: None, action: action(), before, undo: None, lease: false }
}

fn finished(step: u64) -> What {
    What::Finished { step, after: BTreeMap::new(), calls: Vec::new(), seen: None }
}

fn undo(step: u64) -> [What; 2] {
    [What::UndoStarted { step, action: action(), expect: BTreeMap::new() }, What::UndoFinished { step, calls: Vec::new() }]
}

fn asked(step: u64) -> What {
    What::Asked { step, id: "go".to_owned(), text: "?".to_owned(), choices: Vec::new() }
}

fn resumed() -> What {
    let text = str::to_owned;
    What::Resumed {
        command: text("resume"),
        host: text("h"),
        identity: text("i"),
        on_failure: None,
        sources: None,
        user: text("u"),
        actor: None,
        process: text("p"),
    }
}

fn paused() -> What {
    let (changes, calls, disagreements) = (Vec::new(), BTreeMap::new(), Vec::new());
    What::Ended(Box::new(Ended { outcome: Outcome::Paused, why: None, seconds: 0.0, changes, calls, disagreements }))
}

/// Why the last of these cannot follow the others.
fn refused(whats: Vec<What>) -> Option<String> {
    let mut events = numbered(whats);
    let last = events.pop().expect("there is one");
    for (index, event) in events.iter().enumerate() {
        legal(&events[..index], event).unwrap_or_else(|why| panic!("{:?}: {why}", event.what));
    }
    legal(&events, &last).err()
}

#[test]
fn a_line_is_told_with_what_it_changed_and_how_far_it_was_answered() {
    let events = numbered(vec![
        began(),
        line(1, "scale(a)"),
        started(1),
        finished(1),
        ended(1, 1, None),
        line(2, "confirm(x)"),
        started(2),
        finished(2),
        asked(3),
        ended(2, 3, Some("stopped")),
        line(3, "scale(c)"),
        started(4),
    ]);
    let lines = typed(&events);
    let told =
        |typed: &Typed| (typed.line, typed.told, typed.acts.iter().copied().collect::<Vec<_>>(), typed.ended.clone().map(|end| end.step));
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), [(1, 1, vec![1], Some(1)), (2, 2, vec![2], Some(3)), (3, 4, vec![4], None)]);
}

#[test]
fn who_never_allowed_writes_only_looked() {
    assert!(only_looked(&numbered(vec![began(), line(1, "colors()"), line(2, ":writes off")])));
    assert!(!only_looked(&numbered(vec![began(), line(1, ":writes on prod")])));
    assert!(!only_looked(&numbered(vec![What::Began(Box::new(Began::example()))])), "a playbook's run");
}

#[test]
fn an_ended_line_is_answered_whole_even_where_its_last_step_failed() {
    let failed = What::Refused { step: 1, verb: "scale".to_owned(), place: None, text: "no".to_owned(), hint: None };
    let events = numbered(vec![began(), line(1, "scale(a)"), failed, ended(1, 1, Some("no")), resumed()]);
    assert_eq!(replay::Replay::of(&events).cutoff, 1);
}

#[test]
fn one_action_is_taken_back_by_a_line_of_its_own_and_later_ones_may_follow() {
    let [begun, undone] = undo(2);
    let [again, back] = undo(3);
    let story = vec![
        began(),
        line(1, "two"),
        started(1),
        finished(1),
        started(2),
        finished(2),
        ended(1, 2, None),
        line(2, UNDO),
        begun,
        undone,
        ended(2, 2, None),
        line(3, "more"),
        started(3),
        finished(3),
        ended(3, 3, None),
        line(4, UNDO),
        again,
        back,
        resumed(),
        ended(4, 3, None),
        paused(),
    ];
    assert_eq!(refused(story), None);
}

#[test]
fn what_a_line_does_not_allow_is_refused() {
    let [begun, _] = undo(1);
    let done = || vec![began(), line(1, "a"), started(1), finished(1)];
    let with = |more: Vec<What>| refused([done(), more].concat());
    assert_eq!(with(vec![begun]).as_deref(), Some("the run is not being taken back"));
    assert_eq!(with(vec![line(2, "b")]).as_deref(), Some("line 1 has not ended"));
    assert_eq!(with(vec![ended(2, 1, None)]).as_deref(), Some("line 2 does not run"));
    assert_eq!(with(vec![ended(1, 1, None), line(3, "b")]).as_deref(), Some("line 2 is next"));
    assert_eq!(with(vec![started(2), ended(1, 2, None)]).as_deref(), Some("step 2 is still under way"));
}
