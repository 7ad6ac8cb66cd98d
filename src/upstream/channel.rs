//! A worker's connections to one endpoint: made at start, kept, replaced when they have gone, and more than one only
//! when the peer allows no more calls on those there are.
//!
//! These are h2's own connections: nothing between a call and its connection but h2's lock, and errors arrive as they
//! are, so that what was never sent can be told from what was.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, FutureExt as _, LocalBoxFuture, Shared, select};
use h2::Reason;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::empty_data::WithoutEmptyData;
use super::endpoint::{Endpoint, warn_once_reached};
use super::error::ConnectError;
use super::given_up::GivenUp;
use super::pause::{Backoff, jittered, short};
use super::settings::UpstreamSettings;
use super::spent::{Spent, Stopwatch};
use super::status::EndpointState;
use super::stream::Stream;
use super::tls;
use super::unary::Sender;
use crate::base::{error_chain, socket};

/// Pauses between attempts to connect that no call asked for.
const RECONNECT_MIN: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_secs(2);
/// How many calls a peer is taken to allow until it says so.
const MOST_CALLS: usize = 100;
/// How much of a reply, and of all on a connection, may be on its way.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// The longest head of a reply, and the longest trailers.
const HEADERS: u32 = 16 << 10;
/// How often to check whether the calls on a connection that is out of use have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often a call that waits for a place looks for one unasked: calls that are given up lose theirs in time, which tells
/// nobody.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(500);

/// One worker's connections to one endpoint.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) endpoint: Arc<Endpoint>,
    settings: UpstreamSettings,
    open: RefCell<Vec<Rc<UpstreamConnection>>>,
    connecting: RefCell<Option<Connecting>>,
    /// A connection has closed.
    closed: Notify,
    /// The last one that was counted as a failure.
    last_broken: Cell<Option<u64>>,
    /// What ended a connection last, such as that the peer does not accept the bridge's certificate.
    last_error: RefCell<Option<Arc<h2::Error>>>,
    /// Calls that wait for a place, and what wakes them.
    waiting: Cell<usize>,
    room: Notify,
    /// No connection beside others is tried before, since the last attempt failed.
    further_from: Cell<Instant>,
}

/// Every call that comes meanwhile waits for the same attempt: never a thundering herd.
type Connecting = Shared<LocalBoxFuture<'static, Result<Rc<UpstreamConnection>, ConnectError>>>;

/// One HTTP/2 connection.
#[derive(Debug)]
pub(super) struct UpstreamConnection {
    number: u64,
    /// `None` once no call can begin on it any more. It ends when the last call has ended, since it has no more senders.
    sender: RefCell<Option<Sender>>,
    calls: Cell<usize>,
    /// Whether the peer has sent anything on it.
    heard: Arc<AtomicBool>,
    given_up: GivenUp,
    /// How many calls the peer allowed when there last was no room for one more.
    full_at: Cell<usize>,
}

impl UpstreamConnection {
    /// How many calls the peer allows now. Asked for each time: its SETTINGS come in without a word to anybody here.
    fn most_calls(&self) -> usize {
        self.sender.borrow().as_ref().map_or(0, Sender::current_max_send_streams)
    }

    /// Whether the peer would take one more call at once.
    fn has_room(&self) -> bool {
        let most = self.most_calls();
        let has_room = self.given_up.leave_room(self.calls.get(), most);
        if !has_room {
            self.full_at.set(most);
        }
        has_room
    }

    /// Whether the peer allows more calls than when there last was no room. True once.
    fn has_grown(&self) -> bool {
        let most = self.most_calls();
        most > self.full_at.replace(most)
    }

    /// Why no call can begin on it any more; `None` while they can, and once that is known.
    fn why_closed(&self, context: &mut Context<'_>) -> Option<h2::Error> {
        match self.sender.borrow_mut().as_mut()?.poll_ready(context) {
            Poll::Ready(Err(why)) => Some(why),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }
}

/// A connection with a place for one call, given back when dropped.
#[derive(Debug)]
pub(super) struct CallSlot {
    channel: Rc<Channel>,
    connection: Rc<UpstreamConnection>,
    sender: Sender,
}

impl CallSlot {
    pub(super) fn parts(&mut self) -> (&mut Sender, &GivenUp) {
        (&mut self.sender, &self.connection.given_up)
    }

    pub(super) fn connection_number(&self) -> u64 {
        self.connection.number
    }
}

impl Drop for CallSlot {
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
        !self.open.borrow().is_empty()
    }

    /// Whether the peer would take one more call at once.
    pub(super) fn has_room(&self) -> bool {
        self.open.borrow().iter().any(|open| open.has_room())
    }

