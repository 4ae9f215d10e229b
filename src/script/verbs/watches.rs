//! Verbs that watch what serves: they fail when traffic goes elsewhere, when healthy targets lack, and when an alarm rings.

use super::environment::own_color;
use super::metrics::{states as alarm_states, texts};
use super::reads::states;
use super::waits::{desired_of, kept, unwell};
use super::{Answer, lock, raise, with};
use crate::account::{Forward, RouteRef, Target};
use crate::config::ColorNames;
use crate::run::sight::{Looks, Of, of_targets};
use crate::run::targets::serving;
use crate::run::traffic::{self, Serving, Topology};
use crate::run::{Progress, Run, RunError, Wait};
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised, Record, VerbError};
use rhai::Dynamic;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks at the size of a group that is watched.
const SIZE_EVERY: u32 = 4;
/// Between two looks while watching a colour that serves.
const WATCH_EVERY: Duration = Duration::from_secs(15);
/// The same while two colours serve, which takes longer.
const SPLIT_EVERY: Duration = Duration::from_secs(30);
/// A serving colour may lack healthy targets for this long: a replacement takes about that.
const PATIENCE: Duration = Duration::from_secs(180);

const ALARMS: Opt = Opt::new("alarms", Kind::List, "names of CloudWatch alarms; one that rings, or that does not exist, ends it as failed");

pub static VERBS: &[Verb] = &[
    Verb {
        name: "watch",
        params: &[Param::required("length", Kind::Duration, "how long")],
        options: &[Opt::required("serving", Kind::Color, "the colour that must keep serving"), ALARMS],
        returns: "nothing",
        summary: "Watches a colour that serves; fails when traffic goes elsewhere, when it lacks healthy targets, or when an alarm rings.",
        errors: &["failed", "denied"],
        example: "watch(\"5m\", #{ serving: c.live })",
        effect: Effect::Wait,
        since: 1,
        deprecated: None,
        call: watch,
    },
    Verb {
        name: "watch_split",
        params: &[
            Param::required("length", Kind::Duration, "how long"),
            Param::required("colors", Kind::Record, "what colors() gave"),
            Param::required("check", Kind::Closure, "looked at every 30 s; true ends the watch before its time, a text is shown"),
        ],
        options: &[Opt::required("share", Kind::Int, "per cent of the traffic that the idle colour gets, as set_weights left it"), ALARMS],
        returns: "nothing",
        summary: "Watches two colours that share the traffic; fails when the weights change, when the canary lacks healthy targets, or when an alarm rings.",
        errors: &["failed", "denied"],
        example: "watch_split(\"10m\", c, || asg(c.live).desired > 9, #{ share: 0 })",
        effect: Effect::Wait,
        since: 1,
        deprecated: None,
        call: watch_split,
    },
];

/// What is watched.
struct Watched {
    /// Whose targets must be healthy.
    names: ColorNames,
    /// Shares of the colours that every route must have; `None`: all traffic goes to `names`.
    split: Option<Vec<(String, u32)>>,
    alarms: Vec<String>,
    every: Duration,
}

/// Where a watch has got to.
#[derive(Default)]
struct Standing {
    looks: u32,
    desired: u32,
    lacking: Option<jiff::Timestamp>,
}

fn watch(call: &Call) -> Answer {
    let color: Record = call.opt_record("serving").ok_or_else(|| Raised::argument("watch: `serving` is missing"))?;
    let alarms = texts("watch", call.opt_list("alarms").unwrap_or_default())?;
    let watched = with(call, async |run| {
        let names = own_color(run, &color)?;
        Ok(Watched { names, split: None, alarms, every: WATCH_EVERY })
    })?;
    let what = format!("watching {}", watched.names.asg);
    watch_all(call, &what, &watched, || Ok(None))
}

fn watch_split(call: &Call) -> Answer {
    let colors = call.record(1);
    let side = |name: &str| colors.get(name).cloned().and_then(Dynamic::try_cast::<Record>);
    let (Some(live), Some(idle)) = (side("live"), side("idle")) else {
        return Err(Raised::argument("watch_split: wants what colors() gave").into());
    };
    let share = call.opt_count("share")?.unwrap_or(0);
    if share > 100 {
        return Err(Raised::argument(format!("watch_split: `share` is per cent, 0 to 100, got {share}")).into());
    }
    let alarms = texts("watch_split", call.opt_list("alarms").unwrap_or_default())?;
    let watched = with(call, async |run| {
        let (names, live) = (own_color(run, &idle)?, own_color(run, &live)?);
        let split = Some(vec![(live.name, 100 - share), (names.name.clone(), share)]);
        Ok(Watched { names, split, alarms, every: SPLIT_EVERY })
    })?;
    let what = format!("watching {} at {share} %", watched.names.asg);
    // The run is not held while the closure runs: the closure's own verbs need it.
    watch_all(call, &what, &watched, || call.call_closure(2, vec![]).map(Some))
}

