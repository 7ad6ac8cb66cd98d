//! How each case is run: about the callbacks that it is for, to a verdict.

use std::time::Duration;

use futures_util::future::join_all;
use prost::Message as _;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus};

use super::catalogue::Run;
use super::samples::{self, CheckSample};
use super::session::{LANES, NoReply, Session, TimedReply, words};
use super::verdict::CaseVerdict::{self, Advice, Failed, Passed};
use crate::callback::{Callback, Decision};
use crate::upstream::CallId;

const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// What no service has, and every server answers.
const NOBODY: &str = "/nobody.v1.Nobody/Nothing";

/// Ordinary calls that are timed, one after the other.
const TIMED: usize = 10;
/// Ordinary calls before and after the cancelled ones.
const PROBES: usize = 5;
/// How often each question is repeated.
const REPEATS: usize = 4;
const CONCURRENT: usize = 1000;
/// Calls that are cancelled, of all callbacks together, and at least of each one.
const CANCELLED: usize = 1000;
const CANCELLED_OF_EACH: usize = 50;
/// So many calls are begun together, to be cancelled.
const BATCH: usize = 50;
/// So many times as many are begun at most as are to be cancelled: the others are answered first.
const BEGUN_AT_MOST: usize = 5;
/// How much longer than before an ordinary call may take after the cancelled ones, besides twice the time.
const SLACK: Duration = Duration::from_millis(250);

/// What was seen of a pass, or of a failure.
type Seen = Result<String, String>;

/// `callbacks`: what it is run for, all in one.
pub(super) async fn run(run: Run, session: &Session<'_>, callbacks: &[&'static Callback]) -> CaseVerdict {
    let of = |samples: fn(&'static Callback) -> Vec<CheckSample>| callbacks.iter().copied().flat_map(samples).collect();
    let seen = match run {
        Run::Health => return says_serving(session).await,
        Run::Decides => return decides(session, callbacks),
        Run::ServesRpc => serves_rpc(session),
        Run::AnswersInTime => answers_in_time(session, callbacks).await,
        Run::Answers(samples) => answers(session, of(samples)).await,
        Run::OwnTexts => {
            let texts = &session.settings.texts;
            answers(session, callbacks.iter().flat_map(|callback| samples::all_texts(callback, texts)).collect()).await
        }
        Run::RepeatedCalls => repeated_calls(session, callbacks).await,
        Run::RepeatedEvents => repeated_events(session, callbacks).await,
        Run::ConcurrentCalls => concurrent_calls(session, callbacks).await,
        Run::CancelledCalls => cancelled_calls(session, callbacks).await,
        Run::ValidDecisions => valid_decisions(session, callbacks, of(samples::tempting)).await,
    };
    seen.map_or_else(Failed, Passed)
}

fn serves_rpc(session: &Session<'_>) -> Seen {
    let names = |callbacks: Vec<&'static Callback>| {
        callbacks.iter().map(|callback| callback.name).collect::<Vec<_>>().join(", ")
    };
    let (implemented, asked) = (session.implemented(), session.found().len());
    let why = session.found().iter().find_map(|(_, reply)| reply.as_ref().err());
    let why = why.map(ToString::to_string).unwrap_or_default();
    match (&*implemented, session.settings.only.is_empty()) {
        ([], true) => Err(format!("none of the {asked} rpcs: {why}")),
        (_, false) if implemented.len() < asked => Err(format!("not {}: {why}", names(session.not_implemented()))),
        _ => Ok(format!("{} of {asked} rpcs", implemented.len())),
    }
}

async fn says_serving(session: &Session<'_>) -> CaseVerdict {
    let health = &session.settings.upstream.health;
    let request = HealthCheckRequest { service: health.service.clone() };
    let of = if health.service.is_empty() { String::new() } else { format!(" for {:?}", health.service) };
    let reply = session.call(HEALTH_CHECK, &request.encode_to_vec(), health.timeout, None).await;
    match reply {
        Ok(reply) => match HealthCheckResponse::decode(reply).map(|reply| reply.status()) {
            Ok(ServingStatus::Serving) => Passed(format!("SERVING{of}")),
            Ok(ServingStatus::NotServing) => Failed(format!("NOT_SERVING{of}: the bridge sends it no calls")),
            Ok(other) => Advice(format!("{}{of}", other.as_str_name())),
            Err(error) => Advice(format!("its reply does not decode: {error}")),
        },
        Err(why) if why.is_unimplemented() => Advice("it is not served".to_owned()),
        Err(NoReply::Status { code: Code::NotFound, .. }) => Advice(format!("no status is set{of}")),
        Err(why @ NoReply::Status { .. }) => Advice(why.to_string()),
        Err(why) => Failed(format!("{why}: the bridge takes it out")),
    }
}

