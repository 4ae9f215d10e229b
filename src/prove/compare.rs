//! One run of a strategy without a fault, and the way back from it, as figures that can stand side by side.

use super::lab::{Go, Left, Outcome, Subject, Trouble};
use super::mishap::without_run;
use super::trace::since;
use super::{ProveError, is_done};
use crate::sandbox::world::{Happening, Lifecycle, Time, Users, World};
use serde::Serialize;

/// Between the end of a run and the way back.
const LATER_MS: u64 = 600_000;

/// What one run costs and what its users see: of several environments together, or of the worst.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// From its first call to its end, in virtual time.
    pub seconds: f64,
    pub requests: f64,
    /// Requests that ended in a 5xx.
    pub errors: f64,
    /// Seconds in which users met more than one build; of the environment with the most.
    pub mixed_seconds: f64,
    /// Fewest healthy targets at any moment, of the environment with the fewest.
    pub lowest_healthy: Option<u32>,
    /// Beyond what would have run without it, until its end.
    pub extra_instance_minutes: f64,
    pub calls: usize,
    pub back: Option<WayBack>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WayBack {
    pub playbook: String,
    /// Until the last user is served by the build from before.
    pub users_seconds: f64,
    pub seconds: f64,
    pub errors: f64,
}

/// Plays a run in a new account, and the way back ten minutes after its end: in each environment, one after the other.
pub fn measure(subject: &Subject, back: &[Subject]) -> Result<Figures, ProveError> {
    let before = subject.new_world()?;
    let done = play(subject, before.clone())?;
    let after = &done.left.world;
    let users: Vec<Users> = std::iter::once(&subject.env).chain(&subject.also).map(|env| after.users(&env.name, before.now)).collect();
    let alone = without_run(&before, &[], after.now);
    let extra = instance_ms(&before, after, after.now) - instance_ms(&before, &alone, after.now);
    Ok(Figures {
        seconds: seconds(before.now, after.now),
        requests: users.iter().map(|users| users.requests).sum(),
        errors: users.iter().map(|users| users.errors).sum(),
        mixed_seconds: users.iter().map(|users| users.mixed_seconds).fold(0.0, f64::max),
        lowest_healthy: users.iter().filter_map(|users| users.lowest_healthy).min(),
        extra_instance_minutes: extra as f64 / 60_000.0,
        calls: done.trace.len(),
        back: way_back(back, after)?,
    })
}

fn way_back(subjects: &[Subject], left: &World) -> Result<Option<WayBack>, ProveError> {
    let Some(first) = subjects.first() else { return Ok(None) };
    let mut world = left.clone();
    world.advance(world.now.after_ms(LATER_MS));
    let begin = world.now;
    let (mut last, mut errors) = (begin, 0.0);
    for subject in subjects {
        let began = world;
        world = play(subject, began.clone())?.left.world;
        let users = world.users(&subject.env.name, began.now);
        errors += users.errors;
        // Where the build is the same, or the instances stay, users have moved once the last node follows the rule.
        let entries = since(&began, &world).into_iter().map(|(_, entry)| entry);
        let followed = entries.filter(|entry| matches!(entry.what, Happening::Propagated { .. })).map(|entry| entry.at);
        last = followed.chain(users.switched.map(|(_, last)| last)).max().unwrap_or(began.now);
    }
    let users_seconds = seconds(begin, last);
    Ok(Some(WayBack { playbook: first.path.clone(), users_seconds, seconds: seconds(begin, world.now), errors }))
}

fn play(subject: &Subject, world: World) -> Result<Outcome, ProveError> {
    let outcome = subject.play(&Left { journal: Vec::new(), world }, Trouble::default(), Go::Run, 0);
    is_done(&outcome).map(|()| outcome)
}

fn seconds(from: Time, until: Time) -> f64 {
    until.since(from) as f64 / 1000.0
}

/// How long instances ran, added up, from the beginning of `before` until a moment.
fn instance_ms(before: &World, after: &World, until: Time) -> i64 {
    let length = |from: Time| i64::try_from(until.since(from)).unwrap_or(i64::MAX);
    let there =
        before.regions().flat_map(|there| there.instances.values()).filter(|instance| instance.lifecycle != Lifecycle::Terminated).count();
    let began = i64::try_from(there).unwrap_or(i64::MAX) * length(before.now);
    let since = since(before, after).into_iter().map(|(_, entry)| entry).filter(|entry| entry.at <= until);
    began
        + since
            .map(|entry| match entry.what {
                Happening::Launched { .. } => length(entry.at),
                Happening::Terminated { .. } => -length(entry.at),
                _ => 0,
            })
            .sum::<i64>()
}
