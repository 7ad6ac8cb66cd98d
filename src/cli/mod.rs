//! The command line: one file per subcommand, and the only place that prints to the terminal.
//!
//! Results go to stdout, logs and errors to stderr. Exit codes of every subcommand: 0 done, 1 failed, 2 wrong usage or
//! configuration; what else a subcommand uses is in its help.

pub mod check;
pub mod completions;
pub mod config;
pub mod demo;
pub mod doctor;
mod handling;
pub mod mock;
pub mod probe;
mod progress;
pub mod proto;
pub mod send;
pub mod serve;
mod terminal;
mod text;

use std::{env, ffi::OsStr, process::ExitCode};

use crate::telemetry::log;
use clap::{ArgMatches, Command};
use terminal::{WRONG_USAGE, complain, runtime};

/// Parses the command line, and runs the subcommand that it names.
#[must_use]
pub fn main() -> ExitCode {
    let matches = command_for(env::args_os().nth(1).as_deref()).get_matches();
    let named = matches.subcommand().and_then(|(name, flags)| Some((subcommand(name.as_ref())?, flags)));
    let done = match named {
        Some((subcommand, flags)) => (subcommand.run)(flags),
        None => Ok(ExitCode::from(WRONG_USAGE)),
    };
    // So that an error stands below the lines that led to it.
    log::flush();
    done.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// What the first argument names.
struct Subcommand {
    name: &'static str,
    /// Its flags, and what they are for.
    describe: fn() -> Command,
    run: fn(&ArgMatches) -> anyhow::Result<ExitCode>,
}

const SUBCOMMANDS: [Subcommand; 10] = [
    Subcommand { name: "serve", describe: serve::command, run: |flags| serve::run(flags, env::vars_os()) },
    Subcommand { name: "demo", describe: || described::<demo::DemoArgs>("demo"), run: |flags| with(flags, demo::run) },
    Subcommand { name: "mock", describe: || described::<mock::MockArgs>("mock"), run: |flags| with(flags, mock::run) },
    Subcommand { name: "send", describe: || described::<send::SendArgs>("send"), run: |flags| with(flags, send::run) },
    Subcommand { name: "check", describe: check::command, run: |flags| check::run(flags, env::vars_os()) },
    Subcommand { name: "probe", describe: probe::command, run: |flags| probe::run(flags, env::vars_os()) },
    Subcommand { name: "doctor", describe: doctor::command, run: |flags| doctor::run(flags, env::vars_os().collect()) },
    Subcommand {
        name: "proto",
        describe: || described::<proto::ProtoArgs>("proto"),
        run: |flags| with(flags, proto::run),
    },
    Subcommand { name: "config", describe: config::command, run: |flags| config::run(flags, env::vars_os()) },
    Subcommand {
        name: "completions",
        describe: || described::<completions::CompletionsArgs>("completions"),
        run: |flags| with(flags, completions::run),
    },
];

fn subcommand(name: &OsStr) -> Option<&'static Subcommand> {
    SUBCOMMANDS.iter().find(|subcommand| name == subcommand.name)
}

/// A subcommand whose flags are a struct.
fn described<A: clap::Args>(name: &'static str) -> Command {
    A::augment_args(Command::new(name))
}

/// The whole command line.
#[must_use]
pub fn command() -> Command {
    with_subcommands(SUBCOMMANDS.iter().map(|subcommand| (subcommand.describe)()))
}

/// The same, of that subcommand alone where the first argument names it: to describe all the flags of the others takes
/// memory, which is kept.
fn command_for(first: Option<&OsStr>) -> Command {
    match first.and_then(subcommand) {
        Some(subcommand) => with_subcommands([(subcommand.describe)()]),
        None => command(),
    }
}

fn with_subcommands(subcommands: impl IntoIterator<Item = Command>) -> Command {
    Command::new("openim-bridge")
        .version(crate::base::VERSION)
        .about("Turns OpenIM Server's webhook callbacks into typed gRPC calls to your decision service")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(subcommands)
}

/// Runs a subcommand whose flags are a struct, on a runtime of one thread.
fn with<A, F>(flags: &ArgMatches, run: impl FnOnce(A) -> F) -> anyhow::Result<ExitCode>
where
    A: clap::FromArgMatches,
    F: Future<Output = anyhow::Result<ExitCode>>,
{
    let args = A::from_arg_matches(flags)?;
    runtime()?.block_on(run(args))
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
        for subcommand in SUBCOMMANDS {
            assert_eq!((subcommand.describe)().get_name(), subcommand.name);
        }
    }
}