/// What came of the first question.
fn decides(session: &Session<'_>, callbacks: &[&'static Callback]) -> CaseVerdict {
    let asked = |name| session.found().iter().find(|(callback, _)| callback.name == name);
    for callback in callbacks {
        match asked(callback.name) {
            Some((_, Err(why))) => return Failed(format!("{why}. Its other cases were not run")),
            Some((_, Ok(TimedReply { decision: Ok(Decision::Refuse(_)), .. })))
                if callback.only_service_may_refuse() =>
            {
                return Advice("it refuses: OpenIM tells its user of success, and the message is lost".to_owned());
            }
            _ => {}
        }
    }
    let took = callbacks.iter().filter_map(|callback| asked(callback.name)?.1.as_ref().ok()).map(|reply| reply.took);
    Passed(format!("answered in {:.1?}", took.max().unwrap_or_default()))
}

async fn answers_in_time(session: &Session<'_>, callbacks: &[&'static Callback]) -> Seen {
    let limits = session.settings.limits;
    let (mut slowest, mut together, mut number) = (Duration::ZERO, Duration::ZERO, 0);
    // A slow one is not asked as often.
    for callback in callbacks.iter().cycle().take(TIMED * callbacks.len()) {
        number += 1;
        let took =
            session.ask(&CheckSample::ordinary(callback)).await.map_err(|why| format!("call {number}: {why}"))?.took;
        if took > limits.deadline {
            let deadline = humantime::format_duration(limits.deadline);
            return Err(format!("call {number} was answered after {took:.1?}, and not within {deadline}"));
        }
        slowest = slowest.max(took);
        together += took;
        if together > limits.timeout {
            break;
        }
    }
    Ok(format!("the slowest of {number} took {slowest:.1?}"))
}

async fn answers(session: &Session<'_>, samples: Vec<CheckSample>) -> Seen {
    let hangs = std::cell::Cell::new(false);
    let asked = samples.iter().map(async |sample| {
        let failure = session.ask_unless(&hangs, sample).await.err()?;
        hangs.set(hangs.get() || failure.ends_the_case());
        Some(format!("{sample}: {failure}"))
    });
    let failures: Vec<String> = join_all(asked).await.into_iter().flatten().collect();
    match &*failures {
        [] => Ok(format!("all {} answered", samples.len())),
        [only] => Err(only.clone()),
        [first, others @ ..] => Err(format!("{first}; and {} more of {}", others.len(), samples.len())),
    }
}

async fn repeated_calls(session: &Session<'_>, callbacks: &[&'static Callback]) -> Seen {
    let samples: Vec<CheckSample> = callbacks.iter().flat_map(|callback| samples::repeated(callback)).collect();
    for sample in &samples {
        // The bridge repeats a call by its ID. OpenIM repeats a question by another.
        let ids: [CallId; REPEATS / 2] = std::array::from_fn(|_| CallId::now());
        let mut decisions = Vec::with_capacity(REPEATS);
        for reply in join_all((0..REPEATS).map(|repeat| session.ask_again(sample, ids[repeat / 2]))).await {
            let said = match reply.map_err(|why| format!("{sample}: {why}"))?.decision {
                Ok(decision) => words(&decision),
                Err(invalid) => format!("invalid ({invalid})"),
            };
            decisions.push(said);
        }
        if let Some(other) = decisions.iter().find(|said| **said != decisions[0]) {
            return Err(format!("{sample}: once {}, and once {other}", decisions[0]));
        }
    }
    Ok(format!("{REPEATS} times {} questions, on {LANES} connections", samples.len()))
}

async fn repeated_events(session: &Session<'_>, callbacks: &[&'static Callback]) -> Seen {
    for callback in callbacks {
        let (sample, id) = (CheckSample::ordinary(callback), CallId::now());
        for attempt in 1..=2 {
            let reply = session.ask_as(&sample, id, attempt).await;
            reply.map_err(|why| format!("attempt {attempt} with the same callback-id: {why}"))?;
        }
    }
    Ok("both attempts were taken".to_owned())
}

