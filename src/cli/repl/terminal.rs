//! Where lines come from: a terminal with editing, or a pipe.

use crate::cli::style::Paint;
use crate::script::repl::complete::{self, Known, Look};
use crate::script::repl::scan;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor};
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What Tab and hints choose from; each line may add to it.
pub type Shared = Arc<Mutex<Known>>;

pub fn held(known: &Shared) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What somebody did at the prompt.
pub enum Read {
    Text(String),
    /// Ctrl-C: the line is dropped.
    Cancelled,
    /// Ctrl-D, or the end of the pipe.
    End,
}

pub enum Reader {
    Terminal { editor: Box<Editor<Lines, FileHistory>>, history: PathBuf },
    Pipe(io::Lines<io::StdinLock<'static>>),
}

impl Reader {
    /// With the lines that were typed in this environment before.
    pub fn terminal(known: Shared, paint: Paint, history: &Path) -> io::Result<Reader> {
        if let Some(folder) = history.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let config = Config::builder().completion_type(CompletionType::List).auto_add_history(false).build();
        let past = FileHistory::with_config(&config);
        let mut editor = Editor::with_history(config, past).map_err(failed)?;
        editor.set_helper(Some(Lines { known, paint }));
        // There is none yet, or it cannot be read: nothing depends on it.
        let _ = editor.load_history(history);
        Ok(Reader::Terminal { editor: Box::new(editor), history: history.to_path_buf() })
    }

    pub fn pipe() -> Reader {
        Reader::Pipe(io::stdin().lines())
    }

    pub fn is_terminal(&self) -> bool {
        matches!(self, Reader::Terminal { .. })
    }

    /// A whole line: what is open goes on in the next.
    pub fn read(&mut self, prompt: &str) -> io::Result<Read> {
        match self {
            Reader::Terminal { editor, history } => match editor.readline(prompt) {
                Ok(text) => {
                    let _ = editor.add_history_entry(text.trim_end());
                    // rustyline makes the file readable by its owner only.
                    let _ = editor.append_history(history);
                    Ok(Read::Text(text))
                }
                Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => Ok(Read::Cancelled),
                Err(ReadlineError::Eof) => Ok(Read::End),
                Err(error) => Err(failed(error)),
            },
            Reader::Pipe(lines) => {
                let mut text = String::new();
                for line in lines.by_ref() {
                    text.push_str(&line?);
                    if !scan::is_open(&text) {
                        return Ok(Read::Text(text));
                    }
                    text.push('\n');
                }
                Ok(if text.is_empty() { Read::End } else { Read::Text(text) })
            }
        }
    }
}

/// One answer to a question of a line that runs; `None`: Ctrl-C, or the terminal is closed.
pub fn answer() -> Option<String> {
    rustyline::DefaultEditor::new().ok()?.readline("> ").ok()
}

fn failed(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// The helper of the editor: everything it knows is in tables.
pub struct Lines {
    known: Shared,
    paint: Paint,
}

impl rustyline::Helper for Lines {}

impl Completer for Lines {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (begin, found) = complete::complete(line, pos, &held(&self.known));
        Ok((begin, found.into_iter().map(|candidate| Pair { display: candidate.shown, replacement: candidate.put }).collect()))
    }
}

impl Hinter for Lines {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<String> {
        if pos < line.len() { None } else { complete::hint(line, &held(&self.known)) }
    }
}

impl Highlighter for Lines {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if !self.paint.is_on() {
            return Cow::Borrowed(line);
        }
        let looks = complete::looks(line, &held(&self.known));
        Cow::Owned(looks.into_iter().map(|(range, look)| painted(&line[range], look, self.paint)).collect())
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(self.paint.dim(hint))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.paint.is_on() && kind != CmdKind::MoveCursor
    }
}

fn painted(text: &str, look: Look, paint: Paint) -> String {
    match look {
        Look::Plain | Look::Number => text.to_owned(),
        Look::Keyword | Look::Call => paint.bold(text),
        Look::Text => paint.good(text),
        Look::Comment => paint.dim(text),
    }
}

impl Validator for Lines {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let open = !context.input().starts_with(':') && scan::is_open(context.input());
        Ok(if open { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}
