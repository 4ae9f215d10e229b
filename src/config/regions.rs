//! Regions: what is the name of one, and in which each bucket lies.

use super::Environment;
use std::collections::BTreeMap;

/// Their names are parts of host names and ARNs: `eu-west-1`, `us-gov-east-1`.
pub(super) fn checked(name: &str) -> Result<String, String> {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let fits = plain && name.split('-').count() >= 3 && name.ends_with(|c: char| c.is_ascii_digit());
    if fits { Ok(name.to_owned()) } else { Err(format!("`region = {name:?}` is no region; one is such as \"eu-west-1\"")) }
}

/// Where each bucket lies, by name: those of [app] and [state] in the app's region, another one in that of its environment. Names of buckets
/// are unique in all regions.
pub(super) fn of_buckets(
    (app, state): (&String, &String),
    home: &str,
    envs: &BTreeMap<String, Environment>,
) -> Result<BTreeMap<String, String>, String> {
    let mut lies = BTreeMap::from([app, state].map(|bucket| (bucket.clone(), home.to_owned())));
    for env in envs.values().filter(|env| env.bucket != *app) {
        let known = lies.entry(env.bucket.clone()).or_insert_with(|| env.region.clone());
        if *known != env.region {
            return Err(format!("[env.{}]: its bucket `{}` lies in {known}, and it is in {}", env.name, env.bucket, env.region));
        }
    }
    Ok(lies)
}
