//! A clone of a simulated account is that account, as far as an API tells it.

use super::Cloned;
use crate::config::{Config, Environment, Target};
use crate::host::{Host, Options};
use crate::sandbox::Sandbox;
use crate::sandbox::fault::Rule;
use crate::sandbox::world::{GroupView, Lifecycle, Range, TargetView, Time, World};
use std::path::Path;

fn config() -> Config {
    Config::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("bgx.toml")).unwrap()
}

fn new_world(config: &Config) -> World {
    let host = Host::open(config, &Target::Sandbox, &Options { seed: Some(7), in_memory: true, target: None }).unwrap();
    let sandbox = host.sandbox.as_ref().unwrap().lock().unwrap();
    sandbox.world.clone()
}

fn in_service(world: &World, group: &str) -> usize {
    world.instances.values().filter(|i| i.group == group && i.lifecycle == Lifecycle::InService).count()
}

/// The clone of some environments, and how many calls to AWS that took.
fn clone_of(config: &Config, names: &str, world: World, faults: &[Rule]) -> (Cloned, World, usize) {
    let mut sandbox = Sandbox::new(world);
    faults.iter().for_each(|rule| sandbox.faults.add(rule.clone()));
    let host = Host::over(sandbox, 7, None).unwrap();
    let cloned = host.clone_of(&config.env_list(names).unwrap()).unwrap();
    let sandbox = host.sandbox.as_ref().unwrap().lock().unwrap();
    assert!(sandbox.trace.iter().all(|call| !call.mutates), "{:?}", sandbox.trace);
    let calls = sandbox.trace.iter().filter(|call| call.service != "instance").count();
    (cloned, sandbox.world.clone(), calls)
}

/// What an API tells of one environment, but for the moments of its activities.
#[derive(Debug, PartialEq)]
struct Told {
    groups: Vec<GroupView>,
    health: Vec<Vec<TargetView>>,
    weights: Vec<String>,
    parameters: Vec<Option<String>>,
    builds: Vec<String>,
    key: String,
    alarms: Vec<String>,
    answers: Vec<Option<String>>,
}

fn told(world: &World, env: &Environment) -> Told {
    let mut world = world.clone();
    // What readers are still shown of earlier moments has passed.
    world.advance(world.now.after_ms(5_000));
    let names: Vec<String> = env.colors.iter().map(|color| color.asg.clone()).chain(env.extra.asgs.clone()).collect();
    let bare = |view: GroupView| {
        let instances = view.instances.into_iter().map(|mut instance| {
            (instance.launched, instance.in_service, instance.answers_from, instance.next_interruption) = (Time(0), None, None, None);
            crate::sandbox::world::Instance { spot: false, ..instance }
        });
        GroupView { instances: instances.collect(), tags: Vec::new(), ..view }
    };
    let own = |name: &str| env.colors.iter().any(|color| color.target_groups().any(|group| group == name));
    let mine: Vec<String> = world.target_groups.values().filter(|group| own(&group.name)).map(|group| group.arn.clone()).collect();
    let actions = world.listeners.values().map(|l| &l.actions).chain(world.rules.values().map(|r| &r.actions));
    let parameters = super::read::parameter_names(env);
    let ips: Vec<(String, u16)> =
        world.instances.values().filter(|i| i.group == env.colors[0].asg).map(|i| (i.private_ip.clone(), 80)).collect();
    Told {
        groups: world.describe_groups(&names).into_iter().map(bare).collect(),
        health: mine.iter().map(|arn| world.target_health(arn, None).unwrap()).collect(),
        weights: actions.map(|actions| format!("{:?}", actions.api)).filter(|text| mine.iter().any(|arn| text.contains(arn))).collect(),
        parameters: parameters.iter().map(|name| world.parameter(name).ok().map(|p| p.value)).collect(),
        builds: world.buckets[&env.bucket].keys().filter(|key| key.starts_with("dist/gh/")).cloned().collect(),
        key: String::from_utf8_lossy(&world.object(&env.bucket, &env.colors[0].version_key).unwrap().body).into_owned(),
        alarms: env.alarms.iter().map(|name| world.alarms[name].state.clone()).collect(),
        answers: ips.iter().map(|(ip, port)| world.instance_http((ip, *port), "GET", "/version").map(|reply| reply.body)).collect(),
    }
}

