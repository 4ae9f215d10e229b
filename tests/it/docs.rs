//! What the documents say is so: the README's commands run, pages are what bgx makes, a new project works.

use crate::process::{Program, Project, Said};
use crate::support::{config, root};
use bgx::run::event::Outcome;
use bgx::script::session::Playbook;
use bgx::script::verbs;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("the repository has a README")
}

/// The arguments of every `$ cargo run -- …` in a console block.
fn commands(readme: &str) -> Vec<Vec<&str>> {
    let blocks = readme.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let lines = blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ cargo run -- "));
    lines.map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn every_command_of_the_readme_exits_0_in_a_new_project() {
    let readme = readme();
    let commands = commands(&readme);
    assert!(commands.len() >= 6, "{commands:?}");
    let project = Project::new();
    for args in commands {
        let said = project.bgx(&args).end(LIMIT);
        assert_eq!(said.code, Some(0), "bgx {}: {}", args.join(" "), said.text);
    }
}

/// Rows of the table of exit codes.
fn exit_codes(readme: &str) -> BTreeMap<i32, String> {
    let rows = readme.lines().skip_while(|line| !line.starts_with("| exit |")).skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells.map(|cells| (cells[1].parse().expect("the first cell is a code"), cells[2].to_owned())).collect()
}

#[test]
fn the_readme_has_the_exit_code_of_every_outcome_and_no_other() {
    use Outcome::{Abandoned, Diverged, Done, Paused, Refused, Stuck, Undone};
    let mut rows = exit_codes(&readme());
    assert!(rows.remove(&1).is_some_and(|row| row.contains("bug")));
    assert!(rows.remove(&2).is_some_and(|row| row.contains("command line")));
    for outcome in [Done, Undone, Paused, Stuck, Refused, Diverged, Abandoned] {
        let row = rows.get(&outcome.code()).unwrap_or_else(|| panic!("{} is missing", outcome.code()));
        assert!(row.contains(outcome.word()), "{}: `{row}` does not say `{}`", outcome.code(), outcome.word());
    }
    assert_eq!(rows.into_keys().collect::<Vec<_>>(), [0, 3, 4, 5, 6, 7]);
}

fn playbooks(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the repository has playbooks");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "rhai") && !path.to_string_lossy().ends_with("_test.rhai")).collect()
}

#[test]
fn every_playbook_checks_for_every_environment() {
    let config = config();
    let playbooks = playbooks(&root().join("playbooks"));
    assert!(playbooks.len() >= 2 && config.envs.len() == 9);
    for path in &playbooks {
        for env in config.envs.values() {
            if let Err(problems) = Playbook::load(path, &config, env.hooks.as_deref()) {
                panic!("{} for {}: {}", path.display(), env.name, problems.render(false));
            }
        }
    }
}

/// Guards yield to a header alone: which of the shipped ones say so is decided here, and not in passing.
#[test]
fn the_playbooks_to_which_a_guard_yields_are_these() {
    let mut allowed = BTreeMap::new();
    for path in playbooks(&root().join("playbooks")) {
        let playbook = Playbook::load(&path, &config(), Some("team/compiler_explorer"))
            .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let name = path.file_stem().expect("a playbook has a name").to_string_lossy().into_owned();
        let words: Vec<&str> = playbook.header.allow.iter().map(|allow| allow.what.word()).collect();
        if !words.is_empty() {
            allowed.insert(name, words);
        }
    }
    let known = [
        ("all-at-once", vec!["take_down", "mixed_versions"]),
        ("batch", vec!["mixed_versions", "less_capacity"]),
        ("canary", vec!["mixed_versions"]),
        ("hybrid", vec!["mixed_versions", "less_capacity"]),
        ("immutable", vec!["mixed_versions"]),
        ("instance-switch", vec!["mixed_versions"]),
        ("instances-restart", vec!["less_capacity"]),
        ("isolate", vec!["less_capacity"]),
        ("rollback-without-state", vec!["without_state"]),
        ("rolling", vec!["mixed_versions", "less_capacity"]),
        ("shutdown", vec!["take_down"]),
    ];
    assert_eq!(allowed, known.map(|(name, words)| (name.to_owned(), words)).into());
}

#[test]
fn the_page_of_the_strategies_is_what_bgx_makes_of_them() {
    // Accounts of three projects: in the repository itself, where nothing is written.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bgx"));
    command.current_dir(root()).args(["compare", "docs/playbooks.toml", "--format", "md"]);
    let said = Program::start(command).end(4 * LIMIT);
    assert_eq!(said.code, Some(0), "{}", said.text);
    let page = std::fs::read_to_string(root().join("docs/playbooks.md")).expect("the repository has it");
    assert_eq!(said.text.trim(), page.trim(), "make it anew: cargo run -- compare docs/playbooks.toml --format md > docs/playbooks.md");
}

/// The binary outside every project.
fn outside(folder: &Path, args: &[&str]) -> Said {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bgx"));
    command.current_dir(folder).args(args);
    Program::start(command).end(4 * LIMIT)
}

#[test]
fn the_page_of_the_verbs_is_what_bgx_makes_of_them() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let said = outside(folder.path(), &["docs", "--format", "md"]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    let page = std::fs::read_to_string(root().join("docs/verbs.md")).expect("the repository has it");
    assert!(said.text.trim() == page.trim(), "make it anew: cargo run -- docs --format md > docs/verbs.md");
}

#[test]
fn docs_of_one_verb_or_function_are_whole_and_others_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let scale = outside(folder.path(), &["docs", "scale"]);
    assert_eq!(scale.code, Some(0));
    insta::assert_snapshot!(scale.text, @"
    scale(color, #{desired, min, max, lease})

    Sets the sizes of a group that are named; a group that serves is never shrunk.

      color     color  such as c.idle (required)
      desired:  int    instances wanted
      min:      int    MinSize, in instances
      max:      int    MaxSize, in instances
      lease:    bool   true: the sizes go back when the run ends

    gives    true if something was changed
    effect   changes the account: guarded, in the journal first
    errors   refused, invalid, conflict
    since    bgx: 1
    example  scale(c.idle, #{ desired: 2, min: 2 })
    ");
    let boot = outside(folder.path(), &["docs", "bg::match_capacity"]);
    insta::assert_snapshot!(boot.text, @r#"
    bg::match_capacity(c, build, asked)

    Boots more where the live colour has grown since the deploy began; gives up after three rounds of growth.

      c      record  what colors() gave
      build  text    what resolve_version gave
      asked  int     instances that were asked for; () for as many as serve

    effect   changes the account, waits, asks a human
    errors   conflict, denied, failed, invalid, refused, timeout
    since    bgx: 1
    example  bg::match_capacity(c, resolve_version("latest"), ())
    module   import "std/blue_green" as bg;
    "#);
    let known = outside(folder.path(), &["docs", "blue_green::boot", "--format", "json"]);
    let known: serde_json::Value = serde_json::from_str(&known.text).expect("it is JSON");
    assert_eq!(known["functions"][0]["signature"], "bg::boot(c, live, build, n)");
    assert_eq!((known["verbs"].as_array().map(Vec::len), known["functions"].as_array().map(Vec::len)), (Some(0), Some(1)));
    let wrong = outside(folder.path(), &["docs", "scal"]);
    assert_eq!(wrong.code, Some(2));
    insta::assert_snapshot!(wrong.text, @"
    error: there is no verb or function `scal`
      hint: did you mean `scale`?
    ");
}

#[test]
fn docs_line_by_line_have_every_verb_and_every_format_the_same_names() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let text = outside(folder.path(), &["docs"]).text;
    let json = outside(folder.path(), &["docs", "--format", "json"]).text;
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let listed = |name: &str| text.lines().any(|line| line.split_whitespace().next() == Some(name));
    for verb in verbs::all() {
        assert!(listed(verb.name), "{} is missing", verb.name);
        assert!(json["verbs"].as_array().is_some_and(|all| all.iter().any(|v| v["name"] == verb.name)), "{}", verb.name);
    }
    for name in ["fail", "param", "play", "assert_eq", "bg::boot", "serving::swap"] {
        assert!(listed(name), "{name} is missing");
    }
    assert!(text.lines().all(|line| !line.trim_end().ends_with("::")), "{text}");
}

#[test]
fn every_shell_gets_a_completion_that_knows_the_commands() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = outside(folder.path(), &["completions", shell]);
        assert_eq!(said.code, Some(0), "{shell}");
        assert!(["prove", "recover", "on-failure"].iter().all(|word| said.text.contains(word)), "{shell}: {}", said.text);
    }
    assert_eq!(outside(folder.path(), &["completions", "tcsh"]).code, Some(2));
}

#[test]
fn every_command_gets_a_manual_page_and_a_bad_folder_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let made = outside(folder.path(), &["man", "share/man1"]);
    assert_eq!(made.code, Some(0), "{}", made.text);
    assert!(made.text.contains("man share/man1/bgx.1"), "{}", made.text);
    let page = |name: &str| std::fs::read_to_string(folder.path().join("share/man1").join(name)).expect("it was made");
    // The list of commands is the one of `bgx --help`, and a command of a command has a page of its own.
    let help = outside(folder.path(), &["--help"]).text;
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1).take_while(|line| !line.is_empty());
    // An indented line goes on with the one before.
    let commands = commands.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands.into_iter().chain(["sandbox-serve"]) {
        assert!(page(&format!("bgx-{command}.1")).starts_with(".ie"), "{command}");
    }
    assert!(page("bgx-run.1").contains("\\-\\-on\\-failure") && page("bgx.1").contains("bgx\\-prove(1)"), "{}", page("bgx.1"));
    std::fs::write(folder.path().join("file"), "").expect("a temporary folder can be written");
    let refused = outside(folder.path(), &["man", "file/man1"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.text.contains("could not write manual pages into `file/man1`"), "{}", refused.text);
}

#[test]
fn a_new_project_checks_tests_deploys_and_proves() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let made = outside(folder.path(), &["new", "shop"]);
    assert_eq!(made.code, Some(0), "{}", made.text);
    let project = folder.path().join("shop");
    // The commands of its workflow and the first deploys of its team; nothing is recompiled or added.
    let commands: [&[&str]; 7] = [
        &["check", "--deny", "warnings"],
        &["test"],
        &["run", "playbooks/deploy.rhai", "--env", "staging"],
        &["run", "playbooks/deploy.rhai", "--env", "staging", "--version", "latest", "--yes", "--reason", "again"],
        &["status"],
        &["recover", "--env", "staging"],
        &["prove", "playbooks/deploy.rhai", "--env", "staging", "--sample", "400"],
    ];
    for args in commands {
        let said = outside(&project, args);
        assert_eq!(said.code, Some(0), "bgx {}: {}", args.join(" "), said.text);
    }
    let workflow = std::fs::read_to_string(project.join(".github/workflows/bgx.yml")).expect("it has a workflow");
    for part in ["bgx check", "bgx test", "bgx prove", "bgx recover --env staging\n        if: always()"] {
        assert!(workflow.contains(part), "{part} is missing");
    }
}

#[test]
fn a_new_project_never_touches_what_is_there() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mine = folder.path().join("shop");
    std::fs::create_dir(&mine).expect("a temporary folder can be written");
    std::fs::write(mine.join("bgx.toml"), "mine").expect("a temporary folder can be written");
    let said = outside(folder.path(), &["new", "shop"]);
    assert_eq!(said.code, Some(2));
    assert!(said.text.contains("`shop` is there already; nothing was written"), "{}", said.text);
    assert_eq!(std::fs::read_to_string(mine.join("bgx.toml")).ok().as_deref(), Some("mine"));
    assert_eq!(std::fs::read_dir(&mine).expect("it is there").count(), 1);
    for name in ["../up", "Shop", "a_b", ""] {
        assert_eq!(outside(folder.path(), &["new", name]).code, Some(2), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 1);
}
