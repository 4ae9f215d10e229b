//! Rules of instance refresh.

use super::*;

const MINUTE: u64 = 60;

fn preferences(min_healthy: u32) -> RefreshPreferences {
    RefreshPreferences { min_healthy, max_healthy: if min_healthy == 100 { 110 } else { 100 }, warmup_seconds: Some(120) }
}

fn newest(world: &World) -> Refresh {
    world.refreshes_of("beta-blue").unwrap()[0].clone()
}

/// Members of blue that the load balancer finds healthy.
fn healthy(world: &World) -> usize {
    world.states("Beta-Blue").iter().filter(|state| **state == "healthy").count()
}

#[test]
fn a_quarter_of_the_group_leaves_at_a_time_and_the_next_waits_until_the_new_ones_are_warm() {
    let mut world = beta(8, 0);
    let before = world.ids("beta-blue");
    world.start_refresh("beta-blue", preferences(75)).unwrap();
    assert_eq!(newest(&world).status, RefreshStatus::Pending);
    world.wait(10);
    assert_eq!((newest(&world).status, healthy(&world)), (RefreshStatus::InProgress, 6));
    assert_eq!(world.live("beta-blue"), 8, "what takes their place boots at once");
    world.wait(2 * MINUTE);
    assert_eq!((healthy(&world), newest(&world).percentage), (8, 0), "healthy, but not warm yet");
    world.wait(2 * MINUTE);
    assert_eq!((newest(&world).percentage, newest(&world).to_update()), (25, 6));
    let mut lowest = 8;
    while newest(&world).status == RefreshStatus::InProgress {
        world.wait(1);
        lowest = lowest.min(healthy(&world));
    }
    assert_eq!((newest(&world).status, newest(&world).percentage, lowest), (RefreshStatus::Successful, 100, 6));
    assert!(newest(&world).end.is_some());
    world.wait(MINUTE);
    assert!(world.ids("beta-blue").iter().all(|id| !before.contains(id)));
}

#[test]
fn with_a_hundred_per_cent_healthy_new_ones_come_first() {
    let mut world = beta(3, 0);
    world.start_refresh("beta-blue", preferences(100)).unwrap();
    let mut lowest = 3;
    while newest(&world).status.is_active() {
        world.wait(1);
        lowest = lowest.min(healthy(&world));
        assert!(world.live("beta-blue") <= 4);
    }
    assert_eq!((newest(&world).status, lowest, world.groups["beta-blue"].desired), (RefreshStatus::Successful, 3, 3));
    assert_eq!(world.wait(MINUTE).live("beta-blue"), 3);
}

#[test]
fn one_refresh_at_a_time_and_what_is_cancelled_stays_as_it_is() {
    let mut world = beta(4, 0);
    assert_eq!(code(world.cancel_refresh("beta-blue", true)), "ActiveInstanceRefreshNotFound");
    world.start_refresh("beta-blue", preferences(75)).unwrap();
    assert_eq!(code(world.start_refresh("beta-blue", preferences(75))), "InstanceRefreshInProgress");
    assert_eq!(code(world.rollback_refresh("beta-blue")), "IrreversibleInstanceRefresh");
    world.wait(30);
    world.cancel_refresh("beta-blue", true).unwrap();
    assert_eq!(newest(&world).status, RefreshStatus::Cancelling, "the one that boots is waited for");
    world.wait(5 * MINUTE);
    assert_eq!(newest(&world).status, RefreshStatus::Cancelled);
    let left = world.ids("beta-blue");
    assert_eq!(world.wait(30 * MINUTE).ids("beta-blue"), left, "nothing more is replaced");
    world.start_refresh("beta-blue", preferences(75)).unwrap();
    world.cancel_refresh("beta-blue", false).unwrap();
    assert_eq!(world.wait(5).refreshes_of("beta-blue").unwrap()[0].status, RefreshStatus::Cancelled);
    assert_eq!(world.refreshes_of("beta-blue").unwrap().len(), 2);
}

#[test]
fn a_refresh_whose_instances_never_get_healthy_fails_after_an_hour() {
    let mut world = beta(4, 0);
    world.start_refresh("beta-blue", preferences(75)).unwrap();
    let bucket = world.buckets.keys().next().unwrap().clone();
    world.buckets.get_mut(&bucket).unwrap().remove("version/beta");
    world.wait(59 * MINUTE);
    assert_eq!((newest(&world).status, healthy(&world)), (RefreshStatus::InProgress, 3));
    world.wait(2 * MINUTE);
    assert_eq!((newest(&world).status, newest(&world).percentage), (RefreshStatus::Failed, 0));
    assert_eq!(newest(&world).reason.as_deref(), Some("Failed to make progress for an hour."));
}

#[test]
fn protected_instances_are_waited_for() {
    let mut world = beta(2, 0);
    let ids = world.ids("beta-blue");
    world.protect_instances("beta-blue", &ids, true).unwrap();
    world.start_refresh("beta-blue", preferences(50)).unwrap();
    world.wait(10 * MINUTE);
    assert_eq!((newest(&world).status, world.ids("beta-blue")), (RefreshStatus::InProgress, ids.clone()));
    world.protect_instances("beta-blue", &ids, false).unwrap();
    world.wait(30 * MINUTE);
    assert_eq!(newest(&world).status, RefreshStatus::Successful);
}
