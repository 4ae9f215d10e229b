//! `bgx prove PLAYBOOK --env ENV`: the playbook under every fault at every call, in simulated accounts, and what went wrong.

use super::failure::Failure;
use super::run::{self, text};
use super::signals;
use super::style::{Paint, clean};
use crate::account::Memo;
use crate::config::Config;
use crate::prove::permissions::{self, Ids};
use crate::prove::{self, Extent, Mode, ProveError, Report, Rights, Standing, Start, Story, Subject, Token};
use crate::run::event::Outcome;
use crate::sandbox::world::Policy;
use crate::script::session::Playbook;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;

/// Exit code when something was found.
const FOUND: i32 = 3;
/// For draws that have no end of their own.
const UNBOUNDED_SECONDS: u64 = 60;
/// Width of the bar.
const BAR: usize = 30;
/// Changes of the account that a story shows.
const CHANGES_SHOWN: usize = 30;

pub fn command() -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| Arg::new(name).long(name).value_name(value).help(help);
    let number = |name: &'static str, help: &'static str| value(name, "N", help).value_parser(clap::value_parser!(u64).range(1..));
    Command::new("prove")
        .about("Play a playbook under every fault at every call, in simulated accounts, and judge what its users see")
        .arg(
            Arg::new("playbook")
                .value_name("PLAYBOOK")
                .required_unless_present("replay")
                .help("a .rhai file, or the name of one in playbooks/"),
        )
        .arg(value("env", "ENV", "environment of bgx.toml").short('e').required_unless_present("replay"))
        .arg(value("answer", "ID=KEY", "answer a question beforehand; may be repeated").action(ArgAction::Append))
        .arg(
            value("faults", "MODE", "single: each fault at each call; pairs: two faults; random: up to three, in accounts of any timing")
                .value_parser(Mode::ALL.map(|(word, _)| word))
                .default_value("single"),
        )
        .arg(value("fault", "NAME", "only this fault").value_parser(prove::faults::FAULTS.each_ref().map(|fault| fault.name)))
        .arg(value("seed", "N", "draws of the sandbox and of retries").value_parser(clap::value_parser!(u64)))
        .arg(
            value("world", "STATE", "before the run; default: fresh, or warm where the playbook does nothing there")
                .value_parser(Start::ALL.map(|(word, _)| word)),
        )
        .arg(number("seconds", "no longer than this; default for pairs and random: 60"))
        .arg(number("sample", "only every N-th fault and call"))
        .arg(number("threads", "at a time; default: one a core"))
        .arg(
            value("replay", "TOKEN", "one scenario again, from a story's last line")
                .conflicts_with_all(["playbook", "env", "seed", "sample", "fault", "world", "seconds"]),
        )
        .arg(value("iam", "FILE", "write the IAM policy that the calls of all runs need").conflicts_with("replay"))
        .arg(value("policy", "FILE", "the identity may do what this IAM policy allows, and nothing else"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("the report as JSON on standard output"))
}

/// `prove` of a playbook whose parameters are among the flags.
pub fn run(matches: &ArgMatches, config: &Config, playbook: &Playbook) -> Result<i32, Failure> {
    let params: BTreeMap<String, String> =
        playbook.params.iter().filter_map(|spec| Some((spec.name.clone(), text(matches, &spec.name)?.to_owned()))).collect();
    let word = |name: &str| text(matches, name).unwrap_or_default();
    let start = Start::ALL.iter().find(|(name, _)| *name == word("world")).map(|(_, start)| *start);
    let mode = Mode::ALL.iter().find(|(name, _)| *name == word("faults")).map_or(Mode::Single, |(_, mode)| *mode);
    let envs = run::env_list(config, word("env"), playbook)?;
    let mut subject = Subject {
        env: envs[0].clone(),
        also: envs[1..].iter().map(|env| (*env).clone()).collect(),
        path: word("playbook").to_owned(),
        seed: matches.get_one::<u64>("seed").copied().unwrap_or(config.sandbox_seed),
        answers: answers(matches)?,
        config: config.clone(),
        playbook: playbook.clone(),
        params,
        start: start.unwrap_or_default(),
        rights: rights(matches)?,
        given: None,
        memo: Some(Memo::default()),
    };
    let number = |name: &str| matches.get_one::<u64>(name).copied();
    let size = |name: &str| number(name).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let unbounded = (mode != Mode::Single).then_some(UNBOUNDED_SECONDS);
    let extent = Extent {
        mode,
        fault: text(matches, "fault").map(str::to_owned),
        every: size("sample").unwrap_or(1),
        limit: number("seconds").or(unbounded).map(Duration::from_secs),
        most: None,
        threads: size("threads").unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
    };
    let signals = signals::listen().map_err(|e| Failure::usage(format!("signals cannot be heard: {e}")))?;
    let progress = progress(&extent, &signals);
    let mut report = prove::prove(&subject, &extent, &progress);
    // A playbook that goes back finds nothing to go back to where nothing was deployed.
    if start.is_none() && matches!(report, Err(ProveError::Baseline { .. })) {
        subject.start = Start::Warm;
        report = prove::prove(&subject, &extent, &progress).or(report);
    }
    let report = report?;
    if let Some(file) = text(matches, "iam") {
        let policy =
            permissions::policy(&subject.rights.seen(), &subject.envs().collect::<Vec<_>>(), Ids::Made(subject.env.account.as_deref()));
        write_policy(file, &policy, extent.every > 1 || extent.fault.is_some() || report.partial)?;
    }
    let code = tell(&report, matches.get_flag("json"));
    Ok(if code == 0 && !signals.borrow().is_empty() { Outcome::Paused.code() } else { code })
}

