//! What came of one case.

use serde::Serialize;

/// What came of one case, with what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(tag = "result", content = "seen", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum CaseVerdict {
    Passed(String),
    /// Not wrong, and could be better.
    Advice(String),
    Failed(String),
    Skipped(String),
}

impl CaseVerdict {
    #[must_use]
    pub fn seen(&self) -> &str {
        match self {
            Self::Passed(seen) | Self::Advice(seen) | Self::Failed(seen) | Self::Skipped(seen) => seen,
        }
    }
}
