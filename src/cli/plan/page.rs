//! A plan for people: each step with its time, what it changes and what would take it back; then figures, and one line to decide by.

use super::super::prove;
use super::super::report::{count, row, users_line};
use super::super::screen::minutes;
use super::super::style::{Paint, clean};
use super::{Filed, chart};
use crate::host::Host;
use crate::prove::Report;
use crate::prove::plan::{Did, Plan, Step};
use crate::run::event::Outcome;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

pub fn page(filed: &Filed, proved: Option<&Report>, next: &str, host: &Host) -> String {
    let (plan, paint) = (&filed.plan, Paint::stdout());
    let mut text = format!("plan of {} in {}, as of {}: nothing was changed\n", plan.path, plan.envs.join(", "), plan.made);
    for unknown in &plan.unknown {
        let _ = writeln!(text, "unknown: {} ({}); {}", unknown.what, unknown.why, unknown.consequence);
    }
    let _ = writeln!(text);
    let mut committed = false;
    for step in &plan.steps {
        text.push_str(&step_text(step, plan.envs.len() > 1, committed, paint));
        committed |= matches!(step.did, Did::Committed { env: None });
    }
    let _ = writeln!(text);
    for env in &plan.envs {
        let of = if plan.envs.len() > 1 { format!("{env} ") } else { String::new() };
        let _ = writeln!(text, "{of}over {}:", minutes(plan.seconds));
        chart::chart(&plan.samples, env, plan.seconds).iter().for_each(|line| {
            let _ = writeln!(text, "{line}");
        });
        if let Some(users) = plan.users.get(env) {
            let _ = writeln!(text, "  users: {}", users_line(users, plan.outcome));
        }
    }
    text.push_str(&figures(plan));
    if let Some(report) = proved {
        let _ = writeln!(text, "{}", prove::shown(report, paint));
    }
    let _ = writeln!(text, "{}", verdict(plan, proved, paint));
    let _ = writeln!(text, "{next}{}", host.words);
    clean(&text)
}

/// One step, and what there is to say of it on lines of its own.
fn step_text(step: &Step, several: bool, committed: bool, paint: Paint) -> String {
    let seconds = step.at_seconds as u64;
    let stamp = paint.dim(&format!("{:02}:{:02}", seconds / 60, seconds % 60));
    let of = if several { format!("{}: ", step.env) } else { String::new() };
    let line = |text: String| format!("{stamp}    {of}{text}\n");
    match &step.did {
        Did::Block { name } => format!("{stamp}  {of}{}\n", paint.bold(name)),
        Did::Action { changes, undo, lease, .. } => {
            let mut by_resource: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (resource, field) in changes.iter().map(row) {
                by_resource.entry(resource).or_default().push(field);
            }
            let lines: String =
                by_resource.into_iter().map(|(resource, fields)| line(format!("~ {resource}  {}", fields.join(", ")))).collect();
            let back = match (undo, lease, committed) {
                (_, true, _) => "given back at the end, whatever happens".to_owned(),
                (Some(undo), _, false) => format!("undo: {undo}"),
                (None, _, false) => "nothing takes it back".to_owned(),
                (_, _, true) => "stays: it is after the commit".to_owned(),
            };
            format!("{lines}          {}\n", paint.dim(&back))
        }
        Did::Effect { text } => line(format!("> {text}")),
        Did::Waited { what, seconds } => line(paint.dim(&format!("waits {} for {what}", minutes(*seconds)))),
        Did::Asked { id, text, key, .. } => line(format!("? {text}: {key} (--answer {id}={key})")),
        Did::Approval { id, text } => line(format!("? {text}: the run waits until somebody else approves `{id}`")),
        Did::Said { text } => line(paint.dim(text)),
        Did::Noticed { text } => line(paint.bad(&format!("noticed: {text}"))),
        Did::Committed { env: Some(env) } => line(paint.bold(&format!("commits {env}: what was done there stays from here on"))),
        Did::Committed { env: None } => line(paint.bold("commits: a failure from here on leaves what is done, until `bgx resume`")),
        Did::LeaseReturned { text } => line(format!("gives back {text}")),
        Did::Refused { text, hint } => {
            let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            line(paint.bad(&format!("refused: {text}{hint}")))
        }
        Did::Failed { text } => line(paint.bad(&format!("fails: {text}"))),
        Did::Broke { text } => line(paint.bad(&format!("ends here: {}", text.lines().next().unwrap_or_default()))),
        Did::Undo { text } => line(format!("↩ {text}")),
    }
}

/// Time and calls.
fn figures(plan: &Plan) -> String {
    let mut text = String::new();
    if let Some(worst) = &plan.worst {
        let _ = writeln!(text, "time: {} expected, {} at worst ({})", minutes(plan.seconds), minutes(worst.seconds), worst.timing);
    }
    for (timing, why) in plan.worst.iter().flat_map(|worst| &worst.fails) {
        let _ = writeln!(text, "with {timing} it does not come to its end: {}", why.lines().next().unwrap_or_default());
    }
    let mut services: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for call in &plan.calls {
        let (all, writes) = services.entry(&call.service).or_default();
        *all += call.times;
        *writes += if call.writes { call.times } else { 0 };
    }
    let total: u64 = services.values().map(|(all, _)| all).sum();
    let each = services.iter().map(|(service, (all, writes))| match writes {
        0 => format!("{service} {all}"),
        writes => format!("{service} {all} ({writes} of them writes)"),
    });
    let _ = writeln!(text, "{}: {}", count(total, "call"), each.collect::<Vec<_>>().join(", "));
    text
}

/// The line to decide by.
fn verdict(plan: &Plan, proved: Option<&Report>, paint: Paint) -> String {
    let changes = plan.actions().count() as u64;
    let at = plan.steps.iter().rev().find(|step| matches!(step.did, Did::Broke { .. })).map(|step| minutes(step.at_seconds));
    let (why, at) = (plan.why.clone().unwrap_or_default(), at.map(|at| format!(" after {at}")).unwrap_or_default());
    let why = why.lines().next().unwrap_or_default().to_owned();
    match plan.outcome {
        Outcome::Refused => paint.bad(&format!("would be refused{at}: {why}")),
        Outcome::Done => match (plan.problems.first(), proved.filter(|report| !report.is_clean())) {
            (Some(problem), _) => paint.bad(&format!("breaks: {problem}")),
            (None, Some(report)) => paint.bad(&format!("breaks under faults: {} of {} runs failed", report.bad, report.runs)),
            (None, None) if changes == 0 => paint.good("safe: nothing is to be changed"),
            (None, None) => paint.good(&format!("safe: {}, no invariant is breached", count(changes, "change"))),
        },
        other => paint.bad(&format!("would end {}{at}: {why}", other.word())),
    }
}

/// The command that does it; nothing where there is none to give. `guarded`: environments that want to be confirmed.
pub fn next(filed: &Filed, out: Option<&Path>, guarded: &[&str]) -> String {
    let plan = &filed.plan;
    let Some(out) = out.filter(|_| plan.is_safe() && plan.actions().next().is_some()) else { return String::new() };
    let words: Vec<String> = guarded.iter().map(|env| format!("{env}@{}", plan.bound().short())).collect();
    let confirm = if words.is_empty() { String::new() } else { format!(" --confirm {}", words.join(",")) };
    let until = if words.is_empty() { String::new() } else { format!(", good until {}", plan.until) };
    format!("next: bgx run --plan {}{confirm}   (plan {}{until})\n", out.display(), plan.bound().short())
}
