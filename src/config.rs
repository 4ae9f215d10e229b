//! `bgx.toml`: which environments there are, what belongs to each, and where they live. Names are rendered here, once.

mod comparison;
mod file;
mod outside;
mod regions;
#[cfg(test)]
mod tests;

pub use comparison::{Back, Comparison, Planned};
pub use outside::{Outside, Secret};

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A configuration that cannot be used; always exit 2, nothing touched.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("no bgx.toml in `{0}` or any folder above it")]
    Missing(String),
    #[error("could not read `{path}`")]
    Unreadable { path: String, source: std::io::Error },
    #[error("`{path}` is not a valid configuration\n{text}")]
    Invalid { path: String, text: String },
    #[error("there is no environment `{name}` in bgx.toml{hint}")]
    UnknownEnv { name: String, hint: String },
    #[error("environment `{name}` is named twice")]
    EnvTwice { name: String },
}

/// Where an environment lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Sandbox,
    Aws,
    /// A server given by URL: moto, LocalStack, `bgx sandbox serve`.
    Endpoint(String),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Sandbox => f.write_str("sandbox"),
            Target::Aws => f.write_str("aws"),
            Target::Endpoint(url) => f.write_str(url),
        }
    }
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        match text {
            "sandbox" => Ok(Target::Sandbox),
            "aws" => Ok(Target::Aws),
            url if url.starts_with("http://") || url.starts_with("https://") => Ok(Target::Endpoint(url.trim_end_matches('/').to_owned())),
            other => Err(format!("`{other}` is not a target; use `sandbox`, `aws` or a URL such as `http://127.0.0.1:5000`")),
        }
    }
}

/// Resources beyond the environment's own that its playbooks may write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Extra {
    pub asgs: Vec<String>,
    pub parameters: Vec<String>,
    pub objects: Vec<String>,
}

/// How the sandbox makes this environment.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxEnv {
    /// Instances of the live colour at the start.
    pub size: u32,
    pub min: u32,
    pub max: u32,
    /// Number of the build that runs at the start.
    pub build: u32,
    /// Pending until InService, `"45s..90s"`, drawn for each instance.
    pub boot: String,
    /// InService until the application answers.
    pub app_start: String,
    pub grace_seconds: u32,
    pub instance_types: Vec<String>,
    /// Set: instances above this many are spot.
    pub on_demand_base: Option<u32>,
    pub spot_interruptions_per_hour: f64,
    /// Target tracking on CPU, per cent.
    pub cpu_target: Option<f64>,
    /// Target tracking on messages of a queue an instance, in place of CPU.
    pub backlog_target: Option<f64>,
    /// Messages that wait in the queue of the colour that serves.
    pub backlog: f64,
    pub requests_per_second: f64,
    pub full_load_per_instance: f64,
    /// Share of the requests that a build, by its number, answers with a 500.
    pub build_errors: BTreeMap<String, f64>,
    /// Share of the requests that a build takes two seconds for, in place of a twentieth of one.
    pub build_slow: BTreeMap<String, f64>,
    /// Where the application listens.
    pub port: u16,
    /// The same by service, where they differ.
    pub ports: BTreeMap<String, u16>,
    /// Routers beside it that answer `/admin/clear-cache`: group name and size.
    pub routers: Option<(String, u32)>,
}

impl Default for SandboxEnv {
    fn default() -> SandboxEnv {
        SandboxEnv {
            size: 2,
            min: 0,
            max: 4,
            build: 41000,
            boot: "45s..90s".to_owned(),
            app_start: "10s..30s".to_owned(),
            grace_seconds: 240,
            instance_types: vec!["t3.medium".to_owned()],
            on_demand_base: None,
            spot_interruptions_per_hour: 0.0,
            cpu_target: None,
            backlog_target: None,
            backlog: 0.0,
            requests_per_second: 5.0,
            full_load_per_instance: 20.0,
            build_errors: BTreeMap::new(),
            build_slow: BTreeMap::new(),
            port: 80,
            ports: BTreeMap::new(),
            routers: None,
        }
    }
}

/// How long things take in the sandbox where AWS documents no bound, `"0s..2s"`; absent: as bgx has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxTiming {
    /// A changed group, rule, target or parameter until a read shows it.
    pub group_staleness: Option<String>,
    pub rule_staleness: Option<String>,
    pub health_staleness: Option<String>,
    pub parameter_staleness: Option<String>,
    /// A changed rule until a node of the load balancer follows it.
    pub propagation: Option<String>,
    /// Registration of a target until its first check.
    pub registration: Option<String>,
    /// The end of an instance, once it has drained.
    pub termination: Option<String>,
}

