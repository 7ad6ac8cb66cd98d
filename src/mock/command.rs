//! Remarks that tell the mock what to answer, for tests by hand: `mock:refuse=5001,text`.

use super::answer::{MockAnswer, MockInvalid, MockReply, REFUSAL_CODE};
use crate::base::grpc_status;

/// How such a remark begins.
const PREFIX: &str = "mock:";

/// Each command, and how it is written.
const COMMANDS: [(&str, &str); 7] = [
    ("allow", "mock:allow"),
    ("refuse", "mock:refuse or mock:refuse=5001,text"),
    ("replace", "mock:replace=New name"),
    ("delay", "mock:delay=250ms"),
    ("hang", "mock:hang"),
    ("status", "mock:status=UNAVAILABLE (any gRPC status name)"),
    ("invalid", "mock:invalid=unset, mock:invalid=code or mock:invalid=empty"),
];

/// What a refusal says, where no text was asked for.
const REFUSAL_MESSAGE: &str = "Refused, as the remark asked the mock to";

/// The answer that a remark asks for; `None` where it is not for the mock. A command that is not understood is refused
/// with a message that says how it is written.
pub(super) fn answer(remark: &str) -> Option<MockAnswer> {
    let command = remark.strip_prefix(PREFIX)?;
    let (name, argument) = match command.split_once('=') {
        Some((name, argument)) => (name, Some(argument)),
        None => (command, None),
    };
    Some(understood(name, argument).unwrap_or_else(|| refuse(REFUSAL_CODE, &usage(name)).into()))
}

fn understood(name: &str, argument: Option<&str>) -> Option<MockAnswer> {
    let reply = match (name, argument) {
        ("allow", None) => MockReply::Allow,
        ("refuse", None) => refuse(REFUSAL_CODE, REFUSAL_MESSAGE),
        ("refuse", Some(argument)) => {
            let (code, message) = argument.split_once(',').unwrap_or((argument, REFUSAL_MESSAGE));
            refuse(code.parse().ok()?, message)
        }
        ("replace", Some(text)) if !text.is_empty() => MockReply::Replace(text.to_owned()),
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
        Some((_, usage)) => format!("The mock does not understand this remark: write {usage}"),
        None => {
            format!("The mock does not know this command: write {}", COMMANDS.map(|(_, usage)| usage).join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tonic::Code;

    use super::*;

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
        assert_eq!(reply("mock:replace=New name"), MockReply::Replace("New name".to_owned()));
        assert_eq!(reply("mock:replace= =mock:hang"), MockReply::Replace(" =mock:hang".to_owned()));
        assert_eq!(reply("mock:hang"), MockReply::Hang);
        assert_eq!(reply("mock:status=unavailable"), MockReply::Status(Code::Unavailable));
        assert_eq!(reply("mock:invalid=unset"), MockReply::Invalid(MockInvalid::Unset));
        assert_eq!(reply("mock:invalid=code"), MockReply::Invalid(MockInvalid::Code));
        assert_eq!(reply("mock:invalid=empty"), MockReply::Invalid(MockInvalid::Empty));
        let delayed = MockAnswer { delay: Duration::from_millis(250), reply: MockReply::Allow };
        assert_eq!(answer("mock:delay=250ms"), Some(delayed));
    }

    #[test]
    fn other_remarks_are_not_for_the_mock() {
        for remark in ["", "mock", "Mock:hang", " mock:hang", "My best friend"] {
            assert_eq!(answer(remark), None, "{remark:?}");
        }
    }

    #[test]
    fn a_command_that_is_not_understood_is_told_how_it_is_written() {
        insta::assert_snapshot!(complaint("mock:refuse=lots,text"), @"The mock does not understand this remark: write mock:refuse or mock:refuse=5001,text");
        insta::assert_snapshot!(complaint("mock:delay=250"), @"The mock does not understand this remark: write mock:delay=250ms");
        insta::assert_snapshot!(complaint("mock:replace="), @"The mock does not understand this remark: write mock:replace=New name");
        insta::assert_snapshot!(complaint("mock:status=TEAPOT"), @"The mock does not understand this remark: write mock:status=UNAVAILABLE (any gRPC status name)");
        insta::assert_snapshot!(complaint("mock:invalid"), @"The mock does not understand this remark: write mock:invalid=unset, mock:invalid=code or mock:invalid=empty");
        insta::assert_snapshot!(complaint("mock:dance"), @"The mock does not know this command: write mock:allow, mock:refuse or mock:refuse=5001,text, mock:replace=New name, mock:delay=250ms, mock:hang, mock:status=UNAVAILABLE (any gRPC status name), mock:invalid=unset, mock:invalid=code or mock:invalid=empty");
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
