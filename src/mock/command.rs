//! Texts that tell the mock what to answer, for manual tests: `mock:refuse=5001,text`, in any text field of any callback, and
//! in the JSON that such a text may hold, as the content of a message does.

use serde_json::{Map, Value};

use super::{
    answer::{MockAnswer, MockInvalid, MockReply, REFUSAL_CODE},
    contract::retain_changeable,
};
use crate::base::grpc_status;
use crate::callback::{Callback, FieldKind};

/// How such a text begins.
const PREFIX: &str = "mock:";

/// Each command, and how it is written.
const COMMANDS: [(&str, &str); 8] = [
    ("allow", "mock:allow"),
    ("refuse", "mock:refuse or mock:refuse=5001,text"),
    ("replace", "mock:replace=New name"),
    ("change", "mock:change=KEY:VALUE"),
    ("delay", "mock:delay=250ms"),
    ("hang", "mock:hang"),
    ("status", "mock:status=UNAVAILABLE (any gRPC status name)"),
    ("invalid", "mock:invalid=unset, mock:invalid=code or mock:invalid=empty"),
];

/// What a refusal says, where no text was asked for.
const REFUSAL_MESSAGE: &str = "Refused, as the text asked the mock to";

/// The answer that a text of the request asks for, of several the first; `None` where none is for the mock. A command that is
/// not understood is refused with a message that says how it is written.
pub(super) fn answer(callback: &'static Callback, request: &Value) -> Option<MockAnswer> {
    callback.rpc.request.fields.iter().find_map(|field| {
        let mut value = request.get(field.key)?.clone();
        let command = take_command(&mut value)?;
        let (name, argument) = match command.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (&*command, None),
        };
        let changed = match (name, argument) {
            // The text itself is replaced already.
            ("replace", Some(text)) if !text.is_empty() => Some(change(callback, field.key, value)),
            ("change", Some(argument)) => {
                argument.split_once(':').map(|(key, text)| change(callback, key, value_of(callback, key, text)))
            }
            _ => None,
        };
        Some(
            changed.or_else(|| understood(name, argument)).unwrap_or_else(|| refuse(REFUSAL_CODE, &usage(name)).into()),
        )
    })
}

/// Takes the first text out that is a command, without its prefix. One to replace the text leaves the new one in its place.
fn take_command(value: &mut Value) -> Option<String> {
    match value {
        Value::String(text) => {
            if let Some(command) = text.strip_prefix(PREFIX) {
                let command = command.to_owned();
                command.strip_prefix("replace=").unwrap_or_default().clone_into(text);
                return Some(command);
            }
            let inner = Some(&*text).filter(|text| text.contains(PREFIX) && text.trim_start().starts_with(['{', '[']));
            let mut inner: Value = serde_json::from_str(inner?).ok()?;
            let command = take_command(&mut inner)?;
            *text = inner.to_string();
            Some(command)
        }
        Value::Array(items) => items.iter_mut().find_map(take_command),
        Value::Object(object) => object.values_mut().find_map(take_command),
        _ => None,
    }
}

/// The value that a command gives a key: a text as it is, another value as JSON, and a list of texts also with commas.
fn value_of(callback: &Callback, key: &str, text: &str) -> Value {
    let field = callback.rpc.change.and_then(|shape| shape.field(key));
    match field.map(|field| &field.kind) {
        None | Some(FieldKind::Text) => text.into(),
        Some(FieldKind::Texts) => serde_json::from_str(text).unwrap_or_else(|_| text.split(',').collect()),
        Some(_) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    }
}

fn change(callback: &'static Callback, key: &str, value: Value) -> MockAnswer {
    let change = Map::from_iter([(key.to_owned(), value)]);
    match retain_changeable(&mut vec![callback], &change) {
        Ok(()) => MockReply::Change(change),
        Err(wrong) => refuse(REFUSAL_CODE, &format!("The mock cannot change that: {wrong}")),
    }
    .into()
}

fn understood(name: &str, argument: Option<&str>) -> Option<MockAnswer> {
    let reply = match (name, argument) {
        ("allow", None) => MockReply::Allow,
        ("refuse", None) => refuse(REFUSAL_CODE, REFUSAL_MESSAGE),
        ("refuse", Some(argument)) => {
            let (code, message) = argument.split_once(',').unwrap_or((argument, REFUSAL_MESSAGE));
            refuse(code.parse().ok()?, message)
        }
        ("delay", Some(delay)) => {
            return Some(MockAnswer { delay: humantime::parse_duration(delay).ok()?, reply: MockReply::Allow });
        }
        ("hang", None) => MockReply::Hang,
        ("status", Some(name)) => MockReply::Status(grpc_status::named(name)?),
        ("invalid", Some("unset")) => MockReply::Invalid(MockInvalid::Unset),
        ("invalid", Some("code")) => MockReply::Invalid(MockInvalid::Code),
        ("invalid", Some("empty")) => MockReply::Invalid(MockInvalid::Empty),
        _ => return None,
    };
    Some(reply.into())
}

