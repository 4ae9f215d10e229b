//! Rules of scaling policies.

use super::*;

/// Blue live with `live` instances under target tracking at 25 %; one instance bears 20 requests a second.
fn tracked(live: u32, per_second: f64) -> World {
    let mut beta = env("beta", live, 0);
    beta.per_second = per_second;
    for color in &mut beta.colors {
        color.cpu_target = Some(25.0);
    }
    World::new(&spec(vec![beta]))
}

fn scaled(world: &World) -> Vec<(u64, u32, u32)> {
    let of = |e: &Entry| match &e.what {
        Happening::Scaled { from, to, .. } => Some((e.at.since(START) / 1000, *from, *to)),
        Happening::Call { .. }
        | Happening::Launched { .. }
        | Happening::Booted { .. }
        | Happening::InService { .. }
        | Happening::Terminating { .. }
        | Happening::Terminated { .. }
        | Happening::LaunchFailed { .. }
        | Happening::TargetState { .. }
        | Happening::SpotNotice { .. }
        | Happening::Propagated { .. }
        | Happening::Resized { .. }
        | Happening::Rerouted { .. }
        | Happening::Broken { .. }
        | Happening::Throttled { .. } => None,
    };
    world.log.iter().filter_map(of).collect()
}

#[test]
fn cpu_is_the_load_on_the_targets_that_share_it() {
    assert_eq!(tracked(2, 10.0).groups["beta-blue"].cpu, 2500);
    assert_eq!(tracked(4, 10.0).groups["beta-blue"].cpu, 1250);
    assert_eq!(tracked(1, 1000.0).groups["beta-blue"].cpu, 10_000, "no more than all of it");
}

/// Both colours of an environment scale by their own queue, three messages an instance.
fn queued(live: u32, idle: u32, backlog: f64) -> World {
    let mut beta = env("beta", live, idle);
    beta.backlog = backlog;
    for color in &mut beta.colors {
        color.backlog_target = Some(3.0);
    }
    World::new(&spec(vec![beta]))
}

#[test]
fn messages_wait_for_the_instances_of_the_colour_that_serves() {
    let world = queued(2, 2, 9.0);
    assert_eq!((world.groups["beta-blue"].cpu, world.groups["beta-green"].cpu), (450, 0));
}

#[test]
fn more_than_three_messages_an_instance_scale_out_and_fewer_scale_in() {
    let mut world = queued(2, 0, 9.0);
    world.wait(180);
    assert_eq!(scaled(&world), [(180, 2, 3)]);
    let cause = &world.scaling_activities(Some("beta-blue")).unwrap()[0].cause;
    assert!(cause.contains("triggered policy beta-blue-backlog"), "{cause}");
    world.backlogs.insert("beta".to_owned(), 2.0);
    world.refresh();
    world.wait(3600);
    assert_eq!(scaled(&world).last().map(|(_, from, to)| (*from, *to)), Some((3, 1)));
}

#[test]
fn each_colour_has_a_policy_of_its_own_for_its_queue() {
    let mut world = queued(3, 3, 9.0);
    world.wait(3600);
    assert_eq!((world.groups["beta-blue"].desired, world.groups["beta-green"].desired), (3, 0), "nobody waits for green");
}

#[test]
fn three_minutes_above_the_target_scale_out() {
    let mut world = tracked(2, 20.0);
    world.wait(179);
    assert_eq!(scaled(&world), []);
    world.wait(1);
    assert_eq!(scaled(&world), [(180, 2, 4)]);
    world.wait(3600);
    assert_eq!(scaled(&world).len(), 1, "and then the target is met");
    let cause = &world.scaling_activities(Some("beta-blue")).unwrap()[0].cause;
    assert!(cause.contains("a monitor alarm TargetTracking-beta-blue-AlarmHigh in state ALARM triggered policy beta-blue-cpu changing the desired capacity from 2 to 4."), "{cause}");
}

#[test]
fn fifteen_minutes_below_scale_in() {
    let mut world = tracked(4, 10.0);
    world.wait(15 * 60 - 1);
    assert_eq!(scaled(&world), []);
    world.wait(1);
    assert_eq!(scaled(&world), [(900, 4, 2)]);
}

