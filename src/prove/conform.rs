//! Holds the replies in a run's journal against the rules by which the sandbox moves: is what AWS answered possible there?
//!
//! A reply is judged by itself, by the looks before it at the same list, and by the run's own writes. What a stranger may have set is
//! always possible; what nobody can set, such as how long an instance boots, is not. The rules are `sandbox::world::possible`, which the
//! sandbox asserts of itself, and the ranges of the world that is believed in.

mod alone;
mod lists;

use crate::account::{AccountError, Action, Alarm, Group, GroupSettings, Instance, Kind, Target};
use crate::config::Environment;
use crate::run::RunError;
use crate::run::event::{Event, What};
use crate::run::sight::{Of, States, of_members, of_targets};
use crate::run::traffic::Topology;
use crate::sandbox::world::World;
use jiff::Timestamp;
use lists::{Lists, Look};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A rule by its name, what it says, where that is from, and what to do about a reply that breaks it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    pub name: &'static str,
    pub says: &'static str,
    pub source: &'static str,
    #[serde(skip)]
    act: Act,
}

/// What helps where a reply breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Nobody can set it otherwise.
    Report,
    /// A range of the environment's sandbox in `bgx.toml`.
    Env(&'static str),
    /// A range that `[sandbox.timing]` of `bgx.toml` sets.
    Timing(&'static str),
    /// A setting of the account's own.
    Clone,
}

const fn rule(name: &'static str, says: &'static str, source: &'static str, act: Act) -> Rule {
    Rule { name, says, source, act }
}

const ASG_API: &str = "Auto Scaling API reference, UpdateAutoScalingGroup";
const LIFECYCLE: &str = "Auto Scaling user guide, \"Amazon EC2 Auto Scaling instance lifecycle\"";
const CHECKS: &str = "ALB user guide, \"Health checks for your target groups\"";
const UNDOCUMENTED: &str = "AWS documents no bound: a range of the sandbox";

pub static RULES: [Rule; 24] = [
    rule("sizes", "min <= desired <= max", ASG_API, Act::Report),
    rule("accepted sizes", "a call that contradicts itself is refused", ASG_API, Act::Report),
    rule("processes", "these are the processes that can be suspended", "Auto Scaling API reference, SuspendProcesses", Act::Report),
    rule("lifecycle state", "an instance of a group is in one of the lifecycle states", LIFECYCLE, Act::Report),
    rule("lifecycle order", "an instance goes through its states in one direction; only standby leads back", LIFECYCLE, Act::Report),
    rule("ended", "an instance that has left its group does not come back", LIFECYCLE, Act::Report),
    rule("same instance", "an instance keeps its zone and its type, and belongs to one group", LIFECYCLE, Act::Report),
    rule(
        "unhealthy",
        "an instance that Auto Scaling finds unhealthy never recovers",
        "Auto Scaling user guide, \"Health checks\"",
        Act::Report,
    ),
    rule("boot", "Pending takes as long as this group's instances boot", UNDOCUMENTED, Act::Env("boot")),
    rule("termination", "an instance has drained and is gone within this time", UNDOCUMENTED, Act::Timing("termination")),
    rule("target state", "each state of a target has its own reasons", CHECKS, Act::Report),
    rule("health checks", "a state changes only after as many checks as the target group is set to", CHECKS, Act::Report),
    rule(
        "registration",
        "a new target is found healthy or unhealthy within registration and its checks",
        UNDOCUMENTED,
        Act::Timing("registration"),
    ),
    rule(
        "draining",
        "a target drains no longer than its group's deregistration delay",
        "ELB API reference, TargetGroupAttribute",
        Act::Clone,
    ),
    rule("stale group", "a changed group is seen within this time", UNDOCUMENTED, Act::Timing("group_staleness")),
    rule("stale rule", "a changed rule is seen within this time", UNDOCUMENTED, Act::Timing("rule_staleness")),
    rule("stale health", "a changed target is seen within this time", UNDOCUMENTED, Act::Timing("health_staleness")),
    rule("stale parameter", "a written parameter is seen within this time", UNDOCUMENTED, Act::Timing("parameter_staleness")),
    rule("stale object", "an object is seen as soon as it is written", "S3 user guide, \"Amazon S3 data consistency model\"", Act::Report),
    rule("parameter version", "each write raises a parameter's version by one", "SSM API reference, PutParameter", Act::Report),
    rule("weights", "weights of at most 5 target groups, from 0 to 999", "ALB user guide, \"Quotas\"", Act::Report),
    rule("check settings", "interval 5 to 300 s, thresholds 2 to 10", CHECKS, Act::Report),
    rule("error code", "each operation is refused with its own codes", "the services' API references", Act::Report),
    rule("alarm state", "an alarm is OK, ALARM or INSUFFICIENT_DATA", "CloudWatch API reference, MetricAlarm", Act::Report),
];

/// A reply that the sandbox could not have given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Number of the event in the journal.
    pub event: u64,
    pub at: Timestamp,
    pub call: String,
    /// What was seen, or known, before it.
    pub before: String,
    pub now: String,
    pub rule: &'static Rule,
    /// What it must be within, and what was measured; empty where nothing is.
    pub measured: String,
    pub act: String,
}

