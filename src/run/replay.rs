//! What a journal answers when its playbook runs again: every step up to the last action, and nothing after it.

use super::diverge::describe;
use super::event::{Answerer, Effect, Event, OnFailure, Outcome, What};
use super::scope::with_env;
use super::traffic::Topology;
use super::{Done, Entry, Halt, RunError, diverge};
use crate::account::{Action, Fields};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The events of a run by step, as far as they answer.
#[derive(Debug, Default)]
pub struct Replay {
    steps: BTreeMap<u64, Vec<(Timestamp, What)>>,
    /// The last step that is answered; what comes after it is asked again.
    pub cutoff: u64,
    /// By environment.
    topology: BTreeMap<String, Arc<Topology>>,
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
        let (mut cutoff, mut process) = (0, 0);
        for (index, event) in events.iter().enumerate() {
            if matches!(event.what, What::Resumed { .. }) {
                cutoff = answered(cutoff, &events[process..index]);
                // Asked again by the process that went on: what it was told is what counts.
                drop(steps.split_off(&(cutoff + 1)));
                process = index;
            }
            let Some(step) = step_of(&event.what) else { continue };
            if is_action(&event.what) {
                cutoff = cutoff.max(step);
            }
            steps.entry(step).or_default().push((event.at, event.what.clone()));
        }
        let cutoff = answered(cutoff, &events[process..]);
        let topology = with_env(events).filter_map(|(env, event)| match &event.what {
            What::Found { topology } => Some((env.to_owned(), Arc::new((**topology).clone()))),
            _ => None,
        });
        let topology = topology.collect();
        Replay { steps, cutoff, topology }
    }

    /// Answers as far as the journal knows anything, reads and waits after the last action too.
    pub fn whole(events: &[Event]) -> Replay {
        let replay = Replay::of(events);
        let told = |known: &[(Timestamp, What)]| known.iter().any(|(_, what)| tells(what));
        let last = replay.steps.iter().rev().find(|(_, known)| told(known)).map_or(0, |(step, _)| *step);
        let known = replay.steps.get(&last).map(Vec::as_slice).unwrap_or_default();
        let begun = known.iter().any(|(_, what)| matches!(what, What::Started { .. }));
        let ended = known.iter().any(|(_, what)| matches!(what, What::Finished { .. } | What::Failed { .. }));
        // What nobody knows the end of, and what the run failed at, is done again.
        let open = (begun && !ended) || last_failed_step(events) == Some(last);
        Replay { cutoff: if open { last.saturating_sub(1) } else { last }, ..replay }
    }

    /// The rules and target groups as the journal has them, where a step is answered from it.
    pub fn topology(&self, step: u64, env: &str) -> Option<Arc<Topology>> {
        self.topology.get(env).cloned().filter(|_| step <= self.cutoff)
    }

    /// What the journal has at a step, in words.
    pub fn told(&self, step: u64) -> String {
        describe(self.steps.get(&step).map(Vec::as_slice).unwrap_or_default())
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

    /// The answer to an approval, also behind the last action: nobody is asked twice.
    pub fn approval(&self, step: u64, id: &str, what: &str) -> Option<Result<String, RunError>> {
        let known = self.steps.get(&step).map(Vec::as_slice).unwrap_or_default();
        let approved = known.iter().find_map(|(_, what)| match what {
            What::Approved { given, .. } if given.id == id => Some(given.key.clone()),
            _ => None,
        });
        if let Some(key) = approved {
            return Some(Ok(key));
        }
        let known = self.get(step)?;
        let failed = known.iter().find_map(|(_, event)| match event {
            What::Waited { what: waited, error: Some(error), .. } if waited == what => Some(error.clone()),
            _ => None,
        });
        Some(Err(failed.unwrap_or_else(|| diverged(step, &describe(known), what))))
    }

    /// By colour, how many healthy targets an operator went on with at this step.
    pub fn accepted(&self, step: u64, beginning: &str) -> BTreeMap<String, u32> {
        let known = self.get(step).unwrap_or_default();
        let of = |what: &What| match what {
            What::Answered { id, key, .. } => Some((id.strip_prefix(beginning)?.to_owned(), key.parse().ok()?)),
            _ => None,
        };
        known.iter().filter_map(|(_, what)| of(what)).collect()
    }

    pub fn effect(&self, step: u64, asked: &str) -> Option<Result<(), RunError>> {
        let known = self.get(step)?;
        let found = known.iter().rev().find_map(|(_, what)| match what {
            What::Effect { text, error, .. } if text == asked => Some(error.clone()),
            _ => None,
        });
        Some(match found {
            Some(None) => Ok(()),
            // The process stopped there, as where its credentials had ended: whoever goes on tries again.
            Some(Some(RunError::Halt(_))) => return None,
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
            None => Err(diverged_action(step, known, asked)),
        })
    }
}

