//! What a clone is made of: the reads of the environments, and which of them failed.

use super::{Denied, Unknown};
use crate::account::{
    Account, AccountError, Activity, Alarm, Group, HttpRequest, Kind, Listener, LoadBalancer, Metric, Object, ObjectInfo, Parameter,
    Policy, Rule, Target, TargetGroup,
};
use crate::config::Environment;
use crate::sandbox::world::Time;
use futures_util::future::{join_all, try_join_all};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A read that a run can do without is given up after this long.
const PATIENCE: Duration = Duration::from_secs(20);
/// An instance in the same network answers within milliseconds; from elsewhere none does.
const PROBE_SECONDS: u32 = 1;
/// Launches that say how long a boot takes: one page of DescribeScalingActivities.
const ACTIVITIES: usize = 100;
/// Requests are counted over so many minutes, the youngest of which CloudWatch may not have yet.
const RATE_MINUTES: i64 = 15;
const LAG_MINUTES: i64 = 3;

/// Everything that was read, as the account told it.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The account's own present moment.
    pub at: Time,
    pub balancers: Vec<BalancerRead>,
    /// By name.
    pub target_groups: BTreeMap<String, TargetGroup>,
    /// By ARN, as are the next two; absent: could not be read.
    pub attributes: BTreeMap<String, BTreeMap<String, String>>,
    pub health: BTreeMap<String, Vec<Target>>,
    /// Requests a second; `None`: could not be read.
    pub requests: Option<BTreeMap<String, f64>>,
    /// By name, as are the next three.
    pub groups: BTreeMap<String, Group>,
    pub activities: BTreeMap<String, Vec<Activity>>,
    pub policies: BTreeMap<String, Vec<Policy>>,
    /// CPU in per cent.
    pub cpu: BTreeMap<String, f64>,
    /// `None`: could not be read.
    pub parameters: Option<BTreeMap<String, Parameter>>,
    /// By bucket and key: those whose contents matter.
    pub objects: BTreeMap<(String, String), Object>,
    /// Those of which only the existence does.
    pub listed: BTreeMap<(String, String), ObjectInfo>,
    pub alarms: BTreeMap<String, Alarm>,
    /// By instance.
    pub addresses: BTreeMap<String, String>,
    pub versions: BTreeMap<String, String>,
    pub unknown: Vec<Unknown>,
    refused: Vec<Denied>,
    answered: BTreeSet<String>,
}

/// A load balancer with all rules of the listeners that the environments use.
#[derive(Clone, Debug)]
pub struct BalancerRead {
    pub balancer: LoadBalancer,
    pub listeners: Vec<Listener>,
    /// By listener.
    pub rules: BTreeMap<String, Vec<Rule>>,
}

impl Reading {
    /// Operations that were refused and never answered.
    pub fn denied(&self) -> Vec<Denied> {
        let mut denied: Vec<Denied> = self.refused.iter().filter(|denied| !self.answered.contains(&denied.operation)).cloned().collect();
        denied.sort();
        denied.dedup();
        denied
    }
}

/// Reads that may fail, and what became of them.
struct Reader<'a> {
    account: &'a Account,
    envs: &'a [&'a Environment],
    unknown: RefCell<Vec<Unknown>>,
    refused: RefCell<Vec<Denied>>,
    answered: RefCell<BTreeSet<String>>,
}

/// Reads all of it. What is known of an environment only together with others is read once for all.
pub async fn read(account: &Account, envs: &[&Environment], now: impl Fn() -> Time) -> Result<Reading, AccountError> {
    let reader = Reader { account, envs, unknown: RefCell::default(), refused: RefCell::default(), answered: RefCell::default() };
    let colors: Vec<&str> = names(envs.iter().flat_map(|env| env.colors.iter().map(|color| color.asg.as_str())));
    let (routing, scaling, parameters, objects, listed, alarms, activities, policies) = tokio::join!(
        reader.routing(now()),
        reader.scaling(),
        reader.parameters(),
        reader.objects(),
        reader.listed(),
        reader.alarms(),
        reader.each(&colors, ("DescribeScalingActivities", "the scaling activities"), BOOTS, async |asg| account
            .activities(asg, ACTIVITIES)
            .await),
        reader.each(&colors, ("DescribePolicies", "the scaling policies"), POLICIES, async |asg| account.policies(asg).await),
    );
    let (routing, (groups, addresses)) = (routing?, scaling?);
    let versions = reader.versions(&groups, &addresses, &routing.target_groups).await;
    Ok(Reading {
        at: now(),
        parameters,
        objects,
        listed,
        alarms,
        activities,
        policies,
        groups,
        addresses,
        versions,
        unknown: reader.unknown.into_inner(),
        refused: reader.refused.into_inner(),
        answered: reader.answered.into_inner(),
        ..routing
    })
}

