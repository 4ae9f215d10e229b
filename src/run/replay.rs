//! What a journal answers when its playbook runs again: every step up to the last action, and nothing after it.

use super::event::{Answerer, Effect, Event, Outcome, What};
use super::{Done, Entry, Halt, RunError};
use crate::account::{Action, Fields};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The events of a run by step, as far as they answer.
#[derive(Debug, Default)]
pub struct Replay {
    steps: BTreeMap<u64, Vec<(Timestamp, What)>>,
    /// The last step that is answered; what comes after it is asked again.
    pub cutoff: u64,
}

/// What the journal knows of an action.
#[derive(Debug, PartialEq)]
pub enum Recorded {
    Done {
        changed: bool,
    },
    Failed(RunError),
    /// Begun, and nobody knows how it ended.
    Pending {
        before: Fields,
    },
}

impl Replay {
    pub fn of(events: &[Event]) -> Replay {
        let mut steps: BTreeMap<u64, Vec<(Timestamp, What)>> = BTreeMap::new();
        let mut cutoff = 0;
        for event in events {
            let Some(step) = step_of(&event.what) else { continue };
            if is_action(&event.what) {
                cutoff = cutoff.max(step);
            }
            steps.entry(step).or_default().push((event.at, event.what.clone()));
        }
        // The failure that ended the run is tried again; a failure that the script caught is part of its path.
        let ended_by = last_failed_step(events);
        if ended_by == Some(cutoff) {
            cutoff -= 1;
        }
        Replay { steps, cutoff }
    }

    /// The events of a step that the journal answers.
    fn get(&self, step: u64) -> Option<&[(Timestamp, What)]> {
        (step <= self.cutoff).then(|| self.steps.get(&step).map(Vec::as_slice).unwrap_or_default())
    }

    pub fn answers(&self, step: u64) -> bool {
        step <= self.cutoff
    }

    /// The answer to a read, compared with what is asked now.
    pub fn read<T: DeserializeOwned>(&self, step: u64, verb: &str, of: &str) -> Option<Result<T, RunError>> {
        let known = self.get(step)?;
        let asked = format!("{verb} of `{of}`");
        for (_, what) in known {
            match what {
                What::Read { verb: v, of: o, answer, .. } if v == verb && o == of => {
                    let value = serde_json::from_value(answer.clone());
                    return Some(value.map_err(|e| diverged(step, &format!("an answer that does not fit ({e})"), &asked)));
                }
                What::ReadFailed { verb: v, of: o, error, .. } if v == verb && o == of => return Some(Err(error.clone())),
                _ => {}
            }
        }
        Some(Err(diverged(step, &describe(known), &asked)))
    }

    pub fn wait(&self, step: u64, asked: &str) -> Option<Result<(), RunError>> {
        let known = self.get(step)?;
        let found = known.iter().find_map(|(_, what)| match what {
            What::Waited { what, error, .. } if what == asked => Some(error.clone()),
            _ => None,
        });
        Some(match found {
            Some(None) => Ok(()),
            Some(Some(error)) => Err(error),
            None => Err(diverged(step, &describe(known), &format!("to wait for {asked}"))),
        })
    }

    pub fn answer(&self, step: u64, id: &str) -> Option<Result<String, RunError>> {
        let known = self.get(step)?;
        let found = known.iter().find_map(|(_, what)| match what {
            What::Answered { id: i, key, .. } if i == id => Some(key.clone()),
            _ => None,
        });
        Some(found.ok_or_else(|| diverged(step, &describe(known), &format!("question `{id}`"))))
    }

    pub fn effect(&self, step: u64, asked: &str) -> Option<Result<(), RunError>> {
        let known = self.get(step)?;
        let found = known.iter().find_map(|(_, what)| match what {
            What::Effect { text, error, .. } if text == asked => Some(error.clone()),
            _ => None,
        });
        Some(match found {
            Some(None) => Ok(()),
            Some(Some(error)) => Err(error),
            None => Err(diverged(step, &describe(known), asked)),
        })
    }

