//! The command line: one file per command. The only room that prints, asks and picks an exit code.

mod answer;
mod check;
mod compare;
mod completions;
mod conformance;
mod docs;
mod doctor;
mod failure;
mod journals;
mod list;
mod lock;
mod man;
mod new;
mod plan;
mod planned;
mod prompt;
mod prove;
mod recovery;
mod repl;
mod report;
mod run;
mod runs;
mod sandbox;
mod screen;
mod signals;
mod status;
mod style;
mod test;

use crate::config::Config;
use crate::script::session::Playbook;
use clap::{ArgMatches, Command};
use failure::Failure;
use std::io::Write;
use style::Paint;

/// Runs bgx with these arguments (the program's name first); the exit code.
pub fn main(args: Vec<String>) -> i32 {
    match dispatch(&args) {
        Ok(code) => code,
        Err(End::Clap(error)) => {
            let _ = error.print();
            error.exit_code()
        }
        Err(End::Shown(code)) => code,
        Err(End::Failure(failure)) => {
            failure.print();
            failure.code
        }
    }
}

/// A command that did not come to run.
enum End {
    /// Help, version, or a command line that does not parse.
    Clap(clap::Error),
    /// The operator was told already; the exit code.
    Shown(i32),
    Failure(Failure),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> End {
        End::Failure(failure)
    }
}

fn bgx() -> Command {
    Command::new("bgx")
        .term_width(120) // the width of a playbook's header
        .version(env!("CARGO_PKG_VERSION"))
        .about("Deployments on AWS Auto Scaling groups and load balancers, as playbooks that can be proved and taken back")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(run::command())
        .subcommand(plan::command())
        .subcommand(prove::command())
        .subcommand(repl::command())
        .subcommand(status::command())
        .subcommand(doctor::command())
        .subcommand(check::command())
        .subcommand(compare::command())
        .subcommand(test::command())
        .subcommand(Command::new("list").about("List the project's playbooks"))
        .subcommands(runs::commands())
        .subcommands(recovery::commands())
        .subcommand(answer::command())
        .subcommand(lock::command())
        .subcommand(sandbox::command())
        .subcommand(docs::command())
        .subcommand(new::command())
        .subcommand(completions::command())
        .subcommand(man::command())
}

fn dispatch(args: &[String]) -> Result<i32, End> {
    let takes_playbook = args.get(1).filter(|word| ["run", "plan", "prove"].contains(&word.as_str()));
    if let Some(command) = takes_playbook.filter(|_| !replays(args)) {
        return run_playbook(command, args);
    }
    let matches = bgx().try_get_matches_from(args).map_err(End::Clap)?;
    if let Some(done) = without_project(&matches) {
        return Ok(done?);
    }
    let config = config()?;
    let code = match matches.subcommand() {
        Some(("run", matches)) => planned::run(matches, &config)?,
        Some(("prove", matches)) => prove::replay(matches, &config)?,
        Some(("repl", matches)) => repl::run(matches, &config)?,
        Some(("doctor", matches)) => doctor::run(matches, &config)?,
        Some(("compare", matches)) => compare::run(matches, &config)?,
        Some(("check", matches)) => check::run(matches, &config)?,
        Some(("test", matches)) => test::run(matches, &config)?,
        Some(("status", matches)) => status::run(matches, &config)?,
        Some(("answer", matches)) => answer::run(matches, &config)?,
        Some(("lock", matches)) => lock::run(matches, &config)?,
        Some(("recover", matches)) => lock::recover(matches, &config)?,
        Some(("sandbox", matches)) => sandbox::run(matches, &config)?,
        Some((command @ ("resume" | "undo" | "abandon"), matches)) => recovery::run(command, matches, &config)?,
        Some((command @ ("runs" | "show" | "why"), matches)) => runs::run(command, matches, &config)?,
        _ => list::run(&config)?,
    };
    Ok(code)
}

/// The commands that work in any folder.
fn without_project(matches: &ArgMatches) -> Option<Result<i32, Failure>> {
    match matches.subcommand() {
        Some(("docs", matches)) => Some(docs::run(matches)),
        Some(("new", matches)) => Some(new::run(matches)),
        Some(("man", matches)) => Some(man::run(matches, bgx())),
        Some(("completions", matches)) => Some(Ok(completions::run(matches, bgx()))),
        _ => None,
    }
}

fn config() -> Result<Config, Failure> {
    let here = std::env::current_dir().map_err(|e| Failure::usage(format!("the current folder cannot be read: {e}")))?;
    Ok(Config::find(&here)?)
}

/// `prove --replay TOKEN` and `run --plan FILE` name no playbook: the token does, and the file.
fn replays(args: &[String]) -> bool {
    let given = |flag: &str| args.iter().any(|arg| arg.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')));
    match args.get(1).map(String::as_str) {
        Some("prove") => given("--replay"),
        Some("run") => given("--plan"),
        _ => false,
    }
}

/// `bgx run`, `bgx plan` and `bgx prove`: the playbook is read first, because its parameters are flags.
fn run_playbook(command: &str, args: &[String]) -> Result<i32, End> {
    let Some(name) = run::playbook_of(&args[2..]) else {
        let error = bgx().try_get_matches_from(args).err();
        return Err(error.map_or_else(|| Failure::usage("no playbook is named").into(), End::Clap));
    };
    let config = config()?;
    let path = run::find(name, &config);
    let playbook = Playbook::load(&path, &config, run::hooks(&config, args)).map_err(|problems| {
        let _ = writeln!(std::io::stderr(), "{}", problems.render(Paint::stderr().is_on()).trim_end());
        End::Shown(2)
    })?;
    type Run = fn(&ArgMatches, &crate::config::Config, &Playbook) -> Result<i32, Failure>;
    let (bare, carry_out): (Command, Run) = match command {
        "prove" => (prove::command(), prove::run),
        "plan" => (plan::command(), plan::run),
        _ => (run::command(), run::run),
    };
    let flags = run::with_params(bare, &playbook)?;
    let all = bgx().mut_subcommand(command, |_| flags);
    let matches: ArgMatches = all.try_get_matches_from(args).map_err(End::Clap)?;
    let matches = matches.subcommand_matches(command).cloned().unwrap_or_default();
    Ok(carry_out(&matches, &config, &playbook)?)
}
