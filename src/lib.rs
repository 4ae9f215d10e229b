//! bgx: playbooks in Rhai that deploy on AWS Auto Scaling groups and load balancers.
//!
//! The rooms, top down; an arrow never points up (ARCHITECTURE.md has the table that a test reads):
//! `cli` prints and asks, `prove` plays playbooks under faults, `script` hosts Rhai and the verbs, `host` opens a target, `run` is the gate through which
//! everything passes, `account` speaks to AWS through its SDK, `sandbox` is the simulated AWS, `config` is `bgx.toml`.

pub mod account;
pub mod cli;
pub mod config;
pub mod host;
pub mod prove;
pub mod run;
pub mod sandbox;
pub mod script;
