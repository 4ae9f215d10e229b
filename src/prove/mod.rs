//! Plays a playbook under every fault at every call in simulated accounts, and lets the audit judge each of them.
//!
//! First once without a fault: its calls and events are the points at which something can go wrong. Each fault at each point it
//! applies to is a scenario. A run that stops half-way is judged as it lies there, then resumed, then undone, each in a copy; those
//! who recover die too. Then accounts with other timing; and on request two faults at a time, or up to three in accounts of any timing.

pub mod cells;
mod chance;
pub mod charter;
pub mod compare;
pub mod conform;
pub mod faults;
mod lab;
mod mishap;
pub mod permissions;
pub mod plan;
mod report;
mod search;
mod shrink;
mod staged;
pub mod testing;
pub mod timing;
mod trace;
mod verdict;
mod walk;
mod world;

pub use cells::{Scenario, Token};
pub use lab::{Given, Subject};
pub use permissions::Rights;
pub use report::{Count, Report, Row, Story};
pub use search::{Extent, Mode, Progress, Standing, prove};
pub use trace::Baseline;
pub use world::Start;

use std::time::Instant;
use timing::Timing;
use verdict::Bench;

/// Why nothing could be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    #[error("the sandbox could not be opened")]
    Host(#[from] crate::host::HostError),
    #[error("the parameters do not fit the playbook: {0}")]
    Params(String),
    #[error("the run could not begin: {0}")]
    Begin(String),
    #[error("without any fault the run ends {ended}, so there is nothing to compare with: {why}")]
    Baseline { ended: String, why: String },
    #[error("the token names a point that this playbook does not reach; it belongs to another version of it")]
    Stale,
}

/// One scenario again, from its token.
pub fn replay(subject: &Subject, scenario: &Scenario) -> Result<Report, ProveError> {
    let began = Instant::now();
    let base = Baseline::play(subject, &scenario.timing)?;
    let judged = Bench { subject, base: &base, shares: false }.follow(scenario).ok_or(ProveError::Stale)?;
    let found = search::Found { verdicts: vec![judged], placed: 1, planned: Some(1), skipped: 0, stopped: false };
    Ok(Report::of(subject, &base, found, Mode::Single, began.elapsed(), 1))
}

/// Whether it ended as a run does that nothing happened to.
fn is_done(outcome: &lab::Outcome) -> Result<(), ProveError> {
    let ending = outcome.ended.as_ref().map(|e| e.outcome);
    if ending == Some(crate::run::event::Outcome::Done) {
        return Ok(());
    }
    let why = outcome.ended.as_ref().and_then(|e| e.why.clone()).unwrap_or_else(|| outcome.error.clone());
    Err(ProveError::Baseline { ended: ending.map_or("before it began", crate::run::event::Outcome::word).to_owned(), why })
}

/// The account as usual.
fn usual(subject: &Subject) -> Result<Baseline, ProveError> {
    let base = Baseline::play(subject, &Timing::default())?;
    is_done(&base.whole.outcome).map(|()| base)
}