/// What became of all replies.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Conformance {
    /// In the order of the journal.
    pub impossible: Vec<Finding>,
    pub judged: u64,
    /// How many replies each rule had something to say about.
    pub rules: BTreeMap<&'static str, u64>,
    /// Replies without a rule, by kind.
    pub not_judged: BTreeMap<String, u64>,
}

impl Conformance {
    /// Nothing is conformant by silence.
    pub fn is_ok(&self) -> bool {
        self.impossible.is_empty() && self.judged > 0
    }
}

/// Judges the replies of a journal by a world: its ranges, and by name the groups and target groups of the region that an environment is in.
pub fn examine(events: &[Event], world: &World, envs: &BTreeMap<String, Environment>) -> Conformance {
    let names: BTreeSet<&String> = envs.values().map(|env| &env.region).chain([&world.region]).collect();
    let worlds = names.into_iter().map(|region| (region.as_str(), world.seen_from(region))).collect();
    let mut judge = Judge::new(&worlds, &world.region, envs);
    let mut before = None;
    for event in events {
        judge.place = Place { event: event.seq, at: event.at, from: before.unwrap_or(event.at) };
        judge.event(&event.what);
        before = Some(event.at);
    }
    judge.result
}

/// Where in the journal a reply stands.
#[derive(Clone, Copy)]
struct Place {
    event: u64,
    at: Timestamp,
    /// Its call did not begin before this.
    from: Timestamp,
}

/// What a reply is, was and is measured to be, for people.
#[derive(Default)]
struct Told {
    call: String,
    before: String,
    now: String,
    measured: String,
}

/// What was seen in one region: names mean something else in another.
#[derive(Default)]
struct Seen {
    topologies: Vec<Topology>,
    lists: Lists,
    /// Versions of parameters as they were last seen.
    versions: BTreeMap<String, u64>,
}

struct Judge<'a> {
    envs: &'a BTreeMap<String, Environment>,
    worlds: &'a BTreeMap<&'a str, Cow<'a, World>>,
    /// The one of the region that the journal is about now, and what was seen there.
    world: &'a World,
    seen: Seen,
    /// What was seen in the other regions.
    aside: BTreeMap<String, Seen>,
    place: Place,
    /// The environment that the journal is about now.
    env: String,
    result: Conformance,
    /// Whether a rule had something to say about the present reply.
    is_judged: bool,
    /// The action that is under way, and when it was begun.
    started: Option<(Action, Timestamp, Option<String>)>,
    /// Zone, type and group by instance.
    instances: BTreeMap<String, (String, String, String)>,
}

/// What the verb `instances` keeps.
#[derive(Deserialize)]
struct Members {
    asg: String,
    members: Vec<Instance>,
    targets: Vec<Target>,
}

