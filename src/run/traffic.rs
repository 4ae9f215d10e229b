//! Where an environment's traffic comes in and where it goes: the listener says which colour is live.

use super::RunError;
use crate::account::action::RouteFacts;
use crate::account::{Account, Action, Facts, Forward, Listener, RouteRef, Rule, TargetGroup};
use crate::config::{Environment, Match, Route};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What does not change during a run: the rules of the environment and its target groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    pub routes: Vec<RouteRef>,
    /// By colour.
    pub target_groups: BTreeMap<String, TargetGroup>,
}

impl Topology {
    pub fn arn(&self, color: &str) -> Option<&str> {
        self.target_groups.get(color).map(|group| group.arn.as_str())
    }

    /// For people: `beta-green` for one of ours, else the target group's own name.
    pub fn color_of(&self, arn: &str) -> Option<&str> {
        self.target_groups.iter().find(|(_, group)| group.arn == arn).map(|(color, _)| color.as_str())
    }
}

/// What the environments on one load balancer share: its listeners and their rules.
#[derive(Clone, Debug, Default)]
pub struct Balancer {
    listeners: Vec<Listener>,
    /// By listener; only of those where a route needs them.
    rules: BTreeMap<String, Vec<Rule>>,
}

/// Reads a load balancer as far as the routes of these environments need it.
pub async fn balancer(account: &Account, name: &str, envs: &[&Environment]) -> Result<Balancer, RunError> {
    let found = account.load_balancer(name).await?;
    let found = found.ok_or_else(|| RunError::failed(format!("there is no load balancer `{name}`")))?;
    let listeners = account.listeners(&found.arn).await?;
    let routes: Vec<&Route> = envs.iter().filter(|env| env.load_balancer == name).flat_map(|env| &env.routes).collect();
    let needed = listeners.iter().filter(|l| routes.iter().any(|r| r.listener == l.port && r.matches != Match::Default));
    let rules = try_join_all(needed.map(async |listener| {
        let rules = account.rules(&listener.arn).await?;
        Ok::<_, RunError>((listener.arn.clone(), rules))
    }));
    let rules = rules.await?.into_iter().collect();
    Ok(Balancer { listeners, rules })
}

/// Finds the environment's rules and target groups; each route must match exactly one rule.
pub async fn discover(account: &Account, env: &Environment) -> Result<Topology, RunError> {
    let names: Vec<&str> = env.colors.iter().map(|c| c.target_group.as_str()).collect();
    let envs = [env];
    let (balancer, groups) = tokio::join!(balancer(account, &env.load_balancer, &envs), account.target_groups(&names));
    locate(&balancer?, &groups?, env)
}

/// The same from what was read already.
pub fn locate(balancer: &Balancer, groups: &BTreeMap<String, TargetGroup>, env: &Environment) -> Result<Topology, RunError> {
    let mut target_groups = BTreeMap::new();
    for color in &env.colors {
        let group = groups.get(&color.target_group).cloned();
        let group =
            group.ok_or_else(|| RunError::failed(format!("there is no target group `{}` for {}", color.target_group, color.name)))?;
        target_groups.insert(color.name.clone(), group);
    }
    let mut routes = Vec::new();
    for route in &env.routes {
        let listener = balancer.listeners.iter().find(|l| l.port == route.listener).ok_or_else(|| {
            RunError::failed(format!("`{}` has no listener on port {}, which {route} needs", env.load_balancer, route.listener))
        })?;
        let known = balancer.rules.get(&listener.arn).map(Vec::as_slice).unwrap_or_default();
        routes.push(resolve(route, listener, known)?);
    }
    Ok(Topology { routes, target_groups })
}

/// The one rule that a route of `bgx.toml` names.
fn resolve(route: &Route, listener: &Listener, rules: &[Rule]) -> Result<RouteRef, RunError> {
    let label = route.to_string();
    let of = |rule: Option<String>| RouteRef { listener: listener.arn.clone(), rule, label: label.clone() };
    let wanted = match &route.matches {
        Match::Default => return Ok(of(None)),
        Match::Path(path) => (vec![path.clone()], vec![]),
        Match::Host(host) => (vec![], vec![host.clone()]),
    };
    let found: Vec<&Rule> =
        rules.iter().filter(|rule| rule.other_conditions.is_empty() && (&rule.paths, &rule.hosts) == (&wanted.0, &wanted.1)).collect();
    match found.as_slice() {
        [one] => Ok(of(Some(one.arn.clone()))),
        [] => Err(RunError::failed(format!("no rule of the load balancer matches {route}"))),
        many => Err(RunError::failed(format!("{} rules of the load balancer match {route}; it must be exactly one", many.len()))),
    }
}

