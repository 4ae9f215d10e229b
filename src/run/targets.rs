//! Instances that are registered one by one: who serves where groups share a target group, and what such a target group is left with.

use super::traffic::{Serving, Topology, Traffic};
use super::{Done, Entry, Run, RunError, guard, traffic};
use crate::account::targets::is_registered;
use crate::account::{Account, Action, Group, Target};
use crate::config::{ColorNames, Environment};
use std::collections::{BTreeMap, BTreeSet};

/// The targets that are instances of this group.
pub fn of_group(group: &Group, targets: &[Target]) -> Vec<Target> {
    targets.iter().filter(|target| group.instances.iter().any(|instance| instance.id == target.id)).cloned().collect()
}

/// Who serves where both colours are in one target group: the colour whose instances are registered there.
pub fn by_members(env: &Environment, groups: &BTreeMap<String, Group>, targets: &[Target]) -> Serving {
    let there = |color: &ColorNames| {
        let own = groups.get(&color.asg).map(|group| of_group(group, targets)).unwrap_or_default();
        own.iter().filter(|target| is_registered(target)).count()
    };
    let mut found: Vec<(&str, usize)> =
        env.colors.iter().map(|color| (color.name.as_str(), there(color))).filter(|(_, n)| *n > 0).collect();
    found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let target_group = &env.colors[0].target_group;
    match found.as_slice() {
        [] => Serving::Foreign { text: format!("no instance of {} is registered with {target_group}", env.name) },
        [(one, _)] => Serving::Color((*one).to_owned()),
        many => {
            let counts = many.iter().map(|(color, count)| format!("{count} of {color}")).collect::<Vec<_>>().join(", ");
            let colors = many.iter().map(|(color, _)| (*color).to_owned()).collect();
            Serving::Split { colors, text: format!("{target_group} has {counts}") }
        }
    }
}

/// As the listener says, or the targets where it cannot tell the colours apart.
pub async fn serving(account: &Account, env: &Environment, topology: &Topology, traffic: &Traffic) -> Result<Serving, RunError> {
    let said = traffic.serving(topology);
    match (&said, topology.arn(&env.colors[0].name)) {
        (Serving::Color(_), Some(arn)) if env.shares_target_group() => {
            let asgs: Vec<&str> = env.colors.iter().map(|color| color.asg.as_str()).collect();
            let (groups, targets) = tokio::join!(account.groups(&asgs), account.target_health(arn));
            Ok(by_members(env, &groups?, &targets?))
        }
        _ => Ok(said),
    }
}

/// What a run has done in the order in which it is taken back, from the end: targets that it took out come back before anything else, so that
/// whatever leaves after that is missed by nobody. Those that a later step put in again stay where they are.
pub(super) fn to_take_back(entries: Vec<Entry>) -> Vec<Entry> {
    let (mut put_in, mut first, mut rest) = (BTreeSet::new(), Vec::new(), Vec::new());
    for entry in entries.into_iter().rev() {
        match &entry {
            Entry::Action(Done { action: Action::Targets { instances, registered: false, .. }, .. }) if instances.is_disjoint(&put_in) => {
                first.push(entry);
                continue;
            }
            Entry::Action(Done { action: Action::Targets { instances, registered: true, .. }, .. }) => {
                put_in.extend(instances.iter().cloned())
            }
            Entry::Action(_) | Entry::OnUndo { .. } => {}
        }
        rest.push(entry);
    }
    rest.into_iter().rev().chain(first.into_iter().rev()).collect()
}

impl Run {
    /// What the load balancer says of a colour's instances; where colours share a target group, of its own alone.
    pub async fn color_targets(&self, color: &ColorNames, topology: &Topology) -> Result<Vec<Target>, RunError> {
        if !self.env.mixes_groups() {
            return traffic::health(&self.account, topology, &color.name).await;
        }
        let asgs = [color.asg.as_str()];
        let (groups, targets) = tokio::join!(self.account.groups(&asgs), traffic::health(&self.account, topology, &color.name));
        let group = groups?.remove(&color.asg).ok_or_else(|| RunError::failed(format!("there is no group `{}`", color.asg)))?;
        Ok(of_group(&group, &targets?))
    }

