//! The simulated account as plain data: what exists, when, and what users saw. No I/O, no async, cheap to clone.
//!
//! `World` moves only in [`World::advance`]; everything else reads it or changes one thing at the present moment.
//! Sources of the rules: the AWS pages named beside them. Durations are milliseconds unless a name says otherwise.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

mod activities;
mod autoscaling;
mod balancing;
mod build;
mod capacity;
mod check;
mod clock;
mod commands;
mod github;
mod instances;
mod log;
mod metrics;
mod mishaps;
mod motion;
mod policies;
mod policy;
pub mod possible;
mod probes;
mod refresh;
mod regions;
mod standby;
mod storage;
mod take_up;
mod targets;
#[cfg(test)]
mod tests;
mod timing;
mod traffic;

pub use autoscaling::{GroupUpdate, GroupView};
pub use balancing::{TargetState, TargetView};
pub use build::{ColorSpec, EnvSpec, NODES, RouteSpec, ServiceSpec, WorldSpec, plain_group};
pub use clock::{Past, Rng, Time};
pub use commands::Command;
pub use github::{Commit, Issue, NoIssue, Repository};
pub use log::{Caller, Entry, Happening, Users};
pub use metrics::{Asked, Datum, Gauge, MetricAlarm, Rates};
pub use policies::{Alarm, Side};
pub use policy::{Policy, Statement, Verdict, fits};
pub use probes::InstanceReply;
pub use refresh::{Refresh, RefreshPreferences, RefreshStatus};
pub use storage::{ObjectMeta, PutCondition};
pub use timing::{Range, Timing};
pub use traffic::Mark;

/// Everything the simulated account is, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct World {
    /// Moment up to which the world has moved.
    pub now: Time,
    /// Source of every draw (boot times, victims, delays); part of the data, so a clone repeats itself.
    pub rng: Rng,
    /// 12-digit account id.
    pub account: String,
    /// The account's home region, where its clock and its callers' bookkeeping are; in `elsewhere` the region itself.
    pub region: String,
    /// The other regions, by name; none of them has any in its turn.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<String, World>,
    pub timing: Timing,
    pub groups: BTreeMap<String, Group>,
    /// By instance id; terminated ones stay for a while, as in EC2.
    pub instances: BTreeMap<String, Instance>,
    /// By ARN, as are the next three.
    pub load_balancers: BTreeMap<String, LoadBalancer>,
    pub listeners: BTreeMap<String, Listener>,
    pub rules: BTreeMap<String, Rule>,
    pub target_groups: BTreeMap<String, TargetGroup>,
    pub parameters: BTreeMap<String, Parameter>,
    /// Bucket name -> key -> object.
    pub buckets: BTreeMap<String, BTreeMap<String, Object>>,
    /// Where a bucket lies that does not lie in the home region.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bucket_regions: BTreeMap<String, String>,
    /// Run Command, by id.
    #[serde(default)]
    pub commands: BTreeMap<String, Command>,
    /// Instance refreshes by group, newest first.
    #[serde(default)]
    pub refreshes: BTreeMap<String, Vec<Refresh>>,
    /// User traffic by route.
    pub flows: Vec<Flow>,
    /// API throttle buckets by name (`elbv2`, `elbv2-describe`, `elbv2-mutate`, `elbv2-targets`, `autoscaling`, `ssm-get`, `ssm-put`, `metrics`, `alarms`).
    pub throttles: BTreeMap<String, Throttle>,
    pub log: Vec<Entry>,
    /// What users are served, by environment: one mark a change, in force until the next.
    pub traffic: BTreeMap<String, Vec<Mark>>,
    /// What CloudWatch measures, by ARN of a target group or load balancer: one gauge a change.
    #[serde(default)]
    pub gauges: BTreeMap<String, Vec<Gauge>>,
    /// Builds that start and never answer.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub bad_builds: BTreeSet<String>,
    /// By name.
    #[serde(default)]
    pub alarms: BTreeMap<String, MetricAlarm>,
    /// Metrics that somebody put into CloudWatch.
    #[serde(default)]
    pub published: Vec<Datum>,
    /// Messages that wait in the queue of the colour that serves, by environment.
    #[serde(default)]
    pub backlogs: BTreeMap<String, f64>,
    /// Bodies that the webhook got.
    #[serde(default)]
    pub notices: Vec<String>,
    /// At GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// Share of the requests that a build answers with a 500, by the text of its version key.
    #[serde(default)]
    pub build_errors: BTreeMap<String, f64>,
    /// Share of the requests that a build takes two seconds for, in place of a twentieth of one.
    #[serde(default)]
    pub build_slow: BTreeMap<String, f64>,
    /// What the caller may do; `None`: everything.
    #[serde(default)]
    pub policy: Option<Policy>,
    pub next_id: u64,
    /// What a change touched and has not been followed up yet; empty between two calls.
    #[serde(skip)]
    stir: motion::Stir,
}

