//! One target group for both colours: instances are registered one by one, and their groups are not attached to it.

use super::*;

fn shared(live: u32) -> World {
    let mut beta = env("beta", live, 0);
    beta.colors.iter_mut().for_each(|color| color.services = vec![ServiceSpec::plain("Beta")]);
    World::new(&spec(vec![beta]))
}

#[test]
fn what_a_group_launches_is_no_target_until_it_is_registered() {
    let mut world = shared(2);
    world.grow("beta-green", 1);
    world.wait(120);
    assert_eq!(world.states("Beta"), ["healthy", "healthy"]);
    let (beta, new) = (world.tg("Beta"), world.ids("beta-green"));
    world.register_targets(&beta, &new).expect("it runs");
    world.wait(30);
    assert_eq!(world.states("Beta"), ["healthy", "healthy", "healthy"]);
}

#[test]
fn what_auto_scaling_ends_does_not_drain() {
    let mut world = shared(2);
    let id = world.ids("beta-blue")[0].clone();
    world.terminate_instance(&id, false).expect("it is there");
    assert_eq!(world.states("Beta"), ["healthy", "healthy"], "nobody has told the load balancer");
    world.wait(120);
    assert!(world.users("beta", START).errors > 0.0);
    assert_eq!(world.states("Beta"), ["healthy"], "and what came in its place is no target");
    assert_eq!(world.live("beta-blue"), 2);
}
