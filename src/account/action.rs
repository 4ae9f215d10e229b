//! Every change that bgx can make to an account, as data: what it sets, what it reads first, and how it is taken back.

use super::classify::printable;
use super::retry::Class;
use super::types::{Group, GroupSettings, Object, Parameter, Target};
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
    /// The same with weights of each route's own: the undo of a `Forward` that found its routes apart.
    ForwardEach { env: String, routes: Vec<RouteWeights> },
    /// SSM PutParameter with Overwrite; `None` deletes (the undo of a create).
    Parameter { name: String, value: Option<String> },
    /// S3 PutObject; `None` deletes (the undo of a create).
    Object { bucket: String, key: String, text: Option<String> },
    /// S3 CopyObject within the bucket.
    Copy { bucket: String, from: String, to: String },
    /// EnterStandby or ExitStandby of one instance of a group. `replace`: on entering, the group's desired capacity stays as it is, so that
    /// Auto Scaling launches another instance. Leaving standby always raises it by one, as AWS has it.
    Standby { asg: String, instance: String, standby: bool, replace: bool },
    /// RegisterTargets or DeregisterTargets: these instances of a group are, or are not, in a target group (its ARN).
    Targets { asg: String, target_group: String, instances: BTreeSet<String>, registered: bool },
    /// TerminateInstanceInAutoScalingGroup. `decrement`: the group wants one less from then on; otherwise it launches another one.
    /// What has ended does not come back.
    Terminate { asg: String, instance: String, decrement: bool },
}

/// A rule, or a listener's default action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteRef {
    pub listener: String,
    /// `None`: the listener's default action.
    pub rule: Option<String>,
    /// For people: `https:443 /beta*`, `http:80 default`. No two routes of an action share one.
    pub label: String,
}

/// A route and what its forward action is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteWeights {
    pub route: RouteRef,
    pub weights: BTreeMap<String, u32>,
}

/// The fields that an action sets, by name; `None`: absent. Two of these compare, print and diff.
pub type Fields = BTreeMap<String, Option<String>>;

/// What was read before an action: it serves the guards, the comparison and the call itself.
#[derive(Clone, Debug)]
pub enum Facts {
    Group(GroupSettings),
    Routes(Vec<RouteFacts>),
    Parameter(Option<Parameter>),
    Object(Option<Object>),
    /// A group, and the lifecycle state of one of its instances; `None`: it is not there (any more).
    Member {
        group: GroupSettings,
        lifecycle: Option<String>,
    },
    /// A group, and all that is registered in a target group, of whatever group.
    Targets {
        group: Group,
        targets: Vec<Target>,
    },
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

/// More of a value than this says nothing more to a reader of one line.
const VALUE_CHARS_MAX: usize = 60;

impl Action {
    /// What a second sending would do.
    pub fn class(&self) -> Class {
        match self {
            Action::Capacity { .. }
            | Action::Processes { .. }
            | Action::Forward { .. }
            | Action::ForwardEach { .. }
            | Action::Parameter { .. }
            | Action::Object { .. }
            | Action::Copy { .. }
            | Action::Targets { .. } => Class::SetAbsolute,
            // Refused when it is so already: a second sending could fail on the first one's effect, or take one more.
            Action::Standby { .. } | Action::Terminate { .. } => Class::Start,
        }
    }

    /// What it changes, for people.
    pub fn resource(&self) -> String {
        match self {
            Action::Capacity { asg, .. } | Action::Processes { asg, .. } => asg.clone(),
            Action::Forward { env, .. } | Action::ForwardEach { env, .. } => format!("{env} routes"),
            Action::Parameter { name, .. } => name.clone(),
            Action::Object { bucket, key, .. } | Action::Copy { bucket, to: key, .. } => format!("s3://{bucket}/{key}"),
            Action::Standby { instance, .. } | Action::Terminate { instance, .. } => instance.clone(),
            Action::Targets { target_group, .. } => target_group_name(target_group).to_string(),
        }
    }

