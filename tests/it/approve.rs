//! Approval by somebody else: who may give it, where it lies, and that nobody is asked twice.

use crate::process::Project;
use crate::support::{Crash, Go, Lab, config, lab};
use bgx::config::Target;
use bgx::host::{Host, Options};
use bgx::run::desk::{Asking, Desk, Given};
use bgx::run::event::{Outcome as Ending, What};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn played(folder: &Path, text: &str) -> Lab {
    lab("beta", "playbooks/deploy.rhai").text(folder, text)
}

fn holds(text: &str, part: &str) {
    assert!(text.contains(part), "`{part}` is not in:\n{text}");
}

#[test]
fn an_approval_that_nobody_gives_is_an_error_to_catch_or_a_pause() {
    let here = folder();
    let text = "try { approve(\"go\", #{ timeout: \"10m\" }); } catch (e) { if e.code != \"timeout\" { throw; } say(\"nobody\"); }\n";
    let outcome = played(here.path(), text).run();
    assert_eq!(outcome.ended.outcome, Ending::Done, "{:?}", outcome.ended);
    assert!((600.0..700.0).contains(&outcome.ended.seconds), "{}", outcome.ended.seconds);
    assert!(outcome.events.iter().any(|event| matches!(&event.what, What::Said { text, .. } if text == "nobody")));
    let paused = played(here.path(), "approve(\"go\", #{ timeout: \"10m\", on_timeout: \"pause\" });\n").run();
    assert_eq!(paused.ended.outcome, Ending::Paused, "{:?}", paused.ended);
}

#[test]
fn no_flag_of_the_run_itself_approves_it() {
    let here = folder();
    let outcome = played(here.path(), "approve(\"go\", #{ timeout: \"1m\" });\n").answer("go", "yes").run();
    assert_eq!(outcome.ended.outcome, Ending::Undone, "{:?}", outcome.ended);
}

#[test]
fn options_are_checked() {
    let here = folder();
    for odd in ["#{ by: \"me\" }", "#{ on_timeout: \"shrug\" }"] {
        let outcome = played(here.path(), &format!("approve(\"go\", {odd});\n")).run();
        assert!(outcome.error.is_some_and(|error| error.contains("approve: `")), "{odd}");
    }
}

#[test]
fn an_approval_behind_the_last_action_is_not_asked_again() {
    let here = folder();
    let text = "let c = colors();\nscale(c.idle, #{ desired: 1 });\napprove(\"go\", #{ timeout: \"1m\" });\nsleep(\"1m\");\n";
    let whole = played(here.path(), text).approved().snapshots().run();
    assert_eq!(whole.ended.outcome, Ending::Done, "{:?}", whole.ended);
    let kept = whole.events.iter().filter(|event| event.what.is_kept());
    let approved = kept.clone().position(|event| matches!(event.what, What::Approved { .. })).expect("somebody approves");
    let crash: Crash = whole.crash(approved, true);
    let resumed = played(here.path(), text).recover(&crash, Go::Run);
    assert_eq!(resumed.ended.outcome, Ending::Done, "{:?}", resumed.ended);
    assert!(!resumed.events.iter().any(|event| matches!(event.what, What::AwaitsApproval { .. })), "nobody is asked twice");
}

/// A project with a run that waits for an approval.
fn waiting(project: &Project) -> (crate::process::Program, String) {
    project
        .write("asks.rhai", "//! Asks somebody else.\napprove(\"go\", #{ text: \"send traffic\", timeout: \"4h\" });\nsay(\"gone on\");\n");
    let mut run = project.bgx(&["run", "asks.rhai", "--env", "beta", "--pace", "60x"]);
    let line = run.line("send traffic: bgx answer ", LIMIT);
    let id = line.split_once("bgx answer ").and_then(|(_, rest)| rest.split(' ').next()).expect("it names its run").to_owned();
    (run, id)
}

#[test]
fn another_identity_approves_a_run_that_waits_and_the_own_one_does_not() {
    let project = Project::new();
    let (run, id) = waiting(&project);
    let own = project.bgx(&["answer", &id, "go", "yes"]).end(LIMIT);
    assert_eq!(own.code, Some(7), "{}", own.text);
    holds(&own.text, "another identity must answer");
    let odd = project.bgx(&["answer", &id, "stop", "yes", "--as", "bob"]).end(LIMIT);
    assert_eq!(odd.code, Some(7), "{}", odd.text);
    holds(&odd.text, "does not ask `stop`; it waits for go");
    assert_eq!(project.bgx(&["answer", &id, "go", "maybe", "--as", "bob"]).end(LIMIT).code, Some(2));
    project.bgx(&["answer", &id, "go", "yes", "--as", "bob", "--reason", "looks well"]).good(LIMIT);
    holds(&run.good(LIMIT), "gone on");
    let shown = project.bgx(&["show", &id]).good(LIMIT);
    holds(&shown, "go = yes by bob on ");
    holds(&shown, ": looks well");
    let late = project.bgx(&["answer", &id, "go", "yes", "--as", "carol"]).end(LIMIT);
    assert_eq!(late.code, Some(7), "{}", late.text);
    holds(&late.text, "it waits for no answer");
}

