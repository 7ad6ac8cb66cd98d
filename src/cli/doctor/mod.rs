//! `openim-bridge doctor`: what is wrong between OpenIM's webhooks.yml and the bridge.

mod probe;
mod render;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};

use super::terminal::{Output, WRONG_USAGE, complain, print, print_file, runtime};
use crate::base::yaml::read_text;
use crate::callback::CALLBACKS;
use crate::config;
use crate::doctor::{self, BridgeSide, Destination, Finding, Severity, Variable, Webhooks};
use render::{DoctorReport, count};

/// The exit code where nothing could be found out, or a result could not be written.
const COULD_NOT_RUN: u8 = 3;

/// Say what is wrong between OpenIM's webhooks.yml and the bridge, and what to do
///
/// Holds OpenIM's file, and the `IMENV_WEBHOOKS_…` variables over it, against the bridge's configuration: the callback not
/// enabled, a url that loses the command or leads elsewhere, timeouts, other callbacks that arrive too, and more; and lists what
/// happens to each callback that OpenIM sends. Changes nothing, and calls nothing without --probe.
///
/// Exit codes: 0 nothing is wrong (advice is not wrong), 1 something is, 2 wrong flags or files, 3 it could not be found
/// out, or the result could not be written.
#[derive(Debug, clap::Args)]
struct DoctorArgs {
    /// OpenIM's webhooks.yml
    #[arg(long, value_name = "FILE")]
    webhooks: Option<PathBuf>,

    /// A file with the variables of OpenIM's containers, NAME=value a line, in place of this process's environment
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,

    /// How OpenIM reaches the bridge, such as `http://bridge:10006`: OpenIM's `url` must lead there
    #[arg(long, value_name = "URL", value_parser = reached_at)]
    url: Option<Destination>,

    /// Call OpenIM's `url` as OpenIM does, with a request that the bridge answers without asking the decision service
    #[arg(long)]
    probe: bool,

    /// For --probe: a PEM file with certificates to trust for https, besides the system's, which are all that OpenIM trusts
    #[arg(long, value_name = "FILE", requires = "probe")]
    ca: Option<PathBuf>,

    /// Print the file with its faults corrected, where there is one right answer, and the findings to standard error
    #[arg(long, requires = "webhooks", conflicts_with_all = ["output", "probe"])]
    fix: bool,

    /// How the result is written to standard output
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Output,
}

/// The subcommand, with the settings that say what OpenIM finds where it calls.
#[must_use]
pub fn command() -> Command {
    DoctorArgs::augment_args(Command::new("doctor")).args(config::listener_args())
}

fn code(findings: &[Finding]) -> ExitCode {
    if count(findings, Severity::Wrong) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Reads everything, and prints what is wrong. The environment is such as [`std::env::vars_os`].
///
/// # Errors
///
/// Only for what is wrong with the flags themselves; all else is an exit code.
pub fn run(flags: &ArgMatches, environment: Vec<(OsString, OsString)>) -> anyhow::Result<ExitCode> {
    let args = DoctorArgs::from_arg_matches(flags)?;
    let (wrong, failed) = (
        |error: anyhow::Error| {
            complain(&format!("{error:#}"));
            ExitCode::from(WRONG_USAGE)
        },
        |error: anyhow::Error| {
            complain(&format!("{error:#}"));
            ExitCode::from(COULD_NOT_RUN)
        },
    );
    let read = args.read(flags, environment);
    Ok(match read {
        Err(error) => wrong(error),
        Ok(read) if args.fix => read.fix().unwrap_or_else(failed),
        Ok(read) => match args.probe.then(|| probe::Probe::new(&read.webhooks, args.ca.as_deref())).transpose() {
            Err(error) => wrong(error.into()),
            Ok(probe) => read.report(probe.flatten(), args.output).unwrap_or_else(failed),
        },
    })
}

/// All that is compared.
struct Read<'a> {
    /// The text of webhooks.yml, and where it is.
    file: Option<(String, &'a Path)>,
    variables: Vec<Variable>,
    /// Both, as OpenIM reads them.
    webhooks: Webhooks,
    loaded: config::Loaded,
    reached_at: Option<&'a Destination>,
}

impl DoctorArgs {
    fn read(&self, flags: &ArgMatches, environment: Vec<(OsString, OsString)>) -> anyhow::Result<Read<'_>> {
        let read = |path: &Path| read_text(path).with_context(|| format!("{}: cannot be read", path.display()));
        let loaded = config::load(flags, environment.clone())?;
        let variables = match &self.env {
            Some(path) => doctor::in_file(&read(path)?, path),
            None => doctor::in_environment(environment),
        };
        let file = self.webhooks.as_deref().map(|path| Ok::<_, anyhow::Error>((read(path)?, path))).transpose()?;
        let mut webhooks = match &file {
            Some((text, path)) => Webhooks::parse(text, path)?,
            None if variables.is_empty() => anyhow::bail!(
                "there is nothing to look at: name OpenIM's file with --webhooks, or a file that sets IMENV_WEBHOOKS_… variables with --env"
            ),
            None => Webhooks::default(),
        };
        webhooks.apply(&variables);
        Ok(Read { file, variables, webhooks, loaded, reached_at: self.url.as_ref() })
    }
}

impl Read<'_> {
    const fn bridge(&self) -> BridgeSide<'_> {
        BridgeSide { loaded: &self.loaded, served: CALLBACKS, reached_at: self.reached_at }
    }

    fn report(self, probe: Option<probe::Probe>, output: Output) -> anyhow::Result<ExitCode> {
        let mut findings = doctor::examine(&self.webhooks, self.bridge());
        let probed = probe.map(|probe| Ok::<_, anyhow::Error>(runtime()?.block_on(probe.run()))).transpose()?;
        findings.extend(probed.iter().filter_map(|probed| probed.finding.clone()));
        let handled = render::handled(&self.webhooks, &self.loaded);
        let report = DoctorReport { webhooks: self.webhooks, findings, handled, probed };
        print(&render::report(&report, output))?;
        Ok(code(&report.findings))
    }

    fn fix(self) -> anyhow::Result<ExitCode> {
        let Some((text, path)) = &self.file else { return Ok(ExitCode::from(WRONG_USAGE)) };
        let examine = |mut webhooks: Webhooks| {
            webhooks.apply(&self.variables);
            doctor::examine(&webhooks, self.bridge())
        };
        let fixed = doctor::fix(text, path, examine)?;
        print_file(&fixed.text)?;
        render::fixed(&fixed);
        Ok(code(&fixed.left))
    }
}

fn reached_at(text: &str) -> Result<Destination, String> {
    Destination::parse(text, CALLBACKS).map_err(|_| "expected a URL such as http://bridge:10006".to_owned())
}
