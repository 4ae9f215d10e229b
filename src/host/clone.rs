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
use crate::config::Environment;
use crate::sandbox::fault::Rule;
use crate::sandbox::world::World;
use serde::{Deserialize, Serialize};

/// An account's copy.
#[derive(Clone, Debug)]
pub struct Cloned {
    pub world: World,
    /// What it was made of.
    pub reading: Reading,
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
}

impl Denied {
    /// No instance can be reached from here.
    fn instances() -> Denied {
        Denied { service: INSTANCE.to_owned(), operation: "*".to_owned() }
    }

    /// The sandbox refuses it too.
    pub fn rule(&self) -> Rule {
        match self.service.as_str() {
            INSTANCE => Rule::lost_request(INSTANCE, "").any_operation().always(),
            _ => Rule::denied(&self.service, &self.operation).always(),
        }
    }
}

/// HTTP straight to instances, as the sandbox's faults call it.
const INSTANCE: &str = "instance";

impl Host {
    /// Reads these environments and makes a world of them, at the account's own present moment.
    ///
    /// # Errors
    /// If the load balancer, its rules, the target groups or the groups could not be read: a run could not begin without them.
    pub fn clone_of(&self, envs: &[&Environment]) -> Result<Cloned, HostError> {
        let reading = self.driver.block_on(read::read(&self.account, envs, || super::now(&self.time)));
        let reading = reading.map_err(|error| unreadable(&error))?;
        let (world, assumed) = make::world(&reading, envs, &self.identity.account, self.seed).map_err(HostError::Refused)?;
        let mut unknown: Vec<Unknown> = reading.unknown.iter().cloned().chain(assumed).collect();
        unknown.sort();
        unknown.dedup();
        Ok(Cloned { world, denied: reading.denied(), unknown, reading })
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
