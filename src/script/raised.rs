//! Errors that verbs raise: values a playbook can catch and look into, and the ones it cannot.

use super::play::Halt;
use rhai::{Dynamic, Engine, EvalAltResult, Position};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a playbook catches: `e.code`, `e.message`, `e.hint`, `${e}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// A short code to compare with: `refused`, `failed`, `timeout`, `denied`, `argument`, ….
    pub kind: String,
    pub message: String,
    /// A command or one change that helps.
    pub hint: Option<String>,
    /// Causes, nearest first.
    pub causes: Vec<String>,
}

impl Raised {
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Raised {
        Raised { kind: kind.into(), message: message.into(), hint: None, causes: Vec::new() }
    }

    /// What `fail` raises.
    pub fn failed(message: impl Into<String>) -> Raised {
        Raised::new("failed", message)
    }

    /// Something in the call itself is wrong.
    pub fn argument(message: impl Into<String>) -> Raised {
        Raised::new("argument", message)
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Raised {
        self.hint = Some(hint.into());
        self
    }

    pub fn maybe_hint(mut self, hint: Option<String>) -> Raised {
        self.hint = hint.or(self.hint);
        self
    }

    /// Takes over the text of an error and of everything below it.
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Raised {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// As an error of Rhai, thrown at a place.
    pub(super) fn at(self, position: Position) -> Box<EvalAltResult> {
        EvalAltResult::ErrorRuntime(Dynamic::from(self), position).into()
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Raised {}

/// Why a verb did not return a value.
#[derive(Debug)]
pub enum VerbError {
    /// The playbook may catch it.
    Raised(Raised),
    /// A closure that the verb called failed: handed on with its own trail of calls.
    Script(Box<EvalAltResult>),
    /// Nothing of the script may run any more.
    Halt(Halt),
}

impl From<Raised> for VerbError {
    fn from(raised: Raised) -> VerbError {
        VerbError::Raised(raised)
    }
}

impl From<Box<EvalAltResult>> for VerbError {
    fn from(error: Box<EvalAltResult>) -> VerbError {
        VerbError::Script(error)
    }
}

/// Makes the type known to an engine.
pub fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Raised>("error")
        .register_get("code", |e: &mut Raised| e.kind.clone())
        .register_get("message", |e: &mut Raised| e.message.clone())
        .register_get("hint", |e: &mut Raised| e.hint.clone().map_or(Dynamic::UNIT, Dynamic::from))
        .register_get("causes", |e: &mut Raised| e.causes.iter().cloned().map(Dynamic::from).collect::<rhai::Array>())
        .register_fn("to_string", |e: &mut Raised| e.message.clone())
        .register_fn("to_debug", |e: &mut Raised| format!("error {}: {}", e.kind, e.message));
}