#[test]
fn an_answer_of_no_ends_the_run() {
    let project = Project::new();
    let (run, id) = waiting(&project);
    project.bgx(&["answer", &id, "go", "no", "--as", "bob"]).good(LIMIT);
    let said = run.end(LIMIT);
    assert_eq!(said.code, Some(7), "{}", said.text);
    holds(&said.text, "not approved");
}

#[test]
fn an_answer_in_the_runs_own_name_that_was_put_there_by_hand_is_not_taken() {
    let project = Project::new();
    let (mut run, id) = waiting(&project);
    let journal = std::fs::read_to_string(project.path().join(format!(".bgx/sandbox/runs/{id}.jsonl"))).expect("the run has a journal");
    let who = journal.split_once("\"asked_by\":\"").and_then(|(_, rest)| rest.split('"').next()).expect("it says who asks").to_owned();
    let line = format!(r#"{{"id":"go","key":"yes","by":"{who}","host":"x","at":"2026-01-01T00:00:00Z","reason":null}}"#);
    std::fs::write(project.path().join(format!(".bgx/sandbox/runs/{id}.answers")), line + "\n").expect("it can be written");
    run.line("is not taken", LIMIT);
    project.bgx(&["answer", &id, "go", "yes", "--as", "bob"]).good(LIMIT);
    run.good(LIMIT);
}

fn given(by: &str) -> Given {
    let text = str::to_owned;
    Given { id: text("go"), key: text("yes"), by: text(by), host: text("ci"), at: jiff::Timestamp::UNIX_EPOCH, reason: None }
}

#[test]
fn in_s3_a_question_is_found_without_its_journal_and_each_identity_answers_once() {
    let host = Host::open(&config(), &Target::Sandbox, &Options { seed: Some(3), in_memory: true, target: None }).expect("a sandbox opens");
    let desk = |run: &str| Desk::objects(&host.account, "compiler-explorer", "bgx/", run);
    host.driver.block_on(async {
        let asking = Asking { run: "one".into(), id: "go".into(), text: "go on?".into(), asked_by: "alice".into() };
        desk("one").post(&asking).await.expect("it can be written");
        assert_eq!(desk("one").posted().await, Ok(vec![asking]));
        assert_eq!(desk("two").posted().await, Ok(vec![]));
        desk("one").put(&given("bob")).await.expect("nobody answered");
        assert!(desk("one").put(&given("bob")).await.is_err(), "bob has answered");
        desk("one").put(&given("carol")).await.expect("carol has not");
        assert_eq!(desk("one").look("go").await.map(|all| all.len()), Ok(2));
        assert_eq!(desk("one").look("stop").await, Ok(vec![]));
    });
}

#[test]
fn over_a_server_the_identity_is_whom_sts_names_and_the_same_one_is_refused_from_any_machine() {
    let server = Project::new();
    let mut serving = server.bgx(&["sandbox", "serve", "--pace", "60x"]);
    let line = serving.line("SANDBOX on ", LIMIT);
    let url = line.split_whitespace().nth(2).expect("the line holds the address").to_owned();
    let (runs, elsewhere) = (Project::new(), Project::new());
    runs.write("asks.rhai", "//! Asks somebody else.\napprove(\"go\", #{ text: \"send traffic\", timeout: \"4h\" });\n");
    let mut run = runs.bgx(&["run", "asks.rhai", "--env", "beta", "--target", &url]);
    let line = run.line("send traffic: bgx answer ", LIMIT);
    let id = line.split_once("bgx answer ").and_then(|(_, rest)| rest.split(' ').next()).expect("it names its run");
    let named = elsewhere.bgx(&["answer", id, "go", "yes", "--env", "beta", "--target", &url, "--as", "bob"]).end(LIMIT);
    assert_eq!(named.code, Some(2), "{}", named.text);
    let own = elsewhere.bgx(&["answer", id, "go", "yes", "--env", "beta", "--target", &url]).end(LIMIT);
    assert_eq!(own.code, Some(7), "{}", own.text);
    holds(&own.text, "another identity must answer");
    run.signal("TERM");
    run.end(LIMIT);
    serving.signal("TERM");
    serving.good(LIMIT);
}
