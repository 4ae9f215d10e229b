//! The text of `bgx.toml`, as written, and how a [`Config`] is made of it.

use super::outside::{MetricsFile, NotifyFile, OutsideFile, hosts, label, namespace, repository, webhook};
use super::{
    ColorNames, Config, Environment, Extra, JournalIn, Match, ORIGINAL, Restart, Route, SandboxEnv, SandboxTiming, State, duration, range,
    regions,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The file as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    target: Option<String>,
    /// A folder to use in place of the embedded stdlib.
    stdlib: Option<PathBuf>,
    app: App,
    #[serde(default)]
    state: StateFile,
    notify: Option<NotifyFile>,
    metrics: Option<MetricsFile>,
    /// Hosts outside of AWS that playbooks may ask and tell, by the name that they call them.
    #[serde(default)]
    outside: BTreeMap<String, OutsideFile>,
    env: BTreeMap<String, EnvFile>,
    #[serde(default)]
    sandbox: SandboxFile,
}

/// What all environments share; `{env}`, `{Env}`, `{color}`, `{Color}` are replaced.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct App {
    load_balancer: String,
    bucket: String,
    parameters: String,
    asg: String,
    target_group: GroupFile,
    version_key: String,
    /// Key pattern of a build, with `{branch}` and `{number}`; the version key's text is such a key.
    builds: Option<String>,
    /// Key pattern of a build's discovery file, with `{env}` and `{version}`.
    discovery: Option<String>,
    /// Path on each instance that answers with the version it runs.
    version_probe: Option<String>,
    /// Canned ACL of the version keys, messages, build locks and copies that playbooks write, where instances read them without credentials.
    object_acl: Option<String>,
    /// Module of the team, such as "team/hooks", whose functions run around a change of traffic; an environment may have its own.
    hooks: Option<String>,
    /// Key of an object: while it is there, no new build is taken.
    build_lock: Option<String>,
    /// Key of the JSON object whose field `update` users are shown.
    message: Option<String>,
    /// `{ shell = "…" }` or `{ powershell = "…" }`: restarts the application on an instance, sent by SSM Run Command.
    restart: Option<Restart>,
    #[serde(default = "two_colors")]
    colors: [String; 2],
    /// `owner/name` of the repository at GitHub that builds are made from.
    repository: Option<String>,
    account: Option<String>,
    /// Where `bucket` and that of [state] lie, and all environments that name no other one.
    #[serde(default = "us_east_1")]
    region: String,
}

