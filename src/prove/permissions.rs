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
/// With the calls that only a run on AWS makes: its journal is in S3, the address of a webhook and the token of a host may be parameters.
pub fn policy(seen: &BTreeSet<Need>, envs: &[&Environment], ids: Ids) -> Policy {
    let account = account(seen);
    let made = seen.iter().filter_map(|need| taken_back(need, envs));
    let mut needs: BTreeSet<Need> = BTreeSet::new();
    for need in seen.iter().cloned().chain(made).chain(envs.iter().flat_map(|env| beyond(env, &account))) {
        let Need { action, resource } = widened(need, envs);
        needs.extend(in_each_color(&resource, envs).into_iter().map(|resource| Need { action: action.clone(), resource }));
    }
    let mut resources: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Need { action, resource } in needs {
        resources.entry(action).or_default().insert(known(&resource, ids));
    }
    Policy::new(statements(resources))
}

/// One statement for resources of a service with which the same may be done; actions that take none are one together.
fn statements(resources: BTreeMap<String, BTreeSet<String>>) -> Vec<Statement> {
    let mut of_resource: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (action, all) in &resources {
        let covered = |one: &String| all.iter().any(|other| other != one && fits(other, one));
        for one in all.iter().filter(|one| !covered(one)) {
            let service = if one == "*" { "" } else { action.split(':').next().unwrap_or_default() };
            of_resource.entry((service.to_owned(), one.clone())).or_default().push(action.clone());
        }
    }
    let mut alike: BTreeMap<(String, Vec<String>), Vec<String>> = BTreeMap::new();
    for ((service, resource), actions) in of_resource {
        alike.entry((service, actions)).or_default().push(resource);
    }
    alike.into_iter().map(|((_, actions), resources)| Statement::allow(actions, resources)).collect()
}

/// `123456789012` of the ARNs that were seen.
fn account(seen: &BTreeSet<Need>) -> String {
    let part = |need: &Need| {
        let parts: Vec<&str> = need.resource.splitn(6, ':').collect();
        let [_, _, _, region, account, _] = parts.as_slice() else { return None };
        (!region.is_empty() && !account.is_empty()).then(|| (*account).to_owned())
    };
    seen.iter().find_map(part).unwrap_or_else(|| "*".to_owned())
}

/// A parameter or key that was not there before is deleted when a run is taken back. The sandbox's accounts have them all; a new one has not.
fn taken_back(need: &Need, envs: &[&Environment]) -> Option<Need> {
    let kept = envs.iter().any(|env| object(&need.resource, env).is_some());
    let action = match need.action.as_str() {
        "ssm:PutParameter" => "ssm:DeleteParameter",
        "s3:PutObject" if !kept => "s3:DeleteObject",
        _ => return None,
    };
    Some(Need { action: action.to_owned(), resource: need.resource.clone() })
}

/// What a run on AWS needs, and in the sandbox does not.
fn beyond(env: &Environment, account: &str) -> Vec<Need> {
    let need = |action: &str, resource: String| Need { action: action.to_owned(), resource };
    let bucket = format!("arn:aws:s3:::{}", env.state.bucket);
    let journal = env.journal_in(&Target::Aws) == JournalIn::S3;
    let kept = [need("s3:PutObject", format!("{bucket}/{}*", env.runs_key())), need("s3:ListBucket", bucket.clone())];
    let secrets = env.notify.iter().chain(env.outside.values().filter_map(|host| host.token.as_ref()));
    let secrets = secrets.filter_map(|secret| match secret {
        Secret::Parameter(name) => Some(need("ssm:GetParameter", parameter(&env.region, account, name))),
        Secret::Env(_) => None,
    });
    kept.into_iter().filter(|_| journal).chain(secrets).collect()
}

