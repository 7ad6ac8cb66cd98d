//! The conformance test of a decision service, in any language: cases that are run against it over gRPC, each with why it
//! matters in production and what to do.
//!
//! - [`catalogue`](CASES): the cases, as data. `samples`: what they ask.
//! - `cases`: how each is run.
//! - [`expect`](Expectations): a team's own table of questions and expected decisions.
//! - `session`: the connections, one question, and what every reply is held against. `reflection`: what the service lists.
//! - [`report`](CheckReport): what came of it.
//!
//! Which callbacks there are, and what they hold, is read off the registry and the contract's tables. Called by `cli`
//! alone, which does the printing. A service that hangs or dies cannot make it hang: every connection, every call and the
//! whole have a limit.

mod cases;
mod catalogue;
mod expect;
mod reflection;
mod report;
mod samples;
mod session;
mod verdict;

use std::{cell::Cell, future::ready};

use futures_util::future::{FutureExt as _, LocalBoxFuture, join_all};
use tokio::time::{Instant, timeout_at};

pub use catalogue::{CASES, Case, CaseOf};
pub use expect::{Expectation, Expectations, ExpectationsError};
pub use report::{CaseReport, CheckReport};
pub use session::{CheckLimits, CheckSettings};
pub use verdict::CaseVerdict;

use crate::callback::{CALLBACKS, Callback};
use crate::upstream::Direct;
use catalogue::Run;
use session::Session;

/// The whole may take so many times [`CheckLimits::timeout`], however many calls it makes.
const WHOLE_TIMEOUTS: u32 = 15;
/// About as many questions each callback is asked in one stage.
const QUESTIONS_OF_EACH: usize = 56;

#[derive(Debug, Clone, Copy)]
pub struct CheckPlan<'a> {
    pub cases: &'a [&'static Case],
    pub expectations: &'a [&'a Expectation],
}

/// One case for one callback, or for all.
struct Job<'a> {
    case: &'a Case,
    callback: Option<&'static Callback>,
    about: Vec<&'static Callback>,
}

/// Runs the plan against the service. `progress` is told how many of how many cases are done, and which one was the last.
///
/// An rpc that the service does not implement is no failure of its own, and a callback whose first question is not answered
/// has no other cases: they would all say the same.
pub async fn run(
    direct: Direct,
    settings: &CheckSettings,
    plan: CheckPlan<'_>,
    progress: impl Fn(usize, usize, &str),
) -> CheckReport {
    let limit = settings.limits.timeout * WHOLE_TIMEOUTS;
    let end = Instant::now() + limit;
    let session = Session::new(direct, settings);
    let upstream = settings.upstream.addresses.first().map(ToString::to_string).unwrap_or_default();
    let mut report = CheckReport { upstream, ..CheckReport::default() };
    progress(0, plan.cases.len(), "connecting");
    match session.connect().await {
        Ok(target) => report.endpoint = Some(target.to_string()),
        Err(why) => {
            report.unreachable = Some(why);
            return report;
        }
    }
    progress(0, plan.cases.len(), "asking which rpcs there are");
    let only = names(&settings.only);
    session.find(CALLBACKS.iter().filter(|callback| only.is_empty() || only.contains(&callback.name))).await;
    report.services = reflection::services(&session).await;
    let (implemented, decided) = (session.implemented(), session.decided());
    report.implemented = names(&implemented);
    report.not_implemented = names(&session.not_implemented());

    let slowest = session.found().iter().filter_map(|(_, reply)| Some(reply.as_ref().ok()?.took)).max();
    session.expect(decided.len() * (QUESTIONS_OF_EACH + settings.texts.len()), slowest.unwrap_or_default());

    let is_silent = session.is_silent(None);
    let cases = plan.cases.iter().filter(|case| !is_silent || matches!(case.run, Run::ServesRpc));
    let jobs: Vec<Job<'_>> = cases.flat_map(|case| jobs(case, &implemented, &decided)).collect();
    let (done, total) = (Cell::new(0), jobs.len() + plan.expectations.len());
    let limited = async |name: &str, case: LocalBoxFuture<'_, CaseVerdict>| {
        let began = Instant::now();
        let verdict = timeout_at(end, case).await.unwrap_or_else(|_| {
            CaseVerdict::Failed(format!(
                "it was not done when the check had taken {}",
                humantime::format_duration(limit)
            ))
        });
        done.set(done.get() + 1);
        progress(done.get(), total, name);
        (verdict, began.elapsed())
    };
    for stage in jobs.chunk_by(|one, other| one.case.run.stage() == other.case.run.stage()) {
        let done = stage.iter().map(async |job| {
            let case = cases::run(job.case.run, &session, &job.about).boxed_local();
            let (verdict, took) = limited(job.case.name, case).await;
            let Case { name, shows, why, remedy, .. } = *job.case;
            CaseReport {
                name: name.to_owned(),
                callback: job.callback.map(|callback| callback.name),
                shows: shows.to_owned(),
                verdict,
                why,
                remedy,
                took,
            }
        });
        report.cases.extend(join_all(done).await);
    }
    let done = plan.expectations.iter().map(async |row| {
        let case = if implemented.is_empty() || session.is_silent(Some(row.callback())) {
            ready(CaseVerdict::Skipped("the callback had no answer".to_owned())).boxed_local()
        } else {
            row.run(&session).boxed_local()
        };
        let (verdict, took) = limited(&row.name, case).await;
        row.report(verdict, took)
    });
    report.cases.extend(join_all(done).await);
    report
}

/// What there is to be run of a case.
fn jobs<'a>(case: &'a Case, implemented: &[&'static Callback], decided: &[&'static Callback]) -> Vec<Job<'a>> {
    // That an rpc does not answer is what the first case says.
    let callbacks = if matches!(case.run, Run::Decides) { implemented } else { decided };
    match case.of {
        CaseOf::Service if callbacks.is_empty() && case.run.stage() > 0 => vec![],
        CaseOf::Service => vec![Job { case, callback: None, about: callbacks.to_vec() }],
        of => {
            let of_it = callbacks.iter().filter(|callback| of.is_for(callback));
            of_it.map(|callback| Job { case, callback: Some(callback), about: vec![*callback] }).collect()
        }
    }
}

fn names(callbacks: &[&'static Callback]) -> Vec<&'static str> {
    callbacks.iter().map(|callback| callback.name).collect()
}
