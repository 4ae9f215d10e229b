//! From what was read to a world: pure, and what had to be assumed is said.

use super::Unknown;
use super::read::{BalancerRead, Reading, parameter_names};
use crate::account;
use crate::config::Environment;
use crate::host::world::env_spec;
use crate::sandbox::world::{
    Action, Actions, Activity, ColorSpec, Condition, EnvSpec, Flow, Group, Instance, Lifecycle, Listener, LoadBalancer, MetricAlarm, NODES,
    Object, Parameter, Past, Range, Rule, Target, TargetGroup, TargetState, Time, Weighted, World, plain_group,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// An instance whose launch is not among the activities has been in service for this long.
const SETTLED_MS: u64 = 86_400_000;
/// What a new target group has, where the account did not say.
const INTERVAL_SECONDS: u32 = 10;
const DRAIN_SECONDS: u32 = 300;

/// The world, and what the account did not tell but no call failed for.
pub fn world(reading: &Reading, envs: &[&Environment], account: &str, seed: u64) -> Result<(World, Vec<Unknown>), String> {
    let region = envs.first().map(|env| env.region.clone()).unwrap_or_default();
    let mut making = Making { reading, world: World::bare(seed, reading.at, account, &region), assumed: Vec::new() };
    reading.balancers.iter().for_each(|read| making.balancer(read));
    making.target_groups();
    for (index, env) in envs.iter().enumerate() {
        let mut priority = u32::try_from(index).unwrap_or(0);
        let shape = env_spec(env, &mut priority)?;
        making.groups(env, &shape);
        making.parameters(env);
        making.objects(env);
        making.flows(env, &shape);
        if shape.backlog > 0.0 {
            making.world.backlogs.insert(env.name.clone(), shape.backlog);
        }
    }
    for (name, alarm) in &reading.alarms {
        let (name, reason, updated) = (name.clone(), alarm.reason.clone(), reading.at);
        making.world.alarms.insert(name.clone(), MetricAlarm { name, composite: false, state: alarm.state.clone(), reason, updated });
    }
    making.targets();
    making.world.take_up();
    making.world.check().map_err(|why| format!("the clone is no possible account: {why}"))?;
    Ok((making.world, making.assumed))
}

struct Making<'a> {
    reading: &'a Reading,
    world: World,
    assumed: Vec<Unknown>,
}