/// An Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    /// ARNs of the target groups whose members this group registers.
    pub target_groups: Vec<String>,
    /// `ELB` or `EC2`.
    pub health_check_type: String,
    pub grace_seconds: u32,
    pub suspended: BTreeSet<String>,
    /// A launch is refused above this many instances, as when a capacity pool is empty; `None`: never.
    pub capacity_limit: Option<u32>,
    /// How long Pending lasts, drawn anew for each instance.
    pub boot: Range,
    /// How long after InService an instance answers its health check with 200.
    pub app_start: Range,
    pub instance_types: Vec<String>,
    /// Instances up to this many are on-demand, the rest spot; `None`: all on-demand.
    pub on_demand_base: Option<u32>,
    /// Spot interruptions per hour and instance.
    pub spot_interruptions_per_hour: f64,
    /// Target tracking on CPU, per cent; `None`: no policy.
    pub cpu_target: Option<f64>,
    /// Target tracking on messages of a queue, so many an instance, in place of CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog_target: Option<f64>,
    /// The S3 key that an instance reads *when it boots* to learn its version.
    pub version_bucket: String,
    pub version_key: String,
    pub tags: BTreeMap<String, String>,
    pub activities: VecDeque<Activity>,
    /// What Describe may still answer after a write (eventual consistency).
    pub stale: Past<Box<GroupView>>,
    pub cooldown_until: Option<Time>,
    /// Next moment a scaling policy may be looked at.
    pub policy_next: Option<Time>,
    /// Target tracking's alarm that is breached, and since when.
    pub alarm: Option<Alarm>,
    /// What the policy tracks, in hundredths: mean CPU of the instances that get requests in per cent, or messages an instance.
    pub cpu: u32,
    /// The same as a sum, in ten thousandths.
    pub load: u64,
    /// Why the desired capacity was last changed, until the group has reached it; opens the cause of each activity.
    pub cause: String,
    /// Target groups whose traffic source state is `InService`: ELB health counts only there.
    pub traffic_in_service: BTreeSet<String>,
    /// Launches are not tried again before this moment, after so many failures in a row.
    pub launch_retry: Option<Time>,
    pub launch_failures: u32,
    /// Zone rebalancing: an instance more is launched, and once it is in service this one ends.
    pub rebalancing: Option<String>,
    /// The activity about all remaining instances being protected was written for the present desired capacity.
    pub told_protected: bool,
}

/// An EC2 instance of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    pub id: String,
    pub group: String,
    pub lifecycle: Lifecycle,
    /// What Auto Scaling thinks: `Healthy` or `Unhealthy`.
    pub healthy: bool,
    pub protected: bool,
    pub zone: String,
    pub instance_type: String,
    pub spot: bool,
    pub private_ip: String,
    pub launched: Time,
    /// When the present lifecycle state ends by itself.
    pub until: Option<Time>,
    /// Moment of InService.
    pub in_service: Option<Time>,
    /// From when the application answers 200 on its health check; `None`: never.
    pub answers_from: Option<Time>,
    /// Set by a fault: the application stops answering at this moment.
    pub answers_until: Option<Time>,
    /// What the version key said when this instance booted; `None` before it was read.
    pub version: Option<String>,
    /// Spot: moment at which the two-minute notice ends.
    pub interrupted_at: Option<Time>,
    pub next_interruption: Option<Time>,
}

/// The lifecycle states that bgx can meet (AWS API reference, `LifecycleState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lifecycle {
    Pending,
    InService,
    Standby,
    Terminating,
    Terminated,
}

