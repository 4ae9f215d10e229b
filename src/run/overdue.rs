//! A wait whose time is over, at a terminal: the operator says whether to wait on, go on with less, take everything back or leave it.
//!
//! Where nobody can be asked, or answers were given beforehand, the wait fails, and `--on-failure` decides.

use super::event::{Answerer, What};
use super::wait::{Progress, Wait, short};
use super::{Halt, Question, Run, RunError};

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// It fails, as it does where nobody is asked.
    Fails,
    /// As long again.
    Longer,
    /// It is over, and well enough.
    Enough,
}

impl Run {
    pub(super) fn overdue(&mut self, wait: &Wait, progress: &Progress, text: &str) -> Result<Overdue, RunError> {
        let beforehand = self.answers.yes || !self.answers.given.is_empty();
        if !wait.outermost || beforehand || self.answers.terminal.is_none() {
            return Ok(Overdue::Fails);
        }
        let less = wait.color.clone().zip(progress.done.and_then(|done| u32::try_from(done).ok()).filter(|healthy| *healthy > 0));
        loop {
            let key = self.put(wait.step, &question(text, wait, less.as_ref().map(|(_, healthy)| *healthy)))?;
            match (key.as_str(), &less) {
                ("longer", _) => return Ok(Overdue::Longer),
                ("less", Some((color, healthy))) => {
                    if self.take_less(wait.step, color, *healthy)? {
                        return Ok(Overdue::Enough);
                    }
                }
                ("pause", _) => return Err(Halt::Paused { why: text.to_owned() }.into()),
                _ => return Err(Halt::Declined { text: text.to_owned() }.into()),
            }
        }
    }

    /// Guard 3 yields for this colour, with a reason; without one it does not.
    fn take_less(&mut self, step: u64, color: &str, healthy: u32) -> Result<bool, RunError> {
        let question = Question {
            id: "less-reason".to_owned(),
            text: format!("why may {color} take production traffic with {healthy} healthy target(s)?"),
            choices: Vec::new(),
            unattended: None,
            human: true,
            timeout: None,
        };
        if self.put(step, &question)?.trim().is_empty() {
            return Ok(false);
        }
        self.record(What::Answered { step, id: format!("{ACCEPT}{color}"), key: healthy.to_string(), by: Answerer::Terminal })?;
        self.accepted.insert(color.to_owned(), healthy);
        Ok(true)
    }

    /// One question at the terminal; it is part of the wait's step.
    fn put(&mut self, step: u64, question: &Question) -> Result<String, RunError> {
        self.record(What::Asked { step, id: question.id.clone(), text: question.text.clone(), choices: question.choices.clone() })?;
        let answer = self.answers.terminal.as_mut().and_then(|asker| asker(question));
        self.check_interrupt()?;
        // Whoever left the terminal did not ask for an undo.
        let key = answer.ok_or_else(|| Halt::Paused { why: format!("{}: no answer", question.text) })?;
        self.record(What::Answered { step, id: question.id.clone(), key: key.clone(), by: Answerer::Terminal })?;
        Ok(key)
    }

    /// What an operator accepted when this step was waited for the first time.
    pub(super) fn accept_again(&mut self, step: u64) {
        self.accepted.extend(self.replay.accepted(step, ACCEPT));
    }
}

/// Begins the id under which it is kept what was accepted.
pub(super) const ACCEPT: &str = "less-of-";

fn question(text: &str, wait: &Wait, healthy: Option<u32>) -> Question {
    let own = str::to_owned;
    let mut choices = vec![(own("longer"), format!("wait another {}", short(wait.limit)))];
    choices.extend(healthy.map(|healthy| (own("less"), format!("go on with {healthy} healthy"))));
    choices.push((own("undo"), own("take everything back")));
    choices.push((own("pause"), own("leave it as it is; bgx resume or bgx undo later")));
    Question { id: own("overdue"), text: own(text), choices, unattended: None, human: true, timeout: None }
}
