//! The legal order of events: which event may follow those before it, as one function of them.

use super::event::{Effect, Event, Outcome, What};
use super::lines::UNDO;
use super::overdue::ACCEPT;
use super::replay::step_of;
use crate::account::Action;
use std::collections::{BTreeMap, BTreeSet};

/// What a process does with its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Forward,
    /// Taking back: the script broke, or the operator asked for it.
    Undoing,
    Abandoning,
}

/// The events of a run so far, as far as they decide what may come next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Number of the next event; 0: the run has not begun.
    next: u64,
    mode: Mode,
    committed: bool,
    /// After its commit the playbook put back itself what it had done.
    rolled_back: bool,
    abandoned: bool,
    /// All is done but the release of the lock.
    settled: Option<Outcome>,
    /// How the process before ended, until another one resumes.
    ended: Option<Outcome>,
    /// More than one process wrote: what an earlier one has shown is not written again.
    resumed: bool,
    /// The furthest verb call of this process.
    step: u64,
    /// The action that this process has begun.
    current: Option<u64>,
    /// Actions that were begun and whose outcome nobody knows.
    open: BTreeSet<u64>,
    /// Actions whose effect was seen.
    done: BTreeSet<u64>,
    /// Actions that are not taken back; true: a lease.
    kept: BTreeMap<u64, bool>,
    /// Those that took targets out of a target group: they are taken back before all others.
    took_out: BTreeSet<u64>,
    /// The taking back that is under way.
    undo: Option<u64>,
    /// The last step that this process has taken back.
    floor: Option<u64>,
    asked: Option<(u64, String)>,
    blocks: Vec<String>,
    /// How many lines were typed.
    lines: u64,
    /// The line that runs; true: it takes an action back.
    line: Option<bool>,
}

/// Whether `next` may follow `before`; the error says why not.
pub fn legal(before: &[Event], next: &Event) -> Result<(), String> {
    let mut order = Order::default();
    before.iter().try_for_each(|event| order.admit(event))?;
    order.admit(next)
}

impl Order {
    /// Takes one more event in; after an error nothing has changed.
    pub fn admit(&mut self, event: &Event) -> Result<(), String> {
        self.check(event)?;
        self.next += 1;
        self.apply(&event.what);
        Ok(())
    }

    fn check(&self, event: &Event) -> Result<(), String> {
        let is_first = matches!(event.what, What::Began(_));
        ensure(event.seq == self.next, || format!("its number is {}, and {} is next", event.seq, self.next))?;
        ensure(is_first == (self.next == 0), || if is_first { "a run begins once".into() } else { "a run begins with `began`".into() })?;
        let Some(outcome) = self.ended else { return self.check_what(&event.what) };
        ensure(matches!(event.what, What::Resumed { .. }), || "the process before it has ended: only `resumed` can follow".into())?;
        ensure(!outcome.is_over(), || format!("the run is over: {}", outcome.word()))?;
        self.check_what(&event.what)
    }

