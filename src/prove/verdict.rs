//! Says what is wrong with what a process left: by the audit, and by how the run ended.

use super::cells::Scenario;
use super::charter::declared;
use super::lab::{DAY_MS, Go, Outcome, Subject};
use super::mishap::{self, Twin};
use super::trace::{Baseline, at_rest, changes};
use super::walk::{Fate, Pause, Played};
use crate::account::Action;
use crate::run::event::{self, Event, What};
use crate::run::journal::Journal;
use crate::run::replay;
use crate::sandbox::audit::{self, Breach, Charter, Findings, Invariant, Phase};
use crate::sandbox::fault::Mishap;
use crate::sandbox::world::{Time, Users, World};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// What a run set in motion has settled by then.
const SETTLED_MS: u64 = 900_000;

/// A scenario and what is wrong with its end.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub scenario: Scenario,
    /// What was done last: `run`, `left alone`, `resume`, `undo`, or one of these two `again`.
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

impl Verdict {
    /// What was breached, each once.
    pub fn codes(&self) -> Vec<String> {
        let codes: BTreeSet<String> = self.problems.iter().map(|(code, _)| code.clone()).collect();
        codes.into_iter().collect()
    }

    /// One way to fail: faults, what was done last, what was breached.
    pub fn way(&self) -> (String, &'static str, Vec<String>) {
        (self.scenario.heading(), self.how, self.codes())
    }
}

/// What all verdicts in one account are judged by.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    pub subject: &'a Subject,
    pub base: &'a Baseline,
    /// Runs that begin alike share their beginning; else each is played from its first call.
    pub shares: bool,
}

