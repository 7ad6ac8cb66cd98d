//! What every scenario needs: the decision service, a contender that has answered, a load that is measured.

use std::{
    cell::Cell,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    net::{SocketAddr, TcpListener},
    path::Path,
    pin::Pin,
    process::Stdio,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, anyhow, bail};
use nix::time::{ClockId, clock_gettime};
use openim_bridge_bench::{
    certificates::{Authority, Secret},
    contender::{Behind, Contender, Programs, Setup},
    program::Program,
};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    process::Command,
    time::{Instant, sleep},
};
use tokio_rustls::TlsConnector;

use crate::{
    client::first_answer,
    figures::{Figure, Figures, latencies},
    load::Load,
};

/// Connections that carry callbacks concurrently.
pub(crate) const CONCURRENCY: u8 = 64;

/// Ports to listen on: below those that Linux gives to clients, for none to be taken in between.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// One kind of work, with what is measured of it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// For tables.
    pub(crate) title: &'static str,
    /// The columns of its table.
    pub(crate) figures: &'static [Figure],
    pub(crate) takes: fn(&Contender) -> bool,
    pub(crate) run: for<'a> fn(&'a Lab, &'a Contender) -> Running<'a>,
}

pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Figures>> + 'a>>;

/// How much is done in each run of a scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: u32,
    /// Under load, before it is measured.
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// Callbacks in OpenIM's own pattern.
    pub(crate) callbacks: u64,
    /// How often a contender is started to see how long that takes.
    pub(crate) starts: u32,
    /// The deadline where the decision service hangs.
    pub(crate) timeout: Duration,
}

/// The contenders' deadline where it is not to pass.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) struct Lab {
    pub(crate) programs: Programs,
    pub(crate) effort: Effort,
    pub(crate) service: Program,
    /// Where it tells how many after callbacks there were.
    count: SocketAddr,
    pub(crate) secret: Secret,
    trusting: TlsConnector,
    next_port: Cell<u16>,
}

/// How a contender runs, where it is not as always.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Run {
    pub(crate) https: bool,
    /// Threads, where they are not the contender's default.
    pub(crate) workers: Option<u8>,
}

/// A contender that has answered.
#[derive(Debug)]
pub(crate) struct Contending {
    pub(crate) program: Program,
    /// From just before its start to its first good answer.
    pub(crate) started_in: Duration,
    said: File,
}

impl Lab {
    pub(crate) async fn new(programs: Programs, effort: Effort) -> anyhow::Result<Self> {
        rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit on open files")?;
        let authority = Authority::new("openim-bridge benchmark")?;
        let day = Duration::from_hours(24);
        #[allow(clippy::disallowed_methods, reason = "certificates are valid by the wall clock")]
        let until = SystemTime::now() + day;
        let secret = Secret::new(&authority, &authority.sign("127.0.0.1", until)?)?;
        let next_port = Cell::new(PORTS.start);
        let count = free_port(&next_port)?;
        let service = serve_counting(&programs.service(), &[free_port(&next_port)?], Some(count)).await?;
        Ok(Self { programs, effort, service, count, secret, trusting: authority.trusting_client()?, next_port })
    }

    /// Starts a contender in front of the decision service, and waits for its first good answer.
    pub(crate) async fn start(&self, contender: &Contender) -> anyhow::Result<Contending> {
        self.start_with(contender, Behind::Service(&[self.service.address]), TIMEOUT, Run::default()).await
    }

    pub(crate) async fn start_with(
        &self,
        contender: &Contender,
        behind: Behind<'_>,
        timeout: Duration,
        Run { https, workers }: Run,
    ) -> anyhow::Result<Contending> {
        let listen = self.free_port()?;
        let (cert, key) = (self.secret.path("cert.pem"), self.secret.path("key.pem"));
        let setup = Setup { listen, behind, timeout, tls: https.then_some((cert.as_str(), key.as_str())), workers };
        let said = tempfile::tempfile()?;
        let mut command = contender.command(&self.programs);
        command.args(contender.arguments(&setup)).stderr(Stdio::from(said.try_clone()?));
        let began = Instant::now();
        let program = Program::launch(command, listen)?;
        let mut contending = Contending { program, started_in: Duration::ZERO, said };
        let answered = tokio::select! {
            biased;
            answered = first_answer(listen, https.then_some(&self.trusting)) => answered,
            ended = contending.has_ended() => Err(ended),
        };
        match answered {
            Ok(at) => contending.started_in = at - began,
            Err(error) => bail!("{error:#}; it said: {}", contending.said()?),
        }
        Ok(contending)
    }

    pub(crate) fn free_port(&self) -> anyhow::Result<SocketAddr> {
        free_port(&self.next_port)
    }

    /// Lets the load go on for the warm-up, then for the part that is measured, and ends it.
    pub(crate) async fn measure(&self, contending: &mut Contending, load: Load) -> anyhow::Result<Figures> {
        sleep(self.effort.warm_up).await;
        let before = self.look(contending)?;
        let answered_before = load.answered();
        load.record();
        sleep(self.effort.measured).await;
        let after = self.look(contending)?;
        let answered = load.answered() - answered_before;
        let sorted = load.finish().await?;
        contending.still_running()?;
        let mut figures = after.since(&before, answered);
        figures.extend(latencies(&sorted));
        figures.extend(contending.peak());
        Ok(figures)
    }

