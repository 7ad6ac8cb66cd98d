//! A worker's connections to one endpoint: made at start, kept, made again when they have gone, and more than one only
//! when the peer allows no more calls on those there are.
//!
//! This is hyper's own HTTP/2 connection under tonic's client instead of tonic's `Channel`: no buffer task between the
//! call and the connection, and errors arrive as they are, so that what was never sent can be told from what was.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{Either, FutureExt as _, LocalBoxFuture, Shared, select};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tonic::{Status, body::Body};

use super::endpoint::{Endpoint, State};
use super::pool::jittered;
use super::spent::{Spent, Stopwatch};
use super::stream::Stream;
use super::{Target, UpstreamSettings, tls};
use crate::{error_chain, socket};

/// Pauses between attempts to connect that no call asked for.
const RECONNECT_MIN: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_secs(2);
/// How often a connection that is out of use is looked at, whether its calls have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One worker's connections to one endpoint.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) endpoint: Arc<Endpoint>,
    settings: UpstreamSettings,
    open: RefCell<Vec<Connection>>,
    connecting: RefCell<Option<Connecting>>,
    /// A connection has closed.
    closed: Notify,
    /// The last one that was counted as a failure.
    last_broken: Cell<Option<u64>>,
    /// What ended a connection last, such as that the peer does not accept the bridge's certificate.
    last_error: RefCell<Option<Arc<hyper::Error>>>,
    /// Calls that wait for a place, and what wakes them.
    waiting: Cell<usize>,
    room: Notify,
    /// No connection beside others is tried before, since the last attempt failed.
    further_from: Cell<Instant>,
}

/// Every call that comes meanwhile waits for the same attempt: never a thundering herd.
type Connecting = Shared<LocalBoxFuture<'static, Result<Connection, ConnectError>>>;

/// Why no connection could be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// Name, network or peer.
    #[error("cannot connect to {0}")]
    Io(Target, #[source] Arc<io::Error>),
    /// Took longer than `upstream.connect_timeout`.
    #[error("cannot connect to {0} in time")]
    Timeout(Target),
    /// The handshake failed: not TLS, a certificate that is not trusted, or one of another name.
    #[error("no TLS connection to {0}: {1}")]
    Tls(Target, Arc<io::Error>),
    /// The peer does not offer HTTP/2 over TLS.
    #[error("{0} did not agree on HTTP/2 (`h2`) by ALPN")]
    Alpn(Target),
    /// The peer did not take the HTTP/2 preface.
    #[error("{0} does not speak HTTP/2")]
    Handshake(Target, #[source] Arc<hyper::Error>),
    /// It was made, and closed before anything could be sent on it.
    #[error("{0} closes connections at once")]
    Closed(Target, #[source] Option<Arc<hyper::Error>>),
    /// The same, over TLS. In TLS 1.3 a peer looks at the bridge's certificate when the connection is made; why it closes
    /// does not always get through.
    #[error(
        "{0} closes TLS connections at once: does it ask for a certificate, or not accept that in `upstream.tls.cert`?"
    )]
    ClosedTls(Target, #[source] Option<Arc<hyper::Error>>),
    /// The runtime is going down.
    #[error("the bridge is stopping")]
    Stopping,
}

/// One HTTP/2 connection. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    number: u64,
    sender: SendRequest<Body>,
    /// Calls on it.
    calls: Rc<Cell<usize>>,
    /// Gone when the connection has ended.
    driver: Weak<RefCell<Driver>>,
}

impl Connection {
    /// How many calls the peer allows now. Asked for each time: its SETTINGS come in without a word to anybody here.
    fn most_calls(&self) -> usize {
        self.driver.upgrade().map_or(0, |driver| driver.borrow().current_max_send_streams())
    }

    fn has_room(&self) -> bool {
        self.calls.get() < self.most_calls()
    }
}

/// A connection with a place for one call, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    channel: Rc<Channel>,
    connection: Connection,
}

impl Place {
    pub(super) fn sender(&self) -> Sender {
        Sender(self.connection.sender.clone())
    }

    pub(super) fn connection_number(&self) -> u64 {
        self.connection.number
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connection.calls.set(self.connection.calls.get() - 1);
        self.channel.endpoint.call_ends();
        if self.channel.waiting.get() > 0 {
            self.channel.room.notify_one();
        }
    }
}