    fn check_what(&self, what: &What) -> Result<(), String> {
        match what {
            _ if self.settled.is_some() && !matches!(what, What::Ended(_) | What::Resumed { .. } | What::Noticed { .. }) => {
                Err("the run is settled: only its end can follow".into())
            }
            What::Began(_) | What::Signalled { .. } | What::Found { .. } | What::Noticed { .. } | What::Entered { .. } => Ok(()),
            What::Waiting { .. } => Err("progress is never kept".into()),
            What::BlockStarted { .. } => self.forward(),
            What::Line { .. } | What::LineEnded { .. } => self.check_line(what),
            What::BlockEnded { name, .. } => {
                self.forward()?;
                let innermost = self.blocks.last() == Some(name) || self.resumed;
                ensure(innermost, || format!("the block `{name}` is not the one that is open"))
            }
            What::Read { .. }
            | What::ReadFailed { .. }
            | What::Waited { .. }
            | What::Asked { .. }
            | What::Said { .. }
            | What::Shown { .. }
            | What::AwaitsApproval { .. }
            | What::Approved { .. }
            | What::CommittedEnv { .. }
            | What::OnUndo { .. } => self.call(what),
            What::Answered { step, id, .. } => {
                self.call(what)?;
                // The name of a guarded environment is asked for by the host, not by the script; what was accepted after a wait is kept
                // beside the reason that was asked for.
                let accepted = |asked: &str| asked == "less-reason" && id.starts_with(ACCEPT);
                let known = id == "confirm" || self.asked.as_ref().is_some_and(|(s, i)| s == step && (i == id || accepted(i)));
                ensure(known, || format!("nobody asked `{id}` in step {step}"))
            }
            What::Effect { .. } if self.takes_back() => Ok(()),
            What::Effect { .. } => self.call(what),
            What::Started { step, .. } | What::Unchanged { step, .. } => {
                self.call(what)?;
                let known = self.done.contains(step) || self.open.contains(step);
                ensure(!known, || format!("step {step} was begun already"))
            }
            What::Refused { step, .. } if self.open.contains(step) => self.forward(),
            What::Refused { .. } => self.call(what),
            What::Finished { step, .. } | What::Failed { step, .. } => {
                self.forward()?;
                ensure(self.open.contains(step), || format!("step {step} is not under way"))
            }
            What::Committed { .. } => {
                self.call(what)?;
                ensure(!self.committed, || "it has committed already".into())
            }
            What::Broke { rolled_back, .. } => {
                self.forward()?;
                ensure(!rolled_back || self.committed, || "nothing was committed that the playbook could have put back".into())
            }
            What::Resumed { command, .. } => {
                let takes_back = command == "undo" && self.settled.is_none();
                ensure(!(takes_back && self.committed), || "it has committed: it cannot be taken back".into())
            }
            What::Abandoned { .. } => ensure(self.mode == Mode::Abandoning && !self.abandoned, || "nobody gave the run up".into()),
            What::UndoStarted { .. }
            | What::UndoFinished { .. }
            | What::UndoSkipped { .. }
            | What::UndoFailed { .. }
            | What::LeaseReturned { .. }
            | What::LeaseKept { .. } => self.check_undo(what),
            What::Settled { outcome, .. } => self.check_end(*outcome),
            What::Ended(ended) => self.check_end(ended.outcome),
        }
    }

    /// One line at a time, in the order of their numbers; none ends while an action is under way.
    fn check_line(&self, what: &What) -> Result<(), String> {
        self.call(what)?;
        match what {
            What::Line { line, .. } => {
                ensure(self.line.is_none(), || format!("line {} has not ended", self.lines))?;
                ensure(*line == self.lines + 1, || format!("line {} is next", self.lines + 1))
            }
            What::LineEnded { line, .. } => ensure(self.line.is_some() && *line == self.lines, || format!("line {line} does not run")),
            _ => Ok(()),
        }
    }

    fn forward(&self) -> Result<(), String> {
        ensure(self.mode == Mode::Forward, || "the run is not going forward any more".into())
    }

    /// A verb call: in the order of their numbers, and none while an action is under way.
    fn call(&self, what: &What) -> Result<(), String> {
        self.forward()?;
        let step = step_of(what).unwrap_or(self.step);
        ensure(step >= self.step, || format!("step {step} comes after step {}", self.step))?;
        ensure(self.current.is_none(), || format!("step {} is still under way", self.current.unwrap_or_default()))
    }

    /// All of the run is being taken back, or its last action by a line of a prompt.
    fn takes_back(&self) -> bool {
        self.mode == Mode::Undoing || (self.mode == Mode::Forward && self.line == Some(true))
    }

    fn check_undo(&self, what: &What) -> Result<(), String> {
        let undoing = self.takes_back() && !self.committed;
        let not_under_way = |step: &u64| format!("the taking back of step {step} is not under way");
        match what {
            What::UndoFinished { step, .. } | What::LeaseReturned { step, .. } | What::LeaseKept { step, .. } => {
                ensure(self.undo == Some(*step), || not_under_way(step))
            }
            What::UndoStarted { step, .. } | What::UndoSkipped { step } | What::UndoFailed { step, .. } => {
                let lease = self.kept.get(step).copied();
                ensure(lease.is_some(), || format!("step {step} did nothing that could be taken back"))?;
                let gives_back = lease == Some(true) && matches!(what, What::UndoStarted { .. });
                ensure(undoing || gives_back, || "the run is not being taken back".into())?;
                // The same one may be tried again.
                ensure(self.undo.is_none_or(|under_way| under_way == *step), || "another step is being taken back".into())?;
                let in_order = self.took_out.contains(step) || self.floor.is_none_or(|floor| *step < floor);
                ensure(!undoing || in_order, || format!("step {step} is taken back out of order"))
            }
            _ => Ok(()),
        }
    }