/// Shows how far it is; a signal stops it.
pub fn progress<'a>(extent: &'a Extent, signals: &'a watch::Receiver<String>) -> impl Fn(Standing) -> bool + Sync + 'a {
    let shown = Mutex::new(0);
    move |standing: Standing| {
        show(standing, extent, &shown);
        signals.borrow().is_empty()
    }
}

/// `prove --replay TOKEN`.
pub fn replay(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let token = text(matches, "replay").and_then(Token::decode).ok_or_else(|| Failure::usage("that is not a token of `bgx prove`"))?;
    let envs = config.env_list(&token.env)?;
    let path = run::find(&token.playbook, config);
    let playbook = Playbook::load(&path, config, envs.iter().filter_map(|env| env.hooks.as_deref()))
        .map_err(|problems| Failure::usage(problems.render(false).trim_end()))?;
    let Token { playbook: path, params, answers, seed, start, scenario, .. } = token;
    let (env, also) = (envs[0].clone(), envs[1..].iter().map(|env| (*env).clone()).collect());
    let subject = Subject {
        config: config.clone(),
        env,
        also,
        playbook,
        path,
        params,
        answers,
        seed,
        start,
        rights: rights(matches)?,
        given: None,
        memo: None,
    };
    let report = prove::replay(&subject, &scenario)?;
    Ok(tell(&report, matches.get_flag("json")))
}

/// What the file of `--policy` lets the identity do; without one it may do everything.
fn rights(matches: &ArgMatches) -> Result<Rights, Failure> {
    let Some(file) = text(matches, "policy") else { return Ok(Rights::default()) };
    let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("`{file}` is no IAM policy that the sandbox can enforce: {error}"));
    let read = std::fs::read_to_string(file).map_err(|error| Failure::usage(format!("could not read `{file}`: {error}")))?;
    serde_json::from_str(&read).map(Rights::enforced).map_err(|error| wrong(&error))
}

/// The least that the runs needed, as `aws iam create-policy --policy-document file://…` takes it.
pub fn write_policy(file: &str, policy: &Policy, of_a_sample: bool) -> Result<(), Failure> {
    let document = serde_json::to_string_pretty(policy).expect("texts and lists are JSON") + "\n";
    std::fs::write(file, document).map_err(|error| Failure::usage(format!("could not write `{file}`: {error}")))?;
    let actions: usize = policy.statement.iter().map(|statement| statement.action.len()).sum();
    let mut err = std::io::stderr();
    let _ = writeln!(err, "{actions} permissions in {} statements: {file}", policy.statement.len());
    if of_a_sample {
        let _ = writeln!(err, "they are those of a sample: what was not played may need more");
    }
    Ok(())
}

fn answers(matches: &ArgMatches) -> Result<BTreeMap<String, String>, Failure> {
    let pair = |pair: &String| {
        let (id, key) = pair.split_once('=')?;
        Some((id.to_owned(), key.to_owned()))
    };
    let pairs: Option<BTreeMap<String, String>> = matches.get_many::<String>("answer").into_iter().flatten().map(pair).collect();
    pairs.ok_or_else(|| Failure::usage("an `--answer` has no `=`; write --answer ID=KEY"))
}

impl From<ProveError> for Failure {
    fn from(error: ProveError) -> Failure {
        Failure::of(2, &error)
    }
}

/// One line that stays where it is on a terminal; elsewhere a line for each tenth of the way.
fn show(standing: Standing, extent: &Extent, shown: &Mutex<usize>) {
    let Standing { done, all, bad, seconds } = standing;
    let limit = extent.limit.map_or(f64::MAX, |limit| limit.as_secs_f64());
    let part = (seconds / limit).max(all.map_or(0.0, |all| done as f64 / all as f64)).min(1.0);
    let of = all.map_or_else(|| format!("{seconds:.0} of {limit:.0} s"), |all| format!("{done} of {all}"));
    let text = format!("{of}: {done} faults placed, {bad} runs failed");
    let mut out = std::io::stderr();
    let tenth = (part * 10.0) as usize;
    let mut shown = shown.lock().expect("nothing panics while it is shown");
    let next = tenth > *shown;
    *shown = tenth.max(*shown);
    if out.is_terminal() {
        let filled = (part * BAR as f64) as usize;
        let end = if part >= 1.0 { "\n" } else { "" };
        let _ = write!(out, "\r{}{} {text}{end}", "█".repeat(filled), "░".repeat(BAR - filled));
    } else if next {
        let _ = writeln!(out, "{text}");
    }
}