impl Channel {
    /// Connects at once, and keeps connected for as long as the endpoint is there.
    pub(super) fn start(endpoint: Arc<Endpoint>, settings: UpstreamSettings) -> Rc<Self> {
        let channel = Rc::new(Self {
            endpoint,
            settings,
            open: RefCell::default(),
            connecting: RefCell::default(),
            closed: Notify::new(),
            last_broken: Cell::default(),
            last_error: RefCell::default(),
            waiting: Cell::new(0),
            room: Notify::new(),
            further_from: Cell::new(Instant::now()),
        });
        tokio::task::spawn_local(Rc::clone(&channel).keep_connected());
        channel
    }

    /// Whether a call could begin at once.
    pub(super) fn is_ready(&self) -> bool {
        self.open.borrow().iter().any(|connection| !connection.sender.is_closed())
    }

    /// A place on an open connection other than `avoided`, or on a new one.
    pub(super) async fn place(self: &Rc<Self>, avoided: Option<u64>, spent: &mut Spent) -> Result<Place, ConnectError> {
        loop {
            let least_busy = self
                .open
                .borrow()
                .iter()
                .filter(|connection| !connection.sender.is_closed() && Some(connection.number) != avoided)
                .min_by_key(|connection| connection.calls.get())
                .cloned();
            match least_busy {
                Some(connection) if connection.has_room() => return Ok(self.take(connection)),
                Some(_) => {
                    self.connect_further();
                    let _waiting = Stopwatch::start(&mut spent.waiting);
                    self.wait_for_room().await;
                }
                // The new one is taken at once: that of a gone endpoint is not among the open ones.
                None => {
                    let connection = self.connect(spent).await?;
                    if connection.has_room() {
                        return Ok(self.take(connection));
                    }
                }
            }
        }
    }

    /// A connection, when there is none.
    async fn connect(self: &Rc<Self>, spent: &mut Spent) -> Result<Connection, ConnectError> {
        let _connecting = Stopwatch::start(&mut spent.connecting);
        let connection = self.connection().await?;
        if connection.sender.is_closed() {
            // Connecting again at once would go on until the deadline.
            self.broke(connection.number);
            return Err(self.closed_at_once());
        }
        Ok(connection)
    }

    fn closed_at_once(&self) -> ConnectError {
        let closed = if self.endpoint.secured.is_some() { ConnectError::ClosedTls } else { ConnectError::Closed };
        closed(self.endpoint.target.clone(), self.last_error.borrow().clone())
    }

    /// Begins to connect, beside connections on which the peer allows no more calls, as far as that is allowed. The calls
    /// wait for whatever comes first: the connection, or the end of a call on another.
    fn connect_further(self: &Rc<Self>) {
        let may_try = self.connecting.borrow().is_none() && self.further_from.get() <= Instant::now();
        if may_try && self.endpoint.connects_below(self.settings.connections.get()) {
            // It goes on by itself.
            drop(self.attempt());
        }
    }

    async fn wait_for_room(&self) {
        self.waiting.set(self.waiting.get() + 1);
        // Given back also when the call's deadline ends the wait.
        let _waiting = scopeguard::guard((), |()| self.waiting.set(self.waiting.get() - 1));
        self.room.notified().await;
    }

    fn take(self: &Rc<Self>, connection: Connection) -> Place {
        connection.calls.set(connection.calls.get() + 1);
        self.endpoint.call_begins();
        Place { channel: Rc::clone(self), connection }
    }

    /// Joins the attempt that is under way, or begins one.
    pub(super) fn connection(self: &Rc<Self>) -> Connecting {
        if let Some(connecting) = &*self.connecting.borrow() {
            return connecting.clone();
        }
        self.endpoint.connects();
        self.attempt()
    }

