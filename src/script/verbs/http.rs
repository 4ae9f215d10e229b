//! The verb that speaks HTTP: to an instance of the environment, or to a host outside that `bgx.toml` names.

use super::{Answer, number, text, with};
use crate::account::{HttpReply, HttpRequest};
use crate::run::outside::Ask;
use crate::run::{RunError, traffic};
use crate::script::verb::{Effect, Kind, Opt, Param, Verb, describe};
use crate::script::{Call, Raised, Record};
use rhai::{Array, Dynamic, ImmutableString, Map};

pub static VERBS: &[Verb] = &[Verb {
    name: "http",
    params: &[
        Param::required("from", Kind::Any, "one of instances(c), or the name of a host under [outside] of bgx.toml"),
        Param::required("path", Kind::Text, "path and query, starting with /"),
    ],
    options: &[
        Opt::new("timeout", Kind::Duration, "for the whole request; default \"5s\", of a host outside \"15s\""),
        Opt::new("port", Kind::Int, "of an instance; default: where the load balancer sends requests, the port of the target group"),
        Opt::new("headers", Kind::Map, "of the request to a host outside; its token is added by bgx"),
        Opt::new(
            "only",
            Kind::List,
            "keys to keep of a long JSON reply from outside, such as [\"commits.sha\"], and 1,000 characters of each text; the journal keeps no more",
        ),
        Opt::new("query", Kind::Text, "a GraphQL query, POSTed to a host outside; no mutation"),
        Opt::new("variables", Kind::Map, "of the query"),
    ],
    returns: "status, body, json (() where the body is not JSON), next (path of the next page of a host outside, else ())",
    summary: "GETs a path from one of the environment's instances, or from a host outside: that waits out its rate limit up to 90 seconds.",
    errors: &["refused", "failed", "unreachable", "lost", "unavailable"],
    example: "http(instances(c.live)[0], \"/healthcheck\").status",
    effect: Effect::Read,
    since: 1,
    deprecated: None,
    call: http,
}];

fn http(call: &Call) -> Answer {
    let path = call.text(1);
    if !path.starts_with('/') {
        return Err(Raised::new("failed", format!("`{path}` is not a path: it must start with /")).into());
    }
    let from = call.args[0].clone();
    let reply = match (from.clone().try_cast::<Record>(), from.clone().try_cast::<ImmutableString>()) {
        (Some(instance), _) => of_instance(call, &instance, path)?,
        (_, Some(host)) => of_host(call, host.to_string(), path)?,
        _ => {
            let got = describe(&from);
            return Err(Raised::argument(format!("http: wants one of instances(c) or the name of a host, got {got}")).into());
        }
    };
    let json = serde_json::from_str::<Dynamic>(&reply.body).unwrap_or(Dynamic::UNIT);
    Ok(Dynamic::from(Record::new(
        "reply",
        [
            ("status", number(reply.status)),
            ("body", Dynamic::from(reply.body)),
            ("json", if json.is::<Map>() || json.is::<Array>() { json } else { Dynamic::UNIT }),
            ("next", text(reply.next)),
        ],
    )))
}

fn none_of(call: &Call, keys: &[&str], of: &str) -> Result<(), Raised> {
    match keys.iter().find(|key| call.options.contains_key(**key)) {
        Some(odd) => Err(Raised::argument(format!("http: `{odd}` is for {of}"))),
        None => Ok(()),
    }
}

fn seconds(call: &Call, otherwise: u32) -> u32 {
    call.opt_duration("timeout").map_or(otherwise, |d| u32::try_from(d.as_secs()).unwrap_or(u32::MAX).max(1))
}

