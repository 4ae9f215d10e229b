//! What an operator is told about a playbook: a message, the place in the source, the calls that led there, a way on.

use super::sources::Sources;
use std::fmt;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warning,
}

/// A place in a source file, as a person counts: lines and columns from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Place {
    pub file: String,
    pub line: usize,
    /// 0 where only the line is known.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            0 => write!(f, "{}:{}", self.file, self.line),
            column => write!(f, "{}:{}:{column}", self.file, self.line),
        }
    }
}

/// One call on the way to the failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub at: Place,
    /// E.g. ``in this call of `prepare` ``.
    pub what: String,
}

/// One finding about a playbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub level: Level,
    /// Short and stable, for tools to compare: `unknown-option`.
    pub code: &'static str,
    pub message: String,
    pub at: Option<Place>,
    /// Stands under the place.
    pub label: Option<String>,
    /// Innermost call first.
    pub trail: Vec<Frame>,
    pub hint: Option<String>,
    /// The source line at `at`, kept where the sources could not be loaded as a whole.
    pub excerpt: Option<String>,
}

impl Diagnostic {
    pub fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            level: Level::Error,
            code: "playbook",
            message: message.into(),
            at: None,
            label: None,
            trail: Vec::new(),
            hint: None,
            excerpt: None,
        }
    }

    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic { level: Level::Warning, ..Diagnostic::error(message) }
    }

    pub fn at(mut self, place: Option<Place>) -> Diagnostic {
        self.at = place;
        self
    }

    pub fn code(mut self, code: &'static str) -> Diagnostic {
        self.code = code;
        self
    }

    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = Some(label.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    /// A hint where there is one to give.
    pub fn maybe_hint(mut self, hint: Option<String>) -> Diagnostic {
        self.hint = hint.or(self.hint);
        self
    }

    pub fn excerpt(mut self, line: impl Into<String>) -> Diagnostic {
        self.excerpt = Some(line.into());
        self
    }

    /// As the failure of a function; boxed, since it is large and rare.
    pub fn err<T>(self) -> Result<T, Box<Diagnostic>> {
        Err(Box::new(self))
    }

    /// As text for a terminal, with the source lines.
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        super::render::render(self, sources, color, false)
    }

    /// As `render`, with the code.
    pub fn render_coded(&self, sources: &Sources, color: bool) -> String {
        super::render::render(self, sources, color, true)
    }
}

/// One line, for logs and for errors further up.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{at}: {}", plain(&self.message)),
            None => f.write_str(&plain(&self.message)),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// Text without terminal control: escape sequences and control characters are left out, line breaks and tabs stay.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.peek() {
                Some('[') => {
                    chars.next();
                    // A CSI sequence ends with its first byte in @ to ~.
                    while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
                    chars.next();
                }
                Some(']') => while chars.next_if(|c| !matches!(c, '\u{7}' | '\u{1b}' | '\n')).is_some() {},
                Some(_) | None => {}
            },
            '\n' | '\t' => out.push(c),
            // Right-to-left and other invisible formatting marks can make a line read as something else.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// The candidate that was probably meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter(|c| *c != name)
        .map(|c| (strsim::damerau_levenshtein(name, c), c))
        .filter(|(distance, c)| *distance <= 1 + name.chars().count().min(c.chars().count()) / 4)
        // A distance as long as the name itself says nothing.
        .filter(|(distance, c)| *distance < name.chars().count().min(c.chars().count()))
        .min()
        .map(|(_, c)| c)
}

/// ``did you mean `x`?``
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, candidates).map(|c| format!("did you mean `{c}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_codes_are_stripped() {
        assert_eq!(plain("a\u{1b}[31mred\u{1b}[0m\u{7}b\r\u{8}"), "aredb");
        assert_eq!(plain("x\u{1b}]0;title\u{7}y"), "xy");
        assert_eq!(plain("rtl \u{202e}evil"), "rtl evil");
        assert_eq!(plain("two\nlines\tkept"), "two\nlines\tkept");
    }

    #[test]
    fn suggestions_need_a_close_name() {
        assert_eq!(nearest("desird", ["desired", "min", "max"]), Some("desired"));
        assert_eq!(nearest("mn", ["desired", "min", "max"]), Some("min"));
        assert_eq!(nearest("zzzz", ["desired", "min"]), None);
        assert_eq!(nearest("a", ["b"]), None);
    }
}
