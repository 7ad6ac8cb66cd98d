//! The `IMENV_WEBHOOKS_…` variables of OpenIM's containers: from an environment, from a file as `docker` and `systemd` read
//! it, or from what describes the containers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use serde_saphyr::{Location, Spanned};

use super::place::Place;
use crate::base::yaml::{Yaml, document};

/// OpenIM's prefix. Behind it are the keys in capitals, joined by `_`.
pub(super) const PREFIX: &str = "IMENV_WEBHOOKS_";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Such as `IMENV_WEBHOOKS_URL`.
    pub name: String,
    /// Never empty: OpenIM takes an empty one for unset.
    pub value: String,
    pub at: Place,
    /// Whether its line has quotes or a comment, which some programs take out and others leave in the value.
    pub is_quoted: bool,
}

/// The variable that sets `keys`.
pub(super) fn name_of(keys: &[&str]) -> String {
    format!("{PREFIX}{}", keys.join("_").to_uppercase())
}

/// OpenIM's variables in an environment such as [`std::env::vars_os`], by name.
pub fn in_environment(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<Variable> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let mut variables: Vec<Variable> = environment
        .into_iter()
        .filter_map(text)
        .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
        .map(|(name, value)| {
            let at = Place::Variable { name: name.clone(), file: None };
            Variable { name, value, at, is_quoted: false }
        })
        .collect();
    variables.sort_by(|a, b| a.name.cmp(&b.name));
    variables
}

/// Why nothing can be read out of a file with variables.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UnreadableVariables {
    #[error("{}: no IMENV_WEBHOOKS_… variable stands in it. Give NAME=value lines, such as those of {OF_A_CONTAINER}; or a docker-compose.yaml, or a Kubernetes object, that sets them", path.display())]
    Nothing { path: PathBuf },
    #[error(
        "{at}: the value is filled in elsewhere. Give what OpenIM gets: {OF_A_CONTAINER}, or `docker compose config > compose.yaml`"
    )]
    Elsewhere { at: Place },
    #[error("{}:{line}: `env_file` sets more variables, which are not in this file. Give all of them: {OF_A_CONTAINER}, or `docker compose config > compose.yaml`", path.display())]
    EnvFile { path: PathBuf, line: u64 },
    #[error("{at}: another value stands at {first}. Give the variables of one container: {OF_A_CONTAINER}")]
    Two { at: Place, first: Place },
}

const OF_A_CONTAINER: &str = "`docker compose exec openim-server env > openim.env`";

/// OpenIM's variables in the text of the file at `path`: `NAME=value` a line, with or without `export` and quotes, of which
/// the last of several counts; or a Compose file, or Kubernetes objects, or another file of YAML or JSON that sets them as
/// these do. A file of lines may hold none.
///
/// # Errors
///
/// When it holds none, or not the values.
pub fn in_file(text: &str, path: &Path) -> Result<Vec<Variable>, UnreadableVariables> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let has_assignments = lines.clone().any(|line| assignment(line).is_some());
    if lines.next().is_none_or(|first| assignment(first).is_none()) {
        if let Ok(Some(Spanned { value: tree @ (Yaml::Map(_) | Yaml::List(_)), .. })) = document(text) {
            let mut variables = Vec::new();
            in_tree(&tree, path, &mut variables)?;
            return if variables.is_empty() { Err(nothing(path)) } else { Ok(variables) };
        }
        if !has_assignments {
            return Err(nothing(path));
        }
    }
    Ok(in_lines(text, path))
}

fn nothing(path: &Path) -> UnreadableVariables {
    UnreadableVariables::Nothing { path: path.to_owned() }
}

/// The name and the value in a line, and whether it is a shell's.
fn assignment(line: &str) -> Option<(&str, &str, bool)> {
    let exported = line.strip_prefix("export ");
    let (name, value) = exported.unwrap_or(line).split_once('=')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let name = name.trim();
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, value.trim(), exported.is_some()))
}

fn in_lines(text: &str, path: &Path) -> Vec<Variable> {
    let mut variables: Vec<Variable> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let Some((name, value, is_shell)) = assignment(text.trim()).filter(|(name, ..)| name.starts_with(PREFIX))
        else {
            continue;
        };
        variables.retain(|variable| variable.name != name);
        let plain = unquoted(value);
        if !plain.is_empty() {
            let at = Place::Variable { name: name.to_owned(), file: Some((path.to_owned(), line)) };
            let is_quoted = plain != value && !is_shell;
            variables.push(Variable { name: name.to_owned(), value: plain.to_owned(), at, is_quoted });
        }
    }
    variables
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.split(quote).next()) {
            return inner;
        }
    }
    value.split(" #").next().unwrap_or(value).trim_end()
}

