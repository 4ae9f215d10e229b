//! One file under the magnifying glass of `bgx check`: errors and warnings, with the sources that they point into.

use super::check;
use super::diagnose::Diagnostic;
use super::engine;
use super::harness;
use super::imports;
use super::session;
use super::sources::{Sources, Stdlib};
use super::verbs;
use crate::config::Config;
use std::path::Path;

/// What a file is read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Playbook,
    Test,
    /// By its import path.
    Module(String),
}

/// What was found.
pub struct Examined {
    pub diagnostics: Vec<Diagnostic>,
    pub sources: Sources,
}

/// Reads a file with all that it imports and finds what is wrong, or hardly meant, in any of it.
pub fn examine(path: &Path, kind: &Kind, config: &Config) -> Examined {
    let (roots, _) = session::roots(config);
    let loaded = match kind {
        Kind::Test => {
            let (diagnostics, sources) = harness::examine(path, config);
            return Examined { diagnostics, sources };
        }
        Kind::Playbook => Sources::load(path, &roots),
        Kind::Module(module) => Sources::load_module(module, &roots),
    };
    let (mut diagnostics, sources) = match loaded {
        Err(diagnostic) => (vec![*diagnostic], Sources::default()),
        Ok(sources) => {
            let engine = engine::bare(verbs::all());
            let mut found = check::check(&sources, &engine, verbs::all());
            found.extend(check::warnings(&sources, &engine, verbs::all()));
            (found, sources)
        }
    };
    // A module of the stdlib's folder is shown as the file that it is.
    let folder = stdlib_folder(config);
    if let Some(folder) = &folder {
        for place in diagnostics.iter_mut().filter_map(|d| d.at.as_mut()) {
            if let Some(rest) = place.file.strip_prefix(STD) {
                place.file = format!("{folder}{rest}");
            }
        }
    }
    let sources = folder.iter().fold(sources, |sources, folder| sources.renamed(STD, folder));
    Examined { diagnostics, sources }
}

/// How `import` names the stdlib.
const STD: &str = "std/";

/// `stdlib/`, as seen from the project.
fn stdlib_folder(config: &Config) -> Option<String> {
    let folder = config.stdlib.as_ref()?;
    Some(format!("{}/", folder.strip_prefix(&config.root).unwrap_or(folder).display()))
}

/// What a file of the project is, by where it stands; elsewhere by whether it would do something when it is imported.
pub fn kind_of(path: &Path, config: &Config) -> Kind {
    if path.to_string_lossy().ends_with("_test.rhai") {
        return Kind::Test;
    }
    let (roots, _) = session::roots(config);
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let file = real(path).with_extension("");
    if let Stdlib::Folder(folder) = &roots.stdlib
        && let Ok(rest) = file.strip_prefix(real(folder))
    {
        return Kind::Module(format!("{STD}{}", rest.display()));
    }
    let Ok(rest) = file.strip_prefix(real(&roots.project)) else { return Kind::Playbook };
    let name = rest.display().to_string();
    let is_hooks = config.envs.values().any(|env| env.hooks.as_deref() == Some(name.as_str()));
    if is_hooks || (!rest.starts_with("playbooks") && only_defines(path)) {
        return Kind::Module(name);
    }
    Kind::Playbook
}

fn only_defines(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| imports::only_defines(&text))
}
