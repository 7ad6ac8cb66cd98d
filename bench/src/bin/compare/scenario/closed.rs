//! Callbacks as fast as they are answered: over kept connections, and over a new one each.

use crate::{
    figures::{Figure, Figures},
    lab::{CONCURRENCY, Lab, Scenario},
    load::{Connections, Load},
};
use openim_bridge_bench::contender::Contender;

/// Callbacks at one time, each on a connection of its own.
const NEW: u8 = 32;

/// The columns of every scenario with a load.
pub(super) const FIGURES: &[Figure] =
    &[Figure::CpuUs, Figure::Rate, Figure::P50Us, Figure::P99Us, Figure::P999Us, Figure::PeakMb];

pub(crate) static KEEP_ALIVE: Scenario = Scenario {
    name: "keep-alive",
    title: "64 kept connections, each callback as soon as the one before is answered",
    figures: FIGURES,
    takes: |_| true,
    run: |lab, contender| Box::pin(run(lab, contender, CONCURRENCY, Connections::Kept)),
};

pub(crate) static NEW_CONNECTION: Scenario = Scenario {
    name: "new-connection",
    title: "a new connection for each callback, 32 at one time",
    figures: FIGURES,
    takes: |_| true,
    run: |lab, contender| Box::pin(run(lab, contender, NEW, Connections::New)),
};

async fn run(lab: &Lab, contender: &Contender, concurrency: u8, connections: Connections) -> anyhow::Result<Figures> {
    let mut contending = lab.start(contender).await?;
    let load = Load::closed(contending.program.address, concurrency, connections);
    lab.measure(&mut contending, load).await
}
