//! One test binary; each file below is one kind of test.

mod account_moto;
mod approve;
mod audited;
mod bad_input;
mod bad_surroundings;
mod boto3;
mod broken;
mod cli;
mod docs;
mod exit_codes;
mod gate;
mod interrupt;
mod killed_at_random;
#[cfg(feature = "failpoints")]
mod kills;
mod locks;
mod moto;
mod overdue;
mod permissions;
mod playbook_tests;
mod process;
mod program;
mod prove;
mod recovery;
mod refusals;
mod release;
mod same_seed;
mod signals;
mod support;
mod sweeps;
mod tidy;
