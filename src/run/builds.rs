//! What instances run by their own word, and guard 3's question about it.

use super::traffic::{self, Topology};
use super::{Run, RunError, guard};
use crate::account::{HttpRequest, Kind};
use crate::config::ColorNames;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Longer than an instance that is well takes to answer.
const ANSWER_SECONDS: u32 = 5;

impl Run {
    /// Where instances can be asked, if anybody asks them; without the right to list addresses each is unknown, which is not an empty group.
    /// A right that was there a moment ago and is not any more is an error: what could be checked must not be passed over.
    pub async fn known_addresses(&self, ids: &[&str]) -> Result<BTreeMap<String, String>, RunError> {
        if self.env.version_probe.is_none() && self.env.hooks.is_none() {
            return Ok(BTreeMap::new());
        }
        match self.account.addresses(ids).await {
            Err(error) if error.kind == Kind::Denied && !self.told_addresses.load(Ordering::Relaxed) => Ok(BTreeMap::new()),
            addresses => {
                let addresses = addresses?;
                self.told_addresses.fetch_or(!addresses.is_empty(), Ordering::Relaxed);
                Ok(addresses)
            }
        }
    }

    /// What each instance says it runs; one that does not answer is absent, which is not a version.
    pub async fn ask_versions(&self, topology: &Topology, addresses: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let Some(path) = &self.env.version_probe else { return BTreeMap::new() };
        let ask = async |(id, ip): (&String, &String)| {
            let url = traffic::url(ip, topology.port(), path);
            let request = HttpRequest { url, timeout_seconds: ANSWER_SECONDS, ..HttpRequest::default() };
            let reply = self.account.http(&request).await.ok()?;
            (reply.status == 200).then(|| (id.clone(), reply.body.trim().to_owned()))
        };
        join_all(addresses.iter().map(ask)).await.into_iter().flatten().collect()
    }

    /// Guard 3: no target of a colour that is to get traffic says that it runs another build than is recorded for the colour. What the
    /// playbook found of it may be minutes old where another process goes on, and Auto Scaling may have replaced an instance since.
    pub(super) async fn guard_builds(&self, topology: &Topology, color: &ColorNames) -> Result<(), RunError> {
        if self.env.version_probe.is_none() || self.is_without_state() {
            return Ok(());
        }
        let Some(recorded) = self.account.parameter(&self.env.version_parameter(&color.name)).await? else { return Ok(()) };
        let targets = traffic::health(&self.account, topology, &color.name).await?;
        let ids: Vec<&str> = targets.iter().map(|target| target.id.as_str()).collect();
        let versions = self.ask_versions(topology, &self.known_addresses(&ids).await?).await;
        match versions.iter().find(|(_, runs)| **runs != recorded.value) {
            Some((id, runs)) => Err(guard::another_build(id, &color.asg, runs, &recorded.value)),
            None => Ok(()),
        }
    }
}
