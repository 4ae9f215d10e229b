//! Turns a run's events into lines for people: a live view on a terminal, plain lines elsewhere, JSON lines with `--json`.

use super::runs::approved;
use super::style::{Paint, clean};
use crate::run::desk::Asking;
use crate::run::event::{Answerer, Effect, Event, What};
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
    /// Questions are put at the terminal, by the prompt.
    pub asks: bool,
    /// The run was beyond its commit when this process took it up.
    pub committed: bool,
}

/// A line whose worth depends on what comes next.
enum Held {
    Question(String),
    /// Shown only where the script caught it.
    Failure(String),
}

pub struct Screen {
    show: Show,
    paint: Paint,
    bar: Option<ProgressBar>,
    began: Option<Timestamp>,
    last: Option<Timestamp>,
    last_waiting: String,
    depth: usize,
    /// Something was sent to the account: what follows a failure is undo.
    touched: bool,
    committed: bool,
    /// What follows is undo and no lease that goes back.
    taking_back: bool,
    /// A question that the prompt may be showing already, or a failure that the end may tell.
    held: Option<Held>,
}

impl Screen {
    pub fn new(show: Show, paint: Paint) -> Screen {
        Screen {
            committed: show.committed,
            show,
            paint,
            bar: None,
            began: None,
            last: None,
            last_waiting: String::new(),
            depth: 0,
            touched: false,
            taking_back: false,
            held: None,
        }
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
        self.note(&event.what);
        self.release(elapsed, &event.what);
        match &event.what {
            What::Waiting { what, why, done, total, left_seconds, .. } => {
                self.waiting(elapsed, what, why, done.zip(*total), *left_seconds);
            }
            What::Asked { text, choices, .. } => {
                self.end_bar();
                self.held = Some(Held::Question(question(text, choices, self.paint)));
            }
            What::Refused { text, hint, .. } => {
                self.end_bar();
                let hint = hint.as_ref().map(|h| format!("\n{h}")).unwrap_or_default();
                self.held = Some(Held::Failure(self.paint.bad(&format!("refused: {text}{hint}"))));
            }
            What::Shown { table, .. } => {
                self.end_bar();
                let _ = writeln!(std::io::stdout(), "{}", clean(&table.to_string()));
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

    /// What later lines depend on.
    fn note(&mut self, what: &What) {
        // A run that is taken up may have done something already.
        self.touched |= matches!(what, What::Started { .. } | What::Resumed { .. });
        self.committed |= matches!(what, What::Committed { .. });
        self.taking_back |= (matches!(what, What::Broke { stays: false, .. }) && !self.committed)
            || matches!(what, What::Resumed { command, .. } if command == "undo");
    }

    /// Prints what was held back, unless the next event makes it a repetition.
    fn release(&mut self, elapsed: u64, next: &What) {
        // Whoever typed the line is told with its place.
        let told = matches!(next, What::Broke { .. } | What::LineEnded { error: Some(_), .. });
        let ends = told || matches!(next, What::BlockEnded { ok: false, .. });
        let text = match self.held.take() {
            None => return,
            Some(Held::Question(text)) => {
                let prompted = if let What::Answered { by, .. } = next { *by == Answerer::Terminal } else { self.show.asks };
                (!prompted).then_some(text)
            }
            Some(Held::Failure(text)) if ends => {
                self.held = Some(Held::Failure(text)).filter(|_| !told);
                None
            }
            Some(Held::Failure(text)) => Some(text),
        };
        if let Some(text) = text {
            self.print(elapsed, &text);
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
        let more = if why.len() > 3 { format!(" · and {} more", why.len() - 3) } else { String::new() };
        let why: String = why.iter().take(3).map(|why| format!(" · {why}")).collect();
        if !self.show.terminal {
            let text = clean(&format!("{what}{why}{more}"));
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
        // The time stands before the reasons, which a narrow terminal cuts off.
        let left = left.map(|s| format!(" ({}:{:02} left)", s / 60, s % 60)).unwrap_or_default();
        bar.set_message(clean(&format!("{what}{left}{why}{more}")));
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
            What::Began(began) => format!("run {} · {} on {}", paint.bold(&began.run), began.playbook, began.env_list()),
            What::Entered { env } => paint.bold(&format!("in {env}")),
            What::BlockEnded { .. } => {
                self.depth = self.depth.saturating_sub(1);
                return None;
            }
            What::OnUndo { .. }
            | What::Found { .. }
            | What::Read { .. }
            | What::ReadFailed { .. }
            | What::Waiting { .. }
            | What::Shown { .. }
            | What::Line { .. }
            | What::LineEnded { .. }
            | What::BlockStarted { .. } => {
                return None;
            }
            What::Waited { what, seconds, error: None, .. } if *seconds >= 1.0 => format!("{what}: {}", minutes(*seconds)),
            What::Waited { error: None, .. } => return None,
            What::Waited { error: Some(error), .. } => paint.bad(&error.to_string()),
            What::Asked { .. } => return None,
            What::Answered { id, key, by, .. } => format!("  answer: {key} ({})", answerer(*by, id, key)),
            What::Started { action, lease, .. } => format!("{} {action}{}", paint.bold("→"), if *lease { " (lease)" } else { "" }),
            What::Finished { .. } => return None,
            What::Unchanged { .. } => return None,
            What::Failed { error, effect, .. } => paint.bad(&format!("failed: {error}{}", effect_text(*effect))),
            What::Refused { .. } => return None,
            What::Said { text, .. } => text.clone(),
            What::Effect { text, error: None, detail, .. } => format!("{text}: {detail}"),
            What::Effect { text, detail, .. } => paint.bad(&format!("{text} failed: {detail}")),
            What::LeaseReturned { action, held_seconds, .. } => {
                format!("{} {action} (lease given back after {})", paint.bold("↩"), minutes(*held_seconds))
            }
            What::LeaseKept { step, why } => paint.bad(&format!("the lease of step {step} was not given back: {why}")),
            What::AwaitsApproval { asking, .. } => {
                let Asking { run, id, text, asked_by } = asking;
                format!("{} {text}: bgx answer {run} {id} yes, by another identity than {asked_by}", paint.bold("?"))
            }
            What::Approved { given, .. } => paint.bold(&approved(given)),
            What::Noticed { text, .. } => paint.bad(&format!("noticed: {text}")),
            What::CommittedEnv { env, .. } => paint.dim(&format!("committed in {env}: what was done there stays")),
            What::Committed { .. } if !self.touched => return None, // there was nothing to undo
            What::Committed { .. } => paint.dim("committed: from here on nothing is undone by itself"),
            What::Resumed { command, host, .. } => paint.bold(&format!("{command} on {host}")),
            What::Abandoned { reason } => paint.bad(&format!("abandoned: {reason}")),
            What::Signalled { .. } => return None, // the reason of the break that follows
            What::Broke { text, stays, rolled_back, .. } => {
                self.depth = 0;
                // Where nothing was done the run ends here, and its last lines say why.
                if !self.touched {
                    return None;
                }
                let follows = match () {
                    () if *rolled_back => "the playbook has put everything back",
                    () if self.committed || *stays => "what is done stays",
                    () => "taking back what was done",
                };
                paint.bad(&format!("{}: {follows}", text.lines().next().unwrap_or_default()))
            }
            // Where nothing is taken back it is a lease, which says so itself when it is given back.
            What::UndoStarted { .. } if !self.taking_back => return None,
            What::UndoStarted { action, .. } => format!("{} {action}", paint.bold("↩")),
            What::UndoFinished { .. } | What::UndoSkipped { .. } => return None,
            What::UndoFailed { step, why, .. } => paint.bad(&format!("stuck at step {step}: {why}")),
            What::Settled { .. } | What::Ended(_) => return None,
        })
    }
}

/// A question with its answers, one a line; the keys stand in a column.
fn question(text: &str, choices: &[(String, String)], paint: Paint) -> String {
    let width = choices.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    let lines = choices.iter().map(|(key, text)| format!("\n  {key:width$}  {text}"));
    std::iter::once(format!("{} {text}", paint.bold("?"))).chain(lines).collect()
}

fn answerer(by: Answerer, id: &str, key: &str) -> String {
    match by {
        Answerer::Terminal => "typed".to_owned(),
        Answerer::Flag => format!("--answer {id}={key}"),
        Answerer::Yes => "--yes".to_owned(),
        Answerer::Unattended => "nobody watches".to_owned(),
    }
}

fn effect_text(effect: Effect) -> &'static str {
    match effect {
        Effect::None => " (nothing happened)",
        Effect::Some => " (some of it happened)",
        Effect::Unknown => " (what happened is unknown)",
    }
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
