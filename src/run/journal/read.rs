//! Reads a journal's bytes: the whole events, what a process that died left behind them, and what else is wrong.

use super::super::event::{Event, FORMAT};
use super::super::order::Order;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// What a journal's bytes hold: the whole events up to the first line that is torn or does not follow from the one before.
#[derive(Debug)]
pub struct Opened {
    pub events: Vec<Event>,
    /// Bytes after the last good line.
    pub torn: usize,
    /// What comes after the last good line was not left by a process that died while it wrote.
    pub fault: Option<Fault>,
    /// The hash of the last good line.
    pub(super) hash: String,
    pub(super) order: Order,
}

/// Why a journal is not gone on with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it was changed behind event {after}: what follows cannot be trusted")]
    Changed { after: usize },
    /// The chain holds, and yet no run goes so.
    #[error("it is not a legal journal behind event {after}: {why}")]
    Illegal { after: usize, why: String },
    #[error("it has format {format}, and this bgx reads formats 1 to {FORMAT}: use the bgx that wrote it, or a later one")]
    Newer { format: u32 },
    /// The chain holds, but the event is none that this bgx knows.
    #[error("this bgx cannot read what is behind event {after}: {why}")]
    Unknown { after: usize, why: String },
}

impl Fault {
    /// For lists: `changed behind event 4`.
    pub fn short(&self) -> String {
        match self {
            Fault::Changed { after } => format!("its journal was changed behind event {after}"),
            Fault::Illegal { after, why } => format!("its journal is not legal behind event {after}: {why}"),
            Fault::Newer { format } => format!("its journal has format {format}, of a later bgx"),
            Fault::Unknown { after, .. } => format!("its journal cannot be read behind event {after}"),
        }
    }
}

/// Reads what can be trusted.
pub fn open(bytes: &[u8]) -> Opened {
    let (mut events, mut hash, mut order, mut good, mut fault) = (Vec::new(), String::new(), Order::default(), 0, None);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some((next, body)) = verify(line, &hash) else { break };
        match parse(body, events.len()) {
            Err(found) => fault = Some(found),
            Ok(event) => match order.admit(&event) {
                Ok(()) => events.push(event),
                Err(why) => fault = Some(Fault::Illegal { after: events.len(), why }),
            },
        }
        if fault.is_some() {
            break;
        }
        hash = next;
        good += line.len();
    }
    let changed = bytes[good..].split_inclusive(|byte| *byte == b'\n').any(is_whole).then_some(Fault::Changed { after: events.len() });
    Opened { fault: fault.or(changed), torn: bytes.len() - good, events, hash, order }
}

/// As much of the first event as every format has.
#[derive(Deserialize)]
struct First {
    what: Head,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

fn parse(body: &str, after: usize) -> Result<Event, Fault> {
    if after == 0
        && let Ok(First { what: Head { format } }) = serde_json::from_str(body)
        && format > FORMAT
    {
        return Err(Fault::Newer { format });
    }
    serde_json::from_str(body).map_err(|error| Fault::Unknown { after, why: error.to_string() })
}

/// A crash leaves a line without its end, or blocks of zeros. A line that is whole and yet wrong was made so.
fn is_whole(line: &[u8]) -> bool {
    line.ends_with(b"\n") && !line.contains(&0)
}

/// The hash of a line that follows from the one before, and the text of its event.
fn verify<'a>(line: &'a [u8], before: &str) -> Option<(String, &'a str)> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix("}\n")?;
    let (hash, _) = text.strip_prefix("{\"hash\":\"")?.split_once('"')?;
    let body = text.strip_prefix(&begin(hash))?;
    (chain(before, body) == hash).then(|| (hash.to_owned(), body))
}

/// What stands before the event in its line.
pub(super) fn begin(hash: &str) -> String {
    format!("{{\"hash\":\"{hash}\",\"event\":")
}

/// The first 128 bits of the SHA-256 of the hash before, as text, and this event.
pub(super) fn chain(before: &str, text: &str) -> String {
    let mut sum = Sha256::new();
    sum.update(before);
    sum.update(text);
    sum.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
