//! Signals set a flag, nothing else; only a second Ctrl-C at a terminal stops at once.

use crate::run::event::Outcome;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, IsTerminal, Write};
use tokio::sync::watch;

/// The name of the first signal that came; empty until then.
pub fn listen() -> io::Result<watch::Receiver<String>> {
    let (sender, receiver) = watch::channel(String::new());
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
        }
    });
    Ok(receiver)
}