    /// Whether instances of this group are targets where users are sent.
    pub(super) async fn has_targets(&self, asg: &str, topology: &Topology, traffic: &Traffic) -> Result<bool, RunError> {
        let mut served: Vec<&str> = topology.target_groups.values().map(|group| group.arn.as_str()).collect();
        served.retain(|arn| traffic.carries(arn));
        served.dedup();
        let groups = self.account.groups(&[asg]).await?;
        let Some(group) = groups.get(asg) else { return Ok(false) };
        for arn in served {
            if of_group(group, &self.account.target_health(arn).await?).iter().any(is_registered) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Guards 1 to 3 for targets: users go on being served by enough of them, and by one group unless the header says otherwise.
    pub(super) async fn guard_targets(&mut self, action: &Action, group: &Group, targets: &[Target]) -> Result<(), RunError> {
        let Action::Targets { target_group, instances, registered, .. } = action else { return Ok(()) };
        let topology = self.topology().await?;
        guard::within(&self.env, Some(&topology), action)?;
        if !traffic::read(&self.account, &self.env, &topology).await?.carries(target_group) {
            return Ok(());
        }
        let own: BTreeSet<&str> = group.instances.iter().map(|instance| instance.id.as_str()).collect();
        if *registered {
            let strangers = targets.iter().any(|target| is_registered(target) && !own.contains(target.id.as_str()));
            let mixed = strangers && !self.undoing && !self.same_build(&group.name, topology.color_of(target_group)).await?;
            return if mixed { guard::one_group(target_group, &self.allow) } else { Ok(()) };
        }
        let healthy = || targets.iter().filter(|target| target.state == "healthy");
        let leaving = healthy().filter(|target| instances.contains(&target.id)).count();
        let left = u32::try_from(healthy().count() - leaving).unwrap_or(u32::MAX);
        let needed = self.needed_beside(group).await?;
        guard::leaves_enough(target_group, leaving, left, needed, &self.allow)
    }

    /// Whether a group is recorded with the build of the colour whose target group it comes into.
    async fn same_build(&self, asg: &str, color: Option<&str>) -> Result<bool, RunError> {
        let own = self.env.colors.iter().find(|color| color.asg == asg).map(|color| color.name.as_str());
        let (Some(own), Some(color)) = (own.filter(|own| Some(*own) != color), color) else { return Ok(false) };
        let names = [own, color].map(|color| self.env.version_parameter(color));
        let found = self.account.parameters(&[&names[0], &names[1]]).await?;
        Ok(found.contains_key(&names[0]) && found.get(&names[0]).map(|p| &p.value) == found.get(&names[1]).map(|p| &p.value))
    }

    /// Healthy targets that must be left when instances of this group go: as many as it wants. On the way back the other group has what it
    /// had when it served; a larger new one must not block it.
    async fn needed_beside(&self, group: &Group) -> Result<u32, RunError> {
        let accepted = self.accepted.values().copied().min();
        if !self.undoing {
            return Ok(accepted.unwrap_or(group.desired).min(group.desired).max(1));
        }
        let others: Vec<&str> = self.env.colors.iter().map(|color| color.asg.as_str()).filter(|asg| *asg != group.name).collect();
        let settings = self.account.settings(&others).await?;
        let largest = settings.values().map(|group| group.desired).max().unwrap_or(0);
        Ok(largest.min(group.desired).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Instance;
    use crate::config::Config;

    fn shared() -> Environment {
        let text = r#"
            [app]
            load_balancer = "lb"
            bucket = "b"
            parameters = "/app/{env}"
            asg = "{env}-{color}"
            target_group = "{Env}"
            version_key = "version/{env}"
            [env.beta]
            route = { path = "/beta*" }
        "#;
        Config::parse(text, std::path::PathBuf::from("/p")).unwrap().envs["beta"].clone()
    }

    fn group(name: &str, ids: &[&str]) -> Group {
        let instance = |id: &&str| Instance {
            id: (*id).to_owned(),
            lifecycle: "InService".to_owned(),
            healthy: true,
            zone: "a".to_owned(),
            instance_type: "t".to_owned(),
            protected: false,
        };
        Group {
            name: name.to_owned(),
            min: 0,
            max: 4,
            desired: 2,
            target_groups: Vec::new(),
            health_check_type: "EC2".to_owned(),
            grace_seconds: 0,
            suspended: BTreeSet::new(),
            instances: ids.iter().map(instance).collect(),
        }
    }

    fn target(id: &str, state: &str) -> Target {
        Target { id: id.to_owned(), state: state.to_owned(), reason: String::new(), description: String::new() }
    }

    #[test]
    fn targets_that_were_taken_out_come_back_first() {
        let entry = |step: u64, ids: &[&str], registered: bool| {
            let instances = ids.iter().map(|id| (*id).to_owned()).collect();
            let action = Action::Targets { asg: "g".into(), target_group: "t".into(), instances, registered };
            let at = jiff::Timestamp::UNIX_EPOCH;
            Entry::Action(Done { step, action, before: BTreeMap::new(), undo: None, lease: false, at, returned: false })
        };
        let order = |entries: Vec<Entry>| to_take_back(entries).iter().rev().map(Entry::step).collect::<Vec<_>>();
        assert_eq!(order(vec![entry(1, &["i-1"], true), entry(2, &["i-2"], false), entry(3, &["i-3"], true)]), [2, 3, 1]);
        assert_eq!(order(vec![entry(1, &["i-1"], false), entry(2, &["i-2"], false)]), [2, 1]);
        assert_eq!(order(vec![entry(1, &["i-1", "i-2"], false), entry(2, &["i-2"], true)]), [2, 1], "it was put in again");
    }

    #[test]
    fn the_colour_whose_instances_are_targets_serves() {
        let groups = BTreeMap::from([
            ("beta-blue".to_owned(), group("beta-blue", &["i-1", "i-2"])),
            ("beta-green".to_owned(), group("beta-green", &["i-3"])),
        ]);
        let env = shared();
        assert!(env.shares_target_group());
        let serving = |targets: &[Target]| by_members(&env, &groups, targets);
        assert_eq!(serving(&[target("i-1", "draining"), target("i-3", "initial")]), Serving::Color("green".to_owned()));
        let split = serving(&[target("i-1", "healthy"), target("i-2", "healthy"), target("i-3", "healthy")]);
        let Serving::Split { colors, text } = split else { panic!("{split:?}") };
        assert_eq!((colors, text.as_str()), (vec!["blue".to_owned(), "green".to_owned()], "Beta has 2 of blue, 1 of green"));
        let nobody = serving(&[target("i-9", "healthy")]);
        assert_eq!(nobody, Serving::Foreign { text: "no instance of beta is registered with Beta".to_owned() });
    }
}
