//! Rules of the simulated account, one named test each.

mod autoscaling;
mod balancing;
mod build;
mod health;
mod metrics;
mod policies;
mod properties;
mod refresh;
mod shared;
mod storage;
mod traffic;

use super::*;

pub const START: Time = Time(1_795_237_718_000);
pub const OLD: &str = "dist/gh/main/100.tar.xz";
pub const NEW: &str = "dist/gh/main/101.tar.xz";

/// Every duration that AWS does not document is fixed, so that a test can name moments.
pub fn exact() -> Timing {
    Timing {
        call: Range::ms(0, 0),
        group_staleness: Range::ms(0, 0),
        rule_staleness: Range::ms(0, 0),
        health_staleness: Range::ms(0, 0),
        registration: Range::seconds(5, 5),
        propagation: Range::seconds(2, 2),
        parameter_staleness: Range::ms(0, 0),
        termination: Range::seconds(30, 30),
        terminated_listed: Range::seconds(10, 10),
        ec2_check: Range::seconds(4, 4),
        launch_retry: Range::seconds(20, 20),
        ..Timing::default()
    }
}

pub fn color(env: &str, name: &str, size: u32) -> ColorSpec {
    let title = |word: &str| format!("{}{}", word[..1].to_uppercase(), &word[1..]);
    ColorSpec {
        name: name.to_owned(),
        group: format!("{env}-{name}"),
        services: vec![ServiceSpec::plain(&format!("{}-{}", title(env), title(name)))],
        min: 0,
        max: 10,
        size,
        version_key: format!("version/{env}"),
        version: OLD.to_owned(),
        boot: Range::seconds(60, 60),
        app_start: Range::seconds(5, 5),
        grace_seconds: 240,
        instance_types: vec!["c5.large".to_owned(), "c6i.large".to_owned()],
        on_demand_base: None,
        spot_interruptions_per_hour: 0.0,
        cpu_target: None,
        backlog_target: None,
        check_interval_seconds: 10,
        deregistration_delay_seconds: 20,
    }
}

pub fn env(name: &str, live: u32, idle: u32) -> EnvSpec {
    EnvSpec {
        region: None,
        bucket: None,
        name: name.to_owned(),
        routes: vec![RouteSpec { port: 443, path: Some(format!("/{name}*")), host: None, priority: 101, service: 0 }],
        colors: vec![color(name, "blue", live), color(name, "green", idle)],
        parameters: vec![(format!("/compiler-explorer/{name}/active-color"), "blue".to_owned())],
        per_second: 10.0,
        full_load_per_instance: 20.0,
        backlog: 0.0,
        side_groups: Vec::new(),
    }
}

pub fn spec(envs: Vec<EnvSpec>) -> WorldSpec {
    WorldSpec {
        seed: 1,
        start: START,
        account: "052730242331".to_owned(),
        region: "us-east-1".to_owned(),
        load_balancer: "GccExplorerApp".to_owned(),
        listeners: vec![80, 443],
        bucket: "compiler-explorer".to_owned(),
        timing: exact(),
        envs,
        builds: vec![("main".to_owned(), 100), ("main".to_owned(), 101)],
        build_key: "dist/gh/{branch}/{number}.tar.xz".to_owned(),
        objects: Vec::new(),
    }
}

/// Beta with `live` instances in blue and `idle` in green.
pub fn beta(live: u32, idle: u32) -> World {
    World::new(&spec(vec![env("beta", live, idle)]))
}

impl World {
    pub fn wait(&mut self, seconds: u64) -> &mut World {
        self.advance(self.now.after_ms(seconds * 1000));
        self.check().expect("the world is consistent");
        self
    }

    pub fn tg(&self, name: &str) -> String {
        self.target_groups.values().find(|g| g.name == name).expect("the target group exists").arn.clone()
    }

    pub fn ids(&self, group: &str) -> Vec<String> {
        self.instances.values().filter(|i| i.group == group).map(|i| i.id.clone()).collect()
    }

    pub fn live(&self, group: &str) -> usize {
        self.members(group).count()
    }

    /// States of a target group as they really are, sorted.
    pub fn states(&self, name: &str) -> Vec<&'static str> {
        let group = &self.target_groups[&self.tg(name)];
        let mut states: Vec<_> = group.targets.values().map(|t| t.state.texts().0).collect();
        states.sort_unstable();
        states
    }

    pub fn rule(&self) -> String {
        self.rules.keys().next().expect("there is a rule").clone()
    }

    pub fn seconds(&self) -> u64 {
        self.now.since(START) / 1000
    }

    pub fn grow(&mut self, group: &str, desired: u32) {
        let update = GroupUpdate { min: Some(desired), max: None, desired: Some(desired) };
        self.update_group(group, &update).expect("the update is accepted");
    }
}

pub fn forward(targets: &[(String, u32)]) -> Vec<Action> {
    let weighted = |(arn, weight): &(String, u32)| Weighted { target_group: arn.clone(), weight: *weight };
    vec![Action::Forward { targets: targets.iter().map(weighted).collect(), stickiness_seconds: None }]
}

pub fn code<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
    result.expect_err("AWS refuses this").code
}

pub fn message<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
    result.expect_err("AWS refuses this").message
}
