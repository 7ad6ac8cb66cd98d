//! What is measured: figures by name, and what several rounds of them come to.

use std::collections::{BTreeMap, BTreeSet};

use openim_bridge_bench::stats::{median, per_mille};
use serde::Serialize;

/// What a number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// Good answers a second.
    Rate,
    /// The same where one thing is a message with all its callbacks.
    MessageRate,
    /// CPU time of the contender for one message, in microseconds.
    MessageCpuUs,
    /// CPU time of the contender for one callback, in microseconds.
    CpuUs,
    /// Latency, in microseconds.
    P50Us,
    P99Us,
    P999Us,
    /// The most memory that the contender ever held, in MB.
    PeakMb,
    /// What it held after one callback and a second without, in MB.
    IdleMb,
    /// From its start to its first good answer, in milliseconds.
    StartMs,
    /// From the deadline to the answer, in milliseconds.
    LateP50Ms,
    LateP99Ms,
    LateLastMs,
    /// `CpuUs` before the work grew, and how many times that it became.
    CpuBeforeUs,
    CpuGrowth,
    /// CPU time of the decision service for one callback, in microseconds.
    ServiceCpuUs,
    /// CPU time of the load generator for one callback, in microseconds, and how much of a core that was.
    LoadCpuUs,
    LoadCore,
    /// The latest that the load generator's own timer fired, in milliseconds.
    OwnDelayMs,
    /// Connections that the load generator opened.
    Opened,
}

impl Figure {
    /// Over its column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Rate => "callbacks/s",
            Self::MessageRate => "messages/s",
            Self::MessageCpuUs => "CPU, a message (µs)",
            Self::CpuUs => "CPU (µs)",
            Self::P50Us => "p50 (µs)",
            Self::P99Us => "p99 (µs)",
            Self::P999Us => "p99.9 (µs)",
            Self::PeakMb => "peak (MB)",
            Self::IdleMb => "idle (MB)",
            Self::StartMs => "start (ms)",
            Self::LateP50Ms => "late p50 (ms)",
            Self::LateP99Ms => "late p99 (ms)",
            Self::LateLastMs => "last (ms)",
            Self::CpuBeforeUs => "CPU before (µs)",
            Self::CpuGrowth => "growth",
            Self::ServiceCpuUs => "service (µs)",
            Self::LoadCpuUs => "load (µs)",
            Self::LoadCore => "load (cores)",
            Self::OwnDelayMs => "own delay (ms)",
            Self::Opened => "connections",
        }
    }

    /// With the digits that mean something.
    pub(crate) fn format(self, value: f64) -> String {
        let digits = match self {
            Self::Rate | Self::MessageRate | Self::P50Us | Self::P99Us | Self::P999Us | Self::Opened => 0,
            Self::CpuGrowth | Self::LoadCore => 2,
            _ => 1,
        };
        format!("{value:.digits$}")
    }
}

/// What one run of a scenario measured.
pub(crate) type Figures = BTreeMap<Figure, f64>;

/// The latencies' figures. `sorted` is in microseconds.
pub(crate) fn latencies(sorted: &[f64]) -> impl Iterator<Item = (Figure, f64)> {
    [(Figure::P50Us, 500), (Figure::P99Us, 990), (Figure::P999Us, 999)]
        .into_iter()
        .filter_map(|(figure, share)| Some((figure, per_mille(sorted, share)?)))
}

/// A figure over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// One scenario with one contender, over all rounds.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    rounds: Vec<Figures>,
    /// Why its figures are void: the first failure.
    void: Option<String>,
}

impl Cell {
    pub(crate) fn add(&mut self, round: anyhow::Result<Figures>) {
        match round {
            Ok(figures) => self.rounds.push(figures),
            Err(error) => _ = self.void.get_or_insert_with(|| format!("{error:#}")),
        }
    }

    pub(crate) fn void(&self) -> Option<&str> {
        self.void.as_deref()
    }

    /// One failure in any round voids all of its figures.
    pub(crate) fn spread(&self, figure: Figure) -> Option<Spread> {
        if self.void.is_some() {
            return None;
        }
        let values: Vec<f64> = self.rounds.iter().filter_map(|round| round.get(&figure)).copied().collect();
        let bound = |choose: fn(f64, f64) -> f64| values.iter().copied().reduce(choose);
        Some(Spread { median: median(&values)?, min: bound(f64::min)?, max: bound(f64::max)? })
    }

    pub(crate) fn median(&self, figure: Figure) -> Option<f64> {
        Some(self.spread(figure)?.median)
    }

    /// Every figure that was measured.
    pub(crate) fn spreads(&self) -> BTreeMap<Figure, Spread> {
        let names: BTreeSet<Figure> = self.rounds.iter().flat_map(|round| round.keys().copied()).collect();
        names.into_iter().filter_map(|figure| Some((figure, self.spread(figure)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn round(cpu: f64) -> Figures {
        Figures::from([(Figure::CpuUs, cpu)])
    }

    #[test]
    fn the_result_is_the_median_of_the_rounds() {
        let mut cell = Cell::default();
        for cpu in [30.0, 10.0, 11.0] {
            cell.add(Ok(round(cpu)));
        }
        assert_eq!(cell.spread(Figure::CpuUs), Some(Spread { median: 11.0, min: 10.0, max: 30.0 }));
        assert_eq!(cell.spread(Figure::Rate), None, "not measured");
        assert_eq!(cell.spreads().len(), 1);
    }

    #[test]
    fn one_failure_voids_every_round() {
        let mut cell = Cell::default();
        cell.add(Ok(round(10.0)));
        cell.add(Err(anyhow!("first")));
        cell.add(Err(anyhow!("second")));
        assert_eq!(cell.spread(Figure::CpuUs), None);
        assert_eq!(cell.void(), Some("first"));
        assert!(cell.spreads().is_empty());
    }
}
