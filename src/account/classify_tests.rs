//! Codes and statuses, foreign replies to every read, and texts.

use super::super::testing::{Canned, account, error, html, json_error, reply, s3_error, success};
use super::super::{Account, HttpRequest};
use super::*;

/// Every read, by name, and what it says to one kind of reply.
async fn each_read(canned: Canned) -> Vec<(&'static str, Result<(), AccountError>)> {
    let (a, _) = account(move |_, _| canned.clone());
    fn no<T>(result: Result<T, AccountError>) -> Result<(), AccountError> {
        result.map(|_| ())
    }
    let a: &Account = &a;
    vec![
        ("groups", no(a.groups(&["g"]).await)),
        ("activities", no(a.activities("g", 3).await)),
        ("load_balancer", no(a.load_balancer("lb").await)),
        ("listeners", no(a.listeners("lb").await)),
        ("rules", no(a.rules("l").await)),
        ("target_groups", no(a.target_groups(&["t"]).await)),
        ("target_group_attributes", no(a.target_group_attributes("t").await)),
        ("target_health", no(a.target_health("t").await)),
        ("parameter", no(a.parameter("p").await)),
        ("parameters", no(a.parameters(&["p"]).await)),
        ("addresses", no(a.addresses(&["i-1"]).await)),
        ("object", no(a.object("b", "k").await)),
        ("object_exists", no(a.object_exists("b", "k").await)),
        ("list_objects", no(a.list_objects("b", "k").await)),
        ("identity", no(a.identity().await)),
    ]
}

