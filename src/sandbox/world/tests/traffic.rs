//! Rules of what users see.

use super::*;

fn switch(world: &mut World) {
    let green = forward(&[(world.tg("Beta-Green"), 1)]);
    world.modify_rule(&world.rule(), green).unwrap();
}

/// Green has two instances of the new version.
fn ready() -> World {
    let mut beta = env("beta", 2, 2);
    beta.colors[1].version = NEW.to_owned();
    World::new(&spec(vec![beta]))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn a_quiet_time_costs_one_mark() {
    let mut world = beta(2, 0);
    world.wait(100);
    let users = world.users("beta", START);
    assert_eq!((users.requests, users.errors, users.mixed_seconds), (1000.0, 0.0, 0.0));
    assert_eq!(users.versions, BTreeMap::from([(OLD.to_owned(), 1000.0)]));
    assert_eq!((users.lowest_healthy, users.switched), (Some(2), None));
    world.wait(86_400);
    assert_eq!(world.traffic["beta"].len(), 1);
    assert!(close(world.users("beta", world.now.after_ms(0)).requests, 0.0));
    assert_eq!(world.users("nope", START), Users::default());
}

#[test]
fn requests_follow_the_weights() {
    let mut world = ready();
    let both = forward(&[(world.tg("Beta-Blue"), 90), (world.tg("Beta-Green"), 10)]);
    world.modify_rule(&world.rule(), both).unwrap();
    world.wait(60);
    let since = world.now;
    world.wait(100);
    let users = world.users("beta", since);
    assert!(close(users.versions[OLD], 900.0) && close(users.versions[NEW], 100.0), "{users:?}");
    assert!(close(users.mixed_seconds, 100.0));
    assert_eq!(users.lowest_healthy, Some(4));
}

#[test]
fn versions_mix_while_a_switch_spreads_over_the_nodes() {
    let mut world = ready();
    world.timing.propagation = Range::ms(1000, 9000);
    switch(&mut world);
    let mut moments: Vec<Time> = world.rules[&world.rule()].actions.pending.iter().map(|p| p.0).collect();
    moments.sort_unstable();
    world.wait(60);
    let users = world.users("beta", START);
    assert_eq!(users.switched, Some((moments[0], moments[2])));
    assert!(close(users.mixed_seconds, moments[2].since(moments[0]) as f64 / 1000.0));
    assert!(close(users.requests, 600.0) && users.errors == 0.0);
    assert!(close(users.versions.values().sum::<f64>(), 600.0));
}

#[test]
fn without_a_healthy_target_all_registered_ones_get_requests() {
    let mut world = ready();
    switch(&mut world);
    world.wait(3);
    assert_eq!(world.states("Beta-Green"), ["initial"; 2], "unverified, yet serving");
    let users = world.users("beta", world.now.after_ms(0));
    assert_eq!((users.lowest_healthy, users.errors), (Some(0), 0.0));
    assert_eq!(world.traffic["beta"].last().unwrap().versions, BTreeMap::from([(NEW.to_owned(), 10_000_000)]));
}

#[test]
fn an_empty_target_group_answers_503() {
    let mut world = beta(2, 0);
    switch(&mut world);
    world.wait(12);
    let users = world.users("beta", START);
    assert!(close(users.errors, 100.0), "{users:?}");
    assert_eq!(users.lowest_healthy, Some(0));
}

#[test]
fn an_application_that_does_not_answer_gives_errors_until_it_is_found_out() {
    let mut world = beta(2, 0);
    let id = world.ids("beta-blue")[0].clone();
    let arn = world.tg("Beta-Blue");
    let found_out = world.target_groups[&arn].targets[&id].next_check.unwrap().after_ms(20_000);
    world.break_application(&id);
    world.wait(100);
    let users = world.users("beta", START);
    assert!(close(users.errors, found_out.since(START) as f64 / 1000.0 * 5.0), "{users:?}");
    assert_eq!(users.lowest_healthy, Some(1));
}

#[test]
fn started_instances_that_are_not_ready_give_errors_under_fail_open() {
    let mut beta = env("beta", 2, 0);
    beta.colors[1].app_start = Range::seconds(100, 100);
    let mut world = World::new(&spec(vec![beta]));
    world.grow("beta-green", 1);
    world.wait(61);
    let since = world.now;
    switch(&mut world);
    world.wait(200);
    let users = world.users("beta", since);
    assert!(
        close(users.errors, (159.0 - 62.0 - 1.0 + 1.0) * 10.0),
        "from the switch at 63 s until the application starts at 160 s: {users:?}"
    );
}

#[test]
fn draining_targets_get_no_requests() {
    let mut world = beta(2, 0);
    let (arn, ids) = (world.tg("Beta-Blue"), world.ids("beta-blue"));
    world.deregister_targets(&arn, &ids).unwrap();
    world.wait(10);
    assert!(close(world.users("beta", START).errors, 100.0));
}

#[test]
fn a_flow_follows_the_matching_rule_with_the_lowest_priority() {
    let mut host = env("api", 1, 0);
    host.routes = vec![RouteSpec { port: 443, path: None, host: Some("*.example.com".to_owned()), priority: 7, service: 0 }];
    let mut prod = env("prod", 1, 0);
    prod.routes = vec![RouteSpec { port: 443, path: None, host: None, priority: 0, service: 0 }];
    let mut world = World::new(&spec(vec![env("beta", 1, 0), host, prod]));
    let alive = |w: &World, env: &str| w.traffic[env].last().unwrap().versions.len() == 1;
    assert!(["beta", "api", "prod"].iter().all(|e| alive(&world, e)));
    let gone = Action::FixedResponse { status: 503, content_type: None, body: None };
    let default =
        world.flows.iter().position(|f| f.env == "prod").map(|_| world.listeners.values().find(|l| l.port == 443).unwrap().arn.clone());
    world.modify_listener(&default.unwrap(), vec![gone.clone()]).unwrap();
    world.wait(10);
    assert_eq!(["beta", "api", "prod"].map(|e| alive(&world, e)), [true, true, false]);
    let first = world.rules.values().find(|r| r.priority == 7).unwrap().arn.clone();
    world.rules.get_mut(&first).unwrap().conditions.clear();
    world.modify_rule(&first, vec![gone]).unwrap();
    world.wait(10);
    assert_eq!(["beta", "api", "prod"].map(|e| alive(&world, e)), [false; 3], "priority 7 now takes every request");
}

#[test]
fn patterns_match_as_in_listener_rules() {
    let cases = [
        ("/beta*", "/beta/", true),
        ("/beta*", "/bet", false),
        ("*", "", true),
        ("/a?c", "/abc", true),
        ("/a?c", "/ac", false),
        ("/*/x", "/a/b/x", true),
        ("/*/x", "/a/b/y", false),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(super::super::traffic::wildcard(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
    }
}

#[test]
fn instances_answer_http_by_their_private_address() {
    let mut beta = env("beta", 1, 0);
    beta.side_groups = vec![("ce-router-beta".to_owned(), 1)];
    let mut world = World::new(&spec(vec![beta]));
    let ip = |w: &World, group: &str| w.instances[&w.ids(group)[0]].private_ip.clone();
    let (page, router) = (ip(&world, "beta-blue"), ip(&world, "ce-router-beta"));
    let mut get = |ip: &str, method: &str, path: &str| world.instance_http((ip, 80), method, path).map(|r| (r.status, r.body));
    assert_eq!(get(&page, "GET", "/version"), Some((200, OLD.to_owned())));
    for path in ["/api/compilers", "/beta/api/compilers?fields=id"] {
        let list: serde_json::Value = serde_json::from_str(&get(&page, "GET", path).unwrap().1).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 6);
        assert!(list[0]["id"].is_string());
    }
    assert_eq!(get(&router, "POST", "/admin/clear-cache").unwrap().0, 200);
    assert_eq!(get(&page, "POST", "/admin/clear-cache").unwrap().0, 404);
    assert_eq!(get("10.9.9.9", "GET", "/version"), None);
    let calls: Vec<&Entry> = world.log.iter().filter(|e| matches!(e.what, Happening::Call { .. })).collect();
    assert_eq!(calls.len(), 1, "clearing a cache is an effect and stands in the log");
    let id = world.ids("beta-blue")[0].clone();
    world.break_application(&id);
    assert_eq!(world.instance_http((&page, 80), "GET", "/healthcheck").unwrap().status, 503);
    world.kill_instance(&id);
    assert_eq!(world.instance_http((&page, 80), "GET", "/healthcheck"), None);
}

#[test]
fn changes_that_users_do_not_see_leave_no_mark() {
    let mut world = beta(2, 0);
    world.grow("beta-green", 3);
    world.wait(600);
    world.set_desired("beta-blue", 3, false).unwrap();
    world.wait(60);
    assert_eq!(world.traffic["beta"].len(), 1);
    world.wait(60);
    assert_eq!(world.traffic["beta"].len(), 2, "the third instance is healthy");
}

#[test]
fn the_lowest_number_of_healthy_targets_is_that_of_the_poorest_route() {
    let mut prod = env("prod", 3, 1);
    prod.routes = [80, 443].map(|port| RouteSpec { port, path: None, host: None, priority: 0, service: 0 }).to_vec();
    let mut world = World::new(&spec(vec![prod]));
    let https = world.listeners.values().find(|l| l.port == 443).unwrap().arn.clone();
    let green = forward(&[(world.tg("Prod-Green"), 1)]);
    world.modify_listener(&https, green).unwrap();
    world.wait(60);
    let since = world.now;
    world.wait(10);
    assert_eq!(world.users("prod", since).lowest_healthy, Some(1), "three behind port 80, one behind port 443");
    assert!(close(world.users("prod", since).requests, 200.0));
}

#[test]
fn a_switch_before_the_moment_asked_for_does_not_count() {
    let mut world = ready();
    switch(&mut world);
    world.wait(60);
    assert!(world.users("beta", START).switched.is_some());
    assert_eq!(world.users("beta", START.after_ms(2001)).switched, None);
    let since = START.after_ms(1000);
    assert_eq!(world.users("beta", since).switched, Some((START.after_ms(2000), START.after_ms(2000))));
}
