//! `openim-bridge completions`: writes a shell's completions of this command line.

use std::process::ExitCode;

use clap_complete::Shell;

use super::terminal::print;

/// Write the completions of commands and flags for a shell
///
/// Try them in bash with `source <(openim-bridge completions bash)`. docs/cli.md says where each shell looks for them.
///
/// Exit codes: 0 done, 1 they could not be written, 2 wrong flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Writes them to standard output.
///
/// # Errors
/// When standard output cannot be written to.
pub async fn run(args: CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut completions = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "openim-bridge", &mut completions);
    print(&String::from_utf8_lossy(&completions))?;
    Ok(ExitCode::SUCCESS)
}
