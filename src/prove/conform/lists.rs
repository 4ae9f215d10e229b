//! Rules that need several looks at one list: the order of states, and how long each lasts.
//!
//! A look shows how things were at some moment between the beginning of its call, less what a view may be late by, and its answer. So a
//! state lasted at least from the answer that first showed it to the beginning of the last look that did, less that lateness; and at most
//! from the beginning of the last look that did not show it yet to the answer that showed the next one.

use super::{Judge, Told};
use crate::run::sight::{Of, Sighting};
use crate::sandbox::world::Lifecycle;
use crate::sandbox::world::possible::{Checks, Phase};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Between looks that are further apart than this, anything may have come and gone.
const APART_MS: i64 = 60_000;

/// One look at a list.
pub(super) struct Look {
    pub list: Of,
    pub of: String,
    pub from: Timestamp,
    pub until: Timestamp,
    /// Of the same wait, and nothing else changed since: the look before began then.
    pub before: Option<Timestamp>,
    pub now: BTreeMap<String, Option<String>>,
}

impl Look {
    pub fn of(sighting: &Sighting) -> Look {
        let Sighting { list, of, from, until, before, now } = sighting.clone();
        Look { list, of, from, until, before, now }
    }

    fn call(&self) -> String {
        let operation = match self.list {
            Of::Instances => "DescribeAutoScalingGroups",
            Of::Targets => "DescribeTargetHealth",
        };
        format!("{operation} {}", self.of)
    }
}

/// An instance or target in a state.
#[derive(Clone)]
struct Stay {
    word: String,
    /// The last look that did not show it so began then; `None`: there was none.
    after: Option<Timestamp>,
    /// The first answer that showed it so, of looks that are close enough.
    since: Timestamp,
    /// The last look that showed it so began then.
    last: Timestamp,
    /// It was not in the list before.
    is_new: bool,
    /// It is known to be too long.
    told: bool,
}

#[derive(Default)]
struct List {
    last: Option<Timestamp>,
    stays: BTreeMap<String, Stay>,
    gone: BTreeSet<String>,
}

#[derive(Default)]
pub(super) struct Lists {
    lists: BTreeMap<(Of, String), List>,
}

impl Lists {
    /// Another process, perhaps on another machine: its clock may disagree, and nothing is measured across that.
    pub fn other_clock(&mut self) {
        for list in self.lists.values_mut() {
            list.last = None;
            list.stays.values_mut().for_each(|stay| (stay.after, stay.last) = (None, Timestamp::MIN));
        }
    }

    /// The group wanted no instance then: what it has later was launched after that.
    pub fn was_empty(&mut self, asg: &str, at: Timestamp) {
        let list = self.lists.entry((Of::Instances, asg.to_owned())).or_default();
        list.last = list.last.max(Some(at));
    }
}

/// Milliseconds within which a state must have lasted, and those that it is known to have.
struct Span {
    least: Option<i64>,
    most: Option<i64>,
}

fn ms(from: Timestamp, until: Timestamp) -> i64 {
    until.as_millisecond() - from.as_millisecond()
}

