//! Traces: one span for each callback and one below it for each time that the decision service was tried, sent by OTLP
//! over gRPC. Off unless OpenTelemetry's own variables name an endpoint.
//!
//! - here: whether a callback is recorded, and its beginning.
//! - `variables`: OpenTelemetry's variables, as far as its libraries do not read them.
//! - `spans`: from an [`Outcome`] to spans. They are made when it is recorded, from the times that were noted, so that they
//!   can say nothing else than the log does.
//! - `export`: the queue, the threads that empty it, and what is counted of it.
//!
//! A callback never waits for any of it: a full queue loses spans, and counts them.

mod export;
mod spans;
mod variables;

use std::sync::OnceLock;

use http::request::Parts;
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags},
};
use opentelemetry_sdk::trace::{Config, IdGenerator as _, RandomIdGenerator, SamplingDecision, ShouldSample};
use tokio::time::Instant;

use export::Exporter;
pub use export::SpanCounts;
use variables::{Wanted, environment};

use crate::base::trace_context::{Propagation, TraceContext};
use crate::outcome::{CallbackSpan, Outcome};

/// `None`: off.
static TRACER: OnceLock<Tracer> = OnceLock::new();

#[derive(Debug)]
struct Tracer {
    sampler: Box<dyn ShouldSample>,
    exporter: Exporter,
}

/// Records traces from now on, where OpenTelemetry's variables ask for it. What is wrong with them is logged, and keeps no
/// bridge from starting. Only the first call in a process has an effect.
pub fn start() {
    let Wanted { endpoint, queue, tls } = match variables::read(&environment) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return,
        Err(error) => return tracing::warn!("tracing is off: {error}"),
    };
    for mistake in variables::mistakes(&environment) {
        tracing::warn!("{mistake}");
    }
    let sampler = Config::default().sampler;
    match Exporter::start(queue, tls) {
        Ok(exporter) => {
            tracing::info!(endpoint, ?sampler, "tracing is on");
            let _already_there = TRACER.set(Tracer { sampler, exporter });
        }
        Err(error) => tracing::warn!("tracing is off: {error}"),
    }
}

/// Sends the spans so far, for a second at most: the end of the program would lose them.
pub fn flush() {
    if let Some(tracer) = TRACER.get() {
        tracer.exporter.flush();
    }
}

/// What became of the spans so far; `None` where no traces are recorded.
#[must_use]
pub fn counts() -> Option<SpanCounts> {
    TRACER.get().map(|tracer| tracer.exporter.counts())
}

/// What the calls for this request carry, and its span, where it is recorded.
pub(crate) fn begin(request: &Parts, https: bool) -> (Propagation, Option<Box<CallbackSpan>>) {
    let came = TraceContext::of(&request.headers);
    match (TRACER.get(), came) {
        (None, None) => (Propagation::Nothing, None),
        (None, Some(came)) => (Propagation::Unchanged(Box::new(came)), None),
        (Some(tracer), came) => {
            let (context, parent) = tracer.begin(came.as_ref());
            let span = context.is_sampled().then(|| {
                let (method, version) = (request.method.clone(), request.version);
                Box::new(CallbackSpan { context: context.clone(), parent, method, version, https, answered: None })
            });
            (Propagation::Spans(Box::new(context)), span)
        }
    }
}

/// Of a callback that has become this, and whose first byte came then.
pub(super) fn record(span: &CallbackSpan, outcome: &Outcome, started: Instant) {
    if let Some(tracer) = TRACER.get() {
        for span in spans::of(span, outcome, started) {
            tracer.exporter.send(span);
        }
    }
}

impl Tracer {
    /// A new span below what came, or a new root.
    fn begin(&self, came: Option<&TraceContext>) -> (SpanContext, SpanId) {
        let ids = RandomIdGenerator::default();
        let trace_id = came.map_or_else(|| ids.new_trace_id(), |came| came.span().trace_id());
        let parent = came.map(|came| Context::new().with_remote_span_context(came.span().clone()));
        let sampled = self.sampler.should_sample(parent.as_ref(), trace_id, "callback", &SpanKind::Server, &[], &[]);
        let flags = match sampled.decision {
            SamplingDecision::RecordAndSample => TraceFlags::SAMPLED,
            SamplingDecision::Drop | SamplingDecision::RecordOnly => TraceFlags::NOT_SAMPLED,
        };
        let context = SpanContext::new(trace_id, ids.new_span_id(), flags, false, sampled.trace_state);
        (context, came.map_or(SpanId::INVALID, |came| came.span().span_id()))
    }
}
