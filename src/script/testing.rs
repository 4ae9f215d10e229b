//! What the tests of this room share: a table of verbs as operators know them, and a way to play a text.

use super::call::Call;
use super::duration::show_duration;
use super::engine::{STACK_BYTES, bare, for_play};
use super::header::API_LEVEL;
use super::play::{Play, PlayError, Poison, StepMark, play};
use super::raised::{Raised, VerbError};
use super::record::{Record, show};
use super::sources::Sources;
use super::verb::{Deprecated, Effect, Kind, Opt, Param, Verb};
use rhai::{Dynamic, Map};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const TEXT: Param = Param::required("text", Kind::Text, "");
const COLOR: Param = Param::required("color", Kind::Color, "");
const COLORS: Param = Param::required("colors", Kind::Record, "");

const fn verb(
    name: &'static str,
    params: &'static [Param],
    options: &'static [Opt],
    effect: Effect,
    call: fn(&Call) -> Result<Dynamic, VerbError>,
) -> Verb {
    Verb {
        name,
        params,
        options,
        returns: "any",
        summary: "For tests.",
        errors: &[],
        example: "",
        effect,
        since: 1,
        deprecated: None,
        call,
    }
}

/// Notes the call, as a host would.
fn noted(call: &Call) -> Result<Dynamic, VerbError> {
    let args: Vec<String> = call.args.iter().filter(|a| !a.is_unit()).map(show).collect();
    let options: Vec<String> = call.options.iter().map(|(k, v)| format!("{k}: {}", show(v))).collect();
    let at = call.play.sources.locate(call.position).map(|p| p.to_string()).unwrap_or_default();
    log(call, format!("{}({}) {{{}}} @ {at}", call.verb.name, args.join(", "), options.join(", ")));
    Ok(Dynamic::UNIT)
}

fn log(call: &Call, line: String) {
    call.play.user::<Log>().lock().expect("no test panics with it").push(line);
}

type Log = Arc<Mutex<Vec<String>>>;

pub fn color(name: &str) -> Record {
    let tail = Dynamic::from(format!("beta-{name}"));
    Record::new(
        "color",
        [("name", Dynamic::from(name.to_string())), ("asg", tail.clone()), ("tg", tail), ("version", Dynamic::from("gh-1"))],
    )
}

