//! `bgx plan PLAYBOOK --env ENV`: the run rehearsed in a copy of the account, and what it would do; nothing is changed.

mod chart;
mod page;

use super::failure::Failure;
use super::run::{self, text};
use super::{prove, recovery, report, signals};
use crate::config::Config;
use crate::host::Host;
use crate::prove::plan::{self, Made, Plan, Request};
use crate::prove::{Extent, Mode, Report};
use crate::run::event::Outcome;
use crate::script::header::Permission;
use crate::script::params;
use crate::script::session::Playbook;
use clap::{Arg, ArgAction, ArgMatches, Command};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Exit code where the run would change something, and is safe.
const CHANGES: i32 = 8;

/// What `--out` writes and `bgx run --plan` reads.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filed {
    /// Of the plan, so that a file that was edited is noticed.
    pub hash: String,
    pub plan: Plan,
}

/// The command without a playbook's own flags.
pub fn command() -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| Arg::new(name).long(name).value_name(value).help(help);
    Command::new("plan")
        .about("Rehearse a playbook in a copy of the account, and show what its run would do; changes nothing")
        .arg(Arg::new("playbook").value_name("PLAYBOOK").required(true).help("a .rhai file, or the name of one in playbooks/"))
        .arg(value("env", "ENV", "environment of bgx.toml; `a,b` for a playbook that is for several").short('e').required(true))
        .arg(value("answer", "ID=KEY", "answer a question beforehand; may be repeated").action(ArgAction::Append))
        .arg(Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue).help("answer the questions that are not for a human"))
        .arg(value("target", "TARGET", "sandbox, aws, or the URL of a server; wins over bgx.toml"))
        .arg(
            value("seed", "N", "draws of the rehearsal; the same seed in the same account gives the same plan")
                .value_parser(clap::value_parser!(u64)),
        )
        .arg(value("out", "FILE", "save the plan, for bgx run --plan FILE"))
        .arg(
            value("valid", "30m", "how long the plan may be carried out in a guarded environment; default 30m")
                .value_parser(crate::config::duration),
        )
        .arg(Arg::new("prove").long("prove").action(ArgAction::SetTrue).help("also play every fault at every call, in that very copy"))
        .arg(value("sample", "N", "only every N-th fault and call").value_parser(clap::value_parser!(u64).range(1..)).requires("prove"))
        .arg(value("iam", "FILE", "write the IAM policy that the calls of all these runs need").requires("prove"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("the plan as JSON on standard output"))
}

/// The default of `--valid`.
const VALID: Duration = Duration::from_secs(1800);

pub fn run(matches: &ArgMatches, config: &Config, playbook: &Playbook) -> Result<i32, Failure> {
    let envs = run::env_list(config, text(matches, "env").unwrap_or_default(), playbook)?;
    let options = run::options(matches)?;
    let target = run::one_target(config, &envs, &options)?;
    let given: BTreeMap<String, String> =
        playbook.params.iter().filter_map(|spec| Some((spec.name.clone(), text(matches, &spec.name)?.to_owned()))).collect();
    params::parse(&playbook.params, &given).map_err(|problems| run::bad_params(&problems))?;
    let answers = run::answers(matches)?;
    run::known_questions(&answers, playbook)?;
    let interrupt = signals::listen().map_err(|e| Failure::usage(format!("could not listen for signals: {e}")))?;
    let host = Host::open(config, &target, &options)?;
    let json = matches.get_flag("json");
    report::first_line(&host, json);
    for env in envs.iter().filter(|_| !playbook.header.allows(Permission::WithoutState)) {
        recovery::none_open(config, &host, env, Duration::ZERO, &interrupt)?;
    }
    let cloned = host.clone_of(&envs)?.timed(config)?;
    let request = Request {
        config: config.clone(),
        envs: envs.iter().map(|env| (*env).clone()).collect(),
        playbook: playbook.clone(),
        path: text(matches, "playbook").unwrap_or_default().to_owned(),
        params: given,
        seed: options.seed.unwrap_or(config.sandbox_seed),
        good_for: SignedDuration::try_from(matches.get_one::<Duration>("valid").copied().unwrap_or(VALID)).unwrap_or(SignedDuration::MAX),
        target: target.to_string(),
        account: host.identity.account.clone(),
        identity: host.identity.arn.clone(),
    };
    let answers = crate::run::Answers { terminal: run::asker(&interrupt), ..answers };
    let made = plan::make(request, &cloned, answers)?;
    let proved = if matches.get_flag("prove") { Some(proved(&made, matches, &interrupt)?) } else { None };
    if let (Some(file), Some(report)) = (text(matches, "iam"), &proved) {
        prove::write_policy(file, &made.policy(), report.partial || matches.contains_id("sample"))?;
    }
    let filed = Filed { hash: made.plan.hash(), plan: made.plan };
    let out = text(matches, "out").map(Path::new);
    if let Some(out) = out {
        save(out, &filed)?;
    }
    let shown = match json {
        true => serde_json::json!({ "hash": filed.hash, "plan": filed.plan, "prove": proved }).to_string(),
        false => {
            let guarded = envs.iter().filter(|env| env.guarded && !host.is_sandbox()).map(|env| env.name.as_str());
            let next = page::next(&filed, out, &guarded.collect::<Vec<_>>());
            page::page(&filed, proved.as_ref(), &next, &host)
        }
    };
    let _ = writeln!(std::io::stdout(), "{}", shown.trim_end());
    Ok(code(&filed.plan, proved.as_ref()))
}

/// What a pipeline goes by.
fn code(plan: &Plan, proved: Option<&Report>) -> i32 {
    let is_proved = proved.is_none_or(Report::is_clean);
    match (plan.is_safe() && is_proved, plan.actions().next()) {
        (false, _) => Outcome::Refused.code(),
        (true, None) => 0,
        (true, Some(_)) => CHANGES,
    }
}

fn proved(made: &Made, matches: &ArgMatches, interrupt: &tokio::sync::watch::Receiver<String>) -> Result<Report, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let every = matches.get_one::<u64>("sample").map_or(1, |every| usize::try_from(*every).unwrap_or(usize::MAX));
    let extent = Extent { mode: Mode::Single, fault: None, every, limit: None, most: None, threads };
    Ok(made.prove(&extent, &prove::progress(&extent, interrupt))?)
}

fn save(path: &Path, filed: &Filed) -> Result<(), Failure> {
    let failed = |e: &dyn std::fmt::Display| Failure::usage(format!("could not write `{}`: {e}", path.display()));
    let mut bytes = serde_json::to_vec_pretty(filed).map_err(|e| failed(&e))?;
    bytes.push(b'\n');
    std::fs::write(path, bytes).map_err(|e| failed(&e))
}
