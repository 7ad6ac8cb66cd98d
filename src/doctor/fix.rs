//! webhooks.yml with its faults corrected. The text is edited where the parser says that values stand, so comments and
//! order stay; and an edit counts only when the edited text reads as the old one with that one value changed. Of a file
//! that holds more than webhooks.yml, the rest stays as it is.

use std::path::Path;

use serde_json::{Value as Json, json};
use serde_saphyr::Spanned;

use super::finding::{FileChange, Finding};
use super::part::{Part, Unreadable, bytes};
use super::place::Place;
use super::webhooks::Webhooks;
use crate::base::yaml::{Yaml, document, quote};

/// More than there are kinds of findings with a change.
const MAX_CHANGES: usize = 32;

#[derive(Debug, Clone)]
pub struct Fixed {
    pub text: String,
    pub corrected: Vec<Finding>,
    pub left: Vec<Finding>,
}

/// Corrects `text`, the file at `path`, of what `examine` finds and one right answer is known for.
///
/// # Errors
///
/// As [`Webhooks::parse`]; and where webhooks.yml is quoted in another file.
pub fn fix(text: &str, path: &Path, examine: impl Fn(Webhooks) -> Vec<Finding>) -> Result<Fixed, Unreadable> {
    if let Some(at) = Part::of(text, path)?.at() {
        return Err(Unreadable::Quoted { at: Place::of(path, at) });
    }
    let mut fixed = Fixed { text: text.to_owned(), corrected: vec![], left: examine(Webhooks::parse(text, path)?) };
    // One at a time: a change may move the places of the others, or settle them.
    for _ in 0..MAX_CHANGES {
        let next = fixed.left.iter().find_map(|finding| {
            let text = apply(&fixed.text, path, finding.change.as_ref()?)?;
            let left = examine(Webhooks::parse(&text, path).ok()?);
            (!left.contains(finding)).then(|| (finding.clone(), text, left))
        });
        let Some((finding, text, left)) = next else { break };
        fixed.corrected.push(finding);
        fixed.text = text;
        fixed.left = left;
    }
    Ok(fixed)
}

/// `text` with one value changed; `None` where that cannot be done safely.
fn apply(text: &str, path: &Path, change: &FileChange) -> Option<String> {
    let part = Part::of(text, path).ok()?;
    let before = document(&part.alone(text)).ok()??;
    let edited = edit(text, &part, &before, change)?;
    let after = document(&Part::of(&edited, path).ok()?.alone(&edited)).ok()??.value.json();
    let mut expected = before.value.json();
    set(&mut expected, &change.path, &change.value)?;
    (after == expected).then_some(edited)
}

/// Sets a value in a tree, under keys in any letter case.
fn set(tree: &mut Json, path: &[String], value: &Json) -> Option<()> {
    let Some((key, rest)) = path.split_first() else {
        *tree = value.clone();
        return Some(());
    };
    if tree.is_null() {
        *tree = json!({});
    }
    let map = tree.as_object_mut()?;
    let own = map.keys().find(|own| own.eq_ignore_ascii_case(key)).unwrap_or(key).clone();
    set(map.entry(own).or_insert(Json::Null), rest, value)
}

fn edit(text: &str, part: &Part, document: &Spanned<Yaml>, change: &FileChange) -> Option<String> {
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let (key, rest) = change.path.split_first()?;
    match (find(&document.value, key), rest) {
        (None, _) => appended(text, part, change, line_end),
        (Some((name, node)), []) => replaced(text, name, node, &change.value, line_end),
        (Some((_, group)), [key]) => match find(&group.value, key) {
            Some((name, node)) => replaced(text, name, node, &change.value, line_end),
            None => inserted(text, group, key, &change.value, line_end),
        },
        (Some(_), _) => None,
    }
}

fn find<'a>(value: &'a Yaml, key: &str) -> Option<(&'a Spanned<String>, &'a Spanned<Yaml>)> {
    let Yaml::Map(pairs) = value else { return None };
    pairs.iter().map(|(name, node)| (name, node)).find(|(name, _)| name.value.eq_ignore_ascii_case(key))
}

fn replaced(text: &str, name: &Spanned<String>, node: &Spanned<Yaml>, value: &Json, line_end: &str) -> Option<String> {
    let indent = usize::try_from(name.referenced.column()).ok()?.saturating_sub(1);
    let new = written(value, indent + 2, line_end);
    let range = match &node.value {
        // Nothing, or a word for it: what stands behind the colon, up to a comment, is replaced.
        Yaml::Scalar(Json::Null) => {
            let end = bytes(name.referenced)?.end;
            let colon = end + text.get(end..)?.find(':')? + 1;
            let rest = text.get(colon..)?.split(['\r', '\n', '#', ',', '}']).next()?;
            let goes_on = text.get(colon + rest.len()..)?.starts_with(['#', ',', '}']);
            colon..colon + if goes_on { rest.trim_end().len() } else { rest.len() }
        }
        Yaml::Scalar(_) => bytes(node.referenced)?,
        Yaml::List(_) | Yaml::Map(_) => return None,
    };
    let space = if matches!(node.value, Yaml::Scalar(Json::Null)) && !value.is_object() { " " } else { "" };
    spliced(text, range, &format!("{space}{new}"))
}

/// One more key in front of a group's first.
fn inserted(text: &str, group: &Spanned<Yaml>, key: &str, value: &Json, line_end: &str) -> Option<String> {
    let Yaml::Map(pairs) = &group.value else { return None };
    let (first, _) = pairs.first()?;
    let start = bytes(first.referenced)?.start;
    let indent = usize::try_from(first.referenced.column()).ok()?.saturating_sub(1);
    let is_flow = text.get(..start)?.trim_end().ends_with('{');
    let between = if is_flow { ", ".to_owned() } else { format!("{line_end}{}", " ".repeat(indent)) };
    let new = format!("{key}: {}{between}", written(value, indent + 2, line_end));
    spliced(text, start..start, &new)
}

/// One more key at the end.
fn appended(text: &str, part: &Part, change: &FileChange, line_end: &str) -> Option<String> {
    let Part::Bytes { range, indent } = part else { return None };
    let [key] = &*change.path else { return None };
    let space = if change.value.is_object() { "" } else { " " };
    let before = text.get(..range.end)?;
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { line_end };
    let value = written(&change.value, indent + 2, line_end);
    let margin = " ".repeat(*indent);
    spliced(text, range.end..range.end, &format!("{gap}{margin}{key}:{space}{value}{line_end}"))
}

/// A value as YAML: a mapping as lines of their own, each behind a line's end.
fn written(value: &Json, indent: usize, line_end: &str) -> String {
    match value {
        Json::String(text) => quote(text),
        Json::Object(map) => {
            let line = |(key, value): (&String, &Json)| {
                format!("{line_end}{}{key}: {}", " ".repeat(indent), written(value, indent + 2, line_end))
            };
            map.iter().map(line).collect()
        }
        other => other.to_string(),
    }
}

fn spliced(text: &str, range: std::ops::Range<usize>, new: &str) -> Option<String> {
    Some(format!("{}{new}{}", text.get(..range.start)?, text.get(range.end..)?))
}
