//! Verbs that ask CloudWatch: alarms, metrics, and the judge of a canary.

use super::environment::own_color;
use super::{Answer, number, with};
use crate::account::{Alarm, Metric, Series};
use crate::run::judge::{self, Counts, Judged, Policy, Side, Slow, Window};
use crate::run::traffic::Topology;
use crate::run::{Run, RunError};
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised, Record, VerbError};
use jiff::{SignedDuration, Timestamp};
use rhai::{Array, Dynamic, ImmutableString};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const NAMESPACE: &str = "AWS/ApplicationELB";
/// What failed, with a target group of its own; `HTTPCode_ELB_5XX_Count` has none.
const ERRORS: [&str; 2] = ["HTTPCode_Target_5XX_Count", "TargetConnectionErrorCount"];
/// CloudWatch documents no bound; what is younger may still grow.
const LAG: SignedDuration = SignedDuration::from_mins(2);
const WARM_UP_MINUTES: u32 = 2;
const WORSE: f64 = 3.0;
const TOLERATED: f64 = 0.005;
const DISPERSION_OVER: Duration = Duration::from_secs(3 * 3600);

pub static VERBS: &[Verb] = &[
    Verb {
        name: "alarms",
        params: &[Param::optional("names", Kind::List, "alarms of CloudWatch, metric or composite; default: those of bgx.toml")],
        options: &[],
        returns: "a list with name, state (\"OK\", \"ALARM\", \"INSUFFICIENT_DATA\"), reason",
        summary: "The states of alarms now; one that does not exist is an error.",
        errors: &["failed", "denied"],
        example: "alarms([\"beta-5xx\"])",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: alarms,
    },
    Verb {
        name: "metric",
        params: &[Param::required("name", Kind::Text, "of the namespace AWS/ApplicationELB, such as \"RequestCount\"")],
        options: &[
            Opt::new("color", Kind::Color, "of its target group; default: of the whole load balancer"),
            Opt::new("statistic", Kind::Text, "\"Sum\" and the default, \"Average\", \"Maximum\", \"p99\", …"),
            Opt::new("over", Kind::Duration, "how far back; default \"10m\""),
        ],
        returns: "a list with at (seconds since 1970) and value, a point for each minute that has one, oldest first",
        summary: "A metric of the load balancer by minute; a minute without data is not in the list, and is not 0.",
        errors: &["denied"],
        example: "metric(\"RequestCount\", #{ color: c.idle, over: \"5m\" })",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: metric,
    },
    Verb {
        name: "judge",
        params: &[Param::required("colors", Kind::Record, "what colors() gave: idle is the canary, live the baseline")],
        options: &[
            Opt::required("phases", Kind::List, "now() at the beginning of each share of traffic, in order; the last one is the present"),
            Opt::new("worse", Kind::Float, "times the baseline's error rate that must be ruled out to pass; default 3"),
            Opt::new("tolerated", Kind::Float, "or this error rate, whatever the baseline's; 0: none; default 0.005"),
            Opt::new("dispersion", Kind::Float, "how errors clump, from dispersion(); default 3, which is cautious"),
            Opt::new("slow", Kind::Duration, "requests that take longer are counted and judged as errors are; default: time is not judged"),
            Opt::new("slow_dispersion", Kind::Float, "how slow requests clump, from dispersion(); default 3"),
            Opt::new("warm_up", Kind::Int, "minutes that are left out at the beginning of each share; default 2"),
        ],
        returns: "verdict (\"pass\", \"fail\", \"inconclusive\"), because, minutes, requests, errors, more_requests (() where none would tell)",
        summary: "Compares the errors of the canary, and its slow requests, with those of the colour that serves, by whole minutes; no data is never a pass.",
        errors: &["denied", "failed"],
        example: "judge(c, #{ phases: [now()] }).verdict",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: judge_canary,
    },
    Verb {
        name: "dispersion",
        params: &[Param::required("color", Kind::Color, "one that serves alone, such as c.live")],
        options: &[
            Opt::new("over", Kind::Duration, "how far back; default \"3h\""),
            Opt::new("slow", Kind::Duration, "of requests that take longer, in place of errors"),
        ],
        returns: "phi, 1 where errors are independent, 3 where too little is known; freedom, the degrees that it rests on",
        summary: "How much errors of one and the same build clump, from its availability zones against each other.",
        errors: &["denied", "failed"],
        example: "dispersion(c.live).phi",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: dispersion,
    },
];

