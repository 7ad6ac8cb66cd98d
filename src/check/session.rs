//! The connections to the service under test, one question, and what every reply is held against.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::HashMap,
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use http::HeaderValue;
use tokio::{sync::Semaphore, task::yield_now, time::sleep};
use tonic::Code;

use super::samples::{CheckSample, quoted};
use crate::base::{error_chain, grpc_status, text};
use crate::callback::{Body, Callback, Codec, Decision, Guard, InvalidDecision};
use crate::openim::ServiceCodes;
use crate::proto::Refuse;
use crate::upstream::{CallError, CallId, Direct, DirectConnection, Retry, Target, UpstreamSettings};

/// Connections, as one worker of the bridge has them to one endpoint at most.
pub(super) const LANES: usize = 4;

/// An error with less of the timeout left than this is a matter of the timeout.
const TIMEOUT_MARGIN: Duration = Duration::from_millis(10);

/// So many kinds of invalid replies are shown.
const KEPT: usize = 3;

/// Turns of the runtime within which a call has been written to its connection, and too few for an answer to be read.
const TURNS_TO_SEND: usize = 8;

/// Questions that are asked at the same time: not more than servers take streams of so many connections, as a rule.
const MOST_AT_ONCE: usize = 384;
/// A service that is quick is not asked more at once.
const FEW_AT_ONCE: usize = 8;

/// Large questions beside each other: the time that they take is to be the service's.
const LARGE_AT_ONCE: usize = 8;

/// How long the service may take.
#[derive(Debug, Clone, Copy)]
pub struct CheckLimits {
    /// For an ordinary call.
    pub deadline: Duration,
    /// For any other one. Sent with every call, as its gRPC deadline.
    pub timeout: Duration,
}

/// How the service is reached, and what it is held against.
#[derive(Debug, Clone)]
pub struct CheckSettings {
    pub upstream: UpstreamSettings,
    pub limits: CheckLimits,
    /// The codes that its refusals may have.
    pub codes: ServiceCodes,
    /// The callbacks that it is asked about; empty: all.
    pub only: Vec<&'static Callback>,
    /// Texts that every field gets which takes one, for the case of `--texts`.
    pub texts: Vec<String>,
}

pub(super) struct Session<'a> {
    direct: Direct,
    pub(super) settings: &'a CheckSettings,
    lanes: [RefCell<Option<DirectConnection>>; LANES],
    next: Cell<usize>,
    turns: Semaphore,
    large: Semaphore,
    /// One at a time cancels calls.
    pub(super) cancelling: Semaphore,
    replies: RefCell<HashMap<&'static str, Replies>>,
    /// What came of the first question to each rpc.
    found: OnceCell<Vec<Found>>,
}

pub(super) type Found = (&'static Callback, Result<TimedReply, NoReply>);

/// The replies of one callback.
#[derive(Debug, Clone, Default)]
pub(super) struct Replies {
    pub(super) all: usize,
    /// Each kind, how often it came, and to what it came first.
    pub(super) invalid: Vec<(InvalidReply, usize, String)>,
}

/// A reply that came in time with the status OK.
#[derive(Debug, Clone)]
pub(super) struct TimedReply {
    /// Of an after callback: [`Decision::Allow`].
    pub(super) decision: Result<Decision, InvalidReply>,
    pub(super) took: Duration,
}

/// Why a reply holds no valid decision.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum InvalidReply {
    #[error("{0}")]
    Decision(InvalidDecision),
    #[error("the change breaks a rule: {0}. {consequence}", consequence = .0.consequence())]
    Rule(Guard),
    #[error("it refuses with the code {code}, which is not one of {allowed}: OpenIM is told 9925")]
    Code { code: i32, allowed: ServiceCodes },
}

#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum NoReply {
    #[error("no reply within {}", humantime::format_duration(*.0))]
    Late(Duration),
    #[error("the status {} instead of OK{message}", grpc_status::name(*.code))]
    Status { code: Code, message: String },
    #[error("a reply with more than one message, where the rpc has one")]
    TwoMessages,
    /// Connecting failed, or the connection broke.
    #[error("{0}")]
    Broken(String),
}

