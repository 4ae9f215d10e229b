//! Verbs about single instances of a target group: in it, out of it, and ended for good.

use super::environment::own_color;
use super::instances::{INSTANCE, named};
use super::{Answer, perform, text, with};
use crate::account::Action;
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised, Record, VerbError};
use rhai::{Array, Dynamic};
use std::collections::BTreeSet;

const COLOR: Param = Param::required("color", Kind::Color, "whose target group, such as c.live");
const INSTANCES: Param = Param::required("instances", Kind::List, "of instances(c), all of one group");

pub static VERBS: &[Verb] = &[
    Verb {
        name: "register",
        params: &[COLOR, INSTANCES],
        options: &[],
        returns: "true if something was changed",
        summary: "Puts instances into a target group, 20 in a call; what is healthy there gets users' requests.",
        errors: &["refused", "invalid"],
        example: "register(c.idle, instances(c.idle))",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: |call| set_targets(call, true),
    },
    Verb {
        name: "deregister",
        params: &[COLOR, INSTANCES],
        options: &[],
        returns: "true if something was changed",
        summary: "Takes instances out of a target group, 20 in a call; they drain, and keep running. Enough healthy ones must stay.",
        errors: &["refused"],
        example: "deregister(c.live, instances(c.live))",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: |call| set_targets(call, false),
    },
    Verb {
        name: "targets",
        params: &[COLOR],
        options: &[],
        returns: "a list with id, state, reason: all that is registered, of whatever group",
        summary: "The targets of a colour's target group, as the load balancer sees each.",
        errors: &["denied"],
        example: "targets(c.live).filter(|t| t.state == \"healthy\").len()",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: targets,
    },
    Verb {
        name: "terminate",
        params: &[INSTANCE],
        options: &[Opt::new("decrement", Kind::Bool, "true: its group wants one less from then on")],
        returns: "true if something was changed",
        summary: "Ends an instance once it has drained; its group launches another one. After commit() only: it does not come back.",
        errors: &["refused"],
        example: "commit(); terminate(instances(c.idle)[0])",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: terminate,
    },
];

fn set_targets(call: &Call, registered: bool) -> Answer {
    let color: Record = call.record(0);
    let (mut ids, mut asgs) = (BTreeSet::new(), BTreeSet::new());
    for value in call.list(1) {
        let (id, asg) = named(call.verb.name, value.try_cast())?;
        ids.insert(id);
        asgs.insert(asg);
    }
    let asg = match asgs.len() {
        0 => return Ok(Dynamic::from(false)),
        1 => asgs.pop_first().unwrap_or_default(),
        _ => {
            let asgs = asgs.into_iter().collect::<Vec<_>>().join(" and ");
            return Err(Raised::argument(format!("{}: wants instances of one group, got some of {asgs}", call.verb.name)).into());
        }
    };
    let target_group = arn(call, &color)?;
    perform(call, Action::Targets { asg, target_group, instances: ids, registered }, false).map(Dynamic::from)
}

fn arn(call: &Call, color: &Record) -> Result<String, VerbError> {
    with(call, async |run| {
        let name = own_color(run, color)?.name;
        Ok(run.topology().await?.arn(&name).unwrap_or_default().to_owned())
    })
}

fn targets(call: &Call) -> Answer {
    let arn = arn(call, &call.record(0))?;
    let found = with(call, async |run| run.read("targets", &arn, async |run| Ok(run.account.target_health(&arn).await?)).await)?;
    let record = |target: crate::account::Target| {
        let fields = [("id", target.id), ("state", target.state), ("reason", target.reason)];
        Dynamic::from(Record::new("target", fields.map(|(name, value)| (name, text(Some(value))))))
    };
    Ok(Dynamic::from(found.into_iter().map(record).collect::<Array>()))
}

fn terminate(call: &Call) -> Answer {
    let (instance, asg) = named(call.verb.name, Some(call.record(0)))?;
    let decrement = call.opt_bool("decrement").unwrap_or(false);
    perform(call, Action::Terminate { asg, instance, decrement }, false).map(Dynamic::from)
}
