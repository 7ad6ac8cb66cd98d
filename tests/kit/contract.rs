//! The contract as prost-reflect knows it, and what a test must know besides: it holds the bridge against another
//! implementation, and uses nothing of `src/` but the names.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc)]

use std::sync::LazyLock;

use openim_bridge::callback::Callback;
use openim_bridge::proto::DESCRIPTORS;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, FieldDescriptor, Kind as Type, MessageDescriptor,
    MethodDescriptor, Value as Field,
};
use serde_json::{Map, Value, json};

fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("the contract"));
    &POOL
}

fn method_of(callback: &Callback) -> MethodDescriptor {
    let (service, method) = callback.rpc.path.trim_start_matches('/').split_once('/').expect("a path");
    let service = pool().get_service_by_name(service).expect("the service");
    service.methods().find(|found| found.name() == method).expect("the method")
}

pub fn request_of(callback: &Callback) -> MessageDescriptor {
    method_of(callback).input()
}

pub fn response_of(callback: &Callback) -> MessageDescriptor {
    method_of(callback).output()
}

pub fn change_of(callback: &Callback) -> Option<MessageDescriptor> {
    method_of(callback).output().get_field(3).and_then(|change| change.kind().as_message().cloned())
}

/// What another implementation makes of the same JSON.
pub fn expected(callback: &Callback, json: &str, id: &str) -> Option<DynamicMessage> {
    let mut json: Map<String, Value> = serde_json::from_str(json).ok()?;
    // It comes from the header.
    json.insert("operationID".to_owned(), id.into());
    // A character that stands for a number.
    if ["beforeApplyJoinGroup", "afterDismissGroup"].contains(&callback.name)
        && let Some(Value::String(text)) = json.get("groupType")
    {
        let number = text.chars().next().map_or(0, u32::from);
        json.insert("groupType".to_owned(), number.into());
    }
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let message = DynamicMessage::deserialize_with_options(request_of(callback), Value::Object(json), &options).ok()?;
    // There and back: then what is set to its default counts as unset.
    DynamicMessage::decode(request_of(callback), &*message.encode_to_vec()).ok()
}

/// What an answer must repeat, as a real server was seen to need it.
pub fn echo(callback: &Callback) -> &'static [&'static str] {
    match callback.name {
        "beforeSetFriendRemark" => &["remark"],
        "beforeSetGroupInfo" => &["groupID", "groupName", "introduction", "faceURL"],
        "beforeSetGroupInfoEx" => &[
            "groupID",
            "groupName",
            "introduction",
            "faceURL",
            "ex",
            "needVerification",
            "lookMemberInfo",
            "applyMemberFriend",
        ],
        _ => &[],
    }
}

/// A refusal of these loses messages, and no user learns of it.
const LOSE_MESSAGES: [&str; 5] = [
    "beforeOnlinePush",
    "beforeGroupOnlinePush",
    "beforeOfflinePush",
    "beforeCreateSingleChatConversations",
    "beforeCreateGroupChatConversations",
];

pub fn loses_messages(callback: &Callback) -> bool {
    LOSE_MESSAGES.contains(&callback.name)
}

/// A value, and how OpenIM is told it.
pub fn value_of(field: &FieldDescriptor) -> (Field, Value) {
    match field.kind() {
        Type::String if field.json_name() == "content" => (Field::String("{\"a\":1}".to_owned()), "{\"a\":1}".into()),
        Type::String => (Field::String("\"中\n".to_owned()), "\"中\n".into()),
        Type::Bool => (Field::Bool(true), true.into()),
        Type::Int64 => (Field::I64(i64::MIN), i64::MIN.into()),
        Type::Uint32 => (Field::U32(u32::MAX), u32::MAX.into()),
        Type::Enum(_) => (Field::EnumNumber(60), 60.into()),
        Type::Message(list) if list.name() == "StringList" => {
            let mut texts = DynamicMessage::new(list);
            texts.set_field_by_name(
                "values",
                Field::List(vec![Field::String("u1".to_owned()), Field::String("u2".to_owned())]),
            );
            (Field::Message(texts), json!(["u1", "u2"]))
        }
        Type::Message(message) => {
            let mut object = DynamicMessage::new(message.clone());
            let mut told = Map::new();
            for inner in message.fields() {
                let (value, json) = value_of(&inner);
                object.set_field(&inner, value);
                told.insert(inner.json_name().to_owned(), json);
            }
            if field.is_list() {
                (Field::List(vec![Field::Message(object)]), json!([told]))
            } else {
                (Field::Message(object), told.into())
            }
        }
        _ => (Field::I32(-7), (-7).into()),
    }
}

/// What a request must hold for a change of this field to keep the rules.
pub fn asked_for(callback: &Callback, field: &FieldDescriptor) -> Map<String, Value> {
    let (key, value) = match (callback.name, field.json_name()) {
        ("beforeUpdateUserInfoEx", key) => (key, "x".into()),
        ("beforeMsgModify", "recvID") => ("sessionType", 1.into()),
        ("beforeMsgModify", "groupID") => ("sessionType", 3.into()),
        ("beforeGroupOnlinePush", _) => ("contentType", 101.into()),
        _ => return Map::new(),
    };
    Map::from_iter([(key.to_owned(), value)])
}

/// A reply with this change.
pub fn changes(change: &DynamicMessage) -> Vec<u8> {
    changes_by(&change.encode_to_vec())
}

/// The same of a change in protobuf.
pub fn changes_by(change: &Vec<u8>) -> Vec<u8> {
    let mut reply = Vec::new();
    prost::encoding::bytes::encode(3, change, &mut reply);
    reply
}

/// A reply with a change of this field alone.
pub fn changes_alone(field: &FieldDescriptor, value: Field) -> Vec<u8> {
    let mut message = DynamicMessage::new(field.parent_message().clone());
    message.set_field(field, value);
    changes(&message)
}
