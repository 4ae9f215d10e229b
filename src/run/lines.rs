//! A run that is typed line by line: each line is in the journal before it runs, writes are off until somebody allows them, the lock is
//! taken at the first of them, and the last action can be taken back by itself.

use super::event::{Effect, Event, What};
use super::lock::{self, Claim, Place};
use super::replay::{self, step_of};
use super::{Entry, Halt, Opening, Run, RunError};
use std::collections::BTreeSet;
use std::time::Duration;

/// The line that takes the last action back.
pub const UNDO: &str = ":undo";
/// The line that allows writes; in a guarded environment its name follows.
pub const WRITES_ON: &str = ":writes on";
pub const WRITES_OFF: &str = ":writes off";

/// What a run at a prompt knows beyond other runs.
pub(super) struct Lines {
    claim: Claim,
    writes: bool,
    /// How many lines there were.
    count: u64,
    /// An ended line is replayed, and this was the last of its verb calls that was told something.
    until: Option<u64>,
}

impl Lines {
    /// `None`: its calls come from a playbook.
    pub fn of(opening: &Opening) -> Option<Lines> {
        opening.began.prompt.then(|| Lines { claim: opening.claim(), writes: false, count: 0, until: None })
    }
}

/// One line as a journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    pub line: u64,
    pub text: String,
    /// Modules that it is the first to import: name and text.
    pub modules: Vec<(String, String)>,
    /// The last of its verb calls that was told something.
    pub told: u64,
    /// Steps at which it changed something.
    pub acts: BTreeSet<u64>,
    /// `None`: the process died, or stopped, while it ran.
    pub ended: Option<LineEnd>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineEnd {
    pub step: u64,
    pub error: Option<String>,
}

