//! HTTP/1.1 for a few clients that nobody is in a hurry for: the listener for operators and the mock's control port.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    response::{IntoResponse as _, Response},
};
use http::{Method, Request, StatusCode, Uri, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::{Instant, sleep},
};
use tower_service::Service as _;

use crate::base::socket;

/// How long a connection may take to send a request's head, or be idle. Whoever asks here opens another one.
const IDLE: Duration = Duration::from_secs(30);
/// Open connections. Beyond it the oldest one goes, so that nobody can keep a probe out: of those on which nothing is being
/// answered, nor was just now.
const CONNECTIONS: usize = 128;
/// How long a connection has to send its request, and to take its answer, before it may go.
const TIME_TO_SPEAK: Duration = Duration::from_millis(100);
/// How often one is looked for that has had its time.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// The longest head. Probes and scrapes send some hundred bytes, and browsers a few thousand.
const HEAD_BYTES: usize = 16 << 10;
/// How long accepting pauses when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a body may take.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(5);

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Answers are one line of text.
pub(crate) type Said = (StatusCode, String);

pub(crate) fn say(status: StatusCode, line: &str) -> Said {
    (status, format!("{line}\n"))
}

pub(crate) fn json(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value:#}\n")).into_response()
}

/// For a router's `method_not_allowed_fallback`.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Said {
    say(StatusCode::METHOD_NOT_ALLOWED, &format!("{} does not take {method}; see the header Allow", uri.path()))
}

/// Takes the address, so that it is known to be free before anything else is started.
pub(crate) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let mut listeners = socket::listen(address, 1)?;
    listeners.pop().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Serves without end.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    let mut open: VecDeque<Open> = VecDeque::new();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        make_room(&mut open).await;
        let peer = Peer(peer.ip().to_canonical());
        let state = Arc::new(State::new());
        let task = tokio::spawn(connection(stream, peer, router.clone(), Arc::clone(&state))).abort_handle();
        open.push_back(Open { task, state });
    }
}

struct Open {
    task: AbortHandle,
    state: Arc<State>,
}

/// Since when a connection has nothing to answer: `None` while it has.
struct State(Mutex<Option<Instant>>);

impl State {
    fn new() -> Self {
        Self(Mutex::new(Some(Instant::now())))
    }

    fn answers(&self, answers: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (!answers).then(Instant::now);
    }

    fn may_go(&self) -> bool {
        let quiet_since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        quiet_since.is_some_and(|since| since.elapsed() >= TIME_TO_SPEAK)
    }
}

async fn make_room(open: &mut VecDeque<Open>) {
    loop {
        open.retain(|connection| !connection.task.is_finished());
        if open.len() < CONNECTIONS {
            return;
        }
        match open.iter().position(|connection| connection.state.may_go()).and_then(|oldest| open.remove(oldest)) {
            Some(oldest) => oldest.task.abort(),
            None => sleep(LOOK_AGAIN).await,
        }
    }
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, state: Arc<State>) {
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        state.answers(true);
        let (answer, state) = (router.clone().call(request), Arc::clone(&state));
        async move {
            let answer = answer.await;
            state.answers(false);
            answer
        }
    });
    let mut http1 = http1::Builder::new();
    http1.timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(HEAD_BYTES);
    if let Err(error) = http1.serve_connection(TokioIo::new(stream), answer).await {
        tracing::debug!(%error, peer = %peer.0, "a connection ended early");
    }
}
