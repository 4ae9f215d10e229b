//! Plays one cell with its recoveries and says what is wrong: by the audit, and by how the run ended.

use super::cells::{self, Cell, Point};
use super::faults::{Fault, Harm};
use super::lab::{DAY_MS, Go, Left, Outcome, Subject, Trouble};
use super::mishap::{self, Twin};
use super::trace::{Baseline, at_rest, changes};
use crate::account::Action;
use crate::config::{Match, Route};
use crate::run::event::{self, Event, What};
use crate::run::journal::Journal;
use crate::run::replay::{self, Standing};
use crate::sandbox::audit::{self, Charter, Color, Extra, Final, Findings, Invariant, Phase};
use crate::sandbox::fault::Rule;
use crate::sandbox::world::{Users, World};
use crate::script::header::Permission;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What a run set in motion has settled by then.
const SETTLED_MS: u64 = 900_000;

/// AWS shows a change of a rule only after up to a second, and the end of a run takes about one more.
const UNSEEN_MS: u64 = 2_500;

/// One run of a cell and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What was done: `run`, `left alone`, `resume`, `undo`.
    pub how: &'static str,
    pub ended: String,
    /// Code of the invariant, or of the rule of endings; and what it says.
    pub problems: Vec<(String, String)>,
    /// Breaches that only a shared version key makes possible.
    pub excused: u32,
    pub users: Users,
    pub changes: Vec<String>,
    /// Of the world's log and the ending.
    pub hash: [u8; 16],
}

/// A cell with all its runs.
#[derive(Clone, Debug)]
pub struct Judged {
    pub cell: Cell,
    /// False: the account has nothing at this point that the fault could happen to.
    pub applies: bool,
    pub verdicts: Vec<Verdict>,
}

pub fn judge(subject: &Subject, base: &Baseline, cell: &Cell) -> Judged {
    let fault = cells::fault(&cell.fault);
    let verdicts = match (fault, cell.point) {
        (Some(Fault { harm: Harm::Kill { recorded }, .. }), Point::Event(seq)) => Some(killed(subject, base, seq, *recorded)),
        (Some(Fault { harm: Harm::Nothing, .. }), _) => Some(vec![bench(subject, base).ended(&base.whole, Go::Run)]),
        (Some(fault), Point::Call(call)) => spoiled(subject, base, fault, call),
        (Some(_), Point::Event(_)) | (None, _) => None,
    };
    Judged { cell: cell.clone(), applies: verdicts.is_some(), verdicts: verdicts.unwrap_or_default() }
}

/// The rules that all verdicts of one cell are judged by.
struct Bench<'a> {
    subject: &'a Subject,
    base: &'a Baseline,
    twin: Option<Twin>,
    may_stick: bool,
}

fn bench<'a>(subject: &'a Subject, base: &'a Baseline) -> Bench<'a> {
    Bench { subject, base, twin: None, may_stick: false }
}

fn killed(subject: &Subject, base: &Baseline, seq: usize, recorded: bool) -> Vec<Verdict> {
    let bench = bench(subject, base);
    let left = base.crash(seq, recorded);
    let mut verdicts = vec![bench.left_alone(&left)];
    verdicts.extend(bench.recoveries(&left));
    verdicts
}

fn spoiled(subject: &Subject, base: &Baseline, fault: &Fault, call: usize) -> Option<Vec<Verdict>> {
    let traced = &base.whole.trace[call];
    let (service, operation, nth) = (traced.service.as_str(), traced.operation.as_str(), base.nth[call]);
    let mut twin = None;
    let mut trouble = Trouble::default();
    match fault.harm {
        Harm::Once(make) => trouble.rules.push(make(service, operation).after(nth)),
        Harm::Always(make) => trouble.rules.push(make(service, operation).after(nth).always()),
        Harm::Expired => trouble.rules = expired(base, call),
        Harm::Signal(name) => trouble.signal = Some((call, name)),
        Harm::World(befall) => {
            let found = mishap::twin(befall, base, &subject.env, call)?;
            trouble.rules.push(Rule::mishap(service, operation, found.with_run.clone()).after(nth));
            twin = Some(found);
        }
        Harm::Nothing | Harm::Kill { .. } => return None,
    }
    let bench = Bench { subject, base, twin, may_stick: fault.may_stick };
    let outcome = subject.begin(&base.before, trouble);
    let mut verdicts = vec![bench.ended(&outcome, Go::Run)];
    if outcome.ended.as_ref().is_some_and(|ended| !ended.outcome.is_over()) {
        verdicts.extend(bench.recoveries(&outcome.left));
    }
    Some(verdicts)
}

/// Each service refuses in its own words, from the call on.
fn expired(base: &Baseline, call: usize) -> Vec<Rule> {
    let services = ["autoscaling", "elasticloadbalancing", "ssm", "s3", "sts"];
    let earlier = |service: &str| base.whole.trace[..call].iter().filter(|c| c.service == service).count();
    let rule = |service: &str| {
        let skip = u32::try_from(earlier(service)).unwrap_or(u32::MAX);
        Rule::expired(service, "").any_operation().after(skip).always()
    };
    services.map(rule).to_vec()
}

