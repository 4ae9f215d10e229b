//! Plays scenarios process by process: places faults at calls, lets processes die at events, and goes on from what they left.

use super::cells::{self, Death, Leg, Scenario, Strike, deaths};
use super::faults::{Fault, Harm};
use super::lab::{Go, Left, Outcome, Snap, Trouble};
use super::mishap::{Befall, Scene, Twin};
use super::trace::first_by_other;
use super::verdict::{Bench, Verdict};
use crate::run::event::{self, What};
use crate::run::journal::Journal;
use crate::run::replay::{self, Standing};
use crate::sandbox::Traced;
use crate::sandbox::fault::{Mishap, Rule};
use crate::sandbox::world::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// So many processes at most for one run.
const LEGS: usize = 4;

/// What has happened to the account so far, over all processes of a run.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    pub twins: Vec<Twin>,
    /// Somebody else changed what the run wanted for itself, and it is still so.
    pub stranger: bool,
    /// From when on somebody or something else keeps one of several routes from going where the others go.
    pub apart: Option<Time>,
    /// From when on traffic moves on what was seen before a stranger changed the routes: the call was sent, or its machine went on, later.
    pub blind: Option<Time>,
    /// When a process last looked at what a stranger may change, each thing by an operation that shows it.
    pub looks: BTreeMap<String, Time>,
}

impl Fate {
    fn looked(&mut self, trace: &[Traced]) {
        self.looks.extend(trace.iter().map(|call| (call.operation.clone(), call.at)));
    }
}

/// A fault in its place.
#[derive(Clone, Debug)]
pub struct Placed {
    trouble: Trouble,
    twin: Option<Twin>,
    may_stick: bool,
    /// From when on it can keep one of several routes where it is.
    parts: Option<Time>,
    /// From when on it holds a call back that moves traffic.
    holds: Option<Time>,
}

/// A process that came to its end by itself.
#[derive(Clone)]
pub struct Played {
    pub scenario: Scenario,
    pub outcome: Outcome,
    /// Lines of the journal before this process.
    pub lines: usize,
    pub placed: Vec<Placed>,
    pub fate: Fate,
}

/// A run without a process.
#[derive(Clone)]
pub struct Pause {
    pub scenario: Scenario,
    pub left: Left,
    pub fate: Fate,
}

impl Played {
    pub fn go(&self) -> Go {
        self.scenario.legs.last().map_or(Go::Run, |leg| leg.go)
    }

    /// AWS itself may deny this process the way back.
    pub fn is_sticky(&self) -> bool {
        self.placed.iter().any(|placed| placed.may_stick)
    }

    pub fn is_over(&self) -> bool {
        self.outcome.ended.as_ref().is_some_and(|ended| ended.outcome.is_over())
    }

    /// What is left where the run is not over; `None`: it is.
    pub fn pause(&self) -> Option<Pause> {
        (!self.is_over()).then(|| Pause { scenario: self.scenario.clone(), left: self.outcome.left.clone(), fate: self.fate_now() })
    }

    /// With what this process has looked at.
    pub fn fate_now(&self) -> Fate {
        let mut fate = self.fate.clone();
        fate.looked(&self.outcome.trace);
        fate
    }

    /// As if the process had died there. The line that was being written when it died is torn. `None`: the account of that moment
    /// was not kept.
    pub fn die(&self, death: Death) -> Option<Pause> {
        let Outcome { events, worlds, left, .. } = &self.outcome;
        let world = worlds.get(death.event)?.clone()?;
        let count = if death.kept { death.event + 1 } else { death.event };
        // Lines that ride along with the next durable event were not on disk.
        let durable = events[..count].iter().rposition(|e| e.what.is_durable()).map_or(0, |last| last + 1);
        let lines: Vec<&[u8]> = left.journal.split_inclusive(|byte| *byte == b'\n').collect();
        let mut journal = lines.get(..self.lines + durable)?.concat();
        if !death.kept && events[death.event].what.is_durable() {
            let written = lines.get(self.lines + durable..=self.lines + death.event)?.concat();
            journal.extend_from_slice(&written[..written.len() / 2]);
        }
        let mut fate = self.fate.clone();
        fate.twins.retain(|twin| twin.at <= world.now);
        fate.looked(&self.outcome.trace[..self.outcome.marks[death.event]]);
        Some(Pause { scenario: self.scenario.killed(death), left: Left { journal, world }, fate })
    }

