//! Every callback, by its row, its rpc and its fixture: one test for all of them, and none for one.
//!
//! The codec is held against prost-reflect, which knows protobuf's JSON, and nothing of this project.

#![allow(clippy::expect_used)]

mod kit;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kit::callback::panics;
use kit::contract::{
    asked_for, change_of, changes, changes_alone, changes_by, echo, expected, loses_messages, request_of, value_of,
};
use kit::rpc::{AnyService, any_service};
use kit::{Bridge, BridgeBuilder, Reply, bridge, eventually, nowhere};
use openim_bridge::callback::{
    BodyError, CALLBACKS, Callback, Callbacks, Codec, Decision, InvalidDecision, Kind, Question, rpc::RPCS,
};
use openim_bridge::openim::OperationId;
use openim_bridge::policy::{Action, OwnPolicy, Percent, Route};
use proptest::prelude::*;
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind as Type, MessageDescriptor};
use serde_json::{Map, Value, json};

// One rpc, one row, one fixture.

#[test]
fn every_callback_has_one_rpc_one_row_and_one_fixture() {
    let mut wrong = Vec::new();
    for rpc in RPCS {
        match CALLBACKS.iter().filter(|callback| callback.name == rpc.name).count() {
            1 => {}
            0 => wrong.push(format!("{}: proto/ has the rpc, and src/callback/registry.rs no row", rpc.name)),
            count => wrong.push(format!("{}: src/callback/registry.rs has {count} rows", rpc.name)),
        }
    }
    let rows: BTreeSet<String> = CALLBACKS.iter().map(|callback| callback.name.to_owned()).collect();
    let fixtures = std::fs::read_dir(fixtures()).expect("fixtures").map(|entry| entry.expect("a fixture").path());
    let fixtures: BTreeSet<String> =
        fixtures.map(|path| path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned()).collect();
    // Without a fixture there is no build.
    wrong.extend(fixtures.difference(&rows).map(|name| format!("{name}: there is a fixture, and no row")));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_two_callbacks_share_a_command() {
    let names: Vec<_> =
        CALLBACKS.iter().flat_map(|callback| callback.aliases.iter().chain([&callback.command])).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let all = Callbacks::all();
    for callback in CALLBACKS {
        for command in callback.aliases.iter().chain([&callback.command]) {
            assert_eq!(all.find(command).map(|found| found.name), Some(callback.name), "{command}");
        }
    }
}

/// Old commands with another JSON, and what is near to a command.
#[test]
fn commands_that_are_none_are_unknown() {
    for command in [
        "callbackBeforeMemberJoinGroupCommand",
        "callbackWordFilterCommand",
        "callbackSingleMsgRead",
        "callbackbeforesetfriendremarkcommand",
        "beforeSetFriendRemark",
        "",
    ] {
        assert!(Callbacks::all().find(command).is_none(), "{command}");
    }
}

// OpenIM's JSON, as the service is asked.

fn fixtures() -> String {
    format!("{}/tests/fixtures/callbacks", env!("CARGO_MANIFEST_DIR"))
}

/// A request of a real server, byte for byte.
fn fixture(callback: &Callback) -> Vec<u8> {
    std::fs::read(format!("{}/{}.http", fixtures(), callback.name)).expect("the fixture")
}

fn named(name: &str) -> &'static Callback {
    CALLBACKS.iter().find(|callback| callback.name == name).expect("the callback")
}

fn body_of(request: &[u8]) -> &[u8] {
    let head = request.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    &request[head + 4..]
}

fn id(id: &str) -> OperationId {
    OperationId::from_header(&id.parse().expect("a header")).expect("an ID")
}

fn decoded(callback: &'static Callback, json: &[u8]) -> Result<Question, BodyError> {
    (Codec::TABLES.decode)(callback, Bytes::copy_from_slice(json), &id("op"))
}

