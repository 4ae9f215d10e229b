//! The engine of test files: `play`, `resume`, `undo` and the assertions as verbs, and one test played by itself.

mod asked;
mod asserts;
mod differs;
mod plays;

use super::check;
use super::diagnose::{Diagnostic, Level};
use super::engine::{self, STACK_BYTES};
use super::explain;
use super::play::Play;
use super::session;
use super::sources::Sources;
use super::verb::Verb;
use crate::config::Config;
pub use asked::{Ask, FaultAsk, GroupAsk, Script, SignalAsk, WorldAsk};
pub use plays::{Account, Group, Told, UsersTold};
use rhai::{CallFnOptions, Dynamic, Scope};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// What the host does for a test: plays a playbook in a sandbox, or says why the test asks for nonsense.
pub type Carry = dyn Fn(Ask) -> Result<Told, Refusal> + Send + Sync;

/// Why a playbook was not played, and what may help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub message: String,
    pub hint: Option<String>,
}

impl Refusal {
    pub fn new(message: impl Into<String>) -> Refusal {
        Refusal { message: message.into(), hint: None }
    }

    pub fn maybe_hint(self, hint: Option<String>) -> Refusal {
        Refusal { hint, ..self }
    }
}

/// What the verbs of a test reach.
struct Bench {
    carry: Arc<Carry>,
    /// Of the assertion that failed last.
    difference: Mutex<Option<String>>,
}

/// A test that failed.
pub struct Failure {
    pub diagnostic: Diagnostic,
    /// What was given and what was wanted, line by line.
    pub difference: Option<String>,
}

/// A test file that was read and checked.
pub struct TestFile {
    pub sources: Arc<Sources>,
    /// In the order of the text.
    pub tests: Vec<String>,
}

/// The verbs of test files.
pub fn verbs() -> &'static [Verb] {
    static ALL: LazyLock<Vec<Verb>> = LazyLock::new(|| {
        let mut all = [asserts::VERBS, plays::VERBS].concat();
        all.sort_by_key(|verb| verb.name);
        all
    });
    &ALL
}

/// Reads a test file: its sources with what is wrong in it. Modules that it imports may call verbs that only a run has.
pub fn examine(path: &Path, config: &Config) -> (Vec<Diagnostic>, Sources) {
    let (roots, _) = session::roots(config);
    let sources = match Sources::load(path, &roots) {
        Ok(sources) => sources,
        Err(diagnostic) => return (vec![*diagnostic], Sources::default()),
    };
    let engine = engine::bare(verbs());
    let mut found = check::check(&sources, &engine, verbs());
    found.extend(check::warnings(&sources, &engine, verbs()));
    let main = sources.main().map(|file| file.name.clone());
    found.retain(|d| d.at.as_ref().map(|at| &at.file) == main.as_ref());
    (found, sources)
}

/// Reads a test file whose tests are to be run.
pub fn load(path: &Path, config: &Config) -> Result<TestFile, session::Problems> {
    let (mut diagnostics, sources) = examine(path, config);
    diagnostics.retain(|d| d.level == Level::Error);
    if !diagnostics.is_empty() {
        return Err(session::Problems { diagnostics, sources });
    }
    let text = sources.main().map(|file| file.placed()).unwrap_or_default();
    let mut tests = Vec::new();
    if let Ok(ast) = engine::bare(verbs()).compile(text) {
        let found = ast.iter_fn_def().filter(|f| f.name.starts_with("test_") && f.params.is_empty());
        let mut found: Vec<_> = found.map(|f| (f.body.start_position(), f.name.to_string())).collect();
        found.sort();
        tests.extend(found.into_iter().map(|(_, name)| name));
    }
    Ok(TestFile { sources: Arc::new(sources), tests })
}

/// Plays one test on a thread and an engine of its own.
pub fn run(file: &TestFile, test: &str, carry: Arc<Carry>) -> Result<(), Box<Failure>> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(test.to_owned()).stack_size(STACK_BYTES);
        let handle = thread.spawn_scoped(scope, || on_this_thread(file, test, carry));
        let failed = |text: String| Box::new(Failure { diagnostic: Diagnostic::error(text), difference: None });
        match handle.map(|handle| handle.join()) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => Err(failed(format!("no thread for the test: {error}"))),
        }
    })
}

fn on_this_thread(file: &TestFile, test: &str, carry: Arc<Carry>) -> Result<(), Box<Failure>> {
    let bench = Arc::new(Bench { carry, difference: Mutex::default() });
    let play = Arc::new(Play::new(file.sources.clone(), Box::new(bench.clone())));
    let engine = engine::for_play(&play, verbs());
    let main = file.sources.main().expect("a test file that was loaded");
    let outcome = engine.compile(main.placed()).map_err(|e| e.into()).and_then(|mut ast| {
        ast.set_source(main.name.as_str());
        let options = CallFnOptions::new().eval_ast(true);
        engine.call_fn_with_options::<Dynamic>(options, &mut Scope::new(), &ast, test, ())
    });
    let difference = bench.difference.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (play.poison.get(), outcome) {
        (Some(halt), _) => Err(Box::new(Failure { diagnostic: Diagnostic::error(halt.to_string()), difference: None })),
        (None, Ok(_)) => Ok(()),
        (None, Err(error)) => {
            let mut diagnostic = explain::eval_error(&error, &file.sources);
            // That the harness calls the test is nothing to tell.
            diagnostic.trail.retain(|frame| frame.what != format!("in this call of `{test}`"));
            Err(Box::new(Failure { diagnostic, difference }))
        }
    }
}
