//! Questions to the operator: each has an id, and an answer from a flag, the terminal, or the question's own default.

use super::event::{Answerer, What};
use super::{Halt, Run, RunError};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub id: String,
    pub text: String,
    /// Key and what it does, in the order shown.
    pub choices: Vec<(String, String)>,
    /// The answer of a run that nobody watches; `None`: it must be answered.
    pub unattended: Option<String>,
    /// `--yes` does not answer it.
    pub human: bool,
    /// The terminal is asked for so long; then `unattended` is taken.
    pub timeout: Option<Duration>,
}

/// Asks at the terminal; `None`: it was closed.
pub type Asker = Box<dyn FnMut(&Question) -> Option<String> + Send>;

/// Where answers come from.
#[derive(Default)]
pub struct Answers {
    /// `--answer id=key`.
    pub given: BTreeMap<String, String>,
    pub yes: bool,
    /// `--confirm ENV`.
    pub confirm: Option<String>,
    pub terminal: Option<Asker>,
}

impl Run {
    /// Puts a question; the answer is kept.
    pub fn ask(&mut self, question: &Question) -> Result<String, RunError> {
        self.check_interrupt()?;
        self.outside_waits("a question")?;
        let step = self.next_step();
        if let Some(known) = self.replay.answer(step, &question.id) {
            return known;
        }
        self.record(What::Asked { step, id: question.id.clone(), text: question.text.clone(), choices: question.choices.clone() })?;
        let (key, by) = self.answer(question)?;
        self.record(What::Answered { step, id: question.id.clone(), key: key.clone(), by })?;
        Ok(key)
    }

    fn answer(&mut self, question: &Question) -> Result<(String, Answerer), RunError> {
        let keys: Vec<&str> = question.choices.iter().map(|(key, _)| key.as_str()).collect();
        if let Some(key) = self.answers.given.get(&question.id) {
            return match keys.contains(&key.as_str()) {
                true => Ok((key.clone(), Answerer::Flag)),
                false => Err(declined(format!("`--answer {}={key}` is no answer; the answers are {}", question.id, keys.join(", ")))),
            };
        }
        if self.answers.yes && !question.human {
            let default = question.unattended.clone().or_else(|| keys.contains(&"yes").then(|| "yes".to_owned()));
            if let Some(key) = default {
                return Ok((key, Answerer::Yes));
            }
        }
        if let Some(asker) = &mut self.answers.terminal {
            let asked = asker(question);
            self.check_interrupt()?;
            if let (None, Some(_), Some(key)) = (&asked, question.timeout, &question.unattended) {
                return Ok((key.clone(), Answerer::Unattended));
            }
            return asked.map(|key| (key, Answerer::Terminal)).ok_or_else(|| declined(format!("{}: no answer", question.text)));
        }
        match &question.unattended {
            Some(key) => Ok((key.clone(), Answerer::Unattended)),
            None => Err(unanswered(format!("{}: answer with {}", question.text, flags(question)))),
        }
    }

    /// A guarded environment is written only after its name was typed.
    pub(super) fn confirm_guarded(&mut self) -> Result<(), RunError> {
        if self.confirmed || !self.env.guarded {
            return Ok(());
        }
        let name = self.env.name.clone();
        let word = self.confirmed_by()?;
        let typed = match self.answers.confirm.clone() {
            Some(typed) => typed,
            None => {
                let question = Question {
                    id: "confirm".to_owned(),
                    text: match word == name {
                        true => format!("`{name}` is guarded: type its name to let this run change it"),
                        false => format!("`{name}` is guarded: type `{word}` to let this run do what that plan says"),
                    },
                    choices: Vec::new(),
                    unattended: None,
                    human: true,
                    timeout: None,
                };
                let asked = self.answers.terminal.as_mut().map(|asker| asker(&question));
                asked.flatten().ok_or_else(|| unanswered(format!("`{name}` is guarded; confirm with --confirm {word}")))?
            }
        };
        if typed.split(',').all(|typed| typed.trim() != word) {
            return Err(declined(format!("`{}` is not `{word}`: nothing was confirmed", typed.trim())));
        }
        let step = self.step;
        self.record(What::Answered { step, id: "confirm".to_owned(), key: name, by: Answerer::Terminal })?;
        self.confirmed = true;
        Ok(())
    }
}

fn unanswered(text: String) -> RunError {
    Halt::Unanswered { text }.into()
}

fn declined(text: String) -> RunError {
    Halt::Declined { text }.into()
}

/// `--answer existing=fresh or --answer existing=stop`.
fn flags(question: &Question) -> String {
    let flags: Vec<String> = question.choices.iter().map(|(key, _)| format!("--answer {}={key}", question.id)).collect();
    flags.join(" or ")
}
