//! The present tool's algorithm, transcribed as playbooks and played without the gate: the sandbox shows its known holes, and the audit
//! names the right invariant for each. What the audit cannot see here, it would not see in our own playbooks either.

mod figures;
mod holes;
mod rollbacks;
mod switch;

use crate::support::{config, root};
use bgx::account::Action;
use bgx::prove::{Baseline, Subject, Trouble, charter};
use bgx::run::event::{self, Event, What};
use bgx::sandbox::audit::{Breach, Final, Findings, Invariant, Phase, judge, worse};
use bgx::sandbox::fault::Rule;
use bgx::sandbox::world::{Caller, Happening, World};
use bgx::script::session::Playbook;
use std::collections::BTreeMap;

/// What a run set in motion has settled by then.
const SETTLED_MS: u64 = 900_000;
/// More than our retry layer sends a call: whatever is spoiled so often fails, and then all is well again.
const GIVEN_UP: u32 = 8;

/// What is judged at every instant and may last.
const INSTANT: [Invariant; 5] =
    [Invariant::HealthyTarget, Invariant::Capacity, Invariant::Errors, Invariant::OneVersion, Invariant::SharedKey];

/// The transcription of one command, ready to be played.
fn tool(command: &str, env: &str, params: &[(&str, &str)]) -> Subject {
    let config = config();
    let mut env = config.env(env).expect("the environment is in bgx.toml").clone();
    env.extra.asgs.push(format!("ce-router-{}", env.name));
    let path = root().join(format!("tests/fixtures/transcribed/{command}.rhai"));
    let playbook = Playbook::ungated(&path, &config).unwrap_or_else(|p| panic!("{}", p.render(false)));
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Subject { config, env, playbook, path: path.display().to_string(), params, answers: BTreeMap::new(), seed: 7 }
}

fn deploy(env: &str) -> Subject {
    tool("deploy", env, &[("version", "latest")])
}

/// What one or more runs of the tool did to an account.
struct Told {
    subject: Subject,
    before: World,
    world: World,
    events: Vec<Event>,
    ended: Vec<String>,
}

impl Told {
    fn begin(subject: Subject) -> Told {
        let before = subject.world().expect("bgx.toml makes a world");
        Told { subject, world: before.clone(), before, events: Vec::new(), ended: Vec::new() }
    }

    /// Plays a command in the account as it is now.
    fn play(mut self, subject: &Subject, trouble: Trouble) -> Told {
        let outcome = subject.begin(&self.world, trouble);
        self.world = outcome.left.world;
        self.events.extend(outcome.events);
        let ended = outcome.ended.expect("a run without a lock begins");
        self.ended.push(match ended.outcome {
            event::Outcome::Done => "done".to_owned(),
            _ => format!("failed: {}", ended.why.unwrap_or_default()),
        });
        self
    }

    /// Something that happens between two commands.
    fn then(mut self, change: impl FnOnce(&mut World)) -> Told {
        change(&mut self.world);
        self
    }

    /// What only this run shows: neither the quiet account, nor the same deploy without a fault, which sends traffic to targets that
    /// nobody has checked yet.
    fn findings(&self) -> Findings {
        let plain = told(deploy(&self.subject.env.name), Trouble::default());
        beyond(self.all_findings(), &plain.all_findings())
    }

    fn all_findings(&self) -> Findings {
        let (mut with_run, mut quiet) = (self.world.clone(), self.before.clone());
        with_run.advance(with_run.now.after_ms(SETTLED_MS));
        quiet.advance(with_run.now);
        let charter = charter(&self.subject);
        let at_rest = |finals| Phase::AtRest { finals, undone: false, lock_owner: None };
        let with_run = judge(&self.before, &with_run, &charter, &at_rest(declared(&self.events)));
        worse(&with_run, &judge(&self.before, &quiet, &charter, &at_rest(Vec::new())))
    }

    /// How it ended, what the audit says, and what the tool changed.
    fn story(&self) -> String {
        let mut lines: Vec<String> = self.ended.iter().map(|how| format!("ended {how}")).collect();
        let mut found: Vec<String> = self.findings().breaches.iter().map(sentence).collect();
        found.sort();
        found.dedup();
        lines.extend(found);
        lines.extend(counted(changes(&self.before, &self.world, &self.subject.env.name)));
        nameless(&lines.join("\n"))
    }
}

/// One command under one trouble.
fn told(subject: Subject, trouble: Trouble) -> Told {
    let command = copy(&subject);
    Told::begin(subject).play(&command, trouble)
}

fn copy(subject: &Subject) -> Subject {
    Subject {
        config: subject.config.clone(),
        env: subject.env.clone(),
        playbook: subject.playbook.clone(),
        path: subject.path.clone(),
        params: subject.params.clone(),
        answers: subject.answers.clone(),
        seed: subject.seed,
    }
}

fn rules(rules: impl IntoIterator<Item = Rule>) -> Trouble {
    Trouble { rules: rules.into_iter().collect(), ..Trouble::default() }
}

