//! Commands on instances: sent once, to nobody who serves users.

use super::event::What;
use super::{Run, RunError};
use crate::account::{AccountError, Instance, Kind};
use crate::config::Restart;
use std::time::Duration;

/// How often, and after how long, a command whose reply was lost is looked for before it counts as not sent.
const LOOKS: u32 = 4;
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Run {
    /// Has the application on an instance restarted, with the command of `bgx.toml`. Gives the comment by which the command is found.
    /// It sets no state and is not taken back: to restart what is out of service, once more or less, harms nobody.
    pub async fn restart(&mut self, asg: &str, instance: &str) -> Result<String, RunError> {
        self.check_interrupt()?;
        self.outside_waits("restart")?;
        let step = self.next_step();
        let (text, comment) = (format!("restart of {instance}"), format!("bgx {} step {step}", self.id));
        if let Some(known) = self.replay.effect(step, &text) {
            return known.map(|()| comment);
        }
        let restart = self.env.restart.clone().ok_or_else(|| RunError::failed("bgx.toml names no `restart` command under [app]"))?;
        self.out_of_service(asg, instance).await?;
        self.may_write().await?;
        self.confirm_guarded()?;
        self.still_locked().await?;
        self.touched = true;
        let sent = self.send_once(instance, &restart, &comment).await.map_err(RunError::from);
        let (error, detail) = match &sent {
            Ok(id) => (None, format!("`{}` sent, command {id}", restart.command())),
            Err(error) => (Some(error.clone()), error.to_string()),
        };
        self.record(What::Effect { step, text, detail, error })?;
        self.keep().await?;
        sent.map(|_| comment)
    }

    /// Who gets requests of users is not restarted.
    async fn out_of_service(&mut self, asg: &str, instance: &str) -> Result<(), RunError> {
        let known = self.env.colors.iter().any(|color| color.asg == asg);
        let group = self.account.groups(&[asg]).await?.remove(asg).filter(|_| known);
        let found = group.and_then(|group| group.instances.into_iter().find(|i| i.id == instance));
        let Some(Instance { lifecycle, .. }) = found else {
            return Err(RunError::failed(format!("`{instance}` is no instance of `{asg}`")));
        };
        if lifecycle == "Standby" || !self.carries_traffic(asg).await? {
            return Ok(());
        }
        Err(RunError::refused(format!("`{instance}` serves production traffic in `{asg}`"), "take it out first: enter_standby(…)"))
    }

    /// A command has no token that makes a second sending harmless: it is looked for by its comment, before and after.
    async fn send_once(&self, instance: &str, restart: &Restart, comment: &str) -> Result<String, AccountError> {
        if let Some(id) = self.account.command_with(instance, comment).await? {
            return Ok(id);
        }
        let lost = match self.account.send_command(instance, restart.document(), restart.command(), comment).await {
            Err(error) if error.kind == Kind::Lost => error,
            answered => return answered,
        };
        for _ in 0..LOOKS {
            if let Some(id) = self.account.command_with(instance, comment).await? {
                return Ok(id);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(lost)
    }
}
