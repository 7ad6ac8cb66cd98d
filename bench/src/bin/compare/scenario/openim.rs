//! Callbacks from OpenIM's own HTTP client: at most 100 connections, of which it keeps 2; over HTTPS, HTTP/2. One kind of
//! callback, or all that a message causes.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{Instant, sleep},
};

use super::closed::FIGURES;
use crate::{
    figures::{Figure, Figures},
    lab::{CONCURRENCY, Contending, Lab, Run, Scenario, TIMEOUT},
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

/// The columns of a scenario of messages.
const CHAT_FIGURES: &[Figure] = &[
    Figure::MessageCpuUs,
    Figure::CpuUs,
    Figure::MessageRate,
    Figure::P50Us,
    Figure::P99Us,
    Figure::P999Us,
    Figure::PeakMb,
];

pub(crate) static CHAT_HTTP: Scenario = Scenario {
    name: "chat-http",
    title: "a message's five callbacks from OpenIM's own client over HTTP, 64 callers: three are decided, and two delivered, \
            which the others answer when the service has; latency is that of the two for which the sender waits",
    figures: CHAT_FIGURES,
    takes: |_| true,
    run: |lab, contender| Box::pin(chat(lab, contender, false)),
};

pub(crate) static CHAT_HTTPS: Scenario = Scenario {
    name: "chat-https",
    title: "a message's five callbacks from OpenIM's own client over HTTPS (HTTP/2), 64 callers",
    figures: CHAT_FIGURES,
    takes: |_| true,
    run: |lab, contender| Box::pin(chat(lab, contender, true)),
};

/// Callbacks of a message in `chat`, and how many of them are after callbacks.
const OF_A_MESSAGE: u8 = 5;
const AFTER: u8 = 2;

/// An after callback that is not delivered so long after the one before is missing.
const PATIENCE: Duration = Duration::from_secs(12);

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
    let mut contending = start(lab, contender, https).await?;
    let client = Client::warm(lab, &contending, https, &[], lab.effort.callbacks).await?;
    let before = lab.look(&contending)?;
    let sent = client.send().await?;
    let mut figures = lab.look(&contending)?.since(&before, sent.right);
    finish(&mut contending, &mut figures, &sent, Figure::Rate)?;
    Ok(figures)
}

/// As many callbacks, of fewer messages; the CPU time is that until the last after callback is delivered.
async fn chat(lab: &Lab, contender: &Contender, https: bool) -> anyhow::Result<Figures> {
    let mut contending = start(lab, contender, https).await?;
    let messages = lab.effort.callbacks / u64::from(OF_A_MESSAGE);
    let began = lab.events().await?;
    let client = Client::warm(lab, &contending, https, &["--chat"], messages).await?;
    delivered(lab, began, warming(messages)).await?;
    let (before, began) = (lab.look(&contending)?, lab.events().await?);
    let sent = client.send().await?;
    delivered(lab, began, messages).await?;
    let mut figures = lab.look(&contending)?.since(&before, sent.right * u64::from(OF_A_MESSAGE));
    finish(&mut contending, &mut figures, &sent, Figure::MessageRate)?;
    if let Some(cpu) = figures.get(&Figure::CpuUs) {
        figures.insert(Figure::MessageCpuUs, cpu * f64::from(OF_A_MESSAGE));
    }
    Ok(figures)
}

async fn start(lab: &Lab, contender: &Contender, https: bool) -> anyhow::Result<Contending> {
    lab.start_with(contender, Behind::Service(&[lab.service.address]), TIMEOUT, Run { https, ..Run::default() }).await
}

/// Puts in what the client and the kernel tell.
fn finish(contending: &mut Contending, figures: &mut Figures, sent: &Sent, rate: Figure) -> anyhow::Result<()> {
    contending.still_running()?;
    // The load generator is another process here.
    figures.retain(|figure, _| matches!(figure, Figure::CpuUs | Figure::ServiceCpuUs));
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    figures.extend([
        (rate, sent.right as f64 / sent.seconds),
        (Figure::P50Us, sent.p50_us),
        (Figure::P99Us, sent.p99_us),
        (Figure::P999Us, sent.p999_us),
        (Figure::Opened, sent.connections as f64),
    ]);
    figures.extend(contending.peak());
    Ok(())
}

/// Waits until the decision service was told all that these messages' after callbacks tell, each once.
async fn delivered(lab: &Lab, began: u64, messages: u64) -> anyhow::Result<()> {
    let expected = messages * u64::from(AFTER);
    let (mut events, mut last) = (lab.events().await? - began, Instant::now());
    while events < expected && last.elapsed() < PATIENCE {
        sleep(Duration::from_millis(1)).await;
        let now = lab.events().await? - began;
        if now > events {
            (events, last) = (now, Instant::now());
        }
    }
    ensure!(events == expected, "the decision service was told {events} times what happened {expected} times");
    Ok(())
}

/// OpenIM's client, which has warmed up and waits: its connections are made, 64 of them over HTTPS, of which one is kept.
struct Client {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    callbacks: u64,
}

/// What it sends before anything counts.
fn warming(callbacks: u64) -> u64 {
    callbacks / 4
}

impl Client {
    async fn warm(
        lab: &Lab,
        contending: &Contending,
        https: bool,
        flags: &[&str],
        callbacks: u64,
    ) -> anyhow::Result<Self> {
        let scheme = if https { "https" } else { "http" };
        let url = format!("{scheme}://{}/callbackExample", contending.program.address);
        let mut command = Command::new(lab.programs.openim());
        command.args(["--url", &url, "--callbacks", &callbacks.to_string(), "--wait"]).args(flags);
        command.args(["--concurrency", &CONCURRENCY.to_string(), "--warm-up", &warming(callbacks).to_string()]);
        if https {
            command.args(["--ca", &lab.secret.path("ca.pem")]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start OpenIM's client")?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("OpenIM's client has no pipes")
        };
        let mut client = Self { child, stdin, stdout: BufReader::new(stdout), callbacks };
        client.line().await?;
        Ok(client)
    }

    /// Lets it send what counts.
    async fn send(mut self) -> anyhow::Result<Sent> {
        self.stdin.write_all(b"\n").await?;
        let sent: Sent = serde_json::from_str(&self.line().await?)?;
        let Self { mut child, callbacks, .. } = self;
        child.wait().await?;
        if sent.wrong > 0 {
            bail!("{} of {callbacks} failed, such as: {}", sent.wrong, sent.samples.join("; "));
        }
        ensure!(sent.right == callbacks, "{} of {callbacks} were answered", sent.right);
        Ok(sent)
    }

    /// The next of its lines.
    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line).await? == 0 {
            // It has said why on standard error.
            bail!("OpenIM's client ended with {}", self.child.wait().await?);
        }
        Ok(line)
    }
}
