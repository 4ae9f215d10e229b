//! The journal of one run: an append-only file of hash-chained events, each on disk before the run goes on.

use super::event::Event;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// One line of the file. `hash` covers the line before and this event, so a lost, changed or swapped line shows.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    hash: String,
    event: Event,
}

/// Where the events of a run are kept.
#[derive(Debug)]
pub enum Sink {
    File { file: File, path: PathBuf },
    Memory(Vec<u8>),
}

#[derive(Debug)]
pub struct Journal {
    sink: Sink,
    hash: String,
    /// Lines that ride along with the next durable event.
    waiting: Vec<u8>,
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
        if opened.altered {
            let text = format!("it was changed behind event {}: what follows cannot be trusted", opened.events.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if opened.torn > 0 {
            file.set_len((bytes.len() - opened.torn) as u64)?;
            file.sync_data()?;
        }
        let mut journal = Journal::over(Sink::File { file, path: path.to_path_buf() });
        journal.hash = opened.hash;
        Ok((journal, opened.events))
    }

    /// As `reopen`, of a journal in memory.
    pub fn reopen_bytes(bytes: &[u8]) -> (Journal, Vec<Event>) {
        let opened = open(bytes);
        let mut journal = Journal::over(Sink::Memory(bytes[..bytes.len() - opened.torn].to_vec()));
        journal.hash = opened.hash;
        (journal, opened.events)
    }

    pub fn in_memory() -> Journal {
        Journal::over(Sink::Memory(Vec::new()))
    }

    fn over(sink: Sink) -> Journal {
        Journal { sink, hash: String::new(), waiting: Vec::new() }
    }

    pub fn path(&self) -> Option<&Path> {
        match &self.sink {
            Sink::File { path, .. } => Some(path),
            Sink::Memory(_) => None,
        }
    }

    /// The bytes kept so far, of a journal in memory.
    pub fn bytes(&self) -> &[u8] {
        match &self.sink {
            Sink::File { .. } => &[],
            Sink::Memory(bytes) => bytes,
        }
    }

    /// Appends an event; when it is durable, it and all before it are on disk on return.
    pub fn append(&mut self, event: &Event) -> io::Result<()> {
        let text = serde_json::to_string(event)?;
        self.hash = chain(&self.hash, &text);
        writeln!(self.waiting, "{{\"hash\":\"{}\",\"event\":{text}}}", self.hash)?;
        if !event.what.is_durable() {
            return Ok(());
        }
        match &mut self.sink {
            Sink::File { file, .. } => {
                file.write_all(&self.waiting)?;
                file.sync_data()?;
            }
            Sink::Memory(bytes) => bytes.extend_from_slice(&self.waiting),
        }
        self.waiting.clear();
        Ok(())
    }
}

fn chain(before: &str, text: &str) -> String {
    let mut sum = Sha256::new();
    sum.update(before);
    sum.update(text);
    sum.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
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

/// What a journal's bytes hold: the whole events up to the first line that is torn or does not follow from the one before.
#[derive(Debug)]
pub struct Opened {
    pub events: Vec<Event>,
    /// Bytes after the last good line.
    pub torn: usize,
    /// What comes after the last good line was not left by a process that died while it wrote: somebody changed the file.
    pub altered: bool,
    /// The hash of the last good line.
    hash: String,
}

pub fn open(bytes: &[u8]) -> Opened {
    let (mut events, mut hash, mut good) = (Vec::new(), String::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(event) = verify(line, &hash) else { break };
        hash = event.0;
        events.push(event.1);
        good += line.len();
    }
    Opened { events, torn: bytes.len() - good, altered: bytes[good..].split_inclusive(|byte| *byte == b'\n').any(is_whole), hash }
}

/// A crash leaves a line without its end, or blocks of zeros. A line that is whole and yet wrong was made so.
fn is_whole(line: &[u8]) -> bool {
    line.ends_with(b"\n") && !line.contains(&0)
}

fn verify(line: &[u8], before: &str) -> Option<(String, Event)> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let parsed: Line = serde_json::from_str(text).ok()?;
    let body = text.strip_prefix(&format!("{{\"hash\":\"{}\",\"event\":", parsed.hash))?.strip_suffix('}')?;
    (chain(before, body) == parsed.hash).then_some((parsed.hash, parsed.event))
}

#[cfg(test)]
mod tests {
    use super::super::event::What;
    use super::*;

    fn journal(count: u64) -> Vec<u8> {
        let mut journal = Journal::in_memory();
        for seq in 0..count {
            let what = What::Committed { step: seq };
            journal.append(&Event { seq, at: jiff::Timestamp::UNIX_EPOCH, what }).unwrap();
        }
        journal.bytes().to_vec()
    }

    #[test]
    fn every_prefix_opens_to_whole_events() {
        let bytes = journal(5);
        let line = bytes.len() / 5;
        for cut in 0..=bytes.len() {
            let opened = open(&bytes[..cut]);
            assert_eq!(opened.events.len(), cut / line, "cut at {cut}");
            assert_eq!(opened.torn, cut % line);
        }
    }

    #[test]
    fn a_changed_byte_ends_the_good_part_there() {
        let bytes = journal(3);
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert_eq!(open(&changed).events.len(), place / (bytes.len() / 3), "byte {place}");
        }
    }

    #[test]
    fn a_torn_line_or_a_block_of_zeros_is_what_a_crash_leaves_and_a_whole_wrong_line_is_not() {
        let bytes = journal(3);
        let line = bytes.len() / 3;
        assert!(!open(&bytes).altered);
        assert!(!open(&bytes[..bytes.len() - 1]).altered);
        let mut zeros = bytes.clone();
        zeros[2 * line + 5..2 * line + 20].fill(0);
        assert!(!open(&zeros).altered);
        let mut swapped = bytes.clone();
        swapped[line + 3] ^= 1;
        assert!(open(&swapped).altered);
        assert!(open(&[&bytes[..line], &bytes[2 * line..]].concat()).altered, "a line is missing");
    }

    #[test]
    fn a_changed_file_is_not_gone_on_with_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut bytes = journal(3);
        bytes[5] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Journal::reopen(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn reads_ride_along_with_the_next_durable_event() {
        let mut journal = Journal::in_memory();
        let read = What::Read { step: 1, verb: "asg".into(), of: "beta-blue".into(), answer: serde_json::json!(2) };
        journal.append(&Event { seq: 0, at: jiff::Timestamp::UNIX_EPOCH, what: read }).unwrap();
        assert!(journal.bytes().is_empty());
        journal.append(&Event { seq: 1, at: jiff::Timestamp::UNIX_EPOCH, what: What::Committed { step: 2 } }).unwrap();
        assert_eq!(open(journal.bytes()).events.len(), 2);
    }

    #[test]
    fn a_second_run_cannot_take_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/a.jsonl");
        Journal::create(&path).unwrap();
        assert_eq!(Journal::create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
