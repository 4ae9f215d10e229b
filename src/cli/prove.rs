//! `bgx prove PLAYBOOK --env ENV`: the playbook under every fault at every call, in simulated accounts, and what went wrong.

use super::failure::Failure;
use super::run::{self, text};
use super::style::{Paint, clean};
use crate::config::Config;
use crate::prove::{self, Extent, ProveError, Report, Story, Subject, Token};
use crate::script::session::Playbook;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

/// Exit code when something was found.
const FOUND: i32 = 3;
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
        .arg(value("faults", "single", "how many faults at a time").value_parser(["single"]).default_value("single"))
        .arg(value("fault", "NAME", "only this fault").value_parser(prove::faults::FAULTS.each_ref().map(|fault| fault.name)))
        .arg(value("seed", "N", "draws of the sandbox and of retries").value_parser(clap::value_parser!(u64)))
        .arg(number("sample", "only every N-th fault and call"))
        .arg(number("threads", "at a time; default: one a core"))
        .arg(
            value("replay", "TOKEN", "one scenario again, from a story's last line")
                .conflicts_with_all(["playbook", "env", "seed", "sample", "fault"]),
        )
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("the report as JSON on standard output"))
}

/// `prove` of a playbook whose parameters are among the flags.
pub fn run(matches: &ArgMatches, config: &Config, playbook: &Playbook) -> Result<i32, Failure> {
    let params: BTreeMap<String, String> =
        playbook.params.iter().filter_map(|spec| Some((spec.name.clone(), text(matches, &spec.name)?.to_owned()))).collect();
    let subject = Subject {
        env: config.env(text(matches, "env").unwrap_or_default())?.clone(),
        path: text(matches, "playbook").unwrap_or_default().to_owned(),
        seed: matches.get_one::<u64>("seed").copied().unwrap_or(config.sandbox_seed),
        answers: answers(matches)?,
        config: config.clone(),
        playbook: playbook.clone(),
        params,
    };
    let number = |name: &str| matches.get_one::<u64>(name).map(|n| usize::try_from(*n).unwrap_or(usize::MAX));
    let threads = number("threads").unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let extent = Extent { every: number("sample").unwrap_or(1), fault: text(matches, "fault").map(str::to_owned), threads };
    let report = prove::prove(&subject, &extent, &progress)?;
    Ok(tell(&report, matches.get_flag("json")))
}

/// `prove --replay TOKEN`.
pub fn replay(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let token = text(matches, "replay").and_then(Token::decode).ok_or_else(|| Failure::usage("that is not a token of `bgx prove`"))?;
    let env = config.env(&token.env)?.clone();
    let path = run::find(&token.playbook, config);
    let playbook =
        Playbook::load(&path, config, env.hooks.as_deref()).map_err(|problems| Failure::usage(problems.render(false).trim_end()))?;
    let Token { playbook: path, params, answers, seed, cell, .. } = token;
    let subject = Subject { config: config.clone(), env, playbook, path, params, answers, seed };
    let report = prove::replay(&subject, &cell)?;
    Ok(tell(&report, matches.get_flag("json")))
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

/// One line that stays where it is on a terminal; elsewhere a line for each tenth.
fn progress(done: usize, all: usize) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let end = if done == all { "\n" } else { "" };
        let _ = write!(out, "\r{done} of {all} faults placed{end}");
    } else if done == all || done * 10 / all != (done - 1) * 10 / all {
        let _ = writeln!(out, "{done} of {all} faults placed");
    }
}

fn tell(report: &Report, json: bool) -> i32 {
    let mut out = std::io::stdout();
    let text = if json { serde_json::to_string(report).unwrap_or_default() } else { shown(report, Paint::stdout()) };
    let _ = writeln!(out, "{}", text.trim_end());
    if report.is_clean() { 0 } else { FOUND }
}

fn shown(report: &Report, paint: Paint) -> String {
    let mut lines =
        vec![format!("{} in {}, seed {}, in simulated accounts: nothing real is touched", report.playbook, report.env, report.seed)];
    lines.extend(report.stories.iter().map(|story| format!("\n{}", told(story, paint))));
    lines.push(format!("\n{:<28} {:>6} {:>6} {:>6} {:>6}  ended", "fault", "points", "runs", "ok", "bad"));
    for row in &report.rows {
        let endings: Vec<String> = row.endings.iter().map(|(word, count)| format!("{count} {word}")).collect();
        lines.push(format!("{:<28} {:>6} {:>6} {:>6} {:>6}  {}", row.fault, row.cells, row.runs, row.ok, row.bad, endings.join(", ")));
    }
    lines.extend(report.allows.iter().map(|allow| format!("allowed by the playbook's header: {allow}")));
    if report.excused > 0 {
        lines.push(format!("excused, because both colours boot from one version key: {} breaches of I4", report.excused));
    }
    lines.push(format!(
        "{} calls, faults at {} of them; {} faults placed, {} runs, {} distinct scenarios in {:.1} s, {:.0} a second and core",
        report.calls, report.points, report.cells, report.runs, report.distinct, report.seconds, report.per_second_per_core
    ));
    let verdict = match report.bad {
        0 => paint.good("ok: no invariant was breached"),
        bad => paint.bad(&format!("failed: {bad} of {} runs", report.runs)),
    };
    lines.push(verdict);
    lines.join("\n")
}

fn told(story: &Story, paint: Paint) -> String {
    let mut lines = vec![paint.bad(&format!("{} at {}: {} x {}", story.fault, story.at, story.times, story.codes.join(" ")))];
    lines.push(format!("  {}: {}", story.how, clean(&story.ended).replace('\n', "\n  ")));
    lines.extend(story.problems.iter().map(|problem| format!("  breached  {}", clean(problem))));
    lines.push(format!("  users     {}", story.users));
    lines.extend(story.changes.iter().take(CHANGES_SHOWN).map(|change| format!("  {}", paint.dim(&clean(change)))));
    if story.changes.len() > CHANGES_SHOWN {
        lines.push(format!("  … and {} changes more", story.changes.len() - CHANGES_SHOWN));
    }
    lines.push(format!("  again: bgx prove --replay {}", story.token));
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
