//! The end of a run is the release of its lock: refused, half done or done by nobody, the account never names a run that is over.

use crate::process::Project;
use crate::support::{Crash, Go, Lab, Outcome, lab};
use bgx::run::event::{Outcome as Ending, What};
use bgx::run::journal::Journal;
use bgx::run::lock::{LEASE, Record};
use bgx::run::replay::{Standing, standing};
use bgx::sandbox::fault::Rule;
use bgx::sandbox::world::{Happening, World};
use std::path::Path;

const SHORT: &str = "let c = colors();\nscale(c.idle, #{ desired: 1 });\n";

fn short(folder: &Path) -> Lab {
    lab("beta", "playbooks/deploy.rhai").text(folder, SHORT)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn lock(world: &World) -> Option<Record> {
    let object = world.buckets["compiler-explorer"].get("bgx/locks/beta.json")?;
    Some(serde_json::from_slice(&object.body).expect("a lock is a record"))
}

fn stands(outcome: &Outcome) -> Standing {
    standing(&Journal::reopen_bytes(&outcome.journal).1)
}

fn left(outcome: Outcome) -> Crash {
    Crash { journal: outcome.journal, world: outcome.after }
}

#[test]
fn a_lock_that_may_not_be_deleted_says_itself_that_it_is_free_and_the_next_run_takes_it() {
    let here = folder();
    let first = short(here.path()).fault(Rule::denied("s3", "DeleteObject").always()).run();
    assert_eq!(first.ended.outcome, Ending::Done, "{:?}", first.ended);
    let marked = lock(&first.after).expect("it could not be deleted");
    assert!(marked.ended && marked.lease_seconds == 0, "{marked:?}");
    let next = Crash { journal: Vec::new(), world: first.after };
    let second = short(here.path()).seed(11).recover(&next, Go::Run);
    assert_eq!(second.ended.outcome, Ending::Done, "{:?}", second.ended);
    assert_eq!(lock(&second.after), None, "the second run may delete it");
}

#[test]
fn a_lock_that_can_neither_be_deleted_nor_marked_pauses_the_run_and_resume_only_releases() {
    let here = folder();
    for rules in [
        [Rule::denied("s3", "DeleteObject").always(), Rule::denied("s3", "PutObject").after(1).always()],
        [Rule::expired("s3", "DeleteObject").always(), Rule::expired("s3", "PutObject").after(1).always()],
    ] {
        let [first, second] = rules;
        let paused = short(here.path()).fault(first).fault(second).run();
        assert_eq!(paused.ended.outcome, Ending::Paused, "{:?}", paused.ended);
        let why = paused.ended.why.clone().unwrap_or_default();
        assert!(why.starts_with("the run is done; its lock is not released"), "{why}");
        assert_eq!(stands(&paused), Standing::Settled(Ending::Done));
        assert_eq!(lock(&paused.after).map(|lock| lock.run), Some("lab7".to_owned()));
        let resumed = short(here.path()).recover(&left(paused), Go::Run);
        assert_eq!(resumed.ended.outcome, Ending::Done, "{:?}", resumed.ended);
        assert_eq!(resumed.ended.calls.keys().map(String::as_str).collect::<Vec<_>>(), ["s3"], "only the lock is touched");
        assert_eq!(lock(&resumed.after), None);
        assert_eq!(stands(&resumed), Standing::Ended(Ending::Done));
    }
}

#[test]
fn a_run_that_was_taken_back_and_keeps_its_lock_is_ended_by_undo_too() {
    let here = folder();
    let failing = || lab("beta", "playbooks/deploy.rhai").text(here.path(), &format!("{SHORT}fail(\"no\");\n"));
    let expired = |operation: &str, after: u32| Rule::expired("s3", operation).after(after).always();
    let paused = failing().fault(expired("DeleteObject", 0)).fault(expired("PutObject", 1)).run();
    assert_eq!((paused.ended.outcome, stands(&paused)), (Ending::Paused, Standing::Settled(Ending::Undone)), "{:?}", paused.ended);
    let undone = failing().recover(&left(paused), Go::Undo);
    assert_eq!((undone.ended.outcome, lock(&undone.after)), (Ending::Undone, None), "{:?}", undone.ended);
}

/// The last moments of a run: after it settled, and after it released.
fn last_moments(here: &Path) -> [Crash; 2] {
    let whole = short(here).snapshots().run();
    let kept: Vec<_> = whole.events.iter().filter(|event| event.what.is_kept()).collect();
    let at = |wanted: fn(&What) -> bool| kept.iter().position(|event| wanted(&event.what)).expect("a run settles and ends");
    let settled = whole.crash(at(|what| matches!(what, What::Settled { .. })), true);
    let released = whole.crash(at(|what| matches!(what, What::Ended(_))), false);
    assert!(lock(&settled.world).is_some() && lock(&released.world).is_none());
    [settled, released]
}

#[test]
fn a_process_killed_before_or_after_the_release_leaves_a_run_that_resume_ends() {
    let here = folder();
    for crash in last_moments(here.path()) {
        let resumed = short(here.path()).recover(&crash, Go::Run);
        assert_eq!((resumed.ended.outcome, lock(&resumed.after)), (Ending::Done, None), "{:?}", resumed.ended);
    }
}

#[test]
fn a_run_whose_lock_another_run_has_by_now_ends_without_touching_it() {
    let here = folder();
    let [_, released] = last_moments(here.path());
    let open = Crash { journal: Vec::new(), world: released.world };
    let other = short(here.path()).seed(12).signal(1, "SIGHUP").recover(&open, Go::Run);
    assert_eq!(other.ended.outcome, Ending::Paused, "{:?}", other.ended);
    let owner = lock(&other.after).expect("a paused run keeps its lock");
    let resumed = short(here.path()).recover(&Crash { journal: released.journal, world: other.after }, Go::Run);
    assert_eq!((resumed.ended.outcome, lock(&resumed.after)), (Ending::Done, Some(owner)), "{:?}", resumed.ended);
}

#[test]
fn no_write_is_sent_after_the_lease_has_ended() {
    let here = folder();
    let text = "let c = colors();\nsleep(\"95s\");\nscale(c.idle, #{ desired: 1 });\n";
    let cut_off = Rule::server_error("s3", "PutObject").after(1).always();
    let outcome = lab("beta", "playbooks/deploy.rhai")
        .text(here.path(), text)
        .fault(cut_off)
        .fault(Rule::hang_after("autoscaling", "UpdateAutoScalingGroup").always())
        .run();
    assert_eq!(outcome.ended.outcome, Ending::Paused, "{:?}", outcome.ended);
    let calls = |wanted: &'static str| {
        let of = move |what: &Happening| matches!(what, Happening::Call { operation, .. } if operation == wanted);
        outcome.after.log.iter().filter(move |entry| of(&entry.what)).map(|entry| entry.at)
    };
    let taken = calls("PutObject").next().expect("the lock was taken");
    let sent: Vec<u64> = calls("UpdateAutoScalingGroup").map(|at| at.since(taken)).collect();
    assert!(sent.len() == 2, "{sent:?}");
    assert!(sent.iter().all(|at| u128::from(*at) < LEASE.as_millis()), "{sent:?}");
    assert!(outcome.ended.why.as_deref().is_some_and(|why| why.contains("the lease of the lock ended")), "{:?}", outcome.ended.why);
}

