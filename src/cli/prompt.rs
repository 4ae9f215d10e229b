//! Asks the operator at the terminal; a signal ends the question.

use super::style::{Paint, clean};
use crate::run::{Question, short};
use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A wrong answer is asked again this often; a question never loops for ever.
const TRIES: usize = 3;
/// How soon a signal is noticed while nobody types.
const LOOK: Duration = Duration::from_millis(100);

/// Puts a question on the terminal; `None`: no usable answer came, or none in time.
pub fn ask(question: &Question, paint: Paint, interrupt: &watch::Receiver<String>) -> Option<String> {
    let end = question.timeout.map(|timeout| Instant::now() + timeout);
    ask_by(question, paint, &mut || read_line(interrupt, end))
}

/// The same with another way to read a line.
pub fn ask_by(question: &Question, paint: Paint, read: &mut dyn FnMut() -> Option<String>) -> Option<String> {
    for _ in 0..TRIES {
        show(question, paint);
        let line = read()?;
        let typed = line.trim();
        if question.choices.is_empty() {
            return Some(typed.to_owned());
        }
        let by_key = question.choices.iter().find(|(key, _)| key == typed);
        let by_number = typed.parse::<usize>().ok().and_then(|n| question.choices.get(n.checked_sub(1)?));
        if let Some((key, _)) = by_key.or(by_number) {
            return Some(key.clone());
        }
        let _ = writeln!(std::io::stderr(), "`{}` is not one of the answers", clean(typed));
    }
    None
}

fn show(question: &Question, paint: Paint) {
    let mut out = std::io::stderr();
    let _ = writeln!(out, "\n{}", paint.bold(&clean(&question.text)));
    for (number, (key, text)) in question.choices.iter().enumerate() {
        let _ = writeln!(out, "  {}  {key:8} {}", number + 1, clean(text));
    }
    if let (Some(timeout), Some(key)) = (question.timeout, &question.unattended) {
        let _ = writeln!(out, "  without an answer within {}: {key}", short(timeout));
    }
    let _ = write!(out, "> ");
    let _ = out.flush();
}

/// One line of standard input, read on a thread of its own so that Ctrl-C, SIGTERM and the end of the time are noticed.
fn read_line(interrupt: &watch::Receiver<String>, end: Option<Instant>) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        let _ = sender.send(read.ok().filter(|count| *count > 0).map(|_| line));
    });
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(line) => return line,
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(mpsc::RecvTimeoutError::Timeout) if end.is_some_and(|end| Instant::now() >= end) => return None,
            Err(mpsc::RecvTimeoutError::Timeout) if !interrupt.borrow().is_empty() => return None,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
    }
}