    /// Events at which a process that recovers dies: first, middle, last, and before and after each of its writes.
    pub fn telling_deaths(&self) -> Vec<Death> {
        let all: Vec<Death> = deaths(&self.outcome, 1, false).into_iter().chain(deaths(&self.outcome, 0, true)).collect();
        let lost: Vec<Death> = all.iter().filter(|d| !d.kept && self.is_durable(**d)).copied().collect();
        let ends = [lost.first(), lost.get(lost.len() / 2), lost.last()];
        let writes = |death: &&Death| match &self.outcome.events[death.event].what {
            What::Started { .. } | What::UndoStarted { .. } => death.kept,
            What::Finished { .. } | What::UndoFinished { .. } | What::LeaseReturned { .. } | What::Effect { .. } => !death.kept,
            What::Committed { .. } => true,
            _ => false,
        };
        let mut chosen: Vec<Death> = all.iter().filter(writes).copied().chain(ends.into_iter().flatten().copied()).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn is_durable(&self, death: Death) -> bool {
        self.outcome.events[death.event].what.is_durable()
    }
}

impl Pause {
    /// Who can go on with the run.
    fn ways(&self) -> Vec<Go> {
        let (_, events) = Journal::reopen_bytes(&self.left.journal);
        let standing = replay::standing(&events);
        if events.is_empty() || matches!(standing, Standing::Ended(outcome) if outcome.is_over()) {
            return Vec::new();
        }
        let undoing = matches!(standing, Standing::Undoing | Standing::Ended(event::Outcome::Stuck));
        let resume = (!undoing).then_some(Go::Resume);
        let undo = (!replay::committed(&events)).then_some(Go::Undo);
        resume.into_iter().chain(undo).collect()
    }
}

impl Bench<'_> {
    /// Who can go on with the run. Without the gate nobody comes back.
    pub fn ways(&self, pause: &Pause) -> Vec<Go> {
        if self.subject.playbook.is_ungated() { Vec::new() } else { pause.ways() }
    }

    /// Another process goes on, or the run begins.
    pub fn go(&self, from: Option<&Pause>, go: Go, placed: Vec<(Strike, Placed)>, snap: Snap) -> Played {
        let number = from.map_or(0, |pause| pause.scenario.legs.len());
        let mut scenario = from.map_or_else(|| Scenario::calm(self.base.timing.clone()), |pause| pause.scenario.then(go));
        let mut fate = from.map(|pause| pause.fate.clone()).unwrap_or_default();
        let mut trouble = Trouble { snap, ..Trouble::default() };
        for (strike, place) in &placed {
            scenario = scenario.struck(strike.clone());
            trouble.rules.extend(place.trouble.rules.iter().cloned());
            trouble.signal = trouble.signal.or(place.trouble.signal);
            trouble.stall = trouble.stall.or(place.trouble.stall);
            trouble.disk = trouble.disk.or(place.trouble.disk);
            fate.stranger |= place.twin.is_some() && place.may_stick;
            fate.apart = fate.apart.or(place.parts);
            fate.twins.extend(place.twin.clone());
        }
        let moved = fate.twins.iter().filter(|twin| matches!(twin.with_run, Mishap::Actions { .. })).map(|twin| twin.at).min();
        let held = placed.iter().filter_map(|(_, place)| place.holds).max();
        fate.blind = fate.blind.or(moved.filter(|moved| held.is_some_and(|held| *moved <= held)));
        let begin = Left { journal: Vec::new(), world: self.base.before.clone() };
        let left = from.map_or(&begin, |pause| &pause.left);
        let first = placed.iter().map(|(strike, _)| strike.call).min().filter(|_| from.is_none());
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let outcome = self.begun_alike(left, &trouble, first).unwrap_or_else(|| self.subject.play(left, trouble, go, number));
        // Where the call that somebody waited for came late, so did they.
        let strangers = fate.twins.iter_mut().filter(|twin| twin.at >= left.world.now && twin.is_strangers());
        strangers.for_each(|twin| twin.at = first_by_other(&left.world, &outcome.left.world, twin.at).unwrap_or(twin.at));
        // A torn line is cut off before anything is added.
        let lines = left.journal.iter().filter(|byte| **byte == b'\n').count();
        Played { scenario, outcome, lines, placed: placed.into_iter().map(|(_, place)| place).collect(), fate }
    }

