//! How OpenIM reads an answer: what Go's `encoding/json` makes of the bytes, and what OpenIM then does.
//!
//! For `send`, `demo` and `doctor`, which tell people what OpenIM would do, for tests, and for the bridge where another
//! receiver has answered.
//!
//! OpenIM decodes with `json.Unmarshal` (version 1 of `encoding/json`) into int32 and string fields. That is laxer than
//! serde in some ways (letter case of keys, duplicate keys, `null`, invalid UTF-8) and stricter in none, so [`OpenImAnswer`]
//! has `serde_json` check and cut the text, and only chooses what each piece means.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::text::Text;
use crate::base::json::{NESTING, Scanner};
use crate::openim::ReservedCode;

/// Go's `encoding/json` gives up on deeper nesting.
const MAX_DEPTH: usize = 10_000;

/// What OpenIM decodes of an answer. Fields that are missing or `null` are 0 or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenImAnswer {
    /// Anything but 0 makes OpenIM go on, from v3.7 on.
    pub action_code: i32,
    /// The error's code, used only when OpenIM refuses.
    pub err_code: i32,
    /// The error's short text, used only when OpenIM refuses.
    pub err_msg: String,
    /// The error's detail, used only when OpenIM refuses.
    pub err_dlt: String,
    /// 1 to refuse.
    pub next_code: i32,
}

/// A field that every answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "camelCase", const_into_str)]
pub enum AnswerField {
    ActionCode,
    ErrCode,
    ErrMsg,
    ErrDlt,
    NextCode,
}

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

/// Why OpenIM cannot decode an answer.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Undecodable {
    #[error("the body is empty")]
    Empty,
    /// It is not JSON, or something follows it.
    #[error("the body is not JSON")]
    Syntax(#[from] serde_json::Error),
    /// It is nested too deeply for Go.
    #[error("the body is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// It is JSON, but neither an object nor `null`.
    #[error("the body is {found}; it must be an object")]
    NotAnObject {
        /// What it is instead.
        found: JsonType,
    },
    /// A field is of another type.
    #[error("{field} is {found}; it must be {}", field.expected())]
    WrongType {
        /// The first such field.
        field: AnswerField,
        /// What it is instead.
        found: JsonType,
    },
    /// A field of this callback's answer is of another type.
    #[error("{key} is {found}{}; it must be {expected}", if *.is_nested { " that holds a value of another type" } else { "" })]
    #[strum(serialize = "wrong_type")]
    OwnField {
        key: &'static str,
        found: JsonType,
        expected: &'static str,
        /// Whether it is what lies in it that is wrong.
        is_nested: bool,
    },
    /// A field is a number, but no int32.
    #[error("{field} is a number that is not {} (1.0 and 1e0 are not integers to Go)", field.expected())]
    NotInt32 {
        /// The first such field.
        field: AnswerField,
    },
}

/// An answer as OpenIM reads it.
#[derive(Debug)]
pub struct Reading {
    /// What it decodes, or why it cannot.
    pub answer: Result<OpenImAnswer, Undecodable>,
}

/// What OpenIM (v3.7 and later) does once a callback has ended, well or not.
#[derive(Debug, Clone, Copy)]
pub enum OpenIm<'a> {
    /// It does what its user asked for, with what it takes of the answer.
    GoesOn,
    /// It does not, and its API's caller gets this error.
    Refused { code: i32, message: &'a str, detail: &'a str },
    /// It does not, and its API's caller gets an error of OpenIM's own.
    Fails { error: OpenImError, why: &'a (dyn Error + 'static) },
}

/// The errors of OpenIM's own that a callback can end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenImError {
    /// There was no answer, or it did not come in whole.
    Network,
    /// The answer does not decode.
    Data,
    /// What the answer says is not allowed.
    Args,
    /// What the answer says cannot be done.
    Internal,
    /// The service's handler panics over it, and its caller gets an empty answer.
    Panic,
}

