//! The journal of one run: an append-only file of hash-chained events, each on disk before the run goes on.
//!
//! Where the environment keeps its journals in S3, the objects there are the journal and the file is a copy: `keep` sends what is new.

mod read;
mod store;

pub use read::{Fault, Opened, open};
pub use store::{Fetched, Store, StoreError};

use super::event::Event;
use super::order::Order;
use read::{begin, chain};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use store::Remote;

/// Where the events of a run are kept.
#[derive(Debug)]
enum Sink {
    File { file: File, path: PathBuf },
    Memory { bytes: Vec<u8>, disk: Disk },
}

/// What a disk can still take, of a journal in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// So many bytes fit.
    pub room: usize,
    /// So many syncs go well.
    pub syncs: usize,
}

impl Disk {
    pub const ENDLESS: Disk = Disk { room: usize::MAX, syncs: usize::MAX };
}

#[derive(Debug)]
pub struct Journal {
    sink: Sink,
    hash: String,
    order: Order,
    /// Lines that ride along with the next durable event.
    waiting: Vec<u8>,
    /// Why nothing more is written: what a failed write left is cut off only when the journal is opened again.
    broken: Option<(io::ErrorKind, String)>,
    remote: Option<Remote>,
}

impl Journal {
    /// A new file, readable by its owner only; an existing one is an error.
    pub fn create(path: &Path) -> io::Result<Journal> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = File::options().append(true).create_new(true).mode(0o600).open(path)?;
        sync_folder(path)?;
        hold(&file)?;
        Ok(Journal::over(Sink::File { file, path: path.to_path_buf() }))
    }

    /// Goes on with an existing file behind its last whole event; what a process wrote while it died is cut off.
    pub fn reopen(path: &Path) -> io::Result<(Journal, Vec<Event>)> {
        let file = File::options().append(true).read(true).open(path)?;
        hold(&file)?;
        let bytes = std::fs::read(path)?;
        let opened = open(&bytes);
        if let Some(fault) = opened.fault {
            return Err(io::Error::new(io::ErrorKind::InvalidData, fault.to_string()));
        }
        if opened.torn > 0 {
            file.set_len((bytes.len() - opened.torn) as u64)?;
            file.sync_data()?;
        }
        let mut journal = Journal::over(Sink::File { file, path: path.to_path_buf() });
        (journal.hash, journal.order) = (opened.hash, opened.order);
        Ok((journal, opened.events))
    }

    /// As `reopen`, of a journal in memory.
    pub fn reopen_bytes(bytes: &[u8]) -> (Journal, Vec<Event>) {
        let opened = open(bytes);
        let kept = bytes[..bytes.len() - opened.torn].to_vec();
        let mut journal = Journal::over(Sink::Memory { bytes: kept, disk: Disk::ENDLESS });
        (journal.hash, journal.order) = (opened.hash, opened.order);
        (journal, opened.events)
    }

    pub fn in_memory() -> Journal {
        Journal::on(Disk::ENDLESS)
    }

    /// In memory, as on a disk that is nearly full or broken.
    pub fn on(disk: Disk) -> Journal {
        Journal::over(Sink::Memory { bytes: Vec::new(), disk })
    }

    /// The same journal in memory, from now on as on this disk.
    #[must_use]
    pub fn limited(mut self, to: Disk) -> Journal {
        if let Sink::Memory { disk, .. } = &mut self.sink {
            *disk = to;
        }
        self
    }

    fn over(sink: Sink) -> Journal {
        Journal { sink, hash: String::new(), order: Order::default(), waiting: Vec::new(), broken: None, remote: None }
    }

    /// From now on the objects of this store are the journal; `fetched` is what they hold, and the beginning of what is here.
    pub fn stored(mut self, store: Store, fetched: &Fetched) -> io::Result<Journal> {
        let own = match &self.sink {
            Sink::File { path, .. } => std::fs::read(path)?,
            Sink::Memory { bytes, .. } => bytes.clone(),
        };
        let rest = own.strip_prefix(fetched.bytes.as_slice());
        let rest = rest.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{} holds something else", store.url())))?;
        self.remote = Some(Remote::new(store, fetched.objects, rest.to_vec()));
        Ok(self)
    }

    pub fn path(&self) -> Option<&Path> {
        match &self.sink {
            Sink::File { path, .. } => Some(path),
            Sink::Memory { .. } => None,
        }
    }

    /// `s3://…/` where the journal is in S3.
    pub fn url(&self) -> Option<String> {
        self.remote.as_ref().map(|remote| remote.store.url())
    }

    /// The bytes kept so far, of a journal in memory.
    pub fn bytes(&self) -> &[u8] {
        match &self.sink {
            Sink::File { .. } => &[],
            Sink::Memory { bytes, .. } => bytes,
        }
    }

    /// An append failed: nothing more is taken.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Appends an event; when it is durable, it and all before it are on disk on return.
    pub fn append(&mut self, event: &Event) -> io::Result<()> {
        if let Some((kind, why)) = &self.broken {
            return Err(io::Error::new(*kind, why.clone()));
        }
        if let Err(why) = self.order.admit(event) {
            debug_assert!(false, "event {} cannot follow: {why}: {:?}", event.seq, event.what);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("event {} cannot follow: {why}", event.seq)));
        }
        let text = serde_json::to_string(event)?;
        self.hash = chain(&self.hash, &text);
        self.waiting.extend_from_slice(begin(&self.hash).as_bytes());
        self.waiting.extend_from_slice(text.as_bytes());
        self.waiting.extend_from_slice(b"}\n");
        if !event.what.is_durable() {
            return Ok(());
        }
        if let Err(error) = self.sink.write(&self.waiting) {
            self.broken = Some((error.kind(), error.to_string()));
            return Err(error);
        }
        if let Some(remote) = &mut self.remote {
            remote.pending.extend_from_slice(&self.waiting);
        }
        self.waiting.clear();
        Ok(())
    }

    /// Sends to the store what is not there yet, as one object; nothing to do where the file is the journal.
    pub async fn keep(&mut self) -> Result<(), StoreError> {
        match &mut self.remote {
            Some(remote) => remote.send().await,
            None => Ok(()),
        }
    }
}

impl Sink {
    /// Written and synced, or an error; then the end may be torn.
    fn write(&mut self, new: &[u8]) -> io::Result<()> {
        match self {
            Sink::File { file, .. } => {
                file.write_all(new)?;
                file.sync_data()
            }
            Sink::Memory { bytes, disk } => {
                let fits = disk.room.saturating_sub(bytes.len()).min(new.len());
                bytes.extend_from_slice(&new[..fits]);
                if fits < new.len() {
                    return Err(io::Error::from(io::ErrorKind::StorageFull));
                }
                disk.syncs = disk.syncs.checked_sub(1).ok_or_else(|| io::Error::other("the disk failed"))?;
                Ok(())
            }
        }
    }
}

/// One process at a time carries a run on; the hold ends with it, whatever ends it.
fn hold(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process carries this run on")),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Whether a living process of this machine writes this journal.
pub fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

/// A new name in a folder is lasting only after the folder itself was synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Writes a copy of a journal that is in S3, in place of what is there; whoever dies half-way leaves the old one.
pub fn copy_to(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let half = path.with_extension("jsonl.half");
    drop(std::fs::remove_file(&half)); // of a process that died
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&half)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&half, path)?;
    sync_folder(path)
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
