//! What an action will change, as it is now: one read that serves the guards, the comparison and the call itself.

use super::action::{Action, BEGUN, Facts, Fields, IN_SERVICE, OVER, REFRESH, RUNNING, RouteFacts, RouteRef, STANDBY, SUSPENDED};
use super::action::{UNDER_WAY, VERSION, copy_of, ends, weight_field};
use super::classify::Failure;
use super::retry::{Call, Class};
use super::targets::registration;
use super::{Account, AccountError, Group, GroupSettings, Kind, Object, Refresh, Target, balancing};
use std::collections::BTreeSet;

/// What an action may replace goes into the journal, so that it can be put back.
const REPLACED_BYTES_MAX: usize = 1024 * 1024;

impl Account {
    /// Reads what the action will change. What must exist for it (a group, a rule) and does not is an error of `Kind::NotFound`.
    pub async fn facts(&self, action: &Action) -> Result<Facts, AccountError> {
        match action {
            Action::Capacity { asg, .. } | Action::Processes { asg, .. } => Ok(Facts::Group(self.group(asg).await?)),
            Action::Forward { .. } | Action::ForwardEach { .. } => {
                let routes: Vec<&RouteRef> = action.forwards().into_iter().map(|(route, _)| route).collect();
                Ok(Facts::Routes(self.routes(&routes).await?))
            }
            Action::Parameter { name, .. } => Ok(Facts::Parameter(self.parameter(name).await?)),
            Action::Object { bucket, key, .. } => {
                let object = self.object(bucket, key).await?;
                replaceable(action, object.as_ref())?;
                Ok(Facts::Object(object))
            }
            Action::Copy { bucket, from, to } => {
                let (from, to) = (self.object(bucket, from).await?, self.object(bucket, to).await?);
                if !is_copy(from.as_ref(), to.as_ref()) {
                    replaceable(action, to.as_ref())?;
                }
                Ok(Facts::Copy { from, to })
            }
            Action::Standby { asg, instance, .. } | Action::Terminate { asg, instance, .. } => self.member(asg, instance).await,
            Action::Targets { asg, target_group, .. } => {
                let asgs = [asg.as_str()];
                let (groups, targets) = tokio::join!(self.groups(&asgs), self.target_health(target_group));
                Ok(Facts::Targets { group: groups?.remove(asg).ok_or_else(|| missing(asg))?, targets: targets? })
            }
            Action::Refresh { asg, bucket, key, .. } => {
                let (group, newest) = (self.group(asg).await?, self.newest_refresh(asg).await?);
                let object = self.object(bucket, key).await?;
                replaceable(action, object.as_ref())?;
                Ok(Facts::Refresh { group, key: object, newest })
            }
            Action::CancelRefresh { asg } => {
                let (group, newest) = (self.group(asg).await?, self.newest_refresh(asg).await?);
                Ok(Facts::Refresh { group, key: None, newest })
            }
        }
    }

    async fn member(&self, asg: &str, instance: &str) -> Result<Facts, AccountError> {
        let mut found = self.groups(&[asg]).await?;
        let group = found.remove(asg).ok_or_else(|| missing(asg))?;
        let lifecycle = group.instances.iter().find(|i| i.id == instance).map(|i| i.lifecycle.clone());
        let Group { name, min, max, desired, suspended, .. } = group;
        Ok(Facts::Member { group: GroupSettings { name, min, max, desired, suspended }, lifecycle })
    }

    async fn group(&self, asg: &str) -> Result<GroupSettings, AccountError> {
        self.settings(&[asg]).await?.remove(asg).ok_or_else(|| missing(asg))
    }

    /// The routes in the order asked for: one call for the rules, one for the default actions.
    async fn routes(&self, routes: &[&RouteRef]) -> Result<Vec<RouteFacts>, AccountError> {
        if let Some(label) = repeated(routes.iter().map(|r| r.label.as_str())) {
            let message = format!("two routes are called `{label}`");
            return Err(refused("elasticloadbalancing", "DescribeRules", label, message));
        }
        let rules: Vec<String> = routes.iter().filter_map(|r| r.rule.clone()).collect();
        let listeners: BTreeSet<String> = routes.iter().filter(|r| r.rule.is_none()).map(|r| r.listener.clone()).collect();
        let listeners: Vec<String> = listeners.into_iter().collect();
        let rules = if rules.is_empty() { Vec::new() } else { self.raw_rules(&rules).await? };
        let listeners = if listeners.is_empty() { Vec::new() } else { self.raw_listeners(&listeners).await? };
        let facts = |route: &&RouteRef| {
            let (operation, arn, actions) = match &route.rule {
                Some(arn) => {
                    ("DescribeRules", arn, rules.iter().find(|r| r.rule_arn.as_ref() == Some(arn)).and_then(|r| r.actions.clone()))
                }
                None => {
                    let listener = listeners.iter().find(|l| l.listener_arn.as_ref() == Some(&route.listener));
                    ("DescribeListeners", &route.listener, listener.and_then(|l| l.default_actions.clone()))
                }
            };
            let actions = actions.ok_or_else(|| balancing::not_found(operation, arn))?;
            Ok(RouteFacts { route: (*route).clone(), forward: balancing::forward(&actions), actions })
        };
        routes.iter().map(facts).collect()
    }
}

