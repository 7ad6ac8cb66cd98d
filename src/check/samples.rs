//! What the cases ask.

use std::fmt;

use bytes::Bytes;
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};

use crate::base::text;
use crate::proto::BeforeSetFriendRemarkRequest;

/// So many bytes of a text are shown.
const SHOWN_BYTES: usize = 80;

#[derive(Debug, Clone)]
pub(super) struct CheckSample {
    request: BeforeSetFriendRemarkRequest,
    /// Fields that this version of the contract does not have.
    newer: Vec<u8>,
    label: String,
}

impl fmt::Display for CheckSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl CheckSample {
    pub(super) fn of(owner: &str, friend: &str, remark: &str) -> Self {
        let request = BeforeSetFriendRemarkRequest {
            operation_id: "openim-bridge-check".to_owned(),
            owner_user_id: owner.to_owned(),
            friend_user_id: friend.to_owned(),
            remark: remark.to_owned(),
        };
        Self { request, newer: Vec::new(), label: format!("the remark {}", quoted(remark)) }
    }

    pub(super) fn remark(remark: &str) -> Self {
        Self::of(OWNER, FRIEND, remark)
    }

    fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(super) fn message(&self) -> Bytes {
        let mut message = self.request.encode_to_vec();
        message.extend_from_slice(&self.newer);
        message.into()
    }
}

pub(super) const OWNER: &str = "check-owner";
pub(super) const FRIEND: &str = "check-friend";

/// As most users' are.
pub(super) fn ordinary() -> CheckSample {
    CheckSample::remark("My Best Friend")
}

pub(super) fn empty_texts() -> Vec<CheckSample> {
    vec![
        CheckSample::remark("").labelled("an empty remark"),
        CheckSample::of("", FRIEND, "My Best Friend").labelled("an empty owner_user_id"),
        CheckSample::of(OWNER, "", "My Best Friend").labelled("an empty friend_user_id"),
        CheckSample::of("", "", "").labelled("an empty remark and empty IDs"),
    ]
}

pub(super) fn long_remark() -> Vec<CheckSample> {
    let of = |unit: &str| unit.repeat(LONG.div_ceil(unit.len()));
    vec![
        CheckSample::remark(&of("a")).labelled("a remark of 10 kB, one word"),
        CheckSample::remark(&of("long ")).labelled("a remark of 10 kB, many words"),
        CheckSample::remark(&of("好友")).labelled("a remark of 10 kB, in Chinese"),
    ]
}

const LONG: usize = 10_240;

pub(super) fn emoji() -> Vec<CheckSample> {
    ["😀", "Mom ❤️", "👩‍👩‍👧‍👦 family", "👍🏽", "🇨🇳🇺🇦", "1️⃣", "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}"]
        .map(CheckSample::remark)
        .to_vec()
}

pub(super) fn right_to_left() -> Vec<CheckSample> {
    ["صديقي المفضل", "החבר הכי טוב שלי", "abc صديق 123", "\u{202e}txt.exe", "\u{2067}שלום\u{2069} world", "a\u{200f}b"]
        .map(CheckSample::remark)
        .to_vec()
}

pub(super) fn control_characters() -> Vec<CheckSample> {
    let nul = ["\0", "\0\0\0", "before\0after", "\0first", "last\0"].map(CheckSample::remark);
    let ids = [
        CheckSample::of("check\0owner", FRIEND, "My Best Friend").labelled("NUL in owner_user_id"),
        CheckSample::of(OWNER, "check\0friend", "My Best Friend").labelled("NUL in friend_user_id"),
    ];
    let others = (1..=0x9f_u8)
        .map(char::from)
        .filter(|char| char.is_control() && !char.is_whitespace())
        .map(|char| CheckSample::remark(&format!("a{char}b")));
    nul.into_iter().chain(ids).chain(others).collect()
}

pub(super) fn white_space() -> Vec<CheckSample> {
    let kinds = ('\0'..='\u{ffff}').filter(|char| char.is_whitespace());
    // No white space by Unicode, and as invisible.
    let invisible = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{180e}'];
    let mut all: Vec<CheckSample> = kinds
        .chain(invisible)
        .flat_map(|char| [format!("{char}"), format!("{char}My{char}{char}Friend{char}")])
        .map(|remark| CheckSample::remark(&remark))
        .collect();
    all.push(CheckSample::remark("\r\n\t \u{3000}"));
    all
}

pub(super) fn unknown_fields() -> Vec<CheckSample> {
    let fields: [(&str, u32, WireType, &[u8]); 5] = [
        ("a number", 5, WireType::Varint, &[0x96, 0x01]),
        ("a text", 15, WireType::LengthDelimited, b"\x05newer"),
        ("a fixed64", 1000, WireType::SixtyFourBit, &[1; 8]),
        ("a fixed32", 20_000, WireType::ThirtyTwoBit, &[1; 4]),
        ("an empty message with the highest number", (1 << 29) - 1, WireType::LengthDelimited, &[0]),
    ];
    let encoded = |number, kind, value: &[u8]| {
        let mut field = Vec::new();
        encode_key(number, kind, &mut field);
        field.extend_from_slice(value);
        field
    };
    let mut all = ordinary().labelled("all of them at once");
    for (_, number, kind, value) in fields {
        all.newer.extend(encoded(number, kind, value));
    }
    // Longer than any reader's buffer on the stack.
    let mut long = ordinary().labelled("a new field of 10 kB");
    encode_key(6, WireType::LengthDelimited, &mut long.newer);
    encode_varint(LONG as u64, &mut long.newer);
    long.newer.extend([b'n'; LONG]);
    let single = fields.map(|(name, number, kind, value)| CheckSample {
        newer: encoded(number, kind, value),
        ..ordinary().labelled(format!("a new field, {name}"))
    });
    single.into_iter().chain([long, all]).collect()
}

pub(super) fn repeated() -> Vec<CheckSample> {
    ["My Best Friend", " My  Best\tFriend ", "", "好友", "😀", "test", "spam"].map(CheckSample::remark).to_vec()
}

/// A text in quotes, safe to show.
pub(super) fn quoted(text: &str) -> String {
    text::quoted(text, SHOWN_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_white_space_is_asked_about() {
        // Unicode 16 has 25 characters of the property White_Space, none of them beyond U+FFFF.
        let kinds = (char::MIN..=char::MAX).filter(|char| char.is_whitespace()).collect::<Vec<_>>();
        assert_eq!(kinds.len(), 25);
        assert_eq!(white_space().len(), (25 + 6) * 2 + 1);
    }

    #[test]
    fn newer_messages_hold_what_this_version_knows_and_more() {
        let known = ordinary();
        for newer in unknown_fields() {
            assert!(newer.message().len() > known.message().len());
            let read = BeforeSetFriendRemarkRequest::decode(newer.message()).expect("a message");
            assert_eq!(read, known.request, "{newer}");
        }
    }
}
