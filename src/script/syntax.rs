//! The dialect of Rhai that playbooks are written in: its limits, what is switched off, and `step "name" { … }`.

use super::play::{self, StepMark};
use super::raised::Raised;
use rhai::{Dynamic, Engine, EvalContext, Expression, OptimizationLevel};
use std::sync::Once;

const CALL_LEVELS_MAX: usize = 64;
const EXPR_DEPTH_MAX: usize = 64;
const STRING_BYTES_MAX: usize = 1 << 20;
const ITEMS_MAX: usize = 10_000;
const FUNCTIONS_MAX: usize = 2_000;
const VARIABLES_MAX: usize = 512;

/// An engine that can parse playbooks and nothing else.
pub fn parser() -> Engine {
    seed();
    let mut engine = Engine::new_raw();
    configure(&mut engine);
    engine
}

/// Closures are named after a hash; with a fixed seed the names are the same in every process.
pub fn seed() {
    static SEEDED: Once = Once::new();
    SEEDED.call_once(|| {
        // Already set means that the embedding program chose a seed: any fixed one will do.
        let _ = rhai::config::hashing::set_hashing_seed(Some([0x6267_7831, 2, 3, 4]));
    });
}

/// Applies the dialect to an engine.
pub fn configure(engine: &mut Engine) {
    engine
        .set_optimization_level(OptimizationLevel::None) // others may run verbs while compiling
        .set_max_call_levels(CALL_LEVELS_MAX) // debug builds of Rhai would take 8
        .set_max_expr_depths(EXPR_DEPTH_MAX, EXPR_DEPTH_MAX)
        .set_max_string_size(STRING_BYTES_MAX)
        .set_max_array_size(ITEMS_MAX)
        .set_max_map_size(ITEMS_MAX)
        .set_max_modules(usize::MAX) // counts every `import` that runs; how many modules there are is limited on loading
        .set_max_functions(FUNCTIONS_MAX)
        .set_max_variables(VARIABLES_MAX)
        .set_max_operations(0) // counted between verbs instead, see `Play`
        .disable_symbol("eval");
    engine.register_custom_syntax(["step", "$expr$", "$block$"], false, step).expect("the syntax is well formed");
}

/// `step "name" { … }`: the block runs in place, so `return`, `break`, `continue` and assignments work through it.
fn step(context: &mut EvalContext, inputs: &[Expression]) -> Result<Dynamic, Box<rhai::EvalAltResult>> {
    let position = inputs[0].position();
    let name = context.eval_expression_tree(&inputs[0])?;
    let name = match name.as_immutable_string_ref() {
        Ok(text) => text.to_string(),
        Err(kind) => return Err(Raised::new("argument", format!("the name of a step wants text, got {kind}")).at(position)),
    };
    let Some(play) = play::of_tag(context.tag()) else {
        return Err(Raised::new("refused", "a step runs only in a playbook that is being run").at(position));
    };
    if play.is_loading() {
        return Err(Raised::new("refused", format!("step `{name}` stands at the top of a module"))
            .hint("importing a module must change nothing: put the step into a function")
            .at(position));
    }
    play.check_poison()?;
    (play.on_step)(&name, StepMark::Started, position);
    play.check_poison()?;
    let result = context.eval_expression_tree(&inputs[1]);
    // Leaving by return, break or continue is a way to finish.
    let finished = play.poison.get().is_none() && result.as_ref().err().is_none_or(|e| e.is_pseudo_error());
    (play.on_step)(&name, if finished { StepMark::Finished } else { StepMark::Failed }, position);
    play.check_poison()?;
    result
}
