//! With the feature `failpoints`: the process gets a signal, or panics, at a chosen call or record; without it, nothing.

/// What is counted, each kind from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// An attempt of a call to the account.
    Call,
    /// An event that the journal keeps.
    Record,
}

/// A call or a record that is on its way; several calls may be at once.
#[derive(Clone, Copy, Debug)]
#[must_use = "its end is a point too"]
#[cfg_attr(not(feature = "failpoints"), expect(dead_code, reason = "nothing is done at a point then"))]
pub struct Passing(Point, u64);

/// A call is about to be sent, a record about to be written.
#[cfg(not(feature = "failpoints"))]
pub fn before(point: Point) -> Passing {
    Passing(point, 0)
}

#[cfg(not(feature = "failpoints"))]
impl Passing {
    /// The reply is there, the record is on disk.
    pub fn after(self) {}
}

#[cfg(feature = "failpoints")]
pub use armed::before;

#[cfg(feature = "failpoints")]
mod armed {
    use super::{Passing, Point};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// What `BGX_FAILPOINT` says, such as `call:17:before:KILL`.
    struct Chosen {
        point: Point,
        number: u64,
        after: bool,
        /// A signal's name, or `PANIC`.
        signal: String,
    }

    /// A call is about to be sent, a record about to be written.
    pub fn before(point: Point) -> Passing {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        static RECORDS: AtomicU64 = AtomicU64::new(0);
        let count = match point {
            Point::Call => &CALLS,
            Point::Record => &RECORDS,
        };
        let passing = Passing(point, count.fetch_add(1, Ordering::SeqCst) + 1);
        reached(passing, false);
        passing
    }

    impl Passing {
        /// The reply is there, the record is on disk.
        pub fn after(self) {
            reached(self, true);
        }
    }

    fn reached(passing: Passing, after: bool) {
        static CHOSEN: OnceLock<Option<Chosen>> = OnceLock::new();
        let chosen = CHOSEN.get_or_init(|| std::env::var("BGX_FAILPOINT").ok().map(|text| read(&text)));
        if let Some(chosen) = chosen.as_ref().filter(|c| (c.point, c.number, c.after) == (passing.0, passing.1, after)) {
            fire(&chosen.signal);
        }
    }

    fn read(text: &str) -> Chosen {
        let parts: Vec<&str> = text.split(':').collect();
        let [kind, number, when, signal] = parts[..] else {
            panic!("BGX_FAILPOINT=`{text}`: four parts are wanted, `call:17:before:KILL`")
        };
        let point = if kind == "call" { Point::Call } else { Point::Record };
        let number = number.parse().expect("BGX_FAILPOINT counts in whole numbers");
        Chosen { point, number, after: when == "after", signal: signal.to_owned() }
    }

    /// The signal comes from outside, as a real one does: this crate raises none by itself without unsafe code.
    fn fire(signal: &str) {
        assert!(signal != "PANIC", "the failpoint says so");
        let sent = std::process::Command::new("kill").args(["-s", signal, &std::process::id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{signal} could not be sent");
        // SIGKILL needs a moment to arrive, and a handled signal needs one until its flag is set.
        std::thread::park_timeout(Duration::from_millis(if signal == "KILL" { 10_000 } else { 20 }));
    }
}
