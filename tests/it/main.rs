//! One test binary; each file below is one kind of test.

mod account_moto;
mod boto3;
mod interrupt;
mod moto;
mod permissions;
mod process;
mod same_seed;
mod signals;
mod support;
