//! One playing of a playbook: what its verbs reach, how it is stopped for good, and how it ended.

use super::diagnose::Diagnostic;
use super::explain;
use super::params::ParamValue;
use super::raised::Raised;
use super::sources::Sources;
use rhai::{AST, Dynamic, Engine, EvalAltResult, Position, Scope};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Why a playing was stopped from outside the script; the host downcasts it.
pub type Halt = Arc<dyn std::error::Error + Send + Sync>;

/// Set once, then nothing of the script runs any more, whatever it catches.
///
/// An error that `try` cannot catch is not enough: Rhai wraps it into one that it can, where a closure of `map` raised it.
#[derive(Clone, Debug, Default)]
pub struct Poison(Arc<OnceLock<Halt>>);

impl Poison {
    /// The first reason stays.
    pub fn set(&self, halt: Halt) {
        let _ = self.0.set(halt);
    }

    pub fn get(&self) -> Option<Halt> {
        self.0.get().cloned()
    }

    pub fn is_set(&self) -> bool {
        self.0.get().is_some()
    }
}

/// What happened to a `step` block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepMark {
    Started,
    Finished,
    Failed,
}

pub type OnStep = Box<dyn Fn(&str, StepMark, Position) + Send + Sync>;
pub type OnPrint = Box<dyn Fn(&str) + Send + Sync>;

/// Lines of a line space that were reached.
pub type Lines = Arc<Mutex<BTreeSet<usize>>>;

/// What verbs reach through the engine.
pub struct Play {
    pub sources: Arc<Sources>,
    pub params: BTreeMap<String, ParamValue>,
    pub poison: Poison,
    /// The host's own: the verbs downcast it with [`Play::user`].
    pub user: Box<dyn Any + Send + Sync>,
    pub on_step: OnStep,
    /// Text of `print` and `debug`.
    pub on_print: OnPrint,
    /// So many operations of pure script may follow each other without a verb between them.
    pub operations_max: u64,
    /// Filled with the lines of the line space that are reached.
    pub lines: Option<Lines>,
    operations: AtomicU64,
    /// Modules whose top level is running, outermost first.
    loading: Mutex<Vec<String>>,
}

/// Some seconds of pure script. A canary that polls for a day may do many times more: each verb starts the count anew.
pub const OPERATIONS_MAX: u64 = 20_000_000;

impl Play {
    /// A playing without parameters, with sinks that drop everything.
    pub fn new(sources: Arc<Sources>, user: Box<dyn Any + Send + Sync>) -> Play {
        Play {
            sources,
            params: BTreeMap::new(),
            poison: Poison::default(),
            user,
            on_step: Box::new(|_, _, _| {}),
            on_print: Box::new(|_| {}),
            operations_max: OPERATIONS_MAX,
            lines: None,
            operations: AtomicU64::new(0),
            loading: Mutex::default(),
        }
    }

    /// What the host put in.
    pub fn user<T: 'static>(&self) -> &T {
        self.user.downcast_ref().expect("the host puts one type in and asks for the same")
    }

    /// Called for each operation of the script; `Some` ends it.
    pub(super) fn progress(&self) -> Option<Dynamic> {
        if self.poison.is_set() {
            return Some(Dynamic::UNIT);
        }
        // Counted here: Rhai's own counter starts again in every closure that a verb calls.
        let count = self.operations.fetch_add(1, Ordering::Relaxed);
        (count >= self.operations_max).then(|| Dynamic::from(TOO_LONG))
    }

    /// A verb was called: the script is not stuck in itself. Once it was, that stays.
    pub(super) fn note_verb(&self) {
        if !self.took_too_long() {
            self.operations.store(0, Ordering::Relaxed);
        }
    }

    fn took_too_long(&self) -> bool {
        self.operations.load(Ordering::Relaxed) > self.operations_max
    }

    /// The top level of a module is running: importing must change nothing.
    pub fn is_loading(&self) -> bool {
        !self.loading.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Notes that a module starts loading; `Err` holds the chain of a cycle.
    pub(super) fn enter_module(&self, path: &str) -> Result<(), String> {
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if loading.iter().any(|p| p == path) {
            return Err(format!("{} -> {path}", loading.join(" -> ")));
        }
        loading.push(path.to_string());
        Ok(())
    }

    pub(super) fn leave_module(&self) {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner).pop();
    }

    /// The uncatchable error, once the playing is halted.
    pub fn check_poison(&self) -> Result<(), Box<EvalAltResult>> {
        self.poison.get().map_or(Ok(()), |halt| Err(stop(halt)))
    }
}

