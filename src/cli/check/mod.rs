//! `openim-bridge check`: the conformance test of a decision service.

mod junit;
mod render;

use std::{ffi::OsString, fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};

use super::progress::Progress;
use super::terminal::{WRONG_USAGE, complain, print, runtime};
use crate::base::error_chain;
use crate::check::{self, CASES, Case, CheckLimits, CheckPlan, Expectations};
use crate::config;
use crate::upstream::Direct;
use render::CheckOutput;

/// The exit code where no case could be run.
const COULD_NOT_RUN: u8 = 3;

/// No call may be waited for longer.
const MAX_TIMEOUT: Duration = Duration::from_mins(10);

/// Test a decision service, in any language, against the contract
///
/// Runs cases against it over gRPC, and says for each failure what was seen, why it matters in production and what to do.
/// Meant for a service under test: the cases hold odd texts, 1,000 concurrent calls and 1,000 cancelled ones.
///
/// Exit codes: 0 nothing failed (advice is no failure), 1 a case failed, 2 wrong flags, configuration or table, 3 the
/// service could not be reached, or a result could not be written.
#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// How long an ordinary call may take
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = limit)]
    deadline: Duration,

    /// How long any other call may take; every call carries it as its gRPC deadline
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = limit)]
    timeout: Duration,

    /// A YAML file with questions and the decision that each must get: one case more for each
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,

    /// Run this case only (may be repeated; `--list` has the names); `serves-rpc` always comes first
    #[arg(long, value_name = "NAME", value_parser = case_name)]
    case: Vec<String>,

    /// Do not run this case (may be repeated)
    #[arg(long, value_name = "NAME", value_parser = case_name)]
    skip: Vec<String>,

    /// Show the cases, and run none
    #[arg(long)]
    list: bool,

    /// How the result is written to standard output
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    output: CheckOutput,

    /// Write the result to this file too, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// The subcommand, with the settings that say how the service is reached.
#[must_use]
pub fn command() -> Command {
    CheckArgs::augment_args(Command::new("check")).args(config::upstream_args())
}

/// Runs the cases, and prints what came of them. The environment is such as [`std::env::vars_os`].
///
/// # Errors
/// When standard output cannot be written to.
pub fn run(
    flags: &ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> anyhow::Result<ExitCode> {
    let args = CheckArgs::from_arg_matches(flags)?;
    let wrong = |text: String| {
        complain(&text);
        Ok(ExitCode::from(WRONG_USAGE))
    };
    let expectations = match args.expect.as_deref().map(Expectations::load).transpose() {
        Ok(expectations) => expectations,
        Err(error) => return wrong(error_chain::text(&error)),
    };
    let cases: Vec<&Case> = CASES.iter().filter(|case| args.wants(case)).collect();
    let plan = CheckPlan { cases: &cases, expectations: expectations.as_ref().map_or(&[], Expectations::rows) };
    if args.list {
        print(&render::list(plan, args.output))?;
        return Ok(ExitCode::SUCCESS);
    }
    let upstream = match config::load(flags, environment) {
        Ok(loaded) => loaded.settings.upstream,
        Err(error) => return wrong(error.to_string()),
    };
    if let [_, other, ..] = &*upstream.addresses {
        return wrong(format!("one service is tested at a time: give one --upstream, without {other}"));
    }
    let outcome = Direct::new(upstream.clone()).map_err(anyhow::Error::from).and_then(|direct| {
        let limits = CheckLimits { deadline: args.deadline, timeout: args.timeout };
        let report = runtime()?.block_on(async {
            let (mut progress, mut number) = (Progress::new(), 0);
            let begins = |name: &str| {
                progress.show(&format!("{number} of {}: {name}", plan.len()));
                number += 1;
            };
            check::run(direct, &upstream, limits, plan, begins).await
        });
        print(&render::report(&report, args.output))?;
        if let Some(path) = &args.junit {
            let xml = junit::xml(&report)?;
            fs::write(path, xml).with_context(|| format!("cannot write --junit {}", path.display()))?;
        }
        Ok(report)
    });
    Ok(match outcome {
        Ok(report) if report.ok() => ExitCode::SUCCESS,
        Ok(report) if report.unreachable.is_none() => ExitCode::FAILURE,
        Ok(_) => ExitCode::from(COULD_NOT_RUN),
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(COULD_NOT_RUN)
        }
    })
}

impl CheckArgs {
    fn wants(&self, case: &Case) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == case.name);
        let first = case.name == CASES[0].name;
        let asked_for = self.case.is_empty() || named(&self.case) || first;
        asked_for && !named(&self.skip)
    }
}

fn limit(text: &str) -> Result<Duration, String> {
    let limit = humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 500ms or 4s"))?;
    if limit < Duration::from_millis(10) || limit > MAX_TIMEOUT {
        return Err("it must be 10ms to 10m".to_owned());
    }
    Ok(limit)
}

fn case_name(name: &str) -> Result<String, String> {
    if CASES.iter().any(|case| case.name == name) {
        return Ok(name.to_owned());
    }
    let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    Err(format!("there is no such case; there is {}", names.join(", ")))
}
