//! What happens in a run, as data: the journal keeps these, the terminal shows them, `--json` prints them, tests compare them.

use super::desk::{Asking, Given};
use super::plan::Bound;
use super::sight::{ReadBack, Sighting};
use super::table::Table;
use super::traffic::Topology;
use super::{EffectRequest, RunError};
use crate::account::{AccountError, Action, CallRecord, Fields};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Format version of the journal; raised when a field is added. `docs/journal.md` has the rules and what each version brought.
pub const FORMAT: u32 = 7;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub seq: u64,
    pub at: Timestamp,
    pub what: What,
}

/// A place in a playbook or module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// `step` is the number of the verb call; a `step "name" { … }` of a playbook is a block here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    Began(Box<Began>),
    /// What follows is about this environment of the run, until another process goes on in the first one.
    Entered {
        env: String,
    },
    BlockStarted {
        name: String,
    },
    BlockEnded {
        name: String,
        ok: bool,
    },
    /// A line of a prompt, kept before it runs, with the modules that it is the first to import: name and text.
    Line {
        line: u64,
        text: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        modules: Vec<(String, String)>,
    },
    /// The line has come to its end, at this step; nothing of it was taken back by that.
    LineEnded {
        line: u64,
        step: u64,
        error: Option<String>,
    },
    /// A question to the account and its answer.
    Read {
        step: u64,
        verb: String,
        of: String,
        answer: serde_json::Value,
    },
    ReadFailed {
        step: u64,
        verb: String,
        of: String,
        error: RunError,
    },
    /// The environment's rules and target groups, as they were looked up.
    Found {
        topology: Box<Topology>,
    },
    /// Progress of a wait: shown, never kept.
    Waiting {
        step: u64,
        what: String,
        why: Vec<String>,
        done: Option<u64>,
        total: Option<u64>,
        left_seconds: Option<u64>,
    },
    Waited {
        step: u64,
        what: String,
        seconds: f64,
        error: Option<RunError>,
        /// What its looks showed, as far as it changed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        seen: Vec<Sighting>,
    },
    Asked {
        step: u64,
        id: String,
        text: String,
        choices: Vec<(String, String)>,
    },
    Answered {
        step: u64,
        id: String,
        key: String,
        by: Answerer,
    },
    /// Waits until another identity has answered.
    AwaitsApproval {
        step: u64,
        asking: Asking,
    },
    Approved {
        step: u64,
        given: Given,
    },
    /// Kept durably before the call goes out.
    Started {
        step: u64,
        verb: String,
        place: Option<Place>,
        action: Action,
        before: Fields,
        undo: Option<Action>,
        lease: bool,
    },
    /// The effect was read back.
    Finished {
        step: u64,
        after: Fields,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<CallRecord>,
        /// What else was read back; absent where nothing was sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<Box<ReadBack>>,
    },
    /// The account was already so; nothing was sent.
    Unchanged {
        step: u64,
        verb: String,
        action: Action,
        #[serde(default)]
        lease: bool,
    },
    /// An invariant that the world broke while the run was at this step.
    Noticed {
        step: u64,
        text: String,
    },
    Failed {
        step: u64,
        error: AccountError,
        effect: Effect,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<CallRecord>,
    },
    Refused {
        step: u64,
        verb: String,
        place: Option<Place>,
        text: String,
        hint: Option<String>,
    },
    /// `say` and `notify`.
    Said {
        step: u64,
        text: String,
        notify: bool,
    },
    /// A result in columns.
    Shown {
        step: u64,
        table: Table,
    },
    /// An effect without a state to set, such as a cache clear.
    Effect {
        step: u64,
        text: String,
        detail: String,
        error: Option<RunError>,
    },
    /// To be sent once everything after it was taken back.
    OnUndo {
        step: u64,
        request: EffectRequest,
    },
    LeaseReturned {
        step: u64,
        action: Action,
        held_seconds: f64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<CallRecord>,
    },
    LeaseKept {
        step: u64,
        why: String,
    },
    Committed {
        step: u64,
    },
    /// What was done in this environment so far stays, whatever becomes of the others.
    CommittedEnv {
        step: u64,
        env: String,
    },
    Signalled {
        signal: String,
    },
    /// Another process goes on with the run: it replays what is above, or takes it back.
    Resumed {
        command: String,
        host: String,
        identity: String,
        /// What `--on-failure` said from then on; absent where it said nothing.
        #[serde(default)]
        on_failure: Option<OnFailure>,
        /// The sources that the run goes on with, where they are not those of its first event.
        #[serde(default)]
        sources: Option<Vec<(String, String)>>,
        /// Who runs this process, and who had CI run it.
        #[serde(default)]
        user: String,
        #[serde(default)]
        actor: Option<String>,
        /// Names the process, as in the lock.
        #[serde(default)]
        process: String,
    },
    Abandoned {
        reason: String,
    },
    /// The script ended with this error; what follows is undo.
    Broke {
        text: String,
        place: Option<Place>,
        /// The run stops as it is: nothing is taken back.
        #[serde(default)]
        stays: bool,
        /// The playbook itself has put back what it had committed: nothing is left to do.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        rolled_back: bool,
    },
    UndoStarted {
        step: u64,
        action: Action,
        expect: Fields,
    },
    UndoFinished {
        step: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<CallRecord>,
    },
    /// Nothing to take back: the account is as it was before the step.
    UndoSkipped {
        step: u64,
    },
    UndoFailed {
        step: u64,
        action: Option<Action>,
        why: String,
    },
    /// All is done but the release of the lock; what follows is that, and the end.
    Settled {
        outcome: Outcome,
        why: Option<String>,
    },
    Ended(Box<Ended>),
}

