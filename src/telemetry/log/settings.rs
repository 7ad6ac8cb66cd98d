//! The settings of the log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pseudonym::PseudonymKey;

/// What is logged.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The least severe level that is logged.
    pub level: LogLevel,
    pub format: LogFormat,
    /// Whether log lines hold what users write, which is personal data.
    pub private: bool,
    /// How they hold the IDs of users.
    pub ids: LogIds,
}

/// How log lines show the IDs of users.
#[derive(Debug, Clone)]
pub enum LogIds {
    /// As they are.
    Plain,
    /// Under another name.
    Hash(PseudonymKey),
    /// Not at all.
    Omit,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Failures that do not end by themselves.
    Error,
    /// What an operator should know: fallbacks, rejected requests.
    Warn,
    /// Start, stop, changes of state.
    #[default]
    Info,
    /// One line per callback.
    Debug,
    /// Everything.
    Trace,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Human-readable.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text, private: false, ids: LogIds::Plain }
    }
}
