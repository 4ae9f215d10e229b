//! What happens in the account by itself or by a stranger, in the world with the run and in the one without it.

use super::trace::Baseline;
use crate::config::Environment;
use crate::sandbox::audit::Final;
use crate::sandbox::fault::Mishap;
use crate::sandbox::world::{GroupUpdate, Time, World};

/// A mishap by the part that a group plays at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Befall {
    Policy {
        serving: bool,
        up: bool,
    },
    Interrupt {
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
    /// Somebody sets the route back to what it was before the run.
    Route,
    /// Somebody writes the other colour into the record.
    Record,
    /// Somebody raises MinSize of the group that serves.
    Resize,
}

/// What happens, and when; and what the same would be had nothing been run.
#[derive(Clone, Debug)]
pub struct Twin {
    pub with_run: Mishap,
    pub without_run: Mishap,
    pub at: Time,
}

impl Twin {
    /// What a stranger set on a group may be left so, and what AWS makes of it.
    pub fn left_by_stranger(&self) -> Option<Final> {
        let Mishap::Resize { group, update } = &self.with_run else { return None };
        Some(Final { group: group.clone(), min: update.min, max: update.max, desired: update.desired.or(update.min) })
    }
}

/// The mishap at a call; `None`: the account has nothing there that it could happen to.
pub fn twin(befall: Befall, base: &Baseline, env: &Environment, call: usize) -> Option<Twin> {
    let at = base.whole.trace[call].at;
    let world = base.world_at(call);
    let switched = base.switched.is_some_and(|first| at >= first);
    let group = |serving: bool| env.colors[usize::from(switched == serving)].asg.clone();
    let live = env.colors[0].asg.clone();
    let twin = |with_run: Mishap, without_run: Mishap| Some(Twin { with_run, without_run, at });
    let running = |group: &str| world.instances.values().any(|i| i.group == group && i.in_service.is_some());
    match befall {
        Befall::Policy { serving, up } => {
            let group = group(serving);
            let desired = world.groups.get(&group)?.desired;
            let to = if up { desired + 1 } else { desired.checked_sub(1)? };
            let without = if serving { live } else { group.clone() };
            (to >= 1 && desired >= 1).then_some(())?;
            twin(Mishap::Policy { group, to }, Mishap::Policy { group: without, to })
        }
        // An instance that dies just before traffic reaches it is as little foreseen as one that dies under traffic:
        // without the run the one that serves dies.
        Befall::Interrupt { serving } => {
            let group = group(serving);
            running(&group).then_some(())?;
            twin(Mishap::Interrupt { group }, Mishap::Interrupt { group: live })
        }
        Befall::Kill { serving } => {
            let group = group(serving);
            running(&group).then_some(())?;
            twin(Mishap::Kill { group }, Mishap::Kill { group: live })
        }
        Befall::Break { serving } => {
            let group = group(serving);
            running(&group).then_some(())?;
            twin(Mishap::Break { group }, Mishap::Break { group: live })
        }
        Befall::NoCapacity { serving } => {
            let group = group(serving);
            let limit = Some(world.groups.get(&group)?.desired);
            let mishap = Mishap::LimitCapacity { group, limit };
            twin(mishap.clone(), mishap)
        }
        Befall::Route => {
            let resource = base.routes.first()?.clone();
            let rule = base.before.rules.get(&resource).map(|r| r.actions.api.clone());
            let actions = rule.or_else(|| base.before.listeners.get(&resource).map(|l| l.actions.api.clone()))?;
            let mishap = Mishap::Actions { resource, actions };
            twin(mishap.clone(), mishap)
        }
        Befall::Record => {
            let mishap = Mishap::Parameter { name: env.active_color_parameter(), value: env.colors[1].name.clone() };
            twin(mishap.clone(), mishap)
        }
        Befall::Resize => {
            let group = group(true);
            let update = |min: u32| GroupUpdate { min: Some(min), ..GroupUpdate::default() };
            let min = world.groups.get(&group)?.min + 1;
            twin(Mishap::Resize { group, update: update(min) }, Mishap::Resize { group: live, update: update(min) })
        }
    }
}

/// The account as it would be at `end` had nothing been run, with the same mishap.
pub fn without_run(before: &World, twin: &Twin, end: Time) -> World {
    let mut world = before.clone();
    world.advance(twin.at);
    twin.without_run.befall(&mut world);
    world.advance(end.max(twin.at));
    world
}
