//! Builds a new world from a short description of it.

use super::storage::new_object;
use super::targets::NOT_IN_USE;
use super::{
    Action, Actions, Condition, Flow, Group, Instance, Lifecycle, Listener, LoadBalancer, Parameter, Past, Range, Rng, Rule, Target,
    TargetGroup, TargetState, Throttle, Time, Timing, Weighted, World,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Nodes of the load balancer: one in each of three availability zones.
pub const NODES: u32 = 3;
/// Running instances have been in service for a day.
pub(super) const SETTLED: u64 = 86_400_000;

/// What a new world holds. The host makes one from `bgx.toml`; tests write their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorldSpec {
    pub seed: u64,
    pub start: Time,
    pub account: String,
    pub region: String,
    pub load_balancer: String,
    /// Listener ports of the load balancer, in order; 443 is HTTPS, the rest HTTP.
    pub listeners: Vec<u16>,
    pub bucket: String,
    pub timing: Timing,
    pub envs: Vec<EnvSpec>,
    /// Builds that exist: (branch, number).
    pub builds: Vec<(String, u32)>,
    /// Key of a build's object, with `{branch}` and `{number}`; `{number}.txt` beside it has a commit hash.
    pub build_key: String,
    /// More objects: key and text.
    pub objects: Vec<(String, String)>,
}

/// One environment with two colours; the first colour of the list serves at the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvSpec {
    pub name: String,
    /// `None`: that of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// In place of the account's; it lies in the environment's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Where its traffic comes in; every entry forwards to the live colour (weight 1 as a single-target forward).
    pub routes: Vec<RouteSpec>,
    /// The colours; the first one is live.
    pub colors: Vec<ColorSpec>,
    /// Parameters to set: name and value.
    pub parameters: Vec<(String, String)>,
    /// Requests of users, a second, on each route.
    pub per_second: f64,
    pub full_load_per_instance: f64,
    /// Messages that wait in the queue of the colour that serves.
    pub backlog: f64,
    /// InService instances in a group `ce-router-{env}`-like side group that answer `POST /admin/clear-cache`; name and count.
    pub side_groups: Vec<(String, u32)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteSpec {
    pub port: u16,
    /// `None` and `None`: the listener's default action.
    pub path: Option<String>,
    pub host: Option<String>,
    pub priority: u32,
    /// Which of the live colour's services gets its requests.
    pub service: usize,
}

/// A service on the instances of a colour: the target group that it is reached by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    pub target_group: String,
    pub port: u16,
    pub check_path: String,
}

