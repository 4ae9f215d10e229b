//! Everything that an environment is right now, read concurrently: what `bgx status` shows and what the end of a run is held to.

use super::RunError;
use super::targets;
use super::traffic::{self, Balancer, Serving, Topology, Traffic, target_group_name};
use crate::account::{Account, Accounts, Forward, Group, HttpRequest, Instance, Object, Parameter, RouteRef, Target, TargetGroup};
use crate::config::{ColorNames, Environment, ORIGINAL};
use futures_util::future::{join_all, try_join_all};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How long a probe of an instance may take.
const PROBE_SECONDS: u32 = 3;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Survey {
    pub env: String,
    pub region: String,
    /// The colour that the listener names, where it is one of ours and only one.
    pub live: Option<String>,
    /// In words, where it is not.
    pub traffic: String,
    pub recorded_color: Option<String>,
    pub routes: Vec<RouteSurvey>,
    pub colors: Vec<ColorSurvey>,
    pub disagreements: Vec<Disagreement>,
    /// `instant`, or what must happen first.
    pub rollback: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteSurvey {
    pub route: String,
    /// Target group name to weight.
    pub weights: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColorSurvey {
    pub color: String,
    pub live: bool,
    pub asg: String,
    pub desired: u32,
    pub min: u32,
    pub max: u32,
    pub suspended: Vec<String>,
    /// `Healthy` for Auto Scaling, and all of them.
    pub asg_healthy: usize,
    pub asg_total: usize,
    pub target_group: String,
    /// Target state to count.
    pub targets: BTreeMap<String, usize>,
    /// Instances that answered the health check path with 200, and those that were asked; `None`: none could be reached.
    pub http: Option<(usize, usize)>,
    /// The version recorded for this colour.
    pub version: Option<String>,
    /// What the next instance of this colour would boot.
    pub next_boot: Option<String>,
    pub instances: Vec<InstanceSurvey>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstanceSurvey {
    pub id: String,
    pub lifecycle: String,
    pub instance_type: String,
    pub zone: String,
    /// `healthy`, or `initial (Elb.InitialHealthChecking)`.
    pub target: String,
    pub address: Option<String>,
    /// Status of the health check path, where it could be reached.
    pub http: Option<u16>,
    pub version: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disagreement {
    pub text: String,
    /// A run that left this behind is not done.
    pub blocks: bool,
    #[serde(skip)]
    pub about: About,
}

/// What disagrees: by this it is known which actions can bring it about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The weights of the routes.
    Traffic,
    /// The parameters that say who serves.
    Record,
    /// What runs, and what would boot next.
    Version,
    /// Those that serve, and how many of them are well.
    Serving,
}

/// What was read, before it is judged.
struct Reading<'a> {
    topology: Topology,
    traffic: Traffic,
    groups: &'a BTreeMap<String, Group>,
    targets: BTreeMap<String, Vec<Target>>,
    parameters: &'a BTreeMap<String, Parameter>,
    keys: BTreeMap<String, Option<Object>>,
    addresses: BTreeMap<String, String>,
    probes: BTreeMap<String, Probe>,
}

#[derive(Default)]
struct Probe {
    health: Option<u16>,
    version: Option<String>,
}

/// What instances are asked; each of them is a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Nothing,
    /// Which version they run.
    Version,
    /// That, and whether they are well.
    All,
}

/// What a run judges of an environment, read at one moment.
#[derive(Clone, Debug)]
pub struct Check {
    pub disagreements: Vec<Disagreement>,
    /// Target group stickiness is on.
    pub sticky: bool,
    pub groups: BTreeMap<String, Group>,
}

/// What environments share, read once for all of them.
struct Shared {
    balancers: BTreeMap<String, Balancer>,
    target_groups: BTreeMap<String, TargetGroup>,
    groups: BTreeMap<String, Group>,
    parameters: BTreeMap<String, Parameter>,
}

/// Reads and judges one environment. Any read that fails is an error: never an empty group, never 0.
pub async fn survey(account: &Account, env: &Environment) -> Result<Survey, RunError> {
    survey_one(account, env, &shared(account, &[env]).await?).await
}

/// The same for several at once, with as few calls as that takes.
pub async fn survey_all(accounts: &Accounts, envs: &[&Environment]) -> Vec<Result<Survey, RunError>> {
    let regions: BTreeSet<&str> = envs.iter().map(|env| env.region.as_str()).collect();
    let read = regions.into_iter().map(async |region| {
        let own: Vec<&Environment> = envs.iter().filter(|env| env.region == region).copied().collect();
        let surveys = survey_region(&accounts.in_region(region), &own).await;
        own.into_iter().map(|env| env.name.as_str()).zip(surveys).collect::<Vec<_>>()
    });
    let mut surveys: BTreeMap<&str, Result<Survey, RunError>> = join_all(read).await.into_iter().flatten().collect();
    envs.iter().filter_map(|env| surveys.remove(env.name.as_str())).collect()
}

async fn survey_region(account: &Account, envs: &[&Environment]) -> Vec<Result<Survey, RunError>> {
    match shared(account, envs).await {
        Ok(shared) => join_all(envs.iter().map(|env| survey_one(account, env, &shared))).await,
        Err(error) => envs.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// What disagrees, for a run that knows its rules and target groups already.
pub async fn check(account: &Account, env: &Environment, topology: &Topology, ask: Ask) -> Result<Check, RunError> {
    let asgs: Vec<&str> = env.colors.iter().map(|c| c.asg.as_str()).collect();
    let names = parameter_names(env);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (traffic, groups, parameters) =
        tokio::join!(traffic::read(account, env, topology), account.groups(&asgs), account.parameters(&names));
    let (traffic, groups, parameters) = (traffic?, groups?, parameters?);
    let reading = read(account, env, (topology.clone(), traffic), (&groups, &parameters), ask).await?;
    let (serving, colors) = judged(&reading, env);
    let disagreements = disagreements(&reading, env, &serving, &colors);
    let sticky = reading.traffic.sticky();
    Ok(Check { disagreements, sticky, groups })
}

async fn shared(account: &Account, envs: &[&Environment]) -> Result<Shared, RunError> {
    let asgs: Vec<&str> = envs.iter().flat_map(|env| env.colors.iter().map(|c| c.asg.as_str())).collect();
    let target_groups: Vec<&str> =
        envs.iter().flat_map(|env| env.colors.iter().flat_map(|c| c.target_groups().map(String::as_str))).collect();
    let names: Vec<String> = envs.iter().flat_map(|env| parameter_names(env)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut balancers: Vec<&str> = envs.iter().map(|env| env.load_balancer.as_str()).collect();
    balancers.sort_unstable();
    balancers.dedup();
    let balancers = try_join_all(balancers.into_iter().map(async |name| {
        let balancer = traffic::balancer(account, name, envs).await?;
        Ok::<_, RunError>((name.to_owned(), balancer))
    }));
    let (balancers, target_groups, groups, parameters) =
        tokio::join!(balancers, account.target_groups(&target_groups), account.groups(&asgs), account.parameters(&names));
    Ok(Shared { balancers: balancers?.into_iter().collect(), target_groups: target_groups?, groups: groups?, parameters: parameters? })
}

async fn survey_one(account: &Account, env: &Environment, shared: &Shared) -> Result<Survey, RunError> {
    let balancer = shared.balancers.get(&env.load_balancer).ok_or_else(|| RunError::failed("its load balancer was not read"))?;
    let topology = traffic::locate(balancer, &shared.target_groups, env)?;
    let traffic = Traffic::of(balancer, &topology);
    let reading = read(account, env, (topology, traffic), (&shared.groups, &shared.parameters), Ask::All).await?;
    let (serving, colors) = judged(&reading, env);
    let live = colors.iter().find(|color| color.live).map(|color| color.color.clone());
    let recorded_color = reading.parameters.get(&env.active_color_parameter()).map(|p| p.value.clone());
    let disagreements = disagreements(&reading, env, &serving, &colors);
    Ok(Survey {
        env: env.name.clone(),
        region: env.region.clone(),
        traffic: match &serving {
            Serving::Color(color) => color.clone(),
            Serving::Split { text, .. } | Serving::Foreign { text } => text.clone(),
        },
        recorded_color,
        routes: reading.traffic.routes.iter().map(route_survey).collect(),
        rollback: match rollback(account, &colors).await.as_str() {
            "instant" if env.shares_target_group() => "register its instances first, about 1 min".to_owned(),
            other => other.to_owned(),
        },
        live,
        colors,
        disagreements,
    })
}

/// Who serves, and what that says of each colour.
fn judged(reading: &Reading<'_>, env: &Environment) -> (Serving, Vec<ColorSurvey>) {
    let serving = match reading.traffic.serving(&reading.topology) {
        Serving::Color(_) if env.shares_target_group() => {
            targets::by_members(env, reading.groups, &reading.targets.values().flatten().cloned().collect::<Vec<_>>())
        }
        said => said,
    };
    let live = |color: &ColorNames| matches!(&serving, Serving::Color(live) if *live == color.name);
    let colors = env.colors.iter().map(|color| color_survey(reading, color, live(color), env)).collect();
    (serving, colors)
}

/// The rest of what is judged, from what was read already.
async fn read<'a>(
    account: &Account,
    env: &Environment,
    (topology, traffic): (Topology, Traffic),
    (groups, parameters): (&'a BTreeMap<String, Group>, &'a BTreeMap<String, Parameter>),
    ask: Ask,
) -> Result<Reading<'a>, RunError> {
    if let Some(color) = env.colors.iter().find(|color| !groups.contains_key(&color.asg)) {
        return Err(RunError::failed(format!("there is no Auto Scaling group `{}`", color.asg)));
    }
    let health = try_join_all(topology.colors().map(async |color| {
        let targets = traffic::health(account, &topology, color).await?;
        Ok::<_, RunError>((color.to_owned(), targets))
    }));
    let keys = try_join_all(version_keys(env).into_iter().map(async |key| {
        let object = account.object(&env.bucket, &key).await?;
        Ok::<_, RunError>((key, object))
    }));
    let own = env.colors.iter().filter(|_| asked(env, ask)).filter_map(|color| groups.get(&color.asg));
    let ids: Vec<&str> = own.flat_map(|g| g.instances.iter().map(|i| i.id.as_str())).collect();
    let (health, keys, addresses) = tokio::join!(health, keys, account.addresses(&ids));
    // Addresses serve the probes only: without the right to list them the rest is still true.
    let addresses = addresses.unwrap_or_default();
    let probes = probe_all(account, env, &topology, &addresses, ask).await;
    let mut targets: BTreeMap<String, Vec<Target>> = health?.into_iter().collect();
    if env.mixes_groups() {
        targets.iter_mut().for_each(|(color, all)| *all = own_targets(env, groups, color, all));
    }
    Ok(Reading { traffic, targets, keys: keys?.into_iter().collect(), topology, groups, parameters, addresses, probes })
}

/// Of a target group that both colours share, the targets of one of them.
fn own_targets(env: &Environment, groups: &BTreeMap<String, Group>, color: &str, all: &[Target]) -> Vec<Target> {
    let group = env.color(color).and_then(|color| groups.get(&color.asg));
    group.map(|group| targets::of_group(group, all)).unwrap_or_default()
}

/// Whether instances are asked anything, for which their addresses are needed.
fn asked(env: &Environment, ask: Ask) -> bool {
    match ask {
        Ask::Nothing => false,
        Ask::Version => env.version_probe.is_some(),
        Ask::All => true,
    }
}

fn parameter_names(env: &Environment) -> Vec<String> {
    let versions = env.colors.iter().map(|c| env.version_parameter(&c.name));
    [env.active_color_parameter(), env.active_target_group_parameter()].into_iter().chain(versions).collect()
}

fn version_keys(env: &Environment) -> Vec<String> {
    let mut keys: Vec<String> = env.colors.iter().map(|c| c.version_key.clone()).collect();
    keys.dedup();
    keys
}

/// The slowest of the last launches that the account remembers: what a boot takes here.
async fn boot_seconds(account: &Account, asgs: &[&str]) -> Option<u64> {
    let activities = join_all(asgs.iter().map(|asg| account.activities(asg, 20))).await;
    let launches =
        activities.into_iter().flatten().flatten().filter(|a| a.status == "Successful" && a.description.starts_with("Launching"));
    launches.filter_map(|a| u64::try_from(a.end?.duration_since(a.start).as_secs()).ok()).max()
}

async fn probe_all(
    account: &Account,
    env: &Environment,
    topology: &Topology,
    addresses: &BTreeMap<String, String>,
    ask: Ask,
) -> BTreeMap<String, Probe> {
    let services = topology.colors().next().map(|color| topology.groups(color)).unwrap_or_default();
    let get = async |ip: &str, port: u16, path: &str| {
        let url = traffic::url(ip, port, path);
        account.http(&HttpRequest { url, timeout_seconds: PROBE_SECONDS, ..HttpRequest::default() }).await.ok()
    };
    let probe = async |(id, ip): (&String, &String)| {
        let version = async {
            let reply = get(ip, topology.port(), env.version_probe.as_ref()?).await?;
            (reply.status == 200).then(|| reply.body.trim().to_owned())
        };
        let asked = services.iter().filter(|_| ask == Ask::All);
        let health = join_all(asked.map(|group| get(ip, group.check_port.unwrap_or(group.port), &group.check_path)));
        let (health, version) = tokio::join!(health, version);
        (id.clone(), Probe { health: worst(health.into_iter().map(|reply| reply.map(|reply| reply.status))), version })
    };
    join_all(addresses.iter().map(probe)).await.into_iter().collect()
}

/// What the services of an instance answer, as one: silence before anything else, and 200 only where all say so.
fn worst(mut statuses: impl Iterator<Item = Option<u16>>) -> Option<u16> {
    statuses.try_fold(None, |worst: Option<u16>, status| Some(worst.filter(|known| *known != 200).or(Some(status?)))).flatten()
}

fn route_survey((route, forward): &(RouteRef, Option<Forward>)) -> RouteSurvey {
    let weights = forward.iter().flat_map(|f| f.weights.iter().map(|(arn, w)| (target_group_name(arn).to_owned(), *w))).collect();
    RouteSurvey { route: route.label.clone(), weights }
}

fn color_survey(reading: &Reading<'_>, color: &ColorNames, live: bool, env: &Environment) -> ColorSurvey {
    let group = &reading.groups[&color.asg];
    let targets = reading.targets.get(&color.name).map(Vec::as_slice).unwrap_or_default();
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    targets.iter().for_each(|t| *states.entry(t.state.clone()).or_default() += 1);
    let instances: Vec<InstanceSurvey> = group.instances.iter().map(|i| instance_survey(reading, i, targets)).collect();
    let answered: Vec<u16> = instances.iter().filter_map(|i| i.http).collect();
    ColorSurvey {
        color: color.name.clone(),
        live,
        asg: color.asg.clone(),
        desired: group.desired,
        min: group.min,
        max: group.max,
        suspended: group.suspended.iter().cloned().collect(),
        asg_healthy: group.instances.iter().filter(|i| i.healthy && i.lifecycle == "InService").count(),
        asg_total: group.instances.len(),
        target_group: color.target_groups().cloned().collect::<Vec<_>>().join(", "),
        targets: states,
        http: (!answered.is_empty() || instances.is_empty())
            .then(|| (answered.iter().filter(|status| **status == 200).count(), instances.len())),
        version: reading.parameters.get(&env.version_parameter(&color.name)).map(|p| p.value.clone()),
        next_boot: key_text(reading, &color.version_key),
        instances,
    }
}

fn key_text(reading: &Reading<'_>, key: &str) -> Option<String> {
    let object = reading.keys.get(key)?.as_ref()?;
    Some(std::str::from_utf8(&object.body).map_or("bytes that are not UTF-8", str::trim).to_owned())
}

fn instance_survey(reading: &Reading<'_>, instance: &Instance, targets: &[Target]) -> InstanceSurvey {
    let target = targets.iter().find(|t| t.id == instance.id).map(|t| match t.reason.is_empty() {
        true => t.state.clone(),
        false => format!("{} ({})", t.state, t.reason),
    });
    let probe = reading.probes.get(&instance.id);
    InstanceSurvey {
        id: instance.id.clone(),
        lifecycle: instance.lifecycle.clone(),
        instance_type: instance.instance_type.clone(),
        zone: instance.zone.clone(),
        target: target.unwrap_or_else(|| "not registered".to_owned()),
        address: reading.addresses.get(&instance.id).cloned(),
        http: probe.and_then(|p| p.health),
        version: probe.and_then(|p| p.version.clone()),
    }
}

/// Where listener, SSM, version key and instances do not say the same.
fn disagreements(reading: &Reading<'_>, env: &Environment, serving: &Serving, colors: &[ColorSurvey]) -> Vec<Disagreement> {
    let mut found = Vec::new();
    let mut add = |about: About, blocks: bool, text: String| found.push(Disagreement { text, blocks, about });
    let recorded = |name: &str| reading.parameters.get(name).map(|p| p.value.as_str());
    let live = match serving {
        Serving::Color(color) => color,
        Serving::Split { text, .. } => {
            return vec![Disagreement { text: format!("traffic is split: {text}"), blocks: true, about: About::Traffic }];
        }
        Serving::Foreign { text } => return vec![Disagreement { text: text.clone(), blocks: true, about: About::Traffic }],
    };
    // Before there are colours nobody has recorded one.
    let none_yet = |recorded: Option<&str>| recorded.is_none() && live == ORIGINAL;
    let color = recorded(&env.active_color_parameter());
    if color != Some(live) && !none_yet(color) {
        let parameter = env.active_color_parameter();
        add(About::Record, true, format!("the listener sends traffic to {live}, `{parameter}` says {}", color.unwrap_or("nothing")));
    }
    let arn = recorded(&env.active_target_group_parameter());
    if arn != reading.topology.arn(live) && !none_yet(arn) {
        let said = arn.map(target_group_name).unwrap_or("nothing");
        let parameter = env.active_target_group_parameter();
        add(About::Record, true, format!("the listener sends traffic to {live}, `{parameter}` says {said}"));
    }
    for color in colors {
        if color.live && color.desired > 0 && color.version.is_some() && color.next_boot != color.version {
            let (next, version) = (color.next_boot.as_deref().unwrap_or("nothing"), color.version.as_deref().unwrap_or("nothing"));
            add(About::Version, true, format!("{} runs {version}, the next instance would boot {next}", color.color));
        }
        let odd = color.instances.iter().filter(|i| i.version.is_some() && color.version.is_some() && i.version != color.version);
        // What a deploy that was taken back booted is on its way out for minutes, and no reason to stop the next one.
        for instance in odd.filter(|i| !i.lifecycle.starts_with("Terminat")) {
            let version = instance.version.as_deref().unwrap_or_default();
            add(
                About::Version,
                false,
                format!("{} of {} runs {version}, recorded is {}", instance.id, color.asg, color.version.as_deref().unwrap_or_default()),
            );
        }
        if color.live && color.desired > 0 && !color.targets.contains_key("healthy") {
            add(About::Serving, false, format!("{} serves without a single healthy target", color.asg));
        }
        if color.live && color.desired > 0 && color.min == color.max {
            add(About::Serving, false, format!("{} serves and is pinned: min = max = {}", color.asg, color.max));
        }
        if color.live && !color.suspended.is_empty() {
            add(About::Serving, false, format!("{} serves with suspended processes: {}", color.asg, color.suspended.join(", ")));
        }
    }
    found
}

/// What stands between now and the other colour serving again.
async fn rollback(account: &Account, colors: &[ColorSurvey]) -> String {
    let (Some(live), Some(idle)) = (colors.iter().find(|c| c.live), colors.iter().find(|c| !c.live)) else {
        return "unknown: the listener does not name one colour".to_owned();
    };
    if idle.version.is_none() && idle.asg_total == 0 {
        return format!("none: {} never served here", idle.color);
    }
    // Behind no rule the load balancer does not judge them; an instance that answers badly is not ready all the same.
    let answers = |status: Option<u16>| status.is_none_or(|status| status == 200);
    let ready = idle.instances.iter().filter(|i| i.lifecycle == "InService" && answers(i.http)).count() as u32;
    // Where one booted another build, a rollback boots all of them afresh.
    let other = idle.instances.iter().any(|i| i.version.is_some() && idle.version.is_some() && i.version != idle.version);
    let missing = if other { live.desired } else { live.desired.saturating_sub(ready) };
    if missing == 0 {
        return "instant".to_owned();
    }
    match boot_seconds(account, &[&live.asg, &idle.asg]).await {
        Some(seconds) => format!("boot {missing} first, about {} min", (seconds + 30).div_ceil(60)),
        None => format!("boot {missing} first"),
    }
}
