//! `bgx test [PATH…]`: runs the project's tests of playbooks, each in a sandbox and a time of its own, on all cores.

use super::check::scripts;
use super::failure::Failure;
use super::run::text;
use super::style::{Paint, clean};
use crate::config::Config;
use crate::prove::testing::{Bench, TEXT};
use crate::script::coverage::{Covered, coverage};
use crate::script::harness::{self, TestFile};
use crate::script::session::Playbook;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Exit code when a test failed, or too little was reached.
const FAILED: i32 = 3;
/// Exit code when there is nothing to run, or it cannot be run.
const USAGE: i32 = 2;

pub fn command() -> Command {
    let switch = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("test")
        .about("Run the tests of playbooks: the functions test_*() of *_test.rhai, each in a sandbox of its own")
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .num_args(0..)
                .help("test files or folders; default: those beside the project's playbooks, stdlib and hooks"),
        )
        .arg(Arg::new("filter").long("filter").value_name("TEXT").help("only tests with this in FILE::NAME"))
        .arg(switch("json", "one object a test on standard output"))
        .arg(switch("coverage", "tell which lines of playbooks and modules the tests reached"))
        .arg(
            Arg::new("coverage-min")
                .long("coverage-min")
                .value_name("PERCENT")
                .value_parser(clap::value_parser!(u8).range(0..=100))
                .help("exit 3 when a file that was played is reached less than this"),
        )
}

/// One test that was run.
struct Done {
    name: String,
    time: Duration,
    failure: Option<Box<harness::Failure>>,
    played: Vec<Playbook>,
}

pub fn run(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let paths = test_files(matches, config)?;
    let json = matches.get_flag("json");
    let covers = matches.get_flag("coverage") || matches.contains_id("coverage-min");
    let mut files = Vec::new();
    let mut broken = false;
    for path in &paths {
        match harness::load(path, config) {
            Ok(file) => files.push(file),
            Err(problems) => {
                broken = true;
                let _ = writeln!(std::io::stderr(), "{}\n", problems.render(Paint::stderr().is_on()).trim_end());
            }
        }
    }
    if broken {
        return Ok(USAGE);
    }
    let filter = text(matches, "filter").unwrap_or_default();
    let all = files.iter().flat_map(|file| file.tests.iter().map(move |test| (file, test)));
    let tests: Vec<(&TestFile, &String)> = all.filter(|(file, test)| full_name(file, test).contains(filter)).collect();
    if tests.is_empty() {
        let what = if filter.is_empty() { "there is no test".to_owned() } else { format!("no test has `{filter}` in its name") };
        return Err(Failure::usage(what).hinted("a test is a function `fn test_…()` in a file whose name ends in _test.rhai"));
    }
    let began = Instant::now();
    let done = run_all(&tests, config, covers);
    let failed = done.iter().filter(|test| test.failure.is_some()).count();
    for (test, (file, _)) in done.iter().zip(&tests) {
        tell(test, file, json);
    }
    if !json {
        told_failures(&done, &tests);
        let counts = format!("{} ok, {failed} failed, in {:.1} s", done.len() - failed, began.elapsed().as_secs_f64());
        let paint = Paint::stdout();
        let _ = writeln!(std::io::stdout(), "\n{}", if failed > 0 { paint.bad(&counts) } else { paint.good(&counts) });
    }
    let played: Vec<Playbook> = done.into_iter().flat_map(|test| test.played).collect();
    let least = matches.get_one::<u8>("coverage-min").copied().unwrap_or(0);
    let enough = !covers || told_coverage(&coverage(&played, TEXT), f64::from(least), json);
    Ok(if failed > 0 || !enough { FAILED } else { 0 })
}

fn full_name(file: &TestFile, test: &str) -> String {
    format!("{}::{test}", file.sources.main().map(|file| file.name.as_str()).unwrap_or_default())
}