/// Something about an answer that is likely not meant so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Caution {
    /// `nextCode` is a string, as the documented page has it.
    NextCodeString,
    /// `actionCode` is not 0.
    ActionCode(i32),
    /// `errCode` is set in an answer that does not refuse.
    ErrCodeUnused(i32),
    /// A refusal without `errCode`.
    ErrCodeZero,
    /// A refusal whose `errCode` is below 100 (and not 0).
    ErrCodeSmall(i32),
    /// A refusal with one of OpenIM's own token errors, 1500 to 1599.
    ErrCodeToken(i32),
    /// A refusal with another `errCode` outside 5000 to 9999, which is OpenIM's to use.
    ErrCodeForeign(i32),
    /// A refusal with a code that the bridge keeps for itself, 9900 to 9999.
    ErrCodeReserved(i32),
    /// A refusal without `errMsg`.
    ErrMsgEmpty,
}

impl OpenImAnswer {
    /// Decodes a response's body as OpenIM does.
    ///
    /// # Errors
    ///
    /// Where Go's `json.Unmarshal` gives one. Go goes on decoding after a wrong type, but OpenIM uses nothing of it.
    pub fn decode(body: &[u8]) -> Result<Self, Undecodable> {
        Self::decode_with(body, &mut |_, _| Ok(()))
    }

    /// The same, where `other` is told each member besides: its key, and its value as JSON. It may get one twice.
    ///
    /// # Errors
    ///
    /// As [`OpenImAnswer::decode`], and where `other` gives one.
    pub fn decode_with(body: &[u8], other: OtherMembers<'_>) -> Result<Self, Undecodable> {
        if body.is_empty() {
            return Err(Undecodable::Empty);
        }
        let text = replace_invalid(body);
        Self::scanned(&text, other).map_or_else(|| Self::checked(&text, other), Ok)
    }

    /// Whatever it is, and what is wrong with it.
    fn checked(text: &str, other: OtherMembers<'_>) -> Result<Self, Undecodable> {
        let json: &RawValue = serde_json::from_str(text)?;
        if depth(json.get()) > MAX_DEPTH {
            return Err(Undecodable::TooDeep);
        }
        match JsonType::of(json.get()) {
            JsonType::Object => {
                serde_json::Deserializer::from_str(json.get()).deserialize_map(MembersVisitor(other))?
            }
            JsonType::Null => Ok(Self::default()),
            found => Err(Undecodable::NotAnObject { found }),
        }
    }

    /// In one pass, and with what receivers usually say. `None` for everything else: it may still be right.
    fn scanned(text: &str, other: OtherMembers<'_>) -> Option<Self> {
        let mut json = Scanner::new(text);
        let mut answer = Self::default();
        json.expect(b'{')?;
        while !json.take(b'}') {
            let key = json.key()?.decoded();
            match AnswerField::of(&key).map(|field| answer.slot(field)) {
                Some(Slot::Integer(slot)) => *slot = json.integer()?.try_into().ok()?,
                Some(Slot::Text(slot)) => *slot = json.string()?.decoded().into_owned(),
                None => {
                    let start = json.place();
                    json.skip(NESTING)?;
                    other(&key, &text[start..json.end()]).ok()?;
                }
            }
            if !json.take(b',') {
                json.expect(b'}')?;
                break;
            }
            json.place_is(b'"').then_some(())?;
        }
        json.is_at_end().then_some(answer)
    }

    fn set(&mut self, field: AnswerField, value: &RawValue) -> Result<(), Undecodable> {
        let found = JsonType::of(value.get());
        if found == JsonType::Null {
            return Ok(());
        }
        match (self.slot(field), found) {
            (Slot::Integer(slot), JsonType::Number) => {
                *slot = value.get().parse().map_err(|_| Undecodable::NotInt32 { field })?;
            }
            (Slot::Text(slot), JsonType::String) => *slot = serde_json::from_str::<Text>(value.get())?.0,
            _ => return Err(Undecodable::WrongType { field, found }),
        }
        Ok(())
    }

