//! Verbs about one instance: out of service, back into it, its application restarted.

use super::waits::{EVERY, poll};
use super::{Answer, perform, with};
use crate::account::Action;
use crate::run::{Progress, RunError};
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised, Record, VerbError};
use rhai::Dynamic;
use std::time::Duration;

pub(super) const INSTANCE: Param = Param::required("instance", Kind::Record, "one of instances(c)");

pub static VERBS: &[Verb] = &[
    Verb {
        name: "enter_standby",
        params: &[INSTANCE],
        options: &[Opt::new("replace", Kind::Bool, "true: the group launches another one; otherwise it wants one less meanwhile")],
        returns: "true if something was changed",
        summary: "Takes an instance out of the load balancer and keeps it running; in a group that serves, the others must be healthy.",
        errors: &["refused", "invalid"],
        example: "enter_standby(instances(c.idle)[0])",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: |call| standby(call, true),
    },
    Verb {
        name: "exit_standby",
        params: &[INSTANCE],
        options: &[],
        returns: "true if something was changed",
        summary: "Puts an instance back into service; its group wants one more from then on.",
        errors: &["invalid"],
        example: "exit_standby(instances(c.idle)[0])",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: |call| standby(call, false),
    },
    Verb {
        name: "restart",
        params: &[INSTANCE],
        options: &[Opt::new("timeout", Kind::Duration, "for the command to end; default \"5m\"")],
        returns: "nothing",
        summary: "Restarts the application with bgx.toml's `restart` command, by SSM Run Command; never on an instance that serves.",
        errors: &["refused", "failed", "timeout", "denied"],
        example: "restart(instances(c.idle)[0])",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: restart,
    },
];

/// Id and group of an instance's record.
pub(super) fn named(verb: &str, instance: Option<Record>) -> Result<(String, String), VerbError> {
    let kind = instance.as_ref().map_or("value that is no".to_owned(), |record| record.kind.to_string());
    let of = |field: &str| instance.as_ref().filter(|record| record.kind == "instance")?.text(field);
    let wrong = || Raised::argument(format!("{verb}: wants one of instances(c), got a {kind} record"));
    Ok((of("id").ok_or_else(wrong)?, of("asg").ok_or_else(wrong)?))
}

fn standby(call: &Call, standby: bool) -> Answer {
    let (instance, asg) = named(call.verb.name, Some(call.record(0)))?;
    let replace = standby && call.opt_bool("replace").unwrap_or(false);
    perform(call, Action::Standby { asg, instance, standby, replace }, false).map(Dynamic::from)
}

fn restart(call: &Call) -> Answer {
    let (instance, asg) = named(call.verb.name, Some(call.record(0)))?;
    let timeout = call.opt_duration("timeout").unwrap_or(Duration::from_secs(300));
    with(call, async |run| {
        let comment = run.restart(&asg, &instance).await?;
        let Some(wait) = run.begin_wait(&format!("restart of {instance}"), timeout)? else { return Ok(()) };
        poll(run, wait, EVERY, async |run, _| {
            let waiting =
                |why: &str| Some(Progress { what: format!("restart of {instance}"), why: vec![why.to_owned()], ..Progress::default() });
            let Some(id) = run.account.command_with(&instance, &comment).await? else { return Ok(waiting("not seen yet")) };
            let Some(invocation) = run.account.invocation(&id, &instance).await? else { return Ok(waiting("not begun")) };
            match invocation.status.as_str() {
                "Success" => Ok(None),
                "Pending" | "InProgress" | "Delayed" => Ok(waiting(&invocation.status)),
                ended => Err(RunError::failed(format!("the restart of {instance} ended as {ended}: {}", invocation.error.trim()))),
            }
        })
        .await
    })?;
    Ok(Dynamic::UNIT)
}
