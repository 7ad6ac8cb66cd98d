//! HTTP/1.1 for a few clients that nobody is in a hurry for: the listener for operators and the mock's control port.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
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
    time::sleep,
};
use tower_service::Service as _;

use crate::base::socket;

/// How long a connection may take to send a request's head, or be idle. Whoever asks here opens another one.
const IDLE: Duration = Duration::from_secs(30);
/// Open connections. Beyond it the oldest one goes, so that nobody can keep a probe out.
const CONNECTIONS: usize = 128;
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
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let peer = Peer(peer.ip().to_canonical());
        open.push_back(tokio::spawn(connection(stream, peer, router.clone())).abort_handle());
    }
}

async fn connection(stream: TcpStream, peer: Peer, router: Router) {
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let mut http1 = http1::Builder::new();
    http1.timer(TokioTimer::new()).header_read_timeout(IDLE);
    if let Err(error) = http1.serve_connection(TokioIo::new(stream), answer).await {
        tracing::debug!(%error, peer = %peer.0, "a connection ended early");
    }
}
