//! A copy of an account: saved, shown, served, and what tests begin with.

use crate::program::{exit_code, project};

const GROW: &str = "//! bgx: 1\n//! One instance more.\nstep \"grow\" { scale(colors().live, #{ desired: 3 }); }\n";

const FROM_A_FILE: &str = r#"//! A test that begins with a copy.
fn test_copy() {
    let r = play_text(`step "look" { say(colors().live.name + asg(colors().live).desired); }`, #{ env: "beta", world: #{ file: "beta.json" } });
    assert_eq(r.outcome, "done");
    assert_eq(r.said, ["blue3"]);
}

fn test_nothing_else_is_said() {
    assert_fails(|| play_text(`say("");`, #{ env: "beta", world: #{ file: "beta.json", boot: "1m" } }), "nothing else is said of it");
}

fn test_no_file() {
    assert_fails(|| play_text(`say("");`, #{ env: "beta", world: #{ file: "none.json" } }), "there is no");
}
"#;

#[test]
fn a_clone_is_saved_shown_and_the_world_of_a_test() {
    let project = project();
    project.write("playbooks/grow.rhai", GROW);
    let grown = project.bgx(&["run", "grow", "--env", "beta"]);
    assert_eq!(exit_code(&grown), Some(0), "{grown}");
    let before = project.read(".bgx/sandbox/world.json");
    let said = project.bgx(&["sandbox", "clone", "--env", "beta", "--out", "beta.json"]);
    assert_eq!(exit_code(&said), Some(0), "{said}");
    assert!(said.contains("beta.json: beta as of ") && said.contains("3 group(s) with 4 instance(s)"), "{said}");
    assert!(said.contains("unknown: how long beta's application takes to answer"), "{said}");
    assert_eq!(project.read(".bgx/sandbox/world.json"), before, "the account is as it was");
    let shown = project.bgx(&["sandbox", "show", "--world", "beta.json"]);
    assert!(shown.contains("group beta-blue: desired 3, min 0, max 10") && !shown.contains("group prod-blue"), "{shown}");
    project.write("playbooks/copy_test.rhai", FROM_A_FILE);
    let tested = project.bgx(&["test", "playbooks/copy_test.rhai"]);
    assert_eq!(exit_code(&tested), Some(0), "{tested}");
    assert!(tested.contains("3 ok, 0 failed"), "{tested}");
    let none = project.bgx(&["sandbox", "show", "--world", "none.json"]);
    assert_eq!(exit_code(&none), Some(2), "{none}");
}
