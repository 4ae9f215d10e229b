//! `bgx answer RUN ID KEY`: answers a run of somebody else that waits for an approval.

use super::failure::Failure;
use super::recovery;
use super::run as run_command;
use super::style::clean;
use crate::config::{Config, Target};
use crate::host::{self, Host, Options};
use crate::run::approve::{self, KEYS};
use crate::run::desk::{Asking, Desk, Given};
use crate::run::event::Outcome;
use crate::run::history::Past;
use clap::{Arg, ArgMatches, Command};
use jiff::Timestamp;
use std::io::Write;

pub fn command() -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| Arg::new(name).long(name).value_name(value).help(help);
    Command::new("answer")
        .about("Answer a run that waits for the approval of somebody else than who runs it")
        .arg(Arg::new("run").value_name("RUN").required(true).help("id of a run, or the beginning of one"))
        .arg(Arg::new("id").value_name("ID").required(true).help("the question's id"))
        .arg(Arg::new("key").value_name("KEY").required(true).value_parser(KEYS).help("the answer"))
        .arg(value("reason", "TEXT", "goes to the run's journal"))
        .arg(value("as", "NAME", "who you are, in the sandbox only; elsewhere it is whom AWS says that you are"))
        .arg(value("env", "ENV", "the run's environment, where its journal is on another machine").short('e'))
        .arg(value("target", "TARGET", "with --env: aws, or the URL of a server; wins over bgx.toml"))
}

/// Whom to answer, who answers, and where the answer goes.
struct Place {
    desk: Desk,
    open: Vec<Asking>,
    run: String,
    who: String,
    host: Option<Host>,
}

pub fn run(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let text = |name: &str| run_command::text(matches, name).unwrap_or_default();
    let place = place(matches, config)?;
    let asking = place.open.iter().find(|asking| asking.id == text("id")).ok_or_else(|| not_asked(&place, text("id")))?;
    if asking.asked_by == place.who {
        let why = format!("run {} is run by {}: another identity must answer", place.run, place.who);
        return Err(Failure { code: Outcome::Refused.code(), ..Failure::usage(why) });
    }
    let given = Given {
        id: asking.id.clone(),
        key: text("key").to_owned(),
        by: place.who.clone(),
        host: run_command::system_host(),
        at: Timestamp::now(),
        reason: run_command::text(matches, "reason").map(str::to_owned),
    };
    put(&place, &given)?;
    let _ = writeln!(std::io::stdout(), "{}", clean(&format!("{} ({}): {} = {}", asking.text, place.run, given.id, given.key)));
    Ok(0)
}

fn put(place: &Place, given: &Given) -> Result<(), Failure> {
    match &place.host {
        Some(host) => Ok(host.driver.block_on(place.desk.put(given))?),
        // A file needs no clock and no network.
        None => {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.map_err(|e| Failure::usage(format!("no runtime: {e}")))?;
            Ok(runtime.block_on(place.desk.put(given))?)
        }
    }
}

fn place(matches: &ArgMatches, config: &Config) -> Result<Place, Failure> {
    let id = run_command::text(matches, "run").unwrap_or_default();
    match (recovery::find(config, matches), run_command::text(matches, "env")) {
        (Ok(past), _) => of_journal(&past, matches, config),
        (Err(_), Some(env)) => elsewhere(id, env, matches, config),
        (Err(failure), None) => Err(failure.hinted("where its journal is on another machine, name its environment with --env")),
    }
}

fn of_journal(past: &Past, matches: &ArgMatches, config: &Config) -> Result<Place, Failure> {
    let (open, run) = (approve::awaited(&past.events), past.id().to_owned());
    let target: Target = past.began.target.parse().map_err(Failure::usage)?;
    if target == Target::Sandbox {
        let who = run_command::text(matches, "as").map_or_else(run_command::system_user, str::to_owned);
        return Ok(Place { desk: Desk::File(past.path.with_extension("answers")), open, run, who, host: None });
    }
    let env = config.env(&past.began.env)?;
    let host = real(&target, matches, config)?;
    let desk = Desk::objects(&host.account, &env.state.bucket, &env.state.prefix, &run);
    Ok(Place { desk, open, run, who: host.identity.arn.clone(), host: Some(host) })
}

/// A run whose journal is on another machine: its questions lie where its answers do.
fn elsewhere(run: &str, env: &str, matches: &ArgMatches, config: &Config) -> Result<Place, Failure> {
    let env = config.env(env)?;
    let (target, _) = host::target_of(config, env, &run_command::options(matches)?);
    if target == Target::Sandbox {
        return Err(Failure::usage(format!("there is no run `{run}` in this sandbox")));
    }
    let host = real(&target, matches, config)?;
    let desk = Desk::objects(&host.account, &env.state.bucket, &env.state.prefix, run);
    let open = host.driver.block_on(desk.posted())?;
    Ok(Place { desk, open, run: run.to_owned(), who: host.identity.arn.clone(), host: Some(host) })
}

fn real(target: &Target, matches: &ArgMatches, config: &Config) -> Result<Host, Failure> {
    if run_command::text(matches, "as").is_some() {
        return Err(Failure::usage("--as is for the sandbox: here you are whom AWS says that you are"));
    }
    Ok(Host::open(config, target, &Options::default())?)
}

fn not_asked(place: &Place, id: &str) -> Failure {
    let open: Vec<&str> = place.open.iter().map(|asking| asking.id.as_str()).collect();
    let open = if open.is_empty() { "it waits for no answer".to_owned() } else { format!("it waits for {}", open.join(", ")) };
    Failure { code: Outcome::Refused.code(), ..Failure::usage(format!("run {} does not ask `{id}`; {open}", place.run)) }
}
