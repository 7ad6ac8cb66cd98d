//! Printing, and what else every subcommand needs: a runtime, the signals that end it.

use std::io::{self, IsTerminal as _, Write as _};

use tokio::signal::unix::{SignalKind, signal};

use crate::base::text::visible;

/// The exit code for a wrong command line or a wrong configuration.
pub(super) const WRONG_USAGE: u8 = 2;
/// The exit code where nothing could be found out, or a result could not be written.
pub(super) const COULD_NOT_RUN: u8 = 3;

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

/// How wide standard output is.
pub(super) fn columns() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(110, |(terminal_size::Width(columns), _)| columns.into())
}

/// An error for people. Nothing more can be done where stderr is closed.
pub(super) fn complain(text: &str) {
    let _closed = writeln!(io::stderr(), "error: {}", visible(text));
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    #[default]
    Text,
    /// One JSON object.
    Json,
}
