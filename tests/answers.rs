//! How OpenIM reads answers: against what a real OpenIM Server did with them, and against a model.

#![allow(clippy::expect_used)] // clippy.toml allows it in test functions only, not in what they share

use openim_bridge::callback::{CALLBACKS, Effects};
use openim_bridge::openim::client::answer::{AnswerField, JsonType, Undecodable};
use openim_bridge::openim::client::{Caution, OpenIm, OpenImAnswer, Reading};
use openim_bridge::openim::{Fields, NextCodeForm, Refusal, RefusalCode, Rejection, Verdict};
use openim_bridge::upstream::ErrorClass;
use proptest::prelude::*;
use serde_json::Value;

/// An answer that was given to a real server.
#[derive(serde::Deserialize)]
struct Recorded {
    name: String,
    body: String,
    #[serde(rename = "api_errCode")]
    code: i32,
    #[serde(rename = "api_errMsg")]
    message: String,
    stored: String,
}

/// The remark that OpenIM stores in the place of its user's, if the answer lets it go on.
fn remark_of(reading: &Reading, effects: &Effects) -> Option<Value> {
    matches!(reading.open_im(), OpenIm::GoesOn).then(|| effects.taken.first()?.told.clone())?
}

fn read(body: &[u8]) -> (Reading, Effects) {
    CALLBACKS[0].read_answer(br#"{"remark":"asked"}"#, body)
}

#[test]
fn reads_as_a_real_server_did() {
    let recorded: Vec<Recorded> = serde_json::from_str(include_str!("fixtures/answers.json")).expect("fixture");
    assert!(recorded.len() > 25);
    for Recorded { name, body, code, message, stored } in recorded {
        let (reading, effects) = read(body.as_bytes());
        match (reading.open_im(), &*stored) {
            (OpenIm::GoesOn, stored) => {
                let ours = remark_of(&reading, &effects).map(|remark| python_repr(remark.as_str().expect("a text")));
                assert_eq!((code, ours.as_deref().unwrap_or("as asked")), (0, stored), "{name}");
            }
            (OpenIm::Refused { code: ours, message: text, .. }, "kept") => {
                assert_eq!((ours, text), (code, &*message), "{name}");
            }
            (OpenIm::Fails { error, .. }, "kept") => {
                assert_eq!((error.code(), error.name()), (code, &*message), "{name}");
            }
            (ours, _) => panic!("{name}: {ours:?}, but {stored}"),
        }
    }
}

/// How the recordings quote a text.
fn python_repr(text: &str) -> String {
    let escaped = text.chars().map(|char| match char {
        '\0'..='\x1f' => format!("\\x{:02x}", u32::from(char)),
        char => char.to_string(),
    });
    format!("'{}'", escaped.collect::<String>())
}

fn decode(body: &[u8]) -> Result<OpenImAnswer, Undecodable> {
    read(body).0.answer
}

fn remark(body: &[u8]) -> Value {
    read(body).1.decoded[0].1.clone()
}

fn cautions(body: &str) -> Vec<Caution> {
    Reading::of(body.as_bytes()).cautions()
}

#[test]
fn keys_match_in_any_case_and_the_last_wins() {
    let body = "{\"NEXTCODE\":0,\"errm\u{17f}g\":\"a\",\"remar\u{212a}\":\"b\",\"nextCode\":1}".as_bytes();
    let expected = OpenImAnswer { next_code: 1, err_msg: "a".into(), ..OpenImAnswer::default() };
    assert_eq!((decode(body).expect("an answer"), remark(body)), (expected, "b".into()));
    assert_eq!(decode(br#"{"nextCode":1,"NextCode":0}"#).expect("an answer").next_code, 0);
}

#[test]
fn null_leaves_a_field_alone() {
    assert_eq!(decode(b" null\n").expect("an answer"), OpenImAnswer::default());
    assert_eq!(remark(br#"{"remark":"a","remark":null}"#), "a");
}

#[test]
fn text_that_is_not_unicode_is_replaced() {
    assert_eq!(remark(b"{\"remark\":\"a\xffb\xe2\x82c\"}"), "a\u{fffd}b\u{fffd}\u{fffd}c");
    assert_eq!(remark(br#"{"remark":"\ud800\u0041\ud83d\ude00"}"#), "\u{fffd}A😀");
    assert_eq!(remark(b"{\"\xff\":1,\"remark\":\"\\ud800\xed\xb0\x80\"}"), "\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
}

#[test]
fn integers_are_literal_and_of_32_bits() {
    for (number, expected) in [("-0", 0), ("2147483647", i32::MAX), ("-2147483648", i32::MIN)] {
        let answer = decode(format!("{{\"errCode\":{number}}}").as_bytes()).expect(number);
        assert_eq!(answer.err_code, expected);
    }
    for number in ["1.0", "1e0", "2147483648", "-2147483649", "99999999999999999999"] {
        let answer = decode(format!("{{\"errCode\":{number}}}").as_bytes());
        assert!(matches!(answer, Err(Undecodable::NotInt32 { field: AnswerField::ErrCode })), "{number}: {answer:?}");
    }
}

#[test]
fn a_wrong_type_fails_all_of_it() {
    let answer = decode(br#"{"remark":1,"nextCode":"0","x":[{"y":null}]}"#);
    let words = answer.expect_err("a wrong type").to_string();
    assert_eq!(words, "remark is a number; it must be a string");
    // The callback's own fields, and no other's.
    let fails = |name: &str, body: &str| {
        let callback = CALLBACKS.iter().find(|callback| callback.name == name).expect(name);
        callback.reading(body.as_bytes()).answer.is_err()
    };
    assert!(fails("beforeSetFriendRemark", r#"{"Remark":1}"#) && fails("beforeOnlinePush", r#"{"userIDList":"u1"}"#));
    assert!(!fails("beforeAddFriend", r#"{"remark":1}"#) && !fails("beforeSetFriendRemark", r#"{"userIDList":"u1"}"#));
    let answer = decode(br#"{"errMsg":1,"nextCode":"0"}"#);
    let expected = (AnswerField::ErrMsg, JsonType::Number);
    assert!(matches!(answer, Err(Undecodable::WrongType { field, found }) if (field, found) == expected), "{answer:?}");
    for (body, found) in
        [("[]", JsonType::Array), ("true", JsonType::Boolean), ("-1", JsonType::Number), ("\"{}\"", JsonType::String)]
    {
        let answer = decode(body.as_bytes());
        assert!(matches!(answer, Err(Undecodable::NotAnObject { found: f }) if f == found), "{body}: {answer:?}");
    }
}

#[test]
fn what_is_not_json_fails() {
    assert!(matches!(decode(b""), Err(Undecodable::Empty)));
    let bodies: [&[u8]; 15] = [
        b" ",
        b"{} x",
        b"{}{}",
        b"{}\0",
        b"\xef\xbb\xbf{}",
        b"{}\xff",
        b"{\"remark\":\"a\tb\"}",
        b"{\"x\":\"\x1f\"}",
        b"{\"x\":01}",
        b"{\"x\":\"\\x41\"}",
        b"{\"x\":nan}",
        b"{\"x\":1,}",
        b"{'x':1}",
        b"{\"remark\":\"a\"",
        b"<html>oops</html>",
    ];
    for body in bodies {
        let answer = decode(body);
        assert!(matches!(answer, Err(Undecodable::Syntax(_))), "{}: {answer:?}", String::from_utf8_lossy(body));
    }
}

#[test]
fn nesting_may_be_10000_deep() {
    let nested = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(decode(nested(9_999).as_bytes()).is_ok());
    assert!(matches!(decode(nested(10_000).as_bytes()), Err(Undecodable::TooDeep)));
}

#[test]
fn only_action_code_0_with_next_code_1_refuses() {
    for (action, next, refuses) in [(0, 1, true), (1, 1, false), (0, 2, false), (-1, 1, false), (0, 0, false)] {
        let body = format!("{{\"actionCode\":{action},\"nextCode\":{next},\"errCode\":5001}}");
        let refused = matches!(Reading::of(body.as_bytes()).open_im(), OpenIm::Refused { code: 5001, .. });
        assert_eq!(refused, refuses, "{body}");
    }
}

#[test]
fn cautions_name_what_is_likely_not_meant() {
    let refused = |code| cautions(&format!("{{\"nextCode\":1,\"errCode\":{code},\"errMsg\":\"no\"}}"));
    assert_eq!(refused(0), [Caution::ErrCodeZero]);
    assert_eq!(refused(99), [Caution::ErrCodeSmall(99)]);
    assert_eq!(refused(-7), [Caution::ErrCodeSmall(-7)]);
    assert_eq!(refused(100), [Caution::ErrCodeForeign(100)]);
    assert_eq!(refused(1501), [Caution::ErrCodeToken(1501)]);
    assert_eq!(refused(5000), []);
    assert_eq!(refused(9899), []);
    assert_eq!(refused(9900), [Caution::ErrCodeReserved(9900)]);
    assert_eq!(refused(10_000), [Caution::ErrCodeForeign(10_000)]);
    assert_eq!(cautions(r#"{"nextCode":1,"errCode":5001}"#), [Caution::ErrMsgEmpty]);
    assert_eq!(cautions(r#"{"nextCode":"0"}"#), [Caution::NextCodeString]);
    assert_eq!(cautions(r#"{"actionCode":1,"nextCode":1}"#), [Caution::ActionCode(1)]);
    assert_eq!(cautions(r#"{"errCode":5001}"#), [Caution::ErrCodeUnused(5001)]);
    assert_eq!(cautions(r#"{"errMsg":"Success"}"#), []);
    assert_eq!(cautions("[]"), []);
}

#[test]
fn every_code_of_the_bridge_has_its_words() {
    let bad_requests = Rejection::ALL.map(Rejection::code);
    let codes = bad_requests.into_iter().chain(ErrorClass::ALL.map(ErrorClass::code)).map(|code| code as i32);
    let vague = Caution::ErrCodeReserved(9999).to_string().replace("9999 is", "");
    for code in codes {
        let words = Caution::ErrCodeReserved(code).to_string();
        assert!(words.contains("the bridge's own"), "{words}");
        assert_ne!(words.replace(&format!("{code} is"), ""), vague);
    }
}

/// What a value is, and its text.
#[derive(Debug, Clone)]
enum Member {
    Null,
    Int32(i32),
    Text(String),
    Wrong(&'static str),
}

impl Member {
    fn json(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Int32(number) => number.to_string(),
            Self::Text(text) => serde_json::to_string(text).expect("a string"),
            Self::Wrong(json) => (*json).into(),
        }
    }
}

fn value() -> impl Strategy<Value = Member> {
    prop_oneof![
        2 => Just(Member::Null),
        4 => prop_oneof![0..2, any::<i32>()].prop_map(Member::Int32),
        4 => any::<String>().prop_map(Member::Text),
        1 => prop::sample::select(vec!["1.5", "4294967296", "true", "{}", "[\"a\"]"]).prop_map(Member::Wrong),
    ]
}

/// A key in some letter case. `typo` is a key that OpenIM does not know.
fn key() -> impl Strategy<Value = (&'static str, String)> {
    let names = vec!["actionCode", "errCode", "errMsg", "errDlt", "nextCode", "remark", "typo"];
    (prop::sample::select(names), any::<u16>()).prop_map(|(name, upper)| {
        let flip = |(index, char): (usize, char)| {
            if upper >> index & 1 == 1 { char.to_ascii_uppercase() } else { char }
        };
        (name, name.chars().enumerate().map(flip).collect())
    })
}

/// The straightforward model: members in order, each where it belongs, or `None`.
fn model(members: &[((&'static str, String), Member)]) -> Option<(OpenImAnswer, Value)> {
    let (mut answer, mut remark) = (OpenImAnswer::default(), "");
    for ((name, _), value) in members {
        match (*name, value) {
            (_, Member::Null) | ("typo", _) => {}
            ("actionCode", Member::Int32(number)) => answer.action_code = *number,
            ("errCode", Member::Int32(number)) => answer.err_code = *number,
            ("nextCode", Member::Int32(number)) => answer.next_code = *number,
            ("errMsg", Member::Text(text)) => answer.err_msg.clone_from(text),
            ("errDlt", Member::Text(text)) => answer.err_dlt.clone_from(text),
            ("remark", Member::Text(text)) => remark = text,
            _ => return None,
        }
    }
    Some((answer, remark.into()))
}

proptest! {
    #[test]
    fn never_panics(body in any::<Vec<u8>>()) {
        let reading = Reading::of(&body);
        let _ = (reading.open_im(), reading.cautions());
    }

    #[test]
    fn never_panics_on_what_looks_like_an_answer(body in r#"\{("(nextCode|remark)":("\\u[d-f0]{4}|-?[01.e]{1,3}"?|\[|null),?){0,4}\}?"#) {
        let _ = Reading::of(body.as_bytes()).open_im();
    }

    #[test]
    fn agrees_with_the_model(members in prop::collection::vec((key(), value()), 0..6)) {
        let pairs: Vec<_> = members.iter().map(|((_, key), value)| format!("\"{key}\": {}", value.json())).collect();
        let body = format!("{{{}}}", pairs.join(", "));
        let ours = decode(body.as_bytes()).ok().map(|answer| (answer, remark(body.as_bytes())));
        prop_assert_eq!(ours, model(&members), "{}", body);
    }

    #[test]
    fn reads_what_the_bridge_writes(text in ".+", detail in any::<String>(), code in 5000..=9999) {
        let mut fields = Fields::default();
        fields.push("remark", &serde_json::Value::from(&*text).to_string());
        let go_on = Verdict::go_on(fields).encode(NextCodeForm::Integer);
        let (reading, effects) = read(&go_on);
        prop_assert_eq!(remark_of(&reading, &effects), Some(Value::from(&*text)), "{:?}", reading);
        prop_assert_eq!(reading.cautions(), []);

        let code = RefusalCode::try_from(code).expect("a code");
        let refusal = Refusal { code, message: text.clone(), detail: detail.clone() };
        let reading = Reading::of(&Verdict { refusal: Some(refusal), fields: Fields::default() }.encode(NextCodeForm::Integer));
        let read = match reading.open_im() {
            OpenIm::Refused { code, message, detail } => Some((code, message, detail)),
            _ => None,
        };
        prop_assert_eq!(read, Some((code.get(), &*text, &*detail)));
    }
}
