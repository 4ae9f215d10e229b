//! Parameters of a playbook: declared at its top as literals, given as flags, checked before anything runs.

use super::diagnose::{Diagnostic, Place, did_you_mean, nearest};
use super::duration::{parse_duration, show_duration};
use super::sources::{File, Sources};
use super::syntax;
use super::verb::{Kind, Opt};
use rhai::{ASTNode, Dynamic, Expr, FnCallExpr, Map, Position, Stmt};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What the map of `param` may hold.
pub static PARAM_OPTIONS: &[Opt] = &[
    Opt::new("kind", Kind::Text, "int, float, string, bool, duration, ints, strings or color; string if left out"),
    Opt::new("required", Kind::Bool, "must be given"),
    Opt::new("min", Kind::Any, "smallest value"),
    Opt::new("max", Kind::Any, "largest value"),
    Opt::new("otherwise", Kind::Any, "the value if it is not given"),
    Opt::new("choices", Kind::List, "the only values allowed"),
    Opt::new("doc", Kind::Text, "what it means, for --help"),
];

/// Flags of bgx itself: a parameter cannot take their names.
const FLAGS_TAKEN: &[&str] =
    &["answer", "confirm", "endpoint", "env", "help", "json", "lock-wait", "on-failure", "pace", "reason", "seed", "target", "yes"];

/// A declared parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    pub name: String,
    pub kind: ParamKind,
    pub required: bool,
    pub min: Option<Bound>,
    pub max: Option<Bound>,
    pub otherwise: Option<ParamValue>,
    pub choices: Vec<String>,
    pub doc: String,
    pub at: Option<Place>,
}

/// A limit, comparable and as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    pub value: f64,
    pub shown: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    Int,
    Float,
    Text,
    Bool,
    Duration,
    Ints,
    Texts,
    Color,
}

/// The value of one parameter, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamValue {
    Int(i64),
    Float(f64),
    Text(String),
    Bool(bool),
    /// Scripts see text such as `"5m"`.
    Duration(Duration),
    Ints(Vec<i64>),
    Texts(Vec<String>),
    Color(String),
}

impl ParamKind {
    const ALL: [ParamKind; 8] = [
        ParamKind::Int,
        ParamKind::Float,
        ParamKind::Text,
        ParamKind::Bool,
        ParamKind::Duration,
        ParamKind::Ints,
        ParamKind::Texts,
        ParamKind::Color,
    ];

    /// As in `kind: "…"`.
    pub fn word(self) -> &'static str {
        match self {
            ParamKind::Int => "int",
            ParamKind::Float => "float",
            ParamKind::Text => "string",
            ParamKind::Bool => "bool",
            ParamKind::Duration => "duration",
            ParamKind::Ints => "ints",
            ParamKind::Texts => "strings",
            ParamKind::Color => "color",
        }
    }

    fn wants(self) -> &'static str {
        match self {
            ParamKind::Int => "a whole number",
            ParamKind::Float => "a number",
            ParamKind::Text => "text",
            ParamKind::Bool => "true or false",
            ParamKind::Duration => "a duration such as 5m",
            ParamKind::Ints => "whole numbers such as 5,25,50",
            ParamKind::Texts => "words such as a,b",
            ParamKind::Color => "blue or green",
        }
    }

    /// Reads the text of a flag.
    fn parse(self, text: &str) -> Option<ParamValue> {
        let ints = || text.split(',').map(|t| t.trim().parse().ok()).collect::<Option<Vec<i64>>>();
        match self {
            ParamKind::Int => text.parse().ok().map(ParamValue::Int),
            ParamKind::Float => text.parse().ok().filter(|f: &f64| f.is_finite()).map(ParamValue::Float),
            ParamKind::Text => Some(ParamValue::Text(text.to_string())),
            ParamKind::Bool => text.parse().ok().map(ParamValue::Bool),
            ParamKind::Duration => parse_duration(text).ok().map(ParamValue::Duration),
            ParamKind::Ints => ints().map(ParamValue::Ints),
            ParamKind::Texts => Some(ParamValue::Texts(text.split(',').map(|t| t.trim().to_string()).collect())),
            ParamKind::Color => ["blue", "green"].contains(&text).then(|| ParamValue::Color(text.to_string())),
        }
    }

    /// Takes a literal of the playbook.
    fn read_literal(self, value: &Dynamic) -> Option<ParamValue> {
        match self {
            ParamKind::Int => value.as_int().ok().map(ParamValue::Int),
            ParamKind::Float => number(value).map(ParamValue::Float),
            ParamKind::Bool => value.as_bool().ok().map(ParamValue::Bool),
            ParamKind::Text | ParamKind::Duration | ParamKind::Color => self.parse(value.as_immutable_string_ref().ok()?.as_str()),
            ParamKind::Ints => value.as_array_ref().ok()?.iter().map(|v| v.as_int().ok()).collect::<Option<_>>().map(ParamValue::Ints),
            ParamKind::Texts => value.as_array_ref().ok()?.iter().map(text_of).collect::<Option<_>>().map(ParamValue::Texts),
        }
    }
}