/// A configuration that was read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of `bgx.toml`; paths in it and team modules start here.
    pub root: PathBuf,
    pub target: Target,
    pub stdlib: Option<PathBuf>,
    pub envs: BTreeMap<String, Environment>,
    /// Of the app: its environments' unless they say another one, and where the buckets of `app` and `state` lie.
    pub region: String,
    /// The app's.
    pub bucket: String,
    /// Regions of all buckets, by their names.
    pub buckets: BTreeMap<String, String>,
    pub sandbox_seed: u64,
    /// Builds that the sandbox's bucket holds: branch and number.
    pub sandbox_builds: Vec<(String, u32)>,
    pub sandbox_timing: SandboxTiming,
}

/// One environment with every name filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    pub name: String,
    /// Set in the environment's own table; wins over the file's.
    pub target: Option<Target>,
    pub load_balancer: String,
    /// Its own one lies in its region, the app's in that of the app.
    pub bucket: String,
    pub state: State,
    /// Prefix of its SSM parameters, without a trailing `/`.
    pub parameters: String,
    /// Two; and a third one, `original`, where `migrate_from` names a group that serves without a colour.
    pub colors: Vec<ColorNames>,
    pub routes: Vec<Route>,
    /// Names of the services that run on the instances of a colour, each behind a target group of its own; the main one first.
    pub services: Vec<String>,
    pub builds: Option<String>,
    pub discovery: Option<String>,
    /// Sources of discovery files, the first one first: environment, and its name in the key.
    pub discovery_from: Vec<(String, String)>,
    pub discovery_name: String,
    pub version_probe: Option<String>,
    /// Canned ACL of the objects that actions write, such as `public-read`; `None`: the bucket's own rules alone.
    pub object_acl: Option<String>,
    /// Key of the object that keeps new builds away while it is there.
    pub build_lock: Option<String>,
    /// Key of the JSON object with what users are told.
    pub message: Option<String>,
    /// Command that restarts the application on an instance.
    pub restart: Option<Restart>,
    /// Fewest instances the serving colour is left with.
    pub min: u32,
    pub guarded: bool,
    pub boot_timeout: Duration,
    pub healthy_timeout: Duration,
    /// Logical module name, e.g. `team/compiler_explorer`.
    pub hooks: Option<String>,
    /// Alarms of CloudWatch that stop a run while it watches.
    pub alarms: Vec<String>,
    /// Label at GitHub of what is live here; `None`: GitHub is not told.
    pub live_label: Option<String>,
    /// `owner/name` at GitHub.
    pub repository: Option<String>,
    /// Hosts outside of AWS, by the name that playbooks call them.
    pub outside: BTreeMap<String, Outside>,
    /// Where the address of the webhook is that is told how runs go.
    pub notify: Option<Secret>,
    /// Namespace of CloudWatch in which runs are counted.
    pub metrics: Option<String>,
    pub extra: Extra,
    pub account: Option<String>,
    pub region: String,
    pub sandbox: SandboxEnv,
}

/// A command on an instance, by what runs it there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restart {
    Shell(String),
    /// For instances with Windows.
    Powershell(String),
}

impl Restart {
    /// The document of SSM that runs it.
    pub fn document(&self) -> &'static str {
        match self {
            Restart::Shell(_) => "AWS-RunShellScript",
            Restart::Powershell(_) => "AWS-RunPowerShellScript",
        }
    }

    pub fn command(&self) -> &str {
        match self {
            Restart::Shell(command) | Restart::Powershell(command) => command,
        }
    }
}

/// Where bgx keeps what several machines must agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub bucket: String,
    /// In front of every key.
    pub prefix: String,
    /// `None`: in S3 on `aws`, in a file elsewhere.
    pub journal: Option<JournalIn>,
}

/// Where the journals of an environment's runs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JournalIn {
    /// Beside the lock, for every machine; the file is a copy.
    S3,
    /// In the project's `.bgx`, on this machine alone.
    File,
}

/// Name of the group, and of its target group, that served before there were colours.
pub const ORIGINAL: &str = "original";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColorNames {
    pub name: String,
    pub asg: String,
    /// Of the main service, the one that is recorded.
    pub target_group: String,
    /// Of the environment's further services, in their order: the same instances on other ports.
    pub others: Vec<String>,
    pub version_key: String,
}

impl ColorNames {
    /// The target groups of all services, the main one first.
    pub fn target_groups(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.target_group).chain(&self.others)
    }
}

/// Where traffic comes in: a listener port, and the path, host or default it matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub listener: u16,
    pub matches: Match,
    /// Which of the environment's services gets its requests; 0: the main one.
    pub service: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    Default,
    Path(String),
    Host(String),
}

impl Environment {
    /// Key of its lock in the bucket of `state`.
    pub fn lock_key(&self) -> String {
        format!("{}locks/{}.json", self.state.prefix, self.name)
    }

    /// Where the journals of its runs are on this target.
    pub fn journal_in(&self, target: &Target) -> JournalIn {
        match (self.state.journal, target) {
            (Some(given), _) => given,
            (None, Target::Aws) => JournalIn::S3,
            (None, Target::Sandbox | Target::Endpoint(_)) => JournalIn::File,
        }
    }

