//! One call of a verb: its arguments, already checked against the table, and the way back into the script.

use super::duration::parse_duration;
use super::play::Play;
use super::raised::{Raised, VerbError};
use super::record::Record;
use super::verb::Verb;
use rhai::{Array, Dynamic, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext, Position, Scope};
use std::time::Duration;

/// What the body of a verb gets.
///
/// The getters by index and key trust the table: asking for another kind than the row declares is a bug, and panics.
pub struct Call<'a> {
    pub verb: &'static Verb,
    pub ctx: &'a NativeCallContext<'a>,
    /// One per parameter; an optional one that was left out is `()`.
    pub args: &'a [Dynamic],
    /// Without the ones given as `()`.
    pub options: &'a Map,
    /// Of the call, in the line space of the sources.
    pub position: Position,
    pub play: &'a Play,
}

/// Why asking cannot fail.
const CHECKED: &str = "the table's kinds are checked before the body";

impl Call<'_> {
    /// The argument, unless it was left out.
    pub fn arg(&self, index: usize) -> Option<&Dynamic> {
        self.args.get(index).filter(|v| !v.is_unit())
    }

    pub fn option(&self, key: &str) -> Option<&Dynamic> {
        debug_assert!(self.verb.option(key).is_some(), "`{}` declares no option `{key}`", self.verb.name);
        self.options.get(key)
    }

    pub fn text(&self, index: usize) -> String {
        text(&self.args[index])
    }

    pub fn int(&self, index: usize) -> i64 {
        self.args[index].as_int().expect(CHECKED)
    }

    pub fn float(&self, index: usize) -> f64 {
        float(&self.args[index])
    }

    pub fn bool(&self, index: usize) -> bool {
        self.args[index].as_bool().expect(CHECKED)
    }

    pub fn duration(&self, index: usize) -> Duration {
        duration(&self.args[index])
    }

    /// A record or colour.
    pub fn record(&self, index: usize) -> Record {
        self.args[index].clone().try_cast().expect(CHECKED)
    }

    pub fn map(&self, index: usize) -> Map {
        self.args[index].clone().try_cast().expect(CHECKED)
    }

    pub fn list(&self, index: usize) -> Array {
        self.args[index].clone().try_cast().expect(CHECKED)
    }

    pub fn closure(&self, index: usize) -> FnPtr {
        self.args[index].clone().try_cast().expect(CHECKED)
    }

    pub fn opt_text(&self, key: &str) -> Option<String> {
        self.option(key).map(text)
    }

    pub fn opt_int(&self, key: &str) -> Option<i64> {
        self.option(key).map(|v| v.as_int().expect(CHECKED))
    }

    /// A number of things: never negative.
    pub fn opt_count(&self, key: &str) -> Result<Option<u32>, Raised> {
        let Some(value) = self.opt_int(key) else { return Ok(None) };
        let count = u32::try_from(value)
            .map_err(|_| Raised::argument(format!("{}: `{key}` wants a number from 0, got {value}", self.verb.name)))?;
        Ok(Some(count))
    }

    pub fn opt_float(&self, key: &str) -> Option<f64> {
        self.option(key).map(float)
    }

    pub fn opt_bool(&self, key: &str) -> Option<bool> {
        self.option(key).map(|v| v.as_bool().expect(CHECKED))
    }

    pub fn opt_duration(&self, key: &str) -> Option<Duration> {
        self.option(key).map(duration)
    }

    pub fn opt_record(&self, key: &str) -> Option<Record> {
        self.option(key).map(|v| v.clone().try_cast().expect(CHECKED))
    }

    pub fn opt_map(&self, key: &str) -> Option<Map> {
        self.option(key).map(|v| v.clone().try_cast().expect(CHECKED))
    }

    pub fn opt_list(&self, key: &str) -> Option<Array> {
        self.option(key).map(|v| v.clone().try_cast().expect(CHECKED))
    }

    pub fn opt_closure(&self, key: &str) -> Option<FnPtr> {
        self.option(key).map(|v| v.clone().try_cast().expect(CHECKED))
    }

    /// Calls the closure that is argument `index`.
    pub fn call_closure(&self, index: usize, args: Vec<Dynamic>) -> Result<Dynamic, VerbError> {
        self.call_fn_ptr(&self.closure(index), args)
    }

    /// Calls a closure, seeing the modules and constants of the caller.
    pub fn call_fn_ptr(&self, closure: &FnPtr, args: Vec<Dynamic>) -> Result<Dynamic, VerbError> {
        Ok(closure.call_raw(self.ctx, None, args)?)
    }

    /// Calls a function of a module of the sources by name; `None` if the module has no such function.
    pub fn call_module_fn(&self, module: &str, name: &str, args: Vec<Dynamic>) -> Result<Option<Dynamic>, VerbError> {
        let engine = self.ctx.engine();
        let loaded = engine.module_resolver().resolve(engine, None, module, self.position)?;
        if loaded.get_script_fn(name, args.len()).is_none() {
            return Ok(None);
        }
        let mut scope = Scope::new();
        let names: Vec<String> = (0..args.len()).map(|i| format!("arg{i}")).collect();
        for (name, value) in names.iter().zip(args) {
            scope.push_dynamic(name.as_str(), value);
        }
        let text = format!("import \"{module}\" as m; m::{name}({})", names.join(", "));
        engine.eval_with_scope::<Dynamic>(&mut scope, &text).map(Some).map_err(|e| VerbError::Script(self.moved_here(*e).into()))
    }

    /// The one line above stands for this call: its positions mean nothing to anyone.
    fn moved_here(&self, mut error: EvalAltResult) -> EvalAltResult {
        if let EvalAltResult::ErrorInFunctionCall(_, _, _, position) = &mut error {
            *position = self.position;
        }
        error
    }
}

fn text(value: &Dynamic) -> String {
    let text: ImmutableString = value.clone().try_cast().expect(CHECKED);
    text.to_string()
}

fn float(value: &Dynamic) -> f64 {
    value.as_float().or_else(|_| value.as_int().map(|n| n as f64)).expect(CHECKED)
}

fn duration(value: &Dynamic) -> Duration {
    parse_duration(&text(value)).expect(CHECKED)
}
