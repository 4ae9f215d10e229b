//! One test binary; each file below is one kind of test.

mod audited;
mod interrupt;
mod same_seed;
mod support;
