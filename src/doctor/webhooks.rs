//! OpenIM's webhooks.yml and the variables over it, read as OpenIM reads them.
//!
//! OpenIM (v3.7 and later) reads the file with Go's viper: keys match in any letter case, a variable has effect only
//! where the file has its key, and values are converted where that can be done (`"true"` is a flag, `"5"` a number). What
//! cannot be converted, and a key that stands twice, keeps OpenIM from starting.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use serde_saphyr::{Location, Spanned};

use super::part::{Part, Unreadable, is_callback, is_webhooks, syntax};
use super::place::Place;
use super::variables::{PREFIX, Variable};
use crate::base::yaml::{Yaml, document};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookValue {
    /// As it is written; `null` where nothing is.
    pub json: Json,
    pub at: Place,
}

/// A callback's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookField {
    Enable,
    /// `timeout`, in seconds.
    Timeout,
    FailedContinue,
    AttentionIds,
    AllowedTypes,
    DeniedTypes,
}

impl WebhookField {
    /// All that are looked at.
    pub const ALL: [Self; 6] =
        [Self::Enable, Self::Timeout, Self::FailedContinue, Self::AttentionIds, Self::AllowedTypes, Self::DeniedTypes];

    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Timeout => "timeout",
            Self::FailedContinue => "failedContinue",
            Self::AttentionIds => "attentionIds",
            Self::AllowedTypes => "allowedTypes",
            Self::DeniedTypes => "deniedTypes",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackConfig {
    /// As it is written.
    pub name: String,
    pub at: Place,
    pub is_empty: bool,
    pub values: Vec<(WebhookField, WebhookValue)>,
    pub others: Vec<(String, Place)>,
}

/// What OpenIM does not read as it may have been meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oddity {
    /// A key stands twice.
    Duplicate { key: String, at: Place, first: Place },
    /// `url` or a callback stands under another key.
    Nested { key: String, at: Place, under: String },
    /// A callback is no mapping.
    NotAMapping { key: String, at: Place },
    /// A variable has no effect, since the file has no such key.
    NoSuchKey { name: String, at: Place },
    /// A variable that programs read differently.
    QuotedVariable { name: String, at: Place },
    /// The file with variables has none for webhooks.yml.
    NoVariables { at: Place },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Webhooks {
    /// The file, where there is one.
    pub path: Option<PathBuf>,
    /// `url`, where there is the key.
    pub url: Option<WebhookValue>,
    pub callbacks: Vec<CallbackConfig>,
    pub oddities: Vec<Oddity>,
    /// Top-level keys that are neither `url` nor a callback.
    pub others: Vec<(String, Place)>,
}

/// The file, and where all of webhooks.yml is if it has no lines of its own there.
#[derive(Clone, Copy)]
struct Origin<'a> {
    path: &'a Path,
    at: Option<Location>,
}

impl Origin<'_> {
    fn place(self, at: Location) -> Place {
        Place::of(self.path, self.at.unwrap_or(at))
    }
}

