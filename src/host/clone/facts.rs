//! What a plan rests on, as names and values that two readings are compared by.

use super::Cloned;
use super::read::{Reading, parameter_names};
use crate::account::{Forward, Group};
use crate::config::Environment;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Of an ETag or a hash, so much tells two apart.
const SHORT: usize = 12;

/// By name.
type Facts = BTreeMap<String, String>;

impl Cloned {
    /// Sizes and processes of groups, who is healthy, weights, records, version keys, locks, alarms; bgx.toml, and what may not be read.
    /// Where there are several regions, each thing is named with its own.
    pub fn rests_on(&self, envs: &[&Environment]) -> Facts {
        let mut facts = Facts::new();
        for denied in &self.denied {
            let place = denied.region.as_ref().map(|region| format!("{region} ")).unwrap_or_default();
            facts.insert(format!("{place}{} {}", denied.service, denied.operation), "no answer, or denied".to_owned());
        }
        facts.extend(envs.iter().map(|env| (format!("bgx.toml of {}", env.name), short(&format!("{env:?}")))));
        for (region, reading) in &self.readings {
            let own: Vec<&Environment> = envs.iter().filter(|env| env.region == *region).copied().collect();
            let place = if self.readings.len() > 1 { format!("{region} ") } else { String::new() };
            facts.extend(reading.facts(&own).into_iter().map(|(name, value)| (format!("{place}{name}"), value)));
        }
        facts
    }
}

impl Reading {
    fn facts(&self, envs: &[&Environment]) -> Facts {
        let mut facts = Facts::new();
        for env in envs {
            for color in &env.colors {
                self.group(&color.asg, &mut facts);
                color.target_groups().for_each(|name| self.target_group(name, &mut facts));
            }
            self.routes(env, &mut facts);
            self.records(env, &mut facts);
        }
        for (name, alarm) in &self.alarms {
            facts.insert(format!("alarm {name}"), alarm.state.clone());
        }
        facts
    }

    fn group(&self, name: &str, facts: &mut Facts) {
        let Some(group) = self.groups.get(name) else { return };
        let Group { min, max, desired, suspended, .. } = group;
        facts.insert(format!("{name} size"), format!("desired {desired}, min {min}, max {max}"));
        facts.insert(format!("{name} in service"), group.in_service().to_string());
        let suspended: Vec<&str> = suspended.iter().map(String::as_str).collect();
        facts.insert(format!("{name} suspended"), if suspended.is_empty() { "nothing".to_owned() } else { suspended.join(", ") });
        let versions: Vec<&str> = group.instances.iter().filter_map(|i| self.versions.get(&i.id)).map(String::as_str).collect();
        let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
        versions.into_iter().for_each(|version| *runs.entry(version).or_default() += 1);
        if !runs.is_empty() {
            let text: Vec<String> = runs.iter().map(|(version, count)| format!("{count} × {version}")).collect();
            facts.insert(format!("{name} runs"), text.join(", "));
        }
    }

    fn target_group(&self, name: &str, facts: &mut Facts) {
        let Some(group) = self.target_groups.get(name) else { return };
        let Some(targets) = self.health.get(&group.arn) else { return };
        let mut states: BTreeMap<&str, usize> = BTreeMap::new();
        targets.iter().for_each(|target| *states.entry(&target.state).or_default() += 1);
        let text: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        facts.insert(format!("{name} targets"), if text.is_empty() { "none".to_owned() } else { text.join(", ") });
    }

    /// Every rule that sends to one of the environment's target groups.
    fn routes(&self, env: &Environment, facts: &mut Facts) {
        let names = env.colors.iter().flat_map(|color| color.target_groups());
        let arns: Vec<&str> = names.filter_map(|name| Some(self.target_groups.get(name)?.arn.as_str())).collect();
        let own = |forward: &Forward| forward.weights.keys().any(|arn| arns.contains(&arn.as_str()));
        for read in self.balancers.iter().filter(|read| read.balancer.name == env.load_balancer) {
            for listener in &read.listeners {
                let rules = read.rules.get(&listener.arn).map(Vec::as_slice).unwrap_or_default();
                let rules = rules.iter().filter(|rule| rule.priority != "default");
                let named =
                    rules.map(|rule| (format!("{} {}", rule.priority, [&rule.hosts[..], &rule.paths].concat().join(" ")), &rule.forward));
                for (name, forward) in named.chain([("default".to_owned(), &listener.forward)]) {
                    if let Some(forward) = forward.as_ref().filter(|forward| own(forward)) {
                        facts.insert(format!("rule {}:{} {name}", listener.protocol, listener.port), weights(forward));
                    }
                }
            }
        }
    }

    fn records(&self, env: &Environment, facts: &mut Facts) {
        if let Some(parameters) = &self.parameters {
            for name in parameter_names(env) {
                facts.insert(name.clone(), parameters.get(&name).map_or_else(|| "absent".to_owned(), |p| p.value.clone()));
            }
        }
        let own = env.colors.iter().map(|color| &color.version_key).chain(&env.build_lock).chain(&env.message).chain(&env.extra.objects);
        let mut keys: Vec<(&String, String)> = own.map(|key| (&env.bucket, key.clone())).collect();
        keys.push((&env.state.bucket, env.lock_key()));
        for (bucket, key) in keys {
            let found = self.objects.get(&(bucket.clone(), key.clone()));
            let value = found.map_or_else(|| "absent".to_owned(), |object| text(&object.body));
            facts.insert(format!("s3://{bucket}/{key}"), value);
        }
    }
}

fn weights(forward: &Forward) -> String {
    let name = |arn: &str| arn.split('/').nth(1).unwrap_or(arn).to_owned();
    let weights: Vec<String> = forward.weights.iter().map(|(arn, weight)| format!("{} {weight}", name(arn))).collect();
    let sticky = forward.stickiness_seconds.map(|seconds| format!(", sticky for {seconds} s")).unwrap_or_default();
    format!("{}{sticky}", weights.join(", "))
}

/// A line of text as it is, more than that by its hash.
fn text(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) if text.len() <= 100 && !text.trim().contains('\n') => text.trim().to_owned(),
        _ => format!("{} bytes, {}", body.len(), short(&String::from_utf8_lossy(body))),
    }
}

fn short(text: &str) -> String {
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    hex[..SHORT].to_owned()
}