impl Bench<'_> {
    /// What a dead process leaves, watched until it has settled.
    pub fn left_alone(&self, pause: &Pause) -> Verdict {
        let (_, events) = Journal::reopen_bytes(&pause.left.journal);
        let phase = self.ungated(&events).unwrap_or(Phase::Crashed);
        let (findings, world) = self.findings(&pause.left.world, &pause.fate, &phase);
        let findings = not_ours(findings, &pause.fate, false);
        self.verdict(&pause.scenario, "left alone", "died".to_owned(), Vec::new(), findings, &world)
    }

    /// A process that came to an end by itself.
    pub fn ended(&self, played: &Played) -> Verdict {
        let outcome = &played.outcome;
        let ending = outcome.ended.as_ref().map(|e| e.outcome);
        let left = played.fate.twins.iter().filter_map(Twin::left_by_stranger);
        let phase = match ending {
            Some(event::Outcome::Done) | Some(event::Outcome::Abandoned) => {
                let finals = declared(&whole_run(outcome), self.subject.envs()).into_iter().chain(left);
                match unseen(played) {
                    true => Phase::Crashed,
                    false => Phase::AtRest { finals: finals.collect(), undone: false, lock_owner: None },
                }
            }
            Some(event::Outcome::Undone | event::Outcome::Refused) => {
                Phase::AtRest { finals: left.collect(), undone: true, lock_owner: None }
            }
            Some(event::Outcome::Paused | event::Outcome::Stuck | event::Outcome::Diverged) | None => Phase::Crashed,
        };
        let phase = self.ungated(&whole_run(outcome)).unwrap_or(phase);
        let why = outcome.ended.as_ref().and_then(|e| e.why.clone()).unwrap_or_else(|| outcome.error.clone());
        let problems = self.endings(played, ending, &why);
        let (findings, world) = self.findings(&outcome.left.world, &played.fate, &phase);
        let over = matches!(ending, Some(event::Outcome::Done | event::Outcome::Undone)) && !unseen(played);
        let findings = not_ours(findings, &played.fate, over);
        let word = ending.map_or("did not begin", event::Outcome::word);
        let text = if why.is_empty() { word.to_owned() } else { format!("{word}: {why}") };
        self.verdict(&played.scenario, how(&played.scenario), text, problems, findings, &world)
    }

    /// Without the gate nobody comes back: what such a run leaves is judged as what stays, however it ended.
    fn ungated(&self, events: &[Event]) -> Option<Phase> {
        let phase = || Phase::AtRest { finals: declared(events, self.subject.envs()), undone: false, lock_owner: None };
        self.subject.playbook.is_ungated().then(phase)
    }

    /// The rules of endings, apart from what the account shows.
    fn endings(&self, played: &Played, ending: Option<event::Outcome>, why: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut wrong = |code: &str, text: String| found.push((code.to_owned(), text));
        if why.contains("a bug in bgx") || played.outcome.error.contains("a bug in bgx") {
            wrong("bug", why.to_owned());
        }
        // Each process has a day of its own.
        let legs = u64::try_from(played.scenario.legs.len()).unwrap_or(u64::MAX);
        if played.outcome.left.world.now.since(self.base.before.now) > DAY_MS.saturating_mul(legs) {
            wrong("L1", "the run did not end within a day".to_owned());
        }
        let (go, stranger, struck, sticky) = (played.go(), played.fate.stranger, !played.placed.is_empty(), played.is_sticky());
        // AWS boots nothing that works: a way that needs a boot is closed.
        let barren = played.fate.twins.iter().any(Twin::boots_nothing);
        let (no_way_back, no_way_on) = (barren && replaces(&played.outcome), barren && replay::committed(&whole_run(&played.outcome)));
        match ending {
            // Whoever could not even take the lock has changed nothing, and may come again.
            None if go != Go::Run && (struck || stranger) => {}
            None => wrong("ending", format!("the run did not begin: {why}")),
            Some(event::Outcome::Diverged) => wrong("ending", format!("journal and playbook disagree: {why}")),
            // Stuck only where AWS itself denies the way back for ever, or a stranger stands in it. The fault is over when another
            // process recovers; only what a stranger has changed is still there.
            Some(event::Outcome::Stuck) if !sticky && !stranger && !no_way_back => {
                wrong("L1", format!("stuck, though nothing denied the way back: {why}"));
            }
            // After its commit a run goes on until it is done; where AWS boots nothing that works, nobody can.
            Some(event::Outcome::Paused) if go != Go::Run && !stranger && !struck && !no_way_on => {
                wrong("L1", format!("paused again without a fault: {why}"));
            }
            Some(event::Outcome::Done) if go == Go::Undo => wrong("ending", "an undo ended done".to_owned()),
            Some(event::Outcome::Stuck | event::Outcome::Paused | event::Outcome::Done) => {}
            Some(event::Outcome::Undone | event::Outcome::Refused | event::Outcome::Abandoned) => {}
        }
        found
    }

    /// What the account with the run shows and the same account under the same mishaps without it does not; and the settled account.
    fn findings(&self, world: &World, fate: &Fate, phase: &Phase) -> (Findings, World) {
        let mut settled = world.clone();
        settled.advance(settled.now.after_ms(SETTLED_MS));
        let with_run = audit::judge_all(&self.base.before, &settled, &self.base.charters, phase);
        if with_run.is_clean() {
            return (with_run, settled);
        }
        let (quiet, bare) = match phase {
            Phase::Crashed => (&self.base.quiet[0], Phase::Crashed),
            Phase::AtRest { undone: false, .. } => (&self.base.quiet[1], at_rest(false)),
            Phase::AtRest { undone: true, .. } => (&self.base.quiet[2], at_rest(true)),
        };
        let found = if fate.twins.is_empty() {
            audit::worse(&with_run, quiet)
        } else {
            let without_run = mishap::without_run(&self.base.before, &fate.twins, settled.now);
            audit::worse(&with_run, &audit::judge_all(&self.base.before, &without_run, &self.base.charters, &bare))
        };
        (found, settled)
    }

    fn verdict(
        &self,
        scenario: &Scenario,
        how: &'static str,
        ended: String,
        mut problems: Vec<(String, String)>,
        findings: Findings,
        world: &World,
    ) -> Verdict {
        let shared = self.base.charters.iter().any(Charter::shares_version_key);
        // What booted the other version while its group served still serves at the end, beside what the key says: one trouble, not two.
        let foreign = shared && findings.breaches.iter().any(|b| b.invariant == Invariant::SharedKey && b.until.is_none());
        let beyond = |b: &Breach| {
            let (key, boots) = (b.invariant == Invariant::SharedKey, b.invariant == Invariant::BootVersion);
            (shared && key) || (foreign && boots)
        };
        let (excused, breaches): (Vec<_>, Vec<_>) = findings.breaches.into_iter().partition(beyond);
        problems.extend(breaches.iter().map(|b| (b.invariant.code().to_owned(), b.to_string())));
        problems.extend(findings.unknown.into_iter().map(|name| ("unknown".to_owned(), format!("the account has no {name}"))));
        let hash = hash(world, &ended);
        let bad = !problems.is_empty();
        Verdict {
            scenario: scenario.clone(),
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

/// Of several routes each is changed by a call of its own: where AWS denies one of them for good, or somebody else moves one, the run
/// can do no more than stop and say so. A run that says it is over answers for what is still so. And a move of traffic that was decided
/// before a stranger took the colour out of the routes, and sent after it, goes where AWS has stopped looking: it passes.
fn not_ours(findings: Findings, fate: &Fate, over: bool) -> Findings {
    let is_after = |b: &Breach, from: Option<Time>| from.is_some_and(|from| b.at >= from);
    let blind = [Invariant::HealthyTarget, Invariant::Capacity, Invariant::Errors];
    let pardoned = |b: &Breach| match b.invariant {
        Invariant::OneVersion => is_after(b, fate.apart) && (!over || b.until.is_some()),
        _ => blind.contains(&b.invariant) && is_after(b, fate.blind) && b.until.is_some(),
    };
    let breaches = findings.breaches.into_iter().filter(|b| !pardoned(b)).collect();
    Findings { breaches, ..findings }
}

/// What was done last, in words.
fn how(scenario: &Scenario) -> &'static str {
    let again = scenario.legs.len() > 2;
    match scenario.legs.last().map_or(Go::Run, |leg| leg.go) {
        Go::Run => "run",
        Go::Resume if again => "resume again",
        Go::Resume => "resume",
        Go::Undo if again => "undo again",
        Go::Undo => "undo",
    }
}

/// A stranger came when the run had looked for the last time, or so shortly before that AWS itself did not show it yet: nobody can
/// answer for that.
fn unseen(played: &Played) -> bool {
    let fate = played.fate_now();
    let timing = &played.outcome.left.world.timing;
    let after_last_look = |twin: &Twin| {
        let (operations, lag): (&[&str], u64) = match twin.with_run {
            Mishap::Actions { .. } => (&["DescribeRules", "DescribeListeners"], timing.rule_staleness.high),
            Mishap::Parameter { .. } => (&["GetParameter", "GetParameters"], timing.parameter_staleness.high),
            // The lock: its release is the last look at it.
            Mishap::Object { .. } => (&["DeleteObject"], 0),
            _ => return false,
        };
        let last = operations.iter().filter_map(|operation| fate.looks.get(*operation)).max();
        last.is_none_or(|last| *last <= twin.at.after_ms(lag))
    };
    fate.stranger && fate.twins.iter().any(after_last_look)
}

/// What could not be taken back was that instances were replaced, which takes instances that work.
fn replaces(outcome: &Outcome) -> bool {
    let failed = |event: &Event| matches!(&event.what, What::UndoFailed { action: Some(Action::Refresh { .. }), .. });
    whole_run(outcome).iter().any(failed)
}

/// Events of the run from its beginning, before a recovery too.
fn whole_run(outcome: &Outcome) -> Vec<Event> {
    let (_, events) = Journal::reopen_bytes(&outcome.left.journal);
    if events.is_empty() { outcome.events.clone() } else { events }
}

fn hash(world: &World, ended: &str) -> [u8; 16] {
    let mut sum = Sha256::new();
    world.regions().for_each(|there| sum.update(serde_json::to_vec(&there.log).expect("a log is JSON")));
    sum.update(ended);
    let mut hash = [0; 16];
    hash.copy_from_slice(&sum.finalize()[..16]);
    hash
}
