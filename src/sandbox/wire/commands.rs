//! Systems Manager's Run Command, awsJson 1.1.

use super::ssm::{constraint, epoch, only, text, texts};
use crate::sandbox::world::{Command, Fault, World};
use serde_json::{Value, json};

pub fn send(world: &mut World, input: &Value) -> Result<Value, Fault> {
    only(input, &["InstanceIds", "DocumentName", "Comment", "Parameters", "TimeoutSeconds"])?;
    let (ids, document) = (texts(input, "InstanceIds"), text(input, "DocumentName")?.to_owned());
    let [id] = ids.as_slice() else {
        return Err(constraint("instanceIds", "the sandbox simulates commands to one instance"));
    };
    let command = world.send_command(id, &document, input["Comment"].as_str().unwrap_or_default())?;
    Ok(json!({ "Command": shown(world, &command) }))
}

pub fn list(world: &World, input: &Value) -> Result<Value, Fault> {
    only(input, &["InstanceId", "MaxResults"])?;
    let size = input["MaxResults"].as_u64().unwrap_or(50) as usize;
    let commands = world.commands_of(input["InstanceId"].as_str());
    Ok(json!({ "Commands": commands.into_iter().take(size).map(|command| shown(world, command)).collect::<Vec<_>>() }))
}

pub fn invocation(world: &World, input: &Value) -> Result<Value, Fault> {
    only(input, &["CommandId", "InstanceId"])?;
    let (id, instance) = (text(input, "CommandId")?, text(input, "InstanceId")?);
    let known = world.commands.get(id).filter(|command| command.instance == instance && command.seen <= world.now);
    let command = known.ok_or_else(|| Fault::new(400, "InvocationDoesNotExist", ""))?;
    let status = command.status(world.now);
    Ok(json!({
        "CommandId": command.id,
        "InstanceId": command.instance,
        "Comment": command.comment,
        "DocumentName": command.document,
        "Status": status,
        "StatusDetails": status,
        "ResponseCode": if status == "Success" { 0 } else { -1 },
        "StandardOutputContent": "",
        "StandardErrorContent": "",
    }))
}

fn shown(world: &World, command: &Command) -> Value {
    json!({
        "CommandId": command.id,
        "DocumentName": command.document,
        "Comment": command.comment,
        "InstanceIds": [command.instance],
        "RequestedDateTime": epoch(command.sent),
        "Status": command.status(world.now),
        "TargetCount": 1,
    })
}