impl Bench<'_> {
    /// What a dead process or a pause leaves, watched until it has settled.
    fn left_alone(&self, left: &Left) -> Verdict {
        let (_, events) = Journal::reopen_bytes(&left.journal);
        let phase = self.ungated(&events).unwrap_or(Phase::Crashed);
        let (findings, world) = self.findings(&left.world, &phase);
        self.verdict("left alone", "died".to_owned(), Vec::new(), findings, &world)
    }

    fn recoveries(&self, left: &Left) -> Vec<Verdict> {
        let (_, events) = Journal::reopen_bytes(&left.journal);
        let standing = replay::standing(&events);
        if self.subject.playbook.is_ungated() || events.is_empty() || matches!(standing, Standing::Ended(outcome) if outcome.is_over()) {
            return Vec::new();
        }
        let undoing = matches!(standing, Standing::Undoing | Standing::Ended(event::Outcome::Stuck));
        let resume = (!undoing).then_some(Go::Resume);
        let undo = (!replay::committed(&events)).then_some(Go::Undo);
        let recover = |go| {
            let outcome = self.subject.recover(left, go);
            self.ended(&outcome, go)
        };
        resume.into_iter().chain(undo).map(recover).collect()
    }

    /// A run that came to an end by itself.
    fn ended(&self, outcome: &Outcome, go: Go) -> Verdict {
        let how = match go {
            Go::Run => "run",
            Go::Resume => "resume",
            Go::Undo => "undo",
        };
        let ending = outcome.ended.as_ref().map(|e| e.outcome);
        let phase = match ending {
            Some(event::Outcome::Done) | Some(event::Outcome::Abandoned) => {
                let finals = declared(&self.whole_run(outcome)).into_iter().chain(self.twin.iter().filter_map(Twin::left_by_stranger));
                match self.unseen(outcome) {
                    true => Phase::Crashed,
                    false => Phase::AtRest { finals: finals.collect(), undone: false, lock_owner: None },
                }
            }
            Some(event::Outcome::Undone | event::Outcome::Refused) => at_rest(true),
            Some(event::Outcome::Paused | event::Outcome::Stuck | event::Outcome::Diverged) | None => Phase::Crashed,
        };
        let why = outcome.ended.as_ref().and_then(|e| e.why.clone()).unwrap_or_else(|| outcome.error.clone());
        let phase = self.ungated(&self.whole_run(outcome)).unwrap_or(phase);
        let problems = self.endings(outcome, go, ending, &why);
        let (findings, world) = self.findings(&outcome.left.world, &phase);
        let word = ending.map_or("did not begin", event::Outcome::word);
        let text = if why.is_empty() { word.to_owned() } else { format!("{word}: {why}") };
        self.verdict(how, text, problems, findings, &world)
    }

    /// Without the gate nobody comes back: what such a run leaves is judged as what stays, however it ended.
    fn ungated(&self, events: &[Event]) -> Option<Phase> {
        let phase = || Phase::AtRest { finals: declared(events), undone: false, lock_owner: None };
        self.subject.playbook.is_ungated().then(phase)
    }

    /// A stranger came so shortly before the end that AWS itself did not show it yet: nobody can answer for it.
    fn unseen(&self, outcome: &Outcome) -> bool {
        let stranger = self.twin.as_ref().filter(|_| self.may_stick);
        stranger.is_some_and(|twin| outcome.left.world.now.since(twin.at) <= UNSEEN_MS)
    }

    /// Events of the run from its beginning, before a recovery too.
    fn whole_run(&self, outcome: &Outcome) -> Vec<Event> {
        let (_, events) = Journal::reopen_bytes(&outcome.left.journal);
        if events.is_empty() { outcome.events.clone() } else { events }
    }

    /// The rules of endings, apart from what the account shows.
    fn endings(&self, outcome: &Outcome, go: Go, ending: Option<event::Outcome>, why: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut wrong = |code: &str, text: String| found.push((code.to_owned(), text));
        if why.contains("a bug in bgx") || outcome.error.contains("a bug in bgx") {
            wrong("bug", why.to_owned());
        }
        if outcome.left.world.now.since(self.base.before.now) > DAY_MS {
            wrong("L1", "the run did not end within a day".to_owned());
        }
        let stranger = self.twin.as_ref().is_some_and(|_| self.may_stick);
        match ending {
            None => wrong("ending", format!("the run did not begin: {why}")),
            Some(event::Outcome::Diverged) => wrong("ending", format!("journal and playbook disagree: {why}")),
            Some(event::Outcome::Stuck) if !self.may_stick => {
                wrong("L1", format!("stuck, though nothing denied the way back: {why}"));
            }
            // The fault is over when another process recovers; only what a stranger has changed is still there.
            Some(event::Outcome::Stuck) if go != Go::Run && !stranger => wrong("L1", format!("stuck without a fault: {why}")),
            Some(event::Outcome::Paused) if go != Go::Run && !stranger => wrong("L1", format!("paused again without a fault: {why}")),
            Some(event::Outcome::Done) if go == Go::Undo => wrong("ending", "an undo ended done".to_owned()),
            Some(event::Outcome::Stuck | event::Outcome::Paused | event::Outcome::Done) => {}
            Some(event::Outcome::Undone | event::Outcome::Refused | event::Outcome::Abandoned) => {}
        }
        found
    }

    /// What the account with the run shows and the same account under the same mishap without it does not; and the settled account.
    fn findings(&self, world: &World, phase: &Phase) -> (Findings, World) {
        let mut settled = world.clone();
        settled.advance(settled.now.after_ms(SETTLED_MS));
        let with_run = audit::judge(&self.base.before, &settled, &self.base.charter, phase);
        if with_run.is_clean() {
            return (with_run, settled);
        }
        let (quiet, bare) = match phase {
            Phase::Crashed => (&self.base.quiet[0], Phase::Crashed),
            Phase::AtRest { undone: false, .. } => (&self.base.quiet[1], at_rest(false)),
            Phase::AtRest { undone: true, .. } => (&self.base.quiet[2], at_rest(true)),
        };
        let found = match &self.twin {
            None => audit::worse(&with_run, quiet),
            Some(twin) => {
                let without_run = mishap::without_run(&self.base.before, twin, settled.now);
                audit::worse(&with_run, &audit::judge(&self.base.before, &without_run, &self.base.charter, &bare))
            }
        };
        (found, settled)
    }

    fn verdict(&self, how: &'static str, ended: String, mut problems: Vec<(String, String)>, findings: Findings, world: &World) -> Verdict {
        let shared = self.base.charter.shares_version_key();
        let (excused, breaches): (Vec<_>, Vec<_>) =
            findings.breaches.into_iter().partition(|b| shared && b.invariant == Invariant::SharedKey);
        problems.extend(breaches.iter().map(|b| (b.invariant.code().to_owned(), b.to_string())));
        problems.extend(findings.unknown.into_iter().map(|name| ("unknown".to_owned(), format!("the account has no {name}"))));
        let hash = hash(world, &ended);
        let bad = !problems.is_empty();
        Verdict {
            how,
            ended,
            excused: u32::try_from(excused.len()).unwrap_or(u32::MAX),
            users: if bad { world.users(&self.subject.env.name, self.base.before.now) } else { Users::default() },
            changes: if bad { changes(&self.base.before, world) } else { Vec::new() },
            problems,
            hash,
        }
    }
}

