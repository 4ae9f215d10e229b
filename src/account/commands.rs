//! SSM Run Command: a shell command on one instance, found again by its comment.

use super::classify::answer;
use super::parameters::call;
use super::retry::Class;
use super::{Account, AccountError, Invocation};

/// Of the latest commands of an instance, so many are looked through; AWS has no more on a page.
const LOOKED_AT: i32 = 50;

impl Account {
    /// SendCommand: the command's id. Not to be sent twice: who lost the reply looks with [`Account::command_with`] first.
    pub async fn send_command(&self, instance: &str, document: &str, command: &str, comment: &str) -> Result<String, AccountError> {
        self.call(call("SendCommand", instance, Class::Start), || async {
            let request = self.ssm.send_command().document_name(document).instance_ids(instance).comment(comment);
            answer(request.parameters("commands", vec![command.to_owned()]).send().await)?
                .read(|out| Ok(out.command.and_then(|command| command.command_id).ok_or("the reply lacks `CommandId`")?))
        })
        .await
    }

    /// ListCommands: the id of the instance's newest command with this comment.
    pub async fn command_with(&self, instance: &str, comment: &str) -> Result<Option<String>, AccountError> {
        self.call(call("ListCommands", instance, Class::Read), || async {
            answer(self.ssm.list_commands().instance_id(instance).max_results(LOOKED_AT).send().await)?.read(|out| {
                let commands = out.commands.ok_or("the reply lacks `Commands`")?;
                let same = commands.into_iter().find(|command| command.comment.as_deref() == Some(comment));
                Ok(same.and_then(|command| command.command_id))
            })
        })
        .await
    }

    /// GetCommandInvocation; `None`: it cannot be seen yet.
    pub async fn invocation(&self, command: &str, instance: &str) -> Result<Option<Invocation>, AccountError> {
        let asked = self.call(call("GetCommandInvocation", instance, Class::Read), || async {
            answer(self.ssm.get_command_invocation().command_id(command).instance_id(instance).send().await)?.read(|out| {
                let status = out.status.ok_or("the reply lacks `Status`")?.as_str().to_owned();
                Ok(Invocation { status, error: out.standard_error_content.unwrap_or_default() })
            })
        });
        match asked.await {
            Ok(invocation) => Ok(Some(invocation)),
            Err(error) if error.code == "InvocationDoesNotExist" => Ok(None),
            Err(error) => Err(error),
        }
    }
}
