//! Verbs that change an Auto Scaling group: its size, its floor, what may move it.

use super::environment::own_color;
use super::reads::read_settings;
use super::{Answer, perform, with};
use crate::account::Action;
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised, Record, VerbError};
use rhai::Dynamic;
use std::collections::BTreeSet;

/// Processes that move a group's size by themselves.
const MOVERS: [&str; 3] = ["AlarmNotification", "AZRebalance", "ScheduledActions"];

/// Without it a group replaces nothing.
const LAUNCH: &str = "Launch";

const COLOR: Param = Param::required("color", Kind::Color, "such as c.idle");

pub static VERBS: &[Verb] = &[
    Verb {
        name: "scale",
        params: &[COLOR],
        options: &[
            Opt::new("desired", Kind::Int, "instances wanted"),
            Opt::new("min", Kind::Int, "MinSize, in instances"),
            Opt::new("max", Kind::Int, "MaxSize, in instances"),
            Opt::new("lease", Kind::Bool, "true: the sizes go back when the run ends"),
        ],
        returns: "true if something was changed",
        summary: "Sets the sizes of a group that are named; a group that serves is never shrunk.",
        errors: &["refused", "invalid", "conflict"],
        example: "scale(c.idle, #{ desired: 2, min: 2 })",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: scale,
    },
    Verb {
        name: "protect_asg",
        params: &[COLOR],
        options: &[
            Opt::new("freeze", Kind::Bool, "also suspend alarms, schedules and AZ rebalancing, those that run"),
            Opt::new("max", Kind::Bool, "min = max = what runs now; freezes first; refused where the environment is guarded"),
        ],
        returns: "nothing",
        summary: "A lease: raises MinSize to the live desired capacity, so that nothing shrinks the group while the run lasts.",
        errors: &["refused"],
        example: "protect_asg(c.live)",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: protect_asg,
    },
    Verb {
        name: "hold_launches",
        params: &[COLOR],
        options: &[],
        returns: "nothing",
        summary: "A lease: suspends Launch, and what asks for launches, of a colour without traffic: nothing boots there from a key that names another's build.",
        errors: &["refused"],
        example: "hold_launches(c.live)",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: hold_launches,
    },
    Verb {
        name: "resume_launches",
        params: &[COLOR],
        options: &[],
        returns: "nothing",
        summary: "Lets a colour that hold_launches holds replace what dies; policies, schedules and rebalancing wait for thaw, or the end.",
        errors: &["refused"],
        example: "resume_launches(c.idle)",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: resume_launches,
    },
    Verb {
        name: "thaw",
        params: &[COLOR],
        options: &[],
        returns: "nothing",
        summary: "Gives back what protect_asg and hold_launches suspended, before the run ends; the floor stays.",
        errors: &["refused"],
        example: "thaw(c.live)",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: thaw,
    },
    Verb {
        name: "keep_warm",
        params: &[COLOR],
        options: &[Opt::required("released_by", Kind::Text, "the playbook that takes the floor away again")],
        returns: "nothing",
        summary: "Raises MinSize of the colour that no longer serves to what runs there, so that going back needs no boot.",
        errors: &["refused"],
        example: "keep_warm(c.live, #{ released_by: \"cleanup\" })",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: keep_warm,
    },
];

fn scale(call: &Call) -> Answer {
    let color = call.record(0);
    let (min, max, desired) = (call.opt_count("min")?, call.opt_count("max")?, call.opt_count("desired")?);
    if min.is_none() && max.is_none() && desired.is_none() {
        return Err(Raised::argument("scale: name at least one of desired, min, max").into());
    }
    let asg = with(call, async |run| Ok(own_color(run, &color)?.asg))?;
    let action = Action::Capacity { asg, min, max, desired };
    perform(call, action, call.opt_bool("lease").unwrap_or(false)).map(Dynamic::from)
}

/// Desired capacity of a colour's group at this moment.
fn desired(call: &Call, color: &Record) -> Result<(String, u32), VerbError> {
    with(call, async |run| {
        let asg = own_color(run, color)?.asg;
        let group = read_settings(run, call.verb.name, &asg).await?;
        Ok((asg, group.desired))
    })
}

fn protect_asg(call: &Call) -> Answer {
    let color = call.record(0);
    let pin = call.opt_bool("max").unwrap_or(false);
    if pin && with(call, async |run| Ok(run.env.guarded))? {
        return Err(Raised::new("refused", "a guarded environment is never pinned: its capacity could not grow")
            .hint("leave `max` away; the floor alone keeps it from shrinking")
            .into());
    }
    if pin || call.opt_bool("freeze").unwrap_or(false) {
        suspend(call, &color, &MOVERS)?;
    }
    // Read after the freeze, so that nothing moves it between this read and the write.
    let (asg, live) = desired(call, &color)?;
    if live > 0 {
        perform(call, Action::Capacity { asg, min: Some(live), max: pin.then_some(live), desired: None }, true)?;
    }
    Ok(Dynamic::UNIT)
}

/// Suspends those of the processes that run, as a lease.
fn suspend(call: &Call, color: &Record, processes: &[&str]) -> Result<(), VerbError> {
    let (asg, suspend) = with(call, async |run| {
        let asg = own_color(run, color)?.asg;
        let group = read_settings(run, call.verb.name, &asg).await?;
        let running = processes.iter().filter(|p| !group.suspended.contains(**p)).map(|p| (*p).to_owned());
        Ok((asg, running.collect::<BTreeSet<String>>()))
    })?;
    if !suspend.is_empty() {
        perform(call, Action::Processes { asg, suspend, resume: BTreeSet::new() }, true)?;
    }
    Ok(())
}

fn hold_launches(call: &Call) -> Answer {
    suspend(call, &call.record(0), &[&MOVERS[..], &[LAUNCH]].concat())?;
    Ok(Dynamic::UNIT)
}

fn resume_launches(call: &Call) -> Answer {
    let asg = with(call, async |run| Ok(own_color(run, &call.record(0))?.asg))?;
    let resume = BTreeSet::from([LAUNCH.to_owned()]);
    perform(call, Action::Processes { asg, suspend: BTreeSet::new(), resume }, false)?;
    Ok(Dynamic::UNIT)
}

fn thaw(call: &Call) -> Answer {
    let color = call.record(0);
    with(call, async |run| {
        let asg = own_color(run, &color)?.asg;
        run.thaw(&asg).await
    })?;
    Ok(Dynamic::UNIT)
}

fn keep_warm(call: &Call) -> Answer {
    let color = call.record(0);
    let (asg, running) = desired(call, &color)?;
    let released_by = call.opt_text("released_by").unwrap_or_default();
    if running == 0 {
        return Ok(Dynamic::UNIT);
    }
    perform(call, Action::Capacity { asg: asg.clone(), min: Some(running), max: None, desired: None }, false)?;
    let note = format!("{asg} stays warm with at least {running} instance(s) until `{released_by}`");
    with(call, async |run| run.say(&note, false))?;
    Ok(Dynamic::UNIT)
}
