//! `bgx check [PATH…]`: what is wrong with playbooks and modules before anything runs, and with `--run` also in a sandbox.

use super::failure::Failure;
use super::run::{clash, text};
use super::style::{Paint, clean};
use crate::config::{Config, Environment, Target};
use crate::host::{Host, Options};
use crate::run::event::Outcome;
use crate::script::diagnose::{Diagnostic, Level};
use crate::script::examine::{Examined, Kind, examine, kind_of};
use crate::script::params;
use crate::script::session::{self, Playbook, Request};
use crate::script::sources::Sources;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// Exit code when something is wrong.
const WRONG: i32 = 2;

pub fn command() -> Command {
    Command::new("check")
        .about("Find what is wrong with playbooks and modules before anything runs")
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .num_args(0..)
                .help("files or folders; default: the project's playbooks, its stdlib and the hooks in bgx.toml"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["text", "json"])
                .default_value("text")
                .help("json: one object a line, with file, line, column, level, code, message and hint"),
        )
        .arg(Arg::new("deny").long("deny").value_name("LEVEL").value_parser(["warnings"]).help("warnings: exit 2 for them as well"))
        .arg(
            Arg::new("run")
                .long("run")
                .action(ArgAction::SetTrue)
                .help("also play each playbook that needs no parameter, in a sandbox in memory"),
        )
        .arg(
            Arg::new("env")
                .long("env")
                .short('e')
                .value_name("ENV")
                .action(ArgAction::Append)
                .requires("run")
                .help("with --run: where; may be repeated; default: the first of bgx.toml"),
        )
}

pub fn run(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let given: Vec<&String> = matches.get_many("path").into_iter().flatten().collect();
    let files = if given.is_empty() { all(config) } else { named(&given)? };
    let envs = environments(matches, config)?;
    let json = text(matches, "format") == Some("json");
    let mut seen = BTreeSet::new();
    let (mut errors, mut warnings) = (0, 0);
    for path in &files {
        let kind = kind_of(path, config);
        let mut found = examine(path, &kind, config);
        if kind == Kind::Playbook && found.diagnostics.iter().all(|d| d.level != Level::Error) {
            found.diagnostics.extend(deeper(path, config, &envs)?);
        }
        let Examined { diagnostics, sources } = found;
        // A module that several import is told of once.
        for diagnostic in diagnostics.into_iter().filter(|d| seen.insert((d.at.clone(), d.code, d.message.clone()))) {
            match diagnostic.level {
                Level::Error => errors += 1,
                Level::Warning => warnings += 1,
            }
            tell(&diagnostic, path, &sources, json);
        }
    }
    if !json {
        let paint = Paint::stdout();
        let counts = [counted(files.len(), "file"), counted(errors, "error"), counted(warnings, "warning")];
        let line = format!("{} checked: {}, {}", counts[0], counts[1], counts[2]);
        let _ = writeln!(std::io::stdout(), "{}", if errors > 0 { paint.bad(&line) } else { line });
    }
    let denied = matches.contains_id("deny") && warnings > 0;
    Ok(if errors > 0 || denied { WRONG } else { 0 })
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The project's playbooks and stdlib, its hooks, and their tests.
pub fn all(config: &Config) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let folders = [Some(config.root.join("playbooks")), config.stdlib.clone()];
    folders.into_iter().flatten().for_each(|folder| files.extend(scripts(&folder)));
    let hooks: BTreeSet<&String> = config.envs.values().filter_map(|env| env.hooks.as_ref()).collect();
    for hook in hooks {
        let own = [format!("{hook}.rhai"), format!("{hook}_test.rhai")].map(|name| config.root.join(name));
        let [file, test] = own;
        // A module that is missing is told of when it is read.
        for file in [Some(file), Some(test).filter(|test| test.is_file())].into_iter().flatten() {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    files
}

fn named(given: &[&String]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for name in given {
        let path = Path::new(name);
        match path.is_dir() {
            true => files.extend(scripts(path)),
            false if path.is_file() => files.push(path.to_path_buf()),
            false => return Err(Failure::usage(format!("there is no file or folder `{name}`"))),
        }
    }
    Ok(files)
}

/// Every `.rhai` below a folder, by name; links to folders are not followed.
pub fn scripts(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> =
        entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".")).map(|e| e.path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            found.extend(scripts(&path));
        } else if path.extension().is_some_and(|ext| ext == "rhai") {
            found.push(path);
        }
    }
    found
}

