//! Rules of EC2 Auto Scaling.

use super::*;

fn update(min: Option<u32>, max: Option<u32>, desired: Option<u32>) -> GroupUpdate {
    GroupUpdate { min, max, desired }
}

fn bounds(world: &World, name: &str) -> (u32, u32, u32) {
    let group = &world.groups[name];
    (group.min, group.desired, group.max)
}

#[test]
fn a_lone_minimum_above_the_size_raises_desired() {
    let mut world = beta(3, 0);
    world.update_group("beta-blue", &update(Some(5), None, None)).unwrap();
    assert_eq!(bounds(&world, "beta-blue"), (5, 5, 10));
    world.update_group("beta-blue", &update(Some(1), None, None)).unwrap();
    assert_eq!(bounds(&world, "beta-blue"), (1, 5, 10), "a lower minimum leaves desired alone");
}

#[test]
fn a_lone_maximum_below_the_size_lowers_desired_and_ends_instances() {
    let mut world = beta(5, 0);
    world.update_group("beta-blue", &update(None, Some(3), None)).unwrap();
    assert_eq!(bounds(&world, "beta-blue"), (0, 3, 3));
    assert_eq!(world.live("beta-blue"), 3);
}

#[test]
fn current_size_may_mean_the_number_of_instances() {
    let sized_by_instances = |by_instances| {
        let mut world = beta(3, 0);
        world.timing.current_size_is_instances = by_instances;
        world.suspend("beta-green", &["Launch".to_owned()]).unwrap();
        world.set_desired("beta-green", 5, false).unwrap();
        world.update_group("beta-green", &update(Some(1), None, None)).unwrap();
        bounds(&world, "beta-green")
    };
    assert_eq!(sized_by_instances(false), (1, 5, 10));
    assert_eq!(sized_by_instances(true), (1, 1, 10), "five are wanted, but none runs yet, so the minimum counts as larger");
}

#[test]
fn refusals_are_in_aws_words() {
    let mut world = beta(3, 0);
    let mut refuse = |u: GroupUpdate| message(world.update_group("beta-blue", &u));
    assert_eq!(refuse(update(Some(5), Some(3), None)), "Max bound, 3, must be greater than or equal to min bound, 5");
    assert_eq!(refuse(update(None, None, Some(15))), "Desired capacity:15 must be between the specified min size:0 and max size:10");
    world.update_group("beta-blue", &update(Some(2), Some(4), None)).unwrap();
    assert_eq!(
        message(world.set_desired("beta-blue", 5, false)),
        "New SetDesiredCapacity value 5 is above max value 4 for the AutoScalingGroup."
    );
    assert_eq!(
        message(world.set_desired("beta-blue", 1, false)),
        "New SetDesiredCapacity value 1 is below min value 2 for the AutoScalingGroup."
    );
    let before = world.clone();
    assert!(world.set_desired("beta-blue", 1, false).is_err());
    assert_eq!(world, before, "a refusal changes nothing");
}

#[test]
fn a_missing_group_is_an_error_to_write_and_nothing_to_describe() {
    let mut world = beta(3, 0);
    let missing = world.set_desired("nope", 1, false).unwrap_err();
    assert_eq!((missing.status, missing.code.as_str()), (400, "ValidationError"));
    assert_eq!(missing.message, "AutoScalingGroup name not found - AutoScalingGroup nope not found");
    assert_eq!(code(world.update_group("nope", &update(None, None, Some(1)))), "ValidationError");
    assert!(world.describe_groups(&["nope".to_owned()]).is_empty());
    assert_eq!(world.describe_groups(&[]).len(), 2);
}

#[test]
fn set_desired_honours_the_cooldown_only_when_asked_to() {
    let mut world = beta(3, 0);
    world.set_desired("beta-blue", 4, true).unwrap();
    let blocked = world.set_desired("beta-blue", 5, true).unwrap_err();
    assert_eq!(blocked.code, "ScalingActivityInProgress");
    assert!(blocked.message.ends_with("is in progress and blocks this action"), "{}", blocked.message);
    world.set_desired("beta-blue", 5, false).unwrap();
    world.wait(300);
    world.set_desired("beta-blue", 6, true).unwrap();
}

