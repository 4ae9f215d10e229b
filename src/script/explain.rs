//! Rhai's own errors in an operator's words, with the calls that led to them.

use super::diagnose::{Diagnostic, Frame, Place};
use super::play::TOO_LONG;
use super::raised::Raised;
use super::record::Record;
use super::sources::Sources;
use rhai::{Dynamic, EvalAltResult, LexError, ParseError, ParseErrorType, Position};

/// Words that Rhai keeps for itself: none of them can name a function or a variable.
pub const RESERVED: &[&str] = &[
    "as",
    "async",
    "await",
    "case",
    "catch",
    "const",
    "continue",
    "break",
    "default",
    "do",
    "else",
    "eval",
    "export",
    "false",
    "fn",
    "for",
    "go",
    "goto",
    "if",
    "import",
    "in",
    "is",
    "let",
    "loop",
    "match",
    "module",
    "new",
    "nil",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "shared",
    "spawn",
    "static",
    "step",
    "super",
    "switch",
    "sync",
    "this",
    "thread",
    "throw",
    "true",
    "try",
    "until",
    "use",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

pub const OUTER_VARIABLES: &str = "a function sees its parameters, its own variables and `global::CONST`, no variables outside it";

/// A file that does not parse.
pub fn parse_error(error: &ParseError, sources: &Sources) -> Diagnostic {
    let at = sources.locate(error.position());
    let word = at.as_ref().map(|p| word_at(sources, p)).unwrap_or_default();
    let (message, hint) = parse_text(error.err_type(), &word);
    let line = at.as_ref().and_then(|p| sources.line(&p.file, p.line)).unwrap_or_default();
    let hint = hint.or_else(|| step_as_name(line).then(|| reserved("step").0));
    let code = if message.ends_with("is a reserved word of Rhai") { "reserved-word" } else { "syntax" };
    Diagnostic::error(message).code(code).at(at).maybe_hint(hint)
}

/// The word stands where no step begins: Rhai then complains about what follows it.
fn step_as_name(line: &str) -> bool {
    line.match_indices("step").any(|(start, word)| {
        let end = start + word.len();
        let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
        let whole = !line[..start].ends_with(part_of_name) && !line[end..].starts_with(part_of_name);
        whole && !line[end..].trim_start().starts_with(['"', '`'])
    })
}

/// The identifier that starts at a place; empty if none does.
fn word_at(sources: &Sources, at: &Place) -> String {
    let line = sources.line(&at.file, at.line).unwrap_or_default();
    line.chars().skip(at.column.saturating_sub(1)).take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn constant(name: &str) -> String {
    format!("`{name}` is a constant and cannot be assigned")
}

pub fn reserved(word: &str) -> (String, Option<String>) {
    match word {
        "eval" => {
            ("`eval` is not available in playbooks".into(), Some("code that is made while running cannot be checked or pinned".into()))
        }
        "step" => ("`step` is a word of the language: step \"name\" { … }".into(), Some("choose another name".into())),
        _ => (format!("`{word}` is a reserved word of Rhai"), Some("choose another name".into())),
    }
}

fn parse_text(kind: &ParseErrorType, word: &str) -> (String, Option<String>) {
    use ParseErrorType as P;
    match kind {
        P::Reserved(name) if RESERVED.contains(&name.as_str()) => reserved(name),
        P::BadInput(LexError::ImproperSymbol(name, _)) if RESERVED.contains(&name.as_str()) => reserved(name),
        // A keyword where a name belongs: Rhai only says that a name is missing.
        P::VariableExpected | P::FnMissingName | P::PropertyExpected if RESERVED.contains(&word) => reserved(word),
        P::UnexpectedEOF => ("the file ends in the middle of something".into(), Some("is a `}`, a `)` or a quote missing?".into())),
        P::MissingToken(token, what) => (format!("expected `{token}` {what}"), None),
        P::VariableUndefined(name) => (format!("unknown variable `{name}`"), Some(OUTER_VARIABLES.into())),
        P::AssignmentToConstant(name) if !name.is_empty() => (constant(name), None),
        P::LoopBreak => ("`break` and `continue` work only inside a loop".into(), None),
        other => (lower_first(&other.to_string()), None),
    }
}

/// An error that left the playbook.
pub fn eval_error(error: &EvalAltResult, sources: &Sources) -> Diagnostic {
    let mut trail = Vec::new();
    let root = unwind(error, sources, &mut trail);
    let (message, hint) = root_text(root, sources);
    let mut at = sources.locate(root.position()).map(|at| onto_name(at, sources));
    if at.is_none() && !trail.is_empty() {
        at = Some(trail.remove(0).at);
    }
    let hint = hint.or_else(|| match root {
        EvalAltResult::ErrorParsing(kind, position) => parse_error(&ParseError(Box::new(kind.clone()), *position), sources).hint,
        _ => None,
    });
    let mut diagnostic = Diagnostic::error(message).at(at).maybe_hint(hint);
    diagnostic.trail = trail;
    diagnostic
}

/// Rhai points at the dot of `x.name`.
fn onto_name(mut at: Place, sources: &Sources) -> Place {
    let line = sources.line(&at.file, at.line).unwrap_or_default();
    let dots = line.chars().skip(at.column.saturating_sub(1)).take_while(|c| matches!(c, '.' | '?')).count();
    at.column += dots;
    at
}

/// Goes to the root; frames come out innermost first.
fn unwind<'a>(error: &'a EvalAltResult, sources: &Sources, trail: &mut Vec<Frame>) -> &'a EvalAltResult {
    let (inner, position, what) = match error {
        EvalAltResult::ErrorInFunctionCall(name, _, inner, position) if name.starts_with("anon$") => {
            (inner, *position, "in this closure".to_string())
        }
        EvalAltResult::ErrorInFunctionCall(name, _, inner, position) => (inner, *position, format!("in this call of `{name}`")),
        EvalAltResult::ErrorInModule(name, inner, position) => (inner, *position, format!("while importing \"{name}\"")),
        root => return root,
    };
    let root = unwind(inner, sources, trail);
    if let Some(at) = sources.locate(position) {
        trail.push(Frame { at, what });
    }
    root
}