impl Judge<'_> {
    pub(super) fn look(&mut self, look: &Look) {
        let key = (look.list, look.of.clone());
        let mut list = self.seen.lists.lists.remove(&key).unwrap_or_default();
        if let Some(before) = look.before {
            // The look before showed everything as it is known.
            list.stays.values_mut().for_each(|stay| stay.last = stay.last.max(before));
            list.last = list.last.max(Some(before));
        }
        let mut ids: BTreeSet<String> = list.stays.keys().cloned().collect();
        ids.extend(look.now.keys().cloned());
        for id in ids {
            let known = list.stays.remove(&id);
            let now = match (look.now.get(&id), look.before) {
                (Some(now), _) => now.clone(),
                (None, Some(_)) => known.as_ref().map(|stay| stay.word.clone()),
                (None, None) => None,
            };
            let Some(word) = now else {
                list.gone.insert(id);
                continue;
            };
            let returned = list.gone.contains(&id);
            let stay = self.stay(look, &id, &word, known, (list.last, returned));
            list.stays.insert(id, stay);
        }
        list.last = Some(look.from);
        self.seen.lists.lists.insert(key, list);
    }

    /// One line of the list: what it was, what it is, and how long that took.
    fn stay(&mut self, look: &Look, id: &str, word: &str, known: Option<Stay>, (listed, returned): (Option<Timestamp>, bool)) -> Stay {
        if look.list == Of::Targets {
            let (state, reason) = word.split_once(' ').unwrap_or((word, ""));
            self.target_word(&look.of, id, state, reason);
        } else {
            self.lifecycle(look, id, word, known.as_ref(), returned);
        }
        let Some(known) = known else {
            let new = Stay { word: word.to_owned(), after: listed, since: look.until, last: look.from, is_new: true, told: false };
            self.arrived(look, id, &new);
            return new;
        };
        if goes_on(&known.word, word) {
            let apart = look.before.is_none() && ms(known.last, look.from) > APART_MS;
            let since = if apart { look.until } else { known.since };
            let mut stay = Stay { word: word.to_owned(), since, last: look.from, ..known };
            self.lasts(look, id, &mut stay);
            return stay;
        }
        self.changed(look, id, &known, word);
        Stay { word: word.to_owned(), after: Some(known.last), since: look.until, last: look.from, is_new: false, told: false }
    }

    fn lifecycle(&mut self, look: &Look, id: &str, word: &str, known: Option<&Stay>, returned: bool) {
        let of = |word: &str| Lifecycle::named(word.trim_end_matches(" Unhealthy"));
        let told = || Told {
            call: look.call(),
            before: known
                .map_or_else(|| if returned { format!("{id} had gone") } else { String::new() }, |stay| format!("{id} {}", stay.word)),
            now: format!("{id} {word}"),
            ..Told::default()
        };
        self.ask("lifecycle state", of(word).is_some(), told);
        if known.is_none() {
            self.ask("ended", !returned, told);
        }
        let Some(known) = known else { return };
        if let (Some(before), Some(now)) = (of(&known.word), of(word)) {
            self.ask("lifecycle order", before.may_lead_to(now), told);
        }
        if known.word.ends_with(" Unhealthy") {
            self.ask("unhealthy", word.ends_with(" Unhealthy"), told);
        }
    }

    /// What a view of this list may be late by, in milliseconds.
    fn late(&self, list: Of) -> i64 {
        let range = match list {
            Of::Instances => self.world.timing.group_staleness,
            Of::Targets => self.world.timing.health_staleness,
        };
        range.high as i64
    }

    /// New in the list: an instance that is in service already has booted since it was not there.
    fn arrived(&mut self, look: &Look, id: &str, new: &Stay) {
        if look.list == Of::Instances && Lifecycle::named(&new.word) == Some(Lifecycle::InService) {
            let most = new.after.map(|after| ms(after, look.until) + self.late(look.list));
            self.boot(look, id, &Span { least: None, most }, "not there");
        }
    }

    fn boot(&mut self, look: &Look, id: &str, span: &Span, before: &str) {
        let Some(boot) = self.world.groups.get(&look.of).map(|group| group.boot) else { return };
        if span.least.is_none() && span.most.is_none() {
            return;
        }
        let holds = span.least.is_none_or(|least| least <= boot.high as i64) && span.most.is_none_or(|most| most >= boot.low as i64);
        self.ask("boot", holds, || told(look, id, before, "InService", span, (boot.low, boot.high)));
    }

    /// Still the same: too long?
    fn lasts(&mut self, look: &Look, id: &str, stay: &mut Stay) {
        let least = ms(stay.since, stay.last) - self.late(look.list);
        let Some((rule, most)) = self.longest(look, stay) else { return };
        let holds = least <= most;
        if !std::mem::replace(&mut stay.told, !holds) || holds {
            let (word, span) = (stay.word.clone(), Span { least: Some(least), most: None });
            self.ask(rule, holds, || told(look, id, &word, &word, &span, (0, most.unsigned_abs())));
        }
    }

    /// The rule that ends a state, and after how many milliseconds.
    fn longest(&self, look: &Look, stay: &Stay) -> Option<(&'static str, i64)> {
        let timing = &self.world.timing;
        if look.list == Of::Targets {
            let phase = phase(&stay.word)?;
            let rule = if phase == Phase::Draining { "draining" } else { "registration" };
            return Some((rule, self.checks(&look.of)?.most_ms(phase)? as i64));
        }
        let group = self.world.groups.get(&look.of)?;
        let drains = group.target_groups.iter().filter_map(|arn| self.world.target_groups.get(arn)).map(|g| g.deregistration_delay_seconds);
        match Lifecycle::named(stay.word.trim_end_matches(" Unhealthy"))? {
            Lifecycle::Pending if stay.is_new => Some(("boot", group.boot.high as i64)),
            Lifecycle::Terminating => Some(("termination", i64::from(drains.max().unwrap_or(0)) * 1000 + timing.termination.high as i64)),
            Lifecycle::Terminated => Some(("termination", timing.terminated_listed.high as i64)),
            Lifecycle::Pending | Lifecycle::InService | Lifecycle::Standby => None,
        }
    }

    /// Another state than before: too soon, or too late?
    fn changed(&mut self, look: &Look, id: &str, known: &Stay, word: &str) {
        let late = self.late(look.list);
        let span = Span { least: Some(ms(known.since, known.last) - late), most: known.after.map(|after| ms(after, look.until) + late) };
        if look.list == Of::Instances {
            let of = |word: &str| Lifecycle::named(word.trim_end_matches(" Unhealthy"));
            if known.is_new && of(&known.word) == Some(Lifecycle::Pending) && of(word) == Some(Lifecycle::InService) {
                self.boot(look, id, &span, "Pending");
            }
            return;
        }
        let (Some(before), Some(next), Some(checks)) = (phase(&known.word), phase(word), self.checks(&look.of)) else { return };
        let least = checks.least_ms(before, next) as i64;
        if let (Some(most), 1..) = (span.most, least) {
            let shown = Span { least: None, ..span };
            self.ask("health checks", most >= least, || told(look, id, &known.word, word, &shown, (least.unsigned_abs(), u64::MAX)));
        }
    }

    /// How a target group is checked: as it was found, and drained as the world says. `None`: its list may be of more than one.
    fn checks(&self, of: &str) -> Option<Checks> {
        let shared = |topology: &crate::run::traffic::Topology| {
            let arns: BTreeSet<&str> = topology.target_groups.values().map(|group| group.arn.as_str()).collect();
            !topology.others.is_empty() || arns.len() < topology.target_groups.len()
        };
        let of_all =
            self.seen.topologies.iter().rev().flat_map(|topology| topology.target_groups.values().map(move |group| (topology, group)));
        let (topology, found) = of_all.into_iter().find(|(_, group)| group.name == of || group.arn == of)?;
        let known = self.world.target_groups.values().find(|group| group.name == found.name)?;
        let checks = Checks::of(known, &self.world.timing);
        (!shared(topology)).then(|| Checks {
            interval_ms: u64::from(found.check_interval_seconds) * 1000,
            healthy_after: found.healthy_threshold,
            unhealthy_after: found.unhealthy_threshold,
            ..checks
        })
    }
}

