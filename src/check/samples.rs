//! What the cases ask: callbacks as a real OpenIM Server sent them, with something in them changed. Which fields there are
//! is read off the contract's tables.

use std::fmt;

use http::HeaderValue;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::{Map, Value, json};

use crate::base::{grpc_frame, text};
use crate::callback::{Callback, Codec, Field, FieldKind, Question, Shape};
use crate::openim::OperationId;

/// So many bytes of a text are shown.
const SHOWN_BYTES: usize = 80;
const OPERATION_ID: HeaderValue = HeaderValue::from_static("openim-bridge-check");
/// All texts of a long question.
const LONG: usize = 10_240;
/// All texts of a large question together: a third of what the bridge passes on.
const LARGE: usize = 1 << 20;

#[derive(Debug, Clone)]
pub(super) struct CheckSample {
    pub(super) callback: &'static Callback,
    edit: Edit,
    /// Fields that this version of the contract does not have.
    newer: Vec<u8>,
    label: String,
}

/// What is another than in the real one.
#[derive(Debug, Clone)]
enum Edit {
    Nothing,
    /// Every text is this one. In a text that holds a JSON object, every text within.
    Texts(String),
    /// Every text is of this one, to so many bytes of all together.
    Large(&'static str),
    /// No field has a value.
    Empty,
    /// Only the fields are there without which there is no callback.
    Absent,
    /// These fields.
    Set(Map<String, Value>),
}

impl fmt::Display for CheckSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl CheckSample {
    fn of(callback: &'static Callback, edit: Edit, label: impl Into<String>) -> Self {
        Self { callback, edit, newer: Vec::new(), label: label.into() }
    }

    /// As OpenIM sends it.
    pub(super) fn ordinary(callback: &'static Callback) -> Self {
        Self::of(callback, Edit::Nothing, "the callback as OpenIM sends it")
    }

    pub(super) fn texts(callback: &'static Callback, text: &str) -> Self {
        Self::of(callback, Edit::Texts(text.to_owned()), format!("the text {}", quoted(text)))
    }

    pub(super) fn set(callback: &'static Callback, fields: Map<String, Value>) -> Self {
        if fields.is_empty() {
            return Self::ordinary(callback);
        }
        let label = text::one_line(&Value::Object(fields.clone()).to_string(), SHOWN_BYTES).into_owned();
        Self::of(callback, Edit::Set(fields), label)
    }

    /// `None` when it is no callback of this kind any more.
    pub(super) fn question(&self) -> Option<Question> {
        let rpc = self.callback.rpc;
        let mut fields: Map<String, Value> = serde_json::from_str(rpc.sample).ok()?;
        match &self.edit {
            Edit::Nothing => {}
            Edit::Texts(text) => fill(rpc.request, &mut fields, text),
            Edit::Large(unit) => {
                let each = LARGE / count_texts(rpc.request).max(1);
                fill(rpc.request, &mut fields, &unit.repeat(each / unit.len()));
            }
            Edit::Empty => {
                for field in rpc.request.fields {
                    let empty = match field.kind {
                        FieldKind::Text if !field.repeated => json!(""),
                        FieldKind::Bool => json!(false),
                        _ if field.repeated => json!([]),
                        ref kind if kind.is_number() => json!(0),
                        _ => Value::Null,
                    };
                    fields.insert(field.key.to_owned(), empty);
                }
            }
            Edit::Absent => {
                let is_needed = |key: &str| self.callback.required_keys().any(|needed| needed == key);
                fields.retain(|key, _| rpc.request.index(key).is_none() || is_needed(key));
            }
            Edit::Set(set) => fields.extend(set.clone()),
        }
        let json = Value::Object(fields).to_string();
        (Codec::TABLES.decode)(self.callback, json.into(), &OperationId::from_header(&OPERATION_ID)?).ok()
    }

    pub(super) const fn is_large(&self) -> bool {
        matches!(self.edit, Edit::Large(_))
    }

    /// The question's message, with what is newer.
    pub(super) fn message(&self, question: &Question) -> Vec<u8> {
        let message = question.frame.get(grpc_frame::HEAD..).unwrap_or_default();
        [message, &self.newer].concat()
    }

