//! The steps of a plan, read from the events of its rehearsal.

use crate::account::{Action, Fields};
use crate::run::event::{Answerer, Change, Event, What};
use crate::run::scope::with_env;
use serde::{Deserialize, Serialize};

/// One thing that the run would do, at its virtual time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Since the run began.
    pub at_seconds: f64,
    pub env: String,
    pub did: Did,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Did {
    /// A `step "name" { … }` of the playbook begins.
    Block {
        name: String,
    },
    Action {
        action: Action,
        /// Fields that it changes.
        changes: Vec<Change>,
        /// What takes it back until the commit, in words; `None`: nothing does.
        undo: Option<String>,
        /// Given back at the end of the run.
        lease: bool,
    },
    /// What goes to instances or others, without a state to set.
    Effect {
        text: String,
    },
    Waited {
        what: String,
        seconds: f64,
    },
    Asked {
        id: String,
        text: String,
        key: String,
        by: Answerer,
    },
    Approval {
        id: String,
        text: String,
    },
    Said {
        text: String,
    },
    Noticed {
        text: String,
    },
    /// From here on a failure pauses the run, and nothing is taken back by itself.
    Committed {
        env: Option<String>,
    },
    LeaseReturned {
        text: String,
    },
    Refused {
        text: String,
        hint: Option<String>,
    },
    Failed {
        text: String,
    },
    Broke {
        text: String,
    },
    Undo {
        text: String,
    },
}

pub fn steps(events: &[Event]) -> Vec<Step> {
    let Some(began) = events.first().map(|event| event.at) else { return Vec::new() };
    let mut steps: Vec<Step> = Vec::new();
    let mut broke = false;
    for (index, (env, event)) in with_env(events).enumerate() {
        let at_seconds = event.at.duration_since(began).as_secs_f64();
        broke |= matches!(event.what, What::Broke { .. });
        // Until then it is a lease that goes back, which says so itself.
        let told = broke || !matches!(event.what, What::UndoStarted { .. });
        if let Some(did) = did(&event.what, &events[index..]).filter(|_| told) {
            steps.push(Step { at_seconds, env: env.to_owned(), did });
        }
    }
    steps
}

/// `None`: it is part of another step, or nothing to do with the account.
fn did(what: &What, rest: &[Event]) -> Option<Did> {
    Some(match what {
        What::BlockStarted { name } => Did::Block { name: name.clone() },
        What::Started { step, action, before, undo, lease, .. } => Did::Action {
            changes: changes(action, before, after(*step, rest)),
            undo: undo.as_ref().map(ToString::to_string),
            lease: *lease,
            action: action.clone(),
        },
        What::Effect { text, detail, error, .. } => {
            let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            Did::Effect { text: format!("{text}: {detail}{error}") }
        }
        What::Waited { what, seconds, error: None, .. } => Did::Waited { what: what.clone(), seconds: *seconds },
        What::Waited { what, error: Some(error), .. } => Did::Failed { text: format!("{what}: {error}") },
        What::Asked { id, text, .. } => {
            let (key, by) = answer(id, rest)?;
            Did::Asked { id: id.clone(), text: text.clone(), key, by }
        }
        What::AwaitsApproval { asking, .. } => Did::Approval { id: asking.id.clone(), text: asking.text.clone() },
        What::Said { text, .. } => Did::Said { text: text.clone() },
        What::Noticed { text, .. } => Did::Noticed { text: text.clone() },
        What::Committed { .. } => Did::Committed { env: None },
        What::CommittedEnv { env, .. } => Did::Committed { env: Some(env.clone()) },
        What::LeaseReturned { action, .. } => Did::LeaseReturned { text: action.to_string() },
        What::Refused { text, hint, .. } => Did::Refused { text: text.clone(), hint: hint.clone() },
        What::Failed { error, .. } => Did::Failed { text: error.to_string() },
        What::ReadFailed { error, .. } => Did::Failed { text: error.to_string() },
        What::Broke { text, .. } => Did::Broke { text: text.clone() },
        What::UndoStarted { action, .. } => Did::Undo { text: action.to_string() },
        What::Began(_)
        | What::Entered { .. }
        | What::BlockEnded { .. }
        | What::Line { .. }
        | What::LineEnded { .. }
        | What::Read { .. }
        | What::Found { .. }
        | What::Waiting { .. }
        | What::Answered { .. }
        | What::Approved { .. }
        | What::Finished { .. }
        | What::Unchanged { .. }
        | What::Shown { .. }
        | What::OnUndo { .. }
        | What::LeaseKept { .. }
        | What::Signalled { .. }
        | What::Resumed { .. }
        | What::Abandoned { .. }
        | What::UndoFinished { .. }
        | What::UndoSkipped { .. }
        | What::UndoFailed { .. }
        | What::Settled { .. }
        | What::Ended(_) => return None,
    })
}

/// The fields of an action as they were read back.
fn after(step: u64, rest: &[Event]) -> Option<&Fields> {
    rest.iter().find_map(|event| match &event.what {
        What::Finished { step: own, after, .. } if *own == step => Some(after),
        _ => None,
    })
}

fn changes(action: &Action, before: &Fields, after: Option<&Fields>) -> Vec<Change> {
    let wanted = action.wanted();
    let after = after.unwrap_or(&wanted);
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |fields: &Fields, name: &String| fields.get(name).cloned().flatten();
    let change =
        |name: &String| Change { resource: action.resource(), field: name.clone(), before: value(before, name), now: value(after, name) };
    names.into_iter().map(change).filter(|change| change.before != change.now).collect()
}

fn answer(id: &str, rest: &[Event]) -> Option<(String, Answerer)> {
    rest.iter().find_map(|event| match &event.what {
        What::Answered { id: own, key, by, .. } if own == id => Some((key.clone(), *by)),
        _ => None,
    })
}
