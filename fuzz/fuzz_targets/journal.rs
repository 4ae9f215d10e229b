//! Whatever bytes a journal holds, it opens to a beginning that opens again to the same, and nothing panics.
#![no_main]

use bgx::run::{journal, replay};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let opened = journal::open(bytes);
    let good = &bytes[..bytes.len() - opened.torn];
    let again = journal::open(good);
    assert_eq!((again.events.len(), again.torn, again.fault), (opened.events.len(), 0, None));
    // What every command makes of a journal first.
    let _ = replay::standing(&opened.events);
    let _ = replay::committed(&opened.events);
    let _ = replay::Replay::of(&opened.events);
    let _ = journal::Journal::reopen_bytes(bytes);
});
