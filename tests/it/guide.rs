//! `docs/first-strategy.md` followed word for word: its files are written, its commands run, and what it shows of their output is there.

use crate::process::Program;
use crate::support::root;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(240);

/// One block of the page.
#[derive(Debug)]
enum Block<'a> {
    /// A file to write, by its path in the project.
    File(&'a str, String),
    Console(Vec<Step<'a>>),
}

/// A command with the lines that are shown below it, and how it ends.
#[derive(Debug, Default)]
struct Step<'a> {
    command: &'a str,
    shown: Vec<&'a str>,
    code: i32,
}

/// The blocks in the order of the page: `console`, and those that name a file.
fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    for part in page.split("\n```").skip(1).step_by(2) {
        let (head, body) = part.split_once('\n').expect("a block has lines");
        match head.split_once(' ') {
            Some((_, path)) => found.push(Block::File(path, format!("{body}\n"))),
            None if head == "console" => found.push(Block::Console(steps(body))),
            None => panic!("a block of {head} is neither a file nor a command"),
        }
    }
    found
}

fn steps(body: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step> = Vec::new();
    for line in body.lines() {
        let code = line.strip_prefix("[exit status: ").and_then(|rest| rest.trim_end_matches(']').parse().ok());
        match (line.strip_prefix("$ "), code, steps.last_mut()) {
            (Some(command), _, _) => steps.push(Step { command, ..Step::default() }),
            (None, Some(code), Some(step)) => step.code = code,
            (None, None, Some(step)) => step.shown.push(line),
            (None, _, None) => panic!("`{line}` is shown before any command"),
        }
    }
    steps
}

/// Runs a command of the page in a folder; the folder of the next one.
fn follow(step: &Step, folder: PathBuf) -> PathBuf {
    let words: Vec<&str> = step.command.split_whitespace().collect();
    match words.as_slice() {
        ["cd", to] => folder.join(to),
        ["rm", path] => {
            std::fs::remove_file(folder.join(path)).expect("the page wrote it");
            folder
        }
        ["bgx", args @ ..] => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_bgx"));
            command.current_dir(&folder).args(args).args(if args[0] == "run" { vec!["--pace", "0"] } else { Vec::new() });
            let said = Program::start(command).end(LIMIT);
            assert_eq!(said.code, Some(step.code), "{}: {}", step.command, said.text);
            // Both streams are read at once: a line of the one may come between two of the other, so that only the presence of a line is compared.
            for shown in step.shown.iter().map(|line| line.trim()) {
                assert!(said.text.lines().any(|line| line.contains(shown)), "{}: `{shown}` is not said:\n{}", step.command, said.text);
            }
            folder
        }
        _ => panic!("the page has a command that this test does not know: {}", step.command),
    }
}

#[test]
fn the_guide_can_be_followed_as_it_is_written() {
    let begun = Instant::now();
    let page = std::fs::read_to_string(root().join("docs/first-strategy.md")).expect("the repository has the page");
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let mut folder = home.path().to_path_buf();
    let mut commands = 0;
    for block in blocks(&page) {
        match block {
            Block::File(path, text) => std::fs::write(folder.join(path), text).expect("a temporary folder can be written"),
            Block::Console(steps) => {
                for step in &steps {
                    folder = follow(step, folder);
                    commands += 1;
                }
            }
        }
    }
    assert!(commands >= 12, "{commands}");
    assert!(begun.elapsed() < LIMIT, "nobody would wait for it");
    the_line_that_allows_is_needed(&folder);
}

/// What the page says of its `allow:` line.
fn the_line_that_allows_is_needed(project: &Path) {
    let path = project.join("playbooks/halves.rhai");
    let text = std::fs::read_to_string(&path).expect("the page wrote it");
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("//! allow:")).collect();
    assert_eq!(without.len() + 1, text.lines().count());
    std::fs::write(&path, without.join("\n")).expect("a temporary folder can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bgx"));
    command.current_dir(project).args(["run", "halves", "--env", "staging", "--answer", "all=yes"]);
    let said = Program::start(command).end(LIMIT);
    assert_eq!(said.code, Some(3), "{}", said.text);
    assert!(said.text.contains("mixed_versions"), "{}", said.text);
}
