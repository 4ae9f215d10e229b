//! One test binary; each file below is one kind of test.

mod account_moto;
mod audited;
mod bad_input;
mod bad_surroundings;
mod boto3;
mod cli;
mod docs;
mod interrupt;
mod locks;
mod moto;
mod mutants;
mod permissions;
mod process;
mod program;
mod prove;
mod recovery;
mod refusals;
mod same_seed;
mod signals;
mod stage;
mod support;
mod sweeps;
mod tidy;
mod transcribed;
