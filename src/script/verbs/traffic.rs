//! Verbs that move user traffic: one action for all routes of the environment, guarded by health read at that moment.

use super::environment::own_color;
use super::{Answer, perform, with};
use crate::run::{Run, RunError};
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised, Record, VerbError};
use rhai::Dynamic;

/// Weight of a colour that gets everything; shares are parts of it.
const ALL: u32 = 100;

pub static VERBS: &[Verb] = &[
    Verb {
        name: "set_weights",
        params: &[],
        options: &[
            Opt::required("live", Kind::Color, "the colour that serves"),
            Opt::required("idle", Kind::Color, "the colour that gets the share"),
            Opt::required("share", Kind::Int, "per cent of the traffic for `idle`; 0: none, but the load balancer checks its health"),
        ],
        returns: "true if something was changed",
        summary: "Puts both colours into the rule, with so many per cent of the traffic for the idle one.",
        errors: &["refused", "conflict"],
        example: "set_weights(#{ live: c.live, idle: c.idle, share: 0 })",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: set_weights,
    },
    Verb {
        name: "switch_rule",
        params: &[Param::required("color", Kind::Color, "the colour that is to serve")],
        options: &[],
        returns: "true if something was changed",
        summary: "Sends all traffic of every route to a colour, in one call per listener; it must have enough healthy targets.",
        errors: &["refused", "conflict"],
        example: "switch_rule(c.idle)",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: switch_rule,
    },
    Verb {
        name: "accept_less",
        params: &[Param::required("color", Kind::Color, "the colour that is to serve")],
        options: &[
            Opt::required("healthy", Kind::Int, "healthy targets that shall be enough; at least 1"),
            Opt::required("reason", Kind::Text, "goes to the journal"),
        ],
        returns: "nothing",
        summary: "Asks a person to let a colour serve with fewer healthy targets than the live colour's capacity.",
        errors: &["refused"],
        example: "accept_less(c.idle, #{ healthy: 2, reason: \"spot is short\" })",
        effect: Effect::Ask,
        since: 1,
        deprecated: None,
        call: accept_less,
    },
];

fn color_option(call: &Call, key: &str) -> Result<Record, VerbError> {
    call.opt_record(key).ok_or_else(|| Raised::argument(format!("{}: `{key}` is missing", call.verb.name)).into())
}

fn set_weights(call: &Call) -> Answer {
    let (live, idle) = (color_option(call, "live")?, color_option(call, "idle")?);
    let share = call.opt_count("share")?.unwrap_or(0);
    if share > ALL {
        return Err(Raised::argument(format!("set_weights: `share` is per cent, 0 to 100, got {share}")).into());
    }
    if live == idle {
        return Ok(Dynamic::from(false)); // deploying into the empty live colour: it stands in the rule already
    }
    forward(call, &[(&live, ALL - share), (&idle, share)])
}

fn switch_rule(call: &Call) -> Answer {
    let to = call.record(0);
    let action = with(call, async |run| {
        by_rule(run)?;
        let names = own_color(run, &to)?;
        let topology = run.topology().await?;
        // The other colour stays in the rule at weight 0, where its health is checked.
        let shares = [(names.name.clone(), ALL), (run.env.other(&names.name).name.clone(), 0)];
        Ok(topology.forward(&run.env.name, &shares))
    })?;
    perform(call, action, false).map(Dynamic::from)
}

fn forward(call: &Call, shares: &[(&Record, u32)]) -> Answer {
    let action = with(call, async |run| {
        by_rule(run)?;
        let topology = run.topology().await?;
        let named = shares.iter().map(|(color, share)| Ok((own_color(run, color)?.name, *share)));
        Ok(topology.forward(&run.env.name, &named.collect::<Result<Vec<_>, RunError>>()?))
    })?;
    perform(call, action, false).map(Dynamic::from)
}

/// A rule tells target groups apart, not the instances in one.
fn by_rule(run: &Run) -> Result<(), RunError> {
    if !run.env.shares_target_group() {
        return Ok(());
    }
    let text = format!("both colours are in `{}`, so no rule can send traffic to one of them", run.env.colors[0].target_group);
    Err(RunError::refused(text, format!("bgx run instance-switch --env {}", run.env.name)))
}

fn accept_less(call: &Call) -> Answer {
    let color = call.record(0);
    let healthy = call.opt_count("healthy")?.unwrap_or(1).max(1);
    let reason = call.opt_text("reason").unwrap_or_default();
    with(call, async |run| {
        let name = own_color(run, &color)?.name;
        run.accept_less(&name, healthy, &reason)
    })?;
    Ok(Dynamic::UNIT)
}