fn message(callback: &Callback, frame: &[u8]) -> DynamicMessage {
    let (head, message) = frame.split_at(5);
    assert_eq!(head[0], 0);
    assert_eq!(head[1..], u32::try_from(message.len()).expect("short").to_be_bytes());
    DynamicMessage::decode(request_of(callback), message).expect("protobuf")
}

#[test]
fn samples_are_read_as_by_another_implementation() {
    let path = format!("{}/tests/fixtures/samples.json", env!("CARGO_MANIFEST_DIR"));
    let samples: BTreeMap<String, String> =
        serde_json::from_slice(&std::fs::read(path).expect("samples")).expect("samples");
    for callback in CALLBACKS {
        let Some(sample) = samples.get(callback.name) else { continue };
        let question = decoded(callback, sample.as_bytes()).expect("a callback");
        assert_eq!(
            message(callback, &question.frame),
            expected(callback, sample, "op").expect("a message"),
            "{sample}"
        );
    }
}

fn allowing() -> AnyService {
    any_service(|path| Ok(if path.contains("/After") { vec![] } else { vec![0x0a, 0x00] }))
}

fn asking(service: &AnyService) -> BridgeBuilder {
    bridge().asking_at(service.address)
}

fn replay(bridge: &Bridge, callback: &Callback) -> Reply {
    let mut client = bridge.connect();
    client.write(&fixture(callback));
    client.reply()
}

