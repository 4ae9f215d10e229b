//! What may stand at the cursor, and what is still missing from a call: from tables and from what was read, never from a call.

use super::scan::{Kind, Piece, pieces};
use crate::script::verb::Verb;
use std::collections::{BTreeMap, BTreeSet};

/// Commands of the prompt, and what may follow them.
pub const COMMANDS: [(&str, &str, &str); 10] = [
    (":writes", "on|off", "allow changes of the account, or not; in a guarded environment: :writes on NAME"),
    (":undo", "", "take the last action back"),
    (":steps", "", "what was done, and not taken back"),
    (":vars", "", "variables, and what they hold"),
    (":fork", "", "try it in a sandbox that is a copy of the account"),
    (":back", "", "leave the fork, and see what to type for real"),
    (":load", "FILE", "run a file as one line"),
    (":save", "FILE", "write what was done as a playbook"),
    (":help", "[NAME]", "all commands; or a verb or function: help scale, scale?"),
    (":quit", "", "leave; leases go back"),
];

/// Words of the language that may begin something.
pub const KEYWORDS: [&str; 22] = [
    "break", "catch", "const", "continue", "do", "else", "false", "fn", "for", "if", "import", "in", "let", "loop", "return", "step",
    "switch", "throw", "true", "try", "until", "while",
];

/// What there is to choose from.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub verbs: Vec<&'static Verb>,
    /// `bg::boot`, and its parameters.
    pub functions: BTreeMap<String, Vec<String>>,
    pub variables: BTreeSet<String>,
    /// Fields by the way to them: `c`, `c.live`.
    pub fields: BTreeMap<String, Vec<String>>,
    /// Of resources, builds and colours: for texts.
    pub names: BTreeSet<String>,
}

/// One that may stand there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// What is typed.
    pub put: String,
    /// With what it takes.
    pub shown: String,
}

impl Candidate {
    fn plain(text: &str) -> Candidate {
        Candidate { put: text.to_owned(), shown: text.to_owned() }
    }
}

/// A bracket that is open at the cursor.
struct Opened<'a> {
    /// The function that is called, `bg::boot`; empty for other brackets.
    name: String,
    /// `#{` and not a block.
    map: bool,
    /// Pieces behind it.
    inside: Vec<&'a Piece>,
    /// Commas behind it, at its own level.
    argument: usize,
}

/// Where the completed word begins, and what it may become.
pub fn complete(text: &str, at: usize, known: &Known) -> (usize, Vec<Candidate>) {
    let before = &text[..at];
    if let Some(rest) = before.strip_prefix(':') {
        return command(rest);
    }
    let all = pieces(before);
    let last = all.last();
    if let Some(open) = last.filter(|piece| piece.kind == Kind::Text && piece.open) {
        let begin = open.start + 1;
        let typed = &before[begin..];
        let found = known.names.iter().filter(|name| name.starts_with(typed));
        return (begin, found.map(|name| Candidate::plain(name)).collect());
    }
    if last.is_some_and(|piece| matches!(piece.kind, Kind::Text | Kind::Comment | Kind::Number)) {
        return (at, Vec::new());
    }
    let word = last.filter(|piece| piece.kind == Kind::Word);
    let begin = word.map_or(at, |piece| piece.start);
    let typed = &before[begin..];
    let counted: Vec<&Piece> = all.iter().filter(|piece| piece.counts() && piece.end <= begin).collect();
    let opened = opened(before, &counted);
    let previous = counted.last().map_or("", |piece| piece.of(before));
    let found = match previous {
        "." => fields(before, &counted[..counted.len() - 1], typed, known),
        "::" => of_module(before, &counted[..counted.len() - 1], typed, known),
        "{" | "," => match opened.last().filter(|open| open.map) {
            Some(_) => options(before, &opened, typed, known),
            None => words(typed, known),
        },
        _ => words(typed, known),
    };
    (begin, found)
}

fn command(rest: &str) -> (usize, Vec<Candidate>) {
    if let Some(arg) = rest.strip_prefix("writes ") {
        let states = ["on", "off"].into_iter().filter(|state| state.starts_with(arg));
        return (":writes ".len(), states.map(Candidate::plain).collect());
    }
    let found = COMMANDS.iter().filter(|(name, ..)| name[1..].starts_with(rest));
    let candidate = |(name, takes, _): &(&str, &str, &str)| Candidate {
        put: (*name).to_owned(),
        shown: format!("{name} {takes}").trim_end().to_owned(),
    };
    (0, found.map(candidate).collect())
}

/// A word that begins something.
fn words(typed: &str, known: &Known) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    found.extend(known.variables.iter().filter(|name| name.starts_with(typed)).map(|name| Candidate::plain(name)));
    let verbs = known.verbs.iter().filter(|verb| verb.name.starts_with(typed));
    found.extend(verbs.map(|verb| Candidate { put: format!("{}(", verb.name), shown: verb.signature() }));
    // `boot` is found under `bg::boot`, once there is something of it.
    let fits =
        |name: &str| name.starts_with(typed) || (!typed.is_empty() && name.rsplit("::").next().is_some_and(|own| own.starts_with(typed)));
    let functions = known.functions.iter().filter(|(name, _)| fits(name));
    found.extend(functions.map(|(name, params)| function(name, name, params)));
    if !typed.is_empty() {
        found.extend(KEYWORDS.iter().filter(|word| word.starts_with(typed)).map(|word| Candidate::plain(word)));
    }
    found
}

fn function(put: &str, name: &str, params: &[String]) -> Candidate {
    Candidate { put: format!("{put}("), shown: format!("{name}({})", params.join(", ")) }
}

