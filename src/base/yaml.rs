//! YAML as people write it: any document as a tree in which every part knows where it stands.
//!
//! For `config`, and for `doctor`, which reads another program's file.

use std::{fmt, io, path::Path};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_saphyr::{Spanned, UserMessageFormatter, options::DuplicateKeyPolicy};

use super::bounded_file;

/// The largest file that is read. Guards against a mistaken path, such as one to a device.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A whole file of text.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let bytes = bounded_file::read(path, MAX_FILE_BYTES + 1)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB, which no configuration is"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"))
}

/// The text of a scalar as YAML: plain where it then reads back as itself, quoted otherwise.
pub(crate) fn quote(text: &str) -> String {
    let plain_characters = |c: char| c.is_alphanumeric() || " _-./:+".contains(c);
    let reads_back = || match document(text) {
        Ok(Some(Spanned { value: Yaml::Scalar(Json::String(read)), .. })) => read == text,
        _ => false,
    };
    if text.chars().all(plain_characters) && reads_back() {
        return text.to_owned();
    }
    // JSON is YAML, but for the characters that YAML wants escaped and JSON does not.
    let escaped = |c: char| c.is_control() || "\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}".contains(c);
    let quoted = Json::from(text).to_string();
    quoted.chars().map(|c| if escaped(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}

/// The one document of a text; `None` when there is nothing in it.
pub(crate) fn document(text: &str) -> Result<Option<Spanned<Yaml>>, serde_saphyr::Error> {
    // Far more than a configuration needs, far less than an alias bomb wants. Duplicate keys are found by the caller,
    // who can name both places.
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        budget: serde_saphyr::budget! { max_depth: 32, max_events: 100_000, max_aliases: 1_000, max_anchors: 1_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000, max_replay_stack_depth: 16 },
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// What is wrong with a text of this name, with the place in it.
pub(crate) fn shown(error: &serde_saphyr::Error, origin: &str) -> String {
    error.render_with_options(serde_saphyr::render_options! {
        formatter: &UserMessageFormatter,
        source_name: Some(origin),
    })
}

/// What the parser says, without the place, which is told before it.
pub(crate) fn syntax_message(error: &serde_saphyr::Error) -> String {
    let message = error.render_with_formatter(&UserMessageFormatter);
    let place = error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    message.trim_end_matches(place.as_deref().unwrap_or_default()).to_owned()
}

/// A YAML value, with the place of every part.
#[derive(Debug, Clone)]
pub(crate) enum Yaml {
    Scalar(Json),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl Yaml {
    /// Without the places.
    pub(crate) fn json(&self) -> Json {
        match self {
            Self::Scalar(value) => value.clone(),
            Self::List(items) => items.iter().map(|item| item.value.json()).collect(),
            Self::Map(pairs) => pairs.iter().map(|(key, value)| (key.value.clone(), value.value.json())).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true or false, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Json::Null))
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Json::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        Yaml::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Yaml, E> {
        let number = serde_json::Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Yaml::Scalar(number.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Yaml, A::Error> {
        let mut map = Vec::new();
        while let Some(pair) = pairs.next_entry()? {
            map.push(pair);
        }
        Ok(Yaml::Map(map))
    }
}
