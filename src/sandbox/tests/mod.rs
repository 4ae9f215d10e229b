//! The sandbox as the real SDK clients see it.

use super::Sandbox;
use super::door::{Clock, Door};
use super::world::{ColorSpec, EnvSpec, Range, RouteSpec, ServiceSpec, Time, Timing, World, WorldSpec};
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::SharedTimeSource;
use std::sync::{Arc, Mutex};
use std::time::Duration;

mod authorize;
mod autoscaling;
mod cloudwatch;
mod door;
mod elbv2;
mod faults;
mod regions;
mod s3;
mod server;
mod ssm;

const START: Time = Time(1_795_237_718_000);
const BUCKET: &str = "compiler-explorer";

/// Clients of every service over one sandbox, in the virtual time of the test's runtime.
struct Account {
    sandbox: Arc<Mutex<Sandbox>>,
    door: Door,
    asg: aws_sdk_autoscaling::Client,
    elb: aws_sdk_elasticloadbalancingv2::Client,
    ssm: aws_sdk_ssm::Client,
    s3: aws_sdk_s3::Client,
    sts: aws_sdk_sts::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
}

impl Account {
    /// To be called inside the runtime.
    fn new() -> Account {
        Account::behind(Arc::new(Mutex::new(Sandbox::new(World::new(&spec())))), |door| door)
    }

    fn behind(sandbox: Arc<Mutex<Sandbox>>, with: impl FnOnce(Door) -> Door) -> Account {
        Account::in_region("us-east-1", sandbox, with)
    }

    fn in_region(region: &'static str, sandbox: Arc<Mutex<Sandbox>>, with: impl FnOnce(Door) -> Door) -> Account {
        let clock = Clock::starting_at(START);
        let door = with(Door::new(sandbox.clone(), clock));
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test")))
            .http_client(door.clone())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .time_source(SharedTimeSource::new(clock))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().read_timeout(Duration::from_secs(20)).build())
            .build();
        Account {
            sandbox,
            door,
            asg: aws_sdk_autoscaling::Client::new(&config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            ssm: aws_sdk_ssm::Client::new(&config),
            s3: aws_sdk_s3::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
        }
    }

    /// Reads or changes the sandbox itself.
    fn with<T>(&self, act: impl FnOnce(&mut Sandbox) -> T) -> T {
        act(&mut self.sandbox.lock().expect("no test panics while it holds the lock"))
    }
}

/// Two environments behind one load balancer: `prod` as the default of two listeners, `beta` under `/beta*`.
pub(in crate::sandbox) fn spec() -> WorldSpec {
    let at_once = Range::ms(0, 0);
    WorldSpec {
        seed: 7,
        start: START,
        account: "052730242331".into(),
        region: "us-east-1".into(),
        load_balancer: "GccExplorerApp".into(),
        listeners: vec![80, 443],
        bucket: BUCKET.into(),
        timing: Timing { group_staleness: at_once, rule_staleness: at_once, health_staleness: at_once, ..Timing::default() },
        envs: vec![env("prod", vec![route(80, None), route(443, None)], 3), env("beta", vec![route(80, Some("/beta*"))], 2)],
        builds: vec![("main".into(), 100), ("main".into(), 101)],
        build_key: "dist/gh/{branch}/{number}.tar.xz".to_owned(),
        objects: vec![("a b/c+d.txt".into(), "odd key".into())],
    }
}

fn env(name: &str, routes: Vec<RouteSpec>, size: u32) -> EnvSpec {
    EnvSpec {
        region: None,
        bucket: None,
        name: name.into(),
        routes,
        colors: vec![color(name, "blue", size), color(name, "green", 0)],
        parameters: vec![(format!("/compiler-explorer/{name}/active-color"), "blue".into())],
        per_second: 10.0,
        full_load_per_instance: 50.0,
        backlog: 0.0,
        side_groups: vec![(format!("ce-router-{name}"), 1)],
    }
}

fn route(port: u16, path: Option<&str>) -> RouteSpec {
    RouteSpec { port, path: path.map(str::to_owned), host: None, priority: 10, service: 0 }
}

fn color(env: &str, name: &str, size: u32) -> ColorSpec {
    ColorSpec {
        name: name.into(),
        group: format!("{env}-{name}"),
        services: vec![ServiceSpec::plain(&format!("{env}-{name}-tg"))],
        min: 0,
        max: 6,
        size,
        version_key: format!("version/{env}"),
        version: "gh-100".into(),
        boot: Range::seconds(45, 60),
        app_start: Range::seconds(5, 10),
        grace_seconds: 300,
        instance_types: vec!["m5.large".into(), "m6i.large".into()],
        on_demand_base: (name == "blue").then_some(1),
        spot_interruptions_per_hour: 0.0,
        cpu_target: None,
        backlog_target: None,
        check_interval_seconds: 10,
        deregistration_delay_seconds: 20,
    }
}
