//! Rules of instance health: load balancer checks that count for Auto Scaling, spot interruptions, replacement.

use super::*;

/// Blue live with `live` instances whose applications never start once replaced; the first one breaks now.
fn with_broken_one(live: u32) -> (World, String) {
    let mut world = beta(live, 0);
    let id = world.ids("beta-blue")[0].clone();
    world.break_application(&id);
    (world, id)
}

#[test]
fn an_unhealthy_target_is_replaced_once_its_traffic_source_is_in_service() {
    let (mut world, id) = with_broken_one(3);
    world.wait(35);
    assert_eq!(world.instances[&id].lifecycle, Lifecycle::Terminating);
    let cause = world.scaling_activities(Some("beta-blue")).unwrap().iter().find(|a| a.description.ends_with(&id)).unwrap().cause.clone();
    assert!(cause.ends_with("an instance was taken out of service in response to an ELB system health check failure."), "{cause}");
    let launch = world.scaling_activities(Some("beta-blue")).unwrap().iter().find(|a| a.status == "PreInService").unwrap().cause.clone();
    assert!(launch.ends_with("an instance was launched in response to an unhealthy instance needing to be replaced."), "{launch}");
    world.wait(120);
    assert_eq!(world.states("Beta-Blue"), ["healthy"; 3]);
}

#[test]
fn where_no_target_ever_passed_nothing_is_replaced() {
    let mut beta = env("beta", 3, 0);
    beta.colors[1].app_start = Range::seconds(1_000_000, 1_000_000);
    beta.colors[1].grace_seconds = 0;
    let mut world = World::new(&spec(vec![beta]));
    world.grow("beta-green", 2);
    let both = forward(&[(world.tg("Beta-Blue"), 1), (world.tg("Beta-Green"), 0)]);
    world.modify_rule(&world.rule(), both).unwrap();
    world.wait(3600);
    assert_eq!(world.states("Beta-Green"), ["unhealthy"; 2]);
    assert!(world.members("beta-green").all(|i| i.healthy), "the traffic source never came InService");
    assert!(!world.log.iter().any(|e| matches!(&e.what, Happening::Terminating { .. })));
}

#[test]
fn an_unattached_group_is_never_replaced_by_elb_health() {
    let mut world = beta(3, 2);
    let id = world.ids("beta-green")[0].clone();
    world.break_application(&id);
    world.wait(3600);
    assert_eq!(world.instances[&id].lifecycle, Lifecycle::InService);
}

#[test]
fn elb_health_counts_only_after_the_grace_period() {
    let mut world = beta(3, 0);
    world.set_desired("beta-blue", 4, false).unwrap();
    world.wait(90);
    let id = world.members("beta-blue").max_by_key(|i| i.launched).unwrap().id.clone();
    assert_eq!(world.states("Beta-Blue"), ["healthy"; 4]);
    world.break_application(&id);
    world.wait(60);
    assert_eq!(world.states("Beta-Blue"), ["healthy", "healthy", "healthy", "unhealthy"]);
    world.wait(149);
    assert_eq!(world.instances[&id].lifecycle, Lifecycle::InService);
    world.wait(1);
    assert_eq!((world.seconds(), world.instances[&id].lifecycle), (60 + 240, Lifecycle::Terminating));
}

#[test]
fn small_groups_replace_one_unhealthy_instance_at_a_time() {
    let mut world = beta(4, 0);
    for id in world.ids("beta-blue") {
        world.break_application(&id);
    }
    world.wait(40);
    let ending = |w: &World| w.instances.values().filter(|i| i.lifecycle == Lifecycle::Terminating).count();
    assert_eq!(ending(&world), 1);
    world.wait(1200);
    assert_eq!(world.states("Beta-Blue"), ["healthy"; 4], "in the end all are replaced");
}

#[test]
fn protection_does_not_stop_health_replacement() {
    let (mut world, id) = with_broken_one(3);
    let all = world.ids("beta-blue");
    world.protect_instances("beta-blue", &all, true).unwrap();
    world.wait(40);
    assert_eq!(world.instances[&id].lifecycle, Lifecycle::Terminating);
}

#[test]
fn suspended_health_check_or_replace_unhealthy_keeps_the_unhealthy() {
    for (process, marked) in [("HealthCheck", false), ("ReplaceUnhealthy", true), ("Terminate", true)] {
        let (mut world, id) = with_broken_one(3);
        world.suspend("beta-blue", &[process.to_owned()]).unwrap();
        world.wait(600);
        let instance = &world.instances[&id];
        assert_eq!((instance.lifecycle, instance.healthy), (Lifecycle::InService, !marked), "{process}");
        world.resume("beta-blue", &[]).unwrap();
        assert_eq!(world.instances[&id].lifecycle, Lifecycle::Terminating, "{process}");
    }
}

#[test]
fn suspended_launch_lets_replacement_terminate_but_launches_nothing() {
    let (mut world, _) = with_broken_one(3);
    world.suspend("beta-blue", &["Launch".to_owned()]).unwrap();
    world.wait(600);
    assert_eq!((world.live("beta-blue"), world.groups["beta-blue"].desired), (2, 3));
}

#[test]
fn a_spot_instance_gets_two_minutes_and_is_then_replaced() {
    let mut world = beta(3, 0);
    let id = world.ids("beta-blue")[0].clone();
    assert!(world.interrupt(&id));
    assert!(!world.interrupt(&id), "only once");
    world.wait(119);
    assert_eq!(world.states("Beta-Blue"), ["healthy"; 3]);
    world.wait(1);
    assert!(!world.instances[&id].answers(world.now));
    assert_eq!(world.instances[&id].lifecycle, Lifecycle::InService, "Auto Scaling has not seen it yet");
    world.wait(4);
    assert_eq!(world.instances[&id].lifecycle, Lifecycle::Terminating);
    let activities = world.scaling_activities(Some("beta-blue")).unwrap();
    assert!(activities.iter().any(|a| a.cause.contains("in response to an EC2 health check")));
    world.wait(90);
    assert_eq!(world.states("Beta-Blue"), ["healthy"; 3]);
}

#[test]
fn spot_interruptions_come_at_the_rate_given() {
    let mut beta = env("beta", 20, 0);
    beta.colors[0].max = 20;
    beta.colors[0].on_demand_base = Some(0);
    beta.colors[0].spot_interruptions_per_hour = 0.05;
    let mut world = World::new(&spec(vec![beta]));
    world.wait(10 * 24 * 3600);
    let notices = world.log.iter().filter(|e| matches!(e.what, Happening::SpotNotice { .. })).count();
    assert!((200..280).contains(&notices), "{notices} in 10 days, 240 expected");
    assert_eq!(world.groups["beta-blue"].desired, 20);
}

#[test]
fn an_application_that_never_starts_is_no_trouble_to_the_clock() {
    let mut beta = env("beta", 2, 0);
    beta.colors[0].app_start = Range::ms(u64::MAX, u64::MAX);
    let mut world = World::new(&spec(vec![beta]));
    world.set_desired("beta-blue", 3, false).unwrap();
    world.wait(290);
    assert_eq!(world.states("Beta-Blue"), ["healthy", "healthy", "unhealthy"]);
    world.wait(20);
    assert_eq!(world.states("Beta-Blue"), ["draining", "healthy", "healthy"], "replaced once the grace period is over");
}
