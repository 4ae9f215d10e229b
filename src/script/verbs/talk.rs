//! Verbs that talk: to the operator, to the team's hooks, to instances; and the ones that end or commit the run.

use super::{Answer, environment, http, with};
use crate::run::approve::{Approval, OnTimeout};
use crate::run::table::Table;
use crate::run::{EffectRequest, Halt, Question};
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised, VerbError};
use rhai::{Array, Dynamic, ImmutableString};
use std::sync::Arc;
use std::time::Duration;

pub static VERBS: &[Verb] = &[
    Verb {
        name: "say",
        params: &[Param::required("text", Kind::Text, "one line")],
        options: &[],
        returns: "nothing",
        summary: "Tells the operator something.",
        errors: &[],
        example: "say(\"half-way\")",
        effect: Effect::Say,
        since: 1,
        deprecated: None,
        call: |call| with(call, async |run| run.say(&call.text(0), false)).map(|_| Dynamic::UNIT),
    },
    Verb {
        name: "notify",
        params: &[Param::required("text", Kind::Text, "one line")],
        options: &[],
        returns: "nothing",
        summary: "As say, marked in the events for those who forward them, and sent to the webhook of bgx.toml, if it names one.",
        errors: &[],
        example: "notify(\"beta is switched\")",
        effect: Effect::Say,
        since: 1,
        deprecated: None,
        call: |call| with(call, async |run| run.announce(&call.text(0)).await).map(Dynamic::from),
    },
    Verb {
        name: "table",
        params: &[
            Param::required("columns", Kind::List, "a text for the head of each column"),
            Param::required("rows", Kind::List, "of lists, a cell for each column; () is an empty one"),
        ],
        options: &[],
        returns: "nothing",
        summary: "Shows what was found in columns, on standard output: the result that the operator asked for.",
        errors: &[],
        example: "table([\"Colour\", \"Instances\"], [[c.live.name, asg(c.live).total]])",
        effect: Effect::Say,
        since: 1,
        deprecated: None,
        call: table,
    },
    Verb {
        name: "confirm",
        params: &[Param::required("id", Kind::Text, "for --answer ID=yes"), Param::required("text", Kind::Text, "the question")],
        options: &[Opt::new("human", Kind::Bool, "true: --yes does not answer it")],
        returns: "nothing; an answer of no ends the run",
        summary: "Asks the operator to go on.",
        errors: &[],
        example: "confirm(\"switch\", \"send traffic to green?\")",
        effect: Effect::Ask,
        since: 1,
        deprecated: None,
        call: confirm,
    },
    Verb {
        name: "choose",
        params: &[
            Param::required("id", Kind::Text, "for --answer ID=KEY"),
            Param::required("text", Kind::Text, "the question"),
            Param::required("choices", Kind::List, "[key, what it does] for each answer"),
        ],
        options: &[
            Opt::new("unattended", Kind::Text, "key that is taken where nobody can be asked; without it, that is an error"),
            Opt::new("human", Kind::Bool, "true: --yes does not answer it"),
            Opt::new("timeout", Kind::Duration, "how long a terminal is asked; then `unattended` is taken"),
        ],
        returns: "the key of the answer",
        summary: "Asks the operator to choose.",
        errors: &[],
        example: "choose(\"existing\", \"it runs already\", [[\"fresh\", \"empty it first\"], [\"stop\", \"stop\"]])",
        effect: Effect::Ask,
        since: 1,
        deprecated: None,
        call: choose,
    },
    Verb {
        name: "approve",
        params: &[Param::required("id", Kind::Text, "for bgx answer RUN ID yes")],
        options: &[
            Opt::new("by", Kind::Text, "\"other\", which is the default: another identity than who runs this"),
            Opt::new("text", Kind::Text, "what is approved; default: the id"),
            Opt::new("timeout", Kind::Duration, "how long to wait; default \"1h\""),
            Opt::new("on_timeout", Kind::Text, "\"fail\", an error and the default, or \"pause\", the run stops as it is"),
        ],
        returns: "nothing; an answer of no ends the run",
        summary: "Waits until somebody else has approved with bgx answer; no flag of this run can.",
        errors: &["timeout", "denied"],
        example: "approve(\"switch\", #{ by: \"other\", text: \"send traffic to green\", timeout: \"30m\", on_timeout: \"fail\" })",
        effect: Effect::Ask,
        since: 1,
        deprecated: None,
        call: approve,
    },
    Verb {
        name: "decline",
        params: &[Param::required("why", Kind::Text, "goes to the journal")],
        options: &[],
        returns: "never",
        summary: "Ends the run because the operator said so: what was done is undone; exit 7 where nothing was.",
        errors: &[],
        example: "decline(\"stopped by the operator\")",
        effect: Effect::Ask,
        since: 1,
        deprecated: None,
        call: |call| Err(VerbError::Halt(Arc::new(Halt::Declined { text: call.text(0) }))),
    },
    Verb {
        name: "commit",
        params: &[],
        options: &[],
        returns: "nothing",
        summary: "From here on a failure leaves things as they are, and undoes nothing. The end of the playbook commits, too.",
        errors: &[],
        example: "commit()",
        effect: Effect::Say,
        since: 1,
        deprecated: None,
        call: |call| with(call, async |run| run.commit().await).map(Dynamic::from),
    },
    Verb {
        name: "rolled_back",
        params: &[Param::required("why", Kind::Text, "what failed; goes to the journal")],
        options: &[],
        returns: "never",
        summary: "Ends a run that failed after its commit and has put back itself what it did: exit 3. Refused while a setting is not as it was.",
        errors: &["refused"],
        example: "rolled_back(\"green did not become healthy, and runs what it ran before\")",
        effect: Effect::Say,
        since: 1,
        deprecated: None,
        call: |call| with(call, async |run| Err::<(), _>(run.rolled_back(&call.text(0)))).map(Dynamic::from),
    },
    Verb {
        name: "effect",
        params: &[Param::required(
            "request",
            Kind::Map,
            "post: path; to: group, or a host under [outside] of bgx.toml; json: what that host gets; port: default that of the target group, 80 for other groups; if_absent: \"skip\" where the group may be missing",
        )],
        options: &[],
        returns: "nothing",
        summary: "POSTs to every running instance of a group, such as a cache to clear, or JSON to a host outside, once; for effects that set no state.",
        errors: &["refused", "failed", "unreachable"],
        example: "effect(#{ post: \"/admin/clear-cache\", to: \"ce-router-beta\", if_absent: \"skip\" })",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: |call| {
            let request = request(call)?;
            with(call, async |run| run.effect(&request).await).map(Dynamic::from)
        },
    },
    Verb {
        name: "on_undo",
        params: &[Param::required("request", Kind::Map, "as for effect, to a group")],
        options: &[],
        returns: "nothing",
        summary: "Registers an effect that is carried out once everything after this line was taken back.",
        errors: &[],
        example: "on_undo(#{ post: \"/admin/clear-cache\", to: \"ce-router-beta\", if_absent: \"skip\" })",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: |call| {
            let request = request(call)?;
            if request.json.is_some() {
                return Err(Raised::argument("on_undo: no host outside is told while a run is taken back; `json` is for effect").into());
            }
            with(call, async |run| run.on_undo(request)).map(Dynamic::from)
        },
    },
    Verb {
        name: "run_hooks",
        params: &[
            Param::required("name", Kind::Text, "function of the team's module"),
            Param::required("colors", Kind::Record, "what colors() gave"),
        ],
        options: &[],
        returns: "true if the team has such a hook",
        summary: "Calls a function of the module that bgx.toml names as hooks, where there is one.",
        errors: &[],
        example: "run_hooks(\"before_switch\", c)",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: run_hooks,
    },
];

