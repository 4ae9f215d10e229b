//! Systems Manager, awsJson 1.1: parameters, and the nodes whose agent answers.

use super::commands;
use super::page::page;
use crate::sandbox::Request;
use crate::sandbox::world::{Fault, Instance, Lifecycle, Parameter, Time, World};
use serde_json::{Value, json};

/// Operation and input of a request.
pub fn read(request: &Request) -> Result<(String, Value), Fault> {
    let target = request.header("x-amz-target").and_then(|target| target.strip_prefix("AmazonSSM."));
    let operation =
        target.ok_or_else(|| Fault::new(400, "UnknownOperationException", "the header `x-amz-target` names no operation of AmazonSSM"))?;
    let input = if request.body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&request.body) };
    let input = input.map_err(|e| Fault::new(400, "SerializationException", e.to_string()))?;
    Ok((operation.to_owned(), input))
}

pub fn handle(world: &mut World, operation: &str, input: &Value) -> Result<Value, Fault> {
    match operation {
        "GetParameter" => get_parameter(world, input),
        "GetParameters" => get_parameters(world, input),
        "GetParametersByPath" => get_parameters_by_path(world, input),
        "PutParameter" => put_parameter(world, input),
        "DeleteParameter" => {
            only(input, &["Name"])?;
            world.delete_parameter(text(input, "Name")?).map(|()| json!({}))
        }
        "DescribeInstanceInformation" => describe_nodes(world, input),
        "SendCommand" => commands::send(world, input),
        "ListCommands" => commands::list(world, input),
        "GetCommandInvocation" => commands::invocation(world, input),
        _ => Err(Fault::new(400, "UnknownOperationException", format!("the sandbox does not simulate `{operation}`"))),
    }
}

fn get_parameter(world: &World, input: &Value) -> Result<Value, Fault> {
    only(input, &["Name", "WithDecryption"])?;
    let name = text(input, "Name")?;
    Ok(json!({ "Parameter": shown(world, name, &world.parameter(name)?) }))
}

fn get_parameters(world: &World, input: &Value) -> Result<Value, Fault> {
    only(input, &["Names", "WithDecryption"])?;
    let mut names = texts(input, "Names");
    if names.is_empty() || names.len() > 10 {
        return Err(constraint("names", "Member must have length less than or equal to 10 and greater than or equal to 1"));
    }
    names.sort();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        match world.parameter(&name) {
            Ok(parameter) => found.push(shown(world, &name, &parameter)),
            Err(_) => missing.push(name),
        }
    }
    Ok(json!({ "Parameters": found, "InvalidParameters": missing }))
}

fn get_parameters_by_path(world: &World, input: &Value) -> Result<Value, Fault> {
    only(input, &["Path", "Recursive", "WithDecryption", "MaxResults", "NextToken"])?;
    let path = text(input, "Path")?;
    if !path.starts_with('/') {
        return Err(Fault::new(
            400,
            "ValidationException",
            "The parameter doesn't meet the parameter name requirements: the path must begin with a forward slash \"/\"",
        ));
    }
    let recursive = input["Recursive"].as_bool().unwrap_or(false);
    let size = between(input, "MaxResults", 10, 1, 10)?.min(world.timing.page_items);
    let under = format!("{}/", path.trim_end_matches('/'));
    let is_in = |name: &&String| name.strip_prefix(&under).is_some_and(|rest| recursive || !rest.contains('/'));
    let names: Vec<&String> = world.parameters.keys().filter(is_in).collect();
    let page = page(names, "GetParametersByPath", token(input), size).ok_or_else(invalid_token)?;
    // A name that the reader cannot see yet is left out, as on a page that AWS filtered.
    let found: Vec<Value> = page.items.iter().filter_map(|name| Some(shown(world, name, &world.parameter(name).ok()?))).collect();
    Ok(with_token(json!({ "Parameters": found }), page.next))
}

fn put_parameter(world: &mut World, input: &Value) -> Result<Value, Fault> {
    only(input, &["Name", "Value", "Type", "Overwrite", "Tier", "DataType", "Description"])?;
    let overwrite = input["Overwrite"].as_bool().unwrap_or(false);
    let version = world.put_parameter(text(input, "Name")?, text(input, "Value")?, input["Type"].as_str(), overwrite)?;
    Ok(json!({ "Version": version, "Tier": "Standard" }))
}

/// A parameter as it was asked for: `name`, or `name:version`, whose answer names the selector.
fn shown(world: &World, asked: &str, parameter: &Parameter) -> Value {
    let (name, selector) = asked.split_once(':').unwrap_or((asked, ""));
    let mut value = json!({
        "Name": name,
        "Type": parameter.kind,
        "Value": parameter.value,
        "Version": parameter.version,
        "LastModifiedDate": epoch(parameter.modified),
        "ARN": format!("arn:aws:ssm:{}:{}:parameter/{}", world.region, world.account, name.trim_start_matches('/')),
        "DataType": "text",
    });
    if !selector.is_empty() {
        value["Selector"] = json!(format!(":{selector}"));
    }
    value
}