#[test]
fn an_instance_boots_what_its_version_key_says_at_the_end_of_pending() {
    let mut world = beta(3, 0);
    world.set_desired("beta-green", 1, false).unwrap();
    world.wait(59);
    let id = world.ids("beta-green")[0].clone();
    assert_eq!((world.instances[&id].lifecycle, world.instances[&id].version.clone()), (Lifecycle::Pending, None));
    let late = NEW.as_bytes().to_vec();
    world.put_object("compiler-explorer", "version/beta", late, ObjectMeta::default(), &PutCondition::None).unwrap();
    world.wait(1);
    assert_eq!(world.instances[&id].lifecycle, Lifecycle::InService);
    assert_eq!(world.instances[&id].version.as_deref(), Some(NEW));
    let booted = Happening::Booted { group: "beta-green".to_owned(), instance: id.clone(), version: NEW.to_owned() };
    assert!(world.log.iter().any(|e| e.what == booted && e.at == START.after_ms(60_000)));
}

#[test]
fn without_a_version_an_instance_never_answers() {
    let mut world = beta(3, 0);
    world.delete_object("compiler-explorer", "version/beta", &PutCondition::None).unwrap();
    world.set_desired("beta-green", 1, false).unwrap();
    world.wait(3600);
    let instance = &world.instances[&world.ids("beta-green")[0]];
    assert_eq!((instance.lifecycle, instance.answers_from), (Lifecycle::InService, None));
}

#[test]
fn in_service_is_not_yet_answering() {
    let mut world = beta(3, 0);
    world.set_desired("beta-green", 1, false).unwrap();
    world.wait(62);
    let instance = world.instances[&world.ids("beta-green")[0]].clone();
    assert_eq!(instance.lifecycle, Lifecycle::InService);
    assert_eq!(world.instance_http((&instance.private_ip, 80), "GET", "/healthcheck"), None);
    world.wait(3);
    let reply = world.instance_http((&instance.private_ip, 80), "GET", "/healthcheck").unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "Everything is awesome"));
}

#[test]
fn a_launch_above_the_limit_fails_and_is_tried_again_ever_later() {
    let mut world = beta(3, 0);
    world.limit_capacity("beta-green", Some(1));
    world.set_desired("beta-green", 2, false).unwrap();
    world.wait(200);
    let failed: Vec<u64> =
        world.log.iter().filter(|e| matches!(e.what, Happening::LaunchFailed { .. })).map(|e| e.at.since(START) / 1000).collect();
    assert_eq!(failed, [0, 20, 60, 140]);
    let activities = world.scaling_activities(Some("beta-green")).unwrap();
    let newest = activities.iter().find(|a| a.status == "Failed").unwrap();
    let text = newest.status_message.as_deref().unwrap();
    assert!(text.starts_with("We currently do not have sufficient c"), "{text}");
    assert!(text.ends_with("Launching EC2 instance failed."), "{text}");
    world.limit_capacity("beta-green", None);
    world.wait(200);
    assert_eq!(world.live("beta-green"), 2);
}

#[test]
fn a_spot_launch_that_fails_says_so() {
    let mut beta = env("beta", 1, 0);
    beta.colors[1].on_demand_base = Some(0);
    let mut world = World::new(&spec(vec![beta]));
    world.limit_capacity("beta-green", Some(0));
    world.set_desired("beta-green", 1, false).unwrap();
    let activity = &world.scaling_activities(Some("beta-green")).unwrap()[0];
    assert_eq!(
        activity.status_message.as_deref(),
        Some("There is no Spot capacity available that matches your request. Launching EC2 instance failed.")
    );
}

