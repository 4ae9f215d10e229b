//! The smallest IAM policy with which a run gets through everything that was seen of it: from the permissions that its calls needed.

use crate::config::{Environment, JournalIn, ORIGINAL, Secret, Target};
use crate::sandbox::Traced;
use crate::sandbox::wire::Need;
use crate::sandbox::world::{Policy, Statement, fits};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// What the identity of the runs may do, and what they were seen to need.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// Enforced in every account that a run is played in; `None`: it may do everything.
    pub policy: Option<Policy>,
    seen: Arc<Mutex<BTreeSet<Need>>>,
}

impl Rights {
    pub fn enforced(policy: Policy) -> Rights {
        Rights { policy: Some(policy), ..Rights::default() }
    }

    /// Adds what the calls of one process needed.
    pub fn note(&self, trace: &[Traced]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for need in trace.iter().flat_map(|call| call.needs.iter()) {
            if !seen.contains(need) {
                seen.insert(need.clone());
            }
        }
    }

    pub fn seen(&self) -> BTreeSet<Need> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whose are the ids in the ARNs that were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids<'a> {
    /// The account's own: it was read.
    Real,
    /// Made up with the account that bgx.toml describes, which may name its number.
    Made(Option<&'a str>),
}

/// Reads are allowed of all that they may meet, writes of what the environments name, in each colour: the next deploy goes the other way.
/// With the calls that only a run on AWS makes: its journal is in S3, its notices go to a webhook whose address is a parameter.
pub fn policy(seen: &BTreeSet<Need>, envs: &[&Environment], ids: Ids) -> Policy {
    let region_and_account = parts(seen);
    let mut needs: BTreeSet<Need> = BTreeSet::new();
    for need in seen.iter().cloned().chain(envs.iter().flat_map(|env| beyond(env, &region_and_account))) {
        let Need { action, resource } = widened(need, envs);
        needs.extend(in_each_color(&resource, envs).into_iter().map(|resource| Need { action: action.clone(), resource }));
    }
    let mut resources: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Need { action, resource } in needs {
        resources.entry(action).or_default().insert(known(&resource, ids));
    }
    Policy::new(statements(resources))
}

/// One statement for all actions of a service that are about the same resources; those that take none are one together.
fn statements(resources: BTreeMap<String, BTreeSet<String>>) -> Vec<Statement> {
    let mut grouped: BTreeMap<(String, Vec<String>), Vec<String>> = BTreeMap::new();
    for (action, all) in resources {
        let covered = |one: &String| all.iter().any(|other| other != one && fits(other, one));
        let least: Vec<String> = all.iter().filter(|one| !covered(one)).cloned().collect();
        let service = if least == ["*"] { String::new() } else { action.split(':').next().unwrap_or_default().to_owned() };
        grouped.entry((service, least)).or_default().push(action);
    }
    grouped.into_iter().map(|((_, resources), actions)| Statement::allow(actions, resources)).collect()
}

/// `us-east-1:123456789012` of the ARNs that were seen.
fn parts(seen: &BTreeSet<Need>) -> String {
    let part = |need: &Need| {
        let parts: Vec<&str> = need.resource.splitn(6, ':').collect();
        let [_, _, _, region, account, _] = parts.as_slice() else { return None };
        (!region.is_empty() && !account.is_empty()).then(|| format!("{region}:{account}"))
    };
    seen.iter().find_map(part).unwrap_or_else(|| "*:*".to_owned())
}

/// What a run on AWS needs, and in the sandbox does not.
fn beyond(env: &Environment, region_and_account: &str) -> Vec<Need> {
    let need = |action: &str, resource: String| Need { action: action.to_owned(), resource };
    let bucket = format!("arn:aws:s3:::{}", env.state.bucket);
    let journal = env.journal_in(&Target::Aws) == JournalIn::S3;
    let kept = [need("s3:PutObject", format!("{bucket}/{}*", env.runs_key())), need("s3:ListBucket", bucket.clone())];
    let address = match &env.notify {
        Some(Secret::Parameter(name)) => Some(parameter(region_and_account, name)),
        Some(Secret::Env(_)) | None => None,
    };
    let address = address.map(|resource| need("ssm:GetParameter", resource));
    kept.into_iter().filter(|_| journal).chain(address).collect()
}

fn parameter(region_and_account: &str, name: &str) -> String {
    format!("arn:aws:ssm:{region_and_account}:parameter/{}", name.trim_start_matches('/'))
}

/// Names that differ from run to run become patterns; what is only read is allowed in the whole bucket, or beneath the environment's prefix.
fn widened(Need { action, resource }: Need, envs: &[&Environment]) -> Need {
    let wide = match action.split(':').next() {
        Some("autoscaling") => resource.split_once(":autoScalingGroup:").and_then(|(before, rest)| {
            let (_, name) = rest.split_once(':')?;
            Some(format!("{before}:autoScalingGroup:*:{name}"))
        }),
        Some("ssm") => command(&resource).or_else(|| action.contains(":Get").then(|| beneath(&resource, envs)).flatten()),
        Some("s3") if action == "s3:GetObject" => resource.split_once('/').map(|(bucket, _)| format!("{bucket}/*")),
        Some("s3") => envs.iter().find_map(|env| object(&resource, env)),
        _ => None,
    };
    Need { action, resource: wide.unwrap_or(resource) }
}

/// Instances come and go.
fn command(resource: &str) -> Option<String> {
    resource.split_once(":instance/").map(|(before, _)| format!("{before}:instance/*"))
}

fn beneath(resource: &str, envs: &[&Environment]) -> Option<String> {
    let (before, name) = resource.split_once(":parameter")?;
    let env = envs.iter().find(|env| name.strip_prefix(&env.parameters).is_some_and(|rest| rest.starts_with('/')))?;
    Some(format!("{before}:parameter{}/*", env.parameters))
}

/// Journals, answers and discovery files are named after a run or a build.
fn object(resource: &str, env: &Environment) -> Option<String> {
    let answers = format!("{}answers/*", env.state.prefix);
    let patterns = [Some(format!("{}*", env.runs_key())), Some(answers), env.discovery_key(&env.discovery_name, "*")];
    let mut arns = patterns
        .into_iter()
        .flatten()
        .flat_map(|key| [&env.state.bucket, &env.bucket].map(|bucket| format!("arn:aws:s3:::{bucket}/{key}")));
    arns.find(|pattern| fits(pattern, resource))
}

/// The same thing of each colour, where it is a colour's. What served before there were colours has no other.
fn in_each_color(resource: &str, envs: &[&Environment]) -> Vec<String> {
    for env in envs {
        let colors: Vec<_> = env.colors.iter().filter(|color| color.name != ORIGINAL).collect();
        let groups = colors.iter().map(|color| format!(":autoScalingGroupName/{}", color.asg)).collect();
        let versions = colors.iter().map(|color| format!(":parameter{}", env.version_parameter(&color.name))).collect();
        let keys = colors.iter().map(|color| format!(":::{}/{}", env.bucket, color.version_key)).collect();
        let kinds: [Vec<String>; 3] = [groups, versions, keys];
        if let Some((before, tails)) =
            kinds.iter().find_map(|tails| Some((tails.iter().find_map(|tail| resource.strip_suffix(tail))?, tails)))
        {
            return tails.iter().map(|tail| format!("{before}{tail}")).collect();
        }
        // Ids of target groups differ, so that the other colour's is known by its name alone.
        let named = |name: &str| resource.split_once(&format!(":targetgroup/{name}/")).map(|(before, _)| before.to_owned());
        let found = colors.iter().find_map(|color| color.target_groups().find_map(|name| named(name)));
        if let Some(before) = found {
            return colors.iter().flat_map(|color| color.target_groups()).map(|name| format!("{before}:targetgroup/{name}/*")).collect();
        }
    }
    vec![resource.to_owned()]
}

/// Without what nobody but AWS knows.
fn known(resource: &str, ids: Ids) -> String {
    let Ids::Made(account) = ids else { return resource.to_owned() };
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    let [arn, partition, service, region, number, what] = parts.as_slice() else { return resource.to_owned() };
    let number = if number.is_empty() { "" } else { account.unwrap_or("*") };
    // `listener-rule/app/NAME/` and then ids.
    let of_balancer = ["listener-rule/", "listener/", "loadbalancer/"].iter().any(|kind| what.starts_with(kind));
    let what = match of_balancer {
        true => what.split('/').enumerate().map(|(place, word)| if place < 3 { word } else { "*" }).collect::<Vec<_>>().join("/"),
        false => (*what).to_owned(),
    };
    [arn, partition, service, region, number, what.as_str()].join(":")
}
