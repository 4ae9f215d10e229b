//! Whether a reply that says success is an answer to what was asked: the SDK takes an HTML page for an empty list.

use super::xml;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef as Context;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};

/// How an operation's success looks on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `<XResponse>`, with `<XResult>` in it where the operation has one.
    Query { has_result: bool },
    /// A JSON object.
    Json,
    /// An XML document with this root.
    Xml(&'static str),
    /// An object's headers: there is always an ETag, and S3's request id.
    Headers,
    /// 204 without a body.
    NoContent,
}

/// Elements that a reply of Auto Scaling must have. Where one lacks, the SDK fills in 0 or an empty list, which would read as a fact.
const REQUIRED: [(&str, &[&str], &[&str]); 5] = [
    ("DescribeAutoScalingGroups", &["DescribeAutoScalingGroupsResult"], &["AutoScalingGroups"]),
    (
        "DescribeAutoScalingGroups",
        &["DescribeAutoScalingGroupsResult", "AutoScalingGroups", "member"],
        &["AutoScalingGroupName", "MinSize", "MaxSize", "DesiredCapacity", "HealthCheckType"],
    ),
    (
        "DescribeAutoScalingGroups",
        &["DescribeAutoScalingGroupsResult", "AutoScalingGroups", "member", "Instances", "member"],
        &["InstanceId", "AvailabilityZone", "LifecycleState", "HealthStatus"],
    ),
    ("DescribeScalingActivities", &["DescribeScalingActivitiesResult"], &["Activities"]),
    ("DescribeScalingActivities", &["DescribeScalingActivitiesResult", "Activities", "member"], &["ActivityId", "StartTime", "StatusCode"]),
];

/// The operations this room calls; any other is judged as a query without result.
fn shape(operation: &str) -> Shape {
    match operation {
        "GetParameter" | "GetParameters" | "PutParameter" | "DeleteParameter" | "DescribeInstanceInformation" => Shape::Json,
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
            let Some(document) = xml::parse(text()?).filter(|d| d.name == root) else { return not_one(&root) };
            if has_result && document.child(&format!("{operation}Result")).is_none() {
                return not_one(&root);
            }
            required(operation, &document)
        }
        Shape::Json => match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body.unwrap_or_default()) {
            Ok(_) => Ok(()),
            Err(_) => not_one("JSON object"),
        },
        Shape::Xml(root) if xml::parse(text()?).is_some_and(|d| d.name == root) => Ok(()),
        Shape::Xml(root) => not_one(root),
        Shape::Headers if has_marks => Ok(()),
        Shape::Headers => not_one("object of S3: it lacks ETag or request id"),
        Shape::NoContent if status == 204 => Ok(()),
        Shape::NoContent => not_one("`204 No Content`"),
    }
}

fn required(operation: &str, document: &xml::Element<'_>) -> Result<(), String> {
    for (of, path, names) in REQUIRED.iter().filter(|(of, ..)| *of == operation) {
        for element in document.at(path) {
            if let Some(name) = names.iter().find(|name| element.child(name).is_none()) {
                return Err(format!("the reply to {of} lacks `{name}`"));
            }
        }
    }
    Ok(())
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
    fn a_reply_to_another_operation_is_no_answer() {
        assert!(of_query("DescribeTargetHealth", &groups("")).is_err());
        assert!(of_query("DescribeRules", "<DescribeRulesResponse/>").is_err());
        assert_eq!(of_query("DescribeRules", "<DescribeRulesResponse><DescribeRulesResult/></DescribeRulesResponse>"), Ok(()));
        assert_eq!(of_query("SuspendProcesses", "<SuspendProcessesResponse/>"), Ok(()));
    }
}