fn missing(asg: &str) -> AccountError {
    let call = super::autoscaling::call("DescribeAutoScalingGroups", asg, Class::Read);
    Failure::new(Kind::NotFound, "there is no such group").into_error(&call, Kind::NotFound, 1)
}

/// A refusal of ours: nothing was sent.
pub(super) fn refused(service: &'static str, operation: &'static str, resource: &str, message: impl AsRef<str>) -> AccountError {
    let call = Call { service, operation, resource, class: Class::Read, says: None };
    Failure::new(Kind::Invalid, message).into_error(&call, Kind::Invalid, 0)
}

fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// What cannot be kept as text cannot be put back, and is not replaced.
fn replaceable(action: &Action, present: Option<&Object>) -> Result<(), AccountError> {
    let Some(object) = present else { return Ok(()) };
    let what = if object.body.len() > REPLACED_BYTES_MAX {
        format!("it has {} bytes; more than {REPLACED_BYTES_MAX} are not replaced", object.body.len())
    } else if std::str::from_utf8(&object.body).is_err() {
        "it is not text, and only text is replaced".to_string()
    } else {
        return Ok(());
    };
    Err(refused("s3", "GetObject", &action.resource(), what))
}

fn is_copy(from: Option<&Object>, to: Option<&Object>) -> bool {
    matches!((from, to), (Some(from), Some(to)) if from.body == to.body)
}

impl Facts {
    /// The present values of exactly the fields that the action sets.
    pub fn fields(&self, action: &Action) -> Fields {
        let one = |value: Option<String>| Fields::from([("value".to_string(), value)]);
        match action {
            Action::Capacity { min, max, desired, .. } => {
                let group = self.group();
                [("min", min, group.min), ("max", max, group.max), ("desired", desired, group.desired)]
                    .into_iter()
                    .filter(|(_, set, _)| set.is_some())
                    .map(|(name, _, n)| (name.to_string(), Some(n.to_string())))
                    .collect()
            }
            Action::Processes { suspend, resume, .. } => {
                let word = |process| if self.group().suspended.contains(process) { SUSPENDED } else { RUNNING };
                suspend.iter().chain(resume).map(|process| (process.clone(), Some(word(process).to_string()))).collect()
            }
            Action::Forward { .. } | Action::ForwardEach { .. } => self.weight_fields(action),
            Action::Parameter { .. } => one(self.parameter().map(|p| p.value.clone())),
            Action::Object { .. } => one(self.object().map(text)),
            Action::Copy { from: source, .. } => {
                let (from, to) = self.copy();
                one(to.map(|to| if is_copy(from, Some(to)) { copy_of(source) } else { text(to) }))
            }
            Action::Standby { .. } => Fields::from([("lifecycle".to_string(), self.lifecycle().map(on_its_way))]),
            Action::Terminate { .. } => {
                let lives = self.lifecycle().filter(|lifecycle| !ends(lifecycle));
                Fields::from([("lifecycle".to_string(), lives.map(str::to_string))])
            }
            Action::Targets { instances, .. } => {
                let (group, targets) = self.targets();
                instances.iter().map(|id| (id.clone(), registration(id, group, targets))).collect()
            }
            Action::Refresh { .. } => {
                let (key, newest) = self.refresh();
                let begun = newest.filter(|newest| newest.holds() && newest.is_since(key)).map(|_| BEGUN.to_string());
                let refresh = begun.or_else(|| newest.map(|newest| newest.id.clone()));
                Fields::from([(VERSION.to_string(), key.map(text)), (REFRESH.to_string(), refresh)])
            }
            Action::CancelRefresh { .. } => {
                let replaces = self.refresh().1.is_some_and(|newest| newest.is_active() && newest.status != "Cancelling");
                Fields::from([(REFRESH.to_string(), Some(if replaces { UNDER_WAY } else { OVER }.to_string()))])
            }
        }
    }

