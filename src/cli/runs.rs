//! `bgx runs`, `show`, `why`: what is remembered of runs, from their journals.

use super::failure::Failure;
use super::journals;
use super::recovery::{self, standing_word};
use super::run::{options, text};
use super::screen::minutes;
use super::style::clean;
use crate::config::{Config, Target};
use crate::host::{Host, Options};
use crate::run::event::{Event, What};
use crate::run::history::{self, Past};
use crate::run::replay::Standing;
use clap::{Arg, ArgMatches, Command};
use std::fmt::Write as _;
use std::io::Write as _;

pub fn commands() -> [Command; 3] {
    let run = || Arg::new("run").value_name("RUN").required(true).help("id of a run, or the beginning of one");
    let target = || Arg::new("target").long("target").value_name("TARGET").help("where to look for runs that are not remembered here");
    let env = Arg::new("env").long("env").short('e').value_name("ENV").help("only those of one environment");
    [
        Command::new("runs").about("List the runs that are remembered here, newest last").args([env, target()]),
        Command::new("show").about("Show what a run did, step by step").args([run(), target()]),
        Command::new("why").about("Show why a run ended as it did, from the end back to the cause").args([run(), target()]),
    ]
}

pub fn run(command: &str, matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let page = match command {
        "runs" => {
            // What is here is worth showing without the rest.
            journals::pull(config, text(matches, "env"), &options(matches)?)?.iter().for_each(Failure::print);
            list(config, text(matches, "env"))?
        }
        "show" => steps(&newest(config, matches)?),
        _ => why(&newest(config, matches)?),
    };
    let _ = std::io::stdout().write_all(clean(&page).as_bytes());
    Ok(0)
}

/// The run as it stands now; where its journal is in S3 and cannot be asked, as it stands here.
fn newest(config: &Config, matches: &ArgMatches) -> Result<Past, Failure> {
    let past = recovery::find(config, matches)?;
    if past.is_over() || past.began.journal.is_none() {
        return Ok(past);
    }
    let target: Target = past.began.target.parse().map_err(Failure::usage)?;
    let known = past.clone();
    let asked = Host::open(config, &target, &Options::default()).map_err(Failure::from).and_then(|host| journals::latest(&host, past));
    Ok(asked.map(|latest| latest.past).unwrap_or_else(|failure| {
        failure.hinted("this is the copy on this machine; there may be more in S3").print();
        known
    }))
}

fn list(config: &Config, env: Option<&str>) -> Result<String, Failure> {
    let mut page = String::new();
    for sandbox in [true, false] {
        let runs = history::list(&recovery::folder(config, sandbox)).map_err(|e| Failure::of(2, &e))?;
        for run in runs.iter().filter(|run| env.is_none_or(|env| run.began.env == env)) {
            let at = run.events.first().map(|event| event.at.to_string()).unwrap_or_default();
            let _ = writeln!(
                page,
                "{}  {at:24}  {:12} {:28} {:8} {}",
                run.id(),
                run.began.env,
                run.began.playbook,
                run.began.target,
                state(run)
            );
        }
    }
    if page.is_empty() {
        page.push_str("no run is remembered here\n");
    }
    Ok(page)
}

fn state(run: &Past) -> String {
    if let Some(fault) = &run.fault {
        return fault.short();
    }
    let torn = if run.torn > 0 { ", its last record is torn" } else { "" };
    format!("{}{torn}", standing_word(run.standing))
}

