//! Turns a run's events into lines for people: a live view on a terminal, plain lines elsewhere, JSON lines with `--json`.

use super::style::{Paint, clean};
use crate::account::Action;
use crate::run::event::{Effect, Event, What};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use std::io::Write;
use std::time::Duration;

/// Longest real pause that `--pace` makes between two events.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Show {
    pub json: bool,
    /// Virtual seconds that pass in one real second; `None`: as fast as it goes.
    pub pace: Option<f64>,
    pub terminal: bool,
}

pub struct Screen {
    show: Show,
    paint: Paint,
    bar: Option<ProgressBar>,
    began: Option<Timestamp>,
    last: Option<Timestamp>,
    last_waiting: String,
    depth: usize,
}

impl Screen {
    pub fn new(show: Show, paint: Paint) -> Screen {
        Screen { show, paint, bar: None, began: None, last: None, last_waiting: String::new(), depth: 0 }
    }

    /// Shows one event; this is the only place where a run takes real time for its own sake.
    pub fn see(&mut self, event: &Event) {
        self.keep_pace(event.at);
        if self.show.json {
            let text = serde_json::to_string(event).unwrap_or_default();
            let _ = writeln!(std::io::stdout(), "{text}"); // a reader that left is no reason to stop a deploy
            return;
        }
        let began = *self.began.get_or_insert(event.at);
        let elapsed = event.at.duration_since(began).as_secs().unsigned_abs();
        match &event.what {
            What::Waiting { what, why, done, total, left_seconds, .. } => {
                self.waiting(elapsed, what, why, done.zip(*total), *left_seconds);
            }
            What::BlockStarted { name } => {
                self.end_bar();
                self.print(elapsed, &self.paint.bold(name));
                self.depth += 1;
            }
            other => {
                if let Some(text) = self.line(other) {
                    self.end_bar();
                    self.print(elapsed, &text);
                }
            }
        }
    }

    /// Real time passes with virtual time, divided by the pace.
    fn keep_pace(&mut self, at: Timestamp) {
        let last = self.last.replace(at);
        let (Some(pace), Some(last)) = (self.show.pace, last) else { return };
        let virtual_seconds = at.duration_since(last).as_secs_f64().max(0.0);
        let pause = Duration::try_from_secs_f64(virtual_seconds / pace).unwrap_or(LONGEST_PAUSE);
        std::thread::park_timeout(pause.min(LONGEST_PAUSE));
    }

    fn print(&self, elapsed: u64, text: &str) {
        let stamp = self.paint.dim(&format!("{:02}:{:02}", elapsed / 60, elapsed % 60));
        for (number, line) in clean(text).lines().enumerate() {
            let indent = "  ".repeat(self.depth + usize::from(number > 0));
            let _ = writeln!(std::io::stderr(), "{stamp} {indent}{line}");
        }
    }

    fn waiting(&mut self, elapsed: u64, what: &str, why: &[String], progress: Option<(u64, u64)>, left: Option<u64>) {
        let text = std::iter::once(what.to_owned()).chain(why.iter().take(3).cloned()).collect::<Vec<_>>().join(" · ");
        let more = if why.len() > 3 { format!(" · and {} more", why.len() - 3) } else { String::new() };
        let text = clean(&format!("{text}{more}"));
        if !self.show.terminal {
            if text != self.last_waiting {
                self.print(elapsed, &format!("… {text}"));
                self.last_waiting = text;
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()));
        let (done, total) = progress.unwrap_or((0, 0));
        let template = match total {
            0 => "{prefix} {spinner} {wide_msg}",
            _ => "{prefix} {bar:16} {wide_msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_length(total.max(1));
        bar.set_position(done);
        bar.set_prefix(format!("{:02}:{:02} {}", elapsed / 60, elapsed % 60, "  ".repeat(self.depth)));
        let left = left.map(|s| format!(" ({}:{:02} left)", s / 60, s % 60)).unwrap_or_default();
        bar.set_message(format!("{text}{left}"));
        bar.tick();
    }

    fn end_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.last_waiting.clear();
    }

