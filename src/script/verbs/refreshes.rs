//! Verbs about an instance refresh: a group's instances are replaced in place, batch by batch.

use super::environment::own_color;
use super::waits::poll;
use super::{Answer, perform, with};
use crate::account::{Action, Refresh};
use crate::run::{Progress, RunError};
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised};
use rhai::Dynamic;
use std::time::Duration;

const COLOR: Param = Param::required("color", Kind::Color, "such as c.live");
/// As AWS has it; the present process of Compiler Explorer takes 75.
const MIN_HEALTHY: u32 = 90;
/// A quarter of a group after the other, each with boot and warm-up, and some patience.
const TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);
/// Between two looks: a batch takes minutes.
const EVERY: Duration = Duration::from_secs(15);

pub static VERBS: &[Verb] = &[
    Verb {
        name: "refresh",
        params: &[COLOR, Param::required("version", Kind::Text, "what resolve_version gave")],
        options: &[Opt::new(
            "min_healthy_percent",
            Kind::Int,
            "0 to 100, default 90; with 100 new instances are launched before old ones end",
        )],
        returns: "true if something was changed",
        summary: "Writes the version key and starts an instance refresh; taken back by another one, to the version before.",
        errors: &["refused", "conflict", "denied"],
        example: "refresh(c.live, \"dist/gh/main/41001.tar.xz\", #{ min_healthy_percent: 75 })",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: refresh,
    },
    Verb {
        name: "wait_refreshed",
        params: &[COLOR],
        options: &[Opt::new("timeout", Kind::Duration, "how long at most; default \"2h\"")],
        returns: "nothing",
        summary: "Waits until the newest instance refresh of a group has replaced every instance.",
        errors: &["timeout", "failed", "denied"],
        example: "refresh(c.idle, \"dist/gh/main/41001.tar.xz\"); wait_refreshed(c.idle, #{ timeout: \"2h\" })",
        effect: Effect::Wait,
        since: 1,
        deprecated: None,
        call: wait_refreshed,
    },
];

fn refresh(call: &Call) -> Answer {
    let (color, version) = (call.record(0), call.text(1));
    let min_healthy = call.opt_count("min_healthy_percent")?.unwrap_or(MIN_HEALTHY);
    if min_healthy > 100 {
        return Err(Raised::argument(format!("refresh: `min_healthy_percent` is from 0 to 100, got {min_healthy}")).into());
    }
    let action = with(call, async |run| {
        let names = own_color(run, &color)?;
        Ok(Action::Refresh { asg: names.asg, bucket: run.env.bucket.clone(), key: names.version_key, version, min_healthy })
    })?;
    perform(call, action, false).map(Dynamic::from)
}

fn wait_refreshed(call: &Call) -> Answer {
    let color = call.record(0);
    let timeout = call.opt_duration("timeout").unwrap_or(TIMEOUT);
    with(call, async |run| {
        let asg = own_color(run, &color)?.asg;
        let Some(wait) = run.begin_wait(&format!("{asg} refreshed"), timeout)? else { return Ok(()) };
        poll(run, wait, EVERY, async |run, _| progress(&asg, run.account.newest_refresh(&asg).await?)).await
    })?;
    Ok(Dynamic::UNIT)
}

/// `None`: every instance is replaced.
fn progress(asg: &str, newest: Option<Refresh>) -> Result<Option<Progress>, RunError> {
    let Some(refresh) = newest else { return Err(RunError::failed(format!("`{asg}` was never refreshed"))) };
    let Refresh { status, reason, percent, .. } = &refresh;
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    match status.as_str() {
        "Successful" => Ok(None),
        _ if refresh.is_active() && status != "Cancelling" => Ok(Some(Progress {
            what: format!("{asg} refreshed {percent} %"),
            why: vec![format!("{status}{why}")],
            done: Some(u64::from(*percent)),
            total: Some(100),
        })),
        _ => Err(RunError::failed(format!("the instance refresh of {asg} ended as {status} at {percent} %{why}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: &str, percent: u32, reason: &str) -> Result<Option<Progress>, RunError> {
        let refresh = Refresh { id: "r".into(), status: status.into(), reason: reason.into(), start: None, percent };
        progress("beta-blue", Some(refresh))
    }

    #[test]
    fn a_refresh_is_waited_for_until_it_ends_and_one_that_ends_badly_says_where() {
        assert_eq!(told("Successful", 100, "").unwrap(), None);
        let on_its_way = told("InProgress", 50, "").unwrap().unwrap();
        assert_eq!((on_its_way.what.as_str(), on_its_way.done), ("beta-blue refreshed 50 %", Some(50)));
        let cancelled = told("Cancelled", 25, "Cancelled due to user request.").unwrap_err().to_string();
        assert_eq!(cancelled, "the instance refresh of beta-blue ended as Cancelled at 25 %: Cancelled due to user request.");
        assert!(told("Cancelling", 25, "").is_err());
        assert!(progress("beta-blue", None).is_err());
    }
}