impl ParamValue {
    /// As the playbook sees it.
    pub fn to_dynamic(&self) -> Dynamic {
        match self {
            ParamValue::Int(n) => Dynamic::from(*n),
            ParamValue::Float(n) => Dynamic::from(*n),
            ParamValue::Text(text) | ParamValue::Color(text) => Dynamic::from(text.clone()),
            ParamValue::Bool(b) => Dynamic::from(*b),
            ParamValue::Duration(d) => Dynamic::from(show_duration(*d)),
            ParamValue::Ints(list) => Dynamic::from(list.iter().copied().map(Dynamic::from).collect::<rhai::Array>()),
            ParamValue::Texts(list) => Dynamic::from(list.iter().cloned().map(Dynamic::from).collect::<rhai::Array>()),
        }
    }

    /// What limits compare: each number of a list, seconds of a duration.
    fn numbers(&self) -> Vec<f64> {
        match self {
            ParamValue::Int(n) => vec![*n as f64],
            ParamValue::Float(n) => vec![*n],
            ParamValue::Duration(d) => vec![d.as_secs_f64()],
            ParamValue::Ints(list) => list.iter().map(|n| *n as f64).collect(),
            ParamValue::Text(_) | ParamValue::Bool(_) | ParamValue::Texts(_) | ParamValue::Color(_) => Vec::new(),
        }
    }

    /// What choices compare.
    fn words(&self) -> Vec<String> {
        match self {
            ParamValue::Ints(list) => list.iter().map(i64::to_string).collect(),
            ParamValue::Texts(list) => list.clone(),
            ParamValue::Int(_)
            | ParamValue::Float(_)
            | ParamValue::Text(_)
            | ParamValue::Bool(_)
            | ParamValue::Duration(_)
            | ParamValue::Color(_) => {
                vec![self.to_string()]
            }
        }
    }
}

/// As it is written on the command line.
impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParamValue::Int(n) => write!(f, "{n}"),
            ParamValue::Float(n) => write!(f, "{n}"),
            ParamValue::Text(text) | ParamValue::Color(text) => f.write_str(text),
            ParamValue::Bool(b) => write!(f, "{b}"),
            ParamValue::Duration(d) => f.write_str(&show_duration(*d)),
            ParamValue::Ints(_) | ParamValue::Texts(_) => f.write_str(&self.words().join(",")),
        }
    }
}

