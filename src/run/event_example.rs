//! The first event of some run, for tests.

use super::{Began, FORMAT, OnFailure};

impl Began {
    /// The first event of some run.
    pub fn example() -> Began {
        let text = str::to_owned;
        Began {
            format: FORMAT,
            run: text("abc123"),
            playbook: text("deploy.rhai"),
            env: text("beta"),
            also: Vec::new(),
            bgx: text("0.1.0"),
            target: text("sandbox"),
            account: text("123456789012"),
            identity: text("deployer"),
            host: text("ci-7"),
            commit: None,
            reason: None,
            actor: None,
            parameters: Vec::new(),
            sources: Vec::new(),
            stdlib: text("embedded"),
            on_failure: OnFailure::Undo,
            user: text("ann"),
            process: text("n1"),
            journal: None,
            plan: None,
            prompt: false,
        }
    }
}
