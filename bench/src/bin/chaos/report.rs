//! The table, for people and for `docs/reliability.md`, and the machine that it was made on.

use std::{fmt::Write as _, path::Path};

use openim_bridge_bench::{docs, machine::Machine};

use crate::lab::{Run, Scenario};

/// A scenario's line.
pub(crate) struct Row {
    scenario: &'static Scenario,
    run: Run,
}

impl Row {
    pub(crate) fn new(scenario: &'static Scenario, run: Run) -> Self {
        Self { scenario, run }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.run.broken.is_empty()
    }

    /// Said as it ends.
    pub(crate) fn progress(&self) -> String {
        let Run { callbacks, notes, broken, logged, skipped } = &self.run;
        if let Some(why) = skipped {
            return format!("{}: not run: {why}", self.scenario.name);
        }
        let mut text = format!(
            "{}: {} of {} answered, {} fell back, {}",
            self.scenario.name,
            callbacks.answered(),
            callbacks.sent(),
            callbacks.fell_back().count(),
            self.result()
        );
        for note in notes {
            let _infallible = write!(text, "; {note}");
        }
        for broken in broken {
            let _infallible = write!(text, "\n  BROKEN: {broken}");
        }
        for line in logged.iter().filter(|_| !self.is_kept()) {
            let _infallible = write!(text, "\n  the bridge's log: {line}");
        }
        text
    }

    fn result(&self) -> &'static str {
        match (&self.run.skipped, self.is_kept()) {
            (Some(_), _) => "not run",
            (None, true) => "ok",
            (None, false) => "BROKEN",
        }
    }

    /// Sent, answered, fell back, slowest.
    fn numbers(&self) -> [String; 4] {
        let callbacks = &self.run.callbacks;
        if self.run.skipped.is_some() {
            return std::array::from_fn(|_| "-".to_owned());
        }
        [
            callbacks.sent().to_string(),
            callbacks.answered().to_string(),
            callbacks.fell_back().count().to_string(),
            format!("{:.0}", callbacks.slowest().as_secs_f64() * 1000.0),
        ]
    }
}

pub(crate) fn text(rows: &[Row]) -> String {
    let mut text = format!(
        "\n{:<22}{:>7}{:>10}{:>11}{:>14}  {:<8}promised\n",
        "fault", "sent", "answered", "fell back", "slowest (ms)", "result"
    );
    for row in rows {
        let [sent, answered, fell_back, slowest] = row.numbers();
        let Scenario { name, promise, .. } = row.scenario;
        let _infallible = writeln!(
            text,
            "{name:<22}{sent:>7}{answered:>10}{fell_back:>11}{slowest:>14}  {:<8}{promise}",
            row.result()
        );
    }
    text
}

pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text =
        "| scenario | fault | sent | answered | fell back | slowest (ms) | promised | result | also measured |\n\
                    | --- | --- | ---: | ---: | ---: | ---: | --- | --- | --- |\n"
            .to_owned();
    for row in rows {
        let [sent, answered, fell_back, slowest] = row.numbers();
        let Scenario { name, fault, promise, .. } = row.scenario;
        let notes = row.run.notes.join(", ");
        let _infallible = writeln!(
            text,
            "| `{name}` | {fault} | {sent} | {answered} | {fell_back} | {slowest} | {promise} | {} | {notes} |",
            row.result()
        );
    }
    text
}

/// Puts the table, and the machine's name, between the markers in `docs`.
pub(crate) fn write(docs: &Path, command: &str, rows: &[Row]) -> anyhow::Result<()> {
    let text = format!("{}; services, bridge and client on it together.\n\n{}", Machine::this(), markdown(rows));
    docs::write(docs, command, &text)
}
