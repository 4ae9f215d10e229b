//! Scenarios as data: which process meets which fault at which of its calls, where it dies, who goes on; and the token that names one.

use super::faults::{FAULTS, Fault, Harm};
use super::lab::{Go, Outcome};
use super::timing::Timing;
use super::trace::Baseline;
use super::world::Start;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One fault at one call of a process, counted from its first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Strike {
    pub fault: String,
    pub call: usize,
}

/// The process dies at an event of its own, counted from its first: before or after it is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Death {
    pub event: usize,
    pub kept: bool,
}

/// What one process does and what it meets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leg {
    pub go: Go,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strikes: Vec<Strike>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub death: Option<Death>,
}

impl Leg {
    pub fn calm(go: Go) -> Leg {
        Leg { go, strikes: Vec::new(), death: None }
    }
}

/// A run with the processes that go on with it, in an account with its own timing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scenario {
    #[serde(default, skip_serializing_if = "Timing::is_default")]
    pub timing: Timing,
    pub legs: Vec<Leg>,
}

impl Scenario {
    /// Nothing goes wrong.
    pub fn calm(timing: Timing) -> Scenario {
        Scenario { timing, legs: vec![Leg::calm(Go::Run)] }
    }

    fn with(&self, change: impl FnOnce(&mut Leg)) -> Scenario {
        let mut next = self.clone();
        next.legs.last_mut().into_iter().for_each(|leg| leg.death = None);
        if let Some(leg) = next.legs.last_mut() {
            change(leg);
        }
        next
    }

    /// One fault more for the last process.
    pub fn struck(&self, strike: Strike) -> Scenario {
        self.with(|leg| leg.strikes.push(strike))
    }

    /// The last process dies.
    pub fn killed(&self, death: Death) -> Scenario {
        self.with(|leg| leg.death = Some(death))
    }

    /// Another process goes on.
    pub fn then(&self, go: Go) -> Scenario {
        let mut next = self.clone();
        next.legs.push(Leg::calm(go));
        next
    }

    /// Faults and deaths in order, each as a name.
    pub fn names(&self) -> Vec<&str> {
        let of = |leg: &Leg| leg.death.map(|death| DEATHS[usize::from(death.kept)]);
        self.legs.iter().flat_map(|leg| leg.strikes.iter().map(|strike| strike.fault.as_str()).chain(of(leg))).collect()
    }

    /// What it is counted under.
    pub fn heading(&self) -> String {
        match self.names().first() {
            Some(first) => (*first).to_owned(),
            None if self.timing.is_default() => FAULTS[0].name.to_owned(),
            None => format!("timing: {}", self.timing),
        }
    }
}

/// Names of the two deaths, by whether the event is on disk.
pub const DEATHS: [&str; 2] = ["killed, event lost", "killed, event kept"];

/// Row of the table by name.
pub fn fault(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.name == name)
}

/// Every fault at every point it applies to, with its reason in the table, one at a time.
pub fn singles(base: &Baseline) -> Vec<Scenario> {
    FAULTS.iter().flat_map(|fault| of_fault(fault, base)).collect()
}

fn of_fault(fault: &Fault, base: &Baseline) -> Vec<Scenario> {
    let calm = Scenario::calm(base.timing.clone());
    let outcome = &base.whole.outcome;
    match fault.harm {
        Harm::Nothing => vec![calm],
        Harm::Kill { kept } => deaths(outcome, 1, kept).into_iter().map(|death| calm.killed(death)).collect(),
        Harm::Once(_)
        | Harm::Burst(..)
        | Harm::While(..)
        | Harm::Always(_)
        | Harm::Expired
        | Harm::Region(_)
        | Harm::Signal(_)
        | Harm::World(_)
        | Harm::Stall(_)
        | Harm::DiskFull => {
            let calls = base.calls.iter().filter(|call| (fault.applies)(&outcome.trace[**call]));
            calls.map(|call| calm.struck(Strike { fault: fault.name.to_owned(), call: *call })).collect()
        }
    }
}

/// Where a process can die, from one of its events on. One that is not durable is lost with its process, and its being kept is
/// no state of its own. The last event is the end.
pub fn deaths(outcome: &Outcome, from: usize, kept: bool) -> Vec<Death> {
    let last = outcome.events.len().saturating_sub(1);
    let can = |event: &usize| !kept || outcome.events[*event].what.is_durable();
    (from..last).filter(can).map(|event| Death { event, kept }).collect()
}

/// All that is needed to play one scenario again, on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub playbook: String,
    pub env: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, String>,
    pub seed: u64,
    pub start: Start,
    pub scenario: Scenario,
}

impl Token {
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("text and numbers are JSON"))
    }

    pub fn decode(text: &str) -> Option<Token> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_token_is_read_back() {
        let strike = Strike { fault: FAULTS[1].name.to_owned(), call: 7 };
        let dies = Scenario::calm(Timing::one("boot", 9)).struck(strike).killed(Death { event: 3, kept: true });
        let scenario = dies.then(Go::Resume).killed(Death { event: 1, kept: false }).then(Go::Undo);
        let params = BTreeMap::from([("version".to_owned(), "latest".to_owned())]);
        let (answers, start) = (BTreeMap::new(), Start::Warm);
        let token = Token { playbook: "deploy".into(), env: "beta".into(), params, answers, seed: 3, start, scenario };
        assert_eq!(Token::decode(&token.encode()), Some(token));
        assert_eq!(Token::decode("no token"), None);
    }

    #[test]
    fn a_scenario_is_counted_under_its_first_fault() {
        let calm = Scenario::calm(Timing::default());
        assert_eq!(calm.heading(), "no fault");
        assert_eq!(Scenario::calm(Timing::one("boot", 9)).heading(), "timing: boot 9 s");
        let dies = calm.struck(Strike { fault: "hang".into(), call: 7 }).killed(Death { event: 3, kept: true });
        let again = dies.then(Go::Undo).killed(Death { event: 1, kept: false });
        assert_eq!(again.names(), ["hang", "killed, event kept", "killed, event lost"]);
        assert_eq!(again.heading(), "hang");
    }

    #[test]
    fn a_fault_more_is_met_by_a_process_that_lives() {
        let dies = Scenario::calm(Timing::default()).killed(Death { event: 3, kept: true });
        assert_eq!(dies.struck(Strike { fault: "hang".into(), call: 7 }).names(), ["hang"]);
    }

    #[test]
    fn each_fault_has_a_name_of_its_own_and_a_reason() {
        let names: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.name).collect();
        assert_eq!(names.len(), FAULTS.len());
        assert!(FAULTS.iter().all(|fault| !fault.reason.is_empty()));
        assert!(DEATHS.iter().all(|death| names.contains(death)));
    }
}