    pub(super) const fn operation_id() -> HeaderValue {
        OPERATION_ID
    }
}

/// Puts the text into every field that takes one.
fn fill(shape: &Shape, fields: &mut Map<String, Value>, text: &str) {
    for Field { key, kind, repeated, .. } in shape.fields {
        let value = match (kind, fields.remove(*key)) {
            (FieldKind::Text, old) if !repeated => json!(within(old.as_ref(), text)),
            (FieldKind::Text | FieldKind::Texts, _) => json!([text]),
            (FieldKind::Message(shape), old) => {
                let mut item = old.as_ref().and_then(|items| items.get(0)?.as_object()).cloned().unwrap_or_default();
                fill(shape, &mut item, text);
                json!([item])
            }
            (_, Some(old)) => old,
            (_, None) => continue,
        };
        fields.insert((*key).to_owned(), value);
    }
}

/// The text; where a JSON object was in its place, that object with the text within, unless it is empty or large.
fn within(old: Option<&Value>, text: &str) -> String {
    let object = old.and_then(Value::as_str).filter(|_| (1..2 * LONG).contains(&text.len()));
    let Some(Ok(mut object)) = object.map(serde_json::from_str::<Map<String, Value>>) else { return text.to_owned() };
    object.values_mut().for_each(|value| replace(value, text));
    Value::Object(object).to_string()
}

fn replace(value: &mut Value, text: &str) {
    match value {
        Value::String(old) => text.clone_into(old),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, text)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, text)),
        _ => {}
    }
}

fn count_texts(shape: &Shape) -> usize {
    let of = |field: &Field| match field.kind {
        FieldKind::Text | FieldKind::Texts => 1,
        FieldKind::Message(shape) => count_texts(shape),
        _ => 0,
    };
    shape.fields.iter().map(of).sum()
}

// The questions of each case.

pub(super) fn empty(callback: &'static Callback) -> Vec<CheckSample> {
    [
        (Edit::Texts(String::new()), "every text empty"),
        (Edit::Empty, "every field empty"),
        (Edit::Absent, "no field that may be absent"),
    ]
    .map(|(edit, label)| CheckSample::of(callback, edit, label))
    .into()
}

pub(super) fn long(callback: &'static Callback) -> Vec<CheckSample> {
    let long = [("a", "one word"), ("long ", "many words"), ("好友", "in Chinese")].map(|(unit, of)| {
        let text = unit.repeat(LONG.div_ceil(unit.len()));
        CheckSample::of(callback, Edit::Texts(text), format!("texts of 10 kB, {of}"))
    });
    long.into_iter().chain([CheckSample::of(callback, Edit::Large("large "), "texts of 1 MB together")]).collect()
}

pub(super) fn all_texts<T: AsRef<str>>(
    callback: &'static Callback,
    texts: impl IntoIterator<Item = T>,
) -> Vec<CheckSample> {
    texts.into_iter().map(|text| CheckSample::texts(callback, text.as_ref())).collect()
}

pub(super) fn emoji(callback: &'static Callback) -> Vec<CheckSample> {
    let texts =
        ["😀", "Mom ❤️", "👩‍👩‍👧‍👦 family", "👍🏽", "🇨🇳🇺🇦", "1️⃣", "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}"];
    all_texts(callback, texts)
}

pub(super) fn right_to_left(callback: &'static Callback) -> Vec<CheckSample> {
    let texts = [
        "صديقي المفضل",
        "החבר הכי טוב שלי",
        "abc صديق 123",
        "\u{202e}txt.exe",
        "\u{2067}שלום\u{2069} world",
        "a\u{200f}b",
    ];
    all_texts(callback, texts)
}

/// NUL alone and in each place, and all others in two texts.
pub(super) fn control_characters(callback: &'static Callback) -> Vec<CheckSample> {
    let others = |from: char, to: char| {
        (from..=to).filter(|char| char.is_control() && !char.is_whitespace()).flat_map(|char| ['a', char]).collect()
    };
    let texts: [String; 2] = [others('\u{1}', '\u{7f}'), others('\u{80}', '\u{9f}')];
    let nul = ["\0", "\0\0\0", "before\0after", "\0first", "last\0"].map(str::to_owned);
    all_texts(callback, nul.into_iter().chain(texts))
}

