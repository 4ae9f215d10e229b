//! I2, I3, I5, I11 and the comparison of two worlds.

use super::*;

fn final_findings(after: &World) -> Findings {
    judge(&world(), after, &charter(), &after_deploy(6, 6))
}

#[test]
fn a_parameter_not_written_after_the_switch_disagrees_with_the_listener() {
    for (name, missed) in [(COLOR, "blue".to_owned()), (TARGET, world().tg("Prod-Blue"))] {
        let (_, mut after) = deployed();
        put(&mut after, name, &missed);
        let findings = final_findings(&after);
        assert_eq!(codes(&findings), ["I2"], "{findings}");
        let breach = the(&findings, "I2");
        assert_eq!((breach.subject.as_str(), cause(&after, breach).1.as_str()), (name, name));
        let before = world();
        assert!(judge(&before, &after, &charter(), &Phase::Crashed).is_clean(), "no run is at rest when it crashed");
    }
}

#[test]
fn a_record_that_was_never_kept_is_not_asked_for() {
    let mut before = world();
    before.delete_parameter(TARGET).expect("it was there");
    let mut after = before.clone();
    after.wait(1);
    assert!(judge(&before, &after, &charter(), &at_rest()).is_clean());
    after.delete_parameter(COLOR).expect("it was there");
    assert_eq!(codes(&judge(&before, &after, &charter(), &at_rest())), ["I2"]);
}

#[test]
fn a_protection_left_on_the_live_group_is_a_pin() {
    let before = world();
    let mut after = before.clone();
    resize(&mut after, BLUE, Some(6), Some(6), None);
    after.wait(60);
    let findings = judge(&before, &after, &charter(), &at_rest());
    assert_eq!(codes(&findings), ["I3"]);
    let subjects: Vec<&str> = findings.breaches.iter().map(|b| b.subject.as_str()).collect();
    assert_eq!(subjects, ["prod-blue MaxSize", "prod-blue MinSize", "prod-blue pinned"]);
    resize(&mut after, BLUE, Some(2), Some(20), None);
    assert!(judge(&before, &after, &charter(), &at_rest()).is_clean(), "given back");
}

#[test]
fn a_pin_is_not_excused_by_declaring_it() {
    let before = world();
    let mut after = before.clone();
    resize(&mut after, BLUE, Some(6), Some(6), None);
    let finals = vec![Final { group: BLUE.to_owned(), region: None, min: Some(6), max: Some(6), desired: None }];
    let phase = Phase::AtRest { finals, undone: false, lock_owner: None };
    assert_eq!(the(&judge(&before, &after, &charter(), &phase), "I3").subject, "prod-blue pinned");
}

#[test]
fn suspended_processes_and_protected_instances_are_given_back() {
    let before = world();
    let mut after = before.clone();
    let ids = after.ids(BLUE);
    let processes = ["AlarmNotification".to_owned()];
    after.suspend(BLUE, &processes).expect("a known process");
    after.protect_instances(BLUE, &ids[..1], true).expect("a member");
    let subjects = |after: &World| -> Vec<String> {
        judge(&before, after, &charter(), &at_rest()).breaches.iter().map(|b| b.subject.clone()).collect()
    };
    assert_eq!(subjects(&after), ["prod-blue processes", "prod-blue protection"]);
    after.resume(BLUE, &processes).expect("a known process");
    after.protect_instances(BLUE, &ids[..1], false).expect("a member");
    assert!(subjects(&after).is_empty());
}

#[test]
fn an_idle_group_left_larger_must_be_declared_or_autoscaling_s_doing() {
    let before = world();
    let mut after = before.clone();
    resize(&mut after, GREEN, None, None, Some(3));
    after.wait(120);
    assert_eq!(the(&judge(&before, &after, &charter(), &at_rest()), "I3").subject, "prod-green desired capacity");
    assert!(judge(&before, &after, &charter(), &after_deploy(3, 0)).is_clean());
    let mut moved = before.clone();
    moved.fire_policy(GREEN, 3);
    moved.wait(120);
    assert!(judge(&before, &moved, &charter(), &at_rest()).is_clean());
    resize(&mut moved, GREEN, Some(1), Some(20), None);
    assert!(!codes(&judge(&before, &moved, &charter(), &at_rest())).is_empty(), "the bounds are not as they were");
    let desired = |f: &Findings| f.breaches.iter().any(|b| b.subject.ends_with("desired capacity"));
    assert!(!desired(&judge(&before, &moved, &charter(), &at_rest())), "a call that sets bounds alone leaves what autoscaling asked for");
    resize(&mut moved, GREEN, None, None, Some(1));
    assert!(desired(&judge(&before, &moved, &charter(), &at_rest())));
    resize(&mut moved, GREEN, None, None, Some(3));
    assert!(!desired(&judge(&before, &moved, &charter(), &at_rest())), "shrunk, and put back to what autoscaling asked for");
}

#[test]
fn the_serving_group_may_be_left_with_the_minimum_of_the_environment() {
    let (before, mut after) = deployed();
    resize(&mut after, GREEN, Some(3), None, None);
    assert_eq!(codes(&judge(&before, &after, &charter(), &at_rest())), ["I3"]);
    let charter = Charter { least: Some(3), ..charter() };
    assert!(judge(&before, &after, &charter, &at_rest()).is_clean());
}

