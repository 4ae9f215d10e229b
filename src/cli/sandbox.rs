//! `bgx sandbox`: show the simulated account, make it new, make a copy of a real one, or serve it on a loopback port.

use super::failure::Failure;
use super::run::{options, text};
use super::signals;
use super::style::{clean, short};
use crate::config::Config;
use crate::host::{self, Host, HostError, world};
use crate::sandbox::Sandbox;
use crate::sandbox::server::Server;
use crate::sandbox::world::World;
use clap::{Arg, ArgMatches, Command};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

pub fn command() -> Command {
    let serve = Command::new("serve")
        .about("Answer AWS's bytes on 127.0.0.1, in real time or faster")
        .arg(
            Arg::new("port")
                .long("port")
                .value_name("N")
                .default_value("4566")
                .value_parser(clap::value_parser!(u16))
                .help("0: any free one"),
        )
        .arg(Arg::new("pace").long("pace").value_name("60x").default_value("1x").help("seconds of the world in one real second"));
    let clone = Command::new("clone")
        .about("Read what bgx.toml names of environments, and save it as a world; changes nothing in the account")
        .arg(Arg::new("env").long("env").short('e').value_name("ENV").required(true).help("environment of bgx.toml; `a,b` for several"))
        .arg(Arg::new("target").long("target").value_name("TARGET").help("sandbox, aws, or the URL of a server; wins over bgx.toml"))
        .arg(Arg::new("out").long("out").value_name("FILE").required(true).help("where the world is saved"));
    let world = || Arg::new("world").long("world").value_name("FILE").help("a world that was saved, in place of the project's own");
    let serve = serve.arg(world());
    Command::new("sandbox")
        .about("The simulated AWS account")
        .subcommand_required(true)
        .subcommand(Command::new("show").about("Print the world").arg(world()))
        .subcommand(clone)
        .subcommand(Command::new("reset").about("Make the world new from bgx.toml; its runs go too"))
        .subcommand(serve)
}

pub fn run(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    match matches.subcommand() {
        Some(("reset", _)) => reset(config),
        Some(("serve", matches)) => serve(matches, config),
        Some(("clone", matches)) => clone(matches, config),
        Some((_, matches)) => show(matches, config),
        None => Err(Failure::usage("`bgx sandbox` wants to know what to do")),
    }
}

/// The project's own world, or the one that is named; what happens to that is not kept.
fn load(matches: &ArgMatches, config: &Config) -> Result<(Option<world::Stored>, World), Failure> {
    if let Some(path) = text(matches, "world") {
        return Ok((None, world::given(Path::new(path))?));
    }
    let stored = world::Stored::open(&config.root)?;
    let world = match stored.load()? {
        Some(world) => world,
        None => world::new_world(config, config.sandbox_seed).map_err(HostError::Refused)?,
    };
    Ok((Some(stored), world))
}

fn show(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let (_stored, world) = load(matches, config)?;
    let _ = std::io::stdout().write_all(clean(&page(&world)).as_bytes());
    Ok(0)
}

fn clone(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let envs = config.env_list(text(matches, "env").unwrap_or_default())?;
    let options = options(matches)?;
    let (target, _) = host::target_of(config, envs[0], &options);
    let host = Host::open(config, &target, &options)?;
    let cloned = host.clone_of(&envs)?.timed(config)?;
    let out = Path::new(text(matches, "out").unwrap_or_default());
    world::save(out, &cloned.world).map_err(|e| Failure::usage(format!("could not write `{}`: {e}", out.display())))?;
    let groups: usize = cloned.world.regions().map(|there| there.groups.len()).sum();
    let instances: usize = cloned.world.regions().map(|there| there.instances.len()).sum();
    let names = text(matches, "env").unwrap_or_default();
    let mut said = format!("{}: {names} as of {}, {groups} group(s) with {instances} instance(s)\n", out.display(), cloned.world.now);
    for unknown in &cloned.unknown {
        let _ = writeln!(said, "unknown: {} ({}); {}", unknown.what, unknown.why, unknown.consequence);
    }
    let _ = std::io::stdout().write_all(clean(&said).as_bytes());
    Ok(0)
}

/// The world as text: what an AWS console would show, in one page.
fn page(world: &World) -> String {
    let mut out = format!("SANDBOX account {} in {}, {}\n", world.account, world.region, world.now);
    out.push_str(&resources(world));
    for (bucket, objects) in &world.buckets {
        let lies = world.region_of_bucket(bucket);
        let place = if lies == world.region { String::new() } else { format!(" in {lies}") };
        let _ = writeln!(out, "bucket {bucket}{place}: {} object(s)", objects.len());
        for (key, object) in objects.iter().filter(|(key, _)| key.starts_with("version/")) {
            let _ = writeln!(out, "  {key} = {}", String::from_utf8_lossy(&object.body));
        }
    }
    if let Some(repository) = &world.repository {
        let _ = writeln!(out, "GitHub {}: {} commit(s)", repository.name, repository.commits.len());
        for (number, issue) in repository.issues.iter().filter(|(_, issue)| !(issue.labels.is_empty() && issue.comments.is_empty())) {
            let labels: String = issue.labels.iter().map(|label| format!(" [{label}]")).collect();
            let comments: String = issue.comments.iter().map(|comment| format!(", comment: {comment}")).collect();
            let _ = writeln!(out, "  #{number} {}{labels}{comments}", issue.title);
        }
    }
    for there in world.elsewhere.values() {
        let _ = writeln!(out, "region {}", there.region);
        out.push_str(&resources(there));
    }
    out
}

