//! What is compared with what: the two lists of contenders, each with its scenarios, its goals and its part of the page.

use openim_bridge_bench::contender::{self, Contender};

use crate::{
    day::Day,
    goals::{self, Goal, Medians},
    lab::Scenario,
    scenario,
};

/// A list of contenders that do the same work.
pub(crate) struct Comparison {
    pub(crate) contenders: &'static [&'static Contender],
    pub(crate) scenarios: &'static [&'static Scenario],
    pub(crate) goals: fn(&dyn Medians) -> Vec<Goal>,
    /// What a big installation takes.
    pub(crate) day: fn(&dyn Medians) -> Option<Day>,
    /// What of `versions.json` they are made of.
    pub(crate) versions: &'static [&'static str],
    /// What makes its part of the page.
    pub(crate) command: &'static str,
    /// What is behind the contenders.
    pub(crate) behind: &'static str,
}

/// OpenIM's callbacks become questions to a decision service.
pub(crate) static ASKING: Comparison = Comparison {
    contenders: &contender::ASKING,
    scenarios: &scenario::ASKING,
    goals: goals::asking,
    day: Day::of,
    versions: &["axum", "envoy", "go", "grpc-gateway", "grpc-go", "hyper", "open-im-server", "rustc", "tokio", "tonic"],
    command: "just bench-docs",
    behind: "decision service",
};

/// They are passed on, as they came.
pub(crate) static FORWARDING: Comparison = Comparison {
    contenders: &contender::FORWARDING,
    scenarios: &scenario::FORWARDING,
    goals: goals::forwarding,
    day: |_| None,
    versions: &["envoy", "hyper", "nginx"],
    command: "just forward-docs",
    behind: "receiver",
};
