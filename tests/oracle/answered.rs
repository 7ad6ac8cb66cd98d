//! What the bridge answers to every callback: OpenIM's own struct must hold what was meant, and nothing else.

use std::sync::{Arc, Mutex};

use openim_bridge::callback::{CALLBACKS, Callback};
use openim_bridge::openim::{Refusal, Rejection};
use openim_bridge::policy::{Action, Percent};
use openim_bridge::proto::Refuse;
use openim_bridge::upstream::ErrorClass;
use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value as Field};
use serde_json::{Map, Value, json};

use crate::asked::request;
use crate::bridge::FALLBACK_MESSAGE;
use crate::kit::contract::{asked_for, change_of, changes, changes_alone, echo, loses_messages, value_of};
use crate::kit::rpc::{AnyService, UNIMPLEMENTED, any_service};
use crate::kit::{Bridge, BridgeBuilder, Reply, bridge, nowhere};
use crate::{Error, Oracle};

/// Requests of each callback, the empty one included.
const SEEDS: std::ops::Range<u64> = 0..4;
const ALLOWS: [u8; 2] = [0x0a, 0x00];
/// The bridge's, where the service gives none.
const REFUSAL_MESSAGE: &str = "This is not allowed";

/// What OpenIM's caller is told, if OpenIM does not go on.
type Verdict = Option<Error>;

fn refusal(code: i64, msg: &str, detail: &str) -> Error {
    Error { code, msg: msg.to_owned(), detail: detail.to_owned(), own: false }
}

fn fallback(class: ErrorClass) -> Error {
    refusal(i64::from(class.code() as i32), FALLBACK_MESSAGE, "")
}

fn rejected(kind: Rejection) -> Error {
    let Refusal { code, message, detail } = kind.refusal();
    refusal(code.get().into(), &message, &detail)
}

/// Who but the service may refuse this.
fn may_be_refused(callback: &Callback) -> bool {
    !callback.is_after() && !loses_messages(callback)
}

/// What the answer repeats of the request.
fn repeated(callback: &Callback, body: &str) -> Map<String, Value> {
    let body: Map<String, Value> = serde_json::from_str(body).expect("JSON");
    echo(callback).iter().map(|key| ((*key).to_owned(), body[*key].clone())).collect()
}

impl Oracle {
    /// OpenIM concludes this from the answer, and finds these values in it and no others.
    #[track_caller]
    fn holds(&mut self, place: &str, callback: &Callback, reply: &Reply, meant: &Verdict, told: Map<String, Value>) {
        let read = self.reads(callback.command, &reply.body);
        assert_eq!(read.error, *meant, "{place}: {}: {}", callback.name, reply.body);
        // Its struct, with nothing in it.
        let mut fields = self.reads(callback.command, "{}").fields.expect("a struct");
        fields.extend(told);
        let Some(mut read) = read.fields else { panic!("{place}: {}: {}", callback.name, reply.body) };
        assert_eq!(read["actionCode"], 0, "{place}: {}", callback.name);
        for key in ["actionCode", "errCode", "errMsg", "errDlt", "nextCode"] {
            fields.remove(key);
            read.remove(key);
        }
        let (meant, read) = (Value::Object(fields), Value::Object(read));
        assert!(is_same(&meant, &read), "{place}: {}:\nmeant {meant}\nread  {read}", callback.name);
    }
}

/// Whether OpenIM read what was meant. In an object within an object, what is not meant is at its default.
fn is_same(meant: &Value, read: &Value) -> bool {
    match (meant, read) {
        (Value::Object(meant), Value::Object(read)) => {
            let is_default =
                |value: &Value| [json!(null), json!(""), json!(0), json!(false), json!([])].contains(value);
            meant.keys().all(|key| read.contains_key(key))
                && read.iter().all(|(key, read)| meant.get(key).map_or(is_default(read), |meant| is_same(meant, read)))
        }
        (Value::Array(meant), Value::Array(read)) => {
            meant.len() == read.len() && meant.iter().zip(read).all(|(meant, read)| is_same(meant, read))
        }
        _ => meant == read,
    }
}

/// A decision service that replies as it is told, and two bridges in front of it.
struct Decided {
    reply: Arc<Mutex<Result<Vec<u8>, i32>>>,
    /// Where the fallback allows.
    allowing: Bridge,
    /// Where it refuses.
    refusing: Bridge,
    _service: AnyService,
}

fn decided() -> Decided {
    let reply = Arc::new(Mutex::new(Ok(vec![])));
    let replies = Arc::clone(&reply);
    let service = any_service(move |_| replies.lock().expect("a reply").clone());
    let at = || bridge().asking_at(service.address);
    Decided { reply, allowing: at().start(), refusing: with_refusal(at()).start(), _service: service }
}

