//! What the account answers, as plain data: the same whichever target answers.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Who we are, from STS GetCallerIdentity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub account: String,
    pub arn: String,
}

/// What an Auto Scaling group is set to. Its instances were not asked for, which is not the same as there being none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSettings {
    pub name: String,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    /// Suspended processes.
    pub suspended: BTreeSet<String>,
}

/// An Auto Scaling group with its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    /// ARNs of the target groups it registers its instances with.
    pub target_groups: Vec<String>,
    pub health_check_type: String,
    pub grace_seconds: u32,
    /// Suspended processes.
    pub suspended: BTreeSet<String>,
    /// Sorted by id.
    pub instances: Vec<Instance>,
}

impl Group {
    pub fn in_service(&self) -> usize {
        self.instances.iter().filter(|i| i.lifecycle == "InService").count()
    }
}

/// A member of a group, as Auto Scaling sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub id: String,
    /// `Pending`, `InService`, `Terminating`, `Standby`, …
    pub lifecycle: String,
    /// Auto Scaling's own health status is `Healthy`.
    pub healthy: bool,
    pub zone: String,
    pub instance_type: String,
    pub protected: bool,
}

/// A scaling activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    pub id: String,
    pub start: jiff::Timestamp,
    pub end: Option<jiff::Timestamp>,
    /// `Successful`, `Failed`, `InProgress`, …
    pub status: String,
    pub description: String,
    pub cause: String,
    pub message: String,
}

/// A scaling policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub asg: String,
    pub name: String,
    /// `TargetTrackingScaling`, `StepScaling`, …
    pub kind: String,
    pub enabled: bool,
    /// What target tracking tracks, such as `ASGAverageCPUUtilization`; `None`: a metric of the account's own, or another kind of policy.
    pub tracks: Option<String>,
    /// In the unit of what it tracks.
    pub target: Option<f64>,
}

/// An instance refresh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    pub id: String,
    /// `Pending`, `InProgress`, `Successful`, `Failed`, `Cancelled`, …
    pub status: String,
    /// Empty where all goes well.
    pub reason: String,
    pub start: Option<jiff::Timestamp>,
    /// Of the instances, from 0 to 100; goes down while AWS rolls back.
    pub percent: u32,
}

impl Refresh {
    /// It replaces instances now, or may still do so.
    pub fn is_active(&self) -> bool {
        matches!(self.status.as_str(), "Pending" | "InProgress" | "Cancelling" | "RollbackInProgress" | "Baking")
    }

    /// It began after this object was written. Both moments are whole seconds of different clocks of AWS.
    pub fn is_since(&self, key: Option<&Object>) -> bool {
        const APART: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);
        let written = key.and_then(|key| key.modified);
        written.is_some_and(|written| self.start.is_none_or(|start| start + APART >= written))
    }

    /// It is to replace every instance, or has.
    pub fn holds(&self) -> bool {
        matches!(self.status.as_str(), "Pending" | "InProgress" | "Successful" | "Baking")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    pub arn: String,
    pub name: String,
    pub dns_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroup {
    pub arn: String,
    pub name: String,
    pub port: u16,
    /// Where its health is asked for, if that is not where requests go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_port: Option<u16>,
    pub check_path: String,
    pub check_interval_seconds: u32,
    pub healthy_threshold: u32,
    pub unhealthy_threshold: u32,
    /// ARNs of the load balancers in whose rules it stands; empty: nothing checks its targets.
    pub load_balancers: Vec<String>,
}

/// One registered target, as the load balancer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub id: String,
    /// `healthy`, `initial`, `unhealthy`, `unused`, `draining`, `unavailable`.
    pub state: String,
    /// E.g. `Elb.InitialHealthChecking`; empty when healthy.
    pub reason: String,
    pub description: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    pub arn: String,
    pub port: u16,
    pub protocol: String,
    pub forward: Option<Forward>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub arn: String,
    pub listener: String,
    /// `default`, or 1 to 50000 as text, as AWS has it.
    pub priority: String,
    /// Values of its path-pattern conditions.
    pub paths: Vec<String>,
    /// Values of its host-header conditions.
    pub hosts: Vec<String>,
    /// Kinds of conditions other than path-pattern and host-header.
    pub other_conditions: Vec<String>,
    pub forward: Option<Forward>,
}

/// The forward action of a rule, normalised: a single-target forward is one group with weight 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Target group ARN to weight.
    pub weights: BTreeMap<String, u32>,
    /// Target group stickiness of the action, where it is on.
    pub stickiness_seconds: Option<u32>,
}

impl Forward {
    /// The target groups that get traffic.
    pub fn live(&self) -> Vec<&str> {
        self.weights.iter().filter(|(_, w)| **w > 0).map(|(arn, _)| arn.as_str()).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    pub value: String,
    pub version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub body: Vec<u8>,
    pub etag: String,
    /// When it was written, in whole seconds, as far as the reply says so.
    #[serde(default)]
    pub modified: Option<jiff::Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    pub key: String,
    pub size: u64,
    pub etag: String,
}

/// What became of a command on an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// `Pending`, `InProgress`, `Success`, `Failed`, `TimedOut`, …
    pub status: String,
    /// What it wrote to standard error.
    pub error: String,
}

/// A plain HTTP request to an instance or a host named in `bgx.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub token: Option<Token>,
    pub body: Option<String>,
    pub timeout_seconds: u32,
    /// The rest of a longer reply is not read.
    pub reply_bytes_max: usize,
}

impl Default for HttpRequest {
    /// A GET that expects a health page or a short answer.
    fn default() -> HttpRequest {
        HttpRequest {
            method: "GET".to_owned(),
            url: String::new(),
            headers: Vec::new(),
            token: None,
            body: None,
            timeout_seconds: 5,
            reply_bytes_max: 64 * 1024,
        }
    }
}

/// A secret that is sent as `Authorization: Bearer …` and shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpReply {
    pub status: u16,
    pub body: String,
    /// Path of the next page, where the host says that there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Names in lower case; not for journals.
    #[serde(skip)]
    pub headers: BTreeMap<String, String>,
    /// The body was longer than what was read of it.
    #[serde(skip)]
    pub is_cut: bool,
}

/// One metric of CloudWatch. Its dimensions must be a set that is published, or there is no data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    pub namespace: String,
    pub name: String,
    pub dimensions: BTreeMap<String, String>,
    /// `Sum`, `Average`, `p99`, …
    pub statistic: String,
}

/// A metric by minute: the minute's first second since 1970, and its value.
pub type Series = BTreeMap<i64, f64>;

/// A value of a metric of our own.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub name: &'static str,
    pub value: f64,
    /// Else it is a count.
    pub is_seconds: bool,
}

/// What CloudWatch says of an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
    pub reason: String,
}
