//! The log line of one callback. What users choose is cut, and never a remark unasked.

use std::{borrow::Cow, time::Duration};

use tracing::Level;

use super::rate::Suppressed;
use super::settings::{LogIds, LogSettings};
use crate::base::{error_chain, text::one_line};
use crate::callback::{Body, Callback};
use crate::outcome::{Outcome, Reason};

/// How much is logged of any one text that users choose.
const TEXT_BYTES: usize = 256;
/// The same for the ID of a user, group or conversation.
const ID_BYTES: usize = 64;

/// Said once in a process: that nothing arrives is what people look for first.
pub(super) fn first(outcome: &Outcome) {
    tracing::info!(
        callback = outcome.callback.map(|served| served.name),
        url = outcome.url.as_deref().map(shown).as_deref(),
        operation_id = outcome.operation_id.as_ref().map(|id| shown(id.as_str())).as_deref(),
        "received the first callback: OpenIM reaches this bridge"
    );
}

/// Said once for each rpc.
pub(super) fn lacking(callback: &Callback) {
    tracing::warn!(
        callback = callback.name,
        rpc = callback.rpc.path,
        "the decision service does not implement this rpc: implement it, set `callbacks.{}.route` to another route, or disable the \
         callback in webhooks.yml",
        callback.name
    );
}

/// At warn in `trouble`, with how many log lines were suppressed before it; at debug otherwise.
pub(super) fn callback(outcome: &Outcome, elapsed: Duration, settings: &LogSettings, trouble: Option<Suppressed>) {
    let operation_id = outcome.operation_id.as_ref().map(|id| shown(id.as_str()));
    let actor = outcome.body.as_deref().and_then(Body::actor).and_then(|id| user(&id, &settings.ids));
    let about = outcome.body.as_deref().and_then(Body::about).and_then(|id| user(&id, &settings.ids));
    let reason = outcome.reason().map(Reason::name);
    let error = outcome.error.as_ref().map(|error| error_chain::text(error));
    let fields = settings.private.then(|| outcome.verdict().fields.as_str()).filter(|fields| !fields.is_empty());
    let spent = outcome.spent;
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                callback = outcome.callback.map(|served| served.name),
                url = outcome.url.as_deref().map(shown).as_deref(),
                operation_id = operation_id.as_deref(),
                actor = actor.as_deref(),
                about = about.as_deref(),
                outcome = outcome.kind().into_str(),
                source = outcome.source().into_str(),
                reason,
                error,
                hint = outcome.hint(),
                fields = fields.map(shown).as_deref(),
                endpoint = outcome.endpoint.as_ref().map(tracing::field::display),
                retries = spent.retries,
                connecting_ms = millis(spent.connecting),
                waiting_ms = millis(spent.waiting),
                calling_ms = millis(spent.calling),
                total_ms = millis(elapsed),
                lines_suppressed = trouble.flatten(),
                "callback"
            )
        };
    }
    if trouble.is_some() { line!(Level::WARN) } else { line!(Level::DEBUG) }
}

fn user(id: &str, ids: &LogIds) -> Option<String> {
    match ids {
        LogIds::Plain => Some(one_line(id, ID_BYTES).into_owned()),
        LogIds::Hash(key) => Some(key.name(id)),
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