    fn check_end(&self, outcome: Outcome) -> Result<(), String> {
        let fits = match outcome {
            // Another process may have come to release the lock, whatever its command was.
            over if self.settled.is_some() && over.is_over() => self.settled == Some(over),
            Outcome::Done => self.committed && self.mode == Mode::Forward && self.current.is_none(),
            Outcome::Undone => self.mode == Mode::Undoing && (!self.committed || self.rolled_back) && self.undo.is_none(),
            Outcome::Abandoned => self.abandoned,
            Outcome::Refused => self.open.is_empty(),
            Outcome::Paused | Outcome::Stuck | Outcome::Diverged => true,
        };
        ensure(fits, || format!("a run that stands so cannot end as {}", outcome.word()))
    }

    fn apply(&mut self, what: &What) {
        if let (Some(step), Mode::Forward) = (step_of(what), self.mode) {
            self.step = self.step.max(step);
        }
        match what {
            What::BlockStarted { name } => self.blocks.push(name.clone()),
            What::BlockEnded { .. } => drop(self.blocks.pop()),
            What::Line { text, .. } => (self.lines, self.line) = (self.lines + 1, Some(text == UNDO)),
            What::LineEnded { .. } => (self.line, self.floor, self.undo) = (None, None, None),
            What::Asked { step, id, .. } => self.asked = Some((*step, id.clone())),
            What::Started { step, lease, action, .. } => {
                if matches!(action, Action::Targets { registered: false, .. }) {
                    self.took_out.insert(*step);
                }
                self.current = Some(*step);
                self.open.insert(*step);
                self.kept.insert(*step, *lease);
            }
            What::Unchanged { step, lease, .. } => {
                self.done.insert(*step);
                self.kept.insert(*step, *lease);
            }
            What::Finished { step, .. } => {
                self.close(*step);
                self.done.insert(*step);
            }
            What::Failed { step, effect, .. } => {
                self.close(*step);
                if *effect == Effect::None {
                    self.kept.remove(step);
                }
            }
            What::Refused { step, .. } => self.close(*step),
            What::Committed { .. } => self.committed = true,
            What::Broke { rolled_back, .. } => (self.mode, self.rolled_back) = (Mode::Undoing, *rolled_back),
            What::Resumed { command, .. } => self.resume(command),
            What::Abandoned { .. } => self.abandoned = true,
            What::UndoStarted { step, .. } => self.undo = Some(*step),
            What::UndoFinished { step, .. } | What::UndoSkipped { step } => {
                self.undo = None;
                if !self.took_out.contains(step) {
                    self.floor = Some(*step);
                }
                self.kept.remove(step);
                self.close(*step);
            }
            What::UndoFailed { .. } | What::LeaseReturned { .. } | What::LeaseKept { .. } => self.undo = None,
            What::Settled { outcome, .. } => self.settled = Some(*outcome),
            What::Ended(ended) => self.ended = Some(ended.outcome),
            What::Began(_)
            | What::Found { .. }
            | What::Entered { .. }
            | What::CommittedEnv { .. }
            | What::Noticed { .. }
            | What::AwaitsApproval { .. }
            | What::Approved { .. }
            | What::Read { .. }
            | What::ReadFailed { .. }
            | What::Waiting { .. }
            | What::Waited { .. }
            | What::Answered { .. }
            | What::Said { .. }
            | What::Shown { .. }
            | What::Effect { .. }
            | What::OnUndo { .. }
            | What::Signalled { .. } => {}
        }
    }

    fn close(&mut self, step: u64) {
        self.open.remove(&step);
        self.current = self.current.filter(|current| *current != step);
    }

    /// Another process: it knows what was begun, and nothing is under way in it.
    fn resume(&mut self, command: &str) {
        self.mode = match command {
            "undo" => Mode::Undoing,
            "abandon" => Mode::Abandoning,
            _ => Mode::Forward,
        };
        self.resumed = true;
        // Who goes on with giving up says so again.
        (self.abandoned, self.rolled_back) = (false, false);
        self.step = 0;
        (self.ended, self.current, self.undo, self.floor, self.asked) = (None, None, None, None, None);
        self.blocks.clear();
    }
}

fn ensure(fits: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if fits { Ok(()) } else { Err(why()) }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
