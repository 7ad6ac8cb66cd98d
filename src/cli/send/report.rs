//! What became of one callback, in words and as JSON.

use std::fmt;

use serde_json::{Map, Value, json};

use super::client::{Answered, Exchange};
use crate::base::error_chain;
use crate::base::text::{millis, one_line};
use crate::callback::{Callback, Taken};
use crate::openim::client::{CallbackRequest, OpenIm, OpenImError};

/// So many bytes of a body are shown.
pub(super) const SHOWN_BYTES: usize = 4096;

/// So many of a field's value.
const VALUE_BYTES: usize = 1024;

/// All that `send` tells. Its `Display` is human-readable.
#[derive(Debug)]
pub struct SendReport {
    /// Where it was posted to, without a password.
    pub url: String,
    pub request: CallbackRequest,
    /// What came of it.
    pub exchange: Exchange,
}

impl SendReport {
    fn operation_id(&self) -> String {
        String::from_utf8_lossy(self.request.operation_id.as_bytes()).into_owned()
    }

    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let exchange = &self.exchange;
        let answered = exchange.answer.as_ref().ok();
        let cautions = exchange.cautions().into_iter().map(|(kind, text)| json!({"kind": kind, "text": text}));
        let effects = exchange.effects();
        json!({
            "callback": exchange.callback.map(|callback| callback.name),
            "url": self.url,
            "operationID": self.operation_id(),
            "status": answered.map(|answered| answered.status.as_u16()),
            "elapsedMs": u64::try_from(exchange.elapsed.as_millis()).unwrap_or(u64::MAX),
            "body": answered.map(|answered| String::from_utf8_lossy(&answered.body)),
            "verdict": verdict(exchange),
            "changes": effects.map(|effects| effects.changes().map(|taken| taken.key).collect::<Vec<_>>()),
            "origin": exchange.origin(),
            "hint": answered.and_then(|answered| answered.hint.as_deref()),
            "fields": fields(exchange),
            "cautions": cautions.collect::<Vec<_>>(),
        })
    }
}

/// What OpenIM does; where it goes on, with each field that it takes, and null for what it would take but is not told.
fn verdict(exchange: &Exchange) -> Value {
    match exchange.open_im() {
        _ if exchange.is_lost() => json!({"kind": "lost", "cause": exchange.cause().unwrap_or("rejected")}),
        OpenIm::GoesOn if exchange.is_after() => json!({"kind": "told"}),
        OpenIm::GoesOn => {
            let mut verdict = Map::from_iter([("kind".to_owned(), json!("goesOn"))]);
            for key in exchange.callback.map(Callback::repeated_keys).unwrap_or_default() {
                verdict.insert((*key).to_owned(), Value::Null);
            }
            for taken in exchange.effects().into_iter().flat_map(|effects| &effects.taken) {
                verdict.insert(taken.key.to_owned(), json!(taken.told));
            }
            verdict.into()
        }
        OpenIm::Refused { code, message, detail } => {
            json!({"kind": "refused", "errCode": code, "errMsg": message, "errDlt": detail})
        }
        OpenIm::Fails { error, why } => json!({
            "kind": "fails",
            "errCode": error.code(),
            "errMsg": error.name(),
            "cause": exchange.cause(),
            "why": error_chain::text(why),
        }),
    }
}

/// What OpenIM decodes; `None` where it cannot.
fn fields(exchange: &Exchange) -> Option<Value> {
    let answered = exchange.answer.as_ref().ok()?;
    let mut fields = json!(answered.reading.answer.as_ref().ok()?);
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(answered.effects.decoded.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    }
    Some(fields)
}

impl fmt::Display for SendReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "POST {}", one_line(&self.url, SHOWN_BYTES))?;
        writeln!(f, "operationID: {}", one_line(&self.operation_id(), SHOWN_BYTES))?;
        write!(f, "sent: {}", shown_body(self.request.body.trim_ascii_end()))?;
        match &self.exchange.answer {
            Ok(Answered { status, body, hint, .. }) => {
                writeln!(f, "\nanswer: {status}, after {}", millis(self.exchange.elapsed))?;
                if !status.is_success() {
                    writeln!(f, "(OpenIM ignores the status and reads only the body)")?;
                }
                writeln!(f, "body: {}", shown_body(body))?;
                writeln!(f, "\n{}", outcome(&self.exchange))?;
                writeln!(f, "decided by: {}", decider(self.exchange.origin()))?;
                for (_, caution) in self.exchange.cautions() {
                    writeln!(f, "caution: {}", one_line(&caution, SHOWN_BYTES))?;
                }
                if let Some(hint) = hint {
                    writeln!(f, "hint: {}", one_line(hint, SHOWN_BYTES))?;
                }
                Ok(())
            }
            Err(_) => {
                writeln!(f, "\nanswer: none, after {}\n\n{}", millis(self.exchange.elapsed), outcome(&self.exchange))
            }
        }
    }
}