/// What the flags of a run mean, defaults filled in; all that is wrong is reported together.
pub fn parse(specs: &[ParamSpec], given: &BTreeMap<String, String>) -> Result<BTreeMap<String, ParamValue>, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut values = BTreeMap::new();
    for name in given.keys().filter(|n| specs.iter().all(|s| s.name != **n)) {
        let hint = nearest(name, specs.iter().map(|s| s.name.as_str())).map(|n| format!("did you mean `--{n}`?"));
        errors.push(Diagnostic::error(format!("the playbook has no parameter `--{name}`")).maybe_hint(hint));
    }
    for spec in specs {
        match given.get(&spec.name).map(|text| spec.read(text)) {
            Some(Ok(value)) => drop(values.insert(spec.name.clone(), value)),
            Some(Err(why)) => errors.push(Diagnostic::error(format!("`--{}` {why}", spec.name))),
            None if spec.required => {
                let doc = if spec.doc.is_empty() { String::new() } else { format!(" ({})", spec.doc) };
                errors.push(Diagnostic::error(format!("`--{}` is required{doc}", spec.name)));
            }
            None => drop(spec.otherwise.clone().map(|value| values.insert(spec.name.clone(), value))),
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

impl ParamSpec {
    fn read(&self, text: &str) -> Result<ParamValue, String> {
        let value = self.kind.parse(text).ok_or_else(|| format!("wants {}, got `{text}`", self.kind.wants()))?;
        self.limits(&value)?;
        Ok(value)
    }

    fn limits(&self, value: &ParamValue) -> Result<(), String> {
        for number in value.numbers() {
            if let Some(min) = self.min.as_ref().filter(|b| number < b.value) {
                return Err(format!("must be at least {}, got {value}", min.shown));
            }
            if let Some(max) = self.max.as_ref().filter(|b| number > b.value) {
                return Err(format!("must be at most {}, got {value}", max.shown));
            }
        }
        match value.words().iter().find(|w| !self.choices.is_empty() && !self.choices.contains(w)) {
            Some(word) => Err(format!("must be one of {}, got `{word}`", self.choices.join(", "))),
            None => Ok(()),
        }
    }
}

/// The parameters that a playbook declares; anything that is no plain declaration at its top is an error.
pub fn specs(sources: &Sources) -> Result<Vec<ParamSpec>, Vec<Diagnostic>> {
    let parser = syntax::parser();
    let mut specs: Vec<ParamSpec> = Vec::new();
    let mut errors = Vec::new();
    for (index, file) in sources.files().iter().enumerate() {
        for found in calls(&parser, file) {
            let at = sources.locate(found.position);
            let spec = match (index, found.spec) {
                (0, Ok(spec)) => Ok(ParamSpec { at: at.clone(), ..spec }),
                (0, Err((why, position))) => Err(Diagnostic::error(why).at(sources.locate(position).or(at.clone()))),
                (_, Ok(_) | Err(_)) => Err(Diagnostic::error("`param` belongs at the top of the playbook, not into a module").at(at)),
            };
            match spec {
                Ok(spec) if specs.iter().any(|s| s.name == spec.name) => {
                    errors.push(Diagnostic::error(format!("parameter `{}` is declared twice", spec.name)).at(spec.at));
                }
                Ok(spec) => specs.push(spec),
                Err(error) => errors.push(error),
            }
        }
    }
    if errors.is_empty() { Ok(specs) } else { Err(errors) }
}

struct Found {
    position: Position,
    spec: Result<ParamSpec, (String, Position)>,
}

/// Every call of `param` in one file.
fn calls(parser: &rhai::Engine, file: &File) -> Vec<Found> {
    // What does not parse is reported by the check.
    let Ok(ast) = parser.compile(file.placed()) else { return Vec::new() };
    let top_statements = ast.statements().len();
    let (mut roots, mut found) = (0, Vec::new());
    ast.walk(&mut |path| {
        roots += usize::from(path.len() == 1);
        let (call, position) = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, position)) | ASTNode::Stmt(Stmt::FnCall(call, position))) => (call, *position),
            _ => return true,
        };
        if call.name == "param" && !call.is_qualified() {
            let nested = roots > top_statements || path[..path.len() - 1].iter().any(|n| !passes_through(n));
            let why =
                "`param` must stand at the top of the playbook, outside of functions, blocks and steps: it is read before anything runs";
            let spec = if nested { Err((why.to_string(), position)) } else { declaration(call, position) };
            found.push(Found { position, spec });
        }
        true
    });
    found
}

/// A node whose inside is evaluated exactly once, in place.
fn passes_through(node: &ASTNode) -> bool {
    match node {
        ASTNode::Stmt(stmt) => matches!(stmt, Stmt::Var(..) | Stmt::Expr(_)),
        ASTNode::Expr(expr) => matches!(expr, Expr::Coalesce(..) | Expr::Dot(..) | Expr::Index(..)),
        _ => false,
    }
}

