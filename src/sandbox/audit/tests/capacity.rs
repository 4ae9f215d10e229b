//! I1: healthy targets, capacity, errors.

use super::*;

fn crashed(before: &World, after: &World) -> Findings {
    judge(before, after, &charter(), &Phase::Crashed)
}

#[test]
fn a_right_deploy_breaches_nothing() {
    let (before, after) = deployed();
    let findings = judge(&before, &after, &charter(), &after_deploy(6, 6));
    assert!(findings.is_clean(), "{findings}");
    let (begin, end) = findings.tally.switched.expect("traffic moved");
    assert_eq!((begin, end), (START.after_ms(124_000), START.after_ms(124_000)));
    assert_eq!(findings.to_string(), "no invariant was breached");
}

#[test]
fn traffic_to_a_group_that_is_not_checked_yet_has_no_healthy_target() {
    let before = world();
    let mut after = before.clone();
    resize(&mut after, GREEN, None, None, Some(6));
    after.wait(120);
    route(&mut after, 0, 100);
    after.wait(2);
    let findings = crashed(&before, &after);
    let breach = the(&findings, "I1a");
    assert_eq!((breach.subject.as_str(), breach.until), ("Prod-Green", None));
    assert_eq!(breach.at, START.after_ms(122_000), "from the moment at which the first node sends requests there");
    assert_eq!(cause(&after, breach).0, "ModifyListener");
    after.wait(60);
    assert!(the(&crashed(&before, &after), "I1a").until.is_some(), "over once targets are healthy");
}

#[test]
fn a_rule_that_forwards_nowhere_is_no_healthy_target() {
    let before = world();
    let mut after = before.clone();
    route_one(&mut after, 80, 0, 0);
    after.wait(10);
    assert_eq!(the(&crashed(&before, &after), "I1a").subject, "80 default");
}

#[test]
fn what_had_no_healthy_target_at_the_start_is_excused() {
    let mut before = world();
    for id in before.ids(BLUE) {
        before.break_application(&id);
    }
    before.wait(60);
    let mut after = before.clone();
    after.wait(30);
    assert_eq!(codes(&crashed(&before, &after)), Vec::<&str>::new());
}

#[test]
fn a_switch_to_one_of_six_is_a_collapse_of_capacity() {
    let before = world();
    let mut after = before.clone();
    boot_green(&mut after, 1);
    switch(&mut after);
    let findings = crashed(&before, &after);
    assert_eq!(codes(&findings), ["I1b"]);
    let breach = the(&findings, "I1b");
    assert_eq!((breach.severity, cause(&after, breach).0.as_str()), (5, "ModifyListener"));
    assert!(breach.what.contains("1 healthy target(s), and 6 are needed"), "{}", breach.what);
    let told = Charter { floor: Some(1), ..charter() };
    assert!(judge(&before, &after, &told, &Phase::Crashed).is_clean());
    let header = Charter { allows: Allows { less_capacity: true, ..Allows::default() }, ..charter() };
    assert!(judge(&before, &after, &header, &Phase::Crashed).is_clean());
}

#[test]
fn a_policy_that_shrinks_what_was_promoted_a_moment_ago_is_the_doing_of_whoever_took_the_floor_away() {
    for (seconds, expected) in [(10, vec!["I1b"]), (60, vec![])] {
        let before = world();
        let mut after = before.clone();
        boot_green(&mut after, 6);
        switch(&mut after);
        resize(&mut after, GREEN, Some(2), None, None);
        after.wait(seconds);
        assert!(after.fire_policy(GREEN, 2));
        after.wait(120);
        assert_eq!(codes(&crashed(&before, &after)), expected, "{seconds} s after the switch");
    }
}

#[test]
fn half_of_the_traffic_needs_half_of_the_instances() {
    let allows = Allows { mixed_versions: true, ..Allows::default() };
    for (green, breached) in [(2, vec!["I1b"]), (3, vec![])] {
        let before = world();
        let mut after = before.clone();
        boot_green(&mut after, green);
        route(&mut after, 50, 50);
        after.wait(60);
        let findings = judge(&before, &after, &Charter { allows, ..charter() }, &Phase::Crashed);
        assert_eq!(codes(&findings), breached, "{green}: {findings}");
    }
}

