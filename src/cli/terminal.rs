//! Printing, and what else every subcommand needs: a runtime, the signals that end it.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};

use tokio::signal::unix::{SignalKind, signal};

use crate::base::{error_chain, text::visible};

/// The exit code for a wrong command line or a wrong configuration.
pub(super) const WRONG_USAGE: u8 = 2;
/// The exit code where nothing could be found out, or a result could not be written.
pub(super) const COULD_NOT_RUN: u8 = 3;

/// How many columns a line has where it is not for a terminal.
pub(super) const COLUMNS: usize = 110;

pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Waits for SIGINT or SIGTERM.
pub(super) async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminate.recv() => Ok(()),
    }
}

/// Writes a result to stdout, in which nothing steers a terminal, whoever has written what it holds. That a reader such as `head` has seen enough is no failure.
pub(super) fn print(text: &str) -> io::Result<()> {
    print_as_it_is(&visible(text))
}

/// Writes a file to stdout: as it is, but for a terminal.
pub(super) fn print_file(text: &str) -> io::Result<()> {
    if io::stdout().is_terminal() { print(text) } else { print_as_it_is(text) }
}

fn print_as_it_is(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// How many columns a line on standard output may have.
pub(super) fn columns() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(COLUMNS, |(terminal_size::Width(columns), _)| columns.into())
}

/// Prints an error. Nothing more can be done where stderr is closed.
pub(super) fn complain(text: &str) {
    let _closed = writeln!(io::stderr(), "error: {}", visible(text));
}

/// Why an address cannot be listened on, and what to do about it. `flag` is the one that names it.
pub(super) fn cannot_listen(error: &(dyn Error + 'static), flag: &str) -> anyhow::Error {
    let kind = error_chain::sources(error).find_map(|source| Some(source.downcast_ref::<io::Error>()?.kind()));
    let advice = match kind {
        Some(io::ErrorKind::AddrInUse) => {
            format!("Is another bridge running? Stop it, or choose another port with {flag} (0 takes a free one).")
        }
        Some(io::ErrorKind::PermissionDenied) => {
            format!("A port below 1024 may need a privilege: choose a higher one with {flag}.")
        }
        Some(io::ErrorKind::AddrNotAvailable) => {
            format!("This machine does not have that address: choose one that it has with {flag}, or 0.0.0.0 for all.")
        }
        _ => format!("Choose another address with {flag}."),
    };
    anyhow::anyhow!("{}. {advice}", error_chain::text(error))
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    #[default]
    Text,
    /// One JSON object.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_port_is_not_one_in_use() {
        let told = |kind: io::ErrorKind| cannot_listen(&io::Error::from(kind), "--listen").to_string();
        insta::assert_snapshot!(told(io::ErrorKind::PermissionDenied), @"permission denied. A port below 1024 may need a privilege: choose a higher one with --listen.");
        insta::assert_snapshot!(told(io::ErrorKind::AddrInUse), @"address in use. Is another bridge running? Stop it, or choose another port with --listen (0 takes a free one).");
    }
}