fn with_refusal(builder: BridgeBuilder) -> BridgeBuilder {
    builder.with(|settings| settings.bridge.fallback.action = Action::Refuse)
}

impl Decided {
    /// The answer of the bridge whose fallback allows, and of the one whose fallback refuses.
    fn answers(&self, callback: &Callback, body: &str, reply: Result<Vec<u8>, i32>) -> [Reply; 2] {
        *self.reply.lock().expect("a reply") = reply;
        [&self.allowing, &self.refusing].map(|bridge| bridge.send(&request(callback, body)))
    }
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn every_decision_but_a_change_reaches_openim() {
    let (mut oracle, service) = (Oracle::start(), decided());
    let refuse = |code, message: &str, detail: &str| {
        let refuse = Refuse { code, message: message.to_owned(), detail: detail.to_owned() }.encode_to_vec();
        let mut reply = vec![0x12];
        prost::encoding::encode_varint(refuse.len() as u64, &mut reply);
        Ok([reply, refuse].concat())
    };
    let (text, detail) = ("no: <b>&\"'\\/ é 中 😀 \u{2028}\t\n\0\u{7f}", "why\r\n");
    let decisions = [
        ("allowed", Ok(ALLOWS.to_vec()), None),
        ("refused", refuse(5001, text, detail), Some(refusal(5001, text, detail))),
        ("refused with the last code", refuse(9899, "x", ""), Some(refusal(9899, "x", ""))),
        ("refused without a word", refuse(0, "", ""), Some(refusal(5000, REFUSAL_MESSAGE, ""))),
        ("refused with a code of OpenIM's", refuse(1501, "x", "y"), Some(refusal(9925, REFUSAL_MESSAGE, ""))),
    ];
    for callback in CALLBACKS {
        for seed in SEEDS {
            let body = oracle.body(callback.command, seed, &Map::new());
            for (place, reply, meant) in &decisions {
                let meant = if callback.is_after() { &None } else { meant };
                for answer in service.answers(callback, &body, reply.clone()) {
                    oracle.holds(place, callback, &answer, meant, repeated(callback, &body));
                }
            }
            for (place, reply, class) in [
                ("no decision", Ok(vec![]), Some(ErrorClass::InvalidReply)),
                ("no protobuf", Ok(vec![0xff]), Some(ErrorClass::InvalidReply)),
                ("denied", Err(7), Some(ErrorClass::Denied)),
                ("no such rpc", Err(UNIMPLEMENTED), None),
            ] {
                let [allowed, refused] = service.answers(callback, &body, reply);
                oracle.holds(place, callback, &allowed, &None, repeated(callback, &body));
                let meant = class.filter(|_| may_be_refused(callback)).map(fallback);
                oracle.holds(place, callback, &refused, &meant, repeated(callback, &body));
            }
        }
    }
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn every_answer_without_a_decision_reaches_openim() {
    let mut oracle = Oracle::start();
    let unread = |builder: BridgeBuilder| {
        builder.with(|settings| settings.bridge.limits.body_bytes = std::num::NonZeroUsize::MIN)
    };
    let shadow =
        |builder: BridgeBuilder| builder.with(|settings| settings.bridge.decision.enforce_percent = Percent::NONE);
    let nobody = || bridge().asking_at(nowhere());
    let down = Some(fallback(ErrorClass::Unavailable));
    let full = Some(fallback(ErrorClass::Overloaded));
    let unless_it_loses: Refuses = may_be_refused;
    // Where the body was not read there is nothing to repeat, and an allow may do harm.
    let harmed: Refuses = |callback| echo(callback).len() > 1;
    let harmed_or_refused: Refuses = |callback| echo(callback).len() > 1 || may_be_refused(callback);
    let setups: [(&str, Bridge, Refuses, &Verdict, bool); 5] = [
        ("fallback allows", nobody().start(), |_| false, &None, true),
        ("fallback refuses", with_refusal(nobody()).start(), unless_it_loses, &down, true),
        ("shadow", shadow(with_refusal(nobody())).start(), |_| false, &None, true),
        ("not read, fallback allows", unread(nobody()).start(), harmed, &full, false),
        ("not read, fallback refuses", unread(with_refusal(nobody())).start(), harmed_or_refused, &full, false),
    ];
    for (place, bridge, is_refused, refusal, repeats) in &setups {
        for callback in CALLBACKS {
            for seed in SEEDS {
                let body = oracle.body(callback.command, seed, &Map::new());
                let reply = bridge.send(&request(callback, &body));
                let meant = if is_refused(callback) { refusal } else { &None };
                let told = if *repeats { repeated(callback, &body) } else { Map::new() };
                oracle.holds(place, callback, &reply, meant, told);
            }
        }
    }
}

/// Whether this callback is refused.
type Refuses = fn(&Callback) -> bool;

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn what_is_rejected_reads_as_its_own_refusal_or_goes_on_where_a_refusal_loses_messages() {
    let (mut oracle, bridge) = (Oracle::start(), bridge().start());
    for callback in CALLBACKS {
        let body = oracle.body(callback.command, 1, &Map::new());
        let fine = request(callback, &body);
        for (bad, kind) in [
            (fine.clone().body(&body[1..]), Rejection::BodyMalformed),
            (fine.clone().body(body.replace(callback.command, "callbackOther")), Rejection::CommandMismatch),
            (fine.clone().without("Operationid"), Rejection::OperationId),
            (fine.clone().body(" ".repeat(4 << 20)), Rejection::BodyTooLarge),
            (fine.clone().without("Content-Type"), Rejection::ContentType),
            (fine.clone().method("PUT"), Rejection::Method),
        ] {
            let goes_on = kind.is_about_content() && loses_messages(callback);
            let meant = (!goes_on).then(|| rejected(kind));
            oracle.holds(kind.name(), callback, &bridge.send(&bad), &meant, Map::new());
        }
    }
}

/// Fields that a change may not empty.
const NOT_EMPTY: &[(&str, &[&str])] = &[
    ("beforeSetFriendRemark", &["remark"]),
    ("beforeImportFriends", &["friendUserIDs"]),
    ("beforeUpdateUserInfo", &["nickName", "faceURL", "ex"]),
    ("beforeCreateGroup", &["groupName"]),
    ("beforeSetGroupInfo", &["groupName", "introduction", "faceURL"]),
    ("beforeSetGroupInfoEx", &["groupName"]),
    ("beforeMsgModify", &["content", "recvID", "groupID"]),
    ("beforeGroupOnlinePush", &["userIDList"]),
    ("beforeOfflinePush", &["userIDList"]),
];

/// Values for a field of a change, and how OpenIM is told them.
fn values_of(callback: &Callback, field: &FieldDescriptor) -> Vec<(Field, Value)> {
    let mut values = vec![value_of(field)];
    let emptied = NOT_EMPTY.iter().find(|(name, _)| *name == callback.name);
    if emptied.is_some_and(|(_, keys)| keys.contains(&field.json_name())) {
        return values;
    }
    match field.kind() {
        Kind::String => values.extend([
            (Field::String(String::new()), "".into()),
            (Field::String("<&> \0\u{7f}\u{2028}😀".to_owned()), "<&> \0\u{7f}\u{2028}😀".into()),
        ]),
        Kind::Bool => values.push((Field::Bool(false), false.into())),
        Kind::Int32 => values.extend([0, i32::MAX, i32::MIN].map(|number| (Field::I32(number), number.into()))),
        Kind::Int64 => values.extend([0, i64::MAX, i64::MIN].map(|number| (Field::I64(number), number.into()))),
        // A role of 0 is none, and breaks a rule.
        Kind::Enum(role) if role.name() == "GroupRole" => {
            values.extend([i32::MAX, i32::MIN].map(|number| (Field::EnumNumber(number), number.into())));
        }
        Kind::Enum(_) => {
            values.extend([0, i32::MAX, i32::MIN].map(|number| (Field::EnumNumber(number), number.into())));
        }
        Kind::Message(list) if list.name() == "StringList" => {
            values.push((Field::Message(DynamicMessage::new(list)), json!([])));
        }
        _ => {}
    }
    values
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn each_field_of_a_change_reaches_openim_alone() {
    let (mut oracle, service) = (Oracle::start(), decided());
    let mut count = 0;
    for callback in CALLBACKS {
        let Some(change) = change_of(callback) else { continue };
        for field in change.fields() {
            for seed in SEEDS {
                let body = oracle.body(callback.command, seed, &asked_for(callback, &field));
                for (value, expected) in values_of(callback, &field) {
                    let place = format!("{} is {value}, seed {seed}", field.json_name());
                    let mut told = repeated(callback, &body);
                    told.insert(field.json_name().to_owned(), expected);
                    let [allowing, refusing] = service.answers(callback, &body, Ok(changes_alone(&field, value)));
                    oracle.holds(&place, callback, &allowing, &None, told.clone());
                    oracle.holds(&place, callback, &refusing, &None, told);
                    count += 1;
                }
            }
        }
    }
    assert!(count > 0);
}

/// Changes that break a rule, with what the request holds.
fn broken() -> Vec<(&'static str, Value, Value)> {
    vec![
        ("beforeSetFriendRemark", json!({"remark": ""}), json!({})),
        ("beforeImportFriends", json!({"friendUserIDs": {}}), json!({})),
        ("beforeUserRegister", json!({"users": [{"nickname": "x"}]}), json!({})),
        ("beforeUpdateUserInfo", json!({"nickName": ""}), json!({"nickName": "x"})),
        ("beforeUpdateUserInfo", json!({"faceURL": ""}), json!({"faceURL": "x"})),
        ("beforeUpdateUserInfo", json!({"ex": ""}), json!({"ex": "x"})),
        ("beforeUpdateUserInfoEx", json!({"nickName": "x"}), json!({"nickName": null})),
        ("beforeUpdateUserInfoEx", json!({"faceURL": "x"}), json!({"faceURL": null, "nickName": "x"})),
        ("beforeCreateGroup", json!({"groupName": " \n"}), json!({})),
        ("beforeSetGroupMemberInfo", json!({"roleLevel": 0}), json!({})),
        ("beforeMemberJoinGroup", json!({"memberCallbackList": [{"userID": "u1", "roleLevel": 0}]}), json!({})),
        ("beforeSetGroupInfo", json!({"introduction": ""}), json!({})),
        ("beforeSetGroupInfo", json!({"faceURL": ""}), json!({})),
        ("beforeImportFriends", json!({"friendUserIDs": {"values": ["u1", ""]}}), json!({})),
        ("beforeOfflinePush", json!({"userIDList": {"values": [""]}}), json!({})),
        ("beforeMemberJoinGroup", json!({"memberCallbackList": [{"ex": "x"}]}), json!({})),
        ("beforeMemberJoinGroup", json!({"memberCallbackList": [{"userID": "u1"}, {"userID": ""}]}), json!({})),
        ("beforeSetGroupInfo", json!({"groupName": ""}), json!({"groupName": "x"})),
        ("beforeSetGroupInfoEx", json!({"groupName": " "}), json!({"groupName": null})),
        ("beforeMsgModify", json!({"recvID": "u1"}), json!({"sessionType": 3})),
        ("beforeMsgModify", json!({"recvID": "u1"}), json!({"sessionType": 4})),
        ("beforeMsgModify", json!({"groupID": "g1"}), json!({"sessionType": 1})),
        ("beforeMsgModify", json!({"recvID": ""}), json!({"sessionType": 1})),
        ("beforeMsgModify", json!({"groupID": ""}), json!({"sessionType": 3})),
        ("beforeMsgModify", json!({"content": ""}), json!({})),
        ("beforeMsgModify", json!({"content": "hi"}), json!({})),
        ("beforeMsgModify", json!({"content": "[1]"}), json!({})),
        ("beforeGroupOnlinePush", json!({"userIDList": {"values": ["u1"]}}), json!({"contentType": 1000})),
        ("beforeGroupOnlinePush", json!({"userIDList": {"values": ["u1"]}}), json!({"contentType": 5000})),
        ("beforeGroupOnlinePush", json!({"userIDList": {}}), json!({"contentType": 101})),
        ("beforeOfflinePush", json!({"userIDList": {}}), json!({})),
    ]
}

fn change_from(message: MessageDescriptor, json: &Value) -> Vec<u8> {
    changes(&DynamicMessage::deserialize(message, json).expect("a change"))
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn a_change_that_breaks_a_rule_changes_nothing() {
    let (mut oracle, service) = (Oracle::start(), decided());
    // What sets nothing is none.
    let nothing = CALLBACKS.iter().filter(|callback| change_of(callback).is_some());
    let nothing = nothing.map(|callback| (callback.name, json!({}), json!({})));
    for (name, change, set) in broken().into_iter().chain(nothing) {
        let callback = CALLBACKS.iter().find(|callback| callback.name == name).expect("a callback");
        for seed in SEEDS {
            let body = oracle.body(callback.command, seed, set.as_object().expect("an object"));
            let reply = change_from(change_of(callback).expect("a change"), &change);
            let [allowed, refused] = service.answers(callback, &body, Ok(reply));
            let place = format!("{change} of {set}, seed {seed}");
            assert_eq!(allowed.origin(), "fallback; class=invalid_reply", "{place}: {name}");
            oracle.holds(&place, callback, &allowed, &None, repeated(callback, &body));
            let meant = may_be_refused(callback).then(|| fallback(ErrorClass::InvalidReply));
            oracle.holds(&place, callback, &refused, &meant, repeated(callback, &body));
        }
    }
}
