//! Rules of Elastic Load Balancing.

use super::*;

fn put_both(world: &mut World, blue: u32, green: u32) {
    let actions = forward(&[(world.tg("Beta-Blue"), blue), (world.tg("Beta-Green"), green)]);
    world.modify_rule(&world.rule(), actions).unwrap();
}

fn reason(world: &World, group: &str) -> Option<String> {
    world.target_health(&world.tg(group), None).unwrap()[0].reason.clone()
}

#[test]
fn a_rule_change_is_said_at_once_and_done_by_each_node_at_its_own_moment() {
    let mut world = beta(2, 2);
    world.timing.propagation = Range::ms(500, 5000);
    let rule = world.rule();
    let new = forward(&[(world.tg("Beta-Green"), 1)]);
    world.modify_rule(&rule, new.clone()).unwrap();
    assert_eq!(world.rule_actions(&rule).unwrap(), new);
    assert!(world.rules[&rule].actions.nodes.iter().all(|n| *n != new), "no node has heard of it yet");
    let moments: BTreeSet<Time> = world.rules[&rule].actions.pending.iter().map(|p| p.0).collect();
    assert_eq!(moments.len(), 3);
    let (first, last) = (*moments.first().unwrap(), *moments.last().unwrap());
    world.advance(first);
    assert_eq!(world.rules[&rule].actions.nodes.iter().filter(|n| **n == new).count(), 1);
    world.advance(last);
    assert!(world.rules[&rule].actions.nodes.iter().all(|n| *n == new));
    assert_eq!(world.log.iter().filter(|e| matches!(&e.what, Happening::Propagated { resource, .. } if *resource == rule)).count(), 3);
}

#[test]
fn an_older_write_never_overtakes_a_newer_one() {
    let mut world = beta(2, 2);
    world.timing.propagation = Range::seconds(50, 50);
    put_both(&mut world, 1, 9);
    world.timing.propagation = Range::seconds(1, 1);
    put_both(&mut world, 9, 1);
    world.wait(100);
    let newest = world.rule_actions(&world.rule()).unwrap();
    assert!(world.rules[&world.rule()].actions.nodes.iter().all(|n| *n == newest));
}

#[test]
fn describe_may_show_old_actions_for_a_while() {
    let mut world = beta(2, 2);
    world.timing.rule_staleness = Range::seconds(5, 5);
    let (rule, old) = (world.rule(), world.rule_actions(&world.rule()).unwrap());
    put_both(&mut world, 1, 0);
    assert_eq!(world.rule_actions(&rule).unwrap(), old);
    world.wait(5);
    assert_ne!(world.rule_actions(&rule).unwrap(), old);
}

#[test]
fn a_target_group_at_weight_zero_is_checked_if_the_account_does_so() {
    let mut world = beta(2, 2);
    put_both(&mut world, 1, 0);
    world.wait(60);
    assert_eq!(world.states("Beta-Green"), ["healthy"; 2]);
    let mut world = beta(2, 2);
    world.timing.weight_zero_is_checked = false;
    put_both(&mut world, 1, 0);
    world.wait(60);
    assert_eq!(world.states("Beta-Green"), ["unused"; 2]);
    put_both(&mut world, 1, 1);
    world.wait(60);
    assert_eq!(world.states("Beta-Green"), ["healthy"; 2]);
}

#[test]
fn a_target_is_healthy_after_one_passed_check() {
    let mut world = beta(2, 1);
    put_both(&mut world, 1, 0);
    assert_eq!(reason(&world, "Beta-Green").as_deref(), Some("Elb.RegistrationInProgress"));
    world.wait(5);
    assert_eq!(reason(&world, "Beta-Green").as_deref(), Some("Elb.InitialHealthChecking"));
    let first = world.target_groups[&world.tg("Beta-Green")].targets.values().next().unwrap().next_check.unwrap();
    assert!(first.since(START) <= 15_000);
    world.advance(first);
    assert_eq!(world.states("Beta-Green"), ["healthy"]);
}