async fn concurrent_calls(session: &Session<'_>, callbacks: &[&'static Callback]) -> Seen {
    session.connect_all().await.map_err(|why| why.to_string())?;
    let samples: Vec<CheckSample> = callbacks.iter().copied().map(CheckSample::ordinary).collect();
    let calls = samples.iter().cycle().take(CONCURRENT);
    let replies =
        join_all(calls.map(async |sample| session.ask_at_once(sample).await.map_err(|why| (sample, why)))).await;
    let slowest = replies.iter().flatten().map(|reply| reply.took).max().unwrap_or_default();
    let mut failures = replies.into_iter().filter_map(Result::err);
    match failures.next() {
        None => Ok(format!("the slowest of {CONCURRENT} took {slowest:.1?}")),
        Some((CheckSample { callback, .. }, why)) => {
            Err(format!("{} of {CONCURRENT} failed: {}: {why}", 1 + failures.count(), callback.name))
        }
    }
}

async fn cancelled_calls(session: &Session<'_>, callbacks: &[&'static Callback]) -> Seen {
    session.connect_all().await.map_err(|why| why.to_string())?;
    let wanted = (CANCELLED / session.decided().len().max(1)).max(CANCELLED_OF_EACH);
    let (mut all, mut longest) = (0, [Duration::ZERO; 2]);
    for callback in callbacks {
        let sample = CheckSample::ordinary(callback);
        let before = median(session, &sample).await.map_err(|why| format!("before any was cancelled: {why}"))?;
        let cancelled = cancel(session, &sample, wanted).await;
        let after = median(session, &sample).await;
        let after = after.map_err(|why| format!("after {cancelled} cancelled calls the next had {why}"))?;
        if after > before * 2 + SLACK {
            return Err(format!(
                "a call took {before:.1?} before {cancelled} cancelled ones, and {after:.1?} after them"
            ));
        }
        all += cancelled;
        longest = [longest[0].max(before), longest[1].max(after)];
    }
    Ok(format!("{:.1?} before, {:.1?} after {all} cancelled calls", longest[0], longest[1]))
}

/// So many calls, where not too many of them are answered before. One callback's after the other's.
async fn cancel(session: &Session<'_>, sample: &CheckSample, wanted: usize) -> usize {
    let _turn = session.cancelling.acquire().await;
    let (mut begun, mut cancelled) = (0, 0);
    while cancelled < wanted && begun < BEGUN_AT_MOST * wanted {
        // Some before the handler can have begun, some while it is at work.
        let patience = |number| Duration::from_millis(u64::try_from(number % 4).unwrap_or_default());
        let batch = (begun..begun + BATCH).map(|number| session.cancel(number, sample, patience(number / LANES)));
        cancelled += join_all(batch).await.into_iter().filter(|cancelled| *cancelled).count();
        begun += BATCH;
        // Servers close a connection on which many calls are cancelled that they have not even seen.
        let limit = session.settings.upstream.health.timeout;
        join_all((0..LANES).map(|_| session.call(NOBODY, &[], limit, None))).await;
    }
    cancelled
}

async fn median(session: &Session<'_>, sample: &CheckSample) -> Result<Duration, NoReply> {
    let replies = join_all((0..PROBES).map(|_| session.ask_at_once(sample))).await;
    let mut took = replies.into_iter().map(|reply| reply.map(|reply| reply.took)).collect::<Result<Vec<_>, _>>()?;
    took.sort();
    Ok(took[PROBES / 2])
}

async fn valid_decisions(session: &Session<'_>, callbacks: &[&'static Callback], tempting: Vec<CheckSample>) -> Seen {
    // That there is no reply is what other cases are about.
    join_all(tempting.iter().map(|sample| session.ask(sample))).await;
    let replies: Vec<_> = callbacks.iter().map(|callback| session.replies(callback)).collect();
    match replies.iter().find(|replies| !replies.invalid.is_empty()) {
        Some(replies) => Err(replies.to_string()),
        None => Ok(format!("all {} replies of this run", replies.iter().map(|replies| replies.all).sum::<usize>())),
    }
}
