//! The command line: one file per subcommand, and the only place that prints for people.
//!
//! Results go to stdout, logs and errors to stderr. Exit codes of every subcommand: 0 done, 1 failed, 2 wrong usage or
//! configuration; what else a subcommand uses is in its help.

pub mod check;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod mock;
pub mod probe;
mod progress;
pub mod proto;
pub mod send;
pub mod serve;
mod text;

use std::{
    env,
    ffi::OsStr,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Args as _, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::telemetry;

/// Parses the command line, and runs the subcommand that it names.
#[must_use]
pub fn main() -> ExitCode {
    let matches = command_for(env::args_os().nth(1).as_deref()).get_matches();
    let done = match matches.subcommand() {
        Some(("serve", flags)) => serve::run(flags, env::vars_os()),
        Some(("demo", flags)) => with(flags, demo::run),
        Some(("mock", flags)) => with(flags, mock::run),
        Some(("send", flags)) => with(flags, send::run),
        Some(("check", flags)) => check::run(flags, env::vars_os()),
        Some(("probe", flags)) => probe::run(flags, env::vars_os()),
        Some(("doctor", flags)) => doctor::run(flags, env::vars_os().collect()),
        Some(("proto", flags)) => with(flags, proto::run),
        Some(("config", flags)) => config::run(flags, env::vars_os()),
        _ => Ok(ExitCode::from(WRONG_USAGE)),
    };
    // So that an error stands below the lines that led to it.
    telemetry::flush_logs();
    done.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// The exit code for a wrong command line or a wrong configuration.
const WRONG_USAGE: u8 = 2;

/// Describes a subcommand: its flags, and what they are for.
type Describe = fn() -> Command;

/// Every subcommand, by its name.
const SUBCOMMANDS: [(&str, Describe); 9] = [
    ("serve", serve::command),
    ("demo", || demo::Args::augment_args(Command::new("demo"))),
    ("mock", || mock::Args::augment_args(Command::new("mock"))),
    ("send", || send::Args::augment_args(Command::new("send"))),
    ("check", check::command),
    ("probe", probe::command),
    ("doctor", doctor::command),
    ("proto", || proto::Args::augment_args(Command::new("proto"))),
    ("config", config::command),
];

/// The whole command line.
#[must_use]
pub fn command() -> Command {
    with_subcommands(SUBCOMMANDS.map(|(_, describe)| describe()))
}

fn with_subcommands(subcommands: impl IntoIterator<Item = Command>) -> Command {
    Command::new("openim-bridge")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Answers OpenIM Server's callbacks from a team's own gRPC services")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(subcommands)
}

/// The same, of that subcommand alone where the first argument names it: to describe all the flags of the others takes
/// memory, which is kept.
fn command_for(first: Option<&OsStr>) -> Command {
    match SUBCOMMANDS.iter().find(|(name, _)| first == Some(name.as_ref())) {
        Some((_, describe)) => with_subcommands([describe()]),
        None => command(),
    }
}

/// Runs a subcommand whose flags are a struct, on a runtime of one thread.
fn with<A, F>(flags: &clap::ArgMatches, run: impl FnOnce(A) -> F) -> anyhow::Result<ExitCode>
where
    A: clap::FromArgMatches,
    F: Future<Output = anyhow::Result<ExitCode>>,
{
    let args = A::from_arg_matches(flags)?;
    runtime()?.block_on(run(args))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Waits for SIGINT or SIGTERM.
async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminate.recv() => Ok(()),
    }
}

/// Writes a result to stdout. That a reader such as `head` has seen enough is no failure.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// An error for people. Nothing more can be done where stderr is closed.
fn complain(text: &str) {
    let _closed = writeln!(io::stderr(), "error: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_flags_collide() {
        command().debug_assert();
    }

    #[test]
    fn each_subcommand_goes_by_its_name() {
        for (name, describe) in SUBCOMMANDS {
            assert_eq!(describe().get_name(), name);
        }
    }
}
