//! Arguments in, exit code out.

use std::process::exit;

fn main() {
    let args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    exit(bgx::cli::main(args));
}
