//! The program: see the library's `cli` for what it can do.

use std::process::ExitCode;

/// Memory is given back to the system sooner, and allocating costs less, than with the system's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    openim_bridge::cli::main()
}