impl NoReply {
    /// More questions of the same kind would tell no more, and take their time.
    pub(super) const fn ends_the_case(&self) -> bool {
        matches!(self, Self::Late(_) | Self::Broken(_))
    }

    pub(super) const fn is_unimplemented(&self) -> bool {
        matches!(self, Self::Status { code: Code::Unimplemented, .. })
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(direct: Direct, settings: &'a CheckSettings) -> Self {
        Self {
            direct,
            settings,
            lanes: Default::default(),
            next: Cell::default(),
            turns: Semaphore::new(MOST_AT_ONCE),
            large: Semaphore::new(LARGE_AT_ONCE),
            cancelling: Semaphore::new(1),
            replies: RefCell::default(),
            found: OnceCell::new(),
        }
    }

    /// Makes the first connection.
    pub(super) async fn connect(&self) -> Result<Target, String> {
        let lane = self.lane(0).await.map_err(|why| why.to_string())?;
        Ok(lane.target().clone())
    }

    /// Makes all of them, so that calls that begin together find them.
    pub(super) async fn connect_all(&self) -> Result<(), NoReply> {
        for number in 0..LANES {
            self.lane(number).await?;
        }
        Ok(())
    }

    /// Asks each of them, all at the same time, as OpenIM would.
    pub(super) async fn find(&self, callbacks: impl Iterator<Item = &'static Callback>) {
        let asked = callbacks.map(async |callback| (callback, self.ask(&CheckSample::ordinary(callback)).await));
        let found = join_all(asked).await;
        self.found.get_or_init(|| found);
    }

    pub(super) fn found(&self) -> &[Found] {
        self.found.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the first question about this callback, or about every one, was not answered in any way.
    pub(super) fn is_silent(&self, about: Option<&Callback>) -> bool {
        let mut asked =
            self.found().iter().filter(|(callback, _)| about.is_none_or(|about| about.name == callback.name));
        asked.all(|(_, reply)| reply.as_ref().is_err_and(NoReply::ends_the_case))
    }

    /// The callbacks whose rpcs are there, whatever they answer.
    pub(super) fn implemented(&self) -> Vec<&'static Callback> {
        let is_silent = self.is_silent(None);
        self.callbacks(|reply| !is_silent && !reply.as_ref().is_err_and(NoReply::is_unimplemented))
    }

    pub(super) fn not_implemented(&self) -> Vec<&'static Callback> {
        let implemented = self.implemented();
        let is_not = |callback: &Callback| implemented.iter().all(|other| other.name != callback.name);
        self.callbacks(|_| true).into_iter().filter(|callback| is_not(callback)).collect()
    }

