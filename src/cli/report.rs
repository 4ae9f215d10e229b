//! The first and the last lines of a run: which target it was, what changed, how long it took, what users saw.

use super::screen::minutes;
use super::style::{Paint, clean};
use crate::config::Environment;
use crate::host::Host;
use crate::run::event::{Change, Outcome};
use crate::sandbox::world::Users;
use crate::script::session::Played;
use crate::script::{Diagnostic, Sources};
use std::fmt::Write as _;
use std::io::Write as _;

pub fn first_line(host: &Host, json: bool) {
    if !json {
        let _ = writeln!(std::io::stderr(), "{}", clean(&host.words));
    }
}

/// The script's own error with its source lines.
pub fn error(diagnostic: &Diagnostic, sources: &Sources) {
    let _ = writeln!(std::io::stderr(), "\n{}", clean_lines(&diagnostic.render(sources, Paint::stderr().is_on())));
}

fn clean_lines(text: &str) -> &str {
    text.trim_end()
}

/// What an operator wants to know at the end.
pub fn end(played: &Played, host: &Host, env: &Environment, json: bool) {
    let users = host.users(&env.name, played.began);
    if json {
        let line = serde_json::json!({ "end": played.ended, "users": users, "code": played.ended.outcome.code() });
        let _ = writeln!(std::io::stdout(), "{line}");
        return;
    }
    let paint = Paint::stdout();
    let mut text = String::from("\n");
    for change in &played.ended.changes {
        let _ = writeln!(text, "{}", change_line(change));
    }
    if let Some(users) = &users {
        let _ = writeln!(text, "users: {}", users_line(users));
    }
    for text_line in &played.ended.disagreements {
        let _ = writeln!(text, "{}", paint.bad(&format!("disagreement: {text_line}")));
    }
    let calls: u64 = played.ended.calls.values().sum();
    let _ = writeln!(text, "{} in {}, {calls} calls", outcome(played.ended.outcome, paint), minutes(played.ended.seconds));
    if let Some(why) = &played.ended.why {
        let _ = writeln!(text, "why: {why}");
    }
    if let Some(next) = next(played.ended.outcome) {
        let _ = writeln!(text, "next: {next}");
    }
    let _ = writeln!(text, "{}", host.words);
    let _ = write!(std::io::stdout(), "{}", clean(&text));
    let _ = std::io::stdout().flush();
}

fn change_line(change: &Change) -> String {
    let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
    format!("changed: {} {}: {} → {}", change.resource, change.field, show(&change.before), show(&change.now))
}

fn outcome(outcome: Outcome, paint: Paint) -> String {
    match outcome {
        Outcome::Done => paint.good("done"),
        Outcome::Undone => paint.bad("failed, and everything was taken back"),
        Outcome::Paused => paint.bad("stopped as it is"),
        Outcome::Stuck => paint.bad("stuck: an undo could not be done"),
        Outcome::Refused => paint.bad("refused, nothing was touched"),
        Outcome::Diverged => paint.bad("stopped: the journal and the playbook disagree"),
        Outcome::Abandoned => paint.bad("abandoned"),
    }
}

fn next(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Done | Outcome::Undone | Outcome::Refused | Outcome::Abandoned | Outcome::Diverged => None,
        Outcome::Paused => Some("look with `bgx status`; every state between two calls leaves users unharmed"),
        Outcome::Stuck => Some("look at the step named above, then `bgx status`"),
    }
}

fn users_line(users: &Users) -> String {
    let mut line =
        format!("{:.0} requests, {:.0} errors (5xx), mixed versions for {:.1} s", users.requests, users.errors, users.mixed_seconds);
    if let Some(lowest) = users.lowest_healthy {
        let _ = write!(line, ", never fewer than {lowest} healthy target(s)");
    }
    if let Some((first, last)) = users.switched {
        let _ = write!(line, ", switched within {:.1} s", last.since(first) as f64 / 1000.0);
    }
    line
}