    /// A place on an open connection other than `avoided`, or on a new one.
    pub(super) async fn place(
        self: &Rc<Self>,
        avoided: Option<u64>,
        spent: &mut Spent,
    ) -> Result<CallSlot, ConnectError> {
        loop {
            if let Some(place) = self.place_at_once(avoided) {
                return Ok(place);
            }
            if self.open.borrow().iter().any(|open| Some(open.number) != avoided) {
                self.connect_further();
                let _waiting = Stopwatch::start(&mut spent.waiting);
                self.wait_for_room().await;
                continue;
            }
            // A new one is taken at once: that of a gone endpoint is not among the open ones.
            let connection = match self.connect(spent).await {
                Ok(connection) => connection,
                // Rather on the one to be avoided than nowhere: it may have refused one call, and live.
                Err(error) => return self.place_at_once(None).ok_or(error),
            };
            if connection.has_room()
                && let Some(place) = self.take(&connection)
            {
                return Ok(place);
            }
        }
    }

    /// On the least busy connection with room. On `avoided` where the only other choice is to wait.
    fn place_at_once(self: &Rc<Self>, avoided: Option<u64>) -> Option<CallSlot> {
        let open = self.open.borrow();
        let least_busy = |is_avoided: bool| {
            open.iter()
                .filter(|open| (Some(open.number) == avoided) == is_avoided && open.has_room())
                .min_by_key(|open| open.calls.get())
        };
        let found = least_busy(false).or_else(|| if open.len() > 1 { least_busy(true) } else { None });
        self.take(found?)
    }

    /// A connection, when there is none.
    async fn connect(self: &Rc<Self>, spent: &mut Spent) -> Result<Rc<UpstreamConnection>, ConnectError> {
        let _connecting = Stopwatch::start(&mut spent.connecting);
        let connection = self.connection().await?;
        if connection.sender.borrow().is_none() {
            // Connecting again at once would go on until the deadline.
            self.broke(connection.number);
            return Err(self.closed_at_once());
        }
        Ok(connection)
    }

    fn closed_at_once(&self) -> ConnectError {
        let last = self.last_error.borrow().clone();
        let is_other =
            |error: &Arc<h2::Error>| error.get_io().is_some_and(|io| io.kind() == io::ErrorKind::InvalidData);
        if let Some(error) = last.clone().filter(is_other) {
            return ConnectError::Protocol(self.endpoint.target.clone(), error);
        }
        let closed = if self.endpoint.secured.is_some() { ConnectError::ClosedTls } else { ConnectError::Closed };
        closed(self.endpoint.target.clone(), last)
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
        let _looks_again = timeout(LOOK_FOR_ROOM, self.room.notified()).await;
    }

    /// `None` once no call can begin on it.
    fn take(self: &Rc<Self>, connection: &Rc<UpstreamConnection>) -> Option<CallSlot> {
        let sender = connection.sender.borrow().clone()?;
        connection.calls.set(connection.calls.get() + 1);
        self.endpoint.call_begins();
        Some(CallSlot { channel: Rc::clone(self), connection: Rc::clone(connection), sender })
    }

    /// Joins the attempt that is in progress, or begins one.
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
        let most_calls = self.open.borrow().iter().map(|open| open.most_calls()).filter(|most| *most > 0).min();
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

    fn adopt(self: &Rc<Self>, Opened { sender, driver, end, heard }: Opened) -> Rc<UpstreamConnection> {
        let connection = Rc::new(UpstreamConnection {
            number: self.endpoint.connected(sender.clone()),
            sender: RefCell::new(Some(sender)),
            calls: Cell::new(0),
            heard,
            given_up: GivenUp::new(),
            full_at: Cell::new(usize::MAX),
        });
        self.open.borrow_mut().push(Rc::clone(&connection));
        self.room.notify_waiters();
        tokio::task::spawn_local(Rc::clone(self).drive(Rc::clone(&connection), driver, end));
        connection
    }

    /// Runs a connection to its end.
    async fn drive(self: Rc<Self>, connection: Rc<UpstreamConnection>, mut driver: Driver, end: socket::ConnectionEnd) {
        let mut is_heard = false;
        let running = poll_fn(|context| {
            let ended = Pin::new(&mut driver).poll(context);
            if !is_heard && connection.heard.load(Relaxed) {
                is_heard = true;
                self.endpoint.speaks();
            }
            if let Some(why) = connection.why_closed(context) {
                self.closes(&connection, why);
            }
            let has_room = connection.given_up.end_some(context) || connection.has_grown();
            if self.waiting.get() > 0 && has_room {
                self.room.notify_waiters();
            }
            ended.map(drop)
        });
        if let Either::Right(_) = select(running, pin!(self.out_of_use(&connection))).await {
            end.now();
        }
        self.forget(&connection);
    }

