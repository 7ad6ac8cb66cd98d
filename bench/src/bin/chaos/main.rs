//! Does the bridge survive what happens in production, under a steady load and with real processes?
//!
//! Each scenario starts a bridge and several of its bundled decision services, sends callbacks at a constant rate as
//! OpenIM's client does, brings about one fault, and holds what became of the callbacks against what the bridge
//! promises. All settings of the bridge are as they come, but for the fallback, which is `refuse` so that each one shows.
//! Times are taken at the client and include connecting.
//!
//! - `lab`: what every scenario needs: services, a bridge, a load, promises.
//! - `endpoints`, `network`, `certificates`, `load`, `deliveries`, `forwarding`: the scenarios. `flood`: those of `--overload`.
//! - `told`: a service that writes down of which events it was told, and what must come out even. `service`: its process.
//! - `old_receiver`: the receiver of forwarded callbacks, and its ways to fail.
//! - `report`: the table, the machine, and `docs/reliability.md`.
//!
//! Exits with 0 when every promise was kept, 1 when not, 2 for a usage error.

mod certificates;
mod deliveries;
#[path = "../../../../tests/kit/dns.rs"]
mod dns;
mod endpoints;
mod flood;
mod forwarding;
mod lab;
mod load;
mod network;
mod old_receiver;
mod report;
mod service;
mod told;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use lab::{Lab, Scenario};
use openim_bridge_bench::runtime;
use report::Row;
use service::ServiceArguments;

/// Brings about the faults of production under a steady load, and shows what became of the callbacks.
#[derive(Debug, Parser)]
#[command(after_help = "Exits with 0 when every promise was kept, 1 when not, 2 for a usage error.")]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    own: Option<Own>,
    /// The overload by after callbacks, in place of the other scenarios.
    #[arg(long)]
    overload: bool,
    /// These scenarios only.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// A build of openim-bridge.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    bridge: Option<PathBuf>,
    /// Callbacks a second.
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(10..=1000))]
    rate: u32,
    /// Name the scenarios, and end.
    #[arg(long)]
    list: bool,
    /// Print the table in Markdown.
    #[arg(long)]
    markdown: bool,
    /// Put the table in Markdown, and the machine's name, between the markers in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "names")]
    docs: Option<PathBuf>,
}

/// What a scenario starts.
#[derive(Debug, Subcommand)]
enum Own {
    #[command(hide = true)]
    Service(ServiceArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn scenarios(overload: bool) -> impl Iterator<Item = &'static Scenario> {
    let groups: &[&'static [Scenario]] = if overload {
        &[flood::ALL]
    } else {
        &[endpoints::ALL, network::ALL, certificates::ALL, load::ALL, deliveries::ALL, forwarding::ALL]
    };
    groups.iter().flat_map(|group| group.iter())
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if let Some(Own::Service(service)) = arguments.own {
        runtime::run(service::serve(service))?;
        return Ok(ExitCode::SUCCESS);
    }
    let scenarios: Vec<_> = scenarios(arguments.overload).collect();
    if arguments.list {
        for scenario in scenarios {
            println!("{:<22} {}", scenario.name, scenario.fault);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = arguments.names.iter().find(|name| !scenarios.iter().any(|scenario| scenario.name == **name))
    {
        eprintln!("error: no scenario is called \"{unknown}\"; --list names them");
        return Ok(ExitCode::from(2));
    }
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit on open files")?;
    let lab = Lab { bridge: arguments.bridge.context("--bridge is needed")?, rate: arguments.rate };
    let rows = runtime::run(run_all(&lab, &scenarios, &arguments.names))?;
    let kept = rows.iter().all(Row::is_kept);
    if arguments.markdown {
        print!("{}", report::markdown(&rows));
    } else {
        print!("{}", report::text(&rows));
    }
    if let Some(docs) = &arguments.docs {
        if !kept {
            bail!("{} is left as it is, since a promise was not kept", docs.display());
        }
        let command = if arguments.overload { "just overload-docs" } else { "just chaos-docs" };
        report::write(docs, command, &rows)?;
    }
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_all(lab: &Lab, scenarios: &[&'static Scenario], names: &[String]) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let is_wanted = |scenario: &Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    for scenario in scenarios.iter().filter(|scenario| is_wanted(scenario)) {
        let run = (scenario.run)(lab).await.with_context(|| scenario.name)?;
        let row = Row::new(scenario, run);
        eprintln!("{}", row.progress());
        rows.push(row);
    }
    Ok(rows)
}