/// What OpenIM does after this, in one line that is safe to print.
#[must_use]
pub fn outcome(exchange: &Exchange) -> String {
    if exchange.is_lost() {
        let why = exchange.answer.as_ref().err().map(|why| one_line(&error_chain::text(why), SHOWN_BYTES).into_owned());
        let why = why.unwrap_or_else(|| "the bridge rejected it".to_owned());
        return format!("OpenIM goes on, and the callback is lost: {why}.");
    }
    if exchange.is_after() {
        return "OpenIM goes on: it reads nothing of the answer to an after callback.".to_owned();
    }
    let Some(effects) = exchange.effects() else { return words(exchange.open_im()) };
    let shown = |value: &Value| one_line(&value.to_string(), VALUE_BYTES).into_owned();
    let changes: Vec<_> = effects
        .changes()
        .map(|Taken { key, asked, told }| match (asked, told) {
            (Some(asked), Some(told)) => format!("with {key} {} instead of {}", shown(told), shown(asked)),
            (None, Some(told)) => format!("with {key} {}", shown(told)),
            (asked, None) => format!("without {key} {}", asked.as_ref().map(shown).unwrap_or_default()),
        })
        .collect();
    match &*changes {
        [] => words(OpenIm::GoesOn),
        changes => format!("OpenIM goes on, {}.", changes.join(", and ")),
    }
}

/// The same of an answer to a callback that is not known.
#[must_use]
pub fn words(open_im: OpenIm<'_>) -> String {
    let quoted = |text: &str| format!("\"{}\"", one_line(text, SHOWN_BYTES));
    match open_im {
        OpenIm::GoesOn => "OpenIM goes on as its user asked.".to_owned(),
        OpenIm::Refused { code, message, detail } => format!(
            "OpenIM refuses: the API's caller gets errCode {code}, errMsg {}, errDlt {}.",
            quoted(message),
            quoted(detail)
        ),
        OpenIm::Fails { error: OpenImError::Panic, why } => format!(
            "OpenIM panics, and its user's action fails with an empty answer (status 500): {}.",
            one_line(&error_chain::text(why), SHOWN_BYTES)
        ),
        OpenIm::Fails { error, why } => format!(
            "OpenIM fails its user's action with {} {}: {}.",
            error.code(),
            error.name(),
            one_line(&error_chain::text(why), SHOWN_BYTES)
        ),
    }
}

/// Who decided, by the header of the answer.
#[must_use]
pub fn decider(origin: Option<&str>) -> String {
    let Some(origin) = origin else {
        return "unknown, since the answer has no header openim-bridge".to_owned();
    };
    match origin.split_once("; ") {
        None if origin == "decision" => "the decision service".to_owned(),
        None if origin == "shadow" => {
            "nobody: `decision.enforce_percent` allows this one, whatever the decision service decides".to_owned()
        }
        None if origin == "queued" => {
            "nobody: the bridge delivers it to the decision service in the background".to_owned()
        }
        None if origin == "forwarded" => "the receiver at forward.url".to_owned(),
        None if origin == "route" => "the bridge's configuration; no service was called".to_owned(),
        Some(("fallback", class)) => {
            format!("the fallback, since the decision service gave no valid reply ({})", one_line(class, SHOWN_BYTES))
        }
        Some(("rejected", code)) => format!("the bridge, which rejected the request ({})", one_line(code, SHOWN_BYTES)),
        _ => one_line(origin, SHOWN_BYTES).into_owned(),
    }
}

fn shown_body(body: &[u8]) -> String {
    if body.is_empty() {
        return "(empty)".to_owned();
    }
    let text = String::from_utf8_lossy(body);
    let line = one_line(&text, SHOWN_BYTES);
    if text.len() > SHOWN_BYTES { format!("{line} ({} bytes in all)", body.len()) } else { line.into_owned() }
}
