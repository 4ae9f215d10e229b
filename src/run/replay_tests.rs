//! What a journal answers, by the processes that wrote it.

use super::*;

fn events(whats: Vec<What>) -> Vec<Event> {
    let numbered = (0..).zip(whats);
    numbered.map(|(seq, what)| Event { seq, at: Timestamp::UNIX_EPOCH, what }).collect()
}

fn taken_up(command: &str) -> What {
    What::Resumed {
        command: command.into(),
        host: "ci".into(),
        identity: "deployer".into(),
        user: "ann".into(),
        actor: None,
        process: "n".into(),
        on_failure: None,
        sources: None,
    }
}

#[test]
fn an_undo_whose_process_died_is_still_an_undo() {
    assert_eq!(standing(&events(vec![taken_up("resume")])), Standing::Open);
    assert_eq!(standing(&events(vec![taken_up("undo")])), Standing::Undoing);
}

#[test]
fn what_the_process_before_was_told_after_its_last_action_is_forgotten() {
    let failed = |step| What::ReadFailed { step, verb: "asg".into(), of: "blue".into(), error: RunError::failed("throttled") };
    let told = |step| What::Read { step, verb: "asg".into(), of: "blue".into(), answer: serde_json::json!(2) };
    let broke = || What::Broke { text: "throttled".into(), place: None, stays: false, rolled_back: false };
    let done = |step| What::Committed { step };
    let replay = Replay::of(&events(vec![done(1), failed(2), broke(), taken_up("resume"), told(2), done(3), taken_up("resume")]));
    assert_eq!(replay.cutoff, 3);
    assert_eq!(replay.read::<u32>(2, "asg", "blue"), Some(Ok(2)));
}

#[test]
fn an_action_that_failed_and_was_done_by_the_next_process_is_done() {
    let action = Action::Capacity { asg: "blue".into(), min: Some(2), max: None, desired: None };
    let (before, undo, lease, place) = (Fields::new(), None, false, None);
    let started = || What::Started {
        step: 1,
        verb: "scale".into(),
        place: place.clone(),
        action: action.clone(),
        before: before.clone(),
        undo: undo.clone(),
        lease,
    };
    let refused = What::Refused { step: 1, verb: "scale".into(), place: None, text: "not yet".into(), hint: None };
    let broke = What::Broke { text: "not yet".into(), place: None, stays: false, rolled_back: false };
    let finished = What::Finished { step: 1, after: Fields::new(), calls: Vec::new(), seen: None };
    let all = vec![refused, broke, taken_up("resume"), started(), finished];
    let replay = Replay::of(&events(all.clone()));
    assert_eq!(replay.action(1, &action).map(Result::unwrap), Some(Recorded::Done { changed: true }));
    let half = Replay::of(&events(all[..4].to_vec()));
    assert!(matches!(half.action(1, &action), Some(Ok(Recorded::Pending { .. }))), "sent, and nobody knows how it ended");
}

#[test]
fn a_lease_that_was_so_already_is_a_lease_in_the_journal_too() {
    let action = Action::Capacity { asg: "beta-blue".into(), min: Some(2), max: None, desired: None };
    for lease in [true, false] {
        let what = What::Unchanged { step: 3, verb: "protect_asg".into(), action: action.clone(), lease };
        let [Entry::Action(done)] = &entries(&events(vec![what])).0[..] else { panic!("one action") };
        assert_eq!(done.lease, lease);
    }
}

#[test]
fn an_action_that_failed_is_tried_again_if_its_process_died_before_it_said_what_came_of_that() {
    let action = Action::Capacity { asg: "blue".into(), min: Some(2), max: None, desired: None };
    let (verb, before) = ("scale".into(), Fields::new());
    let started = What::Started { step: 1, verb, place: None, action: action.clone(), before, undo: None, lease: false };
    let failed = What::Failed { step: 1, error: expired(), effect: Effect::Unknown, calls: Vec::new() };
    let died = vec![started, failed];
    let replay = Replay::of(&events([died.clone(), vec![taken_up("resume")]].concat()));
    assert_eq!(replay.cutoff, 0);
    assert!(replay.action(1, &action).is_none());
    // It went on after the failure: the script caught it.
    let caught = Replay::of(&events([died, vec![What::Committed { step: 2 }, taken_up("resume")]].concat()));
    assert_eq!(caught.cutoff, 2);
    assert!(matches!(caught.action(1, &action), Some(Ok(Recorded::Failed(_)))));
}