#[test]
fn a_target_that_never_answers_turns_from_initial_to_unhealthy() {
    let mut beta = env("beta", 2, 0);
    beta.colors[1].app_start = Range::seconds(10_000, 10_000);
    let mut world = World::new(&spec(vec![beta]));
    world.grow("beta-green", 1);
    put_both(&mut world, 1, 0);
    world.wait(66);
    assert_eq!(world.states("Beta-Green"), ["initial"]);
    world.wait(30);
    assert_eq!(world.states("Beta-Green"), ["unhealthy"]);
    assert_eq!(reason(&world, "Beta-Green").as_deref(), Some("Target.FailedHealthChecks"));
}

#[test]
fn thresholds_count_checks_in_a_row() {
    let mut world = beta(2, 0);
    let id = world.ids("beta-blue")[0].clone();
    let arn = world.tg("Beta-Blue");
    world.suspend("beta-blue", &["HealthCheck".to_owned()]).unwrap();
    let next = world.target_groups[&arn].targets[&id].next_check.unwrap();
    world.break_application(&id);
    let state = |w: &World| w.target_groups[&arn].targets[&id].state.texts().0;
    world.advance(next.after_ms(20_000 - 1));
    assert_eq!(state(&world), "healthy", "two failed checks are not three");
    world.advance(next.after_ms(20_000));
    assert_eq!(state(&world), "unhealthy");
    let view = world.target_health(&arn, Some(std::slice::from_ref(&id))).unwrap().remove(0);
    assert_eq!(view.reason.as_deref(), Some("Target.ResponseCodeMismatch"));
    assert_eq!(view.description.as_deref(), Some("Health checks failed with these codes: [503]"));
    let mend = world.now.after_ms(3_600_000 - 4_000);
    world.instances.get_mut(&id).unwrap().answers_from = Some(mend);
    world.instances.get_mut(&id).unwrap().answers_until = None;
    let first = next.after_ms(20_000 + 3_600_000);
    world.advance(first);
    assert_eq!(state(&world), "unhealthy", "one passed check is not two");
    world.advance(first.after_ms(10_000));
    assert_eq!(state(&world), "healthy");
}

#[test]
fn leaving_the_last_rule_makes_targets_unused() {
    let mut world = beta(2, 2);
    let green = forward(&[(world.tg("Beta-Green"), 1)]);
    world.modify_rule(&world.rule(), green).unwrap();
    assert_eq!(world.states("Beta-Blue"), ["healthy"; 2], "the nodes still send requests there");
    world.wait(2);
    assert_eq!(world.states("Beta-Blue"), ["unused"; 2]);
    assert!(world.load_balancers_of(&world.tg("Beta-Blue")).is_empty());
    assert_eq!(world.load_balancers_of(&world.tg("Beta-Green")).len(), 1);
}

#[test]
fn a_deregistered_target_drains_and_is_gone() {
    let mut world = beta(2, 0);
    let (arn, id) = (world.tg("Beta-Blue"), world.ids("beta-blue")[0].clone());
    world.deregister_targets(&arn, std::slice::from_ref(&id)).unwrap();
    let view = |w: &World| w.target_health(&arn, Some(std::slice::from_ref(&id))).unwrap().remove(0);
    assert_eq!((view(&world).state.as_str(), view(&world).reason.as_deref()), ("draining", Some("Target.DeregistrationInProgress")));
    world.wait(19);
    assert_eq!(view(&world).state, "draining");
    world.wait(1);
    assert_eq!((view(&world).state.as_str(), view(&world).reason.as_deref()), ("unused", Some("Target.NotRegistered")));
    assert_eq!(world.target_health(&arn, None).unwrap().len(), 1);
    world.register_targets(&arn, std::slice::from_ref(&id)).unwrap();
    world.wait(15);
    assert_eq!(world.states("Beta-Blue"), ["healthy"; 2]);
}

