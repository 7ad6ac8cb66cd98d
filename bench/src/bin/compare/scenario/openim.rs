//! Callbacks from OpenIM's own HTTP client: at most 100 connections, of which it keeps 2; over HTTPS, HTTP/2.

use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::closed::FIGURES;
use crate::{
    figures::{Figure, Figures},
    lab::{CONCURRENCY, Contending, Lab, Scenario, TIMEOUT},
};
use openim_bridge_bench::contender::{Behind, Contender};

pub(crate) static OPENIM_HTTP: Scenario = Scenario {
    name: "openim-http",
    title: "OpenIM's own client over HTTP, 64 callers",
    figures: FIGURES,
    takes: |_| true,
    run: |lab, contender| Box::pin(run(lab, contender, false)),
};

pub(crate) static OPENIM_HTTPS: Scenario = Scenario {
    name: "openim-https",
    title: "OpenIM's own client over HTTPS (HTTP/2), 64 callers",
    figures: FIGURES,
    takes: |_| true,
    run: |lab, contender| Box::pin(run(lab, contender, true)),
};

/// What the client prints.
#[derive(Debug, Deserialize)]
struct Sent {
    right: u64,
    wrong: u64,
    samples: Vec<String>,
    seconds: f64,
    connections: u64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
}

async fn run(lab: &Lab, contender: &Contender, https: bool) -> anyhow::Result<Figures> {
    let mut contending = lab.start_with(contender, Behind::Service(&[lab.service.address]), TIMEOUT, https).await?;
    // Its own warm-up would count among the CPU time: that is read from outside.
    send(lab, &contending, https, lab.effort.callbacks / 4).await?;
    let before = lab.look(&contending)?;
    let sent = send(lab, &contending, https, lab.effort.callbacks).await?;
    let mut figures = lab.look(&contending)?.since(&before, sent.right);
    contending.still_running()?;
    // The load generator is another process here, whose start took time, too.
    figures.retain(|figure, _| matches!(figure, Figure::CpuUs | Figure::ServiceCpuUs));
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    figures.extend([
        (Figure::Rate, sent.right as f64 / sent.seconds),
        (Figure::P50Us, sent.p50_us),
        (Figure::P99Us, sent.p99_us),
        (Figure::P999Us, sent.p999_us),
        (Figure::Opened, sent.connections as f64),
    ]);
    figures.extend(contending.peak());
    Ok(figures)
}

async fn send(lab: &Lab, contending: &Contending, https: bool, callbacks: u64) -> anyhow::Result<Sent> {
    let scheme = if https { "https" } else { "http" };
    let url = format!("{scheme}://{}/callbackExample", contending.program.address);
    let mut command = Command::new(lab.programs.openim());
    command.args(["--url", &url, "--callbacks", &callbacks.to_string()]);
    command.args(["--concurrency", &CONCURRENCY.to_string(), "--warm-up", "0"]);
    if https {
        command.args(["--ca", &lab.secret.path("ca.pem")]);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.context("cannot start OpenIM's client")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let sent: Sent = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("OpenIM's client ended with {}: {}", output.status, said.trim()))?;
    if sent.wrong > 0 {
        bail!("{} of {callbacks} failed, such as: {}", sent.wrong, sent.samples.join("; "));
    }
    ensure!(sent.right == callbacks, "{} of {callbacks} were answered", sent.right);
    Ok(sent)
}
