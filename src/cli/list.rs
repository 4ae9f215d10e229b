//! `bgx list`: the playbooks of the project with their first lines.

use super::failure::Failure;
use super::style::clean;
use crate::config::Config;
use crate::script::Header;
use std::io::Write;
use std::path::PathBuf;

pub fn run(config: &Config) -> Result<i32, Failure> {
    let folder = config.root.join("playbooks");
    let entries = std::fs::read_dir(&folder).map_err(|e| Failure::usage(format!("could not read `{}`: {e}", folder.display())))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "rhai") && !path.to_string_lossy().ends_with("_test.rhai"));
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let summary = match std::fs::read_to_string(&path) {
            Ok(text) => Header::parse(&name, &text).map_or_else(|_| "(its header has an error)".to_owned(), |header| header.summary),
            Err(error) => format!("({error})"),
        };
        let _ = writeln!(std::io::stdout(), "{name:16} {}", clean(&summary));
    }
    Ok(0)
}