fn refuse(code: i32, message: &str) -> MockReply {
    MockReply::Refuse { code, message: message.to_owned(), detail: String::new() }
}

fn usage(name: &str) -> String {
    match COMMANDS.iter().find(|(known, _)| *known == name) {
        Some((_, usage)) => format!("The mock does not understand this text: write {usage}"),
        None => {
            format!("The mock does not know this command: write {}", COMMANDS.map(|(_, usage)| usage).join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::json;
    use tonic::Code;

    use super::*;
    use crate::mock::contract::callback_named;

    /// The answer to a remark.
    fn answer(remark: &str) -> Option<MockAnswer> {
        super::answer(named("beforeSetFriendRemark"), &json!({ "remark": remark }))
    }

    fn named(name: &str) -> &'static Callback {
        callback_named(name).expect("a callback")
    }

    fn change(change: Value) -> MockReply {
        match change {
            Value::Object(change) => MockReply::Change(change),
            other => panic!("{other}"),
        }
    }

    fn reply(remark: &str) -> MockReply {
        let answer = answer(remark).expect("a command");
        assert_eq!(answer.delay, Duration::ZERO, "{remark}");
        answer.reply
    }

    fn complaint(remark: &str) -> String {
        match reply(remark) {
            MockReply::Refuse { code: 5000, message, .. } => message,
            other => panic!("{remark}: {other:?}"),
        }
    }

    #[test]
    fn every_command_is_understood() {
        assert_eq!(reply("mock:allow"), MockReply::Allow);
        assert_eq!(reply("mock:refuse"), refuse(5000, REFUSAL_MESSAGE));
        assert_eq!(reply("mock:refuse=5001"), refuse(5001, REFUSAL_MESSAGE));
        assert_eq!(reply("mock:refuse=5001,"), refuse(5001, ""));
        assert_eq!(reply("mock:refuse=-1,a, b=c"), refuse(-1, "a, b=c"));
        assert_eq!(reply("mock:replace=New name"), change(json!({ "remark": "New name" })));
        assert_eq!(reply("mock:replace= =mock:hang"), change(json!({ "remark": " =mock:hang" })));
        assert_eq!(reply("mock:hang"), MockReply::Hang);
        assert_eq!(reply("mock:status=unavailable"), MockReply::Status(Code::Unavailable));
        assert_eq!(reply("mock:invalid=unset"), MockReply::Invalid(MockInvalid::Unset));
        assert_eq!(reply("mock:invalid=code"), MockReply::Invalid(MockInvalid::Code));
        assert_eq!(reply("mock:invalid=empty"), MockReply::Invalid(MockInvalid::Empty));
        let delayed = MockAnswer { delay: Duration::from_millis(250), reply: MockReply::Allow };
        assert_eq!(answer("mock:delay=250ms"), Some(delayed));
    }

    #[test]
    fn a_command_may_stand_in_any_text() {
        for (callback, request) in [
            ("beforeSendGroupMsg", json!({ "content": r#"{"content":"mock:hang"}"# })),
            ("beforeSendGroupMsg", json!({ "content": r#" {"a":[1,{"b":"{\"c\":\"mock:hang\"}"}]}"# })),
            ("beforeSendGroupMsg", json!({ "senderNickname": "mock:hang", "content": "mock:this comes second" })),
            ("beforeUserRegister", json!({ "users": [{ "userID": "u1", "nickname": "mock:hang" }] })),
            ("beforeInviteUserToGroup", json!({ "invitedUserIDs": ["u1", "mock:hang"] })),
            ("afterSendSingleMsg", json!({ "ex": "mock:hang" })),
        ] {
            let answered = super::answer(named(callback), &request);
            assert_eq!(answered, Some(MockReply::Hang.into()), "{callback} {request}");
        }
        for request in [json!({ "content": "{\"content\":mock:hang}" }), json!({ "content": "x mock:hang" })] {
            assert_eq!(super::answer(named("beforeSendGroupMsg"), &request), None, "{request}");
        }
    }

    #[test]
    fn a_text_is_replaced_where_it_stands_and_a_key_is_changed_by_its_name() {
        for (callback, request, expected) in [
            ("beforeCreateGroup", json!({ "groupName": "mock:replace=Pals" }), json!({ "groupName": "Pals" })),
            (
                "beforeMsgModify",
                json!({ "content": r#"{"content":"mock:replace=Hi \"you\"","n":1}"# }),
                json!({ "content": r#"{"content":"Hi \"you\"","n":1}"# }),
            ),
            (
                "beforeUserRegister",
                json!({ "users": [{ "userID": "u1" }, { "userID": "u2", "nickname": "mock:replace=N" }] }),
                json!({ "users": [{ "userID": "u1" }, { "userID": "u2", "nickname": "N" }] }),
            ),
            ("beforeCreateGroup", json!({ "ex": "mock:change=needVerification:2" }), json!({ "needVerification": 2 })),
            ("beforeCreateGroup", json!({ "ex": "mock:change=groupName:a:b" }), json!({ "groupName": "a:b" })),
            (
                "beforeOfflinePush",
                json!({ "content": r#"{"content":"mock:change=userIDList:u1,u3"}"# }),
                json!({ "userIDList": ["u1", "u3"] }),
            ),
            ("beforeOfflinePush", json!({ "title": "mock:change=userIDList:[]" }), json!({ "userIDList": [] })),
        ] {
            let answered = super::answer(named(callback), &request).map(|answer| answer.reply);
            assert_eq!(answered, Some(change(expected)), "{callback} {request}");
        }
    }

    #[test]
    fn what_cannot_be_changed_is_refused_with_the_reason() {
        let complaint = |callback, request: Value| match super::answer(named(callback), &request) {
            Some(MockAnswer { reply: MockReply::Refuse { code: 5000, message, .. }, .. }) => message,
            other => panic!("{other:?}"),
        };
        insta::assert_snapshot!(complaint("beforeSendGroupMsg", json!({ "content": "mock:replace=x" })), @"The mock cannot change that: beforeSendGroupMsg takes no change: its decision is allow or refuse");
        insta::assert_snapshot!(complaint("beforeMsgModify", json!({ "sendID": "mock:replace=x" })), @"The mock cannot change that: `sendID` is no key of beforeMsgModify's change, which has content, recvID, groupID, senderPlatformID, senderNickname, senderFaceURL, contentType, atUserIDList, attachedInfo, ex");
        insta::assert_snapshot!(complaint("beforeMsgModify", json!({ "ex": "mock:change=contents:x" })), @"The mock cannot change that: `contents` is no key of beforeMsgModify's change: did you mean `content`?");
        insta::assert_snapshot!(complaint("beforeMsgModify", json!({ "ex": "mock:change=contentType:x" })), @"The mock cannot change that: `contentType` must be a number");
        insta::assert_snapshot!(complaint("beforeMsgModify", json!({ "ex": "mock:change=x" })), @"The mock does not understand this text: write mock:change=KEY:VALUE");
    }

    #[test]
    fn other_remarks_are_not_for_the_mock() {
        for remark in ["", "mock", "Mock:hang", " mock:hang", "My best friend"] {
            assert_eq!(answer(remark), None, "{remark:?}");
        }
    }

    #[test]
    fn a_command_that_is_not_understood_is_told_how_it_is_written() {
        insta::assert_snapshot!(complaint("mock:refuse=lots,text"), @"The mock does not understand this text: write mock:refuse or mock:refuse=5001,text");
        insta::assert_snapshot!(complaint("mock:delay=250"), @"The mock does not understand this text: write mock:delay=250ms");
        insta::assert_snapshot!(complaint("mock:replace="), @"The mock does not understand this text: write mock:replace=New name");
        insta::assert_snapshot!(complaint("mock:status=TEAPOT"), @"The mock does not understand this text: write mock:status=UNAVAILABLE (any gRPC status name)");
        insta::assert_snapshot!(complaint("mock:invalid"), @"The mock does not understand this text: write mock:invalid=unset, mock:invalid=code or mock:invalid=empty");
        insta::assert_snapshot!(complaint("mock:dance"), @"The mock does not know this command: write mock:allow, mock:refuse or mock:refuse=5001,text, mock:replace=New name, mock:change=KEY:VALUE, mock:delay=250ms, mock:hang, mock:status=UNAVAILABLE (any gRPC status name), mock:invalid=unset, mock:invalid=code or mock:invalid=empty");
        for remark in
            ["mock:", "mock:=", "mock:hang=1", "mock:allow=", "mock:refuse=", "mock:refuse=2147483648", "mock:é"]
        {
            complaint(remark);
        }
    }

    proptest! {
        #[test]
        fn no_command_panics(rest in any::<String>()) {
            let remark = format!("mock:{rest}");
            prop_assert!(answer(&remark).is_some());
        }

        #[test]
        fn no_argument_panics(name in prop::sample::select(COMMANDS.map(|(name, _)| name).to_vec()), rest in any::<String>()) {
            let remark = format!("mock:{name}={rest}");
            prop_assert!(answer(&remark).is_some());
        }
    }
}
