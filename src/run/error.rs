//! What stops a verb, and what stops a run.

use crate::account::{AccountError, Kind};
use serde::{Deserialize, Serialize};

/// A verb that did not do what it was asked. A script can catch all of these but `Halt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum RunError {
    #[error(transparent)]
    Account(AccountError),
    /// A guard said no: the fact, the limit, and the way to go on.
    #[error("{text}")]
    Refused { text: String, hint: Option<String> },
    /// A wait ran out.
    #[error("{text}")]
    Timeout { text: String },
    /// Something is not as it must be.
    #[error("{text}")]
    Failed { text: String, hint: Option<String> },
    #[error(transparent)]
    Halt(#[from] Halt),
}

/// Why a run stops whatever its script says; no `catch` sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Halt {
    #[error("{signal} received")]
    Signal { signal: String },
    /// Stop as it is; somebody resumes or undoes later.
    #[error("{why}")]
    Paused { why: String },
    /// Another run or process has the environment; nothing was touched.
    #[error("{why}")]
    Locked { why: String },
    #[error("the journal could not be written: {why}")]
    Journal { why: String },
    /// A question that was answered with no.
    #[error("{text}")]
    Declined { text: String },
    /// The playbook failed and has put back itself what it had committed.
    #[error("{text}")]
    RolledBack { text: String },
    /// A question that nobody could be asked.
    #[error("{text}")]
    Unanswered { text: String },
    /// The playbook asks for something else than the journal says it asked for.
    #[error("step {step} diverged: the journal has {recorded}, the playbook asks for {asked}{}", fields.iter().map(|f| format!("\n  {f}")).collect::<String>())]
    Diverged {
        step: u64,
        recorded: String,
        asked: String,
        /// Where the two differ, one line each.
        fields: Vec<String>,
    },
    /// A step that was begun is neither done nor undone: a person must look.
    #[error("step {step} is stuck: {why}")]
    Stuck { step: u64, why: String },
}

impl From<AccountError> for RunError {
    /// Credentials that ended are no failure of the playbook: undoing would fail the same way.
    fn from(error: AccountError) -> RunError {
        match error.kind {
            Kind::Expired => Halt::Paused { why: format!("{error}") }.into(),
            Kind::NotFound
            | Kind::Denied
            | Kind::Throttled
            | Kind::Conflict
            | Kind::Invalid
            | Kind::Unavailable
            | Kind::Lost
            | Kind::Unreachable => RunError::Account(error),
        }
    }
}

impl RunError {
    pub fn failed(text: impl Into<String>) -> RunError {
        RunError::Failed { text: text.into(), hint: None }
    }

    pub fn refused(text: impl Into<String>, hint: impl Into<String>) -> RunError {
        RunError::Refused { text: text.into(), hint: Some(hint.into()) }
    }

    /// The word that a script compares: `e.code`.
    pub fn code(&self) -> &'static str {
        match self {
            RunError::Account(error) => match error.kind {
                Kind::NotFound => "not_found",
                Kind::Denied => "denied",
                Kind::Expired => "expired",
                Kind::Throttled => "throttled",
                Kind::Conflict => "conflict",
                Kind::Invalid => "invalid",
                Kind::Unavailable => "unavailable",
                Kind::Lost => "lost",
                Kind::Unreachable => "unreachable",
            },
            RunError::Refused { .. } => "refused",
            RunError::Timeout { .. } => "timeout",
            RunError::Failed { .. } => "failed",
            RunError::Halt(_) => "halt",
        }
    }

    pub fn hint(&self) -> Option<&str> {
        match self {
            RunError::Refused { hint, .. } | RunError::Failed { hint, .. } => hint.as_deref(),
            RunError::Account(_) | RunError::Timeout { .. } | RunError::Halt(_) => None,
        }
    }
}
