//! What was measured, held against what was asked: for a terminal, and for a page.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::Context as _;
use openim_bridge_bench::{
    contender::{Contender, Programs},
    docs,
    machine::Machine,
    table::Table,
};

use crate::{
    CONTENDERS,
    lab::{BURST, Load, Measured, SUSTAINED, TAKES},
};

/// How many times the others' the bridge's figures must be.
const TIMES: f64 = 25.0;

/// What of `versions.json` is part of this.
const PARTS: [&str; 4] = ["envoy", "go", "grpc-go", "open-im-server"];

/// Everything that a run has to tell.
pub(crate) struct Report {
    machine: Machine,
    versions: BTreeMap<String, String>,
    /// For each load what came of each contender, in their order.
    results: Vec<(&'static Load, Vec<Measured>)>,
}

struct Goal {
    what: String,
    asked: String,
    reached: String,
    met: bool,
}

impl Report {
    pub(crate) fn new(programs: &Programs, results: Vec<(&'static Load, Vec<Measured>)>) -> anyhow::Result<Self> {
        let file = programs.versions();
        let versions = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut versions: BTreeMap<String, String> =
            serde_json::from_slice(&versions).with_context(|| file.display().to_string())?;
        versions.retain(|name, _| PARTS.contains(&name.as_str()));
        Ok(Self { machine: Machine::this(), versions, results })
    }

    pub(crate) fn is_met(&self) -> bool {
        self.goals().iter().all(|goal| goal.met)
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.machine);
        for (load, measured) in &self.results {
            let _infallible = write!(text, "\n{}: {}\n{}", load.name, load.title, table(measured).text());
        }
        let _infallible = write!(text, "\ngoals\n{}", goals_table(&self.goals()).text());
        text
    }

    /// Puts the tables between the markers in `docs`.
    pub(crate) fn write_docs(&self, docs: &Path) -> anyhow::Result<()> {
        let versions: Vec<String> = self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let mut text = format!(
            "{}; contender, decision service and OpenIM's queue on it together. One run; the decision service takes \
             {TAKES:?} for an event. With {}.\n\nIn time is {}. Waited are calls that took at least 20 ms to hand over \
             their event.\n",
            self.machine,
            versions.join(", "),
            "within the load's own time from the first delivery on: 1.7 s of a burst, 60 s of a sustained load",
        );
        for (load, measured) in &self.results {
            let _infallible = write!(text, "\n`{}`: {}.\n\n{}", load.name, load.title, table(measured).markdown());
        }
        let _infallible = write!(text, "\n{}", goals_table(&self.goals()).markdown());
        docs::write(docs, "just delivery-docs", &text)
    }

    fn goals(&self) -> Vec<Goal> {
        self.results.iter().flat_map(|(load, measured)| goals(load, measured)).collect()
    }
}

/// What is asked of the bridge under this load; its figures are the first.
fn goals(load: &Load, measured: &[Measured]) -> Vec<Goal> {
    let Some((bridge, others)) = measured.split_first() else { return Vec::new() };
    let others = || CONTENDERS[1..].iter().zip(others);
    let none = |what: &str, number: u32| Goal {
        what: format!("{}: {what}", load.name),
        asked: "0".to_owned(),
        reached: number.to_string(),
        met: number == 0,
    };
    let times = |what: &str, contender: &Contender, own: f64, theirs: f64| Goal {
        what: format!("{}: {what}, of {}'s", load.name, contender.title),
        asked: format!("at least {TIMES} x"),
        reached: format!("{:.1} x", own / theirs),
        met: own >= TIMES * theirs,
    };
    match load.name {
        name if name == BURST.name => [none("lost", bridge.lost()), none("calls that waited", bridge.sent.waited)]
            .into_iter()
            .chain(others().map(|(contender, other)| {
                times("accepted a second", contender, bridge.accepted_a_second(), other.accepted_a_second())
            }))
            .collect(),
        name if name == SUSTAINED.name => others()
            .map(|(contender, other)| {
                #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
                let (own, theirs) = (bridge.delivered_in_time as f64, other.delivered_in_time as f64);
                times("delivered in the load's time", contender, own, theirs)
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new([
        "",
        "accepted/s",
        "delivered",
        "of them in time",
        "lost",
        "calls that waited",
        "longest wait (ms)",
        "peak (MB)",
    ]);
    for (contender, measured) in CONTENDERS.iter().zip(measured) {
        #[allow(clippy::cast_precision_loss, reason = "less than 2^53")]
        let megabytes = measured.peak_memory_kib.map(|kib| format!("{:.1}", kib as f64 * 1024.0 / 1e6));
        table.row([
            contender.title.to_owned(),
            format!("{:.0}", measured.accepted_a_second()),
            measured.delivered.to_string(),
            measured.delivered_in_time.to_string(),
            measured.lost().to_string(),
            measured.sent.waited.to_string(),
            format!("{:.0}", measured.sent.longest_wait_ms),
            megabytes.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table
}

fn goals_table(goals: &[Goal]) -> Table {
    let mut table = Table::new(["", "asked", "reached", "result"]);
    for goal in goals {
        let result = if goal.met { "met" } else { "missed" };
        table.row([goal.what.clone(), goal.asked.clone(), goal.reached.clone(), result.to_owned()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Sent;

    fn measured(accepted: u32, delivered: usize, waited: u32) -> Measured {
        let sent = Sent { calls: 5_000, accepted, waited, longest_wait_ms: 1.0, accepted_in_s: 1.0 };
        Measured { sent, delivered, delivered_in_time: delivered, peak_memory_kib: None }
    }

    fn met(load: &Load, bridge: Measured, others: [Measured; 2]) -> Vec<bool> {
        let [one, two] = others;
        goals(load, &[bridge, one, two]).iter().map(|goal| goal.met).collect()
    }

    #[test]
    fn a_burst_asks_for_no_loss_no_wait_and_25_times_the_rate() {
        let others = || [measured(200, 200, 4_000), measured(201, 201, 4_000)];
        assert_eq!(met(&BURST, measured(5_000, 5_000, 0), others()), [true, true, true, false]);
        assert_eq!(met(&BURST, measured(4_999, 4_999, 1), others()), [false, false, false, false]);
        let undelivered = measured(5_000, 4_999, 0);
        assert!(!met(&BURST, undelivered, others())[0], "accepted and never delivered is lost, too");
    }

    #[test]
    fn a_sustained_load_asks_for_25_times_the_deliveries() {
        let others = [measured(200, 200, 4_000), measured(201, 201, 4_000)];
        assert_eq!(met(&SUSTAINED, measured(5_000, 5_000, 9), others), [true, false]);
    }
}
