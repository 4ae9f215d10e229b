//! Makes the table of verbs callable: every call passes the same checks before and after the verb's own body.

use super::call::Call;
use super::diagnose::did_you_mean;
use super::play::{self, Panicked, Play};
use super::raised::{Raised, VerbError};
use super::verb::{Effect, Verb};
use rhai::{Dynamic, Engine, EvalAltResult, FuncRegistration, Map, Module, NativeCallContext, RhaiFunc, Shared};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Made once for each table, by where it lies: engines share it.
static MODULES: Mutex<BTreeMap<(usize, usize), Shared<Module>>> = Mutex::new(BTreeMap::new());

/// Makes verbs callable, in every arity.
pub fn register(engine: &mut Engine, verbs: &'static [Verb]) {
    let table = (verbs.as_ptr().addr(), verbs.len());
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    engine.register_global_module(modules.entry(table).or_insert_with(|| module(verbs).into()).clone());
}

fn module(verbs: &'static [Verb]) -> Module {
    let mut module = Module::new();
    for verb in verbs {
        for arity in verb.arities() {
            register_arity(&mut module, verb, arity);
        }
    }
    module.build_index();
    module
}

fn register_arity(module: &mut Module, verb: &'static Verb, arity: usize) {
    let function = move |context: Option<NativeCallContext>, args: &mut [&mut Dynamic]| {
        let context = context.expect("registered as one that takes a context");
        // Copied, not taken: in `x.verb()` the first argument is the variable itself.
        dispatch(verb, &context, args.iter().map(|a| a.flatten_clone()).collect())
    };
    let mut info: Vec<String> = verb.params.iter().take(arity).map(|p| format!("{}: {}", p.name, p.kind.word())).collect();
    if info.len() < arity {
        info.push("options: map".into());
    }
    info.push(verb.returns.to_string());
    FuncRegistration::new(verb.name).with_params_info(info).with_comments([format!("/// {}", verb.summary)]).set_into_module_raw(
        module,
        vec![TypeId::of::<Dynamic>(); arity],
        RhaiFunc::Pure { func: Shared::new(function), has_context: true, is_pure: true, is_volatile: true },
    );
}

fn dispatch(verb: &'static Verb, context: &NativeCallContext, args: Vec<Dynamic>) -> Result<Dynamic, Box<EvalAltResult>> {
    let position = context.call_position();
    let Some(play) = context.tag().and_then(play::of_tag) else {
        return Err(Raised::new("refused", format!("`{}` works only in a playbook that is being run", verb.name)).at(position));
    };
    if play.is_loading() && verb.effect != Effect::Pure {
        return Err(Raised::new("refused", format!("`{}` is called at the top of a module", verb.name))
            .hint("importing a module must change nothing: call it in a function of the module")
            .at(position));
    }
    play.check_poison()?;
    if verb.effect != Effect::Pure {
        play.note_verb();
    }
    let (args, options) = arguments(verb, args).map_err(|e| e.at(position))?;
    let call = Call { verb, ctx: context, args: &args, options: &options, position, play: &play };
    let result = catch_unwind(AssertUnwindSafe(|| (verb.call)(&call)));
    let outcome = result.unwrap_or_else(|panic| Err(VerbError::Halt(Arc::new(panicked(verb, &call, &*panic)))));
    finish(&play, outcome, position)
}

/// What the script gets to see: nothing more, once the playing is halted.
fn finish(play: &Play, outcome: Result<Dynamic, VerbError>, position: rhai::Position) -> Result<Dynamic, Box<EvalAltResult>> {
    let result = match outcome {
        Ok(value) => Ok(value),
        Err(VerbError::Raised(raised)) => Err(raised.at(position)),
        Err(VerbError::Script(error)) => Err(error),
        Err(VerbError::Halt(halt)) => {
            play.poison.set(halt.clone());
            Err(play::stop(halt))
        }
    };
    play.check_poison()?;
    result
}

fn panicked(verb: &Verb, call: &Call, panic: &(dyn std::any::Any + Send)) -> Panicked {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Panicked { verb: verb.name, message: text.unwrap_or("a panic without a message").into(), at: call.play.sources.locate(call.position) }
}

/// Splits off the options and checks everything that the table says.
pub(super) fn arguments(verb: &Verb, mut args: Vec<Dynamic>) -> Result<(Vec<Dynamic>, Map), Raised> {
    let last_is_map = args.last().is_some_and(Dynamic::is_map);
    let mut options = Map::new();
    if verb.last_is_options(args.len(), last_is_map) {
        options = args.pop().and_then(Dynamic::try_cast::<Map>).unwrap_or_default();
    }
    if args.len() > verb.params.len() {
        let last = args.last().map(super::verb::describe).unwrap_or_default();
        return Err(Raised::argument(format!("{}: the options must be a map #{{…}}, got {last}", verb.name)).hint(verb.signature()));
    }
    args.resize(verb.params.len(), Dynamic::UNIT);
    for (param, value) in verb.params.iter().zip(&args) {
        if param.optional && value.is_unit() {
            continue;
        }
        param.kind.check(value).map_err(|e| Raised::argument(format!("{}: `{}` {e}", verb.name, param.name)).hint(verb.signature()))?;
    }
    check_options(verb, &mut options)?;
    Ok((args, options))
}

/// Known keys, right kinds, nothing required missing; `()` is the same as not given.
fn check_options(verb: &Verb, options: &mut Map) -> Result<(), Raised> {
    for (key, value) in options.iter() {
        let Some(option) = verb.option(key) else {
            let help = did_you_mean_text(key, verb);
            return Err(Raised::argument(format!("{}: option \"{key}\" is not known{help}", verb.name)).hint(verb.signature()));
        };
        if !value.is_unit() {
            option.kind.check(value).map_err(|e| Raised::argument(format!("{}: `{key}` {e}", verb.name)))?;
        }
    }
    options.retain(|_, value| !value.is_unit());
    match verb.options.iter().find(|o| o.required && !options.contains_key(o.key)) {
        Some(missing) => Err(Raised::argument(format!("{}: option \"{}\" is missing", verb.name, missing.key)).hint(verb.signature())),
        None => Ok(()),
    }
}

/// `; did you mean "desired"?`, or nothing.
fn did_you_mean_text(key: &str, verb: &Verb) -> String {
    did_you_mean(key, verb.options.iter().map(|o| o.key)).map(|s| format!("; {}", s.replace('`', "\""))).unwrap_or_default()
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
