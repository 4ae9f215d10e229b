//! How long things take in the account, as what can differ between two accounts: each dial with its range and the reason for it.

use crate::config::Environment;
use crate::sandbox::world::{Range, Rng, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One thing that AWS does not promise.
pub struct Dial {
    pub name: &'static str,
    /// What a playbook must stand.
    pub low: u64,
    pub high: u64,
    /// Values that are tried one at a time.
    pub tried: &'static [u64],
    /// `s`, or nothing for a switch.
    pub unit: &'static str,
    set: fn(&mut World, &Environment, u64),
    /// Why it is no constant.
    pub reason: &'static str,
}

const fn seconds(value: u64) -> Range {
    Range::seconds(value, value)
}

const UNDOCUMENTED: &str = "AWS documents no bound";
const OWN: &str = "each application and each group has its own";

pub static DIALS: [Dial; 13] = [
    dial("a rule's way to the nodes", (0, 60), &[0, 60], |w, _, v| w.timing.propagation = Range::seconds(0, v), UNDOCUMENTED),
    dial("stale groups", (0, 60), &[15, 60], |w, _, v| w.timing.group_staleness = seconds(v), UNDOCUMENTED),
    dial("stale rules", (0, 60), &[15, 60], |w, _, v| w.timing.rule_staleness = seconds(v), UNDOCUMENTED),
    dial("stale health", (0, 60), &[15, 60], |w, _, v| w.timing.health_staleness = seconds(v), UNDOCUMENTED),
    dial(
        "stale parameters",
        (0, 5),
        &[5],
        |w, _, v| w.timing.parameter_staleness = seconds(v),
        "Parameter Store promises no read after write",
    ),
    dial("boot", (5, 300), &[5, 300], |w, e, v| groups(w, e, |group| group.boot = seconds(v)), OWN),
    dial("application start", (0, 180), &[0, 180], |w, e, v| groups(w, e, |group| group.app_start = seconds(v)), OWN),
    dial("registration", (0, 120), &[0, 120], |w, _, v| w.timing.registration = seconds(v), UNDOCUMENTED),
    dial("deregistration delay", (0, 300), &[0, 300], deregistration, "0 to 3600 s, 300 s by default"),
    dial("health check interval", (5, 60), &[5, 60], interval, "5 to 300 s"),
    dial("termination", (0, 300), &[0, 300], |w, _, v| w.timing.termination = seconds(v), UNDOCUMENTED),
    Dial {
        unit: " item(s)",
        ..dial(
            "a page of a list",
            (1, 50),
            &[1],
            |w, _, v| w.timing.page_items = u32::try_from(v).unwrap_or(u32::MAX),
            "a page may be short",
        )
    },
    Dial {
        unit: "",
        ..dial(
            "current size is instances",
            (0, 1),
            &[1],
            |w, _, v| w.timing.current_size_is_instances = v > 0,
            "the page of UpdateAutoScalingGroup does not say which size it means",
        )
    },
];

const fn dial(
    name: &'static str,
    (low, high): (u64, u64),
    tried: &'static [u64],
    set: fn(&mut World, &Environment, u64),
    reason: &'static str,
) -> Dial {
    Dial { name, low, high, tried, unit: " s", set, reason }
}

fn groups(world: &mut World, env: &Environment, change: impl Fn(&mut crate::sandbox::world::Group)) {
    for color in &env.colors {
        world.groups.get_mut(&color.asg).into_iter().for_each(&change);
    }
}

fn target_groups(world: &mut World, env: &Environment, change: impl Fn(&mut crate::sandbox::world::TargetGroup)) {
    let own = |name: &String| env.colors.iter().any(|color| color.target_groups().any(|known| known == name));
    world.target_groups.values_mut().filter(|group| own(&group.name)).for_each(change);
}

fn deregistration(world: &mut World, env: &Environment, value: u64) {
    target_groups(world, env, |group| group.deregistration_delay_seconds = u32::try_from(value).unwrap_or(u32::MAX));
}

fn interval(world: &mut World, env: &Environment, value: u64) {
    target_groups(world, env, |group| {
        group.interval_seconds = u32::try_from(value).unwrap_or(u32::MAX);
        group.timeout_seconds = group.timeout_seconds.min(group.interval_seconds.saturating_sub(1).max(2));
    });
}

/// Dials that are not where a new account has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timing(BTreeMap<String, u64>);

impl Timing {
    pub fn one(name: &str, value: u64) -> Timing {
        Timing(BTreeMap::from([(name.to_owned(), value)]))
    }

    /// Each dial at each of the values that are tried alone.
    pub fn each() -> Vec<Timing> {
        DIALS.iter().flat_map(|dial| dial.tried.iter().map(|value| Timing::one(dial.name, *value))).collect()
    }

    /// Each dial at the longest of them.
    pub fn longest() -> Vec<Timing> {
        DIALS.iter().filter_map(|dial| Some(Timing::one(dial.name, *dial.tried.iter().max()?))).collect()
    }

    /// Each dial in three is turned to anywhere within its range.
    pub fn drawn(rng: &mut Rng) -> Timing {
        let mut turned = BTreeMap::new();
        for dial in &DIALS {
            if rng.index(3) == 0 {
                turned.insert(dial.name.to_owned(), rng.between(dial.low, dial.high));
            }
        }
        Timing(turned)
    }

    /// Whether it says anything of this dial.
    pub fn turns(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }

    /// The same with one dial fewer, once for each that is turned.
    pub fn simpler(&self) -> Vec<Timing> {
        let without = |name: &String| {
            let mut fewer = self.0.clone();
            fewer.remove(name);
            Timing(fewer)
        };
        self.0.keys().map(without).collect()
    }

    /// Turns the dials of a new account.
    pub fn set(&self, world: &mut World, env: &Environment) {
        for dial in &DIALS {
            if let Some(value) = self.0.get(dial.name) {
                world.in_region(&env.region, |there| (dial.set)(there, env, *value));
            }
        }
        world.refresh();
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_default() {
            return f.write_str("as usual");
        }
        let unit = |name: &str| DIALS.iter().find(|dial| dial.name == name).map_or(" s", |dial| dial.unit);
        let texts: Vec<String> = self.0.iter().map(|(name, value)| format!("{name} {value}{}", unit(name))).collect();
        f.write_str(&texts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dial_has_a_reason_and_is_tried_within_its_range() {
        for dial in &DIALS {
            assert!(!dial.reason.is_empty() && dial.low < dial.high);
            assert!(!dial.tried.is_empty() && dial.tried.iter().all(|value| (dial.low..=dial.high).contains(value)), "{}", dial.name);
        }
    }

    #[test]
    fn a_draw_is_within_every_range_and_repeats_itself() {
        let all: Vec<Timing> = (0..50).map(|seed| Timing::drawn(&mut Rng(seed))).collect();
        assert_eq!(all, (0..50).map(|seed| Timing::drawn(&mut Rng(seed))).collect::<Vec<_>>());
        let within = |(name, value): (&String, &u64)| DIALS.iter().any(|dial| dial.name == name && (dial.low..=dial.high).contains(value));
        assert!(all.iter().all(|timing| timing.0.iter().all(within)));
        assert!(all.iter().any(|timing| timing.0.len() > 2));
    }

    #[test]
    fn simpler_is_one_dial_fewer_and_at_last_as_usual() {
        let both = Timing(BTreeMap::from([("boot".to_owned(), 9), ("stale rules".to_owned(), 15)]));
        assert_eq!(both.simpler(), [Timing::one("stale rules", 15), Timing::one("boot", 9)]);
        assert_eq!(both.to_string(), "boot 9 s, stale rules 15 s");
        assert_eq!(Timing::one("boot", 9).simpler(), [Timing::default()]);
        assert!(Timing::default().is_default());
    }
}
