//! `openim-bridge doctor`: what is wrong between OpenIM's webhooks.yml and the bridge.

mod probe;
mod render;
mod service;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};

use futures_util::future::OptionFuture;

use super::terminal::{COULD_NOT_RUN, Output, WRONG_USAGE, complain, print, print_file, runtime};
use crate::base::yaml::read_text;
use crate::callback::CALLBACKS;
use crate::config;
use crate::doctor::{
    self, BridgeSide, Destination, Finding, Oddity, Place, ServiceRpcs, Severity, Unreadable, Variable, Webhooks,
};
use render::{DoctorReport, count};

/// Check OpenIM's webhooks.yml against the bridge, and explain what is wrong and how to fix it
///
/// Compares OpenIM's file, and the `IMENV_WEBHOOKS_…` variables that override it, with the bridge's configuration: no callback
/// enabled, a url that loses the command or leads elsewhere, timeouts, callbacks without an rpc, and more. A table shows what
/// happens to each callback that OpenIM sends. It changes nothing, and calls nothing without --probe or --upstream.
///
/// With --upstream, or with --probe and `upstream.addresses` in the configuration, it calls the rpc of each enabled callback
/// once, to learn whether the service implements it: an empty request with the operation ID openim-bridge-doctor.
///
/// Exit codes: 0 nothing is wrong (advice does not count), 1 something is wrong, 2 wrong flags or files, 3 inconclusive, or the
/// result could not be written.
#[derive(Debug, clap::Args)]
struct DoctorArgs {
    /// OpenIM's webhooks.yml, or the Kubernetes object that holds it
    #[arg(long, value_name = "FILE")]
    webhooks: Option<PathBuf>,

    /// A file that sets the variables of OpenIM's containers, instead of this process's environment: NAME=value lines, a
    /// docker-compose.yaml, or a Kubernetes object
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,

    /// The address by which OpenIM reaches the bridge, such as `http://bridge:10006`, if a proxy, Service or port mapping is in
    /// between
    #[arg(long, value_name = "URL", value_parser = reached_at)]
    url: Option<Destination>,

    /// Call OpenIM's `url` as OpenIM does, with a request that the bridge answers itself. Also call the decision service, if the
    /// configuration names one, as with --upstream
    #[arg(long)]
    probe: bool,

    /// For --probe: a PEM file with certificates to trust for https, besides the system's. OpenIM trusts only the system's
    #[arg(long, value_name = "FILE", requires = "probe")]
    ca: Option<PathBuf>,

    /// Print a corrected copy of the file, and the findings to standard error. It changes only what has exactly one valid fix, and
    /// keeps comments and order
    #[arg(long, requires = "webhooks", conflicts_with_all = ["output", "probe"])]
    fix: bool,

    /// The format of the result on standard output
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
        Ok(read) if args.fix => {
            read.fix().unwrap_or_else(|error| if error.is::<Unreadable>() { wrong(error) } else { failed(error) })
        }
        Ok(read) => match args.calls(&read) {
            Err(error) => wrong(error),
            Ok((probe, service)) => read.report(probe, service, args.output).unwrap_or_else(failed),
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
    fn calls(&self, read: &Read<'_>) -> anyhow::Result<(Option<probe::Probe>, Option<service::ServiceProbe>)> {
        let probe = self.probe.then(|| probe::Probe::new(&read.webhooks, self.ca.as_deref())).transpose()?;
        let service = service::ServiceProbe::new(&read.webhooks, &read.loaded, self.probe)?;
        Ok((probe.flatten(), service))
    }

    fn read(&self, flags: &ArgMatches, environment: Vec<(OsString, OsString)>) -> anyhow::Result<Read<'_>> {
        let read = |path: &Path| read_text(path).with_context(|| format!("{}: cannot be read", path.display()));
        let loaded = config::load(flags, environment.clone())?;
        let variables = match &self.env {
            Some(path) => doctor::in_file(&read(path)?, path)?,
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
        if let (Some(path), true) = (&self.env, variables.is_empty()) {
            webhooks.oddities.push(Oddity::NoVariables { at: Place::File { path: path.clone(), line: 1, column: 1 } });
        }
        Ok(Read { file, variables, webhooks, loaded, reached_at: self.url.as_ref() })
    }
}

impl Read<'_> {
    const fn bridge<'a>(&'a self, service: Option<&'a ServiceRpcs>) -> BridgeSide<'a> {
        BridgeSide { loaded: &self.loaded, served: CALLBACKS, reached_at: self.reached_at, service }
    }

    fn report(
        self,
        probe: Option<probe::Probe>,
        service: Option<service::ServiceProbe>,
        output: Output,
    ) -> anyhow::Result<ExitCode> {
        let (probed, service) = runtime()?.block_on(async {
            let probed = OptionFuture::from(probe.map(probe::Probe::run)).await;
            (probed, OptionFuture::from(service.map(service::ServiceProbe::run)).await)
        });
        let (service, unreachable) = match service {
            Some(Err(finding)) => (None, Some(finding)),
            service => (service.and_then(Result::ok), None),
        };
        let mut findings = doctor::examine(&self.webhooks, self.bridge(service.as_ref()));
        findings.extend(probed.iter().filter_map(|probed| probed.finding.clone()).chain(unreachable));
        let handled = render::handled(&self.webhooks, &self.loaded, service.as_ref());
        let report = DoctorReport { webhooks: self.webhooks, loaded: self.loaded, findings, handled, probed, service };
        print(&render::report(&report, output))?;
        Ok(code(&report.findings))
    }

    fn fix(self) -> anyhow::Result<ExitCode> {
        let Some((text, path)) = &self.file else { return Ok(ExitCode::from(WRONG_USAGE)) };
        let examine = |mut webhooks: Webhooks| {
            webhooks.apply(&self.variables);
            doctor::examine(&webhooks, self.bridge(None))
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
