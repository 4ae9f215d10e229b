//! Rules of a new world.

use super::*;

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

#[test]
fn arns_look_as_in_aws() {
    let world = beta(3, 0);
    let prefix = "arn:aws:elasticloadbalancing:us-east-1:052730242331:";
    let parts = |arn: &str| arn.strip_prefix(prefix).expect("an ELB ARN").split('/').map(str::to_owned).collect::<Vec<_>>();
    let lb = parts(world.load_balancers.keys().next().unwrap());
    assert_eq!((&lb[..3], is_hex(&lb[3], 16)), (&["loadbalancer", "app", "GccExplorerApp"].map(str::to_owned)[..], true));
    let blue = parts(&world.tg("Beta-Blue"));
    assert_eq!((blue[0].as_str(), blue[1].as_str(), is_hex(&blue[2], 16), blue.len()), ("targetgroup", "Beta-Blue", true, 3));
    let rule = world.rule();
    let (of_rule, of_listener) = (parts(&rule), parts(&world.rules[&rule].listener));
    assert_eq!(of_listener[..4], ["listener", "app", "GccExplorerApp", lb[3].as_str()].map(str::to_owned));
    assert_eq!(of_rule[1..5], of_listener[1..5], "a rule's ARN holds its listener's");
    assert_eq!((of_rule[0].as_str(), is_hex(&of_rule[5], 16)), ("listener-rule", true));
}

#[test]
fn instances_have_ids_and_addresses_of_their_own() {
    let world = World::new(&spec(vec![env("beta", 300, 5), env("prod", 300, 0)]));
    assert_eq!(world.instances.len(), 605);
    world.check().unwrap();
    for instance in world.instances.values() {
        assert!(instance.id.strip_prefix("i-0").is_some_and(|hex| is_hex(hex, 16)), "{}", instance.id);
        assert!(instance.private_ip.starts_with("10.0."), "{}", instance.private_ip);
        assert!(instance.private_ip.parse::<std::net::Ipv4Addr>().is_ok());
    }
}

#[test]
fn the_seed_decides_everything() {
    let with_seed = |seed| World::new(&WorldSpec { seed, ..spec(vec![env("beta", 3, 0)]) });
    assert_eq!(with_seed(5), with_seed(5));
    assert_ne!(with_seed(5).ids("beta-blue"), with_seed(6).ids("beta-blue"));
}

#[test]
fn routes_forward_to_the_live_colour_and_other_defaults_answer_404() {
    let world = beta(3, 0);
    let rule = world.rule();
    assert_eq!(world.rule_actions(&rule).unwrap(), forward(&[(world.tg("Beta-Blue"), 1)]));
    assert_eq!(world.listeners[&world.rules[&rule].listener].protocol, "HTTPS");
    for listener in world.listeners.values() {
        assert!(matches!(listener.actions.api[..], [Action::FixedResponse { status: 404, .. }]), "{listener:?}");
    }
    let mut prod = env("prod", 2, 0);
    prod.routes = [80, 443].map(|port| RouteSpec { port, path: None, host: None, priority: 0, service: 0 }).to_vec();
    let world = World::new(&spec(vec![prod]));
    assert!(world.listeners.values().all(|l| l.actions.api == forward(&[(world.tg("Prod-Blue"), 1)])));
    assert_eq!((world.listeners.len(), world.flows.len(), world.rules.len()), (2, 2, 0));
}

#[test]
fn live_instances_are_healthy_and_idle_ones_stand_unused() {
    let world = beta(3, 2);
    assert_eq!(world.states("Beta-Blue"), ["healthy"; 3]);
    assert_eq!(world.states("Beta-Green"), ["unused"; 2]);
    let idle = world.target_health(&world.tg("Beta-Green"), None).unwrap();
    assert_eq!(idle[0].reason.as_deref(), Some("Target.NotInUse"));
    assert_eq!(idle[0].description.as_deref(), Some("Target group is not configured to receive traffic from the load balancer"));
    assert!(world.instances.values().all(|i| i.lifecycle == Lifecycle::InService && i.version.as_deref() == Some(OLD)));
    assert!(world.log.is_empty(), "nothing has happened yet");
    assert!(beta(3, 0).ids("beta-green").is_empty());
}

#[test]
fn versions_builds_and_parameters_stand_in_their_places() {
    let world = beta(3, 0);
    assert_eq!(world.object("compiler-explorer", "version/beta").unwrap().body, OLD.as_bytes());
    assert!(world.object("compiler-explorer", NEW).is_ok());
    let hash = &world.object("compiler-explorer", "dist/gh/main/101.txt").unwrap().body;
    assert!(is_hex(std::str::from_utf8(hash).unwrap(), 40));
    assert_eq!(world.parameter("/compiler-explorer/beta/active-color").unwrap().value, "blue");
}

#[test]
fn a_world_survives_being_saved() {
    let mut world = World::new(&WorldSpec { timing: Timing::default(), ..spec(vec![env("beta", 3, 0), env("prod", 7, 1)]) });
    world.grow("beta-green", 3);
    world.put_parameter("/x", "1", Some("String"), false).unwrap();
    let actions = forward(&[(world.tg("Beta-Blue"), 1), (world.tg("Beta-Green"), 2)]);
    world.modify_rule(&world.rule(), actions).unwrap();
    world.wait(77);
    let text = serde_json::to_string(&world).unwrap();
    let mut back: World = serde_json::from_str(&text).unwrap();
    assert_eq!(back, world);
    assert_eq!(back.wait(600), world.wait(600), "and moves on as if it had not been");
}

#[test]
fn builds_lie_where_the_application_keeps_them() {
    let world = World::new(&WorldSpec { build_key: "out/{branch}-{number}.zip".to_owned(), ..spec(vec![env("beta", 1, 0)]) });
    let keys: Vec<&str> = world.buckets["compiler-explorer"].keys().map(String::as_str).filter(|key| key.starts_with("out/")).collect();
    assert_eq!(keys, ["out/main-100.txt", "out/main-100.zip", "out/main-101.txt", "out/main-101.zip"]);
}
