//! A message of the contract outside a callback's path, for the tools: as JSON, and of JSON.

use prost::encoding::{WireType, encode_key, encode_varint};

use super::{change, reply, request};
use crate::callback::shape::Shape;

impl Shape {
    /// The message as a JSON object: what is optional and unset is omitted, and so is the operation ID. `None` when it does not
    /// decode.
    #[must_use]
    pub fn json_of(&'static self, message: &[u8]) -> Option<String> {
        change::json_of(self, message)
    }

    /// The message of a JSON object. Keys that the contract does not know are ignored. `None` when it is no JSON, or
    /// a value is of another type than its field.
    #[must_use]
    pub fn message_of(&self, json: &str) -> Option<Vec<u8>> {
        request::message_of(self, json)
    }
}

/// The decision in a service's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyDecision {
    Allow,
    Refuse,
    Change,
}

/// A reply with this decision, whose message this is.
#[must_use]
pub fn reply_of(decision: ReplyDecision, message: &[u8]) -> Vec<u8> {
    let number = match decision {
        ReplyDecision::Allow => reply::ALLOW,
        ReplyDecision::Refuse => reply::REFUSE,
        ReplyDecision::Change => reply::CHANGE,
    };
    let mut encoded = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut encoded);
    encode_varint(message.len() as u64, &mut encoded);
    encoded.extend_from_slice(message);
    encoded
}

#[cfg(test)]
mod tests {
    use crate::callback::{CALLBACKS, Codec};
    use crate::openim::OperationId;

    #[test]
    fn a_request_of_each_callback_comes_back_as_it_was() {
        for callback in CALLBACKS {
            let (rpc, id) = (callback.rpc, OperationId::generate());
            let question = (Codec::TABLES.decode)(callback, rpc.sample.into(), &id).expect(rpc.name);
            let json = rpc.request.json_of(&question.frame[5..]).expect(rpc.name);
            let message = rpc.request.message_of(&json).expect(&json);
            assert_eq!(rpc.request.json_of(&message), Some(json), "{}", rpc.name);
        }
    }

    #[test]
    fn a_list_of_texts_is_bare_in_json() {
        let push = crate::callback::rpc::BEFORE_OFFLINE_PUSH.change.expect("it may be changed");
        let json = r#"{"userIDList":["u1","你"]}"#;
        let message = push.message_of(json).expect("it is right");
        let read: serde_json::Value = serde_json::from_str(&push.json_of(&message).expect("it decodes")).unwrap();
        assert_eq!(read, serde_json::json!({"userIDList": ["u1", "你"]}));
        assert_eq!(push.message_of(r#"{"userIDList":"u1"}"#), None);
    }
}
