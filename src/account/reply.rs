//! Whether a reply that says success is an answer to what was asked: the SDK takes an HTML page for an empty list.

use super::xml::{self, Step};
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef as Context;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use serde::de::IgnoredAny;

/// How an operation's success looks on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `<XResponse>`, with `<XResult>` in it where the operation has one.
    Query { has_result: bool },
    /// A JSON object.
    Json,
    /// A CBOR map to its end.
    Cbor,
    /// An XML document with this root.
    Xml(&'static str),
    /// An object's headers: there is always an ETag, and S3's request id.
    Headers,
    /// 204 without a body.
    NoContent,
}

/// Elements that each element at a path below the root must have.
struct Required {
    operation: &'static str,
    path: &'static [&'static str],
    names: &'static [&'static str],
}

/// What a reply of Auto Scaling must have. Where one lacks, the SDK fills in 0 or an empty list, which would read as a fact.
const REQUIRED: [Required; 5] = [
    Required { operation: "DescribeAutoScalingGroups", path: &["DescribeAutoScalingGroupsResult"], names: &["AutoScalingGroups"] },
    Required {
        operation: "DescribeAutoScalingGroups",
        path: &["DescribeAutoScalingGroupsResult", "AutoScalingGroups", "member"],
        names: &["AutoScalingGroupName", "MinSize", "MaxSize", "DesiredCapacity", "HealthCheckType"],
    },
    Required {
        operation: "DescribeAutoScalingGroups",
        path: &["DescribeAutoScalingGroupsResult", "AutoScalingGroups", "member", "Instances", "member"],
        names: &["InstanceId", "AvailabilityZone", "LifecycleState", "HealthStatus"],
    },
    Required { operation: "DescribeScalingActivities", path: &["DescribeScalingActivitiesResult"], names: &["Activities"] },
    Required {
        operation: "DescribeScalingActivities",
        path: &["DescribeScalingActivitiesResult", "Activities", "member"],
        names: &["ActivityId", "StartTime", "StatusCode"],
    },
];

/// The operations this room calls; any other is judged as a query without result.
fn shape(operation: &str) -> Shape {
    match operation {
        "GetParameter"
        | "GetParameters"
        | "PutParameter"
        | "DeleteParameter"
        | "DescribeInstanceInformation"
        | "SendCommand"
        | "ListCommands"
        | "GetCommandInvocation" => Shape::Json,
        "GetMetricData" | "DescribeAlarms" => Shape::Cbor,
        "GetObject" | "HeadObject" | "PutObject" => Shape::Headers,
        "DeleteObject" => Shape::NoContent,
        "ListObjectsV2" => Shape::Xml("ListBucketResult"),
        "CopyObject" => Shape::Xml("CopyObjectResult"),
        "UpdateAutoScalingGroup" | "SuspendProcesses" | "ResumeProcesses" => Shape::Query { has_result: false },
        _ => Shape::Query { has_result: true },
    }
}

/// Rejects a reply that is no answer of the operation.
fn judge(operation: &str, status: u16, has_marks: bool, body: Option<&[u8]>) -> Result<(), String> {
    let text = || std::str::from_utf8(body.unwrap_or_default()).map_err(|_| "the reply is not text".to_string());
    let not_one = |what: &str| Err(format!("the reply is no {what}"));
    match shape(operation) {
        Shape::Query { has_result } => {
            let root = format!("{operation}Response");
            let Some(seen) = look(operation, text()?).filter(|seen| seen.root == root) else { return not_one(&root) };
            match seen.lacks {
                _ if has_result && !seen.has_result => not_one(&root),
                Some(name) => Err(format!("the reply to {operation} lacks `{name}`")),
                None => Ok(()),
            }
        }
        Shape::Json if is_json_object(body.unwrap_or_default()) => Ok(()),
        Shape::Json => not_one("JSON object"),
        Shape::Cbor if is_cbor_map(body.unwrap_or_default()) => Ok(()),
        Shape::Cbor => not_one("CBOR map"),
        Shape::Xml(root) if xml::root(text()?) == Some(root) => Ok(()),
        Shape::Xml(root) => not_one(root),
        Shape::Headers if has_marks => Ok(()),
        Shape::Headers => not_one("object of S3: it lacks ETag or request id"),
        Shape::NoContent if status == 204 => Ok(()),
        Shape::NoContent => not_one("`204 No Content`"),
    }
}

/// Reads it to its end and keeps nothing.
fn is_json_object(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// The same for CBOR.
fn is_cbor_map(body: &[u8]) -> bool {
    let mut decoder = minicbor::Decoder::new(body);
    let is_map = matches!(decoder.datatype(), Ok(minicbor::data::Type::Map | minicbor::data::Type::MapIndef));
    is_map && decoder.skip().is_ok() && decoder.position() == body.len()
}

/// What a document is, as far as the judge wants to know.
#[derive(Debug, PartialEq, Eq)]
struct Seen<'a> {
    root: &'a str,
    /// Under the root stands `<XResult>`.
    has_result: bool,
    /// The first required element that was not there.
    lacks: Option<&'static str>,
}

