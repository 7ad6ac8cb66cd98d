//! Metrics, in Prometheus' text format.
//!
//! - here: what callbacks write, once each, from their [`Outcome`].
//! - [`outcomes`]: how many callbacks had which outcome.
//! - [`counts`]: the same, for people.
//! - [`state`]: what is read off the running bridge when it is scraped, and costs callbacks nothing.
//! - [`process`]: what the system knows of the process.
//!
//! One for each bridge. `server` makes it, and serves it.

mod counts;
mod outcomes;
mod process;
mod state;

use std::{sync::Arc, time::Duration};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

use crate::callback::{Callback, Callbacks};
use crate::outcome::{Delivered, Outcome, Source};
use outcomes::OutcomeCounters;

pub(crate) use counts::{CallbackCounts, Estimate, OutcomeCount, Times};
pub(crate) use state::{BridgeState, CertificateState};

/// Seconds, from what a decision next door takes up to OpenIM's own cap.
const BUCKETS: [f64; 15] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0];

/// What callbacks write. Shared by all workers.
#[derive(Debug)]
pub struct Metrics {
    deliveries: IntCounterVec,
    delivery_retries: IntCounter,
    comparisons: IntCounterVec,
    registry: Registry,
    outcomes: OutcomeCounters,
    callback_duration: Histogram,
    decision_duration: Histogram,
    retries: IntCounter,
    abandoned: IntCounter,
    no_handshake: IntCounter,
}

impl Metrics {
    /// Everything at 0.
    ///
    /// # Errors
    /// Never, but for a mistake in the names here.
    pub fn new(callbacks: Arc<Callbacks>) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let histogram = |name: &str, help: &str| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            prometheus::Result::Ok(histogram)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            prometheus::Result::Ok(counter)
        };
        Ok(Self {
            outcomes: OutcomeCounters::new(callbacks, &registry)?,
            callback_duration: histogram(
                "openim_bridge_callback_duration_seconds",
                "From the first byte of OpenIM's request to its answer.",
            )?,
            decision_duration: histogram(
                "openim_bridge_decision_duration_seconds",
                "What the decision service took, connecting and retries included, whatever came of it.",
            )?,
            deliveries: {
                let help = "After callbacks, by what became of them. A series appears with its first one.";
                let opts = Opts::new("openim_bridge_deliveries_total", help);
                let deliveries = IntCounterVec::new(opts, &["callback", "result"])?;
                registry.register(Box::new(deliveries.clone()))?;
                deliveries
            },
            comparisons: {
                let help = "Decisions that were compared with what the receiver of forwarded callbacks said, by what came of it.";
                let opts = Opts::new("openim_bridge_comparisons_total", help);
                let comparisons = IntCounterVec::new(opts, &["callback", "result"])?;
                registry.register(Box::new(comparisons.clone()))?;
                comparisons
            },
            delivery_retries: counter(
                "openim_bridge_delivery_retries_total",
                "Attempts to deliver an after callback that failed and were to be repeated.",
            )?,
            retries: counter("openim_bridge_retries_total", "Calls to the decision service that were retried.")?,
            abandoned: counter(
                "openim_bridge_callbacks_abandoned_total",
                "Callbacks whose client disconnected before there was an answer.",
            )?,
            no_handshake: counter(
                "openim_bridge_tls_handshake_errors_total",
                "TLS handshakes that failed for a reason that an operator can mend, such as an untrusted certificate.",
            )?,
            registry,
        })
    }

    /// Counts a callback, whatever became of it. `elapsed` is from the first byte of its request to here.
    pub(crate) fn record(&self, outcome: &Outcome, elapsed: Duration) {
        self.outcomes.count(outcome);
        if outcome.source() != Source::Shadow {
            self.answered(elapsed);
        }
        let spent = outcome.spent;
        if outcome.endpoint.is_some() {
            self.decision_duration.observe((spent.connecting + spent.waiting + spent.calling).as_secs_f64());
        }
        if spent.retries > 0 {
            self.retries.inc_by(spent.retries.into());
        }
    }

    /// OpenIM has its answer, and does not wait for what is still asked in the shadow of it.
    pub(crate) fn answered(&self, elapsed: Duration) {
        self.callback_duration.observe(elapsed.as_secs_f64());
    }

    /// Counts what became of an after callback.
    pub(crate) fn delivery(&self, callback: &Callback, how: Delivered) {
        self.deliveries.with_label_values(&[callback.name, how.into_str()]).inc();
    }

    /// Counts what came of comparing a decision with the receiver's answer.
    pub(crate) fn compared(&self, callback: Option<&Callback>, result: &str) {
        let name = callback.map_or(outcomes::UNKNOWN, |callback| callback.name);
        self.comparisons.with_label_values(&[name, result]).inc();
    }

    pub(crate) fn delivery_retried(&self) {
        self.delivery_retries.inc();
    }

    /// OpenIM has gone before its answer, and there is no outcome.
    pub(crate) fn abandoned(&self) {
        self.abandoned.inc();
    }

    /// A client made no TLS connection, so that its callback never came.
    pub(crate) fn no_handshake(&self) {
        self.no_handshake.inc();
    }

    /// Everything, in the text format 0.0.4.
    ///
    /// # Errors
    /// Never, but for a mistake in the names here.
    pub(crate) fn encode(&self, state: &BridgeState) -> prometheus::Result<String> {
        let mut families = self.registry.gather();
        families.extend(state.families());
        families.extend(process::families());
        families.sort_by(|one, other| one.name().cmp(other.name()));
        TextEncoder::new().encode_to_string(&families)
    }
}