impl Making<'_> {
    fn assume(&mut self, what: String, why: &str, consequence: String) {
        self.assumed.push(Unknown { what, why: why.to_owned(), consequence });
    }

    fn balancer(&mut self, read: &BalancerRead) {
        let account::LoadBalancer { arn, name, dns_name } = read.balancer.clone();
        for listener in &read.listeners {
            let actions = self.actions(listener.forward.as_ref());
            let made = Listener {
                arn: listener.arn.clone(),
                load_balancer: arn.clone(),
                port: listener.port,
                protocol: listener.protocol.clone(),
                actions,
            };
            self.world.listeners.insert(made.arn.clone(), made);
        }
        for rule in read.rules.values().flatten() {
            // The default rule is the listener's own action.
            let Ok(priority) = rule.priority.parse() else { continue };
            let actions = self.actions(rule.forward.as_ref());
            let (arn, listener) = (rule.arn.clone(), rule.listener.clone());
            self.world.rules.insert(arn.clone(), Rule { arn, listener, priority, conditions: conditions(rule), actions });
        }
        self.world.load_balancers.insert(arn.clone(), LoadBalancer { arn, name, dns_name, nodes: NODES });
    }

    /// The forward action; any other answers by itself. A target group that no environment names gets a name and no targets.
    fn actions(&mut self, forward: Option<&account::Forward>) -> Actions {
        let Some(forward) = forward else {
            let fixed = Action::FixedResponse { status: 404, content_type: None, body: None };
            return Actions::settled(vec![fixed], NODES);
        };
        for arn in forward.weights.keys().filter(|arn| self.reading.target_groups.values().all(|group| group.arn != **arn)) {
            let name = arn.split('/').nth(1).unwrap_or(arn);
            self.world.target_groups.entry(arn.clone()).or_insert_with(|| target_group(arn, name));
        }
        let targets = forward.weights.iter().map(|(arn, weight)| Weighted { target_group: arn.clone(), weight: *weight }).collect();
        let action = Action::Forward { targets, stickiness_seconds: forward.stickiness_seconds };
        Actions::settled(vec![action], NODES)
    }

    fn target_groups(&mut self) {
        for read in self.reading.target_groups.values() {
            let attributes = self.reading.attributes.get(&read.arn);
            let text = |name: &str| attributes.and_then(|all| all.get(name)).map(String::as_str);
            let number = |name: &str| text(name).and_then(|value| value.parse().ok());
            let plain = target_group(&read.arn, &read.name);
            let interval = if read.check_interval_seconds == 0 { plain.interval_seconds } else { read.check_interval_seconds };
            let group = TargetGroup {
                port: read.port,
                path: read.check_path.clone(),
                interval_seconds: interval,
                timeout_seconds: interval.saturating_sub(1).max(2),
                healthy_threshold: read.healthy_threshold.max(1),
                unhealthy_threshold: read.unhealthy_threshold.max(1),
                deregistration_delay_seconds: number("deregistration_delay.timeout_seconds").unwrap_or(plain.deregistration_delay_seconds),
                stickiness: text("stickiness.enabled") == Some("true"),
                slow_start_seconds: number("slow_start.duration_seconds").unwrap_or(0),
                algorithm: text("load_balancing.algorithm.type").unwrap_or(&plain.algorithm).to_owned(),
                ..plain
            };
            self.world.target_groups.insert(read.arn.clone(), group);
        }
    }

    fn groups(&mut self, env: &Environment, shape: &EnvSpec) {
        let boot = self.boot(env, shape);
        for names in &env.colors {
            let Some(color) = shape.colors.iter().find(|color| color.group == names.asg) else { continue };
            let Some(read) = self.reading.groups.get(&names.asg) else { continue };
            let version = self.recorded(env, names);
            let tags = [("Environment", &env.name), ("Color", &names.name), ("Name", &names.asg)];
            let group = Group {
                boot: boot.unwrap_or(color.boot),
                app_start: color.app_start,
                on_demand_base: color.on_demand_base,
                version_key: names.version_key.clone(),
                tags: tags.into_iter().map(|(k, v)| (k.to_owned(), v.clone())).collect(),
                ..self.group(read, &env.bucket)
            };
            let group = self.with_policy(group, color);
            self.world.groups.insert(group.name.clone(), group);
            read.instances.iter().for_each(|instance| self.instance(read, instance, version.clone()));
        }
        for read in env.extra.asgs.iter().filter_map(|name| self.reading.groups.get(name)) {
            let group = self.group(read, &env.bucket);
            if self.world.groups.insert(group.name.clone(), group).is_none() {
                read.instances.iter().for_each(|instance| self.instance(read, instance, None));
            }
        }
    }

    fn group(&self, read: &account::Group, bucket: &str) -> Group {
        let mut types: Vec<String> =
            read.instances.iter().map(|instance| instance.instance_type.clone()).filter(|t| !t.is_empty()).collect();
        types.sort();
        types.dedup();
        let plain = plain_group(&read.name, bucket);
        let activities = self.reading.activities.get(&read.name).map(Vec::as_slice).unwrap_or_default();
        Group {
            min: read.min,
            max: read.max,
            desired: read.desired,
            target_groups: read.target_groups.clone(),
            health_check_type: read.health_check_type.clone(),
            grace_seconds: read.grace_seconds,
            suspended: read.suspended.clone(),
            instance_types: if types.is_empty() { plain.instance_types.clone() } else { types },
            activities: activities.iter().map(|activity| self::activity(&read.name, activity)).collect(),
            ..plain
        }
    }

    /// The shortest and the longest of the launches that the account remembers.
    fn boot(&mut self, env: &Environment, shape: &EnvSpec) -> Option<Range> {
        let read: Vec<_> = env.colors.iter().filter_map(|color| self.reading.activities.get(&color.asg)).collect();
        let (app_start, booted) = (shape.colors.first()?.app_start, shape.colors.first()?.boot);
        self.assume(
            format!("how long {}'s application takes to answer once its instance is in service", env.name),
            "no API tells it",
            format!("{}, as bgx.toml says of its sandbox, and then the health checks as they are set", seconds(app_start)),
        );
        if read.is_empty() {
            return None;
        }
        let launches = read.into_iter().flatten().filter(|a| a.status == "Successful" && a.description.starts_with("Launching"));
        let took: Vec<u64> = launches.filter_map(|a| u64::try_from(a.end?.duration_since(a.start).as_millis()).ok()).collect();
        if let (Some(low), Some(high)) = (took.iter().min(), took.iter().max()) {
            return Some(Range::ms(*low, *high));
        }
        self.assume(
            format!("how long an instance of {} boots", env.name),
            "no launch is among the scaling activities",
            format!("{}, as bgx.toml says of its sandbox", seconds(booted)),
        );
        None
    }

    fn with_policy(&mut self, group: Group, color: &ColorSpec) -> Group {
        let Some(policies) = self.reading.policies.get(&group.name) else {
            return Group { cpu_target: color.cpu_target, backlog_target: color.backlog_target, ..group };
        };
        let mut group = group;
        for policy in policies.iter().filter(|policy| policy.enabled) {
            match policy.tracks.as_deref() {
                Some("ASGAverageCPUUtilization") => group.cpu_target = policy.target,
                None if policy.kind == "TargetTrackingScaling" && color.backlog_target.is_some() => {
                    group.backlog_target = policy.target.or(color.backlog_target);
                }
                tracks => {
                    let of = tracks.unwrap_or("a metric of its own");
                    self.assumed.push(Unknown {
                        what: format!("what policy {} ({}, {of}) does", policy.name, policy.kind),
                        why: "the sandbox does not simulate it".to_owned(),
                        consequence: format!("{} is not scaled by it in the clone", group.name),
                    });
                }
            }
        }
        group
    }

    /// What instances of a colour are taken to run where they did not say.
    fn recorded(&self, env: &Environment, color: &crate::config::ColorNames) -> Option<String> {
        let recorded = self.reading.parameters.as_ref().and_then(|all| all.get(&env.version_parameter(&color.name)));
        recorded.map(|parameter| parameter.value.clone()).or_else(|| {
            let key = self.reading.objects.get(&(env.bucket.clone(), color.version_key.clone()))?;
            Some(String::from_utf8_lossy(&key.body).trim().to_owned())
        })
    }

    fn instance(&mut self, group: &account::Group, read: &account::Instance, recorded: Option<String>) {
        let Some(lifecycle) = Lifecycle::named(&read.lifecycle) else { return };
        let at = self.reading.at;
        let launch = self.reading.activities.get(&group.name).and_then(|all| {
            let own = |a: &&account::Activity| a.description.starts_with("Launching") && a.description.ends_with(&read.id);
            all.iter().find(own)
        });
        let settled = Time(at.0.saturating_sub(SETTLED_MS));
        let launched = launch.map_or(settled, |launch| time(launch.start));
        let serves = !matches!(lifecycle, Lifecycle::Pending);
        let since = serves.then(|| launch.and_then(|launch| launch.end).map_or(settled, time).min(at));
        let version = self.reading.versions.get(&read.id).cloned().or(recorded).filter(|_| serves);
        let instance = Instance {
            id: read.id.clone(),
            group: group.name.clone(),
            lifecycle,
            healthy: read.healthy,
            protected: read.protected,
            zone: read.zone.clone(),
            instance_type: read.instance_type.clone(),
            spot: false,
            private_ip: self.reading.addresses.get(&read.id).cloned().unwrap_or_default(),
            launched,
            until: None,
            in_service: since,
            answers_from: since,
            answers_until: None,
            version,
            interrupted_at: None,
            next_interruption: None,
        };
        self.world.instances.insert(read.id.clone(), instance);
    }

    /// Who is registered where, and what that says of each instance's application.
    fn targets(&mut self) {
        let at = self.reading.at;
        for group in self.reading.target_groups.values() {
            let read = match self.reading.health.get(&group.arn) {
                Some(targets) => targets.clone(),
                None => self.unread_targets(&group.arn),
            };
            for target in read {
                let state = state(&target);
                if let Some(instance) = self.world.instances.get_mut(&target.id) {
                    let starting = |group: Option<&Group>| group.map_or(0, |group| group.app_start.high);
                    instance.answers_from = match &state {
                        TargetState::Unhealthy { .. } => None,
                        TargetState::Initial { .. } => {
                            let wait = starting(self.world.groups.get(&instance.group));
                            instance.in_service.map(|since| since.after_ms(wait))
                        }
                        TargetState::Healthy | TargetState::Unused { .. } | TargetState::Draining => instance.answers_from,
                    };
                }
                let target = Target {
                    id: target.id.clone(),
                    port: group.port,
                    registered: Time(at.0.saturating_sub(SETTLED_MS)),
                    state,
                    next_check: None,
                    passed: 0,
                    failed: 0,
                    draining_until: None,
                    stale: Past::default(),
                };
                if let Some(made) = self.world.target_groups.get_mut(&group.arn) {
                    made.targets.insert(target.id.clone(), target);
                }
            }
        }
    }

    /// Instances in service of the groups that are attached.
    fn unread_targets(&self, arn: &str) -> Vec<account::Target> {
        let attached = self.reading.groups.values().filter(|group| group.target_groups.iter().any(|own| own == arn));
        let members = attached.flat_map(|group| &group.instances).filter(|instance| instance.lifecycle == "InService");
        let healthy = |id: &str| account::Target {
            id: id.to_owned(),
            state: "healthy".to_owned(),
            reason: String::new(),
            description: String::new(),
        };
        members.map(|instance| healthy(&instance.id)).collect()
    }

    fn parameters(&mut self, env: &Environment) {
        let set = |world: &mut World, name: &str, value: &str, version: u64| {
            let (value, history) = (value.to_owned(), BTreeMap::from([(version, value.to_owned())]));
            let kind = "String".to_owned();
            let parameter = Parameter { value, version, kind, modified: world.now, history, stale: Past::default() };
            world.parameters.insert(name.to_owned(), parameter);
        };
        if let Some(read) = &self.reading.parameters {
            for name in parameter_names(env) {
                if let Some(parameter) = read.get(&name) {
                    set(&mut self.world, &name, &parameter.value, parameter.version);
                }
            }
            return;
        }
        let live = env.colors.iter().find_map(|color| {
            let arn = &self.reading.target_groups.get(&color.target_group)?.arn;
            self.world.carries(arn).then(|| (color.name.clone(), arn.clone()))
        });
        let Some((color, arn)) = live else { return };
        set(&mut self.world, &env.active_color_parameter(), &color, 1);
        set(&mut self.world, &env.active_target_group_parameter(), &arn, 1);
        for color in &env.colors {
            if let Some(version) = self.recorded(env, color).filter(|_| self.reading.groups.get(&color.asg).is_some_and(|g| g.desired > 0))
            {
                set(&mut self.world, &env.version_parameter(&color.name), &version, 1);
            }
        }
    }

    fn objects(&mut self, env: &Environment) {
        for bucket in [&env.bucket, &env.state.bucket] {
            let objects = self.world.buckets.entry(bucket.clone()).or_default();
            for ((_, key), info) in self.reading.listed.iter().filter(|((own, _), _)| own == bucket) {
                objects.insert(key.clone(), object(Vec::new(), &info.etag, self.reading.at));
            }
            for ((_, key), read) in self.reading.objects.iter().filter(|((own, _), _)| own == bucket) {
                let modified = read.modified.map_or(self.reading.at, time);
                objects.insert(key.clone(), object(read.body.clone(), &read.etag, modified));
            }
        }
    }

    /// As many requests as CloudWatch counted, spread over the routes of each service.
    fn flows(&mut self, env: &Environment, shape: &EnvSpec) {
        let Some(balancer) = self.world.load_balancers.values().find(|b| b.name == env.load_balancer).cloned() else { return };
        let counted = |service: usize| {
            let groups = env.colors.iter().filter_map(|color| self.reading.target_groups.get(color.target_groups().nth(service)?));
            groups.filter_map(|group| self.reading.requests.as_ref()?.get(&group.arn)).copied().reduce(|a, b| a + b)
        };
        let mut flows = Vec::new();
        for route in &shape.routes {
            let alike = shape.routes.iter().filter(|other| other.service == route.service).count().max(1);
            let per_second = counted(route.service).map_or(shape.per_second, |rate| rate / alike as f64);
            flows.push(Flow { per_second, ..Flow::of(shape, route, &balancer) });
        }
        let total: f64 = flows.iter().map(|flow| flow.per_second).sum();
        let full_load = self.full_load(env, total).unwrap_or(shape.full_load_per_instance);
        let none = self.reading.requests.is_some() && (0..env.services.len()).all(|service| counted(service).is_none());
        flows.iter_mut().for_each(|flow| flow.full_load_per_instance = full_load);
        self.world.flows.extend(flows);
        if none {
            self.assume(
                format!("how many requests {} gets", env.name),
                "CloudWatch counted none in the last minutes",
                format!("{} a second on each route, as bgx.toml says of its sandbox", shape.per_second),
            );
        }
    }

    /// Requests a second that load one instance fully, from the CPU of those that serve.
    fn full_load(&self, env: &Environment, total: f64) -> Option<f64> {
        let serving = env.colors.iter().find(|color| {
            let group = self.reading.target_groups.get(&color.target_group);
            group.is_some_and(|group| self.world.carries(&group.arn))
        })?;
        let (cpu, group) = (self.reading.cpu.get(&serving.asg)?, self.reading.groups.get(&serving.asg)?);
        let instances = group.in_service() as f64;
        (*cpu > 0.0 && total > 0.0 && instances > 0.0).then(|| total * 100.0 / (instances * cpu))
    }
}