/// Texts of a list of the script.
pub(super) fn texts(verb: &str, list: Array) -> Result<Vec<String>, VerbError> {
    let text = |item: Dynamic| item.try_cast::<ImmutableString>().map(|text| text.to_string()).filter(|text| !text.is_empty());
    let all: Option<Vec<String>> = list.into_iter().map(text).collect();
    all.ok_or_else(|| Raised::argument(format!("{verb}: alarms are a list of names such as [\"beta-5xx\"]")).into())
}

fn alarms(call: &Call) -> Answer {
    let given = call.arg(0).map(|_| texts("alarms", call.list(0))).transpose()?;
    let found = with(call, async |run| {
        let names = given.unwrap_or_else(|| run.env.alarms.clone());
        run.read("alarms", &names.join(" "), async |run| states(run, &names).await).await
    })?;
    let record = |(name, alarm): (String, Alarm)| {
        let fields = [("name", Dynamic::from(name)), ("state", Dynamic::from(alarm.state)), ("reason", Dynamic::from(alarm.reason))];
        Dynamic::from(Record::new("alarm", fields))
    };
    Ok(Dynamic::from(found.into_iter().map(record).collect::<Array>()))
}

/// The states of alarms, all of which must exist: one that nobody has would never ring.
pub(super) async fn states(run: &Run, names: &[String]) -> Result<BTreeMap<String, Alarm>, RunError> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = run.account.alarms(&names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    match names.iter().find(|name| !found.contains_key(*name)) {
        None => Ok(found),
        Some(name) => Err(RunError::failed(format!("there is no alarm `{name}`: it would never ring"))),
    }
}

/// A metric of the environment's load balancer, of a target group of it and of one zone where they are given.
fn of_balancer(topology: &Topology, name: &str, group: Option<&str>, zone: Option<&str>) -> Result<Metric, RunError> {
    let listener = topology.routes.first().map(|route| route.listener.as_str()).unwrap_or_default();
    let balancer = listener.split_once(":listener/").and_then(|(_, rest)| rest.rsplit_once('/')).map(|(balancer, _)| balancer);
    let balancer = balancer.ok_or_else(|| RunError::failed(format!("`{listener}` is no listener of a load balancer")))?;
    // Without its dimension the metric would be that of the whole balancer.
    let suffix = |arn: &str| arn.rsplit_once(':').map(|(_, group)| group.to_owned());
    let group = group.map(|arn| suffix(arn).ok_or_else(|| RunError::failed(format!("`{arn}` is no target group")))).transpose()?;
    let dimensions = [("LoadBalancer", Some(balancer)), ("TargetGroup", group.as_deref()), ("AvailabilityZone", zone)];
    let dimensions = dimensions.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    Ok(Metric { namespace: NAMESPACE.to_owned(), name: name.to_owned(), dimensions, statistic: "Sum".to_owned() })
}

fn metric(call: &Call) -> Answer {
    let (name, color) = (call.text(0), call.opt_record("color"));
    let statistic = call.opt_text("statistic").unwrap_or_else(|| "Sum".to_owned());
    let over = call.opt_duration("over").unwrap_or(Duration::from_secs(600));
    let points: Series = with(call, async |run| {
        let topology = run.topology().await?;
        let color = color.map(|color| own_color(run, &color)).transpose()?.map(|names| names.name);
        let arn = color.as_ref().and_then(|color| topology.arn(color));
        let asked = Metric { statistic, ..of_balancer(&topology, &name, arn, None)? };
        let of = format!("{name} of {}", color.as_deref().unwrap_or("all"));
        let read = async |run: &mut Run| {
            let now = run.now();
            let mut found = run.account.metrics(&[asked], before(now, over), now).await?;
            Ok(found.pop().unwrap_or_default())
        };
        run.read("metric", &of, read).await
    })?;
    let record =
        |(at, value): (i64, f64)| Dynamic::from(Record::new("point", [("at", Dynamic::from(at)), ("value", Dynamic::from(value))]));
    Ok(Dynamic::from(points.into_iter().map(record).collect::<Array>()))
}

