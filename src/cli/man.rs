//! `bgx man DIR`: a manual page for bgx and for each of its commands.

use super::failure::Failure;
use super::run::text;
use clap::{Arg, ArgMatches, Command};
use std::io::Write;
use std::path::Path;

pub fn command() -> Command {
    Command::new("man")
        .about("Write the manual pages of bgx and its commands into a folder; pages of before are replaced")
        .arg(Arg::new("dir").value_name("DIR").required(true).help("made where it is missing; `man1` of a folder in MANPATH, or any other"))
}

pub fn run(matches: &ArgMatches, bgx: Command) -> Result<i32, Failure> {
    let folder = text(matches, "dir").unwrap_or_default();
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(bgx, folder))
        .map_err(|error| Failure::usage(format!("could not write manual pages into `{folder}`: {error}")))?;
    let _ = writeln!(std::io::stdout(), "Next: man {}", Path::new(folder).join("bgx.1").display());
    Ok(0)
}
