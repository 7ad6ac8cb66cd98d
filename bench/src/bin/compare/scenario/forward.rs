//! Requests that are passed on, over kept connections, to an HTTP receiver that runs in the load's own thread.

use super::{closed::FIGURES, open::RATE};
use crate::{
    figures::Figures,
    kind::Kind,
    lab::{CONCURRENCY, Contending, Lab, Run, Scenario, TIMEOUT},
    load::{Connections, Load},
};
use openim_bridge_bench::{
    allowing,
    contender::{Behind, Contender},
};

pub(crate) static FORWARD: Scenario = Scenario {
    name: "forward",
    title: "64 kept connections, each callback as soon as the one before is answered",
    figures: FIGURES,
    takes: |_| true,
    run: |lab, contender| Box::pin(closed(lab, contender)),
};

pub(crate) static FORWARD_OPEN: Scenario = Scenario {
    name: "forward-open-loop",
    title: "1,500 callbacks a second over 64 kept connections, latency from when each was due",
    figures: FIGURES,
    takes: |_| true,
    run: |lab, contender| Box::pin(open(lab, contender)),
};

async fn closed(lab: &Lab, contender: &Contender) -> anyhow::Result<Figures> {
    let mut contending = start(lab, contender).await?;
    let load = Load::closed(contending.program.address, Kind::Remark, CONCURRENCY, Connections::Kept)?;
    lab.measure(&mut contending, load).await
}

async fn open(lab: &Lab, contender: &Contender) -> anyhow::Result<Figures> {
    let mut contending = start(lab, contender).await?;
    let load = Load::open(contending.program.address, CONCURRENCY, RATE).await?;
    lab.measure(&mut contending, load).await
}

async fn start(lab: &Lab, contender: &Contender) -> anyhow::Result<Contending> {
    let receiver = allowing::serve_http().await?;
    lab.start_with(contender, Behind::Receiver(receiver), TIMEOUT, Run { workers: Some(1), ..Run::default() }).await
}