impl<'a> Judge<'a> {
    fn new(worlds: &'a BTreeMap<&'a str, Cow<'a, World>>, home: &str, envs: &'a BTreeMap<String, Environment>) -> Judge<'a> {
        let place = Place { event: 0, at: Timestamp::UNIX_EPOCH, from: Timestamp::UNIX_EPOCH };
        Judge {
            envs,
            worlds,
            world: &worlds[home],
            seen: Seen::default(),
            aside: BTreeMap::new(),
            place,
            env: String::new(),
            result: Conformance::default(),
            is_judged: false,
            started: None,
            instances: BTreeMap::new(),
        }
    }

    /// The journal goes on in an environment, which may be in another region.
    fn enter(&mut self, env: &str) {
        env.clone_into(&mut self.env);
        let there = self.envs.get(env).and_then(|env| self.worlds.get(env.region.as_str()));
        let Some(there) = there.filter(|there| there.region != self.world.region) else { return };
        let seen = self.aside.remove(&there.region).unwrap_or_default();
        self.aside.insert(self.world.region.clone(), std::mem::replace(&mut self.seen, seen));
        self.world = there;
    }

    /// Asks one rule about the present reply.
    fn ask(&mut self, name: &'static str, holds: bool, told: impl FnOnce() -> Told) {
        self.is_judged = true;
        *self.result.rules.entry(name).or_default() += 1;
        if holds {
            return;
        }
        let rule = RULES.iter().find(|rule| rule.name == name).expect("each rule that is asked has a row");
        let Told { call, before, now, measured } = told();
        let (event, at, act) = (self.place.event, self.place.at, rule.act.text(&self.env));
        self.result.impossible.push(Finding { event, at, call, before, now, rule, measured, act });
    }

    /// One reply of this kind: judged where a rule had something to say.
    fn reply(&mut self, kind: &str, judge: impl FnOnce(&mut Judge<'a>)) {
        self.is_judged = false;
        judge(self);
        match self.is_judged {
            true => self.result.judged += 1,
            false => *self.result.not_judged.entry(kind.to_owned()).or_default() += 1,
        }
    }

    fn event(&mut self, what: &What) {
        match what {
            What::Began(began) => self.enter(&began.env),
            What::Entered { env } => self.enter(env),
            What::Found { topology } => self.reply("target groups", |judge| judge.found(topology)),
            What::Read { verb, of, answer, .. } => self.reply(&format!("read {verb}"), |judge| judge.read(verb, of, answer)),
            What::ReadFailed { error: RunError::Account(error), .. } => self.error(error),
            What::Waited { seen, error, .. } => {
                for sighting in seen {
                    self.reply("look", |judge| judge.look(&Look::of(sighting)));
                }
                if let Some(RunError::Account(error)) = error {
                    self.error(error);
                }
            }
            What::Started { action, before, .. } => {
                self.started = Some((action.clone(), self.place.at, before.get("desired").cloned().flatten()));
            }
            What::UndoStarted { action, .. } => self.started = Some((action.clone(), self.place.at, None)),
            What::Finished { seen, calls, .. } if !calls.is_empty() || seen.is_some() => {
                let Some((action, at, desired)) = self.started.take() else { return };
                self.reply("write", |judge| {
                    judge.accepted(&action);
                    let Some(seen) = seen else { return };
                    judge.read_back(&action, seen, calls);
                    let emptied = desired.as_deref() == Some("0");
                    if let Some(group) = seen.group.as_ref().filter(|group| emptied && !group.suspended.contains("Terminate")) {
                        judge.seen.lists.was_empty(&group.name, at);
                    }
                });
            }
            What::UndoFinished { calls, .. } | What::LeaseReturned { calls, .. } if !calls.is_empty() => {
                let Some((action, ..)) = self.started.take() else { return };
                self.reply("write that takes back", |judge| judge.accepted(&action));
            }
            What::Failed { error, .. } => self.error(error),
            What::Resumed { .. } => {
                self.seen.lists.other_clock();
                self.aside.values_mut().for_each(|seen| seen.lists.other_clock());
                self.started.iter_mut().for_each(|(_, _, desired)| *desired = None);
            }
            _ => {}
        }
    }

    fn read(&mut self, verb: &str, of: &str, answer: &serde_json::Value) {
        fn parsed<T: serde::de::DeserializeOwned>(answer: &serde_json::Value) -> Option<T> {
            T::deserialize(answer).ok()
        }
        match verb {
            "instances" => {
                let Some(Members { asg, members, targets }) = parsed(answer) else { return };
                self.members(&asg, &members);
                targets.iter().for_each(|target| self.target(of, target));
            }
            "target_health" | "targets" => {
                let Some(targets) = parsed::<Vec<Target>>(answer) else { return };
                targets.iter().for_each(|target| self.target(of, target));
                self.whole(Of::Targets, of, of_targets(&targets));
            }
            "alarms" => {
                let alarms: BTreeMap<String, Alarm> = parsed(answer).unwrap_or_default();
                alarms.iter().for_each(|(name, alarm)| self.alarm(name, alarm));
            }
            _ => {
                if let Some(group) = parsed::<Group>(answer) {
                    self.members(&group.name, &group.instances);
                }
                if let Some(settings) = parsed::<GroupSettings>(answer) {
                    self.settings(&settings);
                }
            }
        }
    }

    fn members(&mut self, asg: &str, members: &[Instance]) {
        members.iter().for_each(|member| self.member(asg, member));
        self.whole(Of::Instances, asg, of_members(members));
    }

    fn whole(&mut self, list: Of, of: &str, states: States) {
        let Place { from, at, .. } = self.place;
        let now = states.into_iter().map(|(id, state)| (id, Some(state))).collect();
        self.look(&Look { list, of: of.to_owned(), from, until: at, before: None, now });
    }

    fn error(&mut self, error: &AccountError) {
        let front_door = match error.kind {
            Kind::NotFound | Kind::Conflict | Kind::Invalid => false,
            // There was no reply.
            Kind::Lost | Kind::Unreachable => return,
            Kind::Denied | Kind::Expired | Kind::Throttled | Kind::Unavailable => true,
        };
        // What bgx refuses by itself has no code.
        if error.code.is_empty() {
            return;
        }
        self.reply("error that any call can meet", |judge| {
            if !front_door {
                judge.code(error);
            }
        });
    }
}

impl Act {
    fn text(self, env: &str) -> String {
        match self {
            Act::Report => "report it: the sandbox, and what rests on it, does not know this account".to_owned(),
            Act::Env(key) => {
                format!("set `{key}` under [env.{env}.sandbox] in bgx.toml to what is measured here, or judge by --world of a clone")
            }
            Act::Timing(key) => format!("set `{key}` under [sandbox.timing] in bgx.toml to what is measured here, then `bgx prove` again"),
            Act::Clone => "judge by --world of a clone: `bgx sandbox clone`".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