/// The verbs of the manual, without an account behind them, and some that misbehave.
pub static VERBS: &[Verb] = &[
    Verb {
        deprecated: Some(Deprecated { since: 1, instead: "scale(color, #{desired})" }),
        ..verb("resize", &[COLOR, Param::required("n", Kind::Int, "")], &[], Effect::Write, noted)
    },
    Verb { since: API_LEVEL + 1, ..verb("scale_all", &[COLOR], &[], Effect::Write, noted) },
    verb(
        "scale",
        &[COLOR],
        &[
            Opt::new("desired", Kind::Int, ""),
            Opt::new("min", Kind::Int, ""),
            Opt::new("max", Kind::Int, ""),
            Opt::new("lease", Kind::Bool, ""),
        ],
        Effect::Write,
        noted,
    ),
    verb("protect_asg", &[COLOR], &[Opt::new("freeze", Kind::Bool, ""), Opt::new("max", Kind::Bool, "")], Effect::Write, noted),
    verb(
        "set_weights",
        &[],
        &[Opt::required("live", Kind::Color, ""), Opt::required("idle", Kind::Color, ""), Opt::required("share", Kind::Int, "")],
        Effect::Write,
        noted,
    ),
    verb("switch_rule", &[COLOR], &[], Effect::Write, noted),
    verb("set_active_color", &[COLOR], &[], Effect::Write, noted),
    verb("set_version", &[Param::required("version", Kind::Text, "")], &[], Effect::Write, noted),
    verb("keep_warm", &[COLOR], &[Opt::new("released_by", Kind::Text, "")], Effect::Write, noted),
    verb("accept_less", &[COLOR], &[Opt::required("healthy", Kind::Int, ""), Opt::required("reason", Kind::Text, "")], Effect::Ask, noted),
    verb("wait_healthy", &[COLOR], &[Opt::new("count", Kind::Int, ""), Opt::new("timeout", Kind::Duration, "")], Effect::Wait, |call| {
        let timeout = call.opt_duration("timeout").map(show_duration).unwrap_or_default();
        log(call, format!("wait_healthy {:?} {timeout}", call.opt_count("count")?));
        Ok(Dynamic::UNIT)
    }),
    verb(
        "wait_until",
        &[TEXT, Param::required("options", Kind::Map, ""), Param::required("f", Kind::Closure, "")],
        &[],
        Effect::Wait,
        |call| call.call_closure(2, vec![]),
    ),
    verb(
        "watch",
        &[Param::required("duration", Kind::Duration, "")],
        &[Opt::new("serving", Kind::Color, ""), Opt::new("alarms", Kind::List, "")],
        Effect::Wait,
        noted,
    ),
    verb("sleep", &[Param::required("duration", Kind::Duration, "")], &[], Effect::Wait, |call| {
        log(call, format!("sleep {}", show_duration(call.duration(0))));
        Ok(Dynamic::UNIT)
    }),
    verb("confirm", &[Param::required("id", Kind::Text, ""), TEXT], &[Opt::new("human", Kind::Bool, "")], Effect::Ask, noted),
    verb(
        "choose",
        &[Param::required("id", Kind::Text, ""), TEXT, Param::required("choices", Kind::List, "")],
        &[Opt::new("unattended", Kind::Text, ""), Opt::new("timeout", Kind::Duration, ""), Opt::new("human", Kind::Bool, "")],
        Effect::Ask,
        |call| Ok(call.opt_text("unattended").map_or(Dynamic::UNIT, Dynamic::from)),
    ),
    verb(
        "preflight",
        &[COLORS],
        &[Opt::new("capacity", Kind::Int, ""), Opt::new("version", Kind::Text, ""), Opt::new("stickiness", Kind::Text, "")],
        Effect::Read,
        noted,
    ),
    verb("run_hooks", &[TEXT, COLORS], &[], Effect::Read, |call| {
        Ok(call.call_module_fn("team/hooks", &call.text(0), vec![call.args[1].clone()])?.unwrap_or(Dynamic::UNIT))
    }),
    verb("resolve_version", &[Param::required("version", Kind::Text, "")], &[], Effect::Read, |call| Ok(Dynamic::from(call.text(0)))),
    verb("colors", &[], &[], Effect::Read, |_| {
        Ok(Dynamic::from(Record::new("colors", [("live", Dynamic::from(color("blue"))), ("idle", Dynamic::from(color("green")))])))
    }),
    verb("env", &[], &[], Effect::Read, |_| {
        let timeout = Record::new("timeout", [("boot", Dynamic::from("10m")), ("healthy", Dynamic::from("10m"))]);
        let list = Dynamic::from(rhai::Array::new());
        Ok(Dynamic::from(Record::new(
            "env",
            [
                ("name", "beta".into()),
                ("min", Dynamic::from(2_i64)),
                ("alarms", list),
                ("guarded", true.into()),
                ("timeout", Dynamic::from(timeout)),
            ],
        )))
    }),
    verb("asg", &[COLOR], &[], Effect::Read, |_| Ok(Dynamic::from(Record::new("asg", [("desired", Dynamic::from(4_i64))])))),
    verb("target_health", &[COLOR], &[], Effect::Read, |_| Ok(Dynamic::from(Record::new("health", [("healthy", Dynamic::from(2_i64))])))),
    verb("instances", &[COLOR], &[], Effect::Read, |_| {
        Ok(Dynamic::from(vec![Dynamic::from(Record::new("instance", [("id", "i-1".into())]))]))
    }),
    verb("http", &[Param::required("instance", Kind::Record, ""), TEXT], &[], Effect::Read, |_| {
        Ok(Dynamic::from(Record::new("reply", [("json", Dynamic::from(vec![Dynamic::UNIT]))])))
    }),
    verb("last_served", &[COLOR], &[], Effect::Read, |_| Ok(Dynamic::from(Record::new("served", [("version", "gh-1".into())])))),
    verb("lock_builds", &[TEXT], &[], Effect::Write, noted),
    verb("on_undo", &[Param::required("request", Kind::Map, "")], &[], Effect::Write, noted),
    verb("effect", &[Param::required("request", Kind::Map, "")], &[], Effect::Write, noted),
    verb("commit", &[], &[], Effect::Write, noted),
    verb("say", &[TEXT], &[], Effect::Say, noted),
    verb("refuse", &[], &[], Effect::Write, |_| Err(Raised::new("refused", "the live colour would be emptied").hint("bgx status").into())),
    verb("abort", &[], &[], Effect::Write, |_| Err(VerbError::Halt(Arc::new(std::io::Error::other("lock lost"))))),
    // As a signal handler would: from outside, while the verb returns normally.
    verb("poisoned_meanwhile", &[], &[], Effect::Read, |call| {
        call.play.poison.set(Arc::new(std::io::Error::other("interrupted")));
        Ok(Dynamic::from("never seen"))
    }),
    verb("boom", &[Param::optional("n", Kind::Int, "")], &[], Effect::Read, |call| Ok(Dynamic::from([1_i64, 2][call.int(0) as usize]))),
    verb(
        "lazy",
        &[Param::required("a", Kind::Any, ""), Param::optional("b", Kind::Float, "")],
        &[Opt::new("c", Kind::Duration, "")],
        Effect::Read,
        |call| {
            let b = call.arg(1).map(|_| call.float(1));
            Ok(Dynamic::from(format!("{} {b:?} {:?}", call.args[0], call.opt_duration("c"))))
        },
    ),
];

