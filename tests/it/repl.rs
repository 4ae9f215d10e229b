//! `bgx repl`: an incident at a terminal, lines from a pipe, and what becomes of a prompt whose process died.

use crate::process::{Program, Project, Said, python};
use crate::signals::beta;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// The whole incident, on a machine that does other things too.
const INCIDENT_LIMIT: Duration = Duration::from_secs(180);
const PROVE_LIMIT: Duration = Duration::from_secs(300);

const REPL: &[&str] = &["repl", "--env", "beta"];

fn typed(project: &Project, args: &[&str], lines: &[&str]) -> Said {
    let mut repl = project.bgx_typing(args);
    repl.types(lines);
    repl.end(LIMIT)
}

/// Green serves, and SSM says blue.
fn drifted() -> Project {
    let project = Project::new();
    project.bgx(&["run", "deploy", "--env", "beta", "--version", "latest", "--bake", "5s"]).good(LIMIT);
    let path = project.path().join(".bgx/sandbox/world.json");
    let mut world: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let record = &mut world["parameters"]["/compiler-explorer/beta/active-color"]["value"];
    assert_eq!(record, "green");
    *record = "blue".into();
    std::fs::write(&path, world.to_string()).unwrap();
    project
}

fn has(said: &Said, parts: &[&str]) {
    for part in parts {
        assert!(said.text.contains(part), "`{part}` is not in:\n{}", said.text);
    }
}

/// The id of the newest run at a prompt.
fn run_of(project: &Project) -> String {
    let text = project.bgx(&["runs"]).good(LIMIT);
    let line = text.lines().rfind(|line| line.contains(" repl ")).unwrap_or_else(|| panic!("{text}"));
    line.split_whitespace().next().expect("the id comes first").to_owned()
}

#[test]
fn an_incident_is_looked_at_tried_in_a_fork_mended_taken_back_and_saved_as_a_playbook() {
    let project = drifted();
    let mut command = python("repl_incident.py", &[env!("CARGO_BIN_EXE_bgx")]);
    command.current_dir(project.path());
    Program::start(command).good(INCIDENT_LIMIT);
    let checked = project.bgx(&["check", "incident.rhai"]).good(LIMIT);
    assert!(checked.contains("0 errors, 0 warnings"), "{checked}");
    let proved = project.bgx(&["prove", "incident.rhai", "--env", "beta", "--sample", "60"]).good(PROVE_LIMIT);
    assert!(proved.contains("ok: no invariant was breached"), "{proved}");
    let history = std::fs::metadata(project.path().join(".bgx/history/beta")).expect("what was typed is remembered");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&history.permissions()) & 0o777, 0o600);
}

#[test]
fn lines_from_a_pipe_share_variables_functions_and_imports() {
    let project = Project::new();
    let lines = ["let c = colors()", "fn twice(n) {", "  n * 2", "}", "const THREE = 3;", "fn six() { twice(global::THREE) }"];
    let more = ["twice(4)", "six()", "let f = |x| x + twice(1);", "f.call(5)", "bg::size((), c.live)", "c.live.name", "instances(c.live)"];
    let said = typed(&project, REPL, &[&lines[..], &more[..]].concat());
    assert_eq!(said.code, Some(0), "{}", said.text);
    let all: Vec<&str> = said.text.lines().collect();
    for value in ["8", "6", "7", "2", "blue"] {
        assert!(all.contains(&value), "`{value}` is no line of:\n{}", said.text);
    }
    has(&said, &["address   asg        id", "InService  healthy", "done in"]);
}

#[test]
fn help_variables_steps_and_files_are_at_hand() {
    let project = Project::new();
    project.write("mine.rhai", "//! bgx: 1\n//! What a team keeps.\nfn biggest(c) { asg(c.idle).max }\nlet c = colors();\n");
    let lines = ["scale?", "help bg::size", "help", ":load mine.rhai", "biggest(c)", ":vars", ":load none.rhai", "help nonsens", ":back"];
    let said = typed(&project, REPL, &lines);
    assert_eq!(said.code, Some(3), "{}", said.text);
    has(&said, &["scale(color, #{desired, min, max, lease})", "bg::size(asked, live)", ":writes on|off", "c  colors{"]);
    has(&said, &["could not read `none.rhai`", "there is no verb or function `nonsens`", "this is no fork"]);
    assert!(said.text.lines().any(|line| line == "10"), "{}", said.text);
}

