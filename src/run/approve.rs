//! Approval by somebody else: the run waits until another identity than its own has answered.

use super::desk::{Asking, Given};
use super::event::{Event, What};
use super::wait::short;
use super::{Halt, Run, RunError};
use std::time::Duration;

/// Between two looks for an answer: a person takes minutes.
const LOOK: Duration = Duration::from_secs(5);

/// The answers that there are.
pub const KEYS: [&str; 2] = ["yes", "no"];

/// What is to be approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub id: String,
    pub text: String,
    pub timeout: Duration,
    pub on_timeout: OnTimeout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTimeout {
    /// An error that the script can catch.
    Fail,
    /// The run stops as it is.
    Pause,
}

impl Run {
    /// Waits for the answer of another identity; a no ends the run. What the journal knows is not asked again.
    pub async fn approve(&mut self, approval: &Approval) -> Result<(), RunError> {
        self.check_interrupt()?;
        self.outside_waits("approve")?;
        let step = self.next_step();
        let what = format!("approval `{}`", approval.id);
        if let Some(known) = self.replay.approval(step, &approval.id, &what) {
            return known.and_then(|key| decided(&key, approval));
        }
        let asking = Asking { run: self.id.clone(), id: approval.id.clone(), text: approval.text.clone(), asked_by: self.who.clone() };
        self.record(What::AwaitsApproval { step, asking: asking.clone() })?;
        self.desk.post(&asking).await?;
        let began = self.now();
        let mut ignored: Vec<Given> = Vec::new();
        loop {
            for given in self.desk.look(&approval.id).await? {
                if given.by != self.who && KEYS.contains(&given.key.as_str()) {
                    self.record(What::Approved { step, given: given.clone() })?;
                    return decided(&given.key, approval);
                }
                if !ignored.contains(&given) {
                    let text =
                        format!("`{}` of {} is not taken: it must be {} by another identity", given.key, given.by, KEYS.join(" or "));
                    self.record(What::Noticed { step, text })?;
                    ignored.push(given);
                }
            }
            let waited = Duration::try_from(self.now().duration_since(began)).unwrap_or_default();
            let left = approval.timeout.saturating_sub(waited);
            self.record(What::Waiting {
                step,
                what: what.clone(),
                why: vec![format!("bgx answer {} {} yes, by another identity than {}", self.id, approval.id, self.who)],
                done: None,
                total: None,
                left_seconds: Some(left.as_secs()),
            })?;
            if left.is_zero() {
                return self.not_approved(step, what, waited, approval);
            }
            self.pause(LOOK.min(left)).await?;
        }
    }

    fn not_approved(&mut self, step: u64, what: String, waited: Duration, approval: &Approval) -> Result<(), RunError> {
        let text = format!("nobody answered {what} within {}", short(approval.timeout));
        match approval.on_timeout {
            OnTimeout::Pause => Err(Halt::Paused { why: text }.into()),
            OnTimeout::Fail => {
                let error = RunError::Timeout { text };
                self.record(What::Waited { step, what, seconds: waited.as_secs_f64(), error: Some(error.clone()), seen: Vec::new() })?;
                Err(error)
            }
        }
    }
}

fn decided(key: &str, approval: &Approval) -> Result<(), RunError> {
    match key {
        "yes" => Ok(()),
        _ => Err(Halt::Declined { text: format!("{}: not approved", approval.text) }.into()),
    }
}

/// The questions that a run waits at by its journal.
pub fn awaited(events: &[Event]) -> Vec<Asking> {
    let mut open: Vec<(u64, Asking)> = Vec::new();
    for event in events {
        match &event.what {
            What::AwaitsApproval { step, asking } => {
                open.retain(|(known, _)| known != step);
                open.push((*step, asking.clone()));
            }
            What::Approved { step, .. } | What::Waited { step, .. } => open.retain(|(known, _)| known != step),
            What::Broke { .. } | What::Ended(_) => open.clear(),
            _ => {}
        }
    }
    open.into_iter().map(|(_, asking)| asking).collect()
}