/// How a playing went.
pub struct Played {
    pub result: Result<Dynamic, PlayError>,
    pub sources: Sources,
    /// Calls of verbs, and marks of steps as `> name`, `< name`, `! name`.
    pub log: Vec<String>,
    pub printed: Vec<String>,
}

impl Played {
    /// The value, as a script would print it.
    pub fn value(&self) -> String {
        format!("{:?}", self.result.as_ref().expect("it plays to its end"))
    }

    /// The uncaught error as one line, with its hint.
    pub fn error(&self) -> String {
        match &self.result {
            Err(PlayError::Script(uncaught)) => {
                let hint = uncaught.diagnostic.hint.as_ref().map(|h| format!(" [{h}]")).unwrap_or_default();
                format!("{}{hint}", uncaught.diagnostic)
            }
            other => panic!("no error of the script: {other:?}"),
        }
    }

    pub fn halted(&self) -> String {
        match &self.result {
            Err(PlayError::Halted(halt)) => halt.to_string(),
            other => panic!("not halted: {other:?}"),
        }
    }

    pub fn rendered(&self) -> String {
        match &self.result {
            Err(PlayError::Script(uncaught)) => uncaught.diagnostic.render(&self.sources, false),
            other => panic!("no error of the script: {other:?}"),
        }
    }
}

pub fn sources(files: &[(&str, &str)]) -> Sources {
    let texts: BTreeMap<String, String> = files.iter().map(|(n, t)| (n.to_string(), t.to_string())).collect();
    Sources::from_texts(texts, files[0].0).expect("small")
}

/// Plays one text.
pub fn played(text: &str) -> Played {
    played_files(&[("main.rhai", text)])
}

/// Plays the first of several files.
pub fn played_files(files: &[(&str, &str)]) -> Played {
    played_with(files, u64::MAX, &Poison::default())
}

pub fn played_with(files: &[(&str, &str)], operations: u64, poison: &Poison) -> Played {
    let sources = sources(files);
    let log: Log = Log::default();
    let printed: Log = Log::default();
    let mut p = Play::new(Arc::new(sources.clone()), Box::new(log.clone()));
    let (steps, sink) = (log.clone(), printed.clone());
    p.poison = poison.clone();
    p.operations_max = operations;
    p.on_step = Box::new(move |name, mark, _| {
        let sign = match mark {
            StepMark::Started => '>',
            StepMark::Finished => '<',
            StepMark::Failed => '!',
        };
        steps.lock().expect("no test panics with it").push(format!("{sign} {name}"));
    });
    p.on_print = Box::new(move |text| sink.lock().expect("no test panics with it").push(text.to_string()));
    let p = Arc::new(p);
    let on_thread = move || {
        let engine = for_play(&p, VERBS);
        play(&engine, &p)
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(on_thread).expect("a thread");
    let result = thread.join().expect("nothing panics through");
    let taken = |log: &Log| log.lock().expect("no test panics with it").clone();
    Played { result, sources, log: taken(&log), printed: taken(&printed) }
}

/// Findings of the check, one line each.
pub fn checked(files: &[(&str, &str)]) -> Vec<String> {
    let sources = sources(files);
    let found = super::check::check(&sources, &bare(VERBS), VERBS);
    found.iter().map(|d| format!("{d}{}", d.hint.as_ref().map(|h| format!(" [{h}]")).unwrap_or_default())).collect()
}

pub fn map(entries: &[(&str, Dynamic)]) -> Map {
    entries.iter().map(|(k, v)| ((*k).into(), v.clone())).collect()
}
