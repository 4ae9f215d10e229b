//! CloudWatch's replies: what is read of them, and what is none.

use super::*;
use crate::account::testing::{Canned, account, html};
use aws_smithy_cbor::Encoder;

const MINUTE: i64 = 1_767_225_600;

fn cbor(body: Vec<u8>) -> Canned {
    let headers = vec![("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor"), ("x-amzn-requestid", "req-1")];
    Canned::Bytes { status: 200, headers, body }
}

/// Id, status and points of a metric.
type Told<'a> = (&'a str, &'a str, &'a [(i64, f64)]);

/// Results of one page, and the token of the next.
fn page(results: &[Told], next: Option<&str>) -> Canned {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(1 + usize::from(next.is_some()));
    encoder.str("MetricDataResults").array(results.len());
    for (id, status, points) in results {
        encoder.map(4).str("Id").str(id).str("StatusCode").str(status).str("Timestamps").array(points.len());
        for (at, _) in *points {
            encoder.timestamp(&DateTime::from_secs(*at));
        }
        encoder.str("Values").array(points.len());
        for (_, value) in *points {
            encoder.double(*value);
        }
    }
    if let Some(next) = next {
        encoder.str("NextToken").str(next);
    }
    cbor(encoder.into_writer())
}

fn metric(name: &str) -> Metric {
    let dimensions = BTreeMap::from([("LoadBalancer".to_owned(), "app/lb/1".to_owned())]);
    Metric { namespace: "AWS/ApplicationELB".into(), name: name.into(), dimensions, statistic: "Sum".into() }
}

async fn read(answer: impl Fn(usize) -> Canned + Send + Sync + 'static) -> Result<Vec<Series>, AccountError> {
    let (account, _) = account(move |index, _| answer(index));
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    account.metrics(&[metric("RequestCount"), metric("HTTPCode_Target_5XX_Count")], at(MINUTE), at(MINUTE + 600)).await
}

#[tokio::test(start_paused = true)]
async fn pages_join_and_a_metric_without_data_is_empty_and_not_zero() {
    let found = read(|index| match index {
        0 => page(&[("m1", "Complete", &[]), ("m0", "PartialData", &[(MINUTE + 60, 7.0)])], Some("more")),
        _ => page(&[("m0", "Complete", &[(MINUTE, 5.0)])], None),
    });
    assert_eq!(found.await.unwrap(), [Series::from([(MINUTE, 5.0), (MINUTE + 60, 7.0)]), Series::new()]);
}

#[tokio::test(start_paused = true)]
async fn half_of_the_data_is_no_data() {
    let error = read(|_| page(&[("m0", "PartialData", &[(MINUTE, 5.0)]), ("m1", "Complete", &[])], None)).await.unwrap_err();
    assert!(error.message.contains("`RequestCount` did not come whole"), "{error}");
    let error = read(|_| page(&[("m0", "Complete", &[])], None)).await.unwrap_err();
    assert!(error.message.contains("says nothing about `HTTPCode_Target_5XX_Count`"), "{error}");
    let error = read(|_| page(&[("m0", "InternalError", &[]), ("m1", "Complete", &[])], None)).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (Kind::Unavailable, 8), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_is_not_taken_for_an_empty_one() {
    let empty = || cbor(Vec::new());
    let no_results = || cbor(vec![0xa0]);
    for strange in [html, empty, no_results] {
        assert_eq!(read(move |_| strange()).await.unwrap_err().kind, Kind::Lost);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_service_and_a_throttle_pass_and_a_denial_does_not() {
    let failing = |status: u16, code: &'static str| {
        move |index: usize| {
            if index > 0 {
                return page(&[("m0", "Complete", &[]), ("m1", "Complete", &[])], None);
            }
            let mut encoder = Encoder::new(Vec::new());
            encoder.map(2).str("__type").str(code).str("message").str("m");
            let Canned::Bytes { headers, body, .. } = cbor(encoder.into_writer()) else { unreachable!("it is bytes") };
            Canned::Bytes { status, headers, body }
        }
    };
    for (status, code) in [(500, "InternalServiceFault"), (400, "Throttling"), (503, "ServiceUnavailable")] {
        assert_eq!(read(failing(status, code)).await.unwrap(), [Series::new(), Series::new()], "{code}");
    }
    assert_eq!(read(failing(403, "AccessDenied")).await.unwrap_err().kind, Kind::Denied);
    assert_eq!(read(failing(400, "ExpiredToken")).await.unwrap_err().kind, Kind::Expired);
}

#[tokio::test(start_paused = true)]
async fn alarms_of_both_kinds_are_asked_for_and_one_that_is_not_there_is_absent() {
    let (account, log) = account(|_, _| {
        let mut encoder = Encoder::new(Vec::new());
        let one = |encoder: &mut Encoder, list: &str, name: &str, state: &str| {
            encoder.str(list).array(1).map(3).str("AlarmName").str(name).str("StateValue").str(state).str("StateReason").str("x\u{1b}[31m");
        };
        encoder.map(2);
        one(&mut encoder, "MetricAlarms", "a", "OK");
        one(&mut encoder, "CompositeAlarms", "b", "ALARM");
        cbor(encoder.into_writer())
    });
    let found = account.alarms(&["b", "a", "nobody", "a"]).await.unwrap();
    assert_eq!(found.iter().map(|(name, alarm)| (name.as_str(), alarm.state.as_str())).collect::<Vec<_>>(), [("a", "OK"), ("b", "ALARM")]);
    assert!(!found["b"].reason.contains('\u{1b}'), "AWS's text is stripped of control codes");
    let sent = log.lock().unwrap()[0].clone();
    assert!(sent.body.contains("CompositeAlarm") && sent.body.contains("MetricAlarm"), "{}", sent.body);
    assert!(sent.uri.ends_with("/service/GraniteServiceVersion20100801/operation/DescribeAlarms"), "{}", sent.uri);
}