    /// The weights that each route gets; none for an action that touches no routes.
    pub fn forwards(&self) -> Vec<(&RouteRef, &BTreeMap<String, u32>)> {
        match self {
            Action::Forward { routes, weights, .. } => routes.iter().map(|route| (route, weights)).collect(),
            Action::ForwardEach { routes, .. } => routes.iter().map(|r| (&r.route, &r.weights)).collect(),
            Action::Capacity { .. }
            | Action::Processes { .. }
            | Action::Parameter { .. }
            | Action::Object { .. }
            | Action::Copy { .. }
            | Action::Standby { .. }
            | Action::Targets { .. }
            | Action::Terminate { .. } => Vec::new(),
        }
    }

    /// Whether `fields`, of an action that changes traffic, give several target groups of one route requests.
    pub fn is_split(&self, fields: &Fields) -> bool {
        let gets = |name: &str| fields.get(name).is_some_and(|weight| weight.as_deref().is_some_and(|weight| weight != "0"));
        self.forwards().iter().any(|(route, weights)| weights.keys().filter(|arn| gets(&weight_field(route, arn))).count() > 1)
    }

    /// The fields as they shall be.
    pub fn wanted(&self) -> Fields {
        let one = |value: &Option<String>| Fields::from([("value".to_string(), value.clone())]);
        match self {
            Action::Capacity { min, max, desired, .. } => [("min", min), ("max", max), ("desired", desired)]
                .into_iter()
                .filter_map(|(name, n)| Some((name.to_string(), Some((*n)?.to_string()))))
                .collect(),
            Action::Processes { suspend, resume, .. } => {
                let words = resume.iter().map(|p| (p, RUNNING)).chain(suspend.iter().map(|p| (p, SUSPENDED)));
                words.map(|(process, word)| (process.clone(), Some(word.to_string()))).collect()
            }
            Action::Forward { .. } | Action::ForwardEach { .. } => {
                let each = |(route, weights): (&RouteRef, &BTreeMap<String, u32>)| {
                    weights.iter().map(|(arn, weight)| (weight_field(route, arn), Some(weight.to_string()))).collect::<Vec<_>>()
                };
                self.forwards().into_iter().flat_map(each).collect()
            }
            Action::Parameter { value, .. } => one(value),
            Action::Object { text, .. } => one(text),
            Action::Copy { from, .. } => one(&Some(copy_of(from))),
            Action::Standby { standby, .. } => {
                Fields::from([("lifecycle".to_string(), Some(if *standby { STANDBY } else { IN_SERVICE }.to_string()))])
            }
            Action::Targets { instances, registered, .. } => {
                instances.iter().map(|id| (id.clone(), registered.then(|| REGISTERED.to_string()))).collect()
            }
            Action::Terminate { .. } => Fields::from([("lifecycle".to_string(), None)]),
        }
    }

    /// The action that puts back what `before` says, and no more; `None` if nothing differs.
    pub fn undo(&self, before: &Fields) -> Option<Action> {
        let wanted = self.wanted();
        let changed = |name: &str| before.get(name).filter(|was| wanted.get(name) != Some(was));
        let number = |name: &str| changed(name)?.as_ref()?.parse::<u32>().ok();
        match self {
            Action::Capacity { asg, .. } => {
                let (min, max, desired) = (number("min"), number("max"), number("desired"));
                let any = min.or(max).or(desired).is_some();
                any.then(|| Action::Capacity { asg: asg.clone(), min, max, desired })
            }
            Action::Processes { asg, suspend, resume } => {
                let was = |process: &&String, word: &str| changed(process).is_some_and(|w| w.as_deref() == Some(word));
                let back = Action::Processes {
                    asg: asg.clone(),
                    suspend: resume.iter().filter(|p| was(p, SUSPENDED)).cloned().collect(),
                    resume: suspend.iter().filter(|p| was(p, RUNNING)).cloned().collect(),
                };
                (!back.wanted().is_empty()).then_some(back)
            }
            Action::Forward { env, .. } | Action::ForwardEach { env, .. } => undo_forwards(env, &self.forwards(), before),
            Action::Parameter { name, .. } => changed("value").map(|was| Action::Parameter { name: name.clone(), value: was.clone() }),
            Action::Object { bucket, key, .. } | Action::Copy { bucket, to: key, .. } => {
                changed("value").map(|was| Action::Object { bucket: bucket.clone(), key: key.clone(), text: was.clone() })
            }
            Action::Standby { asg, instance, replace, .. } => {
                let was = changed("lifecycle")?.as_deref()?;
                let known = was == STANDBY || was == IN_SERVICE;
                known.then(|| Action::Standby { asg: asg.clone(), instance: instance.clone(), standby: was == STANDBY, replace: *replace })
            }
            Action::Targets { asg, target_group, instances, registered } => {
                let was = if *registered { None } else { Some(REGISTERED.to_string()) };
                let instances: BTreeSet<String> = instances.iter().filter(|id| changed(id) == Some(&was)).cloned().collect();
                let back = Action::Targets { asg: asg.clone(), target_group: target_group.clone(), instances, registered: !registered };
                (!back.wanted().is_empty()).then_some(back)
            }
            Action::Terminate { .. } => None,
        }
    }

