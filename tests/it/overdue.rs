//! A wait whose time is over at a terminal: longer, less, undo or pause; and that a replay asks nobody again.

use crate::support::{Crash, Go, Lab, Outcome, lab};
use bgx::run::event::{OnFailure, Outcome as Ending, What};
use std::path::Path;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// Instances take minutes to boot, so that this wait is over long before.
fn played(folder: &Path) -> Lab {
    let text = "let c = colors();\nscale(c.idle, #{ desired: 1 });\nwait_in_service(c.idle, #{ timeout: \"20s\" });\n";
    lab("beta", "playbooks/deploy.rhai").text(folder, text)
}

fn answers(outcome: &Outcome) -> Vec<&str> {
    outcome.events.iter().filter_map(|event| if let What::Answered { key, .. } = &event.what { Some(key.as_str()) } else { None }).collect()
}

#[test]
fn longer_waits_as_long_again_as_often_as_it_is_said() {
    let here = folder();
    let failed = played(here.path()).run();
    assert_eq!(failed.ended.outcome, Ending::Undone, "without a terminal it fails: {:?}", failed.ended);
    let outcome = played(here.path()).typed(&["longer"; 30]).run();
    assert_eq!(outcome.ended.outcome, Ending::Done, "{:?}", outcome.ended);
    let longer = answers(&outcome).len();
    assert!((1..30).contains(&longer), "{longer}");
}

#[test]
fn undo_takes_back_and_pause_leaves_whatever_on_failure_says() {
    let here = folder();
    let undone = played(here.path()).on_failure(OnFailure::Pause).typed(&["undo"]).run();
    assert_eq!((undone.ended.outcome, undone.after.groups["beta-green"].desired), (Ending::Undone, 0), "{:?}", undone.ended);
    let paused = played(here.path()).typed(&["pause"]).run();
    assert_eq!((paused.ended.outcome, paused.after.groups["beta-green"].desired), (Ending::Paused, 1), "{:?}", paused.ended);
    let left = played(here.path()).typed(&[]).run();
    assert_eq!(left.ended.outcome, Ending::Paused, "who leaves the terminal asks for no undo: {:?}", left.ended);
}

#[test]
fn answers_given_beforehand_are_not_followed_by_questions() {
    let here = folder();
    let outcome = played(here.path()).answer("other", "yes").typed(&["longer"; 30]).run();
    assert_eq!((outcome.ended.outcome, answers(&outcome)), (Ending::Undone, vec![]), "{:?}", outcome.ended);
}

/// One of two booted instances never gets healthy, and the traffic shall go there.
fn half_healthy(folder: &Path) -> Lab {
    let text = r#"let c = colors();
set_weights(#{ live: c.live, idle: c.idle, share: 0 });
scale(c.idle, #{ desired: 1 });
wait_in_service(c.idle, #{ timeout: "10m" });
wait_healthy(c.idle, #{ count: 2, timeout: "3m" });
switch_rule(c.idle);
set_active_color(c.idle);
record_version(c.idle, c.live.version);
sleep("1m");
"#;
    lab("beta", "playbooks/deploy.rhai").text(folder, text)
}

#[test]
fn less_needs_a_reason_moves_guard_3_and_holds_in_a_replay() {
    let here = folder();
    let bare = half_healthy(here.path()).typed(&["less", "", "undo"]).run();
    assert_eq!(bare.ended.outcome, Ending::Undone, "without a reason it is asked again: {:?}", bare.ended);
    let whole = half_healthy(here.path()).typed(&["less", "one is enough tonight"]).snapshots().run();
    assert_eq!(whole.ended.outcome, Ending::Done, "{:?}", whole.ended);
    assert_eq!(answers(&whole), ["less", "one is enough tonight", "1"]);
    let kept: Vec<_> = whole.events.iter().filter(|event| event.what.is_kept()).collect();
    let switch = kept.iter().position(|event| matches!(&event.what, What::Started { verb, .. } if verb == "switch_rule"));
    let crash: Crash = whole.crash(switch.expect("it switches"), true);
    let resumed = half_healthy(here.path()).recover(&crash, Go::Run);
    assert_eq!((resumed.ended.outcome, answers(&resumed)), (Ending::Done, vec![]), "{:?}", resumed.ended);
}