impl Instance {
    fn enter(&mut self, next: Lifecycle) {
        debug_assert!(self.lifecycle == next || self.lifecycle.may_become(next), "{}: {:?} to {next:?}", self.id, self.lifecycle);
        self.lifecycle = next;
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    pub id: String,
    pub group: String,
    pub start: Time,
    pub end: Option<Time>,
    /// `InProgress`, `Successful`, `Failed`, `WaitingForELBConnectionDraining`, …
    pub status: String,
    pub status_message: Option<String>,
    pub description: String,
    pub cause: String,
    pub progress: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancer {
    pub arn: String,
    pub name: String,
    pub dns_name: String,
    /// Number of nodes; each applies a changed rule at its own moment and checks each target by itself.
    pub nodes: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    pub arn: String,
    pub load_balancer: String,
    pub port: u16,
    /// `HTTP` or `HTTPS`.
    pub protocol: String,
    /// The default rule's actions.
    pub actions: Actions,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub arn: String,
    pub listener: String,
    pub priority: u32,
    pub conditions: Vec<Condition>,
    pub actions: Actions,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// `path-pattern` or `host-header`.
    pub field: String,
    pub values: Vec<String>,
}

/// The actions of one rule: what the API says, and what each node really does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Actions {
    pub api: Vec<Action>,
    /// One entry a node: the actions in force there.
    pub nodes: Vec<Vec<Action>>,
    /// Changes on their way: (when, node, actions).
    pub pending: Vec<(Time, usize, Vec<Action>)>,
    /// What Describe may still answer after a write.
    pub stale: Past<Vec<Action>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Action {
    Forward {
        targets: Vec<Weighted>,
        stickiness_seconds: Option<u32>,
    },
    FixedResponse {
        status: u16,
        content_type: Option<String>,
        body: Option<String>,
    },
    Redirect {
        status: String,
        protocol: Option<String>,
        port: Option<String>,
        host: Option<String>,
        path: Option<String>,
        query: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weighted {
    pub target_group: String,
    pub weight: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetGroup {
    pub arn: String,
    pub name: String,
    pub port: u16,
    pub path: String,
    pub interval_seconds: u32,
    pub timeout_seconds: u32,
    pub healthy_threshold: u32,
    pub unhealthy_threshold: u32,
    pub matcher: String,
    pub deregistration_delay_seconds: u32,
    /// Cookie stickiness of the target group itself.
    pub stickiness: bool,
    pub slow_start_seconds: u32,
    /// `least_outstanding_requests` or `round_robin`.
    pub algorithm: String,
    /// By instance id.
    pub targets: BTreeMap<String, Target>,
}

/// A registered target and what the load balancer knows of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub id: String,
    pub port: u16,
    pub registered: Time,
    pub state: TargetState,
    /// Moment of the next check; none while the group is in no rule, or draining.
    pub next_check: Option<Time>,
    pub passed: u32,
    pub failed: u32,
    /// Draining ends here.
    pub draining_until: Option<Time>,
    /// What DescribeTargetHealth may still answer.
    pub stale: Past<TargetState>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    pub value: String,
    pub version: u64,
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
    pub modified: Time,
    /// Values by version, the newest 100 as in Parameter Store.
    pub history: BTreeMap<u64, String>,
    /// The version that GetParameter may still answer; `None` there: not found yet.
    pub stale: Past<Option<u64>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    pub body: Vec<u8>,
    pub etag: String,
    pub modified: Time,
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub metadata: BTreeMap<String, String>,
    /// Canned ACL; `None`: private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<String>,
}

/// Users of one route: so many requests a second, to this listener port and path or host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    pub env: String,
    pub load_balancer: String,
    pub port: u16,
    pub host: String,
    pub path: String,
    pub per_second: f64,
    /// Requests a second that load one instance to 100 % CPU; drives target tracking.
    pub full_load_per_instance: f64,
}

/// A token bucket (elbv2: published in the ELB API throttling page; the others are parameters).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Throttle {
    pub capacity: f64,
    pub per_second: f64,
    pub tokens: f64,
    pub at: Time,
}

/// An error as AWS would return it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Fault {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Fault {
        Fault { status, code: code.to_owned(), message: message.into() }
    }
}
