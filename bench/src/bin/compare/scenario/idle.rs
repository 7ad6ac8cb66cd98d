//! What 10,000 connections that do nothing cost those that carry callbacks.

use tokio::{net::TcpStream, task::JoinSet};

use crate::{
    client::{connect, exchange},
    figures::{Figure, Figures},
    kind::{Callbacks, Kind},
    lab::{CONCURRENCY, Lab, Scenario},
    load::{Connections, Load},
};
use openim_bridge_bench::contender::Contender;

/// This many times as many connections as are opened concurrently.
const EACH: u16 = 100;
const AT_ONE_TIME: u8 = 100;
pub(crate) const IDLE_CONNECTIONS: u16 = EACH * AT_ONE_TIME as u16;

pub(crate) static IDLE: Scenario = Scenario {
    name: "idle",
    title: "10,000 idle connections beside 64 that carry callbacks",
    figures: &[Figure::CpuBeforeUs, Figure::CpuUs, Figure::CpuGrowth, Figure::P99Us, Figure::PeakMb],
    takes: |_| true,
    run: |lab, contender| Box::pin(run(lab, contender)),
};

async fn run(lab: &Lab, contender: &Contender) -> anyhow::Result<Figures> {
    let mut contending = lab.start(contender).await?;
    let host = contending.program.address;
    let load = || Load::closed(host, Kind::Remark, CONCURRENCY, Connections::Kept);
    let without = lab.measure(&mut contending, load()?).await?;
    let mut opening = JoinSet::new();
    for place in 0..AT_ONE_TIME {
        opening.spawn_local(open(host, place));
    }
    let mut idle = Vec::new();
    while let Some(opened) = opening.join_next().await {
        idle.extend(opened??);
    }
    let mut figures = lab.measure(&mut contending, load()?).await?;
    figures.extend(growth(&without, &figures));
    drop(idle);
    Ok(figures)
}

/// Opens connections that have carried a callback: those are what a client keeps.
async fn open(host: std::net::SocketAddr, place: u8) -> anyhow::Result<Vec<TcpStream>> {
    let callbacks = Callbacks::new(Kind::Remark, host)?;
    let mut idle = Vec::new();
    for number in 0..EACH {
        let mut stream = connect(host, place + 1).await?;
        exchange(&mut stream, &callbacks, number.into()).await?;
        idle.push(stream);
    }
    Ok(idle)
}

/// How the CPU time of a callback grew.
pub(super) fn growth(before: &Figures, after: &Figures) -> Figures {
    let (Some(before), Some(after)) = (before.get(&Figure::CpuUs), after.get(&Figure::CpuUs)) else {
        return Figures::new();
    };
    Figures::from([(Figure::CpuBeforeUs, *before), (Figure::CpuGrowth, after / before)])
}
