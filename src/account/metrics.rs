//! CloudWatch: metrics by minute and the states of alarms. What has no data is absent, and never 0.

use super::autoscaling::endless;
use super::classify::{Answer, Failure, answer};
use super::pages::Pages;
use super::retry::{Call, Class};
use super::{Account, AccountError, Alarm, Kind, Measured, Metric, Series};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types as sdk;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// GetMetricData takes no more metrics in one call, DescribeAlarms no more names.
const METRICS_MAX: usize = 500;
const NAMES_MAX: usize = 100;
/// The load balancer's own resolution.
const PERIOD_SECONDS: i32 = 60;

fn call<'a>(operation: &'static str, resource: &'a str) -> Call<'a> {
    Call { service: "cloudwatch", operation, resource, class: Class::Read, says: None }
}

/// A page of alarms and the token of the next.
type AlarmPage = (Vec<(String, Alarm)>, Option<String>);
/// By place among the metrics: the points of a page, and whether all have come; and the token of the next page.
type MetricPage = (BTreeMap<usize, (Series, bool)>, Option<String>);

impl Account {
    /// GetMetricData by minute, from the minute of `from` to before `until`, in the order of `metrics`. A minute without data is not in a
    /// series; a metric that nobody publishes has an empty one.
    pub async fn metrics(&self, metrics: &[Metric], from: Timestamp, until: Timestamp) -> Result<Vec<Series>, AccountError> {
        let mut all = Vec::new();
        for metrics in metrics.chunks(METRICS_MAX) {
            all.extend(self.metrics_chunk(metrics, from, until).await?);
        }
        Ok(all)
    }

    async fn metrics_chunk(&self, metrics: &[Metric], from: Timestamp, until: Timestamp) -> Result<Vec<Series>, AccountError> {
        let names: BTreeSet<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        let resource = names.into_iter().collect::<Vec<_>>().join(" ");
        let call = call("GetMetricData", &resource);
        let queries: Vec<sdk::MetricDataQuery> = metrics.iter().enumerate().map(query).collect();
        let mut found: BTreeMap<usize, (Series, bool)> = BTreeMap::new();
        let mut pages = Pages::default();
        loop {
            let (page, next) = self.call(pages.next(call), || self.metrics_page(&queries, (from, until), &pages)).await?;
            for (index, (series, complete)) in page {
                let known = found.entry(index).or_default();
                known.0.extend(series);
                known.1 = complete;
            }
            if !pages.go_on(next).map_err(|what| endless(call, what))? {
                break;
            }
        }
        let whole = |index: usize| match found.remove(&index) {
            Some((series, true)) => Ok(series),
            // Half of the data would read as fewer requests, or fewer errors.
            Some((_, false)) => Err(format!("`{}` did not come whole", metrics[index].name)),
            None => Err(format!("the reply says nothing about `{}`", metrics[index].name)),
        };
        let all: Result<Vec<Series>, String> = (0..metrics.len()).map(whole).collect();
        all.map_err(|what| Failure::lost(what).into_error(&call, Kind::Lost, 1))
    }

