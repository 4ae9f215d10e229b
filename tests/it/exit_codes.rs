//! Every exit code of the README's table, reached through the real binary. Code 1 needs a bug: `kills.rs` makes one.

use crate::process::{Project, Said};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const BEGINS: &str = "let c = colors();\nscale(c.idle, #{ desired: 1 });\n";

fn play(project: &Project, script: &str, flags: &[&str]) -> Said {
    project.write("play.rhai", &format!("//! Made for a test.\n{script}"));
    project.bgx(&[&["run", "play.rhai", "--env", "beta"], flags].concat()).end(LIMIT)
}

/// The run that a command's last lines name.
fn run_of(said: &Said) -> String {
    let named = said.text.split_once("run ").and_then(|(_, rest)| rest.split([' ', ',']).next());
    named.unwrap_or_else(|| panic!("it names its run: {}", said.text)).to_owned()
}

/// How many instances beta's idle colour is asked to have.
fn desired(project: &Project) -> u64 {
    let world: serde_json::Value = serde_json::from_str(&world(project)).expect("the saved world is JSON");
    world["groups"]["beta-green"]["desired"].as_u64().expect("it has that group")
}

fn world(project: &Project) -> String {
    std::fs::read_to_string(project.path().join(".bgx/sandbox/world.json")).expect("the sandbox was saved")
}

#[test]
fn done_is_0() {
    let project = Project::new();
    assert_eq!(play(&project, BEGINS, &[]).code, Some(0));
    assert_eq!(desired(&project), 1);
}

#[test]
fn a_playbook_that_is_wrong_is_2_whether_it_is_seen_before_or_as_it_runs_and_nothing_is_touched() {
    let project = Project::new();
    assert_eq!(project.bgx(&["run", "deploy", "--env", "nowhere"]).end(LIMIT).code, Some(2));
    for script in ["scal(1);\n", "loop { }\n", "let x = 1; x.desired = 2;\n", "let s = \"0123456789\";\nloop { s += s; }\n"] {
        let said = play(&project, script, &[]);
        assert_eq!(said.code, Some(2), "{script}: {}", said.text);
    }
    assert!(!project.path().join(".bgx/sandbox/world.json").exists() || desired(&project) == 0);
}

#[test]
fn a_failure_that_was_taken_back_is_3_whoever_is_to_blame() {
    let project = Project::new();
    for fails in ["fail(\"no\");\n", "loop { }\n", "let x = 1; x.desired = 2;\n"] {
        let said = play(&project, &format!("{BEGINS}{fails}"), &[]);
        assert_eq!(said.code, Some(3), "{fails}: {}", said.text);
        assert_eq!(desired(&project), 0, "{}", said.text);
    }
}

#[test]
fn paused_is_4_and_an_undo_that_meets_the_hand_of_another_is_5() {
    let project = Project::new();
    let paused = play(&project, &format!("{BEGINS}fail(\"no\");\n"), &["--on-failure", "pause"]);
    assert_eq!(paused.code, Some(4), "{}", paused.text);
    let run = run_of(&paused);
    let mut world: serde_json::Value = serde_json::from_str(&world(&project)).expect("the saved world is JSON");
    // Somebody takes the group out of what the run left: its limits are not what any step expects.
    for (field, value) in [("min", 3), ("desired", 4), ("max", 7)] {
        world["groups"]["beta-green"][field] = value.into();
    }
    std::fs::write(project.path().join(".bgx/sandbox/world.json"), world.to_string()).expect("it can be written");
    let stuck = project.bgx(&["undo", &run]).end(LIMIT);
    assert_eq!(stuck.code, Some(5), "{}", stuck.text);
    assert!(stuck.text.contains("beta-green"), "the step is named: {}", stuck.text);
    assert_eq!(desired(&project), 4, "what another wrote stays");
}

#[test]
fn a_playbook_that_asks_for_something_else_than_its_journal_is_6() {
    let project = Project::new();
    let paused = play(&project, &format!("{BEGINS}fail(\"no\");\n"), &["--on-failure", "pause"]);
    assert_eq!(paused.code, Some(4), "{}", paused.text);
    project.write("play.rhai", "//! Made for a test.\nlet c = colors();\nscale(c.idle, #{ desired: 2 });\n");
    let diverged = project.bgx(&["resume", &run_of(&paused), "--with-current-sources"]).end(LIMIT);
    assert_eq!(diverged.code, Some(6), "{}", diverged.text);
    assert_eq!(desired(&project), 1, "no call was made");
}

#[test]
fn refused_with_nothing_touched_is_7() {
    let project = Project::new();
    let said = play(&project, "let c = colors();\nscale(c.live, #{ desired: 0 });\n", &[]);
    assert_eq!(said.code, Some(7), "{}", said.text);
}
