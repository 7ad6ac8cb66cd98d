//! What was measured: tables for a terminal, JSON for programs, a page's part; with what it was measured on.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::Context as _;
use openim_bridge_bench::{
    contender::{BRIDGE, Contender, size_mb},
    docs,
    machine::Machine,
    table::Table,
};
use serde_json::{Value, json};

use crate::{
    comparison::Comparison,
    figures::{Cell, Figure},
    goals::{Goal, Medians},
    lab::{Effort, Lab, Scenario},
    rounds::Results,
};

/// Everything that a run has to tell.
pub(crate) struct Report {
    comparison: &'static Comparison,
    machine: Machine,
    /// What the contenders are made of.
    versions: BTreeMap<String, String>,
    /// The programs' files, in MB.
    sizes: BTreeMap<&'static str, f64>,
    effort: Effort,
    contenders: Vec<&'static Contender>,
    results: Vec<Results>,
}

impl Report {
    pub(crate) fn new(
        lab: &Lab,
        comparison: &'static Comparison,
        contenders: Vec<&'static Contender>,
        results: Vec<Results>,
    ) -> anyhow::Result<Self> {
        let file = lab.programs.versions();
        let versions = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut versions: BTreeMap<String, String> =
            serde_json::from_slice(&versions).with_context(|| file.display().to_string())?;
        versions.retain(|name, _| comparison.versions.contains(&name.as_str()));
        let size = |contender: &&'static Contender| Some((contender.name, size_mb(&contender.file(&lab.programs))?));
        let sizes = contenders.iter().filter_map(size).collect();
        Ok(Self { comparison, machine: Machine::this(), versions, sizes, effort: lab.effort, contenders, results })
    }

    /// Whether no figure is void.
    pub(crate) fn is_whole(&self) -> bool {
        self.results.iter().flat_map(|results| &results.cells).all(|(_, cell)| cell.void().is_none())
    }

    /// Whether every goal of what was measured is reached.
    pub(crate) fn goals_are_met(&self) -> bool {
        let met: Vec<_> = self.all_goals().iter().filter_map(Goal::is_met).collect();
        !met.is_empty() && met.into_iter().all(|is_met| is_met)
    }

    fn all_goals(&self) -> Vec<Goal> {
        (self.comparison.goals)(self)
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.machine, self.rounds());
        for results in &self.results {
            let Scenario { name, title, .. } = results.scenario;
            let _infallible = write!(text, "\n{name}: {title}\n{}", self.table(results).text());
        }
        let (goals, not_measured) = self.goals();
        let _infallible = write!(text, "\ngoals, of which {not_measured} were not measured\n{}", goals.text());
        text
    }

    /// Puts the tables between the markers in `docs`.
    pub(crate) fn write_docs(&self, docs: &Path) -> anyhow::Result<()> {
        let versions: Vec<String> = self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let mut text = format!(
            "{}; contender, {} and load on it together. {} With {}.\n",
            self.machine,
            self.comparison.behind,
            self.rounds(),
            versions.join(", ")
        );
        for results in &self.results {
            let Scenario { name, title, .. } = results.scenario;
            let _infallible =
                write!(text, "\n### `{name}`\n\n{}.\n\n{}", sentence(title), self.table(results).markdown());
        }
        let _infallible = write!(text, "\n### Goals\n\n{}", self.goals().0.markdown());
        docs::write(docs, self.comparison.command, &text)?;
        if let Some(day) = (self.comparison.day)(self) {
            docs::write(docs, &format!("{}, a day", self.comparison.command), &day.markdown())?;
        }
        Ok(())
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
        let goal = |goal: Goal| json!({ "goal": goal, "met": goal.is_met() });
        let all = json!({
            "machine": self.machine,
            "versions": self.versions,
            "size_mb": self.sizes,
            "rounds": self.effort.rounds,
            "measured_s": self.effort.measured.as_secs_f64(),
            "scenarios": scenarios,
            "day": (self.comparison.day)(self),
            "goals": self.all_goals().into_iter().map(goal).collect::<Vec<_>>(),
        });
        Ok(serde_json::to_string_pretty(&all)? + "\n")
    }

    fn rounds(&self) -> String {
        let Effort { rounds, measured, .. } = self.effort;
        match rounds {
            1 => format!("One round, {measured:?} of load in each scenario."),
            _ => format!("Medians of {rounds} interleaved rounds, {measured:?} of load in each scenario."),
        }
    }

    /// A row for each contender of the run, with dashes for those that cannot take the scenario; the bridge's own
    /// scenarios have its row alone.
    fn table(&self, results: &Results) -> Table {
        let figures = results.scenario.figures;
        let mut table = Table::new([""].into_iter().chain(figures.iter().map(|figure| figure.title())));
        for contender in &self.contenders {
            let values: Vec<String> = match results.cell(contender).map(|cell| (cell, cell.void())) {
                Some((_, Some(why))) => vec![format!("void: {why}")],
                Some((cell, None)) => figures.iter().map(|figure| value(cell, *figure)).collect(),
                None if results.cells.len() > 1 => figures.iter().map(|_| "-".to_owned()).collect(),
                None => continue,
            };
            table.row([contender.title.to_owned()].into_iter().chain(values));
        }
        table
    }

    /// Those for which all was measured, and how many there are besides.
    fn goals(&self) -> (Table, usize) {
        let (reached, others): (Vec<Goal>, Vec<Goal>) =
            self.all_goals().into_iter().partition(|goal| goal.reached.is_some());
        let mut table = Table::new(["", "asked", "reached", "result"]);
        for goal in reached {
            let number = |value| format!("{value} {}", goal.unit);
            let reached = goal.reached.map_or_else(|| "-".to_owned(), |value| number(format!("{value:.2}")));
            table.row([goal.what.clone(), number(goal.bound.to_string()), reached, goal.verdict().to_owned()]);
        }
        (table, others.len())
    }
}

impl Medians for Report {
    fn median(&self, scenario: &Scenario, contender: &Contender, figure: Figure) -> Option<f64> {
        let results = self.results.iter().find(|results| results.scenario.name == scenario.name)?;
        results.cell(contender)?.median(figure)
    }

    fn bridge_size(&self) -> Option<f64> {
        self.sizes.get(BRIDGE.name).copied()
    }
}

fn value(cell: &Cell, figure: Figure) -> String {
    cell.median(figure).map_or_else(|| "-".to_owned(), |value| figure.format(value))
}

/// With a capital.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