    /// The outcome of an action, compared with what is asked now.
    pub fn action(&self, step: u64, asked: &Action) -> Option<Result<Recorded, RunError>> {
        let known = self.get(step)?;
        let mut pending = None;
        for (_, what) in known {
            match what {
                What::Started { action, before, .. } if action == asked => pending = Some(before.clone()),
                What::Unchanged { action, .. } if action == asked => return Some(Ok(Recorded::Done { changed: false })),
                What::Finished { .. } if pending.is_some() => return Some(Ok(Recorded::Done { changed: true })),
                What::Failed { error, .. } if pending.is_some() => return Some(Ok(Recorded::Failed(error.clone().into()))),
                What::Refused { text, hint, .. } => {
                    return Some(Ok(Recorded::Failed(RunError::Refused { text: text.clone(), hint: hint.clone() })));
                }
                _ => {}
            }
        }
        Some(match pending {
            Some(before) => Ok(Recorded::Pending { before }),
            None => Err(diverged(step, &describe(known), &asked.to_string())),
        })
    }
}

fn diverged(step: u64, recorded: &str, asked: &str) -> RunError {
    Halt::Diverged { step, recorded: recorded.to_owned(), asked: asked.to_owned() }.into()
}

/// The step that the run ended by failing at, if it did.
fn last_failed_step(events: &[Event]) -> Option<u64> {
    let broke = events.iter().rposition(|event| matches!(event.what, What::Broke { .. }))?;
    match events[..broke].iter().rev().find(|event| step_of(&event.what).is_some())?.what {
        What::Failed { step, .. } | What::Refused { step, .. } => Some(step),
        _ => None,
    }
}

/// The number of the verb call that an event belongs to.
pub fn step_of(what: &What) -> Option<u64> {
    match what {
        What::Read { step, .. }
        | What::ReadFailed { step, .. }
        | What::Waited { step, .. }
        | What::Asked { step, .. }
        | What::Answered { step, .. }
        | What::Started { step, .. }
        | What::Finished { step, .. }
        | What::Unchanged { step, .. }
        | What::Failed { step, .. }
        | What::Refused { step, .. }
        | What::Said { step, .. }
        | What::Effect { step, .. }
        | What::OnUndo { step, .. }
        | What::Committed { step } => Some(*step),
        What::Waiting { .. }
        | What::Began(_)
        | What::BlockStarted { .. }
        | What::BlockEnded { .. }
        | What::LeaseReturned { .. }
        | What::LeaseKept { .. }
        | What::Signalled { .. }
        | What::Resumed { .. }
        | What::Abandoned { .. }
        | What::Broke { .. }
        | What::UndoStarted { .. }
        | What::UndoFinished { .. }
        | What::UndoSkipped { .. }
        | What::UndoFailed { .. }
        | What::Ended(_) => None,
    }
}

/// Events after which a run is not as it was: what comes before them is answered from the journal.
fn is_action(what: &What) -> bool {
    matches!(
        what,
        What::Started { .. }
            | What::Finished { .. }
            | What::Failed { .. }
            | What::Unchanged { .. }
            | What::Refused { .. }
            | What::Effect { .. }
            | What::OnUndo { .. }
            | What::Committed { .. }
    )
}

fn describe(known: &[(Timestamp, What)]) -> String {
    let texts = known.iter().filter_map(|(_, what)| match what {
        What::Read { verb, of, .. } | What::ReadFailed { verb, of, .. } => Some(format!("{verb} of `{of}`")),
        What::Waited { what, .. } => Some(format!("a wait for {what}")),
        What::Asked { id, .. } => Some(format!("question `{id}`")),
        What::Started { action, .. } | What::Unchanged { action, .. } => Some(action.to_string()),
        What::Said { text, .. } => Some(format!("the text `{text}`")),
        What::Effect { text, .. } => Some(text.clone()),
        What::Committed { .. } => Some("commit".to_owned()),
        _ => None,
    });
    texts.into_iter().next().unwrap_or_else(|| "nothing".to_owned())
}

/// What a journal says a run has done and not yet taken back.
pub(super) fn entries(events: &[Event]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for event in events {
        match &event.what {
            What::Started { step, action, before, undo, lease, .. } => entries.push(Entry::Action(Done {
                step: *step,
                action: action.clone(),
                before: before.clone(),
                undo: undo.clone(),
                lease: *lease,
                at: event.at,
                returned: false,
            })),
            What::Unchanged { step, action, lease, .. } => entries.push(Entry::Action(Done {
                step: *step,
                action: action.clone(),
                before: action.wanted(),
                undo: None,
                lease: *lease,
                at: event.at,
                returned: false,
            })),
            What::OnUndo { step, request } => entries.push(Entry::OnUndo { step: *step, request: request.clone() }),
            What::Failed { step, effect: Effect::None, .. } | What::UndoFinished { step, .. } | What::UndoSkipped { step } => {
                entries.retain(|entry| entry.step() != *step);
            }
            What::LeaseReturned { step, .. } => returned(&mut entries, *step),
            _ => {}
        }
    }
    entries
}

