//! The policy, and the driver in virtual time.

use super::super::objects::When;
use super::super::testing::{Canned, account, error, json_error, reply, s3_error, success};
use super::super::{Action, Facts};
use super::*;
use std::time::Duration;

const CLASSES: [Class; 6] = [Class::Read, Class::Probe, Class::SetAbsolute, Class::CreateIfAbsent, Class::CompareAndSwap, Class::Start];

fn of_kind(kind: Kind, code: &str) -> Failure {
    Failure { code: code.into(), ..Failure::new(kind, "m") }
}

fn resends(failure: &Failure) -> Vec<Class> {
    CLASSES.into_iter().filter(|class| next(1, failure, *class) != Decision::GiveUp).collect()
}

fn who_am_i() -> Canned {
    success("GetCallerIdentity", "<Arn>arn:aws:iam::1:user/a</Arn><UserId>u</UserId><Account>1</Account>")
}

fn capacity() -> Action {
    Action::Capacity { asg: "blue".into(), min: Some(1), max: None, desired: None }
}

async fn apply(account: &Account) -> Result<(), AccountError> {
    account.apply(&capacity(), &Facts::Parameter(None), None).await
}

#[test]
fn a_lost_reply_is_resent_only_where_twice_is_as_once() {
    assert_eq!(resends(&Failure::lost("m")), [Class::Read, Class::SetAbsolute]);
}

#[test]
fn what_certainly_did_not_happen_is_resent_for_all_but_probes() {
    let all = [Class::Read, Class::SetAbsolute, Class::CreateIfAbsent, Class::CompareAndSwap, Class::Start];
    assert_eq!(resends(&of_kind(Kind::Throttled, "Throttling")), all);
    assert_eq!(resends(&of_kind(Kind::Unreachable, "")), all);
    for code in PASSING_CONFLICTS {
        assert_eq!(resends(&of_kind(Kind::Conflict, code)), all, "{code}");
    }
}

#[test]
fn what_will_not_pass_is_not_resent() {
    for kind in [Kind::NotFound, Kind::Denied, Kind::Expired, Kind::Invalid] {
        assert!(resends(&of_kind(kind, "X")).is_empty(), "{kind:?}");
    }
    assert!(resends(&of_kind(Kind::Conflict, "PreconditionFailed")).is_empty());
    assert!(resends(&Failure { final_: true, ..of_kind(Kind::Unreachable, "") }).is_empty());
}

#[test]
fn the_back_off_doubles_up_to_its_cap_and_ends() {
    let ceilings: Vec<Decision> = (1..=8).map(|attempt| next(attempt, &of_kind(Kind::Throttled, ""), Class::Read)).collect();
    let seconds = [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0].map(|s| Decision::Resend(Duration::from_secs_f64(s)));
    assert_eq!(ceilings[..7], seconds);
    assert_eq!(ceilings[7], Decision::GiveUp);
}

