//! What the audit is told of an environment, and what a run declared to leave behind.

use super::lab::Subject;
use crate::account::Action;
use crate::config::{Environment, Match, Route};
use crate::run::event::{Event, What};
use crate::run::scope::with_env;
use crate::sandbox::audit::{self, Charter, Color, Extra, Final};
use crate::script::header::Permission;
use std::collections::BTreeMap;

/// The last value of each field that the run set to stay, leases aside.
pub fn declared<'a>(events: &[Event], envs: impl Iterator<Item = &'a Environment>) -> Vec<Final> {
    let regions: BTreeMap<&str, &str> = envs.map(|env| (env.name.as_str(), env.region.as_str())).collect();
    let mut finals: BTreeMap<(Option<&str>, String), Final> = BTreeMap::new();
    for (env, event) in with_env(events) {
        let region = regions.get(env).copied();
        let action = match &event.what {
            // Already so, as when a floor takes over what a lease had set.
            What::Started { action, lease: false, .. } | What::Unchanged { action, lease: false, .. } => action,
            _ => continue,
        };
        if let Action::Capacity { asg, min, max, desired } = action {
            let new = || Final { group: asg.clone(), region: region.map(str::to_owned), ..Final::default() };
            let known = finals.entry((region, asg.clone())).or_insert_with(new);
            (known.min, known.max, known.desired) = (min.or(known.min), max.or(known.max), desired.or(known.desired));
        }
    }
    finals.into_values().collect()
}

/// The environments as the audit is told of them; the playbook's header excuses what it declares.
pub fn charters(subject: &Subject) -> Vec<Charter> {
    let header = &subject.playbook.header;
    let allows = audit::Allows {
        take_down: header.allows(Permission::TakeDown),
        mixed_versions: header.allows(Permission::MixedVersions),
        less_capacity: header.allows(Permission::LessCapacity),
    };
    subject.envs().map(|env| Charter { allows, ..strict(env) }).collect()
}

/// The environment as the audit is told of it, with nothing excused.
pub fn strict(env: &Environment) -> Charter {
    let colors = env.colors.iter().map(|names| {
        let own = Color::new(&names.name, &names.asg, &names.target_group, &names.version_key, &env.parameters);
        Color { others: names.others.clone(), ..own }
    });
    let routes = env.routes.iter().map(route).collect();
    let own = Charter::new(&env.name, &env.load_balancer, &env.bucket, &env.parameters, colors.collect::<Vec<_>>(), routes);
    let named = env.build_lock.iter().chain(&env.message).cloned();
    let objects = env.extra.objects.iter().cloned().chain(named).chain(env.discovery_key(&env.discovery_name, "*")).collect();
    let extra = Extra { groups: env.extra.asgs.clone(), parameters: env.extra.parameters.clone(), objects };
    let (region, state_bucket) = (Some(env.region.clone()), Some(env.state.bucket.clone()));
    Charter { region, state_bucket, extra, least: Some(env.min), lock: Some(env.lock_key()), records: Some(env.runs_key()), ..own }
}

fn route(route: &Route) -> audit::Route {
    let (path, host) = match &route.matches {
        Match::Default => (None, None),
        Match::Path(path) => (Some(path.clone()), None),
        Match::Host(host) => (None, Some(host.clone())),
    };
    audit::Route { port: route.listener, path, host }
}
