//! A run without the gate: for algorithms that are not ours, which are played in a sandbox to show what they do to an account.
//!
//! Each action goes straight to the account: no guard, no lock, no read-back, no undo and no lease that is given back. What the algorithm
//! leaves is what stays. Only a playbook that the library itself made so is played like this; no flag, file or header can ask for it.

use super::event::{Effect, Ended, Outcome, What};
use super::{Broke, Halt, Perform, Run, RunError};
use crate::account::{Action, Facts, Fields};

impl Run {
    /// There is no gate between the script and the account.
    pub fn is_ungated(&self) -> bool {
        self.ungated
    }

    /// The signal that came, once: as in a process with a handler of its own, which a script catches and cleans up after.
    /// A hang-up ends such a process where it stands.
    pub fn ungated_signal(&mut self) -> Result<Option<String>, Halt> {
        match self.check_interrupt() {
            Ok(()) => Ok(None),
            Err(Halt::Signal { signal }) => {
                // The handler's own calls are not interrupted again.
                self.undoing = true;
                Ok(Some(signal))
            }
            Err(other) => Err(other),
        }
    }

    /// One call, as asked. The events before and after it are what a death of the process is placed at.
    pub(super) async fn perform_ungated(&mut self, step: u64, perform: &Perform) -> Result<bool, RunError> {
        let action = &perform.action;
        let facts = match action {
            // What else the rule does goes back with it, so it is read first.
            Action::Forward { .. } | Action::ForwardEach { .. } => self.account.facts(action).await?,
            Action::Parameter { .. } => Facts::Parameter(None),
            Action::Targets { .. } => self.account.facts(action).await?,
            Action::Capacity { .. } | Action::Processes { .. } | Action::Object { .. } | Action::Copy { .. } => Facts::Object(None),
            Action::Standby { .. } | Action::Refresh { .. } | Action::CancelRefresh { .. } => Facts::Object(None),
            Action::Terminate { .. } => Facts::Object(None),
        };
        self.record(What::Started {
            step,
            verb: perform.verb.to_owned(),
            place: perform.place.clone(),
            action: action.clone(),
            before: Fields::new(),
            undo: None,
            lease: perform.lease,
        })?;
        self.touched = true;
        match self.account.apply(action, &facts, self.env.object_acl.as_deref()).await {
            Ok(()) => self.record(What::Finished { step, after: action.wanted(), calls: Vec::new(), seen: None })?,
            Err(error) => {
                self.record(What::Failed { step, error: error.clone(), effect: Effect::Unknown, calls: Vec::new() })?;
                return Err(error.into());
            }
        }
        Ok(true)
    }

    /// The end of the script is the end of the run, well or badly.
    pub(super) async fn finish_ungated(&mut self, result: Result<(), Broke>) -> Ended {
        let (outcome, why) = match result {
            Ok(()) => {
                let _ = self.record(What::Committed { step: self.step });
                (Outcome::Done, None)
            }
            Err(broke) => {
                // As at the end of any run, the text still reaches whoever plays it.
                let _ = self.record(What::Broke { text: broke.text.clone(), place: broke.place, stays: true, rolled_back: false });
                (Outcome::Paused, Some(broke.text))
            }
        };
        self.ended(outcome, why, Vec::new()).await
    }
}
