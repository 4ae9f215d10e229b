//! Histories that breach an invariant, each beside a close one that does not.

mod calls;
mod capacity;
mod regions;
mod replay;
mod rest;
mod targets;
mod versions;

use super::*;
use crate::sandbox::world::{
    Action, ColorSpec, EnvSpec, GroupUpdate, ObjectMeta, PutCondition, Range, RouteSpec, ServiceSpec, Timing, Weighted, WorldSpec,
};

const START: Time = Time(1_795_237_718_000);
const OLD: &str = "dist/gh/main/100.tar.xz";
const NEW: &str = "dist/gh/main/101.tar.xz";
const BLUE: &str = "prod-blue";
const GREEN: &str = "prod-green";
const COLOR: &str = "/app/prod/active-color";
const TARGET: &str = "/app/prod/active-target-group-arn";

/// Moments are fixed where AWS does not document them.
fn exact() -> Timing {
    let (none, two) = (Range::ms(0, 0), Range::seconds(2, 2));
    Timing {
        call: none,
        group_staleness: none,
        rule_staleness: none,
        health_staleness: none,
        registration: two,
        propagation: two,
        termination: Range::seconds(30, 30),
        terminated_listed: Range::seconds(10, 10),
        ec2_check: Range::seconds(4, 4),
        ..Timing::default()
    }
}

fn key_of(color: &str, shared: bool) -> String {
    if shared { "version/prod".to_owned() } else { format!("version/prod-{color}") }
}

fn color(name: &str, size: u32, shared: bool) -> ColorSpec {
    ColorSpec {
        name: name.to_owned(),
        group: format!("prod-{name}"),
        services: vec![ServiceSpec::plain(if name == "blue" { "Prod-Blue" } else { "Prod-Green" })],
        min: 2,
        max: 20,
        size,
        version_key: key_of(name, shared),
        version: OLD.to_owned(),
        boot: Range::seconds(60, 60),
        app_start: Range::seconds(5, 5),
        grace_seconds: 240,
        instance_types: vec!["c5.large".to_owned()],
        on_demand_base: Some(0),
        spot_interruptions_per_hour: 0.0,
        cpu_target: None,
        backlog_target: None,
        check_interval_seconds: 10,
        deregistration_delay_seconds: 20,
    }
}

/// Prod behind two listeners, blue live with six instances.
fn world_with(shared: bool) -> World {
    world_of(vec![color("blue", 6, shared), color("green", 0, shared)], "Prod-Blue")
}

/// The same with these colours, the first of which serves by this target group.
fn world_of(colors: Vec<ColorSpec>, target_group: &str) -> World {
    let route = |port| RouteSpec { port, path: None, host: None, priority: 1, service: 0 };
    let prod = EnvSpec {
        region: None,
        bucket: None,
        name: "prod".to_owned(),
        routes: vec![route(80), route(443)],
        colors,
        parameters: vec![(COLOR.to_owned(), "blue".to_owned())],
        per_second: 10.0,
        full_load_per_instance: 20.0,
        backlog: 0.0,
        side_groups: Vec::new(),
    };
    let mut world = World::new(&WorldSpec {
        seed: 1,
        start: START,
        account: "052730242331".to_owned(),
        region: "us-east-1".to_owned(),
        load_balancer: "App".to_owned(),
        listeners: vec![80, 443],
        bucket: "app".to_owned(),
        timing: exact(),
        envs: vec![prod],
        builds: vec![("main".to_owned(), 100), ("main".to_owned(), 101)],
        build_key: "dist/gh/{branch}/{number}.tar.xz".to_owned(),
        objects: Vec::new(),
    });
    let serves = world.tg(target_group);
    world.put_parameter(TARGET, &serves, Some("String"), true).expect("the parameter is new");
    world
}

fn world() -> World {
    world_with(true)
}

fn charter_with(shared: bool) -> Charter {
    let color =
        |name: &str, target_group: &str| Color::new(name, &format!("prod-{name}"), target_group, &key_of(name, shared), "/app/prod");
    let route = |port| Route { port, path: None, host: None };
    Charter::new("prod", "App", "app", "/app/prod", [color("blue", "Prod-Blue"), color("green", "Prod-Green")], vec![route(80), route(443)])
}