#[test]
fn scale_in_balances_zones_first() {
    let mut world = beta(6, 0);
    let zone = |w: &World, z: &str| w.members("beta-blue").filter(|i| i.zone.ends_with(z)).count();
    for id in world.ids("beta-blue") {
        let wanted = if zone(&world, "b") > 0 && world.instances[&id].zone.ends_with('b') { "us-east-1a" } else { "" };
        if !wanted.is_empty() {
            world.instances.get_mut(&id).unwrap().zone = wanted.to_owned();
        }
    }
    assert_eq!((zone(&world, "a"), zone(&world, "b"), zone(&world, "c")), (4, 0, 2));
    world.set_desired("beta-blue", 4, false).unwrap();
    assert_eq!((zone(&world, "a"), zone(&world, "c")), (2, 2));
}

#[test]
fn scale_in_keeps_to_the_allocation_strategy() {
    let mut beta = env("beta", 6, 0);
    beta.colors[0].on_demand_base = Some(2);
    let mut world = World::new(&spec(vec![beta]));
    let on_demand = |w: &World| w.members("beta-blue").filter(|i| !i.spot).count();
    assert_eq!(on_demand(&world), 2);
    for id in world.ids("beta-blue") {
        world.instances.get_mut(&id).unwrap().zone = "us-east-1a".to_owned();
    }
    world.set_desired("beta-blue", 3, false).unwrap();
    assert_eq!(on_demand(&world), 2, "spot instances go first while on-demand ones are within the base");
}

#[test]
fn a_protected_instance_is_spared() {
    for seed in 0..20 {
        let mut world = World::new(&WorldSpec { seed, ..spec(vec![env("beta", 3, 0)]) });
        let spared = world.ids("beta-blue")[1].clone();
        world.protect_instances("beta-blue", std::slice::from_ref(&spared), true).unwrap();
        world.set_desired("beta-blue", 1, false).unwrap();
        assert_eq!(world.members("beta-blue").map(|i| i.id.clone()).collect::<Vec<_>>(), [spared]);
    }
}

#[test]
fn when_all_are_protected_desired_falls_and_nothing_ends() {
    let mut world = beta(3, 0);
    let ids = world.ids("beta-blue");
    world.protect_instances("beta-blue", &ids, true).unwrap();
    world.set_desired("beta-blue", 1, false).unwrap();
    world.wait(3600);
    assert_eq!((world.live("beta-blue"), world.groups["beta-blue"].desired), (3, 1));
    let told = world.scaling_activities(Some("beta-blue")).unwrap();
    assert_eq!(told.len(), 1, "told once, not again and again");
    assert_eq!(
        told[0].status_message.as_deref(),
        Some("Could not scale to desired capacity because all remaining instances are protected from scale-in.")
    );
    world.protect_instances("beta-blue", &ids[..2], false).unwrap();
    assert_eq!(world.live("beta-blue"), 1);
    assert_eq!(code(world.protect_instances("beta-blue", &["i-0".to_owned()], true)), "ValidationError");
}

#[test]
fn an_instance_is_drained_before_it_ends() {
    let mut world = beta(2, 0);
    world.set_desired("beta-blue", 1, false).unwrap();
    let status = |w: &World| w.scaling_activities(Some("beta-blue")).unwrap()[0].status.clone();
    assert_eq!(world.states("Beta-Blue"), ["draining", "healthy"]);
    assert_eq!(status(&world), "WaitingForELBConnectionDraining");
    world.wait(20);
    assert_eq!(world.states("Beta-Blue"), ["healthy"]);
    assert_eq!(status(&world), "InProgress");
    world.wait(29);
    assert!(world.instances.values().any(|i| i.lifecycle == Lifecycle::Terminating));
    world.wait(1);
    assert!(world.instances.values().any(|i| i.lifecycle == Lifecycle::Terminated));
    assert_eq!(status(&world), "Successful");
    world.wait(10);
    assert_eq!(world.ids("beta-blue").len(), 1, "and is listed no more after a while");
}

