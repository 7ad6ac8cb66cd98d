//! The conformance test of a decision service, in any language: cases that are run against it over gRPC, each with why it
//! matters in production and what to do.
//!
//! - [`catalogue`](CASES): the cases, as data. `samples`: what they ask.
//! - `cases`: how each is run.
//! - [`expect`](Expectations): a team's own table of questions and expected decisions.
//! - `session`: the connections, one question, and what every reply is held against.
//! - [`report`](CheckReport): what came of it.
//!
//! Called by `cli` alone, which does the printing. A service that hangs or dies cannot make it hang: every connection,
//! call and case has a limit.

mod cases;
mod catalogue;
mod expect;
mod report;
mod samples;
mod session;
mod verdict;

use std::time::{Duration, Instant};

pub use catalogue::{CASES, Case};
pub use expect::{Expectation, Expectations, ExpectationsError};
pub use report::{CaseReport, CheckReport};
pub use session::CheckLimits;
pub use verdict::CaseVerdict;

use crate::upstream::{Direct, UpstreamSettings};
use catalogue::Run;
use session::Session;

/// A case may take so many times [`CheckLimits::timeout`], however many calls it makes.
const CASE_TIMEOUTS: u32 = 15;

#[derive(Debug, Clone, Copy)]
pub struct CheckPlan<'a> {
    pub cases: &'a [&'static Case],
    pub expectations: &'a [Expectation],
}

impl CheckPlan<'_> {
    #[must_use]
    pub const fn len(&self) -> usize {
        self.cases.len() + self.expectations.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Runs the plan against the service at `upstream`. `begins` is told the name of each case, before it is run. When nothing
/// can be had of the service, the cases after that are skipped: they would all say the same.
pub async fn run(
    direct: Direct,
    upstream: &UpstreamSettings,
    limits: CheckLimits,
    plan: CheckPlan<'_>,
    mut begins: impl FnMut(&str),
) -> CheckReport {
    let session = Session::new(direct, limits);
    let mut report = CheckReport::of(upstream);
    begins("connecting");
    report.endpoint = match session.connect().await {
        Ok(target) => Some(target.to_string()),
        Err(why) => {
            report.unreachable = Some(why);
            None
        }
    };
    let mut useless = report.unreachable.is_some().then_some("it cannot be connected to");
    for case in plan.cases {
        begins(case.name);
        let (verdict, took) = match useless {
            Some(because) => (CaseVerdict::Skipped(because.to_owned()), Duration::ZERO),
            None => limited(limits, cases::run(case.run, &session, &upstream.health)).await,
        };
        if matches!((case.run, &verdict), (Run::ServesRpc, CaseVerdict::Failed(_))) {
            useless = Some("it does not serve the rpc");
        }
        report.cases.push(CaseReport::of(case, verdict, took));
    }
    for expectation in plan.expectations {
        begins(&expectation.name);
        let (verdict, took) = match useless {
            Some(because) => (CaseVerdict::Skipped(because.to_owned()), Duration::ZERO),
            None => limited(limits, expectation.run(&session)).await,
        };
        report.cases.push(CaseReport::of_expectation(expectation, verdict, took));
    }
    report
}

async fn limited(limits: CheckLimits, case: impl Future<Output = CaseVerdict>) -> (CaseVerdict, Duration) {
    let limit = limits.timeout * CASE_TIMEOUTS;
    let began = Instant::now();
    let verdict = tokio::time::timeout(limit, case).await.unwrap_or_else(|_| {
        let limit = humantime::format_duration(limit);
        CaseVerdict::Failed(format!("its calls together took longer than {limit}"))
    });
    (verdict, began.elapsed())
}
