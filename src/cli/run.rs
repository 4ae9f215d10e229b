//! `bgx run PLAYBOOK --env ENV`: a playbook's parameters become flags, then it is played and its end is told.

use super::failure::Failure;
use super::journals;
use super::planned;
use super::prompt;
use super::recovery;
use super::report::{self, Goal};
use super::screen::{Screen, Show};
use super::signals;
use super::style::Paint;
use crate::config::{Config, Environment, Target};
use crate::host::{self, Host, Options};
use crate::run::event::OnFailure;
use crate::run::journal::{Fetched, Journal};
use crate::run::plan::Bound;
use crate::run::{Answers, Halt, Resumes};
use crate::script::Diagnostic;
use crate::script::check::questions::Id;
use crate::script::diagnose::did_you_mean;
use crate::script::header::Permission;
use crate::script::params::{self, ParamSpec, ParamValue};
use crate::script::session::{self, Playbook, Request};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// Flags of `bgx run`, `bgx plan` and `bgx prove` that take a value: needed to find the playbook before its own flags are known.
const VALUED: [&str; 21] = [
    "env",
    "answer",
    "confirm",
    "target",
    "seed",
    "pace",
    "reason",
    "endpoint",
    "config",
    "lock-wait",
    "on-failure",
    "faults",
    "fault",
    "sample",
    "threads",
    "replay",
    "seconds",
    "world",
    "out",
    "valid",
    "plan",
];
const SWITCHES: [&str; 4] = ["yes", "json", "help", "prove"];

/// The command without a playbook's own flags.
pub fn command() -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| Arg::new(name).long(name).value_name(value).help(help);
    Command::new("run")
        .about("Run a playbook in an environment; `bgx run PLAYBOOK --help` shows the playbook's own flags")
        .override_usage("bgx run [OPTIONS] --env <ENV> <PLAYBOOK>\n       bgx run [OPTIONS] --plan <FILE>")
        .arg(
            Arg::new("playbook")
                .value_name("PLAYBOOK")
                .required_unless_present("plan")
                .help("a .rhai file, or the name of one in playbooks/"),
        )
        .arg(
            value("env", "ENV", "environment of bgx.toml; `a,b` for a playbook that is for several")
                .short('e')
                .required_unless_present("plan"),
        )
        .arg(
            value("plan", "FILE", "exactly the run that this plan shows, in place of a playbook; see bgx plan --out")
                .conflicts_with_all(["playbook", "env", "answer", "yes"]),
        )
        .arg(value("answer", "ID=KEY", "answer a question beforehand; may be repeated").action(ArgAction::Append))
        .arg(Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue).help("answer the questions that are not for a human"))
        .arg(value("confirm", "ENV", "the name of a guarded environment, in place of typing it; `a,b` for several"))
        .arg(value("target", "TARGET", "sandbox, aws, or the URL of a server; wins over bgx.toml"))
        .arg(
            value("seed", "N", "draws of the sandbox and of retries; the same seed gives the same run")
                .value_parser(clap::value_parser!(u64)),
        )
        .arg(value("pace", "60x", "sandbox: how fast virtual time passes before your eyes; 0: as fast as it goes").value_parser(pace))
        .arg(value("reason", "TEXT", "goes to the journal"))
        .arg(value("lock-wait", "10m", "how long to wait while another run has the environment").value_parser(crate::config::duration))
        .arg(on_failure_flag())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("events as JSON lines on standard output"))
}

/// Of `bgx run` and `bgx resume`.
pub fn on_failure_flag() -> Arg {
    let help = "what becomes of what was done when the run fails; undo unless said";
    Arg::new("on-failure").long("on-failure").value_name("undo|pause").value_parser(str::parse::<OnFailure>).help(help)
}

pub fn on_failure(matches: &ArgMatches) -> Option<OnFailure> {
    matches.try_get_one::<OnFailure>("on-failure").ok().flatten().copied()
}

pub fn pace(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('x').unwrap_or(text).parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    number.ok_or_else(|| format!("`{text}` is not a pace; write 60x"))
}

/// The playbook that a command line names, found before its own flags are known.
pub fn playbook_of(args: &[String]) -> Option<&str> {
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let Some(flag) = arg.strip_prefix('-') else { return Some(arg) };
        let name = flag.trim_start_matches('-');
        if VALUED.contains(&name) || name == "e" {
            rest.next();
        }
    }
    None
}

/// `deploy` -> `playbooks/deploy.rhai`, in the project or here.
pub fn find(name: &str, config: &Config) -> PathBuf {
    let plain = Path::new(name);
    if name.ends_with(".rhai") || plain.components().count() > 1 {
        return plain.to_path_buf();
    }
    let file = format!("{name}.rhai");
    let places = [PathBuf::from("playbooks").join(&file), config.root.join("playbooks").join(&file)];
    places.into_iter().find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("playbooks").join(&file))
}