/// An action that is not the recorded one, field by field where both are of one kind.
fn diverged_action(step: u64, known: &[(Timestamp, What)], asked: &Action) -> RunError {
    let recorded = known.iter().find_map(|(_, what)| match what {
        What::Started { action, .. } | What::Unchanged { action, .. } => Some(action),
        _ => None,
    });
    let fields = recorded.map(|recorded| diverge::fields(recorded, asked)).unwrap_or_default();
    Halt::Diverged { step, recorded: describe(known), asked: asked.to_string(), fields }.into()
}

fn diverged(step: u64, recorded: &str, asked: &str) -> RunError {
    Halt::Diverged { step, recorded: recorded.to_owned(), asked: asked.to_owned(), fields: Vec::new() }.into()
}

/// The last step that is answered, after these events of one process. The failure that ended it is tried again; a failure that the
/// script caught is part of its path.
fn answered(cutoff: u64, process: &[Event]) -> u64 {
    if last_failed_step(process) == Some(cutoff) { cutoff.saturating_sub(1) } else { cutoff }
}

/// The step that a process ended by failing at, if it did: nothing that it did after that is known, so nobody caught the failure, or the
/// process died before it could say so.
fn last_failed_step(events: &[Event]) -> Option<u64> {
    let broke = events.iter().rposition(|event| matches!(event.what, What::Broke { .. }));
    let before = &events[..broke.unwrap_or(events.len())];
    match &before.iter().rev().find(|event| step_of(&event.what).is_some())?.what {
        What::Failed { step, .. } | What::Refused { step, .. } => Some(*step),
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
        | What::AwaitsApproval { step, .. }
        | What::Approved { step, .. }
        | What::Started { step, .. }
        | What::Finished { step, .. }
        | What::Unchanged { step, .. }
        | What::Failed { step, .. }
        | What::Refused { step, .. }
        | What::Said { step, .. }
        | What::Shown { step, .. }
        | What::Effect { step, .. }
        | What::OnUndo { step, .. }
        | What::LineEnded { step, .. }
        | What::CommittedEnv { step, .. }
        | What::Committed { step } => Some(*step),
        What::Waiting { .. }
        | What::Began(_)
        | What::Entered { .. }
        | What::Noticed { .. }
        | What::Found { .. }
        | What::BlockStarted { .. }
        | What::BlockEnded { .. }
        | What::Line { .. }
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
        | What::Settled { .. }
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
            | What::LineEnded { .. }
            | What::CommittedEnv { .. }
            | What::Committed { .. }
    )
}

/// Events that a step has once its caller was told something.
pub(super) fn tells(what: &What) -> bool {
    is_action(what) || is_answer(what)
}

/// Events that answer a step without being one of those.
fn is_answer(what: &What) -> bool {
    matches!(
        what,
        What::Read { .. }
            | What::ReadFailed { .. }
            | What::Waited { .. }
            | What::Answered { .. }
            | What::Approved { .. }
            | What::Said { .. }
            | What::Shown { .. }
    )
}

/// What a journal says a run has done and not yet taken back; and of that, what stays.
pub(super) fn entries(events: &[Event]) -> (Vec<Entry>, Vec<Entry>) {
    let (mut entries, mut stays): (Vec<Entry>, Vec<Entry>) = (Vec::new(), Vec::new());
    for (env, event) in with_env(events) {
        let env = env.to_owned();
        match &event.what {
            // Tried again by another process: what it was before is what the first one found.
            What::Started { step, .. } | What::Unchanged { step, .. } if entries.iter().any(|entry| entry.step() == *step) => {}
            What::Started { step, action, before, undo, lease, .. } => entries.push(Entry::Action(Done {
                step: *step,
                env,
                action: action.clone(),
                before: before.clone(),
                undo: undo.clone(),
                lease: *lease,
                at: event.at,
                returned: false,
            })),
            What::Unchanged { step, action, lease, .. } => entries.push(Entry::Action(Done {
                step: *step,
                env,
                action: action.clone(),
                before: action.wanted(),
                undo: None,
                lease: *lease,
                at: event.at,
                returned: false,
            })),
            What::OnUndo { step, request } => entries.push(Entry::OnUndo { step: *step, env, request: request.clone() }),
            What::Failed { step, effect: Effect::None, .. } | What::UndoFinished { step, .. } | What::UndoSkipped { step } => {
                entries.retain(|entry| entry.step() != *step);
            }
            What::LeaseReturned { step, .. } => returned(&mut entries, *step),
            What::CommittedEnv { env, .. } => stays.extend(entries.extract_if(.., |entry| entry.env() == env)),
            _ => {}
        }
    }
    (entries, stays)
}

/// What was sent to give a lease back, and in which environment, by processes that do not know whether it went through.
pub(super) fn sent_back(events: &[Event]) -> Vec<(String, Action)> {
    let mut sent: BTreeMap<u64, (&str, &Action)> = BTreeMap::new();
    for (env, event) in with_env(events) {
        match &event.what {
            What::UndoStarted { step, action, .. } => drop(sent.insert(*step, (env, action))),
            What::LeaseReturned { step, .. } | What::UndoFinished { step, .. } => drop(sent.remove(step)),
            _ => {}
        }
    }
    sent.into_values().map(|(env, action)| (env.to_owned(), action.clone())).collect()
}

