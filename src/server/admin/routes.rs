//! The endpoints, as the table of [`super`] lists them.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Extension, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use http::{HeaderMap, StatusCode, Uri, header, uri::Authority};
use serde::{Deserialize as _, de::value::StrDeserializer};
use tokio::time::{Instant, timeout};

use super::{
    page,
    plain_http::{BODY_TIME, Peer, Said, json, say, wrong_method},
    ready::{NotReady, Readiness},
    scrape,
};
use crate::base;
use crate::server::context::Shared;
use crate::server::drain::DrainStage;
use crate::telemetry::log::{self, LogLevel};

/// What a body may hold: a word.
const BODY_BYTES: usize = 64;

#[derive(Debug)]
struct Admin {
    shared: Arc<Shared>,
    readiness: Readiness,
    started: Instant,
}

impl Admin {
    fn is_ready(&self) -> Result<(), NotReady> {
        self.readiness.check(&self.shared, self.started.elapsed())
    }
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let admin = Arc::new(Admin { shared, readiness: Readiness::default(), started: Instant::now() });
    let writes = Router::new()
        .route("/log-level", put(log_level))
        .route("/drain", post(drain))
        .route_layer(from_fn_with_state(Arc::clone(&admin), may_write));
    Router::new()
        .route("/", get(status))
        .route("/live", get(|| async { say(StatusCode::OK, "live") }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .route("/config", get(config))
        .merge(writes)
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(&admin), is_asked_by_its_name))
        .with_state(admin)
}

async fn status(State(admin): State<Arc<Admin>>, uri: Uri) -> Response {
    page::page(&admin.shared, admin.is_ready().err(), admin.started.elapsed(), uri.query())
}

async fn ready(State(admin): State<Arc<Admin>>) -> Said {
    match admin.is_ready() {
        Ok(()) => say(StatusCode::OK, "ready"),
        Err(why) => say(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {why}")),
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    match admin.shared.metrics.encode(&scrape::state(&admin.shared)) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => say(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()).into_response(),
    }
}

async fn version() -> Response {
    json(&serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": base::COMMIT,
        "date": base::COMMIT_DATE,
    }))
}

async fn config(State(admin): State<Arc<Admin>>) -> Response {
    json(&admin.shared.shown_configuration().json)
}

async fn log_level(body: Body) -> Said {
    let Ok(Ok(body)) = timeout(BODY_TIME, to_bytes(body, BODY_BYTES)).await else {
        return say(StatusCode::BAD_REQUEST, "the body must be one of: error, warn, info, debug, trace");
    };
    let word = String::from_utf8_lossy(&body).trim().to_ascii_lowercase();
    let text: StrDeserializer<'_, serde::de::value::Error> = StrDeserializer::new(&word);
    match LogLevel::deserialize(text) {
        Ok(level) => {
            log::set_level(level);
            // At warn, so that a log which is to be quiet still says why.
            tracing::warn!(level = word, "the log level was changed by the admin listener");
            say(StatusCode::OK, &format!("the log's level is {word}, until it is changed or the process exits"))
        }
        Err(_) => say(StatusCode::BAD_REQUEST, "the body must be one of: error, warn, info, debug, trace"),
    }
}

async fn drain(State(admin): State<Arc<Admin>>) -> Said {
    if admin.shared.drain.stage() == DrainStage::Serving {
        tracing::info!("draining, as the admin listener was asked to; SIGTERM stops the bridge");
        admin.shared.announce();
    }
    say(StatusCode::OK, "draining: not ready, and every response closes its connection; SIGTERM stops the bridge")
}

/// Lets requests through that are for an address, for `localhost`, or for a host that is configured. A browser sends the host
/// of its page, and a page whose name points at this address for a moment could read what is here (DNS rebinding). No program
/// that asks by another name than these is known, and one that says none is no browser.
async fn is_asked_by_its_name(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let in_target = request.uri().authority().map(Authority::as_str);
    let in_head = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let is_known = {
        let settings = admin.shared.settings.borrow();
        in_target.into_iter().chain(in_head).all(|host| is_known(host, &settings.admin.hosts))
    };
    if !is_known {
        let why = "this host name is not allowed: use an IP address, or add the name to `admin.hosts`";
        return say(StatusCode::MISDIRECTED_REQUEST, why).into_response();
    }
    next.run(request).await
}

fn is_known(host: &str, names: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches([']', '.']).to_ascii_lowercase();
    host == "localhost" || host.parse::<IpAddr>().is_ok() || names.contains(&host)
}

/// Lets changes through from where they may come.
async fn may_write(
    State(admin): State<Arc<Admin>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    if headers.contains_key(header::ORIGIN) {
        // A browser names the page that sends it, and no page of ours does.
        return say(StatusCode::FORBIDDEN, "not allowed from a web page").into_response();
    }
    if !peer.is_loopback() && !admin.shared.settings.borrow().admin.write {
        let why =
            "allowed only from a loopback address: run it in the pod, use port-forward, or set admin.write to true";
        return say(StatusCode::FORBIDDEN, why).into_response();
    }
    next.run(request).await
}

async fn not_found() -> Said {
    let line = "not found; there is: GET /, /live, /ready, /metrics, /version, /config; PUT /log-level; POST /drain";
    say(StatusCode::NOT_FOUND, line)
}
