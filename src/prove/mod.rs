//! Plays a playbook under every fault at every call in simulated accounts, and lets the audit judge each of them.
//!
//! First once without a fault: its calls and events are the points at which something can go wrong. Each fault at each point it
//! applies to is a cell. A run that stops half-way is judged as it lies there, then resumed, then undone, each in a copy.

pub mod cells;
pub mod faults;
mod lab;
mod mishap;
mod report;
mod trace;
mod verdict;

pub use cells::{Cell, Point, Token};
pub use lab::Subject;
pub use report::{Report, Row, Story};
pub use trace::Baseline;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// How much to do.
#[derive(Clone, Debug)]
pub struct Extent {
    /// Only this fault, by name.
    pub fault: Option<String>,
    /// Only every n-th cell; 1: all.
    pub every: usize,
    pub threads: usize,
}

/// Told how many cells are done, of how many.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Why nothing could be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    #[error("the sandbox could not be opened")]
    Host(#[from] crate::host::HostError),
    #[error("the parameters do not fit the playbook: {0}")]
    Params(String),
    #[error("without any fault the run ends {ended}, so there is nothing to compare with: {why}")]
    Baseline { ended: String, why: String },
    #[error("the token names a point that this playbook does not reach; it belongs to another version of it")]
    Stale,
}

/// Every cell of a playbook.
pub fn prove(subject: &Subject, extent: &Extent, progress: Progress<'_>) -> Result<Report, ProveError> {
    let began = Instant::now();
    let base = Baseline::play(subject)?;
    let wanted = |cell: &Cell| extent.fault.as_ref().is_none_or(|name| *name == cell.fault);
    let cells: Vec<Cell> = cells::all(&base).into_iter().filter(wanted).step_by(extent.every.max(1)).collect();
    let (next, done, results) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..extent.threads.max(1) {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let judged = verdict::judge(subject, &base, cell);
                    results.lock().expect("no thread panics while it adds its result").push(judged);
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, cells.len());
                }
            });
        }
    });
    let mut results = results.into_inner().expect("the threads have ended");
    results.sort_by(|a, b| a.cell.cmp(&b.cell));
    Ok(Report::of(subject, &base, results, began.elapsed(), extent.threads.max(1)))
}

/// One cell again, from its token.
pub fn replay(subject: &Subject, cell: &Cell) -> Result<Report, ProveError> {
    let began = Instant::now();
    let base = Baseline::play(subject)?;
    if !cells::all(&base).contains(cell) {
        return Err(ProveError::Stale);
    }
    let judged = verdict::judge(subject, &base, cell);
    Ok(Report::of(subject, &base, vec![judged], began.elapsed(), 1))
}