#[test]
fn a_clone_tells_what_the_account_tells() {
    let config = config();
    let mut world = new_world(&config);
    // Drift: both colours run, one instance of another build, a suspended process, weights set by hand, an alarm.
    world.set_desired("beta-green", 2, false).unwrap();
    world.advance(world.now.after_ms(600_000));
    world.suspend("beta-blue", &["AZRebalance".to_owned()]).unwrap();
    world.set_alarm("beta-5xx", false, "ALARM");
    world.put_parameter("/compiler-explorer/beta/active-color", "green", Some("String"), true).unwrap();
    let odd = world.instances.values().find(|i| i.group == "beta-blue").unwrap().id.clone();
    world.instances.get_mut(&odd).unwrap().version = Some("dist/gh/main/40999.tar.xz".to_owned());
    world.advance(world.now.after_ms(10_000));
    let (cloned, world, _) = clone_of(&config, "beta", world, &[]);
    let env = config.env("beta").unwrap();
    assert_eq!(told(&cloned.world, env), told(&world, env));
    assert_eq!(cloned.denied, []);
    cloned.world.check().unwrap();
}

#[test]
fn a_clone_is_saved_and_goes_on_as_it_was() {
    let config = config();
    let (cloned, _, _) = clone_of(&config, "beta,gpu", new_world(&config), &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    crate::host::world::save(&path, &cloned.world).unwrap();
    let (mut kept, mut known) = (crate::host::world::given(&path).unwrap(), cloned.world.clone());
    let later = known.now.after_ms(3_600_000);
    kept.advance(later);
    known.advance(later);
    assert_eq!(kept, known);
    kept.check().unwrap();
    assert_eq!(in_service(&kept, "gpu-blue"), 2);
}

#[test]
fn prod_with_forty_instances_is_read_in_thirty_calls_and_two_seconds() {
    let config = config();
    let mut world = new_world(&config);
    world.set_desired("prod-blue", 40, false).unwrap();
    world.advance(world.now.after_ms(900_000));
    let before = world.now;
    let (cloned, world, calls) = clone_of(&config, "prod", world, &[]);
    assert_eq!(in_service(&cloned.world, "prod-blue"), 40);
    // One more is made when the target is opened: who we are.
    assert!(calls < 30, "{calls} calls");
    assert!(world.now.since(before) < 2000, "{} ms", world.now.since(before));
    assert!(cloned.world.now.since(world.now) < 100, "the clone is at the account's own moment");
}

#[test]
fn boots_requests_and_cpu_are_the_accounts_own() {
    let config = config();
    let mut world = new_world(&config);
    world.groups.get_mut("prod-blue").unwrap().boot = Range::seconds(200, 210);
    world.flows.iter_mut().filter(|flow| flow.env == "prod").for_each(|flow| flow.per_second = 30.0);
    world.refresh();
    world.set_desired("prod-blue", 8, false).unwrap();
    world.advance(world.now.after_ms(1_800_000));
    let (cloned, world, _) = clone_of(&config, "prod", world, &[]);
    let boot = cloned.world.groups["prod-green"].boot;
    assert!((200_000..=211_000).contains(&boot.low) && (200_000..=211_000).contains(&boot.high), "{boot:?}");
    let rates: Vec<f64> = cloned.world.flows.iter().map(|flow| flow.per_second.round()).collect();
    assert_eq!(rates, [30.0, 30.0]);
    let cpu = |world: &World| world.groups["prod-blue"].cpu;
    assert!(cpu(&cloned.world).abs_diff(cpu(&world)) <= 20, "{} and {}", cpu(&cloned.world), cpu(&world));
    assert_eq!(cloned.world.groups["prod-blue"].cpu_target, Some(25.0));
}

#[test]
fn what_may_not_be_read_is_unknown_with_its_consequence() {
    let config = config();
    let refused = [
        ("ssm", "GetParameters"),
        ("autoscaling", "DescribeScalingActivities"),
        ("monitoring", "GetMetricData"),
        ("elasticloadbalancing", "DescribeTargetHealth"),
    ];
    let faults = refused.map(|(service, operation)| Rule::denied(service, operation).always());
    let (cloned, _, _) = clone_of(&config, "beta", new_world(&config), &faults);
    let denied: Vec<&str> = cloned.denied.iter().map(|denied| denied.operation.as_str()).collect();
    assert_eq!(denied, ["DescribeScalingActivities", "DescribeTargetHealth", "GetMetricData", "GetParameters"]);
    let lines: Vec<String> = cloned.unknown.iter().map(|u| format!("{}: {}", u.what, u.consequence)).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    how long beta's application takes to answer once its instance is in service: 10 to 30 s, as bgx.toml says of its sandbox, and then the health checks as they are set
    requests and CPU: users send what bgx.toml says of its sandbox: errors in figures, and what autoscaling does, are a guess
    the health of the targets of Beta-Blue: instances in service are taken as healthy where their target group is in a rule; a run stops there
    the health of the targets of Beta-Green: instances in service are taken as healthy where their target group is in a rule; a run stops there
    the recorded colour and versions: they are taken to agree with the listener, and versions with bgx.toml; a run stops there
    the scaling activities of beta-blue: boots take what bgx.toml says of its sandbox, and no instance is warming up: the plan's times are a guess there
    the scaling activities of beta-green: boots take what bgx.toml says of its sandbox, and no instance is warming up: the plan's times are a guess there
    ");
    cloned.world.check().unwrap();
    assert_eq!(cloned.world.parameters["/compiler-explorer/beta/active-color"].value, "blue");
}

#[test]
fn an_account_whose_groups_cannot_be_read_is_not_cloned() {
    let config = config();
    let mut sandbox = Sandbox::new(new_world(&config));
    sandbox.faults.add(Rule::denied("autoscaling", "DescribeAutoScalingGroups").always());
    let host = Host::over(sandbox, 7, None).unwrap();
    let error = host.clone_of(&config.env_list("beta").unwrap()).unwrap_err().to_string();
    assert!(error.contains("a run needs autoscaling:DescribeAutoScalingGroups as well"), "{error}");
}

#[test]
fn instances_that_cannot_be_reached_from_here_cannot_be_reached_in_the_clone() {
    let config = config();
    let silent = Rule::lost_request("instance", "").any_operation().always();
    let (cloned, _, _) = clone_of(&config, "beta", new_world(&config), &[silent]);
    let text = "what 2 of 2 instance(s) run";
    assert!(cloned.unknown.iter().any(|unknown| unknown.what == text), "{:?}", cloned.unknown);
    assert_eq!(cloned.denied.iter().map(|denied| denied.service.as_str()).collect::<Vec<_>>(), ["instance"]);
    let mut sandbox = Sandbox::new(cloned.world.clone());
    cloned.denied.iter().for_each(|denied| sandbox.faults.add(denied.rule()));
    let again = Host::over(sandbox, 7, None).unwrap().clone_of(&config.env_list("beta").unwrap()).unwrap();
    assert_eq!(again.denied, cloned.denied);
}

#[test]
fn how_late_reads_are_is_what_the_file_says() {
    let mut config = config();
    config.sandbox_timing.group_staleness = Some("1s..7s".to_owned());
    let (cloned, _, _) = clone_of(&config, "beta", new_world(&config), &[]);
    assert_eq!(cloned.timed(&config).unwrap().world.timing.group_staleness.high, 7_000);
}
