//! What must hold once a run has ended and all that it set in motion has settled.

use super::charter::{Color, Resolved};
use super::replay::{Scene, Shares, shares, weighted};
use super::{Breach, Condition, Final, Invariant};
use crate::sandbox::world::{Actions, Group, Happening, Lifecycle, World};
use std::collections::{BTreeMap, BTreeSet};

/// Two worlds and what lies between them.
pub(super) struct Rest<'a> {
    pub names: &'a Resolved<'a>,
    pub before: &'a World,
    pub after: &'a World,
    /// The environment at the end.
    pub scene: &'a Scene,
    pub finals: &'a [Final],
}

impl Rest<'_> {
    pub fn judge(&self, undone: bool, lock_owner: Option<&str>) -> Vec<Breach> {
        let mut found = self.agreement();
        for color in &self.names.charter.colors {
            found.extend(self.restored(color));
        }
        found.extend(self.protected());
        found.extend(self.lock(lock_owner));
        found.extend(self.boot_version());
        if undone {
            found.extend(self.undone());
        }
        found.into_iter().map(|condition| condition.at(self.after.now)).collect()
    }

    /// A finding about a resource, caused by the client's last call on it.
    fn finding(&self, invariant: Invariant, subject: &str, resource: &str, what: String) -> Condition {
        let caused_by = self.scene.touched.get(resource).copied();
        Condition { invariant, subject: subject.to_owned(), severity: 1, what, caused_by }
    }

    /// What each route forwards to by its API: label and shares.
    fn routes(&self) -> Vec<(&str, Shares)> {
        let found = self.names.routes.iter().filter_map(|(arn, label)| Some((label.as_str(), actions(self.after, arn)?)));
        found.map(|(label, actions)| (label, shares(weighted(&actions.api)))).collect()
    }

    /// The target group that all routes forward everything to, or that stands for those of its colour.
    fn serving(&self) -> Option<String> {
        let main = |shares: Shares| shares.into_keys().map(|arn| self.names.main_of(&arn).to_owned()).collect();
        let all: BTreeSet<Vec<String>> = self.routes().into_iter().map(|(_, shares)| main(shares)).collect();
        match all.into_iter().collect::<Vec<_>>().as_slice() {
            [one] if one.len() == 1 => one.first().cloned(),
            _ => None,
        }
    }

    fn agreement(&self) -> Vec<Condition> {
        let charter = self.names.charter;
        let Some(arn) = self.serving() else {
            if charter.allows.mixed_versions {
                return Vec::new();
            }
            let texts = self.routes().into_iter().map(|(label, shares)| {
                let parts: Vec<String> =
                    shares.iter().map(|(arn, s)| format!("{} {} %", self.names.name_of(arn), (s * 100.0).round())).collect();
                format!("{label} -> {}", if parts.is_empty() { "nothing".to_owned() } else { parts.join(" + ") })
            });
            let what = format!("routes disagree: {}", texts.collect::<Vec<_>>().join("; "));
            let last = self.names.routes.iter().filter_map(|(route, _)| self.scene.touched.get(route)).max().copied();
            return vec![Condition { caused_by: last, ..self.finding(Invariant::Agreement, "routes", "", what) }];
        };
        let color = self.names.color_in(self.scene, &arn).map_or_else(|| arn.clone(), |c| c.name.clone());
        let wanted = [(&charter.active_color, color), (&charter.active_target_group, arn.clone())];
        let mut found = Vec::new();
        for (name, wanted) in wanted {
            let (was, is) = (value(self.before, name), value(self.after, name));
            let never_there = was.is_none() && is.is_none();
            if never_there || is == Some(wanted.as_str()) {
                continue;
            }
            let what = format!("{} serves, but {name} says {}", self.names.name_of(&arn), is.unwrap_or("nothing"));
            found.push(self.finding(Invariant::Agreement, name, name, what));
        }
        found
    }

    /// Somebody who may has set this size for good.
    fn declared(&self, group: &str, field: fn(&Final) -> Option<u32>, value: u32) -> bool {
        self.finals.iter().any(|f| f.group == group && field(f) == Some(value))
    }

    fn restored(&self, color: &Color) -> Vec<Condition> {
        let (Some(was), Some(is)) = (self.before.groups.get(&color.group), self.after.groups.get(&color.group)) else {
            return Vec::new();
        };
        let name = color.group.as_str();
        let serves = self.names.serves(self.scene, name).is_some();
        let declared = |field: fn(&Final) -> Option<u32>, value: u32| self.declared(name, field, value);
        let least = serves && self.names.charter.least == Some(is.min);
        let desired = serves || self.moved_by_aws(name) || declared(|f| f.desired, is.desired);
        let fields = [
            ("MinSize", was.min, is.min, least || declared(|f| f.min, is.min)),
            ("MaxSize", was.max, is.max, declared(|f| f.max, is.max)),
            ("desired capacity", was.desired, is.desired, desired),
        ];
        let mut found = Vec::new();
        for (field, was, is, accepted) in fields {
            if was != is && !accepted {
                let what = format!("{field} of {name} was {was} and is left at {is}");
                found.push(self.finding(Invariant::Restored, &format!("{name} {field}"), name, what));
            }
        }
        if was.suspended != is.suspended {
            let what = format!("suspended processes of {name} were [{}] and are left at [{}]", list(&was.suspended), list(&is.suspended));
            found.push(self.finding(Invariant::Restored, &format!("{name} processes"), name, what));
        }
        let pinned = |group: &Group| group.min == group.max;
        if serves && pinned(is) && !pinned(was) {
            let what = format!("{name} serves and is pinned: MinSize = MaxSize = {}", is.max);
            found.push(self.finding(Invariant::Restored, &format!("{name} pinned"), name, what));
        }
        found
    }

    /// A scaling policy or scheduled action moved the desired capacity after the last call that did. A call that set only bounds leaves it
    /// as autoscaling had it, and so does one that puts back what autoscaling last asked for.
    fn moved_by_aws(&self, group: &str) -> bool {
        let first = self.before.log.len().min(self.after.log.len());
        let (mut moved, mut known, mut asked) = (false, self.before.groups.get(group).map(|g| g.desired), None);
        for entry in &self.after.log[first..] {
            match &entry.what {
                Happening::Scaled { group: name, to, .. } if name == group => {
                    (moved, known, asked) = (true, Some(*to), Some(*to));
                }
                Happening::Resized { group: name, desired, .. } if name == group && known != Some(*desired) => {
                    (moved, known) = (asked == Some(*desired), Some(*desired));
                }
                _ => {}
            }
        }
        moved
    }

    /// Instances left protected from scale-in that were not so.
    fn protected(&self) -> Vec<Condition> {
        let own = |group: &str| self.names.charter.colors.iter().any(|c| c.group == group);
        let was = |id: &str| self.before.instances.get(id).is_some_and(|i| i.protected);
        let left = self.after.instances.values().filter(|i| own(&i.group) && i.protected != was(&i.id) && i.interrupted_at.is_none());
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for instance in left {
            groups.entry(&instance.group).or_default().push(&instance.id);
        }
        let finding = |(group, ids): (&str, Vec<&str>)| {
            let what = format!("protection from scale-in of {} in {group} is not as it was", ids.join(", "));
            self.finding(Invariant::Restored, &format!("{group} protection"), group, what)
        };
        groups.into_iter().map(finding).collect()
    }

    fn lock(&self, owner: Option<&str>) -> Option<Condition> {
        let charter = self.names.charter;
        let key = charter.lock.as_ref()?;
        let text = text(self.after, charter.state_bucket(), key).filter(|text| !says_free(text))?;
        let resource = format!("{}/{key}", charter.state_bucket());
        let what = match owner {
            None => format!("the lock {key} is left behind"),
            Some(owner) if text.contains(owner) => return None,
            Some(owner) => format!("the lock {key} does not name {owner}"),
        };
        Some(self.finding(Invariant::Lock, key, &resource, what))
    }

    /// I10: the text of the live colour's version key is what its targets run.
    fn boot_version(&self) -> Option<Condition> {
        let charter = self.names.charter;
        let arn = self.serving()?;
        let color = self.names.color_in(self.scene, &arn)?;
        let serving: BTreeSet<&str> =
            self.scene.reached(&arn).into_iter().filter_map(|id| self.scene.versions.get(id)).map(String::as_str).collect();
        let key = text(self.after, &charter.bucket, &color.version_key);
        let key = key.as_deref().map(str::trim);
        if serving.is_empty() || (serving.len() == 1 && key.is_some_and(|key| serving.contains(key))) {
            return None;
        }
        let runs: Vec<&str> = serving.into_iter().collect();
        let what = format!("{} serves {}, but its next instance boots {}", color.group, runs.join(", "), key.unwrap_or("nothing"));
        let resource = format!("{}/{}", charter.bucket, color.version_key);
        Some(self.finding(Invariant::BootVersion, &color.version_key, &resource, what))
    }

    /// I11: everything that a run may set is as it was.
    fn undone(&self) -> Vec<Condition> {
        let charter = self.names.charter;
        let mut found = Vec::new();
        for (arn, label) in &self.names.routes {
            if actions(self.before, arn).map(|a| &a.api) != actions(self.after, arn).map(|a| &a.api) {
                found.push(self.finding(Invariant::Undone, label, arn, format!("the actions of {label} are not what they were")));
            }
        }
        for color in &charter.colors {
            found.extend(self.group_undone(&color.group));
        }
        found.extend(self.left_in_standby());
        found.extend(self.left_registered());
        let parameters: BTreeSet<&String> = self.before.parameters.keys().chain(self.after.parameters.keys()).collect();
        for name in parameters.into_iter().filter(|name| charter.may_write_parameter(name)) {
            let (was, is) = (value(self.before, name), value(self.after, name));
            if was != is {
                let what = format!("{name} was {} and is {}", was.unwrap_or("absent"), is.unwrap_or("absent"));
                found.push(self.finding(Invariant::Undone, name, name, what));
            }
        }
        let keys =
            |world: &World| world.buckets.get(&charter.bucket).map(|b| b.keys().cloned().collect::<BTreeSet<_>>()).unwrap_or_default();
        for key in keys(self.before).union(&keys(self.after)).filter(|key| !charter.is_state(key)) {
            let resource = format!("{}/{key}", charter.bucket);
            let (was, is) = (text(self.before, &charter.bucket, key), text(self.after, &charter.bucket, key));
            if charter.may_write_object(&resource) && was != is {
                let what = format!("{key} was {} and is {}", shown(was.as_deref()), shown(is.as_deref()));
                found.push(self.finding(Invariant::Undone, key, &resource, what));
            }
        }
        found
    }

    /// Instances that are out of service and were not.
    fn left_in_standby(&self) -> Vec<Condition> {
        let own = |group: &str| self.names.charter.colors.iter().any(|c| c.group == group);
        let was = |id: &str| self.before.instances.get(id).is_some_and(|i| i.lifecycle == Lifecycle::Standby);
        let left = self.after.instances.values().filter(|i| own(&i.group) && i.lifecycle == Lifecycle::Standby && !was(&i.id));
        left.map(|i| self.finding(Invariant::Undone, &i.id, &i.id, format!("{} of {} is left in Standby", i.id, i.group))).collect()
    }

    /// Groups whose instances are in the target group that both colours share, and were not, or the other way round.
    fn left_registered(&self) -> Vec<Condition> {
        let was = Scene::begin(self.names, self.before);
        let changed = self.names.charter.colors.iter().zip(&self.names.target_groups).filter(|(color, arn)| {
            self.names.shares_target_group() && (was.registered(arn, &color.group) > 0) != (self.scene.registered(arn, &color.group) > 0)
        });
        let what = |count: usize| if count > 0 { "are left in" } else { "are no longer in" };
        let finding = |(color, arn): (&Color, &String)| {
            let what =
                format!("instances of {} {} {}", color.group, what(self.scene.registered(arn, &color.group)), self.names.name_of(arn));
            self.finding(Invariant::Undone, &color.group, arn, what)
        };
        changed.map(finding).collect()
    }

    fn group_undone(&self, name: &str) -> Option<Condition> {
        let (was, is) = (self.before.groups.get(name)?, self.after.groups.get(name)?);
        let serves = self.names.serves(self.scene, name).is_some();
        // The desired capacity of a group that serves is never lowered again.
        let desired = was.desired == is.desired || self.moved_by_aws(name) || (serves && is.desired >= was.desired);
        let desired = desired || self.declared(name, |f| f.desired, is.desired);
        let min = was.min == is.min || self.declared(name, |f| f.min, is.min);
        if min && (was.max, &was.suspended) == (is.max, &is.suspended) && desired {
            return None;
        }
        let shape = |g: &Group| format!("{}/{}/{} [{}]", g.min, g.desired, g.max, list(&g.suspended));
        let what = format!("{name} was {} and is {} (min/desired/max, suspended)", shape(was), shape(is));
        Some(self.finding(Invariant::Undone, name, name, what))
    }
}

fn actions<'a>(world: &'a World, resource: &str) -> Option<&'a Actions> {
    world.rules.get(resource).map(|r| &r.actions).or_else(|| world.listeners.get(resource).map(|l| &l.actions))
}

fn value<'a>(world: &'a World, parameter: &str) -> Option<&'a str> {
    world.parameters.get(parameter).map(|p| p.value.as_str())
}

fn text(world: &World, bucket: &str, key: &str) -> Option<String> {
    let object = world.buckets.get(bucket)?.get(key)?;
    Some(String::from_utf8_lossy(&object.body).into_owned())
}

/// The beginning of an object's text, for one line.
fn shown(text: Option<&str>) -> String {
    text.map_or_else(|| "absent".to_owned(), |text| text.trim().chars().take(60).collect())
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// A lock that could not be deleted says itself that its run is over: it stands in nobody's way.
fn says_free(lock: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(lock).is_ok_and(|lock| lock["ended"] == true)
}
