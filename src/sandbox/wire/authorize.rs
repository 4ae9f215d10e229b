//! Which permissions a call needs, as the Service Authorization Reference of each service has them, and whether the caller has them.

use super::query::Form;
use super::{Call, Input, Service, autoscaling, s3};
use crate::sandbox::Request;
use crate::sandbox::world::{Fault, World};
use serde_json::Value;

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// `autoscaling:UpdateAutoScalingGroup`
    pub action: String,
    /// An ARN; `*` where the action takes no resource.
    pub resource: String,
}

/// All that the caller must be allowed, each of them.
pub fn needs(world: &World, call: &Call, request: &Request) -> Vec<Need> {
    let operation = call.operation.as_str();
    match (call.service, &call.input) {
        (Service::AutoScaling, Input::Form(form)) => vec![need("autoscaling", operation, group(world, operation, form))],
        (Service::LoadBalancing, Input::Form(form)) => vec![need("elasticloadbalancing", operation, balancing(operation, form))],
        (Service::Ssm, Input::Json(input)) => parameters(world, operation, input),
        (Service::CloudWatch, _) => vec![need("cloudwatch", operation, "*".to_owned())],
        (Service::S3, Input::Object(place)) => objects(world, operation, place, request),
        // STS: "No permissions are required to perform this operation". The others are no services of AWS.
        (Service::Sts | Service::Instance | Service::Webhook | Service::GitHub, _) => Vec::new(),
        (Service::AutoScaling | Service::LoadBalancing | Service::Ssm | Service::S3, _) => Vec::new(),
    }
}

/// Refuses a call for which the policy of the account's caller, where there is one, lacks a permission.
pub fn admit(world: &World, call: &Call, request: &Request) -> Result<(), Fault> {
    let Some(policy) = &world.policy else { return Ok(()) };
    let missing = needs(world, call, request).into_iter().find(|need| !policy.allows(&need.action, &need.resource));
    missing.map_or(Ok(()), |need| Err(denied(world, call.service, &need)))
}

/// In the words of IAM; each protocol has a code of its own.
fn denied(world: &World, service: Service, Need { action, resource }: &Need) -> Fault {
    let (status, code) = if service == Service::Ssm { (400, "AccessDeniedException") } else { (403, "AccessDenied") };
    let who = format!("arn:aws:sts::{}:assumed-role/deployer/bgx", world.account);
    let on = if resource == "*" { String::new() } else { format!(" on resource: {resource}") };
    let why = format!("because no identity-based policy allows the {action} action");
    Fault::new(status, code, format!("User: {who} is not authorized to perform: {action}{on} {why}"))
}

fn need(prefix: &str, operation: &str, resource: String) -> Need {
    Need { action: format!("{prefix}:{operation}"), resource }
}

/// Reads take no resource; a change is of one group, also where the request names an instance of it.
fn group(world: &World, operation: &str, form: &Form) -> String {
    if operation.starts_with("Describe") {
        return "*".to_owned();
    }
    let of_instance = || form.get("InstanceId").and_then(|id| world.instances.get(id)).map(|instance| instance.group.as_str());
    let name = form.get("AutoScalingGroupName").or_else(of_instance).unwrap_or_default();
    autoscaling::group_arn(world, name)
}

fn balancing(operation: &str, form: &Form) -> String {
    let named = ["RuleArn", "ListenerArn", "TargetGroupArn"].into_iter().find_map(|name| form.get(name));
    if operation.starts_with("Describe") { "*".to_owned() } else { named.unwrap_or("*").to_owned() }
}

fn parameters(world: &World, operation: &str, input: &Value) -> Vec<Need> {
    let (region, account) = (&world.region, &world.account);
    let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
    let texts =
        |name: &str| -> Vec<String> { input[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect() };
    // `name:3` is a version of it.
    let parameter = |name: String| {
        let name = name.split(':').next().unwrap_or_default().trim_start_matches('/').to_owned();
        need("ssm", operation, format!("arn:aws:ssm:{region}:{account}:parameter/{name}"))
    };
    match operation {
        "GetParameter" | "PutParameter" | "DeleteParameter" => vec![parameter(text("Name"))],
        "GetParameters" => texts("Names").into_iter().map(parameter).collect(),
        "GetParametersByPath" => vec![parameter(text("Path"))],
        "SendCommand" => {
            let instances = texts("InstanceIds").into_iter().map(|id| format!("arn:aws:ec2:{region}:{account}:instance/{id}"));
            // Documents of AWS itself are in no account.
            let document = format!("arn:aws:ssm:{region}::document/{}", text("DocumentName"));
            instances.chain([document]).map(|resource| need("ssm", operation, resource)).collect()
        }
        _ => vec![need("ssm", operation, "*".to_owned())],
    }
}

/// S3's pages "GetObject" (without ListBucket a missing key is a 403), "PutObject" and "CopyObject" (an ACL is a permission of its own),
/// and "Conditional requests" (whoever compares an ETag must be allowed to read it).
fn objects(world: &World, operation: &str, place: &s3::Place, request: &Request) -> Vec<Need> {
    let bucket = format!("arn:aws:s3:::{}", place.bucket);
    let object = format!("{bucket}/{}", place.key);
    let mut found = Vec::new();
    let mut add = |action: &str, resource: &str| found.push(need("s3", action, resource.to_owned()));
    match operation {
        "GetObject" | "HeadObject" => {
            add("GetObject", &object);
            if world.object(&place.bucket, &place.key).is_err() {
                add("ListBucket", &bucket);
            }
        }
        "PutObject" | "CopyObject" => {
            if operation == "CopyObject" {
                add("GetObject", &format!("arn:aws:s3:::{}", s3::copied_from(request)));
            }
            add("PutObject", &object);
            if request.header("x-amz-acl").is_some() {
                add("PutObjectAcl", &object);
            }
        }
        "DeleteObject" => add("DeleteObject", &object),
        "ListObjectsV2" | "HeadBucket" => add("ListBucket", &bucket),
        other => add(other, &object),
    }
    let writes = ["PutObject", "CopyObject", "DeleteObject"].contains(&operation);
    if writes && request.header("if-match").is_some_and(|tag| tag != "*") {
        add("GetObject", &object);
    }
    found
}