#[test]
fn a_request_at_which_a_process_had_to_stop_is_sent_again() {
    let sent = |error: Option<RunError>| What::Effect { step: 1, text: "POST /x to routers".into(), detail: String::new(), error };
    let stopped = sent(Some(RunError::from(expired())));
    let asked = |all: Vec<What>| {
        Replay::of(&events([all, vec![What::Committed { step: 2 }, taken_up("resume")]].concat())).effect(1, "POST /x to routers")
    };
    assert_eq!(asked(vec![stopped.clone()]), None);
    assert_eq!(asked(vec![stopped, sent(None)]), Some(Ok(())));
    assert!(matches!(asked(vec![sent(Some(RunError::failed("502")))]), Some(Err(RunError::Failed { .. }))));
}

#[test]
fn what_was_sent_to_give_a_lease_back_is_known_until_it_is_known_to_be_back() {
    let action = Action::Capacity { asg: "blue".into(), min: Some(0), max: None, desired: None };
    let started = What::UndoStarted { step: 1, action: action.clone(), expect: Fields::new() };
    let kept = What::LeaseKept { step: 1, why: "throttled".into() };
    let given = What::LeaseReturned { step: 1, action: action.clone(), held_seconds: 1.0, calls: Vec::new() };
    let sent_back = |events: &[Event]| sent_back(events).into_iter().map(|(_, action)| action).collect::<Vec<_>>();
    assert_eq!(sent_back(&events(vec![started.clone(), kept.clone()])), std::slice::from_ref(&action));
    assert_eq!(sent_back(&events(vec![started.clone(), taken_up("resume")])), [action]);
    assert_eq!(sent_back(&events(vec![started.clone(), kept, taken_up("resume"), started, given])), []);
}

fn expired() -> crate::account::AccountError {
    let text = str::to_owned;
    crate::account::AccountError {
        kind: crate::account::Kind::Expired,
        service: text("autoscaling"),
        operation: text("UpdateAutoScalingGroup"),
        resource: text("blue"),
        code: text("ExpiredToken"),
        message: text("expired"),
        request_id: None,
        attempts: 1,
    }
}

#[test]
fn an_action_that_two_processes_began_is_taken_back_once_to_what_the_first_one_found() {
    let action = Action::Capacity { asg: "blue".into(), min: Some(2), max: None, desired: None };
    let found = |min: &str| Fields::from([("min".to_owned(), Some(min.to_owned()))]);
    let started = |before: Fields| {
        let (verb, action) = ("scale".into(), action.clone());
        What::Started { step: 1, verb, place: None, action, before, undo: None, lease: false }
    };
    let error = expired();
    let failed = What::Failed { step: 1, error, effect: Effect::Unknown, calls: Vec::new() };
    let all = events(vec![started(found("0")), failed, taken_up("resume"), started(found("2"))]);
    let [Entry::Action(done)] = &entries(&all).0[..] else { panic!("one action") };
    assert_eq!(done.before, found("0"));
}

#[test]
fn what_was_done_is_known_by_its_environment_and_a_process_begins_in_the_first() {
    let entered = |env: &str| What::Entered { env: env.into() };
    let done = |step| What::Unchanged {
        step,
        verb: "scale".into(),
        action: Action::Capacity { asg: "g".into(), min: None, max: None, desired: Some(1) },
        lease: false,
    };
    let began = What::Began(Box::new(super::super::event::Began { also: vec!["staging".into()], ..super::super::event::Began::example() }));
    let all = events(vec![began, done(1), entered("staging"), done(2), taken_up("resume"), done(3), entered("staging"), done(4)]);
    let of: Vec<(u64, String)> = entries(&all).0.iter().map(|entry| (entry.step(), entry.env().to_owned())).collect();
    let known = [(1, "beta"), (2, "staging"), (3, "beta"), (4, "staging")];
    assert_eq!(of, known.map(|(step, env)| (step, env.to_owned())));
}

#[test]
fn what_was_committed_in_one_environment_is_not_taken_back() {
    let action = || Action::Capacity { asg: "g".into(), min: None, max: None, desired: Some(1) };
    let done = |step| What::Unchanged { step, verb: "scale".into(), action: action(), lease: false };
    let stays = What::CommittedEnv { step: 2, env: "beta".into() };
    let began = What::Began(Box::new(super::super::event::Began::example()));
    let (entries, kept) = entries(&events(vec![began, done(1), stays, done(3), What::Entered { env: "staging".into() }, done(4)]));
    let steps = |entries: &[Entry]| entries.iter().map(Entry::step).collect::<Vec<_>>();
    assert_eq!((steps(&entries), steps(&kept)), (vec![3, 4], vec![1]));
}

#[test]
fn a_guarded_environment_is_confirmed_by_its_own_name() {
    let typed = |env: &str| What::Answered { step: 1, id: "confirm".into(), key: env.into(), by: Answerer::Terminal };
    let all = events(vec![typed("prod")]);
    assert!(confirmed(&all, "prod"));
    assert!(!confirmed(&all, "winprod"));
}