#[test]
fn the_lock_is_absent_or_names_its_owner() {
    let before = world();
    let mut after = before.clone();
    let charter = Charter { lock: Some("bgx/lock/prod".to_owned()), ..charter() };
    assert!(judge(&before, &after, &charter, &at_rest()).is_clean());
    set_version(&mut after, "bgx/lock/prod", r#"{"run":"r1"}"#);
    let owned = |owner: Option<&str>| {
        let phase = Phase::AtRest { finals: Vec::new(), undone: false, lock_owner: owner.map(str::to_owned) };
        codes(&judge(&before, &after, &charter, &phase))
    };
    assert_eq!(owned(None), ["I5"]);
    assert_eq!(owned(Some("r2")), ["I5"]);
    assert_eq!(owned(Some("r1")), Vec::<&str>::new());
    set_version(&mut after, "bgx/lock/prod", r#"{"run":"r1","ended":true}"#);
    assert!(judge(&before, &after, &charter, &at_rest()).is_clean(), "it says itself that it is free");
}

#[test]
fn an_undo_puts_back_every_field_that_a_run_owns() {
    let before = world();
    let mut after = before.clone();
    boot_green(&mut after, 6);
    let blue = vec![Weighted { target_group: after.tg("Prod-Blue"), weight: 1 }];
    for port in [80, 443] {
        let arn = listener(&after, port);
        after.modify_listener(&arn, vec![Action::Forward { targets: blue.clone(), stickiness_seconds: None }]).expect("it is there");
    }
    resize(&mut after, GREEN, Some(0), None, Some(0));
    after.wait(300);
    let findings = judge(&before, &after, &charter(), &after_undo());
    assert!(findings.is_clean(), "{findings}");
}

#[test]
fn what_an_undo_forgot_is_named() {
    let before = world();
    let mut after = before.clone();
    boot_green(&mut after, 6);
    put(&mut after, "/app/prod/green-version", NEW);
    set_version(&mut after, "version/prod", NEW);
    let findings = judge(&before, &after, &charter(), &after_undo());
    let mut forgotten: Vec<&str> =
        findings.breaches.iter().filter(|b| b.invariant == Invariant::Undone).map(|b| b.subject.as_str()).collect();
    forgotten.sort_unstable();
    assert_eq!(forgotten, ["/app/prod/green-version", "443 default", "80 default", "prod-green", "version/prod"]);
}

#[test]
fn what_the_world_without_the_run_shows_too_is_no_violation() {
    let before = world();
    let fall = |world: &mut World| {
        put(world, COLOR, "green");
        for id in world.ids(BLUE) {
            world.suspend(BLUE, &["Launch".to_owned()]).expect("a known process");
            world.kill_instance(&id);
        }
        world.wait(100);
    };
    let mut without = before.clone();
    fall(&mut without);
    let mut with = before.clone();
    with.wait(10);
    fall(&mut with);
    let (with, without) = (judge(&before, &with, &charter(), &at_rest()), judge(&before, &without, &charter(), &at_rest()));
    assert_eq!(codes(&with), ["I1a", "I1b", "I1c", "I2", "I3"]);
    assert!(worse(&with, &without).is_clean(), "{}", worse(&with, &without));
    let clean = judge(&before, &before, &charter(), &at_rest());
    assert_eq!(worse(&with, &clean), with);
}

#[test]
fn more_of_the_same_and_much_longer_is_worse() {
    let breach = |severity, at, until: Option<u64>| Breach {
        invariant: Invariant::Capacity,
        subject: "Prod-Blue".to_owned(),
        severity,
        at: Time(at),
        until: until.map(Time),
        what: String::new(),
        caused_by: None,
    };
    let findings = |breach| Findings { breaches: vec![breach], ..Findings::default() };
    let without = findings(breach(1, 1_000_000, Some(1_200_000)));
    let count = |with: Breach| worse(&findings(with), &without).breaches.len();
    assert_eq!(count(breach(1, 1_010_000, Some(1_400_000))), 0);
    assert_eq!(count(breach(2, 1_010_000, Some(1_100_000))), 1, "more instances");
    assert_eq!(count(breach(1, 1_010_000, Some(1_600_000))), 1, "longer than a replacement takes");
    assert_eq!(count(breach(1, 1_010_000, None)), 1, "for good");
    assert_eq!(count(breach(1, 9_000_000, Some(9_010_000))), 1, "at another time");
}

#[test]
fn names_that_the_account_does_not_have_are_said() {
    let before = world();
    let mut charter = charter();
    charter.routes.push(Route { port: 443, path: Some("/beta*".to_owned()), host: None });
    charter.colors[1].group = "prod-grene".to_owned();
    let findings = judge(&before, &before, &charter, &at_rest());
    assert!(!findings.is_clean());
    let text = "not judged: the account has no group prod-grene\nnot judged: the account has no route 443 /beta*";
    assert_eq!(findings.to_string(), text);
}
