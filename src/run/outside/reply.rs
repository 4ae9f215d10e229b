//! What is read from the reply of a host outside: whether to wait or to go elsewhere, where its next page is, and the part to keep.

use crate::account::HttpReply;
use serde_json::{Map, Value};
use std::time::Duration;

/// All waits for one request: a run holds the lock of its environment meanwhile.
const PATIENCE: Duration = Duration::from_secs(90);
/// GitHub page "Rate limits for the REST API": what to wait where a refusal does not say how long.
const UNSAID: Duration = Duration::from_secs(60);

/// What to do after a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Take,
    /// It was not carried out; send it again after this time.
    Wait(Duration),
    /// It is at this address.
    Follow(String),
}

/// `now` in seconds since 1970; `waited` for this request so far. An address elsewhere never gets the token: it is an error.
pub(super) fn then(reply: &HttpReply, origin: &str, can_follow: bool, now: i64, waited: Duration) -> Result<Then, String> {
    let header = |name: &str| reply.headers.get(name).map(String::as_str);
    match reply.status {
        403 | 429 => {
            let number = |name: &str| header(name).and_then(|text| text.trim().parse::<i64>().ok());
            let said = number("retry-after");
            let used_up = number("x-ratelimit-remaining") == Some(0);
            let reset = number("x-ratelimit-reset").filter(|_| used_up).map(|at| at.saturating_sub(now));
            let limited = reply.status == 429 || said.is_some() || used_up;
            let length = said.or(reset).map_or(UNSAID, |seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(1)));
            Ok(if limited && waited + length <= PATIENCE { Then::Wait(length) } else { Then::Take })
        }
        // The method of another request than a GET may change on the way with the first two.
        301 | 302 | 307 | 308 => {
            let Some(place) = header("location") else { return Ok(Then::Take) };
            let url = if place.starts_with('/') && !place.starts_with("//") { format!("{origin}{place}") } else { place.to_owned() };
            if !within(&url, origin) {
                return Err(format!("redirects to {}, which is not its own", host_of(&url)));
            }
            Ok(if can_follow || reply.status >= 307 { Then::Follow(url) } else { Then::Take })
        }
        _ => Ok(Then::Take),
    }
}

/// The address has this beginning, and not just one that looks like it.
fn within(url: &str, beginning: &str) -> bool {
    url.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('?'))
}

/// The host of an address, to be shown; of what is none, nothing.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    if host.is_empty() { "another address" } else { host }
}

/// Path of the next page below the host's address: RFC 8288, as GitHub's page "Using pagination in the REST API" has it.
pub(super) fn next_page(reply: &HttpReply, base: &str) -> Result<Option<String>, String> {
    let Some(links) = reply.headers.get("link") else { return Ok(None) };
    let target = |link: &str| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|p| ["rel=\"next\"", "rel=next"].contains(&p.trim()));
        is_next.then(|| address.to_owned())
    };
    match links.split(",").find_map(target) {
        None => Ok(None),
        Some(url) if within(&url, base) => Ok(Some(url[base.len()..].to_owned())),
        Some(url) => Err(format!("has its next page at {}, which is not its own", host_of(&url))),
    }
}

/// The part of a JSON reply that the paths name, with texts of 1,000 characters at most. A reply that is no success is kept whole, as far as it says what is wrong.
pub(super) fn only(status: u16, body: &str, paths: &[String]) -> String {
    const ERROR_CHARS_MAX: usize = 2000;
    match serde_json::from_str::<Value>(body) {
        Ok(json) if (200..300).contains(&status) => {
            let paths: Vec<Vec<&str>> = paths.iter().map(|path| path.split('.').collect()).collect();
            shortened(pruned(&json, &paths.iter().map(Vec::as_slice).collect::<Vec<_>>())).to_string()
        }
        _ => body.chars().take(ERROR_CHARS_MAX).collect(),
    }
}