#[test]
fn a_doubt_once_raised_stays() {
    assert_eq!(final_kind(Class::SetAbsolute, Kind::Denied, true, true), Kind::Lost);
    assert_eq!(final_kind(Class::SetAbsolute, Kind::Denied, false, false), Kind::Denied);
    assert_eq!(final_kind(Class::SetAbsolute, Kind::Unavailable, true, false), Kind::Unavailable);
    assert_eq!(final_kind(Class::SetAbsolute, Kind::Denied, true, false), Kind::Lost);
    assert_eq!(final_kind(Class::CreateIfAbsent, Kind::Unavailable, true, false), Kind::Lost);
    assert_eq!(final_kind(Class::Read, Kind::Denied, true, true), Kind::Denied);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_goes_through_and_each_attempt_is_written_down() {
    let (account, _) = account(|n, _| if n < 2 { error(400, "Throttling", "Rate exceeded") } else { who_am_i() });
    let start = Instant::now();
    assert_eq!(account.identity().await.unwrap().account, "1");
    let waited = start.elapsed();
    assert!(waited > Duration::ZERO && waited <= Duration::from_millis(1500), "{waited:?}");
    let calls = account.take_calls();
    assert_eq!(
        calls.iter().map(|c| (c.attempt, c.outcome.as_str())).collect::<Vec<_>>(),
        [(1, "Throttling"), (2, "Throttling"), (3, "ok")]
    );
    assert_eq!((calls[2].service.as_str(), calls[2].operation.as_str()), ("sts", "GetCallerIdentity"));
    assert_eq!(calls[2].request_id.as_deref(), Some("req-1"));
    assert!(account.take_calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn throttling_without_end_ends_after_eight_attempts() {
    let (account, log) = account(|_, _| error(400, "Throttling", "Rate exceeded"));
    let start = Instant::now();
    let error = account.identity().await.unwrap_err();
    assert_eq!((error.kind, error.attempts, error.code.as_str()), (Kind::Throttled, 8, "Throttling"));
    assert_eq!(log.lock().unwrap().len(), 8);
    assert!(start.elapsed() <= Duration::from_secs(36));
}

#[tokio::test(start_paused = true)]
async fn silence_costs_fifteen_seconds_an_attempt_and_sixty_in_all() {
    let (account, _) = account(|_, _| Canned::Silence);
    let start = Instant::now();
    let error = account.identity().await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (Kind::Lost, 4));
    assert!((Duration::from_secs(55)..=Duration::from_secs(60)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(account.take_calls()[0].millis, 15_000);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_waits_the_same() {
    let mut waits = Vec::new();
    for _ in 0..2 {
        let (account, _) = account(|n, _| if n < 5 { error(500, "InternalFailure", "m") } else { who_am_i() });
        let start = Instant::now();
        account.identity().await.unwrap();
        waits.push(start.elapsed());
    }
    assert_eq!(waits[0], waits[1]);
}

#[tokio::test(start_paused = true)]
async fn a_create_with_a_lost_reply_is_sent_once() {
    for canned in [Canned::Reset, Canned::Silence, s3_error(500, "InternalError"), reply(200, "<html>")] {
        let (account, log) = account(move |_, _| canned.clone());
        let error = account.put_object("b", "lock", b"1", When::Absent).await.unwrap_err();
        assert_eq!((error.kind, error.attempts, log.lock().unwrap().len()), (Kind::Lost, 1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_that_did_not_happen_is_resent() {
    let put = || Canned::Reply { status: 200, headers: vec![("etag", "\"e\""), ("x-amz-request-id", "r")], body: String::new() };
    for canned in [Canned::Refused, s3_error(503, "SlowDown"), s3_error(409, "ConditionalRequestConflict")] {
        let (account, log) = account(move |n, _| if n == 0 { canned.clone() } else { put() });
        assert_eq!(account.put_object("b", "lock", b"1", When::Absent).await.unwrap(), "\"e\"");
        assert!(log.lock().unwrap()[1].headers.contains("if-none-match: *"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_is_not_met_is_told_at_once() {
    let (account, log) = account(|_, _| s3_error(412, "PreconditionFailed"));
    let error = account.put_object("b", "lock", b"1", When::Unchanged("\"e\"")).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str(), error.attempts), (Kind::Conflict, "PreconditionFailed", 1));
    assert!(log.lock().unwrap()[0].headers.contains("if-match: \"e\""));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_lost_reply_does_not_say_that_nothing_happened() {
    let (account, _) = account(|n, _| if n == 0 { Canned::Reset } else { error(403, "AccessDenied", "no") });
    let error = apply(&account).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str(), error.attempts), (Kind::Lost, "AccessDenied", 2));
}

#[tokio::test(start_paused = true)]
async fn refusals_that_pass_are_waited_for() {
    let done = || reply(200, "<UpdateAutoScalingGroupResponse/>");
    for canned in [error(400, "ScalingActivityInProgress", "m"), error(500, "ResourceContention", "m"), Canned::Refused, Canned::Reset] {
        let (account, log) = account(move |n, _| if n == 0 { canned.clone() } else { done() });
        apply(&account).await.unwrap();
        assert_eq!(log.lock().unwrap().len(), 2);
    }
    let (account, log) = account(|n, _| if n == 0 { json_error(400, "TooManyUpdates") } else { reply(200, r#"{"Version":2}"#) });
    account.set_parameter("/p", "v", false).await.unwrap();
    assert_eq!(log.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn expired_credentials_denials_and_a_dead_connector_are_told_at_once() {
    let cases = [
        (error(403, "ExpiredToken", "m"), Kind::Expired),
        (error(400, "RequestExpired", "m"), Kind::Expired),
        (error(403, "AccessDenied", "m"), Kind::Denied),
        (error(400, "ValidationError", "m"), Kind::Invalid),
        (Canned::Unsent, Kind::Unreachable),
    ];
    for (canned, kind) in cases {
        let (account, log) = account(move |_, _| canned.clone());
        let start = Instant::now();
        assert_eq!(apply(&account).await.unwrap_err().kind, kind);
        assert_eq!((log.lock().unwrap().len(), start.elapsed()), (1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_sent_once() {
    let request = super::super::HttpRequest { url: "http://10.0.0.1/healthcheck".into(), ..Default::default() };
    for (canned, kind) in [(Canned::Refused, Kind::Unreachable), (Canned::Reset, Kind::Lost), (Canned::Silence, Kind::Lost)] {
        let (account, log) = account(move |_, _| canned.clone());
        let start = Instant::now();
        let error = account.http(&request).await.unwrap_err();
        assert_eq!((error.kind, error.attempts, log.lock().unwrap().len()), (kind, 1, 1));
        assert!(start.elapsed() <= Duration::from_secs(5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_is_neither_begun_nor_waited_for_when_the_caller_may_write_no_longer() {
    let (account, log) = account(|_, _| Canned::Silence);
    let start = Instant::now();
    let may: MayWrite = Arc::new(move || Duration::from_secs(20).saturating_sub(start.elapsed()));
    let error = account.apply_while(may.clone(), &capacity(), &Facts::Parameter(None), None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Lost);
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_secs(20) && elapsed < Duration::from_secs(25), "an attempt of 15 s, one cut short: {elapsed:?}");
    let sent = log.lock().unwrap().len();
    let error = account.apply_while(may, &capacity(), &Facts::Parameter(None), None).await.unwrap_err();
    assert_eq!((error.kind, log.lock().unwrap().len()), (Kind::Unreachable, sent), "nothing more is sent");
}
