//! Runs one line: read, checked as part of all that was typed, kept, run, and taken into the session.

use super::page::{self, NAME};
use super::{Ran, Session, scan, shown};
use crate::run::Halt;
use crate::run::event::Event;
use crate::run::lines::Typed;
use crate::script::check::check;
use crate::script::diagnose::Diagnostic;
use crate::script::play::{self, Play, PlayError, StepMark};
use crate::script::session::Problems;
use crate::script::sources::Sources;
use crate::script::{Level, engine, imports, params, session, verbs};
use rhai::{AST, Dynamic, Engine, Expr, Scope, Stmt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Session {
    /// Runs what was typed. What is known to be wrong does not begin.
    pub fn run(&mut self, text: &str) -> Ran {
        for import in self.missing_imports(text) {
            match self.run_one(&import) {
                Ran::Done(_) => {}
                other => return other,
            }
        }
        self.run_one(text)
    }

    fn run_one(&mut self, text: &str) -> Ran {
        let page = self.page.clone();
        let modules = match self.ready(text) {
            Ok(modules) => modules,
            Err(Problems { diagnostics, sources }) => {
                self.page = page;
                return Ran::Failed { problems: diagnostics, sources: Box::new(sources), refused: false };
            }
        };
        match self.begin(text, modules) {
            Ok(line) => self.evaluate(text, line),
            Err(halt) => Ran::Over(halt),
        }
    }

    /// Modules of the stdlib that a line names by their usual alias.
    fn missing_imports(&self, text: &str) -> Vec<String> {
        let named = scan::aliases(text).into_iter().filter(|alias| !self.imports.iter().any(|(known, _)| known == alias));
        let named = named.filter(|alias| !text.contains(&format!(" as {alias}")));
        let path = |alias: String| self.stdlib.iter().find(|(known, _)| *known == alias);
        named.filter_map(path).map(|(alias, path)| format!("import \"{path}\" as {alias};")).collect()
    }

    /// Reads what the line imports, and checks it together with what was typed before; the modules that nothing before it imported.
    fn ready(&mut self, text: &str) -> Result<Vec<(String, String)>, Problems> {
        let alone = |diagnostic: Diagnostic| Problems { diagnostics: vec![diagnostic], sources: Sources::default() };
        if let Ok(ast) = crate::script::syntax::parser().compile(text) {
            self.page.give_way(&page::functions(&ast));
        }
        let mut texts = imports::text_graph_beside(NAME, text, &self.roots, &self.modules).map_err(|d| alone(*d))?;
        texts.remove(NAME);
        let modules: Vec<(String, String)> = texts.into_iter().filter(|(name, _)| !self.modules.contains_key(name)).collect();
        let (begin, sources) = self.sources(text, &modules).map_err(alone)?;
        let verbs = verbs::all();
        let mut found = check(&sources, &engine::bare(verbs), verbs);
        found.retain(|d| d.level == Level::Error && d.at.as_ref().is_none_or(|at| at.file != NAME || at.line >= begin));
        if found.is_empty() && !params::specs(&sources).is_ok_and(|specs| specs.is_empty()) {
            found.push(Diagnostic::error("there are no parameters at a prompt").hint("write the value: let bake = \"5m\";"));
        }
        if !found.is_empty() {
            return Err(Problems { diagnostics: found, sources });
        }
        self.modules.extend(modules.iter().cloned());
        Ok(modules)
    }

    /// All that was typed with this line behind it, and the line of that at which it begins.
    fn sources(&self, text: &str, modules: &[(String, String)]) -> Result<(usize, Sources), Diagnostic> {
        let mut texts: BTreeMap<String, String> = self.modules.clone();
        texts.extend(modules.iter().cloned());
        texts.insert(NAME.to_owned(), format!("{}{text}\n", self.page.text()));
        let sources = Sources::from_texts(texts, NAME).map_err(|d| *d)?;
        Ok((self.page.next(), sources))
    }

    /// Runs a line that is in the journal, and keeps how it ended.
    pub(super) fn evaluate(&mut self, text: &str, line: u64) -> Ran {
        let (begin, sources) = match self.sources(text, &[]) {
            Ok((begin, sources)) => (begin, Arc::new(sources)),
            Err(problem) => return self.unfit(problem),
        };
        let before = self.step();
        let result = self.play(text, begin, &sources);
        let acts: BTreeSet<u64> = self.standing_steps().into_iter().filter(|step| *step > before).collect();
        let (ran, error) = match result {
            Ok((value, ast)) => {
                self.page.add(line, text, &ast, true, acts);
                (Ran::Done(shown::shown(&value)), None)
            }
            Err(error) => {
                self.page.add(line, text, &AST::empty(), false, acts);
                let text = error.to_string();
                match ended(error, &sources) {
                    Ran::Over(halt) => return Ran::Over(halt),
                    ran => (ran, Some(text)),
                }
            }
        };
        match self.end(error) {
            Ok(()) => ran,
            Err(halt) => Ran::Over(halt),
        }
    }

    fn unfit(&mut self, problem: Diagnostic) -> Ran {
        match self.end(Some(problem.message.clone())) {
            Ok(()) => Ran::Failed { problems: vec![problem], sources: Box::default(), refused: false },
            Err(halt) => Ran::Over(halt),
        }
    }

    /// A line of another process that has ended, answered by the journal.
    pub(super) fn evaluate_again(&mut self, typed: &Typed, well: bool) -> Result<(), Halt> {
        let (text, line) = (typed.text.as_str(), typed.line);
        if let Ok(ast) = crate::script::syntax::parser().compile(text) {
            self.page.give_way(&page::functions(&ast));
        }
        let (begin, sources) = self.sources(text, &[]).map_err(|problem| Halt::Paused { why: problem.message })?;
        match self.play(text, begin, &Arc::new(sources)) {
            Ok((_, ast)) if well => {
                self.page.add(line, text, &ast, true, typed.acts.clone());
                Ok(())
            }
            Err(PlayError::Halted(halt)) if well || matches!(halt.downcast_ref(), Some(Halt::Diverged { .. })) => {
                Err(halt.downcast_ref::<Halt>().cloned().unwrap_or_else(|| Halt::Paused { why: halt.to_string() }))
            }
            Err(error) if well => Err(Halt::Diverged {
                step: self.step(),
                recorded: format!("line {line}, which went well"),
                asked: format!("what ends with: {error}"),
                fields: Vec::new(),
            }),
            Ok(_) | Err(_) => {
                self.page.add(line, text, &AST::empty(), false, typed.acts.clone());
                Ok(())
            }
        }
    }

    pub(super) fn step(&self) -> u64 {
        session::held(&self.stage).step()
    }

    /// Plays the line on lines of its own, behind what it needs of those before.
    fn play(&mut self, text: &str, begin: usize, sources: &Arc<Sources>) -> Result<(Dynamic, AST), PlayError> {
        let play = Arc::new(self.playing(sources.clone()));
        let engine = engine::for_play(&play, verbs::all());
        let constants: Vec<String> = self.bound().into_iter().filter(|(_, is_constant, _)| *is_constant).map(|(name, ..)| name).collect();
        let prelude = self.prelude(&constants);
        let unit = format!("{prelude}{}{text}\n", "\n".repeat(begin - 1));
        let own = compiled(&engine, &play, &unit)?;
        let mut ast = self.library.merge(&own);
        ast.set_source(NAME);
        let size = self.scope.len();
        let result = play::eval(&engine, &play, &mut self.scope, &ast);
        match result {
            Ok(value) => {
                self.settle_scope(size, constants.len());
                self.imports.extend(new_imports(&own, &self.imports));
                self.library = ast;
                self.library.clear_statements();
                let line = compiled(&engine, &play, text)?;
                Ok((value, line))
            }
            Err(error) => {
                self.scope.rewind(size);
                Err(error)
            }
        }
    }

    fn playing(&self, sources: Arc<Sources>) -> Play {
        let mut play = Play::new(sources, Box::new(self.stage.clone()));
        let blocks = self.stage.clone();
        play.on_step = Box::new(move |name, mark, _| {
            let ok = match mark {
                StepMark::Started => None,
                StepMark::Finished => Some(true),
                StepMark::Failed => Some(false),
            };
            // A journal that cannot be written stops the run at its next action.
            let _ = session::held(&blocks).block(name, ok);
        });
        let prints = self.stage.clone();
        play.on_print = Box::new(move |text| drop(session::held(&prints).say(text, false)));
        play
    }

    /// Imports hold for one text only, and functions see the constants of their own text: both are said again, on the first line.
    fn prelude(&self, constants: &[String]) -> String {
        let imports = self.imports.iter().map(|(alias, path)| format!("import \"{path}\" as {alias}; "));
        imports.chain(constants.iter().map(|name| format!("const {name} = {name}; "))).collect()
    }

    /// Name, whether it is a constant, and value, in the order in which they were bound.
    pub(super) fn bound(&self) -> Vec<(String, bool, Dynamic)> {
        let mut all: Vec<_> = self.scope.iter_raw().map(|(name, is, value)| (name.to_owned(), is, value.clone())).collect();
        all.reverse();
        all
    }

    /// Without the repeated constants, and without what a later name hides.
    fn settle_scope(&mut self, size: usize, repeated: usize) {
        let all = self.bound();
        let kept: Vec<&(String, bool, Dynamic)> = all[..size].iter().chain(&all[(size + repeated).min(all.len())..]).collect();
        let mut scope = Scope::new();
        for (index, (name, is_constant, value)) in kept.iter().enumerate() {
            if kept[index + 1..].iter().any(|(later, ..)| later == name) {
                continue;
            }
            match is_constant {
                true => scope.push_constant_dynamic(name.as_str(), value.clone()),
                false => scope.push_dynamic(name.as_str(), value.clone()),
            };
        }
        self.scope = scope;
    }
}

fn compiled(engine: &Engine, play: &Play, text: &str) -> Result<AST, PlayError> {
    let mut ast = engine.compile(text).map_err(|error| PlayError::script(&error.into(), &play.sources))?;
    ast.set_source(NAME);
    Ok(ast)
}

/// What stands at the top of a line; what a block imports is that block's.
fn new_imports(ast: &AST, known: &[(String, String)]) -> Vec<(String, String)> {
    let import = |statement: &Stmt| match statement {
        Stmt::Import(import, _) => match &import.0 {
            Expr::StringConstant(path, _) if !import.1.name.is_empty() => Some((import.1.name.to_string(), path.to_string())),
            _ => None,
        },
        _ => None,
    };
    ast.statements().iter().filter_map(import).filter(|import| !known.contains(import)).collect()
}

/// How a line ended that did not end well, and whether the run can go on.
fn ended(error: PlayError, sources: &Arc<Sources>) -> Ran {
    let failed = |problem: Diagnostic, refused| Ran::Failed { problems: vec![problem], sources: Box::new((**sources).clone()), refused };
    match error {
        PlayError::Script(uncaught) => {
            let refused = uncaught.raised.as_ref().is_some_and(|raised| raised.kind == "refused");
            failed(uncaught.diagnostic, refused)
        }
        PlayError::Halted(halt) => match halt.downcast_ref::<Halt>() {
            Some(Halt::Signal { signal }) if signal == "SIGINT" => Ran::Stopped,
            Some(halt @ (Halt::Declined { .. } | Halt::Unanswered { .. } | Halt::Locked { .. })) => {
                failed(Diagnostic::error(halt.to_string()), true)
            }
            Some(halt) => Ran::Over(halt.clone()),
            None => Ran::Over(Halt::Paused { why: format!("a bug in bgx: {halt}") }),
        },
    }
}

/// What an account said, for completion: names in the answer to a read.
pub fn names_read(event: &Event) -> Vec<String> {
    let mut found = Vec::new();
    if let crate::run::event::What::Read { answer, .. } = &event.what {
        texts(answer, &mut found);
    }
    found
}

/// Longer ones are no names.
const NAME_CHARS: usize = 80;

fn texts(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) if text.chars().count() <= NAME_CHARS && !text.contains('\n') => found.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        serde_json::Value::Object(map) => map.values().for_each(|item| texts(item, found)),
        _ => {}
    }
}
