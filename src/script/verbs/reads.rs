//! Verbs that ask the account something; the answers are kept in the journal.

use super::environment::{object_text, own_color};
use super::{Answer, number, text, with};
use crate::account::{Group, GroupSettings, Instance, Target};
use crate::config::ColorNames;
use crate::run::traffic;
use crate::run::{Run, RunError};
use crate::script::verb::{Effect, Kind, Param, Verb};
use crate::script::{Call, Record};
use rhai::{Array, Dynamic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const COLOR: Param = Param::required("color", Kind::Color, "such as c.idle");

pub static VERBS: &[Verb] = &[
    Verb {
        name: "asg",
        params: &[COLOR],
        options: &[],
        returns: "name, desired, min, max, total, in_service, pending, healthy, suspended, target_groups (ARNs), health_check",
        summary: "The Auto Scaling group of a colour as it is now.",
        errors: &["denied", "failed"],
        example: "asg(c.live).desired",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: asg,
    },
    Verb {
        name: "target_health",
        params: &[COLOR],
        options: &[],
        returns: "healthy, total, and a count for each target state",
        summary: "What the load balancer thinks of a colour's instances now.",
        errors: &["denied"],
        example: "target_health(c.idle).healthy",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: target_health,
    },
    Verb {
        name: "instances",
        params: &[COLOR],
        options: &[],
        returns: "a list with id, asg, lifecycle, zone, type, target, address, version; without `version_probe`, or the right to list addresses, address and version are ()",
        summary: "The instances of a colour, with the version that each says it runs.",
        errors: &["denied", "failed"],
        example: "instances(c.idle).len()",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: instances,
    },
    Verb {
        name: "parameter",
        params: &[Param::required("name", Kind::Text, "full name of an SSM parameter")],
        options: &[],
        returns: "its value, or () where there is none",
        summary: "Reads an SSM parameter.",
        errors: &["denied"],
        example: "parameter(\"/compiler-explorer/beta/active-color\")",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: parameter,
    },
    Verb {
        name: "object",
        params: &[Param::required("key", Kind::Text, "key in the environment's bucket")],
        options: &[],
        returns: "its text, or () where there is none",
        summary: "Reads an S3 object of the environment's bucket as text.",
        errors: &["denied"],
        example: "object(\"version/beta\")",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: object,
    },
    Verb {
        name: "now",
        params: &[],
        options: &[],
        returns: "seconds since 1970-01-01 UTC",
        summary: "The run's clock; the only one a playbook has.",
        errors: &[],
        example: "now()",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: now,
    },
];

fn asg(call: &Call) -> Answer {
    let color = call.record(0);
    let group = with(call, async |run| {
        let asg = own_color(run, &color)?.asg;
        read_group(run, "asg", &asg).await
    })?;
    Ok(Dynamic::from(group_record(&group)))
}

/// A group with its instances.
pub(super) async fn read_group(run: &mut Run, verb: &str, asg: &str) -> Result<Group, RunError> {
    let read = async |run: &mut Run| run.account.groups(&[asg]).await?.remove(asg).ok_or_else(|| no_group(asg));
    run.read(verb, asg, read).await
}

/// What a group is set to now; its absence is an error.
pub(super) async fn read_settings(run: &mut Run, verb: &str, asg: &str) -> Result<GroupSettings, RunError> {
    let read = async |run: &mut Run| run.account.settings(&[asg]).await?.remove(asg).ok_or_else(|| no_group(asg));
    run.read(verb, asg, read).await
}

fn no_group(asg: &str) -> RunError {
    RunError::failed(format!("there is no group `{asg}`"))
}

fn group_record(group: &Group) -> Record {
    let suspended: Array = group.suspended.iter().cloned().map(Dynamic::from).collect();
    Record::new(
        "asg",
        [
            ("name", Dynamic::from(group.name.clone())),
            ("desired", number(group.desired)),
            ("min", number(group.min)),
            ("max", number(group.max)),
            ("total", number(group.instances.len())),
            ("in_service", number(group.in_service())),
            ("pending", number(group.instances.iter().filter(|i| i.lifecycle.starts_with("Pending")).count())),
            ("healthy", number(group.instances.iter().filter(|i| i.healthy).count())),
            ("suspended", Dynamic::from(suspended)),
            ("target_groups", Dynamic::from(group.target_groups.iter().cloned().map(Dynamic::from).collect::<Array>())),
            ("health_check", Dynamic::from(group.health_check_type.clone())),
        ],
    )
}

fn target_health(call: &Call) -> Answer {
    let color = call.record(0);
    let targets = with(call, async |run| {
        let names = own_color(run, &color)?;
        let topology = run.topology().await?;
        let read = async |run: &mut Run| run.color_targets(&names, &topology).await;
        run.read("target_health", &names.target_group, read).await
    })?;
    let counts = states(&targets);
    let of = |state: &str| number(counts.get(state).copied().unwrap_or(0));
    Ok(Dynamic::from(Record::new(
        "health",
        [
            ("total", number(targets.len())),
            ("healthy", of("healthy")),
            ("initial", of("initial")),
            ("unhealthy", of("unhealthy")),
            ("unused", of("unused")),
            ("draining", of("draining")),
            ("unavailable", of("unavailable")),
        ],
    )))
}

pub(super) fn states(targets: &[Target]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    targets.iter().for_each(|t| *counts.entry(t.state.clone()).or_default() += 1);
    counts
}

/// The instances of a colour as four reads see them.
#[derive(Serialize, Deserialize)]
struct Members {
    #[serde(default)]
    asg: String,
    members: Vec<Instance>,
    targets: Vec<Target>,
    addresses: BTreeMap<String, String>,
    versions: BTreeMap<String, String>,
}

fn instances(call: &Call) -> Answer {
    let color = call.record(0);
    let found = with(call, async |run| {
        let ColorNames { asg, name, .. } = own_color(run, &color)?;
        let topology = run.topology().await?;
        run.read("instances", &asg.clone(), async |run| {
            let asgs = [asg.as_str()];
            let (groups, targets) = tokio::join!(run.account.groups(&asgs), traffic::health(&run.account, &topology, &name));
            let group = groups?.remove(&asg).ok_or_else(|| RunError::failed(format!("there is no group `{asg}`")))?;
            let ids: Vec<&str> = group.instances.iter().map(|i| i.id.as_str()).collect();
            let addresses = run.known_addresses(&ids).await?;
            let versions = run.ask_versions(&topology, &addresses).await;
            Ok(Members { asg: asg.clone(), members: group.instances, targets: targets?, addresses, versions })
        })
        .await
    })?;
    Ok(Dynamic::from(instance_records(&found)))
}

fn instance_records(found: &Members) -> Array {
    let record = |member: &Instance| {
        let target = found.targets.iter().find(|t| t.id == member.id).map(|t| t.state.clone());
        Dynamic::from(Record::new(
            "instance",
            [
                ("id", Dynamic::from(member.id.clone())),
                ("asg", Dynamic::from(found.asg.clone())),
                ("lifecycle", Dynamic::from(member.lifecycle.clone())),
                ("zone", Dynamic::from(member.zone.clone())),
                ("type", Dynamic::from(member.instance_type.clone())),
                ("target", text(target)),
                ("address", text(found.addresses.get(&member.id).cloned())),
                ("version", text(found.versions.get(&member.id).cloned())),
            ],
        ))
    };
    found.members.iter().map(record).collect()
}

fn parameter(call: &Call) -> Answer {
    let name = call.text(0);
    let read = async |run: &mut Run| Ok(run.account.parameter(&name).await?.map(|p| p.value));
    with(call, async |run| run.read("parameter", &name, read).await).map(text)
}

fn object(call: &Call) -> Answer {
    let key = call.text(0);
    let read = async |run: &mut Run| {
        let object = run.account.object(&run.env.bucket, &key).await?;
        object.map(|o| object_text(&o, &key)).transpose()
    };
    with(call, async |run| run.read("object", &key, read).await).map(text)
}

fn now(call: &Call) -> Answer {
    with(call, async |run| run.read("now", "", async |run| Ok(run.now().as_second())).await).map(Dynamic::from)
}