    async fn metrics_page(
        &self,
        queries: &[sdk::MetricDataQuery],
        (from, until): (Timestamp, Timestamp),
        pages: &Pages,
    ) -> Result<Answer<MetricPage>, Failure> {
        let request = self.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries.to_vec()));
        // AWS refuses a span of nothing.
        let until = until.as_second().max(from.as_second() + i64::from(PERIOD_SECONDS));
        let request = request.start_time(DateTime::from_secs(from.as_second())).end_time(DateTime::from_secs(until));
        answer(request.set_next_token(pages.token.clone()).send().await)?.read(|out| {
            let results = out.metric_data_results.ok_or("the reply lacks `MetricDataResults`")?;
            Ok((results.into_iter().map(points).collect::<Result<_, _>>()?, out.next_token))
        })
    }

    /// PutMetricData, once: a second sending would count twice. Each value goes under the first dimension alone, and under all of them.
    pub async fn publish(
        &self,
        namespace: &str,
        dimensions: &[(&str, &str)],
        values: &[Measured],
        at: Timestamp,
    ) -> Result<(), AccountError> {
        let dimensions: Vec<sdk::Dimension> =
            dimensions.iter().map(|(name, value)| sdk::Dimension::builder().name(*name).value(*value).build()).collect();
        let datum = |of: &[sdk::Dimension], measured: &Measured| {
            let unit = if measured.is_seconds { sdk::StandardUnit::Seconds } else { sdk::StandardUnit::Count };
            let datum = sdk::MetricDatum::builder().metric_name(measured.name).value(measured.value).unit(unit);
            datum.timestamp(DateTime::from_secs(at.as_second())).set_dimensions(Some(of.to_vec())).build()
        };
        let each = |of: &[sdk::Dimension]| values.iter().map(|measured| datum(of, measured)).collect::<Vec<_>>();
        let data = [each(dimensions.get(..1).unwrap_or_default()), each(&dimensions)].concat();
        let call = Call { service: "cloudwatch", operation: "PutMetricData", resource: namespace, class: Class::Probe, says: None };
        self.call(call, || async {
            let request = self.cloudwatch.put_metric_data().namespace(namespace).set_metric_data(Some(data.clone()));
            answer(request.send().await)?.read(|_| Ok(()))
        })
        .await
    }

    /// DescribeAlarms by name, metric and composite ones: one that does not exist is not in the map.
    pub async fn alarms(&self, names: &[&str]) -> Result<BTreeMap<String, Alarm>, AccountError> {
        let names: Vec<String> = names.iter().collect::<BTreeSet<_>>().into_iter().map(|n| n.to_string()).collect();
        let mut found = BTreeMap::new();
        for names in names.chunks(NAMES_MAX) {
            let resource = names.join(" ");
            let call = call("DescribeAlarms", &resource);
            let mut pages = Pages::default();
            loop {
                let (page, next) = self.call(pages.next(call), || self.alarms_page(names, &pages)).await?;
                found.extend(page.into_iter().filter(|(name, _)| names.contains(name)));
                if !pages.go_on(next).map_err(|what| endless(call, what))? {
                    break;
                }
            }
        }
        Ok(found)
    }

    async fn alarms_page(&self, names: &[String], pages: &Pages) -> Result<Answer<AlarmPage>, Failure> {
        // Without the types AWS leaves composite alarms out, even those that are named.
        let kinds = vec![sdk::AlarmType::MetricAlarm, sdk::AlarmType::CompositeAlarm];
        let request = self.cloudwatch.describe_alarms().set_alarm_names(Some(names.to_vec())).set_alarm_types(Some(kinds));
        answer(request.set_next_token(pages.token.clone()).send().await)?.read(|out| {
            let metric = out.metric_alarms.unwrap_or_default().into_iter().map(|a| alarm(a.alarm_name, a.state_value, a.state_reason));
            let composite =
                out.composite_alarms.unwrap_or_default().into_iter().map(|a| alarm(a.alarm_name, a.state_value, a.state_reason));
            Ok((metric.chain(composite).collect::<Result<Vec<_>, _>>()?, out.next_token))
        })
    }
}

/// `m7`: where the metric stands in the list.
fn query((index, metric): (usize, &Metric)) -> sdk::MetricDataQuery {
    let dimensions = metric.dimensions.iter().map(|(name, value)| sdk::Dimension::builder().name(name).value(value).build()).collect();
    let named = sdk::Metric::builder().namespace(&metric.namespace).metric_name(&metric.name).set_dimensions(Some(dimensions)).build();
    let stat = sdk::MetricStat::builder().metric(named).period(PERIOD_SECONDS).stat(&metric.statistic).build();
    sdk::MetricDataQuery::builder().id(format!("m{index}")).metric_stat(stat).build()
}

fn points(from: sdk::MetricDataResult) -> Result<(usize, (Series, bool)), Failure> {
    let id = from.id.ok_or("a result lacks `Id`")?;
    let index = id.strip_prefix('m').and_then(|n| n.parse().ok()).ok_or_else(|| format!("`{id}` was not asked for"))?;
    let (times, values) = (from.timestamps.unwrap_or_default(), from.values.unwrap_or_default());
    if times.len() != values.len() {
        return Err(format!("`{id}` has {} timestamps and {} values", times.len(), values.len()).into());
    }
    let complete = match from.status_code {
        Some(sdk::StatusCode::Complete) => true,
        Some(sdk::StatusCode::PartialData) => false,
        Some(sdk::StatusCode::Forbidden) => return Err(Failure::new(Kind::Denied, format!("CloudWatch may not show `{id}`"))),
        other => {
            let status = other.as_ref().map_or("nothing", sdk::StatusCode::as_str).to_owned();
            return Err(Failure::new(Kind::Unavailable, format!("CloudWatch says {status} about `{id}`")));
        }
    };
    Ok((index, (times.iter().map(DateTime::secs).zip(values).collect(), complete)))
}

fn alarm(name: Option<String>, state: Option<sdk::StateValue>, reason: Option<String>) -> Result<(String, Alarm), Failure> {
    let state = state.ok_or("an alarm lacks `StateValue`")?.as_str().to_owned();
    let reason = super::classify::printable(&reason.unwrap_or_default());
    Ok((name.ok_or("an alarm lacks `AlarmName`")?, Alarm { state, reason }))
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