/// The lines of a journal, in order.
pub fn typed(events: &[Event]) -> Vec<Typed> {
    let mut lines: Vec<Typed> = Vec::new();
    let mut step = 0;
    for event in events {
        match &event.what {
            What::Line { line, text, modules } => {
                let (text, modules) = (text.clone(), modules.clone());
                lines.push(Typed { line: *line, text, modules, told: step, acts: BTreeSet::new(), ended: None });
            }
            What::LineEnded { step: at, error, .. } => {
                step = *at;
                if let Some(last) = lines.last_mut() {
                    last.ended = Some(LineEnd { step, error: error.clone() });
                }
            }
            what if replay::tells(what) => {
                if let (Some(last), Some(told)) = (lines.last_mut().filter(|line| line.ended.is_none()), step_of(what)) {
                    last.told = last.told.max(told);
                    match what {
                        What::Started { .. } => drop(last.acts.insert(told)),
                        What::Failed { effect: Effect::None, .. } => drop(last.acts.remove(&told)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    lines
}

/// Writes were never allowed: such a run never had the lock, and stands in nobody's way.
pub fn only_looked(events: &[Event]) -> bool {
    let is_prompt = matches!(events.first().map(|event| &event.what), Some(What::Began(began)) if began.prompt);
    is_prompt && !events.iter().any(|event| matches!(&event.what, What::Line { text, .. } if text.starts_with(WRITES_ON)))
}

/// An action that was done and not taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub step: u64,
    pub text: String,
    /// It goes back when the run ends.
    pub lease: bool,
}

impl Run {
    /// Keeps a line before it runs. What was found before it may have changed since: rules and target groups are looked up again.
    pub async fn begin_line(&mut self, text: &str, modules: Vec<(String, String)>) -> Result<u64, Halt> {
        let Some(lines) = &mut self.lines else { return Err(no_prompt()) };
        lines.count += 1;
        lines.until = None;
        let line = lines.count;
        (self.topology, self.inside) = (None, 0);
        self.record(What::Line { line, text: text.to_owned(), modules })?;
        self.keep().await?;
        Ok(line)
    }

    /// Keeps how a line ended: whoever goes on, on whatever machine, does not run it again.
    pub async fn end_line(&mut self, error: Option<String>) -> Result<(), Halt> {
        let Some(lines) = &self.lines else { return Err(no_prompt()) };
        let (line, step) = (lines.count, self.step);
        self.record(What::LineEnded { line, step, error })?;
        self.keep().await
    }

    /// The next calls are those of a line of another process; the journal answers those of one that has ended, and no more.
    pub fn replay_line(&mut self, line: &Typed) {
        let until = line.ended.as_ref().map(|end| if end.error.is_some() { line.told } else { end.step });
        if let Some(lines) = &mut self.lines {
            (lines.count, lines.until) = (line.line, until);
        }
        self.inside = 0;
    }

    /// After an ended line of another process.
    pub fn line_replayed(&mut self, end: &LineEnd) {
        self.step = end.step;
        if let Some(lines) = &mut self.lines {
            lines.until = None;
        }
    }

    /// An ended line was stopped here.
    pub(super) fn check_line(&self) -> Result<(), Halt> {
        let until = self.lines.as_ref().and_then(|lines| lines.until);
        match until.is_some_and(|until| self.step >= until) && self.inside == 0 && !self.undoing {
            true => Err(Halt::Signal { signal: "what stopped the line then".to_owned() }),
            false => Ok(()),
        }
    }

    pub fn writes(&self) -> bool {
        self.lines.as_ref().is_none_or(|lines| lines.writes)
    }

    /// Allows writes, or not. A guarded environment has to be named.
    pub fn set_writes(&mut self, on: bool, named: Option<&str>) -> Result<(), RunError> {
        let name = self.env.name.clone();
        if let Some(typed) = named.filter(|typed| on && *typed != name) {
            return Err(RunError::refused(format!("`{typed}` is not `{name}`: writes stay off"), format!("{WRITES_ON} {name}")));
        }
        if on && self.env.guarded && named.is_none() {
            return Err(RunError::refused(format!("`{name}` is guarded: its name must be typed"), format!("{WRITES_ON} {name}")));
        }
        self.confirmed |= on && named.is_some();
        if let Some(lines) = &mut self.lines {
            lines.writes = on;
        }
        Ok(())
    }

    /// Before what a write starts from is read: writes are allowed, and nobody else has the environment.
    pub(super) async fn may_write(&mut self) -> Result<(), RunError> {
        let Some(lines) = &self.lines else { return Ok(()) };
        if !lines.writes {
            let guarded = if self.env.guarded { format!(" {}", self.env.name) } else { String::new() };
            return Err(RunError::refused("writes are off: nothing was sent", format!("{WRITES_ON}{guarded}")));
        }
        if self.lock.is_some() {
            return Ok(());
        }
        let (claim, place) = (lines.claim.clone(), Place::of(&self.env, &self.account, &self.time));
        let mut stop = self.interrupt.clone();
        let lock = lock::acquire(place, &claim, Duration::ZERO, &mut stop, |what| drop(self.record(what))).await?;
        self.lock = Some(lock);
        self.topology = None;
        Ok(())
    }

    /// What was done and not taken back, in order.
    pub fn standing(&self) -> Vec<Standing> {
        let stands = self.entries.iter().filter_map(|entry| match entry {
            Entry::Action(done) if !done.returned && done.before != done.action.wanted() => {
                Some(Standing { step: done.step, text: done.action.to_string(), lease: done.lease })
            }
            Entry::Action(_) | Entry::OnUndo { .. } => None,
        });
        stands.collect()
    }

    /// The number of the last verb call.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Takes the last action back that stands; `None`: there is none.
    pub async fn take_back_last(&mut self) -> Result<Option<Standing>, RunError> {
        if self.committed {
            return Err(RunError::refused("the run has committed: what it did stays", "go back with a playbook such as rollback"));
        }
        self.may_write().await?;
        let Some(last) = self.standing().pop() else { return Ok(None) };
        self.undoing = true;
        let taken = self.take_back_to(last.step).await;
        self.undoing = false;
        taken.map(|()| Some(last))
    }

    async fn take_back_to(&mut self, step: u64) -> Result<(), RunError> {
        while let Some(entry) = self.entries.last().cloned().filter(|entry| entry.step() >= step) {
            match entry {
                Entry::Action(done) if done.returned || done.before == done.action.wanted() => {}
                Entry::Action(done) => self.undo_action(&done).await.map_err(|stuck| RunError::failed(stuck.to_string()))?,
                Entry::OnUndo { step, request, .. } => {
                    // As for the whole run: a cache that stays warm is no reason to stop; the failure is in the journal.
                    let _ = self.send_effect(step, &request).await;
                }
            }
            self.entries.pop();
        }
        Ok(())
    }
}

fn no_prompt() -> Halt {
    Halt::Paused { why: "this run has no prompt".to_owned() }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
