//! CloudWatch through its SDK client, which speaks rpc-v2-cbor.

use super::{Account, START};
use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{AlarmType, Dimension, Metric, MetricDataQuery, MetricDatum, MetricStat, ScanBy, StateValue, StatusCode};
use std::time::Duration;

fn query(id: &str, name: &str, dimensions: &[(&str, String)]) -> MetricDataQuery {
    let dimensions = dimensions.iter().map(|(name, value)| Dimension::builder().name(*name).value(value).build()).collect();
    let metric = Metric::builder().namespace("AWS/ApplicationELB").metric_name(name).set_dimensions(Some(dimensions)).build();
    MetricDataQuery::builder().id(id).metric_stat(MetricStat::builder().metric(metric).period(60).stat("Sum").build()).build()
}

/// Dimensions of the target group that serves beta.
fn blue(account: &Account) -> Vec<(&'static str, String)> {
    account.with(|sandbox| {
        let balancer = sandbox.world.load_balancers.keys().next().expect("there is one").clone();
        let group = sandbox.world.target_groups.values().find(|g| g.name == "beta-blue-tg").expect("there is one");
        let group = group.arn.rsplit_once(':').expect("an ARN").1.to_owned();
        vec![("LoadBalancer", balancer.split_once(":loadbalancer/").expect("an ARN").1.to_owned()), ("TargetGroup", group)]
    })
}

fn seconds(after_start: i64) -> DateTime {
    DateTime::from_secs(i64::try_from(START.0 / 1000).expect("within range") + after_start)
}

#[tokio::test(start_paused = true)]
async fn metrics_come_newest_first_and_an_absent_one_is_complete_and_empty() {
    let account = Account::new();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let dimensions = blue(&account);
    let ask = || {
        let queries = [query("n", "RequestCount", &dimensions), query("x", "HTTPCode_Target_5XX_Count", &dimensions)];
        account.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries.to_vec())).start_time(seconds(60)).end_time(seconds(300))
    };
    let out = ask().send().await.expect("read");
    let [requests, errors] = out.metric_data_results() else { panic!("two results, got {out:?}") };
    assert_eq!(
        (requests.id(), requests.status_code(), requests.values().len()),
        (Some("n"), Some(&StatusCode::Complete), 5),
        "the first minute counts whole"
    );
    assert!(requests.values().iter().all(|value| (598.0..=602.0).contains(value)), "{requests:?}");
    assert!(requests.timestamps().windows(2).all(|pair| pair[0].secs() == pair[1].secs() + 60), "{requests:?}");
    assert!(requests.timestamps().iter().all(|at| at.secs() % 60 == 0));
    assert_eq!((errors.values().len(), errors.status_code()), (0, Some(&StatusCode::Complete)));
    let out = ask().scan_by(ScanBy::TimestampAscending).send().await.expect("read");
    assert!(out.metric_data_results()[0].timestamps().windows(2).all(|pair| pair[0].secs() + 60 == pair[1].secs()));
}

#[tokio::test(start_paused = true)]
async fn more_values_than_were_asked_for_come_in_pages() {
    let account = Account::new();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let dimensions = blue(&account);
    let queries = [query("a", "RequestCount", &dimensions), query("b", "RequestCount", &dimensions[..1])];
    let ask = account.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries.to_vec())).start_time(seconds(0));
    let ask = ask.end_time(seconds(240)).max_datapoints(3);
    let pages = ask.into_paginator().send().collect::<Result<Vec<_>, _>>().await.expect("every page");
    let first = &pages[0].metric_data_results()[0];
    assert_eq!((first.values().len(), first.status_code()), (3, Some(&StatusCode::PartialData)));
    for id in ["a", "b"] {
        let all = pages.iter().flat_map(|page| page.metric_data_results()).filter(|r| r.id() == Some(id));
        assert!(all.map(|r| r.values().len()).sum::<usize>() >= 4, "{pages:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_is_refused_with_a_code() {
    let account = Account::new();
    let ask = || account.cloudwatch.get_metric_data().start_time(seconds(0)).end_time(seconds(60));
    let error = ask().send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationError"));
    let dimensions = blue(&account);
    let one = query("n", "RequestCount", &dimensions);
    let error = ask().metric_data_queries(one.clone()).metric_data_queries(one.clone()).send().await.unwrap_err().into_service_error();
    assert!(error.message().expect("a message").contains("stands twice"), "{error:?}");
    let error = ask().metric_data_queries(one.clone()).end_time(seconds(-60)).send().await.unwrap_err().into_service_error();
    assert!(error.message().expect("a message").contains("StartTime must be less"), "{error:?}");
    let error = ask().metric_data_queries(one).next_token("bogus").send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_next_token());
    let error = account.cloudwatch.list_metrics().send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("UnknownOperationException"));
}

