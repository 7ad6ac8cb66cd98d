//! `openim-bridge check`: the conformance test of a decision service.

mod junit;
mod render;

use std::{
    cell::RefCell,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};

use super::progress::Progress;
use super::terminal::{COULD_NOT_RUN, WRONG_USAGE, complain, print, runtime};
use crate::base::{error_chain, yaml::read_text};
use crate::callback::{CALLBACKS, Callback};
use crate::check::{self, CASES, Case, CheckLimits, CheckPlan, CheckSettings, Expectation, Expectations};
use crate::config;
use crate::upstream::Direct;
use render::CheckOutput;

/// No call may be waited for longer.
const MAX_TIMEOUT: Duration = Duration::from_mins(10);

/// Test a decision service, in any language, against the contract
///
/// Calls every rpc that the service implements, and explains for each failure what was seen, why it matters in production and
/// how to fix it. Do not run it against a service in production: the cases include odd texts, messages of 1 MB, 1,000
/// concurrent calls and 1,000 cancelled ones. It takes at most 15 times --timeout: 60 s.
///
/// Exit codes: 0 nothing failed (advice is no failure), 1 a case failed, 2 wrong flags, configuration or table, 3 the
/// service could not be reached, or a result could not be written.
#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// How long an ordinary call may take
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = limit)]
    deadline: Duration,

    /// How long any other call may take; it is the gRPC deadline of every call
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = limit)]
    timeout: Duration,

    /// Test this callback only, by its key in webhooks.yml (may be repeated); it must be implemented
    #[arg(long, value_name = "CALLBACK", value_parser = callback)]
    only: Vec<String>,

    /// A file with your own texts, one per line, to try in every text field
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,

    /// A YAML file with requests and the decision that each must get; each is one more case
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,

    /// Run this case only (may be repeated; `--list` has the names); `serves-rpc` and `decides` always come first
    #[arg(long, value_name = "NAME", value_parser = case_name)]
    case: Vec<String>,

    /// Do not run this case (may be repeated)
    #[arg(long, value_name = "NAME", value_parser = case_name)]
    skip: Vec<String>,

    /// List the cases without running them
    #[arg(long)]
    list: bool,

    /// The format of the result on standard output
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    output: CheckOutput,

    /// Also write the result to this file, as JUnit XML
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
    let settings = match config::load(flags, environment) {
        Ok(loaded) => loaded.settings,
        Err(error) => return wrong(error.to_string()),
    };
    let codes = settings.bridge.refusal.codes;
    let table = args.expect.as_deref().map(|path| Expectations::load(path, &codes)).transpose();
    let table = match table {
        Ok(table) => table.unwrap_or_default(),
        Err(error) => return wrong(error_chain::text(&error)),
    };
    let texts = match args.texts.as_deref().map(own_texts).transpose() {
        Ok(texts) => texts.unwrap_or_default(),
        Err(error) => return wrong(format!("{error:#}")),
    };
    let is_asked_for = |callback: &Callback| args.only.is_empty() || args.only.iter().any(|name| name == callback.name);
    let cases: Vec<&Case> = CASES.iter().filter(|case| args.wants(case)).collect();
    let rows: Vec<&Expectation> = table.rows().iter().filter(|row| is_asked_for(row.callback())).collect();
    let plan = CheckPlan { cases: &cases, expectations: &rows };
    if args.list {
        print(&render::list(plan, args.output))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let [_, other, ..] = &*settings.upstream.addresses {
        return wrong(format!("one service is tested at a time: give one --upstream, without {other}"));
    }
    let only = CALLBACKS.iter().filter(|callback| !args.only.is_empty() && is_asked_for(callback)).collect();
    let limits = CheckLimits { deadline: args.deadline, timeout: args.timeout };
    let settings = CheckSettings { upstream: settings.upstream, limits, codes, only, texts };
    let outcome = Direct::new(settings.upstream.clone()).map_err(anyhow::Error::from).and_then(|direct| {
        let report = runtime()?.block_on(async {
            let line = RefCell::new(Progress::new());
            let progress = |done, of, what: &str| line.borrow_mut().show(&format!("{done} of {of}: {what}"));
            check::run(direct, &settings, plan, progress).await
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
        let asked_for = self.case.is_empty() || named(&self.case);
        let can_be_run = self.texts.is_some() || !case.needs_texts();
        (asked_for && can_be_run && !named(&self.skip)) || case.is_always_run()
    }
}

fn limit(text: &str) -> Result<Duration, String> {
    let limit = humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 500ms or 4s"))?;
    if limit < Duration::from_millis(10) || limit > MAX_TIMEOUT {
        return Err("it must be 10ms to 10m".to_owned());
    }
    Ok(limit)
}

/// The texts of a file, one a line. None of them is empty.
fn own_texts(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = read_text(path).with_context(|| format!("cannot read --texts {}", path.display()))?;
    let texts: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    anyhow::ensure!(!texts.is_empty(), "--texts {} holds no text", path.display());
    Ok(texts)
}

fn callback(name: &str) -> Result<String, String> {
    let is_known = CALLBACKS.iter().any(|callback| callback.name == name);
    is_known.then(|| name.to_owned()).ok_or_else(|| "there is no such callback; `config show` lists all".to_owned())
}

fn case_name(name: &str) -> Result<String, String> {
    if CASES.iter().any(|case| case.name == name) {
        return Ok(name.to_owned());
    }
    let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    Err(format!("there is no such case; there is {}", names.join(", ")))
}