fn table(call: &Call) -> Answer {
    let cells = |list: Array| list.into_iter().map(|cell| if cell.is_unit() { String::new() } else { cell.to_string() }).collect();
    let columns: Vec<String> = cells(call.list(0));
    let wrong = || Raised::argument(format!("table: each row is a list of {} cell(s), as many as there are columns", columns.len()));
    let row = |row: Dynamic| row.try_cast::<Array>().map(cells).filter(|row: &Vec<String>| row.len() == columns.len()).ok_or_else(wrong);
    let rows = call.list(1).into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
    with(call, async |run| run.show(Table { columns, rows })).map(Dynamic::from)
}

fn confirm(call: &Call) -> Answer {
    let question = Question {
        id: call.text(0),
        text: call.text(1),
        choices: vec![("yes".to_owned(), "go on".to_owned()), ("no".to_owned(), "stop".to_owned())],
        unattended: None,
        human: call.opt_bool("human").unwrap_or(false),
        timeout: None,
    };
    let key = with(call, async |run| run.ask(&question))?;
    match key.as_str() {
        "yes" => Ok(Dynamic::UNIT),
        _ => Err(VerbError::Halt(Arc::new(Halt::Declined { text: format!("{}: answered no", question.text) }))),
    }
}

fn approve(call: &Call) -> Answer {
    let unknown = |key: &str, given: &str, known: &str| Raised::argument(format!("approve: `{key}` is {known}, got {given:?}"));
    if let Some(by) = call.opt_text("by").filter(|by| by != "other") {
        return Err(unknown("by", &by, "\"other\"").into());
    }
    let on_timeout = match call.opt_text("on_timeout").as_deref() {
        None | Some("fail") => OnTimeout::Fail,
        Some("pause") => OnTimeout::Pause,
        Some(odd) => return Err(unknown("on_timeout", odd, "\"fail\" or \"pause\"").into()),
    };
    let id = call.text(0);
    // It becomes a word of a command line and a part of an object's key.
    if id.is_empty() || !id.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter)) {
        return Err(Raised::argument(format!("approve: the id has letters, digits, `-`, `_` and `.`, got {id:?}")).into());
    }
    let timeout = call.opt_duration("timeout").unwrap_or(Duration::from_secs(3600));
    let approval = Approval { text: call.opt_text("text").unwrap_or_else(|| id.clone()), id, timeout, on_timeout };
    with(call, async |run| run.approve(&approval).await).map(Dynamic::from)
}

