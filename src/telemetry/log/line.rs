//! The log line of one callback. What users choose is cut, and never a remark unasked.

use std::{borrow::Cow, time::Duration};

use tracing::Level;

use super::settings::{LogIds, LogSettings};
use crate::base::{error_chain, text::one_line};
use crate::openim::Verdict;
use crate::outcome::{Outcome, Reason};

/// How much is logged of any one text that users choose.
const TEXT_BYTES: usize = 256;

/// Said once in a process: that nothing arrives is what people look for first.
pub(super) fn first(outcome: &Outcome) {
    tracing::info!(
        callback = outcome.callback.map(|served| served.name),
        url = outcome.url.as_deref().map(shown).as_deref(),
        operation_id = outcome.operation_id.as_ref().map(|id| shown(id.as_str())).as_deref(),
        "received the first callback: OpenIM reaches this bridge"
    );
}

/// At warn in `trouble`, with how many log lines were suppressed before it; at debug otherwise.
pub(super) fn callback(outcome: &Outcome, elapsed: Duration, settings: &LogSettings, trouble: Option<u64>) {
    let operation_id = outcome.operation_id.as_ref().map(|id| shown(id.as_str()));
    let owner = outcome.parties.as_ref().and_then(|parties| user(&parties.owner, &settings.ids));
    let friend = outcome.parties.as_ref().and_then(|parties| user(&parties.friend, &settings.ids));
    let reason = outcome.reason().map(Reason::name);
    let error = outcome.error.as_ref().map(|error| error_chain::text(error));
    let answered = match outcome.verdict() {
        Verdict::GoOn(fields) if settings.private => fields.first().map(|(_, value)| shown(value)),
        _ => None,
    };
    let spent = outcome.spent;
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                callback = outcome.callback.map(|served| served.name),
                url = outcome.url.as_deref().map(shown).as_deref(),
                operation_id = operation_id.as_deref(),
                owner = owner.as_deref(),
                friend = friend.as_deref(),
                outcome = outcome.kind().into_str(),
                source = outcome.source().into_str(),
                reason,
                error,
                hint = outcome.hint(),
                remark = answered.as_deref(),
                endpoint = outcome.endpoint.as_ref().map(tracing::field::display),
                retries = spent.retries,
                connecting_ms = millis(spent.connecting),
                waiting_ms = millis(spent.waiting),
                calling_ms = millis(spent.calling),
                total_ms = millis(elapsed),
                lines_suppressed = trouble.filter(|suppressed| *suppressed > 0),
                "callback"
            )
        };
    }
    if trouble.is_some() { line!(Level::WARN) } else { line!(Level::DEBUG) }
}

fn user<'a>(id: &'a str, ids: &LogIds) -> Option<Cow<'a, str>> {
    match ids {
        LogIds::Plain => Some(shown(id)),
        LogIds::Hash(key) => Some(Cow::Owned(key.name(id))),
        LogIds::Omit => None,
    }
}

fn millis(duration: Duration) -> f64 {
    // Three digits after the point: microseconds.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// A text of a user's choice, safe to log.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    one_line(text, TEXT_BYTES)
}
