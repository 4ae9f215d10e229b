//! `bgx lock`: who may change an environment; `bgx recover`: goes on with a run that nobody carries on any more.

use super::failure::Failure;
use super::journals::{self, Latest};
use super::recovery;
use super::report;
use super::run as run_command;
use super::screen::Screen;
use super::signals;
use super::style::{Paint, clean};
use crate::config::{Config, Environment};
use crate::host::{self, Host, Options};
use crate::run::RunError;
use crate::run::event::{Event, Outcome, What};
use crate::run::history::{self, Past};
use crate::run::lines;
use crate::run::lock::{self, LockError, Place, Record};
use crate::run::replay::{self, Standing};
use crate::script::Sources;
use crate::script::header::{Header, Recover};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::io::Write;

pub fn command() -> Command {
    Command::new("lock")
        .about("Who may change an environment now; exit 0: nobody does, 7: a run has it")
        .arg(Arg::new("env").long("env").short('e').value_name("ENV").required(true).help("environment of bgx.toml"))
        .arg(Arg::new("target").long("target").value_name("TARGET").help("sandbox, aws, or the URL of a server; wins over bgx.toml"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("the lock as JSON on standard output"))
}

/// The environment, its target and its lock's place, as a command line names them.
fn open(matches: &ArgMatches, config: &Config) -> Result<(Environment, Host, Place), Failure> {
    let env = config.env(run_command::text(matches, "env").unwrap_or_default())?.clone();
    let options = run_command::options(matches)?;
    let (target, _) = host::target_of(config, &env, &options);
    let host = Host::open(config, &target, &options)?;
    let place = Place::of(&env, &host.account, &host.time);
    Ok((env, host, place))
}

pub fn run(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let (env, host, place) = open(matches, config)?;
    let json = matches.get_flag("json");
    report::first_line(&host, json);
    let seen = host.driver.block_on(place.held()).map_err(failed)?;
    let mut out = std::io::stdout();
    let record = seen.map(|seen| seen.record);
    if json {
        let _ = writeln!(out, "{}", serde_json::json!({ "env": env.name, "lock": record }));
    } else {
        let text = record.as_ref().map_or_else(|| format!("{} is free", env.name), |record| text(record, &place));
        let _ = writeln!(out, "{}", clean(&text));
    }
    Ok(if record.is_some() { Outcome::Refused.code() } else { 0 })
}

fn text(record: &Record, place: &Place) -> String {
    let now = place.now();
    let lease = match record.left(now) {
        _ if record.lease_seconds == 0 => "given up: the run waits for somebody to go on with it".to_owned(),
        Some(left) => format!("{} s left, by the clock of {}", left.as_secs(), record.host),
        None => "run out: its process died, or is cut off".to_owned(),
    };
    let next = format!("bgx resume {0}, bgx undo {0} or bgx abandon {0} --reason …", record.run);
    format!("{}\nlease: {lease}; epoch {}, beat {}\nnext: {next}", record.describe(now), record.epoch, record.beat)
}

fn failed(error: LockError) -> Failure {
    Failure::from(RunError::from(error))
}

/// What is found of an environment's open run.
enum Found {
    Nothing,
    /// Its journal is here.
    Open(Box<Latest>),
    /// The lock names a run that is over by its journal.
    Over(String),
    /// The lock names a run whose journal is somewhere else.
    Elsewhere(Box<Record>),
}

pub fn recover(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let (env, host, place) = open(matches, config)?;
    let mut interrupt = signals::listen().map_err(|e| Failure::usage(format!("could not listen for signals: {e}")))?;
    let say = |text: &str| drop(writeln!(std::io::stdout(), "{}", clean(text)));
    match find(config, &host, &env, &place)? {
        Found::Nothing => {
            say(&format!("{}: there is nothing to recover", env.name));
            Ok(0)
        }
        Found::Elsewhere(record) => Err(Failure {
            code: Outcome::Paused.code(),
            ..Failure::usage(format!("{}; its journal is not in this folder", record.describe(place.now())))
                .hinted(format!("run bgx recover --env {} on {}", env.name, record.host))
        }),
        Found::Over(run) => {
            let mut screen = Screen::new(run_command::show(matches.get_flag("json"), None, &host), Paint::stderr());
            let show = |what: What| screen.see(&Event { seq: 0, at: place.now(), what });
            match host.driver.block_on(lock::clear(&place, &run, &mut interrupt, show)) {
                Err(LockError::Alive { seen }) => say(&format!("run {run} is being ended by {}", seen.holder())),
                Err(error) => return Err(failed(error)),
                Ok(_) => say(&format!("run {run} was over: its lock is released")),
            }
            host.save()?;
            Ok(0)
        }
        Found::Open(latest) => {
            let host = host.for_run(latest.past.id());
            by_header(&latest, matches, config, &host, &interrupt)
        }
    }
}

fn find(config: &Config, host: &Host, env: &Environment, place: &Place) -> Result<Found, Failure> {
    let record = host.driver.block_on(place.held()).map_err(failed)?.map(|seen| seen.record);
    let target = host.target.to_string();
    let all = history::list(&recovery::folder(config, host.is_sandbox())).map_err(|e| Failure::of(2, &e))?;
    let mut own = all.into_iter().rev().filter(|past| past.began.is_in(&env.name) && past.began.target == target);
    let Some(record) = record else {
        for past in own.filter(|past| !past.is_over() && !lines::only_looked(&past.events)) {
            let latest = journals::latest(host, past)?;
            if !latest.past.is_over() {
                return Ok(Found::Open(Box::new(latest)));
            }
        }
        return Ok(Found::Nothing);
    };
    let here = own.find(|past| past.id() == record.run);
    let known = match (here, journals::store(env, host, &record.run)) {
        (None, Some(store)) => journals::fetch(config, host, &store, &record.run)?,
        (here, _) => here,
    };
    // A run of several environments has its journal under the first of them.
    let known = match known {
        None => journals::find(config, &record.run, &Options { target: Some(host.target.clone()), ..Options::default() })?,
        known => known,
    };
    let Some(past) = known else { return Ok(Found::Elsewhere(Box::new(record))) };
    let latest = journals::latest(host, past)?;
    Ok(if latest.past.is_over() { Found::Over(record.run) } else { Found::Open(Box::new(latest)) })
}

/// Resumes, undoes or calls for a human.
fn by_header(
    latest: &Latest,
    matches: &ArgMatches,
    config: &Config,
    host: &Host,
    interrupt: &tokio::sync::watch::Receiver<String>,
) -> Result<i32, Failure> {
    let past = &latest.past;
    if past.is_held() {
        let _ = writeln!(std::io::stdout(), "run {} is carried on by a process on this machine: there is nothing to recover", past.id());
        return Ok(0);
    }
    match what(past) {
        Some(command) => recovery::carry_on(command, latest, matches, config, host, interrupt.clone()),
        None => {
            let id = past.id();
            let back = if replay::committed(&past.events) { format!("bgx abandon {id} --reason …") } else { format!("bgx undo {id}") };
            let text = format!("run {id} of {} in {} is not over, and a human must decide", past.began.playbook, past.began.env_list());
            Err(Failure {
                code: Outcome::Paused.code(),
                ..Failure::usage(text).hinted(format!("bgx why {id}; then bgx resume {id}, or {back}"))
            })
        }
    }
}

/// The command for a run by its playbook's header and by where it stands; `None`: a human decides.
fn what(past: &Past) -> Option<&'static str> {
    match past.standing {
        Standing::Undoing => return Some("undo"),
        Standing::GivingUp => return Some("abandon"),
        Standing::Settled(_) => return Some("resume"),
        Standing::Ended(Outcome::Stuck | Outcome::Diverged) => return None,
        Standing::Open | Standing::Ended(_) => {}
    }
    let texts: BTreeMap<String, String> = past.began.sources.iter().cloned().collect();
    let sources = Sources::from_texts(texts, &past.began.playbook).ok()?;
    let main = sources.main()?;
    match Header::parse(&main.name, &main.text).ok()?.recover {
        // What is committed stays; the rest of the script is how it ends.
        Recover::Undo if replay::committed(&past.events) => Some("resume"),
        Recover::Undo => Some("undo"),
        Recover::Resume => Some("resume"),
        Recover::Page => None,
    }
}
