//! A worker's connection to the decision service: made at start, shared by all calls, made anew when it has gone.
//!
//! This is hyper's own HTTP/2 connection under tonic's client instead of tonic's `Channel`: no buffer task between the
//! call and the connection, and errors arrive as they are, so that what was never sent can be told from what was.

use std::{
    cell::{Cell, RefCell},
    error::Error as StdError,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::{FutureExt as _, LocalBoxFuture, Shared};
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::AbortHandle, time::timeout};
use tonic::{Status, body::Body};

use super::{UpstreamAddress, UpstreamSettings};
use crate::socket;

/// Connections to one address of the decision service; one at a time.
#[derive(Debug)]
pub(super) struct Channel {
    address: UpstreamAddress,
    /// `http://HOST:PORT`, for every request's `:scheme` and `:authority`.
    pub(super) origin: Uri,
    settings: UpstreamSettings,
    state: RefCell<State>,
    connections_made: Cell<u64>,
}

#[derive(Debug)]
enum State {
    Disconnected,
    /// Every call that comes meanwhile waits for the same attempt: never a thundering herd.
    Connecting(Shared<LocalBoxFuture<'static, Result<Connection, ConnectError>>>),
    Connected(Connection),
}

/// Why no connection could be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// Name, network or peer.
    #[error("cannot connect to {0}")]
    Io(UpstreamAddress, #[source] Arc<io::Error>),
    /// Took longer than `upstream.connect_timeout`.
    #[error("cannot connect to {0} in time")]
    Timeout(UpstreamAddress),
    /// The peer did not take the HTTP/2 preface.
    #[error("{0} does not speak HTTP/2")]
    Handshake(UpstreamAddress, #[source] Arc<hyper::Error>),
    /// The runtime is going down.
    #[error("the bridge is stopping")]
    Stopping,
}

/// One HTTP/2 connection. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    id: u64,
    sender: SendRequest<Body>,
    /// Calls in a row that have got no reply at all by their deadline.
    unanswered: Rc<Cell<u32>>,
    driver: AbortHandle,
}

/// After so many calls in a row without a reply a connection is given up: whoever is there does not speak HTTP/2, or no
/// longer, and what was sent to it would pile up.
const UNANSWERED: u32 = 5;

impl Connection {
    /// A reply came, whatever it says.
    pub(super) fn answered(&self) {
        self.unanswered.set(0);
    }
}

impl Channel {
    pub(super) fn new(address: UpstreamAddress, settings: UpstreamSettings) -> Rc<Self> {
        // An address was parsed from such a URL, so this parses; were it not to, the path alone still works.
        let origin = address.to_string().parse().unwrap_or_default();
        Rc::new(Self {
            address,
            origin,
            settings,
            state: RefCell::new(State::Disconnected),
            connections_made: Cell::new(0),
        })
    }

    /// The open connection, or a new one: also when the open one is `avoided`, because a call just failed on it.
    pub(super) async fn connection(self: &Rc<Self>, avoided: Option<&Connection>) -> Result<Connection, ConnectError> {
        let connecting = {
            let mut state = self.state.borrow_mut();
            match &*state {
                State::Connected(connection)
                    if !connection.sender.is_closed() && avoided.is_none_or(|avoided| avoided.id != connection.id) =>
                {
                    return Ok(connection.clone());
                }
                State::Connecting(connecting) => connecting.clone(),
                State::Connected(_) | State::Disconnected => {
                    let connecting = self.connect();
                    *state = State::Connecting(connecting.clone());
                    connecting
                }
            }
        };
        connecting.await
    }

    /// A call got no reply by its deadline. Ends the connection when that has happened too often in a row; the calls that
    /// are still on it are made again on a new one.
    pub(super) fn unanswered(&self, connection: &Connection) {
        connection.unanswered.set(connection.unanswered.get() + 1);
        if connection.unanswered.get() < UNANSWERED {
            return;
        }
        connection.driver.abort();
        let mut state = self.state.borrow_mut();
        if matches!(&*state, State::Connected(current) if current.id == connection.id) {
            *state = State::Disconnected;
        }
    }

    /// Connects in a task of its own, which goes on when the call that wanted it has gone.
    fn connect(self: &Rc<Self>) -> Shared<LocalBoxFuture<'static, Result<Connection, ConnectError>>> {
        let channel = Rc::clone(self);
        let task = tokio::task::spawn_local(async move {
            let connected = timeout(channel.settings.connect_timeout, channel.open())
                .await
                .unwrap_or_else(|_| Err(ConnectError::Timeout(channel.address.clone())));
            *channel.state.borrow_mut() = match &connected {
                Ok(connection) => State::Connected(connection.clone()),
                Err(_) => State::Disconnected,
            };
            connected
        });
        task.map(|joined| joined.unwrap_or(Err(ConnectError::Stopping))).boxed_local().shared()
    }

    async fn open(&self) -> Result<Connection, ConnectError> {
        let failed = |error| ConnectError::Io(self.address.clone(), Arc::new(error));
        let stream = TcpStream::connect((&*self.address.host, self.address.port)).await.map_err(failed)?;
        socket::connected(&stream).map_err(failed)?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ConnectError::Handshake(self.address.clone(), Arc::new(error)))?;
        // How it ended is told to each call that was on it.
        let driver = tokio::spawn(connection.map(drop)).abort_handle();
        self.connections_made.set(self.connections_made.get() + 1);
        Ok(Connection { id: self.connections_made.get(), sender, unanswered: Rc::default(), driver })
    }
}

/// Why a request got no response head of gRPC's.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The service has never seen it.
    #[error("the request was never sent")]
    NeverSent(#[source] hyper::Error),
    /// The service may have seen it.
    #[error("no response came")]
    NoResponse(#[source] hyper::Error),
    /// Something in the service's place answered, such as a proxy: tonic would take its page for a broken message.
    #[error("the answer is not gRPC, but HTTP status {0}")]
    NotGrpc(StatusCode),
}

impl tower_service::Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, SendError>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let response = self.sender.try_send_request(request);
        Box::pin(async move {
            let response = response.await.map_err(|mut error| {
                if error.take_message().is_some() || was_refused(error.error()) {
                    SendError::NeverSent(error.into_error())
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

/// The peer says that it has not looked at the request: `REFUSED_STREAM`, or beyond the last stream of its GOAWAY.
fn was_refused(error: &hyper::Error) -> bool {
    let refused = |error: &h2::Error| {
        error.reason() == Some(h2::Reason::REFUSED_STREAM)
            || (error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR))
    };
    find_source::<h2::Error>(error).is_some_and(refused)
}

/// The first error of type `E` in a source chain, the error itself included.
pub(super) fn find_source<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
