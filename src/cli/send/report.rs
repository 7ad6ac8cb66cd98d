//! What became of one callback, in words and as JSON.

use std::fmt;

use serde_json::json;

use super::client::{Answered, Exchange};
use crate::base::error_chain;
use crate::base::text::one_line;
use crate::openim::client::{CallbackRequest, OpenIm};

/// So many bytes of a body are shown.
pub(super) const SHOWN_BYTES: usize = 4096;

/// All that `send` tells. Its `Display` is for people.
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
        let answered = self.exchange.answer.as_ref().ok();
        let verdict = match self.exchange.open_im() {
            OpenIm::GoesOn { remark } => json!({"kind": "goesOn", "remark": remark}),
            OpenIm::Refused { code, message, detail } => {
                json!({"kind": "refused", "errCode": code, "errMsg": message, "errDlt": detail})
            }
            OpenIm::Fails { error, why } => {
                json!({
                    "kind": "fails",
                    "errCode": error.code(),
                    "errMsg": error.name(),
                    "cause": self.exchange.cause(),
                    "why": error_chain::text(why),
                })
            }
        };
        let cautions = answered.map(|answered| answered.reading.cautions()).unwrap_or_default();
        let cautions = cautions.iter().map(|caution| json!({"kind": caution.into_str(), "text": caution.to_string()}));
        json!({
            "url": self.url,
            "operationID": self.operation_id(),
            "status": answered.map(|answered| answered.status.as_u16()),
            "elapsedMs": u64::try_from(self.exchange.elapsed.as_millis()).unwrap_or(u64::MAX),
            "body": answered.map(|answered| String::from_utf8_lossy(&answered.body)),
            "verdict": verdict,
            "origin": self.exchange.origin(),
            "hint": answered.and_then(|answered| answered.hint.as_deref()),
            "fields": answered.and_then(|answered| answered.reading.answer.as_ref().ok()),
            "cautions": cautions.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for SendReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "POST {}", one_line(&self.url, SHOWN_BYTES))?;
        writeln!(f, "operationID: {}", one_line(&self.operation_id(), SHOWN_BYTES))?;
        write!(f, "sent: {}", shown_body(self.request.body().trim_end().as_bytes()))?;
        match &self.exchange.answer {
            Ok(Answered { status, body, reading, hint, .. }) => {
                writeln!(f, "\nanswer: {status}, after {} ms", self.exchange.elapsed.as_millis())?;
                if !status.is_success() {
                    writeln!(f, "(OpenIM does not look at the status, only at the body)")?;
                }
                writeln!(f, "body: {}", shown_body(body))?;
                writeln!(f, "\n{}", words(self.exchange.open_im()))?;
                writeln!(f, "decided by: {}", decider(self.exchange.origin()))?;
                for caution in reading.cautions() {
                    writeln!(f, "caution: {caution}")?;
                }
                if let Some(hint) = hint {
                    writeln!(f, "hint: {}", one_line(hint, SHOWN_BYTES))?;
                }
                Ok(())
            }
            Err(_) => writeln!(
                f,
                "\nanswer: none, after {} ms\n\n{}",
                self.exchange.elapsed.as_millis(),
                words(self.exchange.open_im())
            ),
        }
    }
}

/// What OpenIM does, in one line that is safe to print.
#[must_use]
pub fn words(open_im: OpenIm<'_>) -> String {
    let quoted = |text: &str| format!("\"{}\"", one_line(text, SHOWN_BYTES));
    match open_im {
        OpenIm::GoesOn { remark: None } => "OpenIM goes on, with the remark that its user typed.".to_owned(),
        OpenIm::GoesOn { remark: Some(remark) } => format!("OpenIM goes on, with the remark {}.", quoted(remark)),
        OpenIm::Refused { code, message, detail } => format!(
            "OpenIM refuses: the API's caller gets errCode {code}, errMsg {}, errDlt {}.",
            quoted(message),
            quoted(detail)
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
            "nobody: `decision.enforce_percent` allows this owner's, whatever the decision service says".to_owned()
        }
        None if origin == "route" => "the bridge's configuration, without asking anybody".to_owned(),
        Some(("fallback", class)) => {
            format!("the fallback, since the decision service gave no good reply ({})", one_line(class, SHOWN_BYTES))
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