fn parameter(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:ssm:{region}:{account}:parameter/{}", name.trim_start_matches('/'))
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
    // `listener-rule/app/NAME/` and `targetgroup/NAME/`, and then ids.
    let named = match what.split('/').next() {
        Some("listener-rule" | "listener") => 3,
        Some("targetgroup") => 2,
        _ => usize::MAX,
    };
    let what = what.split('/').enumerate().map(|(place, word)| if place < named { word } else { "*" }).collect::<Vec<_>>().join("/");
    [arn, partition, service, region, number, what.as_str()].join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn of(env: &str, project: &str, seen: &[(&str, &str)], ids: Ids) -> Vec<(String, Vec<String>)> {
        let config = Config::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(project).join("bgx.toml")).unwrap();
        let seen = seen.iter().map(|(action, resource)| Need { action: (*action).to_owned(), resource: (*resource).to_owned() }).collect();
        let policy = policy(&seen, &[config.env(env).unwrap()], ids);
        policy.statement.into_iter().map(|statement| (statement.action.join(" "), statement.resource)).collect()
    }

    /// Without what every run needs for its journal.
    fn beside_the_journal(mut found: Vec<(String, Vec<String>)>) -> Vec<(String, Vec<String>)> {
        found.retain(|(actions, resources)| actions != "s3:ListBucket" && !resources[0].contains("/runs/"));
        found
    }

    #[test]
    fn a_change_of_one_colour_is_allowed_of_both_and_of_no_other_environment() {
        let group = "arn:aws:autoscaling:us-east-1:1:autoScalingGroup:0-1:autoScalingGroupName/beta-green";
        let found = of("beta", "", &[("autoscaling:UpdateAutoScalingGroup", group)], Ids::Real);
        let both = ["blue", "green"].map(|c| format!("arn:aws:autoscaling:us-east-1:1:autoScalingGroup:*:autoScalingGroupName/beta-{c}"));
        assert_eq!(beside_the_journal(found), [("autoscaling:UpdateAutoScalingGroup".to_owned(), both.to_vec())]);
    }

    #[test]
    fn what_served_before_there_were_colours_has_no_twin() {
        let group = |name: &str| format!("arn:aws:autoscaling:us-east-1:1:autoScalingGroup:*:autoScalingGroupName/{name}");
        let found = of("beta", "examples/before-blue-green", &[("autoscaling:SuspendProcesses", &group("beta"))], Ids::Real);
        assert_eq!(beside_the_journal(found), [("autoscaling:SuspendProcesses".to_owned(), vec![group("beta")])]);
    }

    #[test]
    fn a_target_group_shared_by_both_colours_is_named_once_and_without_its_id() {
        let arn = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/Beta/0123";
        let found = of("beta", "examples/one-target-group", &[("elasticloadbalancing:RegisterTargets", arn)], Ids::Real);
        let resource = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/Beta/*".to_owned();
        assert_eq!(beside_the_journal(found), [("elasticloadbalancing:RegisterTargets".to_owned(), vec![resource])]);
    }

    #[test]
    fn ids_that_were_made_up_are_left_open_and_those_that_were_read_are_kept() {
        let rule = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/App/a/b/c";
        let resources = |ids| beside_the_journal(of("beta", "", &[("elasticloadbalancing:ModifyRule", rule)], ids)).remove(0).1;
        assert_eq!(resources(Ids::Real), [rule]);
        assert_eq!(resources(Ids::Made(None)), ["arn:aws:elasticloadbalancing:us-east-1:*:listener-rule/app/App/*/*/*"]);
        let old = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/Beta/0123";
        let seen = [("elasticloadbalancing:DeregisterTargets", old)];
        let original = |ids| beside_the_journal(of("beta", "examples/before-blue-green", &seen, ids)).remove(0).1;
        assert_eq!(original(Ids::Real), [old]);
        assert_eq!(original(Ids::Made(Some("1"))), ["arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/Beta/*"]);
        assert_eq!(resources(Ids::Made(Some("9"))), ["arn:aws:elasticloadbalancing:us-east-1:9:listener-rule/app/App/*/*/*"]);
    }

    #[test]
    fn what_a_run_makes_it_may_delete_and_names_of_builds_are_patterns() {
        let bucket = "arn:aws:s3:::compiler-explorer";
        let key = |key: &str| format!("{bucket}/{key}");
        let seen = [("s3:PutObject", key("motd/motd-prod.json")), ("s3:PutObject", key("dist/discovery/release/gh-41001.json"))];
        let seen: Vec<(&str, &str)> = seen.iter().map(|(action, resource)| (*action, resource.as_str())).collect();
        let found = beside_the_journal(of("prod", "", &seen, Ids::Real));
        let message = ("s3:DeleteObject s3:PutObject".to_owned(), vec![key("motd/motd-prod.json")]);
        assert!(found.contains(&message), "{found:?}");
        let runs = of("prod", "", &seen, Ids::Real).into_iter().find(|(actions, _)| actions == "s3:PutObject").expect("there is one").1;
        assert_eq!(runs, [key("bgx/runs/prod/*"), key("dist/discovery/release/*.json")]);
    }
}
