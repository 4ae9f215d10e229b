//! What CloudWatch publishes of the load balancers: sums by minute, for the dimension sets that AWS has, after a lag; and alarms.
//!
//! AWS page "CloudWatch metrics for your Application Load Balancer". A set of dimensions that is not published has no data and is
//! no error; counts are published only where they are not 0; health checks are no requests.

use super::{TargetState, Time, World};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const NAMESPACE: &str = "AWS/ApplicationELB";
/// CPU of the instances of a group, as EC2 publishes it.
const EC2: &str = "AWS/EC2";
/// Every request takes this long, but for the slow ones of a build.
const RESPONSE_SECONDS: f64 = 0.05;
const SLOW_SECONDS: f64 = 2.0;

/// Millionths of a request a second at one node: all whose target was chosen, and those of them that failed, by how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    pub requests: u64,
    /// The target answered with a 5xx.
    pub target_errors: u64,
    /// The target could not be connected to.
    pub connection_errors: u64,
    /// The load balancer itself answered with a 5xx: no target, or none that could be connected to.
    pub balancer_errors: u64,
    /// The target took long to answer.
    #[serde(default)]
    pub slow: u64,
}

/// What a target group, or a load balancer, does from a moment on until the next gauge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    pub at: Time,
    /// By node; each is in a zone of its own.
    pub nodes: Vec<Rates>,
    /// Healthy and unhealthy targets; `None`: they are not checked.
    pub targets: Option<(u32, u32)>,
}

/// An alarm: its state changes only when somebody sets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricAlarm {
    pub name: String,
    /// Made of other alarms.
    pub composite: bool,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
    pub reason: String,
    pub updated: Time,
}

/// What somebody published of a metric of their own, in one datum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Datum {
    pub namespace: String,
    pub name: String,
    pub dimensions: BTreeMap<String, String>,
    pub at: Time,
    pub count: f64,
    pub sum: f64,
    pub minimum: f64,
    pub maximum: f64,
}

/// One metric as GetMetricData asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub namespace: String,
    pub name: String,
    pub dimensions: BTreeMap<String, String>,
    pub period_seconds: u32,
    pub statistic: String,
}

/// What a set of dimensions stands for: a target group or load balancer by its ARN, and one node or all.
struct Subject {
    arn: String,
    node: Option<usize>,
    is_group: bool,
}

impl World {
    /// Points from `start` (its minute) to before `end`, oldest first; nothing that is younger than the publication lag.
    pub fn metric(&self, asked: &Asked, start: Time, end: Time) -> Vec<(Time, f64)> {
        match asked.namespace.as_str() {
            NAMESPACE => {}
            EC2 => return self.cpu_metric(asked, start, end),
            _ => return self.own_metric(asked, start, end),
        }
        let Some(subject) = self.subject(asked) else { return Vec::new() };
        let Some(gauges) = self.gauges.get(&subject.arn) else { return Vec::new() };
        let published = Time(self.now.0.saturating_sub(self.timing.metric_lag));
        let period = u64::from(asked.period_seconds) * 1000;
        let mut points = Vec::new();
        let mut from = Time(start.0 - start.0 % period);
        while from < end && from < published {
            let until = from.after_ms(period).min(published);
            points.extend(point(gauges, &subject, asked, from, until).map(|value| (from, value)));
            from = from.after_ms(period);
        }
        points
    }

    /// CPUUtilization of a group that target tracking looks at: as it is now, for the minutes that are published.
    fn cpu_metric(&self, asked: &Asked, start: Time, end: Time) -> Vec<(Time, f64)> {
        let [(dimension, name)] = asked.dimensions.iter().collect::<Vec<_>>()[..] else { return Vec::new() };
        let group = self.groups.get(name).filter(|group| group.cpu_target.is_some() && self.members(name).next().is_some());
        let Some(group) = group.filter(|_| dimension == "AutoScalingGroupName" && asked.name == "CPUUtilization") else {
            return Vec::new();
        };
        let (period, published) = (u64::from(asked.period_seconds) * 1000, Time(self.now.0.saturating_sub(self.timing.metric_lag)));
        let first = Time(start.0 - start.0 % period);
        let minutes = (0..).map(|n| first.after_ms(n * period)).take_while(|at| *at < end && *at < published);
        minutes.map(|at| (at, f64::from(group.cpu) / 100.0)).collect()
    }

    /// PutMetricData. It is part of no environment and stands in no log.
    pub fn publish(&mut self, datum: Datum) {
        self.published.push(datum);
    }

