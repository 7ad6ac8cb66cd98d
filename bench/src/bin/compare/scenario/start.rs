//! From its start to its first good answer, and the memory that it then holds.

use std::time::Duration;

use openim_bridge_bench::stats::median;
use tokio::time::sleep;

use crate::{
    figures::{Figure, Figures},
    lab::{Lab, Scenario},
};
use openim_bridge_bench::contender::Contender;

/// Until what starting needs is given back.
const SETTLED: Duration = Duration::from_secs(1);

pub(crate) static START: Scenario = Scenario {
    name: "start",
    title: "from its start to its first good answer; and its memory, idle, a second later",
    figures: &[Figure::StartMs, Figure::IdleMb, Figure::PeakMb],
    takes: |_| true,
    run: |lab, contender| Box::pin(run(lab, contender)),
};

async fn run(lab: &Lab, contender: &Contender) -> anyhow::Result<Figures> {
    let mut took = Vec::new();
    for _ in 1..lab.effort.starts {
        let contending = lab.start(contender).await?;
        took.push(contending.started_in);
        contending.program.stop().await?;
    }
    let last = lab.start(contender).await?;
    took.push(last.started_in);
    sleep(SETTLED).await;
    let took: Vec<f64> = took.into_iter().map(|took| took.as_secs_f64() * 1e3).collect();
    let start = median(&took).map(|median| (Figure::StartMs, median));
    Ok(start.into_iter().chain(last.idle()).chain(last.peak()).collect())
}
