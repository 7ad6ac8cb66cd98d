//! A decision service that hangs, with 1,000 callbacks in flight.

use anyhow::bail;
use openim_bridge_bench::{
    answer::{Told, told},
    outstanding::{self, HANGS},
};

use crate::{
    figures::{Figure, Figures},
    lab::{Lab, Run, Scenario},
};
use openim_bridge_bench::contender::{Behind, Contender};

pub(crate) const OUTSTANDING: u16 = 1000;

pub(crate) static HUNG: Scenario = Scenario {
    name: "hung",
    title: "a decision service that hangs, 1,000 callbacks in flight: how long after the deadline each answer came",
    figures: &[Figure::LateP50Ms, Figure::LateP99Ms, Figure::LateLastMs, Figure::PeakMb],
    takes: |contender| contender.has_deadline,
    run: |lab, contender| Box::pin(run(lab, contender)),
};

async fn run(lab: &Lab, contender: &Contender) -> anyhow::Result<Figures> {
    let timeout = lab.effort.timeout;
    let mut contending =
        lab.start_with(contender, Behind::Service(&[lab.service.address]), timeout, Run::default()).await?;
    let outcome = outstanding::ask(contending.program.address, OUTSTANDING.into(), timeout, |answer| {
        matches!(told(&answer.body, HANGS), Told::Decided | Told::FellBack(_))
    })
    .await?;
    contending.still_running()?;
    if let Some((sample, number)) = outcome.wrong.iter().chain(&outcome.missing).next() {
        bail!("{number} of {OUTSTANDING} failed: {sample}");
    }
    let mut figures = Figures::from([
        (Figure::LateP50Ms, outcome.late_at(50)),
        (Figure::LateP99Ms, outcome.late_at(99)),
        (Figure::LateLastMs, outcome.late_at(100)),
        (Figure::OwnDelayMs, outcome.own_delay),
    ]);
    figures.extend(contending.peak());
    Ok(figures)
}
