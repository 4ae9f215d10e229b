//! CloudWatch, rpc-v2-cbor and awsJson 1.0: metrics of the load balancers, and alarms.

use super::page::page;
use super::{Reply, cbor, content_type};
use crate::sandbox::Request;
use crate::sandbox::world::{Asked, Datum, Fault, MetricAlarm, Time, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TARGET: &str = "GraniteServiceVersion20100801";
/// AWS page "GetMetricData": metrics in one call, and values in one reply.
const QUERIES_MAX: usize = 500;
const VALUES_MAX: u32 = 100_800;
/// AWS page "PutMetricData".
const DATA_MAX: usize = 1000;
/// AWS page "DescribeAlarms".
const ALARM_NAMES_MAX: usize = 100;

/// Operation and input of a request, in either protocol.
pub fn read(request: &Request) -> Result<(String, Value), Fault> {
    let unknown = || Fault::new(400, "UnknownOperationException", "neither the path nor `x-amz-target` names an operation of CloudWatch");
    let malformed = |why: String| Fault::new(400, "SerializationException", why);
    if !is_cbor(request) {
        let target = request.header("x-amz-target").and_then(|target| target.strip_prefix(TARGET)?.strip_prefix('.'));
        let input = serde_json::from_slice(&request.body).map_err(|e| malformed(e.to_string()))?;
        return Ok((target.ok_or_else(unknown)?.to_owned(), input));
    }
    let operation = request.path.strip_prefix(&format!("/service/{TARGET}/operation/")).ok_or_else(unknown)?;
    if request.header("content-encoding").is_some() {
        return Err(malformed("the sandbox reads no compressed body".to_owned()));
    }
    Ok((operation.to_owned(), cbor::read(&request.body).map_err(malformed)?))
}

fn is_cbor(request: &Request) -> bool {
    request.header("smithy-protocol") == Some("rpc-v2-cbor")
}

/// A value in the protocol of the request.
pub fn reply(status: u16, value: &Value, request: &Request) -> Reply {
    let headers = vec![content_type("application/cbor"), ("smithy-protocol".to_owned(), "rpc-v2-cbor".to_owned())];
    match is_cbor(request) {
        true => Reply { status, headers, body: cbor::write(value) },
        false => Reply { status, headers: vec![content_type("application/x-amz-json-1.0")], body: value.to_string().into_bytes() },
    }
}

/// The code stands in the body and, for those who knew the query protocol, in a header.
pub fn error(fault: &Fault, request: &Request) -> Reply {
    let mut reply = reply(fault.status, &json!({ "__type": fault.code, "message": fault.message }), request);
    let whose = if fault.status >= 500 { "Receiver" } else { "Sender" };
    reply.headers.push(("x-amzn-query-error".to_owned(), format!("{};{whose}", fault.code)));
    reply
}

pub fn handle(world: &mut World, operation: &str, input: &Value) -> Result<Value, Fault> {
    match operation {
        "GetMetricData" => get_metric_data(world, input),
        "DescribeAlarms" => describe_alarms(world, input),
        "PutMetricData" => put_metric_data(world, input),
        _ => Err(Fault::new(400, "UnknownOperationException", format!("the sandbox does not simulate `{operation}`"))),
    }
}

fn get_metric_data(world: &World, input: &Value) -> Result<Value, Fault> {
    only(input, &["MetricDataQueries", "StartTime", "EndTime", "NextToken", "ScanBy", "MaxDatapoints"])?;
    let queries = list(input, "MetricDataQueries");
    if queries.is_empty() || queries.len() > QUERIES_MAX {
        return Err(invalid(format!("MetricDataQueries must have 1 to {QUERIES_MAX} members, got {}", queries.len())));
    }
    let (start, end) = (moment(input, "StartTime")?, moment(input, "EndTime")?);
    if start >= end {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime.".to_owned()));
    }
    let newest_first = match input["ScanBy"].as_str() {
        None | Some("TimestampDescending") => true,
        Some("TimestampAscending") => false,
        Some(other) => return Err(invalid(format!("ScanBy cannot be {other}"))),
    };
    let mut ids = Vec::new();
    let mut all: Vec<(usize, Time, f64)> = Vec::new();
    for (index, query) in queries.iter().enumerate() {
        let (id, asked) = asked(query)?;
        if ids.contains(&id) {
            return Err(invalid(format!("The id {id} stands twice in MetricDataQueries")));
        }
        ids.push(id);
        let mut points = world.metric(&asked, start, end);
        if newest_first {
            points.reverse();
        }
        all.extend(points.into_iter().map(|(at, value)| (index, at, value)));
    }
    let size = count(input, "MaxDatapoints", VALUES_MAX, VALUES_MAX)?;
    let page = page(all, "GetMetricData", input["NextToken"].as_str(), size).ok_or_else(invalid_token)?;
    let last = page.next.as_ref().and_then(|_| page.items.last()).map(|(index, ..)| *index);
    let results: Vec<Value> = ids.iter().enumerate().map(|(index, id)| result(index, id, &page.items, last)).collect();
    Ok(with_token(json!({ "MetricDataResults": results, "Messages": [] }), page.next))
}

/// One metric's part of a page; `last`: the metric that the next page goes on with.
fn result(index: usize, id: &str, items: &[(usize, Time, f64)], last: Option<usize>) -> Value {
    let own: Vec<&(usize, Time, f64)> = items.iter().filter(|(of, ..)| *of == index).collect();
    let status = if last.is_some_and(|last| index >= last) { "PartialData" } else { "Complete" };
    json!({
        "Id": id,
        "Label": id,
        "Timestamps": own.iter().map(|(_, at, _)| at.0 as f64 / 1000.0).collect::<Vec<_>>(),
        "Values": own.iter().map(|(_, _, value)| *value).collect::<Vec<_>>(),
        "StatusCode": status,
    })
}

fn asked(query: &Value) -> Result<(String, Asked), Fault> {
    only(query, &["Id", "MetricStat", "Label", "ReturnData"])?;
    let (stat, id) = (&query["MetricStat"], text(query, "Id")?);
    only(stat, &["Metric", "Period", "Stat", "Unit"])?;
    only(&stat["Metric"], &["Namespace", "MetricName", "Dimensions"])?;
    let fits = id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !fits {
        return Err(invalid(format!("The value {id} for parameter Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.")));
    }
    let period = count(stat, "Period", 0, 86_400)?;
    if period == 0 || period % 60 != 0 {
        return Err(invalid("Period must be a multiple of 60".to_owned()));
    }
    let statistic = text(stat, "Stat")?.to_owned();
    let percentile = statistic.strip_prefix('p').is_some_and(|p| p.parse::<f64>().is_ok());
    let trimmed = statistic.strip_prefix("TC(").and_then(|rest| rest.strip_suffix(":)")).is_some_and(|above| above.parse::<f64>().is_ok());
    if !percentile && !trimmed && !["Sum", "SampleCount", "Average", "Minimum", "Maximum"].contains(&statistic.as_str()) {
        return Err(invalid(format!("the sandbox does not simulate the statistic {statistic}")));
    }
    let (metric, dimensions) = (&stat["Metric"], dimensions(&stat["Metric"])?);
    let (namespace, name) = (text(metric, "Namespace")?.to_owned(), text(metric, "MetricName")?.to_owned());
    Ok((id.to_owned(), Asked { namespace, name, dimensions, period_seconds: period, statistic }))
}

fn put_metric_data(world: &mut World, input: &Value) -> Result<Value, Fault> {
    only(input, &["Namespace", "MetricData"])?;
    let namespace = text(input, "Namespace")?;
    if namespace.starts_with("AWS/") || namespace.is_empty() {
        return Err(Fault::new(400, "InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid."));
    }
    let data = list(input, "MetricData");
    if data.is_empty() || data.len() > DATA_MAX {
        return Err(invalid(format!("MetricData must have 1 to {DATA_MAX} members, got {}", data.len())));
    }
    let data = data.iter().map(|given| datum(world.now, namespace, given)).collect::<Result<Vec<_>, Fault>>()?;
    data.into_iter().for_each(|datum| world.publish(datum));
    Ok(json!({}))
}

/// A value, or a set of statistics.
fn datum(now: Time, namespace: &str, given: &Value) -> Result<Datum, Fault> {
    only(given, &["MetricName", "Dimensions", "Timestamp", "Value", "StatisticValues", "Unit"])?;
    let (set, dimensions) = (&given["StatisticValues"], dimensions(given)?);
    let number = |from: &Value, name: &str| from[name].as_f64().ok_or_else(|| missing(name));
    let (count, sum, minimum, maximum) = match set.is_null() {
        true => number(given, "Value").map(|value| (1.0, value, value, value))?,
        false => (number(set, "SampleCount")?, number(set, "Sum")?, number(set, "Minimum")?, number(set, "Maximum")?),
    };
    let at = if given["Timestamp"].is_null() { now } else { moment(given, "Timestamp")? };
    let (namespace, name) = (namespace.to_owned(), text(given, "MetricName")?.to_owned());
    Ok(Datum { namespace, name, dimensions, at, count, sum, minimum, maximum })
}

fn dimensions(of: &Value) -> Result<BTreeMap<String, String>, Fault> {
    let pair = |d: &Value| Ok((text(d, "Name")?.to_owned(), text(d, "Value")?.to_owned()));
    list(of, "Dimensions").iter().map(pair).collect()
}

fn describe_alarms(world: &World, input: &Value) -> Result<Value, Fault> {
    only(input, &["AlarmNames", "AlarmTypes", "MaxRecords", "NextToken"])?;
    let (names, kinds) = (texts(input, "AlarmNames"), texts(input, "AlarmTypes"));
    if names.len() > ALARM_NAMES_MAX {
        return Err(invalid(format!("AlarmNames must have at most {ALARM_NAMES_MAX} members")));
    }
    if let Some(odd) = kinds.iter().find(|kind| !["MetricAlarm", "CompositeAlarm"].contains(&kind.as_str())) {
        return Err(invalid(format!("the sandbox does not simulate the alarm type {odd}")));
    }
    let size = count(input, "MaxRecords", 50, 100)?;
    let found = world.describe_alarms(&names, &kinds);
    let page = page(found, "DescribeAlarms", input["NextToken"].as_str(), size.min(world.timing.page_items)).ok_or_else(invalid_token)?;
    let of = |composite: bool| page.items.iter().filter(|a| a.composite == composite).map(|a| alarm(world, a)).collect::<Vec<_>>();
    Ok(with_token(json!({ "MetricAlarms": of(false), "CompositeAlarms": of(true) }), page.next))
}

fn alarm(world: &World, alarm: &MetricAlarm) -> Value {
    json!({
        "AlarmName": alarm.name,
        "AlarmArn": format!("arn:aws:cloudwatch:{}:{}:alarm:{}", world.region, world.account, alarm.name),
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateUpdatedTimestamp": alarm.updated.0 as f64 / 1000.0,
        "ActionsEnabled": true,
    })
}

fn moment(input: &Value, name: &str) -> Result<Time, Fault> {
    let seconds = input[name].as_f64().filter(|seconds| (0.0..1e12).contains(seconds));
    seconds.map(|s| Time((s * 1000.0) as u64)).ok_or_else(|| missing(name))
}

fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, Fault> {
    input[name].as_str().ok_or_else(|| missing(name))
}

fn list<'a>(input: &'a Value, name: &str) -> &'a [Value] {
    input[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn texts(input: &Value, name: &str) -> Vec<String> {
    list(input, name).iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// A number from 1 to `most`.
fn count(input: &Value, name: &str, otherwise: u32, most: u32) -> Result<u32, Fault> {
    let given = match &input[name] {
        Value::Null => return Ok(otherwise),
        value => value.as_u64().and_then(|n| u32::try_from(n).ok()),
    };
    given.filter(|n| (1..=most).contains(n)).ok_or_else(|| invalid(format!("{name} must be between 1 and {most}")))
}

fn with_token(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["NextToken"] = Value::String(next);
    }
    answer
}

/// Refuses members that the sandbox does not act on.
fn only(input: &Value, names: &[&str]) -> Result<(), Fault> {
    let members = input.as_object().ok_or_else(|| invalid("a structure is missing, or is none".to_owned()))?;
    match members.keys().find(|key| !names.contains(&key.as_str())) {
        None => Ok(()),
        Some(strange) => Err(invalid(format!("the sandbox does not simulate `{strange}` in this call"))),
    }
}

fn missing(name: &str) -> Fault {
    Fault::new(400, "MissingParameter", format!("The parameter {name} is required."))
}

fn invalid(message: String) -> Fault {
    Fault::new(400, "ValidationError", message)
}

fn invalid_token() -> Fault {
    Fault::new(400, "InvalidNextToken", "The next token is invalid.")
}