/// The first event: all that another machine needs to know what this run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Began {
    pub format: u32,
    pub run: String,
    pub playbook: String,
    /// The first of its environments.
    pub env: String,
    /// The others, where it has more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    pub bgx: String,
    pub target: String,
    pub account: String,
    pub identity: String,
    pub host: String,
    pub commit: Option<String>,
    pub reason: Option<String>,
    pub actor: Option<String>,
    pub parameters: Vec<(String, String)>,
    /// Logical file name to text, of the whole import graph.
    pub sources: Vec<(String, String)>,
    /// Where the stdlib came from: `embedded` or a folder.
    pub stdlib: String,
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Who runs this process, as the system knows them.
    #[serde(default)]
    pub user: String,
    /// Names the process, as in the lock: no two processes have the same.
    #[serde(default)]
    pub process: String,
    /// Where the journal itself is, `s3://…/`; absent: it is the file.
    #[serde(default)]
    pub journal: Option<String>,
    /// The plan that the run is held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<Bound>>,
    /// It is typed line by line: what it does is in its `line` events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prompt: bool,
}

impl Began {
    /// The run's environments, the first one first.
    pub fn envs(&self) -> impl Iterator<Item = &str> {
        [&self.env].into_iter().chain(&self.also).map(String::as_str)
    }

    pub fn is_in(&self, env: &str) -> bool {
        self.envs().any(|own| own == env)
    }

    /// `staging,beta`, as `--env` takes it.
    pub fn env_list(&self) -> String {
        self.envs().collect::<Vec<_>>().join(",")
    }
}

/// What a failure before the commit does to what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Takes it back.
    #[default]
    Undo,
    /// Leaves it for somebody to look at.
    Pause,
}

impl std::str::FromStr for OnFailure {
    type Err = String;

    fn from_str(text: &str) -> Result<OnFailure, String> {
        match text {
            "undo" => Ok(OnFailure::Undo),
            "pause" => Ok(OnFailure::Pause),
            _ => Err(format!("`{text}` is neither undo nor pause")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answerer {
    Terminal,
    Flag,
    /// `--yes`.
    Yes,
    /// The question's own default for runs that nobody watches.
    Unattended,
}

/// What a failed action left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Read back: the account is as before.
    None,
    /// Read back: some or all of it happened.
    Some,
    /// It could not be read back.
    Unknown,
}

/// How a run ended, and so its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// Failed, and everything was taken back.
    Undone,
    /// Stopped as it is.
    Paused,
    /// An undo could not be done.
    Stuck,
    /// Refused before anything was touched.
    Refused,
    /// The journal and the playbook disagree.
    Diverged,
    /// Given up by the operator: leases were given back, the rest stays as it is.
    Abandoned,
}

impl Outcome {
    /// Nothing is left to do; otherwise the run waits for `resume`, `undo` or `abandon`.
    pub fn is_over(self) -> bool {
        match self {
            Outcome::Done | Outcome::Undone | Outcome::Refused | Outcome::Abandoned => true,
            Outcome::Paused | Outcome::Stuck | Outcome::Diverged => false,
        }
    }

    /// In words, for lists.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Undone => "undone",
            Outcome::Paused => "paused",
            Outcome::Stuck => "stuck",
            Outcome::Refused => "refused",
            Outcome::Diverged => "diverged",
            Outcome::Abandoned => "abandoned",
        }
    }

    /// The exit code; the table is in the README.
    pub fn code(self) -> i32 {
        match self {
            Outcome::Done | Outcome::Abandoned => 0,
            Outcome::Undone => 3,
            Outcome::Paused => 4,
            Outcome::Stuck => 5,
            Outcome::Diverged => 6,
            Outcome::Refused => 7,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub outcome: Outcome,
    pub why: Option<String>,
    pub seconds: f64,
    /// Every field that is not as it was at the start: what, before, now.
    pub changes: Vec<Change>,
    /// Calls sent, by service.
    pub calls: std::collections::BTreeMap<String, u64>,
    /// Disagreements found when the end state was read.
    pub disagreements: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub resource: String,
    pub field: String,
    pub before: Option<String>,
    pub now: Option<String>,
}

impl What {
    /// Progress is shown and never kept.
    pub fn is_kept(&self) -> bool {
        !matches!(self, What::Waiting { .. })
    }

    /// Must be on disk before the run goes on; the rest rides along with the next of these.
    pub fn is_durable(&self) -> bool {
        !matches!(
            self,
            What::Waiting { .. }
                | What::Read { .. }
                | What::Found { .. }
                | What::Entered { .. }
                | What::BlockStarted { .. }
                | What::BlockEnded { .. }
                | What::Waited { .. }
        )
    }
}

#[cfg(test)]
#[path = "event_example.rs"]
mod example;