    /// Whether a read-back shows the action's effect. Auto Scaling may have moved `desired` since, so any value within bounds that agree
    /// will do, but for the one from before, which may be a stale read.
    pub fn seen(&self, before: &Fields, now: &Facts) -> bool {
        let (mut wanted, mut fields) = (self.wanted(), now.fields(self));
        if let (Action::Capacity { desired: Some(_), .. }, Facts::Group(group)) = (self, now) {
            let moved = fields.get("desired") != before.get("desired") && (group.min..=group.max).contains(&group.desired);
            if moved {
                wanted.remove("desired");
                fields.remove("desired");
            }
        }
        fields.retain(|name, value| !self.took(value) || wanted.remove(name).is_none());
        wanted == fields
    }

    /// AWS took an instance that is to be, or was, a target: nobody changed that, and nothing can put it back.
    pub fn took(&self, found: &Option<String>) -> bool {
        matches!(self, Action::Targets { .. }) && found.as_deref() == Some(GONE)
    }

    /// What it was about has gone by itself, as an instance that AWS took: nothing is left to take back.
    pub fn is_moot(&self, found: &Fields) -> bool {
        let gone = || found.get("lifecycle").is_some_and(|word| word.as_deref().is_none_or(ends));
        (matches!(self, Action::Standby { .. }) && gone()) || (!found.is_empty() && found.values().all(|value| self.took(value)))
    }
}

/// Lifecycle states from which an instance does not come back.
pub(super) fn ends(lifecycle: &str) -> bool {
    lifecycle.starts_with("Terminat") || lifecycle.starts_with("Detach")
}

pub(super) const REGISTERED: &str = "registered";
/// Neither a target nor in its group any more.
pub(super) const GONE: &str = "gone";
pub(super) const STANDBY: &str = "Standby";
pub(super) const IN_SERVICE: &str = "InService";
pub(super) const SUSPENDED: &str = "suspended";
pub(super) const RUNNING: &str = "running";

/// The value of a copy that is one.
pub(super) fn copy_of(from: &str) -> String {
    format!("copy of {from}")
}

/// The name of the field that holds a target group's weight on a route: `https:443 /beta* → Beta-Blue/73e2d6bc24d8a067`.
pub(super) fn weight_field(route: &RouteRef, target_group: &str) -> String {
    let short = target_group_prefix(route).and_then(|prefix| target_group.strip_prefix(&prefix));
    format!("{}{ARROW}{}", route.label, short.unwrap_or(target_group))
}

const ARROW: &str = " → ";

/// The target group in such a name, if it is one of this route.
fn target_group_of(route: &RouteRef, field: &str) -> Option<String> {
    let short = field.strip_prefix(&route.label)?.strip_prefix(ARROW)?;
    let prefix = if short.starts_with("arn:") { String::new() } else { target_group_prefix(route)? };
    Some(prefix + short)
}

/// A listener and the target groups behind it are of one account and region: their ARNs begin alike.
fn target_group_prefix(route: &RouteRef) -> Option<String> {
    let (end, _) = route.listener.match_indices(':').nth(4)?;
    Some(format!("{}:targetgroup/", &route.listener[..end]))
}

/// The routes that differ, back as they were. If they were alike, that is a plain `Forward` again.
fn undo_forwards(env: &str, forwards: &[(&RouteRef, &BTreeMap<String, u32>)], before: &Fields) -> Option<Action> {
    let earlier = |route: &RouteRef| -> BTreeMap<String, u32> {
        let weight = |(field, weight): (&String, &Option<String>)| Some((target_group_of(route, field)?, weight.as_ref()?.parse().ok()?));
        before.iter().filter_map(weight).collect()
    };
    let routes: Vec<RouteWeights> = forwards
        .iter()
        .map(|(route, wanted)| (RouteWeights { route: (*route).clone(), weights: earlier(route) }, *wanted))
        .filter(|(was, wanted)| !was.weights.is_empty() && was.weights != **wanted)
        .map(|(was, _)| was)
        .collect();
    let first = routes.first()?.weights.clone();
    let env = env.to_string();
    Some(if routes.iter().all(|r| r.weights == first) {
        Action::Forward { env, routes: routes.into_iter().map(|r| r.route).collect(), weights: first }
    } else {
        Action::ForwardEach { env, routes }
    })
}

/// `Beta-Blue` of a target group's ARN.
fn target_group_name(arn: &str) -> &str {
    arn.rsplit_once(":targetgroup/").and_then(|(_, rest)| rest.split('/').next()).unwrap_or(arn)
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |words: &BTreeSet<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let weights = |weights: &BTreeMap<String, u32>| {
            weights.iter().map(|(arn, weight)| format!("{} {weight}", target_group_name(arn))).collect::<Vec<_>>().join(", ")
        };
        let what = match self {
            Action::Capacity { min, max, desired, .. } => {
                let parts = [("desired", desired), ("min", min), ("max", max)];
                parts.into_iter().filter_map(|(name, n)| Some(format!("{name} {}", (*n)?))).collect::<Vec<_>>().join(", ")
            }
            Action::Processes { suspend, resume, .. } => [("suspend", suspend), ("resume", resume)]
                .into_iter()
                .filter(|(_, processes)| !processes.is_empty())
                .map(|(word, processes)| format!("{word} {}", list(processes)))
                .collect::<Vec<_>>()
                .join("; "),
            Action::Forward { weights: of_all, .. } => weights(of_all),
            Action::ForwardEach { routes, .. } => {
                routes.iter().map(|r| format!("{} {}", r.route.label, weights(&r.weights))).collect::<Vec<_>>().join("; ")
            }
            Action::Parameter { value: text, .. } | Action::Object { text, .. } => match text {
                Some(text) if text.contains(":targetgroup/") => format!("set to the ARN of {}", printable(target_group_name(text))),
                Some(text) => format!("set to `{}`", shortened(text)),
                None => "delete".to_string(),
            },
            Action::Copy { from, .. } => copy_of(from),
            Action::Standby { asg, standby: true, replace: true, .. } => format!("to Standby in {asg}, which launches another one"),
            Action::Standby { asg, standby: true, replace: false, .. } => format!("to Standby in {asg}"),
            Action::Standby { asg, standby: false, .. } => format!("back into service in {asg}"),
            Action::Targets { asg, instances, registered, .. } => {
                let word = if *registered { "register" } else { "deregister" };
                format!("{word} {} instance(s) of {asg}: {}", instances.len(), shortened(&list(instances)))
            }
            Action::Terminate { asg, decrement: true, .. } => format!("terminate in {asg}, which wants one less"),
            Action::Terminate { asg, decrement: false, .. } => format!("terminate in {asg}, which launches another one"),
        };
        write!(f, "{}: {what}", self.resource())
    }
}

fn shortened(text: &str) -> String {
    let text = printable(text);
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
#[path = "action_tests.rs"]
mod tests;