const BOOTS: &str = "boots take what bgx.toml says of its sandbox, and no instance is warming up: the plan's times are a guess there";
const POLICIES: &str = "target tracking is as bgx.toml says of its sandbox: what autoscaling does meanwhile is a guess";

impl Reader<'_> {
    /// What was read, or nothing and a line about it.
    async fn or_unknown<T>(
        &self,
        (operation, what): (&str, &str),
        consequence: &str,
        read: impl Future<Output = Result<T, AccountError>>,
    ) -> Option<T> {
        let why = match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(found)) => {
                self.answered.borrow_mut().insert(operation.to_owned());
                return Some(found);
            }
            Ok(Err(error)) => {
                if error.kind == Kind::Denied {
                    let service = if error.service == "cloudwatch" { "monitoring" } else { &error.service };
                    self.refused.borrow_mut().push(Denied {
                        service: service.to_owned(),
                        operation: error.operation.clone(),
                        region: None,
                    });
                }
                error.to_string()
            }
            Err(_) => format!("{operation} did not answer within {} s", PATIENCE.as_secs()),
        };
        self.unknown.borrow_mut().push(Unknown { what: what.to_owned(), why, consequence: consequence.to_owned() });
        None
    }

    /// One read for each of these groups.
    async fn each<T>(
        &self,
        names: &[&str],
        (operation, what): (&str, &str),
        consequence: &str,
        read: impl AsyncFn(&str) -> Result<Vec<T>, AccountError>,
    ) -> BTreeMap<String, Vec<T>> {
        let one = async |name: &&str| {
            let what = format!("{what} of {name}");
            Some(((*name).to_owned(), self.or_unknown((operation, &what), consequence, read(name)).await?))
        };
        join_all(names.iter().map(one)).await.into_iter().flatten().collect()
    }

    /// Load balancers, target groups and what they do: a run cannot begin without these.
    async fn routing(&self, at: Time) -> Result<Reading, AccountError> {
        let balancers =
            try_join_all(names(self.envs.iter().map(|env| env.load_balancer.as_str())).into_iter().map(|name| self.balancer(name)));
        let wanted = names(self.envs.iter().flat_map(|env| env.colors.iter().flat_map(|c| c.target_groups().map(String::as_str))));
        let (balancers, target_groups) = tokio::join!(balancers, self.account.target_groups(&wanted));
        let (balancers, target_groups) = (balancers?.into_iter().flatten().collect::<Vec<_>>(), target_groups?);
        let arns: Vec<&TargetGroup> = target_groups.values().collect();
        let (attributes, health, load) = tokio::join!(self.attributes(&arns), self.health(&arns), self.load(&balancers, &arns, at));
        let (requests, cpu) = load;
        Ok(Reading { balancers, attributes, health, requests, cpu, target_groups, ..Reading::default() })
    }

    /// With the rules of the listeners on which one of the environments has a route.
    async fn balancer(&self, name: &str) -> Result<Option<BalancerRead>, AccountError> {
        let Some(balancer) = self.account.load_balancer(name).await? else { return Ok(None) };
        let listeners = self.account.listeners(&balancer.arn).await?;
        let ports: BTreeSet<u16> = self.envs.iter().flat_map(|env| env.routes.iter().map(|route| route.listener)).collect();
        let used = listeners.iter().filter(|listener| ports.contains(&listener.port));
        let rules = try_join_all(used.map(async |l| Ok::<_, AccountError>((l.arn.clone(), self.account.rules(&l.arn).await?)))).await?;
        Ok(Some(BalancerRead { rules: rules.into_iter().collect(), balancer, listeners }))
    }

    async fn attributes(&self, groups: &[&TargetGroup]) -> BTreeMap<String, BTreeMap<String, String>> {
        let one = async |group: &&TargetGroup| {
            let what = format!("the attributes of target group {}", group.name);
            let consequence =
                "its deregistration delay, stickiness and slow start are those of a new sandbox: the end of draining is a guess";
            let read = self.account.target_group_attributes(&group.arn);
            Some((group.arn.clone(), self.or_unknown(("DescribeTargetGroupAttributes", &what), consequence, read).await?))
        };
        join_all(groups.iter().map(one)).await.into_iter().flatten().collect()
    }

    async fn health(&self, groups: &[&TargetGroup]) -> BTreeMap<String, Vec<Target>> {
        let one = async |group: &&TargetGroup| {
            let what = format!("the health of the targets of {}", group.name);
            let consequence = "instances in service are taken as healthy where their target group is in a rule; a run stops there";
            let read = self.account.target_health(&group.arn);
            Some((group.arn.clone(), self.or_unknown(("DescribeTargetHealth", &what), consequence, read).await?))
        };
        join_all(groups.iter().map(one)).await.into_iter().flatten().collect()
    }

    /// Requests a second by target group, and CPU by group, in one call.
    async fn load(
        &self,
        balancers: &[BalancerRead],
        groups: &[&TargetGroup],
        at: Time,
    ) -> (Option<BTreeMap<String, f64>>, BTreeMap<String, f64>) {
        let until = jiff::Timestamp::from_millisecond(i64::try_from(at.0).unwrap_or(i64::MAX)).unwrap_or(jiff::Timestamp::MAX);
        let until = until - jiff::SignedDuration::from_mins(LAG_MINUTES);
        let from = until - jiff::SignedDuration::from_mins(RATE_MINUTES);
        let balancer = |group: &TargetGroup| {
            let own = |b: &&BalancerRead| group.load_balancers.contains(&b.balancer.arn);
            balancers.iter().find(own).or_else(|| balancers.first()).map(|b| suffix(&b.balancer.arn, "loadbalancer/"))
        };
        let counts = groups.iter().filter_map(|group| {
            let dimensions = [("LoadBalancer", balancer(group)?), ("TargetGroup", suffix(&group.arn, ""))];
            Some((group.arn.clone(), metric("AWS/ApplicationELB", "RequestCount", "Sum", &dimensions)))
        });
        let colors = names(self.envs.iter().flat_map(|env| env.colors.iter().map(|color| color.asg.as_str())));
        let loads = colors.into_iter().map(|asg| {
            let dimensions = [("AutoScalingGroupName", asg.to_owned())];
            (asg.to_owned(), metric("AWS/EC2", "CPUUtilization", "Average", &dimensions))
        });
        let (counted, asked): (Vec<String>, Vec<Metric>) = counts.chain(loads).unzip();
        let consequence = "users send what bgx.toml says of its sandbox: errors in figures, and what autoscaling does, are a guess";
        let read = self.account.metrics(&asked, from, until);
        let Some(series) = self.or_unknown(("GetMetricData", "requests and CPU"), consequence, read).await else {
            return Default::default();
        };
        let (mut requests, mut cpu) = (BTreeMap::new(), BTreeMap::new());
        for ((name, metric), series) in counted.into_iter().zip(asked).zip(series) {
            let sum: f64 = series.values().sum();
            match metric.name.as_str() {
                _ if series.is_empty() => None,
                "RequestCount" => requests.insert(name, sum / (RATE_MINUTES as f64 * 60.0)),
                _ => cpu.insert(name, sum / series.len() as f64),
            };
        }
        (Some(requests), cpu)
    }

    /// All groups in one call, then where their instances are.
    async fn scaling(&self) -> Result<(BTreeMap<String, Group>, BTreeMap<String, String>), AccountError> {
        let wanted = self.envs.iter().flat_map(|env| env.colors.iter().map(|color| &color.asg).chain(&env.extra.asgs));
        let groups = self.account.groups(&names(wanted.map(String::as_str))).await?;
        let ids: Vec<&str> = groups.values().flat_map(|group| group.instances.iter().map(|i| i.id.as_str())).collect();
        let consequence = "addresses are made up, and no instance is asked what it runs: a run cannot ask either";
        let read = self.account.addresses(&ids);
        let addresses = self.or_unknown(("DescribeInstanceInformation", "the addresses of instances"), consequence, read).await;
        Ok((groups, addresses.unwrap_or_default()))
    }

    /// What each instance says that it runs.
    async fn versions(
        &self,
        groups: &BTreeMap<String, Group>,
        addresses: &BTreeMap<String, String>,
        target_groups: &BTreeMap<String, TargetGroup>,
    ) -> BTreeMap<String, String> {
        let mut asked = Vec::new();
        for env in self.envs {
            let Some(path) = &env.version_probe else { continue };
            let members = env.colors.iter().filter_map(|color| groups.get(&color.asg)).flat_map(|group| &group.instances);
            let port = env.colors.first().and_then(|color| target_groups.get(&color.target_group)).map_or(80, |group| group.port);
            asked.extend(members.filter_map(|i| Some((i.id.clone(), format!("http://{}:{port}{path}", addresses.get(&i.id)?)))));
        }
        let ask = async |(id, url): &(String, String)| {
            let request = HttpRequest { url: url.clone(), timeout_seconds: PROBE_SECONDS, ..HttpRequest::default() };
            let reply = self.account.http(&request).await.ok()?;
            (reply.status == 200).then(|| (id.clone(), reply.body.trim().to_owned()))
        };
        let versions: BTreeMap<String, String> = join_all(asked.iter().map(ask)).await.into_iter().flatten().collect();
        if versions.is_empty() && !asked.is_empty() {
            self.refused.borrow_mut().push(Denied::instances());
        }
        if versions.len() < asked.len() {
            self.unknown.borrow_mut().push(Unknown {
                what: format!("what {} of {} instance(s) run", asked.len() - versions.len(), asked.len()),
                why: "they did not answer from here".to_owned(),
                consequence: "they are taken to run what is recorded for their colour".to_owned(),
            });
        }
        versions
    }

    async fn parameters(&self) -> Option<BTreeMap<String, Parameter>> {
        let wanted: Vec<String> = self.envs.iter().flat_map(|env| parameter_names(env)).collect();
        let wanted = names(wanted.iter().map(String::as_str));
        let consequence = "they are taken to agree with the listener, and versions with bgx.toml; a run stops there";
        self.or_unknown(("GetParameters", "the recorded colour and versions"), consequence, self.account.parameters(&wanted)).await
    }

    /// Those that are read: version keys, locks, the message of users, and what `extra` names.
    async fn objects(&self) -> BTreeMap<(String, String), Object> {
        let mut keys: BTreeSet<(String, String)> = BTreeSet::new();
        for env in self.envs {
            let own = env.colors.iter().map(|c| &c.version_key).chain(&env.build_lock).chain(&env.message).chain(&env.extra.objects);
            keys.extend(own.map(|key| (env.bucket.clone(), key.clone())));
            keys.insert((env.state.bucket.clone(), env.lock_key()));
        }
        let one = async |(bucket, key): (String, String)| {
            let what = format!("s3://{bucket}/{key}");
            let consequence = "it is taken to be absent; a run that reads it stops";
            let found = self.or_unknown(("GetObject", &what), consequence, self.account.object(&bucket, &key)).await??;
            Some(((bucket, key), found))
        };
        join_all(keys.into_iter().map(one)).await.into_iter().flatten().collect()
    }

    /// Builds and discovery files: which there are.
    async fn listed(&self) -> BTreeMap<(String, String), ObjectInfo> {
        let mut prefixes: BTreeSet<(String, String)> = BTreeSet::new();
        for env in self.envs {
            let upto = |pattern: &str, mark: &str| pattern.split(mark).next().unwrap_or_default().to_owned();
            prefixes.extend(env.builds.iter().map(|pattern| (env.bucket.clone(), upto(pattern, "{"))));
            let sources = env.discovery_from.iter().map(|(_, name)| name).chain([&env.discovery_name]);
            let keys = sources.filter_map(|name| env.discovery_key(name, "{version}"));
            prefixes.extend(keys.map(|key| (env.bucket.clone(), upto(&key, "{version}"))));
        }
        let one = async |(bucket, prefix): (String, String)| {
            let what = format!("what lies under s3://{bucket}/{prefix}");
            let consequence = "nothing is taken to lie there";
            let found = self.or_unknown(("ListObjectsV2", &what), consequence, self.account.list_objects(&bucket, &prefix)).await?;
            Some(found.into_iter().map(move |info| ((bucket.clone(), info.key.clone()), info)).collect::<Vec<_>>())
        };
        join_all(prefixes.into_iter().map(one)).await.into_iter().flatten().flatten().collect()
    }

    async fn alarms(&self) -> BTreeMap<String, Alarm> {
        let wanted = names(self.envs.iter().flat_map(|env| env.alarms.iter().map(String::as_str)));
        if wanted.is_empty() {
            return BTreeMap::new();
        }
        let consequence = "they are taken to be OK; a run that watches them stops";
        self.or_unknown(("DescribeAlarms", "the alarms"), consequence, self.account.alarms(&wanted)).await.unwrap_or_else(|| {
            let ok = || Alarm { state: "OK".to_owned(), reason: String::new() };
            wanted.iter().map(|name| ((*name).to_owned(), ok())).collect()
        })
    }
}

/// Those that an environment's runs read.
pub(super) fn parameter_names(env: &Environment) -> Vec<String> {
    let versions = env.colors.iter().map(|color| env.version_parameter(&color.name));
    let own = [env.active_color_parameter(), env.active_target_group_parameter()].into_iter().chain(versions);
    own.chain(env.extra.parameters.iter().cloned()).collect()
}

/// Each once.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What CloudWatch calls a resource: the end of its ARN.
fn suffix(arn: &str, without: &str) -> String {
    let end = arn.rsplit(':').next().unwrap_or(arn);
    end.strip_prefix(without).unwrap_or(end).to_owned()
}

fn metric(namespace: &str, name: &str, statistic: &str, dimensions: &[(&str, String)]) -> Metric {
    Metric {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dimensions: dimensions.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        statistic: statistic.to_owned(),
    }
}
