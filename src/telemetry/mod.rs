//! What operators see: the log. Remarks are personal data, and are in no line unless `log.remarks` says so.

mod lines;
mod rate;

use std::{io, net::IpAddr, sync::OnceLock, time::Duration};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Registry, filter::Targets, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _};

use crate::bridge::{Outcome, Reason};
use crate::config::{LogFormat, LogLevel, LogSettings};
use crate::error_chain;
use crate::openim::Verdict;
use crate::tls_error;
use lines::Lines;
use rate::RateLimit;

/// Not one, so that whoever sends rubbish cannot hide what ails the decision service.
static FALLBACKS: RateLimit = RateLimit::new();
static BAD_REQUESTS: RateLimit = RateLimit::new();
static HANDSHAKES: RateLimit = RateLimit::new();

/// What [`set_log_level`] changes.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Sends log lines to stderr from now on: this crate's from `settings.level` on, and no more than warnings of others, whose
/// lines about frames and buffers would bury a callback's, and of which nobody has promised what they hold. Only the first
/// call in a process has an effect.
pub fn init_logs(settings: LogSettings) {
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
    lines::flush();
}

/// Records what became of a callback: one line at debug, or at warn for a fallback, a bad request or a refusal whose code
/// is none of an App's, of which a flood is counted and not written in full.
pub(crate) fn record(outcome: &Outcome, elapsed: Duration, remarks: bool) {
    let limit = match outcome.reason() {
        Some(Reason::Error(_)) => &FALLBACKS,
        Some(Reason::Bad(_)) => &BAD_REQUESTS,
        Some(Reason::Unserved) | None => {
            if tracing::enabled!(Level::DEBUG) {
                line(outcome, elapsed, remarks, None);
            }
            return;
        }
    };
    if tracing::enabled!(Level::WARN)
        && let Some(left_out) = limit.admit()
    {
        line(outcome, elapsed, remarks, Some(left_out));
    }
}

/// Records that a client has not shaken hands, where an operator can do something about it.
pub(crate) fn no_handshake(peer: IpAddr, error: &io::Error) {
    if let Some(error) = tls_error::of_client(error)
        && let Some(left_out) = HANDSHAKES.admit()
    {
        let lines_left_out = Some(left_out).filter(|left_out| *left_out > 0);
        tracing::warn!(%peer, error, lines_left_out, "a client made no TLS connection");
    }
}

/// How much is logged of any one text that users choose.
const TEXT_BYTES: usize = 256;

fn line(outcome: &Outcome, elapsed: Duration, remarks: bool, trouble: Option<u64>) {
    let operation_id = outcome.operation_id.as_ref().map(|id| truncated(id.as_str()));
    let owner = outcome.parties.as_ref().map(|parties| truncated(&parties.owner));
    let friend = outcome.parties.as_ref().map(|parties| truncated(&parties.friend));
    let reason = outcome.reason().map(Reason::name);
    let error = outcome.error.as_ref().map(|error| error_chain::text(error));
    let answered = match outcome.verdict() {
        Verdict::GoOn(fields) if remarks => fields.first().map(|(_, value)| truncated(value)),
        _ => None,
    };
    let spent = outcome.spent;
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                command = outcome.command,
                url = outcome.url.as_deref().map(truncated),
                operation_id,
                owner,
                friend,
                outcome = outcome.kind().name(),
                source = outcome.source().name(),
                reason,
                error,
                remark = answered,
                endpoint = outcome.endpoint.as_ref().map(tracing::field::display),
                retries = spent.retries,
                connecting_ms = millis(spent.connecting),
                waiting_ms = millis(spent.waiting),
                calling_ms = millis(spent.calling),
                total_ms = millis(elapsed),
                lines_left_out = trouble.filter(|left_out| *left_out > 0),
                "callback"
            )
        };
    }
    if trouble.is_some() { line!(Level::WARN) } else { line!(Level::DEBUG) }
}

fn millis(duration: Duration) -> f64 {
    // Three digits after the point: microseconds.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn truncated(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}