    /// How many after callbacks the decision service was told of, from all contenders.
    pub(crate) async fn events(&self) -> anyhow::Result<u64> {
        let mut told = String::new();
        TcpStream::connect(self.count).await?.read_to_string(&mut told).await?;
        told.parse().with_context(|| format!("the decision service counts {told:?}"))
    }

    /// The CPU time that all have used until now.
    pub(crate) fn look(&self, contending: &Contending) -> anyhow::Result<Look> {
        Ok(Look {
            at: Instant::now(),
            contender: contending.program.cpu()?,
            service: self.service.cpu()?,
            load: clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into(),
        })
    }
}

impl Contending {
    pub(crate) fn peak(&self) -> Option<(Figure, f64)> {
        Some((Figure::PeakMb, megabytes(self.program.peak_memory_kib()?)))
    }

    pub(crate) fn idle(&self) -> Option<(Figure, f64)> {
        Some((Figure::IdleMb, megabytes(self.program.memory_kib()?)))
    }

    pub(crate) fn still_running(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.program.ended()? {
            bail!("it ended: {status}; it said: {}", self.said()?);
        }
        Ok(())
    }

    /// Waits until it has ended by itself.
    async fn has_ended(&mut self) -> anyhow::Error {
        loop {
            match self.program.ended() {
                Ok(None) => sleep(Duration::from_millis(5)).await,
                Ok(Some(status)) => return anyhow!("it ended: {status}"),
                Err(error) => return error,
            }
        }
    }

    /// On standard error.
    fn said(&mut self) -> anyhow::Result<String> {
        let mut text = String::new();
        self.said.seek(SeekFrom::Start(0))?;
        self.said.read_to_string(&mut text)?;
        Ok(text.trim().to_owned())
    }
}

/// CPU times at an instant.
#[derive(Debug)]
pub(crate) struct Look {
    at: Instant,
    contender: Duration,
    service: Duration,
    load: Duration,
}

impl Look {
    /// What so many answers have cost since `before`.
    pub(crate) fn since(&self, before: &Self, answered: u64) -> Figures {
        #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
        let answered = answered as f64;
        let seconds = (self.at - before.at).as_secs_f64();
        let each = |now: Duration, past: Duration| now.saturating_sub(past).as_secs_f64() * 1e6 / answered;
        Figures::from([
            (Figure::Rate, answered / seconds),
            (Figure::CpuUs, each(self.contender, before.contender)),
            (Figure::ServiceCpuUs, each(self.service, before.service)),
            (Figure::LoadCpuUs, each(self.load, before.load)),
            (Figure::LoadCore, self.load.saturating_sub(before.load).as_secs_f64() / seconds),
        ])
    }
}

/// Starts the decision service, and waits until it listens at all of these.
pub(crate) async fn serve(service: &Path, addresses: &[SocketAddr]) -> anyhow::Result<Program> {
    serve_counting(service, addresses, None).await
}

async fn serve_counting(
    service: &Path,
    addresses: &[SocketAddr],
    count: Option<SocketAddr>,
) -> anyhow::Result<Program> {
    let mut command = Command::new(service);
    for address in addresses {
        command.args(["--listen", &address.to_string()]);
    }
    if let Some(count) = count {
        command.args(["--count-listen", &count.to_string()]);
    }
    let first = *addresses.first().context("no address to listen at")?;
    let mut program = Program::launch(command, first)?;
    let began = Instant::now();
    for address in addresses.iter().chain(&count) {
        while crate::client::connect(*address, 1).await.is_err() {
            if began.elapsed() > Duration::from_secs(10) || program.ended()?.is_some() {
                bail!("the decision service does not listen at {address}");
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(program)
}

fn free_port(next: &Cell<u16>) -> anyhow::Result<SocketAddr> {
    for _ in PORTS {
        let port = next.get();
        next.set(if port + 1 == PORTS.end { PORTS.start } else { port + 1 });
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port of {PORTS:?} is free")
}

fn megabytes(kib: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "less than 2^53")]
    let kib = kib as f64;
    kib * 1024.0 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_divided_among_the_answers_of_the_measured_part() {
        let at = Instant::now();
        let look = |seconds, contender, service, load| Look {
            at: at + Duration::from_secs(seconds),
            contender: Duration::from_millis(contender),
            service: Duration::from_millis(service),
            load: Duration::from_millis(load),
        };
        let figures = look(3, 1250, 700, 1900).since(&look(1, 250, 500, 900), 50_000);
        let expected = [
            (Figure::Rate, 25_000.0),
            (Figure::CpuUs, 20.0),
            (Figure::ServiceCpuUs, 4.0),
            (Figure::LoadCpuUs, 20.0),
            (Figure::LoadCore, 0.5),
        ];
        for (figure, value) in expected {
            assert!((figures[&figure] - value).abs() < 1e-6, "{figure:?}: {}", figures[&figure]);
        }
    }
}