    /// The line of an event; `None`: it is kept and not shown.
    fn line(&mut self, what: &What) -> Option<String> {
        let paint = self.paint;
        Some(match what {
            What::Began(began) => format!("run {} · {} on {}", paint.bold(&began.run), began.playbook, began.env),
            What::BlockEnded { ok, name } => {
                self.depth = self.depth.saturating_sub(1);
                if *ok { return None } else { paint.bad(&format!("{name} did not come to its end")) }
            }
            What::OnUndo { .. } | What::Read { .. } | What::ReadFailed { .. } | What::Waiting { .. } | What::BlockStarted { .. } => {
                return None;
            }
            What::Waited { what, seconds, error: None, .. } if *seconds >= 1.0 => format!("{what}: {}", minutes(*seconds)),
            What::Waited { error: None, .. } => return None,
            What::Waited { error: Some(error), .. } => paint.bad(&error.to_string()),
            What::Asked { id, text, choices, .. } => format!("{} {text} [{id}: {}]", paint.bold("?"), keys(choices)),
            What::Answered { id, key, by, .. } => format!("{id} = {key} ({})", format!("{by:?}").to_lowercase()),
            What::Started { action, lease, .. } => format!("{} {action}{}", paint.bold("→"), if *lease { " (lease)" } else { "" }),
            What::Finished { .. } => return None,
            What::Unchanged { action, .. } => paint.dim(&format!("= {action} already")),
            What::Failed { error, effect, .. } => paint.bad(&format!("failed: {error}{}", effect_text(*effect))),
            What::Refused { text, hint, .. } => {
                let hint = hint.as_ref().map(|h| format!("\n  {h}")).unwrap_or_default();
                paint.bad(&format!("refused: {text}{hint}"))
            }
            What::Said { text, .. } => text.clone(),
            What::Effect { text, error: None, detail, .. } => format!("{text}: {detail}"),
            What::Effect { text, detail, .. } => paint.bad(&format!("{text} failed: {detail}")),
            What::LeaseReturned { action, held_seconds, .. } => lease_line(action, *held_seconds),
            What::LeaseKept { step, why } => paint.bad(&format!("the lease of step {step} was not given back: {why}")),
            What::Committed { .. } => paint.dim("committed: from here on nothing is undone by itself"),
            What::Resumed { command, host, .. } => paint.bold(&format!("{command} on {host}")),
            What::Abandoned { reason } => paint.bad(&format!("abandoned: {reason}")),
            What::Signalled { signal } => paint.bad(&format!("{signal} received")),
            What::Broke { text, .. } => {
                self.depth = 0;
                paint.bad(text.lines().next().unwrap_or_default())
            }
            What::UndoStarted { step, action, .. } => format!("{} step {step}: {action}", paint.bold("↩")),
            What::UndoFinished { .. } => return None,
            What::UndoSkipped { step } => paint.dim(&format!("↩ step {step}: nothing to take back")),
            What::UndoFailed { step, why, .. } => paint.bad(&format!("stuck at step {step}: {why}")),
            What::Ended(_) => return None,
        })
    }
}

fn keys(choices: &[(String, String)]) -> String {
    choices.iter().map(|(key, text)| format!("{key} = {text}")).collect::<Vec<_>>().join("; ")
}

fn effect_text(effect: Effect) -> &'static str {
    match effect {
        Effect::None => " (nothing happened)",
        Effect::Some => " (some of it happened)",
        Effect::Unknown => " (what happened is unknown)",
    }
}

fn lease_line(action: &Action, held_seconds: f64) -> String {
    format!("{action} (lease given back after {})", minutes(held_seconds))
}

/// `92.4` -> `1 min 32 s`.
pub fn minutes(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 60, whole % 60) {
        (0, _) if seconds < 10.0 => format!("{seconds:.1} s"),
        (0, s) => format!("{s} s"),
        (m, 0) => format!("{m} min"),
        (m, s) => format!("{m} min {s} s"),
    }
}