/// Seconds since the run began, as `mm:ss`.
fn stamp(run: &Past, event: &Event) -> String {
    let began = run.events.first().map_or(event.at, |first| first.at);
    let seconds = event.at.duration_since(began).as_secs().unsigned_abs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

fn steps(run: &Past) -> String {
    let began = &run.began;
    let mut page =
        format!("run {} · {} on {} · {} as {} · bgx {}\n", began.run, began.playbook, began.env, began.target, began.identity, began.bgx);
    for (name, value) in &began.parameters {
        let _ = writeln!(page, "      --{name} {value}");
    }
    for event in &run.events {
        if let Some(line) = line(&event.what) {
            let _ = writeln!(page, "{} {line}", stamp(run, event));
        }
    }
    let _ = writeln!(page, "{}", state(run));
    page.push_str(&next(run));
    page
}

fn next(run: &Past) -> String {
    recovery::ways_on(run).map(|ways| format!("next: {ways}\n")).unwrap_or_default()
}

/// One event in one line; the journal itself has the rest.
fn line(what: &What) -> Option<String> {
    Some(match what {
        What::Began(_) | What::Waiting { .. } | What::Ended(_) | What::Asked { .. } => return None,
        What::BlockStarted { name } => name.clone(),
        What::BlockEnded { ok: true, .. } => return None,
        What::BlockEnded { name, .. } => format!("{name} did not come to its end"),
        What::Read { step, verb, of, .. } => format!("  {step:3} read {verb} {of}"),
        What::ReadFailed { step, verb, of, error } => format!("  {step:3} read {verb} {of}: {error}"),
        What::Waited { step, what, seconds, error } => match error {
            None => format!("  {step:3} waited for {what}: {}", minutes(*seconds)),
            Some(error) => format!("  {step:3} waited for {what}: {error}"),
        },
        What::Answered { step, id, key, .. } => format!("  {step:3} {id} = {key}"),
        What::Started { step, action, lease, .. } => format!("  {step:3} {action}{}", if *lease { " (lease)" } else { "" }),
        What::Finished { step, .. } => format!("  {step:3}   seen"),
        What::Unchanged { step, action, .. } => format!("  {step:3} {action}: already so"),
        What::Failed { step, error, .. } => format!("  {step:3}   failed: {error}"),
        What::Refused { step, text, .. } => format!("  {step:3} refused: {text}"),
        What::Said { step, text, .. } => format!("  {step:3} {text}"),
        What::Effect { step, text, detail, .. } => format!("  {step:3} {text}: {detail}"),
        What::OnUndo { step, request } => format!("  {step:3} when taken back: {request}"),
        What::LeaseReturned { step, action, held_seconds, .. } => {
            format!("  {step:3} lease given back after {}: {action}", minutes(*held_seconds))
        }
        What::LeaseKept { step, why } => format!("  {step:3} lease not given back: {why}"),
        What::Committed { step } => format!("  {step:3} committed"),
        What::Signalled { signal } => format!("{signal} received"),
        What::Resumed { command, host, identity, .. } => format!("{command} on {host} by {identity}"),
        What::Abandoned { reason } => format!("abandoned: {reason}"),
        What::Broke { text, .. } => format!("broke: {text}"),
        What::UndoStarted { step, action, .. } => format!("  {step:3} taking back: {action}"),
        What::UndoFinished { step, .. } => format!("  {step:3}   taken back"),
        What::UndoSkipped { step } => format!("  {step:3} nothing to take back"),
        What::UndoFailed { step, why, .. } => format!("  {step:3} not taken back: {why}"),
    })
}

/// From the outcome back to the event that caused it.
fn why(run: &Past) -> String {
    let mut page = format!("run {} · {} on {}: {}\n", run.id(), run.began.playbook, run.began.env, state(run));
    let ended = run.events.iter().rev().find_map(|event| if let What::Ended(ended) = &event.what { Some(ended) } else { None });
    if let Some(reason) = ended.and_then(|ended| ended.why.as_ref()) {
        let _ = writeln!(page, "because {reason}");
    }
    let causes = run.events.iter().rev().filter(|event| is_cause(&event.what));
    for event in causes.take(8) {
        let text = line(&event.what).unwrap_or_default();
        let place = match &event.what {
            What::Broke { place: Some(place), .. } | What::Refused { place: Some(place), .. } => format!(" ({place})"),
            _ => String::new(),
        };
        let _ = writeln!(page, "  {} {}{place}", stamp(run, event), text.trim_start());
    }
    if run.standing == Standing::Open {
        // Nothing went wrong that it could have recorded; where it was is what there is to know.
        let last = run.events.iter().rev().filter_map(|event| line(&event.what).map(|text| (event, text))).take(3);
        for (event, text) in last.collect::<Vec<_>>().into_iter().rev() {
            let _ = writeln!(page, "  last: {} {}", stamp(run, event), text.trim_start());
        }
    }
    page.push_str(&next(run));
    page
}

fn is_cause(what: &What) -> bool {
    match what {
        What::Waited { error, .. } | What::Effect { error, .. } => error.is_some(),
        What::BlockEnded { ok, .. } => !ok,
        What::ReadFailed { .. }
        | What::Failed { .. }
        | What::Refused { .. }
        | What::LeaseKept { .. }
        | What::Signalled { .. }
        | What::Resumed { .. }
        | What::Abandoned { .. }
        | What::Broke { .. }
        | What::UndoFailed { .. } => true,
        What::Began(_)
        | What::BlockStarted { .. }
        | What::Read { .. }
        | What::Waiting { .. }
        | What::Asked { .. }
        | What::Answered { .. }
        | What::Started { .. }
        | What::Finished { .. }
        | What::Unchanged { .. }
        | What::Said { .. }
        | What::OnUndo { .. }
        | What::LeaseReturned { .. }
        | What::Committed { .. }
        | What::UndoStarted { .. }
        | What::UndoFinished { .. }
        | What::UndoSkipped { .. }
        | What::Ended(_) => false,
    }
}