fn before(now: Timestamp, length: Duration) -> Timestamp {
    SignedDuration::try_from(length).ok().and_then(|length| now.checked_sub(length).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Metrics that are counted, each with its statistic: all requests, then what is counted among them.
type Counted = Vec<(&'static str, String)>;

fn of_errors() -> Counted {
    std::iter::once("RequestCount").chain(ERRORS).map(|name| (name, "Sum".to_owned())).collect()
}

/// CloudWatch page "Statistics definitions": `TC(0.5:)` is the number of samples above 0.5.
fn of_slow(over: Duration) -> Counted {
    let above = format!("TC({}:)", over.as_secs_f64());
    vec![("TargetResponseTime", "SampleCount".to_owned()), ("TargetResponseTime", above)]
}

/// What is counted of several subjects, each a colour or a zone of it, in one call; of a colour's services together. By subject, then by
/// what is counted.
async fn counts(
    run: &mut Run,
    subjects: &[(String, Option<String>)],
    counted: &[Counted],
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<Vec<Counts>>, RunError> {
    let topology = run.topology().await?;
    let mut asked = Vec::new();
    for (color, zone) in subjects {
        for (name, statistic) in counted.iter().flatten() {
            for group in topology.groups(color) {
                asked.push(Metric { statistic: statistic.clone(), ..of_balancer(&topology, name, Some(&group.arn), zone.as_deref())? });
            }
        }
    }
    let found = run.account.metrics(&asked, from, until).await?;
    let mut summed = found.chunks(1 + topology.others.len()).map(sum);
    let mut next = |metrics: &Counted| {
        let series: Vec<Series> = summed.by_ref().take(metrics.len()).collect();
        let (requests, errors) = series.split_first()?;
        Some(Counts { requests: requests.clone(), errors: errors.to_vec() })
    };
    let all: Option<Vec<Vec<Counts>>> = subjects.iter().map(|_| counted.iter().map(&mut next).collect()).collect();
    all.ok_or_else(|| RunError::failed("CloudWatch told of less than it was asked"))
}

/// By minute.
fn sum(series: &[Series]) -> Series {
    let mut all = Series::new();
    series.iter().flatten().for_each(|(minute, value)| *all.entry(*minute).or_default() += value);
    all
}

fn judge_canary(call: &Call) -> Answer {
    let colors = call.record(0);
    let side = |name: &str| colors.get(name).cloned().and_then(Dynamic::try_cast::<Record>);
    let (Some(live), Some(idle)) = (side("live"), side("idle")) else {
        return Err(Raised::argument("judge: wants what colors() gave").into());
    };
    let (phases, slow) = (phases(call)?, slow(call)?);
    let metrics = 1 + u32::from(slow.is_some());
    let (policy, of_time) = (policy(call, "dispersion", metrics)?, policy(call, "slow_dispersion", metrics)?);
    let warm_up = call.opt_count("warm_up")?.unwrap_or(WARM_UP_MINUTES);
    let judged: Judged = with(call, async |run| {
        let (canary, baseline) = (own_color(run, &idle)?.name, own_color(run, &live)?.name);
        let of = format!("{canary} beside {baseline}");
        run.read("judge", &of, async |run| {
            let subject = |color: &str| (color.to_owned(), None);
            let now = run.now();
            let from = phases.first().and_then(|at| Timestamp::from_second(*at).ok()).filter(|at| *at < now);
            let from = from.ok_or_else(|| RunError::failed("the first phase has not begun"))?;
            let until = now.checked_sub(LAG).unwrap_or(now).as_second();
            let counted: Vec<Counted> = std::iter::once(of_errors()).chain(slow.map(of_slow)).collect();
            let sides = counts(run, &[subject(&canary), subject(&baseline)], &counted, (from, now)).await?;
            let window = Window { phases, warm_up, until };
            let judged = |which: usize, policy| judge::judge(&judge::join(&sides[0][which], &sides[1][which], &window), policy);
            let slow = slow.map(|over| Slow { over_seconds: over.as_secs_f64(), judgement: judged(1, of_time) });
            Ok(Judged { errors: judged(0, policy), slow })
        })
        .await
    })?;
    Ok(Dynamic::from(verdict(&judged)))
}

fn verdict(judged: &Judged) -> Record {
    let side = |side: Side| Dynamic::from(Record::new("side", [("requests", number(side.requests)), ("errors", number(side.errors))]));
    Record::new(
        "judgement",
        [
            ("verdict", Dynamic::from(judged.verdict().word())),
            ("because", Dynamic::from(judged.to_string())),
            ("minutes", number(judged.errors.minutes)),
            ("canary", side(judged.errors.canary)),
            ("baseline", side(judged.errors.baseline)),
            ("more_requests", judged.more_requests().map_or(Dynamic::UNIT, number)),
        ],
    )
}

/// CloudWatch's bounds are seconds.
fn slow(call: &Call) -> Result<Option<Duration>, Raised> {
    match call.opt_duration("slow") {
        Some(over) if over.is_zero() => Err(Raised::argument(format!("{}: `slow` is longer than \"0s\"", call.verb.name))),
        over => Ok(over),
    }
}

/// When each share began: whole seconds, ascending.
fn phases(call: &Call) -> Result<Vec<i64>, VerbError> {
    let given: Option<Vec<i64>> = call.opt_list("phases").unwrap_or_default().iter().map(|at| at.as_int().ok()).collect();
    let phases = given.filter(|list| !list.is_empty() && list.is_sorted() && list.iter().all(|at| *at > 0));
    phases.ok_or_else(|| Raised::argument("judge: `phases` is a list of what now() gave, in order").into())
}

fn policy(call: &Call, dispersion: &str, metrics: u32) -> Result<Policy, VerbError> {
    let within = |key: &str, otherwise: f64, low: f64, high: f64| {
        let given = call.opt_float(key).unwrap_or(otherwise);
        let fits = (low..=high).contains(&given);
        if fits { Ok(given) } else { Err(Raised::argument(format!("judge: `{key}` is from {low} to {high}, got {given}"))) }
    };
    Ok(Policy {
        worse: within("worse", WORSE, 1.5, 100.0)?,
        tolerated: within("tolerated", TOLERATED, 0.0, 0.5)?,
        dispersion: within(dispersion, judge::DISPERSION_UNKNOWN, 1.0, 1000.0)?,
        metrics,
    })
}

/// What `dispersion` found, as the journal keeps it.
#[derive(Serialize, Deserialize)]
struct Clumped {
    phi: f64,
    freedom: usize,
}

fn dispersion(call: &Call) -> Answer {
    let color = call.record(0);
    let over = call.opt_duration("over").unwrap_or(DISPERSION_OVER);
    let counted = slow(call)?.map_or_else(of_errors, of_slow);
    let found: Clumped = with(call, async |run| {
        let names = own_color(run, &color)?;
        run.read("dispersion", &names.name.clone(), async |run| {
            let zones = zones(run, &names.asg).await?;
            let subjects: Vec<(String, Option<String>)> = zones.into_iter().map(|zone| (names.name.clone(), Some(zone))).collect();
            let until = run.now().checked_sub(LAG).unwrap_or(Timestamp::UNIX_EPOCH);
            let zones = counts(run, &subjects, &[counted], (before(until, over), until)).await?.concat();
            let judge::Dispersion { phi, freedom } = judge::dispersion(&zones);
            Ok(Clumped { phi, freedom })
        })
        .await
    })?;
    Ok(Dynamic::from(Record::new("dispersion", [("phi", Dynamic::from(found.phi)), ("freedom", number(found.freedom))])))
}

/// Zones in which the group has instances.
async fn zones(run: &Run, asg: &str) -> Result<BTreeSet<String>, RunError> {
    let group = run.account.groups(&[asg]).await?.remove(asg);
    let group = group.ok_or_else(|| RunError::failed(format!("there is no group `{asg}`")))?;
    Ok(group.instances.into_iter().map(|instance| instance.zone).collect())
}
