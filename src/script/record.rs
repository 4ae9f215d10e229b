//! What verbs give back: named fields that can be read and never changed, and whose absence is an error.

use super::diagnose::did_you_mean;
use super::raised::Raised;
use rhai::{Dynamic, Engine, EvalAltResult, Map, Position};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A host result: `r.name`, `r["name"]`, `r == s`, `${r}`, `r.fields()`.
///
/// Rhai gives a missing key of a map as `()`; for a fact about an account that would be a trap.
#[derive(Clone, Debug)]
pub struct Record {
    /// `color`, `asg`, `health`, …: what it is called in messages.
    pub kind: &'static str,
    /// Shared: records are copied with every call.
    pub fields: Arc<BTreeMap<&'static str, Dynamic>>,
}

impl Record {
    /// A field may not be called `tag`: Rhai has a property of that name on every value.
    pub fn new(kind: &'static str, fields: impl IntoIterator<Item = (&'static str, Dynamic)>) -> Record {
        let fields: BTreeMap<_, _> = fields.into_iter().collect();
        debug_assert!(!fields.contains_key("tag"), "`tag` of a record cannot be read");
        Record { kind, fields: Arc::new(fields) }
    }

    pub fn get(&self, name: &str) -> Option<&Dynamic> {
        self.fields.get(name)
    }

    /// A field that is text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.clone().try_cast::<rhai::ImmutableString>().map(|s| s.to_string())
    }

    fn read(&self, name: &str) -> Result<Dynamic, Raised> {
        self.get(name).cloned().ok_or_else(|| {
            let keys: Vec<&str> = self.fields.keys().copied().collect();
            let hint = did_you_mean(name, keys.iter().copied()).unwrap_or_else(|| format!("it has {}", keys.join(", ")));
            Raised::argument(format!("`{}` has no field `{name}`", self.kind)).hint(hint)
        })
    }
}

impl Record {
    /// After `r.list.len()` Rhai writes the list back; nothing but that very value is taken.
    fn write(&self, name: &str, value: &Dynamic) -> Result<(), Raised> {
        if same(&self.read(name)?, value) {
            return Ok(());
        }
        Err(Raised::argument(format!("`{}` cannot be changed: `{name}` is a fact that was read", self.kind))
            .hint(format!("copy it: let mine = x.{name};")))
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Record) -> bool {
        self.kind == other.kind
            && self.fields.len() == other.fields.len()
            && self.fields.iter().zip(other.fields.iter()).all(|((k, a), (l, b))| k == l && same(a, b))
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{", self.kind)?;
        for (i, (name, value)) in self.fields.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}: {}", show(value))?;
        }
        f.write_str("}")
    }
}

/// A value as text, records inside it included.
pub fn show(value: &Dynamic) -> String {
    if let Some(record) = value.read_lock::<Record>() {
        return record.to_string();
    }
    if let Ok(items) = value.as_array_ref() {
        return format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "));
    }
    if let Ok(map) = value.as_map_ref() {
        return format!("#{{{}}}", map.iter().map(|(k, v)| format!("{k}: {}", show(v))).collect::<Vec<_>>().join(", "));
    }
    if value.is_unit() {
        return "()".into();
    }
    match value.as_immutable_string_ref() {
        Ok(text) => format!("\"{}\"", text.as_str()),
        Err(_) => value.to_string(),
    }
}

/// Equal in value, to any depth; values of other types than a playbook can write are never equal.
pub fn same(a: &Dynamic, b: &Dynamic) -> bool {
    if let (Some(a), Some(b)) = (a.read_lock::<Record>(), b.read_lock::<Record>()) {
        return *a == *b;
    }
    if let (Ok(a), Ok(b)) = (a.as_array_ref(), b.as_array_ref()) {
        return a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b));
    }
    if let (Ok(a), Ok(b)) = (a.as_map_ref(), b.as_map_ref()) {
        return a.len() == b.len() && a.iter().zip(b.iter()).all(|((k, a), (l, b))| k == l && same(a, b));
    }
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return *a == *b;
    }
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return a == b;
    }
    if let (Ok(a), Ok(b)) = (a.as_float(), b.as_float()) {
        return a == b;
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return a == b;
    }
    a.is_unit() && b.is_unit()
}

/// Makes the type known to an engine.
pub fn register(engine: &mut Engine) {
    type Reply = Result<Dynamic, Box<EvalAltResult>>;
    engine
        .register_type_with_name::<Record>("record")
        .register_indexer_get(|r: &mut Record, name: &str| -> Reply { r.read(name).map_err(|e| e.at(Position::NONE)) })
        .register_indexer_set(|r: &mut Record, name: &str, value: Dynamic| -> Result<(), Box<EvalAltResult>> {
            r.write(name, &value).map_err(|e| e.at(Position::NONE))
        })
        .register_fn("==", |a: Record, b: Record| a == b)
        .register_fn("!=", |a: Record, b: Record| a != b)
        .register_fn("fields", |r: Record| r.fields.iter().map(|(k, v)| ((*k).into(), v.clone())).collect::<Map>())
        .register_fn("kind", |r: Record| r.kind.to_string())
        .register_fn("to_string", |r: &mut Record| r.to_string())
        .register_fn("to_debug", |r: &mut Record| r.to_string());
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