fn hash(world: &World, ended: &str) -> [u8; 16] {
    let mut sum = Sha256::new();
    sum.update(serde_json::to_vec(&world.log).expect("a log is JSON"));
    sum.update(ended);
    let mut hash = [0; 16];
    hash.copy_from_slice(&sum.finalize()[..16]);
    hash
}

/// The last value of each field that the run set to stay, leases aside.
fn declared(events: &[Event]) -> Vec<Final> {
    let mut finals: BTreeMap<String, Final> = BTreeMap::new();
    for event in events {
        let action = match &event.what {
            What::Started { action, lease: false, .. } => action,
            // Already so, as when a floor takes over what a lease had set.
            What::Unchanged { verb, action, .. } if verb != "protect_asg" => action,
            _ => continue,
        };
        if let Action::Capacity { asg, min, max, desired } = action {
            let known = finals.entry(asg.clone()).or_insert_with(|| Final { group: asg.clone(), ..Final::default() });
            *known = Final { group: asg.clone(), min: min.or(known.min), max: max.or(known.max), desired: desired.or(known.desired) };
        }
    }
    finals.into_values().collect()
}

/// The environment as the audit is told of it; the playbook's header excuses what it declares.
pub fn charter(subject: &Subject) -> Charter {
    let env = &subject.env;
    let color = |index: usize| {
        let names = &env.colors[index];
        Color::new(&names.name, &names.asg, &names.target_group, &names.version_key, &env.parameters)
    };
    let routes = env.routes.iter().map(route).collect();
    let own = Charter::new(&env.name, &env.load_balancer, &env.bucket, &env.parameters, [color(0), color(1)], routes);
    let objects = env.extra.objects.iter().cloned().chain(env.discovery_key(&env.discovery_name, "*")).collect();
    let extra = Extra { groups: env.extra.asgs.clone(), parameters: env.extra.parameters.clone(), objects };
    let header = &subject.playbook.header;
    let allows = audit::Allows {
        take_down: header.allows(Permission::TakeDown),
        mixed_versions: header.allows(Permission::MixedVersions),
        less_capacity: header.allows(Permission::LessCapacity),
    };
    Charter { extra, allows, least: Some(env.min), lock: Some(env.lock_key()), ..own }
}

fn route(route: &Route) -> audit::Route {
    let (path, host) = match &route.matches {
        Match::Default => (None, None),
        Match::Path(path) => (Some(path.clone()), None),
        Match::Host(host) => (None, Some(host.clone())),
    };
    audit::Route { port: route.listener, path, host }
}