    /// One field for each target group that is in the route's forward action or shall be.
    fn weight_fields(&self, action: &Action) -> Fields {
        let mut fields = Fields::new();
        for (route, wanted) in action.forwards() {
            let present = self.routes().iter().find(|f| f.route == *route).and_then(|f| f.forward.as_ref());
            let weights = present.map(|f| f.weights.clone()).unwrap_or_default();
            for arn in wanted.keys().chain(weights.keys()) {
                fields.insert(weight_field(route, arn), weights.get(arn).map(u32::to_string));
            }
        }
        fields
    }

    fn group(&self) -> &GroupSettings {
        match self {
            Facts::Group(group) | Facts::Member { group, .. } | Facts::Refresh { group, .. } => group,
            Facts::Routes(_) | Facts::Parameter(_) | Facts::Object(_) | Facts::Copy { .. } | Facts::Targets { .. } => foreign(),
        }
    }

    pub(super) fn targets(&self) -> (&Group, &[Target]) {
        match self {
            Facts::Targets { group, targets } => (group, targets),
            Facts::Group(_) | Facts::Member { .. } | Facts::Refresh { .. } | Facts::Routes(_) => foreign(),
            Facts::Parameter(_) | Facts::Object(_) | Facts::Copy { .. } => foreign(),
        }
    }

    pub(super) fn routes(&self) -> &[RouteFacts] {
        match self {
            Facts::Routes(routes) => routes,
            Facts::Group(_) | Facts::Member { .. } | Facts::Refresh { .. } | Facts::Targets { .. } => foreign(),
            Facts::Parameter(_) | Facts::Object(_) | Facts::Copy { .. } => foreign(),
        }
    }

    pub(super) fn parameter(&self) -> Option<&super::Parameter> {
        match self {
            Facts::Parameter(parameter) => parameter.as_ref(),
            Facts::Group(_) | Facts::Member { .. } | Facts::Refresh { .. } | Facts::Targets { .. } => foreign(),
            Facts::Routes(_) | Facts::Object(_) | Facts::Copy { .. } => foreign(),
        }
    }

    fn object(&self) -> Option<&Object> {
        match self {
            // What was copied is taken back by writing, or deleting, the object that it was copied to.
            Facts::Object(object) | Facts::Copy { to: object, .. } => object.as_ref(),
            Facts::Group(_) | Facts::Member { .. } | Facts::Refresh { .. } | Facts::Targets { .. } => foreign(),
            Facts::Routes(_) | Facts::Parameter(_) => foreign(),
        }
    }

    fn copy(&self) -> (Option<&Object>, Option<&Object>) {
        match self {
            Facts::Copy { from, to } => (from.as_ref(), to.as_ref()),
            Facts::Group(_) | Facts::Member { .. } | Facts::Refresh { .. } | Facts::Targets { .. } => foreign(),
            Facts::Routes(_) | Facts::Parameter(_) | Facts::Object(_) => foreign(),
        }
    }

    fn lifecycle(&self) -> Option<&str> {
        match self {
            Facts::Member { lifecycle, .. } => lifecycle.as_deref(),
            Facts::Group(_) | Facts::Refresh { .. } | Facts::Targets { .. } => foreign(),
            Facts::Routes(_) | Facts::Parameter(_) | Facts::Object(_) | Facts::Copy { .. } => foreign(),
        }
    }

    pub(super) fn refresh(&self) -> (Option<&Object>, Option<&Refresh>) {
        match self {
            Facts::Refresh { key, newest, .. } => (key.as_ref(), newest.as_ref()),
            Facts::Group(_) | Facts::Member { .. } | Facts::Routes(_) | Facts::Targets { .. } => foreign(),
            Facts::Parameter(_) | Facts::Object(_) | Facts::Copy { .. } => foreign(),
        }
    }
}

/// Where a lifecycle state leads by itself: `EnteringStandby` to `Standby`, and the `Pending` after it to `InService`.
fn on_its_way(lifecycle: &str) -> String {
    match lifecycle {
        "EnteringStandby" => STANDBY,
        pending if pending.starts_with("Pending") => IN_SERVICE,
        other => other,
    }
    .to_string()
}

fn text(object: &Object) -> String {
    String::from_utf8_lossy(&object.body).into_owned()
}

fn foreign() -> ! {
    panic!("facts are used with the action that they were read for")
}
