//! What came of a check.

use std::time::Duration;

use serde::Serialize;

use super::verdict::CaseVerdict;

#[derive(Debug, Clone, Default)]
pub struct CheckReport {
    pub upstream: String,
    /// What was connected to: after names have been resolved.
    pub endpoint: Option<String>,
    /// Why no connection was possible at all.
    pub unreachable: Option<String>,
    /// What the service lists by gRPC reflection; nothing where it has none.
    pub services: Vec<String>,
    /// The callbacks that it implements, and those of the others that were asked for. By calling each.
    pub implemented: Vec<&'static str>,
    pub not_implemented: Vec<&'static str>,
    /// In the order of the cases; of one case in the order of the callbacks.
    pub cases: Vec<CaseReport>,
}

#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// Such as `unknown-fields`.
    pub name: String,
    /// `None`: it is about the service as a whole.
    pub callback: Option<&'static str>,
    pub shows: String,
    #[serde(flatten)]
    pub verdict: CaseVerdict,
    pub why: &'static str,
    pub remedy: &'static str,
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub took: Duration,
}

impl CheckReport {
    /// How many cases came to a verdict of this word.
    #[must_use]
    pub fn count(&self, word: &str) -> usize {
        self.cases.iter().filter(|case| case.verdict.into_str() == word).count()
    }

    /// Nothing failed, and the service was there.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.unreachable.is_none() && self.count("failed") == 0
    }
}

fn milliseconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((took.as_secs_f64() * 1e6).round() / 1e3)
}
