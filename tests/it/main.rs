//! One test binary; each file below is one kind of test.

mod interrupt;
mod same_seed;
mod support;
mod tidy;
