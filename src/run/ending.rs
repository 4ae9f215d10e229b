//! How a run ends: committed and read back, taken back, paused as it is, or given up.

use super::event::{Change, Ended, Outcome, Place, What};
use super::{Entry, Halt, Run, RunError, survey, undo};
use std::collections::BTreeMap;

/// How a script ended when it did not end well.
#[derive(Clone, Debug)]
pub struct Broke {
    pub text: String,
    pub place: Option<Place>,
    pub halt: Option<Halt>,
    /// A guard said no.
    pub refused: bool,
}

impl Broke {
    pub fn by(error: RunError) -> Broke {
        let text = error.to_string();
        let refused = matches!(error, RunError::Refused { .. });
        let halt = if let RunError::Halt(halt) = error { Some(halt) } else { None };
        Broke { text, place: None, halt, refused }
    }
}

impl Run {
    /// Ends the run after its script did: commits, gives leases back and reads the end state, or takes everything back.
    pub async fn finish(&mut self, result: Result<(), Broke>) -> Ended {
        if self.ungated {
            return self.finish_ungated(result).await;
        }
        let (outcome, why) = match result {
            Ok(()) => match self.complete().await {
                Ok(()) => (Outcome::Done, None),
                Err(error) => self.settle(Broke::by(error)).await,
            },
            Err(broke) => self.settle(broke).await,
        };
        let disagreements = match outcome {
            Outcome::Done => self.end_state().await,
            Outcome::Undone | Outcome::Paused | Outcome::Stuck | Outcome::Refused | Outcome::Diverged | Outcome::Abandoned => Vec::new(),
        };
        let (outcome, why) = match disagreements.first() {
            Some(first) => (Outcome::Paused, Some(format!("the end state is not as it should be: {first}"))),
            None => (outcome, why),
        };
        self.ended(outcome, why, disagreements).await
    }

    /// Takes a run back that another process left.
    pub async fn undo_all(&mut self) -> Ended {
        self.undoing = true;
        let (outcome, why) = match self.take_back().await {
            Ok(()) => (Outcome::Undone, None),
            Err(stuck) => self.stopped_undoing(&stuck),
        };
        self.settle_traffic().await;
        self.ended(outcome, why, Vec::new()).await
    }

    /// Without the lock nothing is known about the step that was not taken back: whoever has the lock goes on.
    fn stopped_undoing(&self, stuck: &undo::Stuck) -> (Outcome, Option<String>) {
        (if self.fenced { Outcome::Paused } else { Outcome::Stuck }, Some(stuck.to_string()))
    }

    /// Gives a run up: its leases go back, everything else stays as it is.
    pub async fn abandon(&mut self, reason: &str) -> Result<Ended, Halt> {
        self.undoing = true;
        self.record(What::Abandoned { reason: reason.to_owned() })?;
        Ok(match self.return_leases().await {
            Ok(()) => self.ended(Outcome::Abandoned, None, Vec::new()).await,
            Err(error) => self.ended(Outcome::Stuck, Some(format!("a lease was not given back: {error}")), Vec::new()).await,
        })
    }

    /// The last event, with what changed and what it cost.
    pub(super) async fn ended(&mut self, outcome: Outcome, why: Option<String>, disagreements: Vec<String>) -> Ended {
        let kept = self.end_lock(outcome).await;
        let why = match (why, kept) {
            (Some(why), Some(kept)) => Some(format!("{why}; {kept}")),
            (why, kept) => why.or(kept),
        };
        self.count_calls();
        let seconds = self.now().duration_since(self.began).as_secs_f64();
        let ended = Ended { outcome, why, seconds, changes: self.changes(), calls: self.calls.clone(), disagreements };
        // A journal that cannot be written at the very end changes nothing in the account; the text still reaches the operator.
        let _ = self.record(What::Ended(Box::new(ended.clone())));
        ended
    }

    async fn complete(&mut self) -> Result<(), RunError> {
        self.commit()?;
        self.return_leases().await?;
        self.settle_traffic().await;
        Ok(())
    }

    /// What is left to do after a failure, by where the run stood.
    async fn settle(&mut self, broke: Broke) -> (Outcome, Option<String>) {
        let why = Some(broke.text.clone());
        if let Some(Halt::Signal { signal }) = &broke.halt {
            let _ = self.record(What::Signalled { signal: signal.clone() });
        }
        let recorded = self.record(What::Broke { text: broke.text.clone(), place: broke.place.clone() });
        match &broke.halt {
            Some(Halt::Paused { .. } | Halt::Journal { .. }) => return (Outcome::Paused, why),
            Some(Halt::Diverged { .. }) => return (Outcome::Diverged, why),
            Some(Halt::Stuck { .. }) => return (Outcome::Stuck, why),
            Some(Halt::Locked { .. }) if !self.touched => return (Outcome::Refused, why),
            Some(Halt::Signal { .. } | Halt::Declined { .. } | Halt::Locked { .. }) | None => {}
        }
        if recorded.is_err() {
            return (Outcome::Paused, why);
        }
        self.undoing = true;
        if self.committed {
            return match self.return_leases().await {
                Ok(()) => (Outcome::Paused, why),
                Err(error) => (Outcome::Paused, Some(format!("{}; and a lease was not given back: {error}", broke.text))),
            };
        }
        if !self.touched {
            let refused = broke.refused || matches!(broke.halt, Some(Halt::Declined { .. }));
            return (if refused { Outcome::Refused } else { Outcome::Undone }, why);
        }
        match self.take_back().await {
            Ok(()) => (Outcome::Undone, why),
            Err(stuck) => self.stopped_undoing(&stuck),
        }
    }

    /// Disagreements after a run that says it is done; only a run that changed something is held to them.
    async fn end_state(&mut self) -> Vec<String> {
        if !self.touched {
            return Vec::new();
        }
        match survey::survey(&self.account, &self.env).await {
            Ok(survey) => survey.disagreements.iter().filter(|d| d.blocks).map(|d| d.text.clone()).collect(),
            Err(error) => vec![format!("the end state could not be read: {error}")],
        }
    }

    /// First and last value of every field that a run set and that is not as it was.
    fn changes(&self) -> Vec<Change> {
        let mut fields: BTreeMap<(String, String), (Option<String>, Option<String>)> = BTreeMap::new();
        for entry in &self.entries {
            let Entry::Action(done) = entry else { continue };
            let now = if done.returned { &done.before } else { &done.action.wanted() };
            for (field, value) in now {
                let before = done.before.get(field).cloned().flatten();
                fields.entry((done.action.resource(), field.clone())).or_insert_with(|| (before, None)).1.clone_from(value);
            }
        }
        let changed = fields.into_iter().filter(|(_, (before, now))| before != now);
        changed.map(|((resource, field), (before, now))| Change { resource, field, before, now }).collect()
    }

    fn count_calls(&mut self) {
        for call in self.account.take_calls() {
            *self.calls.entry(call.service).or_default() += 1;
        }
    }
}
