//! A worker's connections to the receiver of forwarded requests: made when one is needed, kept for a moment, and left
//! alone as soon as the receiver has closed them.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep, timeout},
};

use super::address::{Target, UpstreamAddress};
use super::error::{CallError, ConnectError, ForwardError};
use super::receiver::Receiver;
use super::resolve::Resolver;
use super::stream::Stream;
use super::tls::{self, Secured};

/// Servers close idle connections after 2 s and more, as gunicorn does: one that was idle for less is still there.
const IDLE: Duration = Duration::from_secs(1);
/// Connections that a worker keeps while nothing is on them.
const MOST_IDLE: usize = 64;

type Body = Full<Bytes>;

/// Why a request on a connection came to nothing.
pub(super) enum Failure {
    /// The connection was closed before anything of the request was written.
    Unsent(Box<Request<Body>>),
    Failed(CallError),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Failed(error)
    }
}

impl From<TrySendError<Request<Body>>> for Failure {
    fn from(mut error: TrySendError<Request<Body>>) -> Self {
        match error.take_message() {
            Some(request) => Self::Unsent(Box::new(request)),
            None => Self::Failed(ForwardError::broken(error.into_error()).into()),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct ReceiverConnection {
    pub(super) target: Target,
    pub(super) is_new: bool,
    sender: Sender,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Body>, Driver),
    /// Others may be on it at the same time. A task drives it.
    Http2(http2::SendRequest<Body>),
}

/// What reads and writes an HTTP/1.1 connection.
#[derive(Debug)]
struct Driver {
    connection: Pin<Box<http1::Connection<TokioIo<Stream>, Body>>>,
    has_ended: bool,
}

impl Driver {
    /// What goes wrong is told to the exchange.
    fn poll(&mut self, context: &mut Context<'_>) {
        self.has_ended = self.has_ended || self.connection.as_mut().poll(context).is_ready();
    }

    /// Polls `step` whenever the connection has been read or written, which alone can get it on: so it wakes nobody. Nor does
    /// it have the connection wake its task for what `step` then asks of it, until there is nothing left to be done.
    async fn drive<T>(&mut self, mut step: Pin<&mut impl Future<Output = T>>) -> T {
        poll_fn(|context| {
            let mut silent = Context::from_waker(Waker::noop());
            if let Poll::Ready(done) = step.as_mut().poll(&mut silent) {
                return Poll::Ready(done);
            }
            self.poll(&mut silent);
            if let Poll::Ready(done) = step.as_mut().poll(&mut silent) {
                return Poll::Ready(done);
            }
            self.poll(context);
            step.as_mut().poll(&mut silent)
        })
        .await
    }
}

impl ReceiverConnection {
    pub(super) const fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Sends a request, and has `read` read its answer.
    pub(super) async fn exchange<T, F>(
        &mut self,
        request: Box<Request<Body>>,
        read: impl FnOnce(Response<Incoming>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        match &mut self.sender {
            Sender::Http1(sender, driver) => {
                let response = driver.drive(pin!(sender.try_send_request(*request))).await?;
                Ok(driver.drive(pin!(read(response))).await?)
            }
            Sender::Http2(sender) => {
                let response = sender.try_send_request(*request).await?;
                Ok(read(response).await?)
            }
        }
    }

    /// Whether it can take a request. Nobody looks at an HTTP/1.1 connection while it is idle, so that it costs no task.
    fn is_open(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender, driver) => {
                driver.poll(&mut Context::from_waker(Waker::noop()));
                !driver.has_ended && sender.is_ready()
            }
            Sender::Http2(sender) => sender.is_ready(),
        }
    }
}

/// Those of one worker.
#[derive(Debug)]
pub(super) struct ReceiverConnections {
    receiver: Arc<Receiver>,
    /// To be made in the worker's runtime.
    resolver: OnceCell<Resolver>,
    /// The addresses, and how long they are taken for true.
    found: RefCell<Option<(Rc<[Target]>, Instant)>>,
    idle: Rc<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// With the time at which each became so, the longest idle first.
    connections: RefCell<Vec<(ReceiverConnection, Instant)>>,
    is_watched: Cell<bool>,
}

impl ReceiverConnections {
    pub(super) fn new(receiver: Arc<Receiver>) -> Self {
        Self { receiver, resolver: OnceCell::new(), found: RefCell::default(), idle: Rc::default() }
    }

