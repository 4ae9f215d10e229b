//! Where an environment's traffic comes in and where it goes: the listener says which colour is live.

use super::RunError;
use crate::account::action::RouteFacts;
use crate::account::{Account, Action, Facts, Forward, Listener, RouteRef, RouteWeights, Rule, Target, TargetGroup};
use crate::config::{Environment, Match, Route};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What does not change during a run: the rules of the environment and its target groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    pub routes: Vec<RouteRef>,
    /// By colour: of the main service, the one that is recorded.
    pub target_groups: BTreeMap<String, TargetGroup>,
    /// Further services on the same instances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Service>,
}

/// What else runs on the instances of a colour: routes and target groups of its own, on another port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub routes: Vec<RouteRef>,
    /// By colour.
    pub target_groups: BTreeMap<String, TargetGroup>,
}

impl Topology {
    /// The target group that is recorded for a colour.
    pub fn arn(&self, color: &str) -> Option<&str> {
        self.target_groups.get(color).map(|group| group.arn.as_str())
    }

    /// The target groups of a colour: one for each service, the main one first.
    pub fn groups(&self, color: &str) -> Vec<&TargetGroup> {
        let others = self.others.iter().map(|service| &service.target_groups);
        std::iter::once(&self.target_groups).chain(others).filter_map(|groups| groups.get(color)).collect()
    }

    /// Where instances take requests: the port of the main service.
    pub fn port(&self) -> u16 {
        self.target_groups.values().next().map_or(HTTP_PORT, |group| group.port)
    }

    pub fn color_of(&self, arn: &str) -> Option<&str> {
        self.colors().find(|color| self.groups(color).iter().any(|group| group.arn == arn))
    }

    pub fn colors(&self) -> impl Iterator<Item = &str> {
        self.target_groups.keys().map(String::as_str)
    }

    /// The colour that a route sends to with this target group of its own service.
    fn color_on(&self, route: &RouteRef, arn: &str) -> Option<&str> {
        self.service_of(route).iter().find(|(_, group)| group.arn == arn).map(|(color, _)| color.as_str())
    }

    /// By colour: where a route sends its requests.
    fn service_of(&self, route: &RouteRef) -> &BTreeMap<String, TargetGroup> {
        let own = self.others.iter().find(|service| service.routes.contains(route));
        own.map_or(&self.target_groups, |service| &service.target_groups)
    }

    /// Shares of the colours as weights of one route's target groups.
    pub fn weights(&self, route: &RouteRef, shares: &[(String, u32)]) -> BTreeMap<String, u32> {
        let service = self.service_of(route);
        shares.iter().filter_map(|(color, share)| Some((service.get(color)?.arn.clone(), *share))).collect()
    }

    /// One change that gives the colours these shares on every route.
    pub fn forward(&self, env: &str, shares: &[(String, u32)]) -> Action {
        let env = env.to_owned();
        match (self.others.as_slice(), self.routes.first()) {
            ([], Some(route)) => Action::Forward { env, routes: self.routes.clone(), weights: self.weights(route, shares) },
            _ => {
                let each = |route: &RouteRef| RouteWeights { route: route.clone(), weights: self.weights(route, shares) };
                Action::ForwardEach { env, routes: self.routes.iter().map(each).collect() }
            }
        }
    }
}

pub const HTTP_PORT: u16 = 80;

/// Where an instance is asked.
pub fn url(address: &str, port: u16, path: &str) -> String {
    match port {
        HTTP_PORT => format!("http://{address}{path}"),
        port => format!("http://{address}:{port}{path}"),
    }
}

/// The instances of a colour as the load balancer sees them: well only where every service is.
pub async fn health(account: &Account, topology: &Topology, color: &str) -> Result<Vec<Target>, RunError> {
    let groups = topology.groups(color);
    let each = try_join_all(groups.iter().map(|group| account.target_health(&group.arn))).await?;
    Ok(worst(each))
}