/// A lease was given back. Those that later steps took on the same thing went before it, without a call: they had found it so.
fn returned(entries: &mut [Entry], step: u64) {
    let given = entries.iter().find_map(|entry| match entry {
        Entry::Action(done) if done.step == step => Some(done.action.clone()),
        Entry::Action(_) | Entry::OnUndo { .. } => None,
    });
    let Some(given) = given else { return };
    let same = |action: &Action| action.resource() == given.resource() && std::mem::discriminant(action) == std::mem::discriminant(&given);
    for entry in entries {
        if let Entry::Action(done) = entry
            && (done.step == step || (done.lease && done.step > step && same(&done.action)))
        {
            done.returned = true;
        }
    }
}

/// Where a run stands, by its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No end is recorded: it runs now, or its process died.
    Open,
    /// Taking back was begun and is not at its end.
    Undoing,
    Ended(Outcome),
}

pub fn standing(events: &[Event]) -> Standing {
    let resumed = events.iter().rposition(|event| matches!(event.what, What::Resumed { .. })).unwrap_or(0);
    let tail = &events[resumed..];
    for event in tail.iter().rev() {
        match &event.what {
            What::Ended(ended) if ended.outcome == Outcome::Paused && was_undoing(events) => return Standing::Undoing,
            What::Ended(ended) => return Standing::Ended(ended.outcome),
            What::Broke { .. } => return Standing::Undoing,
            What::Resumed { command, .. } if command == "undo" => return Standing::Undoing,
            _ => {}
        }
    }
    Standing::Open
}

/// Steps were taken back already, so that only the rest of that can follow.
fn was_undoing(events: &[Event]) -> bool {
    let by_command = |what: &What| matches!(what, What::Resumed { command, .. } if command == "undo");
    let began = events.iter().position(|event| matches!(event.what, What::Broke { .. }) || by_command(&event.what));
    let undoes = |event: &Event| matches!(event.what, What::UndoStarted { .. } | What::UndoSkipped { .. } | What::UndoFailed { .. });
    began.is_some_and(|began| events[began..].iter().any(undoes)) && !committed(events)
}

/// When the run last sent a change of weights, as far as its journal knows.
pub(super) fn traffic_moved(events: &[Event]) -> Option<Timestamp> {
    let moves = |action: &Action| matches!(action, Action::Forward { .. } | Action::ForwardEach { .. });
    let sent = events.iter().rev().find(|event| match &event.what {
        What::Started { action, .. } | What::UndoStarted { action, .. } => moves(action),
        _ => false,
    });
    // It was sent after its record, by a process that may have waited: its end, where there is one, is later.
    let step = match &sent?.what {
        What::Started { step, .. } | What::UndoStarted { step, .. } => *step,
        _ => return None,
    };
    let ended = events.iter().rev().find(|event| match event.what {
        What::Finished { step: s, .. } | What::UndoFinished { step: s, .. } | What::Failed { step: s, .. } => s == step,
        _ => false,
    });
    ended.or(sent).map(|event| event.at)
}

/// The operator has said the name of a guarded environment.
pub fn confirmed(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(&event.what, What::Answered { id, by: Answerer::Terminal, .. } if id == "confirm"))
}

pub fn committed(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event.what, What::Committed { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(whats: Vec<What>) -> Vec<Event> {
        let numbered = (0..).zip(whats);
        numbered.map(|(seq, what)| Event { seq, at: Timestamp::UNIX_EPOCH, what }).collect()
    }

    fn taken_up(command: &str) -> What {
        let (host, identity, user) = ("ci".into(), "deployer".into(), "ann".into());
        What::Resumed { command: command.into(), host, identity, user, actor: None, process: "n".into() }
    }

    #[test]
    fn an_undo_whose_process_died_is_still_an_undo() {
        assert_eq!(standing(&events(vec![taken_up("resume")])), Standing::Open);
        assert_eq!(standing(&events(vec![taken_up("undo")])), Standing::Undoing);
    }

    #[test]
    fn a_lease_that_was_so_already_is_a_lease_in_the_journal_too() {
        let action = Action::Capacity { asg: "beta-blue".into(), min: Some(2), max: None, desired: None };
        for lease in [true, false] {
            let what = What::Unchanged { step: 3, verb: "protect_asg".into(), action: action.clone(), lease };
            let [Entry::Action(done)] = &entries(&events(vec![what]))[..] else { panic!("one action") };
            assert_eq!(done.lease, lease);
        }
    }
}