    fn slot(&mut self, field: AnswerField) -> Slot<'_> {
        match field {
            AnswerField::ActionCode => Slot::Integer(&mut self.action_code),
            AnswerField::ErrCode => Slot::Integer(&mut self.err_code),
            AnswerField::ErrMsg => Slot::Text(&mut self.err_msg),
            AnswerField::ErrDlt => Slot::Text(&mut self.err_dlt),
            AnswerField::NextCode => Slot::Integer(&mut self.next_code),
        }
    }

    /// `actionCode` other than 0 means *go on*, whatever `nextCode` says.
    #[must_use]
    pub const fn refuses(&self) -> bool {
        self.action_code == 0 && self.next_code == 1
    }

    fn cautions(&self) -> Vec<Caution> {
        let mut cautions = Vec::new();
        if self.action_code != 0 {
            cautions.push(Caution::ActionCode(self.action_code));
        }
        if self.refuses() {
            cautions.extend(match self.err_code {
                0 => Some(Caution::ErrCodeZero),
                code @ ..100 => Some(Caution::ErrCodeSmall(code)),
                code @ 1500..=1599 => Some(Caution::ErrCodeToken(code)),
                5000..=9899 => None,
                code @ 9900..=9999 => Some(Caution::ErrCodeReserved(code)),
                code => Some(Caution::ErrCodeForeign(code)),
            });
            if self.err_msg.is_empty() {
                cautions.push(Caution::ErrMsgEmpty);
            }
        } else if self.err_code != 0 {
            cautions.push(Caution::ErrCodeUnused(self.err_code));
        }
        cautions
    }
}

enum Slot<'a> {
    Integer(&'a mut i32),
    Text(&'a mut String),
}

impl Reading {
    /// Reads a response's body. Its status plays no part: OpenIM never looks at it.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self { answer: OpenImAnswer::decode(body) }
    }

    #[must_use]
    pub fn open_im(&self) -> OpenIm<'_> {
        match &self.answer {
            Ok(OpenImAnswer { err_code, err_msg, err_dlt, .. }) if self.refuses() => {
                OpenIm::Refused { code: *err_code, message: err_msg, detail: err_dlt }
            }
            Ok(_) => OpenIm::GoesOn,
            Err(why) => OpenIm::Fails { error: OpenImError::Data, why },
        }
    }

    /// What is worth telling whoever wrote the answer.
    #[must_use]
    pub fn cautions(&self) -> Vec<Caution> {
        match &self.answer {
            Ok(answer) => answer.cautions(),
            Err(Undecodable::WrongType { field: AnswerField::NextCode, found: JsonType::String }) => {
                vec![Caution::NextCodeString]
            }
            Err(_) => vec![],
        }
    }

    fn refuses(&self) -> bool {
        self.answer.as_ref().is_ok_and(OpenImAnswer::refuses)
    }
}

impl OpenImError {
    /// The `errCode` that the API's caller gets.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Network => 90004,
            Self::Data => 90007,
            Self::Args => 1001,
            Self::Internal | Self::Panic => 500,
        }
    }

    /// The `errMsg` that the API's caller gets.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "NetworkError",
            Self::Data => "DataError",
            Self::Args => "ArgsError",
            Self::Internal => "ServerInternalError",
            Self::Panic => "",
        }
    }
}

impl AnswerField {
    const ALL: [Self; 5] = [Self::ActionCode, Self::ErrCode, Self::ErrMsg, Self::ErrDlt, Self::NextCode];

    const fn expected(self) -> &'static str {
        match self {
            Self::ActionCode | Self::ErrCode | Self::NextCode => "an integer from -2147483648 to 2147483647",
            Self::ErrMsg | Self::ErrDlt => "a string",
        }
    }

    fn of(key: &str) -> Option<Self> {
        let exactly = Self::ALL.into_iter().find(|field| key == field.into_str());
        exactly.or_else(|| Self::ALL.into_iter().find(|field| is_same_key(key, field.into_str())))
    }
}