fn phase(word: &str) -> Option<Phase> {
    Phase::named(word.split(' ').next().unwrap_or_default())
}

/// The same state, seen again. A target whose registration begins anew is none.
fn goes_on(before: &str, now: &str) -> bool {
    before == now || (before.ends_with("RegistrationInProgress") && now.ends_with("InitialHealthChecking"))
}

fn told(look: &Look, id: &str, before: &str, now: &str, span: &Span, (low, high): (u64, u64)) -> Told {
    let seconds = |ms: i64| format!("{:.1} s", ms.max(0) as f64 / 1000.0);
    let measured = match (span.least, span.most) {
        (Some(least), Some(most)) => format!("{} to {}", seconds(least), seconds(most)),
        (Some(least), None) => format!("{} or more", seconds(least)),
        (None, Some(most)) => format!("{} or less", seconds(most)),
        (None, None) => "nothing".to_owned(),
    };
    let believed = match (low, high) {
        (low, u64::MAX) => format!("{} or more", seconds(low as i64)),
        (0, high) => format!("at most {}", seconds(high as i64)),
        (low, high) => format!("{} to {}", seconds(low as i64), seconds(high as i64)),
    };
    Told {
        call: look.call(),
        before: format!("{id} {before}"),
        now: format!("{id} {now}"),
        measured: format!("{measured}; the sandbox says {believed}"),
    }
}