/// Lists are gone through; a path that ends keeps all that is there.
fn pruned(json: &Value, paths: &[&[&str]]) -> Value {
    if paths.iter().any(|path| path.is_empty()) {
        return json.clone();
    }
    match json {
        Value::Array(list) => list.iter().map(|one| pruned(one, paths)).collect(),
        Value::Object(map) => {
            let below = |key: &str| paths.iter().filter(|path| path[0] == key).map(|path| &path[1..]).collect::<Vec<_>>();
            let kept = map.iter().map(|(key, value)| (key, value, below(key))).filter(|(_, _, paths)| !paths.is_empty());
            Value::Object(kept.map(|(key, value, paths)| (key.clone(), pruned(value, &paths))).collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Value::Null,
    }
}

/// Comments and the like may be long, and a journal keeps them for ever.
fn shortened(json: Value) -> Value {
    const TEXT_CHARS_MAX: usize = 1000;
    match json {
        Value::String(text) if text.len() > TEXT_CHARS_MAX => Value::String(text.chars().take(TEXT_CHARS_MAX).collect()),
        Value::Array(list) => list.into_iter().map(shortened).collect(),
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, shortened(value))).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "https://api.github.com";

    fn reply(status: u16, headers: &[(&str, &str)]) -> HttpReply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        HttpReply { status, headers, ..HttpReply::default() }
    }

    fn after(status: u16, headers: &[(&str, &str)]) -> Result<Then, String> {
        then(&reply(status, headers), HOST, true, 1000, Duration::ZERO)
    }

    #[test]
    fn a_rate_limit_is_waited_for_as_long_as_it_says_and_no_refusal_is() {
        let wait = |seconds| Ok(Then::Wait(Duration::from_secs(seconds)));
        assert_eq!(after(429, &[("retry-after", "30")]), wait(30));
        assert_eq!(after(403, &[("retry-after", "7")]), wait(7));
        assert_eq!(after(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1040")]), wait(40));
        assert_eq!(after(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "900")]), wait(1));
        assert_eq!(after(429, &[]), wait(60));
        assert_eq!(after(403, &[("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "1040")]), Ok(Then::Take));
        assert_eq!(after(403, &[]), Ok(Then::Take));
        assert_eq!(after(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "4600")]), Ok(Then::Take), "in an hour");
        let limited = reply(429, &[("retry-after", "60")]);
        assert_eq!(then(&limited, HOST, true, 0, Duration::from_secs(60)), Ok(Then::Take), "it was waited for once");
    }

    #[test]
    fn only_the_host_itself_is_followed() {
        let moved = |place: &str| after(301, &[("location", place)]);
        assert_eq!(moved("https://api.github.com/repositories/1"), Ok(Then::Follow("https://api.github.com/repositories/1".into())));
        assert_eq!(moved("/repositories/1"), Ok(Then::Follow("https://api.github.com/repositories/1".into())));
        for (place, host) in [
            ("https://evil.example/x", "evil.example"),
            ("//evil.example/x", "another address"),
            ("https://api.github.com.evil.example/x", "api.github.com.evil.example"),
            ("https://api.github.com@evil.example/x", "evil.example"),
            ("http://api.github.com/x", "api.github.com"),
        ] {
            assert_eq!(moved(place), Err(format!("redirects to {host}, which is not its own")), "{place}");
        }
        let post = |status| then(&reply(status, &[("location", "/x")]), HOST, false, 0, Duration::ZERO);
        assert_eq!(post(301), Ok(Then::Take), "a POST would become a GET");
        assert_eq!(post(308), Ok(Then::Follow("https://api.github.com/x".into())));
    }

    #[test]
    fn the_next_page_is_a_path_of_the_host() {
        let next = |link: &str, base: &str| next_page(&reply(200, &[("link", link)]), base);
        let link = "<https://api.github.com/r?page=1>; rel=\"prev\", <https://api.github.com/r?page=3>; rel=\"next\"";
        assert_eq!(next(link, HOST), Ok(Some("/r?page=3".to_owned())));
        assert_eq!(
            next("<https://ghe.example/api/v3/r?page=2>; rel=\"next\"", "https://ghe.example/api/v3"),
            Ok(Some("/r?page=2".to_owned()))
        );
        assert_eq!(next("<https://api.github.com/r?page=1>; rel=\"first\"", HOST), Ok(None));
        assert_eq!(next_page(&reply(200, &[]), HOST), Ok(None));
        assert!(next("<https://evil.example/r>; rel=\"next\"", HOST).unwrap_err().contains("evil.example"));
    }

    #[test]
    fn only_what_is_named_is_kept() {
        let body = r#"{"total":2,"commits":[{"sha":"a","files":[1],"author":{"login":"x","id":1}},{"sha":"b"}],"url":"u"}"#;
        let kept = |paths: &[&str]| only(200, body, &paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        assert_eq!(kept(&["commits.sha"]), r#"{"commits":[{"sha":"a"},{"sha":"b"}]}"#);
        assert_eq!(kept(&["commits.author.login", "total"]), r#"{"commits":[{"author":{"login":"x"}},{}],"total":2}"#);
        assert_eq!(kept(&["commits", "commits.sha"]), r#"{"commits":[{"author":{"id":1,"login":"x"},"files":[1],"sha":"a"},{"sha":"b"}]}"#);
        assert_eq!(kept(&["nothing"]), "{}");
        assert_eq!(only(200, &serde_json::json!({ "a": "ä".repeat(2000) }).to_string(), &["a".to_owned()]).chars().count(), 1008);
        assert_eq!(only(200, r#"[{"number":1,"x":2}]"#, &["number".to_owned()]), r#"[{"number":1}]"#);
        assert_eq!(only(404, r#"{"message":"Not Found"}"#, &["number".to_owned()]), r#"{"message":"Not Found"}"#);
        assert_eq!(only(200, "<html>", &["number".to_owned()]), "<html>");
    }
}
