//! Cuts a line of Rhai into pieces, whole or not: what completion, hints, colours and continued lines look at.

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Word,
    Number,
    /// In quotes or backticks.
    Text,
    Comment,
    /// One sign; `::` is one.
    Sign,
    Space,
}

/// A piece by its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
    /// Its own end is missing: of a text or a comment.
    pub open: bool,
}

impl Piece {
    pub fn of<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.end]
    }

    /// Neither a space nor a comment.
    pub fn counts(&self) -> bool {
        !matches!(self.kind, Kind::Space | Kind::Comment)
    }
}

/// All pieces, without gaps.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(first) = text[start..].chars().next() {
        let rest = &text[start..];
        let (kind, length, open) = match first {
            c if c.is_whitespace() => (Kind::Space, run(rest, char::is_whitespace), false),
            c if c.is_alphabetic() || c == '_' => (Kind::Word, run(rest, is_word), false),
            c if c.is_ascii_digit() => (Kind::Number, run(rest, is_word), false),
            '"' => quoted(rest),
            '`' => backticks(rest),
            '/' if rest.starts_with("//") => (Kind::Comment, run(rest, |c| c != '\n'), false),
            '/' if rest.starts_with("/*") => match rest.find("*/") {
                Some(end) => (Kind::Comment, end + 2, false),
                None => (Kind::Comment, rest.len(), true),
            },
            ':' if rest.starts_with("::") => (Kind::Sign, 2, false),
            c => (Kind::Sign, c.len_utf8(), false),
        };
        found.push(Piece { kind, start, end: start + length, open });
        start += length;
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn run(rest: &str, belongs: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !belongs(c)).unwrap_or(rest.len())
}

/// Ends at its quote, or with the line.
fn quoted(rest: &str) -> (Kind, usize, bool) {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return (Kind::Text, at, true),
            '"' if !escaped => return (Kind::Text, at + 1, false),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    (Kind::Text, rest.len(), true)
}

/// Ends at its backtick, however many lines that takes; `${…}` inside it may hold backticks.
fn backticks(rest: &str) -> (Kind, usize, bool) {
    let mut depth = 0usize;
    let mut before = ' ';
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '{' if depth > 0 || before == '$' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '`' if depth == 0 => return (Kind::Text, at + 1, false),
            _ => {}
        }
        before = c;
    }
    (Kind::Text, rest.len(), true)
}

/// The next line belongs to this one: a bracket, a text in backticks or a comment is not at its end.
pub fn is_open(text: &str) -> bool {
    let mut depth = 0i64;
    for piece in pieces(text) {
        match piece.kind {
            Kind::Text if piece.open => return piece.of(text).starts_with('`'),
            Kind::Comment if piece.open => return true,
            Kind::Sign => match piece.of(text) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            },
            Kind::Text | Kind::Comment | Kind::Word | Kind::Number | Kind::Space => {}
        }
    }
    depth > 0
}

/// The words before a `::`: aliases of modules.
pub fn aliases(text: &str) -> Vec<String> {
    let counted: Vec<Piece> = pieces(text).into_iter().filter(Piece::counts).collect();
    let pairs = counted.windows(2).filter(|pair| pair[0].kind == Kind::Word && pair[1].of(text) == "::");
    let mut found: Vec<String> = pairs.map(|pair| pair[0].of(text).to_owned()).collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_no_gaps_and_know_their_kind() {
        let text = "scale(c, #{ min: 2 }) // \"x\n`a ${b + `c`} d` \"q\\\" 1";
        let all = pieces(text);
        assert_eq!(all.iter().map(|piece| piece.of(text)).collect::<String>(), text);
        let counted: Vec<&str> = all.iter().filter(|piece| piece.counts()).map(|piece| piece.of(text)).collect();
        assert_eq!(counted, ["scale", "(", "c", ",", "#", "{", "min", ":", "2", "}", ")", "`a ${b + `c`} d`", "\"q\\\" 1"]);
        assert!(all.last().is_some_and(|last| last.open && last.kind == Kind::Text));
    }

    #[test]
    fn a_line_goes_on_where_something_is_not_at_its_end() {
        for open in ["scale(c, #{", "let x = [1,", "say(`two", "if a {", "/* why", "f(\")\""] {
            assert!(is_open(open), "{open}");
        }
        for whole in ["scale(c)", "say(\"(\")", "let x = 1 // {", "say(\"a", "`}`", ")", ""] {
            assert!(!is_open(whole), "{whole}");
        }
    }

    #[test]
    fn aliases_are_words_before_two_colons_and_not_in_texts() {
        assert_eq!(aliases("bg::size(x) + serving :: swap(\"no::no\") // not::this"), ["bg", "serving"]);
    }
}
