//! The account: typed reads and one way to change things, over the AWS SDK clients. The only room that names aws-sdk.

pub mod action;
mod error;
mod types;

pub use action::{Action, Facts, Fields};
pub use error::{AccountError, Kind};
pub use types::*;
