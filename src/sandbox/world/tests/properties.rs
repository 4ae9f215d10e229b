//! What holds for every sequence of calls: the world stays consistent, and one jump does what many small steps do.

use super::super::possible::{self, Checks, Phase};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One thing that somebody does to the account; numbers choose among what is there.
#[derive(Clone, Debug)]
enum Deed {
    Update { green: bool, min: Option<u32>, max: Option<u32>, desired: Option<u32> },
    Desired { green: bool, to: u32 },
    Weights { blue: u32, green: u32 },
    One { green: bool },
    Processes { green: bool, which: usize, suspend: bool },
    Protect { nth: usize, protected: bool },
    Terminate { nth: usize, decrement: bool },
    Deregister { nth: usize },
    Register { nth: usize, green: bool },
    Version { new: bool },
    Parameter { overwrite: bool },
    Interrupt { nth: usize },
    Kill { nth: usize },
    Break { nth: usize },
    Limit { green: bool, limit: Option<u32> },
    Fire { green: bool, to: u32 },
    Rebalance { green: bool },
}

fn deed() -> impl Strategy<Value = Deed> {
    let some = || proptest::option::of(0..8u32);
    prop_oneof![
        (any::<bool>(), some(), some(), some()).prop_map(|(green, min, max, desired)| Deed::Update { green, min, max, desired }),
        (any::<bool>(), 0..8u32).prop_map(|(green, to)| Deed::Desired { green, to }),
        (0..3u32, 0..3u32).prop_map(|(blue, green)| Deed::Weights { blue, green }),
        any::<bool>().prop_map(|green| Deed::One { green }),
        (any::<bool>(), 0..9usize, any::<bool>()).prop_map(|(green, which, suspend)| Deed::Processes { green, which, suspend }),
        (0..9usize, any::<bool>()).prop_map(|(nth, protected)| Deed::Protect { nth, protected }),
        (0..9usize, any::<bool>()).prop_map(|(nth, decrement)| Deed::Terminate { nth, decrement }),
        (0..9usize).prop_map(|nth| Deed::Deregister { nth }),
        (0..9usize, any::<bool>()).prop_map(|(nth, green)| Deed::Register { nth, green }),
        any::<bool>().prop_map(|new| Deed::Version { new }),
        any::<bool>().prop_map(|overwrite| Deed::Parameter { overwrite }),
        (0..9usize).prop_map(|nth| Deed::Interrupt { nth }),
        (0..9usize).prop_map(|nth| Deed::Kill { nth }),
        (0..9usize).prop_map(|nth| Deed::Break { nth }),
        (any::<bool>(), some()).prop_map(|(green, limit)| Deed::Limit { green, limit }),
        (any::<bool>(), 0..9u32).prop_map(|(green, to)| Deed::Fire { green, to }),
        any::<bool>().prop_map(|green| Deed::Rebalance { green }),
    ]
}

const NAMES: [&str; 9] = [
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "HealthCheck",
    "ReplaceUnhealthy",
    "AZRebalance",
    "ScheduledActions",
    "InstanceRefresh",
];

/// Does a deed; refusals are fine.
fn act(world: &mut World, deed: &Deed) {
    let group = |green: bool| if green { "beta-green" } else { "beta-blue" };
    let (blue_tg, green_tg, rule) = (world.tg("Beta-Blue"), world.tg("Beta-Green"), world.rule());
    let id = |world: &World, nth: usize| world.instances.keys().nth(nth % world.instances.len().max(1)).cloned().unwrap_or_default();
    let _ = match deed {
        Deed::Update { green, min, max, desired } => {
            world.update_group(group(*green), &GroupUpdate { min: *min, max: *max, desired: *desired })
        }
        Deed::Desired { green, to } => world.set_desired(group(*green), *to, false),
        Deed::Weights { blue, green } => world.modify_rule(&rule, forward(&[(blue_tg, *blue), (green_tg, *green)])),
        Deed::One { green } => world.modify_rule(&rule, forward(&[(if *green { green_tg } else { blue_tg }, 1)])),
        Deed::Processes { green, which, suspend: true } => world.suspend(group(*green), &[NAMES[*which].to_owned()]),
        Deed::Processes { green, which, suspend: false } => world.resume(group(*green), &[NAMES[*which].to_owned()]),
        Deed::Protect { nth, protected } => {
            let id = id(world, *nth);
            let owner = world.instances.get(&id).map_or_else(String::new, |i| i.group.clone());
            world.protect_instances(&owner, &[id], *protected)
        }
        Deed::Terminate { nth, decrement } => world.terminate_instance(&id(world, *nth), *decrement).map(|_| ()),
        Deed::Deregister { nth } => world.deregister_targets(&blue_tg, &[id(world, *nth)]),
        Deed::Register { nth, green } => world.register_targets(if *green { &green_tg } else { &blue_tg }, &[id(world, *nth)]),
        Deed::Version { new } => {
            let text = if *new { NEW } else { OLD };
            world.put_object("compiler-explorer", "version/beta", text.into(), ObjectMeta::default(), &PutCondition::None).map(|_| ())
        }
        Deed::Parameter { overwrite } => world.put_parameter("/p", "v", Some("String"), *overwrite).map(|_| ()),
        Deed::Interrupt { nth } => some(world.interrupt(&id(world, *nth))),
        Deed::Kill { nth } => some(world.kill_instance(&id(world, *nth))),
        Deed::Break { nth } => some(world.break_application(&id(world, *nth))),
        Deed::Limit { green, limit } => some(world.limit_capacity(group(*green), *limit)),
        Deed::Rebalance { green } => some(world.fire_rebalance(group(*green))),
        Deed::Fire { green, to } => some(world.fire_policy(group(*green), *to)),
    };
}