fn seconds(range: Range) -> String {
    format!("{} to {} s", range.low / 1000, range.high.div_ceil(1000))
}

fn time(at: Timestamp) -> Time {
    Time(at.as_millisecond().unsigned_abs())
}

fn target_group(arn: &str, name: &str) -> TargetGroup {
    TargetGroup {
        arn: arn.to_owned(),
        name: name.to_owned(),
        port: 80,
        path: "/".to_owned(),
        interval_seconds: INTERVAL_SECONDS,
        timeout_seconds: 5,
        healthy_threshold: 2,
        unhealthy_threshold: 3,
        matcher: "200".to_owned(),
        deregistration_delay_seconds: DRAIN_SECONDS,
        stickiness: false,
        slow_start_seconds: 0,
        algorithm: "round_robin".to_owned(),
        targets: BTreeMap::new(),
    }
}

fn conditions(rule: &account::Rule) -> Vec<Condition> {
    let known = [("path-pattern", &rule.paths), ("host-header", &rule.hosts)].into_iter().filter(|(_, values)| !values.is_empty());
    let known = known.map(|(field, values)| Condition { field: field.to_owned(), values: values.clone() });
    // It matches no simulated request.
    let other = rule.other_conditions.iter().map(|field| Condition { field: field.clone(), values: Vec::new() });
    known.chain(other).collect()
}

fn activity(group: &str, read: &account::Activity) -> Activity {
    Activity {
        id: read.id.clone(),
        group: group.to_owned(),
        start: time(read.start),
        end: read.end.map(time),
        status: read.status.clone(),
        status_message: (!read.message.is_empty()).then(|| read.message.clone()),
        description: read.description.clone(),
        cause: read.cause.clone(),
        progress: if read.end.is_some() { 100 } else { 50 },
    }
}

fn state(target: &account::Target) -> TargetState {
    let reason = target.reason.clone();
    match target.state.as_str() {
        "healthy" => TargetState::Healthy,
        "initial" => TargetState::Initial { reason },
        "draining" | "unhealthy.draining" => TargetState::Draining,
        "unused" => TargetState::Unused { reason },
        _ => TargetState::Unhealthy { reason, description: target.description.clone() },
    }
}

fn object(body: Vec<u8>, etag: &str, modified: Time) -> Object {
    Object { body, etag: etag.to_owned(), modified, content_type: None, cache_control: None, metadata: BTreeMap::new(), acl: None }
}