#[test]
fn deregistering_an_unknown_target_succeeds_and_registering_one_does_not() {
    let mut world = beta(2, 0);
    let arn = world.tg("Beta-Blue");
    let unknown = ["i-00000000000000000".to_owned()];
    assert_eq!(world.deregister_targets(&arn, &unknown), Ok(()));
    assert_eq!(code(world.register_targets(&arn, &unknown)), "InvalidTarget");
}

#[test]
fn actions_are_checked() {
    let mut world = beta(2, 2);
    let (rule, blue, green) = (world.rule(), world.tg("Beta-Blue"), world.tg("Beta-Green"));
    let mut refuse = |actions: Vec<Action>| code(world.modify_rule(&rule, actions));
    assert_eq!(refuse(forward(&[(blue.clone(), 1000)])), "ValidationError");
    assert_eq!(refuse(forward(&[("arn:nope".to_owned(), 1)])), "TargetGroupNotFound");
    let six: Vec<(String, u32)> = (0..6).map(|n| (format!("arn:{n}"), 1)).collect();
    assert_eq!(refuse(forward(&six)), "InvalidLoadBalancerAction");
    assert_eq!(refuse(forward(&[(blue.clone(), 1), (blue.clone(), 2)])), "ValidationError");
    assert_eq!(refuse(Vec::new()), "ValidationError");
    let sticky = Action::Forward { targets: Vec::new(), stickiness_seconds: Some(0) };
    assert_eq!(refuse(vec![sticky]), "ValidationError");
    assert_eq!(message(world.modify_rule(&rule, forward(&[("arn:nope".to_owned(), 1)]))), "One or more target groups not found");
    world.modify_rule(&rule, forward(&[(blue, 0), (green, 999)])).unwrap();
}

#[test]
fn a_default_rule_is_changed_only_through_its_listener() {
    let mut world = beta(2, 0);
    let listener = world.listeners.keys().next().unwrap().clone();
    let (default, blue) = (World::default_rule_arn(&listener), forward(&[(world.tg("Beta-Blue"), 1)]));
    assert_eq!(code(world.modify_rule(&default, blue.clone())), "OperationNotPermitted");
    world.modify_listener(&listener, blue.clone()).unwrap();
    assert_eq!(world.listener_actions(&listener).unwrap(), blue);
    assert_eq!(world.rule_actions(&default).unwrap(), blue);
    assert_eq!(message(world.modify_listener("arn:x", blue.clone())), "One or more listeners not found");
    assert_eq!(code(world.modify_rule("arn:x", blue)), "RuleNotFound");
}

#[test]
fn target_health_may_be_stale() {
    let mut world = beta(2, 1);
    world.timing.health_staleness = Range::seconds(8, 8);
    put_both(&mut world, 1, 0);
    assert_eq!(world.states("Beta-Green"), ["initial"]);
    assert_eq!(reason(&world, "Beta-Green").as_deref(), Some("Target.NotInUse"));
    world.grow("beta-green", 2);
    world.wait(60);
    assert_eq!(world.states("Beta-Green").len(), 2);
    assert_eq!(world.target_health(&world.tg("Beta-Green"), None).unwrap().len(), 1, "the new one is not listed yet");
    world.wait(8);
    assert_eq!(world.target_health(&world.tg("Beta-Green"), None).unwrap().len(), 2);
}

#[test]
fn a_passed_check_forgets_the_failed_ones() {
    let mut world = beta(1, 0);
    let (arn, id) = (world.tg("Beta-Blue"), world.ids("beta-blue")[0].clone());
    let next = world.target_groups[&arn].targets[&id].next_check.unwrap();
    for round in 0..3 {
        // Two checks fail, the third passes.
        let broken = next.after_ms(round * 30_000 - u64::from(round > 0));
        world.advance(broken);
        world.instances.get_mut(&id).unwrap().answers_from = Some(broken.after_ms(15_000));
        world.refresh();
    }
    world.wait(60);
    assert!(!world.log.iter().any(|e| matches!(&e.what, Happening::TargetState { state, .. } if state == "unhealthy")));
    assert!(world.users("beta", START).errors > 100.0, "it did fail");
}
