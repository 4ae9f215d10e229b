//! I4 and I10: one version serves, and the next instance boots it.

use super::*;

/// The key says the new build while blue serves the old one; a blue spot instance is taken back meanwhile or not.
fn boots_while_the_key_is_new(shared: bool, interrupted: bool) -> (World, World) {
    let before = world_with(shared);
    let mut after = before.clone();
    set_version(&mut after, &key_of("green", shared), NEW);
    if interrupted {
        let id = after.ids(BLUE)[0].clone();
        assert!(after.interrupt(&id));
    }
    after.wait(600);
    (before, after)
}

#[test]
fn a_replacement_that_boots_the_new_build_from_a_shared_key_mixes_versions() {
    let (before, mut after) = boots_while_the_key_is_new(true, true);
    set_version(&mut after, "version/prod", OLD);
    let findings = judge(&before, &after, &charter(), &Phase::Crashed);
    assert_eq!(codes(&findings), ["I4-key"]);
    let breach = the(&findings, "I4-key");
    assert_eq!((breach.subject.as_str(), breach.severity, breach.until), ("Prod-Blue", 1, None));
    assert_eq!(cause(&after, breach), ("PutObject".to_owned(), "app/version/prod".to_owned()));
    assert_eq!(breach.caused_by.map(|index| after.log[index].at), Some(START), "not the call that put the key back");
    let seconds = after.now.since(breach.at) as f64 / 1000.0;
    assert!(seconds > 300.0);
    assert_eq!((findings.tally.foreign_instance_seconds, findings.tally.mixed_seconds), (seconds, seconds));
}

#[test]
fn without_an_interruption_or_with_a_key_for_each_color_one_version_serves() {
    for (shared, interrupted) in [(true, false), (false, true)] {
        let (before, after) = boots_while_the_key_is_new(shared, interrupted);
        let findings = judge(&before, &after, &charter_with(shared), &Phase::Crashed);
        assert!(findings.is_clean(), "{findings}");
        assert_eq!(findings.tally.mixed_seconds, 0.0);
    }
}

#[test]
fn a_group_that_begins_to_serve_with_two_builds_is_the_fault_of_the_switch() {
    let before = world();
    let mut after = before.clone();
    resize(&mut after, GREEN, None, None, Some(2));
    after.wait(62);
    boot_green(&mut after, 6);
    switch(&mut after);
    let findings = judge(&before, &after, &charter(), &Phase::Crashed);
    let breach = the(&findings, "I4");
    assert_eq!((breach.subject.as_str(), breach.severity), ("Prod-Green", 2));
}

#[test]
fn a_second_listener_left_behind_serves_the_old_build_beyond_the_propagation() {
    let before = world();
    let mut after = before.clone();
    boot_green(&mut after, 6);
    route_one(&mut after, 80, 0, 100);
    let called = after.now;
    after.wait(10);
    assert!(judge(&before, &after, &charter(), &Phase::Crashed).is_clean(), "a rule takes its time");
    record(&mut after);
    after.wait(300);
    let findings = judge(&before, &after, &charter(), &after_deploy(6, 6));
    assert_eq!(codes(&findings), ["I2", "I4"]);
    assert_eq!(the(&findings, "I4").at, called.after_ms(12_001));
    assert_eq!(the(&findings, "I2").what, "routes disagree: 80 default -> Prod-Green 100 %; 443 default -> Prod-Blue 100 %");
}

#[test]
fn a_canary_must_be_declared() {
    let before = world();
    let mut after = before.clone();
    boot_green(&mut after, 6);
    route(&mut after, 95, 5);
    after.wait(300);
    let findings = judge(&before, &after, &charter(), &Phase::Crashed);
    assert_eq!(codes(&findings), ["I4"]);
    assert!(findings.tally.mixed_seconds > 290.0);
    let declared = Charter { allows: Allows { mixed_versions: true, ..Allows::default() }, ..charter() };
    assert!(judge(&before, &after, &declared, &Phase::Crashed).is_clean());
    let slow = Charter { window: Some(400_000), ..charter() };
    assert!(judge(&before, &after, &slow, &Phase::Crashed).is_clean(), "the window is the charter's");
}

#[test]
fn both_colors_may_serve_one_build() {
    let before = world();
    let mut after = before.clone();
    resize(&mut after, GREEN, None, None, Some(6));
    after.wait(62);
    route(&mut after, 100, 0);
    after.wait(60);
    route(&mut after, 50, 50);
    after.wait(300);
    assert!(judge(&before, &after, &charter(), &Phase::Crashed).is_clean());
}

#[test]
fn a_key_rolled_back_after_the_switch_is_found_at_rest() {
    let (before, mut after) = deployed();
    set_version(&mut after, "version/prod", OLD);
    let findings = judge(&before, &after, &charter(), &after_deploy(6, 6));
    assert_eq!(codes(&findings), ["I10"]);
    let breach = the(&findings, "I10");
    assert_eq!(breach.what, format!("{GREEN} serves {NEW}, but its next instance boots {OLD}"));
    assert_eq!(cause(&after, breach).0, "PutObject");
}
