//! The real binary is killed half-way: what other commands make of the journal and the account that it left.

use crate::process::Project;
use crate::signals::beta;
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);
const DEPLOY: &[&str] = &["run", "deploy", "--env", "beta", "--version", "latest", "--bake", "5s"];

/// A project whose deploy was killed while its instances boot.
struct Killed {
    project: Project,
    id: String,
    before: Vec<String>,
}

fn killed() -> Killed {
    let project = Project::new();
    let before = beta(&project);
    let mut run = project.bgx(&[DEPLOY, &["--pace", "20x"]].concat());
    let first = run.line(" run ", LIMIT);
    let id = first.split(" run ").nth(1).and_then(|rest| rest.split(' ').next()).expect("the line names the run").to_owned();
    run.line("0/2 in service", LIMIT);
    run.signal("KILL");
    assert_eq!(run.end(LIMIT).code, None);
    Killed { project, id, before }
}

impl Killed {
    /// What a command says; it must end with this exit code.
    fn says(&self, args: &[&str], code: i32) -> String {
        let said = self.project.bgx(args).end(LIMIT);
        assert_eq!(said.code, Some(code), "{args:?}: {}", said.text);
        said.text
    }

    fn journal(&self) -> PathBuf {
        self.project.path().join(format!(".bgx/sandbox/runs/{}.jsonl", self.id))
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.journal()).expect("a killed run leaves its journal");
        text.lines().map(|line| format!("{line}\n")).collect()
    }
}

fn holds(text: &str, part: &str) {
    assert!(text.contains(part), "`{part}` is not in:\n{text}");
}

#[test]
fn another_run_is_refused_and_the_commands_are_named() {
    let killed = killed();
    let id = &killed.id;
    let said = killed.says(DEPLOY, 7);
    holds(&said, &format!("bgx resume {id}, or bgx undo {id}, or bgx abandon {id} --reason"));
    let why = killed.says(&["why", id], 0);
    holds(&why, "last: ");
    holds(&why, &format!("next: bgx resume {id}"));
}

#[test]
fn resume_finishes_a_killed_run_and_after_that_it_is_over() {
    let killed = killed();
    holds(&killed.says(&["resume", &killed.id], 0), ", 0 errors (5xx)");
    let after = beta(&killed.project).join("\n");
    holds(&after, "Beta-Blue 0, Beta-Green 100");
    holds(&after, "beta/active-color = green");
    holds(&killed.says(&["resume", &killed.id], 7), "is over: done");
    holds(&killed.says(&["undo", &killed.id], 7), "bgx run rollback --env beta --why");
    holds(&killed.says(&["show", &killed.id], 0), "committed");
}

#[test]
fn undo_puts_back_what_a_killed_run_did_and_exits_0() {
    let killed = killed();
    holds(&killed.says(&["undo", &killed.id], 0), "taken back, as asked");
    assert_eq!(beta(&killed.project), killed.before);
    holds(&killed.says(&["runs"], 0), "undone");
}

#[test]
fn undo_takes_back_a_call_that_was_sent_right_before_the_kill() {
    let killed = killed();
    let lines = killed.lines();
    let (last, rest) = lines.split_last().expect("there are events");
    assert!(last.to_lowercase().contains("finished"), "{last}");
    std::fs::write(killed.journal(), rest.concat()).expect("the journal can be written");
    killed.says(&["undo", &killed.id], 0);
    assert_eq!(beta(&killed.project), killed.before);
}

#[test]
fn abandon_gives_every_lease_back_and_leaves_the_rest() {
    let killed = killed();
    killed.says(&["abandon", &killed.id, "--reason", "by hand"], 0);
    let after = beta(&killed.project).join("\n");
    holds(&after, "beta-blue: desired 2, min 0,");
    holds(&after, "beta-green: desired 2, min 2,");
    holds(&killed.says(&["why", &killed.id], 0), "abandoned: by hand");
    holds(&killed.says(DEPLOY, 7), "--answer existing=fresh");
}

#[test]
fn a_torn_last_record_is_told_and_does_not_stop_a_resume() {
    let killed = killed();
    let bytes = std::fs::read(killed.journal()).expect("a killed run leaves its journal");
    std::fs::write(killed.journal(), &bytes[..bytes.len() - 20]).expect("the journal can be written");
    holds(&killed.says(&["runs"], 0), "its last record is torn");
    killed.says(&["resume", &killed.id], 0);
    holds(&beta(&killed.project).join("\n"), "Beta-Blue 0, Beta-Green 100");
}

#[test]
fn a_changed_journal_is_refused_by_every_command_and_kept_as_it_is() {
    let killed = killed();
    let mut lines = killed.lines();
    lines[4] = lines[4].replacen("event", "evemt", 1);
    let changed = lines.concat();
    std::fs::write(killed.journal(), &changed).expect("the journal can be written");
    let account = beta(&killed.project);
    for args in [&["resume", &killed.id][..], &["undo", &killed.id], &["abandon", &killed.id, "--reason", "x"], DEPLOY] {
        holds(&killed.says(args, 7), &killed.id);
    }
    holds(&killed.says(&["runs"], 0), "its journal was changed behind event 4");
    assert_eq!(killed.lines().concat(), changed);
    assert_eq!(beta(&killed.project), account);
}

#[test]
fn a_journal_without_its_first_event_is_no_run_and_stops_none() {
    let project = Project::new();
    let runs = project.path().join(".bgx/sandbox/runs");
    std::fs::create_dir_all(&runs).expect("a temporary folder can be written");
    std::fs::write(runs.join("aaaaaa.jsonl"), "{\"hash\":\"0").expect("a temporary folder can be written");
    holds(&project.bgx(&["runs"]).good(LIMIT), "no run is remembered here");
    project.bgx(DEPLOY).good(LIMIT);
}

#[test]
fn runs_that_call_nothing_get_an_id_each() {
    let project = Project::new();
    std::fs::write(project.path().join("no.rhai"), "//! bgx: 1\n//! Fails.\nfail(\"no\");\n").expect("a temporary folder can be written");
    for count in 1..=3 {
        assert_eq!(project.bgx(&["run", "no.rhai", "--env", "beta"]).end(LIMIT).code, Some(3));
        assert_eq!(project.bgx(&["runs"]).good(LIMIT).lines().count(), count);
    }
}
