//! `bgx resume`, `undo`, `abandon`, `recover`: go on with a run that a process left, from its journal alone.

use super::failure::Failure;
use super::journals::{self, Latest};
use super::repl;
use super::report::{self, Goal};
use super::run as run_command;
use super::screen::Show;
use super::signals;
use crate::config::{Config, Environment, Target};
use crate::host::{self, Host, Options};
use crate::run::event::{Event, Outcome};
use crate::run::history::{self, HistoryError, Past};
use crate::run::lines;
use crate::run::replay::{self, Standing};
use crate::run::{Answers, Halt, Resumes};
use crate::script::params;
use crate::script::session::{self, Playbook, Request};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks at a run of this folder that is waited for.
const LOOK: Duration = Duration::from_secs(1);

pub fn commands() -> [Command; 4] {
    let run = || Arg::new("run").value_name("RUN").required(true).help("id of a run, or the beginning of one");
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("events as JSON lines on standard output");
    let answer = Arg::new("answer").long("answer").value_name("ID=KEY").action(ArgAction::Append).help("answer a question beforehand");
    let yes = Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue).help("answer the questions that are not for a human");
    let confirm = Arg::new("confirm").long("confirm").value_name("ENV").help("the name of a guarded environment, in place of typing it");
    let reason = Arg::new("reason").long("reason").value_name("TEXT").required(true).help("goes to the journal");
    let env = Arg::new("env").long("env").short('e').value_name("ENV").required(true).help("environment of bgx.toml");
    let target = Arg::new("target").long("target").value_name("TARGET").help("sandbox, aws, or the URL of a server; wins over bgx.toml");
    let current = Arg::new("with-current-sources")
        .long("with-current-sources")
        .action(ArgAction::SetTrue)
        .help("go on with the playbook as it is now, if it agrees with all that the journal holds");
    let place = || target.clone();
    let recover = Command::new("recover").about("Do with an open run whose process died what its playbook's header says; for cron and CI");
    [
        recover.args([env, place(), answer.clone(), yes.clone(), confirm.clone(), json()]),
        Command::new("resume").about("Go on with a run that was paused or whose process died").args([
            run(),
            place(),
            answer,
            yes,
            confirm,
            run_command::on_failure_flag(),
            current,
            json(),
        ]),
        Command::new("undo").about("Take back a run that did not commit").args([run(), place(), json()]),
        Command::new("abandon").about("Give a run up: leases go back, everything else stays as it is").args([
            run(),
            place(),
            reason,
            json(),
        ]),
    ]
}

/// Where a target's journals lie.
pub fn folder(config: &Config, sandbox: bool) -> PathBuf {
    if sandbox { host::world::folder(&config.root).join("runs") } else { config.root.join(".bgx/runs") }
}

/// A run by the beginning of its id: in the sandbox, elsewhere, or in the bucket of an environment.
pub fn find(config: &Config, matches: &ArgMatches) -> Result<Past, Failure> {
    let id = run_command::text(matches, "run").unwrap_or_default();
    let local = match history::find(&folder(config, true), id) {
        Err(HistoryError::Unknown { .. }) => history::find(&folder(config, false), id).or_else(|error| match error {
            HistoryError::Unknown { .. } => history::find(&folder(config, true), id),
            other => Err(other),
        }),
        found => found,
    };
    let options = run_command::options(matches)?;
    let past = match local {
        Err(unknown @ HistoryError::Unknown { .. }) => journals::find(config, id, &options)?.ok_or_else(|| unreadable(unknown))?,
        local => local.map_err(unreadable)?,
    };
    match options.target {
        Some(asked) if asked.to_string() != past.began.target => {
            Err(Failure::usage(format!("run {} is one of {}, not of {asked}", past.id(), past.began.target)))
        }
        _ => Ok(past),
    }
}

fn unreadable(error: HistoryError) -> Failure {
    Failure::of(2, &error)
}

/// A run that is not over stands in the way of another one in the same environment.
pub fn none_open(config: &Config, host: &Host, env: &Environment, wait: Duration, stop: &watch::Receiver<String>) -> Result<(), Failure> {
    let end = host.time.now() + wait;
    loop {
        match one_open(config, host, env) {
            Err(failure) if host.time.now() >= end || !stop.borrow().is_empty() => return Err(failure),
            Err(_) => host.driver.block_on(async { tokio::time::sleep(LOOK).await }),
            Ok(()) => return Ok(()),
        }
    }
}

