//! Builds a new world from a short description of it.

use super::{Range, Time, Timing, World};
use serde::{Deserialize, Serialize};

/// What a new world holds. The host makes one from `bgx.toml`; tests write their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorldSpec {
    pub seed: u64,
    pub start: Time,
    pub account: String,
    pub region: String,
    pub load_balancer: String,
    /// Listener ports of the load balancer, in order; 443 is HTTPS, the rest HTTP.
    pub listeners: Vec<u16>,
    pub bucket: String,
    pub timing: Timing,
    pub envs: Vec<EnvSpec>,
    /// Builds that exist: (branch, number); each is an object `dist/gh/{branch}/{number}.tar.xz` with a `.txt` beside it (a commit hash).
    pub builds: Vec<(String, u32)>,
    /// More objects: key and text.
    pub objects: Vec<(String, String)>,
}

/// One environment with two colours; the first colour of the list serves at the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvSpec {
    pub name: String,
    /// Where its traffic comes in; every entry forwards to the live colour (weight 1 as a single-target forward).
    pub routes: Vec<RouteSpec>,
    /// The colours; the first one is live.
    pub colors: Vec<ColorSpec>,
    /// Parameters to set: name and value.
    pub parameters: Vec<(String, String)>,
    /// Requests of users, a second, on each route.
    pub per_second: f64,
    pub full_load_per_instance: f64,
    /// InService instances in a group `ce-router-{env}`-like side group that answer `POST /admin/clear-cache`; name and count.
    pub side_groups: Vec<(String, u32)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteSpec {
    pub port: u16,
    /// `None` and `None`: the listener's default action.
    pub path: Option<String>,
    pub host: Option<String>,
    pub priority: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColorSpec {
    pub name: String,
    pub group: String,
    pub target_group: String,
    pub min: u32,
    pub max: u32,
    /// Instances that are InService (and healthy in the target group) at the start; also the desired capacity.
    pub size: u32,
    pub version_key: String,
    /// The text at `version_key` at the start, and what running instances booted.
    pub version: String,
    pub boot: Range,
    pub app_start: Range,
    pub grace_seconds: u32,
    pub instance_types: Vec<String>,
    pub on_demand_base: Option<u32>,
    pub spot_interruptions_per_hour: f64,
    pub cpu_target: Option<f64>,
    pub check_interval_seconds: u32,
    pub deregistration_delay_seconds: u32,
}

impl World {
    /// A settled account: everything in `spec` exists, running instances are InService and healthy, nothing is pending.
    pub fn new(spec: &WorldSpec) -> World {
        let _ = spec;
        todo!()
    }
}