fn charter() -> Charter {
    charter_with(true)
}

fn at_rest() -> Phase {
    Phase::AtRest { finals: Vec::new(), undone: false, lock_owner: None }
}

fn after_undo() -> Phase {
    Phase::AtRest { finals: Vec::new(), undone: true, lock_owner: None }
}

/// What the shipped way of deploying declares: six green instances, MinSize as given.
fn after_deploy(green: u32, min: u32) -> Phase {
    let green = Final { group: GREEN.to_owned(), region: None, min: Some(min), desired: Some(green), max: None };
    Phase::AtRest { finals: vec![green], undone: false, lock_owner: None }
}

fn codes(findings: &Findings) -> Vec<&'static str> {
    findings.invariants().into_iter().map(Invariant::code).collect()
}

/// The breach of that code; the only one.
fn the<'a>(findings: &'a Findings, code: &str) -> &'a Breach {
    let found: Vec<&Breach> = findings.breaches.iter().filter(|b| b.invariant.code() == code).collect();
    assert_eq!(found.len(), 1, "{findings}");
    found[0]
}

/// The operation and resource of the call that a breach is put down to.
fn cause(world: &World, breach: &Breach) -> (String, String) {
    let entry = &world.log[breach.caused_by.expect("a cause was found")];
    let crate::sandbox::world::Happening::Call { operation, resource, .. } = &entry.what else { panic!("{entry:?} is no call") };
    (operation.clone(), resource.clone())
}

fn listener(world: &World, port: u16) -> String {
    world.listeners.values().find(|l| l.port == port).expect("the listener exists").arn.clone()
}

fn route_one(world: &mut World, port: u16, blue: u32, green: u32) {
    let weighted = |name: &str, weight| Weighted { target_group: world.tg(name), weight };
    let targets = vec![weighted("Prod-Blue", blue), weighted("Prod-Green", green)];
    let arn = listener(world, port);
    world.modify_listener(&arn, vec![Action::Forward { targets, stickiness_seconds: None }]).expect("the listener is there");
}

fn route(world: &mut World, blue: u32, green: u32) {
    route_one(world, 80, blue, green);
    route_one(world, 443, blue, green);
}

fn set_version(world: &mut World, key: &str, version: &str) {
    world.put_object("app", key, version.into(), ObjectMeta::default(), &PutCondition::None).expect("the bucket is there");
}

fn put(world: &mut World, name: &str, value: &str) {
    world.put_parameter(name, value, Some("String"), true).expect("the value is valid");
}

fn resize(world: &mut World, group: &str, min: Option<u32>, max: Option<u32>, desired: Option<u32>) {
    world.update_group(group, &GroupUpdate { min, max, desired }).expect("the bounds are in order");
}

/// Green with `n` instances of the new build, in the rule at weight 0 and healthy; the shared key says the old build again.
fn boot_green(world: &mut World, n: u32) {
    set_version(world, "version/prod", NEW);
    resize(world, GREEN, Some(n), None, Some(n));
    world.wait(62);
    set_version(world, "version/prod", OLD);
    route(world, 100, 0);
    world.wait(60);
    assert_eq!(world.healthy_targets(&world.tg("Prod-Green")), n);
}

/// All traffic to green, nothing recorded.
fn switch(world: &mut World) {
    route(world, 0, 100);
    world.wait(5);
}

/// What belongs to a switch: key and parameters.
fn record(world: &mut World) {
    let green = world.tg("Prod-Green");
    set_version(world, "version/prod", NEW);
    put(world, COLOR, "green");
    put(world, TARGET, &green);
}

/// The history of a whole, right deploy of six instances.
fn deployed() -> (World, World) {
    let before = world();
    let mut world = before.clone();
    boot_green(&mut world, 6);
    switch(&mut world);
    record(&mut world);
    world.wait(300);
    (before, world)
}
