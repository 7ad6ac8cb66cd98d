//! What operators see: the log, metrics and traces. Remarks are personal data, and are in none of them unless `log.private`
//! puts them into the log.
//!
//! - [`log`]: lines, for operators.
//! - [`metrics`]: counters and histograms, to be scraped.
//! - [`traces`]: spans, to a collector.
//! - [`errors`]: the last errors, for the status page.

mod errors;
pub mod log;
pub mod metrics;
pub mod traces;

use crate::base::deadline::Deadline;
use crate::outcome::Outcome;
pub(crate) use errors::RecentError;
use log::LogSettings;
use metrics::Metrics;

/// Records what became of a callback: once, in all three.
pub(crate) fn record(outcome: &Outcome, deadline: Deadline, metrics: &Metrics, settings: &LogSettings) {
    let elapsed = deadline.elapsed();
    metrics.record(outcome, elapsed);
    if let Some(span) = &outcome.span {
        traces::record(span, outcome, deadline.started());
    }
    log::record(outcome, elapsed, settings);
    if outcome.reason().is_some() {
        metrics.errors.failed(outcome);
    }
}
