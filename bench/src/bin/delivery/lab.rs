//! One contender under one load, and what became of the events.

use std::{
    io::{Read as _, Seek as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use openim_bridge_bench::{
    contender::{Behind, Contender, Programs, Setup},
    program::Program,
    receiver::Receiver,
};
use serde::Deserialize;
use tokio::{
    net::TcpStream,
    process::Command,
    time::{Instant, sleep},
};

/// What the decision service takes for an event.
pub(crate) const TAKES: Duration = Duration::from_millis(20);
/// Within which a contender answers. OpenIM waits 5 s for it.
const TIMEOUT: Duration = Duration::from_secs(4);
/// How long a contender may take to listen.
const START: Duration = Duration::from_secs(20);
/// An event that is not delivered so long after the one before is lost. The bridge retries within less.
const PATIENCE: Duration = Duration::from_secs(12);

/// Calls of users, each with an event that OpenIM tells of.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    /// For the report.
    pub(crate) title: &'static str,
    pub(crate) events: u32,
    /// Conversations.
    pub(crate) keys: u32,
    /// Calls a second.
    pub(crate) rate: u32,
}

pub(crate) static BURST: Load = Load {
    name: "burst",
    title: "5,000 messages in 1,000 conversations, 3,000 a second",
    events: 5_000,
    keys: 1_000,
    rate: 3_000,
};

pub(crate) static SUSTAINED: Load = Load {
    name: "sustained",
    title: "3,000 messages a second in 512 conversations, for 60 s",
    events: 60 * 3_000,
    keys: 512,
    rate: 3_000,
};

impl Load {
    /// From the first call to the last.
    fn lasts(&self) -> Duration {
        Duration::from_secs(1) * self.events / self.rate
    }
}

/// What OpenIM's queue prints.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Sent {
    pub(crate) calls: u32,
    pub(crate) accepted: u32,
    pub(crate) waited: u32,
    pub(crate) longest_wait_ms: f64,
    pub(crate) accepted_in_s: f64,
}

/// What became of a load's events.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// As OpenIM sees it.
    pub(crate) sent: Sent,
    /// How many the service was told of.
    pub(crate) delivered: usize,
    /// How many of them before the load's time had passed since the first.
    pub(crate) delivered_in_time: usize,
    /// The most memory that the contender held, in KiB.
    pub(crate) peak_memory_kib: Option<u64>,
}

impl Measured {
    /// Events that the service was never told of.
    pub(crate) fn lost(&self) -> u32 {
        self.sent.calls.saturating_sub(u32::try_from(self.delivered).unwrap_or(u32::MAX))
    }

    /// Events that OpenIM could get rid of, a second.
    pub(crate) fn accepted_a_second(&self) -> f64 {
        f64::from(self.sent.accepted) / self.sent.accepted_in_s
    }
}

/// Puts the load on a contender of its own, before a service of its own.
pub(crate) async fn run(programs: &Programs, contender: &Contender, load: &Load) -> anyhow::Result<Measured> {
    let receiver = Receiver::start(TAKES).await?;
    let listen = free_address()?;
    let setup =
        Setup { listen, behind: Behind::Service(&[receiver.address]), timeout: TIMEOUT, tls: None, workers: None };
    let mut said = tempfile::tempfile()?;
    let mut command = contender.command(programs);
    command.args(contender.arguments(&setup)).stderr(Stdio::from(said.try_clone()?));
    let mut program = Program::launch(command, listen)?;
    let measured = match listening(&mut program).await {
        Ok(()) => measure(programs, &program, &receiver, load).await,
        Err(error) => Err(error),
    };
    if measured.is_err() || program.ended()?.is_some() {
        let mut text = String::new();
        said.rewind()?;
        said.read_to_string(&mut text)?;
        let error = measured.err().map_or_else(|| "it ended".to_owned(), |error| format!("{error:#}"));
        bail!("{error}; it said: {}", text.trim());
    }
    program.stop().await?;
    measured
}

async fn measure(programs: &Programs, program: &Program, receiver: &Receiver, load: &Load) -> anyhow::Result<Measured> {
    let sent = send(programs, program.address, load).await?;
    let (mut delivered, mut last) = (receiver.events(), Instant::now());
    // What OpenIM has lost is never delivered.
    while delivered < sent.accepted as usize && last.elapsed() < PATIENCE {
        sleep(Duration::from_millis(10)).await;
        if receiver.events() > delivered {
            (delivered, last) = (receiver.events(), Instant::now());
        }
    }
    Ok(Measured {
        sent,
        delivered,
        delivered_in_time: receiver.events_within(load.lasts()),
        peak_memory_kib: program.peak_memory_kib(),
    })
}

/// OpenIM's queue with its webhook client, until each event is sent or lost.
async fn send(programs: &Programs, contender: SocketAddr, load: &Load) -> anyhow::Result<Sent> {
    let mut command = Command::new(programs.queue());
    command.args(["--url", &format!("http://{contender}/callbackExample")]);
    let flags = [("--events", load.events), ("--keys", load.keys), ("--rate", load.rate)];
    for (flag, value) in flags {
        command.args([flag, &value.to_string()]);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.context("cannot start OpenIM's queue")?;
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("OpenIM's queue ended with {}: {}", output.status, said.trim()))
}

async fn listening(program: &mut Program) -> anyhow::Result<()> {
    let began = Instant::now();
    while TcpStream::connect(program.address).await.is_err() {
        if let Some(status) = program.ended()? {
            bail!("it ended: {status}");
        }
        if began.elapsed() > START {
            bail!("it does not listen within {START:?}");
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// One that was free just now.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