    /// A run to which nothing happens before its call `first` begins as the run does that nothing happens to at all. `None`: it is to
    /// be played from its beginning.
    fn begun_alike(&self, left: &Left, trouble: &Trouble, first: Option<usize>) -> Option<Outcome> {
        let (first, whole) = (first.filter(|_| self.shares)?, &self.base.whole.outcome);
        let begins = Some((whole.beginning.clone()?, first));
        let mut outcome = self.subject.play(left, Trouble { begins, ..trouble.clone() }, Go::Run, 0);
        if outcome.parted {
            return None;
        }
        // While its calls were answered from memory, the account was already where it would be after them.
        for event in (0..outcome.events.len()).take_while(|event| whole.marks.get(*event).is_some_and(|calls| *calls <= first)) {
            outcome.marks[event] = whole.marks[event];
            if outcome.worlds[event].is_some() {
                outcome.worlds[event].clone_from(&whole.worlds[event]);
            }
        }
        Some(outcome)
    }

    /// The same process again with one fault more; `None`: the fault has nothing to happen to there.
    pub fn strike(&self, from: Option<&Pause>, played: &Played, strike: Strike, snap: Snap) -> Option<Played> {
        let new = self.place(&played.outcome, &strike)?;
        let leg = played.scenario.legs.last()?;
        let mut placed: Vec<(Strike, Placed)> = leg.strikes.iter().cloned().zip(played.placed.iter().cloned()).collect();
        placed.push((strike, new));
        Some(self.go(from, leg.go, placed, snap))
    }

    fn place(&self, parent: &Outcome, strike: &Strike) -> Option<Placed> {
        let fault: &Fault = cells::fault(&strike.fault)?;
        let traced = parent.trace.get(strike.call)?;
        let (service, operation) = (traced.service.as_str(), traced.operation.as_str());
        let at = |rule: Rule| rule.from_call(strike.call);
        let mut trouble = Trouble::default();
        let mut twin = None;
        match fault.harm {
            Harm::Once(make) => trouble.rules.push(at(make(service, operation))),
            Harm::Burst(make, times) => trouble.rules.push(at(make(service, operation).times(times))),
            Harm::While(make, ms) => {
                trouble.rules.push(at(make(service, operation).any_operation().always().until(traced.at.after_ms(ms))))
            }
            Harm::Always(make) => trouble.rules.push(at(make(service, operation).always())),
            // Each service refuses in its own words.
            Harm::Expired => {
                let services = ["autoscaling", "elasticloadbalancing", "ssm", "s3", "sts"];
                trouble.rules = services.map(|service| at(Rule::expired(service, "").any_operation().always())).to_vec();
            }
            Harm::Region(ms) => {
                let rule = Rule::region_unreachable(traced.region.as_ref()?);
                trouble.rules.push(at(rule.until(traced.at.after_ms(ms))));
            }
            Harm::Signal(name) => trouble.signal = Some((strike.call, name)),
            Harm::Stall(ms) => trouble.stall = Some((strike.call, Duration::from_millis(ms))),
            Harm::DiskFull => trouble.disk = Some(parent.disk_at(strike.call)),
            Harm::World(befall) => {
                let env = &self.subject.env;
                let (before, ended) = (self.base.before.seen_from(&env.region), parent.left.world.seen_from(&env.region));
                let world = parent.world_at(strike.call).unwrap_or(&self.base.before).seen_from(&env.region);
                let own = |arn: &&String| before.rules.contains_key(*arn) || before.listeners.contains_key(*arn);
                let routes: Vec<String> = self.base.routes.iter().filter(own).cloned().collect();
                let scene = Scene { env, before: &before, world: &world, ended: &ended, routes: &routes, at: traced.at };
                let found = scene.twin_of(befall)?;
                trouble.rules.push(at(Rule::mishap(service, operation, found.with_run.clone()).in_region(&found.region)));
                twin = Some(found);
            }
            Harm::Nothing | Harm::Kill { .. } => return None,
        }
        let moves_route = matches!(operation, "ModifyListener" | "ModifyRule");
        let parts = match fault.harm {
            Harm::World(Befall::Route) | Harm::Expired => true,
            Harm::Always(_) | Harm::While(..) | Harm::Stall(_) | Harm::Region(_) => moves_route,
            _ => false,
        };
        let parts = (parts && self.base.routes.len() > 1).then_some(traced.at);
        let holds = (moves_route && matches!(fault.harm, Harm::While(..) | Harm::Stall(_))).then_some(traced.at);
        Some(Placed { trouble, twin, may_stick: fault.may_stick, parts, holds })
    }