/// The n-th call of an operation, from 0, fails for as long as it is repeated; later ones go through.
fn failing(make: fn(&str, &str) -> Rule, service: &str, operation: &str, nth: u32) -> Trouble {
    rules([make(service, operation).after(nth).times(GIVEN_UP)])
}

/// A signal while the n-th call of an operation, from 0, is under way.
fn signalled(subject: &Subject, operation: &str, nth: usize) -> Trouble {
    let base = Baseline::play(subject).expect("without a fault the tool comes to its end");
    Trouble { signal: Some((index(&base, operation, nth), "SIGTERM")), ..Trouble::default() }
}

fn index(base: &Baseline, operation: &str, nth: usize) -> usize {
    let mut calls = base.whole.trace.iter().enumerate().filter(|(_, call)| call.operation == operation);
    calls.nth(nth).unwrap_or_else(|| panic!("there are not {nth} {operation}")).0
}

/// What a process leaves that dies just before the n-th call of an operation.
fn killed(subject: Subject, operation: &str, nth: usize) -> Told {
    let base = Baseline::play(&subject).expect("without a fault the tool comes to its end");
    let call = index(&base, operation, nth);
    let events = base.whole.marks.iter().filter(|mark| **mark <= call).count();
    let (world, events) = (base.world_at(call).clone(), base.whole.events[..events].to_vec());
    Told { subject, before: base.before, world, events, ended: vec!["killed".to_owned()] }
}

/// The last value of each field that the tool set to stay; what it only held for a while is marked a lease.
fn declared(events: &[Event]) -> Vec<Final> {
    let mut finals: BTreeMap<&str, Final> = BTreeMap::new();
    for event in events {
        let What::Started { action: Action::Capacity { asg, min, max, desired }, lease: false, .. } = &event.what else { continue };
        let known = finals.entry(asg).or_insert_with(|| Final { group: asg.clone(), ..Final::default() });
        (known.min, known.max, known.desired) = (min.or(known.min), max.or(known.max), desired.or(known.desired));
    }
    finals.into_values().collect()
}

/// A breach in one line, without its moment.
fn sentence(breach: &Breach) -> String {
    let lasts = match breach.until {
        _ if !INSTANT.contains(&breach.invariant) => "",
        None => ", to the end",
        Some(_) if seconds(breach) >= 60 => ", for minutes",
        Some(_) => "",
    };
    format!("{:<6} {}{lasts}", breach.invariant, breach.what)
}

fn seconds(breach: &Breach) -> u64 {
    breach.until.map_or(u64::MAX, |until| until.since(breach.at) / 1000)
}

/// Without what the same account shows in a run without a fault, as bad and as long, whenever that was.
fn beyond(found: Findings, plain: &Findings) -> Findings {
    let known = |b: &Breach| {
        let same = |o: &&Breach| (o.invariant, &o.subject) == (b.invariant, &b.subject) && o.severity >= b.severity;
        plain.breaches.iter().filter(same).any(|o| seconds(b) < seconds(o).saturating_add(30))
    };
    Findings { breaches: found.breaches.into_iter().filter(|b| !known(b)).collect(), ..found }
}

/// Lines that follow each other and are the same, as one.
fn counted(lines: Vec<String>) -> Vec<String> {
    let mut told: Vec<(String, u32)> = Vec::new();
    for line in lines {
        match told.last_mut().filter(|(last, _)| *last == line) {
            Some((_, times)) => *times += 1,
            None => told.push((line, 1)),
        }
    }
    told.into_iter().map(|(line, times)| if times > 1 { format!("  {line} ({times} times)") } else { format!("  {line}") }).collect()
}

/// Without the names that a simulated account draws by chance.
fn nameless(text: &str) -> String {
    let instance = |word: &str| word.strip_prefix("i-").is_some_and(|id| id.len() == 17);
    let word = |word: &str| match word.split_once(":targetgroup/").and_then(|(_, rest)| rest.split_once('/')) {
        Some((name, _)) => name.to_owned(),
        None if word.contains(":listener/") => "listener".to_owned(),
        None if instance(word.trim_end_matches([',', ':'])) => "i-…".to_owned(),
        None => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ").trim_end().to_owned();
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The changes in an account, in order, without what instances do by themselves.
fn changes(before: &World, after: &World, env: &str) -> Vec<String> {
    let line = |entry: &bgx::sandbox::world::Entry| match &entry.what {
        Happening::Call { operation, resource, set, by, .. } => {
            let who = if *by == Caller::Other { " (somebody else)" } else { "" };
            let arn = resource.strip_prefix("arn:").and_then(|arn| arn.rsplit(':').next()?.split('/').next());
            Some(format!("{operation} {}: {set}{who}", arn.unwrap_or(resource)))
        }
        Happening::Scaled { group, from, to, .. } if group.starts_with(env) => {
            Some(format!("{group} is scaled from {from} to {to} by its policy"))
        }
        _ => None,
    };
    after.log[before.log.len().min(after.log.len())..].iter().filter_map(line).collect()
}
