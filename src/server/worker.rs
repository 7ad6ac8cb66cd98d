//! One worker: a thread with its own runtime, listener and bridge, which shares nothing with others on a callback's path
//! but counters.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io,
    net::IpAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, mpsc::SyncSender},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::select;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
    sync::watch,
    time::{sleep, sleep_until, timeout},
};

use super::bell::{Bell, this_task};
use super::connections::Place;
use super::tls::{self, Tls};
use super::watched::{self, Watch, Watched};
use super::{Shared, Stage, webhook};
use crate::bridge::Bridge;
use crate::config::Settings;
use crate::{socket, telemetry};

/// Shorter than most deadlines, and long enough to cost nothing.
const TICK: Duration = Duration::from_secs(1);
/// The longest head that is read. Operation IDs of 10 kB and more are seen.
pub(super) const HEAD_BYTES: u32 = 64 << 10;
/// How long accepting pauses when the system has no more file descriptors or memory for connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long an idle connection is still read at the very end: it may just have been accepted, or its next request be on
/// its way.
const LAST_LOOK: Duration = Duration::from_millis(100);
/// Until the runtime has looked at its sockets once more.
const A_LOOK: Duration = Duration::from_millis(1);

/// How a connection ended: for the log alone.
pub(super) type Ended = Result<(), Box<dyn std::error::Error>>;

/// What the connections of one worker share.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    latest: RefCell<Latest>,
    /// Rung when connections are to close.
    finishing: Bell,
}

/// The bridge on the settings that were last looked at, and what tells when there are others.
#[derive(Debug)]
struct Latest {
    bridge: Rc<Bridge>,
    settings: watch::Receiver<Arc<Settings>>,
}

/// Serves until the drain has ended or everything is stopped. Says in `started` whether it could begin.
pub(super) fn run(shared: &Arc<Shared>, listener: std::net::TcpListener, started: &SyncSender<io::Result<()>>) {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return report(started, Err(error)),
    };
    runtime.block_on(async {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return report(started, Err(error)),
        };
        let worker = Rc::new(Worker::new(shared));
        report(started, Ok(()));
        tokio::task::spawn_local(tick());
        let finishing = Rc::clone(&worker);
        tokio::task::spawn_local(async move {
            finishing.shared.drain.reached(Stage::Finishing).await;
            finishing.finishing.ring();
        });
        // A task of its own: to wake what `block_on` waits for takes a system call, each time that connections come.
        let serving = tokio::task::spawn_local(async move { worker.serve(listener).await });
        let stopped = pin!(shared.drain.reached(Stage::Stopped));
        let _ended = select(serving, stopped).await;
    });
}

/// Keeps a timer running that is due before any callback's deadline. For a timer that is due before all others tokio wakes
/// its driver, and without this one each callback's would be: a write to an event file and a look at the sockets more.
async fn tick() {
    loop {
        sleep(TICK).await;
    }
}

/// Nobody listens any more when another worker failed first.
fn report(started: &SyncSender<io::Result<()>>, result: io::Result<()>) {
    let _gone = started.send(result);
}

impl Worker {
    fn new(shared: &Arc<Shared>) -> Self {
        let mut settings = shared.settings.subscribe();
        let limits = Arc::clone(&shared.limits);
        let in_force = Arc::clone(&settings.borrow_and_update());
        let (pool, metrics) = (Arc::clone(&shared.pool), Arc::clone(&shared.metrics));
        let bridge = Rc::new(Bridge::new(in_force, limits, pool, metrics, shared.registry));
        Self {
            shared: Arc::clone(shared),
            latest: RefCell::new(Latest { bridge, settings }),
            finishing: Bell::default(),
        }
    }

    /// The bridge on the settings in force now, for one request from its start to its end. Costs an atomic load where
    /// nothing has changed.
    pub(super) fn bridge(&self) -> Rc<Bridge> {
        let mut latest = self.latest.borrow_mut();
        if latest.settings.has_changed().unwrap_or(false) {
            let in_force = Arc::clone(&latest.settings.borrow_and_update());
            latest.bridge = Rc::new(latest.bridge.on(in_force));
        }
        Rc::clone(&latest.bridge)
    }

    async fn serve(self: &Rc<Self>, listener: TcpListener) {
        {
            let closing = pin!(self.shared.drain.reached(Stage::Closing));
            select(pin!(self.accept_all(&listener)), closing).await;
        }
        if let Err(error) = self.accept_waiting(listener).await {
            tracing::warn!(%error, "connections that waited to be accepted may be lost");
        }
        while self.shared.connections.open() > 0 || self.shared.limits.in_flight.held() > 0 {
            // The wait is bounded, since the last connection may close between the look and the wait, and a callback may
            // be asked in the shadow when its connection has gone.
            let _looked_again = timeout(ACCEPT_PAUSE, self.shared.connections.one_closed()).await;
        }
    }

