//! Makes the engine that plays a playbook: Rhai without clock and files, plus verbs and records.

use super::core_verbs::CORE;
use super::play::{Handle, Lines, Play};
use super::raised::{self, Raised};
use super::resolver::Resolver;
use super::verb::Verb;
use super::{record, register, syntax};
use crate::run::Halt;
use rhai::debugger::DebuggerCommand;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage, BasicStringPackage,
    BitFieldPackage, LanguageCorePackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Dynamic, Engine, EvalAltResult, NativeCallContext, def_package};
use std::sync::{Arc, LazyLock, PoisonError};

/// Stack of the thread that plays: 64 call levels through closures need up to 2 MiB in a debug build, and verbs come on top.
pub const STACK_BYTES: usize = 64 << 20;

def_package! {
    /// Rhai's own functions, without those that read the clock.
    PlaybookPackage(module): LanguageCorePackage, ArithmeticPackage, LogicPackage, BasicStringPackage, BasicIteratorPackage,
        BasicFnPackage, MoreStringPackage, BasicArrayPackage, BasicMapPackage, BasicMathPackage, BitFieldPackage {}
}

/// Built once: engines share it.
static LANGUAGE: LazyLock<PlaybookPackage> = LazyLock::new(PlaybookPackage::new);

/// An engine that knows the language and the verbs and can run nothing: for checks and completion.
pub fn bare(verbs: &'static [Verb]) -> Engine {
    syntax::seed();
    let mut engine = Engine::new_raw();
    syntax::configure(&mut engine);
    LANGUAGE.register_into_engine(&mut engine);
    engine.on_print(|_| {}).on_debug(|_, _, _| {});
    close_doors(&mut engine);
    record::register(&mut engine);
    raised::register(&mut engine);
    register::register(&mut engine, CORE);
    register::register(&mut engine, verbs);
    engine
}

/// The engine for one playing.
pub fn for_play(play: &Arc<Play>, verbs: &'static [Verb]) -> Engine {
    let mut engine = bare(verbs);
    engine.set_default_tag(Dynamic::from(Handle(play.clone())));
    engine.set_module_resolver(Resolver::new(play.clone()));
    let watch = play.clone();
    // Stops script code that calls no verb.
    engine.on_progress(move |_| watch.progress());
    if let Some(lines) = play.lines.clone() {
        note_lines(&mut engine, lines);
    }
    let sink = play.clone();
    engine.on_print(move |text| (sink.on_print)(text));
    let sink = play.clone();
    engine.on_debug(move |text, _, _| (sink.on_print)(text));
    engine
}

/// Notes each line at which something is reached: not every statement is told of, but what it consists of is.
#[expect(deprecated, reason = "Rhai marks it so to say that it may change; the version is pinned")]
fn note_lines(engine: &mut Engine, lines: Lines) {
    engine.register_debugger(
        |_, debugger| debugger,
        move |_, _, _, _, position| {
            if let Some(line) = position.line() {
                lines.lock().unwrap_or_else(PoisonError::into_inner).insert(line);
            }
            Ok(DebuggerCommand::StepInto)
        },
    );
}

/// A script's thread: with the stack that it needs, and its random numbers from the seed.
pub fn on_a_thread<T: Send>(seed: u64, work: impl FnOnce() -> Result<T, Halt> + Send) -> Result<T, Halt> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("playbook".to_owned()).stack_size(STACK_BYTES);
        let handle = thread.spawn_scoped(scope, || {
            fastrand::seed(seed);
            work()
        });
        let handle = handle.map_err(|e| Halt::Paused { why: format!("no thread for the playbook: {e}") })?;
        match handle.join() {
            Ok(played) => played,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Functions of Rhai's core that would pass the host by: a real sleep, and an exit that looks like a good end.
pub(super) const CLOSED: &[(&str, &str)] = &[
    ("exit", "use `return` to end well, or `fail(\"why\")`"),
    ("timestamp", "use the verb `now()`"),
    ("eval", "code that is made while running cannot be checked or pinned"),
];

fn close_doors(engine: &mut Engine) {
    type Refusal = Result<Dynamic, Box<EvalAltResult>>;
    fn no_exit(context: &NativeCallContext) -> Refusal {
        Err(Raised::new("refused", "`exit` is not available in playbooks").hint(CLOSED[0].1).at(context.call_position()))
    }
    fn no_number(context: &NativeCallContext, got: &str) -> Refusal {
        Err(Raised::argument(format!("sleep: `duration` wants a duration such as \"5m\", got {got}")).at(context.call_position()))
    }
    engine
        .register_fn("exit", |context: NativeCallContext| no_exit(&context))
        .register_fn("exit", |context: NativeCallContext, _: Dynamic| no_exit(&context))
        .register_fn("sleep", |context: NativeCallContext, n: rhai::INT| no_number(&context, &n.to_string()))
        .register_fn("sleep", |context: NativeCallContext, n: rhai::FLOAT| no_number(&context, &n.to_string()));
}
