//! What became of one callback, in words and as JSON.

use std::fmt;

use reqwest::Url;
use serde_json::json;

use super::client::{Answered, Exchange};
use crate::base::error_chain;
use crate::cli::text::safe;
use crate::openim::client::{CallbackRequest, OpenIm};

/// So many characters of a body are shown.
pub(super) const SHOWN_CHARS: usize = 4096;

/// A URL without its password.
pub(super) fn shown_url(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            let hidden = parsed.set_password(Some("***"));
            debug_assert!(hidden.is_ok(), "it has a password already");
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

/// All that `send` tells. Its `Display` is for people.
#[derive(Debug)]
pub struct SendReport {
    /// Where it was posted to, without a password.
    pub url: String,
    /// What was sent.
    pub request: CallbackRequest,
    /// What came of it.
    pub exchange: Exchange,
}

impl SendReport {
    fn operation_id(&self) -> String {
        String::from_utf8_lossy(self.request.operation_id.as_bytes()).into_owned()
    }

    /// For programs.
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
        let cautions = cautions.iter().map(|caution| json!({"kind": caution.name(), "text": caution.to_string()}));
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
        writeln!(f, "POST {}", safe(&self.url, SHOWN_CHARS))?;
        writeln!(f, "operationID: {}", safe(&self.operation_id(), SHOWN_CHARS))?;
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
                    writeln!(f, "hint: {}", safe(hint, SHOWN_CHARS))?;
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
    let quoted = |text: &str| format!("\"{}\"", safe(text, SHOWN_CHARS));
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
            safe(&error_chain::text(why), SHOWN_CHARS)
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
            format!("the fallback, since the decision service gave no good reply ({})", safe(class, SHOWN_CHARS))
        }
        Some(("rejected", code)) => format!("the bridge, which rejected the request ({})", safe(code, SHOWN_CHARS)),
        _ => safe(origin, SHOWN_CHARS),
    }
}

fn shown_body(body: &[u8]) -> String {
    if body.is_empty() {
        return "(empty)".to_owned();
    }
    let text = safe(&String::from_utf8_lossy(body), SHOWN_CHARS);
    if text.ends_with('…') { format!("{text} ({} bytes in all)", body.len()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_cut_says_how_long_it_was() {
        assert_eq!(shown_body(&vec![b'a'; SHOWN_CHARS + 5]).len(), SHOWN_CHARS + "… (4101 bytes in all)".len());
    }
}