#[test]
fn a_policy_that_scales_in_below_a_lowered_minimum_is_the_fault_of_the_call() {
    for (min, breached) in [(Some(0), vec!["I1b"]), (None, vec![])] {
        let before = world();
        let mut after = before.clone();
        resize(&mut after, BLUE, min, Some(19), None);
        after.wait(60);
        after.fire_policy(BLUE, 1);
        after.wait(120);
        let findings = crashed(&before, &after);
        assert_eq!(codes(&findings), breached, "{findings}");
        if let Some(breach) = findings.breaches.first() {
            assert_eq!(cause(&after, breach), ("UpdateAutoScalingGroup".to_owned(), BLUE.to_owned()));
            assert_eq!(breach.severity, 1, "autoscaling alone could have left two");
        }
    }
}

#[test]
fn what_autoscaling_took_before_the_switch_need_not_be_there_after_it() {
    let before = world();
    let mut after = before.clone();
    after.fire_policy(BLUE, 3);
    after.wait(120);
    boot_green(&mut after, 3);
    switch(&mut after);
    assert!(crashed(&before, &after).is_clean());
    let mut fewer = before.clone();
    fewer.fire_policy(BLUE, 3);
    fewer.wait(120);
    boot_green(&mut fewer, 2);
    switch(&mut fewer);
    assert_eq!(the(&crashed(&before, &fewer), "I1b").severity, 1);
}

#[test]
fn machines_that_die_are_excused_while_aws_replaces_them() {
    let before = world();
    let mut after = before.clone();
    let ids = after.ids(BLUE);
    after.kill_instance(&ids[0]);
    after.interrupt(&ids[1]);
    after.wait(600);
    let findings = crashed(&before, &after);
    assert!(findings.is_clean(), "{findings}");
    assert!(after.users("prod", START).errors > 0.0, "users saw errors, and no call made them");
}

#[test]
fn a_run_that_keeps_aws_from_replacing_is_not_excused() {
    let before = world();
    let mut after = before.clone();
    let id = after.ids(BLUE)[0].clone();
    after.suspend(BLUE, &["Launch".to_owned()]).expect("a known process");
    after.kill_instance(&id);
    after.wait(300);
    let findings = crashed(&before, &after);
    assert_eq!(cause(&after, the(&findings, "I1b")).0, "SuspendProcesses");
    let mut other = before.clone();
    other.suspend(BLUE, &["AZRebalance".to_owned()]).expect("a known process");
    other.kill_instance(&id);
    other.wait(300);
    assert!(crashed(&before, &other).is_clean());
}

#[test]
fn launches_that_are_held_where_no_route_leads_any_more_hurt_nobody() {
    let before = world();
    let mut after = before.clone();
    boot_green(&mut after, 6);
    after.timing.propagation = Range::seconds(30, 30);
    route(&mut after, 0, 100);
    after.suspend(BLUE, &["Launch".to_owned()]).expect("a known process");
    let id = after.ids(BLUE)[0].clone();
    after.kill_instance(&id);
    after.wait(300);
    let findings = crashed(&before, &after);
    assert!(findings.is_clean(), "some node still sent requests to blue for a while: {findings}");
}

#[test]
fn who_sends_traffic_by_hand_to_what_has_lost_an_instance_could_see_that_and_the_run_is_to_give_launches_back() {
    for (held_seconds, breached) in [(30, vec![]), (120, vec!["I1b"])] {
        let before = world();
        let mut after = before.clone();
        boot_green(&mut after, 6);
        switch(&mut after);
        after.suspend(BLUE, &["Launch".to_owned()]).expect("a known process");
        let id = after.ids(BLUE)[0].clone();
        after.kill_instance(&id);
        after.wait(90);
        after.by_somebody_else(|world| {
            route(world, 100, 0);
        });
        after.wait(held_seconds);
        after.resume(BLUE, &["Launch".to_owned()]).expect("a known process");
        after.wait(300);
        let capacity: Vec<_> = crashed(&before, &after).breaches.into_iter().filter(|b| b.invariant == Invariant::Capacity).collect();
        let codes: Vec<&str> = capacity.iter().map(|breach| breach.invariant.code()).collect();
        assert_eq!(codes, breached, "held for {held_seconds} s: {capacity:?}");
    }
}