    /// Points of a metric that somebody published: exactly these dimensions, put together by period.
    fn own_metric(&self, asked: &Asked, start: Time, end: Time) -> Vec<(Time, f64)> {
        let period = u64::from(asked.period_seconds) * 1000;
        let first = Time(start.0 - start.0 % period);
        let is_asked = |d: &&Datum| (&d.namespace, &d.name, &d.dimensions) == (&asked.namespace, &asked.name, &asked.dimensions);
        let mut periods: BTreeMap<Time, Vec<&Datum>> = BTreeMap::new();
        for datum in self.published.iter().filter(is_asked).filter(|d| first <= d.at && d.at < end) {
            periods.entry(Time(datum.at.0 - datum.at.0 % period)).or_default().push(datum);
        }
        periods.into_iter().map(|(at, data)| (at, together(&data, &asked.statistic))).collect()
    }

    /// DescribeAlarms of these names, or of all: without `kinds` metric alarms alone, even those asked for by name.
    pub fn describe_alarms(&self, names: &[String], kinds: &[String]) -> Vec<&MetricAlarm> {
        let wanted = |alarm: &&MetricAlarm| {
            let kind = if alarm.composite { "CompositeAlarm" } else { "MetricAlarm" };
            let fits = if kinds.is_empty() { !alarm.composite } else { kinds.iter().any(|k| k == kind) };
            fits && (names.is_empty() || names.contains(&alarm.name))
        };
        self.alarms.values().filter(wanted).collect()
    }

    /// Makes an alarm that is `OK`, or sets the state of one that there is.
    pub fn set_alarm(&mut self, name: &str, composite: bool, state: &str) {
        let alarm = MetricAlarm {
            name: name.to_owned(),
            composite,
            state: state.to_owned(),
            reason: format!("Threshold Crossed: the state was set to {state}"),
            updated: self.now,
        };
        let composite = self.alarms.get(name).map_or(composite, |known| known.composite);
        self.alarms.insert(name.to_owned(), MetricAlarm { composite, ..alarm });
    }

    /// Only what AWS publishes: the load balancer, with a zone or not, and a target group of it, with a zone or not.
    fn subject(&self, asked: &Asked) -> Option<Subject> {
        let mut known = BTreeSet::from(["LoadBalancer"]);
        known.extend(["TargetGroup", "AvailabilityZone"].into_iter().filter(|name| asked.dimensions.contains_key(*name)));
        if asked.dimensions.keys().any(|name| !known.contains(name.as_str())) {
            return None;
        }
        let (balancer, named) = (asked.dimensions.get("LoadBalancer")?, |arn: &str, value: &str| arn.ends_with(&format!(":{value}")));
        let balancer = self.load_balancers.values().find(|lb| named(&lb.arn, &format!("loadbalancer/{balancer}")))?;
        let node = match asked.dimensions.get("AvailabilityZone") {
            Some(zone) => Some((0..balancer.nodes as usize).find(|node| self.zone_of(*node) == *zone)?),
            None => None,
        };
        let Some(group) = asked.dimensions.get("TargetGroup") else {
            let of_balancer = !asked.name.ends_with("HealthyHostCount");
            return of_balancer.then(|| Subject { arn: balancer.arn.clone(), node, is_group: false });
        };
        let group = self.target_groups.values().find(|g| named(&g.arn, group))?;
        (asked.name != "HTTPCode_ELB_5XX_Count").then(|| Subject { arn: group.arn.clone(), node, is_group: true })
    }

    fn zone_of(&self, node: usize) -> String {
        format!("{}{}", self.region, char::from(b'a' + node as u8))
    }

    /// Keeps what each target group and load balancer does from now on.
    pub(super) fn note_gauges(&mut self, mut rates: BTreeMap<String, Vec<Rates>>) {
        let used = self.target_groups_in_use();
        let counts = |arn: &str| {
            let group = self.target_groups.get(arn).filter(|_| used.contains(arn))?;
            let count = |is: fn(&TargetState) -> bool| group.targets.values().filter(|t| is(&t.state)).count() as u32;
            Some((count(|s| *s == TargetState::Healthy), count(|s| matches!(s, TargetState::Unhealthy { .. }))))
        };
        let arns: BTreeSet<String> = rates.keys().chain(self.gauges.keys()).chain(&used).cloned().collect();
        let gauges = arns.into_iter().map(|arn| {
            let gauge = Gauge { at: self.now, nodes: rates.remove(&arn).unwrap_or_default(), targets: counts(&arn) };
            (arn, gauge)
        });
        let gauges: Vec<(String, Gauge)> = gauges.collect();
        for (arn, gauge) in gauges {
            let known = self.gauges.entry(arn).or_default();
            known.pop_if(|last| last.at == gauge.at);
            if known.last().is_none_or(|last| (&last.nodes, last.targets) != (&gauge.nodes, gauge.targets)) {
                known.push(gauge);
            }
        }
    }
}

