//! A run that is typed: variables, functions and imports live from line to line, over one journal and one lock.

pub mod complete;
pub mod eval;
mod page;
pub mod scan;
mod shown;

use super::catalog::Catalog;
use super::diagnose::Diagnostic;
use super::session::{self, Playbook, Played, Request};
use super::sources::{Roots, Sources};
use super::verbs::Stage;
use crate::config::{Config, Environment};
use crate::host::Host;
use crate::run::event::Event;
use crate::run::lines::{self, Standing, Typed, UNDO, WRITES_OFF, WRITES_ON};
use crate::run::traffic::{self, Serving};
use crate::run::{Broke, Halt, Run, RunError};
use page::Page;
pub use page::{NAME, Saved};
use rhai::{AST, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Of a value in the list of variables.
const VALUE_CHARS: usize = 100;

/// A run at a prompt.
pub struct Session {
    stage: Arc<Stage>,
    roots: Roots,
    scope: Scope<'static>,
    /// The functions that were defined.
    library: AST,
    /// Alias and path of what was imported, in order.
    imports: Vec<(String, String)>,
    /// Texts of modules as this run read them first.
    modules: BTreeMap<String, String>,
    page: Page,
    /// Alias and path of the stdlib's modules.
    stdlib: Vec<(String, String)>,
    /// How many lines of the page were there before a fork.
    forked: Option<usize>,
}

/// How a line ended.
#[derive(Debug)]
pub enum Ran {
    /// With a value, where there is one to show.
    Done(Option<String>),
    /// What it had done before stays.
    Failed { problems: Vec<Diagnostic>, sources: Box<Sources>, refused: bool },
    /// The operator stopped it.
    Stopped,
    /// The run cannot go on in this process.
    Over(Halt),
}

/// How the prompt is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// What was done stays, leases go back.
    Done,
    /// Everything stays as it is, leases too, until somebody goes on.
    Open { why: String },
    /// Nobody watched, and a line failed.
    Failed { why: String, refused: bool },
    /// The run stopped by itself.
    Stopped(Halt),
}

/// A line that the process before this one did not bring to its end.
pub struct Unfinished(Typed);

/// A run that is gone on with.
pub struct Resumed {
    pub session: Session,
    /// The error stops the run.
    pub replayed: Result<Option<Unfinished>, Halt>,
}

impl Session {
    /// Begins a run. It reads nothing and has no lock.
    pub fn open(config: &Config, host: &Host, request: Request) -> Result<Session, Halt> {
        let playbook = empty(config, &request.env)?;
        let mut opening = session::opening(&playbook, host, request);
        opening.began.prompt = true;
        let (run, ready) = host.driver.block_on(Run::open(opening, Duration::ZERO))?;
        match ready {
            Ok(()) => Ok(Session::over(run, host, config, &playbook)),
            Err(broke) => Err(Halt::Paused { why: broke.text }),
        }
    }

    /// Goes on with a run from its journal: what its lines did is answered from there, `seen` gets each line.
    pub fn resume(config: &Config, host: &Host, request: Request, seen: &mut dyn FnMut(&Typed)) -> Result<Resumed, Halt> {
        let events = request.events.clone();
        let playbook = empty(config, &request.env)?;
        let mut opening = session::opening(&playbook, host, request);
        opening.began.prompt = true;
        let run = host.driver.block_on(session::reopen(host, opening, &events, "resume"))?;
        let mut session = Session::over(run, host, config, &playbook);
        session.modules = began_with(&events);
        let replayed = session.replay(&lines::typed(&events), seen);
        Ok(Resumed { session, replayed })
    }

    fn over(run: Run, host: &Host, config: &Config, playbook: &Playbook) -> Session {
        let mut modules = playbook.sources.texts();
        modules.remove(NAME);
        Session {
            stage: Arc::new(Stage { run: Mutex::new(run), driver: host.driver.clone() }),
            roots: session::roots(config).0,
            scope: Scope::new(),
            library: AST::empty(),
            imports: Vec::new(),
            modules,
            page: Page::default(),
            stdlib: Catalog::all().modules.into_iter().map(|module| (module.alias, module.path)).collect(),
            forked: None,
        }
    }

