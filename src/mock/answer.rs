//! What the mock can answer, and the names for it that rules and commands share.

use std::time::Duration;

use prost::Message as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};
use tonic::Code;

use super::remark;
use crate::base::grpc_status;
use crate::callback::{Callback, ReplyDecision, reply_of};
use crate::proto::Refuse;

/// The code of the mock's own refusals, where none was asked for.
pub(super) const REFUSAL_CODE: i32 = 5000;

/// What the mock does with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MockAnswer {
    pub delay: Duration,
    pub reply: MockReply,
}

impl From<MockReply> for MockAnswer {
    fn from(reply: MockReply) -> Self {
        Self { delay: Duration::ZERO, reply }
    }
}

/// A reply. A mock must be able to be wrong on purpose, so a refusal may carry any code and any text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum MockReply {
    /// What the user does may be done. The one answer to an after callback.
    Allow,
    /// It is refused. What is missing is unset in the reply, so that the bridge's defaults complete it.
    Refuse {
        /// Any number, also one that is not for a decision service.
        #[serde(default)]
        code: i32,
        #[serde(default)]
        message: String,
        /// For the client's developers.
        #[serde(default)]
        detail: String,
    },
    /// Something else is done: values by the JSON names of the callback's change. Never empty: that is
    /// [`MockInvalid::Empty`].
    #[serde(deserialize_with = "change")]
    Change(Map<String, Value>),
    /// The short form of the remark's change. Never empty.
    #[serde(deserialize_with = "replacement")]
    Replace(String),
    /// Nothing, until the call is cancelled, its deadline passes or the mock ends.
    Hang,
    /// A gRPC status instead of a message. With OK no message is sent at all.
    #[serde(deserialize_with = "status", serialize_with = "status_name")]
    Status(Code),
    /// A message that is no valid decision.
    Invalid(MockInvalid),
}

/// How a reply can be wrong although its status is OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MockInvalid {
    /// No decision is set.
    Unset,
    /// A refusal with code 42, which is outside 5000 to 9899.
    Code,
    /// A change that sets nothing.
    Empty,
}

impl MockReply {
    /// Whether it takes a decision, which the reply to an after callback does not hold.
    pub(super) const fn decides(&self) -> bool {
        matches!(self, Self::Refuse { .. } | Self::Change(_) | Self::Replace(_) | Self::Invalid(_))
    }

    /// What it changes.
    pub(super) fn change(&self) -> Option<Map<String, Value>> {
        match self {
            Self::Change(change) => Some(change.clone()),
            Self::Replace(text) => Some(remark::change(text)),
            _ => None,
        }
    }

    /// The message of the callback's response; `Err` where a status is sent instead, and `None` where nothing ever is.
    pub(super) fn message(&self, callback: &Callback) -> Option<Result<Vec<u8>, Code>> {
        let refusal = |code, message: &str, detail: &str| {
            let refuse = Refuse { code, message: message.to_owned(), detail: detail.to_owned() };
            reply_of(ReplyDecision::Refuse, &refuse.encode_to_vec())
        };
        Some(Ok(match self {
            Self::Hang => return None,
            Self::Status(code) => return Some(Err(*code)),
            _ if callback.is_after() => vec![],
            Self::Allow => reply_of(ReplyDecision::Allow, &[]),
            Self::Refuse { code, message, detail } => refusal(*code, message, detail),
            Self::Change(_) | Self::Replace(_) => {
                let json = Value::from(self.change().unwrap_or_default()).to_string();
                // It was checked when it was made.
                let message = callback.rpc.change.and_then(|shape| shape.message_of(&json));
                reply_of(ReplyDecision::Change, &message.unwrap_or_default())
            }
            Self::Invalid(MockInvalid::Unset) => vec![],
            Self::Invalid(MockInvalid::Code) => refusal(42, "A refusal with a code outside 5000 to 9899", ""),
            Self::Invalid(MockInvalid::Empty) => reply_of(ReplyDecision::Change, &[]),
        }))
    }
}

/// Why an empty one is not taken.
const ON_PURPOSE: &str = "to answer an empty one on purpose, write `invalid: empty`";

fn change<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let change = Map::deserialize(deserializer)?;
    if change.is_empty() {
        return Err(D::Error::custom(format_args!("`change` needs a key; {ON_PURPOSE}")));
    }
    Ok(change)
}

fn replacement<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Err(D::Error::custom(format_args!("`replace` needs a text; {ON_PURPOSE}")));
    }
    Ok(text)
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
    let name = String::deserialize(deserializer)?;
    grpc_status::named(&name).ok_or_else(|| {
        D::Error::custom(format_args!("`{name}` is no gRPC status; expected one of {}", grpc_status::NAMES.join(", ")))
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn status_name<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(grpc_status::name(*code))
}
