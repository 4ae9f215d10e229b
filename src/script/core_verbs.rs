//! The verbs that belong to the language itself: `fail`, `param` and `closure`.

use super::call::Call;
use super::params::PARAM_OPTIONS;
use super::raised::{Raised, VerbError};
use super::verb::{Effect, Kind, Param, Verb};
use rhai::{Dynamic, EvalAltResult, FnPtr, NativeCallContext};

/// Known to every engine.
pub static CORE: &[Verb] = &[
    Verb {
        name: "fail",
        params: &[Param::required("message", Kind::Text, "why the playbook cannot go on")],
        options: &[],
        returns: "never",
        summary: "Ends the playbook as failed, unless it is caught.",
        errors: &["failed"],
        example: "fail(\"stopped by the operator\")",
        effect: Effect::Pure,
        since: 1,
        deprecated: None,
        call: |call| Err(Raised::failed(call.text(0)).into()),
    },
    Verb {
        name: "param",
        params: &[Param::required("name", Kind::Text, "becomes the flag --NAME")],
        options: PARAM_OPTIONS,
        returns: "the value, or () if it was not given",
        summary: "Declares a parameter of the playbook and gives its value; stands at the top, with literal arguments.",
        errors: &["refused"],
        example: "let bake = param(\"bake\", #{ kind: \"duration\", otherwise: \"5m\", doc: \"watch this long\" });",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: param,
    },
    Verb {
        name: "closure",
        params: &[Param::required("f", Kind::Closure, "a closure or function of this file")],
        options: &[],
        returns: "the closure, tied to this file",
        summary: "Ties a closure to the functions and constants of this file, so that a function of a module can call it.",
        errors: &[],
        example: "let double = closure(|n| 2 * n); say(`${double.call(21)}`)",
        effect: Effect::Pure,
        since: 1,
        deprecated: None,
        call: closure,
    },
];

fn param(call: &Call) -> Result<Dynamic, VerbError> {
    let given = call.play.params.get(&call.text(0)).map(|v| v.to_dynamic());
    Ok(given.or_else(|| call.option("otherwise").cloned()).unwrap_or(Dynamic::UNIT))
}

/// Rhai runs a closure with the functions of the file that calls it; this one remembers where it came from.
fn closure(call: &Call) -> Result<Dynamic, VerbError> {
    let inner = call.closure(0);
    #[expect(deprecated, reason = "marked so because it may change; the tests of the next version will tell")]
    let home = call.ctx.store_data();
    #[expect(deprecated, reason = "as above")]
    let tied =
        FnPtr::from_fn("closure", move |context: NativeCallContext, args: &mut [&mut Dynamic]| -> Result<Dynamic, Box<EvalAltResult>> {
            #[expect(deprecated, reason = "as above")]
            let home = home.create_context(context.engine());
            let args: Vec<Dynamic> = args.iter_mut().map(|a| std::mem::take(*a)).collect();
            inner.call_raw(&home, None, args)
        });
    Ok(Dynamic::from(tied.map_err(VerbError::Script)?))
}
