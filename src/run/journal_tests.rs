//! The rules of a journal's bytes: what a crash, a full disk and a stranger leave, and what is read of it.

use super::super::event::{Began, FORMAT, What};
use super::*;
use jiff::Timestamp;

fn began(format: u32) -> What {
    What::Began(Box::new(Began { format, ..Began::example() }))
}

fn event(seq: u64) -> Event {
    let said = What::Said { step: seq, text: "so far".into(), notify: false };
    Event { seq, at: Timestamp::UNIX_EPOCH, what: if seq == 0 { began(FORMAT) } else { said } }
}

fn journal(count: u64) -> Vec<u8> {
    let mut journal = Journal::in_memory();
    (0..count).for_each(|seq| journal.append(&event(seq)).unwrap());
    journal.bytes().to_vec()
}

/// Where each line ends.
fn ends(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|at| bytes[*at] == b'\n').map(|at| at + 1).collect()
}

#[test]
fn every_prefix_opens_to_whole_events() {
    let bytes = journal(5);
    let ends = ends(&bytes);
    for cut in 0..=bytes.len() {
        let opened = open(&bytes[..cut]);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(opened.events.len(), whole, "cut at {cut}");
        assert_eq!(opened.torn, cut - whole.checked_sub(1).map_or(0, |last| ends[last]));
        assert_eq!(opened.fault, None, "cut at {cut}");
    }
}

/// Where a line begins and ends.
fn line(ends: &[usize], index: usize) -> (usize, usize) {
    (if index == 0 { 0 } else { ends[index - 1] }, ends[index])
}

/// Journals as bgx 0.1.0 wrote them, of every format.
const REAL: [&[u8]; 7] = [
    include_bytes!("../../tests/fixtures/journal/v1/paused.jsonl"),
    include_bytes!("../../tests/fixtures/journal/v2/paused.jsonl"),
    include_bytes!("../../tests/fixtures/journal/v3/paused.jsonl"),
    include_bytes!("../../tests/fixtures/journal/v4/paused.jsonl"),
    include_bytes!("../../tests/fixtures/journal/v5/paused.jsonl"),
    include_bytes!("../../tests/fixtures/journal/v6/paused.jsonl"),
    include_bytes!("../../tests/fixtures/journal/v7/paused.jsonl"),
];

#[test]
fn every_torn_byte_of_a_real_journal_leaves_the_records_before_it() {
    for bytes in REAL {
        let ends = ends(bytes);
        for index in 0..ends.len() {
            let (start, end) = line(&ends, index);
            for cut in start..end {
                let opened = open(&bytes[..cut]);
                assert_eq!((opened.events.len(), opened.torn, opened.fault), (index, cut - start, None), "cut at {cut}");
            }
        }
    }
}

#[test]
fn every_changed_byte_of_a_real_journal_is_seen_and_nothing_from_there_on_is_trusted() {
    for bytes in REAL {
        let ends = ends(bytes);
        let mut changed = bytes.to_vec();
        for index in 0..ends.len() {
            let (start, end) = line(&ends, index);
            // What follows is not looked at; two lines are enough to tell a torn end from a changed middle.
            let after = ends.get(index + 1).copied().unwrap_or(end);
            for place in start..end {
                changed[place] ^= 1 << (place % 7);
                let opened = open(&changed[..after]);
                assert_eq!(opened.events.len(), index, "byte {place}");
                let is_end_of_file = after == end && place + 1 == end;
                let is_zero = changed[place] == 0;
                assert!(
                    is_end_of_file || is_zero || opened.fault == Some(Fault::Changed { after: index }),
                    "byte {place}: {:?}",
                    opened.fault
                );
                changed[place] = bytes[place];
            }
        }
    }
}

#[test]
fn a_torn_line_or_a_block_of_zeros_is_what_a_crash_leaves_and_a_whole_wrong_line_is_not() {
    let bytes = journal(3);
    let ends = ends(&bytes);
    assert_eq!(open(&bytes).fault, None);
    assert_eq!(open(&bytes[..bytes.len() - 1]).fault, None);
    let mut zeros = bytes.clone();
    zeros[ends[1] + 5..ends[1] + 20].fill(0);
    assert_eq!(open(&zeros).fault, None);
    let mut swapped = bytes.clone();
    swapped[ends[0] + 3] ^= 1;
    assert_eq!(open(&swapped).fault, Some(Fault::Changed { after: 1 }));
    assert_eq!(open(&[&bytes[..ends[0]], &bytes[ends[1]..]].concat()).fault, Some(Fault::Changed { after: 1 }), "a line is missing");
}