impl Webhooks {
    /// Reads the text of the file at `path`, wherever webhooks.yml stands in it.
    ///
    /// # Errors
    ///
    /// When it is not YAML, or holds no webhooks.yml, or more than one.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Unreadable> {
        let part = Part::of(text, path)?;
        let alone = part.alone(text);
        let origin = Origin { path, at: part.at() };
        let mut webhooks = Self { path: Some(path.to_owned()), ..Self::default() };
        let tree = document(&alone).map_err(|error| match part.at() {
            Some(at) => Unreadable::NotAMapping { at: Place::of(path, at) },
            None => syntax(&alone, path, &error),
        })?;
        match tree.map(|tree| (is_webhooks(&tree.value), tree)) {
            Some((true, Spanned { value: Yaml::Map(pairs), .. })) => webhooks.top(origin, &pairs),
            Some((false, other)) if !matches!(other.value, Yaml::Map(_)) => {
                return Err(Unreadable::NotAMapping { at: origin.place(other.referenced) });
            }
            _ => return Err(Unreadable::Nothing { path: path.to_owned() }),
        }
        Ok(webhooks)
    }

    fn top(&mut self, origin: Origin<'_>, pairs: &[(Spanned<String>, Spanned<Yaml>)]) {
        for (index, (name, node)) in pairs.iter().enumerate() {
            let at = origin.place(name.referenced);
            self.note_duplicate(origin, &pairs[..index], name, "");
            if name.value.eq_ignore_ascii_case("url") {
                self.url = Some(value(origin, name, node));
            } else if is_callback(&name.value) {
                self.callback(origin, name, node);
            } else {
                self.others.push((name.value.clone(), at));
                self.nested(origin, name, node);
            }
        }
    }

    /// Older versions of OpenIM had all of it under `callback:`.
    fn nested(&mut self, origin: Origin<'_>, outer: &Spanned<String>, node: &Spanned<Yaml>) {
        let Yaml::Map(pairs) = &node.value else { return };
        for (name, _) in pairs {
            if name.value.eq_ignore_ascii_case("url") || is_callback(&name.value) {
                let (key, under) = (name.value.clone(), outer.value.clone());
                self.oddities.push(Oddity::Nested { key, at: origin.place(name.referenced), under });
            }
        }
    }

    fn callback(&mut self, origin: Origin<'_>, name: &Spanned<String>, node: &Spanned<Yaml>) {
        let (mut values, mut others) = (Vec::new(), Vec::new());
        let mut is_empty = true;
        match &node.value {
            Yaml::Scalar(Json::Null) => {}
            Yaml::Map(pairs) => {
                is_empty = pairs.is_empty();
                for (index, (key, node)) in pairs.iter().enumerate() {
                    self.note_duplicate(origin, &pairs[..index], key, &name.value);
                    match WebhookField::ALL.into_iter().find(|field| key.value.eq_ignore_ascii_case(field.key())) {
                        Some(field) => values.push((field, value(origin, key, node))),
                        None => others.push((key.value.clone(), origin.place(key.referenced))),
                    }
                }
            }
            _ => {
                let at = origin.place(node.referenced);
                self.oddities.push(Oddity::NotAMapping { key: name.value.clone(), at });
            }
        }
        let at = origin.place(name.referenced);
        self.callbacks.push(CallbackConfig { name: name.value.clone(), at, is_empty, values, others });
    }

    fn note_duplicate(
        &mut self,
        origin: Origin<'_>,
        before: &[(Spanned<String>, Spanned<Yaml>)],
        key: &Spanned<String>,
        group: &str,
    ) {
        if let Some((first, _)) = before.iter().find(|(other, _)| other.value.eq_ignore_ascii_case(&key.value)) {
            let dot = if group.is_empty() { "" } else { "." };
            self.oddities.push(Oddity::Duplicate {
                key: format!("{group}{dot}{}", key.value),
                at: origin.place(key.referenced),
                first: origin.place(first.referenced),
            });
        }
    }

    /// Puts the variables over what the file says. Without a file, each has its key.
    pub fn apply(&mut self, variables: &[Variable]) {
        for variable in variables {
            let Variable { name, value, at, is_quoted } = variable;
            if *is_quoted {
                self.oddities.push(Oddity::QuotedVariable { name: name.clone(), at: at.clone() });
            }
            let value = WebhookValue { json: Json::from(value.as_str()), at: at.clone() };
            let has_effect = match name.strip_prefix(PREFIX) {
                Some("URL") => {
                    let has_key = self.url.is_some() || self.path.is_none();
                    if has_key {
                        self.url = Some(value);
                    }
                    has_key
                }
                Some(keys) => self.set(keys, value),
                None => continue,
            };
            if !has_effect {
                self.oddities.push(Oddity::NoSuchKey { name: name.clone(), at: at.clone() });
            }
        }
    }

    /// Whether `keys`, such as `BEFOREADDFRIEND_ENABLE`, has effect.
    fn set(&mut self, keys: &str, value: WebhookValue) -> bool {
        let Some((callback, key)) = keys.split_once('_') else { return false };
        let has_file = self.path.is_some();
        let found = self.callbacks.iter_mut().position(|it| it.name.eq_ignore_ascii_case(callback));
        let callback = match found {
            Some(index) => &mut self.callbacks[index],
            None if !has_file && is_callback(callback) => {
                let (name, at) = (callback.to_lowercase(), value.at.clone());
                self.callbacks.push(CallbackConfig { name, at, is_empty: true, values: vec![], others: vec![] });
                let Some(last) = self.callbacks.last_mut() else { return false };
                last
            }
            None => return false,
        };
        let Some(field) = WebhookField::ALL.into_iter().find(|field| key.eq_ignore_ascii_case(field.key())) else {
            return !has_file || callback.others.iter().any(|(other, _)| other.eq_ignore_ascii_case(key));
        };
        match callback.values.iter_mut().find(|(other, _)| *other == field) {
            Some((_, old)) => *old = value,
            None if has_file => return false,
            None => callback.values.push((field, value)),
        }
        true
    }

    /// The callbacks whose key says that OpenIM sends them.
    pub fn enabled(&self) -> impl Iterator<Item = &CallbackConfig> {
        self.callbacks.iter().filter(|callback| callback.is_enabled())
    }

    /// The callback of this name.
    #[must_use]
    pub fn callback_named(&self, name: &str) -> Option<&CallbackConfig> {
        self.callbacks.iter().find(|callback| callback.name.eq_ignore_ascii_case(name))
    }
}