/// One statistic of several data; a percentile is taken for the mean, which is all that sums can tell.
fn together(data: &[&Datum], statistic: &str) -> f64 {
    let total = |of: fn(&Datum) -> f64| data.iter().map(|datum| of(datum)).sum::<f64>();
    match statistic {
        "Sum" => total(|d| d.sum),
        "SampleCount" => total(|d| d.count),
        "Minimum" => data.iter().map(|d| d.minimum).fold(f64::INFINITY, f64::min),
        "Maximum" => data.iter().map(|d| d.maximum).fold(f64::NEG_INFINITY, f64::max),
        _ => total(|d| d.sum) / total(|d| d.count).max(1.0),
    }
}

/// The value over one period; `None`: nothing is published for it.
fn point(gauges: &[Gauge], subject: &Subject, asked: &Asked, from: Time, until: Time) -> Option<f64> {
    let count = |of: fn(&Rates) -> u64| counted(gauges, subject.node, of, until) - counted(gauges, subject.node, of, from);
    let requests = count(|rates| rates.requests);
    let sum = match asked.name.as_str() {
        "RequestCount" => requests,
        "HTTPCode_Target_5XX_Count" => count(|rates| rates.target_errors),
        "TargetConnectionErrorCount" => count(|rates| rates.connection_errors),
        "HTTPCode_ELB_5XX_Count" => count(|rates| rates.balancer_errors),
        "TargetResponseTime" => return response_time(&asked.statistic, requests, count(|rates| rates.slow)),
        "HealthyHostCount" | "UnHealthyHostCount" if subject.is_group => return hosts(gauges, asked, from, until),
        _ => return None,
    };
    let value = if matches!(asked.statistic.as_str(), "Sum" | "SampleCount") { sum as f64 } else { 1.0 };
    (sum > 0).then_some(value)
}

/// CloudWatch page "Statistics definitions"; nothing is published where there are no requests.
fn response_time(statistic: &str, requests: u64, slow: u64) -> Option<f64> {
    let total = requests.saturating_sub(slow) as f64 * RESPONSE_SECONDS + slow as f64 * SLOW_SECONDS;
    let number = |prefix: &str, end: &str| statistic.strip_prefix(prefix)?.strip_suffix(end)?.parse::<f64>().ok();
    // A percentile is that of the slow ones where they are more than what lies above it.
    let percentile = |p: f64| if slow as f64 > requests as f64 * (1.0 - p / 100.0) { SLOW_SECONDS } else { RESPONSE_SECONDS };
    let value = match statistic {
        "Sum" => total,
        "SampleCount" => requests as f64,
        "Average" => total / requests.max(1) as f64,
        "Minimum" => {
            if slow < requests {
                RESPONSE_SECONDS
            } else {
                SLOW_SECONDS
            }
        }
        "Maximum" => {
            if slow > 0 {
                SLOW_SECONDS
            } else {
                RESPONSE_SECONDS
            }
        }
        _ => match (number("TC(", ":)"), number("p", "")) {
            (Some(above), _) if above < RESPONSE_SECONDS => requests as f64,
            (Some(above), _) => {
                if above < SLOW_SECONDS {
                    slow as f64
                } else {
                    0.0
                }
            }
            (None, Some(p)) => percentile(p),
            (None, None) => return None,
        },
    };
    (requests > 0).then_some(value)
}

/// Whole requests until a moment since the world began, so that the minutes of a day add up to the day.
fn counted(gauges: &[Gauge], node: Option<usize>, of: fn(&Rates) -> u64, until: Time) -> u64 {
    let nodes = gauges.iter().map(|gauge| gauge.nodes.len()).max().unwrap_or(0);
    let at_node = |node: usize| {
        let ends = gauges.iter().skip(1).map(|next| next.at).chain([until]);
        let parts = gauges
            .iter()
            .zip(ends)
            .map(|(gauge, end)| u128::from(gauge.nodes.get(node).map_or(0, of)) * u128::from(end.min(until).since(gauge.at.min(until))));
        ((parts.sum::<u128>() + 500_000_000) / 1_000_000_000) as u64
    };
    node.map_or_else(|| (0..nodes).map(at_node).sum(), at_node)
}

/// Targets by health; the least and the most over the period, or its last value. All nodes see the same.
fn hosts(gauges: &[Gauge], asked: &Asked, from: Time, until: Time) -> Option<f64> {
    let first = gauges.iter().rposition(|gauge| gauge.at <= from).unwrap_or(0);
    let within = gauges[first..].iter().filter(|gauge| gauge.at < until);
    let pick = |(healthy, unhealthy): (u32, u32)| f64::from(if asked.name == "HealthyHostCount" { healthy } else { unhealthy });
    let seen: Vec<f64> = within.filter_map(|gauge| gauge.targets).map(pick).collect();
    match asked.statistic.as_str() {
        "Minimum" => seen.into_iter().reduce(f64::min),
        "Maximum" => seen.into_iter().reduce(f64::max),
        _ => seen.into_iter().next_back(),
    }
}
