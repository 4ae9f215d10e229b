//! What must hold at every instant: healthy targets, capacity, no errors, one version. Walks the log once.

use super::charter::Resolved;
use super::replay::{SPOT_NOTICE, Scene, Shares, Sizes, shares};
use super::{Breach, Condition, Intervals, Invariant, Tally, calls};
use crate::sandbox::world::{Entry, Happening, Mark, Time, World};
use std::collections::{BTreeMap, BTreeSet};

/// A loss this short before traffic came could not be known to who sent it: what Describe shows lags behind.
const UNSEEN_MS: u64 = 30_000;
/// What an alarm asks for so soon after traffic came was decided while there was none: metrics have periods of a minute.
const UNMEASURED_MS: u64 = 30_000;
/// Who goes on with a run finds out about a stranger's change of the routes at the next look, and gives back what no longer fits it; a run
/// that is committed does so at its end, after a watch of a minute.
const NOTICED_MS: u64 = 90_000;
/// Processes without which AWS does not replace what it took.
const REPLACING: [&str; 5] = ["AddToLoadBalancer", "HealthCheck", "Launch", "ReplaceUnhealthy", "Terminate"];
/// Requests are counted in whole numbers per flow and version.
const ROUNDING: f64 = 0.001;

/// The walk's own memory.
struct Walk<'a> {
    names: &'a Resolved<'a>,
    scene: Scene,
    begin: Time,
    window: u64,
    /// Instances that must serve.
    needed: u32,
    /// Autoscaling may lower `needed` to this.
    least: u32,
    /// Processes that were suspended at the start, by group.
    suspended: BTreeMap<String, BTreeSet<String>>,
    /// Since when a target group gets requests, and the version that it serves since then.
    serving: BTreeMap<String, Serving>,
    /// From when until when a target group served before.
    served: BTreeMap<String, Vec<(Time, Time)>>,
    /// Share of the requests that ended in an error at the start and does so still.
    errors: f64,
    /// First and last moment at which a node began to send requests elsewhere.
    switched: Option<(Time, Time)>,
}

#[derive(Clone, Debug)]
struct Serving {
    since: Time,
    /// Somebody else than the client sent the traffic there.
    by_other: bool,
    version: Option<String>,
}

/// Breaches at every instant, what was measured, and the scene at the end.
pub(super) fn judge(names: &Resolved, before: &World, after: &World) -> (Vec<Breach>, Tally, Scene) {
    let first = before.log.len().min(after.log.len());
    let mut walk = Walk::begin(names, before);
    let marks = |world: &World| world.traffic.get(&names.charter.env).cloned().unwrap_or_default();
    walk.follow(before.now, marks(before).last());
    let mut intervals = Intervals::begin(walk.conditions(before.now, marks(before).last()));
    let marks = marks(after);
    let mut tally = Tally::default();
    let mut breaches = Vec::new();
    let mut next = first;
    let moments: Vec<Time> = moments(before, after, first, walk.window, &marks).into_iter().collect();
    for (index, now) in moments.iter().enumerate() {
        while next < after.log.len() && after.log[next].at <= *now {
            breaches.extend(calls::judge(names, &walk.scene, &after.log, next));
            walk.apply(after, next);
            next += 1;
        }
        let mark = marks.iter().rev().find(|mark| mark.at <= *now);
        walk.follow(*now, mark);
        intervals.note(*now, walk.conditions(*now, mark));
        let end = moments.get(index + 1).copied().unwrap_or(after.now);
        walk.measure(end.since(*now) as f64 / 1000.0, &mut tally);
    }
    breaches.extend(intervals.finish());
    breaches.extend(calls::throttled(&after.log, first, &mut tally));
    tally.switched = walk.switched;
    (breaches, tally, walk.scene)
}

/// Every moment at which something may begin or cease to hold.
fn moments(before: &World, after: &World, first: usize, window: u64, marks: &[Mark]) -> BTreeSet<Time> {
    let mut found = BTreeSet::from([before.now]);
    for entry in &after.log[first..] {
        found.insert(entry.at);
        if let Happening::Rerouted { .. } = &entry.what {
            found.insert(entry.at.after_ms(window + 1));
            found.insert(entry.at.after_ms(NOTICED_MS + 1));
        }
        if let Happening::SpotNotice { .. } = &entry.what {
            found.insert(entry.at.after_ms(SPOT_NOTICE));
        }
    }
    found.extend(marks.iter().map(|mark| mark.at));
    found.range(before.now..=after.now).copied().collect()
}

