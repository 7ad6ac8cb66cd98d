//! The listener for operators (`admin.listen`), on a thread of its own: a busy worker never delays a probe, and a scrape
//! never delays a callback. Started last, and up until the very end of a drain.
//!
//! | endpoint | answers |
//! | --- | --- |
//! | `GET /live` | 200 as long as the process runs |
//! | `GET /ready` | 200, or 503 before the decision service was tried once and from the beginning of a drain on; the body says why |
//! | `GET /metrics` | Prometheus' text format 0.0.4, whatever the scraper would like best |
//! | `GET /version` | JSON: the program's version and commit |
//! | `GET /config` | JSON: the configuration in force, and where each value came from; no secrets |
//! | `PUT /log-level` | sets the log's level, which is the body: `debug` |
//! | `POST /drain` | the first step of a drain: `/ready` is 503 and every answer to OpenIM closes its connection; nothing ends |
//!
//! HEAD is answered where GET is. `PUT` and `POST` are for loopback addresses, unless `admin.write` is true. Answers are
//! plain text, one line, unless said otherwise.
//!
//! - [`routes`]: the endpoints.
//! - [`scrape`]: what `/metrics` reads off the running bridge.
//! - [`ready`]: whether the bridge is ready, and why not.

mod ready;
mod routes;
mod scrape;

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    thread,
    time::Duration,
};

use axum::Router;
use futures_util::future::select;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    task::AbortHandle,
    time::sleep,
};
use tower_service::Service as _;

use super::{Shared, Stage};
use crate::socket;

/// How long a connection may take to send a request's head, or be idle. Whoever asks here opens another one.
const IDLE: Duration = Duration::from_secs(30);
/// Open connections. Beyond it the oldest one goes, so that nobody can keep a probe out.
const CONNECTIONS: usize = 128;
/// How long accepting pauses when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
struct Peer(IpAddr);

/// Takes the address, so that it is known to be free before anything else is started.
pub(super) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let mut listeners = socket::listen(address, 1)?;
    listeners.pop().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Serves until everything is stopped.
pub(super) fn start(shared: &Arc<Shared>, listener: std::net::TcpListener) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let listener = {
        let _entered = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let shared = Arc::clone(shared);
    let serving = move || {
        let router = routes::router(Arc::clone(&shared));
        runtime.block_on(async {
            let stopped = pin!(shared.drain.reached(Stage::Stopped));
            select(pin!(serve(listener, router)), stopped).await;
        });
    };
    thread::Builder::new().name("admin".to_owned()).spawn(serving)?;
    Ok(())
}

async fn serve(listener: TcpListener, router: Router) {
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
        tracing::debug!(%error, "a connection to the admin listener ended early");
    }
}
