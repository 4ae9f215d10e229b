//! Every fault at every point it applies to, and the token that names one of them.

use super::faults::{FAULTS, Fault, Harm};
use super::trace::Baseline;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where in the run without a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Point {
    /// Index of a call.
    Call(usize),
    /// Number of a kept event.
    Event(usize),
}

/// One fault at one point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    pub fault: String,
    pub point: Point,
}

/// Row of the table by name.
pub fn fault(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.name == name)
}

pub fn all(base: &Baseline) -> Vec<Cell> {
    FAULTS.iter().flat_map(|fault| points(fault, base).into_iter().map(|point| Cell { fault: fault.name.to_owned(), point })).collect()
}

fn points(fault: &Fault, base: &Baseline) -> Vec<Point> {
    match fault.harm {
        Harm::Nothing => vec![Point::Event(0)],
        // Event 0 is the run's own beginning: before it there is no run.
        Harm::Kill { .. } => (1..base.whole.events.len() - 1).map(Point::Event).collect(),
        Harm::Once(_) | Harm::Always(_) | Harm::Expired | Harm::Signal(_) | Harm::World(_) => {
            base.calls.iter().filter(|call| (fault.applies)(&base.whole.trace[**call])).map(|call| Point::Call(*call)).collect()
        }
    }
}

/// All that is needed to play one cell again, on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub playbook: String,
    pub env: String,
    pub params: BTreeMap<String, String>,
    pub answers: BTreeMap<String, String>,
    pub seed: u64,
    pub cell: Cell,
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
        let cell = Cell { fault: FAULTS[0].name.to_owned(), point: Point::Call(7) };
        let params = BTreeMap::from([("version".to_owned(), "latest".to_owned())]);
        let token = Token { playbook: "deploy".into(), env: "beta".into(), params, answers: BTreeMap::new(), seed: 3, cell };
        assert_eq!(Token::decode(&token.encode()), Some(token));
        assert_eq!(Token::decode("no token"), None);
    }

    #[test]
    fn each_fault_has_a_name_of_its_own_and_a_reason() {
        let names: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.name).collect();
        assert_eq!(names.len(), FAULTS.len());
        assert!(FAULTS.iter().all(|fault| !fault.reason.is_empty()));
    }
}