    /// The peer goes away, and is not heard any more once the calls have ended; or the connection broke.
    fn closes(&self, connection: &UpstreamConnection, why: h2::Error) {
        // Of one on which nothing has come it is told that it could not be made.
        if connection.heard.load(Relaxed) {
            self.endpoint.closes(&why);
        }
        let error = (why.reason() != Some(Reason::NO_ERROR)).then_some(why);
        if error.is_some() && connection.calls.get() > 0 {
            self.broke(connection.number);
        }
        *self.last_error.borrow_mut() = error.map(Arc::new);
        self.forget(connection);
    }

    /// One failure, however many calls were on it or waited for it: a connection is one thing that broke.
    fn broke(&self, number: u64) {
        if self.last_broken.replace(Some(number)) != Some(number) {
            self.endpoint.connection_failed();
        }
    }

    /// Returns when a connection is to end because of its endpoint: at once when that hangs, so that the calls on it can
    /// still be made elsewhere, and otherwise when they have ended.
    async fn out_of_use(&self, connection: &UpstreamConnection) {
        let mut states = self.endpoint.states();
        let out =
            |state: &EndpointState| matches!(state, EndpointState::Ejected | EndpointState::Hung | EndpointState::Gone);
        let hangs = states.wait_for(out).await.is_ok_and(|state| *state == EndpointState::Hung);
        self.forget(connection);
        while !hangs && connection.calls.get() > 0 {
            sleep(LOOK_AGAIN).await;
        }
    }

    /// No call begins on it from now on.
    fn forget(&self, connection: &UpstreamConnection) {
        connection.sender.take();
        self.endpoint.disconnected(connection.number);
        self.open.borrow_mut().retain(|other| other.number != connection.number);
        self.closed.notify_one();
        self.room.notify_waiters();
    }

    async fn keep_connected(self: Rc<Self>) {
        let mut states = self.endpoint.states();
        let mut backoff = Backoff::new(RECONNECT_MIN, RECONNECT_MAX);
        // Whether it was told what does not end by itself, such as that the peer speaks something else.
        let mut told = false;
        loop {
            let state = *states.borrow_and_update();
            match state {
                EndpointState::Gone => return,
                EndpointState::Ejected | EndpointState::Hung => drop(states.changed().await),
                EndpointState::New | EndpointState::Healthy | EndpointState::NotServing => {
                    let began = Instant::now();
                    // Once for each time that the endpoint is away.
                    let aloud = backoff.is_reset();
                    told &= !aloud;
                    let mut tell = |error: &ConnectError| {
                        let lasts = !error.is_of_network();
                        if aloud || (lasts && !told) {
                            told |= lasts;
                            self.tell(error);
                        }
                    };
                    let connected = self.is_ready() || self.connection().await.inspect_err(&mut tell).is_ok();
                    if connected {
                        select(pin!(self.all_closed()), pin!(states.changed())).await;
                        if self.is_ready() {
                            continue;
                        }
                    }
                    let growing = backoff.pause();
                    // A peer that takes connections only to close them is one that cannot be connected to.
                    if connected && began.elapsed() >= growing {
                        backoff.reset();
                        continue;
                    }
                    if connected && !self.is_ready() {
                        tell(&self.closed_at_once());
                    }
                    let pause = if state == EndpointState::New { short() } else { growing };
                    let _changed = timeout(pause, states.changed()).await;
                }
            }
        }
    }

    fn tell(&self, error: &ConnectError) {
        self.endpoint.is_away();
        let why = error_chain::text(error);
        warn_once_reached!(
            self.endpoint.may_start_yet() && error.is_of_network(),
            endpoint = %self.endpoint.target,
            error = why,
            "cannot connect to an endpoint"
        );
    }

    async fn all_closed(&self) {
        while self.is_ready() {
            self.closed.notified().await;
        }
    }
}

/// The half of a connection that does the work.
type Driver = h2::client::Connection<WithoutEmptyData<Stream>, Bytes>;

pub(super) struct Opened {
    pub(super) sender: Sender,
    /// To be polled for as long as the connection is used.
    pub(super) driver: Driver,
    /// Ends it while it is used.
    pub(super) end: socket::ConnectionEnd,
    /// Whether the peer has sent anything.
    pub(super) heard: Arc<AtomicBool>,
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
    let heard = Arc::default();
    let (sender, driver) = h2::client::Builder::new()
        .enable_push(false)
        .initial_max_send_streams(most_calls.unwrap_or(MOST_CALLS))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADERS)
        // What comes late, for calls that were given up, is no abuse. Over all of a connection's life h2 would count 1024
        // such frames, and the bytes of those that it passes over, and then end it.
        .max_local_error_reset_streams(None)
        .data_frame_budget(usize::MAX)
        .handshake(WithoutEmptyData::new(stream, Arc::clone(&heard)))
        .await
        .map_err(|error| ConnectError::Handshake(target.clone(), Arc::new(error)))?;
    Ok(Opened { sender, driver, end, heard })
}
