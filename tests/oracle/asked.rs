//! What a decision service is asked, held against what Go's encoder writes of OpenIM's own structs.

use std::collections::BTreeSet;

use openim_bridge::callback::{CALLBACKS, Callback};
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use crate::kit::contract::{expected, request_of};
use crate::kit::rpc::{Asked, any_service};
use crate::kit::{Request, bridge};
use crate::{OPERATION_ID, Oracle};

/// Bodies of each callback, the empty one included.
const SEEDS: std::ops::Range<u64> = 0..40;

/// This body, to the URL that OpenIM sends it to.
pub(crate) fn request(callback: &Callback, body: &str) -> Request {
    Request::new().target(&format!("/callbackExample/{}", callback.command)).body(body)
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn openim_knows_the_callbacks_of_the_registry_and_no_others() {
    let registry: BTreeSet<String> = CALLBACKS.iter().map(|callback| callback.command.to_owned()).collect();
    assert_eq!(BTreeSet::from_iter(Oracle::start().commands()), registry);
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn the_service_is_asked_every_field_as_openim_wrote_it() {
    let (mut oracle, service) = (Oracle::start(), any_service(|_| Ok(vec![0x0a, 0x00])));
    let bridge = bridge().asking_at(service.address).start();
    let mut client = bridge.connect();
    for callback in CALLBACKS {
        for seed in SEEDS {
            let body = oracle.body(callback.command, seed, &Map::new());
            client.write(&request(callback, &body).bytes());
            let origin = client.reply().origin().to_owned();
            let meant = if callback.is_after() { "queued" } else { "decision" };
            assert_eq!(origin, meant, "{}, seed {seed}: {body}", callback.name);
            let Asked { path, message, .. } = service.next();
            assert_eq!(path, callback.rpc.path);
            let asked = DynamicMessage::decode(request_of(callback), message).expect("protobuf");
            let expected = expected(callback, &body, OPERATION_ID).expect("a request of the contract");
            assert_eq!(asked.unknown_fields().count(), 0, "{}", callback.name);
            for field in request_of(callback).fields() {
                let values = (asked.get_field(&field), expected.get_field(&field));
                let are_set = (asked.has_field(&field), expected.has_field(&field));
                let place = format!("{}.{}, seed {seed}: {body}", callback.name, field.name());
                assert_eq!(values.0, values.1, "{place}");
                assert_eq!(are_set.0, are_set.1, "whether it is set: {place}");
            }
        }
    }
}

/// Keys of OpenIM's structs that the contract leaves out. The comments of `proto/` say why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("beforeUserRegister", "users.createTime"),
    ("afterUserRegister", "users.createTime"),
    ("beforeUpdateUserInfo", "ex"),
    ("afterUpdateUserInfo", "ex"),
    ("beforeUpdateUserInfoEx", "ex"),
    ("afterUpdateUserInfoEx", "ex"),
    ("afterUserOnline", "connID"),
    ("afterUserOffline", "connID"),
    ("beforeCreateGroup", "createTime"),
    ("beforeCreateGroup", "memberCount"),
    ("beforeCreateGroup", "ownerUserID"),
    ("beforeMemberJoinGroup", "memberList.ex"),
    ("beforeOnlinePush", "title"),
    ("beforeOnlinePush", "desc"),
    ("beforeOnlinePush", "ex"),
    ("beforeOnlinePush", "iOSPushSound"),
    ("beforeOnlinePush", "iOSBadgeCount"),
    ("beforeOnlinePush", "signalInfo"),
    ("beforeOfflinePush", "signalInfo"),
    ("beforeCreateGroupChatConversations", "ownerUserId"),
    ("afterCreateGroupChatConversations", "ownerUserId"),
];

/// The keys of a message. A key of an object in it, be that in a list or not, is `outer.inner`.
fn keys_of_contract(message: &MessageDescriptor, prefix: &str, keys: &mut BTreeSet<String>) {
    for field in message.fields() {
        let key = format!("{prefix}{}", field.json_name());
        if let Kind::Message(inner) = field.kind() {
            keys_of_contract(&inner, &format!("{key}."), keys);
        }
        keys.insert(key);
    }
}

fn keys_of_json(value: &Value, prefix: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let key = format!("{prefix}{key}");
                keys_of_json(value, &format!("{key}."), keys);
                keys.insert(key);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| keys_of_json(value, prefix, keys)),
        _ => {}
    }
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn the_contract_has_every_field_of_openim_but_those_left_out_on_purpose() {
    let (mut oracle, mut wrong) = (Oracle::start(), Vec::new());
    for callback in CALLBACKS {
        let (mut contract, mut openim) = (BTreeSet::new(), BTreeSet::new());
        keys_of_contract(&request_of(callback), "", &mut contract);
        for seed in SEEDS {
            let body: Value = serde_json::from_str(&oracle.body(callback.command, seed, &Map::new())).expect("JSON");
            keys_of_json(&body, "", &mut openim);
        }
        // These two come from elsewhere: the URL, and the header.
        assert!(openim.remove("callbackCommand"), "{}", callback.name);
        openim.insert("operationID".to_owned());
        let left_out = LEFT_OUT.iter().filter(|(name, _)| *name == callback.name).map(|(_, key)| (*key).to_owned());
        let alone: BTreeSet<_> = openim.difference(&contract).cloned().collect();
        if alone != left_out.collect() {
            wrong.push(format!("{}: OpenIM alone has {alone:?}", callback.name));
        }
        let alone: BTreeSet<_> = contract.difference(&openim).collect();
        if !alone.is_empty() {
            wrong.push(format!("{}: the contract alone has {alone:?}", callback.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
