//! What happened in the world and what its users saw: the evidence that `audit` judges and that a run's last lines print.

use super::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Time,
    pub what: Happening,
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
