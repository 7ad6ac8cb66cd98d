//! What a second worker costs each callback: locks, and memory that both write to.

use super::idle::growth;
use crate::{
    figures::{Figure, Figures},
    kind::Kind,
    lab::{CONCURRENCY, Lab, Run, Scenario, TIMEOUT},
    load::{Connections, Load},
};
use openim_bridge_bench::contender::{Behind, Contender};

pub(crate) static WORKERS: Scenario = Scenario {
    name: "workers",
    title: "two workers, against one; 64 kept connections",
    figures: &[Figure::CpuBeforeUs, Figure::CpuUs, Figure::CpuGrowth, Figure::P99Us, Figure::PeakMb],
    takes: Contender::is_bridge,
    run: |lab, contender| Box::pin(run(lab, contender)),
};

async fn run(lab: &Lab, contender: &Contender) -> anyhow::Result<Figures> {
    let one = with(lab, contender, 1).await?;
    let mut two = with(lab, contender, 2).await?;
    two.extend(growth(&one, &two));
    Ok(two)
}

async fn with(lab: &Lab, contender: &Contender, workers: u8) -> anyhow::Result<Figures> {
    let run = Run { workers: Some(workers), ..Run::default() };
    let mut contending = lab.start_with(contender, Behind::Service(&[lab.service.address]), TIMEOUT, run).await?;
    let load = Load::closed(contending.program.address, Kind::Remark, CONCURRENCY, Connections::Kept)?;
    lab.measure(&mut contending, load).await
}