/// Reads a reply once; `None` if it is no whole document.
fn look<'a>(operation: &str, text: &'a str) -> Option<Seen<'a>> {
    let of_operation = |path: &[&str]| path.len() == 2 && path[1].strip_suffix("Result") == Some(operation);
    let rules: Vec<&Required> = REQUIRED.iter().filter(|rule| rule.operation == operation).collect();
    // Of the element that is open at each rule's path: the required names met so far, one bit each.
    let mut met = [0_u8; REQUIRED.len()];
    let (mut has_result, mut lacks) = (false, None);
    let root = xml::read(text, |step, path| {
        has_result |= of_operation(path);
        for (rule, met) in rules.iter().zip(&mut met) {
            match (step, path.len().checked_sub(rule.path.len() + 1)) {
                (Step::Opens, Some(0)) => *met = 0,
                (Step::Opens, Some(1)) if path[1..].starts_with(rule.path) => {
                    *met |= rule.names.iter().position(|name| path.last() == Some(name)).map_or(0, |at| 1 << at);
                }
                (Step::Closes, Some(0)) if path[1..] == *rule.path => {
                    lacks = lacks.or(rule.names.iter().enumerate().find(|(at, _)| *met & (1 << at) == 0).map(|(_, name)| *name));
                }
                (Step::Opens | Step::Closes, _) => {}
            }
        }
    })?;
    Some(Seen { root, has_result, lacks })
}

/// Whether a reply bears the marks of S3.
fn has_marks(reply: &HttpResponse) -> bool {
    let header = |name| reply.headers().get(name).is_some_and(|v| !v.is_empty());
    header("etag") && (header("x-amz-request-id") || header("x-amzn-requestid"))
}

/// Judges every successful reply before anyone can take it for a fact.
#[derive(Debug)]
pub(super) struct ReplyJudge;

impl Intercept for ReplyJudge {
    fn name(&self) -> &'static str {
        "ReplyJudge"
    }

    fn read_after_deserialization(&self, context: &Context<'_>, _: &RuntimeComponents, config: &mut ConfigBag) -> Result<(), BoxError> {
        if context.output_or_error().is_err() {
            return Ok(());
        }
        let operation = config.load::<Metadata>().map_or("", Metadata::name);
        let reply = context.response();
        Ok(judge(operation, reply.status().as_u16(), has_marks(reply), reply.body().bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(member: &str) -> String {
        format!(
            "<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups>{member}</AutoScalingGroups>\
             </DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>"
        )
    }

    fn of_query(operation: &str, body: &str) -> Result<(), String> {
        judge(operation, 200, false, Some(body.as_bytes()))
    }

    #[test]
    fn a_page_or_nothing_is_no_answer_to_any_operation() {
        let operations = [
            "DescribeAutoScalingGroups",
            "UpdateAutoScalingGroup",
            "ModifyRule",
            "DescribeTargetHealth",
            "GetParameter",
            "ListObjectsV2",
            "CopyObject",
            "GetObject",
            "DeleteObject",
            "GetCallerIdentity",
            "GetMetricData",
            "DescribeAlarms",
        ];
        for operation in operations {
            for body in ["", "<html><body>sign in</body></html>", "null", "[]"] {
                assert!(of_query(operation, body).is_err(), "{operation} took {body:?}");
            }
        }
    }

    #[test]
    fn a_group_without_a_size_is_no_answer() {
        let whole = "<member><AutoScalingGroupName>a</AutoScalingGroupName><MinSize>1</MinSize><MaxSize>1</MaxSize>\
                     <DesiredCapacity>1</DesiredCapacity><HealthCheckType>EC2</HealthCheckType></member>";
        assert_eq!(of_query("DescribeAutoScalingGroups", &groups(whole)), Ok(()));
        assert_eq!(of_query("DescribeAutoScalingGroups", &groups("")), Ok(()));
        let cut = whole.replace("<DesiredCapacity>1</DesiredCapacity>", "");
        assert!(of_query("DescribeAutoScalingGroups", &groups(&cut)).unwrap_err().contains("`DesiredCapacity`"));
    }

    #[test]
    fn each_instance_and_activity_is_looked_at_by_itself() {
        let group = |instances: &str| {
            groups(&format!(
                "<member><AutoScalingGroupName>a</AutoScalingGroupName><MinSize>1</MinSize><MaxSize>1</MaxSize><DesiredCapacity>1\
                 </DesiredCapacity><HealthCheckType>EC2</HealthCheckType><Instances>{instances}</Instances></member>"
            ))
        };
        let whole = "<member><InstanceId/><AvailabilityZone/><LifecycleState/><HealthStatus/></member>";
        let cut = "<member><InstanceId/><AvailabilityZone/><LifecycleState/><X><HealthStatus/></X></member>";
        assert_eq!(of_query("DescribeAutoScalingGroups", &group(&whole.repeat(3))), Ok(()));
        for instances in [format!("{whole}{cut}"), format!("{cut}{whole}"), format!("{whole}<member/>")] {
            assert!(of_query("DescribeAutoScalingGroups", &group(&instances)).is_err(), "{instances}");
        }
        let activities = |member: &str| {
            format!(
                "<DescribeScalingActivitiesResponse><DescribeScalingActivitiesResult>{member}</DescribeScalingActivitiesResult>\
                 </DescribeScalingActivitiesResponse>"
            )
        };
        assert_eq!(of_query("DescribeScalingActivities", &activities("<Activities/>")), Ok(()));
        assert!(of_query("DescribeScalingActivities", &activities("")).unwrap_err().contains("`Activities`"));
        let cut = activities("<Activities><member><ActivityId/><StatusCode/></member></Activities>");
        assert!(of_query("DescribeScalingActivities", &cut).unwrap_err().contains("`StartTime`"));
    }

    #[test]
    fn a_reply_to_another_operation_is_no_answer() {
        assert!(of_query("DescribeTargetHealth", &groups("")).is_err());
        assert!(of_query("DescribeRules", "<DescribeRulesResponse/>").is_err());
        assert_eq!(of_query("DescribeRules", "<DescribeRulesResponse><DescribeRulesResult/></DescribeRulesResponse>"), Ok(()));
        assert_eq!(of_query("SuspendProcesses", "<SuspendProcessesResponse/>"), Ok(()));
    }
}
