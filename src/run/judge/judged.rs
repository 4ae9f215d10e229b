//! A verdict over all that is judged: errors, and the time that requests take where a bound is given.

use super::{Judgement, Verdict, Words};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What was found of a canary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    #[serde(flatten)]
    pub errors: Judgement,
    /// `None`: time is not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<Slow>,
}

/// Requests that took longer than a bound, judged as errors are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    pub over_seconds: f64,
    pub judgement: Judgement,
}

impl Judged {
    /// One that fails is enough to fail, and only all together pass.
    pub fn verdict(&self) -> Verdict {
        let all = [Some(self.errors.verdict), self.slow.as_ref().map(|slow| slow.judgement.verdict)];
        let has = |wanted: Verdict| all.iter().flatten().any(|verdict| *verdict == wanted);
        match (has(Verdict::Fail), has(Verdict::Inconclusive)) {
            (true, _) => Verdict::Fail,
            (false, true) => Verdict::Inconclusive,
            (false, false) => Verdict::Pass,
        }
    }

    /// The most that any of them still needs; `None`: they need none, or no number would do for one of them.
    pub fn more_requests(&self) -> Option<u64> {
        let open = [Some(&self.errors), self.slow.as_ref().map(|slow| &slow.judgement)];
        let open = open.into_iter().flatten().filter(|judgement| judgement.verdict == Verdict::Inconclusive);
        open.map(|judgement| judgement.more_requests).collect::<Option<Vec<u64>>>()?.into_iter().max()
    }
}

/// Those on which the verdict rests.
impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = self.verdict();
        let by_errors = self.errors.verdict == verdict;
        if by_errors {
            write!(f, "{}", self.errors)?;
        }
        match &self.slow {
            Some(slow) if slow.judgement.verdict == verdict => write!(f, "{}{slow}", if by_errors { "; " } else { "" }),
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let did = format!("took longer than {} s", self.over_seconds);
        self.judgement.tell(f, &Words { did: &did, rate: "a rate", nothing: "nothing takes so long" })
    }
}
