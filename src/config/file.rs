//! The YAML file: from text to keys and values that know where they stand. Called by [`super::load()`] alone.
//!
//! What a setting's value may be is not known here, only which keys there are.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_saphyr::{Location, Spanned, UserMessageFormatter, options::DuplicateKeyPolicy};

use super::{
    error::{Problem, Source},
    leaf::{Leaf, closest, nearest},
    load::Entry,
};

/// The largest file that is read. Guards against a mistaken path, such as one to a device.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The settings of the file at `path`, and what is wrong with it. An empty file sets none.
pub(super) fn read(path: &Path, leaves: &'static [Leaf]) -> (Vec<Entry>, Vec<Problem>) {
    match read_text(path) {
        Ok(text) => parse(&text, path, leaves),
        Err(source) => (Vec::new(), vec![Problem::Unreadable { path: path.to_owned(), source }]),
    }
}

/// A whole file of text.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB, which no configuration is"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"))
}

/// The settings of a file's text, and what is wrong with it.
pub(super) fn parse(text: &str, path: &Path, leaves: &'static [Leaf]) -> (Vec<Entry>, Vec<Problem>) {
    let mut walk = Walk { path, leaves, entries: Vec::new(), problems: Vec::new() };
    match document(text) {
        Ok(Some(document)) => walk.group("", &document.value, document.referenced),
        Ok(None) => {}
        Err(error) => {
            let at = place(path, error.location().unwrap_or(Location::UNKNOWN));
            walk.problems.push(Problem::Syntax { at, message: syntax_message(&error) });
        }
    }
    (walk.entries, walk.problems)
}

/// The text of a scalar as YAML: plain where it then reads back as itself, quoted otherwise.
pub(super) fn quote(text: &str) -> String {
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

fn document(text: &str) -> Result<Option<Spanned<Yaml>>, serde_saphyr::Error> {
    // Far more than a configuration needs, far less than an alias bomb wants. Duplicate keys are found by `Walk`, which
    // can name both places.
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        budget: serde_saphyr::budget! { max_depth: 32, max_events: 100_000, max_aliases: 1_000, max_anchors: 1_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000, max_replay_stack_depth: 16 },
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// What the parser says, without the place, which is told before it.
fn syntax_message(error: &serde_saphyr::Error) -> String {
    let message = error.render_with_formatter(&UserMessageFormatter);
    let place = error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    message.trim_end_matches(place.as_deref().unwrap_or_default()).to_owned()
}

fn place(path: &Path, location: Location) -> Source {
    Source::File { path: path.to_owned(), line: location.line(), column: location.column() }
}

struct Walk<'a> {
    path: &'a Path,
    leaves: &'static [Leaf],
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    /// A mapping whose keys continue `prefix`: empty, or a group's key and a dot.
    fn group(&mut self, prefix: &str, value: &Yaml, location: Location) {
        let pairs = match value {
            Yaml::Scalar(Json::Null) => return,
            Yaml::Map(pairs) => pairs,
            _ => {
                let at = place(self.path, location);
                let group = prefix.trim_end_matches('.').to_owned();
                self.problems.push(Problem::NotAMapping { at, group, keys: self.children(prefix) });
                return;
            }
        };
        let mut seen = HashMap::new();
        for (name, node) in pairs {
            let key = format!("{prefix}{}", name.value);
            let at = place(self.path, name.referenced);
            if let Some(first) = seen.insert(&name.value, at.clone()) {
                self.problems.push(Problem::Duplicate { at, key, first });
                continue;
            }
            let group = format!("{key}.");
            // `admin.listen:` in one is no key: there is one way to write a file.
            let leaves = if name.value.contains('.') { &[] } else { self.leaves };
            if let Some(leaf) = leaves.iter().find(|leaf| leaf.key == key) {
                // Nothing after the colon leaves the setting alone.
                if !matches!(node.value, Yaml::Scalar(Json::Null)) {
                    let source = place(self.path, node.referenced);
                    self.entries.push(Entry { leaf, value: node.value.json(), source });
                }
            } else if leaves.iter().any(|leaf| leaf.key.starts_with(&group)) {
                self.group(&group, &node.value, node.referenced);
            } else {
                let hint = self.hint(&name.value, prefix);
                self.problems.push(Problem::UnknownKey { at, key, hint });
            }
        }
    }

    /// The names that may stand in a group.
    fn children(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for rest in self.leaves.iter().filter_map(|leaf| leaf.key.strip_prefix(prefix)) {
            let name = rest.split('.').next().unwrap_or(rest);
            if names.last().is_none_or(|last| last != name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    fn hint(&self, name: &str, prefix: &str) -> String {
        let siblings = self.children(prefix);
        if let Some(sibling) = nearest(name, siblings.iter().map(|sibling| (sibling.clone(), sibling))) {
            format!("did you mean `{sibling}`?")
        } else if let Some(leaf) = closest(&format!("{prefix}{name}"), self.leaves) {
            format!("did you mean {}?", leaf.nested())
        } else {
            format!("the keys here are {}", siblings.join(", "))
        }
    }
}

/// A YAML value, with the place of every part.
#[derive(Debug, Clone)]
enum Yaml {
    Scalar(Json),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl Yaml {
    fn json(&self) -> Json {
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
