//! A plan: one run rehearsed in a copy of the account, and what it would do, how long that takes, and what users would see.

mod curve;
mod rehearse;
mod steps;

pub use curve::{ColorSample, Sample};
pub use steps::{Did, Step};

use super::lab::{Given, Subject};
use super::permissions::{self, Ids};
use super::search::{Extent, Progress};
use super::timing::Timing;
use super::{ProveError, Report, Rights, Start};
use crate::account::{CallRecord, Memo};
use crate::config::{Config, Environment};
use crate::host::clone::{Cloned, Denied, Unknown};
use crate::run::Answers;
use crate::run::event::Outcome;
use crate::run::plan::{Bound, Expected};
use crate::sandbox::world::{Policy, Rng, Users};
use crate::script::session::Playbook;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Format of the file; raised when it changes.
pub const FORMAT: u32 = 1;
/// Dials of timing that were read from the account, and are no range any more.
const READ: [&str; 3] = ["deregistration delay", "health check interval", "a page of a list"];
const BOOT: &str = "boot";

/// Everything that somebody has to know before the run, and all that the run is then held to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub format: u32,
    pub bgx: String,
    /// As it was named, and the logical name of its file.
    pub path: String,
    pub playbook: String,
    /// The first one first.
    pub envs: Vec<String>,
    pub target: String,
    pub account: String,
    pub identity: String,
    /// The account's present moment when it was copied.
    pub made: Timestamp,
    /// A guarded environment is changed by this plan until then.
    pub until: Timestamp,
    pub params: BTreeMap<String, String>,
    /// Every question that the rehearsal asked, with its answer.
    pub answers: BTreeMap<String, String>,
    /// Logical file name to text, of the whole import graph.
    pub sources: Vec<(String, String)>,
    pub stdlib: String,
    pub seed: u64,
    /// What the account was found to be: the run refuses if any of it is not so any more.
    pub rests_on: BTreeMap<String, String>,
    pub unknown: Vec<Unknown>,
    pub denied: Vec<Denied>,
    /// Instances that there were.
    pub instances: BTreeSet<String>,
    pub steps: Vec<Step>,
    pub outcome: Outcome,
    pub why: Option<String>,
    /// What the audit of the sandbox found, and disagreements at the end.
    pub problems: Vec<String>,
    /// By environment.
    pub users: BTreeMap<String, Users>,
    pub samples: Vec<Sample>,
    /// Virtual time of the rehearsal.
    pub seconds: f64,
    /// `None`: it does not come to its end.
    pub worst: Option<Worst>,
    /// Every call that the rehearsal made, those of the lock too.
    pub calls: Vec<CallCount>,
}

/// The longest of the rehearsals in which one thing took as long as it may.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worst {
    pub seconds: f64,
    /// What took long then.
    pub timing: String,
    /// Timings in which the run does not come to its end, and why.
    pub fails: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallCount {
    /// As in IAM.
    pub service: String,
    pub operation: String,
    pub resource: String,
    pub writes: bool,
    pub times: u64,
}

/// What a rehearsal is asked for.
pub struct Request {
    pub config: Config,
    /// The first one first.
    pub envs: Vec<Environment>,
    pub playbook: Playbook,
    pub path: String,
    pub params: BTreeMap<String, String>,
    pub seed: u64,
    /// How long a guarded environment may be changed by the plan.
    pub good_for: SignedDuration,
    pub target: String,
    pub account: String,
    pub identity: String,
}

/// A plan, and what is needed to prove it.
pub struct Made {
    pub plan: Plan,
    subject: Subject,
}

impl Made {
    /// Every single fault at every call of this run, in this very account.
    pub fn prove(&self, extent: &Extent, progress: Progress<'_>) -> Result<Report, ProveError> {
        super::prove(&self.subject, extent, progress)
    }

    /// The least that all these runs needed, with the ids that the account itself gave.
    pub fn policy(&self) -> Policy {
        permissions::policy(&self.subject.rights.seen(), &self.subject.envs().collect::<Vec<_>>(), Ids::Real)
    }
}