/// Where locks and journals lie: `bucket` (the app's) and `prefix` (`bgx/`) of their keys; `journal` is "s3" or "file".
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StateFile {
    bucket: Option<String>,
    prefix: Option<String>,
    journal: Option<JournalIn>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvFile {
    target: Option<String>,
    /// In place of the app's.
    region: Option<String>,
    /// In place of the app's; it lies in the environment's region.
    bucket: Option<String>,
    route: Option<RouteFile>,
    routes: Option<Vec<RouteFile>>,
    #[serde(default = "https_only")]
    listeners: Vec<u16>,
    version_key: Option<String>,
    /// The group and target group that serve before there are colours.
    migrate_from: Option<MigrateFrom>,
    /// In place of the app's. Without `{color}` both colours share it, and their groups must not be attached to it.
    target_group: Option<String>,
    #[serde(default)]
    discovery_from: Vec<String>,
    /// Name used in the discovery key where it differs from the environment's.
    discovery_name: Option<String>,
    #[serde(default = "one")]
    min: u32,
    #[serde(default)]
    guarded: bool,
    #[serde(default)]
    timeout: TimeoutFile,
    hooks: Option<String>,
    /// In place of the app's.
    restart: Option<Restart>,
    /// Alarms of CloudWatch, metric or composite, that stop a run while it watches.
    #[serde(default)]
    alarms: Vec<String>,
    /// What pull requests and issues at GitHub are labelled with once their change is live here.
    live_label: Option<String>,
    #[serde(default)]
    extra: Extra,
    #[serde(default)]
    sandbox: SandboxEnv,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MigrateFrom {
    asg: String,
    target_group: String,
    /// Where it is not the colours'.
    version_key: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a route is \"default\", { path = \"/beta*\" } or { host = \"api.example.com\" }")]
enum RouteFile {
    Word(String),
    Match(MatchFile),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchFile {
    path: Option<String>,
    host: Option<String>,
    /// All that no other rule matches: the listener's default action.
    #[serde(default)]
    default: bool,
    listener: Option<u16>,
    /// Name of the service that gets its requests, where there are several.
    service: Option<String>,
}

/// One target group a colour, or several by service: the same instances on other ports.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a target group is a name, or names by service: { web = \"{env}-web-{color}\", api = \"{env}-api-{color}\" }"
)]
enum GroupFile {
    One(String),
    Services(BTreeMap<String, String>),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TimeoutFile {
    boot: Option<String>,
    healthy: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SandboxFile {
    seed: Option<u64>,
    builds: Vec<(String, u32)>,
    timing: SandboxTiming,
}

fn two_colors() -> [String; 2] {
    ["blue".to_owned(), "green".to_owned()]
}

fn us_east_1() -> String {
    "us-east-1".to_owned()
}

fn https_only() -> Vec<u16> {
    vec![443]
}

fn one() -> u32 {
    1
}

impl Config {
    /// Parses the text of a `bgx.toml` that lies in `root`.
    pub fn parse(text: &str, root: PathBuf) -> Result<Config, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        let target = file.target.as_deref().unwrap_or("sandbox").parse()?;
        if file.env.is_empty() {
            return Err("it has no [env.NAME] table".to_owned());
        }
        let state = state(&file.state, &file.app)?;
        let mut envs = BTreeMap::new();
        for (name, env) in &file.env {
            envs.insert(name.clone(), environment(&file.app, &state, name, env).map_err(|what| format!("[env.{name}]: {what}"))?);
        }
        let (notify, metrics, outside) = (webhook(file.notify)?, namespace(file.metrics)?, hosts(file.outside)?);
        for env in envs.values_mut() {
            (env.notify, env.metrics, env.outside) = (notify.clone(), metrics.clone(), outside.clone());
            if env.live_label.is_some() && (env.repository.is_none() || !env.outside.contains_key("github")) {
                return Err(format!("[env.{}]: `live_label` needs `repository` under [app], and [outside.github]", env.name));
            }
        }
        discovery_sources(&file.env, &mut envs)?;
        no_shared_route(&envs)?;
        Ok(Config {
            bucket: file.app.bucket.clone(),
            region: regions::checked(&file.app.region)?,
            buckets: regions::of_buckets((&file.app.bucket, &state.bucket), &file.app.region, &envs)?,
            stdlib: file.stdlib.map(|folder| root.join(folder)),
            root,
            target,
            envs,
            sandbox_seed: file.sandbox.seed.unwrap_or(1),
            sandbox_builds: file.sandbox.builds,
            sandbox_timing: file.sandbox.timing,
        })
    }
}

fn environment(app: &App, state: &State, name: &str, env: &EnvFile) -> Result<Environment, String> {
    check_name(name)?;
    let (services, routes) = services(app, routes(env)?)?;
    let group = |service: &String| match (&env.target_group, &app.target_group) {
        (Some(template), _) | (None, GroupFile::One(template)) => template.clone(),
        (None, GroupFile::Services(known)) => known[service].clone(),
    };
    let mut colors = Vec::from([0, 1].map(|i| {
        let color = &app.colors[i];
        let key = env.version_key.as_ref().unwrap_or(&app.version_key);
        ColorNames {
            name: color.clone(),
            asg: render(&app.asg, name, color),
            target_group: render(&group(&services[0]), name, color),
            others: services[1..].iter().map(|service| render(&group(service), name, color)).collect(),
            version_key: render(key, name, color),
        }
    }));
    check_groups(&colors)?;
    colors.extend(env.migrate_from.as_ref().map(|from| original(from, &colors)).transpose()?);
    check_ports(&env.sandbox, &services)?;
    check_range(&env.sandbox.boot)?;
    check_range(&env.sandbox.app_start)?;
    check_shares("build_errors", &env.sandbox.build_errors)?;
    check_shares("build_slow", &env.sandbox.build_slow)?;
    if env.sandbox.cpu_target.is_some() && env.sandbox.backlog_target.is_some() {
        return Err("`cpu_target` and `backlog_target`: a group has one policy here".to_owned());
    }
    if env.alarms.iter().any(String::is_empty) {
        return Err("`alarms` holds an empty name".to_owned());
    }
    Ok(Environment {
        name: name.to_owned(),
        target: env.target.as_deref().map(str::parse).transpose()?,
        load_balancer: app.load_balancer.clone(),
        bucket: env.bucket.clone().unwrap_or_else(|| app.bucket.clone()),
        state: state.clone(),
        parameters: render(&app.parameters, name, "").trim_end_matches('/').to_owned(),
        colors,
        routes,
        services,
        builds: app.builds.clone(),
        discovery: app.discovery.clone(),
        discovery_from: Vec::new(),
        discovery_name: env.discovery_name.clone().unwrap_or_else(|| name.to_owned()),
        version_probe: app.version_probe.clone(),
        object_acl: object_acl(app)?,
        build_lock: app.build_lock.as_deref().map(|key| render(key, name, "")),
        message: app.message.as_deref().map(|key| render(key, name, "")),
        restart: env.restart.clone().or_else(|| app.restart.clone()),
        min: env.min,
        guarded: env.guarded,
        boot_timeout: timeout(env.timeout.boot.as_deref(), "10m")?,
        healthy_timeout: timeout(env.timeout.healthy.as_deref(), "10m")?,
        hooks: env.hooks.clone().or_else(|| app.hooks.clone()),
        alarms: env.alarms.clone(),
        live_label: env.live_label.as_deref().map(label).transpose()?,
        repository: app.repository.as_deref().map(repository).transpose()?,
        notify: None,
        metrics: None,
        outside: BTreeMap::new(),
        extra: env.extra.clone(),
        account: app.account.clone(),
        region: env.region.as_deref().map_or_else(|| Ok(app.region.clone()), regions::checked)?,
        sandbox: env.sandbox.clone(),
    })
}

/// Each colour has a group of its own, and each service a target group; colours may share the one target group there is.
fn check_groups(colors: &[ColorNames]) -> Result<(), String> {
    let mut groups: Vec<&String> = colors.iter().flat_map(ColorNames::target_groups).collect();
    let is_shared = groups.len() == 2 && groups[0] == groups[1];
    groups.sort_unstable();
    if colors[0].asg == colors[1].asg || (!is_shared && groups.windows(2).any(|pair| pair[0] == pair[1])) {
        return Err("two colours or services have the same group or target group; `asg` and `target_group` need {color}".to_owned());
    }
    Ok(())
}

/// What serves before there are colours, as a third one.
fn original(from: &MigrateFrom, colors: &[ColorNames]) -> Result<ColorNames, String> {
    let taken = |c: &&ColorNames| c.name == ORIGINAL || c.asg == from.asg || c.target_groups().any(|known| *known == from.target_group);
    if let Some(color) = colors.iter().find(taken) {
        return Err(format!("`migrate_from` names the group or target group of {}, or a colour is called `{ORIGINAL}`", color.name));
    }
    if colors[0].target_group == colors[1].target_group || !colors[0].others.is_empty() {
        return Err("`migrate_from` is for one service with a pair of target groups; `target_group` needs {color}".to_owned());
    }
    Ok(ColorNames {
        name: ORIGINAL.to_owned(),
        asg: from.asg.clone(),
        target_group: from.target_group.clone(),
        others: Vec::new(),
        version_key: from.version_key.clone().unwrap_or_else(|| colors[0].version_key.clone()),
    })
}

fn state(file: &StateFile, app: &App) -> Result<State, String> {
    let prefix = file.prefix.clone().unwrap_or_else(|| "bgx/".to_owned());
    let plain = prefix.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    if !plain || prefix.starts_with('/') || !(prefix.is_empty() || prefix.ends_with('/')) {
        return Err(format!("[state]: `prefix = \"{prefix}\"` must be such as \"bgx/\": letters, digits, `-_.` and a `/` at its end"));
    }
    Ok(State { bucket: file.bucket.clone().unwrap_or_else(|| app.bucket.clone()), prefix, journal: file.journal })
}

/// The services of an environment, and its routes with the place of theirs.
fn services(app: &App, routes: Vec<(Option<String>, Route)>) -> Result<(Vec<String>, Vec<Route>), String> {
    let known: Vec<&String> = match &app.target_group {
        GroupFile::One(_) => Vec::new(),
        GroupFile::Services(known) => known.keys().collect(),
    };
    let list = known.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let named = |(service, route): &(Option<String>, Route)| match (service, known.is_empty()) {
        (None, true) => Ok(String::new()),
        (Some(name), true) => Err(format!("{route} names service `{name}`, and `target_group` names no services")),
        (None, false) => Err(format!("{route} names no service; there are {list}")),
        (Some(name), false) if known.contains(&name) => Ok(name.clone()),
        (Some(name), false) => Err(format!("`{name}` is not a service; there are {list}")),
    };
    let names = routes.iter().map(named).collect::<Result<Vec<String>, String>>()?;
    let mut services: Vec<String> = Vec::new();
    names.iter().for_each(|name| {
        if !services.contains(name) {
            services.push(name.clone())
        }
    });
    if let Some(unreached) = known.iter().find(|name| !services.contains(name)) {
        return Err(format!("no route leads to service `{unreached}`"));
    }
    let place = |name: &String| services.iter().position(|known| known == name).unwrap_or_default();
    let routes = routes.into_iter().zip(&names).map(|((_, route), name)| Route { service: place(name), ..route }).collect();
    Ok((services, routes))
}

fn check_ports(sandbox: &SandboxEnv, services: &[String]) -> Result<(), String> {
    match sandbox.ports.keys().find(|name| !services.contains(name)) {
        Some(odd) => Err(format!("`ports` names service `{odd}`, which no route leads to")),
        None => Ok(()),
    }
}

/// As written: each with the name of its service, which has its place later.
fn routes(env: &EnvFile) -> Result<Vec<(Option<String>, Route)>, String> {
    let given = match (&env.route, &env.routes) {
        (Some(one), None) => vec![one.clone()],
        (None, Some(many)) if !many.is_empty() => many.clone(),
        (None, _) => return Err("it needs `route = …` or `routes = [ … ]`".to_owned()),
        (Some(_), Some(_)) => return Err("it has both `route` and `routes`".to_owned()),
    };
    let mut all = Vec::new();
    for route in given {
        let given = match route {
            RouteFile::Word(word) if word == "default" => MatchFile { default: true, ..MatchFile::default() },
            RouteFile::Word(word) => return Err(format!("`{word}` is not a route; use \"default\", {{ path = … }} or {{ host = … }}")),
            RouteFile::Match(given) => given,
        };
        let matches = match (given.path, given.host, given.default) {
            (Some(path), None, false) => Match::Path(path),
            (None, Some(host), false) => Match::Host(host),
            (None, None, true) => Match::Default,
            _ => return Err("a route has one of `path`, `host` and `default = true`".to_owned()),
        };
        let ports = given.listener.map_or_else(|| env.listeners.clone(), |port| vec![port]);
        all.extend(ports.into_iter().map(|listener| (given.service.clone(), Route { listener, matches: matches.clone(), service: 0 })));
    }
    if all.is_empty() {
        return Err("`listeners` is empty".to_owned());
    }
    Ok(all)
}

/// S3's canned ACLs that an application's object can have.
const OBJECT_ACLS: [&str; 5] = ["private", "public-read", "authenticated-read", "bucket-owner-read", "bucket-owner-full-control"];

fn object_acl(app: &App) -> Result<Option<String>, String> {
    match app.object_acl.as_deref() {
        Some(odd) if !OBJECT_ACLS.contains(&odd) => Err(format!("`object_acl = {odd:?}` is not one of {}", OBJECT_ACLS.join(", "))),
        acl => Ok(acl.map(str::to_owned)),
    }
}

/// Each source of discovery files, with the name that it has in the key.
fn discovery_sources(files: &BTreeMap<String, EnvFile>, envs: &mut BTreeMap<String, Environment>) -> Result<(), String> {
    for (name, file) in files {
        for from in &file.discovery_from {
            let of = envs.get(from).ok_or_else(|| format!("[env.{name}]: `discovery_from` names `{from}`, which is not an environment"))?;
            let source = of.discovery_name.clone();
            if of.bucket != envs[name].bucket {
                return Err(format!("[env.{name}]: `discovery_from` names `{from}`, whose bucket is another one (`{}`)", of.bucket));
            }
            if let Some(env) = envs.get_mut(name) {
                env.discovery_from.push((from.clone(), source));
            }
        }
    }
    Ok(())
}

fn no_shared_route(envs: &BTreeMap<String, Environment>) -> Result<(), String> {
    let mut owner: BTreeMap<(&str, &str, u16, &Match), &str> = BTreeMap::new();
    for env in envs.values() {
        for route in &env.routes {
            if let Some(other) = owner.insert((&env.region, &env.load_balancer, route.listener, &route.matches), &env.name) {
                return Err(format!("`{other}` and `{}` have the same route: {route}", env.name));
            }
        }
    }
    Ok(())
}

fn render(template: &str, env: &str, color: &str) -> String {
    template.replace("{env}", env).replace("{Env}", &capital(env)).replace("{color}", color).replace("{Color}", &capital(color))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

/// Environment names go into ARNs, S3 keys and file names.
fn check_name(name: &str) -> Result<(), String> {
    let plain = !name.is_empty() && name.len() <= 32 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain { Ok(()) } else { Err("a name has 1 to 32 letters, digits, `-` and `_`".to_owned()) }
}

fn timeout(given: Option<&str>, otherwise: &str) -> Result<Duration, String> {
    duration(given.unwrap_or(otherwise))
}

/// Build numbers, each with a share of its requests.
fn check_shares(key: &str, shares: &BTreeMap<String, f64>) -> Result<(), String> {
    let odd = shares.iter().find(|(build, share)| build.parse::<u32>().is_err() || !(0.0..=1.0).contains(*share));
    match odd {
        None => Ok(()),
        Some((build, share)) => Err(format!("`{key}`: \"{build}\" = {share} is no build number with a share from 0 to 1")),
    }
}

fn check_range(text: &str) -> Result<(), String> {
    range(text).map(drop)
}