/// Weights of every route at one moment.
#[derive(Clone, Debug)]
pub struct Traffic {
    pub routes: Vec<(RouteRef, Option<Forward>)>,
}

impl From<&[RouteFacts]> for Traffic {
    fn from(facts: &[RouteFacts]) -> Traffic {
        Traffic { routes: facts.iter().map(|facts| (facts.route.clone(), facts.forward.clone())).collect() }
    }
}

pub async fn read(account: &Account, env: &Environment, topology: &Topology) -> Result<Traffic, RunError> {
    let probe = Action::Forward { env: env.name.clone(), routes: topology.routes.clone(), weights: BTreeMap::new() };
    match account.facts(&probe).await? {
        Facts::Routes(routes) => Ok(routes.as_slice().into()),
        Facts::Group(_) | Facts::Member { .. } | Facts::Refresh { .. } | Facts::Parameter(_) | Facts::Object(_) | Facts::Copy { .. } => {
            Err(RunError::failed("routes were not read as routes"))
        }
    }
}

/// What the listener says about who serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Serving {
    /// Every route sends everything to this colour.
    Color(String),
    /// More than one target group gets traffic, on one route or across routes; the heaviest of ours comes first.
    Split { colors: Vec<String>, text: String },
    /// Traffic goes to a target group that is not the environment's.
    Foreign { text: String },
}

impl Traffic {
    /// As the load balancer was when it was read.
    pub fn of(balancer: &Balancer, topology: &Topology) -> Traffic {
        let forward = |route: &RouteRef| match &route.rule {
            None => balancer.listeners.iter().find(|l| l.arn == route.listener)?.forward.clone(),
            Some(arn) => balancer.rules.get(&route.listener)?.iter().find(|r| r.arn == *arn)?.forward.clone(),
        };
        Traffic { routes: topology.routes.iter().map(|route| (route.clone(), forward(route))).collect() }
    }

    /// Target groups that get traffic on any route.
    pub fn carries(&self, arn: &str) -> bool {
        self.weight(arn) > 0
    }

    /// The largest weight of a target group on any route.
    pub fn weight(&self, arn: &str) -> u32 {
        self.routes.iter().filter_map(|(_, forward)| forward.as_ref()?.weights.get(arn).copied()).max().unwrap_or(0)
    }

    pub fn sticky(&self) -> bool {
        self.routes.iter().any(|(_, forward)| forward.as_ref().is_some_and(|f| f.stickiness_seconds.is_some()))
    }

    pub fn serving(&self, topology: &Topology) -> Serving {
        let mut weights: BTreeMap<&str, u32> = BTreeMap::new();
        let mut differs = false;
        for (route, forward) in &self.routes {
            let Some(forward) = forward else {
                return Serving::Foreign { text: format!("{} does not forward to a target group", route.label) };
            };
            let live = forward.live();
            if let Some(foreign) = live.iter().find(|arn| topology.color_of(arn).is_none()) {
                return Serving::Foreign { text: format!("{} forwards to `{}`", route.label, target_group_name(foreign)) };
            }
            differs |= live.len() != 1 || weights.keys().any(|known| *known != live[0]);
            live.iter().for_each(|arn| *weights.entry(arn).or_default() += forward.weights[*arn]);
        }
        let mut colors: Vec<(&str, u32)> = weights.iter().filter_map(|(arn, w)| Some((topology.color_of(arn)?, *w))).collect();
        colors.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        match colors.as_slice() {
            [(one, _)] if !differs => Serving::Color((*one).to_owned()),
            [] => Serving::Foreign { text: "no route sends traffic to a target group".to_owned() },
            many => Serving::Split {
                colors: many.iter().map(|(color, _)| (*color).to_owned()).collect(),
                text: many.iter().map(|(color, weight)| format!("{color} has weight {weight}")).collect::<Vec<_>>().join(", "),
            },
        }
    }
}

/// `Beta-Green` of `arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/Beta-Green/0123`.
pub fn target_group_name(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}