/// Adds a playbook's parameters as flags.
pub fn with_params(command: Command, playbook: &Playbook) -> Result<Command, Failure> {
    let mut command = command.about(playbook.header.description.clone());
    for spec in &playbook.params {
        if let Some(why) = clash(spec) {
            return Err(Failure::usage(why));
        }
        command = command.arg(flag(spec));
    }
    Ok(command)
}

/// Why a parameter cannot be a flag.
pub fn clash(spec: &ParamSpec) -> Option<String> {
    let taken = VALUED.contains(&spec.name.as_str()) || SWITCHES.contains(&spec.name.as_str()) || spec.name == "playbook";
    taken.then(|| format!("parameter `{}` has the name of a flag of `bgx run`", spec.name))
}

fn flag(spec: &ParamSpec) -> Arg {
    let help = match (&spec.otherwise, spec.required) {
        (Some(otherwise), _) => format!("{} [default: {otherwise}]", spec.doc),
        (None, true) => format!("{} (required)", spec.doc),
        (None, false) => spec.doc.clone(),
    };
    let heading = "Parameters of the playbook";
    Arg::new(spec.name.clone())
        .long(spec.name.clone())
        .value_name(spec.kind.word().to_uppercase())
        .help(help)
        .help_heading(heading)
        .allow_negative_numbers(true)
}

/// Carries the command out; the exit code.
pub fn run(matches: &ArgMatches, config: &Config, playbook: &Playbook) -> Result<i32, Failure> {
    let envs = env_list(config, text(matches, "env").unwrap_or_default(), playbook)?;
    let options = options(matches)?;
    let target = target(config, &envs, &options)?;
    let given: BTreeMap<String, String> =
        playbook.params.iter().filter_map(|spec| Some((spec.name.clone(), text(matches, &spec.name)?.to_owned()))).collect();
    let params = params::parse(&playbook.params, &given).map_err(|problems| bad_params(&problems))?;
    let answers = answers(matches)?;
    known_questions(&answers, playbook)?;
    let interrupt = signals::listen().map_err(|e| Failure::usage(format!("could not listen for signals: {e}")))?;
    let host = Host::open(config, &target, &options)?;
    carry_out(matches, config, Order { playbook, envs, host, params, answers, interrupt, plan: None })
}

/// A run that is ready to begin.
pub struct Order<'a> {
    pub playbook: &'a Playbook,
    pub envs: Vec<&'a Environment>,
    pub host: Host,
    pub params: BTreeMap<String, ParamValue>,
    pub answers: Answers,
    pub interrupt: watch::Receiver<String>,
    /// What it is held to.
    pub plan: Option<Bound>,
}

/// Plays it and tells its end; the exit code.
pub fn carry_out(matches: &ArgMatches, config: &Config, order: Order<'_>) -> Result<i32, Failure> {
    let Order { playbook, envs, host, params, answers, interrupt, plan } = order;
    let lock_wait = matches.get_one::<Duration>("lock-wait").copied().unwrap_or_default();
    let has_state = !playbook.header.allows(Permission::WithoutState);
    for env in envs.iter().filter(|_| has_state) {
        recovery::none_open(config, &host, env, lock_wait, &interrupt)?;
    }
    let (run_id, journal) = journal(config, &host, matches.contains_id("seed"))?;
    let host = host.for_run(&run_id);
    let journal = match journals::store(envs[0], &host, &run_id).filter(|_| has_state) {
        Some(store) => journal.stored(store, &Fetched::default()).map_err(|e| Failure::usage(format!("the new journal: {e}")))?,
        None => journal,
    };
    let json = matches.get_flag("json");
    let show = show(json, matches.get_one::<f64>("pace").copied(), &host);
    report::first_line(&host, json);
    let bare = request(&envs, &host, show, answers, interrupt);
    let observer = match &plan {
        Some(plan) if !json => planned::progress(plan, bare.observer, Paint::stderr()),
        _ => bare.observer,
    };
    let request = Request {
        params,
        journal,
        run_id,
        observer,
        plan,
        reason: text(matches, "reason").map(str::to_owned),
        actor: actor(&host),
        commit: commit(&config.root, &host),
        lock_wait,
        on_failure: on_failure(matches).unwrap_or_default(),
        ..bare
    };
    let played = session::run(playbook, &host, request).map_err(not_begun)?;
    host.save()?;
    if let Some(error) = &played.error {
        report::error(error, &playbook.sources);
    }
    Ok(report::end(&played, &host, &envs, json, Goal::Forward))
}

