//! User traffic: requests by listener weight and target health, integrated between two changes of the world.

use super::metrics::Rates;
use super::{Action, Condition, Flow, Group, Listener, TargetState, Time, Users, Weighted, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the users of one environment are served from a moment on, until the next mark. Rates are millionths of a
/// request a second: whole numbers, so that marks merge and survive being saved exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub at: Time,
    pub requests: u64,
    pub errors: u64,
    pub versions: BTreeMap<String, u64>,
    /// Fewest healthy targets behind a route of the environment, on any node.
    pub healthy: u32,
}

/// How one node of the load balancer answers the requests of one route, as shares of 1.
#[derive(Default)]
struct Served<'a> {
    errors: f64,
    versions: Vec<(&'a str, f64)>,
    groups: Vec<Reached<'a>>,
    /// No target could be chosen.
    nowhere: f64,
    healthy: u32,
}

/// What a target group gets of a route's requests, as shares of all of them.
#[derive(Clone)]
struct Reached<'a> {
    target_group: &'a str,
    share: f64,
    /// Those that get requests.
    targets: u32,
    target_errors: f64,
    connection_errors: f64,
    slow: f64,
}

/// What is measured at each node, by target group and load balancer.
type Measured = BTreeMap<String, Vec<Rates>>;

/// Load of one target group: instances' worth of full load, and targets that share it.
type Loads = BTreeMap<String, (f64, u32)>;

impl World {
    /// What the users of `env` saw from `since` until now.
    pub fn users(&self, env: &str, since: Time) -> Users {
        let marks = self.regions().find_map(|region| region.traffic.get(env)).map_or(&[][..], Vec::as_slice);
        let mut users = Users::default();
        for (index, mark) in marks.iter().enumerate() {
            let end = marks.get(index + 1).map_or(self.now, |next| next.at);
            let start = mark.at.max(since);
            if end <= start && index + 1 < marks.len() {
                continue;
            }
            add(&mut users, mark, end.since(start));
            let before = marks[..index].iter().rev().find(|m| !m.versions.is_empty());
            let mix_changed = before.is_some_and(|b| !mark.versions.is_empty() && mix(b) != mix(mark));
            if mark.at >= since && mix_changed {
                users.switched = Some((users.switched.map_or(mark.at, |(first, _)| first), mark.at));
            }
        }
        users
    }

    /// Which share of an environment's requests each target group gets, by the rules that the nodes follow now.
    pub fn shares(&self, env: &str) -> BTreeMap<String, f64> {
        if let Some(there) = self.elsewhere.values().find(|there| there.traffic.contains_key(env)) {
            return there.shares(env);
        }
        let mut shares: BTreeMap<String, f64> = BTreeMap::new();
        let flows: Vec<&Flow> = self.flows.iter().filter(|flow| flow.env == env).collect();
        for flow in &flows {
            let found = self.listeners.values().find(|l| l.load_balancer == flow.load_balancer && l.port == flow.port);
            let nodes = found.map(|listener| self.actions_for(listener, flow)).unwrap_or_default();
            for actions in &nodes {
                let Some(Action::Forward { targets, .. }) = actions.last() else { continue };
                let total: u32 = targets.iter().map(|weighted| weighted.weight).sum();
                for weighted in targets.iter().filter(|weighted| weighted.weight > 0) {
                    let share = f64::from(weighted.weight) / f64::from(total) / (nodes.len() * flows.len()) as f64;
                    *shares.entry(weighted.target_group.clone()).or_default() += share;
                }
            }
        }
        shares
    }

    /// Healthy targets of a target group as they are, not as Describe may still say.
    pub fn healthy_targets(&self, target_group: &str) -> u32 {
        let targets = self.target_groups.get(target_group).map(|g| g.targets.values());
        targets.into_iter().flatten().filter(|t| t.state == TargetState::Healthy).count() as u32
    }

    /// Marks how users are served from now on, and the CPU that this gives the groups.
    pub(super) fn note_traffic(&mut self) {
        let (mut loads, mut measured) = (Loads::new(), Measured::new());
        let mut marks: BTreeMap<String, (Mark, u32)> = BTreeMap::new();
        for flow in &self.flows {
            let (mark, flows) = marks.entry(flow.env.clone()).or_default();
            let healthy = self.note_flow(flow, mark, &mut loads, &mut measured);
            mark.healthy = if *flows == 0 { healthy } else { mark.healthy.min(healthy) };
            *flows += 1;
        }
        for (env, (mut mark, _)) in marks {
            mark.at = self.now;
            push_mark(self.traffic.entry(env).or_default(), mark);
        }
        self.note_gauges(measured);
        self.note_tracked(&loads);
    }