/// Go compares keys by Unicode's simple case folding.
#[must_use]
pub fn is_same_key(one: &str, other: &str) -> bool {
    one.chars().map(fold).eq(other.chars().map(fold))
}

/// Simple case folding, as far as it can meet an ASCII letter: U+017F and U+212A are the only others that do.
const fn fold(char: char) -> char {
    match char {
        'ſ' => 's',
        '\u{212a}' => 'k',
        char => char.to_ascii_lowercase(),
    }
}

impl JsonType {
    /// Of a value that begins at once.
    #[must_use]
    pub fn of(json: &str) -> Self {
        match json.as_bytes().first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }
}

/// Told each member that not every answer has.
pub type OtherMembers<'a> = &'a mut dyn FnMut(&str, &str) -> Result<(), Undecodable>;

/// An object's members as one answer. The inner error is the first wrong type; the syntax is checked to the end first.
struct MembersVisitor<'a>(OtherMembers<'a>);

impl<'de> Visitor<'de> for MembersVisitor<'_> {
    type Value = Result<OpenImAnswer, Undecodable>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut answer = OpenImAnswer::default();
        let mut first = Ok(());
        while let Some((Text(key), value)) = map.next_entry::<Text, &RawValue>()? {
            // A key that comes again overrides.
            let set = match AnswerField::of(&key) {
                Some(field) => answer.set(field, value),
                None => (self.0)(&key, value.get()),
            };
            first = first.and(set);
        }
        Ok(first.map(|()| answer))
    }
}

/// Go takes invalid UTF-8 inside strings for U+FFFD, one for each byte. Outside strings both are errors.
fn replace_invalid(body: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(body) {
        return text.into();
    }
    let mut text = String::with_capacity(body.len() + 64);
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text.into()
}

/// How deeply arrays and objects are nested. `json` must be JSON: only its strings have to be skipped.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl fmt::Display for AnswerField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.into_str())
    }
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

impl fmt::Display for Caution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NextCodeString => f.write_str(
                "nextCode is a string, as OpenIM's documented page shows it, but OpenIM Server decodes only an integer: \
                 write 0 or 1 without quotes",
            ),
            Self::ActionCode(code) => write!(
                f,
                "actionCode {code} makes OpenIM go on from v3.7 on, while v3.5 and v3.6 refuse: send actionCode 0 \
                 always, and nextCode 1 to refuse"
            ),
            Self::ErrCodeUnused(code) => write!(
                f,
                "errCode {code} has no effect here: OpenIM refuses only if actionCode is 0 and nextCode is 1"
            ),
            Self::ErrCodeZero => f.write_str(
                "a refusal with errCode 0 looks like success to the API's caller while nothing is stored (v3.8.3 makes \
                 it 500): use 5000 to 9899",
            ),
            Self::ErrCodeSmall(code) => {
                write!(f, "OpenIM misreads a refusal's errCode below 100: {code} may become 500; use 5000 to 9899")
            }
            Self::ErrCodeToken(code) => write!(
                f,
                "errCode {code} is among OpenIM's own token errors, 1500 to 1599, on which clients may log their user \
                 out: use 5000 to 9899"
            ),
            Self::ErrCodeForeign(code) => {
                write!(f, "errCode {code} is not for a decision service, and may be one of OpenIM's own: use 5000 to 9899")
            }
            Self::ErrCodeReserved(code) => match RESERVED.iter().find(|(reserved, _)| *reserved as i32 == *code) {
                Some((_, words)) => write!(f, "errCode {code} is the bridge's own, not your decision service's: {words}"),
                None => write!(f, "errCode {code} is among those that the bridge keeps for itself, 9900 to 9999"),
            },
            Self::ErrMsgEmpty => f.write_str("errMsg is empty, and OpenIM passes it on as such: say why it is refused"),
        }
    }
}

