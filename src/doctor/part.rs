//! Where webhooks.yml stands in a file: it is the whole of it, or a document of several, or the text under a key, as in a
//! Kubernetes `ConfigMap` or a Helm chart's values.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use serde_saphyr::{Location, Spanned};

use super::place::Place;
use crate::base::yaml::{Yaml, document, syntax_message};

/// Why a file cannot be examined at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no YAML.
    #[error("{at}: not valid YAML: {message}")]
    Syntax { at: Place, message: String },
    /// It is YAML of another shape.
    #[error("{at}: not OpenIM's webhooks.yml: expected a mapping with `url` and the callbacks")]
    NotAMapping { at: Place },
    #[error("{}: a Kubernetes {kind} without webhooks.yml in it. Give the ConfigMap that OpenIM mounts: `kubectl get configmap openim-config -o yaml > configmap.yaml`", path.display())]
    Kubernetes { path: PathBuf, kind: String },
    #[error("{}: a Compose file, which sets variables and is not webhooks.yml. Give it as --env, beside OpenIM's webhooks.yml", path.display())]
    Compose { path: PathBuf },
    #[error(
        "{at}: not OpenIM's webhooks.yml: `url` or callbacks stand under `{under}`, where OpenIM does not look. Of a Helm chart, give what `helm template` prints. In webhooks.yml itself, move them to the left margin: that they stood under `callback` ended with v3.6"
    )]
    Nested { at: Place, under: String },
    #[error("{}: neither `url` nor a callback stands in it. Give OpenIM's webhooks.yml, or the Kubernetes ConfigMap that holds it", path.display())]
    Nothing { path: PathBuf },
    #[error("{}: webhooks.yml stands in it more than once, at {places}. Give a file with one of them", path.display())]
    Several { path: PathBuf, places: String },
    /// What stands there cannot be corrected where it is.
    #[error(
        "{at}: webhooks.yml is quoted there, and cannot be corrected in place. Give it as a file: `kubectl get configmap openim-config -o jsonpath='{{.data.webhooks\\.yml}}' > webhooks.yml`"
    )]
    Quoted { at: Place },
}

/// What may be read as webhooks.yml, in a text.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// Bytes of the text, each line of which begins with so many spaces.
    Bytes { range: Range<usize>, indent: usize },
    /// A text that is written with escapes, and where it is: its own lines are not those of the file.
    Quoted { text: String, at: Location },
}

impl Part {
    /// Finds it in the text of the file at `path`.
    pub(super) fn of(text: &str, path: &Path) -> Result<Self, Unreadable> {
        let mut found = Found::default();
        for range in documents(text) {
            let alone = alone(text, &range);
            let Some(tree) = parsed(&alone, path)? else { continue };
            if is_webhooks(&tree.value) {
                found.parts.push((Place::of(path, tree.referenced), Self::Bytes { range, indent: 0 }));
            } else {
                found.note(&tree);
                found.look(text, path, &tree.value, &mut Vec::new());
            }
        }
        if found.parts.len() < 2 {
            return found.parts.pop().map(|(_, part)| part).ok_or_else(|| found.nothing(path));
        }
        let places = found.parts.iter().map(|(place, _)| place.to_string()).collect::<Vec<_>>().join(" and ");
        Err(Unreadable::Several { path: path.to_owned(), places })
    }

    /// The same without the rest of the file. What stands in a file keeps its lines, columns and bytes.
    pub(super) fn alone<'a>(&'a self, text: &'a str) -> Cow<'a, str> {
        match self {
            Self::Bytes { range, .. } => alone(text, range),
            Self::Quoted { text, .. } => Cow::Borrowed(text),
        }
    }

    /// Where all of it is, if it has no lines of its own.
    pub(super) const fn at(&self) -> Option<Location> {
        match self {
            Self::Bytes { .. } => None,
            Self::Quoted { at, .. } => Some(*at),
        }
    }
}

/// What a file holds.
#[derive(Default)]
struct Found {
    parts: Vec<(Place, Part)>,
    /// The kind of the first Kubernetes object.
    kind: Option<String>,
    is_compose: bool,
    /// The keys above the first mapping that looks like webhooks.yml, and its place.
    nested: Option<(String, Location)>,
    /// The place of the first document that is no mapping.
    no_mapping: Option<Location>,
}

impl Found {
    fn note(&mut self, tree: &Spanned<Yaml>) {
        let Yaml::Map(pairs) = &tree.value else {
            self.no_mapping.get_or_insert(tree.referenced);
            return;
        };
        let value = |key: &str| pairs.iter().find(|(name, _)| name.value == key).map(|(_, node)| &node.value);
        self.is_compose |= matches!(value("services"), Some(Yaml::Map(_)));
        if let (Some(_), Some(Yaml::Scalar(Json::String(kind)))) = (value("apiVersion"), value("kind")) {
            self.kind.get_or_insert_with(|| kind.clone());
        }
    }

