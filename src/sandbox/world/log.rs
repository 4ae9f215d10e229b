//! What happened in the world and what its users saw: the evidence that `audit` judges and that a run's last lines print.

use super::{Time, Weighted, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Time,
    pub what: Happening,
}

/// Who made a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Caller {
    /// Whoever talks to this account over HTTP.
    #[default]
    Client,
    /// Another tool or a human, as a mishap of the simulation.
    Other,
}

/// A change of the world. Served traffic is integrated between two of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Happening {
    /// A mutating API call took effect: service, operation, resource, and what it set.
    Call {
        service: String,
        operation: String,
        resource: String,
        set: String,
        #[serde(default)]
        by: Caller,
    },
    /// Bounds and desired capacity of a group after a call that changed one of them.
    Resized {
        group: String,
        min: u32,
        max: u32,
        desired: u32,
    },
    /// What a listener or rule forwards to by its API after a call, the nodes later; empty where it forwards nowhere.
    Rerouted {
        resource: String,
        targets: Vec<Weighted>,
    },
    Launched {
        group: String,
        instance: String,
    },
    /// The instance read its version key and booted that version.
    Booted {
        group: String,
        instance: String,
        version: String,
    },
    InService {
        group: String,
        instance: String,
    },
    Terminating {
        group: String,
        instance: String,
        cause: String,
    },
    Terminated {
        group: String,
        instance: String,
    },
    LaunchFailed {
        group: String,
        message: String,
    },
    TargetState {
        target_group: String,
        instance: String,
        state: String,
        reason: String,
    },
    /// EC2 takes this spot instance back in two minutes.
    SpotNotice {
        group: String,
        instance: String,
    },
    /// A scaling policy, a scheduled action, … changed the desired capacity.
    Scaled {
        group: String,
        from: u32,
        to: u32,
        cause: String,
    },
    /// A node of the load balancer follows the new actions of a listener or rule from now on.
    Propagated {
        resource: String,
        node: usize,
        #[serde(default)]
        targets: Vec<Weighted>,
    },
    /// A machine died without notice, or its application stopped working.
    Broken {
        group: String,
        instance: String,
    },
    /// A call was refused because the account's API rate was used up.
    Throttled {
        service: String,
        operation: String,
    },
}

/// What the users of one environment saw since a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Users {
    pub requests: f64,
    /// Requests that ended in a 5xx: no target (503), or a target that does not work (502).
    pub errors: f64,
    /// Seconds in which requests of this environment were served by more than one version.
    pub mixed_seconds: f64,
    /// Requests by version.
    pub versions: BTreeMap<String, f64>,
    /// Fewest healthy targets behind the route at any instant.
    pub lowest_healthy: Option<u32>,
    /// First and last moment at which the share of versions changed.
    pub switched: Option<(Time, Time)>,
}

impl World {
    /// Does something in the name of somebody else: the log tells those calls from the client's.
    pub fn by_somebody_else<T>(&mut self, deed: impl FnOnce(&mut World) -> T) -> T {
        let from = self.log.len();
        let done = deed(self);
        for entry in &mut self.log[from..] {
            if let Happening::Call { by, .. } = &mut entry.what {
                *by = Caller::Other;
            }
        }
        done
    }

    /// Keeps in the log that a call was refused for the account's API rate.
    pub fn note_throttled(&mut self, service: &str, operation: &str) {
        self.record(Happening::Throttled { service: service.to_owned(), operation: operation.to_owned() });
    }
}
