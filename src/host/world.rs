//! The sandbox's world: made from `bgx.toml`, and kept in `.bgx/` between commands by one process at a time.

use super::HostError;
use crate::config::{Config, Environment, Match, SandboxEnv, SandboxTiming, range};
use crate::sandbox::world::{ColorSpec, EnvSpec, Range, RouteSpec, ServiceSpec, Time, Timing, World, WorldSpec};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The moment at which every new sandbox begins: 2026-01-01T00:00:00Z.
const START: Time = Time(1_767_225_600_000);
/// The account id of a sandbox where `bgx.toml` names none: the one in AWS's own examples.
const ACCOUNT: &str = "123456789012";
/// Where builds lie if versions are plain words and `bgx.toml` names no keys of builds.
const BUILD_KEY: &str = "dist/gh/{branch}/{number}.tar.xz";
/// What every sandbox target group is checked with (the load balancer's fastest documented interval is 5 s).
const CHECK_INTERVAL_SECONDS: u32 = 10;
const DEREGISTRATION_DELAY_SECONDS: u32 = 20;

/// A new world from the configuration.
pub fn new_world(config: &Config, seed: u64) -> Result<World, String> {
    built(config, &spec(config, seed)?)
}

/// The world of a description that was made from this configuration, with what bgx itself keeps there.
pub fn built(config: &Config, spec: &WorldSpec) -> Result<World, String> {
    let mut world = World::new(spec);
    for env in config.envs.values() {
        world.in_region(&env.region, |there| records(there, env))?;
        world.buckets.entry(env.state.bucket.clone()).or_default();
        let key = |build: &String| build.parse().map(|number| version(env, number)).map_err(|_| format!("`{build}` is no build number"));
        for (build, share) in &env.sandbox.build_errors {
            world.build_errors.insert(key(build)?, *share);
        }
        for (build, share) in &env.sandbox.build_slow {
            world.build_slow.insert(key(build)?, *share);
        }
    }
    if !(world.build_errors.is_empty() && world.build_slow.is_empty()) {
        world.refresh();
    }
    if let Some((name, bucket)) = config.envs.values().find_map(|env| Some((env.repository.as_ref()?, &env.bucket))) {
        world.add_repository(name, bucket);
    }
    Ok(world)
}

/// What is recorded of an environment, and its alarms.
fn records(world: &mut World, env: &Environment) -> Result<(), String> {
    // Before there are colours nobody has recorded one.
    if env.original().is_none() {
        let group = world.target_groups.values().find(|group| group.name == env.colors[0].target_group);
        let arn = group.map(|group| group.arn.clone()).ok_or("the live target group was not made")?;
        let put = world.put_parameter(&env.active_target_group_parameter(), &arn, Some("String"), true);
        put.map_err(|fault| fault.message)?;
    }
    env.alarms.iter().for_each(|alarm| world.set_alarm(alarm, false, "OK"));
    Ok(())
}

/// The description of the world that `bgx.toml` stands for.
pub fn spec(config: &Config, seed: u64) -> Result<WorldSpec, String> {
    let first = config.envs.values().next().ok_or("bgx.toml has no environment")?;
    let bucket = config.bucket.clone();
    let mut ports: Vec<u16> = config.envs.values().flat_map(|env| env.routes.iter().map(|r| r.listener)).collect();
    ports.sort_unstable();
    ports.dedup();
    let builds = match config.sandbox_builds.is_empty() {
        true => config.envs.values().flat_map(|env| (0..3).map(|n| ("main".to_owned(), env.sandbox.build + n))).collect(),
        false => config.sandbox_builds.clone(),
    };
    let mut builds: Vec<(String, u32)> = builds;
    builds.sort();
    builds.dedup();
    let mut objects = Vec::new();
    for env in config.envs.values() {
        for (branch, number) in &builds {
            let key = env.discovery_key(&env.discovery_name, &format!("gh-{number}"));
            objects.extend(key.filter(|_| branch == "main").map(|key| (key, "{}".to_owned())));
        }
    }
    let mut priority = 100;
    let envs = config.envs.values().map(|env| {
        let region = (env.region != config.region).then(|| env.region.clone());
        let bucket = (env.bucket != bucket).then(|| env.bucket.clone());
        Ok(EnvSpec { region, bucket, ..env_spec(env, &mut priority)? })
    });
    let envs = envs.collect::<Result<Vec<_>, String>>()?;
    Ok(WorldSpec {
        seed,
        start: START,
        account: first.account.clone().unwrap_or_else(|| ACCOUNT.to_owned()),
        region: config.region.clone(),
        load_balancer: first.load_balancer.clone(),
        listeners: ports,
        bucket,
        timing: timing(&config.sandbox_timing)?,
        envs,
        builds,
        build_key: first.builds.clone().unwrap_or_else(|| BUILD_KEY.to_owned()),
        objects,
    })
}

/// As usual but where `bgx.toml` says otherwise.
pub(super) fn timing(given: &SandboxTiming) -> Result<Timing, String> {
    let mut timing = Timing::default();
    let SandboxTiming { group_staleness, rule_staleness, health_staleness, parameter_staleness, propagation, registration, termination } =
        given;
    for (text, range) in [
        (group_staleness, &mut timing.group_staleness),
        (rule_staleness, &mut timing.rule_staleness),
        (health_staleness, &mut timing.health_staleness),
        (parameter_staleness, &mut timing.parameter_staleness),
        (propagation, &mut timing.propagation),
        (registration, &mut timing.registration),
        (termination, &mut timing.termination),
    ] {
        if let Some(text) = text {
            *range = drawn(text).map_err(|why| format!("[sandbox.timing]: {why}"))?;
        }
    }
    Ok(timing)
}