fn test_files(matches: &ArgMatches, config: &Config) -> Result<Vec<PathBuf>, Failure> {
    let is_test = |path: &PathBuf| path.to_string_lossy().ends_with("_test.rhai");
    let given: Vec<&String> = matches.get_many("path").into_iter().flatten().collect();
    if given.is_empty() {
        return Ok(super::check::all(config).into_iter().filter(is_test).collect());
    }
    let mut files = Vec::new();
    for name in given {
        let path = Path::new(name);
        match path.is_dir() {
            true => files.extend(scripts(path).into_iter().filter(is_test)),
            false if path.is_file() => files.push(path.to_path_buf()),
            false => return Err(Failure::usage(format!("there is no file or folder `{name}`"))),
        }
    }
    Ok(files)
}

/// On all cores; the results in the order of the tests.
fn run_all(tests: &[(&TestFile, &String)], config: &Config, covers: bool) -> Vec<Done> {
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Done>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(tests.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((index, (file, test))) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, tests.get(n)?))) {
                    let one = run_one(file, test, config, covers);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, one);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn run_one(file: &TestFile, test: &str, config: &Config, covers: bool) -> Done {
    let began = Instant::now();
    let bench = Arc::new(Bench::new(config, covers));
    let carrying = bench.clone();
    let failure = harness::run(file, test, Arc::new(move |ask| carrying.carry(ask))).err();
    Done { name: full_name(file, test), time: began.elapsed(), failure, played: bench.played() }
}

fn tell(test: &Done, file: &TestFile, json: bool) {
    let mut out = std::io::stdout();
    let ms = test.time.as_millis();
    if json {
        let at = test.failure.as_ref().and_then(|failure| failure.diagnostic.at.as_ref());
        let object = serde_json::json!({
            "test": test.name,
            "ok": test.failure.is_none(),
            "ms": u64::try_from(ms).unwrap_or(u64::MAX),
            "message": test.failure.as_ref().map(|failure| clean(&failure.diagnostic.message)),
            "difference": test.failure.as_ref().and_then(|failure| failure.difference.as_deref().map(clean)),
            "file": at.map_or_else(|| file.sources.main().map(|file| file.name.clone()), |at| Some(at.file.clone())),
            "line": at.map(|at| at.line),
            "column": at.map(|at| at.column),
        });
        let _ = writeln!(out, "{object}");
        return;
    }
    let paint = Paint::stdout();
    let word = if test.failure.is_none() { paint.good("ok") } else { paint.bad("FAILED") };
    let _ = writeln!(out, "{word} {} ({ms} ms)", test.name);
}

fn told_failures(done: &[Done], tests: &[(&TestFile, &String)]) {
    let paint = Paint::stdout();
    let mut out = std::io::stdout();
    for (test, (file, _)) in done.iter().zip(tests) {
        let Some(failure) = &test.failure else { continue };
        let shown = failure.diagnostic.render(&file.sources, paint.is_on());
        let _ = writeln!(out, "\n{}\n{}", paint.bold(&test.name), shown.trim_end());
        for line in failure.difference.iter().flat_map(|text| text.lines()) {
            let line = clean(line);
            let line = match line.as_bytes().first() {
                Some(b'-') => paint.bad(&line),
                Some(b'+') => paint.good(&line),
                Some(_) | None => line,
            };
            let _ = writeln!(out, "    {line}");
        }
    }
}

/// Whether every file is reached as much as it must be.
fn told_coverage(files: &BTreeMap<String, Covered>, least: f64, json: bool) -> bool {
    let mut out = std::io::stdout();
    if !json {
        let _ = writeln!(out, "\n{:<36} {:>6} {:>7} {:>7}  not reached", "file", "lines", "reached", "percent");
    }
    for (name, covered) in files {
        let (all, reached, percent) = (covered.statements.len(), covered.reached.len(), covered.percent());
        let _ = match json {
            true => writeln!(out, "{}", serde_json::json!({"file": name, "lines": all, "reached": reached, "missed": covered.missed()})),
            false => writeln!(out, "{:<36} {all:>6} {reached:>7} {percent:>6.1}%  {}", clean(name), covered.missed()),
        };
    }
    let poor: Vec<&String> = files.iter().filter(|(_, covered)| covered.percent() < least).map(|(name, _)| name).collect();
    for name in &poor {
        let _ = writeln!(std::io::stderr(), "{name} is reached less than {least} percent");
    }
    poor.is_empty()
}
