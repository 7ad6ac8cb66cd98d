//! From configuration to running workers, and down again: bind, serve, drain.
//!
//! - [`context`]: what a connection may use. [`settings`](Settings): what a bridge runs on.
//! - [`worker`]: one thread, its runtime, its listener, its bridge.
//! - [`connection`]: one connection, and the requests on it.
//! - [`connections`]: how many there are in the process, and which one goes when there are too many.
//! - [`drain`]: the stages of stopping. [`bell`]: tells all connections of a worker at once.
//! - [`admin`]: the listener for operators. [`shown`](ShownConfiguration): the configuration as it shows it.
//!
//! Called by `cli` and by tests. Never prints.

pub(crate) mod admin;
mod bell;
mod connection;
mod connections;
mod context;
mod drain;
mod settings;
mod shown;
mod worker;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, OnceLock, RwLock},
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

pub use drain::DrainStage;
pub use settings::{AdminSettings, DrainSettings, ReadySettings, Settings, TlsSettings};
pub use shown::{ShowConfiguration, ShownConfiguration, ShownSetting};

use crate::base::file_watch::{ReloadCounts, Reloads};
use crate::base::socket;
use crate::base::tls::{TlsError, Untimely};
use crate::bridge::{Deliveries, SharedLimits, Shares};
use crate::callback::Callbacks;
use crate::telemetry::metrics::Metrics;
use crate::upstream::{Pool, PoolError, Receiver};
use admin::plain_http;
use connection::tls::ListenerTls;
use connections::{ConnectionLimits, Connections};
use context::Shared;
use drain::Drain;

/// How often a drain looks whether all is answered.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    shared: Arc<Shared>,
    /// Yields `None` once every worker has ended.
    workers: mpsc::Receiver<()>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind { address: SocketAddr, source: io::Error },
    /// The socket that systemd has opened cannot be used.
    #[error("cannot listen on the socket that was passed (LISTEN_FDS)")]
    Passed(#[source] io::Error),
    /// The admin address cannot be listened on.
    #[error("cannot listen on {address} for operators (`admin.listen`)")]
    Admin { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The metrics cannot be set up, by a mistake in the program.
    #[error("cannot set up the metrics")]
    Metrics(#[from] prometheus::Error),
    /// A worker's thread or runtime cannot be started.
    #[error("cannot start a worker")]
    Worker(#[source] io::Error),
}

impl From<PoolError> for StartError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Tls(error) => Self::Tls(error),
            PoolError::Thread(error) => Self::Worker(error),
        }
    }
}

/// Reads the files of TLS of both sides as [`Server::start`] would, and says which certificates are not valid now, or soon
/// will not be; for each side.
pub fn inspect_files(settings: &Settings) -> [Result<Vec<Untimely>, TlsError>; 3] {
    let listener = settings.tls.as_ref().map_or(Ok(Vec::new()), ListenerTls::inspect);
    let receiver = settings.forward.as_ref().map_or(Ok(Vec::new()), Receiver::inspect);
    [listener, Pool::inspect(&settings.upstream), receiver]
}

impl Server {
    /// Binds, and starts the workers and the listener for operators. Returns once both ports accept connections.
    ///
    /// # Errors
    /// When the certificate cannot be used, an address is in use or not there, or the system gives no thread.
    pub fn start(settings: Settings, callbacks: Callbacks) -> Result<Self, StartError> {
        Self::start_on(None, settings, callbacks)
    }

    /// The same, with the listener that was passed to the process, if one was, in place of `listen`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_on(passed: Option<TcpListener>, settings: Settings, callbacks: Callbacks) -> Result<Self, StartError> {
        let callbacks = Arc::new(callbacks);
        let configured = settings.listen;
        let workers = settings.workers.get();
        let tls = settings.tls.as_ref().map(ListenerTls::start).transpose()?;
        let bind_error = |source| StartError::Bind { address: configured, source };
        let was_passed = passed.is_some();
        let listeners = match passed {
            Some(listener) => socket::share(listener, workers).map_err(StartError::Passed)?,
            None => socket::listen(configured, workers).map_err(bind_error)?,
        };
        let address = listeners.first().map_or(Ok(configured), TcpListener::local_addr).map_err(bind_error)?;