#[tokio::test(start_paused = true)]
async fn a_composite_alarm_is_not_there_for_who_does_not_ask_for_its_type() {
    let account = Account::new();
    account.with(|sandbox| {
        sandbox.world.set_alarm("beta-5xx", false, "OK");
        sandbox.world.set_alarm("beta-all", true, "ALARM");
        sandbox.world.set_alarm("new", false, "INSUFFICIENT_DATA");
    });
    let ask = || account.cloudwatch.describe_alarms().alarm_names("beta-5xx").alarm_names("beta-all").alarm_names("nobody");
    let out = ask().send().await.expect("described");
    assert_eq!((out.metric_alarms().len(), out.composite_alarms().len()), (1, 0));
    let out = ask().alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm).send().await.expect("described");
    let states = (out.metric_alarms()[0].state_value(), out.composite_alarms()[0].state_value());
    assert_eq!(states, (Some(&StateValue::Ok), Some(&StateValue::Alarm)));
    assert_eq!(out.metric_alarms()[0].alarm_arn(), Some("arn:aws:cloudwatch:us-east-1:052730242331:alarm:beta-5xx"));
    assert!(out.metric_alarms()[0].state_updated_timestamp().is_some());
    let pages = account.cloudwatch.describe_alarms().max_records(1).into_paginator().send().collect::<Result<Vec<_>, _>>().await;
    let pages = pages.expect("every page");
    assert_eq!(pages.iter().flat_map(|p| p.metric_alarms()).filter_map(|a| a.alarm_name()).collect::<Vec<_>>(), ["beta-5xx", "new"]);
}

#[tokio::test(start_paused = true)]
async fn alarms_and_metrics_have_rates_of_their_own() {
    let account = Account::new();
    account.with(|sandbox| sandbox.world.throttles.get_mut("alarms").expect("a bucket").tokens = 0.5);
    let error = account.cloudwatch.describe_alarms().send().await.unwrap_err().into_service_error();
    assert_eq!((error.code(), error.message()), (Some("Throttling"), Some("Rate exceeded")));
    let queries = query("n", "RequestCount", &blue(&account));
    let ask = account.cloudwatch.get_metric_data().metric_data_queries(queries).start_time(seconds(0)).end_time(seconds(60));
    ask.send().await.expect("reads go on");
}

#[tokio::test(start_paused = true)]
async fn a_metric_that_somebody_published_is_read_by_exactly_its_dimensions() {
    let account = Account::new();
    let of_beta = Dimension::builder().name("Environment").value("beta").build();
    let datum = |value: f64| MetricDatum::builder().metric_name("DeploySeconds").dimensions(of_beta.clone()).value(value).build();
    let put = account.cloudwatch.put_metric_data().namespace("bgx").metric_data(datum(100.0)).metric_data(datum(140.0));
    put.send().await.expect("published");
    let read = async |dimensions: Option<Vec<Dimension>>, statistic: &str| {
        let metric = Metric::builder().namespace("bgx").metric_name("DeploySeconds").set_dimensions(dimensions).build();
        let stat = MetricStat::builder().metric(metric).period(60).stat(statistic).build();
        let query = MetricDataQuery::builder().id("d").metric_stat(stat).build();
        let ask = account.cloudwatch.get_metric_data().metric_data_queries(query).start_time(seconds(0)).end_time(seconds(60));
        ask.send().await.expect("read").metric_data_results()[0].values().to_vec()
    };
    assert_eq!(read(Some(vec![of_beta.clone()]), "Average").await, [120.0]);
    assert_eq!(read(Some(vec![of_beta.clone()]), "Maximum").await, [140.0]);
    assert_eq!(read(Some(vec![of_beta.clone()]), "SampleCount").await, [2.0]);
    assert!(read(None, "Average").await.is_empty());
    let error = account.cloudwatch.put_metric_data().namespace("AWS/Own").metric_data(datum(1.0)).send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("InvalidParameterValue"));
}
