//! `bgx compare FILE`: strategies side by side, each played in a new simulated account of the same shape.

use super::docs;
use super::failure::Failure;
use super::run::{self, text};
use crate::config::{Back, Comparison, Config, Planned};
use crate::prove::compare::{Figures, measure};
use crate::prove::{Rights, Start, Subject};
use crate::script::session::Playbook;
use clap::{Arg, ArgMatches, Command};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

const HEADS: [&str; 9] = [
    "strategy",
    "minutes",
    "users' 5xx",
    "two builds, s",
    "fewest healthy",
    "extra instance-minutes",
    "AWS calls",
    "way back",
    "users are back after, s",
];

pub fn command() -> Command {
    Command::new("compare")
        .about("Play strategies in simulated accounts of one shape, and put what each costs, and what its users see, side by side")
        .arg(Arg::new("file").value_name("FILE").required(true).help("a list of runs, such as docs/playbooks.toml"))
        .arg(docs::format("a table for a terminal, a page for docs/, or JSON"))
}

pub fn run(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let comparison = Comparison::read(Path::new(text(matches, "file").unwrap_or_default()))?;
    let mut found = Vec::new();
    for planned in &comparison.run {
        let name = planned.name.clone().unwrap_or_else(|| planned.playbook.clone());
        let (first, back) = subjects(&comparison, config, planned)?;
        let figures = measure(&first, &back).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
        found.push((name, figures));
    }
    let page = match text(matches, "format") {
        Some("json") => json(&found),
        Some("md") => page(&comparison, &found),
        _ => aligned(&rows(&found)),
    };
    let _ = write!(std::io::stdout(), "{page}");
    Ok(0)
}

/// The run, and the way back in each of its environments, the last one first.
fn subjects(comparison: &Comparison, project: &Config, planned: &Planned) -> Result<(Subject, Vec<Subject>), Failure> {
    let config = comparison.config(project, planned)?;
    let subject = |envs: &[&str], name: &str, params: &BTreeMap<String, String>, answers: &BTreeMap<String, String>| {
        let mut also = envs.iter().map(|env| config.env(env).cloned()).collect::<Result<Vec<_>, _>>()?;
        let env = also.remove(0);
        // Playbooks are the project's, whatever account they are played in.
        let playbook = Playbook::load(&run::find(name, project), &config, env.hooks.as_deref())
            .map_err(|problems| Failure::usage(problems.render(false).trim_end()))?;
        Ok::<Subject, Failure>(Subject {
            env,
            also,
            playbook,
            path: name.to_owned(),
            params: params.clone(),
            answers: answers.clone(),
            seed: config.sandbox_seed,
            config: config.clone(),
            start: Start::Fresh,
            rights: Rights::default(),
            given: None,
            memo: None,
        })
    };
    let envs = comparison.envs(planned);
    let first = subject(&envs, &planned.playbook, &planned.params, &planned.answers)?;
    let back = planned.back.iter().flat_map(|back| envs.iter().rev().map(move |env| (env, back)));
    let back = back.map(|(env, Back { playbook, params, answers })| subject(&[env], playbook, params, answers));
    Ok((first, back.collect::<Result<_, _>>()?))
}

fn rows(found: &[(String, Figures)]) -> Vec<Vec<String>> {
    let row = |(name, f): &(String, Figures)| {
        let back = |of: &dyn Fn(&crate::prove::compare::WayBack) -> String| f.back.as_ref().map_or_else(|| "–".to_owned(), of);
        vec![
            name.clone(),
            format!("{:.1}", f.seconds / 60.0),
            format!("{:.0} of {:.0}", f.errors, f.requests),
            format!("{:.1}", f.mixed_seconds),
            f.lowest_healthy.map_or_else(|| "–".to_owned(), |n| n.to_string()),
            format!("{:.0}", f.extra_instance_minutes),
            f.calls.to_string(),
            back(&|way| way.playbook.clone()),
            back(&|way| format!("{:.0}", way.users_seconds)),
        ]
    };
    found.iter().map(row).collect()
}

fn aligned(rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = HEADS.map(str::to_owned).to_vec();
    let all: Vec<&Vec<String>> = [&heads].into_iter().chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let line = |row: &&Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            0 | 7 => format!("{cell:<width$}", width = width(column)),
            _ => format!("{cell:>width$}", width = width(column)),
        });
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    all.iter().map(line).collect()
}

fn page(comparison: &Comparison, found: &[(String, Figures)]) -> String {
    let account = &comparison.account;
    let mut page = format!(
        "# Strategies side by side\n\nMade by `bgx compare docs/playbooks.toml --format md > docs/playbooks.md`. Each row is one run in a new simulated account of `{}`\n\
         with {} instances and {} requests a second, in virtual time and without a fault; nothing but the run moves instances. What a strategy keeps warm\n\
         afterwards costs on until `cleanup`. The way back begins ten minutes after the end. `waves` runs over several environments of this shape: users' 5xx,\n\
         instance-minutes and calls are those of all together, two builds and fewest healthy those of the worst, and its way back is one in each, in turn.\n\n",
        account.env, account.size, account.requests_per_second
    );
    page.push_str(&format!("| {} |\n|{}\n", HEADS.join(" | "), "---|".repeat(HEADS.len())));
    rows(found).iter().for_each(|row| page.push_str(&format!("| {} |\n", row.join(" | "))));
    page
}

fn json(found: &[(String, Figures)]) -> String {
    let rows: Vec<_> = found.iter().map(|(name, figures)| serde_json::json!({ "strategy": name, "figures": figures })).collect();
    format!("{}\n", serde_json::json!(rows))
}
