//! The log: to stderr, from the configured level on, and never in a callback's way.
//!
//! - here: how it is started and flushed, and which callbacks get a line.
//! - `line`: the line of one callback. `pseudonym`: user IDs under another name.
//! - `rate`: how many lines a flood may write, and how the suppressed ones are reported.
//! - `writer`: the thread that writes them.
//! - [`settings`](LogSettings): its settings.

mod line;
mod pseudonym;
mod rate;
mod settings;
mod writer;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    net::IpAddr,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use ipnet::IpNet;
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Registry, filter::Targets, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _};

use crate::base::error_chain;
use crate::callback::Callback;
use crate::openim::OperationId;
use crate::outcome::{Compared, Delivered, Outcome, Reason, Source};
use crate::upstream::{CallError, ErrorClass};
use writer::Lines;

pub(crate) use line::shown;
pub use pseudonym::{PseudonymKey, ShortKey};
pub use settings::{LogFormat, LogIds, LogLevel, LogSettings};

static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Sends log lines to stderr from now on: this crate's from `settings.level` on, and no more than warnings of others, whose
/// lines about frames and buffers would bury a callback's, and of which nobody has promised what they hold. Only the first
/// call in a process has an effect.
pub fn init(settings: &LogSettings) {
    let (filter, handle) = reload::Layer::new(filter(settings.level));
    let writer = Lines::start(rate::tell_of_past);
    // A line that cannot be written is lost. Saying so on stderr, where it could not be written, would panic.
    let lines =
        tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(move || writer).with_target(false);
    let log = tracing_subscriber::registry().with(filter);
    let started = match settings.format {
        LogFormat::Text => {
            let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            log.with(lines.with_ansi(terminal && wants_color(std::env::var_os("NO_COLOR").as_deref()))).try_init()
        }
        LogFormat::Json => log.with(lines.json().flatten_event(true)).try_init(),
    };
    // Failing means that a subscriber is there already, which then stays.
    if started.is_ok() {
        let _never_before = FILTER.set(handle);
    }
}

/// Source: <https://no-color.org>.
fn wants_color(no_color: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty)
}

/// Logs from this level on from now on. Without effect before [`init`].
pub fn set_level(level: LogLevel) {
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
pub fn flush() {
    rate::tell_of_all();
    writer::flush();
}

/// How many lines are not in the log, by why: those of each kind that a flood had too many of, and those that found the
/// queue full. Of the process, which has one log.
pub(crate) fn lines_suppressed() -> [(&'static str, u64); 6] {
    let [fallbacks, rejected, handshakes, deliveries, comparisons] = rate::totals();
    [fallbacks, rejected, handshakes, deliveries, comparisons, ("queue", writer::lost())]
}

/// Whether anything has come from OpenIM yet.
static HEARD: AtomicBool = AtomicBool::new(false);

/// The callbacks of which was told that the decision service lacks their rpc.
static LACKING: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Records what became of a callback: one line at debug, or at warn for a fallback, a rejected request or a refusal whose code
/// is outside the service's range, of which a flood is counted and not written in full. That the service lacks an rpc is told
/// once.
pub(crate) fn record(outcome: &Outcome, elapsed: Duration, settings: &LogSettings) {
    if !HEARD.load(Relaxed) && outcome.source() != Source::Rejected && !HEARD.swap(true, Relaxed) {
        line::first(outcome);
    }
    if let (Some(Reason::Error(ErrorClass::Unimplemented)), Some(callback)) = (outcome.reason(), outcome.callback) {
        lacks(callback);
    }
    let limit = match outcome.reason() {
        // Told of once, above: a service may lack what its App does not want to decide.
        None | Some(Reason::Unserved | Reason::Error(ErrorClass::Unimplemented)) => {
            if tracing::enabled!(Level::DEBUG) {
                line::callback(outcome, elapsed, settings, None);
            }
            return;
        }
        Some(Reason::Error(_) | Reason::Undecodable) => &rate::FALLBACKS,
        Some(Reason::Rejected(_)) => &rate::REJECTED,
    };
    if tracing::enabled!(Level::WARN)
        && let Some(suppressed) = limit.admit()
    {
        line::callback(outcome, elapsed, settings, Some(suppressed));
    }
}

/// Says once that the service lacks the rpc.
fn lacks(callback: &Callback) {
    if LACKING.lock().is_ok_and(|mut lacking| lacking.insert(callback.name)) {
        line::lacking(callback);
    }
}

/// Logs that an after callback was not delivered, after so many attempts.
pub(crate) fn undelivered(
    callback: &Callback,
    operation_id: &OperationId,
    how: Delivered,
    attempts: u32,
    error: Option<&CallError>,
) {
    if error.is_some_and(|error| error.class(Duration::MAX) == ErrorClass::Unimplemented) {
        lacks(callback);
    } else if let Some(lines_suppressed) = rate::DELIVERIES.admit() {
        tracing::warn!(
            callback = callback.name,
            operation_id = &*shown(operation_id.as_str()),
            result = how.into_str(),
            attempts,
            error = error.map(|error| error_chain::text(error)),
            lines_suppressed,
            "an after callback was not delivered"
        );
    }
}

/// Says in which fields a decision differs from what the receiver said, and never their values.
pub(crate) fn compared(service: &Outcome, compared: &Compared) {
    let Compared::Different(fields) = compared else { return };
    if let Some(lines_suppressed) = rate::COMPARISONS.admit() {
        tracing::warn!(
            callback = service.callback.map(|callback| callback.name),
            operation_id = service.operation_id.as_ref().map(|id| shown(id.as_str())).as_deref(),
            fields = &*shown(&fields.join(", ")),
            lines_suppressed,
            "the decision service and the receiver of forwarded callbacks differ"
        );
    }
}

/// Whether it was told that nobody is allowed to call.
static NOBODY_ALLOWED: AtomicBool = AtomicBool::new(false);

/// Says once, where nothing was heard of OpenIM yet, whose request was rejected by its address. Behind a mesh's proxy that is the
/// proxy's, of every request.
pub(crate) fn not_allowed(peer: IpAddr, ranges: &[IpNet]) {
    if !HEARD.load(Relaxed) && !NOBODY_ALLOWED.swap(true, Relaxed) {
        let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        tracing::warn!(
            peer = %peer.to_canonical(),
            allow = ranges.join(", "),
            "every request so far was rejected by `access.allow`: is this OpenIM's address, or that of a proxy in front of the \
             bridge, such as a mesh's?"
        );
    }
}

/// Says why a client has made no TLS connection.
pub(crate) fn no_handshake(peer: IpAddr, error: &str) {
    if let Some(lines_suppressed) = rate::HANDSHAKES.admit() {
        tracing::warn!(%peer, error, lines_suppressed, "a TLS handshake failed");
    }
}

/// Says that a client speaks HTTP/2 where only HTTP/1.1 is spoken. Under the same limit.
pub(crate) fn not_http1(peer: IpAddr) {
    if let Some(lines_suppressed) = rate::HANDSHAKES.admit() {
        tracing::warn!(
            %peer,
            lines_suppressed,
            "a client speaks HTTP/2 without TLS, such as gRPC: OpenIM's callbacks come by HTTP/1.1, and gRPC calls belong to \
             the decision service"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_counts_unless_it_is_empty() {
        assert!(wants_color(None) && wants_color(Some(OsStr::new(""))));
        assert!(!wants_color(Some(OsStr::new("0"))));
    }
}
