//! Metrics, in Prometheus' text format.
//!
//! - here: what callbacks write, once each, from their [`Outcome`]. Every handle is made at the start, so that a callback
//!   looks nothing up, and so that every combination that can occur is there with 0.
//! - [`counts`]: the same, for people.
//! - [`state`]: what is read off the running bridge when it is scraped, and costs callbacks nothing.
//! - [`process`]: what the system knows of the process.
//!
//! One for each bridge. `server` makes it, and serves it.

mod counts;
mod process;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

use crate::callback::Served;
use crate::openim::BadRequest;
use crate::outcome::{Outcome, OutcomeKind, Reason, Source};
use crate::upstream::ErrorClass;

pub(crate) use counts::{CallbackCounts, Estimate, OutcomeCount, Times};
pub(crate) use state::{BridgeState, CertificateState};

/// The command of a request that names none that is served. Whoever sends it cannot choose the label.
const OTHER: &str = "other";
/// The reason of a callback that needs none.
const NO_REASON: &str = "none";

/// Seconds, from what a decision next door takes up to OpenIM's own cap.
const BUCKETS: [f64; 15] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0];

/// What callbacks write. Shared by all workers.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    registered: &'static [Served],
    callbacks: IntCounterVec,
    /// By [`index`]. `None`: a combination that does not occur.
    counters: Vec<Option<IntCounter>>,
    callback_duration: Histogram,
    decision_duration: Histogram,
    retries: IntCounter,
    abandoned: IntCounter,
    no_handshake: IntCounter,
}

/// What tells one counter of callbacks from another: a command's place in the registry (`None`: other), and the outcome.
type Combination = (Option<usize>, OutcomeKind, Source, Option<Reason>);

impl Metrics {
    /// Everything at 0.
    ///
    /// # Errors
    /// Never, but for a mistake in the names here.
    pub fn new(registered: &'static [Served]) -> prometheus::Result<Self> {
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
        let callbacks = Opts::new("openim_bridge_callbacks_total", "Callbacks, by what became of them.");
        let callbacks = IntCounterVec::new(callbacks, &["command", "outcome", "source", "reason"])?;
        registry.register(Box::new(callbacks.clone()))?;
        let mut metrics = Self {
            registered,
            counters: Vec::new(),
            callback_duration: histogram(
                "openim_bridge_callback_duration_seconds",
                "From the first byte of OpenIM's request to its answer.",
            )?,
            decision_duration: histogram(
                "openim_bridge_decision_duration_seconds",
                "What the decision service took, connecting and retries included, whatever came of it.",
            )?,
            retries: counter("openim_bridge_retries_total", "Calls to the decision service that were made again.")?,
            abandoned: counter(
                "openim_bridge_callbacks_abandoned_total",
                "Callbacks whose connection went away before there was an answer.",
            )?,
            no_handshake: counter(
                "openim_bridge_tls_handshake_errors_total",
                "Clients that made no TLS connection, for a reason that somebody can do something about.",
            )?,
            callbacks,
            registry,
        };
        for combination in combinations(registered.len()) {
            let index = index(combination);
            if metrics.counters.len() <= index {
                metrics.counters.resize(index + 1, None);
            }
            metrics.counters[index] = Some(metrics.made(combination)?);
        }
        Ok(metrics)
    }

    fn made(&self, (command, kind, source, reason): Combination) -> prometheus::Result<IntCounter> {
        let command = command.and_then(|place| self.registered.get(place)).map_or(OTHER, |served| served.command);
        let reason = reason.map_or(NO_REASON, Reason::name);
        self.callbacks.get_metric_with_label_values(&[command, kind.name(), source.name(), reason])
    }

    /// Counts a callback, whatever became of it. `elapsed` is from the first byte of its request to here.
    pub(crate) fn record(&self, outcome: &Outcome, elapsed: Duration) {
        let combination = self.combination(outcome);
        if let Some(Some(counter)) = self.counters.get(index(combination)) {
            counter.inc();
        } else if let Ok(counter) = self.made(combination) {
            // Slower, but no callback is left out because somebody forgot a combination.
            counter.inc();
        }
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

    /// OpenIM has gone before its answer, and there is no outcome.
    pub(crate) fn abandoned(&self) {
        self.abandoned.inc();
    }

    /// A client made no TLS connection, so that its callback never came.
    pub(crate) fn no_handshake(&self) {
        self.no_handshake.inc();
    }

    fn combination(&self, outcome: &Outcome) -> Combination {
        let place = |command| self.registered.iter().position(|served| served.command == command);
        (outcome.command.and_then(place), outcome.kind(), outcome.source(), outcome.reason())
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

/// Every combination that can occur, for so many commands.
fn combinations(commands: usize) -> impl Iterator<Item = Combination> {
    use OutcomeKind::{Allow, BadRequest as Bad, Refuse, Replace};
    use Source::{App, Bridge, Fallback, Shadow};

    let decisions = [(Allow, None), (Replace, None), (Refuse, None)];
    // A refusal whose code is none of an App's stays a refusal.
    let invalid = (Refuse, Some(Reason::Error(ErrorClass::InvalidReply)));
    let decisions = decisions.into_iter().chain([invalid]);
    let decided = decisions.flat_map(|(kind, reason)| [(kind, App, reason), (kind, Shadow, reason)]);

    let fallback = |class: &ErrorClass| {
        let reason = Some(Reason::Error(*class));
        [Allow, Refuse].into_iter().flat_map(move |kind| [(kind, Fallback, reason), (kind, Shadow, reason)])
    };
    let fallbacks = ErrorClass::ALL.iter().flat_map(fallback);
    // Before the command is known.
    let early = [ErrorClass::Overloaded, ErrorClass::Internal].iter().flat_map(fallback);

    let bad = |bad: &BadRequest| (Bad, Bridge, Some(Reason::Bad(*bad)));
    let without = [BadRequest::CommandMissing, BadRequest::CommandSwallowed, BadRequest::CommandUnserved];
    let of_served = BadRequest::ALL.iter().filter(move |bad| !without.contains(bad)).map(bad);
    let others = early.chain(BadRequest::ALL.iter().map(bad)).chain([(Allow, Bridge, Some(Reason::Unserved))]);

    let served: Vec<_> = decided.chain(fallbacks).chain(of_served).collect();
    let all_served = (0..commands).flat_map(move |command| {
        served.clone().into_iter().map(move |(kind, source, reason)| (Some(command), kind, source, reason))
    });
    all_served.chain(others.map(|(kind, source, reason)| (None, kind, source, reason)))
}

/// Where a combination's counter is: each has another one.
const fn index((command, kind, source, reason): Combination) -> usize {
    const KINDS: usize = 4;
    const SOURCES: usize = 4;
    const REASONS: usize = 2 + ErrorClass::ALL.len() + BadRequest::ALL.len();
    let command = match command {
        None => 0,
        Some(place) => place + 1,
    };
    let reason = match reason {
        None => 0,
        Some(Reason::Unserved) => 1,
        Some(Reason::Error(class)) => 2 + class as usize,
        Some(Reason::Bad(bad)) => 2 + ErrorClass::ALL.len() + bad as usize,
    };
    ((command * KINDS + kind as usize) * SOURCES + source as usize) * REASONS + reason
}
