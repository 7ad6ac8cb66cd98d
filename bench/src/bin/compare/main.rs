//! The bridge against what else could be put in its place: side by side, in one run, on one machine, in front of the same
//! decision service; or, with --forward, of the same HTTP receiver.
//!
//! - `kind`: what is asked, and what OpenIM must be told.
//! - `client`, `load`: one callback and its answer, which is checked whole; many of them, closed or open loop.
//! - `lab`: what every scenario needs.
//! - `scenario`: the scenarios.
//! - `comparison`: which of them, with whom and for which goals.
//! - `rounds`, `figures`: in which order they run; what comes of several rounds.
//! - `goals`: what the bridge is meant to reach.
//! - `day`: what a big installation takes, by calculation.
//! - `report`: the tables, the JSON.
//!
//! Exits with 0 when no figure is void, 1 when one is (or, with --goals, a goal is missed), 2 for a usage error.

mod client;
mod comparison;
mod day;
mod figures;
mod goals;
mod kind;
mod lab;
mod load;
mod report;
mod rounds;
mod scenario;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};
use comparison::{ASKING, Comparison, FORWARDING};
use lab::{Effort, Lab, Scenario};
use openim_bridge_bench::{
    contender::{self, Contender, Programs},
    runtime,
};
use report::Report;

/// Compares the bridge with what else could be put in its place.
#[derive(Parser)]
#[command(
    after_help = "Exits with 0 when no figure is void, 1 when one is (or, with --goals, a goal is missed), 2 for a usage error."
)]
struct Arguments {
    /// The release build of openim-bridge.
    #[arg(long, value_name = "FILE")]
    bridge: PathBuf,
    /// The folder of the other programs, which `bench/contenders/build` makes.
    #[arg(long, value_name = "FOLDER", default_value = "bench/target/contenders")]
    built: PathBuf,
    /// Compare what passes requests on to an HTTP receiver, not what asks a decision service.
    #[arg(long)]
    forward: bool,
    /// These contenders only.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = contender::named)]
    contenders: Vec<&'static Contender>,
    /// These scenarios only.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = scenario::named)]
    scenarios: Vec<&'static Scenario>,
    /// Several rounds, and more in each: about 25 minutes.
    #[arg(long)]
    full: bool,
    /// How many rounds; the result is their median.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// Write everything that was measured to this file, in JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Put the tables between the markers in this file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["contenders", "scenarios"])]
    docs: Option<PathBuf>,
    /// Exit with 1 also when a goal is missed.
    #[arg(long)]
    goals: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

const QUICK: Effort = Effort {
    rounds: 1,
    warm_up: Duration::from_millis(500),
    measured: Duration::from_millis(1500),
    callbacks: 10_000,
    starts: 5,
    timeout: Duration::from_secs(1),
};

const FULL: Effort = Effort {
    rounds: 5,
    warm_up: Duration::from_millis(500),
    measured: Duration::from_secs(3),
    callbacks: 30_000,
    starts: 9,
    timeout: lab::TIMEOUT,
};

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

/// Measures and reports. Whether no figure is void.
fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let mut effort = if arguments.full { FULL } else { QUICK };
    effort.rounds = arguments.rounds.unwrap_or(effort.rounds);
    let programs = Programs { bridge: arguments.bridge, built: arguments.built };
    let comparison: &'static Comparison = if arguments.forward { &FORWARDING } else { &ASKING };
    let contenders = chosen(comparison, arguments.contenders, &programs, arguments.docs.is_some())?;
    let scenarios = if arguments.scenarios.is_empty() { comparison.scenarios.to_vec() } else { arguments.scenarios };
    let names = |scenario: &&Scenario| comparison.scenarios.iter().any(|known| known.name == scenario.name);
    ensure!(scenarios.iter().all(names), "with --forward or without it, not both");
    let report = runtime::run(async {
        let mut lab = Lab::new(programs, effort).await?;
        let results = rounds::run(&mut lab, &scenarios, &contenders).await?;
        Report::new(&lab, comparison, contenders, results)
    })?;
    match arguments.output {
        Output::Text => print!("{}", report.text()),
        Output::Json => print!("{}", report.json()?),
    }
    if let Some(file) = &arguments.json {
        fs::write(file, report.json()?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(docs) = &arguments.docs {
        ensure!(report.is_whole(), "{} is left as it is, since a figure is void", docs.display());
        report.write_docs(docs)?;
    }
    Ok(report.is_whole() && (!arguments.goals || report.goals_are_met()))
}

/// Those that were named, all of which must be built; or those that are, and all of them where `all` are asked for.
fn chosen(
    comparison: &Comparison,
    named: Vec<&'static Contender>,
    programs: &Programs,
    all: bool,
) -> anyhow::Result<Vec<&'static Contender>> {
    let must_be_there = all || !named.is_empty();
    let candidates = if named.is_empty() { comparison.contenders.to_vec() } else { named };
    let (built, missing): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|contender| contender.file(programs).is_file());
    for contender in missing {
        let file = contender.file(programs);
        ensure!(!must_be_there, "{} is not built: there is no {}", contender.name, file.display());
        eprintln!("{} is omitted: there is no {}", contender.name, file.display());
    }
    Ok(built)
}
