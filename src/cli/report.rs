//! The first and the last lines of a run: which target it was, what changed, how long it took, what users saw.

use super::screen::minutes;
use super::style::{Paint, clean, short};
use crate::config::Environment;
use crate::host::Host;
use crate::run::event::{Change, Outcome};
use crate::sandbox::world::Users;
use crate::script::session::{Fault, Played};
use crate::script::{Diagnostic, Sources};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

pub fn first_line(host: &Host, json: bool) {
    if !json {
        let _ = writeln!(std::io::stderr(), "{}", clean(&host.words));
    }
}

/// The script's own error with its source lines.
pub fn error(diagnostic: &Diagnostic, sources: &Sources) {
    let _ = writeln!(std::io::stderr(), "\n{}", diagnostic.render(sources, Paint::stderr().is_on()).trim_end());
}

/// What the operator asked for: to be taken back is a failure of a run, and the success of `bgx undo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    Forward,
    Back,
}

impl Goal {
    fn code(self, played: &Played) -> i32 {
        match (self, played.ended.outcome, played.fault) {
            (Goal::Back, Outcome::Undone, _) => 0,
            // It had committed, and only its lock was left to release: nothing was taken back.
            (Goal::Back, Outcome::Done, _) => Outcome::Refused.code(),
            (Goal::Forward, Outcome::Undone, Some(Fault::Bgx)) => 1,
            // Nobody could know it before it ran; as nothing was touched, it is the same to the operator.
            (Goal::Forward, Outcome::Undone, Some(Fault::Playbook)) if !played.touched => 2,
            (Goal::Forward | Goal::Back, outcome, _) => outcome.code(),
        }
    }
}

/// What an operator wants to know at the end; the exit code.
pub fn end(played: &Played, host: &Host, envs: &[&Environment], json: bool, goal: Goal) -> i32 {
    let code = goal.code(played);
    let users: Vec<(&str, Users)> = envs.iter().filter_map(|env| Some((env.name.as_str(), host.users(&env.name, played.began)?))).collect();
    if json {
        let mut line = serde_json::json!({ "end": played.ended, "users": users.first().map(|(_, users)| users), "code": code });
        if envs.len() > 1 {
            line["users"] = users.iter().map(|(env, users)| ((*env).to_owned(), serde_json::json!(users))).collect();
        }
        let _ = writeln!(std::io::stdout(), "{line}");
        return code;
    }
    if std::io::stderr().is_terminal() {
        let _ = writeln!(std::io::stderr());
    }
    let _ = write!(std::io::stdout(), "{}", clean(&text(played, &users, host, goal, &envs[0].name)));
    let _ = std::io::stdout().flush();
    code
}

fn text(played: &Played, users: &[(&str, Users)], host: &Host, goal: Goal, env: &str) -> String {
    let paint = Paint::stdout();
    let ended = &played.ended;
    let mut text = changes(&ended.changes);
    for (own, saw) in users.iter().filter(|_| played.touched) {
        let of = if users.len() > 1 { format!(" of {own}") } else { String::new() };
        let _ = writeln!(text, "users{of}: {}", users_line(saw, ended.outcome));
    }
    for line in &ended.disagreements {
        let _ = writeln!(text, "{}", paint.bad(&format!("disagreement: {line}")));
    }
    let calls: u64 = ended.calls.values().sum();
    let time = if host.is_sandbox() { " of virtual time" } else { "" };
    let outcome = outcome(ended.outcome, played.touched, !ended.changes.is_empty(), goal, paint);
    let _ = writeln!(text, "{outcome} in {}{time}, {}", minutes(ended.seconds), count(calls, "call"));
    if let Some(why) = &ended.why {
        let _ = writeln!(text, "why: {why}");
    }
    let only_released = goal == Goal::Back && played.ended.outcome == Outcome::Done;
    let rollback = only_released.then(|| format!("nothing was taken back, it had committed: bgx run rollback --env {env} --why …"));
    if let Some(next) = rollback.or_else(|| next(played)) {
        let _ = writeln!(text, "next: {next}");
    }
    let _ = writeln!(text, "{}", host.words);
    text
}

/// One line a resource, the names in a column.
fn changes(changes: &[Change]) -> String {
    let mut by_resource: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for change in changes {
        let (resource, field) = row(change);
        by_resource.entry(resource).or_default().push(field);
    }
    let width = by_resource.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let line = |(resource, fields): (String, Vec<String>)| format!("  {resource:width$}  {}\n", fields.join(", "));
    let lines: String = by_resource.into_iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("changed:\n{lines}") }
}

