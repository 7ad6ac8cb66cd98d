//! The YAML file: from text to keys and values that know where they stand. Called by [`super::load()`] alone.
//!
//! What a setting's value may be is not known here, only which keys there are.

use std::{collections::HashMap, path::Path};

use serde_json::Value as Json;
use serde_saphyr::Location;

use super::{
    entry::Entry,
    error::{Problem, ValueSource},
    leaf::{Leaf, closest, nearest},
};
use crate::base::yaml::{Yaml, document, read_text, syntax_message};

/// The settings of the file at `path`, and what is wrong with it. An empty file sets none.
pub(super) fn read(path: &Path, leaves: &'static [Leaf]) -> (Vec<Entry>, Vec<Problem>) {
    match read_text(path) {
        Ok(text) => parse(&text, path, leaves),
        Err(source) => (Vec::new(), vec![Problem::Unreadable { path: path.to_owned(), source }]),
    }
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

fn place(path: &Path, location: Location) -> ValueSource {
    ValueSource::File { path: path.to_owned(), line: location.line(), column: location.column() }
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
        let key = format!("{prefix}{name}");
        if let Some(leaf) = self.leaves.iter().find(|leaf| leaf.was.as_ref() == Some(&key)) {
            format!("it is now {}", leaf.nested())
        } else if let Some(sibling) = nearest(name, siblings.iter().map(|sibling| (sibling.clone(), sibling))) {
            format!("did you mean `{sibling}`?")
        } else if let Some(leaf) = closest(&key, self.leaves) {
            format!("did you mean {}?", leaf.nested())
        } else {
            format!("the keys here are {}", siblings.join(", "))
        }
    }
}
