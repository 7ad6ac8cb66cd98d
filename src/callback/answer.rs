//! What OpenIM takes of an answer beside the verdict, for the tools: which fields, and what comes of them. It follows from what a
//! change may set, from what must be repeated, and from the guards; the rest is in the row ([`AnswerRule`]).

use std::fmt;

use serde_json::{Map, Value};

use super::codec::guard::{holds_object, is_notification};
use super::row::{AnswerRule, CONTENT_TYPE, Callback, Echo, Guard, Kind, SESSION_TYPE};
use super::shape::{Field, FieldKind, Shape};
use crate::base::json::Scanner;
use crate::openim::client::{JsonType, OpenIm, OpenImAnswer, OpenImError, Reading, Undecodable, is_same_key};

/// So many names are kept of the members that OpenIM does nothing with.
const MOST_NAMES: usize = 20;

/// What OpenIM takes of an answer.
#[derive(Debug, Default)]
pub struct Effects {
    /// All that it decodes beside the verdict. What should be repeated and is not has its default.
    pub decoded: Vec<(&'static str, Value)>,
    pub taken: Vec<Taken>,
    pub notes: Vec<AnswerNote>,
    /// Why its user's action fails over it.
    pub failure: Option<AnswerFailure>,
}

/// A field of the answer that OpenIM takes.
#[derive(Debug, PartialEq)]
pub struct Taken {
    pub key: &'static str,
    /// What its user asked for; `None` where the request does not say.
    pub asked: Option<Value>,
    /// What it becomes; `None` where OpenIM drops what its user asked for.
    pub told: Option<Value>,
}

/// What an answer's author should know.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum AnswerNote {
    Empty(&'static str),
    Blank(&'static str),
    Zero(&'static str),
    MessageLost(&'static str),
    Notification,
    MayPanic(&'static str),
    Unnamed(&'static str, &'static str),
    Ignored(Vec<String>),
}

/// Why an answer that OpenIM can read makes its user's action fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum AnswerFailure {
    #[error("OpenIM always overwrites {0}, and the answer does not repeat it")]
    NotRepeated(&'static str),
    #[error("the answer sets {0}, for which its user did not ask")]
    NotAsked(&'static str),
    #[error("an entry of {0} has no {1}")]
    Unnamed(&'static str, &'static str),
    #[error("{0} is no JSON object")]
    NotJson(&'static str),
}

impl AnswerFailure {
    /// What the API's caller gets.
    #[must_use]
    pub const fn error(self) -> OpenImError {
        match self {
            Self::NotRepeated(_) => OpenImError::Internal,
            Self::NotAsked(_) | Self::Unnamed(..) => OpenImError::Panic,
            Self::NotJson(_) => OpenImError::Args,
        }
    }
}

impl Taken {
    /// Whether it becomes another than its user asked for.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.asked != self.told
    }
}

impl Effects {
    /// What becomes another than its user asked for.
    pub fn changes(&self) -> impl Iterator<Item = &Taken> {
        self.taken.iter().filter(|taken| taken.is_changed())
    }
}

/// A field of the callback's answer.
#[derive(Clone, Copy)]
struct Own {
    key: &'static str,
    /// The message that has it, where one does: what its type is.
    shape: Option<&'static Shape>,
    rule: Option<AnswerRule>,
}

impl Own {
    fn field(self) -> Option<&'static Field> {
        self.shape?.field(self.key)
    }

    fn check(self, json: &str) -> Result<(), Undecodable> {
        let (Some(shape), Some(field)) = (self.shape, self.field()) else { return Ok(()) };
        let found = JsonType::of(json);
        let is_right = match field.kind {
            FieldKind::Text if !field.repeated => found == JsonType::String,
            _ => shape.message_of(&format!("{{\"{}\":{json}}}", self.key)).is_some(),
        };
        if is_right {
            return Ok(());
        }
        let (expected, of) = match field.kind {
            _ if field.repeated => ("a list", Some(JsonType::Array)),
            FieldKind::Texts => ("a list", Some(JsonType::Array)),
            FieldKind::Message(_) => ("an object", Some(JsonType::Object)),
            FieldKind::Text => ("a string", None),
            FieldKind::Bool => ("a boolean", None),
            FieldKind::Int32 => ("an integer from -2147483648 to 2147483647", None),
            FieldKind::Int64 | FieldKind::Uint32 => ("an integer", None),
        };
        Err(Undecodable::OwnField { key: self.key, found, expected, is_nested: Some(found) == of })
    }

    fn value(self, json: &str) -> Value {
        match self.field() {
            // As Go reads it, lone surrogates too.
            Some(Field { kind: FieldKind::Text, repeated: false, .. }) => {
                Value::String(Scanner::new(json).string().map(|text| text.decoded().into_owned()).unwrap_or_default())
            }
            _ => serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_owned())),
        }
    }
}

impl Callback {
    /// How OpenIM reads an answer.
    #[must_use]
    pub fn reading(&'static self, answer: &[u8]) -> Reading {
        let own = self.own_fields();
        let answer = OpenImAnswer::decode_with(answer, &mut |key, json| {
            let field = own.iter().find(|field| json != "null" && is_same_key(key, field.key));
            field.map_or(Ok(()), |field| field.check(json))
        });
        Reading { answer }
    }

    /// How OpenIM reads an answer to this request, and what it takes of it. What OpenIM only tells has no answer to it.
    #[must_use]
    pub fn read_answer(&'static self, request: &[u8], answer: &[u8]) -> (Reading, Effects) {
        let (own, mut told, mut ignored) = (self.own_fields(), Vec::<(Own, Value)>::new(), Vec::new());
        let answer = OpenImAnswer::decode_with(answer, &mut |key, json| {
            let Some(field) = own.iter().find(|field| is_same_key(key, field.key)) else {
                if ignored.len() < MOST_NAMES && !ignored.iter().any(|name| name == key) {
                    ignored.push(key.to_owned());
                }
                return Ok(());
            };
            if json == "null" {
                return Ok(());
            }
            field.check(json)?;
            if field.rule == Some(AnswerRule::Ignored) && !ignored.iter().any(|name| name == field.key) {
                ignored.push(field.key.to_owned());
            }
            // One that comes again overrides.
            told.retain(|(other, _)| other.key != field.key);
            told.push((*field, field.value(json)));
            Ok(())
        });
        let reading = Reading { answer };
        let mut effects = Effects {
            decoded: told.iter().map(|(field, value)| (field.key, value.clone())).collect(),
            ..Effects::default()
        };
        for key in self.repeated_keys().iter().filter(|key| told.iter().all(|(field, _)| field.key != **key)) {
            effects.decoded.push((key, if self.is_nullable(key) { Value::Null } else { "".into() }));
        }
        if !self.is_after() && matches!(reading.open_im(), OpenIm::GoesOn) {
            let request: Map<String, Value> = serde_json::from_slice(request).unwrap_or_default();
            for field in own.iter().filter(|field| field.rule != Some(AnswerRule::Ignored)) {
                let told = told.iter().find(|(told, _)| told.key == field.key).map(|(_, value)| value);
                self.add(*field, told, &request, &mut effects);
            }
            let is_notification = request.get(CONTENT_TYPE).and_then(Value::as_i64).is_some_and(is_notification);
            if self.guards.contains(&Guard::NotNotification) && is_notification && effects.changes().next().is_some() {
                effects.notes.push(AnswerNote::Notification);
            }
            if !ignored.is_empty() {
                effects.notes.push(AnswerNote::Ignored(ignored));
            }
        }
        (reading, effects)
    }

    /// All fields of an answer that OpenIM decodes, but the verdict's.
    fn own_fields(&self) -> Vec<Own> {
        let change = self.rpc.change;
        let changed = change.into_iter().flat_map(|shape| shape.fields);
        let mut own: Vec<_> = changed.map(|field| Own { key: field.key, shape: change, rule: None }).collect();
        let of_request = |key: &'static str| self.rpc.request.index(key).map(|_| self.rpc.request);
        for key in self.repeated_keys() {
            if own.iter().all(|field| field.key != *key) {
                own.push(Own { key, shape: of_request(key), rule: None });
            }
        }
        for (key, rule) in self.answered {
            match own.iter_mut().find(|field| field.key == *key) {
                Some(field) => field.rule = Some(*rule),
                None => own.push(Own { key, shape: of_request(key), rule: Some(*rule) }),
            }
        }
        own
    }

    fn add(&self, field: Own, told: Option<&Value>, request: &Map<String, Value>, effects: &mut Effects) {
        let key = field.key;
        let asked = request.get(key).filter(|value| !value.is_null());
        let is_overwritten =
            matches!(self.kind, Kind::Before { echo: Echo::Required(keys), .. } if keys.contains(&key));
        // What is no pointer to OpenIM has no other way to say nothing.
        let may_be_empty = self.is_nullable(key);
        let is_nothing = told.is_none_or(|told| !may_be_empty && is_empty(told));
        let mut dropped = || {
            if asked.is_some_and(|asked| may_be_empty || !is_empty(asked)) {
                effects.taken.push(Taken { key, asked: asked.cloned(), told: None });
            }
        };
        if is_overwritten && is_nothing {
            if self.required_keys().any(|required| required == key) {
                effects.failure = effects.failure.or(Some(AnswerFailure::NotRepeated(key)));
            } else {
                dropped();
            }
            return;
        }
        let Some(told) = told else { return };
        if is_empty(told) && field.rule == Some(AnswerRule::DroppedWhenEmpty) {
            return dropped();
        }
        // An empty list of objects says nothing. An empty receiver does.
        let is_receiver = self.guards.iter().any(|guard| matches!(guard, Guard::InSession(of, _) if *of == key));
        let is_none = field.field().is_some_and(|field| field.repeated)
            || self.guards.contains(&Guard::NotEmpty(key)) && !is_receiver;
        if is_empty(told) && is_none {
            return effects.notes.push(AnswerNote::Empty(key));
        }
        if field.rule == Some(AnswerRule::MayPanic) {
            effects.notes.push(AnswerNote::MayPanic(key));
        }
        let takes_unnamed = field.rule == Some(AnswerRule::StoredWithoutKey);
        for guard in self.guards {
            let lacks =
                |of: &str| entries(told).any(|entry| entry.get(of).is_none_or(|text| text.is_null() || is_empty(text)));
            let mut fails = |failure| _ = effects.failure.get_or_insert(failure);
            match *guard {
                Guard::Asked(of) if of == key && asked.is_none() => fails(AnswerFailure::NotAsked(key)),
                Guard::JsonObject(of) if of == key && !is_object(told) => fails(AnswerFailure::NotJson(key)),
                Guard::EachHas(list, of) if list == key && lacks(of) && !takes_unnamed => {
                    fails(AnswerFailure::Unnamed(key, of));
                }
                Guard::EachHas(list, of) if list == key && lacks(of) => {
                    effects.notes.push(AnswerNote::Unnamed(key, of));
                }
                Guard::NotBlank(of) if of == key && is_overwritten && may_be_empty && is_blank(told) => {
                    effects.notes.push(AnswerNote::Blank(key));
                }
                Guard::NotZero(of) if of == key && *told == 0 => effects.notes.push(AnswerNote::Zero(key)),
                Guard::EachNotZero(list, of)
                    if list == key && entries(told).any(|entry| entry.get(of).is_some_and(|of| *of == 0)) =>
                {
                    effects.notes.push(AnswerNote::Zero(of));
                }
                Guard::InSession(of, session)
                    if of == key && (is_empty(told) || request.get(SESSION_TYPE) != Some(&session.into())) =>
                {
                    effects.notes.push(AnswerNote::MessageLost(key));
                }
                _ => {}
            }
        }
        effects.taken.push(Taken { key, asked: asked.cloned(), told: Some(told.clone()) });
    }
}

fn is_object(value: &Value) -> bool {
    value.as_str().is_some_and(holds_object)
}

fn is_empty(value: &Value) -> bool {
    value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty)
}

fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl fmt::Display for AnswerNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(key) => write!(f, "{key} is empty, which OpenIM takes for no change"),
            Self::Blank(key) => write!(f, "{key} is blank: OpenIM drops the whole update, and reports success"),
            Self::Zero(key) => write!(f, "{key} is 0, which is none"),
            Self::MessageLost(key) => {
                write!(f, "OpenIM loses the message: {key} is empty, or not for this kind of session")
            }
            Self::Notification => f.write_str("the answer changes a notification, on which OpenIM's clients rely"),
            Self::MayPanic(key) => {
                write!(f, "{key} makes OpenIM panic unless there is one already, which the request does not show")
            }
            Self::Unnamed(list, key) => write!(f, "an entry of {list} has no {key}, and OpenIM takes it so"),
            Self::Ignored(names) => write!(f, "OpenIM does nothing with {}", names.join(", ")),
        }
    }
}
