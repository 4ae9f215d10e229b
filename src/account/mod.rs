//! The account: typed reads and one way to change things, over the AWS SDK clients. The only room that names aws-sdk.

pub mod action;
mod apply;
mod autoscaling;
mod balancing;
mod classify;
mod commands;
mod connect;
mod error;
mod facts;
pub mod failpoint;
mod http;
mod identity;
mod memo;
mod metrics;
mod objects;
mod pages;
mod parameters;
mod refresh;
mod reply;
mod retry;
mod tape;
pub mod targets;
#[cfg(test)]
mod testing;
mod types;
mod xml;

pub use action::{Action, Facts, Fields, RouteFacts, RouteRef, RouteWeights};
pub use connect::{Account, Accounts, Connection};
pub use error::{AccountError, Kind};
pub use memo::Memo;
pub use objects::When;
pub use retry::{CallRecord, Class, MayWrite};
pub use tape::{Tape, Taped};
pub use types::*;