/// Rehearses a run in a copy of the account.
pub fn make(request: Request, cloned: &Cloned, answers: Answers) -> Result<Made, ProveError> {
    let mut world = cloned.world.clone();
    world.rng = Rng(request.seed);
    let instances: BTreeSet<String> = world.instances.keys().cloned().collect();
    let rules = cloned.denied.iter().map(Denied::rule).collect();
    let mut subject = Subject {
        env: request.envs[0].clone(),
        also: request.envs[1..].to_vec(),
        config: request.config,
        playbook: request.playbook,
        path: request.path.clone(),
        params: request.params.clone(),
        answers: answers.given.clone(),
        seed: request.seed,
        start: Start::Fresh,
        rights: Rights::default(),
        given: Some(Arc::new(Given { world, rules })),
        memo: Some(Memo::default()),
    };
    let rehearsed = rehearse::play(&subject, answers)?;
    subject.answers.extend(rehearsed.answers.clone());
    let made = moment(cloned);
    let problems = rehearse::problems(&subject, &rehearsed);
    let ended = rehearsed.outcome.ended.clone().ok_or_else(|| ProveError::Begin(rehearsed.outcome.error.clone()))?;
    // What does not come to its end has no longest time.
    let worst = (ended.outcome == Outcome::Done).then(|| worst(&subject, ended.seconds));
    let plan = Plan {
        format: FORMAT,
        bgx: env!("CARGO_PKG_VERSION").to_owned(),
        path: request.path,
        playbook: subject.playbook.name(),
        envs: subject.envs().map(|env| env.name.clone()).collect(),
        target: request.target,
        account: request.account,
        identity: request.identity,
        made,
        until: made.saturating_add(request.good_for).unwrap_or(Timestamp::MAX),
        params: request.params,
        answers: subject.answers.clone(),
        sources: subject.playbook.sources.texts().into_iter().collect(),
        stdlib: subject.playbook.stdlib.clone(),
        seed: request.seed,
        rests_on: cloned.rests_on(&subject.envs().collect::<Vec<_>>()),
        unknown: cloned.unknown.clone(),
        denied: cloned.denied.clone(),
        instances,
        steps: steps::steps(&rehearsed.outcome.events),
        outcome: ended.outcome,
        why: ended.why.clone(),
        problems: problems.into_iter().chain(ended.disagreements.clone()).collect(),
        users: subject.envs().map(|env| (env.name.clone(), rehearsed.users(&env.name))).collect(),
        samples: rehearsed.samples,
        seconds: ended.seconds,
        worst,
        calls: counted(&rehearsed.calls),
    };
    Ok(Made { plan, subject })
}

fn moment(cloned: &Cloned) -> Timestamp {
    Timestamp::from_millisecond(i64::try_from(cloned.world.now.0).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX)
}

/// One rehearsal for each thing that AWS does not promise, with that at its longest.
fn worst(subject: &Subject, usual: f64) -> Worst {
    let given = subject.given.as_ref().expect("a plan is made in a given account");
    let timings = Timing::longest().into_iter().filter(|timing| READ.iter().all(|name| !timing.turns(name)));
    // Boots were read too, where the account remembers some: then the slowest of them counts.
    let slow = |env: &Environment| {
        env.colors.iter().filter_map(|color| given.world.region(&env.region)?.groups.get(&color.asg)).map(|group| group.boot.high).max()
    };
    let boot = subject.envs().filter_map(slow).max().unwrap_or(0).div_ceil(1000);
    let timings: Vec<Timing> = timings.map(|timing| if timing.turns(BOOT) { Timing::one(BOOT, boot) } else { timing }).collect();
    let each = rehearse::in_timings(subject, &timings);
    let mut worst = Worst { seconds: usual, timing: "as in this rehearsal".to_owned(), fails: Vec::new() };
    for (timing, outcome) in timings.iter().zip(each) {
        let ended = outcome.ended.as_ref().filter(|ended| ended.outcome == Outcome::Done);
        match ended {
            Some(ended) if ended.seconds > worst.seconds => {
                worst.seconds = ended.seconds;
                worst.timing = timing.to_string();
            }
            Some(_) => {}
            None => {
                let why = outcome.ended.as_ref().and_then(|ended| ended.why.clone()).unwrap_or(outcome.error);
                worst.fails.push((timing.to_string(), why));
            }
        }
    }
    worst
}

fn counted(calls: &[CallRecord]) -> Vec<CallCount> {
    let mut counts: BTreeMap<(&str, &str, &str, bool), u64> = BTreeMap::new();
    for call in calls {
        *counts.entry((&call.service, &call.operation, &call.resource, call.class.writes())).or_default() += 1;
    }
    let count = |((service, operation, resource, writes), times): ((&str, &str, &str, bool), u64)| CallCount {
        service: service.to_owned(),
        operation: operation.to_owned(),
        resource: resource.to_owned(),
        writes,
        times,
    };
    counts.into_iter().map(count).collect()
}

impl Plan {
    /// Of all that the plan says.
    pub fn hash(&self) -> String {
        let bytes = serde_json::to_vec(self).expect("a plan is JSON");
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What a run is held to.
    pub fn bound(&self) -> Bound {
        let actions =
            self.actions().map(|(step, did)| Expected { env: step.env.clone(), at_seconds: step.at_seconds, action: did.clone() });
        Bound { hash: self.hash(), until: self.until, actions: actions.collect(), instances: self.instances.clone() }
    }

    /// Changes that the run would make on its way forward, in order.
    pub fn actions(&self) -> impl Iterator<Item = (&Step, &crate::account::Action)> {
        self.steps.iter().filter_map(|step| match &step.did {
            Did::Action { action, .. } => Some((step, action)),
            _ => None,
        })
    }

    /// It comes to its end, and nothing is wrong with what it leaves.
    pub fn is_safe(&self) -> bool {
        self.outcome == Outcome::Done && self.problems.is_empty()
    }

    /// What is not as it was when the plan was made: what, then, now.
    pub fn changed(&self, now: &BTreeMap<String, String>) -> Vec<(String, String, String)> {
        let names: BTreeSet<&String> = self.rests_on.keys().chain(now.keys()).collect();
        let value = |all: &BTreeMap<String, String>, name: &String| all.get(name).cloned().unwrap_or_else(|| "absent".to_owned());
        let pairs = names.into_iter().map(|name| (name.clone(), value(&self.rests_on, name), value(now, name)));
        pairs.filter(|(_, then, now)| then != now).collect()
    }
}
