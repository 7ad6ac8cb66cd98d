//! The YAML file: from text to keys and values that know where they stand. Called by [`super::load()`] alone.
//!
//! What a setting's value may be is not known here, only which keys there are.

use std::{collections::HashMap, path::Path};

use serde_json::Value as Json;
use serde_saphyr::Location;

use super::{
    entry::Entry,
    error::{Problem, ValueSource},
    leaf::{Leaf, closest},
};
use crate::base::text::nearest;
use crate::base::yaml::{Yaml, document, read_text, syntax_message};
use crate::callback::Callback;

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
                self.problems.push(Problem::NotAMapping { at, group, keys: children(prefix, self.leaves) });
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
                let hint = hint(&name.value, prefix, self.leaves);
                self.problems.push(Problem::UnknownKey { at, key, hint });
            }
        }
    }
}

/// The names that may stand in a group.
fn children(prefix: &str, leaves: &[Leaf]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for rest in leaves.iter().filter_map(|leaf| leaf.key.strip_prefix(prefix)) {
        let name = rest.split('.').next().unwrap_or(rest);
        if names.last().is_none_or(|last| last != name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// What may have been meant by a name that is no key of its group.
pub(super) fn hint(name: &str, prefix: &str, leaves: &[Leaf]) -> String {
    /// A list that is longer helps nobody.
    const SHOWN: usize = 20;
    let siblings = children(prefix, leaves);
    let key = format!("{prefix}{name}");
    let is_of_after = || {
        let of_this = |it: &Callback| it.is_after() && prefix == format!("callbacks.{}.", it.name);
        leaves.iter().any(|leaf| leaf.callback.is_some_and(of_this))
    };
    let was = |leaf: &&Leaf| {
        let rest = leaf.was.as_ref().and_then(|was| was.strip_prefix(&key));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if let Some(leaf) = leaves.iter().find(was) {
        format!("it is now {}", leaf.nested())
    } else if let Some(sibling) = nearest(name, siblings.iter().map(|sibling| (sibling.clone(), sibling))) {
        format!("did you mean `{sibling}`?")
    } else if is_of_after() {
        "OpenIM waits for no decision about this callback: it has a `route` alone, and `delivery` is about all of its kind"
            .to_owned()
    } else if let Some(leaf) = closest(&key, leaves) {
        format!("did you mean {}?", leaf.nested())
    } else if siblings.len() > SHOWN {
        "`openim-bridge config show` lists what there is".to_owned()
    } else {
        format!("the keys here are {}", siblings.join(", "))
    }
}
