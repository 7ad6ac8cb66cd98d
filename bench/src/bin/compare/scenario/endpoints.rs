//! What a decision service of 100 endpoints costs the bridge, which alone has a balancer of its own.

use std::{iter, net::SocketAddr};

use super::idle::growth;
use crate::{
    figures::{Figure, Figures},
    kind::Kind,
    lab::{CONCURRENCY, Lab, Run, Scenario, TIMEOUT, serve},
    load::{Connections, Load},
};
use openim_bridge_bench::contender::{Behind, Contender};

const MANY: usize = 100;

pub(crate) static ENDPOINTS: Scenario = Scenario {
    name: "endpoints",
    title: "100 endpoints of the decision service, against one; 64 kept connections",
    figures: &[Figure::CpuBeforeUs, Figure::CpuUs, Figure::CpuGrowth, Figure::P99Us, Figure::PeakMb],
    takes: Contender::is_bridge,
    run: |lab, contender| Box::pin(run(lab, contender)),
};

async fn run(lab: &Lab, contender: &Contender) -> anyhow::Result<Figures> {
    let one = with(lab, contender, &[lab.service.address]).await?;
    let addresses: Vec<SocketAddr> = iter::repeat_with(|| lab.free_port()).take(MANY).collect::<anyhow::Result<_>>()?;
    // One process, as one endpoint is: the others' processes would contend for the machine, not for the bridge.
    let service = serve(&lab.programs.service(), &addresses).await?;
    let mut many = with(lab, contender, &addresses).await?;
    service.stop().await?;
    many.extend(growth(&one, &many));
    // Nobody has looked at that process.
    many.remove(&Figure::ServiceCpuUs);
    Ok(many)
}

async fn with(lab: &Lab, contender: &Contender, upstreams: &[SocketAddr]) -> anyhow::Result<Figures> {
    let mut contending = lab.start_with(contender, Behind::Service(upstreams), TIMEOUT, Run::default()).await?;
    let load = Load::closed(contending.program.address, Kind::Remark, CONCURRENCY, Connections::Kept)?;
    lab.measure(&mut contending, load).await
}