#[test]
fn activities_tell_why() {
    let mut world = beta(3, 0);
    world.update_group("beta-green", &update(Some(1), Some(5), Some(3))).unwrap();
    let stamp = "2026-11-21T05:08:38Z";
    let launch = &world.scaling_activities(Some("beta-green")).unwrap()[0];
    assert!(launch.description.starts_with("Launching a new EC2 instance: i-0"));
    assert_eq!(
        launch.cause,
        format!(
            "At {stamp} a user request update of AutoScalingGroup constraints to min: 1, max: 5, desired: 3 changing the desired \
             capacity from 0 to 3.  At {stamp} an instance was started in response to a difference between desired and actual \
             capacity, increasing the capacity from 0 to 3."
        )
    );
    world.set_desired("beta-blue", 2, false).unwrap();
    let end = &world.scaling_activities(Some("beta-blue")).unwrap()[0];
    let id = end.description.strip_prefix("Terminating EC2 instance: ").unwrap();
    assert!(end.cause.contains("a user request explicitly set group desired capacity changing the desired capacity from 3 to 2."));
    assert!(end.cause.ends_with(&format!("shrinking the capacity from 3 to 2.  At {stamp} instance {id} was selected for termination.")));
}

#[test]
fn activities_in_progress_come_first_then_the_newest() {
    let mut world = beta(3, 0);
    world.set_desired("beta-green", 1, false).unwrap();
    world.wait(60);
    world.set_desired("beta-blue", 2, false).unwrap();
    world.set_desired("beta-green", 2, false).unwrap();
    world.wait(50);
    let all = world.scaling_activities(None).unwrap();
    let order: Vec<(bool, u64)> = all.iter().map(|a| (a.end.is_some(), a.start.since(START) / 1000)).collect();
    assert_eq!(order, [(false, 60), (true, 60), (true, 0)]);
    assert_eq!(code(world.scaling_activities(Some("nope"))), "ValidationError");
}

#[test]
fn suspended_launch_and_terminate_hold_a_group_as_it_is() {
    let mut world = beta(3, 0);
    world.suspend("beta-blue", &["Launch".to_owned(), "Terminate".to_owned()]).unwrap();
    for desired in [5, 1] {
        world.set_desired("beta-blue", desired, false).unwrap();
        world.wait(600);
        assert_eq!(world.live("beta-blue"), 3);
    }
    world.resume("beta-blue", &["Terminate".to_owned()]).unwrap();
    assert_eq!(world.live("beta-blue"), 1);
    assert_eq!(world.groups["beta-blue"].suspended, BTreeSet::from(["Launch".to_owned()]));
}

#[test]
fn no_process_named_means_all() {
    let mut world = beta(3, 0);
    world.suspend("beta-blue", &[]).unwrap();
    assert_eq!(world.groups["beta-blue"].suspended.len(), 9);
    world.resume("beta-blue", &[]).unwrap();
    assert!(world.groups["beta-blue"].suspended.is_empty());
    assert_eq!(code(world.suspend("beta-blue", &["Sleep".to_owned()])), "ValidationError");
}

#[test]
fn instances_that_came_while_add_to_load_balancer_was_suspended_are_never_registered() {
    let mut world = beta(3, 0);
    world.suspend("beta-green", &["AddToLoadBalancer".to_owned()]).unwrap();
    world.set_desired("beta-green", 1, false).unwrap();
    world.wait(120);
    world.resume("beta-green", &[]).unwrap();
    world.wait(3600);
    assert_eq!(world.live("beta-green"), 1);
    assert!(world.states("Beta-Green").is_empty());
    world.set_desired("beta-green", 2, false).unwrap();
    world.wait(120);
    assert_eq!(world.states("Beta-Green"), ["unused"]);
}

