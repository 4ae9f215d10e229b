//! `bgx repl --env ENV`: a run that is typed line by line; looks are free, writes are off until somebody allows them.

mod fork;
mod orders;
mod terminal;

use super::failure::Failure;
use super::journals::{self, Latest};
use super::report::{self, Goal};
use super::screen::{Screen, Show};
use super::signals::{self, Listening};
use super::style::{Paint, clean};
use super::{docs, prompt, recovery, run as run_command};
use crate::config::{Config, Environment, Target};
use crate::host::Host;
use crate::run::event::Event;
use crate::run::journal::Fetched;
use crate::run::{Answers, Asker, Question};
use crate::script::catalog::Catalog;
use crate::script::repl::complete::Known;
use crate::script::repl::{Leave, Ran, Resumed, Saved, Session, eval};
use crate::script::session::{self, Request};
use clap::{Arg, ArgAction, ArgMatches, Command};
use orders::{Order, order};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use terminal::{Read, Reader, Shared, held};

/// So many names that were read are offered in texts.
const NAMES_MAX: usize = 5_000;

pub fn command() -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| Arg::new(name).long(name).value_name(value).help(help);
    let pace = "sandbox: how fast virtual time passes before your eyes; 0: as fast as it goes";
    Command::new("repl")
        .about("Type a playbook line by line: look, try it in a fork, change, take back, save")
        .arg(value("env", "ENV", "environment of bgx.toml").short('e').required(true))
        .arg(value("target", "TARGET", "sandbox, aws, or the URL of a server; wins over bgx.toml"))
        .arg(value("seed", "N", "draws of the sandbox and of retries").value_parser(clap::value_parser!(u64)))
        .arg(value("pace", "60x", pace).value_parser(run_command::pace))
        .arg(value("reason", "TEXT", "goes to the journal"))
        .arg(value("answer", "ID=KEY", "answer a question beforehand; may be repeated").action(ArgAction::Append))
        .arg(Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue).help("answer the questions that are not for a human"))
        .arg(value("confirm", "ENV", "the name of a guarded environment, in place of typing it"))
}

/// What stays the same from line to line.
struct Desk<'a> {
    config: &'a Config,
    env: &'a Environment,
    signals: Listening,
    known: Shared,
    show: Show,
    /// `--confirm`.
    confirm: Option<String>,
    paint: Paint,
}

/// One prompt: the run's own, or a fork's.
struct Place<'a> {
    host: &'a Host,
    /// `SANDBOX`, `AWS`, `SERVER`, `FORK`.
    word: &'static str,
    color: String,
    /// What failed first where nobody watches, and whether it was refused.
    failed: Option<(String, bool)>,
}

/// How a prompt was left.
enum Left {
    Session(Leave),
    /// `:back`, of a fork.
    Back,
}

pub fn run(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let env = config.env(run_command::text(matches, "env").unwrap_or_default())?;
    let options = run_command::options(matches)?;
    let target = run_command::target(config, &[env], &options)?;
    let answers = run_command::answers(matches)?;
    let signals = signals::listening().map_err(|e| Failure::usage(format!("could not listen for signals: {e}")))?;
    let host = Host::open(config, &target, &options)?;
    let (run_id, journal) = run_command::journal(config, &host, matches.contains_id("seed"))?;
    let host = host.for_run(&run_id);
    let journal = match journals::store(env, &host, &run_id) {
        Some(store) => journal.stored(store, &Fetched::default()).map_err(|e| Failure::usage(format!("the new journal: {e}")))?,
        None => journal,
    };
    let show = run_command::show(false, matches.get_one::<f64>("pace").copied(), &host);
    let desk = Desk::new(config, env, signals, show, &answers);
    report::first_line(&host, false);
    let reason = run_command::text(matches, "reason").map(str::to_owned);
    let (actor, commit) = (run_command::actor(&host), run_command::commit(&config.root, &host));
    let request = Request { journal, run_id, reason, actor, commit, ..desk.request(&host, answers) };
    let code = session::on_a_thread(host.seed, || {
        let mut session = Session::open(config, &host, request)?;
        Ok(desk.sit(&host, &mut session).map(|left| desk.end(&host, session, left)))
    });
    finish(&host, code.map_err(run_command::not_begun)?)
}

