//! The real binary gets real signals: before the commit everything is as it was, after it nothing is taken back.

use crate::process::{Program, Project};
use std::time::Duration;

/// A minute of the sandbox takes 3 s: slow enough that a signal comes in time, and a deploy ends soon.
const PACE: &str = "20x";
const LINE_LIMIT: Duration = Duration::from_secs(60);
const END_LIMIT: Duration = Duration::from_secs(90);
const SHOW_LIMIT: Duration = Duration::from_secs(30);

fn deploy(project: &Project, bake: &str) -> Program {
    project.bgx(&["run", "deploy", "--env", "beta", "--version", "latest", "--bake", bake, "--pace", PACE])
}

/// What a run may change of `beta`: sizes, rule, parameters without their counters, version key.
pub fn beta(project: &Project) -> Vec<String> {
    let text = project.bgx(&["sandbox", "show"]).good(SHOW_LIMIT);
    let of_beta = ["group beta-", "/beta* → ", "parameter /compiler-explorer/beta/", "version/beta = "];
    let lines = text.lines().filter(|line| of_beta.iter().any(|part| line.contains(part)));
    let lines: Vec<String> = lines.map(|line| line.split(" (version ").next().unwrap_or(line).to_owned()).collect();
    // Two groups, a rule, the colour, its target group and version, the key.
    assert!(lines.len() >= 7, "{text}");
    lines
}

/// Sends the signal once the deploy says `moment`: it must take everything back and exit 3.
fn taken_back(signal: &str, moment: &str) {
    let project = Project::new();
    let before = beta(&project);
    let mut run = deploy(&project, "10m");
    run.line(moment, LINE_LIMIT);
    run.signal(signal);
    let said = run.end(END_LIMIT);
    assert_eq!(said.code, Some(3), "SIG{signal} at `{moment}`: {}", said.text);
    assert!(said.text.contains(&format!("SIG{signal} received")), "{}", said.text);
    assert!(said.text.contains(", 0 errors (5xx)"), "{}", said.text);
    assert_eq!(beta(&project), before, "SIG{signal} at `{moment}`: {}", said.text);
}

#[test]
fn sigterm_while_instances_boot_takes_everything_back() {
    taken_back("TERM", "0/2 in service");
}

#[test]
fn sigint_while_instances_boot_takes_everything_back() {
    taken_back("INT", "0/2 in service");
}

#[test]
fn sigterm_while_health_is_waited_for_takes_everything_back() {
    taken_back("TERM", "0/2 healthy");
}

#[test]
fn sigint_while_health_is_waited_for_takes_everything_back() {
    taken_back("INT", "0/2 healthy");
}

#[test]
fn sigterm_while_the_new_colour_is_watched_takes_everything_back() {
    taken_back("TERM", "watching beta-green: 2/2 healthy");
}

#[test]
fn sigint_while_the_new_colour_is_watched_takes_everything_back() {
    taken_back("INT", "watching beta-green: 2/2 healthy");
}

#[test]
fn sigterm_after_the_commit_takes_nothing_back_but_leases() {
    let project = Project::new();
    let mut run = deploy(&project, "5s");
    run.line("committed", LINE_LIMIT);
    run.signal("TERM");
    let said = run.end(END_LIMIT);
    assert_eq!(said.code, Some(4), "{}", said.text);
    let after = beta(&project).join("\n");
    let latest = "dist/gh/main/41002.tar.xz";
    for part in [
        "Beta-Blue 0, Beta-Green 100",
        "beta/active-color = green",
        &format!("beta/green-version = {latest}"),
        &format!("version/beta = {latest}"),
        "beta-blue: desired 2, min 0,",
        "beta-green: desired 2,",
    ] {
        assert!(after.contains(part), "`{part}` is not in:\n{after}\n{}", said.text);
    }
}

#[test]
fn a_kill_while_instances_boot_leaves_a_whole_world_in_which_the_old_colour_serves() {
    let project = Project::new();
    let mut run = deploy(&project, "5s");
    run.line("0/2 in service", LINE_LIMIT);
    run.signal("KILL");
    assert_eq!(run.end(END_LIMIT).code, None);
    let after = beta(&project).join("\n");
    for part in ["→ Beta-Blue 1", "beta/active-color = blue", "beta-blue: desired 2, min 2,", "beta-green: desired 2, min 2,"] {
        assert!(after.contains(part), "`{part}` is not in:\n{after}");
    }
}