    fn replay(&mut self, typed: &[Typed], seen: &mut dyn FnMut(&Typed)) -> Result<Option<Unfinished>, Halt> {
        for line in typed {
            seen(line);
            session::held(&self.stage).replay_line(line);
            self.modules.extend(line.modules.iter().cloned());
            let Some(end) = &line.ended else { return Ok(Some(Unfinished(line.clone()))) };
            match line.text.as_str() {
                UNDO => {}
                writes if writes.starts_with(":writes") => drop(self.switch(writes)),
                _ => self.evaluate_again(line, end.error.is_none())?,
            }
            session::held(&self.stage).line_replayed(end);
        }
        Ok(None)
    }

    /// Brings the line to its end that the process before this one left.
    pub fn go_on(&mut self, Unfinished(line): Unfinished) -> Ran {
        match line.text.as_str() {
            UNDO => self.undo_begun(),
            writes if writes.starts_with(":writes") => {
                let switched = self.switch(writes).map_err(|error| error.to_string());
                self.end(switched.err()).map_or_else(Ran::Over, |()| Ran::Done(None))
            }
            text => self.evaluate(text, line.line),
        }
    }

    /// Takes the last action back.
    pub fn undo(&mut self) -> Ran {
        match self.begin(UNDO, Vec::new()) {
            Ok(_) => self.undo_begun(),
            Err(halt) => Ran::Over(halt),
        }
    }

    fn undo_begun(&mut self) -> Ran {
        let stage = self.stage.clone();
        let mut run = session::held(&stage);
        let taken = stage.driver.block_on(run.take_back_last());
        drop(run);
        let error = taken.as_ref().err().map(ToString::to_string);
        if let Err(RunError::Halt(halt @ (Halt::Paused { .. } | Halt::Journal { .. }))) = taken {
            return Ran::Over(halt);
        }
        if let Err(halt) = self.end(error) {
            return Ran::Over(halt);
        }
        match taken {
            Ok(Some(last)) => Ran::Done(Some(format!("taken back: {}", last.text))),
            Ok(None) => Ran::Done(Some("there is nothing to take back".to_owned())),
            Err(error) => failed(&error),
        }
    }

    /// Allows writes, or not; in a guarded environment its name follows.
    pub fn writes(&mut self, on: bool, named: Option<&str>) -> Ran {
        let mut line = if on { WRITES_ON } else { WRITES_OFF }.to_owned();
        if let Some(name) = named {
            line = format!("{line} {name}");
        }
        // A wrong name is no line of the run.
        let switched = self.switch(&line);
        if let Err(error) = switched {
            return failed(&error);
        }
        let kept = self.begin(&line, Vec::new()).and_then(|_| self.end(None));
        kept.map_or_else(Ran::Over, |()| Ran::Done(None))
    }

    fn switch(&mut self, line: &str) -> Result<(), RunError> {
        let mut run = session::held(&self.stage);
        match line.strip_prefix(WRITES_ON) {
            Some(rest) => run.set_writes(true, Some(rest.trim()).filter(|name| !name.is_empty())),
            None => run.set_writes(false, None),
        }
    }

    fn begin(&mut self, text: &str, modules: Vec<(String, String)>) -> Result<u64, Halt> {
        let stage = self.stage.clone();
        let mut run = session::held(&stage);
        stage.driver.block_on(run.begin_line(text, modules))
    }

    fn end(&self, error: Option<String>) -> Result<(), Halt> {
        let mut run = session::held(&self.stage);
        self.stage.driver.block_on(run.end_line(error))
    }

    pub fn is_writing(&self) -> bool {
        session::held(&self.stage).writes()
    }

    pub fn is_touched(&self) -> bool {
        session::held(&self.stage).is_touched()
    }

    pub fn run_id(&self) -> String {
        session::held(&self.stage).id.clone()
    }

    /// What was done and not taken back.
    pub fn steps(&self) -> Vec<Standing> {
        session::held(&self.stage).standing()
    }

    /// Which colour serves, asked of the listener; beside the run, whose steps it is none of.
    pub fn serving(&self) -> Result<String, RunError> {
        let stage = self.stage.clone();
        let run = session::held(&stage);
        let asked = stage.driver.block_on(async {
            let topology = traffic::discover(&run.account, &run.env).await?;
            traffic::who(&run.account, &run.env, &topology).await
        });
        Ok(match asked? {
            Serving::Color(color) => color,
            Serving::Split { .. } => "split".to_owned(),
            Serving::Foreign { .. } => "foreign".to_owned(),
        })
    }