#[test]
fn the_binary_tells_of_a_run_whose_lock_is_left_and_every_command_ends_it() {
    let limit = std::time::Duration::from_secs(60);
    for command in [&["resume"][..], &["abandon", "--reason", "x"], &["recover", "--env", "beta"]] {
        let project = Project::new();
        project.write("short.rhai", &format!("//! Short.\n{SHORT}"));
        project.bgx(&["run", "short.rhai", "--env", "beta"]).good(limit);
        let listed = project.bgx(&["runs"]).good(limit);
        let run = listed.split_whitespace().next().expect("a run is listed").to_owned();
        // As if the process had died before it could say how it ended.
        let path = project.path().join(format!(".bgx/sandbox/runs/{run}.jsonl"));
        let text = std::fs::read_to_string(&path).expect("the run has a journal");
        let lines: Vec<&str> = text.lines().collect();
        std::fs::write(&path, lines[..lines.len() - 1].join("\n") + "\n").expect("the journal can be written");
        assert!(project.bgx(&["runs"]).good(limit).contains("its lock is not released"));
        let refused = project.bgx(&["run", "short.rhai", "--env", "beta"]).end(limit);
        assert_eq!(refused.code, Some(7), "{}", refused.text);
        assert!(refused.text.contains(&format!("bgx resume {run}, which only releases the lock")), "{}", refused.text);
        let mut args = command.to_vec();
        if command[0] != "recover" {
            args.insert(1, &run);
        }
        project.bgx(&args).good(limit);
        assert!(project.bgx(&["runs"]).good(limit).contains("done"), "{command:?}");
    }
}
