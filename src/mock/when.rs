//! Which calls a rule is for: its callback, and what the fields of the request must hold.

use std::{collections::BTreeMap, fmt};

use regex_lite::Regex;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::Value;

use super::{
    answer::MockReply,
    contract::{callback_named, field_at, holds, no_decision, no_field, retain, retain_changeable},
    remark,
};
use crate::callback::{CALLBACKS, Callback, FieldKind};

/// The key that is no field.
const CALLBACK: &str = "callback";

/// As it is written: the callback, and fields by their paths.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct WrittenWhen(BTreeMap<String, Pattern>);

/// As it is followed.
#[derive(Debug)]
pub(super) struct RuleWhen {
    callbacks: Vec<&'static Callback>,
    fields: Vec<(String, Pattern)>,
}

impl WrittenWhen {
    /// The calls that it is for, where they may be given these replies.
    ///
    /// # Errors
    ///
    /// Where that is no callback at all: what is wrong.
    pub(super) fn read<'a>(self, replies: impl Iterator<Item = &'a MockReply>) -> Result<RuleWhen, String> {
        let Self(mut written) = self;
        let mut callbacks: Vec<_> = match written.remove(CALLBACK) {
            None => CALLBACKS.iter().collect(),
            Some(Pattern::Equal(Value::String(name))) => vec![callback_named(&name)?],
            Some(Pattern::Equal(other)) => return Err(format!("`callback` must be a name, not {other}")),
            Some(Pattern::Found(regex)) => {
                let found: Vec<_> = CALLBACKS.iter().filter(|callback| regex.is_match(callback.name)).collect();
                if found.is_empty() {
                    return Err(format!("`{regex}` is found in no callback's name"));
                }
                found
            }
        };
        let mut fields = Vec::new();
        for (written, pattern) in written {
            let path = match remark::field(&written) {
                Some(path) if callbacks.iter().any(|callback| callback.name == remark::CALLBACK) => {
                    callbacks.retain(|callback| callback.name == remark::CALLBACK);
                    path.to_owned()
                }
                _ => written,
            };
            let kind = |callback: &Callback| field_at(callback.rpc.request, &path).map(|field| &field.kind);
            retain(&mut callbacks, |callback| kind(callback).is_some(), |callbacks| no_field(&path, callbacks))?;
            retain(
                &mut callbacks,
                |callback| kind(callback).is_some_and(|kind| pattern.fits(kind)),
                |callbacks| match callbacks.first().and_then(|callback| kind(callback)) {
                    Some(FieldKind::Message(_)) => {
                        format!("`{path}` is an object: name a field of it, as in `{path}.KEY`")
                    }
                    Some(FieldKind::Texts) => format!("`{path}` is a list of texts: give one of them, or a regex"),
                    Some(kind) => format!("`{path}` must be {}", holds(kind)),
                    None => String::new(),
                },
            )?;
            fields.push((path, pattern));
        }
        for reply in replies {
            if let Some(change) = reply.change() {
                retain_changeable(&mut callbacks, &change)?;
            } else if let ([callback, ..], true) = (&*callbacks, reply.decides())
                && callbacks.iter().all(|callback| callback.is_after())
            {
                return Err(no_decision(callback));
            }
        }
        Ok(RuleWhen { callbacks, fields })
    }
}

impl RuleWhen {
    pub(super) fn holds(&self, callback: &'static Callback, request: &Value) -> bool {
        self.callbacks.iter().any(|one| one.name == callback.name)
            && self.fields.iter().all(|(path, pattern)| any_holds(request, path.split('.'), pattern))
    }
}

/// Whether a value at the end of the path holds, of lists any item.
fn any_holds<'a>(value: &Value, mut path: impl Iterator<Item = &'a str> + Clone, pattern: &Pattern) -> bool {
    if let Value::Array(items) = value {
        return items.iter().any(|item| any_holds(item, path.clone(), pattern));
    }
    match path.next() {
        Some(key) => value.get(key).is_some_and(|value| any_holds(value, path, pattern)),
        None => pattern.holds(value),
    }
}

#[derive(Debug, Clone)]
enum Pattern {
    /// A text, a number, true or false.
    Equal(Value),
    Found(Regex),
}

impl Pattern {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Equal(expected) => expected == value,
            Self::Found(regex) => value.as_str().is_some_and(|text| regex.is_match(text)),
        }
    }

    /// Whether a value of this kind can hold.
    fn fits(&self, kind: &FieldKind) -> bool {
        match (self, kind) {
            (Self::Found(_) | Self::Equal(Value::String(_)), FieldKind::Text | FieldKind::Texts)
            | (Self::Equal(Value::Bool(_)), FieldKind::Bool) => true,
            (Self::Equal(Value::Number(_)), kind) => kind.is_number() && !matches!(kind, FieldKind::Bool),
            _ => false,
        }
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PatternVisitor)
    }
}

struct PatternVisitor;

impl<'de> Visitor<'de> for PatternVisitor {
    type Value = Pattern;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text (in quotes, where it looks like a number), a whole number, true, false or { regex: \"…\" }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Pattern, E> {
        Ok(Pattern::Equal(text.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Pattern, E> {
        Ok(Pattern::Equal(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Pattern, E> {
        Ok(Pattern::Equal(number.into()))
    }

    fn visit_bool<E: Error>(self, is_so: bool) -> Result<Pattern, E> {
        Ok(Pattern::Equal(is_so.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pattern, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum RegexKey {
            Regex,
        }
        let Some(RegexKey::Regex) = map.next_key()? else { return Err(A::Error::missing_field("regex")) };
        let regex = map.next_value::<Search>()?;
        match map.next_key::<RegexKey>()? {
            None => Ok(Pattern::Found(regex.0)),
            Some(RegexKey::Regex) => Err(A::Error::duplicate_field("regex")),
        }
    }
}

/// A regular expression, with an error at its own place.
struct Search(Regex);

impl<'de> Deserialize<'de> for Search {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = String::deserialize(deserializer)?;
        let wrong = |error| D::Error::custom(format_args!("`regex` is no regular expression: {error}"));
        Regex::new(&pattern).map(Self).map_err(wrong)
    }
}