#[test]
fn what_is_wrong_does_not_begin_and_says_where() {
    let project = Project::new();
    let said =
        typed(&project, REPL, &["let c = colors()", ":wirtes on", "scal(c)", "scale(c.idle, #{ desird: 1 })", "param(\"x\")", "nobody"]);
    assert_eq!(said.code, Some(3), "{}", said.text);
    has(&said, &["did you mean `:writes`?", "did you mean `scale`?", "did you mean `desired`?", "repl:5:", "no parameters at a prompt"]);
    has(&said, &["unknown variable `nobody`", "failed, nothing was touched"]);
    let shown = project.bgx(&["show", &run_of(&project)]).good(LIMIT);
    assert!(!shown.contains("scal(c)"), "what does not begin is not in the journal: {shown}");
}

#[test]
fn writes_are_off_until_allowed_and_a_guarded_environment_is_named() {
    let project = Project::new();
    let before = beta(&project);
    let said = typed(&project, REPL, &["let c = colors()", "scale(c.idle, #{ desired: 1 })"]);
    assert_eq!(said.code, Some(7), "{}", said.text);
    has(&said, &["writes are off: nothing was sent", "refused, nothing was touched"]);
    assert_eq!(beta(&project), before);
    let guarded = [":writes on", ":writes on beta", "let c = colors()", ":writes on prod", "scale(c.idle, #{ max: 41 })", ":undo"];
    let said = typed(&project, &["repl", "--env", "prod"], &guarded);
    assert_eq!(said.code, Some(4), "lines failed, and something was sent: {}", said.text);
    has(&said, &["`prod` is guarded: its name must be typed", "`beta` is not `prod`", "taken back: prod-green: max 41", "bgx undo"]);
}

#[test]
fn a_failed_line_takes_nothing_back_and_turns_writes_off_where_nobody_watches() {
    let project = Project::new();
    let lines =
        [":writes on", "let c = colors()", "scale(c.idle, #{ max: 7 }); fail(\"no\")", "scale(c.idle, #{ max: 8 })", "asg(c.idle).max"];
    let said = typed(&project, REPL, &lines);
    assert_eq!(said.code, Some(4), "{}", said.text);
    has(&said, &["error: no", "writes are off", "stopped as it is", "why: no"]);
    assert!(said.text.lines().any(|line| line == "7"), "the first change stands, the second was refused: {}", said.text);
    let run = run_of(&project);
    project.bgx(&["undo", &run]).good(LIMIT);
    assert!(beta(&project).iter().any(|line| line.contains("group beta-green") && line.contains("10")), "{:?}", beta(&project));
}

/// A prompt that was killed while two changes stood, one was taken back and one line had failed.
fn killed(project: &Project) -> String {
    let mut repl = project.bgx_typing(REPL);
    repl.types(&[
        "let c = colors()",
        "let more = 2;",
        ":writes on",
        "scale(c.idle, #{ max: 6 + more })",
        "scale(c.idle, #{ max: 9 })",
        ":undo",
    ]);
    repl.types(&[
        "scale(c.idle, #{ min: 99 })",
        "let lost = fail(\"x\")",
        ":writes on",
        "protect_asg(c.live)",
        "`${c.idle.name} has ${asg(c.idle).max}`",
    ]);
    repl.line("green has 8", LIMIT);
    repl.signal("KILL");
    assert_eq!(repl.end(LIMIT).code, None);
    run_of(project)
}