fn error_share(mark: &Mark) -> f64 {
    mark.errors as f64 / mark.requests.max(1) as f64
}

impl<'a> Walk<'a> {
    fn begin(names: &'a Resolved<'a>, before: &World) -> Walk<'a> {
        let scene = Scene::begin(names, before);
        let bearing = scene.bearing();
        // Services of one colour are served by the same instances.
        let mut start: BTreeMap<&str, u32> = BTreeMap::new();
        for arn in bearing.keys() {
            let most = start.entry(names.main_of(arn)).or_default();
            *most = scene.healthy(arn).max(*most);
        }
        let start: u32 = start.values().sum();
        let serves = |group: &str| names.serves(&scene, group).is_some_and(|(_, arn)| bearing.contains_key(arn));
        let live = names.charter.colors.iter().filter(|color| serves(&color.group));
        let min = live.filter_map(|color| scene.groups.get(&color.group)).map(|sizes| sizes.min).min();
        let least = [min, names.charter.least].into_iter().flatten().min().unwrap_or(0);
        Walk {
            names,
            begin: before.now,
            window: names.charter.window_in(before),
            needed: names.charter.floor.map_or(start, |floor| floor.min(start)),
            least,
            suspended: scene.groups.iter().map(|(name, sizes)| (name.clone(), sizes.suspended.clone())).collect(),
            serving: BTreeMap::new(),
            served: BTreeMap::new(),
            switched: None,
            errors: 1.0,
            scene,
        }
    }

    fn apply(&mut self, after: &World, index: usize) {
        if let Happening::Scaled { group, to, .. } = &after.log[index].what
            && self.names.serves(&self.scene, group).is_some_and(|(_, arn)| self.measured(arn, after.log[index].at))
        {
            // What autoscaling could have done without the run's lower bounds is no fault of the run.
            self.needed = self.needed.min((*to).max(self.least));
        }
        let (Entry { at, what }, charter) = (&after.log[index], self.names.charter);
        if let Happening::Propagated { resource, node, targets } = what
            && let Some(old) = self.scene.nodes.get(resource).and_then(|nodes| nodes.get(*node))
            && *old != shares(targets)
        {
            self.switched = Some((self.switched.map_or(*at, |(begin, _)| begin), *at));
        }
        self.scene.apply(&after.log, index);
        if let Happening::Booted { group, instance, .. } = what
            && let Some((color, _)) = self.names.color_of_group(group)
            && let Some(put) = self.scene.touched.get(&format!("{}/{}", charter.bucket, color.version_key))
        {
            // What it booted is the doing of whoever wrote the key last.
            self.scene.booted.insert(instance.clone(), (*at, *put));
        }
    }

    /// Autoscaling can know the load of what this target group gets.
    fn measured(&self, arn: &str, now: Time) -> bool {
        self.serving.get(arn).is_some_and(|serving| serving.since <= self.begin || now.since(serving.since) >= UNMEASURED_MS)
    }

    /// Notes which target groups begin or cease to get requests, and the version that each begins with.
    fn follow(&mut self, now: Time, mark: Option<&Mark>) {
        let bearing = self.scene.bearing();
        // Where nobody healthy has served yet, what a target that still registers answers by chance is no promise.
        if bearing.keys().any(|arn| self.scene.healthy(arn) > 0) {
            self.errors = self.errors.min(mark.map_or(0.0, error_share));
        }
        for (arn, ended) in self.serving.extract_if(.., |arn, _| !bearing.contains_key(arn)) {
            self.served.entry(arn).or_default().push((ended.since, now));
        }
        for arn in bearing.into_keys() {
            let version = self.main_version(&arn);
            let serving = self.serving.entry(arn).or_insert(Serving { since: now, by_other: self.scene.moved_by_other, version: None });
            serving.version = serving.version.take().or(version);
        }
    }

    /// The version of most targets that get requests; of the first by name where several are as many.
    fn main_version(&self, arn: &str) -> Option<String> {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for version in self.scene.reached(arn).into_iter().filter_map(|id| self.scene.versions.get(id)) {
            *counts.entry(version).or_default() += 1;
        }
        counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(version, _)| version.to_owned())
    }

    fn conditions(&self, now: Time, mark: Option<&Mark>) -> Vec<Condition> {
        let bearing = self.scene.bearing();
        let mut found = Vec::new();
        if !self.names.charter.allows.take_down {
            found.extend(self.nowhere());
            for (arn, share) in &bearing {
                found.extend(self.capacity(arn, *share, now));
            }
            found.extend(mark.and_then(|mark| self.errors(now, mark, &bearing)));
        }
        if !self.names.charter.allows.mixed_versions {
            found.extend(self.split(now));
            for arn in bearing.keys() {
                found.extend(self.foreign_versions(arn));
            }
        }
        found
    }

    /// Routes whose rule forwards to no target group on some node.
    fn nowhere(&self) -> Vec<Condition> {
        let empty = |arn: &String| self.scene.nodes.get(arn).map_or(0, |nodes| nodes.iter().filter(|n| n.is_empty()).count());
        let routes = self.names.routes.iter().filter(|(arn, _)| empty(arn) > 0);
        let condition = |(arn, label): &(String, String)| Condition {
            invariant: Invariant::HealthyTarget,
            subject: label.clone(),
            severity: empty(arn) as u32,
            what: format!("{label} forwards to no target group on {} node(s)", empty(arn)),
            caused_by: self.scene.touched.get(arn).copied(),
        };
        routes.map(condition).collect()
    }

    /// Instances that this target group lacks, those aside that AWS took and is replacing.
    fn lacks(&self, arn: &str, share: f64, now: Time) -> u32 {
        let required = ((f64::from(self.needed) * share - 1e-9).ceil() as u32).max(1);
        required.saturating_sub(self.scene.healthy(arn)).saturating_sub(self.excused(arn, now))
    }

    /// Healthy targets that the world took since traffic came, for as long as the group still asks for them. What somebody else sent
    /// traffic to may have lost them long before: that was theirs to see.
    fn excused(&self, arn: &str, now: Time) -> u32 {
        let Some(color) = self.names.color_in(&self.scene, arn) else { return 0 };
        let Some(sizes) = self.scene.groups.get(&color.group) else { return 0 };
        if self.unreplaced(&color.group, sizes) && !self.leaves(arn) && !self.just_moved_by_other(now) {
            return 0;
        }
        let begins = |serving: &Serving| if serving.by_other { 0 } else { serving.since.0.saturating_sub(UNSEEN_MS) };
        let since = self.serving.get(arn).map_or(0, begins);
        let losses = self.scene.losses.get(arn).map_or(0, |losses| losses.iter().filter(|at| at.0 >= since).count()) as u32;
        losses.min(sizes.desired.saturating_sub(self.scene.healthy(arn)))
    }

    /// A process is suspended, and was not so at the start, without which AWS does not replace what it took.
    fn unreplaced(&self, group: &str, sizes: &Sizes) -> bool {
        let none = BTreeSet::new();
        let known = self.suspended.get(group).unwrap_or(&none);
        sizes.suspended.difference(known).any(|process| REPLACING.contains(&process.as_str()))
    }

    /// The routes name it no longer, and some node has not heard of that: nothing that boots could get there in time.
    fn leaves(&self, arn: &str) -> bool {
        !self.scene.api.values().any(|shares| shares.contains_key(arn))
    }

    fn just_moved_by_other(&self, now: Time) -> bool {
        self.scene.moved_by_other && self.scene.last_route_change.is_some_and(|at| now.since(at) <= NOTICED_MS)
    }

    fn capacity(&self, arn: &str, share: f64, now: Time) -> Vec<Condition> {
        let lacks = self.lacks(arn, share, now);
        if lacks == 0 {
            return Vec::new();
        }
        let (name, healthy) = (self.names.name_of(arn), self.scene.healthy(arn));
        let percent = (share * 100.0).round();
        let condition =
            |invariant, severity, what| Condition { invariant, subject: name.clone(), severity, what, caused_by: self.last_call_on(arn) };
        let mut found = Vec::new();
        if healthy == 0 {
            let what = format!("{name} gets {percent} % of the traffic and has no healthy target");
            found.push(condition(Invariant::HealthyTarget, 1, what));
        }
        if !self.names.charter.allows.less_capacity {
            let needed = healthy + self.excused(arn, now) + lacks;
            let what = format!("{name} gets {percent} % of the traffic with {healthy} healthy target(s), and {needed} are needed");
            found.push(condition(Invariant::Capacity, lacks, what));
        }
        found
    }

    /// The client's last call on a target group, its group or a route.
    fn last_call_on(&self, arn: &str) -> Option<usize> {
        let group = self.names.color_in(&self.scene, arn).and_then(|color| self.scene.touched.get(&color.group));
        let routes = self.names.routes.iter().filter_map(|(route, _)| self.scene.touched.get(route));
        group.into_iter().chain(routes).chain(self.scene.touched.get(arn)).max().copied()
    }

    /// Errors beyond those of instances that the world broke and health checks have not seen yet.
    fn errors(&self, now: Time, mark: &Mark, bearing: &Shares) -> Option<Condition> {
        let share = error_share(mark);
        let excused = |arn: &String, share: f64| {
            let lost_all = self.scene.healthy(arn) == 0 && self.lacks(arn, share, now) == 0;
            if lost_all { 1.0 } else { self.scene.broken_share(arn, now) }
        };
        let expected: f64 = bearing.iter().map(|(arn, share)| share * excused(arn, *share)).sum();
        if share <= expected.max(self.errors) + ROUNDING {
            return None;
        }
        Some(Condition {
            invariant: Invariant::Errors,
            subject: self.names.charter.env.clone(),
            severity: (share * 1000.0).round() as u32,
            what: format!("{:.1} % of the requests of {} end in a 5xx", share * 100.0, self.names.charter.env),
            caused_by: bearing.keys().filter_map(|arn| self.last_call_on(arn)).max(),
        })
    }

    /// Target groups of several versions get traffic, and no rule was changed a moment ago.
    fn split(&self, now: Time) -> Option<Condition> {
        let versions: BTreeSet<&str> = self.serving.values().filter_map(|s| s.version.as_deref()).collect();
        let spreading = self.scene.last_route_change.is_some_and(|at| now.since(at) <= self.window);
        if versions.len() < 2 || spreading {
            return None;
        }
        let parts = self.serving.iter().map(|(arn, s)| format!("{} {}", self.names.name_of(arn), s.version.as_deref().unwrap_or("?")));
        Some(Condition {
            invariant: Invariant::OneVersion,
            subject: "routes".to_owned(),
            severity: versions.len() as u32 - 1,
            what: format!("users meet several versions: {}", parts.collect::<Vec<_>>().join(", ")),
            caused_by: self.names.routes.iter().filter_map(|(route, _)| self.scene.touched.get(route)).max().copied(),
        })
    }

    /// Targets that get requests and run another version than their group began to serve with.
    fn foreign(&self, arn: &str) -> Vec<&str> {
        let Some(version) = self.serving.get(arn).and_then(|s| s.version.as_ref()) else { return Vec::new() };
        let differs = |id: &&str| self.scene.versions.get(*id).is_some_and(|booted| booted != version);
        self.scene.reached(arn).into_iter().filter(differs).collect()
    }

    /// Whether the target group got traffic then, in a term that has ended.
    fn served_at(&self, arn: &str, at: Time) -> bool {
        self.served.get(arn).is_some_and(|terms| terms.iter().any(|(since, until)| *since <= at && at <= *until))
    }

    fn foreign_versions(&self, arn: &str) -> Vec<Condition> {
        let Some(serving) = self.serving.get(arn) else { return Vec::new() };
        let charter = self.names.charter;
        let mut kinds: BTreeMap<Invariant, Vec<&str>> = BTreeMap::new();
        for id in self.foreign(arn) {
            // Only what booted while its group served was beyond the run's reach.
            let since = self.scene.booted.get(id).is_some_and(|(at, _)| *at >= serving.since || self.served_at(arn, *at));
            let kind = if since && charter.shares_version_key() { Invariant::SharedKey } else { Invariant::OneVersion };
            kinds.entry(kind).or_default().push(id);
        }
        let condition = |(invariant, ids): (Invariant, Vec<&str>)| Condition {
            invariant,
            subject: self.names.name_of(arn),
            severity: ids.len() as u32,
            what: format!(
                "{} serves {}, but {} run(s) {}",
                self.names.name_of(arn),
                serving.version.as_deref().unwrap_or("?"),
                ids.join(", "),
                ids.iter()
                    .filter_map(|id| self.scene.versions.get(*id))
                    .cloned()
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            caused_by: ids.iter().filter_map(|id| self.scene.booted.get(*id)).map(|(_, index)| *index).max(),
        };
        kinds.into_iter().map(condition).collect()
    }

    /// Adds up what held for so many seconds from now on.
    fn measure(&self, seconds: f64, tally: &mut Tally) {
        let reached = self.serving.keys().flat_map(|arn| self.scene.reached(arn));
        let versions: BTreeSet<&String> = reached.filter_map(|id| self.scene.versions.get(id)).collect();
        if versions.len() > 1 {
            tally.mixed_seconds += seconds;
        }
        let foreign: usize = self.serving.keys().map(|arn| self.foreign(arn).len()).sum();
        tally.foreign_instance_seconds += foreign as f64 * seconds;
    }
}