/// Goes on with a run that was typed.
pub fn resume(latest: &Latest, matches: &ArgMatches, config: &Config, host: &Host) -> Result<i32, Failure> {
    let past = &latest.past;
    if matches.get_flag("with-current-sources") || matches.get_flag("json") || run_command::on_failure(matches).is_some() {
        let text = "a run that was typed goes on at a prompt: --with-current-sources, --json and --on-failure are for playbooks";
        return Err(Failure::usage(text).hinted(format!("bgx resume {}", past.id())));
    }
    let env = config.env(&past.began.env)?;
    let answers = run_command::answers(matches)?;
    let signals = signals::listening().map_err(|e| Failure::usage(format!("could not listen for signals: {e}")))?;
    let (journal, events) = latest.reopen().map_err(|e| Failure {
        code: crate::run::event::Outcome::Refused.code(),
        ..Failure::usage(format!("run {} cannot be taken over: {e}", past.id()))
    })?;
    let desk = Desk::new(config, env, signals, run_command::show(false, None, host), &answers);
    report::first_line(host, false);
    let run_id = past.id().to_owned();
    let request = Request { journal, run_id, actor: run_command::actor(host), events, ..desk.request(host, answers) };
    let paint = desk.paint;
    let code = session::on_a_thread(host.seed, || {
        let mut again = |line: &crate::run::lines::Typed| {
            let end = line.ended.as_ref().and_then(|end| end.error.as_ref()).map(|_| " (failed)").unwrap_or_default();
            say_dim(paint, &format!("{}> {}{end}", line.line, line.text));
        };
        let Resumed { mut session, replayed } = Session::resume(config, host, request, &mut again)?;
        let unfinished = match replayed {
            Ok(unfinished) => unfinished,
            Err(halt) => return Ok(Ok(desk.end(host, session, Leave::Stopped(halt)))),
        };
        let mut place = desk.place(host, &session);
        if let Some(line) = unfinished {
            let ran = desk.heeded(|| session.go_on(line));
            if let Some(leave) = desk.tell(ran, &mut place) {
                return Ok(Ok(desk.end(host, session, leave)));
            }
        }
        if session.is_writing() {
            session.writes(false, None);
        }
        if std::io::stdin().is_terminal() {
            return Ok(desk.sit(host, &mut session).map(|left| desk.end(host, session, left)));
        }
        say_dim(paint, "there is no terminal: the run ends after its last line");
        let left = Desk::unwatched(&place);
        Ok(Ok(desk.end(host, session, left)))
    });
    finish(host, code.map_err(recovery::not_gone_on)?)
}

fn finish(host: &Host, code: std::io::Result<i32>) -> Result<i32, Failure> {
    host.save()?;
    code.map_err(|error| Failure::usage(format!("the prompt cannot be read: {error}")))
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", clean(text).trim_end());
}

fn say_dim(paint: Paint, text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", clean(&paint.dim(text)));
}