impl ServiceSpec {
    /// On port 80, checked at `/healthcheck`.
    pub fn plain(target_group: &str) -> ServiceSpec {
        ServiceSpec { target_group: target_group.to_owned(), port: 80, check_path: "/healthcheck".to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColorSpec {
    pub name: String,
    pub group: String,
    pub services: Vec<ServiceSpec>,
    pub min: u32,
    pub max: u32,
    /// Instances that are InService (and healthy in the target group) at the start; also the desired capacity.
    pub size: u32,
    pub version_key: String,
    /// The text at `version_key` at the start, and what running instances booted.
    pub version: String,
    pub boot: Range,
    pub app_start: Range,
    pub grace_seconds: u32,
    pub instance_types: Vec<String>,
    pub on_demand_base: Option<u32>,
    pub spot_interruptions_per_hour: f64,
    pub cpu_target: Option<f64>,
    /// In place of CPU: messages of the queue an instance.
    pub backlog_target: Option<f64>,
    pub check_interval_seconds: u32,
    pub deregistration_delay_seconds: u32,
}

impl World {
    /// An account in which nothing is, to be filled by hand; see [`World::take_up`].
    pub fn bare(seed: u64, now: Time, account: &str, region: &str) -> World {
        World::empty(&WorldSpec {
            seed,
            start: now,
            account: account.to_owned(),
            region: region.to_owned(),
            load_balancer: String::new(),
            listeners: Vec::new(),
            bucket: String::new(),
            timing: Timing::default(),
            envs: Vec::new(),
            builds: Vec::new(),
            build_key: String::new(),
            objects: Vec::new(),
        })
    }

    /// A settled account: everything in `spec` exists, running instances are InService and healthy, nothing is pending.
    pub fn new(spec: &WorldSpec) -> World {
        let mut world = World::empty(spec);
        let balancer = if spec.has_envs_in(&spec.region) { world.add_load_balancer(spec) } else { String::new() };
        world.add_storage(spec);
        world.settle_region(spec, &balancer);
        let abroad: BTreeSet<&str> = spec.envs.iter().map(|env| spec.region_of(env)).filter(|region| *region != spec.region).collect();
        for region in abroad {
            world.in_region(region, |there| {
                let balancer = there.add_load_balancer(spec);
                there.settle_region(spec, &balancer);
            });
        }
        world.refresh();
        world
    }

    /// The environments of this region.
    fn settle_region(&mut self, spec: &WorldSpec, balancer: &str) {
        let region = self.region.clone();
        for env in spec.envs.iter().filter(|env| spec.region_of(env) == region) {
            if env.backlog > 0.0 {
                self.backlogs.insert(env.name.clone(), env.backlog);
            }
            for (index, color) in env.colors.iter().enumerate() {
                self.add_color(spec, env, color, index == 0);
            }
            if let Some(live) = env.colors.first() {
                for route in &env.routes {
                    let service = live.services.get(route.service).map_or("", |service| &service.target_group);
                    self.add_route(balancer, env, route, service);
                }
            }
            for (name, count) in &env.side_groups {
                self.add_side_group(spec, env, name, *count);
            }
            for (name, value) in &env.parameters {
                let history = BTreeMap::from([(1, value.clone())]);
                let kind = "String".to_owned();
                let parameter = Parameter { value: value.clone(), version: 1, kind, modified: self.now, history, stale: Past::default() };
                self.parameters.insert(name.clone(), parameter);
            }
        }
    }

    /// An account without resources.
    fn empty(spec: &WorldSpec) -> World {
        World {
            now: spec.start,
            rng: Rng(spec.seed),
            account: spec.account.clone(),
            region: spec.region.clone(),
            elsewhere: BTreeMap::new(),
            timing: spec.timing.clone(),
            groups: BTreeMap::new(),
            instances: BTreeMap::new(),
            load_balancers: BTreeMap::new(),
            listeners: BTreeMap::new(),
            rules: BTreeMap::new(),
            target_groups: BTreeMap::new(),
            parameters: BTreeMap::new(),
            buckets: if spec.bucket.is_empty() { BTreeMap::new() } else { BTreeMap::from([(spec.bucket.clone(), BTreeMap::new())]) },
            bucket_regions: BTreeMap::new(),
            commands: BTreeMap::new(),
            refreshes: BTreeMap::new(),
            flows: Vec::new(),
            throttles: throttles(spec.start),
            log: Vec::new(),
            traffic: BTreeMap::new(),
            gauges: BTreeMap::new(),
            bad_builds: BTreeSet::new(),
            alarms: BTreeMap::new(),
            published: Vec::new(),
            backlogs: BTreeMap::new(),
            notices: Vec::new(),
            repository: None,
            policy: None,
            build_errors: BTreeMap::new(),
            build_slow: BTreeMap::new(),
            next_id: 0,
            stir: super::motion::Stir::default(),
        }
    }

    /// `arn:aws:elasticloadbalancing:us-east-1:052730242331:` and the rest.
    fn elb_arn(&self, rest: &str) -> String {
        format!("arn:aws:elasticloadbalancing:{}:{}:{rest}", self.region, self.account)
    }

    fn add_load_balancer(&mut self, spec: &WorldSpec) -> String {
        let id = self.rng.hex(16);
        let name = spec.load_balancer.clone();
        let arn = self.elb_arn(&format!("loadbalancer/app/{name}/{id}"));
        let number = self.rng.between(100_000_000, 1_999_999_999);
        let dns_name = format!("{name}-{number}.{}.elb.amazonaws.com", self.region);
        self.load_balancers.insert(arn.clone(), LoadBalancer { arn: arn.clone(), name, dns_name, nodes: NODES });
        for port in &spec.listeners {
            self.listener_at(&arn, *port);
        }
        arn
    }

    /// The listener on a port, made with a fixed 404 as its default where there is none yet.
    fn listener_at(&mut self, balancer: &str, port: u16) -> String {
        if let Some(found) = self.listeners.values().find(|l| l.load_balancer == balancer && l.port == port) {
            return found.arn.clone();
        }
        let base = balancer.replacen(":loadbalancer/", ":listener/", 1);
        let arn = format!("{base}/{}", self.rng.hex(16));
        let not_found =
            Action::FixedResponse { status: 404, content_type: Some("text/plain".to_owned()), body: Some("Not Found".to_owned()) };
        let listener = Listener {
            arn: arn.clone(),
            load_balancer: balancer.to_owned(),
            port,
            protocol: if port == 443 { "HTTPS" } else { "HTTP" }.to_owned(),
            actions: Actions::settled(vec![not_found], NODES),
        };
        self.listeners.insert(arn.clone(), listener);
        arn
    }

    fn add_route(&mut self, balancer: &str, env: &EnvSpec, route: &RouteSpec, target_group: &str) {
        let listener = self.listener_at(balancer, route.port);
        let live = self.target_groups.values().find(|g| g.name == target_group).map(|g| g.arn.clone()).unwrap_or_default();
        let forward = Action::Forward { targets: vec![Weighted { target_group: live, weight: 1 }], stickiness_seconds: None };
        let actions = Actions::settled(vec![forward], NODES);
        let conditions: Vec<Condition> = [("path-pattern", &route.path), ("host-header", &route.host)]
            .into_iter()
            .filter_map(|(field, value)| value.clone().map(|v| Condition { field: field.to_owned(), values: vec![v] }))
            .collect();
        if conditions.is_empty() {
            if let Some(found) = self.listeners.get_mut(&listener) {
                found.actions = actions;
            }
        } else {
            let arn = format!("{}/{}", listener.replacen(":listener/", ":listener-rule/", 1), self.rng.hex(16));
            self.rules.insert(arn.clone(), Rule { arn, listener, priority: route.priority, conditions, actions });
        }
        self.flows.extend(self.load_balancers.get(balancer).map(|balancer| Flow::of(env, route, balancer)));
    }

    /// Every bucket has the builds; each has the version keys of its own environments.
    fn add_storage(&mut self, spec: &WorldSpec) {
        let mut objects: Vec<(String, String)> = spec.objects.clone();
        for (branch, number) in &spec.builds {
            let key = spec.build_key.replace("{branch}", branch).replace("{number}", &number.to_string());
            let folder = key.find(&format!("{number}.")).map_or(key.as_str(), |at| &key[..at]).to_owned();
            objects.push((key, format!("build {number} of {branch}")));
            objects.push((format!("{folder}{number}.txt"), self.rng.hex(40)));
        }
        let own = spec.envs.iter().filter(|env| env.bucket.is_some());
        self.bucket_regions = own.map(|env| (spec.bucket_of(env).to_owned(), spec.region_of(env).to_owned())).collect();
        for bucket in std::iter::once(&spec.bucket).chain(self.bucket_regions.keys()) {
            let keys = spec.envs.iter().filter(|env| spec.bucket_of(env) == bucket).flat_map(|env| &env.colors);
            let keys = keys.map(|color| (color.version_key.clone(), color.version.clone()));
            let into = self.buckets.entry(bucket.clone()).or_default();
            // What is given says more than what follows from sizes.
            for (key, text) in objects.iter().cloned().chain(keys) {
                into.entry(key).or_insert_with(|| new_object(&text, spec.start));
            }
        }
    }

    fn add_color(&mut self, spec: &WorldSpec, env: &EnvSpec, color: &ColorSpec, live: bool) {
        let arns: Vec<String> = color.services.iter().map(|service| self.add_target_group(color, service)).collect();
        // In a target group that colours share, instances are registered one by one: their groups are not attached to it.
        let name = |color: &ColorSpec| color.services.first().map(|service| service.target_group.clone());
        let shared = env.colors.iter().filter(|other| name(other) == name(color)).count() > 1;
        let tags = [("Environment", env.name.clone()), ("Color", color.name.clone()), ("Name", color.group.clone())];
        let group = Group {
            min: color.min.min(color.size),
            max: color.max.max(color.size),
            desired: color.size,
            target_groups: if shared { Vec::new() } else { arns.clone() },
            health_check_type: "ELB".to_owned(),
            grace_seconds: color.grace_seconds,
            boot: color.boot,
            app_start: color.app_start,
            instance_types: color.instance_types.clone(),
            on_demand_base: color.on_demand_base,
            spot_interruptions_per_hour: color.spot_interruptions_per_hour,
            cpu_target: color.cpu_target,
            backlog_target: color.backlog_target,
            version_key: color.version_key.clone(),
            tags: tags.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
            traffic_in_service: if live && color.size > 0 { arns.iter().cloned().collect() } else { BTreeSet::new() },
            ..plain_group(&color.group, spec.bucket_of(env))
        };
        self.groups.insert(color.group.clone(), group);
        for _ in 0..color.size {
            let id = self.add_running(&color.group, Some(color.version.clone()), spec.start);
            if live || !shared {
                arns.iter().for_each(|arn| self.add_target(arn, &id, spec.start, live));
            }
        }
    }

    fn add_target_group(&mut self, color: &ColorSpec, service: &ServiceSpec) -> String {
        if let Some(known) = self.target_groups.values().find(|group| group.name == service.target_group) {
            return known.arn.clone();
        }
        let id = self.rng.hex(16);
        let arn = self.elb_arn(&format!("targetgroup/{}/{id}", service.target_group));
        self.target_groups.insert(arn.clone(), target_group(&arn, color, service));
        arn
    }

    /// A target that was registered a day ago; healthy where its group serves.
    fn add_target(&mut self, arn: &str, id: &str, start: Time, live: bool) {
        let Some(group) = self.target_groups.get_mut(arn) else { return };
        let first = self.rng.between(0, u64::from(group.interval_seconds.max(1)) * 1000);
        let target = Target {
            id: id.to_owned(),
            port: group.port,
            registered: Time(start.0.saturating_sub(SETTLED)),
            state: if live { TargetState::Healthy } else { TargetState::unused(NOT_IN_USE) },
            next_check: live.then(|| start.after_ms(first)),
            passed: 0,
            failed: 0,
            draining_until: None,
            stale: Past::default(),
        };
        group.targets.insert(id.to_owned(), target);
    }

    /// An instance that has been in service for a day.
    fn add_running(&mut self, group: &str, version: Option<String>, start: Time) -> String {
        let (spot, instance_type) = self.next_purchase(group);
        let zone = self.emptiest_zone(group);
        let since = Time(start.0.saturating_sub(SETTLED));
        let rate = self.groups.get(group).map_or(0.0, |g| g.spot_interruptions_per_hour);
        let hours = if spot && rate > 0.0 { Some(self.rng.exponential() / rate) } else { None };
        let id = self.new_instance_id();
        let instance = Instance {
            id: id.clone(),
            group: group.to_owned(),
            lifecycle: Lifecycle::InService,
            healthy: true,
            protected: false,
            zone,
            instance_type,
            spot,
            private_ip: self.new_private_ip(),
            launched: since,
            until: None,
            in_service: Some(since),
            answers_from: Some(since),
            answers_until: None,
            version,
            interrupted_at: None,
            next_interruption: hours.map(|h| start.after_ms((h * 3_600_000.0) as u64)),
        };
        self.instances.insert(id.clone(), instance);
        id
    }

    fn add_side_group(&mut self, spec: &WorldSpec, env: &EnvSpec, name: &str, count: u32) {
        let tags = BTreeMap::from([("Environment".to_owned(), env.name.clone()), ("Name".to_owned(), name.to_owned())]);
        let group = Group { max: count.max(1), desired: count, tags, ..plain_group(name, spec.bucket_of(env)) };
        self.groups.insert(name.to_owned(), group);
        for _ in 0..count {
            self.add_running(name, None, spec.start);
        }
    }
}

impl Flow {
    /// The users of a route: requests that its conditions match.
    pub fn of(env: &EnvSpec, route: &RouteSpec, balancer: &LoadBalancer) -> Flow {
        Flow {
            env: env.name.clone(),
            load_balancer: balancer.arn.clone(),
            port: route.port,
            host: route.host.as_ref().map_or_else(|| balancer.dns_name.clone(), |h| h.replace('*', "www").replace('?', "x")),
            path: route.path.as_ref().map_or_else(|| "/".to_owned(), |p| p.replace('*', "/").replace('?', "x")),
            per_second: env.per_second,
            full_load_per_instance: env.full_load_per_instance,
        }
    }
}

/// A group without target groups, policy or version; one minute to boot.
pub fn plain_group(name: &str, bucket: &str) -> Group {
    Group {
        name: name.to_owned(),
        min: 0,
        max: 1,
        desired: 0,
        target_groups: Vec::new(),
        health_check_type: "EC2".to_owned(),
        grace_seconds: 0,
        suspended: BTreeSet::new(),
        capacity_limit: None,
        boot: Range::seconds(60, 60),
        app_start: Range::ms(0, 0),
        instance_types: vec!["t4g.small".to_owned()],
        on_demand_base: None,
        spot_interruptions_per_hour: 0.0,
        cpu_target: None,
        backlog_target: None,
        version_bucket: bucket.to_owned(),
        version_key: String::new(),
        tags: BTreeMap::new(),
        activities: VecDeque::new(),
        stale: Past::default(),
        cooldown_until: None,
        policy_next: None,
        alarm: None,
        cpu: 0,
        load: 0,
        cause: String::new(),
        traffic_in_service: BTreeSet::new(),
        launch_retry: None,
        launch_failures: 0,
        rebalancing: None,
        told_protected: false,
    }
}

fn target_group(arn: &str, color: &ColorSpec, service: &ServiceSpec) -> TargetGroup {
    TargetGroup {
        arn: arn.to_owned(),
        name: service.target_group.clone(),
        port: service.port,
        path: service.check_path.clone(),
        interval_seconds: color.check_interval_seconds,
        timeout_seconds: color.check_interval_seconds.saturating_sub(2).max(2),
        healthy_threshold: 2,
        unhealthy_threshold: 3,
        matcher: "200".to_owned(),
        deregistration_delay_seconds: color.deregistration_delay_seconds,
        stickiness: false,
        slow_start_seconds: 0,
        algorithm: "least_outstanding_requests".to_owned(),
        targets: BTreeMap::new(),
    }
}

/// Buckets of AWS pages "Throttling for the Elastic Load Balancing API" and "CloudWatch service quotas" (requests a second of GetMetricData
/// and DescribeAlarms); those of the other services are not published.
fn throttles(at: Time) -> BTreeMap<String, Throttle> {
    let buckets = [
        ("elbv2", 40.0, 10.0),
        ("elbv2-describe", 40.0, 10.0),
        ("elbv2-mutate", 20.0, 3.0),
        ("elbv2-targets", 20.0, 4.0),
        ("autoscaling", 20.0, 5.0),
        ("ssm-get", 40.0, 40.0),
        ("ssm-put", 10.0, 3.0),
        ("metrics", 50.0, 50.0),
        ("alarms", 9.0, 9.0),
    ];
    let full = |(name, capacity, per_second): (&str, f64, f64)| (name.to_owned(), Throttle { capacity, per_second, tokens: capacity, at });
    buckets.into_iter().map(full).collect()
}