#[test]
fn a_loss_is_no_excuse_once_the_run_gave_up_the_place() {
    let before = world();
    let mut after = before.clone();
    let id = after.ids(BLUE)[0].clone();
    after.kill_instance(&id);
    resize(&mut after, BLUE, None, None, Some(5));
    after.wait(300);
    assert_eq!(codes(&crashed(&before, &after)), ["I1b", "I9"]);
}

#[test]
fn a_loss_just_before_traffic_came_could_not_be_seen_and_an_old_one_could() {
    for (wait, breached) in [(10, vec![]), (60, vec!["I1b"])] {
        let before = world();
        let mut after = before.clone();
        boot_green(&mut after, 6);
        after.limit_capacity(GREEN, Some(0));
        let id = after.ids(GREEN)[0].clone();
        after.kill_instance(&id);
        after.wait(wait);
        switch(&mut after);
        let findings = crashed(&before, &after);
        assert_eq!(codes(&findings), breached, "{wait}: {findings}");
    }
}

#[test]
fn who_takes_the_colour_out_of_the_rule_right_before_the_switch_is_to_blame_that_its_targets_must_be_checked_again() {
    let alone = |world: &mut World| {
        for port in [80, 443] {
            let (arn, target_group) = (listener(world, port), world.tg("Prod-Blue"));
            let forward = Action::Forward { targets: vec![Weighted { target_group, weight: 1 }], stickiness_seconds: None };
            world.modify_listener(&arn, vec![forward]).expect("the listener is there");
        }
    };
    for (stranger, breached) in [(true, vec![]), (false, vec!["I1a", "I1b"])] {
        let before = world();
        let mut after = before.clone();
        boot_green(&mut after, 6);
        after.timing.propagation = Range::ms(0, 0);
        after.wait(30);
        match stranger {
            true => after.by_somebody_else(alone),
            false => alone(&mut after),
        }
        switch(&mut after);
        after.wait(60);
        let mut found = codes(&crashed(&before, &after));
        found.retain(|code| code.starts_with("I1"));
        assert_eq!(found, breached, "by a stranger: {stranger}");
    }
}

#[test]
fn errors_that_a_call_made_are_breaches() {
    let before = world();
    let mut after = before.clone();
    let (blue, ids) = (after.tg("Prod-Blue"), after.ids(BLUE));
    after.deregister_targets(&blue, &ids).expect("the target group is there");
    after.wait(10);
    let findings = crashed(&before, &after);
    assert_eq!(codes(&findings), ["I1a", "I1b", "I1c", "I9"]);
    assert_eq!((the(&findings, "I1c").severity, cause(&after, the(&findings, "I1c")).0.as_str()), (1000, "DeregisterTargets"));
}

#[test]
fn a_playbook_that_may_take_the_environment_down_is_not_blamed_for_it() {
    let before = world();
    let mut after = before.clone();
    resize(&mut after, BLUE, Some(0), None, Some(0));
    after.wait(300);
    assert_eq!(codes(&crashed(&before, &after)), ["I1a", "I1b", "I1c", "I9"]);
    let charter = Charter { allows: Allows { take_down: true, ..Allows::default() }, ..charter() };
    assert!(judge(&before, &after, &charter, &Phase::Crashed).is_clean());
}

#[test]
fn what_dies_before_anybody_healthy_has_served_makes_nothing_worse() {
    let mut before = world();
    resize(&mut before, BLUE, Some(0), None, Some(0));
    before.wait(180);
    for (healthy_for, blamed) in [(0, false), (60, false)] {
        let mut after = before.clone();
        resize(&mut after, BLUE, Some(0), None, Some(1));
        after.wait(66 + healthy_for);
        let id = after.instances.values().find(|i| i.group == BLUE && i.answers_from.is_some()).expect("it has booted").id.clone();
        after.kill_instance(&id);
        after.wait(20);
        let findings = judge(&before, &after, &charter(), &Phase::Crashed);
        assert_eq!(findings.breaches.iter().any(|b| b.what.contains("5xx")), blamed, "{healthy_for}: {findings}");
    }
}