    fn note_flow(&self, flow: &Flow, mark: &mut Mark, loads: &mut Loads, measured: &mut Measured) -> u32 {
        let nodes = self.load_balancers.get(&flow.load_balancer).map_or(1, |lb| lb.nodes.max(1)) as usize;
        let found = self.listeners.values().find(|l| l.load_balancer == flow.load_balancer && l.port == flow.port);
        let per_node: Vec<&[Action]> = match found {
            Some(listener) => self.actions_for(listener, flow),
            None => Vec::new(),
        };
        let mut total = Served { healthy: u32::MAX, ..Served::default() };
        let mut index = 0;
        while index < nodes {
            let actions = per_node.get(index).copied().unwrap_or_default();
            // Neighbouring nodes that do the same are counted together.
            let alike = (index..nodes).take_while(|n| per_node.get(*n).copied().unwrap_or_default() == actions).count();
            let share = alike as f64 / nodes as f64;
            let served = self.serve(actions);
            measure(measured, flow, nodes, index..index + alike, &served);
            total.errors += served.errors * share;
            total.versions.extend(served.versions.into_iter().map(|(version, part)| (version, part * share)));
            total.groups.extend(served.groups.into_iter().map(|group| Reached { share: group.share * share, ..group }));
            total.healthy = total.healthy.min(served.healthy);
            index += alike;
        }
        let rate = flow.per_second * 1e6;
        mark.requests += rate.round() as u64;
        mark.errors += (rate * total.errors).round() as u64;
        let mut versions: BTreeMap<&str, f64> = BTreeMap::new();
        for (version, part) in total.versions {
            *versions.entry(version).or_default() += part;
        }
        for (version, part) in versions {
            let served = (rate * part).round() as u64;
            if served > 0 {
                *mark.versions.entry(version.to_owned()).or_default() += served;
            }
        }
        for group in total.groups {
            let load = loads.entry(group.target_group.to_owned()).or_default();
            *load = (load.0 + flow.per_second * group.share / flow.full_load_per_instance.max(1e-9), group.targets);
        }
        total.healthy
    }

    /// The actions that each node applies to a request: those of the matching rule with the lowest priority, or the default ones.
    fn actions_for<'a>(&'a self, listener: &'a Listener, flow: &Flow) -> Vec<&'a [Action]> {
        let rules = self.rules.values().filter(|r| r.listener == listener.arn);
        let rule = rules.filter(|r| r.conditions.iter().all(|c| matches(c, flow))).min_by_key(|r| r.priority);
        rule.map_or(&listener.actions, |r| &r.actions).nodes.iter().map(Vec::as_slice).collect()
    }

    fn serve(&self, actions: &[Action]) -> Served<'_> {
        let mut served = Served::default();
        match actions.last() {
            Some(Action::Forward { targets, .. }) => {
                let total: u32 = targets.iter().map(|w| w.weight).sum();
                if total == 0 {
                    (served.errors, served.nowhere) = (1.0, 1.0);
                }
                for weighted in targets.iter().filter(|w| w.weight > 0) {
                    self.forward(weighted, f64::from(weighted.weight) / f64::from(total), &mut served);
                }
            }
            Some(Action::FixedResponse { status, .. }) => served.errors = if *status >= 500 { 1.0 } else { 0.0 },
            Some(Action::Redirect { .. }) => {}
            None => (served.errors, served.nowhere) = (1.0, 1.0),
        }
        served
    }

    /// Requests go to the healthy targets; with none, to all that are registered; with none registered, nowhere (503).
    fn forward<'a>(&'a self, weighted: &Weighted, share: f64, served: &mut Served<'a>) {
        let Some((arn, group)) = self.target_groups.get_key_value(&weighted.target_group) else {
            served.errors += share;
            served.nowhere += share;
            return;
        };
        let healthy = group.targets.values().filter(|t| t.state == TargetState::Healthy).count() as u32;
        let open = healthy == 0;
        let reached = group.targets.values().filter(|t| {
            let registered = t.state != TargetState::Draining;
            if open { registered } else { t.state == TargetState::Healthy }
        });
        let reached: Vec<_> = reached.map(|t| self.instances.get(&t.id)).collect();
        served.healthy += healthy;
        if reached.is_empty() {
            served.errors += share;
            served.nowhere += share;
        }
        let part = share / reached.len().max(1) as f64;
        let targets = reached.len() as u32;
        let mut got = Reached { target_group: arn, share, targets, target_errors: 0.0, connection_errors: 0.0, slow: 0.0 };
        for instance in reached {
            match instance {
                Some(instance) if instance.answers(self.now) => {
                    let version = instance.version.as_deref().unwrap_or_default();
                    let failing = part * self.build_errors.get(version).copied().unwrap_or(0.0);
                    got.target_errors += failing;
                    got.slow += part * self.build_slow.get(version).copied().unwrap_or(0.0);
                    served.versions.push((version, part - failing));
                }
                Some(instance) if instance.listens(self.now) => got.target_errors += part,
                Some(_) | None => got.connection_errors += part,
            }
        }
        served.errors += got.target_errors + got.connection_errors;
        served.groups.push(got);
    }

    /// What the scaling policy of each group tracks: CPU, from the load of its target groups, or its part of the messages that wait.
    fn note_tracked(&mut self, loads: &Loads) {
        let mut changed = Vec::new();
        let part = |group: &Group| group.target_groups.iter().filter_map(|arn| loads.get(arn)).map(|(load, _)| load).sum::<f64>();
        let env = |group: &Group| group.tags.get("Environment").cloned().unwrap_or_default();
        let mut wholes: BTreeMap<String, f64> = BTreeMap::new();
        self.groups.values().for_each(|group| *wholes.entry(env(group)).or_default() += part(group));
        for group in self.groups.values_mut().filter(|g| g.tracked().is_some()) {
            let targets = group.target_groups.iter().filter_map(|arn| loads.get(arn)).map(|(_, targets)| *targets).max().unwrap_or(0);
            let load = match group.cpu_target {
                // No instance is more than fully loaded.
                Some(_) => part(group).min(f64::from(targets)) * 100.0,
                None => {
                    let (own, whole) = (part(group), wholes.get(&env(group)).copied().unwrap_or_default());
                    self.backlogs.get(&env(group)).copied().unwrap_or_default() * own / whole.max(1e-9)
                }
            };
            let cpu = (load / f64::from(targets.max(1)) * 100.0).round() as u32;
            let load = (load * 1e4).round() as u64;
            if (group.cpu, group.load) != (cpu, load) {
                (group.cpu, group.load) = (cpu, load);
                changed.push(group.name.clone());
            }
        }
        self.stir.groups.extend(changed);
    }
}