fn choose(call: &Call) -> Answer {
    let choices = call.list(2).into_iter().map(choice).collect::<Option<Vec<_>>>();
    let choices = choices.filter(|c| !c.is_empty()).ok_or_else(|| {
        Raised::argument("choose: the choices are a list of pairs such as [[\"fresh\", \"empty it first\"], [\"stop\", \"stop\"]]")
    })?;
    let unattended = call.opt_text("unattended");
    if let Some(odd) = unattended.as_ref().filter(|key| !choices.iter().any(|(known, _)| known == *key)) {
        return Err(Raised::argument(format!("choose: `unattended` is `{odd}`, which is not one of the choices")).into());
    }
    let (human, timeout) = (call.opt_bool("human").unwrap_or(false), call.opt_duration("timeout"));
    if timeout.is_some() && unattended.is_none() {
        return Err(Raised::argument("choose: a `timeout` needs an `unattended` answer to take when it is over").into());
    }
    let question = Question { id: call.text(0), text: call.text(1), choices, unattended, human, timeout };
    with(call, async |run| run.ask(&question)).map(Dynamic::from)
}

fn choice(pair: Dynamic) -> Option<(String, String)> {
    let pair: Array = pair.try_cast()?;
    match <[Dynamic; 2]>::try_from(pair) {
        Ok([key, text]) => Some((key.into_string().ok()?, text.into_string().ok()?)),
        Err(_) => None,
    }
}

fn request(call: &Call) -> Result<EffectRequest, VerbError> {
    let map = call.map(0);
    let text = |key: &str| map.get(key).cloned().and_then(Dynamic::try_cast::<ImmutableString>).map(|s| s.to_string());
    if let Some(odd) = map.keys().find(|key| !["post", "to", "json", "port", "if_absent"].contains(&key.as_str())) {
        return Err(Raised::argument(format!("{}: `{odd}` is not known; there are post, to, json, port, if_absent", call.verb.name)).into());
    }
    let missing = |key: &str| Raised::argument(format!("{}: `{key}` is missing", call.verb.name));
    let path = text("post").filter(|path| path.starts_with('/')).ok_or_else(|| missing("post"))?;
    let skip_if_absent = match text("if_absent").as_deref() {
        None => false,
        Some("skip") => true,
        Some(other) => return Err(Raised::argument(format!("{}: `if_absent` is \"skip\", got {other:?}", call.verb.name)).into()),
    };
    let port = match map.get("port").map(|port| port.as_int().ok().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)) {
        None => None,
        Some(Some(port)) => Some(port),
        Some(None) => return Err(Raised::argument(format!("{}: `port` is a number from 1 to 65535", call.verb.name)).into()),
    };
    let json = map.get("json").map(|json| http::json(call, "json", json)).transpose()?;
    Ok(EffectRequest { method: "POST".to_owned(), path, to: text("to").ok_or_else(|| missing("to"))?, port, json, skip_if_absent })
}

fn run_hooks(call: &Call) -> Answer {
    let (name, colors) = (call.text(0), call.args[1].clone());
    let Some(module) = environment::environment(call)?.hooks else { return Ok(Dynamic::from(false)) };
    let called = call.call_module_fn(&module, &name, vec![colors])?;
    Ok(Dynamic::from(called.is_some()))
}