#[test]
fn every_recorded_request_is_asked_as_by_another_implementation() {
    let service = allowing();
    let bridge = asking(&service).start();
    let mut ids = BTreeSet::new();
    for callback in CALLBACKS {
        let request = fixture(callback);
        let head = String::from_utf8_lossy(&request).into_owned();
        let id = head.split("Operationid: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("an ID");
        let reply = replay(&bridge, callback);
        assert_eq!(reply.origin(), if callback.is_after() { "queued" } else { "decision" }, "{}", callback.name);
        let asked = service.next();
        assert_eq!(asked.path, callback.rpc.path);
        // A UUIDv7.
        let callback_id = asked.metadata("callback-id").to_owned();
        assert!(callback_id.len() == 36 && callback_id.as_bytes()[14] == b'7', "{callback_id}");
        assert!(ids.insert(callback_id), "an ID comes twice");
        let message = DynamicMessage::decode(request_of(callback), asked.message).expect("protobuf");
        let body = std::str::from_utf8(body_of(&request)).expect("UTF-8");
        assert_eq!(message, expected(callback, body, id).expect("a message"), "{}", callback.name);
    }
}

#[test]
fn old_commands_are_the_same_callbacks() {
    let service = allowing();
    let bridge = asking(&service).start();
    for callback in CALLBACKS {
        for alias in callback.aliases {
            let request = String::from_utf8(fixture(callback)).expect("UTF-8");
            let body = body_of(request.as_bytes());
            let body = String::from_utf8(body.to_vec()).expect("UTF-8").replace(callback.command, alias);
            let request = kit::Request::new().target(&format!("/cb/{alias}")).body(body);
            assert_eq!(bridge.send(&request).status, 200, "{alias}");
            assert_eq!(service.next().path, callback.rpc.path, "{alias}");
        }
    }
}

// An answer leaves the user's action as it was.

/// The answer without what the verdict is made of.
fn told(reply: &Reply) -> Map<String, Value> {
    let Value::Object(mut told) = reply.json() else { panic!("no object: {}", reply.body) };
    for key in ["actionCode", "errCode", "errMsg", "errDlt", "nextCode"] {
        assert!(told.remove(key).is_some(), "without {key}: {}", reply.body);
    }
    told
}

fn body_json(callback: &Callback) -> Map<String, Value> {
    serde_json::from_slice(body_of(&fixture(callback))).expect("JSON")
}

/// Goes on or is refused, and repeats what it must.
#[track_caller]
fn leaves_it_as_it_was(setup: &str, callback: &Callback, reply: &Reply, refused: bool) {
    assert_eq!(reply.status, 200, "{setup}: {}: {}", callback.name, reply.body);
    assert_eq!(reply.json()["nextCode"], i32::from(refused), "{setup}: {}: {}", callback.name, reply.body);
    let body = body_json(callback);
    let repeated: Map<String, Value> =
        echo(callback).iter().map(|key| ((*key).to_owned(), body[*key].clone())).collect();
    assert_eq!(told(reply), repeated, "{setup}: {}", callback.name);
}

#[test]
fn every_answer_but_a_change_leaves_the_action_as_it_was() {
    let allows = allowing();
    let refuses = any_service(|_| Ok(vec![0x12, 0x00]));
    let lacks_it = any_service(|_| Err(kit::rpc::UNIMPLEMENTED));
    let hears_nobody = nowhere();
    let refusing = |builder: BridgeBuilder| builder.with(|all| all.bridge.fallback.action = Action::Refuse);
    let shadow = |builder: BridgeBuilder| builder.with(|all| all.bridge.decision.enforce_percent = Percent::NONE);
    let bug = Codec { read: panics, ..Codec::TABLES };
    let nobody: Refuses = |_| false;
    let unless_it_loses: Refuses = |callback| !callback.is_after() && !loses_messages(callback);
    let service_alone: Refuses = |callback| !callback.is_after();
    let routed = |builder: BridgeBuilder, route| builder.with(|all| all.bridge.routes.default = route);
    let routed_each = |builder: BridgeBuilder, route| {
        builder.with(|all| {
            let own = OwnPolicy { route: Some(route), ..OwnPolicy::default() };
            all.bridge.routes.own = CALLBACKS.iter().map(|_| own).collect();
        })
    };
    let setups: [(&str, Bridge, Refuses); 12] = [
        ("allowed", asking(&allows).start(), nobody),
        ("refused", asking(&refuses).start(), service_alone),
        ("fallback allows", bridge().asking_at(hears_nobody).start(), nobody),
        ("fallback refuses", refusing(bridge().asking_at(hears_nobody)).start(), unless_it_loses),
        ("no such rpc", refusing(asking(&lacks_it)).start(), nobody),
        ("shadow", shadow(asking(&refuses)).start(), nobody),
        ("shadow of a refusing fallback", shadow(refusing(bridge().asking_at(hears_nobody))).start(), nobody),
        ("panic", asking(&allows).coded_by(bug).start(), nobody),
        ("all allowed by the configuration", routed(bridge(), Route::Allow).start(), nobody),
        ("all refused by the configuration", routed(bridge(), Route::Refuse).start(), unless_it_loses),
        ("each refused by the configuration", routed_each(bridge(), Route::Refuse).start(), service_alone),
        ("panic, refused", refusing(asking(&allows).coded_by(bug)).start(), unless_it_loses),
    ];
    for (name, bridge, is_refused) in &setups {
        for callback in CALLBACKS {
            let reply = replay(bridge, callback);
            leaves_it_as_it_was(name, callback, &reply, is_refused(callback));
        }
    }
}

#[test]
fn what_was_not_read_is_refused_where_an_allow_does_harm_also_in_the_shadow() {
    for percent in [Percent::ALL, Percent::NONE] {
        let bridge = bridge().with(|all| {
            all.bridge.limits.body_bytes = std::num::NonZeroUsize::MIN;
            all.bridge.decision.enforce_percent = percent;
        });
        let bridge = bridge.start();
        for (command, refused) in [
            ("callbackBeforeSetGroupInfoCommand", true),
            ("callbackBeforeSetGroupInfoExCommand", true),
            (kit::COMMAND, false),
            // Servers that send this overwrite the remark with nothing.
            (kit::ALIAS, true),
        ] {
            let reply = bridge.send(&kit::Request::new().target(&format!("/cb/{command}")));
            assert_eq!(reply.json()["nextCode"], i32::from(refused), "{command}: {}", reply.body);
        }
    }
}

/// OpenIM writes a group's type as the character with that number. It may be mended one day.
#[test]
fn the_type_of_a_group_is_read_however_it_is_written() {
    let callback = named("beforeApplyJoinGroup");
    for (written, number) in [
        (r#""\u0002""#, 2),
        ("2", 2),
        (r#""2""#, 2),
        (r#""10""#, 10),
        (r#""中""#, 0x4e2d),
        (r#""""#, 0),
        ("null", 0),
        (r#""two""#, 0),
    ] {
        let body = format!(r#"{{"callbackCommand":"{}","groupType":{written}}}"#, callback.command);
        let question = decoded(callback, body.as_bytes()).expect("a callback");
        let message = message(callback, &question.frame);
        assert_eq!(message.get_field_by_name("group_type").expect("a field").as_i32(), Some(number), "{written}");
    }
}

#[test]
fn parts_of_a_reply_are_one_message() {
    let callback = named("beforeOfflinePush");
    let question = decoded(callback, body_of(&fixture(callback))).expect("a callback");
    // change { offline_push_info { title: "T" } } and change { offline_push_info { desc: "D" } }
    let reply = b"\x1a\x05\x12\x03\x0a\x01T\x1a\x05\x12\x03\x12\x01D";
    let Ok(Decision::Change(fields)) = (Codec::TABLES.read)(&question.body, reply) else { panic!("no change") };
    let told: Value = serde_json::from_str(&format!("{{{}}}", fields.as_str())).expect("JSON");
    assert_eq!((&told["offlinePushInfo"]["title"], &told["offlinePushInfo"]["desc"]), (&json!("T"), &json!("D")));
    // All that the reply leaves out takes room in what OpenIM is told, up to a bound.
    let callback = named("beforeUserRegister");
    let question = decoded(callback, body_of(&fixture(callback))).expect("a callback");
    let reply = changes_by(&b"\x0a\x03\x0a\x01u".repeat(800_000));
    assert_eq!((Codec::TABLES.read)(&question.body, &reply), Err(InvalidDecision::TooLong));
}

#[test]
fn a_roll_out_counts_a_new_group_for_its_owner() {
    let callback = named("beforeCreateGroup");
    let question = decoded(callback, body_of(&fixture(callback))).expect("a callback");
    assert_eq!(question.body.roll_out_key(), body_json(callback)["initMemberList"][0]["userID"].as_str().expect("one"));
}

#[test]
fn a_push_to_100_000_members_is_decided_and_may_be_narrowed_to_half_of_them() {
    let members: Vec<String> = (0..100_000).map(|number| format!("user-{number:017}")).collect();
    let narrowed = members[..50_000].to_vec();
    // A list of texts in field 1 of the change.
    let mut texts = Vec::new();
    prost::encoding::string::encode_repeated(1, &narrowed, &mut texts);
    let mut change = Vec::new();
    prost::encoding::bytes::encode(1, &texts, &mut change);
    let reply = changes_by(&change);
    let service = any_service(move |_| Ok(reply.clone()));
    let bridge = asking(&service).start();

    let callback = named("beforeOfflinePush");
    let mut body = body_json(callback);
    body.insert("userIDList".to_owned(), json!(members));
    let body = Value::Object(body).to_string();
    assert!(body.len() > 2_500_000, "{} bytes", body.len());
    let reply = bridge.send(&kit::Request::new().target(&format!("/cb/{}", callback.command)).body(&body));
    assert_eq!((reply.status, reply.origin()), (200, "decision"));
    assert_eq!(told(&reply)["userIDList"], json!(narrowed));
    let message = DynamicMessage::decode(request_of(callback), service.next().message).expect("protobuf");
    assert_eq!(Some(message), expected(callback, &body, "op-1"));
}

#[test]
fn after_callbacks_that_hang_are_answered_at_once_and_put_no_endpoint_out() {
    let service = any_service(|path| if path.contains("/After") { Err(kit::rpc::HANGS) } else { Ok(vec![0x0a, 0x00]) });
    let bridge = asking(&service).with(|all| all.bridge.delivery.attempt_timeout = kit::ms(200)).start();
    let after = || CALLBACKS.iter().filter(|callback| callback.is_after());
    for callback in after() {
        assert_eq!(replay(&bridge, callback).origin(), "queued", "{}", callback.name);
    }
    assert!(bridge.server.load().queued > 0, "none was waited for");
    eventually("each is attempted", || service.all().len() > 1);
    for callback in CALLBACKS.iter().filter(|callback| !callback.is_after()) {
        assert_eq!(replay(&bridge, callback).origin(), "decision", "{}", callback.name);
    }
}

/// Whether this callback is refused.
type Refuses = fn(&Callback) -> bool;

/// What a bare allow would harm is refused, and what a refusal would harm is allowed.
#[test]
fn a_callback_that_was_not_read_is_answered_for_the_least_harm() {
    for action in [Action::Allow, Action::Refuse] {
        let bridge = bridge().with(|all| {
            all.bridge.fallback.action = action;
            all.bridge.limits.body_bytes = std::num::NonZeroUsize::MIN;
        });
        let bridge = bridge.start();
        for callback in CALLBACKS {
            let reply = replay(&bridge, callback);
            assert_eq!(reply.origin(), "fallback; class=overloaded", "{}", callback.name);
            let harmed_by_allow = echo(callback).len() > 1;
            let may_be_refused = !callback.is_after() && !loses_messages(callback);
            let refused = harmed_by_allow || (action == Action::Refuse && may_be_refused);
            assert_eq!(reply.json()["nextCode"], i32::from(refused), "{}: {}", callback.name, reply.body);
            assert_eq!(told(&reply), Map::new());
        }
    }
}

#[test]
fn a_rejected_push_or_conversation_goes_on_and_says_what_is_wrong() {
    let bridge = bridge().with(|all| all.bridge.fallback.action = Action::Refuse).start();
    for callback in CALLBACKS {
        let body = String::from_utf8(body_of(&fixture(callback)).to_vec()).expect("UTF-8");
        let fine = kit::Request::new().target(&format!("/cb/{}", callback.command)).body(&body);
        let other = body.replace(callback.command, "callbackBeforeSomethingElseCommand");
        for (request, status, code, is_about_content) in [
            (fine.clone().body(&body[1..]), 400, 9900, true),
            (fine.clone().body(other), 400, 9902, true),
            (fine.clone().without("Operationid"), 400, 9903, true),
            (fine.clone().body(" ".repeat(4 << 20)), 413, 9904, true),
            (fine.clone().without("Content-Type"), 415, 9905, false),
            (fine.clone().method("PUT"), 405, 9906, false),
        ] {
            let reply = bridge.send(&request);
            assert_eq!(
                (reply.status, reply.origin()),
                (status, &*format!("rejected; code={code}")),
                "{}",
                callback.name
            );
            let goes_on = is_about_content && loses_messages(callback);
            let expected = if goes_on { json!([0, 0]) } else { json!([code, 1]) };
            assert_eq!(json!([reply.json()["errCode"], reply.json()["nextCode"]]), expected, "{}", callback.name);
            assert_eq!(told(&reply), Map::new());
        }
    }
}

// What the tables make of anything.

/// Texts as JSON has them, and what is odd in them.
fn json_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<String>().prop_map(|text| Value::from(text).to_string()),
        1 => prop::sample::select(vec![
            r#""\u003cb\u003e""#,
            r#""\u4e2d\/\b\f""#,
            r#""\ud83d\ude00""#,
            r#""""#,
            r#""\u0000""#,
        ])
        .prop_map(str::to_owned),
    ]
}

/// A field's value: one of its type, or one that is not.
fn json_value(field: &FieldDescriptor) -> BoxedStrategy<String> {
    let one: BoxedStrategy<String> = match field.kind() {
        Type::String => json_text().boxed(),
        Type::Bool => any::<bool>().prop_map(|flag| flag.to_string()).boxed(),
        Type::Int64 => any::<i64>().prop_map(|number| number.to_string()).boxed(),
        Type::Uint32 => any::<u32>().prop_map(|number| number.to_string()).boxed(),
        Type::Message(message) => json_object(&message).boxed(),
        _ => prop_oneof![any::<i32>(), 0..5].prop_map(|number: i32| number.to_string()).boxed(),
    };
    if field.is_list() {
        prop_oneof![
            4 => prop::collection::vec(one, 0..3).prop_map(|values| format!("[{}]", values.join(" ,"))),
            1 => Just("null".to_owned()),
        ]
        .boxed()
    } else {
        prop_oneof![6 => one, 1 => Just("null".to_owned())].boxed()
    }
}

/// An object with some of the message's fields, in any order, and others among them.
fn json_object(message: &MessageDescriptor) -> impl Strategy<Value = String> + use<> {
    let fields: Vec<BoxedStrategy<String>> = message
        .fields()
        .filter(|field| field.name() != "operation_id")
        .map(|field| {
            let name = field.json_name().to_owned();
            json_value(&field).prop_map(move |value| format!("\"{name}\": {value}")).boxed()
        })
        .chain([Just(r#""later": {"a": [1.5e3, {"remark": "x"}]}"#.to_owned()).boxed()])
        .collect();
    let count = fields.len();
    (fields, prop::collection::vec(any::<bool>(), count)).prop_flat_map(|(fields, there)| {
        let some: Vec<String> =
            fields.into_iter().zip(there).filter_map(|(field, is_there)| is_there.then_some(field)).collect();
        Just(some).prop_shuffle().prop_map(|some| format!("{{{}}}", some.join(",")))
    })
}

fn callback() -> impl Strategy<Value = &'static Callback> {
    (0..CALLBACKS.len()).prop_map(|index| &CALLBACKS[index])
}

/// With the command, and what is required.
fn body(callback: &'static Callback) -> impl Strategy<Value = String> {
    json_object(&request_of(callback)).prop_map(move |object| {
        let comma = if object == "{}" { "" } else { "," };
        format!("{{\"callbackCommand\": \"{}\"{comma}{}", callback.command, &object[1..])
    })
}

/// Fields that the codec reads otherwise than protobuf's JSON has it.
fn is_plain(callback: &Callback, body: &str) -> bool {
    !(["beforeApplyJoinGroup", "afterDismissGroup"].contains(&callback.name) && body.contains("groupType"))
}

fn is_whole(callback: &Callback, json: &Map<String, Value>) -> bool {
    let required: &[&str] = match callback.name {
        "beforeSetFriendRemark" => &["ownerUserID", "friendUserID", "remark"],
        "beforeSetGroupInfo" | "beforeSetGroupInfoEx" => &["groupID"],
        _ => &[],
    };
    required.iter().all(|key| json.get(*key).is_some_and(|value| !value.is_null()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_body_of_a_callback_is_read_as_by_another_implementation(
        (callback, body) in callback().prop_flat_map(|callback| (Just(callback), body(callback)))
    ) {
        prop_assume!(is_plain(callback, &body));
        let json: Map<String, Value> = serde_json::from_str(&body).expect("JSON");
        match decoded(callback, body.as_bytes()) {
            Ok(question) => {
                prop_assert!(is_whole(callback, &json));
                let expected = expected(callback, &body, "op").expect("a message");
                prop_assert_eq!(message(callback, &question.frame), expected, "{}", body);
                // What is repeated is what came.
                let fields = format!("{{{}}}", question.body.echo().as_str());
                let told: Map<String, Value> = serde_json::from_str(&fields).expect("JSON");
                for key in echo(callback) {
                    let optional = request_of(callback).get_field_by_json_name(key).expect("a field").supports_presence();
                    let asked = json.get(*key).cloned().unwrap_or_default();
                    let asked = if asked.is_null() && !optional { "".into() } else { asked };
                    prop_assert_eq!(told.get(*key), Some(&asked), "{}", body);
                }
                prop_assert_eq!(told.len(), echo(callback).len());
            }
            Err(error) => prop_assert!(error == BodyError::Malformed && !is_whole(callback, &json), "{}", body),
        }
    }

    #[test]
    fn a_body_that_is_cut_or_has_a_byte_changed_is_read_the_same_way_or_not_at_all(
        (callback, body) in callback().prop_flat_map(|callback| (Just(callback), body(callback))),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        prop_assume!(is_plain(callback, &body));
        let mut bytes = body.into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Ok(question) = decoded(callback, &bytes) {
            let text = std::str::from_utf8(&bytes).expect("what is read is UTF-8");
            // It is stricter: no field twice; and wider: a lone surrogate. What both read, they read alike.
            if let Some(expected) = expected(callback, text, "op") {
                prop_assert_eq!(message(callback, &question.frame), expected, "{}", text);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(callback in callback(), bytes in any::<Vec<u8>>()) {
        let _read = decoded(callback, &bytes);
    }

    #[test]
    fn no_reply_breaks_a_rule(
        (callback, body, reply) in
            callback().prop_flat_map(|callback| (Just(callback), body(callback), reply(callback)))
    ) {
        prop_assume!(is_plain(callback, &body));
        let json: Map<String, Value> = serde_json::from_str(&body).expect("JSON");
        prop_assume!(is_whole(callback, &json));
        let question = decoded(callback, body.as_bytes()).expect("a callback");
        if let Ok(Decision::Change(fields)) = (Codec::TABLES.read)(&question.body, &reply) {
            let change: Map<String, Value> = serde_json::from_str(&format!("{{{}}}", fields.as_str())).expect("JSON");
            if let Err(why) = harmless(callback, &json, &change) {
                return Err(TestCaseError::fail(format!("{}: {why}: {change:?} of {body}", callback.name)));
            }
        }
    }
}

/// A reply: any bytes, or a change with some of its fields.
fn reply(callback: &'static Callback) -> BoxedStrategy<Vec<u8>> {
    let noise = any::<Vec<u8>>().boxed();
    let Some(change) = change_of(callback) else { return noise };
    let wrapped = json_object(&change).prop_map(move |object| {
        // A list of texts is a message in protobuf, and bare in JSON.
        let mut message = DynamicMessage::new(change.clone());
        let json: Map<String, Value> = serde_json::from_str(&object).expect("JSON");
        for field in change.fields() {
            let Some(value) = json.get(field.json_name()).filter(|value| !value.is_null()) else { continue };
            let options = DeserializeOptions::new().deny_unknown_fields(false);
            let one: Map<String, Value> = Map::from_iter([(field.json_name().to_owned(), value.clone())]);
            if let Ok(one) = DynamicMessage::deserialize_with_options(change.clone(), Value::Object(one), &options) {
                message.set_field(&field, one.get_field(&field).into_owned());
            }
        }
        changes(&message)
    });
    prop_oneof![1 => noise, 9 => wrapped].boxed()
}

/// The rules, said again, and otherwise.
fn harmless(callback: &Callback, asked: &Map<String, Value>, told: &Map<String, Value>) -> Result<(), String> {
    let text = |key: &str| told.get(key).and_then(Value::as_str);
    let is_empty =
        |key: &str| told.get(key).is_some_and(|value| value == "" || value.as_array().is_some_and(Vec::is_empty));
    let no = |what: &str| Err(what.to_owned());
    for key in echo(callback) {
        if !told.contains_key(*key) {
            return no("it does not repeat what it must");
        }
    }
    match callback.name {
        "beforeSetFriendRemark" if is_empty("remark") => no("an empty remark"),
        "beforeUpdateUserInfo" if ["nickName", "faceURL", "ex"].iter().any(|key| is_empty(key)) => no("an empty field"),
        "beforeSetGroupInfo" | "beforeSetGroupInfoEx"
            if told["groupName"] != asked.get("groupName").cloned().unwrap_or_default()
                && text("groupName").is_some_and(|name| name.trim().is_empty())
                && !asked.get("groupName").is_none_or(Value::is_null) =>
        {
            no("a blank name")
        }
        "beforeSetGroupInfo" | "beforeSetGroupInfoEx" if told["groupID"] != asked["groupID"] => no("another group"),
        "beforeSetGroupMemberInfo" if told.get("roleLevel").is_some_and(|role| role == 0) => no("no role"),
        "beforeCreateGroup" if text("groupName").is_some_and(|name| name.trim().is_empty()) => no("a blank name"),
        "beforeUpdateUserInfoEx" => {
            let unasked = told.keys().find(|key| asked.get(*key).is_none_or(Value::is_null));
            unasked.map_or(Ok(()), |key| no(&format!("{key} was not asked for")))
        }
        "beforeMemberJoinGroup" | "beforeUserRegister" => {
            let list = if callback.name == "beforeUserRegister" { "users" } else { "memberCallbackList" };
            let list = told.get(list).and_then(Value::as_array).ok_or("no list")?;
            let is_named = |one: &Value| one["userID"].as_str().is_some_and(|id| !id.is_empty());
            let has_no_role = |one: &Value| one.get("roleLevel").is_some_and(|role| role == 0);
            if list.iter().any(has_no_role) {
                return no("no role");
            }
            if list.is_empty() || !list.iter().all(is_named) { no("no user") } else { Ok(()) }
        }
        "beforeMsgModify" => {
            let session = asked.get("sessionType").and_then(Value::as_i64).unwrap_or_default();
            if text("content")
                .is_some_and(|content| !serde_json::from_str::<Value>(content).is_ok_and(|it| it.is_object()))
            {
                return no("content that is no object");
            }
            if is_empty("recvID") || is_empty("groupID") {
                return no("nobody's message");
            }
            if (told.contains_key("recvID") && session != 1) || (told.contains_key("groupID") && session != 3) {
                return no("another kind of conversation");
            }
            Ok(())
        }
        "beforeGroupOnlinePush" => {
            let content = asked.get("contentType").and_then(Value::as_i64).unwrap_or_default();
            if (1000..=5000).contains(&content) {
                no("a notification")
            } else if is_empty("userIDList") {
                no("to nobody")
            } else {
                Ok(())
            }
        }
        "beforeOfflinePush" if is_empty("userIDList") => no("to nobody"),
        "beforeImportFriends" if is_empty("friendUserIDs") => no("no friends"),
        _ if told.is_empty() => no("nothing is changed"),
        _ => Ok(()),
    }
}

/// Every field of every change reaches OpenIM under OpenIM's name, and nothing else does.
#[test]
fn every_field_of_a_change_is_written_as_openim_reads_it() {
    for callback in CALLBACKS {
        let Some(change) = change_of(callback) else { continue };
        assert!(matches!(callback.kind, Kind::Before { .. }));
        for field in change.fields() {
            let json_name = field.json_name().to_owned();
            let mut asked = body_json(callback);
            asked.extend(asked_for(callback, &field));
            let body = Value::Object(asked).to_string();
            let question = decoded(callback, body.as_bytes()).expect("a callback");
            let (value, expected) = value_of(&field);
            let reply = changes_alone(&field, value);
            let Ok(Decision::Change(fields)) = (Codec::TABLES.read)(&question.body, &reply) else {
                panic!("{}: a change of {json_name} is none", callback.name)
            };
            let told: Map<String, Value> = serde_json::from_str(&format!("{{{}}}", fields.as_str())).expect("JSON");
            assert_eq!(told[&json_name], expected, "{}", callback.name);
            let mut all: BTreeSet<&str> = echo(callback).iter().copied().collect();
            all.insert(&json_name);
            assert_eq!(told.keys().map(String::as_str).collect::<BTreeSet<_>>(), all, "{}", callback.name);
        }
    }
}
