//! What happens in the account by itself or by a stranger, in the world with the run and in the one without it.

use crate::config::Environment;
use crate::run::lock::Record;
use crate::sandbox::audit::Final;
use crate::sandbox::fault::Mishap;
use crate::sandbox::world::{Action, GroupUpdate, Happening, Instance, Time, Weighted, World};

/// A mishap by the part that a group plays at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Befall {
    Policy {
        serving: bool,
        up: bool,
    },
    /// A policy asks for twice as many.
    Double {
        serving: bool,
    },
    /// A scheduled action asks for one more.
    Schedule {
        serving: bool,
    },
    Rebalance {
        serving: bool,
    },
    Interrupt {
        serving: bool,
    },
    InterruptAll {
        serving: bool,
    },
    Kill {
        serving: bool,
    },
    Break {
        serving: bool,
    },
    NoCapacity {
        serving: bool,
    },
    /// What the run deploys starts and never answers.
    BadBuild,
    /// What boots from now on never answers.
    NeverHealthy {
        serving: bool,
    },
    /// Somebody sets the route back to what it was before the run.
    Route,
    /// Somebody writes the other colour into the record.
    Record,
    /// Somebody raises MinSize of the group that serves.
    Resize,
    /// Somebody deletes the environment's lock.
    LockDeleted,
    /// Somebody writes a lock of their own over it.
    LockTaken,
    /// The first alarm that the environment names goes into this state.
    Alarm {
        state: &'static str,
    },
    AlarmDeleted,
    /// CloudWatch lags this far behind.
    MetricsLate {
        ms: u64,
    },
}

/// What happens, and when; and what the same would be had nothing been run.
#[derive(Clone, Debug)]
pub struct Twin {
    pub with_run: Mishap,
    pub without_run: Mishap,
    pub region: String,
    pub at: Time,
}

impl Twin {
    /// From then on the group gets no instance that works, whatever it boots.
    pub fn boots_nothing(&self) -> bool {
        matches!(self.with_run, Mishap::NeverHealthy { .. } | Mishap::LimitCapacity { .. })
    }

    /// Somebody else does it, by a call.
    pub fn is_strangers(&self) -> bool {
        matches!(self.with_run, Mishap::Actions { .. } | Mishap::Parameter { .. } | Mishap::Object { .. })
    }

    /// What a stranger set on a group may be left so, and what AWS makes of it.
    pub fn left_by_stranger(&self) -> Option<Final> {
        let Mishap::Resize { group, update } = &self.with_run else { return None };
        Some(Final {
            group: group.clone(),
            region: Some(self.region.clone()),
            min: update.min,
            max: update.max,
            desired: update.desired.or(update.min),
        })
    }
}

/// The moment at which something happens, and who is who at it; worlds as they look from the environment's region.
pub struct Scene<'a> {
    pub env: &'a Environment,
    pub before: &'a World,
    /// As late as it is known, not after `at`.
    pub world: &'a World,
    /// The log of the whole process.
    pub ended: &'a World,
    /// Listeners and rules that the run changes.
    pub routes: &'a [String],
    pub at: Time,
}