/// Looks until `length` is over, or `check` says true.
fn watch_all(call: &Call, what: &str, watched: &Watched, check: impl Fn() -> Result<Option<Dynamic>, VerbError>) -> Answer {
    let length = call.duration(0);
    let begun = with(call, async |run| Ok((run.now(), run.begin_wait(what, length.saturating_add(PATIENCE))?)))?;
    let (began, Some(wait)) = begun else { return Ok(Dynamic::UNIT) };
    let mut wait = wait.lasting(length);
    let mut standing = Standing::default();
    let result = loop {
        match look(call, watched, &mut standing, (began, length), &mut wait, &check) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let stage = call.play.user::<std::sync::Arc<super::Stage>>();
    lock(stage).end_wait(wait, result.as_ref().err().map(|error| kept(call, error)).as_ref()).map_err(raise)?;
    result.map(|()| Dynamic::UNIT)
}

/// One look and the sleep after it; false: it is over.
fn look(
    call: &Call,
    watched: &Watched,
    standing: &mut Standing,
    (began, length): (jiff::Timestamp, Duration),
    wait: &mut Wait,
    check: &impl Fn() -> Result<Option<Dynamic>, VerbError>,
) -> Result<bool, VerbError> {
    let (elapsed, mut seen) = with(call, async |run| {
        let elapsed = Duration::try_from(run.now().duration_since(began)).unwrap_or_default();
        Ok((elapsed, standing.look(run, watched, &mut wait.looks).await?))
    })?;
    let checked = check()?;
    let ends = checked.as_ref().is_some_and(|answer| answer.as_bool() == Ok(true));
    if ends || (elapsed >= length && standing.lacking.is_none()) {
        return Ok(false);
    }
    seen.why.extend(checked.filter(Dynamic::is_string).map(|text| text.to_string()));
    let every = watched.every.min(length.saturating_sub(elapsed)).max(Duration::from_secs(1));
    let seen = Progress { done: Some(elapsed.min(length).as_secs()), total: Some(length.as_secs()), ..seen };
    with(call, async |run| run.keep_waiting(wait, seen, every).await)?;
    Ok(true)
}

impl Standing {
    async fn look(&mut self, run: &mut Run, watched: &Watched, looks: &mut Looks) -> Result<Progress, RunError> {
        let Watched { names, .. } = watched;
        if self.looks.is_multiple_of(SIZE_EVERY) || self.lacking.is_some() {
            self.desired = desired_of(run, &names.asg).await?;
        }
        self.looks += 1;
        let topology = run.topology().await?;
        let from = run.now();
        let (weights, targets, alarms) = tokio::join!(
            traffic::read(&run.account, &run.env, &topology),
            run.color_targets(names, &topology),
            alarm_states(run, &watched.alarms)
        );
        let targets = targets?;
        looks.note(Of::Targets, &names.target_group, (from, run.now()), of_targets(&targets));
        match &watched.split {
            None => serves(&names.name, &serving(&run.account, &run.env, &topology, &weights?).await?)?,
            Some(split) => is_split(&names.name, &topology, split, &weights?)?,
        }
        let quiet = rings(alarms?)?;
        // At weight 0 nobody is served by it.
        let serves_nobody = watched.split.iter().flatten().any(|(color, share)| *color == names.name && *share == 0);
        let mut seen = well(&names.asg, &targets, if serves_nobody { 0 } else { self.desired.max(1) })?;
        let now = run.now();
        self.lacking = if seen.why.is_empty() { None } else { self.lacking.or(Some(now)) };
        let lacks_for = self.lacking.map(|since| Duration::try_from(now.duration_since(since)).unwrap_or_default());
        if lacks_for.is_some_and(|d| d >= PATIENCE) {
            return Err(RunError::failed(format!("{} for {} s: {}", seen.what, PATIENCE.as_secs(), seen.why.join(", "))));
        }
        seen.why.extend(quiet);
        Ok(seen)
    }
}

/// Traffic goes to this colour alone.
fn serves(color: &str, serving: &Serving) -> Result<(), RunError> {
    match serving {
        Serving::Color(name) if name == color => Ok(()),
        Serving::Color(name) => Err(RunError::failed(format!("somebody sent the traffic to {name} while {color} was watched"))),
        Serving::Split { text, .. } | Serving::Foreign { text } => {
            Err(RunError::failed(format!("somebody changed the traffic while {color} was watched: {text}")))
        }
    }
}

/// Every route has exactly these weights.
fn is_split(color: &str, topology: &Topology, split: &[(String, u32)], found: &traffic::Traffic) -> Result<(), RunError> {
    let differs = |route: &RouteRef, forward: &Forward| forward.weights != topology.weights(route, split);
    let other = found.routes.iter().find(|(route, forward)| forward.as_ref().is_none_or(|forward| differs(route, forward)));
    let Some((route, forward)) = other else { return Ok(()) };
    let weights = forward.iter().flat_map(|f| &f.weights).map(|(arn, weight)| format!("{} {weight}", traffic::target_group_name(arn)));
    let weights = weights.collect::<Vec<_>>().join(", ");
    Err(RunError::failed(format!("somebody changed the traffic while {color} was watched: {} has {weights}", route.label)))
}

/// An alarm that rings is an error; one that has no data says nothing, and that is shown.
fn rings(alarms: BTreeMap<String, crate::account::Alarm>) -> Result<Vec<String>, RunError> {
    let mut quiet = Vec::new();
    for (name, alarm) in alarms {
        match alarm.state.as_str() {
            "OK" => {}
            "INSUFFICIENT_DATA" => quiet.push(format!("alarm `{name}` has no data and says nothing")),
            state => return Err(RunError::failed(format!("alarm `{name}` is in {state}: {}", alarm.reason))),
        }
    }
    Ok(quiet)
}

/// Somebody healthy is there; `why` says what it lacks.
fn well(asg: &str, targets: &[Target], desired: u32) -> Result<Progress, RunError> {
    let desired = u64::from(desired);
    let there = states(targets).get("healthy").copied().unwrap_or(0) as u64;
    if there == 0 && desired > 0 {
        return Err(RunError::failed(format!("{asg} serves without a single healthy target: {}", unwell(targets).join(", "))));
    }
    let why = if there < desired { unwell(targets) } else { Vec::new() };
    Ok(Progress { what: format!("watching {asg}: {there}/{desired} healthy"), why, done: None, total: None })
}
