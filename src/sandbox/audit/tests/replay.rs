//! The scene that the log gives is the world as it is, whatever was done to it.

use super::super::charter::Resolved;
use super::super::replay::{Scene, shares, weighted};
use super::*;
use crate::sandbox::world::{Rng, TargetState};

/// Something that happens to the account, chosen by the draws.
fn happen(world: &mut World, rng: &mut Rng) {
    let group = if rng.index(2) == 0 { BLUE } else { GREEN };
    let ids = world.ids(group);
    let id = ids.get(rng.index(ids.len())).cloned().unwrap_or_default();
    let weights = (rng.between(0, 2) as u32, rng.between(0, 2) as u32);
    let target_group = world.tg(if group == BLUE { "Prod-Blue" } else { "Prod-Green" });
    match rng.index(10) {
        0 => route_one(world, 80, weights.0, weights.1),
        1 => route(world, weights.0, weights.1),
        2 => drop(world.set_desired(group, rng.between(2, 8) as u32, false)),
        3 => resize(world, group, Some(rng.between(0, 3) as u32), None, Some(rng.between(3, 8) as u32)),
        4 => drop(world.terminate_instance(&id, rng.index(2) == 0)),
        5 => drop(world.kill_instance(&id)),
        6 => drop(world.fire_policy(group, rng.between(0, 9) as u32)),
        7 => drop(world.deregister_targets(&target_group, &[id])),
        8 => drop(world.suspend(group, &["Launch".to_owned()])),
        _ => drop(world.resume(group, &[])),
    }
    world.wait(rng.between(0, 90));
}

#[test]
fn the_scene_folded_from_the_log_is_the_world() {
    for seed in 0..40 {
        let before = world();
        let (mut after, mut rng) = (before.clone(), Rng(seed));
        for _ in 0..25 {
            happen(&mut after, &mut rng);
        }
        let charter = charter();
        let names = Resolved::find(&charter, &before);
        let mut scene = Scene::begin(&names, &before);
        for index in before.log.len()..after.log.len() {
            scene.apply(&after.log, index);
        }
        let direct = Scene::begin(&names, &after);
        assert_eq!(scene.api, direct.api, "seed {seed}");
        assert_eq!(scene.nodes, direct.nodes, "seed {seed}");
        assert_eq!(scene.targets, direct.targets, "seed {seed}");
        assert_eq!(scene.groups, direct.groups, "seed {seed}");
        for instance in after.instances.values() {
            assert_eq!(scene.versions.get(&instance.id), instance.version.as_ref(), "seed {seed}");
        }
    }
}

#[test]
fn shares_leave_out_what_gets_nothing() {
    let world = world();
    let arn = listener(&world, 80);
    assert_eq!(shares(weighted(&world.listeners[&arn].actions.api)).into_iter().collect::<Vec<_>>(), [(world.tg("Prod-Blue"), 1.0)]);
    let none = [Weighted { target_group: "a".to_owned(), weight: 0 }];
    assert!(shares(&none).is_empty());
    assert!(world.target_groups.values().flat_map(|g| g.targets.values()).all(|t| t.state == TargetState::Healthy));
}