fn one_open(config: &Config, host: &Host, env: &Environment) -> Result<(), Failure> {
    let all = history::list(&folder(config, host.is_sandbox())).map_err(unreadable)?;
    let target = host.target.to_string();
    let here = all.into_iter().rev().filter(|run| !run.is_over() && run.began.is_in(&env.name) && run.began.target == target);
    // Another machine may have ended it since.
    let known: Vec<Past> = here.map(|run| journals::latest(host, run).map(|latest| latest.past)).collect::<Result<_, _>>()?;
    // A prompt at which nobody allowed writes has no lock.
    let Some(open) = known.iter().find(|run| !run.is_over() && !lines::only_looked(&run.events)) else { return Ok(()) };
    let text = format!("run {} of {} in {} is not over: {}", open.id(), open.began.playbook, env.name, standing_word(open.standing));
    Err(Failure { code: Outcome::Refused.code(), text, causes: Vec::new(), hint: ways_on(open) })
}

/// The commands that an operator may give for a run; `None`: it is over.
pub fn ways_on(run: &Past) -> Option<String> {
    let (id, committed) = (run.id(), replay::committed(&run.events));
    let abandon = format!("bgx abandon {id} --reason …");
    if run.fault.is_some() {
        return Some(format!("look with `bgx status`, then move {} away", run.path.display()));
    }
    Some(match run.standing {
        Standing::Ended(outcome) if outcome.is_over() => return None,
        Standing::Settled(_) => format!("bgx resume {id}, which only releases the lock"),
        Standing::GivingUp => abandon,
        Standing::Ended(Outcome::Stuck) if committed => abandon,
        Standing::Undoing | Standing::Ended(Outcome::Stuck) if !committed => format!("bgx undo {id}, or {abandon}"),
        Standing::Open | Standing::Undoing | Standing::Ended(_) if committed => format!("bgx resume {id}, or {abandon}"),
        Standing::Open | Standing::Undoing | Standing::Ended(_) => format!("bgx resume {id}, or bgx undo {id}, or {abandon}"),
    })
}

pub fn standing_word(standing: Standing) -> &'static str {
    match standing {
        Standing::Open => "it runs now, or its process died",
        Standing::Undoing => "it was being taken back",
        Standing::GivingUp => "it was being given up",
        Standing::Settled(_) => "its lock is not released",
        Standing::Ended(outcome) => outcome.word(),
    }
}

pub fn run(command: &str, matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let past = find(config, matches)?;
    if past.is_over() || past.began.journal.is_none() {
        fits(command, &past)?;
    }
    let target: Target = past.began.target.parse().map_err(Failure::usage)?;
    let host = Host::open(config, &target, &Options::default())?.for_run(past.id());
    let latest = journals::latest(&host, past)?;
    fits(command, &latest.past)?;
    if command == "resume" && latest.past.began.prompt && replay::settled(&latest.past.events).is_none() {
        return repl::resume(&latest, matches, config, &host);
    }
    let interrupt = signals::listen().map_err(|e| Failure::usage(format!("could not listen for signals: {e}")))?;
    carry_on(command, &latest, matches, config, &host, interrupt)
}