/// A lease was given back. Those that later steps took on the same thing went before it, without a call: they had found it so.
fn returned(entries: &mut [Entry], step: u64) {
    let given = entries.iter().find_map(|entry| match entry {
        Entry::Action(done) if done.step == step => Some((done.env.clone(), done.action.clone())),
        Entry::Action(_) | Entry::OnUndo { .. } => None,
    });
    let Some((env, given)) = given else { return };
    let same = |action: &Action| action.resource() == given.resource() && std::mem::discriminant(action) == std::mem::discriminant(&given);
    for entry in entries {
        if let Entry::Action(done) = entry
            && (done.step == step || (done.lease && done.step > step && done.env == env && same(&done.action)))
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
    /// Giving it up was begun and is not at its end.
    GivingUp,
    /// All is done but the release of its lock.
    Settled(Outcome),
    Ended(Outcome),
}

pub fn standing(events: &[Event]) -> Standing {
    if let Some(outcome) = settled(events) {
        let ended = events.iter().rev().find_map(|event| if let What::Ended(ended) = &event.what { Some(ended.outcome) } else { None });
        return ended.filter(|ended| ended.is_over()).map_or(Standing::Settled(outcome), Standing::Ended);
    }
    let resumed = events.iter().rposition(|event| matches!(event.what, What::Resumed { .. })).unwrap_or(0);
    let tail = &events[resumed..];
    for event in tail.iter().rev() {
        match &event.what {
            What::Ended(ended) if ended.outcome == Outcome::Paused && was_undoing(events) => return Standing::Undoing,
            What::Ended(ended) => return Standing::Ended(ended.outcome),
            // After a commit nothing is taken back, so that it can only go on.
            What::Broke { stays: false, .. } if !committed(events) => return Standing::Undoing,
            What::Resumed { command, .. } if command == "undo" => return Standing::Undoing,
            What::Resumed { command, .. } if command == "abandon" => return Standing::GivingUp,
            _ => {}
        }
    }
    Standing::Open
}

/// How the run ends once its lock is released, where nothing else is left to do.
pub fn settled(events: &[Event]) -> Option<Outcome> {
    events.iter().rev().find_map(|event| if let What::Settled { outcome, .. } = event.what { Some(outcome) } else { None })
}

/// Steps were taken back already, so that only the rest of that can follow.
fn was_undoing(events: &[Event]) -> bool {
    let by_command = |what: &What| matches!(what, What::Resumed { command, .. } if command == "undo");
    let began = events.iter().position(|event| matches!(event.what, What::Broke { stays: false, .. }) || by_command(&event.what));
    let undoes = |event: &Event| matches!(event.what, What::UndoStarted { .. } | What::UndoSkipped { .. } | What::UndoFailed { .. });
    began.is_some_and(|began| events[began..].iter().any(undoes)) && !committed(events)
}

/// When the run last sent a change of weights of an environment, if it did; `Some(None)`: nobody knows, the process ended before it was
/// seen.
pub(super) fn traffic_moved(events: &[Event], env: &str) -> Option<Option<Timestamp>> {
    let moves = |action: &Action| match action {
        Action::Forward { env: of, .. } | Action::ForwardEach { env: of, .. } => of == env,
        _ => false,
    };
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
    Some(ended.map(|event| event.at))
}

/// The operator has said the name of this guarded environment.
pub fn confirmed(events: &[Event], env: &str) -> bool {
    let said = |what: &What| matches!(what, What::Answered { id, key, by: Answerer::Terminal, .. } if id == "confirm" && key == env);
    events.iter().any(|event| said(&event.what))
}

/// What `--on-failure` said last.
pub fn on_failure(events: &[Event]) -> OnFailure {
    let said = events.iter().rev().find_map(|event| match &event.what {
        What::Resumed { on_failure, .. } => *on_failure,
        What::Began(began) => Some(began.on_failure),
        _ => None,
    });
    said.unwrap_or_default()
}

/// The sources that the run goes on with: those of its first event, or those that a resume put in their place.
pub fn sources(events: &[Event]) -> Vec<(String, String)> {
    let last = events.iter().rev().find_map(|event| match &event.what {
        What::Resumed { sources: Some(sources), .. } => Some(sources.clone()),
        What::Began(began) => Some(began.sources.clone()),
        _ => None,
    });
    last.unwrap_or_default()
}

/// Why the run was given up, where that was begun.
pub fn given_up(events: &[Event]) -> Option<&str> {
    events.iter().rev().find_map(|event| if let What::Abandoned { reason } = &event.what { Some(reason.as_str()) } else { None })
}

pub fn committed(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event.what, What::Committed { .. }))
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
