//! After callbacks from OpenIM's own queue, through the bridge and through what could be put in its place, to a decision
//! service that takes 20 ms for each.
//!
//! OpenIM's queue has 100 places and 2 workers. A worker waits for the answer to the event that it has sent. So whoever
//! answers only after the service has been told takes 2 events in 20 ms, and users' calls wait for a place.
//!
//! - `lab`: one contender under one load, and what became of the events.
//! - `report`: the goals, and the tables with them.
//!
//! Exits with 0 when every goal is met, 1 when one is missed or something failed, 2 for a usage error.

mod lab;
mod report;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Parser;
use lab::{BURST, Load, SUSTAINED};
use openim_bridge_bench::{
    contender::{BRIDGE, BY_HAND, Contender, ENVOY, Programs},
    runtime,
};
use report::Report;

/// Those that are compared; the bridge is the first.
static CONTENDERS: [&Contender; 3] = [&BRIDGE, &BY_HAND, &ENVOY];

/// The loads, in the order of the report.
static LOADS: [&Load; 2] = [&BURST, &SUSTAINED];

/// Shows that the bridge takes OpenIM's after callbacks as fast as they come, and delivers them.
#[derive(Parser)]
#[command(after_help = "Exits with 0 when every goal is met, 1 when one is missed, 2 for a usage error.")]
struct Arguments {
    /// The release build of openim-bridge.
    #[arg(long, value_name = "FILE")]
    bridge: PathBuf,
    /// The folder of the other programs, which `bench/contenders/build` makes.
    #[arg(long, value_name = "FOLDER", default_value = "bench/target/contenders")]
    built: PathBuf,
    /// These loads only.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = load_named)]
    loads: Vec<&'static Load>,
    /// Put the tables between the markers in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "loads")]
    docs: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The load of that name.
fn load_named(name: &str) -> Result<&'static Load, String> {
    let found = LOADS.into_iter().find(|load| load.name == name);
    found.ok_or_else(|| format!("there is {}", LOADS.map(|load| load.name).join(", ")))
}

/// Measures and reports. Whether every goal is met.
fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let programs = Programs { bridge: arguments.bridge, built: arguments.built };
    let loads = if arguments.loads.is_empty() { LOADS.to_vec() } else { arguments.loads };
    let report = runtime::run(async {
        let mut results = Vec::new();
        for load in loads {
            let mut row = Vec::new();
            for contender in CONTENDERS {
                let measured = lab::run(&programs, contender, load).await;
                row.push(measured.with_context(|| format!("{} {}", load.name, contender.name))?);
            }
            results.push((load, row));
        }
        Report::new(&programs, results)
    })?;
    print!("{}", report.text());
    if let Some(docs) = &arguments.docs {
        report.write_docs(docs)?;
    }
    Ok(report.is_met())
}
