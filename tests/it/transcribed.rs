//! The present tool's algorithm, transcribed as playbooks and played without the gate: the sandbox shows its known holes, and the audit
//! names the right invariant for each. What the audit cannot see here, it would not see in our own playbooks either.

mod figures;
mod holes;
mod rollbacks;
mod switch;

use crate::stage::{Act, Trouble, findings};
use crate::support::{config, root};
use bgx::prove::charter::declared;
use bgx::run::event::{Event, Outcome};
use bgx::sandbox::audit::{Breach, Findings, Invariant, Phase};
use bgx::sandbox::fault::Rule;
use bgx::sandbox::world::{Caller, Happening, World};
use bgx::script::session::Playbook;
use std::collections::BTreeMap;

/// More than our retry layer sends a call: whatever is spoiled so often fails, and then all is well again.
const GIVEN_UP: u32 = 8;

/// What is judged at every instant and may last.
const INSTANT: [Invariant; 5] =
    [Invariant::HealthyTarget, Invariant::Capacity, Invariant::Errors, Invariant::OneVersion, Invariant::SharedKey];

/// The transcription of one command, ready to be played.
fn tool(command: &str, env: &str, params: &[(&str, &str)]) -> Act {
    let config = config();
    let mut env = config.env(env).expect("the environment is in bgx.toml").clone();
    env.extra.asgs.push(format!("ce-router-{}", env.name));
    let path = root().join(format!("tests/fixtures/transcribed/{command}.rhai"));
    let playbook = Playbook::ungated(&path, &config).unwrap_or_else(|p| panic!("{}", p.render(false)));
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Act { config, env, playbook, params, answers: BTreeMap::new(), seed: 7 }
}

fn deploy(env: &str) -> Act {
    tool("deploy", env, &[("version", "latest")])
}

/// What one or more runs of the tool did to an account.
struct Told {
    act: Act,
    before: World,
    world: World,
    events: Vec<Event>,
    ended: Vec<String>,
}

impl Told {
    fn begin(act: Act) -> Told {
        let before = act.world();
        Told { act, world: before.clone(), before, events: Vec::new(), ended: Vec::new() }
    }

    /// Plays a command in the account as it is now.
    fn play(mut self, act: &Act, trouble: Trouble) -> Told {
        let left = act.play(&self.world, trouble);
        self.world = left.world;
        self.events.extend(left.events);
        self.ended.push(match left.ended.outcome {
            Outcome::Done => "done".to_owned(),
            _ => format!("failed: {}", left.ended.why.unwrap_or_default()),
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
        let plain = told(deploy(&self.act.env.name), Trouble::default());
        beyond(self.all_findings(), &plain.all_findings())
    }

    fn all_findings(&self) -> Findings {
        let phase = Phase::AtRest { finals: declared(&self.events, std::iter::empty()), undone: false, lock_owner: None };
        findings(&self.before, &self.world, &self.act.env, &phase)
    }

    /// How it ended, what the audit says, and what the tool changed.
    fn story(&self) -> String {
        let mut lines: Vec<String> = self.ended.iter().map(|how| format!("ended {how}")).collect();
        let mut found: Vec<String> = self.findings().breaches.iter().map(sentence).collect();
        found.sort();
        found.dedup();
        lines.extend(found);
        lines.extend(counted(changes(&self.before, &self.world, &self.act.env.name)));
        nameless(&lines.join("\n"))
    }
}

/// One command under one trouble.
fn told(act: Act, trouble: Trouble) -> Told {
    Told::begin(act.clone()).play(&act, trouble)
}

fn rules(rules: impl IntoIterator<Item = Rule>) -> Trouble {
    Trouble { rules: rules.into_iter().collect(), ..Trouble::default() }
}

/// The n-th call of an operation, from 0, fails for as long as it is repeated; later ones go through.
fn failing(make: fn(&str, &str) -> Rule, service: &str, operation: &str, nth: u32) -> Trouble {
    rules([make(service, operation).after(nth).times(GIVEN_UP)])
}

/// A signal while the n-th call of an operation, from 0, is under way.
fn signalled(act: &Act, operation: &str, nth: usize) -> Trouble {
    let whole = act.play(&act.world(), Trouble::default());
    Trouble { signal: Some((whole.index(operation, nth), "SIGTERM")), ..Trouble::default() }
}

/// What a process leaves that dies just before the n-th call of an operation.
fn killed(act: Act, operation: &str, nth: usize) -> Told {
    let whole = act.play(&act.world(), Trouble { snapshots: true, ..Trouble::default() });
    let (world, events) = whole.at_call(whole.index(operation, nth));
    Told { act, before: whole.before, world, events, ended: vec!["killed".to_owned()] }
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