fn environments(matches: &ArgMatches, config: &Config) -> Result<Vec<Environment>, Failure> {
    if !matches.get_flag("run") {
        return Ok(Vec::new());
    }
    let named: Vec<&String> = matches.get_many("env").into_iter().flatten().collect();
    match named.is_empty() {
        true => Ok(config.envs.values().take(1).cloned().collect()),
        false => Ok(named.into_iter().map(|name| config.env(name).cloned()).collect::<Result<_, _>>()?),
    }
}

/// What the text alone does not tell: flags of `bgx run`, and how the playbook ends in a sandbox.
fn deeper(path: &Path, config: &Config, envs: &[Environment]) -> Result<Vec<Diagnostic>, Failure> {
    let mut found = Vec::new();
    let Ok(playbook) = Playbook::load(path, config, None) else { return Ok(found) };
    for spec in &playbook.params {
        found.extend(clash(spec).map(|why| Diagnostic::error(why).code("parameter").at(spec.at.clone()).hint("choose another name")));
    }
    let Ok(params) = params::parse(&playbook.params, &BTreeMap::new()) else { return Ok(found) };
    for env in envs {
        let hooked = Playbook::load(path, config, env.hooks.as_deref());
        let playbook = hooked.as_ref().unwrap_or(&playbook);
        let options = Options { seed: Some(config.sandbox_seed), in_memory: true, target: None };
        let host = Host::open(config, &Target::Sandbox, &options)?;
        let (_sender, interrupt) = watch::channel(String::new());
        let mut request = Request { params: params.clone(), ..Request::unwatched(env.clone(), "check", interrupt) };
        request.answers.yes = true;
        found.extend(failure(session::run(playbook, &host, request), env));
    }
    Ok(found)
}

/// A run that did not end as a playbook may end.
fn failure(played: Result<session::Played, crate::run::Halt>, env: &Environment) -> Option<Diagnostic> {
    let told = |text: String| Diagnostic::error(format!("in a sandbox of {}: {text}", env.name)).code("run");
    let played = match played {
        Ok(played) => played,
        Err(halt) => return Some(told(format!("it did not begin: {halt}"))),
    };
    if let Some(error) = played.error {
        return Some(Diagnostic { message: told(error.message.clone()).message, code: "run", ..error });
    }
    match played.ended.outcome {
        Outcome::Done | Outcome::Refused | Outcome::Abandoned => None,
        odd @ (Outcome::Undone | Outcome::Paused | Outcome::Stuck | Outcome::Diverged) => {
            Some(told(format!("it ended {}: {}", odd.word(), played.ended.why.unwrap_or_default())))
        }
    }
}

fn tell(diagnostic: &Diagnostic, path: &Path, sources: &Sources, json: bool) {
    let mut out = std::io::stdout();
    if json {
        let at = diagnostic.at.as_ref();
        let level = match diagnostic.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let object = serde_json::json!({
            "file": at.map_or_else(|| path.display().to_string(), |at| at.file.clone()),
            "line": at.map(|at| at.line),
            "column": at.map(|at| at.column).filter(|column| *column > 0),
            "level": level,
            "code": diagnostic.code,
            "message": clean(&diagnostic.message),
            "hint": diagnostic.hint.as_deref().map(clean),
        });
        let _ = writeln!(out, "{object}");
        return;
    }
    let shown = diagnostic.render_coded(sources, Paint::stdout().is_on());
    let nowhere = if diagnostic.at.is_none() { format!("{}: ", path.display()) } else { String::new() };
    let _ = writeln!(out, "{nowhere}{}\n", shown.trim_end());
}