        let admin = settings.admin.listen.map(|address| {
            let bound = plain_http::bind(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
            bound.map_err(|source| StartError::Admin { address, source })
        });
        let admin = admin.transpose()?;

        let limits = connection_limits(&settings);
        tracing::info!(
            %address,
            passed = was_passed.then_some(true),
            workers,
            https = tls.is_some(),
            connections = limits.count,
            connection_bytes = bounded(limits.bytes),
            body_bytes = settings.bridge.limits.body_bytes,
            queue_bytes = settings.bridge.delivery.queue_bytes,
            budget = Shares::of_process().budget,
            "listening"
        );
        if let Some(tls) = &tls {
            tls.tell_untimely();
        }

        let metrics = Arc::new(Metrics::new(Arc::clone(&callbacks))?);
        let delivery = &settings.bridge.delivery;
        let (deliveries, events) = Deliveries::new(delivery, callbacks, Arc::clone(&metrics), workers.into());
        let shared = Arc::new(Shared {
            limits: SharedLimits::new(&settings.bridge.limits),
            metrics,
            pool: Pool::start(settings.upstream.clone())?,
            receiver: settings.forward.clone().map(Receiver::start).transpose()?,
            settings: watch::Sender::new(Arc::new(settings)),
            configuration: RwLock::default(),
            configuration_reloads: OnceLock::new(),
            connections: Connections::new(limits),
            drain: Drain::default(),
            tls,
            deliveries,
        });
        let (alive, ended) = mpsc::channel(1);
        // Dropped with its workers when one of them cannot start.
        let admin_address = admin.as_ref().map(|(address, _)| *address);
        let server = Self { address, admin: admin_address, shared: Arc::clone(&shared), workers: ended };
        for (number, (listener, events)) in listeners.into_iter().zip(events).enumerate() {
            let shared = Arc::clone(&shared);
            let alive = alive.clone();
            let (started, is_started) = std::sync::mpsc::sync_channel(1);
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    // Held until the worker ends.
                    let _alive = alive;
                    worker::run(&shared, listener, events, &started);
                })
                .map_err(StartError::Worker)?;
            is_started.recv().unwrap_or_else(|gone| Err(io::Error::other(gone))).map_err(StartError::Worker)?;
        }
        if let Some((address, listener)) = admin {
            tracing::info!(%address, "listening for operators");
            admin::start(&shared, listener).map_err(StartError::Worker)?;
        }
        Ok(server)
    }

    /// What operators are shown as the configuration in force, from now on.
    pub fn show_configuration(&self, configuration: impl ShowConfiguration + 'static) {
        self.shared.show_configuration(configuration);
    }

    /// What operators are shown as the number of times that the configuration was read again. Once only.
    pub fn show_reloads(&self, counts: ReloadCounts) {
        // An error is that there is one already, which then stays.
        let _ = self.shared.configuration_reloads.set(counts);
    }

    /// What puts another configuration in force.
    #[must_use]
    pub fn reconfigure(&self) -> Reconfigure {
        Reconfigure(Arc::clone(&self.shared))
    }

    /// Where callbacks are received: the real port, also when 0 was configured.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// What is held now.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            connections: self.shared.connections.open(),
            in_flight: self.shared.limits.in_flight.held(),
            body_bytes: self.shared.limits.body_bytes.held(),
            queued: self.shared.deliveries.queued().0,
        }
    }

    /// How often the certificate was read again; `None` with plain HTTP.
    #[must_use]
    pub fn reloads(&self) -> Option<Reloads> {
        self.shared.tls.as_ref().map(ListenerTls::reloads)
    }

    /// How often the files of TLS to the decision service were read again; `None` without an `https` address.
    #[must_use]
    pub fn upstream_reloads(&self) -> Option<Reloads> {
        self.shared.pool.reloads()
    }

    /// From now on every response announces that its connection closes.
    /// What is queued is delivered without long pauses.
    pub fn announce(&self) {
        self.shared.announce();
    }

    /// The whole drain: announce; after `delay` empty the accept queues and close the listeners; answer what is in
    /// flight; close what is idle last, since a request may be on its way there. False when not all was done within
    /// `timeout`.
    pub async fn drain(&mut self, delay: Duration, timeout: Duration) -> bool {
        let drained = tokio::time::timeout(timeout, async {
            self.announce();
            sleep(delay).await;
            self.shared.drain.advance(DrainStage::Closing);
            while self.shared.limits.in_flight.held() > 0 || self.shared.waits_for_deliveries() {
                sleep(LOOK_AGAIN).await;
            }
            self.shared.drain.advance(DrainStage::Finishing);
            while self.workers.recv().await.is_some() {}
        });
        let is_drained = drained.await.is_ok();
        let lost = self.shared.deliveries.lose_the_rest();
        if lost > 0 {
            tracing::warn!(lost, "after callbacks are lost: the decision service was unavailable for too long");
        }
        is_drained
    }
}

/// Puts another configuration in force in a running server, from wherever it is held.
#[derive(Debug)]
pub struct Reconfigure(Arc<Shared>);

impl Reconfigure {
    /// For callbacks that begin from now on; each of the others ends on the settings that it began with. The limits hold
    /// for all at once. What only [`Server::start`] looks at stays as it was: listeners, workers, TLS, the decision
    /// service. No callback is lost or held up.
    pub fn apply(&self, settings: Settings, configuration: impl ShowConfiguration + 'static) {
        self.0.limits.change(&settings.bridge.limits);
        self.0.deliveries.change(&settings.bridge.delivery);
        self.0.connections.change_limits(connection_limits(&settings));
        self.0.settings.send_replace(Arc::new(settings));
        self.0.show_configuration(configuration);
    }
}

impl Drop for Server {
    /// Workers end at once, with whatever they were doing.
    fn drop(&mut self) {
        self.shared.drain.advance(DrainStage::Stopped);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub connections: usize,
    pub in_flight: usize,
    pub body_bytes: usize,
    /// After callbacks that are not delivered yet.
    pub queued: usize,
}

/// What each holds at least of the process's memory.
pub const CONNECTION_BYTES: usize = connections::PLAIN_BYTES;

/// Unless configured, 80 % of the limit on open files (the rest is for the upstream, the log and the listeners), and what
/// the process's memory leaves. A number that is configured counts alone.
fn connection_limits(settings: &Settings) -> ConnectionLimits {
    if let Some(count) = settings.connections {
        return ConnectionLimits { count: count.get(), bytes: settings.connection_bytes.unwrap_or(usize::MAX) };
    }
    let files = rlimit::Resource::NOFILE.get_soft().unwrap_or(1024);
    let files = usize::try_from(files / 5 * 4).unwrap_or(usize::MAX).max(1);
    let (callbacks, queue) = (settings.bridge.limits.body_bytes, settings.bridge.delivery.queue_bytes);
    let share = || Shares::of_process().for_connections(callbacks.get(), queue.get());
    let bytes = settings.connection_bytes.unwrap_or_else(share);
    ConnectionLimits { count: files.min(bytes / CONNECTION_BYTES).max(1), bytes }
}

/// `None` where there is no limit.
fn bounded(limit: usize) -> Option<usize> {
    (limit < usize::MAX).then_some(limit)
}