    /// The callbacks whose first question was answered.
    pub(super) fn decided(&self) -> Vec<&'static Callback> {
        self.callbacks(Result::is_ok)
    }

    fn callbacks(&self, wanted: impl Fn(&Result<TimedReply, NoReply>) -> bool) -> Vec<&'static Callback> {
        self.found().iter().filter(|(_, reply)| wanted(reply)).map(|(callback, _)| *callback).collect()
    }

    /// That so many questions are about to be asked: a slow service is asked more of them at once, for all to be asked
    /// within a quarter of the time that there is.
    pub(super) fn expect(&self, questions: usize, each: Duration) {
        let within = self.settings.limits.timeout * 4;
        let at_once = (each * u32::try_from(questions).unwrap_or(u32::MAX)).as_millis() / within.as_millis().max(1);
        let at_once = usize::try_from(at_once).unwrap_or(usize::MAX).clamp(FEW_AT_ONCE, MOST_AT_ONCE);
        self.turns.forget_permits(self.turns.available_permits().saturating_sub(at_once));
    }

    /// Asks when it is its turn.
    pub(super) async fn ask(&self, sample: &CheckSample) -> Result<TimedReply, NoReply> {
        self.ask_again(sample, CallId::now()).await
    }

    /// The same, but not once a question of the case has hung.
    pub(super) async fn ask_unless(&self, hangs: &Cell<bool>, sample: &CheckSample) -> Result<(), NoReply> {
        // None is ever closed.
        let _large = if sample.is_large() { Some(self.large.acquire().await) } else { None };
        let _turn = self.turns.acquire().await;
        if hangs.get() { Ok(()) } else { self.ask_at_once(sample).await.map(|_| ()) }
    }

    /// Asks what is known by this ID, when it is its turn.
    pub(super) async fn ask_again(&self, sample: &CheckSample, id: CallId) -> Result<TimedReply, NoReply> {
        let _turn = self.turns.acquire().await;
        self.ask_as(sample, id, 1).await
    }

    pub(super) async fn ask_at_once(&self, sample: &CheckSample) -> Result<TimedReply, NoReply> {
        self.ask_as(sample, CallId::now(), 1).await
    }

    /// Asks what is known by this ID, for this time.
    pub(super) async fn ask_as(&self, sample: &CheckSample, id: CallId, attempt: u32) -> Result<TimedReply, NoReply> {
        let question = sample.question().ok_or_else(|| NoReply::Broken("it is no callback".to_owned()))?;
        let attempt = sample.callback.is_after().then_some(attempt);
        let operation_id = CheckSample::operation_id();
        let known_by = Some((&operation_id, id, attempt));
        let (path, limit) = (sample.callback.rpc.path, self.settings.limits.timeout);
        let began = Instant::now();
        let reply = self.call(path, &sample.message(&question), limit, known_by).await?;
        let took = began.elapsed();
        let decision = self.decision(&question.body, &reply);
        self.note(sample, &decision);
        Ok(TimedReply { decision, took })
    }

    /// One call, on the next connection. What the service has never seen, such as on a connection that it had closed
    /// meanwhile, is retried on a new one, as the bridge does.
    pub(super) async fn call(
        &self,
        method: &'static str,
        message: &[u8],
        limit: Duration,
        known_by: Option<(&HeaderValue, CallId, Option<u32>)>,
    ) -> Result<Bytes, NoReply> {
        let (lane, began) = (self.next.replace(self.next.get().wrapping_add(1)), Instant::now());
        let mut error = match self.lane(lane).await?.call(method, message, limit, known_by).await {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        if let CallError::Broken { retry, .. } = &error {
            let never_seen = matches!(retry, Retry::Unsent | Retry::Free);
            self.forget(lane);
            if never_seen {
                let left = limit.saturating_sub(began.elapsed());
                match self.lane(lane).await?.call(method, message, left, known_by).await {
                    Ok(reply) => return Ok(reply),
                    Err(again) => error = again,
                }
            }
        }
        Err(no_reply(&error, limit, limit.saturating_sub(began.elapsed())))
    }

    /// Begins a call and cancels it `after` a while; with no while at all, as soon as it was sent. `false` when it ended
    /// before that.
    pub(super) async fn cancel(&self, lane: usize, sample: &CheckSample, after: Duration) -> bool {
        let (Ok(connection), Some(question)) = (self.lane(lane).await, sample.question()) else { return false };
        let (message, operation_id) = (sample.message(&question), CheckSample::operation_id());
        let known_by = Some((&operation_id, CallId::now(), sample.callback.is_after().then_some(1)));
        let (path, limit) = (sample.callback.rpc.path, self.settings.limits.timeout);
        let call = std::pin::pin!(connection.call(path, &message, limit, known_by));
        let patience = std::pin::pin!(async {
            for _ in 0..TURNS_TO_SEND {
                yield_now().await;
            }
            if !after.is_zero() {
                sleep(after).await;
            }
        });
        match select(call, patience).await {
            Either::Right(_) => true,
            Either::Left((ended, _)) => {
                if matches!(ended, Err(CallError::Broken { .. })) {
                    self.forget(lane);
                }
                false
            }
        }
    }

    async fn lane(&self, number: usize) -> Result<DirectConnection, NoReply> {
        let place = &self.lanes[number % LANES];
        if let Some(open) = &*place.borrow() {
            return Ok(open.clone());
        }
        let connected = self.direct.connect().await;
        let made = connected.map_err(|error| NoReply::Broken(error_chain::text(&error)))?;
        // Another call may have been quicker.
        Ok(place.borrow_mut().get_or_insert(made).clone())
    }

    /// The next call makes a new connection.
    fn forget(&self, lane: usize) {
        self.lanes[lane % LANES].replace(None);
    }

    fn decision(&self, body: &Body, reply: &[u8]) -> Result<Decision, InvalidReply> {
        if body.callback().is_after() {
            // The bridge does not look at the reply either.
            return Ok(Decision::Allow);
        }
        let allowed = &self.settings.codes;
        match (Codec::TABLES.read)(body, reply) {
            // 0 is unset: the bridge's default.
            Ok(Decision::Refuse(Refuse { code, .. })) if code != 0 && allowed.allowed(code).is_none() => {
                Err(InvalidReply::Code { code, allowed: allowed.clone() })
            }
            Ok(decision) => Ok(decision),
            Err(InvalidDecision::Rule(guard)) => Err(InvalidReply::Rule(guard)),
            Err(invalid) => Err(InvalidReply::Decision(invalid)),
        }
    }

    fn note(&self, sample: &CheckSample, decision: &Result<Decision, InvalidReply>) {
        let mut replies = self.replies.borrow_mut();
        let replies = replies.entry(sample.callback.name).or_default();
        replies.all += 1;
        let Err(invalid) = decision else { return };
        match replies.invalid.iter_mut().find(|(kind, ..)| kind == invalid) {
            Some((_, count, _)) => *count += 1,
            None => replies.invalid.push((invalid.clone(), 1, sample.to_string())),
        }
    }

    /// All that this callback had so far.
    pub(super) fn replies(&self, callback: &Callback) -> Replies {
        self.replies.borrow().get(callback.name).cloned().unwrap_or_default()
    }
}

