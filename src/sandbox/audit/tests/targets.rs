//! One target group for both colours: who serves is told by the instances in it.

use super::*;

fn shared() -> (World, Charter) {
    let spec = |name, size| ColorSpec { services: vec![ServiceSpec::plain("Prod")], ..color(name, size, true) };
    let world = world_of(vec![spec("blue", 6), spec("green", 0)], "Prod");
    let own = charter();
    let colors = own.colors.iter().map(|color| Color { target_group: "Prod".to_owned(), ..color.clone() }).collect();
    (world, Charter { colors, ..own })
}

#[test]
fn targets_leave_once_others_have_come_in_their_place() {
    let (before, charter) = shared();
    let prod = before.tg("Prod");
    let old = before.ids(BLUE);
    let mut early = before.clone();
    early.deregister_targets(&prod, &old[..1]).expect("it is registered");
    assert!(codes(&judge(&before, &early, &charter, &Phase::Crashed)).contains(&"I9"));
    let mut after = before.clone();
    resize(&mut after, GREEN, Some(6), None, Some(6));
    after.wait(120);
    let new = after.ids(GREEN);
    after.register_targets(&prod, &new).expect("they run");
    after.wait(60);
    after.deregister_targets(&prod, &old).expect("they are registered");
    after.wait(60);
    let switched = after.clone();
    resize(&mut after, BLUE, Some(0), None, Some(0));
    after.wait(120);
    let findings = judge(&before, &after, &charter, &Phase::Crashed);
    assert!(findings.is_clean(), "{findings}");
    let mut shrunk = switched;
    resize(&mut shrunk, GREEN, Some(0), None, Some(5));
    assert!(codes(&judge(&before, &shrunk, &charter, &Phase::Crashed)).contains(&"I9"), "green serves now");
}

#[test]
fn an_undo_leaves_no_instance_of_the_other_colour_behind() {
    let (before, charter) = shared();
    let prod = before.tg("Prod");
    let mut after = before.clone();
    resize(&mut after, GREEN, Some(1), None, Some(1));
    after.wait(120);
    let new = after.ids(GREEN);
    after.register_targets(&prod, &new).expect("it runs");
    after.wait(60);
    let findings = judge(&before, &after, &charter, &after_undo());
    assert!(findings.breaches.iter().any(|b| b.what.contains("instances of prod-green are left in Prod")), "{findings}");
}
