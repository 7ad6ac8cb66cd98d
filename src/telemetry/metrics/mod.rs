//! Metrics, in Prometheus' text format.
//!
//! - here: what callbacks write, once each, from their [`Outcome`].
//! - [`outcomes`]: how many callbacks had which outcome.
//! - [`counts`]: the same, for the status page. [`history`]: and what it was in the last 15 minutes.
//! - [`state`]: what is read off the running bridge when it is scraped, and costs callbacks nothing.
//! - [`process`]: what the system knows of the process.
//!
//! One for each bridge. `server` makes it, and serves it.

mod counts;
mod history;
mod outcomes;
mod process;
mod state;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
    core::Collector as _,
    proto::{Metric, MetricFamily},
};
use tokio::time::Instant;

use crate::callback::{Callback, Callbacks};
use crate::outcome::{Delivered, Outcome, Source};
use crate::telemetry::errors::RecentErrors;
use counts::BUCKETS;
use history::History;
use outcomes::OutcomeCounters;

pub(crate) use counts::{CallbackCounts, Estimate, Labels, Times};
pub(crate) use history::EVERY;
pub(crate) use state::{BridgeState, CertificateState};

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
    /// For the status page.
    history: Mutex<History>,
    pub(crate) errors: RecentErrors,
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
                "Time spent on the decision service, connecting and retries included, whatever the result.",
            )?,
            deliveries: {
                let help = "After callbacks, by result. A series appears with its first one.";
                let opts = Opts::new("openim_bridge_deliveries_total", help);
                let deliveries = IntCounterVec::new(opts, &["callback", "result"])?;
                registry.register(Box::new(deliveries.clone()))?;
                deliveries
            },
            comparisons: {
                let help =
                    "Decisions that were compared with the answer of the receiver of forwarded callbacks, by result.";
                let opts = Opts::new("openim_bridge_comparisons_total", help);
                let comparisons = IntCounterVec::new(opts, &["callback", "result"])?;
                registry.register(Box::new(comparisons.clone()))?;
                comparisons
            },
            delivery_retries: counter(
                "openim_bridge_delivery_retries_total",
                "Failed attempts to deliver an after callback that are retried.",
            )?,
            retries: counter("openim_bridge_retries_total", "Calls to the decision service that were retried.")?,
            abandoned: counter(
                "openim_bridge_callbacks_abandoned_total",
                "Callbacks whose client disconnected before there was an answer.",
            )?,
            no_handshake: counter(
                "openim_bridge_tls_handshake_errors_total",
                "TLS handshakes that failed for a reason that an operator can fix, such as an untrusted certificate.",
            )?,
            registry,
            history: Mutex::new(History::new(Instant::now())),
            errors: RecentErrors::default(),
        })
    }

    /// To be called every [`EVERY`]: keeps what is counted, for [`Self::windows`].
    pub(crate) fn keep(&self) {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).keep(Instant::now(), &self.counts());
    }

    /// What was counted in the last minute, in the last 15 minutes, and since the start.
    pub(crate) fn windows(&self) -> [CallbackCounts; 3] {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).windows(Instant::now(), self.counts())
    }

    fn counts(&self) -> CallbackCounts {
        CallbackCounts {
            callbacks: self.outcomes.counts(),
            callback_duration: Times::of(&self.callback_duration),
            decision_duration: Times::of(&self.decision_duration),
            retries: self.retries.get(),
            abandoned: self.abandoned.get(),
            deliveries: self.deliveries_by_result(),
            delivery_retries: self.delivery_retries.get(),
        }
    }

    fn deliveries_by_result(&self) -> [u64; Delivered::ALL.len()] {
        let families = self.deliveries.collect();
        let of = |result: &str| {
            let all = families.iter().flat_map(MetricFamily::get_metric);
            all.filter(|metric| metric.get_label().iter().any(|label| label.value() == result)).map(count_of).sum()
        };
        Delivered::ALL.map(|result| of(result.into_str()))
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

/// The library hands on whole numbers as floating point.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn count_of(metric: &Metric) -> u64 {
    metric.get_counter().get_value() as u64
}
