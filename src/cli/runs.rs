//! `bgx runs`, `show`, `why`: what is remembered of runs, from their journals.

use super::failure::Failure;
use super::journals;
use super::recovery::{self, standing_word};
use super::run::{options, text};
use super::screen::minutes;
use super::style::clean;
use crate::config::{Config, Target};
use crate::host::{Host, Options};
use crate::run::desk::Given;
use crate::run::event::{Event, What};
use crate::run::history::{self, Past};
use crate::run::replay::Standing;
use clap::{Arg, ArgMatches, Command};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

pub fn commands() -> [Command; 3] {
    let run = || Arg::new("run").value_name("RUN").required(true).help("id of a run, or the beginning of one");
    let since = Arg::new("since")
        .long("since")
        .value_name("2h|7d|DATE")
        .value_parser(since)
        .help("only those that began after that: 2h or 7d ago, or 2026-11-20 (UTC)");
    let target = || Arg::new("target").long("target").value_name("TARGET").help("where to look for runs that are not remembered here");
    let env = Arg::new("env").long("env").short('e').value_name("ENV").help("only those of one environment");
    [
        Command::new("runs").about("List the runs that are remembered here, newest last").args([env, since, target()]),
        Command::new("show").about("Show what a run did, step by step").args([run(), target()]),
        Command::new("why").about("Show why a run ended as it did, from the end back to the cause").args([run(), target()]),
    ]
}

pub fn run(command: &str, matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let page = match command {
        "runs" => {
            // What is here is worth showing without the rest.
            journals::pull(config, text(matches, "env"), &options(matches)?)?.iter().for_each(Failure::print);
            list(config, text(matches, "env"), matches.get_one::<Since>("since").copied())?
        }
        "show" => steps(&newest(config, matches)?),
        _ => why(&newest(config, matches)?),
    };
    let _ = std::io::stdout().write_all(clean(&page).as_bytes());
    Ok(0)
}

/// From when on runs are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// So long before now.
    Ago(Duration),
    At(Timestamp),
}

impl Since {
    fn counted_from(self, now: Timestamp) -> Timestamp {
        match self {
            Since::At(at) => at,
            Since::Ago(length) => now.checked_sub(length).unwrap_or(Timestamp::MIN),
        }
    }
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(date) = text.parse::<Date>() {
        let midnight = date.to_zoned(TimeZone::UTC).map_err(|e| format!("`{text}` is no date: {e}"))?;
        return Ok(Since::At(midnight.timestamp()));
    }
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let ago = days.map(|days| Duration::from_secs(u64::from(days) * 86_400)).ok_or(());
    let ago = ago.or_else(|()| crate::config::duration(text));
    ago.map(Since::Ago).map_err(|_| format!("`{text}` is no time; write it as 2h, 7d or 2026-11-20"))
}

