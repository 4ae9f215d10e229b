//! Bad input of every kind: a clear error, a position where there is one, the right exit code, and nothing touched.

use crate::program::{Project, exit_code, project};
use insta::assert_snapshot;
use std::time::{Duration, Instant};

/// What no bad input may take, however long the script would go on.
const LIMIT: Duration = Duration::from_secs(15);

/// Runs bgx in a project whose sandbox must not change by it; the text.
pub fn refused(project: &Project, args: &[&str], code: i32) -> String {
    let before = untimed(project);
    let started = Instant::now();
    let text = project.bgx(args);
    assert!(started.elapsed() < LIMIT, "{:?} for {args:?}", started.elapsed());
    assert_eq!(exit_code(&text), Some(code), "{text}");
    assert_eq!(untimed(project), before, "{args:?} touched something: {text}");
    steady(&text)
}

/// The text without run id, time and number of calls: they are no matter of what was wrong.
fn steady(text: &str) -> String {
    let line = |line: &str| {
        let run = line.starts_with("00:00 run ").then(|| line.split_once(" · ").map(|(_, rest)| format!("00:00 run ID · {rest}")));
        let end = line.find(" of virtual time, ").and_then(|_| line.find(" in ")).map(|at| line[..at].to_owned());
        run.flatten().or(end).unwrap_or_else(|| line.to_owned()) + "\n"
    };
    text.lines().map(line).collect()
}

/// The world without the line that holds its clock, which reads move too.
fn untimed(project: &Project) -> String {
    let world = project.world();
    world.lines().filter(|line| !line.starts_with("SANDBOX")).collect::<Vec<_>>().join("\n")
}

/// A run of one playbook with this body.
fn playbook(body: &str, code: i32) -> String {
    let project = project().file("playbooks/given.rhai", format!("//! bgx: 1\n//! Given.\n{body}"));
    refused(&project, &["run", "given", "--env", "beta"], code)
}

