//! One test binary; each file below is one kind of test.

mod bad_input;
mod bad_surroundings;
mod cli;
mod interrupt;
mod program;
mod refusals;
mod same_seed;
mod support;