impl CallbackConfig {
    #[must_use]
    pub fn value(&self, field: WebhookField) -> Option<&WebhookValue> {
        self.values.iter().find(|(other, _)| *other == field).map(|(_, value)| value)
    }

    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.value(WebhookField::Enable).and_then(WebhookValue::flag).unwrap_or_default()
    }
}

impl WebhookValue {
    /// As OpenIM converts it to a list of texts; empty where nothing is, or it cannot.
    #[must_use]
    pub fn items(&self) -> Vec<String> {
        let text = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
        match &self.json {
            Json::Array(items) => items.iter().map(text).collect(),
            Json::String(items) => items.split(',').map(str::to_owned).filter(|item| !item.is_empty()).collect(),
            _ => vec![],
        }
    }

    /// As OpenIM converts it to a text; `None` where it cannot.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match &self.json {
            Json::Null => Some(String::new()),
            Json::Bool(flag) => Some(u8::from(*flag).to_string()),
            Json::Number(number) => Some(number.to_string()),
            Json::String(text) => Some(text.clone()),
            Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// As OpenIM converts it to a flag; `None` where it cannot.
    #[must_use]
    pub fn flag(&self) -> Option<bool> {
        match &self.json {
            Json::Null => Some(false),
            Json::Bool(flag) => Some(*flag),
            Json::Number(number) => Some(number.as_f64() != Some(0.0)),
            Json::String(text) => match text.as_str() {
                "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
                "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
                _ => None,
            },
            Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// As OpenIM converts it to a whole number; `None` where it cannot.
    #[must_use]
    pub fn whole(&self) -> Option<i64> {
        match &self.json {
            Json::Null => Some(0),
            Json::Bool(flag) => Some(i64::from(*flag)),
            // Go cuts what is behind the point; `as` does the same, and stays within bounds.
            #[allow(clippy::cast_possible_truncation)]
            Json::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)),
            Json::String(text) if text.is_empty() => Some(0),
            Json::String(text) => go_integer(text),
            Json::Array(_) | Json::Object(_) => None,
        }
    }
}

/// Go's `ParseInt` with base 0, of what may be meant.
fn go_integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.to_ascii_lowercase();
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, &*digits),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
    is_number.then(|| i64::from_str_radix(digits, base).ok()).flatten().map(|number| sign * number)
}

/// The place of a value that is not there is its key's.
fn value(origin: Origin<'_>, name: &Spanned<String>, node: &Spanned<Yaml>) -> WebhookValue {
    let json = node.value.json();
    let at = if json.is_null() { name.referenced } else { node.referenced };
    WebhookValue { json, at: origin.place(at) }
}

/// The callbacks, for a sentence.
pub(super) fn names(callbacks: &[&CallbackConfig]) -> String {
    callbacks.iter().map(|callback| format!("`{}`", callback.name)).collect::<Vec<_>>().join(", ")
}