/// Which replies are invalid, and why.
impl fmt::Display for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.invalid.iter().map(|(_, count, _)| count).sum();
        write!(f, "{count} of {} replies of this run are not", self.all)?;
        for (at, (invalid, count, first)) in self.invalid.iter().take(KEPT).enumerate() {
            write!(f, "{} to {first}", if at == 0 { ":" } else { ";" })?;
            if *count > 1 {
                write!(f, " and {} more", count - 1)?;
            }
            write!(f, ": {invalid}")?;
        }
        f.write_str(if self.invalid.len() > KEPT { "; …" } else { "" })
    }
}

fn no_reply(error: &CallError, limit: Duration, left: Duration) -> NoReply {
    match error {
        _ if left < TIMEOUT_MARGIN => NoReply::Late(limit),
        CallError::Status(status) => {
            let message = status.message();
            let message = if message.is_empty() { String::new() } else { format!(" ({})", quoted(message)) };
            NoReply::Status { code: status.code(), message }
        }
        CallError::TwoMessages => NoReply::TwoMessages,
        error => NoReply::Broken(error_chain::text(error)),
    }
}

/// A decision in words.
pub(super) fn words(decision: &Decision) -> String {
    match decision {
        Decision::Allow => "allow".to_owned(),
        Decision::Refuse(Refuse { code, message, detail }) => {
            let detail = if detail.is_empty() { String::new() } else { format!(" and detail {}", quoted(detail)) };
            format!("refuse with code {code}, message {}{detail}", quoted(message))
        }
        Decision::Change(fields) => change_words(&format!("{{{}}}", fields.as_str())),
    }
}

/// A change of this JSON.
pub(super) fn change_words(json: &str) -> String {
    format!("change {}", text::one_line(json, 200))
}
