//! SSM Run Command as far as it is used: a command restarts the application on an instance.

use super::{Fault, Lifecycle, Time, World};
use serde::{Deserialize, Serialize};

/// One command, sent to one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub id: String,
    pub instance: String,
    pub document: String,
    pub comment: String,
    pub sent: Time,
    /// GetCommandInvocation knows it from now on.
    pub seen: Time,
    pub ends: Time,
}

impl World {
    /// SendCommand; the application is down until it has started again.
    pub fn send_command(&mut self, id: &str, document: &str, comment: &str) -> Result<Command, Fault> {
        let runs = |lifecycle| matches!(lifecycle, Lifecycle::InService | Lifecycle::Standby | Lifecycle::Terminating);
        let Some(group) = self.instances.get(id).filter(|i| runs(i.lifecycle)).map(|i| i.group.clone()) else {
            return Err(Fault::new(
                400,
                "InvalidInstanceId",
                format!("Instances [[{id}]] not in a valid state for account {}", self.account),
            ));
        };
        self.record_call("ssm", "SendCommand", id, document.to_owned());
        let seen = self.now.after_ms(self.timing.command_seen.draw(&mut self.rng));
        let ends = seen.after_ms(self.timing.command.draw(&mut self.rng));
        let starts = self.groups.get(&group).map_or(0, |group| group.app_start.draw(&mut self.rng));
        let command = Command {
            id: self.rng.uuid(),
            instance: id.to_owned(),
            document: document.to_owned(),
            comment: comment.to_owned(),
            sent: self.now,
            seen,
            ends,
        };
        if let Some(instance) = self.instances.get_mut(id) {
            instance.answers_from = instance.answers_from.map(|_| ends.after_ms(starts));
            // What had broken inside the application is well again; the machine's own end is not put off.
            instance.answers_until = instance.interrupted_at;
        }
        self.commands.insert(command.id.clone(), command.clone());
        self.stir.traffic = true;
        self.touch(&group);
        self.settle();
        Ok(command)
    }

    /// The commands of an instance, or of all, newest first.
    pub fn commands_of(&self, instance: Option<&str>) -> Vec<&Command> {
        let of = |command: &&Command| instance.is_none_or(|instance| command.instance == instance);
        let mut found: Vec<&Command> = self.commands.values().filter(of).collect();
        found.sort_by(|a, b| b.sent.cmp(&a.sent).then_with(|| a.id.cmp(&b.id)));
        found
    }
}

impl Command {
    pub fn status(&self, now: Time) -> &'static str {
        if now >= self.ends { "Success" } else { "InProgress" }
    }
}