/// Each target as the service finds it that it serves worst; one that a service lacks is not registered.
fn worst(mut each: Vec<Vec<Target>>) -> Vec<Target> {
    if each.len() < 2 {
        return each.pop().unwrap_or_default();
    }
    let all: BTreeMap<String, Target> = each.iter().flatten().map(|target| (target.id.clone(), target.clone())).collect();
    let of = |targets: &[Target], healthy: &Target| match targets.iter().find(|target| target.id == healthy.id) {
        Some(target) => target.clone(),
        None => Target { state: "unused".to_owned(), reason: "Target.NotRegistered".to_owned(), ..healthy.clone() },
    };
    let found = |any: Target| each.iter().map(|targets| of(targets, &any)).find(|target| target.state != "healthy").unwrap_or(any);
    all.into_values().map(found).collect()
}

/// What the environments on one load balancer share: its listeners and their rules.
#[derive(Clone, Debug, Default)]
pub struct Balancer {
    listeners: Vec<Listener>,
    /// By listener; only of those where a route needs them.
    rules: BTreeMap<String, Vec<Rule>>,
}

impl Balancer {
    /// What a route does, where it forwards at all.
    pub fn forward(&self, route: &RouteRef) -> Option<Forward> {
        match &route.rule {
            None => self.listeners.iter().find(|l| l.arn == route.listener)?.forward.clone(),
            Some(arn) => self.rules.get(&route.listener)?.iter().find(|r| r.arn == *arn)?.forward.clone(),
        }
    }

    /// Rules that are evaluated before a route's.
    pub fn before(&self, route: &RouteRef) -> &[Rule] {
        let all = self.rules.get(&route.listener).map(Vec::as_slice).unwrap_or_default();
        let own = all.iter().position(|rule| Some(&rule.arn) == route.rule.as_ref() || rule.priority == "default");
        &all[..own.unwrap_or(all.len())]
    }

    /// Every forward action that was read, with the ARN of its rule, or of the listener whose default it is, and what people call that.
    pub fn forwards(&self) -> Vec<(&str, String, &Forward)> {
        let rules = self.rules.values().flatten().filter(|rule| rule.priority != "default");
        let rule = |rule: &'_ Rule| {
            let conditions = rule.hosts.iter().chain(&rule.paths).chain(&rule.other_conditions).cloned().collect::<Vec<_>>().join(" ");
            format!("rule {} ({conditions})", rule.priority)
        };
        let rules = rules.filter_map(|known| Some((known.arn.as_str(), rule(known), known.forward.as_ref()?)));
        let default = |listener: &Listener| format!("the default action of port {}", listener.port);
        let defaults = self.listeners.iter().filter_map(|known| Some((known.arn.as_str(), default(known), known.forward.as_ref()?)));
        rules.chain(defaults).collect()
    }
}

/// Reads a load balancer as far as the routes of these environments need it.
pub async fn balancer(account: &Account, name: &str, envs: &[&Environment]) -> Result<Balancer, RunError> {
    let routes: Vec<&Route> = envs.iter().filter(|env| env.load_balancer == name).flat_map(|env| &env.routes).collect();
    let needed = |listener: &Listener| routes.iter().any(|r| r.listener == listener.port && r.matches != Match::Default);
    read_balancer(account, name, needed).await
}

/// Reads a load balancer with the rules of all its listeners.
pub async fn whole_balancer(account: &Account, name: &str) -> Result<Balancer, RunError> {
    read_balancer(account, name, |_| true).await
}

async fn read_balancer(account: &Account, name: &str, needed: impl Fn(&Listener) -> bool) -> Result<Balancer, RunError> {
    let found = account.load_balancer(name).await?;
    let found = found.ok_or_else(|| RunError::failed(format!("there is no load balancer `{name}`")))?;
    let listeners = account.listeners(&found.arn).await?;
    let rules = try_join_all(listeners.iter().filter(|listener| needed(listener)).map(async |listener| {
        let rules = account.rules(&listener.arn).await?;
        Ok::<_, RunError>((listener.arn.clone(), rules))
    }));
    let rules = rules.await?.into_iter().collect();
    Ok(Balancer { listeners, rules })
}