#[test]
fn terminating_one_instance_replaces_it_unless_desired_is_decremented() {
    let mut world = beta(3, 0);
    let ids = world.ids("beta-blue");
    world.protect_instances("beta-blue", &ids, true).unwrap();
    let activity = world.terminate_instance(&ids[0], false).unwrap();
    assert_eq!(activity.description, format!("Terminating EC2 instance: {}", ids[0]));
    assert_eq!(world.groups["beta-blue"].desired, 3);
    assert_eq!(world.members("beta-blue").filter(|i| i.lifecycle == Lifecycle::Pending).count(), 1);
    world.terminate_instance(&ids[1], true).unwrap();
    assert_eq!((world.groups["beta-blue"].desired, world.live("beta-blue")), (2, 2));
    assert_eq!(world.terminate_instance(&ids[1], false).unwrap().description, format!("Terminating EC2 instance: {}", ids[1]));
    assert_eq!(code(world.terminate_instance("i-0", false)), "ValidationError");
}

#[test]
fn a_decrement_below_the_minimum_is_refused() {
    let mut world = beta(3, 0);
    world.update_group("beta-blue", &update(Some(3), None, None)).unwrap();
    let id = world.ids("beta-blue")[0].clone();
    assert_eq!(
        message(world.terminate_instance(&id, true)),
        "Currently, desiredSize equals minSize (3). Terminating instance without replacement will violate group's min size \
         constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."
    );
}

#[test]
fn describe_may_answer_as_it_was_before_a_write() {
    let mut world = beta(3, 0);
    world.timing.group_staleness = Range::seconds(10, 10);
    world.set_desired("beta-green", 2, false).unwrap();
    let seen = |w: &World| w.describe_groups(&["beta-green".to_owned()])[0].clone();
    assert_eq!((seen(&world).desired, seen(&world).instances.len()), (0, 0));
    world.wait(5);
    world.set_desired("beta-green", 3, false).unwrap();
    world.wait(6);
    assert_eq!(seen(&world).desired, 2, "the first write is seen by now, the second not yet");
    world.wait(4);
    assert_eq!((seen(&world).desired, seen(&world).instances.len()), (3, 3));
}

#[test]
fn zone_rebalancing_launches_before_it_terminates() {
    let mut world = beta(3, 0);
    world.update_group("beta-blue", &GroupUpdate { max: Some(3), ..GroupUpdate::default() }).unwrap();
    let before = world.ids("beta-blue");
    assert!(world.fire_rebalance("beta-blue"));
    assert_eq!(world.live("beta-blue"), 4, "one above the maximum");
    world.wait(59);
    assert!(!world.instances.values().any(|i| i.lifecycle == Lifecycle::Terminating));
    world.wait(1);
    assert_eq!((world.live("beta-blue"), world.states("Beta-Blue").len()), (3, 4));
    world.wait(120);
    assert_eq!(world.ids("beta-blue").iter().filter(|id| before.contains(id)).count(), 2);
    world.suspend("beta-blue", &["AZRebalance".to_owned()]).unwrap();
    assert!(!world.fire_rebalance("beta-blue"));
}

#[test]
fn a_maximum_below_the_number_of_instances_becomes_desired_where_that_is_the_size() {
    let mut world = beta(5, 0);
    world.timing.current_size_is_instances = true;
    world.suspend("beta-blue", &["Terminate".to_owned()]).unwrap();
    world.set_desired("beta-blue", 2, false).unwrap();
    world.update_group("beta-blue", &update(None, Some(4), None)).unwrap();
    assert_eq!(bounds(&world, "beta-blue"), (0, 4, 4), "five run, though two are wanted");
}

#[test]
fn an_instance_never_gets_the_id_of_another_even_where_the_draws_begin_anew() {
    let mut world = beta(2, 0);
    let rng = world.rng.clone();
    let first = world.new_instance_id();
    let other = world.instances.values().next().expect("somebody runs").clone();
    world.instances.insert(first.clone(), Instance { id: first.clone(), ..other });
    world.rng = rng;
    assert_ne!(world.new_instance_id(), first);
}
