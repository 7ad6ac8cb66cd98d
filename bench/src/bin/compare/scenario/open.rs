//! Callbacks at a rate that does not depend on the answers.

use super::closed::FIGURES;
use crate::{
    figures::Figures,
    lab::{CONCURRENCY, Lab, Scenario},
    load::Load,
};
use openim_bridge_bench::contender::Contender;

/// Callbacks a second: what every contender carries on two cores beside the load and the decision service.
pub(super) const RATE: u32 = 1500;

pub(crate) static OPEN_LOOP: Scenario = Scenario {
    name: "open-loop",
    title: "1,500 callbacks a second over 64 kept connections, latency from when each was due",
    figures: FIGURES,
    takes: |_| true,
    run: |lab, contender| Box::pin(run(lab, contender)),
};

async fn run(lab: &Lab, contender: &Contender) -> anyhow::Result<Figures> {
    let mut contending = lab.start(contender).await?;
    let load = Load::open(contending.program.address, CONCURRENCY, RATE).await?;
    lab.measure(&mut contending, load).await
}