impl<'a> Desk<'a> {
    fn new(config: &'a Config, env: &'a Environment, signals: Listening, show: Show, answers: &Answers) -> Desk<'a> {
        let known = Arc::new(Mutex::new(known(config, env)));
        Desk { config, env, signals, known, show, confirm: answers.confirm.clone(), paint: Paint::stderr() }
    }

    fn request(&self, host: &Host, answers: Answers) -> Request {
        let (mut screen, known) = (Screen::new(self.show, self.paint), self.known.clone());
        let observer = Box::new(move |event: &Event| {
            let names = &mut held(&known).names;
            if names.len() < NAMES_MAX {
                names.extend(eval::names_read(event));
            }
            screen.see(event);
        });
        let paint = self.paint;
        let asker = std::io::stdin()
            .is_terminal()
            .then(|| -> Asker { Box::new(move |question: &Question| prompt::ask_by(question, paint, &mut terminal::answer)) });
        let receiver = self.signals.receiver.clone();
        let request = run_command::request(&[self.env], host, self.show, Answers::default(), receiver);
        Request { observer, answers: Answers { terminal: asker, ..answers }, ..request }
    }

    fn place<'h>(&self, host: &'h Host, session: &Session) -> Place<'h> {
        let word = match host.target {
            Target::Sandbox => "SANDBOX",
            Target::Aws => "AWS",
            Target::Endpoint(_) => "SERVER",
        };
        let mut place = Place { host, word, color: String::new(), failed: None };
        self.look(session, &mut place);
        place
    }

    /// For the prompt; a look that fails is told once and hinders nothing.
    fn look(&self, session: &Session, place: &mut Place) {
        place.color = session.serving().unwrap_or_else(|error| {
            say_dim(self.paint, &format!("who serves is not known: {error}"));
            "?".to_owned()
        });
    }

    /// At the prompt until it is left.
    fn sit(&self, host: &Host, session: &mut Session) -> std::io::Result<Leave> {
        let mut reader = if std::io::stdin().is_terminal() {
            let history = self.config.root.join(".bgx/history").join(&self.env.name);
            Reader::terminal(self.known.clone(), Paint::stdout(), &history)?
        } else {
            Reader::pipe()
        };
        let mut place = self.place(host, session);
        loop {
            let Left::Session(leave) = self.talk(&mut reader, session, &mut place)? else { continue };
            if let Some(leave) = self.asked(&mut reader, session, leave)? {
                return Ok(leave);
            }
        }
    }

    fn talk(&self, reader: &mut Reader, session: &mut Session, place: &mut Place) -> std::io::Result<Left> {
        loop {
            self.learn(session);
            let id = session.run_id();
            let words = if place.word == "FORK" {
                "the fork is gone".to_owned()
            } else {
                format!("the run stays open: bgx resume {id}, or bgx undo {id}")
            };
            self.signals.idle(Some(words));
            let read = reader.read(&self.prompt(session, place));
            self.signals.idle(None);
            self.signals.forget();
            let text = match read? {
                Read::Text(text) => text,
                Read::Cancelled => continue,
                Read::End if place.word == "FORK" => return Ok(Left::Back),
                Read::End if reader.is_terminal() => return Ok(Left::Session(Leave::Done)),
                Read::End => return Ok(Left::Session(Self::unwatched(place))),
            };
            if let Some(left) = self.obey(&text, reader, session, place)? {
                return Ok(left);
            }
        }
    }

    fn prompt(&self, session: &Session, place: &Place) -> String {
        let writes = if session.is_writing() { "writes on" } else { "read-only" };
        format!("{} {} {} {writes}> ", self.env.name, place.color, place.word)
    }

    fn obey(&self, text: &str, reader: &mut Reader, session: &mut Session, place: &mut Place) -> std::io::Result<Option<Left>> {
        let order = match order(text) {
            Ok(order) => order,
            Err(wrong) => return Ok(self.wrong(&wrong, place)),
        };
        let steps = session.steps();
        let ran = match order {
            Order::Nothing => return Ok(None),
            Order::Code(text) => self.heeded(|| session.run(text)),
            Order::Undo => self.heeded(|| session.undo()),
            Order::Writes { on, named } => {
                let typed = self.name_typed(reader, on && named.is_none())?;
                session.writes(on, named.or(typed.as_deref()).or(self.confirm.as_deref().filter(|_| on && self.env.guarded)))
            }
            Order::Load(file) => match std::fs::read_to_string(file) {
                Ok(text) => self.heeded(|| session.run(&text.replace("//!", "//"))),
                Err(error) => return Ok(self.wrong(&format!("could not read `{file}`: {error}"), place)),
            },
            Order::Save(file) => return Ok(self.save(file, session, place)),
            Order::Fork if place.word == "FORK" => return Ok(self.wrong("this is a fork already", place)),
            Order::Fork => {
                self.fork(reader, session, place)?;
                return Ok(None);
            }
            Order::Back if place.word == "FORK" => return Ok(Some(Left::Back)),
            Order::Back => return Ok(self.wrong("this is no fork", place)),
            Order::Quit if place.word == "FORK" => return Ok(Some(Left::Back)),
            Order::Quit => {
                let leave = if reader.is_terminal() { Leave::Done } else { Self::unwatched(place) };
                return Ok(Some(Left::Session(leave)));
            }
            Order::Steps | Order::Variables | Order::Help(_) => return Ok(self.tell_about(&order, session, place)),
        };
        let failed = matches!(ran, Ran::Failed { .. } | Ran::Stopped);
        let over = self.tell(ran, place);
        if over.is_none() && session.steps() != steps {
            self.look(session, place);
        }
        if over.is_none() && failed && !reader.is_terminal() && session.is_writing() && place.word != "FORK" {
            say_dim(self.paint, "a line failed and nobody watches: writes are off");
            session.writes(false, None);
        }
        Ok(over.map(Left::Session))
    }

    /// Runs what may take its time: a Ctrl-C stops that, and nothing else.
    fn heeded(&self, work: impl FnOnce() -> Ran) -> Ran {
        let ran = work();
        self.signals.forget();
        ran
    }

    /// The name of a guarded environment, typed at a terminal.
    fn name_typed(&self, reader: &Reader, wanted: bool) -> std::io::Result<Option<String>> {
        if !wanted || !self.env.guarded || self.confirm.is_some() || !reader.is_terminal() {
            return Ok(None);
        }
        let _ = writeln!(std::io::stderr(), "`{}` is guarded: type its name to let this run change it", self.env.name);
        Ok(terminal::answer().map(|typed| typed.trim().to_owned()))
    }

    fn wrong(&self, text: &str, place: &mut Place) -> Option<Left> {
        Failure::usage(text).print();
        place.failed.get_or_insert((text.to_owned(), false));
        None
    }

    fn tell_about(&self, order: &Order, session: &Session, place: &mut Place) -> Option<Left> {
        match order {
            Order::Help(Some(name)) => match docs::found(name) {
                Ok(catalog) => say(&docs::in_full(&catalog)),
                Err(failure) => return self.wrong(&failure.text, place),
            },
            Order::Help(None) => say(&orders::help()),
            Order::Steps => {
                let lease = |is: bool| if is { " (lease)" } else { "" };
                session.steps().iter().for_each(|step| say(&format!("{:4}  {}{}", step.step, step.text, lease(step.lease))));
            }
            _ => {
                let all = session.variables();
                let width = all.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
                all.iter().for_each(|(name, value)| say(&format!("{name:width$}  {value}")));
            }
        }
        None
    }

    fn save(&self, file: &str, session: &Session, place: &mut Place) -> Option<Left> {
        let about = format!("What was done in {} at the prompt, in run {}: read it before you use it.", self.env.name, session.run_id());
        let Saved { text, warnings } = session.saved(&about);
        if Path::new(file).exists() {
            return self.wrong(&format!("there is a file `{file}` already"), place);
        }
        if let Err(error) = std::fs::write(file, text) {
            return self.wrong(&format!("could not write `{file}`: {error}"), place);
        }
        warnings.iter().for_each(|warning| say_dim(self.paint, warning));
        say(&format!("saved; next: bgx check {file}"));
        None
    }

    /// Shows how a line ended; `Some`: the prompt is over.
    fn tell(&self, ran: Ran, place: &mut Place) -> Option<Leave> {
        match ran {
            Ran::Done(shown) => shown.iter().for_each(|text| say(text)),
            Ran::Failed { problems, sources, refused } => {
                problems.iter().for_each(|problem| report::error(problem, &sources));
                let first = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
                place.failed.get_or_insert((first, refused));
            }
            Ran::Stopped => {
                let _ = writeln!(std::io::stderr(), "stopped; what was done stays, :undo takes the last of it back");
                place.failed.get_or_insert(("stopped".to_owned(), false));
            }
            Ran::Over(halt) => return Some(Leave::Stopped(halt)),
        }
        None
    }

    /// How a run ends that nobody watches.
    fn unwatched(place: &Place) -> Leave {
        match &place.failed {
            Some((why, refused)) => Leave::Failed { why: why.clone(), refused: *refused },
            None => Leave::Done,
        }
    }

    /// With open leases somebody at a terminal decides; `None`: stay.
    fn asked(&self, reader: &mut Reader, session: &Session, leave: Leave) -> std::io::Result<Option<Leave>> {
        let leases: Vec<String> = session.steps().into_iter().filter(|step| step.lease).map(|step| step.text).collect();
        if leave != Leave::Done || leases.is_empty() || !reader.is_terminal() {
            return Ok(Some(leave));
        }
        let choice = |key: &str, text: &str| (key.to_owned(), text.to_owned());
        let question = Question {
            id: "leave".to_owned(),
            text: format!("the run holds {}", leases.join("; ")),
            choices: vec![
                choice("give", "give back and leave; all else stays"),
                choice("open", "leave as it is: the run stays open, with its lock"),
                choice("stay", "back to the prompt"),
            ],
            unattended: None,
            human: true,
            timeout: None,
        };
        Ok(match prompt::ask_by(&question, self.paint, &mut terminal::answer).as_deref() {
            Some("give") => Some(Leave::Done),
            Some("open") => Some(Leave::Open { why: "left open at the prompt".to_owned() }),
            _ => None,
        })
    }

    fn end(&self, host: &Host, session: Session, leave: Leave) -> i32 {
        let played = session.leave(leave);
        report::end(&played, host, &[self.env], false, Goal::Forward)
    }

    /// What Tab offers: the variables as they are now.
    fn learn(&self, session: &Session) {
        let mut known = held(&self.known);
        known.variables = session.variables().into_iter().map(|(name, _)| name).collect();
        known.fields = session.fields();
    }
}

/// Verbs, functions of the stdlib, and what bgx.toml names.
fn known(config: &Config, env: &Environment) -> Known {
    let catalog = Catalog::all();
    let tests = |name: &str| name == "tests";
    let verbs = catalog.groups.iter().filter(|group| !tests(group.name)).flat_map(|group| group.verbs.clone()).collect();
    let mut known = Known { verbs, ..Known::default() };
    for (module, function) in catalog.modules.iter().flat_map(|module| module.functions.iter().map(move |function| (module, function))) {
        let params = function.params.iter().map(|param| param.name.clone()).collect();
        known.functions.insert(format!("{}::{}", module.alias, function.name), params);
    }
    let names = &mut known.names;
    names.extend(config.envs.keys().cloned());
    for color in &env.colors {
        names.extend([color.name.clone(), color.asg.clone(), color.version_key.clone(), env.version_parameter(&color.name)]);
        names.extend(color.target_groups().cloned());
    }
    names.extend(env.extra.asgs.iter().chain(&env.alarms).cloned());
    names.insert(env.active_color_parameter());
    known
}