/// What changed and how: `min 0 → 1`. A resource that is one value has no name for it; each route is a row.
pub fn row(change: &Change) -> (String, String) {
    let show = |value: &Option<String>| value.as_deref().map_or("absent", short).to_owned();
    let values = format!("{} → {}", show(&change.before), show(&change.now));
    match change.field.split_once(" → ") {
        Some((route, group)) => (format!("{} {route}", change.resource), format!("{} {values}", short(group))),
        None if change.field == "value" => (change.resource.clone(), values),
        None => (change.resource.clone(), format!("{} {values}", change.field)),
    }
}

/// `stays`: something that it set is not as it was.
fn outcome(outcome: Outcome, touched: bool, stays: bool, goal: Goal, paint: Paint) -> String {
    match outcome {
        Outcome::Done => paint.good("done"),
        Outcome::Undone if goal == Goal::Back => paint.good("taken back, as asked,"),
        Outcome::Undone if touched && stays => paint.bad("failed, and taken back but for what was committed before"),
        Outcome::Undone if touched => paint.bad("failed, and everything was taken back"),
        Outcome::Undone => paint.bad("failed, nothing was touched"),
        Outcome::Paused => paint.bad("stopped as it is"),
        Outcome::Stuck => paint.bad("stuck: an undo could not be done"),
        Outcome::Refused => paint.bad("refused, nothing was touched"),
        Outcome::Diverged => paint.bad("stopped: the journal and the playbook disagree"),
        Outcome::Abandoned => paint.bad("abandoned"),
    }
}

/// The commands that an operator may want now.
fn next(played: &Played) -> Option<String> {
    let run = &played.run;
    if played.unreleased.is_some() {
        return Some(format!("bgx resume {run}, which only releases the lock"));
    }
    if played.fault == Some(Fault::Bgx) && played.ended.outcome.is_over() {
        return Some(format!("report it, with the journal and what `bgx show {run}` prints"));
    }
    let back = if played.committed { format!("bgx abandon {run} --reason …") } else { format!("bgx undo {run}") };
    match played.ended.outcome {
        Outcome::Done | Outcome::Undone | Outcome::Refused | Outcome::Abandoned => None,
        Outcome::Paused => Some(format!("bgx resume {run}, or {back}; users are unharmed meanwhile")),
        Outcome::Diverged => Some(format!("bgx resume {run} with the playbook that began it, or {back}")),
        Outcome::Stuck => Some(format!("look at the step named above, then {back}")),
    }
}

pub fn users_line(users: &Users, outcome: Outcome) -> String {
    let number = |n: f64| format!("{n:.0}");
    let mut line = format!(
        "{} requests, {} errors (5xx), mixed versions for {:.1} s",
        number(users.requests),
        number(users.errors),
        users.mixed_seconds
    );
    if let Some(lowest) = users.lowest_healthy {
        let _ = write!(line, ", never fewer than {}", count(u64::from(lowest), "healthy target"));
    }
    // Of a run that was taken back it would span the way there and the way back.
    if let Some((first, last)) = users.switched.filter(|_| outcome == Outcome::Done) {
        let _ = write!(line, ", switched within {:.1} s", last.since(first) as f64 / 1000.0);
    }
    line
}

/// `1 call`, `2 calls`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(resource: &str, field: &str, before: Option<&str>, now: &str) -> Change {
        Change { resource: resource.into(), field: field.into(), before: before.map(str::to_owned), now: Some(now.to_owned()) }
    }

    #[test]
    fn a_resource_has_one_line_and_target_groups_go_by_name() {
        let arn = |name: &str| format!("arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/{name}/0b331645445bcd27");
        let text = changes(&[
            change("beta-green", "desired", Some("0"), "2"),
            change("beta-green", "min", Some("0"), "1"),
            change("beta routes", "https:443 /be* → Beta-Green/0b331645445bcd27", None, "100"),
            change("/app/arn", "value", Some(&arn("Beta-Blue")), &arn("Beta-Green")),
        ]);
        let expected = "\
changed:
  /app/arn                    Beta-Blue → Beta-Green
  beta routes https:443 /be*  Beta-Green absent → 100
  beta-green                  desired 0 → 2, min 0 → 1
";
        assert_eq!(text, expected);
    }
}
