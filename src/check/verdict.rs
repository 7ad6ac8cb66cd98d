//! What came of one case.

use serde::Serialize;

/// What came of one case, with what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "seen", rename_all = "snake_case")]
pub enum CaseVerdict {
    /// As it should be.
    Passed(String),
    /// Not wrong, and could be better.
    Advice(String),
    /// Wrong.
    Failed(String),
    /// Not run.
    Skipped(String),
}

impl CaseVerdict {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Advice(_) => "advice",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
        }
    }

    /// What was seen.
    #[must_use]
    pub fn seen(&self) -> &str {
        match self {
            Self::Passed(seen) | Self::Advice(seen) | Self::Failed(seen) | Self::Skipped(seen) => seen,
        }
    }
}