fn some(_: bool) -> Result<(), Fault> {
    Ok(())
}

fn busy_world(seed: u64, whole_seconds: bool) -> World {
    let mut beta = env("beta", 3, 1);
    for color in &mut beta.colors {
        color.on_demand_base = Some(1);
        color.spot_interruptions_per_hour = 2.0;
        color.cpu_target = Some(25.0);
        color.grace_seconds = 30;
        color.boot = if whole_seconds { Range::seconds(0, 30) } else { Range::ms(0, 60_000) };
        color.app_start = Range::ms(0, 20_000);
    }
    let timing = if whole_seconds { Timing { registration: Range::ms(0, 0), ..exact() } } else { Timing::default() };
    World::new(&WorldSpec { seed, timing, ..spec(vec![beta]) })
}

/// Does every deed after its pause, going there in steps of `step` milliseconds.
fn live_through(mut world: World, deeds: &[(u64, Deed)], step: u64) -> World {
    let mut at = world.now;
    for (pause, deed) in deeds {
        at = at.after_ms(*pause);
        while world.now.after_ms(step) < at {
            world.advance(world.now.after_ms(step));
        }
        world.advance(at);
        act(&mut world, deed);
        if let Err(wrong) = world.check() {
            panic!("{wrong}\nafter {deed:?} at {}", world.now);
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_jump_does_what_many_small_steps_do(
        seed in any::<u64>(),
        whole in any::<bool>(),
        deeds in proptest::collection::vec((prop_oneof![Just(0u64), 0..400_000u64], deed()), 1..25),
    ) {
        let jumped = live_through(busy_world(seed, whole), &deeds, u64::MAX);
        let stepped = live_through(busy_world(seed, whole), &deeds, 777);
        prop_assert_eq!(&jumped.log, &stepped.log);
        prop_assert!(jumped == stepped, "same log, different worlds");
        let text = serde_json::to_string(&jumped).expect("a world can be saved");
        prop_assert!(serde_json::from_str::<World>(&text).expect("and read") == jumped);
    }

    #[test]
    fn targets_can_only_hold_what_users_see(seed in any::<u64>(), deeds in proptest::collection::vec((0..400_000u64, deed()), 1..25)) {
        let world = live_through(busy_world(seed, false), &deeds, u64::MAX);
        let users = world.users("beta", START);
        let seconds = world.now.since(START) as f64 / 1000.0;
        let answered = users.errors + users.versions.values().sum::<f64>();
        prop_assert!((users.requests - seconds * 10.0).abs() < 1e-3);
        prop_assert!((answered - users.requests).abs() < 1e-3 * (1.0 + seconds), "every request is answered or fails: {:?}", users);
        prop_assert!(users.mixed_seconds <= seconds + 1e-6);
        let half = Time(START.0 + world.now.since(START) / 2);
        let later = world.users("beta", half);
        prop_assert!(later.requests <= users.requests + 1e-6 && later.errors <= users.errors + 1e-6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// The rules that replies of a real account are judged by, of a world whose instances do everything.
    #[test]
    fn no_state_ends_too_soon_or_lasts_too_long(seed in any::<u64>(), deeds in proptest::collection::vec((0..200_000u64, deed()), 1..40)) {
        let mut world = live_through(busy_world(seed, false), &deeds, u64::MAX);
        world.wait(600);
        let mut stays: BTreeMap<(String, String), (Phase, Time)> = BTreeMap::new();
        let mut pending: BTreeMap<String, Time> = BTreeMap::new();
        for Entry { at, what } in &world.log {
            match what {
                Happening::Launched { instance, .. } => drop(pending.insert(instance.clone(), *at)),
                Happening::InService { group, instance } => {
                    let (boot, took) = (world.groups[group].boot, pending.remove(instance).map(|since| at.since(since)));
                    prop_assert!(took.is_none_or(|took| (boot.low..=boot.high).contains(&took)), "{instance} booted for {took:?} ms");
                }
                Happening::TargetState { target_group, instance, state, reason } => {
                    prop_assert!(possible::is_target_state(state, reason), "{state} {reason}");
                    let checks = Checks::of(&world.target_groups[target_group], &world.timing);
                    let key = (target_group.clone(), instance.clone());
                    let (known, next) = (stays.remove(&key), Phase::named(state));
                    let registers = reason == "Elb.RegistrationInProgress";
                    // From `initial` to `initial` is one stay.
                    let began = known.filter(|(phase, _)| next == Some(*phase) && !registers).map_or(*at, |(_, began)| began);
                    if let Some((phase, began)) = known.filter(|(phase, _)| next != Some(*phase)) {
                        let took = at.since(began);
                        prop_assert!(checks.most_ms(phase).is_none_or(|most| took <= most), "{instance} {phase:?} for {took} ms");
                        let least = next.map_or(0, |next| checks.least_ms(phase, next));
                        prop_assert!(took >= least, "{instance} {phase:?} to {next:?} after {took} ms");
                    }
                    stays.extend(next.map(|phase| (key, (phase, began))));
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_clone_repeats_itself() {
    let mut world = busy_world(3, false);
    let mut clone = world.clone();
    world.wait(3600);
    clone.wait(3600);
    assert_eq!(world, clone);
}