pub(super) fn env_spec(env: &Environment, priority: &mut u32) -> Result<EnvSpec, String> {
    let routes = env.routes.iter().map(|route| {
        *priority += 10;
        let (path, host) = match &route.matches {
            Match::Default => (None, None),
            Match::Path(path) => (Some(path.clone()), None),
            Match::Host(host) => (None, Some(host.clone())),
        };
        RouteSpec { port: route.listener, path, host, priority: *priority, service: route.service }
    });
    let shape = &env.sandbox;
    let version = version(env, shape.build);
    let mut parameters = Vec::new();
    if env.original().is_none() {
        parameters.push((env.active_color_parameter(), env.colors[0].name.clone()));
        if shape.size > 0 {
            parameters.push((env.version_parameter(&env.colors[0].name), version.clone()));
        }
    }
    // The one that serves comes first.
    let first = env.original().map_or(0, |_| 2);
    let order = std::iter::once(first).chain((0..env.colors.len()).filter(|index| *index != first));
    let colors = order.map(|index| color_spec(env, index, if index == first { shape.size } else { 0 }, &version));
    Ok(EnvSpec {
        name: env.name.clone(),
        region: None,
        bucket: None,
        routes: routes.collect(),
        colors: colors.collect::<Result<_, _>>()?,
        parameters,
        per_second: shape.requests_per_second,
        full_load_per_instance: shape.full_load_per_instance,
        backlog: shape.backlog,
        side_groups: shape.routers.iter().cloned().collect(),
    })
}

/// The text of the version key for a build number.
pub fn version(env: &Environment, number: u32) -> String {
    match &env.builds {
        Some(pattern) => pattern.replace("{branch}", "main").replace("{number}", &number.to_string()),
        None => number.to_string(),
    }
}

fn color_spec(env: &Environment, index: usize, size: u32, version: &str) -> Result<ColorSpec, String> {
    let names = &env.colors[index];
    let shape: &SandboxEnv = &env.sandbox;
    let live = size > 0;
    let service = |(target_group, name): (&String, &String)| ServiceSpec {
        port: shape.ports.get(name).copied().unwrap_or(shape.port),
        ..ServiceSpec::plain(target_group)
    };
    Ok(ColorSpec {
        name: names.name.clone(),
        group: names.asg.clone(),
        services: names.target_groups().zip(&env.services).map(service).collect(),
        min: if live { shape.min } else { 0 },
        max: shape.max,
        size,
        version_key: names.version_key.clone(),
        version: version.to_owned(),
        boot: drawn(&shape.boot)?,
        app_start: drawn(&shape.app_start)?,
        grace_seconds: shape.grace_seconds,
        instance_types: shape.instance_types.clone(),
        on_demand_base: shape.on_demand_base,
        spot_interruptions_per_hour: shape.spot_interruptions_per_hour,
        cpu_target: shape.cpu_target,
        backlog_target: shape.backlog_target,
        check_interval_seconds: CHECK_INTERVAL_SECONDS,
        deregistration_delay_seconds: DEREGISTRATION_DELAY_SECONDS,
    })
}

fn drawn(text: &str) -> Result<Range, String> {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    range(text).map(|(low, high)| Range::ms(ms(low), ms(high)))
}

/// The world's file; held by one process at a time.
pub struct Stored {
    path: PathBuf,
    /// Its lock ends with the process, whatever ends that.
    _lock: File,
}

/// A world that was saved; `None`: there is no such file.
pub fn load(path: &Path, hint: &str) -> Result<Option<World>, HostError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(HostError::Io { what: format!("could not read `{}`", path.display()), source }),
    };
    let read = serde_json::from_slice(&bytes);
    read.map(Some).map_err(|e| HostError::Refused(format!("`{}` does not hold a world ({e}); {hint}", path.display())))
}

/// A world that somebody named.
pub fn given(path: &Path) -> Result<World, HostError> {
    let found = load(path, "`bgx sandbox clone` makes one")?;
    found.ok_or_else(|| HostError::Refused(format!("there is no `{}`; `bgx sandbox clone` makes one", path.display())))
}

/// Saves a world where somebody wants it; whole or not at all.
pub fn save(path: &Path, world: &World) -> io::Result<()> {
    let next = path.with_extension("next");
    std::fs::write(&next, serde_json::to_vec(world)?)?;
    std::fs::rename(&next, path)
}

/// The folder of everything that the sandbox keeps.
pub fn folder(root: &Path) -> PathBuf {
    root.join(".bgx/sandbox")
}

impl Stored {
    pub fn open(root: &Path) -> Result<Stored, HostError> {
        let folder = folder(root);
        let io = |source| HostError::Io { what: format!("could not use `{}`", folder.display()), source };
        std::fs::create_dir_all(&folder).map_err(io)?;
        let lock = File::options().create(true).truncate(false).write(true).open(folder.join("lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Stored { path: folder.join("world.json"), _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(HostError::Refused(format!("another bgx is using the sandbox in `{}`; wait for it to end", folder.display())))
            }
            Err(std::fs::TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// The world as it was left; `None`: there is none yet.
    pub fn load(&self) -> Result<Option<World>, HostError> {
        load(&self.path, "`bgx sandbox reset` makes a new one")
    }

    /// Whole or not at all: another file, then a rename. Not synced: it must outlive the process, not the machine.
    pub fn save(&self, world: &World) -> io::Result<()> {
        save(&self.path, world)
    }

    /// Forgets the world.
    pub fn reset(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
