//! What a command prints when it cannot do its work, and the exit code that goes with it.

use super::style::{Paint, clean};
use crate::config::ConfigError;
use crate::host::HostError;
use crate::run::{Halt, RunError};
use std::io::Write;

/// A command that ended before it did its work.
#[derive(Debug)]
pub struct Failure {
    pub code: i32,
    pub text: String,
    pub causes: Vec<String>,
    pub hint: Option<String>,
}

impl Failure {
    /// Exit 2: a bad command line, configuration or playbook; nothing was touched.
    pub fn usage(text: impl Into<String>) -> Failure {
        Failure { code: 2, text: text.into(), causes: Vec::new(), hint: None }
    }

    pub fn hinted(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    pub fn of(code: i32, error: &dyn std::error::Error) -> Failure {
        let causes = std::iter::successors(error.source(), |e| e.source()).map(ToString::to_string).collect();
        Failure { code, text: error.to_string(), causes, hint: None }
    }

    pub fn print(&self) {
        let paint = Paint::stderr();
        let mut out = std::io::stderr();
        let _ = writeln!(out, "{} {}", paint.bad("error:"), clean(&self.text));
        for cause in &self.causes {
            let _ = writeln!(out, "  caused by: {}", clean(cause));
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "  hint: {}", clean(hint));
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        let hint = match &error {
            ConfigError::Missing(_) => Some("go to the folder of your project, or write a bgx.toml there".to_owned()),
            ConfigError::Unreadable { .. }
            | ConfigError::Invalid { .. }
            | ConfigError::UnknownEnv { .. }
            | ConfigError::EnvTwice { .. } => None,
        };
        Failure { hint, ..Failure::of(2, &error) }
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Failure {
        Failure::of(2, &error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        let hint = error.hint().map(str::to_owned);
        Failure { hint, ..Failure::of(3, &error) }
    }
}

impl From<Halt> for Failure {
    fn from(error: Halt) -> Failure {
        Failure::of(4, &error)
    }
}
