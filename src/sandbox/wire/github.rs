//! GitHub's REST API, and the one GraphQL query for which REST has no answer: which issues a pull request closes.

use super::content_type;
use crate::sandbox::world::{Commit, Fault, Issue, NoIssue, Repository, World};
use crate::sandbox::{Reply, Request};
use serde_json::{Value, json};

/// In front of every path at GitHub Enterprise Server, and on a shared loopback port.
pub const ENTERPRISE: &str = "/api/v3";

/// What is asked, without what stands in front of every path.
pub fn path(request: &Request) -> &str {
    request.path.strip_prefix(ENTERPRISE).unwrap_or(&request.path)
}

/// A query changes nothing, and is POSTed.
pub fn mutates(operation: &str) -> bool {
    !operation.starts_with("GET ") && operation != "POST /graphql"
}

pub fn handle(world: &mut World, request: &Request) -> Reply {
    let parts: Vec<&str> = path(request).trim_start_matches('/').split('/').collect();
    let posts = request.method == "POST";
    if posts && !request.header("authorization").is_some_and(|text| text.starts_with("Bearer ")) {
        return error(&Fault::new(401, "", "Requires authentication"));
    }
    let body = || serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
    let Some(repository) = &mut world.repository else { return not_found() };
    match (posts, parts.as_slice()) {
        (true, ["graphql"]) => graphql(repository, &body()),
        (_, ["repos", owner, name, ..]) if format!("{owner}/{name}") != repository.name => not_found(),
        (false, ["repos", _, _, "compare", between]) => compare(repository, request, between),
        (false, ["repos", _, _, "commits", sha, "pulls"]) => match repository.pulls(sha) {
            Some(numbers) => list(request, numbers.iter().map(|number| issue(*number, &repository.issues[number])).collect()),
            None => error(&Fault::new(422, "", format!("No commit found for SHA: {sha}"))),
        },
        (false, ["repos", _, _, "issues", number, "comments"]) => match found(repository, number) {
            Some(issue) => {
                list(request, issue.comments.iter().zip(1..).map(|(body, id): (_, u32)| json!({ "id": id, "body": body })).collect())
            }
            None => not_found(),
        },
        (true, ["repos", _, _, "issues", number, "comments"]) => match body()["body"].as_str() {
            Some(text) if !text.is_empty() => changed(repository.comment(number.parse().unwrap_or(0), text), 201, json!({ "body": text })),
            _ => error(&Fault::new(422, "", "Validation Failed")),
        },
        (true, ["repos", _, _, "issues", number, "labels"]) => {
            let labels: Vec<String> =
                body()["labels"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            let number = number.parse().unwrap_or(0);
            let done = labels.iter().try_for_each(|label| repository.label(number, label));
            changed(done, 200, labels.iter().map(|name| json!({ "name": name })).collect())
        }
        _ => not_found(),
    }
}

/// In GitHub's words; a limit of its rate says when to come again.
pub fn error(fault: &Fault) -> Reply {
    let mut reply = json_reply(fault.status, &json!({ "message": fault.message, "status": fault.status.to_string() }));
    if fault.status == 429 {
        reply.headers.push(("retry-after".to_owned(), "30".to_owned()));
    }
    reply
}

fn not_found() -> Reply {
    error(&Fault::new(404, "", "Not Found"))
}

fn json_reply(status: u16, body: &Value) -> Reply {
    Reply { status, headers: vec![content_type("application/json; charset=utf-8")], body: body.to_string().into_bytes() }
}

fn found<'a>(repository: &'a Repository, number: &str) -> Option<&'a Issue> {
    repository.issues.get(&number.parse().ok()?)
}

fn changed(done: Result<(), NoIssue>, status: u16, body: Value) -> Reply {
    match done {
        Ok(()) => json_reply(status, &body),
        Err(NoIssue::Absent) => not_found(),
        Err(NoIssue::Locked) => error(&Fault::new(403, "", "Unable to create comment because issue is locked.")),
    }
}

fn issue(number: u64, issue: &Issue) -> Value {
    let labels: Vec<Value> = issue.labels.iter().map(|name| json!({ "name": name })).collect();
    json!({ "number": number, "title": issue.title, "state": "closed", "labels": labels })
}

fn compare(repository: &Repository, request: &Request, between: &str) -> Reply {
    let Some((status, commits)) = between.split_once("...").and_then(|(base, head)| repository.compare(base, head)) else {
        return not_found();
    };
    let (shown, next) = page(request, commits);
    let commits: Vec<Value> = shown.iter().map(|Commit { sha, .. }| json!({ "sha": sha, "commit": { "message": "a change" } })).collect();
    let body = json!({ "status": status, "total_commits": commits.len(), "commits": commits, "files": [] });
    linked(json_reply(200, &body), next)
}

fn list(request: &Request, all: Vec<Value>) -> Reply {
    let (shown, next) = page(request, &all);
    linked(json_reply(200, &shown.into()), next)
}

fn linked(mut reply: Reply, next: Option<String>) -> Reply {
    reply.headers.extend(next.map(|url| ("link".to_owned(), format!("<{url}>; rel=\"next\""))));
    reply
}

/// GitHub page "Using pagination in the REST API": pages count from 1, hold 30 and at most 100. With the address of the next one.
fn page<'a, T>(request: &Request, all: &'a [T]) -> (&'a [T], Option<String>) {
    let number = |name: &str| {
        let found = form_urlencoded::parse(request.query.as_bytes()).find(|(known, _)| known == name)?;
        found.1.parse::<usize>().ok().filter(|n| *n > 0)
    };
    let (size, page) = (number("per_page").unwrap_or(30).min(100), number("page").unwrap_or(1));
    let from = (size * (page - 1)).min(all.len());
    let until = (from + size).min(all.len());
    let origin = match request.host.as_str() {
        "api.github.com" => "https://api.github.com".to_owned(),
        host => format!("http://{host}:{}", request.port),
    };
    let next = (until < all.len()).then(|| format!("{origin}{}?per_page={size}&page={}", request.path, page + 1));
    (&all[from..until], next)
}

fn graphql(repository: &Repository, body: &Value) -> Reply {
    let variables = &body["variables"];
    let pull = variables["number"].as_u64().and_then(|number| repository.issues.get(&number)).filter(|issue| issue.is_pull);
    let (owner, name) = (variables["owner"].as_str().unwrap_or_default(), variables["name"].as_str().unwrap_or_default());
    if !body["query"].as_str().is_some_and(|query| query.contains("closingIssuesReferences")) {
        return json_reply(200, &json!({ "errors": [{ "message": "the sandbox answers the query of closingIssuesReferences alone" }] }));
    }
    let Some(pull) = pull.filter(|_| format!("{owner}/{name}") == repository.name) else {
        return json_reply(
            200,
            &json!({ "data": null, "errors": [{ "type": "NOT_FOUND", "message": "Could not resolve to a PullRequest" }] }),
        );
    };
    let closed = pull.closes.iter().filter_map(|number| Some((*number, repository.issues.get(number)?)));
    let nodes: Vec<Value> = closed
        .map(|(number, issue)| {
            let labels: Vec<Value> = issue.labels.iter().map(|name| json!({ "name": name })).collect();
            json!({ "number": number, "title": issue.title, "repository": { "nameWithOwner": repository.name }, "labels": { "nodes": labels } })
        })
        .collect();
    let closing = json!({ "closingIssuesReferences": { "nodes": nodes } });
    json_reply(200, &json!({ "data": { "repository": { "pullRequest": closing } } }))
}