    /// One that is idle, or a new one.
    pub(super) async fn get(&self) -> Result<ReceiverConnection, ConnectError> {
        while let Some((mut connection, since)) = self.idle.connections.borrow_mut().pop() {
            if since.elapsed() < IDLE && connection.is_open() {
                connection.is_new = false;
                return Ok(connection);
            }
        }
        // Rare, and large.
        Box::pin(self.connect()).await
    }

    /// For the next request, where there is room.
    pub(super) fn keep(&self, connection: ReceiverConnection) {
        let mut connections = self.idle.connections.borrow_mut();
        if connections.len() < MOST_IDLE {
            connections.push((connection, Instant::now()));
        }
        if !self.idle.is_watched.replace(true) {
            tokio::task::spawn_local(Rc::clone(&self.idle).watch());
        }
    }

    /// To the first address that takes a connection.
    async fn connect(&self) -> Result<ReceiverConnection, ConnectError> {
        let mut error = None;
        for target in &*self.targets().await? {
            let connecting = timeout(self.receiver.settings.connect_timeout, self.connect_to(target)).await;
            match connecting.unwrap_or_else(|_| Err(ConnectError::Timeout(target.clone()))) {
                Ok(connection) => {
                    self.receiver.connected(target, None);
                    return Ok(connection);
                }
                Err(failed) => {
                    self.receiver.connected(target, Some(&failed));
                    error = Some(failed);
                }
            }
        }
        // Its addresses may have changed.
        self.found.take();
        Err(error.unwrap_or(ConnectError::NoAddress))
    }

    async fn targets(&self) -> Result<Rc<[Target]>, ConnectError> {
        if let Some((targets, until)) = &*self.found.borrow()
            && Instant::now() < *until
        {
            return Ok(Rc::clone(targets));
        }
        let settings = &self.receiver.settings;
        let UpstreamAddress::Http { host, port, .. } = &settings.url.address else {
            return Err(ConnectError::NoAddress);
        };
        let resolver = self.resolver.get_or_init(|| async {
            match settings.name_server {
                Some(server) => Resolver::asking(server, settings.resolve),
                None => Resolver::system(settings.resolve),
            }
        });
        let found = resolver.await.lookup(host).await.map_err(|error| ConnectError::Name(Arc::new(error)))?;
        let targets: Rc<[Target]> =
            found.addresses.into_iter().map(|ip| Target::Tcp(SocketAddr::new(ip, *port))).collect();
        self.receiver.found(&targets);
        self.found.replace(Some((Rc::clone(&targets), Instant::now() + found.valid_for)));
        Ok(targets)
    }

    async fn connect_to(&self, target: &Target) -> Result<ReceiverConnection, ConnectError> {
        let failed = |error| ConnectError::Io(target.clone(), Arc::new(error));
        let (stream, _) = Stream::connect(target).await.map_err(failed)?;
        let (settings, files) = (&self.receiver.settings, &self.receiver.tls);
        let stream = match (&settings.url.address, files) {
            (UpstreamAddress::Http { tls: Some(of_host), .. }, Some(files)) => {
                let name = settings.tls.server_name.as_ref().unwrap_or(of_host).clone();
                let shaken = Secured { files: Arc::clone(files), name }.connect(stream).await;
                Stream::Tls(Box::new(shaken.map_err(|error| ConnectError::Tls(target.clone(), Arc::new(error)))?))
            }
            _ => stream,
        };
        let is_http2 = matches!(&stream, Stream::Tls(stream) if tls::is_http2(stream));
        let sender = shake(stream, is_http2).await.map_err(|error| failed(std::io::Error::other(error)))?;
        Ok(ReceiverConnection { target: target.clone(), is_new: true, sender })
    }
}

/// Speaks HTTP from now on.
async fn shake(stream: Stream, is_http2: bool) -> hyper::Result<Sender> {
    if is_http2 {
        let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::task::spawn_local(async { drop(driver.await) });
        Ok(Sender::Http2(sender))
    } else {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Sender::Http1(sender, Driver { connection: Box::pin(connection), has_ended: false }))
    }
}

impl Idle {
    /// Closes what nobody takes any more, until there is nothing.
    async fn watch(self: Rc<Self>) {
        while !self.connections.borrow().is_empty() {
            sleep(IDLE).await;
            self.connections.borrow_mut().retain(|(_, since)| since.elapsed() < IDLE);
        }
        self.is_watched.set(false);
    }
}
