//! A fault, for humans and programs.

use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use super::place::Place;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Severity {
    /// Something does not work, or fails users' actions.
    Wrong,
    /// It may be meant like that, and should be known.
    Advice,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Stable: what reports call it, such as `timeout-short`.
    pub name: &'static str,
    pub severity: Severity,
    #[serde(serialize_with = "in_words")]
    pub at: Option<Place>,
    pub what: String,
    pub why: String,
    pub remedy: String,
    /// The variable of OpenIM's containers that would set it right: `NAME=value`. Holds no password.
    pub variable: Option<String>,
    /// The change of webhooks.yml that sets it right, where there is one right answer.
    #[serde(skip)]
    pub change: Option<FileChange>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// From the top of the file: one key, or a callback's and one of its own.
    pub path: Vec<String>,
    pub value: Json,
}

impl Finding {
    pub(crate) fn new(name: &'static str, severity: Severity, what: impl Into<String>) -> Self {
        Self {
            name,
            severity,
            at: None,
            what: what.into(),
            why: String::new(),
            remedy: String::new(),
            variable: None,
            change: None,
        }
    }

    pub(crate) fn wrong(name: &'static str, what: impl Into<String>) -> Self {
        Self::new(name, Severity::Wrong, what)
    }

    pub(crate) fn advice(name: &'static str, what: impl Into<String>) -> Self {
        Self::new(name, Severity::Advice, what)
    }

    pub(crate) fn at(self, at: Option<&Place>) -> Self {
        let change = self.change.filter(|_| !matches!(at, Some(Place::Variable { .. })));
        Self { at: at.cloned(), change, ..self }
    }

    pub(crate) fn why(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    pub(crate) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }

    pub(super) fn variable(self, variable: String) -> Self {
        Self { variable: Some(variable), ..self }
    }

    /// Not where a variable has the last word: then the file is not at fault.
    pub(super) fn change(self, path: &[&str], value: impl Into<Json>) -> Self {
        if matches!(self.at, Some(Place::Variable { .. })) {
            return self;
        }
        let path = path.iter().map(|&key| key.to_owned()).collect();
        Self { change: Some(FileChange { path, value: value.into() }), ..self }
    }
}

#[allow(clippy::ref_option)] // serde's signature
fn in_words<S: Serializer>(at: &Option<Place>, serializer: S) -> Result<S::Ok, S::Error> {
    at.as_ref().map(ToString::to_string).serialize(serializer)
}
