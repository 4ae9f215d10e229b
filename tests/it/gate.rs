//! What a run does after a failure, what another process may change in it, and the invariants that each step is held to.

use crate::process::Project;
use crate::support::{Crash, Go, Lab, Outcome, lab};
use bgx::run::event::{OnFailure, Outcome as Ending, What};
use bgx::sandbox::fault::{Mishap, Rule};
use bgx::sandbox::world::{GroupUpdate, World};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

fn played(folder: &Path, text: &str) -> Lab {
    lab("beta", "playbooks/deploy.rhai").text(folder, text)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn left(outcome: Outcome) -> Crash {
    Crash { journal: outcome.journal, world: outcome.after }
}

fn holds(text: &str, part: &str) {
    assert!(text.contains(part), "`{part}` is not in:\n{text}");
}

/// The id in `next: bgx resume ID, or …`.
fn run_of(text: &str) -> String {
    let rest = text.split_once("bgx resume ").map(|(_, rest)| rest).unwrap_or_else(|| panic!("no run is named:\n{text}"));
    rest.split([',', ' ', '\n']).next().unwrap_or_default().to_owned()
}

const FAILS: &str = "let c = colors();\nscale(c.idle, #{ desired: 1 });\nfail(\"no\");\n";

#[test]
fn a_failure_of_a_run_that_shall_pause_leaves_everything_and_undo_takes_it_back_later() {
    let here = folder();
    assert_eq!(played(here.path(), FAILS).run().ended.outcome, Ending::Undone, "undo unless said");
    let paused = played(here.path(), FAILS).on_failure(OnFailure::Pause).run();
    assert_eq!(paused.ended.outcome, Ending::Paused, "{:?}", paused.ended);
    assert_eq!(paused.after.groups["beta-green"].desired, 1);
    let crash = left(paused);
    let again = played(here.path(), FAILS).recover(&crash, Go::Run);
    assert_eq!(again.ended.outcome, Ending::Paused, "the first event keeps it: {:?}", again.ended);
    let undone = played(here.path(), FAILS).recover(&crash, Go::Undo);
    assert_eq!((undone.ended.outcome, undone.after.groups["beta-green"].desired), (Ending::Undone, 0));
}

#[test]
fn a_run_that_touched_nothing_has_nothing_to_pause_for() {
    let here = folder();
    let outcome = played(here.path(), "fail(\"no\");\n").on_failure(OnFailure::Pause).run();
    assert_eq!(outcome.ended.outcome, Ending::Undone);
}

#[test]
fn on_failure_is_a_flag_of_run_and_of_resume() {
    let project = Project::new();
    project.write("fails.rhai", &format!("//! Fails.\n{FAILS}"));
    let paused = project.bgx(&["run", "fails.rhai", "--env", "beta", "--on-failure", "pause"]).end(LIMIT);
    assert_eq!(paused.code, Some(4), "{}", paused.text);
    holds(&paused.text, "no: what is done stays");
    let run = run_of(&paused.text);
    holds(&paused.text, &format!("bgx undo {run}"));
    let undone = project.bgx(&["resume", &run, "--on-failure", "undo"]).end(LIMIT);
    assert_eq!(undone.code, Some(3), "{}", undone.text);
    let odd = project.bgx(&["run", "fails.rhai", "--env", "beta", "--on-failure", "shrug"]).end(LIMIT);
    assert_eq!(odd.code, Some(2), "{}", odd.text);
}

const ASKS: &str = "let c = colors();\nscale(c.idle, #{ desired: 1 });\nsleep(\"1m\");\nconfirm(\"go\", \"go on?\");\n";

#[test]
fn a_resume_that_nobody_watches_leaves_a_run_whose_question_is_not_answered() {
    let here = folder();
    let first = played(here.path(), ASKS).run();
    assert_eq!(first.ended.outcome, Ending::Undone, "a run of its own is taken back: {:?}", first.ended);
    let whole = played(here.path(), ASKS).answer("go", "yes").snapshots().run();
    let begun = whole.events.iter().filter(|e| e.what.is_kept()).position(|e| matches!(e.what, What::Finished { .. }));
    let crash = whole.crash(begun.expect("it scales"), true);
    let resumed = played(here.path(), ASKS).recover(&crash, Go::Run);
    assert_eq!(resumed.ended.outcome, Ending::Paused, "{:?}", resumed.ended);
    holds(resumed.ended.why.as_deref().unwrap_or_default(), "--answer go=yes");
    assert_eq!(resumed.after.groups["beta-green"].desired, 1, "it stays as it is");
    let answered = played(here.path(), ASKS).answer("go", "yes").recover(&left(resumed), Go::Run);
    assert_eq!(answered.ended.outcome, Ending::Done, "{:?}", answered.ended);
}

#[test]
fn an_abandon_that_was_killed_is_gone_on_with_by_abandon_and_by_nothing_else() {
    let project = Project::new();
    project.write("fails.rhai", &format!("//! Fails.\n{FAILS}"));
    let paused = project.bgx(&["run", "fails.rhai", "--env", "beta", "--on-failure", "pause"]).end(LIMIT);
    let run = run_of(&paused.text);
    let path = project.path().join(format!(".bgx/sandbox/runs/{run}.jsonl"));
    let before = std::fs::read_to_string(&path).expect("the run has a journal").lines().count();
    project.bgx(&["abandon", &run, "--reason", "enough"]).good(LIMIT);
    // As if the process had died right after it said that the run is given up: its lock was held by then, and is free here.
    let text = std::fs::read_to_string(&path).expect("the run has a journal");
    let kept: Vec<&str> = text.lines().take(before + 2).collect();
    assert!(kept.last().is_some_and(|line| line.contains("\"abandoned\"")), "{text}");
    std::fs::write(&path, kept.join("\n") + "\n").expect("the journal can be written");
    holds(&project.bgx(&["runs"]).good(LIMIT), "it was being given up");
    for command in ["resume", "undo"] {
        let refused = project.bgx(&[command, &run]).end(LIMIT);
        assert_eq!(refused.code, Some(7), "{}", refused.text);
        holds(&refused.text, &format!("bgx abandon {run} --reason"));
    }
    project.bgx(&["abandon", &run, "--reason", "enough"]).good(LIMIT);
    holds(&project.bgx(&["runs"]).good(LIMIT), "abandoned");
}

#[test]
fn the_record_may_not_say_what_the_listener_does_not() {
    let here = folder();
    let outcome = played(here.path(), "let c = colors();\nset_active_color(c.idle);\n").run();
    assert_eq!(outcome.ended.outcome, Ending::Refused, "{:?}", outcome.ended);
    holds(outcome.ended.why.as_deref().unwrap_or_default(), "the listener sends traffic to blue");
    assert!(!outcome.events.iter().any(|event| matches!(event.what, What::Started { .. })), "nothing was sent");
}

#[test]
fn a_record_that_somebody_else_broke_does_not_block_a_run_that_does_not_touch_it_and_is_shown() {
    let here = folder();
    let parameter = "/compiler-explorer/beta/active-color".to_owned();
    let lie = move |world: &mut bgx::sandbox::world::World| {
        assert!(Mishap::Parameter { name: parameter.clone(), value: "green".to_owned() }.befall(world));
    };
    let text = "let c = colors();\nscale(c.live, #{ desired: 3 });\n";
    let outcome = played(here.path(), text).prepare(lie.clone()).run();
    assert_eq!(outcome.ended.outcome, Ending::Done, "{:?}", outcome.ended);
    assert!(outcome.ended.disagreements.iter().any(|text| text.contains("active-color")), "{:?}", outcome.ended.disagreements);
    let repair = "let c = colors();\nset_active_color(c.live);\n";
    let repaired = played(here.path(), repair).prepare(lie).run();
    assert_eq!((repaired.ended.outcome, repaired.ended.disagreements), (Ending::Done, Vec::new()), "the remedy is not blocked");
}

#[test]
fn capacity_that_a_policy_takes_while_a_floor_is_set_is_noticed_and_does_not_stop_the_run() {
    let here = folder();
    let policy = Mishap::Policy { group: "beta-blue".to_owned(), to: 1 };
    let rule = Rule::mishap("autoscaling", "UpdateAutoScalingGroup", policy);
    let outcome = played(here.path(), "let c = colors();\nscale(c.live, #{ max: 6 });\n").fault(rule).run();
    assert_eq!(outcome.ended.outcome, Ending::Done, "{:?}", outcome.ended);
    let noticed =
        outcome.events.iter().find_map(|event| if let What::Noticed { text, .. } = &event.what { Some(text.clone()) } else { None });
    holds(noticed.as_deref().unwrap_or_default(), "the desired capacity of beta-blue went from 2 to 1");
}

#[test]
fn changed_sources_that_agree_go_on_and_are_kept_for_the_next_resume() {
    let project = Project::new();
    let text = "//! Scales, then fails.\nlet c = colors();\nscale(c.idle, #{ desired: 1 });\n";
    project.write("half.rhai", &format!("{text}fail(\"no\");\n"));
    let paused = project.bgx(&["run", "half.rhai", "--env", "beta", "--on-failure", "pause"]).end(LIMIT);
    let run = run_of(&paused.text);
    project.write("half.rhai", &format!("{text}scale(c.idle, #{{ desired: 2 }});\nfail(\"still no\");\n"));
    let again = project.bgx(&["resume", &run, "--with-current-sources"]).end(LIMIT);
    assert_eq!(again.code, Some(4), "{}", again.text);
    holds(&again.text, "beta-green  desired 0 → 2");
    project.write("half.rhai", "//! Another one.\nsay(\"x\");\n");
    let kept = project.bgx(&["resume", &run]).end(LIMIT);
    assert_eq!(kept.code, Some(4), "{}", kept.text);
    holds(&kept.text, "still no");
    holds(&project.bgx(&["show", &run]).good(LIMIT), "with sources that were changed meanwhile");
}

#[test]
fn changed_sources_that_do_not_agree_are_shown_beside_the_journal_and_nothing_is_called() {
    let project = Project::new();
    let text = |size: u32| format!("//! Scales, then fails.\nlet c = colors();\nscale(c.idle, #{{ desired: {size} }});\nfail(\"no\");\n");
    project.write("half.rhai", &text(1));
    let paused = project.bgx(&["run", "half.rhai", "--env", "beta", "--on-failure", "pause"]).end(LIMIT);
    let run = run_of(&paused.text);
    let path = project.path().join(format!(".bgx/sandbox/runs/{run}.jsonl"));
    let journal = std::fs::read(&path).expect("the run has a journal");
    let account = project.bgx(&["sandbox", "show"]).good(LIMIT);
    for (changed, told) in [
        (text(2), "desired: 1 in the journal, 2 in the playbook"),
        ("//! Ends early.\nlet c = colors();\n".to_owned(), "nothing more: it ends"),
        ("//! Asks.\nlet c = colors();\nconfirm(\"go\", \"go on?\");\n".to_owned(), "question `go`"),
    ] {
        project.write("half.rhai", &changed);
        let diverged = project.bgx(&["resume", &run, "--with-current-sources"]).end(LIMIT);
        assert_eq!(diverged.code, Some(6), "{}", diverged.text);
        holds(&diverged.text, told);
        holds(&diverged.text, "the journal has beta-green: desired 1");
        assert_eq!(std::fs::read(&path).expect("the run has a journal"), journal, "nothing is recorded");
        assert_eq!(project.bgx(&["sandbox", "show"]).good(LIMIT), account, "nothing is touched");
    }
    holds(&project.bgx(&["resume", &run]).end(LIMIT).text, "no: what is done stays");
}

#[test]
fn a_deploy_that_stopped_anywhere_agrees_with_its_own_sources_without_a_call() {
    let project = Project::new();
    let mut run = project.bgx(&["run", "deploy", "--env", "beta", "--version", "latest", "--bake", "5s", "--pace", "20x"]);
    let first = run.line(" run ", LIMIT);
    let id = first.split(" run ").nth(1).and_then(|rest| rest.split(' ').next()).expect("the line names the run").to_owned();
    run.line("0/2 in service", LIMIT);
    run.signal("KILL");
    run.end(LIMIT);
    project.bgx(&["resume", &id, "--with-current-sources"]).good(LIMIT);
}

#[test]
fn runs_are_listed_since_a_time() {
    let project = Project::new();
    project.write("none.rhai", "//! Nothing.\nsay(\"x\");\n");
    project.write("long.rhai", "//! Waits.\nsleep(\"5h\");\n");
    project.bgx(&["run", "none.rhai", "--env", "beta"]).good(LIMIT);
    project.bgx(&["run", "long.rhai", "--env", "beta"]).good(LIMIT);
    project.bgx(&["run", "none.rhai", "--env", "beta"]).good(LIMIT);
    let count = |since: &str| project.bgx(&["runs", "--since", since]).good(LIMIT).lines().filter(|line| line.contains("beta")).count();
    assert_eq!((count("7d"), count("2h"), count("2000-01-01"), count("2999-01-01")), (3, 1, 3, 0));
    assert_eq!(project.bgx(&["runs", "--since", "soon"]).end(LIMIT).code, Some(2));
}

#[test]
fn what_playbooks_write_has_the_acl_that_instances_need_also_when_it_is_put_back_and_what_the_run_writes_has_none() {
    let acl = |world: &World, key: &str| world.buckets["compiler-explorer"][key].acl.clone();
    let public = Some("public-read".to_owned());
    let deploy = lab("beta", "playbooks/deploy.rhai").param("version", "latest").run();
    assert_eq!((acl(&deploy.before, "version/beta"), acl(&deploy.after, "version/beta")), (None, public.clone()));
    let here = folder();
    let undone = played(here.path(), "set_version(\"dist/gh/main/41001.tar.xz\", #{ color: colors().idle });\nfail(\"no\");\n").run();
    assert_eq!((undone.ended.outcome, acl(&undone.after, "version/beta")), (Ending::Undone, public));
    for (key, object) in undone.after.buckets["compiler-explorer"].iter().filter(|(key, _)| key.starts_with("bgx/")) {
        assert_eq!(object.acl, None, "{key}");
    }
}

#[test]
fn a_deploy_asks_instances_which_version_they_run_before_anything_and_before_the_switch_and_nothing_else() {
    let mut lab = lab("beta", "playbooks/deploy.rhai").param("version", "latest");
    // A team may ask more.
    lab.config.envs.values_mut().for_each(|env| env.hooks = None);
    let deploy = lab.run();
    // The two that serve before anything is changed; the two that shall serve by the playbook, which waits for them, and by the guard at the switch.
    assert_eq!((deploy.ended.outcome, deploy.ended.calls.get("http")), (Ending::Done, Some(&6)), "{:?}", deploy.ended);
}

#[test]
fn rules_are_read_for_a_change_of_size_only_if_it_shrinks_the_group() {
    let here = folder();
    let reads = |text: &str| {
        let ended = played(here.path(), text).prepare(|world| change_group(world, "beta-green", 3)).run().ended;
        assert_eq!(ended.outcome, Ending::Done, "{ended:?}");
        ended.calls["elasticloadbalancing"]
    };
    let raised = reads("let c = colors();\nsleep(\"2m\");\nscale(c.idle, #{ min: 1 });\n");
    let shrunk = reads("let c = colors();\nsleep(\"2m\");\nscale(c.idle, #{ desired: 2 });\n");
    assert_eq!(shrunk, raised + 1);
}

fn change_group(world: &mut World, name: &str, desired: u32) {
    let update = GroupUpdate { min: None, max: None, desired: Some(desired) };
    world.update_group(name, &update).expect("the group is there");
}
