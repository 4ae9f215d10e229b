//! Signals set a flag, nothing else; only a second Ctrl-C at a terminal stops at once.

use crate::run::event::Outcome;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The name of the first signal that came; empty until then.
pub fn listen() -> io::Result<watch::Receiver<String>> {
    listening().map(|signals| signals.receiver)
}

/// Signals of a process that outlives a Ctrl-C.
#[derive(Clone)]
pub struct Listening {
    sender: Arc<watch::Sender<String>>,
    pub receiver: watch::Receiver<String>,
    /// Nothing runs that could look at the flag: what to say before a signal ends the process.
    idle: Arc<Mutex<Option<String>>>,
}

impl Listening {
    /// The Ctrl-C was heeded.
    pub fn forget(&self) {
        self.sender.send_if_modified(|current| {
            let heeded = current == "SIGINT";
            if heeded {
                current.clear();
            }
            heeded
        });
    }

    /// From now on SIGTERM and SIGHUP end the process at once, with this text; `None`: something runs, and looks at the flag.
    pub fn idle(&self, last_words: Option<String>) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = last_words;
        // One that came just before that.
        let name = self.receiver.borrow().clone();
        if name != "SIGINT" && !name.is_empty() {
            self.end_idle(&name);
        }
    }

    /// Ends the process if nothing runs.
    fn end_idle(&self, name: &str) {
        if let Some(words) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = writeln!(io::stderr(), "{name} received: {words}");
            std::process::exit(Outcome::Paused.code());
        }
    }
}

pub fn listening() -> io::Result<Listening> {
    let (sender, receiver) = watch::channel(String::new());
    let (sender, idle) = (Arc::new(sender), Arc::new(Mutex::<Option<String>>::default()));
    let listening = Listening { sender: sender.clone(), receiver, idle };
    let heard = listening.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if signal == SIGINT && *sender.borrow() == "SIGINT" && io::stdin().is_terminal() {
                let _ = writeln!(io::stderr(), "second Ctrl-C: stopped as it is; nothing more is done");
                std::process::exit(Outcome::Paused.code());
            }
            let name = match signal {
                SIGINT => "SIGINT",
                SIGHUP => "SIGHUP",
                _ => "SIGTERM",
            };
            sender.send_if_modified(|current| {
                let first = current.is_empty();
                if first {
                    *current = name.to_owned();
                }
                first
            });
            if signal != SIGINT {
                heard.end_idle(name);
            }
        }
    });
    Ok(listening)
}
