//! What operators see: the log. Remarks are personal data, and are in no line unless `log.remarks` says so.

mod rate;

use std::{error::Error, time::Duration};

use tracing::{Level, level_filters::LevelFilter};

use crate::bridge::{Kind, Outcome, Source};
use crate::config::{LogFormat, LogLevel, LogSettings};
use crate::openim::Verdict;
use rate::RateLimit;

static TROUBLE: RateLimit = RateLimit::new();

/// Sends log lines to stderr from now on. Only the first call in a process has an effect.
pub fn init_logs(settings: LogSettings) {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // Failing means that a subscriber is there already, which then stays.
    let _already_there = match settings.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// Records what became of a callback: one line at debug, or at warn for a fallback or a bad request, of which a flood is
/// counted and not written in full.
pub(crate) fn record(outcome: &Outcome, elapsed: Duration, remarks: bool) {
    let troubled = outcome.source() == Source::Fallback || outcome.kind() == Kind::BadRequest;
    if !troubled {
        if tracing::enabled!(Level::DEBUG) {
            line(outcome, elapsed, remarks, None);
        }
    } else if tracing::enabled!(Level::WARN)
        && let Some(left_out) = TROUBLE.admit()
    {
        line(outcome, elapsed, remarks, Some(left_out));
    }
}

/// How much of an operation ID is logged.
const OPERATION_ID_BYTES: usize = 256;

fn line(outcome: &Outcome, elapsed: Duration, remarks: bool, trouble: Option<u64>) {
    let operation_id = outcome.operation_id.as_ref().map(|id| truncated(id.as_str()));
    let owner = outcome.parties.as_ref().map(|parties| truncated(&parties.owner));
    let friend = outcome.parties.as_ref().map(|parties| truncated(&parties.friend));
    let reason = outcome.reason().map(super::bridge::Reason::name);
    let error = outcome.error.as_ref().map(|error| error as &dyn Error);
    let answered = match outcome.verdict() {
        Verdict::GoOn(fields) if remarks => fields.first().map(|(_, value)| value.as_str()),
        _ => None,
    };
    let spent = outcome.spent;
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                command = outcome.command,
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
    &text[..text.floor_char_boundary(OPERATION_ID_BYTES)]
}