/// What there is of each region.
fn resources(world: &World) -> String {
    let mut out = String::new();
    for balancer in world.load_balancers.values() {
        let _ = writeln!(out, "load balancer {}", balancer.name);
        for listener in world.listeners.values().filter(|l| l.load_balancer == balancer.arn) {
            let _ = writeln!(out, "  {}:{} default → {}", listener.protocol, listener.port, actions(world, &listener.actions.api));
            for rule in world.rules.values().filter(|r| r.listener == listener.arn) {
                let conditions = rule.conditions.iter().map(|c| c.values.join(",")).collect::<Vec<_>>().join(" and ");
                let _ = writeln!(out, "  {}:{} {conditions} → {}", listener.protocol, listener.port, actions(world, &rule.actions.api));
            }
        }
    }
    for group in world.groups.values() {
        let _ = writeln!(out, "group {}: desired {}, min {}, max {}", group.name, group.desired, group.min, group.max);
        for instance in world.instances.values().filter(|i| i.group == group.name) {
            // Pending has not read it yet, a router has none.
            let version = instance.version.as_ref().map_or(String::new(), |version| format!(" {version}"));
            let (state, kind) = (instance.lifecycle, &instance.instance_type);
            let _ = writeln!(out, "  {} {state:?} {kind} {}{version}", instance.id, instance.private_ip);
        }
    }
    for (name, parameter) in &world.parameters {
        let of = if short(&parameter.value) == parameter.value { "" } else { "ARN of " };
        let _ = writeln!(out, "parameter {name} = {of}{} (version {})", short(&parameter.value), parameter.version);
    }
    out
}

fn actions(world: &World, actions: &[crate::sandbox::world::Action]) -> String {
    use crate::sandbox::world::Action;
    let one = |action: &Action| match action {
        Action::Forward { targets, .. } => {
            let name = |arn: &str| world.target_groups.get(arn).map_or(arn.to_owned(), |group| group.name.clone());
            targets.iter().map(|t| format!("{} {}", name(&t.target_group), t.weight)).collect::<Vec<_>>().join(", ")
        }
        Action::FixedResponse { status, .. } => format!("fixed response {status}"),
        Action::Redirect { status, .. } => format!("redirect {status}"),
    };
    actions.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn reset(config: &Config) -> Result<i32, Failure> {
    let stored = world::Stored::open(&config.root)?;
    let failed = |e: std::io::Error| Failure::usage(format!("could not reset the sandbox: {e}"));
    stored.reset().map_err(failed)?;
    match std::fs::remove_dir_all(world::folder(&config.root).join("runs")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let _ = writeln!(std::io::stdout(), "the sandbox is new");
    Ok(0)
}

fn serve(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let pace = matches.get_one::<String>("pace").map_or("1", String::as_str);
    let pace = pace.strip_suffix('x').unwrap_or(pace).parse::<f64>().ok().filter(|p| p.is_finite() && *p > 0.0);
    let pace = pace.ok_or_else(|| Failure::usage("`--pace` wants a number above 0, such as 60x"))?;
    let port = matches.get_one::<u16>("port").copied().unwrap_or(0);
    let (stored, world) = load(matches, config)?;
    let stored = stored.map(Arc::new);
    let saved = stored.clone();
    let mut interrupt = signals::listen().map_err(|e| Failure::usage(format!("could not listen for signals: {e}")))?;
    let sandbox = Arc::new(Mutex::new(Sandbox::new(world)));
    let failed = |e: std::io::Error| Failure::usage(format!("could not serve on 127.0.0.1:{port}: {e}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    let served = runtime.block_on(async {
        let save = move |world: &World| saved.as_ref().map_or(Ok(()), |stored| stored.save(world));
        let server = Server::bind(port, sandbox.clone(), pace).await?.saving(Arc::new(save));
        let address = server.address()?;
        let _ = writeln!(std::io::stdout(), "SANDBOX on http://{address} at {pace}x: nothing real is touched; Ctrl-C ends it");
        let _ = std::io::stdout().flush();
        server.run(async move { drop(interrupt.wait_for(|signal| !signal.is_empty()).await) }).await
    });
    served.map_err(failed)?;
    let sandbox = sandbox.lock().expect("no panic while the sandbox was held");
    let saved = stored.map_or(Ok(()), |stored| stored.save(&sandbox.world));
    saved.map_err(|e| Failure::usage(format!("could not save the sandbox: {e}")))?;
    Ok(0)
}