#[tokio::test(start_paused = true)]
async fn no_read_takes_a_foreign_reply_for_a_fact() {
    for canned in [html(), reply(200, ""), reply(200, "{}"), reply(200, "<a>"), success("Describe", "")] {
        for (read, result) in each_read(canned.clone()).await {
            assert_eq!(result.map_err(|e| e.kind), Err(Kind::Lost), "{read} of {canned:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_read_takes_a_404_of_something_in_between_for_absence() {
    let page = Canned::Reply { status: 404, headers: vec![("content-type", "text/html")], body: "<html>gone</html>".into() };
    for (read, result) in each_read(page).await {
        assert_eq!(result.map_err(|e| e.kind), Err(Kind::NotFound), "{read}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_read_takes_a_denial_for_absence() {
    for canned in [error(403, "AccessDenied", "m"), reply(403, "")] {
        for (read, result) in each_read(canned).await {
            assert_eq!(result.map_err(|e| e.kind), Err(Kind::Denied), "{read}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn absence_is_what_each_service_says_it_is() {
    let (a, _) = account(|_, _| json_error(400, "ParameterNotFound"));
    assert_eq!(a.parameter("p").await.unwrap(), None);
    let (a, _) = account(|_, _| reply(200, r#"{"Parameters":[],"InvalidParameters":["p"]}"#));
    assert!(a.parameters(&["p"]).await.unwrap().is_empty());
    let (a, _) = account(|_, _| s3_error(404, "NoSuchKey"));
    assert_eq!(a.object("b", "k").await.unwrap(), None);
    let (a, _) = account(|_, _| s3_error(404, "NoSuchBucket"));
    assert_eq!(a.object("b", "k").await.unwrap_err().kind, Kind::NotFound);
    let (a, _) = account(|_, _| reply(404, ""));
    assert!(!a.object_exists("b", "k").await.unwrap());
    let (a, _) = account(|_, _| error(400, "LoadBalancerNotFound", "m"));
    assert_eq!(a.load_balancer("lb").await.unwrap(), None);
    let (a, _) = account(|_, _| success("DescribeAutoScalingGroups", "<AutoScalingGroups/>"));
    assert!(a.groups(&["g"]).await.unwrap().is_empty());
    assert!(a.settings(&["g"]).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_settings_of_a_group_are_asked_for_without_its_instances() {
    let (a, log) = account(|_, _| {
        let sizes = "<MinSize>1</MinSize><MaxSize>9</MaxSize><DesiredCapacity>4</DesiredCapacity>";
        let group = format!("<AutoScalingGroupName>g</AutoScalingGroupName>{sizes}<HealthCheckType>ELB</HealthCheckType>");
        success("DescribeAutoScalingGroups", &format!("<AutoScalingGroups><member>{group}</member></AutoScalingGroups>"))
    });
    let found = a.settings(&["g"]).await.unwrap().remove("g").unwrap();
    assert_eq!((found.min, found.max, found.desired), (1, 9, 4));
    a.groups(&["g"]).await.unwrap();
    let bodies: Vec<String> = log.lock().unwrap().iter().map(|sent| sent.body.clone()).collect();
    assert!(bodies[0].contains("IncludeInstances=false") && !bodies[1].contains("IncludeInstances"), "{bodies:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_about_no_names() {
    let (a, log) = account(|_, _| html());
    assert!(a.groups(&[]).await.unwrap().is_empty());
    assert!(a.target_groups(&[]).await.unwrap().is_empty());
    assert!(a.parameters(&[]).await.unwrap().is_empty());
    assert!(a.addresses(&[]).await.unwrap().is_empty());
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_not_read() {
    let body = r#"{"Parameter":{"Name":"p","Type":"SecureString","Value":"ciphertext","Version":1}}"#;
    let (a, _) = account(move |_, _| reply(200, body));
    assert_eq!(a.parameter("p").await.unwrap_err().kind, Kind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_cut_short_is_lost() {
    let headers = vec![("etag", "\"e\""), ("x-amz-request-id", "r"), ("content-length", "9")];
    let (a, _) = account(move |_, _| Canned::Reply { status: 200, headers: headers.clone(), body: "half".into() });
    assert_eq!(a.object("b", "k").await.unwrap_err().kind, Kind::Lost);
}

#[tokio::test(start_paused = true)]
async fn lists_are_read_to_the_end_and_never_in_circles() {
    let rule = |n: usize| {
        format!("<member><RuleArn>r{n}</RuleArn><Priority>{n}</Priority><Actions><member><Type>forward</Type></member></Actions></member>")
    };
    let (a, log) = account(move |n, _| {
        let marker = if n < 2 { format!("<NextMarker>m{n}</NextMarker>") } else { String::new() };
        success("DescribeRules", &format!("<Rules>{}</Rules>{marker}", rule(9 - n)))
    });
    let priorities: Vec<String> = a.rules("l").await.unwrap().into_iter().map(|r| r.priority).collect();
    assert_eq!(priorities, ["7", "8", "9"]);
    assert!(log.lock().unwrap()[2].body.contains("Marker=m1"));

    let (a, log) = account(move |_, _| success("DescribeRules", &format!("<Rules>{}</Rules><NextMarker>again</NextMarker>", rule(1))));
    assert_eq!(a.rules("l").await.unwrap_err().kind, Kind::Lost);
    assert_eq!(log.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_unknown_target_group_does_not_hide_the_others() {
    let group =
        "<TargetGroups><member><TargetGroupArn>arn:b</TargetGroupArn><TargetGroupName>Blue</TargetGroupName></member></TargetGroups>";
    let (a, _) = account(move |_, sent| {
        if sent.body.contains("Names.member") { error(400, "TargetGroupNotFound", "m") } else { success("DescribeTargetGroups", group) }
    });
    let found = a.target_groups(&["Blue", "Green"]).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["Blue"]);
}

#[tokio::test(start_paused = true)]
async fn plain_http_bears_no_signature_and_takes_any_status() {
    let (a, log) = account(|_, _| Canned::Reply { status: 503, headers: vec![], body: "x".repeat(100_000) });
    let request =
        HttpRequest { method: "POST".into(), url: "http://10.0.0.1/clear?x=1".into(), body: Some("{}".into()), ..HttpRequest::default() };
    let reply = a.http(&request).await.unwrap();
    assert_eq!((reply.status, reply.body.len()), (503, 64 * 1024));
    let sent = log.lock().unwrap()[0].clone();
    assert_eq!((sent.method.as_str(), sent.uri.as_str(), sent.body.as_str()), ("POST", "http://10.0.0.1/clear?x=1", "{}"));
    assert!(!sent.headers.contains("authorization") && sent.headers.contains("application/json"), "{}", sent.headers);
    let bad = HttpRequest { url: "no url at all".into(), ..request };
    assert_eq!(a.http(&bad).await.unwrap_err().kind, Kind::Invalid);
}

#[test]
fn codes_come_before_statuses() {
    let cases = [
        (400, "Throttling", Kind::Throttled),
        (429, "PriorRequestNotComplete", Kind::Conflict),
        (400, "ExpiredTokenException", Kind::Expired),
        (400, "AccessDeniedException", Kind::Denied),
        (400, "TargetGroupNotFound", Kind::NotFound),
        (500, "ResourceContention", Kind::Conflict),
        (400, "RequestTimeout", Kind::Unavailable),
        (400, "Whatever", Kind::Invalid),
        (403, "Whatever", Kind::Denied),
        (404, "", Kind::NotFound),
        (403, "", Kind::Denied),
        (301, "", Kind::Invalid),
        (418, "", Kind::Invalid),
        (502, "", Kind::Unavailable),
        (200, "", Kind::Lost),
        (200, "InternalError", Kind::Unavailable),
    ];
    for (status, code, kind) in cases {
        assert_eq!(refusal(status, code, "m").kind, kind, "{status} {code}");
    }
}

#[test]
fn only_a_refusal_proves_that_nothing_happened() {
    assert!(refusal(500, "InternalFailure", "").doubtful && refusal(502, "", "").doubtful && refusal(200, "", "").doubtful);
    for code in ["Throttling", "SlowDown", "ResourceContention", "AccessDenied", "RequestTimeout"] {
        assert!(!refusal(503, code, "").doubtful, "{code}");
    }
}

#[test]
fn a_missing_group_is_known_by_its_text() {
    assert_eq!(refusal(400, "ValidationError", "AutoScalingGroup name not found - AutoScalingGroup x not found").kind, Kind::NotFound);
    assert_eq!(refusal(400, "ValidationError", "Max bound, 3, must be greater").kind, Kind::Invalid);
}

#[test]
fn texts_are_one_printable_line_with_an_end() {
    assert_eq!(printable(" a\nb\t\u{1b}[31mred\u{7}\u{202e} "), "a b [31mred");
    assert_eq!(printable(&"ü".repeat(600)).chars().count(), MESSAGE_CHARS_MAX + 1);
}

#[test]
fn a_failed_connection_is_told_from_a_lost_one() {
    let io = |kind| ConnectorError::io(io::Error::from(kind).into());
    assert_eq!(undelivered(&io(io::ErrorKind::ConnectionRefused)).kind, Kind::Unreachable);
    assert_eq!(undelivered(&io(io::ErrorKind::ConnectionReset)).kind, Kind::Lost);
    assert_eq!(undelivered(&ConnectorError::timeout("HTTP connect timeout occurred after 3.1s".into())).kind, Kind::Unreachable);
    assert_eq!(undelivered(&ConnectorError::timeout("HTTP read timeout occurred after 3.1s".into())).kind, Kind::Lost);
    let expired = ConnectorError::other(CredentialsError::provider_error("the SSO session ended").into(), None);
    let failure = undelivered(&expired);
    assert_eq!((failure.kind, failure.doubtful), (Kind::Expired, false));
    assert!(failure.message.contains("the SSO session ended"));
}