/// A line that follows in the chain and says what a journal of this bgx never would.
fn forged(bytes: &[u8], text: &str) -> Vec<u8> {
    let hash = chain(&open(bytes).hash, text);
    [bytes, begin(&hash).as_bytes(), text.as_bytes(), b"}\n"].concat()
}

#[test]
fn an_event_in_the_wrong_place_is_refused_with_its_position() {
    let text = serde_json::to_string(&Event { seq: 2, at: Timestamp::UNIX_EPOCH, what: began(FORMAT) }).unwrap();
    let opened = open(&forged(&journal(2), &text));
    assert_eq!(opened.fault, Some(Fault::Illegal { after: 2, why: "a run begins once".into() }));
    assert_eq!(opened.events.len(), 2);
}

#[test]
fn a_journal_of_a_later_bgx_says_so() {
    let text = serde_json::to_string(&Event { seq: 0, at: Timestamp::UNIX_EPOCH, what: began(FORMAT + 1) }).unwrap();
    let opened = open(&forged(b"", &text));
    assert_eq!((opened.fault, opened.events.len()), (Some(Fault::Newer { format: FORMAT + 1 }), 0));
}

#[test]
fn an_event_that_this_bgx_does_not_know_is_not_skipped() {
    let text = r#"{"seq":2,"at":"1970-01-01T00:00:00Z","what":{"event":"teleported","step":2}}"#;
    let opened = open(&forged(&journal(2), text));
    assert!(matches!(opened.fault, Some(Fault::Unknown { after: 2, .. })), "{:?}", opened.fault);
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
    journal.append(&event(0)).unwrap();
    let one = journal.bytes().len();
    let read = What::Read { step: 1, verb: "asg".into(), of: "beta-blue".into(), answer: serde_json::json!(2) };
    journal.append(&Event { seq: 1, at: Timestamp::UNIX_EPOCH, what: read }).unwrap();
    assert_eq!(journal.bytes().len(), one);
    journal.append(&event(2)).unwrap();
    assert_eq!(open(journal.bytes()).events.len(), 3);
}

#[test]
fn a_second_run_cannot_take_the_same_file_and_others_cannot_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs/a.jsonl");
    Journal::create(&path).unwrap();
    assert_eq!(Journal::create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    copy_to(&folder.path().join("b.jsonl"), b"x").unwrap();
    for file in ["runs/a.jsonl", "b.jsonl"] {
        assert_eq!(std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_disk_that_is_full_at_any_byte_stops_the_journal_and_leaves_a_clean_beginning() {
    let whole = journal(4);
    let ends = ends(&whole);
    for room in 0..whole.len() {
        let mut journal = Journal::on(Disk { room, ..Disk::ENDLESS });
        let written = (0..4).take_while(|seq| journal.append(&event(*seq)).is_ok()).count();
        assert_eq!(written, ends.iter().filter(|end| **end <= room).count(), "room for {room}");
        assert!(journal.is_broken());
        // Room again, as when somebody deletes a file: what follows a torn line would be lost, so nothing follows.
        if let Sink::Memory { disk, .. } = &mut journal.sink {
            *disk = Disk::ENDLESS;
        }
        assert_eq!(journal.append(&event(written as u64)).unwrap_err().kind(), io::ErrorKind::StorageFull);
        let opened = open(journal.bytes());
        assert_eq!((opened.events.len(), opened.fault), (written, None), "room for {room}");
        let (mut again, events) = Journal::reopen_bytes(journal.bytes());
        again.append(&event(events.len() as u64)).expect("opened again, it goes on");
    }
}

#[test]
fn a_sync_that_failed_is_not_tried_again_and_what_it_left_may_be_there() {
    for syncs in 0..4 {
        let mut journal = Journal::on(Disk { syncs, ..Disk::ENDLESS });
        let written = (0..4).take_while(|seq| journal.append(&event(*seq)).is_ok()).count();
        assert_eq!((written, journal.is_broken()), (syncs, true));
        let opened = open(journal.bytes());
        assert_eq!((opened.events.len(), opened.torn, opened.fault), (syncs + 1, 0, None), "written, and not known to be");
    }
}