#[test]
fn a_killed_prompt_is_resumed_with_its_variables_and_goes_on() {
    let project = Project::new();
    let run = killed(&project);
    let lock = project.bgx(&["lock", "--env", "beta"]).end(LIMIT);
    assert!(lock.text.contains(&run), "the run has the lock: {}", lock.text);
    let refused = project.bgx(&["run", "deploy", "--env", "beta", "--version", "latest"]).end(LIMIT);
    assert_eq!(refused.code, Some(7), "{}", refused.text);
    let said = project.bgx(&["resume", &run]).end(LIMIT);
    assert_eq!(said.code, Some(0), "{}", said.text);
    has(&said, &["4> scale(c.idle, #{ max: 6 + more })", "there is no terminal: the run ends after its last line", "max 10 → 8"]);
    has(&said, &["lease given back", "done in"]);
    assert!(project.bgx(&["lock", "--env", "beta"]).good(LIMIT).contains("free"));
}

#[test]
fn a_killed_prompt_is_undone_shown_explained_and_left_to_a_human_by_recover() {
    let project = Project::new();
    let before = beta(&project);
    let run = killed(&project);
    let recover = project.bgx(&["recover", "--env", "beta"]).end(LIMIT);
    assert_eq!(recover.code, Some(4), "{}", recover.text);
    assert!(recover.text.contains("a human must decide"), "{}", recover.text);
    let shown = project.bgx(&["show", &run]).good(LIMIT);
    for part in ["> let more = 2;", "> :undo", "taking back: beta-green: max 8", "line 9 failed: repl:", "next: bgx resume"] {
        assert!(shown.contains(part), "`{part}` is not in:\n{shown}");
    }
    let why = project.bgx(&["why", &run]).good(LIMIT);
    assert!(why.contains("last:") && why.contains("line 9 failed"), "{why}");
    project.bgx(&["undo", &run]).good(LIMIT);
    assert_eq!(beta(&project), before);
}

#[test]
fn a_prompt_at_which_writes_were_never_allowed_stands_in_nobodys_way() {
    let project = Project::new();
    let mut repl = project.bgx_typing(REPL);
    repl.types(&["let c = colors()", "c.live.name"]);
    repl.line("blue", LIMIT);
    repl.signal("TERM");
    repl.line("SIGTERM received: the run stays open: bgx resume ", LIMIT);
    project.bgx(&["run", "deploy", "--env", "beta", "--version", "latest", "--bake", "5s"]).good(LIMIT);
    let said = project.bgx(&["undo", &run_of(&project)]).end(LIMIT);
    assert_eq!(said.code, Some(0), "{}", said.text);
}

#[test]
fn ctrl_c_stops_the_line_and_keeps_the_session() {
    let project = Project::new();
    let mut repl = project.bgx_typing(&["repl", "--env", "beta", "--pace", "60x"]);
    repl.types(&["let c = colors()", "wait_until(\"never\", #{ every: \"15s\", timeout: \"2h\" }, || \"not yet\")", "c.live.name"]);
    repl.line("not yet", LIMIT);
    repl.signal("INT");
    repl.line("stopped; what was done stays", LIMIT);
    repl.line("blue", LIMIT);
    repl.signal("KILL");
    repl.end(LIMIT);
    // The stopped line is stopped at the same place when it is replayed.
    let said = project.bgx(&["resume", &run_of(&project)]).end(LIMIT);
    assert_eq!(said.code, Some(0), "{}", said.text);
    has(&said, &["(failed)", "3> c.live.name", "done in"]);
}

#[test]
fn a_fork_changes_nothing_of_the_account_or_the_journal() {
    let project = Project::new();
    let before = beta(&project);
    let lines = ["let c = colors()", ":fork", "scale(c.idle, #{ max: 7 })", "let here = 1;", ":back", "here", "asg(c.idle).max"];
    let said = typed(&project, REPL, &lines);
    has(&said, &["a copy of the account", "for real, type:", "  scale(c.idle, #{ max: 7 });", "unknown variable `here`"]);
    assert!(said.text.lines().any(|line| line == "10"), "{}", said.text);
    assert_eq!(beta(&project), before);
    let shown = project.bgx(&["show", &run_of(&project)]).good(LIMIT);
    assert!(!shown.contains("max: 7"), "{shown}");
}
