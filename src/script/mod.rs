//! The host of playbooks: the only room that names Rhai. Engine, verbs as data, sources, check, diagnostics.

pub mod call;
pub mod catalog;
pub mod check;
mod core_verbs;
pub mod coverage;
pub mod described;
pub mod diagnose;
pub mod duration;
pub mod engine;
pub mod examine;
mod explain;

pub mod harness;
pub mod header;
mod imports;
pub mod params;
pub mod play;
pub mod raised;
pub mod record;
mod register;
mod render;
pub mod repl;
mod resolver;
pub mod session;
pub mod sources;
mod syntax;
pub mod verb;
pub mod verbs;

#[cfg(test)]
mod play_tests;
#[cfg(test)]
mod testing;

pub use call::Call;
pub use check::check;
pub use diagnose::{Diagnostic, Level, Place};
pub use engine::{STACK_BYTES, bare, for_play};
pub use header::Header;
pub use params::{ParamSpec, ParamValue};
pub use play::{Halt, Play, PlayError, Poison, StepMark, Uncaught, play};
pub use raised::{Raised, VerbError};
pub use record::Record;
pub use sources::{Roots, Sources, Stdlib};
pub use verb::{Deprecated, Effect, Kind, Opt, Param, Verb};