impl fmt::Debug for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Play").field("params", &self.params).field("poison", &self.poison).finish_non_exhaustive()
    }
}

/// What an endless loop of pure script ends with.
pub(super) const TOO_LONG: &str = "too many operations";

/// The form of a `Play` that Rhai can carry as a tag.
#[derive(Clone)]
pub(super) struct Handle(pub Arc<Play>);

/// The playing that an engine's tag names.
pub(super) fn of_tag(tag: &Dynamic) -> Option<Arc<Play>> {
    tag.read_lock::<Handle>().map(|h| h.0.clone())
}

#[derive(Debug)]
struct Halted(Halt);

impl fmt::Display for Halted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Halted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// An error that `try` does not catch.
pub(super) fn stop(halt: Halt) -> Box<EvalAltResult> {
    EvalAltResult::ErrorSystem(String::new(), Box::new(Halted(halt))).into()
}

/// A verb panicked: a bug in bgx, never the playbook's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("internal error in `{verb}`: {message}")]
pub struct Panicked {
    pub verb: &'static str,
    pub message: String,
    pub at: Option<super::diagnose::Place>,
}

/// How a playing ended, when not well.
#[derive(Debug)]
pub enum PlayError {
    /// Stopped for good by a verb or from outside.
    Halted(Halt),
    /// The playbook failed: an error that nobody caught.
    Script(Box<Uncaught>),
}

impl PlayError {
    pub(super) fn script(error: &EvalAltResult, sources: &Sources) -> PlayError {
        PlayError::Script(Box::new(Uncaught::new(error, sources)))
    }
}

impl fmt::Display for PlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlayError::Halted(halt) => halt.fmt(f),
            PlayError::Script(uncaught) => uncaught.diagnostic.fmt(f),
        }
    }
}

impl std::error::Error for PlayError {}

/// An error that left the playbook.
#[derive(Debug)]
pub struct Uncaught {
    pub diagnostic: Diagnostic,
    /// The thrown value, if a verb made it.
    pub raised: Option<Raised>,
    /// What the script threw; `()` for Rhai's own errors.
    pub thrown: Dynamic,
}

impl Uncaught {
    fn new(error: &EvalAltResult, sources: &Sources) -> Uncaught {
        let thrown = match error.unwrap_inner() {
            EvalAltResult::ErrorRuntime(value, _) => value.flatten_clone(),
            _ => Dynamic::UNIT,
        };
        let raised = thrown.clone().try_cast::<Raised>();
        Uncaught { diagnostic: explain::eval_error(error, sources), raised, thrown }
    }
}

/// Plays the playbook of `play` on an engine made for it.
pub fn play(engine: &Engine, play: &Play) -> Result<Dynamic, PlayError> {
    if let Some(halt) = play.poison.get() {
        return Err(PlayError::Halted(halt));
    }
    let script = |error: &EvalAltResult| PlayError::script(error, &play.sources);
    let main = play.sources.main().expect("sources that were loaded hold a playbook");
    let ast = main.ast(engine).map_err(|e| script(&e.into()))?;
    eval(engine, play, &mut Scope::new(), &ast)
}

/// Runs the statements of `ast`, which came from the sources of `play`.
pub(super) fn eval(engine: &Engine, play: &Play, scope: &mut Scope<'_>, ast: &AST) -> Result<Dynamic, PlayError> {
    let script = |error: &EvalAltResult| PlayError::script(error, &play.sources);
    let result = engine.eval_ast_with_scope::<Dynamic>(scope, ast);
    // First the poison: a script that swallowed the stop at its very end returns Ok.
    match play.poison.get() {
        Some(halt) => Err(PlayError::Halted(halt)),
        None if result.is_ok() && play.took_too_long() => Err(script(&EvalAltResult::ErrorTerminated(TOO_LONG.into(), Position::NONE))),
        None => result.map_err(|e| script(&e)),
    }
}