    /// In a task of its own, which goes on when the call that wanted it has gone.
    fn attempt(self: &Rc<Self>) -> Connecting {
        let channel = Rc::clone(self);
        // What the peer allows on its other connections holds for this one, until it says so itself.
        let most_calls = self.open.borrow().iter().map(Connection::most_calls).filter(|most| *most > 0).min();
        let task = tokio::task::spawn_local(async move {
            let endpoint = &channel.endpoint;
            let opened = timeout(channel.settings.connect_timeout, open(endpoint, most_calls))
                .await
                .unwrap_or_else(|_| Err(ConnectError::Timeout(endpoint.target.clone())));
            *channel.connecting.borrow_mut() = None;
            match opened {
                Ok(opened) => Ok(channel.adopt(opened)),
                Err(error) => {
                    channel.further_from.set(Instant::now() + jittered(RECONNECT_MAX));
                    channel.endpoint.not_connected();
                    channel.endpoint.connection_failed();
                    Err(error)
                }
            }
        });
        let joined = task.map(|joined| joined.unwrap_or(Err(ConnectError::Stopping))).boxed_local().shared();
        *self.connecting.borrow_mut() = Some(joined.clone());
        joined
    }

    fn adopt(self: &Rc<Self>, Opened { sender, driver, end }: Opened) -> Connection {
        let driver = Rc::new(RefCell::new(driver));
        let connection = Connection {
            number: self.endpoint.connected(sender.clone()),
            sender,
            calls: Rc::default(),
            driver: Rc::downgrade(&driver),
        };
        self.open.borrow_mut().push(connection.clone());
        self.room.notify_waiters();
        let calls = Rc::clone(&connection.calls);
        tokio::task::spawn_local(Rc::clone(self).drive(connection.number, calls, driver, end));
        connection
    }

    /// Runs a connection to its end.
    async fn drive(self: Rc<Self>, number: u64, calls: Rc<Cell<usize>>, driver: Rc<RefCell<Driver>>, end: socket::End) {
        let running = poll_fn(|context| Pin::new(&mut *driver.borrow_mut()).poll(context));
        let broke = match select(running, pin!(self.out_of_use(number, &calls))).await {
            Either::Left((ended, _)) => {
                let error = ended.err();
                let broke = error.is_some();
                *self.last_error.borrow_mut() = error.map(Arc::new);
                broke
            }
            Either::Right(_) => {
                end.now();
                false
            }
        };
        if broke && calls.get() > 0 {
            self.broke(number);
        }
        self.forget(number);
    }

    /// One failure, however many calls were on it or waited for it: a connection is one thing that broke.
    fn broke(&self, number: u64) {
        if self.last_broken.replace(Some(number)) != Some(number) {
            self.endpoint.connection_failed();
        }
    }

    /// Returns when a connection is to end because of its endpoint: at once when that hangs, so that the calls on it can
    /// still be made elsewhere, and otherwise when they have ended.
    async fn out_of_use(&self, number: u64, calls: &Cell<usize>) {
        let mut states = self.endpoint.states();
        let out = |state: &State| matches!(state, State::Ejected | State::Hung | State::Gone);
        let hangs = states.wait_for(out).await.is_ok_and(|state| *state == State::Hung);
        self.forget(number);
        while !hangs && calls.get() > 0 {
            sleep(LOOK_AGAIN).await;
        }
    }

    /// No call begins on it from now on.
    fn forget(&self, number: u64) {
        self.endpoint.disconnected(number);
        self.open.borrow_mut().retain(|other| other.number != number);
        self.closed.notify_one();
        self.room.notify_waiters();
    }

    async fn keep_connected(self: Rc<Self>) {
        let mut states = self.endpoint.states();
        let mut pause = RECONNECT_MIN;
        loop {
            let state = *states.borrow_and_update();
            match state {
                State::Gone => return,
                State::Ejected | State::Hung => drop(states.changed().await),
                State::In | State::NotServing => {
                    let began = Instant::now();
                    let aloud = pause == RECONNECT_MIN;
                    let connected = self.is_ready() || self.connected(aloud).await;
                    if connected {
                        select(pin!(self.all_closed()), pin!(states.changed())).await;
                    }
                    if connected && aloud && !self.is_ready() && began.elapsed() < pause {
                        self.tell(&self.closed_at_once());
                    }
                    // A peer that takes connections only to close them is one that cannot be connected to.
                    if connected && began.elapsed() >= pause {
                        pause = RECONNECT_MIN;
                    } else {
                        let _changed = timeout(jittered(pause), states.changed()).await;
                        pause = (pause * 2).min(RECONNECT_MAX);
                    }
                }
            }
        }
    }

