//! Verbs as data: one table row says what a verb takes, gives and does; everything else is made from it.

use super::call::Call;
use super::duration::parse_duration;
use super::raised::VerbError;
use super::record::Record;
use rhai::{Dynamic, FnPtr};

/// One native primitive that playbooks call.
#[derive(Clone, Copy, Debug)]
pub struct Verb {
    pub name: &'static str,
    /// Optional ones last.
    pub params: &'static [Param],
    /// Keys of the map that may follow the parameters.
    pub options: &'static [Opt],
    /// What it gives, in words.
    pub returns: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Codes of the errors it raises.
    pub errors: &'static [&'static str],
    pub example: &'static str,
    pub effect: Effect,
    /// The first API level that has it.
    pub since: u32,
    pub deprecated: Option<Deprecated>,
    pub call: fn(&Call) -> Result<Dynamic, VerbError>,
}

/// It still works, and something else is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecated {
    /// The first API level that has the better way.
    pub since: u32,
    /// What to write instead.
    pub instead: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub struct Param {
    pub name: &'static str,
    pub kind: Kind,
    pub doc: &'static str,
    pub optional: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Opt {
    pub key: &'static str,
    pub kind: Kind,
    pub doc: &'static str,
    pub required: bool,
}

/// What a verb does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing: also allowed while a module is imported.
    Pure,
    Read,
    Write,
    Wait,
    Ask,
    Say,
}

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Int,
    /// Takes whole numbers, too.
    Float,
    Bool,
    /// Text such as `"5m"`.
    Duration,
    /// The record of one colour.
    Color,
    Record,
    Map,
    List,
    Closure,
    Any,
}

impl Param {
    pub const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Param {
        Param { name, kind, doc, optional: false }
    }

    pub const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Param {
        Param { name, kind, doc, optional: true }
    }
}

impl Opt {
    pub const fn new(key: &'static str, kind: Kind, doc: &'static str) -> Opt {
        Opt { key, kind, doc, required: false }
    }

    pub const fn required(key: &'static str, kind: Kind, doc: &'static str) -> Opt {
        Opt { key, kind, doc, required: true }
    }
}

impl Verb {
    /// The fewest and the most arguments of a call.
    pub fn arities(&self) -> std::ops::RangeInclusive<usize> {
        let required = self.params.iter().filter(|p| !p.optional).count();
        let needs_options = self.options.iter().any(|o| o.required);
        required + usize::from(needs_options)..=self.params.len() + usize::from(!self.options.is_empty())
    }

    /// `scale(color, #{desired, min, max})`; what may be left out is in brackets.
    pub fn signature(&self) -> String {
        let mut parts: Vec<String> =
            self.params.iter().map(|p| if p.optional { format!("[{}]", p.name) } else { p.name.to_string() }).collect();
        if !self.options.is_empty() {
            let keys: Vec<&str> = self.options.iter().map(|o| o.key).collect();
            parts.push(format!("#{{{}}}", keys.join(", ")));
        }
        format!("{}({})", self.name, parts.join(", "))
    }

    /// Whether the last of `count` arguments is the map of options, given whether it is a map.
    pub fn last_is_options(&self, count: usize, last_is_map: bool) -> bool {
        let taken_by_param = count.checked_sub(1).and_then(|i| self.params.get(i)).is_some_and(|p| p.kind.takes_map());
        !self.options.is_empty() && last_is_map && !taken_by_param
    }

    pub fn option(&self, key: &str) -> Option<&'static Opt> {
        self.options.iter().find(|o| o.key == key)
    }
}

impl Kind {
    /// ``wants a duration such as "5m"``
    pub fn wants(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Int => "a whole number",
            Kind::Float => "a number",
            Kind::Bool => "true or false",
            Kind::Duration => "a duration such as \"5m\"",
            Kind::Color => "a colour such as `c.idle`",
            Kind::Record => "a record",
            Kind::Map => "a map #{…}",
            Kind::List => "a list […]",
            Kind::Closure => "a closure `|| …`",
            Kind::Any => "a value",
        }
    }

    /// One word, for signatures.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Bool => "bool",
            Kind::Duration => "duration",
            Kind::Color => "color",
            Kind::Record => "record",
            Kind::Map => "map",
            Kind::List => "list",
            Kind::Closure => "closure",
            Kind::Any => "any",
        }
    }

    fn takes_map(self) -> bool {
        match self {
            Kind::Map | Kind::Any => true,
            Kind::Text | Kind::Int | Kind::Float | Kind::Bool | Kind::Duration => false,
            Kind::Color | Kind::Record | Kind::List | Kind::Closure => false,
        }
    }

    /// `Err` says what is wanted and what came, to follow the name of the argument.
    pub fn check(self, value: &Dynamic) -> Result<(), String> {
        let fits = match self {
            Kind::Text => value.is_string(),
            Kind::Int => value.is_int(),
            Kind::Float => value.is_float() || value.is_int(),
            Kind::Bool => value.is_bool(),
            Kind::Duration => match value.as_immutable_string_ref() {
                Ok(text) => return parse_duration(&text).map(|_| ()).map_err(|e| format!("wants a duration: {e}")),
                Err(_) => false,
            },
            Kind::Color => value.read_lock::<Record>().is_some_and(|r| r.kind == "color"),
            Kind::Record => value.is::<Record>(),
            Kind::Map => value.is_map(),
            Kind::List => value.is_array(),
            Kind::Closure => value.is::<FnPtr>(),
            Kind::Any => true,
        };
        if fits { Ok(()) } else { Err(format!("wants {}, got {}", self.wants(), describe(value))) }
    }
}

/// A value in an error message: short ones as they are written, others by their kind.
pub fn describe(value: &Dynamic) -> String {
    const TEXT_CHARS_MAX: usize = 40;
    if let Ok(text) = value.as_immutable_string_ref() {
        let short: String = text.chars().take(TEXT_CHARS_MAX).collect();
        let dots = if short.len() < text.len() { "…" } else { "" };
        return format!("\"{}{dots}\"", short.escape_debug());
    }
    if let Some(record) = value.read_lock::<Record>() {
        return format!("a {} record", record.kind);
    }
    if value.is_map() {
        "a map".into()
    } else if value.is_array() {
        "a list".into()
    } else if value.is::<FnPtr>() {
        "a closure".into()
    } else if value.is_unit() {
        "()".into()
    } else if value.is_int() || value.is_float() || value.is_bool() {
        value.to_string()
    } else {
        format!("a value of type {}", value.type_name().rsplit("::").next().unwrap_or("unknown"))
    }
}