fn of_instance(call: &Call, instance: &Record, path: String) -> Result<HttpReply, crate::script::VerbError> {
    none_of(call, &["headers", "only", "query", "variables"], "a host outside")?;
    let timeout_seconds = seconds(call, 5);
    let port = match call.opt_count("port")? {
        None => None,
        Some(port) => match u16::try_from(port) {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(Raised::argument(format!("http: `port` is from 1 to 65535, got {port}")).into()),
        },
    };
    with(call, async |run| {
        let id = instance.text("id").unwrap_or_default();
        let port = match port {
            Some(port) => port,
            None => run.topology().await?.port(),
        };
        run.read("http", &format!("{id} {path}"), async |run| {
            let address = match instance.text("address") {
                Some(address) => Some(address),
                None => run.account.addresses(&[&id]).await?.remove(&id),
            };
            let ip = address.ok_or_else(|| RunError::failed(format!("`{id}` has no known address")))?;
            let url = traffic::url(&ip, port, &path);
            Ok(run.account.http(&HttpRequest { url, timeout_seconds, ..HttpRequest::default() }).await?)
        })
        .await
    })
}

fn of_host(call: &Call, host: String, path: String) -> Result<HttpReply, crate::script::VerbError> {
    none_of(call, &["port"], "an instance")?;
    let ask = Ask { headers: headers(call)?, query: query(call)?, only: only(call)?, timeout_seconds: seconds(call, 15), host, path };
    // What is asked is what tells two questions of one path apart.
    let of = match &ask.query {
        Some(query) => format!("{} {} {query}", ask.host, ask.path),
        None => format!("{} {}", ask.host, ask.path),
    };
    with(call, async |run| run.read("http", &of, async |run| run.ask_outside(&ask).await).await)
}

/// Names in lower case. What says who asks, or how long a body is, is not the playbook's to say.
fn headers(call: &Call) -> Result<Vec<(String, String)>, Raised> {
    const OWN: [&str; 5] = ["authorization", "host", "content-length", "transfer-encoding", "connection"];
    let wrong = |name: &str| Raised::argument(format!("http: `headers`: `{name}` is no header with a text that a playbook may set"));
    let header = |(name, value): (&rhai::Identifier, &Dynamic)| {
        let value = value.as_immutable_string_ref().map(|text| text.to_string()).map_err(|_| wrong(name))?;
        let lower = name.to_ascii_lowercase();
        let plain = !lower.is_empty() && lower.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        match plain && !OWN.contains(&lower.as_str()) && value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            true => Ok((lower, value)),
            false => Err(wrong(name)),
        }
    };
    call.opt_map("headers").unwrap_or_default().iter().map(header).collect()
}

fn only(call: &Call) -> Result<Vec<String>, Raised> {
    let path = |one: Dynamic| match one.into_immutable_string() {
        Ok(path) if path.split('.').all(|key| !key.is_empty()) => Ok(path.to_string()),
        _ => Err(Raised::argument("http: `only` is a list of keys such as [\"commits.sha\"]")),
    };
    call.opt_list("only").unwrap_or_default().into_iter().map(path).collect()
}

/// GraphQL's specification, 2.3: a document that changes something says so with a word of its own.
fn query(call: &Call) -> Result<Option<String>, Raised> {
    let Some(text) = call.opt_text("query") else {
        return match call.option("variables") {
            Some(_) => Err(Raised::argument("http: `variables` are those of a `query`")),
            None => Ok(None),
        };
    };
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    if !(text.trim_start().starts_with("query") || text.trim_start().starts_with('{')) || words.any(|word| word == "mutation") {
        return Err(Raised::argument("http: `query` is a GraphQL query; what changes something is for effect(…)"));
    }
    let variables = match call.opt_map("variables") {
        Some(map) => json(call, "variables", &Dynamic::from(map))?,
        None => "{}".to_owned(),
    };
    let text = serde_json::Value::from(text.split_whitespace().collect::<Vec<_>>().join(" "));
    Ok(Some(format!("{{\"query\":{text},\"variables\":{variables}}}")))
}

/// A value of the script as JSON.
pub(super) fn json(call: &Call, key: &str, value: &Dynamic) -> Result<String, Raised> {
    let wrong = || Raised::argument(format!("{}: `{key}` is a map or list of texts, numbers and the like", call.verb.name));
    if !(value.is_map() || value.is_array()) {
        return Err(wrong());
    }
    serde_json::to_string(value).map_err(|_| wrong())
}
