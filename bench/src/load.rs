//! Callbacks at a constant rate, whatever becomes of them, on connections as OpenIM's client makes them: at most 100, of
//! which 2 are kept while nothing is sent.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Semaphore, oneshot},
    task::{JoinHandle, JoinSet},
    time::{self, Instant, MissedTickBehavior},
};
use tokio_rustls::TlsConnector;

use crate::{
    answer::{Told, told},
    callback::{read_answer, request},
    stats::percentile,
};

/// Connections of OpenIM's client to one host.
const CONNECTIONS: usize = 100;
/// How many of them it keeps while nothing is sent.
const KEPT: usize = 2;
/// An answer that has not come by then is missing: OpenIM's client never waits longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// How the bridge is spoken to.
#[derive(Clone)]
pub enum Scheme {
    /// HTTP/1.1 over TCP.
    Http,
    /// HTTP/1.1 over TLS, each callback on a connection of its own, so that each sees the certificate of its time.
    Https(TlsConnector, ServerName<'static>),
}

/// What became of one callback.
#[derive(Debug, Clone)]
pub struct Callback {
    /// When it was to be sent. Connecting comes after.
    pub began: Instant,
    /// Until its answer's last byte.
    pub took: Duration,
    /// What OpenIM would make of the answer.
    pub told: Told,
}

/// Callbacks that are being sent.
#[derive(Debug)]
pub struct Load {
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<Callbacks>>,
}

impl Load {
    /// Sends `rate` callbacks a second from now on.
    #[must_use]
    pub fn start(bridge: SocketAddr, rate: u32, scheme: Scheme) -> Self {
        let (stop, stopped) = oneshot::channel();
        let client = Arc::new(Client { bridge, scheme, room: Semaphore::new(CONNECTIONS), kept: Mutex::default() });
        let task = tokio::spawn(send(client, Duration::from_secs(1) / rate.max(1), stopped));
        Self { stop, task }
    }

    /// Sends no more, waits for the answers that are to come, and tells what became of all.
    ///
    /// # Errors
    ///
    /// When the load generator itself failed.
    pub async fn finish(self) -> anyhow::Result<Callbacks> {
        // It is there until told to stop.
        let _gone = self.stop.send(());
        self.task.await?
    }
}

async fn send(client: Arc<Client>, every: Duration, mut stopped: oneshot::Receiver<()>) -> anyhow::Result<Callbacks> {
    let mut ticks = time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = JoinSet::new();
    let mut done = Vec::new();
    let mut number = 0_u64;
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = ticks.tick() => {
                number += 1;
                sent.spawn(Arc::clone(&client).ask(number));
            }
            Some(callback) = sent.join_next() => done.push(callback?),
        }
    }
    while let Some(callback) = sent.join_next().await {
        done.push(callback?);
    }
    Ok(Callbacks(done))
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

struct Client {
    bridge: SocketAddr,
    scheme: Scheme,
    room: Semaphore,
    kept: Mutex<Vec<Box<dyn Stream>>>,
}

impl Client {
    async fn ask(self: Arc<Self>, number: u64) -> Callback {
        let began = Instant::now();
        let remark = format!("pal {number}");
        let told = match time::timeout(PATIENCE, self.exchange(number, &remark)).await {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => Told::Missing(format!("{error:#}")),
            Err(_) => Told::Missing(format!("no answer within {PATIENCE:?}")),
        };
        Callback { began, took: began.elapsed(), told }
    }

    async fn exchange(&self, number: u64, remark: &str) -> anyhow::Result<Told> {
        let _place = self.room.acquire().await?;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut stream = match kept {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        stream.write_all(&request(self.bridge, &format!("chaos-{number}"), remark)).await.context("cannot send")?;
        let answer = read_answer(&mut stream).await?;
        if matches!(self.scheme, Scheme::Http) && !answer.closes {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < KEPT {
                kept.push(stream);
            }
        }
        Ok(told(&answer.body, remark))
    }

    async fn connect(&self) -> anyhow::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(self.bridge).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        Ok(match &self.scheme {
            Scheme::Http => Box::new(stream),
            Scheme::Https(connector, name) => {
                Box::new(connector.connect(name.clone(), stream).await.context("the TLS handshake failed")?)
            }
        })
    }
}

/// What became of callbacks.
#[derive(Debug, Default)]
pub struct Callbacks(Vec<Callback>);

impl Callbacks {
    /// How many were sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.0.len()
    }

    /// How many were answered in OpenIM's shape.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.0.len() - self.bad().count()
    }

    /// What was not, and why.
    pub fn bad(&self) -> impl Iterator<Item = &Callback> {
        self.0.iter().filter(|callback| matches!(callback.told, Told::Wrong(_) | Told::Missing(_)))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Callback> {
        self.0.iter()
    }

    /// Those answered by a fallback.
    pub fn fell_back(&self) -> impl Iterator<Item = &Callback> {
        self.0.iter().filter(|callback| matches!(callback.told, Told::FellBack(_)))
    }

    /// Those that the mock decided.
    pub fn decided(&self) -> impl Iterator<Item = &Callback> {
        self.0.iter().filter(|callback| callback.told == Told::Decided)
    }

    /// Those that began within these times.
    #[must_use]
    pub fn within(&self, from: Instant, to: Instant) -> Self {
        Self(self.0.iter().filter(|callback| (from..to).contains(&callback.began)).cloned().collect())
    }

    /// Those that began then or later.
    #[must_use]
    pub fn since(&self, from: Instant) -> Self {
        Self(self.0.iter().filter(|callback| callback.began >= from).cloned().collect())
    }

    /// The longest that one took.
    #[must_use]
    pub fn slowest(&self) -> Duration {
        slowest(self.0.iter())
    }

    /// Adds others.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

/// The longest that one of these took.
pub fn slowest<'a>(callbacks: impl Iterator<Item = &'a Callback>) -> Duration {
    callbacks.map(|callback| callback.took).max().unwrap_or_default()
}

/// What 99 % of these did not exceed.
pub fn p99<'a>(callbacks: impl Iterator<Item = &'a Callback>) -> Duration {
    let mut sorted: Vec<_> = callbacks.map(|callback| callback.took.as_secs_f64()).collect();
    sorted.sort_by(f64::total_cmp);
    Duration::from_secs_f64(percentile(&sorted, 99).unwrap_or_default())
}
