//! What AWS showed of its own doings while the run looked: enough to say later how long they took, and whether the sandbox would do so too.

use crate::account::{Facts, Group, GroupSettings, Instance, Target};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Instances of an Auto Scaling group: lifecycle, and `Unhealthy` where Auto Scaling finds one so.
    Instances,
    /// Targets of a target group: state and reason.
    Targets,
}

/// Words by instance id.
pub type States = BTreeMap<String, String>;

/// One look of a wait: the first one whole, then only what changed; the last one also where nothing did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    pub list: Of,
    /// Name of the group or target group.
    pub of: String,
    /// The look began, and its answer was there.
    pub from: Timestamp,
    pub until: Timestamp,
    /// The look before it began; absent for the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// What is otherwise than at the look before; null where it has gone.
    pub now: BTreeMap<String, Option<String>>,
}

/// The looks of one wait.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    told: Vec<Sighting>,
    last: BTreeMap<(Of, String), Last>,
}

#[derive(Clone, Debug)]
struct Last {
    before: Option<Timestamp>,
    from: Timestamp,
    until: Timestamp,
    states: States,
    is_told: bool,
}

impl Looks {
    /// A look at a list, which began and ended then.
    pub fn note(&mut self, list: Of, of: &str, (from, until): (Timestamp, Timestamp), states: States) {
        let key = (list, of.to_owned());
        let known = self.last.remove(&key);
        let before = known.as_ref().map(|last| last.from);
        let old = known.map(|last| last.states).unwrap_or_default();
        let changed = states.iter().filter(|(id, state)| old.get(*id) != Some(*state)).map(|(id, state)| (id.clone(), Some(state.clone())));
        let gone = old.keys().filter(|id| !states.contains_key(*id)).map(|id| (id.clone(), None));
        let now: BTreeMap<String, Option<String>> = changed.chain(gone).collect();
        let is_told = before.is_none() || !now.is_empty();
        if is_told {
            self.told.push(Sighting { list, of: of.to_owned(), from, until, before, now });
        }
        self.last.insert(key, Last { before, from, until, states, is_told });
    }

    /// All of them, for the journal.
    pub(super) fn told(self) -> Vec<Sighting> {
        let ends = self.last.into_iter().filter(|(_, last)| !last.is_told).map(|((list, of), last)| {
            let Last { before, from, until, .. } = last;
            Sighting { list, of, from, until, before, now: BTreeMap::new() }
        });
        self.told.into_iter().chain(ends.collect::<Vec<_>>()).collect()
    }
}

/// The instances of a group as words.
pub fn of_members(members: &[Instance]) -> States {
    let word = |i: &Instance| if i.healthy { i.lifecycle.clone() } else { format!("{} Unhealthy", i.lifecycle) };
    members.iter().map(|instance| (instance.id.clone(), word(instance))).collect()
}

/// Targets as words.
pub fn of_targets(targets: &[Target]) -> States {
    targets.iter().map(|target| (target.id.clone(), format!("{} {}", target.state, target.reason).trim_end().to_owned())).collect()
}

/// What was read back of an action besides the fields that it sets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadBack {
    /// The whole group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupSettings>,
    /// The parameter's version before and after it; 0 where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<(u64, u64)>,
    /// So long after the reply a look began that still showed it undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_seconds: Option<f64>,
}

impl ReadBack {
    pub(super) fn of(before: &Facts, after: &Facts, unseen: Option<Duration>) -> ReadBack {
        let group = match after {
            Facts::Group(group) | Facts::Member { group, .. } | Facts::Refresh { group, .. } => Some(group.clone()),
            Facts::Targets { group, .. } => Some(settings(group)),
            Facts::Routes(_) | Facts::Parameter(_) | Facts::Object(_) | Facts::Copy { .. } => None,
        };
        let versions = match (before, after) {
            (Facts::Parameter(before), Facts::Parameter(after)) => {
                let version = |p: &Option<crate::account::Parameter>| p.as_ref().map_or(0, |p| p.version);
                Some((version(before), version(after)))
            }
            _ => None,
        };
        ReadBack { group, versions, unseen_seconds: unseen.map(|unseen| unseen.as_secs_f64()) }
    }
}

fn settings(group: &Group) -> GroupSettings {
    let Group { name, min, max, desired, suspended, .. } = group.clone();
    GroupSettings { name, min, max, desired, suspended }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small number of seconds is a time")
    }

    fn states(all: &[(&str, &str)]) -> States {
        all.iter().map(|(id, state)| ((*id).to_owned(), (*state).to_owned())).collect()
    }

    #[test]
    fn only_changes_are_kept_and_when_it_was_last_looked() {
        let mut looks = Looks::default();
        let look = |looks: &mut Looks, second, all: &[(&str, &str)]| {
            looks.note(Of::Instances, "beta-green", (at(second), at(second + 1)), states(all));
        };
        look(&mut looks, 10, &[("a", "Pending")]);
        look(&mut looks, 20, &[("a", "Pending")]);
        look(&mut looks, 30, &[("b", "InService")]);
        look(&mut looks, 40, &[("b", "InService")]);
        let told = looks.told();
        assert_eq!(
            told.iter().map(|s| (s.before.map(|t| t.as_second()), s.from.as_second())).collect::<Vec<_>>(),
            [(None, 10), (Some(20), 30), (Some(30), 40)]
        );
        let changed = BTreeMap::from([("a".to_owned(), None), ("b".to_owned(), Some("InService".to_owned()))]);
        assert_eq!((&told[1].now, told[2].now.len()), (&changed, 0));
    }
}
