//! Every change that bgx can make to an account, as data: what it sets, what it reads first, and how it is taken back.

use super::types::{Group, Object, Parameter};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One change. Each sets something to a value, so doing it twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// UpdateAutoScalingGroup: the fields that are `Some`.
    Capacity { asg: String, min: Option<u32>, max: Option<u32>, desired: Option<u32> },
    /// Suspend and resume processes of a group.
    Processes { asg: String, suspend: BTreeSet<String>, resume: BTreeSet<String> },
    /// Weights of the forward action on all routes of an environment, as one change: target group ARN to weight, 0 to 999.
    Forward { env: String, routes: Vec<RouteRef>, weights: BTreeMap<String, u32> },
    /// SSM PutParameter with Overwrite; `None` deletes (the undo of a create).
    Parameter { name: String, value: Option<String> },
    /// S3 PutObject; `None` deletes (the undo of a create).
    Object { bucket: String, key: String, text: Option<String> },
    /// S3 CopyObject within the bucket.
    Copy { bucket: String, from: String, to: String },
}

/// A rule, or a listener's default action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteRef {
    pub listener: String,
    /// `None`: the listener's default action.
    pub rule: Option<String>,
    /// For people: `https:443 /beta*`, `http:80 default`.
    pub label: String,
}

/// The fields that an action sets, by name; `None`: absent. Two of these compare, print and diff.
pub type Fields = BTreeMap<String, Option<String>>;

/// What was read before an action: it serves the guards, the comparison and the call itself.
#[derive(Clone, Debug)]
pub enum Facts {
    Group(Group),
    Routes(Vec<RouteFacts>),
    Parameter(Option<Parameter>),
    Object(Option<Object>),
    /// Of a copy: source and destination.
    Copy {
        from: Option<Object>,
        to: Option<Object>,
    },
}

/// One route as read: the normalised forward, and AWS's own actions so that the rest goes back as it was.
#[derive(Clone, Debug)]
pub struct RouteFacts {
    pub route: RouteRef,
    pub forward: Option<super::types::Forward>,
    pub actions: Vec<aws_sdk_elasticloadbalancingv2::types::Action>,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