/// Those alone that languages do not agree about when they trim, and all together.
pub(super) fn white_space(callback: &'static Callback) -> Vec<CheckSample> {
    let alone = [
        " ", "\t", "\r\n", "\u{b}", "\u{85}", "\u{a0}", "\u{2003}", "\u{2028}", "\u{3000}", "\u{200b}", "\u{feff}",
        "\u{180e}",
    ];
    let all: String = ('\0'..='\u{ffff}').filter(|char| char.is_whitespace()).chain(INVISIBLE).collect();
    let around = format!("{all}My{all}Friend{all}");
    all_texts(callback, alone.into_iter().chain([&*all, &around]))
}

/// No white space by Unicode, and as invisible.
const INVISIBLE: [char; 6] = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{180e}'];

pub(super) fn newer(callback: &'static Callback) -> Vec<CheckSample> {
    let fields: [(u32, WireType, &[u8]); 5] = [
        (1001, WireType::Varint, &[0x96, 0x01]),
        (1002, WireType::LengthDelimited, b"\x05newer"),
        (1003, WireType::SixtyFourBit, &[1; 8]),
        (20_000, WireType::ThirtyTwoBit, &[1; 4]),
        ((1 << 29) - 1, WireType::LengthDelimited, &[0]),
    ];
    let mut all = CheckSample { label: "new fields of every type".to_owned(), ..CheckSample::ordinary(callback) };
    for (number, kind, value) in fields {
        encode_key(number, kind, &mut all.newer);
        all.newer.extend_from_slice(value);
    }
    // Longer than any reader's buffer on the stack.
    let mut long = CheckSample { label: "a new field of 10 kB".to_owned(), ..CheckSample::ordinary(callback) };
    encode_key(1001, WireType::LengthDelimited, &mut long.newer);
    encode_varint(LONG as u64, &mut long.newer);
    long.newer.extend([b'n'; LONG]);
    vec![all, long]
}

pub(super) fn repeated(callback: &'static Callback) -> [CheckSample; 2] {
    [CheckSample::ordinary(callback), CheckSample::texts(callback, " My  Best\tFriend ")]
}

/// What brings a service near to a change that OpenIM cannot carry out.
pub(super) fn tempting(callback: &'static Callback) -> Vec<CheckSample> {
    let fields = callback.guards.iter().filter_map(|guard| {
        let (key, json) = guard.tempted_by()?;
        Some(CheckSample::set(callback, Map::from_iter([(key.to_owned(), serde_json::from_str(json).ok()?)])))
    });
    // A list cannot hold what a text can.
    fields.filter(|sample| sample.question().is_some()).collect()
}

/// A text in quotes, safe to show.
pub(super) fn quoted(text: &str) -> String {
    text::quoted(text, SHOWN_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::CALLBACKS;

    #[test]
    fn every_question_is_one_that_the_bridge_asks() {
        for callback in CALLBACKS {
            let kinds = [empty, emoji, right_to_left, control_characters, white_space, newer, tempting];
            let all = kinds.iter().flat_map(|kind| kind(callback)).chain(repeated(callback));
            for sample in all.chain([CheckSample::ordinary(callback)]) {
                let question = sample.question().unwrap_or_else(|| panic!("{}: {sample}", callback.name));
                let known = callback.rpc.request.json_of(&question.frame[5..]);
                assert_eq!(callback.rpc.request.json_of(&sample.message(&question)), known, "{sample}");
            }
        }
    }

    #[test]
    fn a_text_is_in_every_field_that_takes_one_and_within_an_object() {
        for callback in CALLBACKS {
            let question = CheckSample::texts(callback, "needle").question().expect("a callback");
            let json = callback.rpc.request.json_of(&question.frame[5..]).expect("a message");
            assert!(json.matches("needle").count() >= count_texts(callback.rpc.request), "{json}");
            for kept in ["single one", "fromUserID\\\":\\\"u1"] {
                assert!(!json.contains(kept), "{json}");
            }
        }
    }

    #[test]
    fn a_large_question_is_one_that_is_passed_on() {
        for callback in CALLBACKS.iter().filter(|callback| count_texts(callback.rpc.request) > 0).step_by(8) {
            let large = long(callback).pop().and_then(|sample| sample.question()).expect("a callback").frame.len();
            assert!((1 << 20) - (1 << 10) < large && large < 3 << 20, "{}: {large}", callback.name);
        }
    }
}