/// The run as it stands now; where its journal is in S3 and cannot be asked, as it stands here.
pub(super) fn newest(config: &Config, matches: &ArgMatches) -> Result<Past, Failure> {
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

fn list(config: &Config, env: Option<&str>, since: Option<Since>) -> Result<String, Failure> {
    let mut page = String::new();
    for sandbox in [true, false] {
        let runs = history::list(&recovery::folder(config, sandbox)).map_err(|e| Failure::of(2, &e))?;
        // The sandbox's clock stands still between commands: its now is when something happened there last.
        let last = runs.iter().filter_map(|run| run.events.last()).map(|event| event.at).max();
        let now = if sandbox { last.unwrap_or_default() } else { Timestamp::now() };
        let from = since.map(|since| since.counted_from(now));
        let wanted = |run: &&Past| env.is_none_or(|env| run.began.is_in(env)) && from.is_none_or(|from| began(run) >= Some(from));
        for run in runs.iter().filter(wanted) {
            let at = began(run).map(|at| at.to_string()).unwrap_or_default();
            let _ = writeln!(
                page,
                "{}  {at:24}  {:12} {:28} {:8} {}",
                run.id(),
                run.began.env_list(),
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

fn began(run: &Past) -> Option<Timestamp> {
    run.events.first().map(|event| event.at)
}

pub(super) fn state(run: &Past) -> String {
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
    let mut page = format!(
        "run {} · {} on {} · {} as {} · bgx {}\n",
        began.run,
        began.playbook,
        began.env_list(),
        began.target,
        began.identity,
        began.bgx
    );
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
        What::Began(_) | What::Found { .. } | What::Waiting { .. } | What::Settled { .. } | What::Ended(_) | What::Asked { .. } => {
            return None;
        }
        What::AwaitsApproval { step, asking } => format!("  {step:3} waits for approval `{}`: {}", asking.id, asking.text),
        What::Approved { step, given } => format!("  {step:3} {}", approved(given)),
        What::Entered { env } => format!("in {env}"),
        What::BlockStarted { name } => name.clone(),
        What::BlockEnded { ok: true, .. } | What::LineEnded { error: None, .. } => return None,
        What::Line { text, .. } => format!("> {}", text.replace('\n', "\n        ")),
        What::LineEnded { line, error: Some(error), .. } => format!("line {line} failed: {error}"),
        What::BlockEnded { name, .. } => format!("{name} did not come to its end"),
        What::Read { step, verb, of, .. } => format!("  {step:3} read {verb} {of}"),
        What::ReadFailed { step, verb, of, error } => format!("  {step:3} read {verb} {of}: {error}"),
        What::Waited { step, what, seconds, error, .. } => match error {
            None => format!("  {step:3} waited for {what}: {}", minutes(*seconds)),
            Some(error) => format!("  {step:3} waited for {what}: {error}"),
        },
        What::Answered { step, id, key, .. } => format!("  {step:3} {id} = {key}"),
        What::Started { step, action, lease, .. } => format!("  {step:3} {action}{}", if *lease { " (lease)" } else { "" }),
        What::Finished { step, .. } => format!("  {step:3}   seen"),
        What::Unchanged { step, action, .. } => format!("  {step:3} {action}: already so"),
        What::Failed { step, error, .. } => format!("  {step:3}   failed: {error}"),
        What::Noticed { step, text } => format!("  {step:3} noticed: {text}"),
        What::Refused { step, text, .. } => format!("  {step:3} refused: {text}"),
        What::Said { step, text, .. } => format!("  {step:3} {text}"),
        What::Shown { step, table } => format!("  {step:3} {}", table.to_string().replace('\n', "\n      ")),
        What::Effect { step, text, detail, .. } => format!("  {step:3} {text}: {detail}"),
        What::OnUndo { step, request } => format!("  {step:3} when taken back: {request}"),
        What::LeaseReturned { step, action, held_seconds, .. } => {
            format!("  {step:3} lease given back after {}: {action}", minutes(*held_seconds))
        }
        What::LeaseKept { step, why } => format!("  {step:3} lease not given back: {why}"),
        What::Committed { step } => format!("  {step:3} committed"),
        What::CommittedEnv { step, env } => format!("  {step:3} committed in {env}"),
        What::Signalled { signal } => format!("{signal} received"),
        What::Resumed { command, host, identity, sources, .. } => {
            format!(
                "{command} on {host} by {identity}{}",
                if sources.is_some() { ", with sources that were changed meanwhile" } else { "" }
            )
        }
        What::Abandoned { reason } => format!("abandoned: {reason}"),
        What::Broke { text, .. } => format!("broke: {text}"),
        What::UndoStarted { step, action, .. } => format!("  {step:3} taking back: {action}"),
        What::UndoFinished { step, .. } => format!("  {step:3}   taken back"),
        What::UndoSkipped { step } => format!("  {step:3} nothing to take back"),
        What::UndoFailed { step, why, .. } => format!("  {step:3} not taken back: {why}"),
    })
}

/// Who said what, and why.
pub fn approved(given: &Given) -> String {
    let reason = given.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} = {} by {} on {}{reason}", given.id, given.key, given.by, given.host)
}

/// From the outcome back to the event that caused it.
fn why(run: &Past) -> String {
    let mut page = format!("run {} · {} on {}: {}\n", run.id(), run.began.playbook, run.began.env_list(), state(run));
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
        What::LineEnded { error, .. } => error.is_some(),
        What::ReadFailed { .. }
        | What::Failed { .. }
        | What::Noticed { .. }
        | What::Refused { .. }
        | What::LeaseKept { .. }
        | What::Signalled { .. }
        | What::Resumed { .. }
        | What::Abandoned { .. }
        | What::Broke { .. }
        | What::UndoFailed { .. } => true,
        What::Began(_)
        | What::Entered { .. }
        | What::CommittedEnv { .. }
        | What::BlockStarted { .. }
        | What::Line { .. }
        | What::Read { .. }
        | What::Found { .. }
        | What::Waiting { .. }
        | What::Asked { .. }
        | What::Answered { .. }
        | What::AwaitsApproval { .. }
        | What::Approved { .. }
        | What::Started { .. }
        | What::Finished { .. }
        | What::Unchanged { .. }
        | What::Said { .. }
        | What::Shown { .. }
        | What::OnUndo { .. }
        | What::LeaseReturned { .. }
        | What::Committed { .. }
        | What::UndoStarted { .. }
        | What::UndoFinished { .. }
        | What::UndoSkipped { .. }
        | What::Settled { .. }
        | What::Ended(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_length_or_a_day_and_nothing_else() {
        assert_eq!(since("2h"), Ok(Since::Ago(Duration::from_secs(7200))));
        assert_eq!(since("7d"), Ok(Since::Ago(Duration::from_secs(7 * 86_400))));
        assert_eq!(since("2026-11-20").map(|since| since.counted_from(Timestamp::MIN).to_string()), Ok("2026-11-20T00:00:00Z".to_owned()));
        for odd in ["", "yesterday", "2026-13-01", "-2h", "d"] {
            assert!(since(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_length_is_counted_back_from_now() {
        let now = Timestamp::from_second(10_000).expect("a small number of seconds is a time");
        assert_eq!(Since::Ago(Duration::from_secs(4000)).counted_from(now).as_second(), 6000);
    }
}
