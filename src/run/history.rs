//! The runs that a project remembers: their journals in one folder, and where each of them stands.

use super::event::{Began, Event, What};
use super::journal::{self, Fault};
use super::replay::{self, Standing};
use std::io;
use std::path::{Path, PathBuf};

/// One run by its journal.
#[derive(Clone, Debug)]
pub struct Past {
    pub path: PathBuf,
    pub began: Began,
    pub events: Vec<Event>,
    pub standing: Standing,
    /// Bytes after the last whole event: the process died while it wrote.
    pub torn: usize,
    /// Why what comes after its last good event is not trusted.
    pub fault: Option<Fault>,
}

impl Past {
    pub fn id(&self) -> &str {
        &self.began.run
    }

    /// A process of this machine carries it on now.
    pub fn is_held(&self) -> bool {
        journal::is_held(&self.path)
    }

    /// Nothing more will happen to it by itself, and nothing more needs to.
    pub fn is_over(&self) -> bool {
        match self.standing {
            Standing::Open | Standing::Undoing | Standing::GivingUp | Standing::Settled(_) => false,
            Standing::Ended(outcome) => outcome.is_over(),
        }
    }
}

/// A journal that cannot be told as a run.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("could not read `{path}`")]
    Unreadable { path: String, source: io::Error },
    #[error("`{path}` ends before its first event: nothing was done")]
    NeverBegan { path: String },
    #[error("`{path}` is not a journal: its first event is missing or was changed")]
    NoJournal { path: String },
    #[error("`{path}`: {fault}")]
    Foreign { path: String, fault: Fault },
    #[error("there is no run `{id}`{known}")]
    Unknown { id: String, known: String },
    #[error("`{id}` is the beginning of more than one run: {runs}")]
    Ambiguous { id: String, runs: String },
}

/// Reads one journal.
pub fn read(path: &Path) -> Result<Past, HistoryError> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| HistoryError::Unreadable { path: shown.clone(), source })?;
    let opened = journal::open(&bytes);
    let Some(What::Began(began)) = opened.events.first().map(|event| &event.what) else {
        return Err(match opened.fault {
            None => HistoryError::NeverBegan { path: shown },
            Some(Fault::Changed { .. } | Fault::Illegal { .. }) => HistoryError::NoJournal { path: shown },
            Some(fault @ (Fault::Newer { .. } | Fault::Unknown { .. })) => HistoryError::Foreign { path: shown, fault },
        });
    };
    let standing = replay::standing(&opened.events);
    let (began, torn, fault) = ((**began).clone(), opened.torn, opened.fault);
    Ok(Past { path: path.to_path_buf(), began, standing, torn, fault, events: opened.events })
}

/// Every run of a folder, oldest first; a folder that is not there holds none.
pub fn list(folder: &Path) -> Result<Vec<Past>, HistoryError> {
    let failed = |source| HistoryError::Unreadable { path: folder.display().to_string(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let mut runs = Vec::new();
    for entry in entries {
        let path = entry.path();
        if path.extension().is_some_and(|e| e == "jsonl") {
            match read(&path) {
                // Its process died before it could do anything.
                Err(HistoryError::NeverBegan { .. }) => {}
                run => runs.push(run?),
            }
        }
    }
    runs.sort_by_key(|run| (run.events.first().map(|event| event.at), run.id().to_owned()));
    Ok(runs)
}

/// The run whose id begins so.
pub fn find(folder: &Path, id: &str) -> Result<Past, HistoryError> {
    let all = list(folder)?;
    let mut found: Vec<Past> = all.iter().filter(|run| run.id().starts_with(id) && !id.is_empty()).cloned().collect();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let ids: Vec<&str> = all.iter().rev().take(5).map(Past::id).collect();
            let known =
                if ids.is_empty() { "; no run is remembered here".to_owned() } else { format!("; the last ones are {}", ids.join(", ")) };
            Err(HistoryError::Unknown { id: id.to_owned(), known })
        }
        _ => Err(HistoryError::Ambiguous { id: id.to_owned(), runs: found.iter().map(Past::id).collect::<Vec<_>>().join(", ") }),
    }
}