    /// In front of the keys of its runs' journals in the bucket of `state`: each run has a folder there.
    pub fn runs_key(&self) -> String {
        format!("{}runs/{}/", self.state.prefix, self.name)
    }

    pub fn color(&self, name: &str) -> Option<&ColorNames> {
        self.colors.iter().find(|c| c.name == name)
    }

    pub fn other(&self, name: &str) -> &ColorNames {
        if self.colors[0].name == name { &self.colors[1] } else { &self.colors[0] }
    }

    pub fn active_color_parameter(&self) -> String {
        format!("{}/active-color", self.parameters)
    }

    pub fn active_target_group_parameter(&self) -> String {
        format!("{}/active-target-group-arn", self.parameters)
    }

    /// Where the version that a colour runs is recorded.
    pub fn version_parameter(&self, color: &str) -> String {
        format!("{}/{color}-version", self.parameters)
    }

    /// Both colours boot from one key: whatever boots while it changes is a risk.
    pub fn shares_version_key(&self) -> bool {
        self.colors[0].version_key == self.colors[1].version_key
    }

    /// A group without a colour still serves, or may have to again.
    pub fn original(&self) -> Option<&ColorNames> {
        self.colors.get(2)
    }

    /// Instances of several groups may be in one target group, so each is asked whose its targets are.
    pub fn mixes_groups(&self) -> bool {
        self.shares_target_group() || self.original().is_some()
    }

    /// Both colours are in one target group: an instance serves when it is registered there, which their groups do not do.
    pub fn shares_target_group(&self) -> bool {
        self.colors[0].target_group == self.colors[1].target_group
    }

    /// Key of the discovery file of `version` for environment `name` (its discovery name).
    pub fn discovery_key(&self, name: &str, version: &str) -> Option<String> {
        Some(self.discovery.as_ref()?.replace("{env}", name).replace("{version}", version))
    }
}

impl Config {
    /// Reads the nearest `bgx.toml` at or above `start`.
    pub fn find(start: &Path) -> Result<Config, ConfigError> {
        let found = start.ancestors().map(|folder| folder.join("bgx.toml")).find(|path| path.is_file());
        let path = found.ok_or_else(|| ConfigError::Missing(start.display().to_string()))?;
        Config::read(&path)
    }

    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| ConfigError::Unreadable { path: shown.clone(), source })?;
        let text = String::from_utf8(bytes).map_err(|e| ConfigError::Invalid {
            path: shown.clone(),
            text: format!("byte {} is not UTF-8", e.utf8_error().valid_up_to()),
        })?;
        let root = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Config::parse(&text, root).map_err(|text| ConfigError::Invalid { path: shown, text })
    }

    pub fn env(&self, name: &str) -> Result<&Environment, ConfigError> {
        self.envs.get(name).ok_or_else(|| {
            let near = self.envs.keys().filter(|known| strsim::damerau_levenshtein(known, name) <= 1 + name.len() / 4).collect::<Vec<_>>();
            let hint = match near.first() {
                Some(near) => format!("; did you mean `{near}`?"),
                None => format!("; there are {}", self.envs.keys().cloned().collect::<Vec<_>>().join(", ")),
            };
            ConfigError::UnknownEnv { name: name.to_owned(), hint }
        })
    }

    /// Those of `--env a,b`, in this order.
    pub fn env_list(&self, list: &str) -> Result<Vec<&Environment>, ConfigError> {
        let mut envs: Vec<&Environment> = Vec::new();
        for name in list.split(',').map(str::trim) {
            let env = self.env(name)?;
            if envs.iter().any(|known| known.name == env.name) {
                return Err(ConfigError::EnvTwice { name: name.to_owned() });
            }
            envs.push(env);
        }
        Ok(envs)
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.listener == 443 { "https" } else { "http" };
        match &self.matches {
            Match::Default => write!(f, "{scheme}:{} default", self.listener),
            Match::Path(path) => write!(f, "{scheme}:{} {path}", self.listener),
            Match::Host(host) => write!(f, "{scheme}:{} {host}", self.listener),
        }
    }
}

/// A duration such as `"90s"`, `"5m"`, `"1h30m"`, `"500ms"`; never negative.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a duration; write it as \"90s\", \"5m\" or \"1h30m\"");
    let starts_with_digit = text.starts_with(|c: char| c.is_ascii_digit());
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| bad())?;
    if !starts_with_digit {
        return Err(bad());
    }
    Duration::try_from(parsed).map_err(|_| bad())
}

/// Two durations, `"45s..90s"`, or one.
pub fn range(text: &str) -> Result<(Duration, Duration), String> {
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    let (low, high) = (duration(low.trim())?, duration(high.trim())?);
    if low <= high { Ok((low, high)) } else { Err(format!("`{text}` ends before it begins")) }
}