/// Those of `--env a,b`; more than one only for a playbook that is for several.
pub fn env_list<'a>(config: &'a Config, list: &str, playbook: &Playbook) -> Result<Vec<&'a Environment>, Failure> {
    let envs = config.env_list(list)?;
    if envs.len() > 1 && !playbook.header.several {
        return Err(Failure::usage(format!("`{}` is for one environment", playbook.name()))
            .hinted("a playbook for several says `//! environments: several`, as playbooks/waves.rhai does"));
    }
    Ok(envs)
}

/// The one target on which all the environments live.
pub fn one_target(config: &Config, envs: &[&Environment], options: &Options) -> Result<Target, Failure> {
    let (target, _) = host::target_of(config, envs[0], options);
    for env in envs {
        let (own, _) = host::target_of(config, env, options);
        if own != target {
            let text = format!("`{}` lives on {target} and `{}` on {own}: a run has one target", envs[0].name, env.name);
            return Err(Failure::usage(text).hinted("name it with --target, or run one after the other"));
        }
    }
    Ok(target)
}

/// The same for a run that may change it: one that is guarded wants its target named where nobody watches.
pub fn target(config: &Config, envs: &[&Environment], options: &Options) -> Result<Target, Failure> {
    let target = one_target(config, envs, options)?;
    for env in envs {
        let (_, named) = host::target_of(config, env, options);
        if env.guarded && !named && target != Target::Sandbox && !std::io::stdin().is_terminal() {
            return Err(Failure::usage(format!("`{}` is guarded and its target was not named", env.name))
                .hinted(format!("say it with --target, or with `target = …` under [env.{}]", env.name)));
        }
    }
    Ok(target)
}

/// What every command that carries a run on gives to it; the rest is the command's own.
pub fn request(envs: &[&Environment], host: &Host, show: Show, answers: Answers, interrupt: watch::Receiver<String>) -> Request {
    let paint = Paint::stderr();
    let mut screen = Screen::new(show, paint);
    Request {
        answers: Answers { terminal: asker(&interrupt), ..answers },
        observer: Box::new(move |event| screen.see(event)),
        interrupt,
        host_name: host_name(host),
        user: user(host),
        who: system_user(),
        approved: false,
        lock_wait: Duration::ZERO,
        env: envs[0].clone(),
        also: envs[1..].iter().map(|env| (*env).clone()).collect(),
        params: BTreeMap::new(),
        journal: Journal::in_memory(),
        run_id: String::new(),
        reason: None,
        actor: None,
        commit: None,
        events: Vec::new(),
        on_failure: OnFailure::Undo,
        resumes: Resumes::default(),
        plan: None,
    }
}

/// Everything that is wrong with the flags, at once.
pub fn bad_params(problems: &[Diagnostic]) -> Failure {
    let failure = Failure::usage(problems.iter().map(|d| d.message.as_str()).collect::<Vec<_>>().join("\nerror: "));
    match problems.iter().find_map(|d| d.hint.clone()) {
        Some(hint) => failure.hinted(hint),
        None => failure,
    }
}

pub fn not_begun(halt: Halt) -> Failure {
    Failure { code: 2, text: format!("the run could not begin: {halt}"), causes: Vec::new(), hint: None }
}

pub fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.try_get_one::<String>(name).ok().flatten().map(String::as_str)
}

/// Where to run and from which seed, as the command line says.
pub fn options(matches: &ArgMatches) -> Result<Options, Failure> {
    let target = text(matches, "target").map(str::parse).transpose().map_err(Failure::usage)?;
    let seed = matches.try_get_one::<u64>("seed").ok().flatten().copied();
    Ok(Options { target, seed, in_memory: false })
}

pub fn answers(matches: &ArgMatches) -> Result<Answers, Failure> {
    let mut given = BTreeMap::new();
    for pair in matches.get_many::<String>("answer").into_iter().flatten() {
        let (id, key) =
            pair.split_once('=').ok_or_else(|| Failure::usage(format!("`--answer {pair}` has no `=`; write --answer ID=KEY")))?;
        if given.insert(id.to_owned(), key.to_owned()).is_some() {
            return Err(Failure::usage(format!("`--answer {id}=…` is given twice")));
        }
    }
    Ok(Answers { given, yes: matches.get_flag("yes"), confirm: text(matches, "confirm").map(str::to_owned), terminal: None })
}

