//! From an [`Outcome`] to spans, by OpenTelemetry's semantic conventions for HTTP and RPC.
//!
//! Nothing that a user has written is in them, but for the operation ID. No path either, since only the route is known to
//! hold no secret.
//! Sources: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>,
//! <https://opentelemetry.io/docs/specs/semconv/rpc/grpc/>.

use std::{borrow::Cow, net::SocketAddr, sync::LazyLock, time::SystemTime};

use http::{Method, Version};
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanContext, SpanId, SpanKind, Status},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tokio::time::Instant;
use tonic::Code;

use crate::base::grpc_status;
use crate::callback::Callback;
use crate::outcome::{CallbackSpan, Outcome, Reason, Source};
use crate::telemetry::log::shown;
use crate::upstream::{Target, TriedServer, Try, TryEnd};

static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME")).with_version(env!("CARGO_PKG_VERSION")).build()
});

/// The two clocks at one moment: spans tell the time of day, and all that was noted is by the other.
struct Now {
    time: SystemTime,
    instant: Instant,
}

impl Now {
    #[expect(clippy::disallowed_methods, reason = "no deadline: the time of day is what a span tells")]
    fn read() -> Self {
        Self { time: SystemTime::now(), instant: Instant::now() }
    }

    fn at(&self, instant: Instant) -> SystemTime {
        self.time.checked_sub(self.instant.saturating_duration_since(instant)).unwrap_or(self.time)
    }
}

/// The spans of the tries, and then the callback's.
pub(super) fn of(span: &CallbackSpan, outcome: &Outcome, started: Instant) -> impl Iterator<Item = SpanData> {
    let now = Now::read();
    let callback = callback(span, outcome, started, &now);
    let tries = outcome.tries.iter().map(move |tried| of_try(&span.context, outcome.callback, tried, &now));
    tries.chain([callback])
}

fn callback(span: &CallbackSpan, outcome: &Outcome, started: Instant, now: &Now) -> SpanData {
    let began = now.at(started);
    let ended = span.answered.map_or(now.time, |answered| now.at(started + answered));
    let method = known(&span.method);
    let route = outcome.callback.map(|callback| format!("/{}", callback.command));
    let first_word = method.unwrap_or("HTTP");
    let name = route.as_ref().map_or(Cow::Borrowed(first_word), |route| format!("{first_word} {route}").into());
    let status = if outcome.source() == Source::Shadow { 200 } else { outcome.status().as_u16() };
    let error = match outcome.reason() {
        // In the shadow, what failed is the try alone.
        Some(Reason::Error(class)) if outcome.source() != Source::Shadow => Some(class.into_str()),
        _ => None,
    };
    let mut attributes = vec![
        KeyValue::new("http.request.method", method.unwrap_or("_OTHER")),
        KeyValue::new("url.scheme", if span.https { "https" } else { "http" }),
        KeyValue::new("http.response.status_code", i64::from(status)),
        KeyValue::new("network.protocol.version", version(span.version)),
        KeyValue::new("openim_bridge.outcome", outcome.kind().into_str()),
        KeyValue::new("openim_bridge.source", outcome.source().into_str()),
    ];
    let operation_id = outcome.operation_id.as_ref().map(|id| shown(id.as_str()).into_owned());
    attributes.extend(outcome.callback.map(|callback| KeyValue::new("openim_bridge.callback", callback.name)));
    attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
    attributes.extend(operation_id.map(|id| KeyValue::new("openim.operation_id", id)));
    attributes.extend(outcome.reason().map(|reason| KeyValue::new("openim_bridge.reason", reason.name())));
    attributes.extend(error.map(|class| KeyValue::new("error.type", class)));
    SpanData {
        name,
        span_kind: SpanKind::Server,
        parent_span_id: span.parent,
        parent_span_is_remote: span.parent != SpanId::INVALID,
        status: status_of(error.is_some()),
        ..data(span.context.clone(), began, ended, attributes)
    }
}

fn of_try(span: &SpanContext, callback: Option<&Callback>, tried: &Try, now: &Now) -> SpanData {
    let (name, mut attributes, error) = match tried.end {
        TryEnd::Rpc(code) => {
            let method = callback.map_or("", |callback| callback.rpc.path.trim_start_matches('/'));
            let attributes = vec![
                KeyValue::new("rpc.system.name", "grpc"),
                KeyValue::new("rpc.method", method),
                KeyValue::new("rpc.response.status_code", grpc_status::name(code)),
            ];
            (method, attributes, (code != Code::Ok).then(|| grpc_status::name(code).to_owned()))
        }
        TryEnd::Forward(result) => {
            let mut attributes = vec![KeyValue::new("http.request.method", "POST")];
            let status =
                result.ok().map(|status| KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
            attributes.extend(status);
            let error = match result {
                Ok(status) => {
                    (status.is_client_error() || status.is_server_error()).then(|| status.as_str().to_owned())
                }
                Err(class) => Some(class.into_str().to_owned()),
            };
            ("POST", attributes, error)
        }
    };
    let failed = error.is_some();
    attributes.extend(tried.server.iter().flat_map(of_server));
    attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
    let state = span.trace_state().clone();
    let context = SpanContext::new(span.trace_id(), tried.span, span.trace_flags(), false, state);
    // What has not ended by itself was ended by the deadline, just now.
    let ended = tried.ended.unwrap_or(now.instant);
    SpanData {
        name: Cow::Borrowed(name),
        span_kind: SpanKind::Client,
        parent_span_id: span.span_id(),
        status: status_of(failed),
        ..data(context, now.at(tried.began), now.at(ended), attributes)
    }
}

fn of_server(server: &TriedServer) -> Vec<KeyValue> {
    let peer = match &server.target {
        Some(Target::Unix(path)) => {
            let path = path.display().to_string();
            return vec![KeyValue::new("server.address", path), KeyValue::new("network.transport", "unix")];
        }
        Some(Target::Tcp(peer)) => Some(peer),
        None => None,
    };
    let host = server.origin.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let mut attributes = vec![KeyValue::new("server.address", host)];
    let port = server.origin.port_u16().or_else(|| peer.map(SocketAddr::port));
    attributes.extend(port.map(|port| KeyValue::new("server.port", i64::from(port))));
    attributes.extend(peer.into_iter().flat_map(|peer| {
        [
            KeyValue::new("network.peer.address", peer.ip().to_string()),
            KeyValue::new("network.peer.port", i64::from(peer.port())),
        ]
    }));
    attributes
}

fn data(context: SpanContext, began: SystemTime, ended: SystemTime, attributes: Vec<KeyValue>) -> SpanData {
    SpanData {
        span_context: context,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Borrowed(""),
        start_time: began,
        end_time: ended,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: SCOPE.clone(),
    }
}

fn status_of(failed: bool) -> Status {
    if failed { Status::error("") } else { Status::Unset }
}

/// One of a few names, whatever is sent.
fn known(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
