//! Where a value came from, and what can be wrong with it, in words.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::policy::InvalidCredentials;
use crate::telemetry::log::ShortKey;

/// Where a setting's value came from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ValueSource {
    Default,
    /// The configuration file. Line and column count from 1.
    File {
        #[serde(serialize_with = "lossy")]
        path: PathBuf,
        line: u64,
        column: u64,
    },
    Env {
        /// Such as `OPENIM_BRIDGE_LISTEN`.
        name: String,
    },
    Flag {
        /// Such as `--listen`.
        name: String,
    },
}

/// A path need not be UTF-8; JSON is.
fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Env { name } | Self::Flag { name } => f.write_str(name),
        }
    }
}

/// Everything that is wrong with a configuration; one line each.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// A file that a setting names cannot be read.
    #[error("`{key}` ({}, {at}) cannot be read: {source}: name a file that is there, and that this process may read", path.display())]
    UnreadableFile { key: &'static str, at: ValueSource, path: PathBuf, source: io::Error },
    #[error("{at}: not valid YAML: {message}")]
    Syntax { at: ValueSource, message: String },
    /// The variable of a setting that has another name now.
    #[error("{at}: this variable is now {now}")]
    RenamedVariable { at: ValueSource, now: &'static str },
    /// A setting has been set by both of its variables.
    #[error("{at}: this sets the same as {other}: keep one")]
    TwoVariables { at: ValueSource, other: &'static str },
    /// Something else stands where the keys of a group belong.
    #[error(
        "{at}: {} must be a mapping, with the keys {}",
        if group.is_empty() { "the file".to_owned() } else { format!("`{group}`") },
        keys.join(", ")
    )]
    NotAMapping {
        at: ValueSource,
        /// The group's key; empty for the whole file.
        group: String,
        keys: Vec<String>,
    },
    #[error("{at}: unknown key `{key}`: {hint}")]
    UnknownKey { at: ValueSource, key: String, hint: String },
    /// A key that stands twice in one mapping.
    #[error("{at}: `{key}` is set twice, first at {first}: keep one")]
    Duplicate { at: ValueSource, key: String, first: ValueSource },
    /// A value of the wrong type, or out of range.
    #[error("{at}: `{key}` is {value}: expected {expected}")]
    Value { at: ValueSource, key: &'static str, value: String, expected: String },
    /// A line of the file with the credentials. Never quotes it.
    #[error("{}:{}: {} (`access.basic_auth_file`, {at})", path.display(), wrong.line, wrong.wrong)]
    Credentials { at: ValueSource, path: PathBuf, wrong: InvalidCredentials },
    /// The key of `log.ids: hash` cannot be used. Never quotes it.
    #[error("{}: {wrong} (`log.ids_key_file`, {at})", path.display())]
    IdsKey { at: ValueSource, path: PathBuf, wrong: ShortKey },
    #[error("{0}")]
    Combination(String),
}

/// What is odd, but no reason not to start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A variable with the bridge's prefix that is no setting.
    #[error("{name}: no setting has this variable{}", did_you_mean(hint.as_deref()))]
    UnknownVariable { name: String, hint: Option<String> },
    /// A setting of TLS to where all goes in plain text.
    #[error("`{key}` ({at}) has no effect: {why}")]
    UnusedTls { key: &'static str, at: ValueSource, why: &'static str },
    /// A setting that refuses what OpenIM takes no refusal of without losing something.
    #[error("`{key}` ({at}): if this is refused, OpenIM loses messages although its API reports success")]
    LosesMessages { key: String, at: ValueSource },
    /// What may be held by the limits is more than the process's memory leaves for that. All in bytes.
    #[error(
        "`limits.body_bytes` ({callbacks}), `delivery.queue_bytes` ({queue}) and `limits.connections` (at least \
         {connections} bytes for all) are more than the {budget} bytes that the cgroup's limit on memory leaves: the \
         process may be killed. Lower them, leave them unset, or raise the limit"
    )]
    BeyondMemory { callbacks: usize, queue: usize, connections: usize, budget: usize },
}

fn did_you_mean(hint: Option<&str>) -> String {
    hint.map(|hint| format!(": did you mean {hint}?")).unwrap_or_default()
}