/// As Compose (`NAME: value`, `- NAME=value`), Kubernetes (`- name: NAME`, `value: …`) and `docker inspect` have them.
fn in_tree(tree: &Yaml, path: &Path, variables: &mut Vec<Variable>) -> Result<(), UnreadableVariables> {
    match tree {
        Yaml::Scalar(_) => Ok(()),
        Yaml::List(items) => items.iter().try_for_each(|item| match &item.value {
            Yaml::Scalar(Json::String(text)) if text.starts_with(PREFIX) => {
                let (name, value) = text.split_once('=').map_or((&**text, None), |(name, value)| (name, Some(value)));
                add(name, value.map(str::to_owned), item.referenced, path, variables)
            }
            value => in_tree(value, path, variables),
        }),
        Yaml::Map(pairs) => {
            let before = variables.len();
            let named = |key: &str| pairs.iter().find(|(name, _)| name.value == key).map(|(_, node)| node);
            if let Some(Spanned { value: Yaml::Scalar(Json::String(name)), referenced, .. }) = named("name")
                && name.starts_with(PREFIX)
            {
                add(name, named("value").and_then(|node| scalar(&node.value)), *referenced, path, variables)?;
            }
            for (name, node) in pairs {
                if name.value.starts_with(PREFIX) {
                    add(&name.value, scalar(&node.value), name.referenced, path, variables)?;
                } else {
                    in_tree(&node.value, path, variables)?;
                }
            }
            let file = pairs.iter().find(|(name, node)| name.value == "env_file" && !node.value.json().is_null());
            match file {
                Some((key, _)) if variables.len() > before => {
                    Err(UnreadableVariables::EnvFile { path: path.to_owned(), line: key.referenced.line() })
                }
                _ => Ok(()),
            }
        }
    }
}

/// `None` where another place says it.
fn scalar(value: &Yaml) -> Option<String> {
    match value {
        Yaml::Scalar(Json::String(text)) => Some(text.clone()),
        Yaml::Scalar(Json::Null) | Yaml::List(_) | Yaml::Map(_) => None,
        Yaml::Scalar(other) => Some(other.to_string()),
    }
}

fn add(
    name: &str,
    value: Option<String>,
    at: Location,
    path: &Path,
    variables: &mut Vec<Variable>,
) -> Result<(), UnreadableVariables> {
    let line = usize::try_from(at.line()).unwrap_or_default();
    let at = Place::Variable { name: name.to_owned(), file: Some((path.to_owned(), line)) };
    // Compose and Kubernetes put other variables in the place of `$NAME`.
    let Some(value) = value.filter(|value| !value.contains('$')) else {
        return Err(UnreadableVariables::Elsewhere { at });
    };
    match variables.iter().find(|other| other.name == name) {
        Some(other) if other.value != value => Err(UnreadableVariables::Two { at, first: other.at.clone() }),
        Some(_) => Ok(()),
        None if value.is_empty() => Ok(()),
        None => {
            variables.push(Variable { name: name.to_owned(), value, at, is_quoted: false });
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_docker_and_shells_write_it() {
        let text = "# OpenIM\nIMENV_WEBHOOKS_URL=http://a # old\n export IMENV_WEBHOOKS_URL=\"http://b\" # new\nPATH=/bin\n\
                    IMENV_WEBHOOKS_X_ENABLE=\nnonsense\nIMENV_WEBHOOKS_Y_TIMEOUT='5'\n";
        let variables = in_file(text, Path::new("openim.env")).expect("variables");
        let shown: Vec<String> =
            variables.iter().map(|it| format!("{} = {}, {}", it.at, it.value, it.is_quoted)).collect();
        assert_eq!(
            shown,
            [
                // A shell takes the quotes out.
                "openim.env:3 (IMENV_WEBHOOKS_URL) = http://b, false",
                "openim.env:7 (IMENV_WEBHOOKS_Y_TIMEOUT) = 5, true"
            ]
        );
    }

    #[test]
    fn of_an_environment_only_what_is_openims_and_not_empty_counts() {
        let environment = [("PATH", "/bin"), ("IMENV_WEBHOOKS_URL", ""), ("IMENV_WEBHOOKS_A_ENABLE", "true")];
        let variables = in_environment(environment.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(variables.len(), 1);
        assert_eq!(variables[0].name, name_of(&["a", "enable"]));
    }
}