fn of_module(text: &str, before: &[&Piece], typed: &str, known: &Known) -> Vec<Candidate> {
    let Some(module) = before.last().map(|piece| piece.of(text)) else { return Vec::new() };
    let own = known.functions.iter().filter_map(|(name, params)| {
        let rest = name.strip_prefix(module)?.strip_prefix("::")?;
        rest.starts_with(typed).then(|| function(rest, name, params))
    });
    own.collect()
}

fn fields(text: &str, before: &[&Piece], typed: &str, known: &Known) -> Vec<Candidate> {
    let mut way: Vec<&str> = Vec::new();
    let mut rest = before;
    // `c . live`, from its end.
    while let Some((word, more)) = rest.split_last().filter(|(word, _)| word.kind == Kind::Word) {
        way.push(word.of(text));
        match more.split_last() {
            Some((dot, more)) if dot.of(text) == "." => rest = more,
            _ => break,
        }
    }
    way.reverse();
    let fields = known.fields.get(&way.join(".")).map(Vec::as_slice).unwrap_or_default();
    fields.iter().filter(|field| field.starts_with(typed)).map(|field| Candidate::plain(field)).collect()
}

/// Keys of the options of the call around the map, without those that are there.
fn options(text: &str, opened: &[Opened], typed: &str, known: &Known) -> Vec<Candidate> {
    let [.., call, map] = opened else { return Vec::new() };
    let Some(verb) = known.verbs.iter().find(|verb| verb.name == call.name) else { return Vec::new() };
    let there: BTreeSet<&str> = map.inside.iter().map(|piece| piece.of(text)).collect();
    let free = verb.options.iter().filter(|option| option.key.starts_with(typed) && !there.contains(option.key));
    free.map(|option| Candidate {
        put: format!("{}: ", option.key),
        shown: format!("{}: {} {}", option.key, option.kind.word(), option.doc),
    })
    .collect()
}

/// The brackets that are open at the end, outermost first.
fn opened<'a>(text: &str, counted: &[&'a Piece]) -> Vec<Opened<'a>> {
    let mut open: Vec<Opened> = Vec::new();
    for (index, piece) in counted.iter().enumerate() {
        let word = piece.of(text);
        if piece.kind == Kind::Sign && matches!(word, ")" | "]" | "}") {
            open.pop();
            continue;
        }
        if let Some(last) = open.last_mut() {
            last.inside.push(piece);
            last.argument += usize::from(word == ",");
        }
        if piece.kind == Kind::Sign && matches!(word, "(" | "[" | "{") {
            let name = if word == "(" { callee(text, &counted[..index]) } else { String::new() };
            let map = word == "{" && index > 0 && counted[index - 1].of(text) == "#";
            open.push(Opened { name, map, inside: Vec::new(), argument: 0 });
        }
    }
    open
}

/// `bg::boot` before its bracket; empty where no call begins.
fn callee(text: &str, before: &[&Piece]) -> String {
    let Some((name, rest)) = before.split_last().filter(|(name, _)| name.kind == Kind::Word) else { return String::new() };
    match rest {
        [.., module, colons] if colons.of(text) == "::" && module.kind == Kind::Word => format!("{}::{}", module.of(text), name.of(text)),
        _ => name.of(text).to_owned(),
    }
}

/// What is still missing from the call in which the line ends.
pub fn hint(text: &str, known: &Known) -> Option<String> {
    let all = pieces(text);
    if text.starts_with(':') || all.last().is_some_and(|last| last.open || last.kind == Kind::Comment) {
        return None;
    }
    let counted: Vec<&Piece> = all.iter().filter(|piece| piece.counts()).collect();
    let opened = opened(text, &counted);
    let call = opened.last().filter(|open| !open.name.is_empty())?;
    let parameters = parameters(&call.name, known)?;
    let begun = call.inside.last().is_some_and(|piece| piece.of(text) != ",");
    let rest = parameters.get(call.argument + usize::from(begun)..).unwrap_or_default().join(", ");
    Some(match (begun, rest.is_empty()) {
        (true, false) => format!(", {rest})"),
        (_, true) => ")".to_owned(),
        (false, false) if text.ends_with(',') => format!(" {rest})"),
        (false, false) => format!("{rest})"),
    })
}

fn parameters(name: &str, known: &Known) -> Option<Vec<String>> {
    let Some(verb) = known.verbs.iter().find(|verb| verb.name == name) else { return known.functions.get(name).cloned() };
    let mut all: Vec<String> = verb.params.iter().map(|p| if p.optional { format!("[{}]", p.name) } else { p.name.to_owned() }).collect();
    if !verb.options.is_empty() {
        all.push(format!("#{{{}}}", verb.options.iter().map(|option| option.key).collect::<Vec<_>>().join(", ")));
    }
    Some(all)
}

/// How a piece looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Plain,
    Keyword,
    Call,
    Text,
    Comment,
    Number,
}

/// The looks of all pieces, in order.
pub fn looks(text: &str, known: &Known) -> Vec<(std::ops::Range<usize>, Look)> {
    let look = |piece: &Piece| match piece.kind {
        Kind::Text => Look::Text,
        Kind::Comment => Look::Comment,
        Kind::Number => Look::Number,
        Kind::Word if KEYWORDS.contains(&piece.of(text)) => Look::Keyword,
        Kind::Word if known.verbs.iter().any(|verb| verb.name == piece.of(text)) => Look::Call,
        Kind::Word | Kind::Sign | Kind::Space => Look::Plain,
    };
    pieces(text).iter().map(|piece| (piece.start..piece.end, look(piece))).collect()
}

#[cfg(test)]
#[path = "complete_tests.rs"]
mod tests;
