//! Callbacks over many connections: as fast as answers come (a closed loop), or at a rate that does not depend on them
//! (an open loop). One thread sends and reads all.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpStream, unix::pipe},
    sync::mpsc,
    task::JoinSet,
    time::{self, Instant},
};

use crate::{
    client::{Good, connect, exchange},
    kind::{Callbacks, Kind},
};

/// An answer that has not come this long after the last callback was sent is missing.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the connections of a closed loop do after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connections {
    /// They carry the next callback.
    Kept,
    /// They are closed, and each callback has a new one.
    New,
}

/// Callbacks that are being sent.
#[derive(Debug)]
pub(crate) struct Load {
    tally: Rc<Tally>,
    tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Tally {
    number: Cell<u64>,
    answered: Cell<u64>,
    /// Whether latencies count.
    recording: Cell<bool>,
    stopped: Cell<bool>,
    /// In microseconds.
    latencies: RefCell<Vec<f64>>,
    bad: Cell<usize>,
    sample: RefCell<Option<String>>,
}

impl Load {
    /// Sends the next callback on each of so many connections as soon as the one before is answered. Latency counts from
    /// just before sending, or connecting.
    pub(crate) fn closed(
        host: SocketAddr,
        kind: Kind,
        concurrency: u8,
        connections: Connections,
    ) -> anyhow::Result<Self> {
        let tally = Rc::<Tally>::default();
        let callbacks = Rc::new(Callbacks::new(kind, host)?);
        let mut tasks = JoinSet::new();
        for place in 0..concurrency {
            let (tally, callbacks) = (Rc::clone(&tally), Rc::clone(&callbacks));
            tasks.spawn_local(async move {
                let outcome = ask_on(&tally, &callbacks, place, connections).await;
                outcome.unwrap_or_else(|error| tally.bad(&error));
            });
        }
        Ok(Self { tally, tasks })
    }

    /// Sends `rate` callbacks a second, in turn on each of so many kept connections. Latency counts from when each was
    /// due, so that waiting for a connection shows.
    pub(crate) async fn open(host: SocketAddr, concurrency: u8, rate: u32) -> anyhow::Result<Self> {
        let tally = Rc::<Tally>::default();
        let callbacks = Rc::new(Callbacks::new(Kind::Remark, host)?);
        let mut tasks = JoinSet::new();
        let mut places = Vec::new();
        for place in 0..concurrency {
            let (due, dues) = mpsc::unbounded_channel();
            let stream = connect(host, place + 1).await?;
            let (tally, callbacks) = (Rc::clone(&tally), Rc::clone(&callbacks));
            tasks.spawn_local(async move {
                let outcome = answer_dues(&tally, &callbacks, stream, dues).await;
                outcome.unwrap_or_else(|error| tally.bad(&error));
            });
            places.push(due);
        }
        let paced = Rc::clone(&tally);
        tasks.spawn_local(async move {
            let outcome = pace(&paced, Duration::from_secs(1) / rate, &places).await;
            outcome.unwrap_or_else(|error| paced.bad(&error));
        });
        Ok(Self { tally, tasks })
    }

    /// Latencies count from now on.
    pub(crate) fn record(&self) {
        self.tally.recording.set(true);
    }

    /// How many good answers there were, recorded or not.
    pub(crate) fn answered(&self) -> u64 {
        self.tally.answered.get()
    }

    /// Sends no more, waits for what is to come, and gives the recorded latencies in microseconds, ascending.
    ///
    /// # Errors
    ///
    /// When any answer was wrong or missing, recorded or not.
    pub(crate) async fn finish(mut self) -> anyhow::Result<Vec<f64>> {
        self.tally.stopped.set(true);
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended?;
            }
            anyhow::Ok(())
        };
        time::timeout(PATIENCE, ended).await.with_context(|| format!("an answer was missing for {PATIENCE:?}"))??;
        let tally = &self.tally;
        if let Some(sample) = tally.sample.take() {
            bail!("{} of {} failed, such as: {sample}", tally.bad.get(), tally.number.get());
        }
        let mut latencies = tally.latencies.take();
        latencies.sort_by(f64::total_cmp);
        Ok(latencies)
    }
}

impl Tally {
    fn next(&self) -> u64 {
        self.number.set(self.number.get() + 1);
        self.number.get()
    }

    fn good(&self, began: Instant, good: &Good) {
        self.answered.set(self.answered.get() + 1);
        if self.recording.get() {
            self.latencies.borrow_mut().push((good.at - began).as_secs_f64() * 1e6);
        }
    }

    fn bad(&self, error: &anyhow::Error) {
        self.bad.set(self.bad.get() + 1);
        self.sample.borrow_mut().get_or_insert_with(|| format!("{error:#}"));
    }
}

/// One connection at a time, until told to stop or an answer is bad.
async fn ask_on(tally: &Tally, callbacks: &Callbacks, place: u8, connections: Connections) -> anyhow::Result<()> {
    let mut kept: Option<TcpStream> = None;
    while !tally.stopped.get() {
        let began = Instant::now();
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => connect(callbacks.host(), place + 1).await?,
        };
        let good = exchange(&mut stream, callbacks, tally.next()).await?;
        tally.good(began, &good);
        if connections == Connections::Kept && !good.closes {
            kept = Some(stream);
        }
    }
    Ok(())
}

/// Sends on one connection what is due, until nothing will be or an answer is bad.
async fn answer_dues(
    tally: &Tally,
    callbacks: &Callbacks,
    mut stream: TcpStream,
    mut dues: mpsc::UnboundedReceiver<Instant>,
) -> anyhow::Result<()> {
    while let Some(due) = dues.recv().await {
        let good = exchange(&mut stream, callbacks, tally.next()).await?;
        tally.good(due, &good);
    }
    Ok(())
}

/// Says to one place after the other that a callback is due. The runtime's timers know only milliseconds.
async fn pace(tally: &Tally, every: Duration, places: &[mpsc::UnboundedSender<Instant>]) -> anyhow::Result<()> {
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    timer.set(Expiration::Interval(TimeSpec::from(every)), TimerSetTimeFlags::empty())?;
    // It is read as a pipe is, which gives how often it has fired.
    let mut timer = pipe::Receiver::from_owned_fd_unchecked(timer.into())?;
    let mut due = Instant::now() + every;
    let mut places = places.iter().cycle();
    while !tally.stopped.get() {
        timer.read_u64().await?;
        while due <= Instant::now() {
            // Its receiver is gone after a bad answer, which voids all of this anyway.
            let _gone = places.next().context("no connections")?.send(due);
            due += every;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
