//! What one environment is by its names, and what its playbook may do: all that the audit is told besides the two worlds.

use super::replay::Scene;
use crate::sandbox::world::World;

/// Time that the calls of one switch may lie apart, added to the propagation of the last of them.
const CALLS_APART: u64 = 10_000;

/// An environment under audit. Only names: what they stand for is looked up in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charter {
    /// Name of its user traffic.
    pub env: String,
    /// `None`: the account's home region.
    pub region: Option<String>,
    pub load_balancer: String,
    pub bucket: String,
    /// Where lock and records are; `None`: in that bucket.
    pub state_bucket: Option<String>,
    /// Two, or more; the first two are blue and green.
    pub colors: Vec<Color>,
    pub routes: Vec<Route>,
    pub active_color: String,
    pub active_target_group: String,
    /// Resources that may be written besides the environment's own; a `*` stands for any text.
    pub extra: Extra,
    /// Key of the lock object in the bucket, where there is one.
    pub lock: Option<String>,
    /// Beginning of the keys of what runs of this environment write down about themselves, where they do it in the bucket.
    pub records: Option<String>,
    pub allows: Allows,
    /// Fewest instances that the run was told to serve with; `None`: as many as served at the start.
    pub floor: Option<u32>,
    /// MinSize that the serving group may be left with, whatever it was at the start.
    pub least: Option<u32>,
    /// Milliseconds in which nodes may disagree after a changed rule; `None`: what the world's timing allows at most.
    pub window: Option<u64>,
}

/// One colour by its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Color {
    pub name: String,
    pub group: String,
    /// Of the service that the environment is recorded by.
    pub target_group: String,
    /// Target groups of further services on the same instances.
    pub others: Vec<String>,
    pub version_key: String,
    /// Parameter that records the version of this colour.
    pub version_parameter: String,
}

/// Where traffic comes in; neither path nor host: the listener's default action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub port: u16,
    pub path: Option<String>,
    pub host: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    pub groups: Vec<String>,
    pub parameters: Vec<String>,
    /// Keys in the environment's bucket.
    pub objects: Vec<String>,
}

/// What the playbook's header declares; each excuses the invariants that it speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allows {
    pub take_down: bool,
    pub mixed_versions: bool,
    pub less_capacity: bool,
}

impl Color {
    /// `parameters` is the prefix of the environment's parameters, without a trailing `/`.
    pub fn new(name: &str, group: &str, target_group: &str, version_key: &str, parameters: &str) -> Color {
        Color {
            name: name.to_owned(),
            group: group.to_owned(),
            target_group: target_group.to_owned(),
            others: Vec::new(),
            version_key: version_key.to_owned(),
            version_parameter: format!("{parameters}/{name}-version"),
        }
    }
}

impl Charter {
    /// An environment that declares nothing and owns nothing more. `parameters` as for [`Color::new`].
    pub fn new(
        env: &str,
        load_balancer: &str,
        bucket: &str,
        parameters: &str,
        colors: impl Into<Vec<Color>>,
        routes: Vec<Route>,
    ) -> Charter {
        Charter {
            env: env.to_owned(),
            region: None,
            state_bucket: None,
            load_balancer: load_balancer.to_owned(),
            bucket: bucket.to_owned(),
            colors: colors.into(),
            routes,
            active_color: format!("{parameters}/active-color"),
            active_target_group: format!("{parameters}/active-target-group-arn"),
            extra: Extra::default(),
            lock: None,
            records: None,
            allows: Allows::default(),
            floor: None,
            least: None,
            window: None,
        }
    }

    /// Both colours boot from one key, so an instance can boot the other colour's version.
    pub fn shares_version_key(&self) -> bool {
        self.colors[0].version_key == self.colors[1].version_key
    }

    /// Parameters of the environment that a run sets.
    pub(super) fn parameters(&self) -> Vec<&str> {
        let mut names = vec![self.active_color.as_str(), self.active_target_group.as_str()];
        names.extend(self.colors.iter().map(|c| c.version_parameter.as_str()));
        names
    }

    pub(super) fn window_in(&self, world: &World) -> u64 {
        self.window.unwrap_or(world.timing.propagation.high + CALLS_APART)
    }

    pub(super) fn may_write_group(&self, group: &str) -> bool {
        self.colors.iter().any(|c| c.group == group) || named(&self.extra.groups, group)
    }

    pub(super) fn may_write_parameter(&self, name: &str) -> bool {
        self.parameters().contains(&name) || named(&self.extra.parameters, name)
    }

    /// `object` is `bucket/key`, as the log has it.
    pub(super) fn may_write_object(&self, object: &str) -> bool {
        let key_in = |bucket: &str| object.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('/'));
        let own = |key: &str| self.colors.iter().any(|c| c.version_key == key) || named(&self.extra.objects, key);
        key_in(&self.bucket).is_some_and(own) || key_in(self.state_bucket()).is_some_and(|key| self.is_state(key))
    }

    pub(super) fn state_bucket(&self) -> &str {
        self.state_bucket.as_deref().unwrap_or(&self.bucket)
    }

    /// The lock or a record: the runs' own, and nothing that an undo puts back.
    pub(super) fn is_state(&self, key: &str) -> bool {
        self.lock.as_deref() == Some(key) || self.records.as_ref().is_some_and(|records| key.starts_with(records))
    }
}