/// Finds the environment's rules and target groups; each route must match exactly one rule.
pub async fn discover(account: &Account, env: &Environment) -> Result<Topology, RunError> {
    let names: Vec<&str> = env.colors.iter().flat_map(|c| c.target_groups().map(String::as_str)).collect();
    let envs = [env];
    let (balancer, groups) = tokio::join!(balancer(account, &env.load_balancer, &envs), account.target_groups(&names));
    locate(&balancer?, &groups?, env)
}

/// The same from what was read already.
pub fn locate(balancer: &Balancer, groups: &BTreeMap<String, TargetGroup>, env: &Environment) -> Result<Topology, RunError> {
    let mut services = vec![BTreeMap::new(); env.services.len()];
    for color in &env.colors {
        for (service, name) in services.iter_mut().zip(color.target_groups()) {
            let group = groups.get(name).cloned();
            let group = group.ok_or_else(|| RunError::failed(format!("there is no target group `{name}` for {}", color.name)))?;
            service.insert(color.name.clone(), group);
        }
    }
    let routes = env.routes.iter().map(|route| self::route(balancer, env, route)).collect::<Result<Vec<_>, _>>()?;
    let of =
        |place: usize| env.routes.iter().zip(&routes).filter(|(route, _)| route.service == place).map(|(_, found)| found.clone()).collect();
    let mut services = services.into_iter().enumerate().map(|(place, target_groups)| Service { routes: of(place), target_groups });
    let main = services.next().map(|main| main.target_groups).unwrap_or_default();
    Ok(Topology { others: services.collect(), target_groups: main, routes })
}

/// The rule, or the default action, that a route of `bgx.toml` stands for.
pub fn route(balancer: &Balancer, env: &Environment, route: &Route) -> Result<RouteRef, RunError> {
    let listener = balancer.listeners.iter().find(|l| l.port == route.listener).ok_or_else(|| {
        RunError::failed(format!("`{}` has no listener on port {}, which {route} needs", env.load_balancer, route.listener))
    })?;
    let known = balancer.rules.get(&listener.arn).map(Vec::as_slice).unwrap_or_default();
    resolve(route, listener, known)
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
        Facts::Group(_)
        | Facts::Member { .. }
        | Facts::Refresh { .. }
        | Facts::Parameter(_)
        | Facts::Object(_)
        | Facts::Copy { .. }
        | Facts::Targets { .. } => Err(RunError::failed("routes were not read as routes")),
    }
}

/// Who serves now.
pub async fn who(account: &Account, env: &Environment, topology: &Topology) -> Result<Serving, RunError> {
    super::targets::serving(account, env, topology, &read(account, env, topology).await?).await
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
        Traffic { routes: topology.routes.iter().map(|route| (route.clone(), balancer.forward(route))).collect() }
    }

    /// Whether a colour gets traffic on any route.
    pub fn reaches(&self, topology: &Topology, color: &str) -> bool {
        topology.groups(color).iter().any(|group| self.carries(&group.arn))
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
            if let Some(foreign) = live.iter().find(|arn| topology.color_on(route, arn).is_none()) {
                return Serving::Foreign { text: format!("{} forwards to `{}`", route.label, target_group_name(foreign)) };
            }
            let colors = live.iter().filter_map(|arn| Some((topology.color_on(route, arn)?, forward.weights[*arn])));
            for (color, weight) in colors {
                differs |= live.len() != 1 || weights.keys().any(|known| *known != color);
                *weights.entry(color).or_default() += weight;
            }
            differs |= live.is_empty();
        }
        let mut colors: Vec<(&str, u32)> = weights.into_iter().collect();
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