fn describe_nodes(world: &World, input: &Value) -> Result<Value, Fault> {
    only(input, &["InstanceInformationFilterList", "Filters", "MaxResults", "NextToken"])?;
    let mut nodes: Vec<&Instance> = world.instances.values().filter(|instance| runs(instance)).collect();
    for (key, values) in filters(input) {
        match key {
            "InstanceIds" => {
                if let Some(strange) = values.iter().find(|id| !world.instances.contains_key(*id)) {
                    return Err(Fault::new(400, "InvalidInstanceId", format!("Instance id {strange} is not valid or not yours")));
                }
                nodes.retain(|node| values.contains(&node.id));
            }
            "PingStatus" => nodes.retain(|_| values.iter().any(|status| status == "Online")),
            other => {
                return Err(Fault::new(
                    400,
                    "InvalidInstanceInformationFilterValue",
                    format!("the sandbox does not simulate the filter `{other}`"),
                ));
            }
        }
    }
    let size = between(input, "MaxResults", 10, 5, 50)?.min(world.timing.page_items);
    let page = page(nodes, "DescribeInstanceInformation", token(input), size).ok_or_else(invalid_token)?;
    let list: Vec<Value> = page.items.into_iter().map(|instance| node(world, instance)).collect();
    Ok(with_token(json!({ "InstanceInformationList": list }), page.next))
}

/// Whether the agent on it is up: after the boot and until the instance is gone.
fn runs(instance: &Instance) -> bool {
    match instance.lifecycle {
        Lifecycle::InService | Lifecycle::Standby | Lifecycle::Terminating => true,
        Lifecycle::Pending | Lifecycle::Terminated => false,
    }
}

/// The two ways to write a filter: `Filters` and the older `InstanceInformationFilterList`.
fn filters(input: &Value) -> Vec<(&str, Vec<String>)> {
    let list = |name: &str, key: &'static str, values: &'static str| {
        let items = input[name].as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().map(|item| (item[key].as_str().unwrap_or_default(), texts(item, values))).collect::<Vec<_>>()
    };
    [list("Filters", "Key", "Values"), list("InstanceInformationFilterList", "key", "valueSet")].concat()
}

fn node(world: &World, instance: &Instance) -> Value {
    json!({
        "InstanceId": instance.id,
        "PingStatus": "Online",
        "LastPingDateTime": epoch(world.now),
        "AgentVersion": "3.3.2299.0",
        "IsLatestVersion": true,
        "PlatformType": "Linux",
        "PlatformName": "Ubuntu",
        "PlatformVersion": "24.04",
        "ResourceType": "EC2Instance",
        "RegistrationDate": epoch(instance.launched),
        "IPAddress": instance.private_ip,
        "ComputerName": format!("ip-{}", instance.private_ip.replace('.', "-")),
    })
}

pub(super) fn epoch(at: Time) -> f64 {
    at.0 as f64 / 1000.0
}

pub(super) fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, Fault> {
    input[name].as_str().ok_or_else(|| constraint(&name.to_lowercase(), "Member must not be null"))
}

pub(super) fn texts(input: &Value, name: &str) -> Vec<String> {
    input[name].as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn between(input: &Value, name: &str, default: u32, low: u32, high: u32) -> Result<u32, Fault> {
    let given = match &input[name] {
        Value::Null => Some(default),
        value => value.as_u64().and_then(|n| u32::try_from(n).ok()),
    };
    let fits = given.filter(|n| (low..=high).contains(n));
    fits.ok_or_else(|| constraint("maxResults", &format!("Member must have value between {low} and {high}")))
}

fn token(input: &Value) -> Option<&str> {
    input["NextToken"].as_str()
}

fn with_token(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["NextToken"] = Value::String(next);
    }
    answer
}

/// Refuses members that the sandbox does not act on.
pub(super) fn only(input: &Value, names: &[&str]) -> Result<(), Fault> {
    let Some(members) = input.as_object() else {
        return Err(Fault::new(400, "SerializationException", "the input is not a JSON object"));
    };
    match members.keys().find(|key| !names.contains(&key.as_str())) {
        None => Ok(()),
        Some(strange) => Err(Fault::new(400, "ValidationException", format!("the sandbox does not simulate `{strange}` in this call"))),
    }
}

pub(super) fn constraint(member: &str, constraint: &str) -> Fault {
    Fault::new(
        400,
        "ValidationException",
        format!("1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}"),
    )
}

fn invalid_token() -> Fault {
    Fault::new(400, "InvalidNextToken", "The specified token is not valid.")
}