fn root_text(root: &EvalAltResult, sources: &Sources) -> (String, Option<String>) {
    use EvalAltResult as E;
    match root {
        E::ErrorRuntime(value, _) => thrown_text(value),
        E::ErrorParsing(kind, position) => {
            let diagnostic = parse_error(&ParseError(Box::new(kind.clone()), *position), sources);
            (diagnostic.message, diagnostic.hint)
        }
        E::ErrorFunctionNotFound(signature, _) => function_text(signature),
        E::ErrorVariableNotFound(name, _) => (format!("unknown variable `{name}`"), Some(OUTER_VARIABLES.into())),
        E::ErrorModuleNotFound(name, _) => (format!("unknown module `{name}`"), None),
        E::ErrorMismatchDataType(wanted, got, _) | E::ErrorMismatchOutputType(wanted, got, _) if wanted.is_empty() => {
            (format!("wrong type: {}", type_word(got)), None)
        }
        E::ErrorMismatchDataType(wanted, got, _) | E::ErrorMismatchOutputType(wanted, got, _) => {
            (format!("expected {}, got {}", type_word(wanted), type_word(got)), None)
        }
        E::ErrorArrayBounds(count, index, _) => (format!("index {index} is outside the list, which has {}", counted(*count, "item")), None),
        E::ErrorStringBounds(count, index, _) => {
            (format!("index {index} is outside the text, which has {}", counted(*count, "character")), None)
        }
        E::ErrorTerminated(token, _) if token.as_immutable_string_ref().is_ok_and(|t| t.as_str() == TOO_LONG) => (
            "the playbook computed for too long without an end".into(),
            Some("is there a loop that waits by itself? wait with a verb instead".into()),
        ),
        E::ErrorStackOverflow(_) => ("calls are nested too deep".into(), Some("does a function call itself without an end?".into())),
        E::ErrorDataTooLarge(what, _) => (format!("a value grew too large: {}", lower_first(what)), None),
        E::ErrorTerminated(..) => ("the playbook was stopped".into(), None),
        E::ErrorSystem(text, inner) if text.is_empty() => (inner.to_string(), None),
        E::ErrorAssignmentToConstant(name, _) => (constant(name), None),
        other => (lower_first(&without_position(other)), None),
    }
}

/// What a script threw.
fn thrown_text(value: &Dynamic) -> (String, Option<String>) {
    if let Some(raised) = value.read_lock::<Raised>() {
        let parts: Vec<&str> = std::iter::once(&raised.message).chain(&raised.causes).map(String::as_str).collect();
        return (parts.join(": "), raised.hint.clone());
    }
    if let Ok(map) = value.as_map_ref()
        && let Some(message) = map.get("message")
    {
        return (message.to_string(), None);
    }
    if value.is_unit() {
        return ("the playbook threw `()`".into(), Some("say why: fail(\"…\")".into()));
    }
    (value.read_lock::<Record>().map_or_else(|| value.to_string(), |r| r.to_string()), None)
}

/// `scale (string, i64)` as Rhai puts it.
fn function_text(signature: &str) -> (String, Option<String>) {
    let (name, types) = signature.split_once(" (").unwrap_or((signature, ""));
    let types: Vec<&str> = types.trim_end_matches(')').split(", ").filter(|t| !t.is_empty()).map(type_word).collect();
    // The pair of brackets of `()` goes with the closing one above.
    let types: Vec<&str> = types.into_iter().map(|t| if t == "(" { "()" } else { t }).collect();
    if name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return (format!("no function `{name}` takes ({})", types.join(", ")), None);
    }
    (format!("`{name}` does not work on {}", types.join(" and ")), None)
}

/// Rhai's type names in the words of the verbs.
fn type_word(name: &str) -> &str {
    match name {
        "string" | "&str | ImmutableString | String" | "&str" | "ImmutableString" | "String" => "text",
        "i64" | "INT" => "int",
        "f64" | "FLOAT" => "float",
        "array" => "list",
        "Fn" | "FnPtr" => "closure",
        other => other,
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Rhai appends ` (line 3, position 5)`.
fn without_position(error: &EvalAltResult) -> String {
    let text = error.to_string();
    let position = error.position();
    if position == Position::NONE { text } else { text.trim_end_matches(&format!(" ({position})")).to_string() }
}

/// Messages start small, as everything else bgx says.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // Not an abbreviation such as `IO`.
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_string(),
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