    /// The same prompt over another account: variables, functions and imports are there, writes are on.
    pub fn fork(&self, config: &Config, host: &Host, request: Request) -> Result<Session, Halt> {
        let env = request.env.name.clone();
        let mut fork = Session::open(config, host, request)?;
        for (name, is_constant, value) in self.bound() {
            // A variable that a closure has captured is another one there.
            match is_constant {
                true => fork.scope.push_constant_dynamic(name, value.flatten_clone()),
                false => fork.scope.push_dynamic(name, value.flatten_clone()),
            };
        }
        (fork.library, fork.imports) = (self.library.clone(), self.imports.clone());
        (fork.modules, fork.page) = (self.modules.clone(), self.page.clone());
        fork.forked = Some(fork.page.len());
        let switched = session::held(&fork.stage).set_writes(true, Some(&env));
        switched.map_err(|error| Halt::Paused { why: error.to_string() })?;
        Ok(fork)
    }

    /// What was typed in the fork and holds.
    pub fn tried(&self) -> Saved {
        self.page.since(self.forked.unwrap_or_default(), &self.standing_steps())
    }

    /// The session as a playbook.
    pub fn saved(&self, about: &str) -> Saved {
        self.page.saved(about, &self.standing_steps())
    }

    fn standing_steps(&self) -> BTreeSet<u64> {
        self.steps().into_iter().map(|standing| standing.step).collect()
    }

    /// Name and value of each variable, shortened; constants too.
    pub fn variables(&self) -> Vec<(String, String)> {
        let short =
            |text: String| if text.chars().count() > VALUE_CHARS { text.chars().take(VALUE_CHARS).chain(['…']).collect() } else { text };
        self.bound().into_iter().map(|(name, _, value)| (name, short(super::record::show(&value.flatten_clone())))).collect()
    }

    /// Fields of what the variables hold, by the way to them: `c`, `c.live`.
    pub fn fields(&self) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::new();
        for (name, _, value) in self.scope.iter() {
            let Some(fields) = shown::fields(&value) else { continue };
            for (field, inner) in &fields {
                if let Some(inner) = shown::fields(inner) {
                    found.insert(format!("{name}.{field}"), inner.into_iter().map(|(name, _)| name).collect());
                }
            }
            found.insert(name.to_owned(), fields.into_iter().map(|(name, _)| name).collect());
        }
        found
    }

    /// Ends this process's part of the run.
    pub fn leave(self, leave: Leave) -> Played {
        let stage = self.stage.clone();
        let mut run = session::held(&stage);
        let broke = |text: &str, halt, refused| Err(Broke { text: text.to_owned(), place: None, halt, refused });
        let paused = |why: &str| Some(Halt::Paused { why: why.to_owned() });
        let result = match &leave {
            Leave::Done => Ok(()),
            Leave::Open { why } => broke(why, paused(why), false),
            Leave::Failed { why, refused } => broke(why, paused(why).filter(|_| run.is_touched()), *refused),
            Leave::Stopped(halt @ (Halt::Paused { .. } | Halt::Journal { .. } | Halt::Diverged { .. } | Halt::Stuck { .. })) => {
                broke(&halt.to_string(), Some(halt.clone()), false)
            }
            // Nothing is taken back by itself.
            Leave::Stopped(halt) => broke(&halt.to_string(), paused(&halt.to_string()), false),
        };
        let ended = stage.driver.block_on(run.finish(result));
        session::played(&run, ended, None, None)
    }
}

fn failed(error: &RunError) -> Ran {
    let problem = Diagnostic::error(error.to_string()).maybe_hint(error.hint().map(str::to_owned));
    let refused = matches!(error, RunError::Refused { .. });
    Ran::Failed { problems: vec![problem], sources: Box::default(), refused }
}

/// What a run at a prompt begins with: nothing but the hooks of its environment.
fn empty(config: &Config, env: &Environment) -> Result<Playbook, Halt> {
    let text = Page::default().text();
    Playbook::of_text(NAME, &text, config, env.hooks.as_deref()).map_err(|problems| Halt::Paused { why: problems.render(false) })
}

fn began_with(events: &[Event]) -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = crate::run::replay::sources(events).into_iter().collect();
    texts.remove(NAME);
    texts
}