/// Takes a run over from its journal and does with it what a command says.
pub fn carry_on(
    command: &str,
    latest: &Latest,
    matches: &ArgMatches,
    config: &Config,
    host: &Host,
    interrupt: watch::Receiver<String>,
) -> Result<i32, Failure> {
    let past = &latest.past;
    let envs = config.env_list(&past.began.env_list())?;
    let current = command == "resume" && matches.try_get_one::<bool>("with-current-sources").ok().flatten() == Some(&true);
    let playbook = if current { current_sources(past, config, &envs)? } else { journal_sources(past)? };
    let (journal, events) = latest
        .reopen()
        .map_err(|e| Failure { code: Outcome::Refused.code(), ..Failure::usage(format!("run {} cannot be taken over: {e}", past.id())) })
        .map_err(|failure| Failure { hint: ways_on(past).filter(|_| past.fault.is_some()), ..failure })?;
    let json = matches.get_flag("json");
    let answers = if command == "resume" { run_command::answers(matches)? } else { Answers::default() };
    let given: BTreeMap<String, String> = past.began.parameters.iter().cloned().collect();
    let params = params::parse(&playbook.params, &given).map_err(|_| Failure::usage("the journal's parameters do not fit its playbook"))?;
    report::first_line(host, json);
    let sources = current.then(|| playbook.sources.texts().into_iter().collect());
    if current {
        let request = run_command::request(&envs, host, run_command::show(true, None, host), Answers::default(), interrupt.clone());
        let observer = Box::new(|_: &Event| {});
        let rehearsal = Request { params: params.clone(), events: events.clone(), run_id: past.began.run.clone(), observer, ..request };
        session::rehearse(&playbook, host, rehearsal).map_err(|halt| not_agreed(&halt, past))?;
    }
    let show = Show { committed: replay::committed(&events), ..run_command::show(json, None, host) };
    let request = Request {
        params,
        journal,
        run_id: past.began.run.clone(),
        actor: run_command::actor(host),
        events,
        resumes: Resumes { on_failure: run_command::on_failure(matches), sources },
        ..run_command::request(&envs, host, show, answers, interrupt)
    };
    // Giving up goes on with the reason that began it, unless another one is given.
    let reason = run_command::text(matches, "reason").or(replay::given_up(&past.events)).unwrap_or_default().to_owned();
    let played = match command {
        "resume" => session::run(&playbook, host, request),
        "undo" => session::undo(&playbook, host, request),
        _ => session::abandon(&playbook, host, request, &reason),
    };
    host.save()?;
    let played = played.map_err(not_gone_on)?;
    if let Some(error) = &played.error {
        report::error(error, &playbook.sources);
    }
    let goal = if command == "undo" { Goal::Back } else { Goal::Forward };
    Ok(report::end(&played, host, &envs, json, goal))
}

/// The playbook that began the run, or that a resume put in its place.
fn journal_sources(past: &Past) -> Result<Playbook, Failure> {
    let texts: BTreeMap<String, String> = replay::sources(&past.events).into_iter().collect();
    Playbook::from_journal(texts, &past.began.playbook, past.began.stdlib.clone())
        .map_err(|problems| Failure::usage(format!("the journal's playbook cannot be played:\n{}", problems.render(false))))
}

/// The same playbook as it is in the project now.
fn current_sources(past: &Past, config: &Config, envs: &[&Environment]) -> Result<Playbook, Failure> {
    let name = &past.began.playbook;
    let path = [config.root.join(name), PathBuf::from(name)].into_iter().find(|path| path.is_file());
    let path = path.ok_or_else(|| Failure::usage(format!("there is no `{name}` here to go on with")))?;
    Playbook::load(&path, config, envs.iter().filter_map(|env| env.hooks.as_deref()))
        .map_err(|problems| Failure::usage(format!("`{name}` cannot be played:\n{}", problems.render(false))))
}

/// Nothing was called and nothing is recorded: the run stays as it was.
fn not_agreed(halt: &Halt, past: &Past) -> Failure {
    let text = format!("the playbook as it is now does not agree with the journal: {halt}");
    Failure {
        code: Outcome::Diverged.code(),
        ..Failure::usage(text).hinted(format!("bgx resume {} goes on with the playbook that began it", past.id()))
    }
}

fn rollback(env: &str) -> String {
    format!("to send traffic back: bgx run rollback --env {env} --why …")
}

pub fn not_gone_on(halt: Halt) -> Failure {
    let outcome = if matches!(halt, Halt::Locked { .. }) { Outcome::Refused } else { Outcome::Paused };
    Failure { code: outcome.code(), ..Failure::usage(format!("the run could not go on: {halt}")) }
}

/// Whether a command is right for where the run stands.
fn fits(command: &str, past: &Past) -> Result<(), Failure> {
    let refused = |text: String, hint: Option<String>| Err(Failure { code: Outcome::Refused.code(), hint, ..Failure::usage(text) });
    let (id, env) = (past.id(), &past.began.env);
    if past.is_over() {
        let hint = (command == "undo" && past.standing == Standing::Ended(Outcome::Done)).then(|| rollback(env));
        return refused(format!("run {id} is over: {}", standing_word(past.standing)), hint);
    }
    let committed = replay::committed(&past.events);
    match command {
        _ if matches!(past.standing, Standing::Settled(_)) => Ok(()),
        "resume" | "undo" if past.standing == Standing::GivingUp => refused(format!("run {id} was being given up"), ways_on(past)),
        "undo" if committed => refused(format!("run {id} has committed: what it did stays"), Some(rollback(env))),
        "resume" if past.standing == Standing::Ended(Outcome::Stuck) || (past.standing == Standing::Undoing && !committed) => {
            refused(format!("run {id} was being taken back"), ways_on(past))
        }
        _ => Ok(()),
    }
}