fn named(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
    })
}

impl Route {
    /// For people: `443 /beta*`, `80 default`.
    pub fn label(&self) -> String {
        match (&self.path, &self.host) {
            (None, None) => format!("{} default", self.port),
            (path, host) => {
                [Some(&self.port.to_string()), host.as_ref(), path.as_ref()].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// A charter whose names were found in a world.
#[derive(Clone, Debug)]
pub(super) struct Resolved<'a> {
    pub charter: &'a Charter,
    /// ARNs of the colours' target groups; empty where there is none of that name.
    pub target_groups: Vec<String>,
    /// Of further services, by colour.
    pub others: Vec<Vec<String>>,
    /// ARN of the rule or listener, and the route's label.
    pub routes: Vec<(String, String)>,
    /// What was not found; the audit is blind there.
    pub missing: Vec<String>,
}

impl<'a> Resolved<'a> {
    pub fn find(charter: &'a Charter, world: &World) -> Resolved<'a> {
        let mut missing = Vec::new();
        let arn_of = |name: &str| world.target_groups.values().find(|g| g.name == name).map(|g| g.arn.clone());
        for color in &charter.colors {
            if !world.groups.contains_key(&color.group) {
                missing.push(format!("group {}", color.group));
            }
            let unknown = std::iter::once(&color.target_group).chain(&color.others).filter(|name| arn_of(name).is_none());
            missing.extend(unknown.map(|name| format!("target group {name}")));
        }
        let target_groups = charter.colors.iter().map(|color| arn_of(&color.target_group).unwrap_or_default()).collect();
        let others = charter.colors.iter().map(|color| color.others.iter().filter_map(|name| arn_of(name)).collect()).collect();
        let mut routes = Vec::new();
        for route in &charter.routes {
            match resource_of(charter, route, world) {
                Some(arn) => routes.push((arn, route.label())),
                None => missing.push(format!("route {}", route.label())),
            }
        }
        Resolved { charter, target_groups, others, routes, missing }
    }

    /// The colour whose target group this is.
    pub fn color_of_target_group(&self, arn: &str) -> Option<&'a Color> {
        let index =
            (0..self.target_groups.len()).find(|i| self.target_groups[*i] == arn || self.others[*i].iter().any(|known| known == arn));
        index.map(|i| &self.charter.colors[i])
    }

    /// The target group that stands for this one's colour; another one as it is.
    pub fn main_of<'b>(&'b self, arn: &'b str) -> &'b str {
        let index = (0..self.target_groups.len()).find(|i| self.others[*i].iter().any(|known| known == arn));
        index.map_or(arn, |i| &self.target_groups[i])
    }

    pub fn color_of_group(&self, group: &str) -> Option<(&'a Color, &str)> {
        let index = self.charter.colors.iter().position(|c| c.group == group)?;
        Some((&self.charter.colors[index], &self.target_groups[index]))
    }

    /// The group, where its target group gets requests; of one that both colours share, where instances of this group are registered there.
    pub fn serves(&self, scene: &Scene, group: &str) -> Option<(&'a Color, &str)> {
        let found = self.color_of_group(group).filter(|(_, arn)| scene.serves(arn))?;
        (!self.shares_target_group() || scene.registered(found.1, group) > 0).then_some(found)
    }

    /// The colour that serves by this target group: the one with the most instances there, where both share it.
    pub fn color_in(&self, scene: &Scene, arn: &str) -> Option<&'a Color> {
        let arn = self.main_of(arn);
        let there = self.charter.colors.iter().zip(&self.target_groups).filter(|(_, known)| *known == arn).map(|(color, _)| color);
        there.rev().max_by_key(|color| scene.registered(arn, &color.group))
    }

    pub fn shares_target_group(&self) -> bool {
        self.target_groups[0] == self.target_groups[1]
    }

    pub fn is_route(&self, resource: &str) -> bool {
        self.routes.iter().any(|(arn, _)| arn == resource)
    }

    /// `Beta-Blue` for its ARN; a foreign one as it is.
    pub fn name_of(&self, arn: &str) -> String {
        let own = self.color_of_target_group(arn).and_then(|_| arn.split('/').nth(1));
        own.unwrap_or(arn).to_owned()
    }
}

/// The listener (default action) or the rule that a route stands for.
fn resource_of(charter: &Charter, route: &Route, world: &World) -> Option<String> {
    let balancer = world.load_balancers.values().find(|lb| lb.name == charter.load_balancer)?;
    let listener = world.listeners.values().find(|l| l.load_balancer == balancer.arn && l.port == route.port)?;
    let wanted: Vec<(&str, &String)> =
        [("path-pattern", &route.path), ("host-header", &route.host)].into_iter().filter_map(|(f, v)| Some((f, v.as_ref()?))).collect();
    if wanted.is_empty() {
        return Some(listener.arn.clone());
    }
    let fits = |rule: &&crate::sandbox::world::Rule| {
        rule.listener == listener.arn
            && rule.conditions.len() == wanted.len()
            && wanted.iter().all(|(field, value)| rule.conditions.iter().any(|c| c.field == *field && c.values.contains(value)))
    };
    world.rules.values().find(fits).map(|rule| rule.arn.clone())
}
