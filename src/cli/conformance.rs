//! `bgx doctor --conformance RUN`: whether the sandbox could have answered as AWS did in that run.

use super::failure::Failure;
use super::run::text;
use super::runs;
use super::style::{Paint, clean};
use crate::config::Config;
use crate::host::world;
use crate::prove::conform::{self, Conformance, Finding};
use crate::run::history::Past;
use clap::{Arg, ArgAction, ArgMatches};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// As in `bgx doctor`: something must be corrected.
const FAILED: i32 = 3;

pub fn args() -> [Arg; 3] {
    [
        Arg::new("run")
            .long("conformance")
            .value_name("RUN")
            .conflicts_with("env")
            .help("look at the journal of a run instead: which reply of AWS does the sandbox think impossible? exit 3 if any"),
        Arg::new("world")
            .long("world")
            .value_name("FILE")
            .requires("run")
            .help("judge by this world, such as `bgx sandbox clone` writes, and not by bgx.toml's"),
        Arg::new("all").long("all").action(ArgAction::SetTrue).requires("run").help("show every such reply, not only the first"),
    ]
}

pub fn run(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let past = runs::newest(config, matches)?;
    let (world, believed) = match text(matches, "world") {
        Some(file) => (world::given(Path::new(file))?, format!("the world in {file}")),
        None => (world::new_world(config, 0).map_err(Failure::usage)?, "the sandbox of bgx.toml".to_owned()),
    };
    let found = conform::examine(&past.events, &world, &config.envs);
    let page = match matches.get_flag("json") {
        true => format!("{}\n", document(&past, &found, &believed)),
        false => page(&past, &found, &believed, matches.get_flag("all"), Paint::stdout()),
    };
    let _ = std::io::stdout().write_all(clean(&page).as_bytes());
    Ok(if is_ok(&past, &found) { 0 } else { FAILED })
}

/// A journal that cannot be trusted to its end is not all judged.
fn is_ok(past: &Past, found: &Conformance) -> bool {
    found.is_ok() && past.fault.is_none()
}

fn document(past: &Past, found: &Conformance, believed: &str) -> serde_json::Value {
    let began = &past.began;
    let envs: Vec<&str> = began.envs().collect();
    serde_json::json!({
        "run": began.run, "envs": envs, "target": began.target, "state": runs::state(past), "is_over": past.is_over(),
        "world": believed, "ok": is_ok(past, found), "conformance": found,
    })
}

fn page(past: &Past, found: &Conformance, believed: &str, all: bool, paint: Paint) -> String {
    let began = &past.began;
    let head = format!("run {} · {} on {} · {}", began.run, began.playbook, began.env_list(), began.target);
    let mut out = format!("{}: {}\n", paint.bold(&head), runs::state(past));
    let others: u64 = found.not_judged.values().sum();
    let kinds: Vec<String> = found.not_judged.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let not = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
    let (judged, rules) = (found.judged, found.rules.len());
    let _ = writeln!(out, "  {judged} replies judged by {rules} rules of {believed}; {others} not judged{not}");
    if let Some(fault) = &past.fault {
        let _ = writeln!(out, "  {} {fault}; only what is before that is judged", paint.bad("FAIL"));
    } else if !past.is_over() {
        let _ = writeln!(out, "  {} the run is not over: only what there is so far is judged", paint.bold("warn"));
    }
    let shown = if all { found.impossible.len() } else { 1 };
    found.impossible.iter().take(shown).for_each(|finding| describe(&mut out, finding, paint));
    match found.impossible.len().saturating_sub(shown) {
        0 => {}
        more => drop(writeln!(out, "  {more} more; --all shows them")),
    }
    match (found.judged, found.impossible.is_empty()) {
        (0, _) => drop(writeln!(out, "  {} nothing could be judged, which says nothing about the account", paint.bad("FAIL"))),
        (_, true) => drop(writeln!(out, "  {} the sandbox could have given each of them", paint.good("ok"))),
        (_, false) => {}
    }
    out
}

fn describe(out: &mut String, finding: &Finding, paint: Paint) {
    let Finding { event, at, call, before, now, rule, measured, act } = finding;
    let _ = writeln!(out, "  {} event {event} at {at} cannot be, by the rule `{}`", paint.bad("FAIL"), rule.name);
    let rows = [("reply", call), ("before", before), ("now", now), ("measured", measured)];
    for (name, text) in rows.into_iter().filter(|(_, text)| !text.is_empty()) {
        let _ = writeln!(out, "       {name:9} {text}");
    }
    let _ = writeln!(out, "       {:9} {} ({})", "rule", rule.says, rule.source);
    let _ = writeln!(out, "       {:9} {act}", "do:");
}
