//! The accounts that a run can begin in: as `bgx.toml` says, with both colours running, or with nothing running.

use super::ProveError;
use crate::config::{Config, Environment};
use crate::host::world::{built, spec, version};
use crate::host::{Host, HostError, Options};
use crate::sandbox::world::{World, WorldSpec};
use serde::{Deserialize, Serialize};

/// The state of the environment before the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// One colour serves, the other is empty.
    #[default]
    Fresh,
    /// As after a deploy: the colour that served before still runs, with the build before.
    Warm,
    /// Nothing runs yet.
    Empty,
}

impl Start {
    pub const ALL: [(&str, Start); 3] = [("fresh", Start::Fresh), ("warm", Start::Warm), ("empty", Start::Empty)];

    pub fn word(self) -> &'static str {
        match self {
            Start::Fresh => "fresh",
            Start::Warm => "warm",
            Start::Empty => "empty",
        }
    }
}

/// A new account in that state.
pub fn new_world(config: &Config, env: &Environment, seed: u64, start: Start) -> Result<World, ProveError> {
    let refused = |text: String| ProveError::Host(HostError::Refused(text));
    match start {
        Start::Fresh => {
            let options = Options { seed: Some(seed), in_memory: true, target: None };
            let host = Host::open(config, &crate::config::Target::Sandbox, &options)?;
            let sandbox = host.sandbox.as_ref().expect("the target is the sandbox");
            Ok(sandbox.lock().expect("nobody else has it").world.clone())
        }
        Start::Warm | Start::Empty => built(config, &spec_of(config, env, seed, start).map_err(refused)?).map_err(refused),
    }
}

/// The description of an account in that state.
pub fn spec_of(config: &Config, env: &Environment, seed: u64, start: Start) -> Result<WorldSpec, String> {
    let mut config = config.clone();
    match start {
        Start::Fresh => spec(&config, seed),
        Start::Empty => {
            config.envs.entry(env.name.clone()).and_modify(|e| e.sandbox.size = 0);
            spec(&config, seed)
        }
        Start::Warm => {
            let mut spec = spec(&config, seed)?;
            let mut builds: Vec<u32> = spec.builds.iter().filter(|(branch, _)| branch == "main").map(|(_, number)| *number).collect();
            builds.sort_unstable();
            let (old, new) = match builds.as_slice() {
                [] => (env.sandbox.build, env.sandbox.build),
                [only] => (*only, *only),
                [old, new, ..] => (*old, *new),
            };
            let found = spec.envs.iter_mut().find(|e| e.name == env.name);
            let shape = found.ok_or_else(|| format!("bgx.toml has no environment `{}`", env.name))?;
            for (color, number) in shape.colors.iter_mut().zip([new, old]) {
                color.version = version(env, number);
                color.size = env.sandbox.size;
                color.min = env.sandbox.size;
                let name = env.version_parameter(&color.name);
                shape.parameters.retain(|(known, _)| *known != name);
                shape.parameters.push((name, color.version.clone()));
            }
            Ok(spec)
        }
    }
}
