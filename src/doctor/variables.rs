//! The `IMENV_WEBHOOKS_…` variables of OpenIM's containers: from an environment, or from a file as `docker` and
//! `systemd` read it.

use std::ffi::OsString;
use std::path::Path;

use super::place::Place;

/// OpenIM's prefix. Behind it are the keys in capitals, joined by `_`.
pub(super) const PREFIX: &str = "IMENV_WEBHOOKS_";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Such as `IMENV_WEBHOOKS_URL`.
    pub name: String,
    /// Never empty: OpenIM takes an empty one for unset.
    pub value: String,
    pub at: Place,
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
        .map(|(name, value)| Variable { at: Place::Variable { name: name.clone(), file: None }, name, value })
        .collect();
    variables.sort_by(|a, b| a.name.cmp(&b.name));
    variables
}

/// OpenIM's variables in the text of the file at `path`: `NAME=value` a line, with or without `export` and quotes. The
/// last of several counts.
#[must_use]
pub fn in_file(text: &str, path: &Path) -> Vec<Variable> {
    let mut variables: Vec<Variable> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        let Some((name, value)) = text.strip_prefix("export ").unwrap_or(text).split_once('=') else { continue };
        let (name, value) = (name.trim(), unquoted(value.trim()));
        if !name.starts_with(PREFIX) {
            continue;
        }
        variables.retain(|variable| variable.name != name);
        if !value.is_empty() {
            let at = Place::Variable { name: name.to_owned(), file: Some((path.to_owned(), line)) };
            variables.push(Variable { name: name.to_owned(), value: value.to_owned(), at });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_docker_and_shells_write_it() {
        let text = "# OpenIM\nIMENV_WEBHOOKS_URL=http://a # old\n export IMENV_WEBHOOKS_URL=\"http://b\" # new\nPATH=/bin\n\
                    IMENV_WEBHOOKS_X_ENABLE=\nnonsense\nIMENV_WEBHOOKS_Y_TIMEOUT='5'\n";
        let variables = in_file(text, Path::new("openim.env"));
        let shown: Vec<String> = variables.iter().map(|it| format!("{} = {}", it.at, it.value)).collect();
        assert_eq!(
            shown,
            ["openim.env:3 (IMENV_WEBHOOKS_URL) = http://b", "openim.env:7 (IMENV_WEBHOOKS_Y_TIMEOUT) = 5"]
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