fn tell(report: &Report, json: bool) -> i32 {
    let mut out = std::io::stdout();
    let text = if json { serde_json::to_string(report).unwrap_or_default() } else { shown(report, Paint::stdout()) };
    let _ = writeln!(out, "{}", text.trim_end());
    if report.is_clean() { 0 } else { FOUND }
}

/// Columns of the table: what was done last.
const HOW: [(&str, &[&str]); 5] = [
    ("run", &["run"]),
    ("left alone", &["left alone"]),
    ("resume", &["resume"]),
    ("undo", &["undo"]),
    ("again", &["resume again", "undo again"]),
];

pub fn shown(report: &Report, paint: Paint) -> String {
    let about = format!("{} in {}, {} world, seed {}", report.playbook, report.env, report.world, report.seed);
    let mut lines = vec![format!("{about}, in simulated accounts: nothing real is touched")];
    lines.extend(report.stories.iter().map(|story| format!("\n{}", told(story, paint))));
    lines.push(table(report, paint));
    lines.extend(report.allows.iter().map(|allow| format!("allowed by the playbook's header: {allow}")));
    if report.excused > 0 {
        lines.push(format!("excused, because both colours boot from one version key: {} breaches of I4", report.excused));
    }
    let of = report.planned.map_or_else(String::new, |all| format!(" of {all}, {} with nothing there to happen to", report.skipped));
    lines.push(format!(
        "{} calls, {} of them as points; {} faults placed{of}; {} runs, {} distinct scenarios in {:.1} s, {:.0} a second and core",
        report.calls, report.points, report.cells, report.runs, report.distinct, report.seconds, report.per_second_per_core
    ));
    if report.partial && report.planned.is_some() {
        lines.push(paint.bold("partial: stopped before all was played"));
    }
    let verdict = match report.bad {
        0 => paint.good("ok: no invariant was breached"),
        bad => paint.bad(&format!("failed: {bad} of {} runs", report.runs)),
    };
    lines.push(verdict);
    lines.join("\n")
}

/// Fault by recovery: how many runs, and how many of them failed.
fn table(report: &Report, paint: Paint) -> String {
    let heads: Vec<String> = HOW.iter().map(|(head, _)| format!("{head:>12}")).collect();
    let mut lines = vec![format!("\n{:<34}{}  ended", "fault", heads.concat())];
    for row in &report.rows {
        let cells = HOW.iter().map(|(_, words)| {
            let (ok, bad) = words.iter().filter_map(|word| row.recoveries.get(*word)).fold((0, 0), |(ok, bad), c| (ok + c.ok, bad + c.bad));
            match (ok, bad) {
                (0, 0) => format!("{:>12}", "-"),
                (ok, 0) => format!("{ok:>12}"),
                (ok, bad) => paint.bad(&format!("{:>12}", format!("{} ({bad} bad)", ok + bad))),
            }
        });
        let endings: Vec<String> = row.endings.iter().map(|(word, count)| format!("{count} {word}")).collect();
        lines.push(format!("{:<34}{}  {}", row.fault, cells.collect::<String>(), endings.join(", ")));
    }
    lines.join("\n")
}

fn told(story: &Story, paint: Paint) -> String {
    let mut lines = vec![paint.bad(&format!("{}: {} x {}", story.fault, story.times, story.codes.join(" ")))];
    lines.extend(story.told.iter().map(|line| format!("  {line}")));
    lines.push(format!("  {}: {}", story.how, clean(&story.ended).replace('\n', "\n  ")));
    lines.extend(story.problems.iter().map(|problem| format!("  breached  {}", clean(problem))));
    lines.push(format!("  users     {}", story.users));
    lines.extend(story.changes.iter().take(CHANGES_SHOWN).map(|change| format!("  {}", paint.dim(&clean(change)))));
    if story.changes.len() > CHANGES_SHOWN {
        lines.push(format!("  … and {} changes more", story.changes.len() - CHANGES_SHOWN));
    }
    if !story.token.is_empty() {
        lines.push(format!("  again: bgx prove --replay {}", story.token));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_needs_no_playbook_and_takes_none() {
        let parse = |words: &[&str]| command().try_get_matches_from([&["prove"], words].concat()).is_ok();
        assert!(parse(&["--replay", "abc"]));
        assert!(parse(&["deploy", "--env", "beta", "--sample", "9"]));
        assert!(!parse(&["deploy", "--replay", "abc"]));
        assert!(!parse(&["deploy"]));
        assert!(!parse(&["deploy", "--env", "beta", "--sample", "0"]));
    }
}
