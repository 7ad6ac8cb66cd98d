//! How each case is run: a function from the session to a verdict.

use std::time::Duration;

use futures_util::future::join_all;
use prost::Message as _;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus};

use super::catalogue::Run;
use super::samples::{self, CheckSample};
use super::session::{LANES, NoReply, Session, StatusName, TimedReply, words};
use super::verdict::CaseVerdict::{self, Advice, Failed, Passed};
use crate::upstream::HealthSettings;

const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// Ordinary calls that are timed.
const TIMED: usize = 10;
/// How often each question is repeated.
const REPEATS: usize = 8;
const CONCURRENT: usize = 1000;
const CANCELLED: usize = 1000;
/// So many calls are begun together, to be cancelled.
const BATCH: usize = 50;
/// So many are begun at most to cancel [`CANCELLED`] of them: the others are answered first.
const BEGUN_AT_MOST: usize = 5 * CANCELLED;
/// How much longer than before an ordinary call may take after the cancelled ones, besides twice the time.
const SLACK: Duration = Duration::from_millis(250);

pub(super) async fn run(run: Run, session: &Session, health: &HealthSettings) -> CaseVerdict {
    match run {
        Run::ServesRpc => serves_rpc(session).await,
        Run::Health => says_serving(session, health).await,
        Run::AnswersInTime => answers_in_time(session).await,
        Run::Answers(samples) => answers(session, &samples()).await,
        Run::RepeatedCalls => repeated_calls(session).await,
        Run::ConcurrentCalls => concurrent_calls(session).await,
        Run::CancelledCalls => cancelled_calls(session).await,
        Run::ValidDecisions => valid_decisions(session).await,
    }
}

async fn serves_rpc(session: &Session) -> CaseVerdict {
    match session.ask(&samples::ordinary()).await {
        Ok(TimedReply { took, .. }) => Passed(format!("answered in {took:.1?}")),
        Err(why) => Failed(why.to_string()),
    }
}

async fn says_serving(session: &Session, health: &HealthSettings) -> CaseVerdict {
    let request = HealthCheckRequest { service: health.service.clone() };
    let of = if health.service.is_empty() { String::new() } else { format!(" for {:?}", health.service) };
    let reply = session.call(0, HEALTH_CHECK, request.encode_to_vec().into(), health.timeout).await;
    match reply {
        Ok(reply) => match HealthCheckResponse::decode(reply).map(|reply| reply.status()) {
            Ok(ServingStatus::Serving) => Passed(format!("SERVING{of}")),
            Ok(ServingStatus::NotServing) => Failed(format!("NOT_SERVING{of}: the bridge sends it no calls")),
            Ok(other) => Advice(format!("{}{of}", other.as_str_name())),
            Err(error) => Advice(format!("its reply does not decode: {error}")),
        },
        Err(NoReply::Status { code: StatusName(Code::Unimplemented), .. }) => Advice("it is not served".to_owned()),
        Err(NoReply::Status { code: StatusName(Code::NotFound), .. }) => Advice(format!("no status is set{of}")),
        Err(why @ NoReply::Status { .. }) => Advice(why.to_string()),
        Err(why) => Failed(format!("{why}: the bridge takes it out")),
    }
}

async fn answers_in_time(session: &Session) -> CaseVerdict {
    let deadline = session.limits.deadline;
    let mut slowest = Duration::ZERO;
    for number in 1..=TIMED {
        match session.ask(&samples::ordinary()).await {
            Ok(TimedReply { took, .. }) if took > deadline => {
                let deadline = humantime::format_duration(deadline);
                return Failed(format!("call {number} was answered after {took:.1?}, and not within {deadline}"));
            }
            Ok(TimedReply { took, .. }) => slowest = slowest.max(took),
            Err(why) => return Failed(format!("call {number}: {why}")),
        }
    }
    Passed(format!("the slowest of {TIMED} took {slowest:.1?}"))
}

async fn answers(session: &Session, samples: &[CheckSample]) -> CaseVerdict {
    let mut failures = Vec::new();
    for sample in samples {
        if let Err(why) = session.ask(sample).await {
            let ends = why.ends_the_case();
            failures.push(format!("{sample}: {why}"));
            if ends {
                break;
            }
        }
    }
    match &*failures {
        [] => Passed(format!("all {} answered", samples.len())),
        [only] => Failed(only.clone()),
        [first, others @ ..] => Failed(format!("{first}; and {} more of {}", others.len(), samples.len())),
    }
}