    /// A scenario with one fault or death in its first process, and all that can come of it. With `again` every recovery dies too,
    /// here and there.
    pub fn single(&self, scenario: &Scenario, again: bool) -> Option<Vec<Verdict>> {
        let [Leg { strikes, death, .. }] = scenario.legs.as_slice() else { return None };
        let whole = &self.base.whole;
        match (strikes.as_slice(), death) {
            ([], None) => Some(self.and_recoveries(whole, 0)),
            ([], Some(death)) => Some(self.dead(&whole.die(*death)?, usize::from(again))),
            ([strike], None) => Some(self.and_recoveries(&self.strike(None, whole, strike.clone(), Snap::None)?, 0)),
            _ => None,
        }
    }

    /// What a dead process left, and what comes of it.
    pub fn dead(&self, pause: &Pause, deaths: usize) -> Vec<Verdict> {
        let mut verdicts = vec![self.left_alone(pause)];
        verdicts.extend(self.recoveries(pause, deaths));
        verdicts
    }

    /// How a process ended, and what comes of it where the run is not over.
    pub fn and_recoveries(&self, played: &Played, deaths: usize) -> Vec<Verdict> {
        let mut verdicts = vec![self.ended(played)];
        // Who did not even begin has left nothing that is new.
        let pause = played.pause().filter(|_| played.outcome.ended.is_some());
        verdicts.extend(pause.into_iter().flat_map(|pause| self.recoveries(&pause, deaths)));
        verdicts
    }

    /// Every way to go on, each in a copy; so many times they die themselves.
    fn recoveries(&self, pause: &Pause, deaths: usize) -> Vec<Verdict> {
        if pause.scenario.legs.len() >= LEGS {
            return Vec::new();
        }
        let mut verdicts = Vec::new();
        for go in self.ways(pause) {
            let snap = if deaths > 0 { Snap::Durable } else { Snap::None };
            let played = self.go(Some(pause), go, Vec::new(), snap);
            verdicts.extend(self.and_recoveries(&played, 0));
            if deaths > 0 {
                let pauses = played.telling_deaths().into_iter().filter_map(|death| played.die(death));
                verdicts.extend(pauses.flat_map(|pause| self.dead(&pause, deaths - 1)));
            }
        }
        verdicts
    }

    /// A scenario from its beginning, one process after the other; the verdict on its end. `None`: it is of another playbook.
    pub fn follow(&self, scenario: &Scenario) -> Option<Verdict> {
        let mut from: Option<Pause> = None;
        for (index, leg) in scenario.legs.iter().enumerate() {
            if from.as_ref().is_some_and(|pause| !self.ways(pause).contains(&leg.go)) {
                return None;
            }
            let mut played = self.go(from.as_ref(), leg.go, Vec::new(), Snap::All);
            for strike in &leg.strikes {
                played = self.strike(from.as_ref(), &played, strike.clone(), Snap::All)?;
            }
            let last = index + 1 == scenario.legs.len();
            match leg.death {
                Some(death) if death.event + 1 >= played.outcome.events.len() => return None,
                Some(death) if last => return Some(self.left_alone(&played.die(death)?)),
                Some(death) => from = played.die(death),
                None if last => return Some(self.ended(&played)),
                None => from = Some(played.pause()?),
            }
        }
        None
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