#[test]
fn an_unknown_environment_is_named_with_the_nearest() {
    assert_snapshot!(refused(&project(), &["run", "deploy", "--env", "btea"], 2), @r#"
    ------- stderr -------
    error: there is no environment `btea` in bgx.toml; did you mean `beta`?
    [exit status: 2]
    "#);
    assert_snapshot!(refused(&project(), &["status", "--env", "nowhere"], 2), @r#"
    ------- stderr -------
    error: there is no environment `nowhere` in bgx.toml; there are aarch64prod, aarch64staging, beta, gpu, prod, staging, winprod, winstaging, wintest
    [exit status: 2]
    "#);
}

#[test]
fn an_unknown_flag_is_named_with_the_nearest() {
    assert_snapshot!(refused(&project(), &["run", "deploy", "--env", "beta", "--verion", "1"], 2), @r#"
    ------- stderr -------
    error: unexpected argument '--verion' found

      tip: a similar argument exists: '--version'

    Usage: bgx run [OPTIONS] --env <ENV> <PLAYBOOK>
           bgx run [OPTIONS] --plan <FILE>

    For more information, try '--help'.
    [exit status: 2]
    "#);
}

#[test]
fn an_unknown_command_is_named_with_the_nearest() {
    assert_snapshot!(refused(&project(), &["stauts"], 2), @r#"
    ------- stderr -------
    error: unrecognized subcommand 'stauts'

      tip: a similar subcommand exists: 'status'

    Usage: bgx <COMMAND>

    For more information, try '--help'.
    [exit status: 2]
    "#);
}

#[test]
fn a_missing_playbook_is_named() {
    assert_snapshot!(refused(&project(), &["run", "nosuch", "--env", "beta"], 2), @r#"
    ------- stderr -------
    error: there is no file playbooks/nosuch.rhai
    [exit status: 2]
    "#);
    assert_snapshot!(refused(&project(), &["run", "elsewhere/a.rhai", "--env", "beta"], 2), @r#"
    ------- stderr -------
    error: there is no file elsewhere/a.rhai
    [exit status: 2]
    "#);
    assert_snapshot!(refused(&project(), &["run", "depoly", "--env", "beta"], 2), @r#"
    ------- stderr -------
    error: there is no file playbooks/depoly.rhai
     |
    help: did you mean `deploy`?
    [exit status: 2]
    "#);
}

#[test]
fn an_unknown_verb_is_shown_at_its_place() {
    assert_snapshot!(playbook("let c = colors();\nscael(c.idle, #{ desired: 1 });\n", 2), @r#"
    ------- stderr -------
    error: unknown function `scael`
     --> playbooks/given.rhai:4:1
      |
    4 | scael(c.idle, #{ desired: 1 });
      | ^^^^^
      |
    help: did you mean `scale`?
    [exit status: 2]
    "#);
}

#[test]
fn an_unknown_option_is_shown_at_its_place() {
    assert_snapshot!(playbook("let c = colors();\nscale(c.idle, #{ desird: 1 });\n", 2), @r#"
    ------- stderr -------
    error: `scale` has no option `desird`
     --> playbooks/given.rhai:4:18
      |
    4 | scale(c.idle, #{ desird: 1 });
      |                  ^^^^^^
      |
    help: did you mean `desired`?
    [exit status: 2]
    "#);
    // Its name is known only while running.
    assert_snapshot!(playbook("let c = colors();\nlet o = #{};\no[\"desi\" + \"rd\"] = 1;\nscale(c.idle, o);\n", 2), @r#"
    failed, nothing was touched
    why: scale: option "desird" is not known; did you mean "desired"?
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run ID · playbooks/given.rhai on beta

    error: scale: option "desird" is not known; did you mean "desired"?
     --> playbooks/given.rhai:6:1
      |
    6 | scale(c.idle, o);
      | ^^^^^
      |
    help: scale(color, #{desired, min, max, lease})
    [exit status: 2]
    "#);
}

#[test]
fn a_wrong_type_is_shown_at_its_place() {
    assert_snapshot!(playbook("let c = colors();\nscale(c.idle, #{ desired: \"two\" });\n", 2), @r#"
    ------- stderr -------
    error: scale: `desired` wants a whole number, got "two"
     --> playbooks/given.rhai:4:27
      |
    4 | scale(c.idle, #{ desired: "two" });
      |                           ^^^^^
    [exit status: 2]
    "#);
    assert_snapshot!(playbook("let c = colors();\nlet n = \"2\" + \"\";\nscale(c.idle, #{ desired: n });\n", 2), @r#"
    failed, nothing was touched
    why: scale: `desired` wants a whole number, got "2"
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run ID · playbooks/given.rhai on beta

    error: scale: `desired` wants a whole number, got "2"
     --> playbooks/given.rhai:5:1
      |
    5 | scale(c.idle, #{ desired: n });
      | ^^^^^
    [exit status: 2]
    "#);
    assert_snapshot!(playbook("let c = colors();\nscale(c.idle, #{ desired: 0 - 1 });\n", 2), @r#"
    failed, nothing was touched
    why: scale: `desired` wants a number from 0, got -1
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run ID · playbooks/given.rhai on beta

    error: scale: `desired` wants a number from 0, got -1
     --> playbooks/given.rhai:4:1
      |
    4 | scale(c.idle, #{ desired: 0 - 1 });
      | ^^^^^
    [exit status: 2]
    "#);
    assert_snapshot!(playbook("scale(\"beta-green\", #{ desired: 1 });\n", 2), @r#"
    ------- stderr -------
    error: scale: `color` wants a colour such as `c.idle`, got "beta-green"
     --> playbooks/given.rhai:3:7
      |
    3 | scale("beta-green", #{ desired: 1 });
      |       ^^^^^^^^^^^^
    [exit status: 2]
    "#);
}

#[test]
fn a_word_that_is_reserved_is_called_so() {
    assert_snapshot!(playbook("let new = 1;\n", 2), @r#"
    ------- stderr -------
    error: `new` is a reserved word of Rhai
     --> playbooks/given.rhai:3:5
      |
    3 | let new = 1;
      |     ^^^
      |
    help: choose another name
    [exit status: 2]
    "#);
}

#[test]
fn a_file_that_ends_in_the_middle_is_called_so() {
    assert_snapshot!(playbook("step \"a\" {\n", 2), @r#"
    ------- stderr -------
    error: expected `}` to terminate this block
    --> playbooks/given.rhai:4:1
    [exit status: 2]
    "#);
}

#[test]
fn a_loop_without_end_is_stopped() {
    assert_snapshot!(playbook("loop { }\n", 2), @r#"
    failed, nothing was touched
    why: the playbook computed for too long without an end
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run ID · playbooks/given.rhai on beta

    error: the playbook computed for too long without an end
     --> playbooks/given.rhai:3:6
      |
    3 | loop { }
      |      ^
      |
    help: is there a loop that waits by itself? wait with a verb instead
    [exit status: 2]
    "#);
}

#[test]
fn calls_without_end_are_stopped() {
    assert_snapshot!(playbook("fn f(n) { f(n + 1) }\nf(0);\n", 2), @r#"
    failed, nothing was touched
    why: calls are nested too deep
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run ID · playbooks/given.rhai on beta

    error: calls are nested too deep
     --> playbooks/given.rhai:4:1
      |
    4 | f(0);
      | ^
      |
    help: does a function call itself without an end?
    [exit status: 2]
    "#);
}

#[test]
fn a_text_of_a_gigabyte_is_stopped_before_it_is_made() {
    assert_snapshot!(playbook("let s = \"0123456789\";\nfor i in 0..27 { s += s; }\n", 2), @r#"
    failed, nothing was touched
    why: a value grew too large: length of string
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run ID · playbooks/given.rhai on beta

    error: a value grew too large: length of string
     --> playbooks/given.rhai:4:20
      |
    4 | for i in 0..27 { s += s; }
      |                    ^
    [exit status: 2]
    "#);
    assert_snapshot!(playbook("let s = \"x\";\ns.pad(1000000000, \"x\");\n", 2), @r#"
    failed, nothing was touched
    why: a value grew too large: length of string
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run ID · playbooks/given.rhai on beta

    error: a value grew too large: length of string
     --> playbooks/given.rhai:4:3
      |
    4 | s.pad(1000000000, "x");
      |   ^^^
    [exit status: 2]
    "#);
}

#[test]
fn an_import_from_outside_the_project_is_refused() {
    assert_snapshot!(playbook("import \"../x\" as x;\n", 2), @r#"
    ------- stderr -------
    error: `../x` is no module path: `.` and `..` are not allowed
     --> playbooks/given.rhai:3:8
      |
    3 | import "../x" as x;
      |        ^^^^^^
      |
    help: write names separated by `/`, such as "std/blue_green" or "team/checks"
    [exit status: 2]
    "#);
    assert_snapshot!(playbook("import \"/etc/passwd\" as x;\n", 2), @r#"
    ------- stderr -------
    error: `/etc/passwd` is no module path: it must be relative and use `/`
     --> playbooks/given.rhai:3:8
      |
    3 | import "/etc/passwd" as x;
      |        ^^^^^^^^^^^^^
      |
    help: write names separated by `/`, such as "std/blue_green" or "team/checks"
    [exit status: 2]
    "#);
}

#[test]
fn a_playbook_that_is_not_utf8_is_refused() {
    let project = project().file("playbooks/given.rhai", b"//! bgx: 1\n//! Given.\nlet a = \"\xff\xfe\";\n");
    assert_snapshot!(refused(&project, &["run", "given", "--env", "beta"], 2), @r#"
    ------- stderr -------
    error: playbooks/given.rhai is not UTF-8: a wrong byte at byte 31
    [exit status: 2]
    "#);
}

#[test]
fn a_missing_parameter_is_named() {
    assert_snapshot!(refused(&project(), &["run", "rollback", "--env", "beta"], 2), @r#"
    ------- stderr -------
    error: `--why` is required (goes to the journal)
    [exit status: 2]
    "#);
}

#[test]
fn parameters_are_checked_before_anything_runs() {
    let run = |flag: &str, value: &str| refused(&project(), &["run", "deploy", "--env", "beta", flag, value], 2);
    assert_snapshot!(run("--capacity", "0"), @r#"
    ------- stderr -------
    error: `--capacity` must be at least 1, got 0
    [exit status: 2]
    "#);
    assert_snapshot!(run("--capacity", "many"), @r#"
    ------- stderr -------
    error: `--capacity` wants a whole number, got `many`
    [exit status: 2]
    "#);
    assert_snapshot!(run("--bake", "5"), @r#"
    ------- stderr -------
    error: `--bake` wants a duration such as 5m, got `5`
    [exit status: 2]
    "#);
}

#[test]
fn values_that_only_the_account_can_judge_fail_before_anything_is_touched() {
    let run = |flag: &str, value: &str| refused(&project(), &["run", "deploy", "--env", "beta", flag, value], 3);
    assert_snapshot!(run("--to", "red"), @"
    failed, nothing was touched
    why: there is no colour `red`; there are blue and green
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run ID · playbooks/deploy.rhai on beta

    error: there is no colour `red`; there are blue and green
      --> playbooks/deploy.rhai:14:9
       |
    14 | let c = colors(#{ to: to });            // c.live, c.idle: read from the listener once; names do not move when traffic does
       |         ^^^^^^
    [exit status: 3]
    ");
    assert_snapshot!(run("--version", "gh-99999999"), @"
    failed, nothing was touched
    why: there is no build `gh-99999999` under `dist/gh/`
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run ID · playbooks/deploy.rhai on beta

    error: there is no build `gh-99999999` under `dist/gh/`
      --> playbooks/deploy.rhai:15:13
       |
    15 | let build = resolve_version(version ?? c.live.version);
       |             ^^^^^^^^^^^^^^^
    [exit status: 3]
    ");
}

#[test]
fn answers_are_checked() {
    let run = |answer: &str, code| refused(&project(), &["run", "deploy", "--env", "beta", "--answer", answer], code);
    assert_snapshot!(run("existing", 2), @r#"
    ------- stderr -------
    error: `--answer existing` has no `=`; write --answer ID=KEY
    [exit status: 2]
    "#);
    assert_snapshot!(run("exsting=fresh", 2), @r#"
    ------- stderr -------
    error: `--answer exsting=…`: the playbook asks no question `exsting`
      hint: did you mean `existing`?
    [exit status: 2]
    "#);
    let project = project();
    assert_eq!(exit_code(&project.bgx(&["run", "deploy", "--env", "beta"])), Some(0));
    assert_snapshot!(refused(&project, &["run", "deploy", "--env", "beta", "--answer", "existing=frsh"], 7), @r#"
    refused, nothing was touched
    why: `--answer existing=frsh` is no answer; the answers are fresh, stop
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run ID · playbooks/deploy.rhai on beta
    00:00 preparation
    00:00   ? beta-blue already runs 2 instance(s)
    00:00       fresh  empty it first, then deploy fresh instances
    00:00       stop   stop here; `bgx run rollback` sends traffic to them
    [exit status: 7]
    "#);
}

#[test]
fn a_seed_names_a_run_only_once() {
    let project = project();
    assert_eq!(exit_code(&project.bgx(&["run", "deploy", "--env", "beta", "--seed", "5"])), Some(0));
    assert_snapshot!(refused(&project, &["run", "deploy", "--env", "beta", "--seed", "5"], 2), @r#"
    ------- stderr -------
    error: there is a run `fguj4a` already, from the same seed
      hint: give another --seed, or make a new sandbox: bgx sandbox reset
    [exit status: 2]
    "#);
}

#[test]
fn a_pace_and_a_target_must_be_ones() {
    assert_snapshot!(refused(&project(), &["run", "deploy", "--env", "beta", "--pace", "x"], 2), @r#"
    ------- stderr -------
    error: invalid value 'x' for '--pace <60x>': `x` is not a pace; write 60x

    For more information, try '--help'.
    [exit status: 2]
    "#);
    assert_snapshot!(refused(&project(), &["run", "deploy", "--env", "beta", "--target", "moon"], 2), @r#"
    ------- stderr -------
    error: `moon` is not a target; use `sandbox`, `aws` or a URL such as `http://127.0.0.1:5000`
    [exit status: 2]
    "#);
    assert_snapshot!(refused(&project(), &["sandbox", "serve", "--pace", "0"], 2), @r#"
    ------- stderr -------
    error: `--pace` wants a number above 0, such as 60x
    [exit status: 2]
    "#);
}
