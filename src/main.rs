//! Arguments in, exit code out.

use mimalloc::MiMalloc;
use std::process::exit;

/// A call through the SDK makes hundreds of small allocations.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    exit(bgx::cli::main(args));
}