#[test]
fn a_low_alarm_that_the_minimum_holds_back_acts_within_a_minute_of_its_release() {
    let mut world = tracked(4, 10.0);
    world.update_group("beta-blue", &GroupUpdate { min: Some(4), ..GroupUpdate::default() }).unwrap();
    world.wait(3600);
    assert_eq!(scaled(&world), []);
    world.wait(30);
    world.update_group("beta-blue", &GroupUpdate { min: Some(3), ..GroupUpdate::default() }).unwrap();
    world.wait(29);
    assert_eq!(scaled(&world), []);
    world.wait(1);
    assert_eq!(scaled(&world), [(3660, 4, 3)]);
    world.wait(10);
    world.update_group("beta-blue", &GroupUpdate { min: Some(2), ..GroupUpdate::default() }).unwrap();
    world.wait(600);
    assert_eq!(scaled(&world), [(3660, 4, 3), (3720, 3, 2)], "once a minute for as long as the alarm lasts");
}

#[test]
fn the_idle_colour_shrinks_to_its_minimum_after_a_switch() {
    let mut world = tracked(4, 20.0);
    world.grow("beta-green", 4);
    world.wait(120);
    let green = forward(&[(world.tg("Beta-Green"), 1)]);
    world.modify_rule(&world.rule(), green).unwrap();
    world.wait(14 * 60);
    assert_eq!(world.live("beta-blue"), 4);
    world.wait(3 * 60);
    assert_eq!(world.live("beta-blue"), 0, "no capacity is left to roll back to");
}

#[test]
fn scale_in_waits_while_instances_launch_or_warm_up() {
    let mut world = tracked(4, 10.0);
    world.wait(880);
    world.set_desired("beta-blue", 5, false).unwrap();
    world.wait(60 + 300 - 1);
    assert_eq!(scaled(&world), []);
    world.wait(60);
    assert_eq!(scaled(&world).len(), 1);
}

#[test]
fn suspended_alarm_notification_stops_policies_and_resuming_reconsiders() {
    let mut world = tracked(2, 20.0);
    world.suspend("beta-blue", &["AlarmNotification".to_owned()]).unwrap();
    world.wait(3600);
    assert_eq!(scaled(&world), []);
    assert!(!world.fire_policy("beta-blue", 3));
    assert!(world.fire_scheduled_action("beta-blue", 3), "another process");
    world.resume("beta-blue", &["AlarmNotification".to_owned()]).unwrap();
    world.wait(60);
    assert_eq!(scaled(&world).last(), Some(&(3660, 3, 4)));
}

#[test]
fn suspended_scheduled_actions_do_nothing() {
    let mut world = tracked(2, 10.0);
    world.suspend("beta-blue", &["ScheduledActions".to_owned()]).unwrap();
    assert!(!world.fire_scheduled_action("beta-blue", 5));
    assert_eq!(world.groups["beta-blue"].desired, 2);
}

#[test]
fn policies_keep_within_the_bounds() {
    let mut world = tracked(2, 1000.0);
    world.update_group("beta-blue", &GroupUpdate { max: Some(3), ..GroupUpdate::default() }).unwrap();
    world.wait(3600);
    assert_eq!(world.groups["beta-blue"].desired, 3);
    world.fire_policy("beta-blue", 100);
    assert_eq!(world.groups["beta-blue"].desired, 3);
}

#[test]
fn between_nine_tenths_of_the_target_and_the_target_nothing_moves() {
    for (per_second, expected) in [(18.4, 0), (17.5, 0), (20.1, 1)] {
        let mut world = tracked(4, per_second);
        world.wait(3600);
        assert_eq!(scaled(&world).len(), expected, "{} % CPU", world.groups["beta-blue"].cpu);
    }
    let mut world = tracked(20, 91.0);
    world.wait(3600);
    assert_eq!(scaled(&world), [], "22.75 % of 25 % would leave room for one instance less, but raises no alarm");
}
