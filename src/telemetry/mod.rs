//! What operators see: the log, metrics and traces. Remarks are personal data, and are in none of them unless `log.remarks`
//! puts them into the log.
//!
//! - `record`: what became of each callback.
//! - `line`: the log line of one.
//! - `rate`: how many of them a flood may write, and what is said of the rest.
//! - `lines`: the thread that writes them.
//! - [`metrics`]: counters and histograms, to be scraped.
//! - [`traces`]: spans, to a collector.

mod line;
mod lines;
pub mod metrics;
mod rate;
pub mod traces;

use std::{
    io,
    net::IpAddr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Registry, filter::Targets, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _};

use crate::bridge::{Kind, Outcome, Reason};
use crate::config::{LogFormat, LogLevel, LogSettings};
use crate::tls_error;
use lines::Lines;
use metrics::Metrics;

/// What [`set_log_level`] changes.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Sends log lines to stderr from now on: this crate's from `settings.level` on, and no more than warnings of others, whose
/// lines about frames and buffers would bury a callback's, and of which nobody has promised what they hold. Only the first
/// call in a process has an effect.
pub fn init_logs(settings: &LogSettings) {
    let (filter, handle) = reload::Layer::new(filter(settings.level));
    let writer = Lines::start();
    // A line that cannot be written is lost. Saying so on stderr, where it could not be written, would panic.
    let lines =
        tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(move || writer).with_target(false);
    let log = tracing_subscriber::registry().with(filter);
    let started = match settings.format {
        LogFormat::Text => log.with(lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))).try_init(),
        LogFormat::Json => log.with(lines.json().flatten_event(true)).try_init(),
    };
    // Failing means that a subscriber is there already, which then stays.
    if started.is_ok() {
        let _never_before = FILTER.set(handle);
    }
}

/// Logs from this level on from now on. Without effect before [`init_logs`].
pub fn set_log_level(level: LogLevel) {
    // It fails only where the subscriber has gone, and there is no log.
    let _gone = FILTER.get().map(|handle| handle.reload(filter(level)));
}

fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_target(env!("CARGO_CRATE_NAME"), level).with_default(level.min(LevelFilter::WARN))
}

/// Waits, for a second at most, until all log lines so far are written: the end of the program would lose them.
pub fn flush_logs() {
    rate::tell_of_all();
    lines::flush();
}

/// How many lines are not in the log, by why: those of each kind that a flood had too many of, and those that found the
/// queue full. Of the process, which has one log.
pub(crate) fn lines_left_out() -> [(&'static str, u64); 4] {
    let [fallbacks, bad_requests, handshakes] = rate::totals();
    [fallbacks, bad_requests, handshakes, ("queue", lines::lost())]
}

/// Whether anything has come from OpenIM yet.
static HEARD: AtomicBool = AtomicBool::new(false);

/// Records what became of a callback: one line at debug, or at warn for a fallback, a bad request or a refusal whose code
/// is none of an App's, of which a flood is counted and not written in full.
pub(crate) fn record(outcome: &Outcome, elapsed: Duration, settings: &LogSettings) {
    if let Some(span) = &outcome.span {
        traces::record(span, outcome, elapsed);
    }
    if !HEARD.load(Relaxed) && outcome.kind() != Kind::BadRequest && !HEARD.swap(true, Relaxed) {
        line::first(outcome);
    }
    let limit = match outcome.reason() {
        Some(Reason::Error(_)) => &rate::FALLBACKS,
        Some(Reason::Bad(_)) => &rate::BAD_REQUESTS,
        Some(Reason::Unserved) | None => {
            if tracing::enabled!(Level::DEBUG) {
                line::callback(outcome, elapsed, settings, None);
            }
            return;
        }
    };
    if tracing::enabled!(Level::WARN)
        && let Some(left_out) = limit.admit()
    {
        line::callback(outcome, elapsed, settings, Some(left_out));
    }
}

/// Records that a client has not shaken hands, where an operator can do something about it.
pub(crate) fn no_handshake(peer: IpAddr, error: &io::Error, metrics: &Metrics) {
    let Some(error) = tls_error::of_client(error) else { return };
    metrics.no_handshake();
    if let Some(left_out) = rate::HANDSHAKES.admit() {
        let lines_left_out = Some(left_out).filter(|left_out| *left_out > 0);
        tracing::warn!(%peer, error, lines_left_out, "a client made no TLS connection");
    }
}
