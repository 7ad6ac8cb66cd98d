//! One callback: its names, its JSON and its rpc, as types, and without them.

use std::sync::LazyLock;

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use serde::de::DeserializeOwned;

use crate::openim::{Fields, OperationId, Rejection, Text};
use crate::proto::Refuse;

/// One of OpenIM's callbacks: its names, its JSON, its rpc.
pub trait Callback: 'static {
    /// The callback's name: its key in OpenIM's webhooks.yml.
    const NAME: &'static str;
    /// The command as OpenIM v3.7 and later name it.
    const COMMAND: &'static str;
    /// What older servers call it.
    const ALIASES: &'static [&'static str];
    /// The path of the rpc that decides about it: `/package.Service/Method`.
    const METHOD: &'static str;
    /// The JSON body. Unknown fields are ignored: later versions of OpenIM may add some.
    type Body: DeserializeOwned;
    type Request: Message;
    type Response: Message + Default;

    /// `callbackCommand` of the body.
    fn command(body: &Self::Body) -> &str;
    /// What the service is asked.
    fn request(body: Self::Body, operation_id: &OperationId) -> Self::Request;
    /// Who is involved, and what an answer without any change holds.
    fn subject(request: Self::Request) -> (Parties, Fields);
    /// What the service decided; `None` when the reply holds no valid decision.
    fn decision(response: Self::Response) -> Option<Decision>;
}

#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// OpenIM goes on with what its user asked for.
    Allow,
    /// OpenIM turns it down. Code and texts are the service's and have not been checked.
    Refuse(Refuse),
    /// OpenIM goes on with these values instead.
    Change(Fields),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// The user whose action it is said to be.
    pub owner: String,
    pub friend: String,
}

/// A callback as it came in, ready to be asked.
#[derive(Debug)]
pub struct Question {
    /// The rpc's request, encoded.
    pub message: Bytes,
    /// What an answer without any change holds.
    pub unchanged: Fields,
    pub parties: Parties,
}

/// Why a body is not the callback that its URL says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    Malformed,
    OtherCommand,
}

impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Malformed => Self::BodyMalformed,
            BodyError::OtherCommand => Self::CommandMismatch,
        }
    }
}

/// A [`Callback`] without its types.
#[derive(Debug)]
pub struct Served {
    /// [`Callback::NAME`].
    pub name: &'static str,
    /// [`Callback::COMMAND`].
    pub command: &'static str,
    /// [`Callback::ALIASES`].
    pub aliases: &'static [&'static str],
    /// [`Callback::METHOD`].
    pub method: &'static str,
    /// The same, parsed once and not for each call.
    pub path: LazyLock<PathAndQuery>,
    decode: fn(&Self, &[u8], &OperationId) -> Result<Question, BodyError>,
    read: fn(Bytes) -> Option<Decision>,
}

impl Served {
    /// Erases the types of `C`.
    #[must_use]
    pub const fn of<C: Callback>() -> Self {
        Self {
            name: C::NAME,
            command: C::COMMAND,
            aliases: C::ALIASES,
            method: C::METHOD,
            path: LazyLock::new(|| PathAndQuery::from_static(C::METHOD)),
            decode: decode::<C>,
            read: |reply| C::Response::decode(reply).ok().and_then(C::decision),
        }
    }

    /// Whether `name` is this callback's command, or an alias of it.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        name == self.command || self.aliases.contains(&name)
    }

    /// OpenIM's JSON to the service's protobuf.
    ///
    /// # Errors
    /// When the body is not this callback's JSON, or is another callback's.
    pub fn decode(&self, body: &[u8], operation_id: &OperationId) -> Result<Question, BodyError> {
        (self.decode)(self, body, operation_id)
    }

    /// The service's reply to its decision; `None` when it does not decode or holds no valid decision.
    #[must_use]
    pub fn read(&self, reply: Bytes) -> Option<Decision> {
        (self.read)(reply)
    }
}

fn decode<C: Callback>(served: &Served, body: &[u8], operation_id: &OperationId) -> Result<Question, BodyError> {
    let body: C::Body = from_json(body).ok_or(BodyError::Malformed)?;
    if !served.is_named(C::command(&body)) {
        return Err(BodyError::OtherCommand);
    }
    let request = C::request(body, operation_id);
    let message = request.encode_to_vec().into();
    let (parties, unchanged) = C::subject(request);
    Ok(Question { message, unchanged, parties })
}

/// The command in the body of a callback that is not served; `None` when the body is no callback at all.
#[must_use]
pub fn command_of_unserved(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Envelope {
        #[serde(rename = "callbackCommand")]
        command: Text,
    }
    from_json::<Envelope>(body).map(|envelope| envelope.command.0)
}

/// How deep arrays and objects may lie in each other: the parser's own limit, which it does not set on values that it
/// passes over.
const NESTING: usize = 128;

/// Checks first what the parser would let pass: bytes that are not UTF-8 and nesting without end, both in fields that
/// are passed over, and an array of the fields' values.
fn from_json<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(body).ok()?;
    if !text.trim_ascii_start().starts_with('{') || !is_shallow(body) {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn is_shallow(json: &[u8]) -> bool {
    // What is open must be closed, or it is no JSON.
    if json.len() <= 2 * NESTING {
        return true;
    }
    let brackets = json.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if brackets <= NESTING {
        return true;
    }
    // Most of them may be in strings.
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' if depth == NESTING => return false,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_limited_and_counted_outside_of_strings() {
        let nested = |depth: usize, inner: &str| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
        for inner in ["1", r#""[{""#, r#""\"[","\\",{}"#, "[],{},[]"] {
            let own = usize::from(inner.contains("{}"));
            assert!(is_shallow(nested(NESTING - own, inner).as_bytes()), "{inner}");
            assert!(!is_shallow(nested(NESTING - own + 1, inner).as_bytes()), "{inner}");
        }
    }
}