    /// Connects, and says why it cannot: `aloud` once for each time that the endpoint is away.
    async fn connected(self: &Rc<Self>, aloud: bool) -> bool {
        let Err(error) = self.connection().await else { return true };
        if aloud {
            self.tell(&error);
        }
        false
    }

    fn tell(&self, error: &ConnectError) {
        let why = error_chain::text(error);
        tracing::warn!(endpoint = %self.endpoint.target, error = why, "an endpoint cannot be connected to");
    }

    async fn all_closed(&self) {
        while self.is_ready() {
            self.closed.notified().await;
        }
    }
}

/// The half of a connection that does the work.
type Driver = http2::Connection<TokioIo<Stream>, Body, TokioExecutor>;

/// A new connection.
pub(super) struct Opened {
    pub(super) sender: SendRequest<Body>,
    /// To be polled for as long as the connection is used.
    pub(super) driver: Driver,
    /// hyper's tasks would go on for as long as the peer owes an answer.
    pub(super) end: socket::End,
}

/// `most_calls`: how many calls the peer is taken to allow until it says so.
pub(super) async fn open(endpoint: &Endpoint, most_calls: Option<usize>) -> Result<Opened, ConnectError> {
    let target = &endpoint.target;
    let connected = Stream::connect(target).await;
    let (stream, end) = connected.map_err(|error| ConnectError::Io(target.clone(), Arc::new(error)))?;
    let stream = match &endpoint.secured {
        None => stream,
        Some(secured) => {
            let shaken = secured.connect(stream).await;
            let stream = shaken.map_err(|error| ConnectError::Tls(target.clone(), Arc::new(error)))?;
            if !tls::is_http2(&stream) {
                return Err(ConnectError::Alpn(target.clone()));
            }
            Stream::Tls(Box::new(stream))
        }
    };
    let (sender, driver) = http2::Builder::new(TokioExecutor::new())
        .initial_max_send_streams(most_calls)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ConnectError::Handshake(target.clone(), Arc::new(error)))?;
    Ok(Opened { sender, driver, end })
}

/// Why a request got no response head of gRPC's.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The connection was closing: it never left the bridge, or came beyond the last stream of the peer's GOAWAY.
    #[error("the request was never sent")]
    NeverSent(#[source] hyper::Error),
    /// The service says that it has not looked at it.
    #[error("the request was refused")]
    Refused(#[source] hyper::Error),
    /// The service may have seen it.
    #[error("no response came")]
    NoResponse(#[source] hyper::Error),
    /// Something in the service's place answered, such as a proxy: tonic would take its page for a broken message.
    #[error("the answer is not gRPC, but HTTP status {0}")]
    NotGrpc(StatusCode),
}

/// A connection as tonic's client takes it.
#[derive(Debug, Clone)]
pub(super) struct Sender(pub(super) SendRequest<Body>);

impl tower_service::Service<Request<Body>> for Sender {
    type Response = Response<Incoming>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, SendError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let response = self.0.try_send_request(request);
        Box::pin(async move {
            let response = response.await.map_err(|mut error| {
                if error.take_message().is_some() || is_beyond_goaway(error.error()) {
                    SendError::NeverSent(error.into_error())
                } else if is_refused(error.error()) {
                    SendError::Refused(error.into_error())
                } else {
                    SendError::NoResponse(error.into_error())
                }
            })?;
            if response.status() != StatusCode::OK && !response.headers().contains_key(Status::GRPC_STATUS) {
                return Err(SendError::NotGrpc(response.status()));
            }
            Ok(response)
        })
    }
}

/// The peer goes away, and says that it has not looked at the request.
fn is_beyond_goaway(error: &hyper::Error) -> bool {
    error_chain::find::<h2::Error>(error)
        .is_some_and(|error| error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR))
}

/// The peer says of this one stream that it has not looked at it.
fn is_refused(error: &hyper::Error) -> bool {
    error_chain::find::<h2::Error>(error).is_some_and(|error| error.reason() == Some(h2::Reason::REFUSED_STREAM))
}
