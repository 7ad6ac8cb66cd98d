//! The program: see the library's `cli` for what it can do.

use std::process::ExitCode;

fn main() -> ExitCode {
    openim_bridge::cli::main()
}
