//! What was measured, in tables for people and in JSON for programs, with what it was measured on.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use anyhow::Context as _;
use openim_bridge_bench::machine::Machine;
use serde_json::{Value, json};

use crate::{
    contender::{Contender, size_mb},
    figures::Cell,
    lab::Lab,
    rounds::Results,
};

/// Everything that a run has to tell.
pub(crate) struct Report {
    machine: Machine,
    /// What the contenders are made of.
    versions: BTreeMap<String, String>,
    /// The programs' files, in MB.
    sizes: BTreeMap<&'static str, f64>,
    rounds: u32,
    results: Vec<Results>,
}

impl Report {
    pub(crate) fn new(lab: &Lab, contenders: &[&'static Contender], results: Vec<Results>) -> anyhow::Result<Self> {
        let file = lab.programs.versions();
        let versions = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let versions = serde_json::from_slice(&versions).with_context(|| file.display().to_string())?;
        let size = |contender: &&Contender| Some((contender.name, size_mb(&contender.file(&lab.programs))?));
        let sizes = contenders.iter().copied().filter_map(|contender| size(&contender)).collect();
        Ok(Self { machine: Machine::this(), versions, sizes, rounds: lab.effort.rounds, results })
    }

    /// Whether no figure is void.
    pub(crate) fn is_whole(&self) -> bool {
        self.results.iter().flat_map(|results| &results.cells).all(|(_, cell)| cell.void().is_none())
    }

    /// A table for each scenario.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\nmedians of {} rounds\n", self.machine, self.rounds);
        for results in &self.results {
            let scenario = results.scenario;
            let _infallible = write!(text, "\n{}: {}\n{:<15}", scenario.name, scenario.title, "");
            for figure in scenario.figures {
                let _infallible = write!(text, "{:>16}", figure.title());
            }
            for (contender, cell) in &results.cells {
                let _infallible = write!(text, "\n{:<15}", contender.title);
                if let Some(why) = cell.void() {
                    let _infallible = write!(text, "  void: {why}");
                    continue;
                }
                for figure in scenario.figures {
                    let value = cell.median(*figure).map_or_else(|| "-".to_owned(), |value| figure.format(value));
                    let _infallible = write!(text, "{value:>16}");
                }
            }
            text.push('\n');
        }
        text
    }

    /// All of it, with the least and the most of each figure.
    pub(crate) fn json(&self) -> anyhow::Result<String> {
        let cell = |cell: &Cell| match cell.void() {
            Some(why) => json!({ "void": why }),
            None => json!(cell.spreads()),
        };
        let contenders = |results: &Results| -> BTreeMap<&str, Value> {
            results.cells.iter().map(|(contender, measured)| (contender.name, cell(measured))).collect()
        };
        let scenarios: BTreeMap<&str, Value> = (self.results.iter())
            .map(|results| {
                let scenario = results.scenario;
                (scenario.name, json!({ "title": scenario.title, "contenders": contenders(results) }))
            })
            .collect();
        let all = json!({
            "machine": self.machine,
            "versions": self.versions,
            "size_mb": self.sizes,
            "rounds": self.rounds,
            "scenarios": scenarios,
        });
        Ok(serde_json::to_string_pretty(&all)? + "\n")
    }
}
