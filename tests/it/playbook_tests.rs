//! `bgx test`: the shipped playbooks and the stdlib pass their tests, and a test that fails says where, what and why.

use crate::program::{exit_code, project};
use insta::assert_snapshot;

/// The text without how long each test took.
fn timeless(text: &str) -> String {
    let strip = |line: &str| match (line.rsplit_once(" ("), line.rsplit_once(", in ")) {
        (Some((test, rest)), _) if rest.ends_with(" ms)") => test.to_owned(),
        (_, Some((counts, _))) if counts.ends_with(" failed") => counts.to_owned(),
        (_, _) => line.to_owned(),
    };
    text.lines().map(strip).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_shipped_passes_its_tests_and_nearly_every_line_is_reached() {
    let text = project().bgx(&["test", "--coverage-min", "90"]);
    assert_eq!(exit_code(&text), Some(0), "{text}");
    for file in ["playbooks/canary.rhai", "playbooks/deploy.rhai", "playbooks/rollback.rhai", "std/blue_green.rhai", "std/judge.rhai"] {
        assert!(text.lines().any(|line| line.starts_with(file)), "{file} is played\n{text}");
    }
    assert!(text.contains(" ok, 0 failed"), "{text}");
}

#[test]
fn tests_are_no_playbooks() {
    let text = project().bgx(&["list"]);
    assert!(!text.contains("_test"), "{text}");
}

const FAILING: &str = r#"//! Tests that fail.
const PLAIN = `step "one" { say("first"); say("second"); }`;

fn run() { play_text(global::PLAIN, #{ env: "beta" }) }

fn test_values() {
    let r = run();
    assert_eq(r.outcome, "undone");
}

fn test_lists() {
    assert_eq(run().said, ["first", "third"]);
}

fn test_maps() {
    assert_eq(run().after.groups["beta-blue"], #{ desired: 3, min: 0, max: 10, registered: 2, running: 2, suspended: [] });
}

fn test_parts() {
    assert_contains(run().said, "third");
}

fn test_text() {
    assert(run().users.errors > 0, "users should see errors");
}

fn test_failing_calls() {
    assert_fails(|| run(), "nothing");
}

fn test_right() {
    assert_eq(run().outcome, "done");
}
"#;

#[test]
fn a_failing_test_shows_its_line_and_the_difference() {
    let project = project().file("playbooks/failing_test.rhai", FAILING);
    assert_snapshot!(timeless(&project.bgx(&["test", "playbooks/failing_test.rhai"])), @r#"
    FAILED playbooks/failing_test.rhai::test_values
    FAILED playbooks/failing_test.rhai::test_lists
    FAILED playbooks/failing_test.rhai::test_maps
    FAILED playbooks/failing_test.rhai::test_parts
    FAILED playbooks/failing_test.rhai::test_text
    FAILED playbooks/failing_test.rhai::test_failing_calls
    ok playbooks/failing_test.rhai::test_right

    playbooks/failing_test.rhai::test_values
    error: the two are not equal
     --> playbooks/failing_test.rhai:8:5
      |
    8 |     assert_eq(r.outcome, "undone");
      |     ^^^^^^^^^
        - "done"
        + "undone"

    playbooks/failing_test.rhai::test_lists
    error: the two are not equal
      --> playbooks/failing_test.rhai:12:5
       |
    12 |     assert_eq(run().said, ["first", "third"]);
       |     ^^^^^^^^^
          "first"
        - "second"
        + "third"

    playbooks/failing_test.rhai::test_maps
    error: the two are not equal
      --> playbooks/failing_test.rhai:16:5
       |
    16 |     assert_eq(run().after.groups["beta-blue"], #{ desired: 3, min: 0, max: 10, registered: 2, running: 2, suspended: [] });
       |     ^^^^^^^^^
        - desired: 2
        + desired: 3

    playbooks/failing_test.rhai::test_parts
    error: "third" is not in it
      --> playbooks/failing_test.rhai:20:5
       |
    20 |     assert_contains(run().said, "third");
       |     ^^^^^^^^^^^^^^^
        "first"
        "second"

    playbooks/failing_test.rhai::test_text
    error: users should see errors
      --> playbooks/failing_test.rhai:24:5
       |
    24 |     assert(run().users.errors > 0, "users should see errors");
       |     ^^^^^^

    playbooks/failing_test.rhai::test_failing_calls
    error: nothing failed; it gave run{actions: [], after: account{groups: #{beta-blue: group{desired: 2, max: 10, …
      --> playbooks/failing_test.rhai:28:5
       |
    28 |     assert_fails(|| run(), "nothing");
       |     ^^^^^^^^^^^^

    1 ok, 6 failed
    [exit status: 3]
    "#);
}

#[test]
fn what_a_test_asks_for_is_checked() {
    let asks = r#"
fn test_playbook() { play("deplyo", #{ env: "beta" }) }
fn test_env() { play("deploy", #{ env: "bteta" }) }
fn test_param() { play("deploy", #{ env: "beta", params: #{ versoin: "1" } }) }
fn test_world() { play("deploy", #{ env: "beta", world: #{ gruops: #{} } }) }
fn test_group() { play("deploy", #{ env: "beta", world: #{ groups: #{ "beta-geen": #{ desired: 1 } } } }) }
fn test_fault() { play("deploy", #{ env: "beta", faults: [#{ fault: "throtled", at: "ModifyRule" }] }) }
fn test_call() { play("deploy", #{ env: "beta", faults: [#{ fault: "throttled", at: "ModifyRules" }] }) }
fn test_signal() { play("deploy", #{ env: "beta", signal: #{ name: "SIGTREM", at: "switch" } }) }
fn test_answer() { play("deploy", #{ env: "beta", answers: #{ exsiting: "fresh" } }) }
fn test_field() { play_text("", #{ env: "beta" }).outcom }
"#;
    let project = project().file("playbooks/asks_test.rhai", asks);
    let text = project.bgx(&["test", "playbooks/asks_test.rhai"]);
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ") || line.starts_with("help: ")).collect();
    assert_snapshot!(told.join("\n"), @"
    error: play: there is no playbook `deplyo`
    help: did you mean `deploy`?
    error: play: bgx.toml has no environment `bteta`
    help: did you mean `beta`?
    error: play: the playbook has no parameter `--versoin`
    help: did you mean `--version`?
    error: world: `gruops` is not known
    help: did you mean `groups`?
    error: play: world: there is no group `beta-geen`
    help: did you mean `beta-green`?
    error: play: there is no fault `throtled`
    help: did you mean `throttled`?
    error: play: fault: `ModifyRules` is no call of a run
    help: did you mean `ModifyRule`?
    error: play: signal: `SIGTREM` is not known
    help: did you mean `SIGTERM`?
    error: play: the playbook asks no question `exsiting`
    help: did you mean `existing`?
    error: `run` has no field `outcom`
    help: did you mean `outcome`?
    ");
    assert_eq!(exit_code(&text), Some(3));
}

#[test]
fn a_test_file_is_checked_before_any_test_runs() {
    let project = project().file("playbooks/broken_test.rhai", "fn test_a() { play(\"deploy\", #{ evn: \"beta\" }) }\n");
    assert_snapshot!(project.bgx(&["test"]), @r#"
    ------- stderr -------
    error: `play` has no option `evn`
     --> playbooks/broken_test.rhai:1:33
      |
    1 | fn test_a() { play("deploy", #{ evn: "beta" }) }
      |                                 ^^^
      |
    help: did you mean `env`?

    [exit status: 2]
    "#);
    assert!(project.bgx(&["check"]).contains("error[unknown-option]"));
}

#[test]
fn a_filter_that_fits_no_test_is_an_error() {
    assert_snapshot!(project().bgx(&["test", "--filter", "nothing_of_that_name"]), @"
    ------- stderr -------
    error: no test has `nothing_of_that_name` in its name
      hint: a test is a function `fn test_…()` in a file whose name ends in _test.rhai
    [exit status: 2]
    ");
}

#[test]
fn results_come_as_json_too() {
    let project = project().file("playbooks/failing_test.rhai", FAILING);
    let text = project.bgx(&["test", "--json", "--filter", "test_values", "playbooks"]);
    let found: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(found["test"], "playbooks/failing_test.rhai::test_values");
    assert_eq!((found["ok"].as_bool(), found["line"].as_u64(), found["column"].as_u64()), (Some(false), Some(8), Some(5)));
    assert_eq!(found["difference"], "- \"done\"\n+ \"undone\"");
}

#[test]
fn a_file_that_is_reached_too_little_fails() {
    let text = project().bgx(&["test", "--coverage-min", "90", "--filter", "test_a_build_that_does_not_exist"]);
    assert_eq!(exit_code(&text), Some(3), "{text}");
    assert!(text.contains("playbooks/deploy.rhai is reached less than 90 percent"), "{text}");
}