/// Adds what these nodes of a load balancer answer to one flow.
fn measure(measured: &mut Measured, flow: &Flow, nodes: usize, which: std::ops::Range<usize>, served: &Served<'_>) {
    let rate = |share: f64| (flow.per_second * 1e6 * share / nodes as f64).round() as u64;
    let mut add = |arn: &str, more: Rates| {
        let rates = measured.entry(arn.to_owned()).or_insert_with(|| vec![Rates::default(); nodes]);
        for node in &mut rates[which.clone()] {
            node.requests += more.requests;
            node.target_errors += more.target_errors;
            node.connection_errors += more.connection_errors;
            node.balancer_errors += more.balancer_errors;
            node.slow += more.slow;
        }
    };
    for group in served.groups.iter().filter(|group| group.targets > 0) {
        let (target_errors, connection_errors) = (rate(group.target_errors), rate(group.connection_errors));
        let (requests, slow) = (rate(group.share), rate(group.slow));
        let rates = Rates { requests, target_errors, connection_errors, balancer_errors: connection_errors, slow };
        add(group.target_group, rates);
        add(&flow.load_balancer, rates);
    }
    add(&flow.load_balancer, Rates { balancer_errors: rate(served.nowhere), ..Rates::default() });
}

/// Adds `ms` milliseconds of what the mark says.
fn add(users: &mut Users, mark: &Mark, ms: u64) {
    let amount = |rate: u64| rate as f64 * ms as f64 / 1e9;
    users.requests += amount(mark.requests);
    users.errors += amount(mark.errors);
    if mark.versions.len() > 1 {
        users.mixed_seconds += ms as f64 / 1000.0;
    }
    for (version, rate) in &mark.versions {
        if ms > 0 {
            *users.versions.entry(version.clone()).or_default() += amount(*rate);
        }
    }
    users.lowest_healthy = Some(users.lowest_healthy.map_or(mark.healthy, |low| low.min(mark.healthy)));
}

/// Shares of the versions in thousandths, so that a changed number of requests is no changed mix.
fn mix(mark: &Mark) -> BTreeMap<&str, u64> {
    let total: u64 = mark.versions.values().sum();
    mark.versions.iter().map(|(version, rate)| (version.as_str(), (rate * 1000 + total / 2) / total.max(1))).collect()
}

/// Appends a mark; the last one of a moment counts, and one that says what its neighbour says is dropped.
fn push_mark(marks: &mut Vec<Mark>, mark: Mark) {
    if marks.last().is_some_and(|last| last.at == mark.at) {
        marks.pop();
    }
    let repeats = marks.last().is_some_and(|last| Mark { at: mark.at, ..last.clone() } == mark);
    if !repeats {
        marks.push(mark);
    }
}

/// Whether a rule's condition holds for the requests of a flow; only paths and hosts are modelled. Hosts have no case.
fn matches(condition: &Condition, flow: &Flow) -> bool {
    match condition.field.as_str() {
        "path-pattern" => condition.values.iter().any(|pattern| wildcard(pattern.as_bytes(), flow.path.as_bytes())),
        "host-header" => {
            let host = flow.host.to_ascii_lowercase();
            condition.values.iter().any(|pattern| wildcard(pattern.to_ascii_lowercase().as_bytes(), host.as_bytes()))
        }
        _ => false,
    }
}

/// `*` stands for any number of characters, `?` for one (AWS page "Condition types for listener rules").
pub(super) fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            Some(_) | None => match retry {
                Some((star, from)) => {
                    p = star + 1;
                    t = from + 1;
                    retry = Some((star, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}
