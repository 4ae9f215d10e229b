//! An account in two regions: what is judged where.

use super::*;

const ABROAD: &str = "eu-west-1";

fn outside(before: &World, after: &World, charters: &[Charter]) -> Vec<String> {
    let found = judge_all(before, after, charters, &Phase::Crashed);
    found.breaches.into_iter().filter(|b| b.invariant == Invariant::BlastRadius).map(|b| b.subject).collect()
}

fn written(world: &mut World, key: &str) {
    let bucket = charter().bucket;
    world.put_object(&bucket, key, b"x".to_vec(), ObjectMeta::default(), &PutCondition::None).expect("the bucket is there");
}

#[test]
fn a_call_to_a_region_of_no_environment_is_outside_whatever_its_name() {
    let (before, charter) = (world(), charter());
    let mut after = before.clone();
    let name = charter.active_color.clone();
    after.in_region(ABROAD, |there| there.put_parameter(&name, "green", Some("String"), true)).expect("it may");
    assert_eq!(outside(&before, &after, std::slice::from_ref(&charter)), [name]);
    let there = Charter { region: Some(ABROAD.to_owned()), ..charter.clone() };
    assert!(outside(&before, &after, &[charter, there]).is_empty(), "it is that environment's own");
}

#[test]
fn an_object_is_the_accounts_and_each_environment_may_write_its_own() {
    let (before, charter) = (world(), charter());
    let mut after = before.clone();
    after.in_region(ABROAD, |there| there.put_parameter("/elsewhere", "1", Some("String"), true)).expect("it may");
    let there = Charter {
        region: Some(ABROAD.to_owned()),
        extra: Extra { parameters: vec!["/elsewhere".to_owned()], ..Extra::default() },
        ..charter.clone()
    };
    written(&mut after, &charter.colors[0].version_key);
    let both = [charter, there];
    assert!(outside(&before, &after, &both).is_empty());
    written(&mut after, "somebody/else");
    assert_eq!(outside(&before, &after, &both).len(), 1, "once, not once a region");
}