impl Scene<'_> {
    /// What the first route forwards to by the API, before the run.
    fn at_first(&self) -> Vec<&Weighted> {
        let Some(resource) = self.routes.first() else { return Vec::new() };
        let rule = self.before.rules.get(resource).map(|rule| &rule.actions);
        let actions = rule.or_else(|| self.before.listeners.get(resource).map(|listener| &listener.actions));
        let targets = actions.into_iter().flat_map(|actions| &actions.api).filter_map(|action| match action {
            Action::Forward { targets, .. } => Some(targets),
            Action::FixedResponse { .. } | Action::Redirect { .. } => None,
        });
        targets.flatten().collect()
    }

    /// Index of the colour that gets most of these weights.
    fn heaviest(&self, targets: &[&Weighted]) -> usize {
        let heaviest = targets.iter().max_by_key(|target| target.weight);
        let name = heaviest.and_then(|target| self.before.target_groups.get(&target.target_group)).map(|group| group.name.as_str());
        let first = if self.env.original().is_some() { 2 } else { 0 };
        self.env.colors.iter().position(|color| Some(color.target_group.as_str()) == name).unwrap_or(first)
    }

    /// Index of the colour that gets most of the traffic by the API.
    fn serving(&self) -> usize {
        let past = self.ended.log.iter().take_while(|entry| entry.at <= self.at);
        let moves = past.filter_map(|entry| match &entry.what {
            Happening::Rerouted { resource, targets } if Some(resource) == self.routes.first() => Some(targets),
            _ => None,
        });
        let targets = moves.last().map_or_else(|| self.at_first(), |targets| targets.iter().collect());
        self.heaviest(&targets)
    }

    fn group(&self, serving: bool) -> String {
        let index = self.serving();
        self.env.colors[if serving { index } else { usize::from(index == 0) }].asg.clone()
    }

    /// A mishap of a group; without the run it is the colour that serves all the time that it happens to. An instance that dies
    /// just before traffic reaches it is as little foreseen as one that dies under traffic.
    fn of_group(&self, serving: bool, make: impl Fn(String) -> Mishap) -> Option<Twin> {
        let group = self.group(serving);
        self.world.instances.values().any(|i| i.group == group && i.in_service.is_some()).then_some(())?;
        self.twin(make(group), make(self.first()))
    }

    /// The group that serves before the run.
    fn first(&self) -> String {
        self.env.colors[self.heaviest(&self.at_first())].asg.clone()
    }

    /// `None`: the account has nothing that it could happen to, so that the run would be the one without it.
    fn twin(&self, with_run: Mishap, without_run: Mishap) -> Option<Twin> {
        let mut world = self.world.clone();
        world.advance(self.at.max(world.now));
        with_run.befall(&mut world).then_some(Twin { with_run, without_run, region: world.region, at: self.at })
    }

    /// Something of the group is still to launch, to boot or to start: else it is all the same what would come.
    fn awaits(&self, group: &str) -> Option<()> {
        let of_group = |what: &Happening| match what {
            Happening::Launched { group: of, .. } | Happening::Booted { group: of, .. } | Happening::InService { group: of, .. } => {
                of == group
            }
            _ => false,
        };
        let later = self.ended.log.iter().rev().take_while(|entry| entry.at >= self.at).any(|entry| of_group(&entry.what));
        let starts = |i: &Instance| i.group == group && i.answers_from.is_none_or(|from| from > self.at);
        (later || self.world.instances.values().any(starts)).then_some(())
    }

    fn both(&self, mishap: Mishap) -> Option<Twin> {
        self.twin(mishap.clone(), mishap)
    }

    /// A group is asked for another number of instances.
    fn asked(&self, serving: bool, to: impl Fn(u32) -> Option<u32>, make: fn(String, u32) -> Mishap) -> Option<Twin> {
        let group = self.group(serving);
        let desired = self.world.groups.get(&group)?.desired;
        let to = to(desired).filter(|to| *to >= 1 && desired >= 1)?;
        let without = if serving { self.first() } else { group.clone() };
        self.twin(make(group, to), make(without, to))
    }

    /// The mishap; `None`: the account has nothing there that it could happen to.
    pub fn twin_of(&self, befall: Befall) -> Option<Twin> {
        let policy = |group: String, to: u32| Mishap::Policy { group, to };
        match befall {
            Befall::Policy { serving, up: true } => self.asked(serving, |n| Some(n + 1), policy),
            Befall::Policy { serving, up: false } => self.asked(serving, |n| n.checked_sub(1), policy),
            Befall::Double { serving } => self.asked(serving, |n| Some(n * 2), policy),
            Befall::Schedule { serving } => self.asked(serving, |n| Some(n + 1), |group, to| Mishap::Schedule { group, to }),
            Befall::Rebalance { serving } => self.of_group(serving, |group| Mishap::Rebalance { group }),
            Befall::Interrupt { serving } => self.of_group(serving, |group| Mishap::Interrupt { group }),
            Befall::InterruptAll { serving } => self.of_group(serving, |group| Mishap::InterruptAll { group }),
            Befall::Kill { serving } => self.of_group(serving, |group| Mishap::Kill { group }),
            Befall::Break { serving } => self.of_group(serving, |group| Mishap::Break { group }),
            Befall::NeverHealthy { serving } => {
                let group = self.group(serving);
                self.awaits(&group)?;
                self.both(Mishap::NeverHealthy { group })
            }
            Befall::NoCapacity { serving } => {
                let group = self.group(serving);
                self.awaits(&group)?;
                let limit = Some(self.world.groups.get(&group)?.desired);
                self.both(Mishap::LimitCapacity { group, limit })
            }
            Befall::BadBuild => self.both(Mishap::BadBuild { version: self.new_build()? }),
            Befall::Route => {
                let resource = self.routes.first()?.clone();
                let rule = self.before.rules.get(&resource).map(|r| r.actions.api.clone());
                let actions = rule.or_else(|| self.before.listeners.get(&resource).map(|l| l.actions.api.clone()))?;
                self.both(Mishap::Actions { resource, actions })
            }
            Befall::Record => {
                self.both(Mishap::Parameter { name: self.env.active_color_parameter(), value: self.env.colors[1].name.clone() })
            }
            Befall::Resize => {
                let group = self.group(true);
                let min = Some(self.world.groups.get(&group)?.min + 1);
                let make = |group: String| Mishap::Resize { group, update: GroupUpdate { min, ..GroupUpdate::default() } };
                self.twin(make(group), make(self.first()))
            }
            Befall::LockDeleted => self.lock(|_| None),
            Befall::Alarm { state } => self.alarm(|name| Mishap::Alarm { name, state: state.to_owned() }),
            Befall::AlarmDeleted => self.alarm(|name| Mishap::AlarmDeleted { name }),
            Befall::MetricsLate { ms } => self.both(Mishap::MetricsLate { ms }),
            Befall::LockTaken => self.lock(|record| serde_json::to_string(&theirs(record)).ok()),
        }
    }

    /// The build that the run brings, as long as an instance of it is still to boot.
    fn new_build(&self) -> Option<String> {
        let was = |version: &String| self.before.instances.values().any(|i| i.version.as_ref() == Some(version));
        let mut boots = self.ended.log.iter().rev().take_while(|entry| entry.at >= self.at).filter_map(|entry| match &entry.what {
            Happening::Booted { version, .. } => Some(version),
            _ => None,
        });
        boots.find(|version| !was(version)).cloned()
    }

    fn alarm(&self, make: impl Fn(String) -> Mishap) -> Option<Twin> {
        let name = self.env.alarms.first().filter(|name| self.world.alarms.contains_key(*name))?;
        self.both(make(name.clone()))
    }

    fn lock(&self, make: impl Fn(Record) -> Option<String>) -> Option<Twin> {
        let (bucket, key) = (self.env.state.bucket.clone(), self.env.lock_key());
        let object = self.world.buckets.get(&bucket)?.get(&key)?;
        let body = make(serde_json::from_slice(&object.body).ok()?);
        self.both(Mishap::Object { bucket, key, body })
    }
}

/// The lock as another run's process would write it.
fn theirs(record: Record) -> Record {
    Record {
        run: "another".to_owned(),
        nonce: "another".to_owned(),
        epoch: record.epoch + 1,
        beat: 0,
        host: "another".to_owned(),
        user: "another".to_owned(),
        ..record
    }
}

/// The account as it would be at `end` had nothing been run, with the same mishaps.
pub fn without_run(before: &World, twins: &[Twin], end: Time) -> World {
    let mut twins: Vec<&Twin> = twins.iter().collect();
    twins.sort_by_key(|twin| twin.at);
    let mut world = before.clone();
    for twin in twins {
        world.advance(twin.at.max(world.now));
        twin.without_run.befall_in(&mut world, Some(&twin.region));
    }
    world.advance(end.max(world.now));
    world
}