/// Reads `param("name", #{ … })`.
fn declaration(call: &FnCallExpr, position: Position) -> Result<ParamSpec, (String, Position)> {
    let here = |why: String| (why, position);
    let Some(Expr::StringConstant(name, name_at)) = call.args.first() else {
        return Err(here("the name of a parameter must be a literal string".into()));
    };
    let mut options = Map::new();
    if let Some(arg) = call.args.get(1) {
        let Expr::Map(entries, _) = arg else { return Err((literal_wanted("the options"), arg.start_position())) };
        for (key, value) in &entries.0 {
            let literal =
                value.get_literal_value(None).ok_or_else(|| (literal_wanted(&format!("`{}`", key.name)), value.start_position()))?;
            if let Some(option) = PARAM_OPTIONS.iter().find(|o| o.key == key.name.as_str()) {
                option.kind.check(&literal).map_err(|e| (format!("`{}` {e}", key.name), value.start_position()))?;
            } else {
                let keys = PARAM_OPTIONS.iter().map(|o| o.key);
                let meant = did_you_mean(&key.name, keys).map(|m| format!("; {m}")).unwrap_or_default();
                return Err((format!("`param` has no option `{}`{meant}", key.name), key.pos));
            }
            options.insert(key.name.clone().into(), literal);
        }
    }
    check_name(name).map_err(|why| (why, *name_at))?;
    spec(name, &options).map_err(|why| here(format!("parameter `{name}`: {why}")))
}

fn literal_wanted(what: &str) -> String {
    format!("{what} of a parameter must be literal: flags are known before anything runs")
}

fn check_name(name: &str) -> Result<(), String> {
    if FLAGS_TAKEN.contains(&name) {
        return Err(format!("`--{name}` is a flag of bgx itself; choose another name for the parameter"));
    }
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
    if fits { Ok(()) } else { Err(format!("`{name}` cannot be a flag: use small letters, digits, `-` and `_`")) }
}

fn spec(name: &str, options: &Map) -> Result<ParamSpec, String> {
    let word = options.get("kind").and_then(text_of).unwrap_or_else(|| "string".into());
    let words = ParamKind::ALL.map(ParamKind::word);
    let kind = ParamKind::ALL.into_iter().find(|k| k.word() == word).ok_or_else(|| {
        let meant = did_you_mean(&word, words).unwrap_or_else(|| format!("it can be {}", words.join(", ")));
        format!("kind `{word}` is not known; {meant}")
    })?;
    let mut spec = ParamSpec {
        name: name.to_string(),
        kind,
        required: options.get("required").is_some_and(|v| v.as_bool().unwrap_or(false)),
        min: options.get("min").map(|v| bound(kind, v)).transpose()?,
        max: options.get("max").map(|v| bound(kind, v)).transpose()?,
        otherwise: None,
        choices: options
            .get("choices")
            .and_then(|v| v.as_array_ref().ok().map(|a| a.iter().map(Dynamic::to_string).collect()))
            .unwrap_or_default(),
        doc: options.get("doc").and_then(text_of).unwrap_or_default(),
        at: None,
    };
    if let Some(literal) = options.get("otherwise").filter(|v| !v.is_unit()) {
        if spec.required {
            return Err("`required` and `otherwise` exclude each other".into());
        }
        let value = kind
            .read_literal(literal)
            .ok_or_else(|| format!("`otherwise` wants {}, got {}", kind.wants(), super::verb::describe(literal)))?;
        spec.limits(&value).map_err(|e| format!("`otherwise` {e}"))?;
        spec.otherwise = Some(value);
    }
    Ok(spec)
}

fn bound(kind: ParamKind, literal: &Dynamic) -> Result<Bound, String> {
    let value = match kind {
        ParamKind::Int | ParamKind::Float | ParamKind::Ints => number(literal),
        ParamKind::Duration => text_of(literal).and_then(|t| parse_duration(&t).ok()).map(|d| d.as_secs_f64()),
        ParamKind::Text | ParamKind::Bool | ParamKind::Texts | ParamKind::Color => {
            return Err(format!("a {} has no `min` and `max`", kind.word()));
        }
    };
    let value = value.ok_or_else(|| format!("{} is no limit for a {}", super::verb::describe(literal), kind.word()))?;
    Ok(Bound { value, shown: literal.to_string() })
}

fn number(value: &Dynamic) -> Option<f64> {
    value.as_float().ok().or_else(|| value.as_int().ok().map(|n| n as f64))
}

fn text_of(value: &Dynamic) -> Option<String> {
    value.as_immutable_string_ref().ok().map(|s| s.to_string())
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
