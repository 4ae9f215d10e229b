//! One line for each rule: a story that is legal, and the event that cannot follow it.

use super::super::event::{Answerer, Began, Ended};
use super::*;
use crate::account::{AccountError, Action, Kind};
use jiff::Timestamp;

fn numbered(whats: Vec<What>) -> Vec<Event> {
    (0..).zip(whats).map(|(seq, what)| Event { seq, at: Timestamp::UNIX_EPOCH, what }).collect()
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn began() -> What {
    What::Began(Box::new(Began::example()))
}

fn action() -> Action {
    Action::Capacity { asg: text("beta-green"), min: None, max: None, desired: Some(1) }
}

fn started(step: u64) -> What {
    let (action, before) = (action(), std::collections::BTreeMap::new());
    What::Started { step, verb: text("scale"), place: None, action, before, undo: None, lease: false }
}

fn leased(step: u64) -> What {
    let (action, before) = (action(), std::collections::BTreeMap::new());
    What::Started { step, verb: text("protect_asg"), place: None, action, before, undo: None, lease: true }
}

fn finished(step: u64) -> What {
    What::Finished { step, after: std::collections::BTreeMap::new(), calls: Vec::new(), seen: None }
}

fn failed(step: u64, effect: Effect) -> What {
    let error = AccountError {
        kind: Kind::Denied,
        service: text("autoscaling"),
        operation: text("UpdateAutoScalingGroup"),
        resource: text("beta-green"),
        code: text("AccessDenied"),
        message: text("no"),
        request_id: None,
        attempts: 1,
    };
    What::Failed { step, error, effect, calls: Vec::new() }
}

fn said(step: u64) -> What {
    What::Said { step, text: text("so far"), notify: false }
}

fn asked(step: u64, id: &str) -> What {
    What::Asked { step, id: text(id), text: text("?"), choices: Vec::new() }
}

fn answered(step: u64, id: &str) -> What {
    What::Answered { step, id: text(id), key: text("yes"), by: Answerer::Flag }
}

fn broke() -> What {
    What::Broke { text: text("no"), place: None, stays: false, rolled_back: false }
}

/// The playbook has put back itself what it had committed.
fn rolled_back() -> What {
    What::Broke { text: text("no"), place: None, stays: false, rolled_back: true }
}

fn resumed(command: &str) -> What {
    let (host, identity, user) = (text("ci-8"), text("deployer"), text("bob"));
    let process = text("n2");
    What::Resumed { command: text(command), host, identity, user, actor: None, process, on_failure: None, sources: None }
}

fn undo(step: u64) -> What {
    What::UndoStarted { step, action: action(), expect: std::collections::BTreeMap::new() }
}

fn undone(step: u64) -> What {
    What::UndoFinished { step, calls: Vec::new() }
}

fn returned(step: u64) -> What {
    What::LeaseReturned { step, action: action(), held_seconds: 1.0, calls: Vec::new() }
}

fn ended(outcome: Outcome) -> What {
    let (changes, calls, disagreements) = (Vec::new(), BTreeMap::new(), Vec::new());
    What::Ended(Box::new(Ended { outcome, why: None, seconds: 1.0, changes, calls, disagreements }))
}

fn settled(outcome: Outcome) -> What {
    What::Settled { outcome, why: None }
}

fn block(name: &str, ok: Option<bool>) -> What {
    let name = text(name);
    ok.map_or(What::BlockStarted { name: name.clone() }, |ok| What::BlockEnded { name, ok })
}

fn entered(env: &str) -> What {
    What::Entered { env: text(env) }
}

/// Every way in which a run may go.
fn stories() -> Vec<(&'static str, Vec<What>)> {
    [forwards(), backwards()].concat()
}

fn forwards() -> Vec<(&'static str, Vec<What>)> {
    let committed = |step| What::Committed { step };
    vec![
        ("done", vec![began(), said(1), started(2), finished(2), committed(3), ended(Outcome::Done)]),
        (
            "from one environment to the other, and back on the way back",
            vec![
                began(),
                started(1),
                finished(1),
                entered("staging"),
                started(2),
                finished(2),
                broke(),
                undo(2),
                undone(2),
                entered("beta"),
                undo(1),
                undone(1),
                ended(Outcome::Undone),
            ],
        ),
        ("nothing to do", vec![began(), committed(1), ended(Outcome::Done)]),
        ("failed and taken back", vec![began(), started(1), finished(1), broke(), undo(1), undone(1), ended(Outcome::Undone)]),
        ("last first", vec![began(), started(1), finished(1), started(2), finished(2), broke(), undo(2), undone(2), undo(1), undone(1)]),
        ("tried again", vec![began(), started(1), failed(1, Effect::None), broke(), ended(Outcome::Paused), resumed("resume"), started(1)]),
        ("caught", vec![began(), started(1), failed(1, Effect::Some), said(2), started(3), finished(3)]),
        ("killed and resumed", vec![began(), started(1), resumed("resume"), finished(1), said(2)]),
        ("killed and not sent", vec![began(), started(1), resumed("undo"), What::UndoSkipped { step: 1 }, ended(Outcome::Undone)]),
        (
            "refused after a kill",
            vec![
                began(),
                started(1),
                resumed("resume"),
                What::Refused { step: 1, verb: text("scale"), place: None, text: text("no"), hint: None },
                said(2),
            ],
        ),
        ("a lease goes back at the end", vec![began(), leased(1), finished(1), committed(2), undo(1), returned(1), ended(Outcome::Done)]),
        ("a lease goes back early", vec![began(), leased(1), finished(1), undo(1), returned(1), started(2)]),
    ]
}

/// Taken back, given up, and what another process does.
fn backwards() -> Vec<(&'static str, Vec<What>)> {
    let committed = |step| What::Committed { step };
    vec![
        (
            "abandoned",
            vec![
                began(),
                leased(1),
                resumed("abandon"),
                What::Abandoned { reason: text("by hand") },
                undo(1),
                returned(1),
                ended(Outcome::Abandoned),
            ],
        ),
        (
            "stuck and undone later",
            vec![
                began(),
                started(1),
                finished(1),
                broke(),
                What::UndoFailed { step: 1, action: None, why: text("denied") },
                ended(Outcome::Stuck),
                resumed("undo"),
                undo(1),
                undone(1),
                ended(Outcome::Undone),
            ],
        ),
        ("asked", vec![began(), asked(1, "existing"), answered(1, "existing"), answered(1, "confirm"), started(2)]),
        ("blocks", vec![began(), block("a", None), block("b", None), block("b", Some(true)), block("a", Some(false))]),
        ("refused", vec![began(), ended(Outcome::Refused)]),
        (
            "put back by the playbook itself",
            vec![
                began(),
                leased(1),
                finished(1),
                committed(2),
                started(3),
                finished(3),
                rolled_back(),
                undo(1),
                returned(1),
                ended(Outcome::Undone),
            ],
        ),
        ("settled, then the lock is released", vec![began(), committed(1), settled(Outcome::Done), ended(Outcome::Done)]),
        (
            "another process releases the lock",
            vec![began(), committed(1), settled(Outcome::Done), ended(Outcome::Paused), resumed("undo"), ended(Outcome::Done)],
        ),
        (
            "giving up was killed and is gone on with",
            vec![
                began(),
                resumed("abandon"),
                What::Abandoned { reason: text("by hand") },
                resumed("abandon"),
                What::Abandoned { reason: text("by hand") },
                settled(Outcome::Abandoned),
                ended(Outcome::Abandoned),
            ],
        ),
    ]
}

#[test]
fn every_way_in_which_a_run_goes_is_legal() {
    for (name, story) in stories() {
        let events = numbered(story);
        for (index, event) in events.iter().enumerate() {
            assert_eq!(legal(&events[..index], event), Ok(()), "{name}: {:?}", event.what);
        }
    }
}

#[test]
fn what_cannot_follow_is_refused_with_its_reason() {
    let committed = || What::Committed { step: 9 };
    let done = || vec![began(), committed(), ended(Outcome::Done)];
    let table: Vec<(Vec<What>, What, &str)> = vec![
        (vec![], said(1), "a run begins with `began`"),
        (vec![began()], began(), "a run begins once"),
        (vec![began(), ended(Outcome::Paused)], said(1), "the process before it has ended: only `resumed` can follow"),
        (done(), resumed("resume"), "the run is over: done"),
        (vec![began(), started(1)], started(2), "step 1 is still under way"),
        (vec![began(), started(1)], said(2), "step 1 is still under way"),
        (vec![began(), started(1), finished(1)], started(1), "step 1 was begun already"),
        (vec![began(), started(1), resumed("resume")], started(1), "step 1 was begun already"),
        (vec![began()], finished(1), "step 1 is not under way"),
        (vec![began(), started(1)], finished(2), "step 2 is not under way"),
        (vec![began(), started(1), finished(1)], failed(1, Effect::None), "step 1 is not under way"),
        (vec![began(), said(3)], said(2), "step 2 comes after step 3"),
        (vec![began(), broke()], said(1), "the run is not going forward any more"),
        (vec![began(), broke()], broke(), "the run is not going forward any more"),
        (vec![began(), resumed("undo")], started(1), "the run is not going forward any more"),
        (vec![began(), committed()], committed(), "it has committed already"),
        (vec![began(), committed()], resumed("undo"), "it has committed: it cannot be taken back"),
        (vec![began()], answered(1, "existing"), "nobody asked `existing` in step 1"),
        (vec![began(), started(1), finished(1)], undo(1), "the run is not being taken back"),
        (vec![began(), started(1), finished(1), committed(), broke()], undo(1), "the run is not being taken back"),
        (vec![began(), committed(), broke()], ended(Outcome::Undone), "a run that stands so cannot end as undone"),
        (vec![began()], rolled_back(), "nothing was committed that the playbook could have put back"),
        (vec![began(), broke()], undo(1), "step 1 did nothing that could be taken back"),
        (vec![began(), started(1), failed(1, Effect::None), broke()], undo(1), "step 1 did nothing that could be taken back"),
        (vec![began(), started(1), finished(1), broke(), undo(1), undone(1)], undo(1), "step 1 did nothing that could be taken back"),
        (vec![began(), started(1), finished(1), broke()], undone(1), "the taking back of step 1 is not under way"),
        (vec![began(), leased(1), finished(1)], returned(1), "the taking back of step 1 is not under way"),
        (
            vec![began(), started(1), finished(1), started(2), finished(2), broke(), undo(1), undone(1)],
            undo(2),
            "step 2 is taken back out of order",
        ),
        (vec![began(), started(1), finished(1), started(2), finished(2), broke(), undo(2)], undo(1), "another step is being taken back"),
        (vec![began()], What::Abandoned { reason: text("x") }, "nobody gave the run up"),
        (vec![began(), block("a", None)], block("b", Some(true)), "the block `b` is not the one that is open"),
        (vec![began()], ended(Outcome::Done), "a run that stands so cannot end as done"),
        (vec![began(), started(1)], ended(Outcome::Done), "a run that stands so cannot end as done"),
        (vec![began(), started(1), finished(1)], ended(Outcome::Undone), "a run that stands so cannot end as undone"),
        (vec![began(), committed(), settled(Outcome::Done)], said(10), "the run is settled: only its end can follow"),
        (vec![began(), committed(), settled(Outcome::Done)], ended(Outcome::Undone), "a run that stands so cannot end as undone"),
        (vec![began()], settled(Outcome::Done), "a run that stands so cannot end as done"),
        (vec![began()], ended(Outcome::Abandoned), "a run that stands so cannot end as abandoned"),
    ];
    for (story, next, why) in table {
        let before = numbered(story);
        let next = Event { seq: before.len() as u64, at: Timestamp::UNIX_EPOCH, what: next };
        assert_eq!(legal(&before, &next), Err(why.to_owned()), "{:?} after {:?}", next.what, before.last().map(|event| &event.what));
    }
}

#[test]
fn numbers_have_no_gaps() {
    let before = numbered(vec![began(), said(1)]);
    let gap = Event { seq: 3, at: Timestamp::UNIX_EPOCH, what: said(2) };
    assert_eq!(legal(&before, &gap), Err("its number is 3, and 2 is next".to_owned()));
    let again = Event { seq: 1, ..gap };
    assert_eq!(legal(&before, &again), Err("its number is 1, and 2 is next".to_owned()));
}

#[test]
fn a_refused_event_changes_nothing() {
    let mut order = Order::default();
    numbered(vec![began(), started(1)]).iter().for_each(|event| order.admit(event).unwrap());
    let before = order.clone();
    assert!(order.admit(&Event { seq: 2, at: Timestamp::UNIX_EPOCH, what: started(2) }).is_err());
    assert_eq!(order, before);
}
