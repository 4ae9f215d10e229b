//! The list of runs that `bgx compare` plays side by side.

use super::{Config, ConfigError};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    pub account: Shape,
    #[serde(default)]
    pub run: Vec<Planned>,
}

/// What is alike in all accounts; nothing but the run moves instances in them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    pub env: String,
    /// Instances that serve at the start.
    pub size: u32,
    pub requests_per_second: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// As the table calls it; default: the playbook.
    pub name: Option<String>,
    pub playbook: String,
    /// Environments that it runs over, in order, each of the account's shape; default: the account's alone.
    #[serde(default)]
    pub envs: Vec<String>,
    /// Folder of the project whose `bgx.toml` is taken, from the folder of this one.
    pub config: Option<PathBuf>,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    #[serde(default)]
    pub answers: BTreeMap<String, String>,
    /// The way back, in each environment by itself, the last one first.
    pub back: Option<Back>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Back {
    pub playbook: String,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    #[serde(default)]
    pub answers: BTreeMap<String, String>,
}

impl Comparison {
    pub fn read(path: &Path) -> Result<Comparison, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: shown.clone(), source })?;
        let read: Comparison =
            toml::from_str(&text).map_err(|e| ConfigError::Invalid { path: shown.clone(), text: e.to_string().trim_end().to_owned() })?;
        match read.run.is_empty() {
            true => Err(ConfigError::Invalid { path: shown, text: "it lists no [[run]]".to_owned() }),
            false => Ok(read),
        }
    }

    /// The environments of one run.
    pub fn envs<'a>(&'a self, planned: &'a Planned) -> Vec<&'a str> {
        match planned.envs.is_empty() {
            true => vec![&self.account.env],
            false => planned.envs.iter().map(String::as_str).collect(),
        }
    }

    /// The configuration of one run, with the account as all have it.
    pub fn config(&self, project: &Config, planned: &Planned) -> Result<Config, ConfigError> {
        let mut config = match &planned.config {
            Some(folder) => Config::read(&project.root.join(folder).join("bgx.toml"))?,
            None => project.clone(),
        };
        let names = self.envs(planned);
        names.iter().try_for_each(|name| config.env(name).map(drop))?;
        for env in config.envs.values_mut().filter(|env| names.contains(&env.name.as_str())) {
            let sandbox = &mut env.sandbox;
            (sandbox.size, sandbox.requests_per_second) = (self.account.size, self.account.requests_per_second);
            sandbox.max = sandbox.max.max(sandbox.size);
            (sandbox.on_demand_base, sandbox.spot_interruptions_per_hour, sandbox.cpu_target) = (None, 0.0, None);
        }
        Ok(config)
    }
}