    /// Below the top of a document.
    fn look(&mut self, text: &str, path: &Path, tree: &Yaml, keys: &mut Vec<String>) {
        match tree {
            Yaml::Scalar(_) => {}
            Yaml::List(items) => items.iter().for_each(|item| self.look(text, path, &item.value, keys)),
            Yaml::Map(pairs) => {
                for (key, node) in pairs {
                    match &node.value {
                        Yaml::Scalar(Json::String(own)) if is_file_name(&key.value) => {
                            self.parts.push((Place::of(path, key.referenced), part_of(text, own, node.referenced)));
                        }
                        value => {
                            keys.push(key.value.clone());
                            if self.nested.is_none() && is_webhooks(value) {
                                self.nested = Some((keys.join("."), key.referenced));
                            }
                            self.look(text, path, value, keys);
                            keys.pop();
                        }
                    }
                }
            }
        }
    }

    fn nothing(self, path: &Path) -> Unreadable {
        let path = path.to_owned();
        match self {
            Self { kind: Some(kind), .. } => Unreadable::Kubernetes { path, kind },
            Self { is_compose: true, .. } => Unreadable::Compose { path },
            Self { nested: Some((under, at)), .. } => Unreadable::Nested { at: Place::of(&path, at), under },
            Self { no_mapping: Some(at), .. } => Unreadable::NotAMapping { at: Place::of(&path, at) },
            _ => Unreadable::Nothing { path },
        }
    }
}

/// Whether it is a mapping with keys of webhooks.yml, and no object of Kubernetes.
pub(super) fn is_webhooks(tree: &Yaml) -> bool {
    let Yaml::Map(pairs) = tree else { return false };
    let has = |key: &str| pairs.iter().any(|(name, _)| name.value == key);
    !(has("apiVersion") && has("kind"))
        && pairs.iter().any(|(name, _)| name.value.eq_ignore_ascii_case("url") || is_callback(&name.value))
}

/// Whether a key is a callback's. OpenIM has about fifty, and later versions more.
pub(super) fn is_callback(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["before", "after"].iter().any(|when| key.strip_prefix(when).is_some_and(|rest| !rest.is_empty()))
}

fn is_file_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with("webhooks.yml") || key.ends_with("webhooks.yaml")
}

/// The text of a key. Where it is a block, the bytes of it read the same without the spaces before each line.
fn part_of(text: &str, own: &str, at: Location) -> Part {
    let quoted = || Part::Quoted { text: own.to_owned(), at };
    let bytes = || {
        let range = bytes(at)?;
        // The margin of the next key is none of it.
        let own_lines = text.get(range.clone())?.trim_end_matches(' ');
        let end = if own_lines.ends_with('\n') { range.start + own_lines.len() } else { range.end };
        let range = range.start..end;
        let indent = usize::try_from(at.column()).ok()?.checked_sub(1)?;
        let reads_the_same = match (document(&alone(text, &range)), document(own)) {
            (Ok(Some(inside)), Ok(Some(outside))) => inside.value.json() == outside.value.json(),
            // Its fault has a line.
            (inside, outside) => inside.is_err() && outside.is_err(),
        };
        let is_block = text.get(range.clone())?.contains('\n') && reads_the_same;
        is_block.then_some(Part::Bytes { range, indent })
    };
    bytes().unwrap_or_else(quoted)
}

/// The bytes of what stands at a place.
pub(super) fn bytes(at: Location) -> Option<Range<usize>> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    Some(start..start.checked_add(length)?)
}

/// The documents of a text.
fn documents(text: &str) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let is_mark =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        // What stands before the first one are directives and comments.
        let has_content = |text: &str| {
            text.lines()
                .any(|line| !line.trim_start_matches('\u{feff}').trim().is_empty() && !line.starts_with(['#', '%']))
        };
        if is_mark && text.get(..at).is_some_and(has_content) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// `text` up to the end of a range, with spaces for what stands before it.
fn alone<'a>(text: &'a str, range: &Range<usize>) -> Cow<'a, str> {
    let (Some(before), Some(own)) = (text.get(..range.start), text.get(range.clone())) else {
        return Cow::Borrowed("");
    };
    if before.is_empty() {
        return Cow::Borrowed(own);
    }
    let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
    Cow::Owned(before.bytes().map(blank).collect::<String>() + own)
}

fn parsed(text: &str, path: &Path) -> Result<Option<Spanned<Yaml>>, Unreadable> {
    let tree = document(text).map_err(|error| syntax(text, path, &error))?;
    Ok(tree.filter(|tree| !matches!(tree.value, Yaml::Scalar(Json::Null))))
}

pub(super) fn syntax(text: &str, path: &Path, error: &serde_saphyr::Error) -> Unreadable {
    let hint = if text.contains("{{") { ". Of a Helm chart, give what `helm template` prints" } else { "" };
    Unreadable::Syntax {
        at: Place::of(path, error.location().unwrap_or(Location::UNKNOWN)),
        message: format!("{}{hint}", syntax_message(error)),
    }
}
