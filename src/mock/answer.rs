//! What the mock can answer, and the names for it that rules and remark commands share.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tonic::Code;

use crate::base::grpc_status;

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
    /// The remark may be set.
    Allow,
    /// The remark is refused. What is missing is unset in the reply, so that the bridge's defaults complete it.
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
    /// Another remark is set. Never empty: that is [`MockInvalid::Empty`].
    #[serde(deserialize_with = "replacement")]
    Replace(String),
    /// Nothing, until the call is cancelled, its deadline passes or the mock ends.
    Hang,
    /// A gRPC status instead of a decision. With OK no message is sent at all.
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
    /// The remark is replaced by an empty one.
    Empty,
}

fn replacement<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Err(D::Error::custom(
            "`replace` needs a text; to answer an empty one on purpose, write `invalid: empty`",
        ));
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