    async fn accept_all(self: &Rc<Self>, listener: &TcpListener) {
        loop {
            self.shared.connections.room().await;
            match listener.accept().await {
                Ok((stream, peer)) => {
                    self.shared.connections.starved(false);
                    self.spawn(stream, peer.ip());
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if !self.shared.connections.starved(true) {
                        tracing::error!(%error, "cannot accept connections for now; trying again until it works");
                    }
                    self.shared.connections.turn_out_oldest();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// What the kernel has accepted on our behalf is served too, and then the listener closed. It is asked itself: the
    /// runtime's listener says that nothing waits as long as the runtime has not looked, and after every 128th.
    async fn accept_waiting(self: &Rc<Self>, listener: TcpListener) -> io::Result<()> {
        let listener = listener.into_std()?;
        loop {
            match listener.accept() {
                Ok((stream, peer)) => {
                    stream.set_nonblocking(true)?;
                    self.spawn(TcpStream::from_std(stream)?, peer.ip());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_of_one_connection(&error) => {}
                // Those that are open make room: each closes with its next answer, or when all is answered.
                Err(_) if self.shared.connections.open() > 0 => {
                    self.shared.connections.turn_out_oldest();
                    let _one_closed = timeout(ACCEPT_PAUSE, self.shared.connections.one_closed()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn spawn(self: &Rc<Self>, stream: TcpStream, peer: IpAddr) {
        let place = self.shared.connections.enter(peer);
        tokio::task::spawn_local(Rc::clone(self).connection(stream, place));
    }

    async fn connection(self: Rc<Self>, stream: TcpStream, place: Place) {
        if let Err(error) = socket::accepted(&stream) {
            return tracing::debug!(%error, "a connection went away at once");
        }
        let watch = Watch::new();
        let mut serving = pin!(async {
            match &self.shared.tls {
                None => self.http1(stream, watch, &place, |stream| Some(stream)).await,
                // Boxed, so that a plain connection does not pay for its size.
                Some(tls) => Box::pin(self.https(tls, stream, watch, &place)).await,
            }
        });
        place.may_be_turned_out(this_task().await);
        let turned_out_or_ended = poll_fn(|context| match serving.as_mut().poll(context) {
            Poll::Pending if place.is_turned_out() => Poll::Ready(None),
            polled => polled.map(Some),
        });
        let ended = match turned_out_or_ended.await {
            Some(ended) => ended,
            // Its request may be there, and the runtime not have looked yet.
            None => match timeout(A_LOOK, serving.as_mut()).await {
                Ok(ended) => ended,
                Err(_) if place.is_silent() => return,
                Err(_) => serving.await,
            },
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended early");
        }
    }

    /// The handshake, then what it has agreed on.
    async fn https(self: &Rc<Self>, tls: &Tls, stream: TcpStream, watch: Rc<Watch>, place: &Place) -> Ended {
        let stream = tokio::select! {
            biased;
            stream = tls.accept(stream) => stream.inspect_err(|error| telemetry::no_handshake(place.peer(), error, &self.shared.metrics))?,
            () = self.too_late_to_speak(&watch) => return Ok(()),
        };
        if tls::is_http2(&stream) {
            self.http2(stream, watch, place).await
        } else {
            self.http1(stream, watch, place, |_| None).await
        }
    }

    /// Returns when a connection that has sent no request has had its time, or the drain waits no longer for one.
    pub(super) async fn too_late_to_speak(&self, watch: &Watch) {
        let finishing = async {
            self.shared.drain.reached(Stage::Finishing).await;
            sleep(LAST_LOOK).await;
        };
        select(pin!(sleep_until(watch.first_request_by())), pin!(finishing)).await;
    }

    /// `plain` is the TCP connection where nothing lies between it and HTTP.
    async fn http1<S>(
        self: &Rc<Self>,
        stream: S,
        watch: Rc<Watch>,
        place: &Place,
        plain: fn(&S) -> Option<&TcpStream>,
    ) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let webhook = service_fn(|request| {
            let (started, is_first) = watch.request();
            if is_first {
                place.has_spoken();
            }
            webhook::answer_http1(Rc::clone(self), Rc::clone(&watch), place.peer(), request, started)
        });
        let is_plain = plain(&stream).is_some();
        let socket = Rc::new(RefCell::new(stream));
        let watched = TokioIo::new(Watched::new(Rc::clone(&socket), Rc::clone(&watch)));
        // A client that closes has gone, and is not waited for. Told that it may, hyper does not look for that; it would do so
        // by reading on, which takes a new buffer for every callback.
        let mut connection = pin!(
            http1::Builder::new()
                .max_buf_size(HEAD_BYTES as usize)
                .half_close(is_plain)
                .serve_connection(watched, webhook)
        );
        let poll_gone = |context: &mut Context<'_>| match plain(&socket.borrow()) {
            Some(plain) if watch.has_read_whole() => watched::poll_gone(plain, context),
            _ => Poll::Pending,
        };

        let ended = self.finishing.or(&mut unless(poll_gone, connection.as_mut())).await;
        if let Some(ended) = ended {
            return ended;
        }
        let looked = timeout(LAST_LOOK, unless(poll_gone, connection.as_mut())).await;
        match looked {
            Ok(ended) => ended,
            Err(_) if watch.is_silent() => Ok(()),
            Err(_) => {
                // hyper would close with half of a request there; its answer will announce that the connection closes.
                if !watch.is_in_head() {
                    connection.as_mut().graceful_shutdown();
                }
                unless(poll_gone, connection).await
            }
        }
    }
}

/// Ends with the connection, or when its client has gone.
fn unless<C: Future<Output = hyper::Result<()>>>(
    poll_gone: impl Fn(&mut Context<'_>) -> Poll<()> + Unpin,
    mut connection: Pin<&mut C>,
) -> impl Future<Output = Ended> + Unpin {
    poll_fn(move |context| match connection.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(ended.map_err(Into::into)),
        Poll::Pending => poll_gone(context).map(|()| Err("the client has gone".into())),
    })
}

/// The connection that was to be accepted has gone already; the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
