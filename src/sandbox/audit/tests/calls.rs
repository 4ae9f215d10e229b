//! I8, I9, L2: what a single call may not do.

use super::*;
use crate::sandbox::fault::Mishap;

fn crashed(before: &World, after: &World) -> Findings {
    judge(before, after, &charter(), &Phase::Crashed)
}

#[test]
fn a_group_that_serves_may_not_be_shrunk_and_an_idle_one_may() {
    let (_, start) = deployed();
    let mut idle = start.clone();
    resize(&mut idle, BLUE, Some(0), None, Some(0));
    idle.wait(120);
    assert!(crashed(&start, &idle).is_clean());
    let mut live = start.clone();
    resize(&mut live, GREEN, Some(0), None, Some(5));
    let findings = crashed(&start, &live);
    let breach = the(&findings, "I9");
    assert_eq!((breach.subject.as_str(), breach.severity), (GREEN, 1));
    assert_eq!(cause(&live, breach), ("UpdateAutoScalingGroup".to_owned(), GREEN.to_owned()));
}

#[test]
fn a_stale_maximum_shrinks_what_grew_meanwhile() {
    for (grown, breached) in [(8, vec!["I9"]), (6, vec![])] {
        let before = world();
        let mut after = before.clone();
        after.fire_policy(BLUE, grown);
        after.wait(120);
        resize(&mut after, BLUE, Some(6), Some(6), None);
        assert_eq!(codes(&crashed(&before, &after)), breached, "{grown}");
    }
}

#[test]
fn desired_capacity_and_terminations_count_too() {
    let before = world();
    let mut after = before.clone();
    after.set_desired(BLUE, 4, false).expect("within bounds");
    assert_eq!(the(&crashed(&before, &after), "I9").severity, 2);
    let mut other = before.clone();
    other.set_desired(BLUE, 7, false).expect("within bounds");
    assert!(crashed(&before, &other).is_clean());
    let mut ended = before.clone();
    let id = ended.ids(BLUE)[0].clone();
    ended.terminate_instance(&id, false).expect("the instance is there");
    assert_eq!(the(&crashed(&before, &ended), "I9").subject, BLUE);
}

#[test]
fn an_instance_leaves_for_standby_only_where_less_capacity_is_declared() {
    let before = world();
    let mut after = before.clone();
    let id = after.ids(BLUE)[0].clone();
    after.enter_standby(BLUE, &[id], true).expect("the instance is in service");
    assert_eq!(the(&crashed(&before, &after), "I9").subject, BLUE);
    let declared = Charter { allows: Allows { less_capacity: true, ..Allows::default() }, ..charter() };
    assert!(judge(&before, &after, &declared, &Phase::Crashed).is_clean());
    let undone = Phase::AtRest { finals: Vec::new(), undone: true, lock_owner: None };
    assert!(judge(&before, &after, &declared, &undone).breaches.iter().any(|b| b.what.contains("is left in Standby")));
}

#[test]
fn a_refresh_takes_instances_only_where_less_capacity_is_declared() {
    let before = world();
    let refreshed = |min_healthy, max_healthy| {
        let mut after = before.clone();
        let preferences = crate::sandbox::world::RefreshPreferences { min_healthy, max_healthy, warmup_seconds: None };
        after.start_refresh(BLUE, preferences).expect("nothing else is under way");
        after
    };
    assert_eq!(the(&crashed(&before, &refreshed(75, 100)), "I9").subject, BLUE);
    assert!(crashed(&before, &refreshed(100, 110)).is_clean());
    let declared = Charter { allows: Allows { less_capacity: true, ..Allows::default() }, ..charter() };
    assert!(judge(&before, &refreshed(75, 100), &declared, &Phase::Crashed).is_clean());
}

#[test]
fn the_old_group_serves_until_every_node_follows() {
    for (wait, breached) in [(1, true), (3, false)] {
        let before = world();
        let mut after = before.clone();
        boot_green(&mut after, 6);
        route(&mut after, 0, 100);
        after.wait(wait);
        resize(&mut after, BLUE, Some(0), None, Some(0));
        let findings = crashed(&before, &after);
        assert_eq!(codes(&findings).contains(&"I9"), breached, "{wait}: {findings}");
        assert_eq!(findings.is_clean(), !breached, "{wait}: {findings}");
    }
}

#[test]
fn a_write_outside_the_environment_is_found_and_one_that_is_named_is_not() {
    let before = world();
    let mut after = before.clone();
    put(&mut after, "/app/beta/active-color", "green");
    set_version(&mut after, "version/beta", NEW);
    let findings = crashed(&before, &after);
    assert_eq!(findings.breaches.len(), 2, "{findings}");
    assert_eq!(codes(&findings), ["I8"]);
    let extra = Extra { parameters: vec!["/app/beta/*".to_owned()], objects: vec!["version/beta".to_owned()], groups: Vec::new() };
    let named = Charter { extra, ..charter() };
    assert!(judge(&before, &after, &named, &Phase::Crashed).is_clean());
    // A run over several environments: outside is what none of them owns, and it is told once.
    assert!(judge_all(&before, &after, &[charter(), named], &Phase::Crashed).is_clean());
    assert_eq!(judge_all(&before, &after, &[charter(), charter()], &Phase::Crashed).breaches.len(), 2);
}

#[test]
fn what_belongs_to_the_environment_is_written_freely() {
    let before = world();
    let mut after = before.clone();
    put(&mut after, "/app/prod/green-version", NEW);
    set_version(&mut after, "version/prod", OLD);
    after.suspend(GREEN, &["AZRebalance".to_owned()]).expect("a known process");
    assert!(crashed(&before, &after).is_clean());
}

#[test]
fn a_route_sent_to_a_foreign_target_group_is_outside() {
    let before = world();
    let mut after = before.clone();
    let mut foreign = after.target_groups[&after.tg("Prod-Green")].clone();
    foreign.arn = foreign.arn.replace("Prod-Green", "Beta-Green");
    let arn = foreign.arn.clone();
    after.target_groups.insert(arn.clone(), foreign);
    let targets = vec![Weighted { target_group: after.tg("Prod-Blue"), weight: 99 }, Weighted { target_group: arn, weight: 1 }];
    let listener = listener(&after, 443);
    after.modify_listener(&listener, vec![Action::Forward { targets, stickiness_seconds: None }]).expect("both are there");
    assert!(the(&crashed(&before, &after), "I8").what.contains("Beta-Green"));
}

#[test]
fn what_somebody_else_does_is_not_put_down_to_the_client() {
    let before = world();
    let mut after = before.clone();
    let shrink = Mishap::Resize { group: BLUE.to_owned(), update: GroupUpdate { desired: Some(4), ..GroupUpdate::default() } };
    assert!(shrink.befall(&mut after));
    assert!(Mishap::Parameter { name: "/app/beta/active-color".to_owned(), value: "green".to_owned() }.befall(&mut after));
    assert!(!codes(&crashed(&before, &after)).iter().any(|code| ["I8", "I9"].contains(code)));
}

#[test]
fn refusals_for_the_rate_are_counted() {
    let before = world();
    let mut after = before.clone();
    for _ in 0..3 {
        after.note_throttled("elasticloadbalancing", "ModifyRule");
    }
    let findings = crashed(&before, &after);
    assert_eq!(findings.tally.throttled, 3);
    assert_eq!(the(&findings, "L2").what, "the account's API rate was used up: 3 x elasticloadbalancing:ModifyRule");
    assert!(crashed(&before, &before).is_clean());
}
