//! Colour where it is wanted, and text from outside made harmless.

use std::io::IsTerminal;

/// Adds colour, or not; colour is never the only sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// For text on stderr: a terminal, and `NO_COLOR` not set.
    pub fn stderr() -> Paint {
        Paint { on: std::io::stderr().is_terminal() && !no_color() }
    }

    pub fn stdout() -> Paint {
        Paint { on: std::io::stdout().is_terminal() && !no_color() }
    }

    pub fn is_on(self) -> bool {
        self.on
    }

    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Text without control codes other than line breaks and our own colour codes.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(code) = own_code(rest) {
            out.push_str(&rest[..code]);
            rest = &rest[code..];
            continue;
        }
        if letter == '\n' || !letter.is_control() {
            out.push(letter);
        }
        rest = &rest[letter.len_utf8()..];
    }
    out
}

/// Length of one of the codes that `Paint` writes, at the start of `text`.
fn own_code(text: &str) -> Option<usize> {
    ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m"].iter().find(|code| text.starts_with(**code)).map(|code| code.len())
}

/// `Beta-Blue` of a target group's ARN or of the end of one.
pub fn short(text: &str) -> &str {
    let rest = text.rsplit_once(":targetgroup/").map_or(text, |(_, rest)| rest);
    let is_id = |id: &str| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit());
    rest.split_once('/').filter(|(_, id)| is_id(id)).map_or(text, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_codes_from_outside_are_dropped() {
        assert_eq!(clean("a\u{1b}]0;title\u{7}b\u{1b}[2Jc\nd"), "a]0;titleb[2Jc\nd");
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m"), "\u{1b}[31mred\u{1b}[0m");
    }

    #[test]
    fn a_value_with_a_slash_is_no_target_group() {
        assert_eq!(short("dist/gh/main/41000.tar.xz"), "dist/gh/main/41000.tar.xz");
        assert_eq!(short("https:443 /beta*"), "https:443 /beta*");
    }
}
