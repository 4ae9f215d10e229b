//! Everything about a playbook that can be known to be wrong before it runs.

mod calls;
mod facts;
mod hidden;
mod lints;
mod names;
pub mod questions;

use super::diagnose::Diagnostic;
use super::explain;
use super::header::{API_LEVEL, Header};
use super::params;
use super::sources::Sources;
use super::verb::Verb;
use facts::{Facts, Known};
use rhai::Engine;
use std::collections::BTreeMap;

/// Checks the playbook and all its modules; several findings at once, in the order of the sources.
///
/// `engine` is one that knows the same verbs; nothing is run on it.
pub fn check(sources: &Sources, engine: &Engine, verbs: &'static [Verb]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let header = sources.main().map(|main| Header::parse(&main.name, &main.text));
    let api = header.as_ref().and_then(|header| header.as_ref().ok()).map_or(API_LEVEL, |header| header.api);
    found.extend(header.and_then(Result::err).unwrap_or_default().into_iter().map(|d| d.code("header")));
    found.extend(params::specs(sources).err().unwrap_or_default().into_iter().map(|d| d.code("parameter")));
    let mut facts: BTreeMap<String, Facts> = BTreeMap::new();
    for (index, file) in sources.files().iter().enumerate() {
        // The name by which others import it; nobody imports the playbook.
        match engine.compile(file.placed()) {
            Ok(ast) => drop(facts.insert(file.module_path().to_string(), Facts::of(ast, index > 0))),
            Err(error) => found.push(explain::parse_error(&error, sources)),
        }
    }
    let known = Known::new(engine, verbs, &facts);
    for own in facts.values() {
        calls::check(own, &known, api, sources, &mut found);
        names::check(own, &known, sources, &mut found);
    }
    in_order(found, sources)
}

/// What runs and is hardly ever meant. Files that do not parse say nothing here.
pub fn warnings(sources: &Sources, engine: &Engine, verbs: &'static [Verb]) -> Vec<Diagnostic> {
    let mut facts: BTreeMap<String, Facts> = BTreeMap::new();
    for (index, file) in sources.files().iter().enumerate() {
        if let Ok(ast) = engine.compile(file.placed()) {
            facts.insert(file.module_path().to_string(), Facts::of(ast, index > 0));
        }
    }
    let known = Known::new(engine, verbs, &facts);
    let mut found = Vec::new();
    for own in facts.values() {
        lints::check(own, &known, sources, &mut found);
    }
    in_order(found, sources)
}

fn in_order(mut found: Vec<Diagnostic>, sources: &Sources) -> Vec<Diagnostic> {
    let rank = |d: &Diagnostic| {
        let at = d.at.as_ref();
        (at.and_then(|p| sources.files().iter().position(|f| f.name == p.file)), at.map(|p| (p.line, p.column)), d.level)
    };
    found.sort_by_key(rank);
    // A closure is seen where it stands and where it is captured.
    found.dedup();
    found
}

#[cfg(test)]
mod playbooks_tests;
#[cfg(test)]
mod tests;