async fn repeated_calls(session: &Session) -> CaseVerdict {
    let samples = samples::repeated();
    for sample in &samples {
        let mut first = None;
        for lane in 0..REPEATS {
            let decision = match session.ask_on(lane, sample).await {
                Ok(TimedReply { decision, .. }) => decision,
                Err(why) => return Failed(format!("{sample}: {why}")),
            };
            let first = first.get_or_insert_with(|| decision.clone());
            if *first != decision {
                let said = |decision: &Result<_, _>| match decision {
                    Ok(decision) => words(decision),
                    Err(invalid) => format!("invalid ({invalid})"),
                };
                return Failed(format!("{sample}: first {}, then {}", said(first), said(&decision)));
            }
        }
    }
    Passed(format!("{REPEATS} times {} questions, on {LANES} connections", samples.len()))
}

async fn concurrent_calls(session: &Session) -> CaseVerdict {
    if let Err(why) = session.connect_all().await {
        return Failed(why.to_string());
    }
    let sample = samples::ordinary();
    let replies = join_all((0..CONCURRENT).map(|lane| session.ask_on(lane, &sample))).await;
    let slowest = replies.iter().flatten().map(|reply| reply.took).max().unwrap_or_default();
    let mut failures = replies.into_iter().filter_map(Result::err);
    match failures.next() {
        None => Passed(format!("the slowest of {CONCURRENT} took {slowest:.1?}")),
        Some(first) => Failed(format!("{} of {CONCURRENT} had no decision: {first}", 1 + failures.count())),
    }
}

async fn cancelled_calls(session: &Session) -> CaseVerdict {
    let sample = samples::ordinary();
    if let Err(why) = session.connect_all().await {
        return Failed(why.to_string());
    }
    let before = match median(session, &sample).await {
        Ok(before) => before,
        Err(why) => return Failed(format!("before any was cancelled: {why}")),
    };
    let deadline = session.limits.deadline;
    let (mut begun, mut cancelled) = (0, 0);
    while cancelled < CANCELLED && begun < BEGUN_AT_MOST {
        // Some before the handler can have begun, some while it is at work.
        let patience = |number| Duration::from_millis(u64::try_from(number % 4).unwrap_or_default());
        let batch = (begun..begun + BATCH).map(|number| session.cancel(number, &sample, patience(number / LANES)));
        cancelled += join_all(batch).await.into_iter().filter(|cancelled| *cancelled).count();
        begun += BATCH;
        match session.ask(&sample).await {
            Ok(TimedReply { took, .. }) if took <= deadline => {}
            Ok(TimedReply { took, .. }) => {
                return Failed(format!(
                    "after {cancelled} cancelled calls the next took {took:.1?}, before {before:.1?}"
                ));
            }
            Err(why) => return Failed(format!("after {cancelled} cancelled calls the next had {why}")),
        }
    }
    match median(session, &sample).await {
        Err(why) => Failed(format!("after {cancelled} cancelled calls the next had {why}")),
        Ok(after) if after > before * 2 + SLACK => {
            Failed(format!("a call took {before:.1?} before {cancelled} cancelled ones, and {after:.1?} after them"))
        }
        Ok(after) => Passed(format!("{before:.1?} before, {after:.1?} after {cancelled} cancelled calls")),
    }
}

async fn median(session: &Session, sample: &CheckSample) -> Result<Duration, NoReply> {
    let mut took = Vec::with_capacity(TIMED);
    for _ in 0..TIMED {
        took.push(session.ask(sample).await?.took);
    }
    took.sort();
    Ok(took[TIMED / 2])
}

async fn valid_decisions(session: &Session) -> CaseVerdict {
    let mut no_reply = None;
    for sample in [samples::ordinary(), CheckSample::remark(""), CheckSample::remark(" ")] {
        // That there is none is what other cases are about.
        no_reply = session.ask(&sample).await.err().or(no_reply);
        if no_reply.as_ref().is_some_and(NoReply::ends_the_case) {
            break;
        }
    }
    let (all, invalid, shown) = session.replies();
    if let (0, Some(why)) = (all, no_reply) {
        return Failed(format!("there is none to judge: {why}"));
    }
    if invalid == 0 {
        return Passed(format!("all {all} replies of this run"));
    }
    let more = if invalid > shown.len() { "; …" } else { "" };
    Failed(format!("{invalid} of {all} replies of this run are not: {}{more}", shown.join("; ")))
}