/// The bridge's own codes in words.
const RESERVED: [(ReservedCode, &str); 18] = [
    (ReservedCode::MalformedBody, "a rejected request, whose body is malformed, or lacks a field, or has a wrong type"),
    (ReservedCode::UnservedCommand, "a rejected request, whose URL names no command, or one that is not served"),
    (ReservedCode::CommandMismatch, "a rejected request, whose body names another command than its URL"),
    (ReservedCode::MissingOperationId, "a rejected request, whose header operationID is missing or empty"),
    (ReservedCode::BodyTooLarge, "a rejected request, whose body is too large"),
    (ReservedCode::ContentType, "a rejected request, whose content type is missing or not JSON"),
    (ReservedCode::Method, "a rejected request, whose method is not POST"),
    (ReservedCode::Credentials, "a rejected request, whose credentials are missing or wrong"),
    (ReservedCode::ContentTypeParameter, "a rejected request, whose URL has a contenttype other than json"),
    (ReservedCode::Address, "a request from an address that is not allowed"),
    (ReservedCode::Route, "a refusal by the bridge's configuration, `route: refuse`, without asking anybody"),
    (ReservedCode::Timeout, "the fallback, since the decision service did not answer in time"),
    (ReservedCode::Unavailable, "the fallback, since the decision service could not be reached"),
    (ReservedCode::Overloaded, "the fallback, since the bridge was overloaded"),
    (ReservedCode::Denied, "the fallback, since the decision service turned the bridge away"),
    (ReservedCode::Unimplemented, "the fallback, since the decision service lacks the rpc"),
    (ReservedCode::InvalidReply, "the decision service's reply was not a valid decision"),
    (ReservedCode::Internal, "the fallback, since something else failed"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_strings_only() {
        assert_eq!(depth(r#"{"a":["]}[[[\"[[\\"],"b":{}}"#), 2);
        assert_eq!(depth(r#""[""#), 0);
    }

    #[test]
    fn what_is_read_in_one_pass_is_read_as_what_is_checked() {
        for (text, in_one_pass) in [
            (r#"{"actionCode":0,"errCode":5001,"errMsg":"no","errDlt":"","nextCode":1}"#, true),
            (r#" { "NEXTCODE" : -0 , "remark" : "a\ud800\n\u00e9" , "more" : [ { "a" : [ ] } , 1.5e3 ] } "#, true),
            (r#"{"remark":"a","Remark":"b","\u0072emark":"c"}"#, true),
            ("{}", true),
            ("null", false),
            (r#"{"errMsg":null}"#, false),
            (r#"{"errCode":1.0}"#, false),
            (r#"{"errCode":2147483648}"#, false),
            (r#"{"nextCode":"0"}"#, false),
            (r#"{"nextCode":0,}"#, false),
            (r#"{"nextCode":00}"#, false),
            (r#"{"nextCode":0}}"#, false),
            (r#"{"nextCode" 0}"#, false),
            ("{,}", false),
            ("{\"remark\":\"\n\"}", false),
        ] {
            let (mut others, mut others_checked) = (Vec::new(), Vec::new());
            let tell = |others: &mut Vec<_>, key: &str, json: &str| {
                others.push((key.to_owned(), json.to_owned()));
                Ok(())
            };
            let scanned = OpenImAnswer::scanned(text, &mut |key, json| tell(&mut others, key, json));
            assert_eq!(scanned.is_some(), in_one_pass, "{text}");
            if let Some(scanned) = scanned {
                let checked = OpenImAnswer::checked(text, &mut |key, json| tell(&mut others_checked, key, json));
                assert_eq!((scanned, others), (checked.expect("right"), others_checked), "{text}");
            }
        }
    }

    #[test]
    fn keys_meet_by_simple_folding() {
        assert_eq!(AnswerField::of("ERRM\u{17f}G"), Some(AnswerField::ErrMsg));
        assert!(is_same_key("remar\u{212a}", "remark"));
        assert_eq!(AnswerField::of("act\u{131}onCode"), None);
        assert!(!is_same_key("remark ", "remark"));
    }
}
