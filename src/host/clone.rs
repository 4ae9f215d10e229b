//! A clone: everything that `bgx.toml` names of its environments, read from the account as it is now, as a world of the sandbox.
//!
//! Only reads, all at once where one does not need the other. What the account does not tell has the value that `bgx.toml` gives a new
//! sandbox, and is listed as unknown with what follows from that.

mod facts;
mod make;
mod read;

pub use read::Reading;

use super::{Host, HostError};
use crate::account::{AccountError, Kind};
use crate::config::{Config, Environment};
use crate::sandbox::fault::Rule;
use crate::sandbox::world::World;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An account's copy.
#[derive(Clone, Debug)]
pub struct Cloned {
    pub world: World,
    /// What it was made of, by region.
    pub readings: BTreeMap<String, Reading>,
    /// In the order of its texts.
    pub unknown: Vec<Unknown>,
    /// Calls that were refused each time: a run is refused them too.
    pub denied: Vec<Denied>,
}

/// Something that the account did not tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unknown {
    pub what: String,
    pub why: String,
    /// What the clone has in its place, and what that means for whoever trusts it.
    pub consequence: String,
}

/// A call that these credentials may not make, or that does not arrive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Denied {
    /// As in host names; `instance`: HTTP to instances.
    pub service: String,
    /// `*`: any.
    pub operation: String,
    /// `None`: in all regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

impl Denied {
    /// No instance can be reached from here.
    fn instances() -> Denied {
        Denied { service: INSTANCE.to_owned(), operation: "*".to_owned(), region: None }
    }

    /// The sandbox refuses it too.
    pub fn rule(&self) -> Rule {
        let rule = match self.service.as_str() {
            INSTANCE => Rule::lost_request(INSTANCE, "").any_operation().always(),
            _ => Rule::denied(&self.service, &self.operation).always(),
        };
        self.region.iter().fold(rule, |rule, region| rule.in_region(region))
    }
}

/// HTTP straight to instances, as the sandbox's faults call it.
const INSTANCE: &str = "instance";

impl Cloned {
    /// How late its reads are no account tells: it is what `bgx.toml` says of it.
    pub fn timed(mut self, config: &Config) -> Result<Cloned, HostError> {
        self.world.timing = super::world::timing(&config.sandbox_timing).map_err(HostError::Refused)?;
        Ok(self)
    }
}

impl Host {
    /// Reads these environments and makes a world of them, at the account's own present moment.
    ///
    /// # Errors
    /// If the load balancer, its rules, the target groups or the groups could not be read: a run could not begin without them.
    pub fn clone_of(&self, envs: &[&Environment]) -> Result<Cloned, HostError> {
        let regions: BTreeSet<&str> = envs.iter().map(|env| env.region.as_str()).collect();
        let several = regions.len() > 1;
        let read = regions.into_iter().map(async |region| {
            let own: Vec<&Environment> = envs.iter().filter(|env| env.region == region).copied().collect();
            let reading = read::read(&self.accounts.in_region(region), &own, || super::now(&self.time)).await?;
            Ok::<_, AccountError>((region, own, reading))
        });
        let read = self.driver.block_on(try_join_all(read)).map_err(|error| unreadable(&error))?;
        let (mut worlds, mut unknown, mut denied, mut readings) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
        for (region, own, reading) in read {
            let (world, assumed) = make::world(&reading, &own, &self.identity.account, self.seed).map_err(HostError::Refused)?;
            worlds.push(world);
            unknown.extend(reading.unknown.iter().cloned().chain(assumed));
            let in_region = |denied: Denied| Denied { region: several.then(|| region.to_owned()), ..denied };
            denied.extend(reading.denied().into_iter().map(in_region));
            readings.insert(region.to_owned(), reading);
        }
        unknown.sort();
        unknown.dedup();
        let mut world = World::of_regions(worlds, &self.connection.region, self.seed);
        world.bucket_regions = self.connection.buckets.clone();
        world.bucket_regions.retain(|bucket, region| world.buckets.contains_key(bucket) && *region != self.connection.region);
        Ok(Cloned { world, denied, unknown, readings })
    }
}

fn unreadable(error: &AccountError) -> HostError {
    let hint = match error.kind {
        Kind::Denied => format!("; a run needs {}:{} as well", error.service, error.operation),
        _ => String::new(),
    };
    HostError::Refused(format!("the account could not be cloned: {error}{hint}"))
}

#[cfg(test)]
mod tests;
