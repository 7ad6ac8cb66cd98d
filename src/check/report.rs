//! What came of a check.

use std::time::Duration;

use serde::Serialize;

use super::catalogue::{self, Case};
use super::expect::Expectation;
use super::verdict::CaseVerdict;
use crate::upstream::UpstreamSettings;

#[derive(Debug, Clone)]
pub struct CheckReport {
    pub upstream: String,
    /// What was connected to: after names have been resolved.
    pub endpoint: Option<String>,
    /// Why no connection could be had at all.
    pub unreachable: Option<String>,
    /// In the order in which they were run.
    pub cases: Vec<CaseReport>,
}

#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// Such as `unknown-fields`.
    pub name: String,
    pub shows: String,
    #[serde(flatten)]
    pub verdict: CaseVerdict,
    pub why: &'static str,
    pub remedy: &'static str,
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub took: Duration,
}

impl CaseReport {
    pub(super) fn of(case: &Case, verdict: CaseVerdict, took: Duration) -> Self {
        Self {
            name: case.name.to_owned(),
            shows: case.shows.to_owned(),
            verdict,
            why: case.why,
            remedy: case.remedy,
            took,
        }
    }

    pub(super) fn of_expectation(expectation: &Expectation, verdict: CaseVerdict, took: Duration) -> Self {
        Self {
            name: expectation.name.clone(),
            shows: expectation.shows.clone(),
            verdict,
            why: catalogue::EXPECTATION_WHY,
            remedy: catalogue::EXPECTATION_REMEDY,
            took,
        }
    }
}

impl CheckReport {
    pub(super) fn of(upstream: &UpstreamSettings) -> Self {
        let upstream = upstream.addresses.first().map(ToString::to_string).unwrap_or_default();
        Self { upstream, endpoint: None, unreachable: None, cases: Vec::new() }
    }

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