/// An answer to a question that the playbook cannot ask would be lost in silence.
pub fn known_questions(answers: &Answers, playbook: &Playbook) -> Result<(), Failure> {
    let Some(questions) = &playbook.questions else { return Ok(()) };
    let Some(unknown) = answers.given.keys().find(|given| !questions.iter().any(|id| id.fits(given))) else { return Ok(()) };
    let exact = questions.iter().filter_map(|id| if let Id::Exact(id) = id { Some(id.as_str()) } else { None });
    let failure = Failure::usage(format!("`--answer {unknown}=…`: the playbook asks no question `{unknown}`"));
    let known: Vec<&str> = exact.collect();
    Err(match did_you_mean(unknown, known.iter().copied()) {
        Some(hint) => failure.hinted(hint),
        None if known.is_empty() => failure,
        None => failure.hinted(format!("its questions are {}", known.join(", "))),
    })
}

/// Questions go to the terminal only where a person sits at it.
pub fn asker(interrupt: &watch::Receiver<String>) -> Option<crate::run::Asker> {
    let (interrupt, paint) = (interrupt.clone(), Paint::stderr());
    can_ask().then(|| -> crate::run::Asker { Box::new(move |question| prompt::ask(question, paint, &interrupt)) })
}

fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

pub fn show(json: bool, pace: Option<f64>, host: &Host) -> Show {
    let terminal = std::io::stderr().is_terminal() && !json;
    let default = (terminal && host.is_sandbox()).then_some(60.0);
    let pace = pace.or(default).filter(|pace| *pace > 0.0 && host.is_sandbox());
    Show { json, pace, terminal, asks: can_ask(), committed: false }
}

/// How many runs that called nothing may follow each other.
const IDS_TRIED: u64 = 1000;

/// Short, without letters that look alike, and the seed's own.
fn run_id(seed: u64) -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..6).map(|_| char::from(LETTERS[rng.usize(..LETTERS.len())])).collect()
}

/// A new journal and the id of its run. A run that called nothing leaves the sandbox's seed as it was: unless a seed was asked for,
/// the next free id after it is taken.
pub fn journal(config: &Config, host: &Host, seed_is_given: bool) -> Result<(String, Journal), Failure> {
    let folder = recovery::folder(config, host.is_sandbox());
    let path_of = |id: &str| folder.join(format!("{id}.jsonl"));
    let ids = (0..if seed_is_given { 1 } else { IDS_TRIED }).map(|n| run_id(host.seed.wrapping_add(n)));
    let ids: Vec<String> = ids.collect();
    let run_id = ids.iter().find(|id| !path_of(id).exists()).unwrap_or(&ids[0]).clone();
    let path = path_of(&run_id);
    let made = Journal::create(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::usage(format!("there is a run `{run_id}` already, from the same seed"))
            .hinted("give another --seed, or make a new sandbox: bgx sandbox reset"),
        _ => Failure::usage(format!("could not write the journal `{}`: {error}", path.display())),
    })?;
    Ok((run_id, made))
}

pub fn actor(host: &Host) -> Option<String> {
    if host.is_sandbox() {
        return None;
    }
    ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR", "USER"].iter().find_map(|name| std::env::var(name).ok())
}

/// The commit that the playbooks come from, with `+` where the tree was changed; read from `.git` by git itself.
pub fn commit(root: &Path, host: &Host) -> Option<String> {
    if host.is_sandbox() {
        return None;
    }
    let git = |args: &[&str]| std::process::Command::new("git").arg("-C").arg(root).args(args).output().ok().filter(|o| o.status.success());
    let head = String::from_utf8(git(&["rev-parse", "HEAD"])?.stdout).ok()?.trim().to_owned();
    let dirty = git(&["status", "--porcelain"]).is_some_and(|o| !o.stdout.is_empty());
    Some(if dirty { format!("{head}+") } else { head })
}

/// Who runs this process, as the system knows them.
fn user(host: &Host) -> String {
    if host.is_sandbox() {
        return "you".to_owned();
    }
    system_user()
}

pub fn system_user() -> String {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "somebody".to_owned())
}

fn host_name(host: &Host) -> String {
    if host.is_sandbox() {
        return "sandbox".to_owned();
    }
    system_host()
}

pub fn system_host() -> String {
    std::fs::read_to_string("/etc/hostname").map(|name| name.trim().to_owned()).unwrap_or_else(|_| "unknown".to_owned())
}

/// For `list` and `--help`: the environments' hooks are part of what is checked.
pub fn hooks<'a>(config: &'a Config, args: &[String]) -> Vec<&'a str> {
    let at = args.iter().position(|arg| arg == "--env" || arg == "-e");
    let named = at.and_then(|at| args.get(at + 1)).cloned();
    let joined = args.iter().find_map(|arg| arg.strip_prefix("--env=").map(str::to_owned));
    let list = named.or(joined).unwrap_or_default();
    let envs = list.split(',').filter_map(|name| config.envs.get(name.trim()));
    envs.filter_map(|env| env.hooks.as_deref()).collect()
}
