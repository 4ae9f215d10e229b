//! Effects without a state to set: requests that are sent on the way forward, or once what came after them was taken back.

use super::event::What;
use super::{Entry, Run, RunError, traffic};
use crate::account::HttpRequest;
use serde::{Deserialize, Serialize};

/// A request to every running instance of a group, or to a host outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectRequest {
    pub method: String,
    pub path: String,
    /// The group whose instances get it.
    pub to: String,
    /// Absent: see [`Run::effect`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Sent once to the host outside that `to` names, in place of a group; never on undo.
    #[serde(skip)]
    pub json: Option<String>,
    /// A group that does not exist is no failure.
    pub skip_if_absent: bool,
}

impl std::fmt::Display for EffectRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} to {}", self.method, self.path, self.to)
    }
}

impl Run {
    /// Registers a request that is sent once everything after it was taken back.
    pub fn on_undo(&mut self, request: EffectRequest) -> Result<(), RunError> {
        self.check_interrupt()?;
        self.outside_waits("on_undo")?;
        let step = self.next_step();
        if self.replay.answers(step) {
            return Ok(()); // among the entries already
        }
        self.record(What::OnUndo { step, request: request.clone() })?;
        self.entries.push(Entry::OnUndo { step, env: self.env.name.clone(), request });
        Ok(())
    }

    /// Sends a request to every running instance of a group, or to a host outside.
    pub async fn effect(&mut self, request: &EffectRequest) -> Result<(), RunError> {
        self.check_interrupt()?;
        self.outside_waits("effect")?;
        let step = self.next_step();
        if let Some(known) = self.replay.effect(step, &request.to_string()) {
            return known;
        }
        if let Err(error @ RunError::Refused { .. }) = self.may_write().await {
            let (text, detail) = (request.to_string(), error.to_string());
            self.record(What::Effect { step, text, detail, error: Some(error.clone()) })?;
            return Err(error);
        }
        self.confirm_guarded()?;
        self.tell_begun().await;
        self.still_locked().await?;
        self.touched = true;
        self.send_effect(step, request).await
    }

    pub(super) async fn send_effect(&mut self, step: u64, request: &EffectRequest) -> Result<(), RunError> {
        let result = self.reach(request).await;
        let text = request.to_string();
        let (error, detail) = match &result {
            Ok(detail) => (None, detail.clone()),
            Err(error) => (Some(error.clone()), error.to_string()),
        };
        self.record(What::Effect { step, text, detail, error })?;
        self.keep().await?;
        result.map(drop)
    }

    async fn reach(&mut self, request: &EffectRequest) -> Result<String, RunError> {
        if let Some(json) = &request.json {
            return self.post_outside(request, json).await;
        }
        let known = self.env.extra.asgs.contains(&request.to) || self.env.colors.iter().any(|c| c.asg == request.to);
        if !known {
            let hint = format!("add it to asgs under [env.{}.extra] in bgx.toml", self.env.name);
            return Err(RunError::refused(format!("`{}` does not belong to environment `{}`", request.to, self.env.name), hint));
        }
        let groups = self.account.groups(&[&request.to]).await?;
        let Some(group) = groups.get(&request.to) else {
            return match request.skip_if_absent {
                true => Ok(format!("there is no group `{}`: skipped", request.to)),
                false => Err(RunError::failed(format!("there is no group `{}`", request.to))),
            };
        };
        let port = self.port_of(request).await?;
        let ids: Vec<&str> = group.instances.iter().filter(|i| i.lifecycle == "InService").map(|i| i.id.as_str()).collect();
        let addresses = self.account.addresses(&ids).await?;
        for id in &ids {
            let ip = addresses.get(*id).ok_or_else(|| RunError::failed(format!("`{id}` has no known address")))?;
            let url = traffic::url(ip, port, &request.path);
            let reply = self.account.http(&HttpRequest { method: request.method.clone(), url, ..HttpRequest::default() }).await?;
            if !(200..300).contains(&reply.status) {
                return Err(RunError::failed(format!("`{id}` answered {} to {} {}", reply.status, request.method, request.path)));
            }
        }
        Ok(format!("{} instance(s)", ids.len()))
    }

    /// What the request says; else that of the target group, and 80 for a group which bgx.toml names none for.
    async fn port_of(&mut self, request: &EffectRequest) -> Result<u16, RunError> {
        let own = self.env.colors.iter().any(|color| color.asg == request.to);
        match request.port {
            Some(port) => Ok(port),
            None if own => Ok(self.topology().await?.port()),
            None => Ok(traffic::HTTP_PORT),
        }
    }
}
