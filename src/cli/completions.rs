//! `bgx completions SHELL`: what a shell needs to complete bgx's commands and flags.

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::{Shell, generate};
use std::io::Write;

pub fn command() -> Command {
    Command::new("completions")
        .about("Print the completion script of a shell; for bash: source <(bgx completions bash)")
        .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell)).help("for which shell"))
}

pub fn run(matches: &ArgMatches, mut bgx: Command) -> i32 {
    let mut script = Vec::new();
    if let Some(shell) = matches.get_one::<Shell>("shell") {
        generate(*shell, &mut bgx, "bgx", &mut script);
    }
    let _ = std::io::stdout().write_all(&script);
    0
}
