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
mod journals;
mod killed_at_random;
#[cfg(feature = "failpoints")]
mod kills;
mod locks;
mod machines;
mod moto;
mod mutants;
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
mod stage;
mod support;
mod sweeps;
mod tidy;
mod transcribed;
