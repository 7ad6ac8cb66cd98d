//! The path of one callback, the same for every callback in the registry:
//!
//! ```text
//! bytes -> receive -> decode -> ask -> fall back -> encode -> bytes
//!                                              `-> record
//! ```
//!
//! - [`receive`]: what came in over HTTP is a callback that is served, or a [`BadRequest`](crate::openim::BadRequest).
//! - [`outcome`]: what became of it, which is what OpenIM is told and what is recorded.
//! - [`origin`](Origin): where an answer came from, for people.
//! - [`shadow`]: the decision is asked for, and has no effect.
//! - [`limits`]: how much is taken in at one time.
//!
//! Called by `server` for each request. Knows nothing of sockets, and names no callback.

#[cfg(test)]
mod counted;
mod limits;
mod origin;
mod outcome;
mod receive;
mod shadow;

use std::{
    net::IpAddr,
    ops::ControlFlow::{self, Break, Continue},
    panic::AssertUnwindSafe,
    rc::Rc,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::future::FutureExt as _;
use http::{HeaderMap, StatusCode, Uri, request::Parts};
use http_body::Body;

pub use limits::{Gauge, Permit, SharedLimits};
pub use origin::{HINT_HEADER, ORIGIN_HEADER, Origin};
pub use outcome::{Kind, Outcome, Reason, Source};
use receive::{Received, Rejected};
use shadow::Shadowed;

use crate::callback::{Question, Served};
use crate::config::Settings;
use crate::decision::{Asked, Call, CallError, Deadline, ErrorClass, Percent, Pool, Spent, Upstream};
use crate::openim::{OPERATION_ID_HEADER, OperationId, UrlCommand, Verdict};
use crate::telemetry::{self, metrics::Metrics, traces};
use crate::trace_context::Propagation;

/// One worker's bridge, on settings that never change: a callback that has begun on one ends on it, and after a reload the
/// next one begins on another (see [`Bridge::on`]).
#[derive(Debug)]
pub struct Bridge {
    settings: Arc<Settings>,
    limits: Arc<SharedLimits>,
    metrics: Arc<Metrics>,
    registry: &'static [Served],
    upstream: Rc<Upstream>,
}

/// A callback that is to be decided.
struct Arrived {
    served: &'static Served,
    operation_id: OperationId,
    question: Question,
    /// The body's share of `limits.body_bytes`, held until the answer is there.
    body: Permit,
}

/// What is sent back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// For people and proxies: OpenIM never looks at it.
    pub status: StatusCode,
    /// For people, too.
    pub origin: Origin,
    /// What would be right, where the request was not.
    pub hint: Option<&'static str>,
    /// A JSON object.
    pub body: Bytes,
}

impl Bridge {
    /// A bridge for one worker, in whose runtime this must be called. `limits`, `pool` and `metrics` are the whole process's.
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        limits: Arc<SharedLimits>,
        pool: Arc<Pool>,
        metrics: Arc<Metrics>,
        registry: &'static [Served],
    ) -> Self {
        Self { settings, limits, metrics, registry, upstream: Rc::new(Upstream::new(pool)) }
    }

    /// The same bridge, with the same connections, on other settings.
    #[must_use]
    pub fn on(&self, settings: Arc<Settings>) -> Self {
        Self {
            settings,
            limits: Arc::clone(&self.limits),
            metrics: Arc::clone(&self.metrics),
            registry: self.registry,
            upstream: Rc::clone(&self.upstream),
        }
    }

    /// The deadline of a request whose first byte came at `started`.
    #[must_use]
    pub fn deadline(&self, started: tokio::time::Instant) -> Deadline {
        Deadline::new(started, self.settings.decision.timeout)
    }

    /// The whole path, for a request of this peer, of which it leaves no headers. Always answers, and by the deadline; what
    /// it leaves unread of `body` is the caller's to discard.
    pub async fn answer<B>(
        self: &Rc<Self>,
        peer: IpAddr,
        request: &mut Parts,
        body: &mut B,
        deadline: Deadline,
    ) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (trace, span) = traces::begin(request, self.settings.tls.is_some());
        let arrived = self.arrive(peer, request, body, deadline).await;
        // They are part of what the connection read, which takes 8 KiB for as long as any of it is held.
        (request.uri, request.headers) = (Uri::default(), HeaderMap::default());
        let outcome = match arrived {
            Continue(arrived) => {
                let place = self.limits.in_flight.take(1);
                if !self.settings.decision.enforce_percent.includes(&arrived.question.parties.owner) {
                    return self.shadow(Shadowed { arrived, place, trace, span }, deadline);
                }
                self.decide(arrived, place, &trace, deadline).await
            }
            Break(outcome) => outcome,
        };
        self.finish(&outcome.recorded_by(span), deadline)
    }

    /// The answer when a panic has ended the path before the decision, or after it: then nothing is known of the request any
    /// more.
    #[must_use]
    pub fn answer_to_panic(&self, request: &Parts, deadline: Deadline) -> Answer {
        let (_, span) = traces::begin(request, self.settings.tls.is_some());
        let outcome = self.as_named(self.fall_back(ErrorClass::Internal, None), request);
        self.finish(&outcome.recorded_by(span), deadline)
    }

    /// All that comes before the question: there is a callback to be decided, or an outcome already.
    async fn arrive<B>(
        &self,
        peer: IpAddr,
        request: &Parts,
        body: &mut B,
        deadline: Deadline,
    ) -> ControlFlow<Outcome, Arrived>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        match self.receive(peer, request, body, deadline).await {
            Ok(Received::Callback { served, operation_id, body, permit }) => {
                match served.decode(&body, &operation_id) {
                    Ok(question) => Continue(Arrived { served, operation_id, question, body: permit }),
                    Err(error) => {
                        Break(Outcome::bad_request(error.into()).serving(served).of(operation_id).at(&request.uri))
                    }
                }
            }
            Ok(Received::Unserved { operation_id }) => Break(Outcome::unserved().of(operation_id).at(&request.uri)),
            Err(Rejected::Bad(bad)) => Break(self.as_named(Outcome::bad_request(bad), request).at(&request.uri)),
            Err(Rejected::Overloaded(limit)) => {
                Break(self.as_named(self.fall_back(ErrorClass::Overloaded, Some(CallError::Limit(limit))), request))
            }
        }
    }

    /// Counts a callback whose connection went away before there was an answer, and so an outcome.
    pub fn abandoned(&self) {
        self.metrics.abandoned();
    }

    /// The App's decision, or the fallback where there is none: also where there is no `place` among the callbacks being
    /// decided, and after a panic.
    async fn decide(
        &self,
        Arrived { served, operation_id, question, body: _held }: Arrived,
        place: Option<Permit>,
        trace: &Propagation,
        deadline: Deadline,
    ) -> Outcome {
        let deciding = async {
            let asked = self.ask(served, &question, &operation_id, trace, place, deadline).await;
            self.outcome(served, question, asked, deadline)
        };
        let panicked =
            |_| Outcome::fallback(&self.settings.fallback, ErrorClass::Internal, vec![], None).serving(served);
        AssertUnwindSafe(deciding).catch_unwind().await.unwrap_or_else(panicked).of(operation_id)
    }

    async fn ask(
        &self,
        served: &Served,
        question: &Question,
        id: &OperationId,
        trace: &Propagation,
        place: Option<Permit>,
        deadline: Deadline,
    ) -> Asked {
        let Some(_place) = place else {
            let reply = Err(CallError::Limit("limits.in_flight"));
            return Asked { reply, endpoint: None, spent: Spent::default(), tries: vec![] };
        };
        let call = Call { method: served.method, message: &question.message, operation_id: id.metadata(), trace };
        self.upstream.ask(&call, deadline).await
    }

    fn outcome(&self, served: &'static Served, question: Question, asked: Asked, deadline: Deadline) -> Outcome {
        let decision = asked.reply.and_then(|reply| served.read(reply).ok_or(CallError::InvalidReply));
        match decision {
            Ok(decision) => Outcome::decided(decision, question.unchanged, &self.settings.refusal),
            Err(error) => {
                let class = error.class(deadline.remaining());
                Outcome::fallback(&self.settings.fallback, class, question.unchanged, Some(error))
            }
        }
        .serving(served)
        .between(question.parties)
        .after(asked.spent, asked.endpoint, asked.tries)
    }

    /// The fallback for a callback that was never read, so that its fields are not known, and OpenIM keeps its user's;
    /// nor is its owner, so that it has effect unless no owner's has.
    fn fall_back(&self, class: ErrorClass, error: Option<CallError>) -> Outcome {
        let outcome = Outcome::fallback(&self.settings.fallback, class, vec![], error);
        if self.settings.decision.enforce_percent == Percent::NONE { outcome.in_shadow() } else { outcome }
    }

    /// What the head alone names, of a request that never came in whole.
    fn as_named(&self, outcome: Outcome, request: &Parts) -> Outcome {
        let url = UrlCommand::of(&request.uri);
        let served = url.name().and_then(|name| self.registry.iter().find(|served| served.is_named(name)));
        let outcome = served.into_iter().fold(outcome, Outcome::serving);
        let id = request.headers.get(OPERATION_ID_HEADER).and_then(OperationId::from_header);
        id.into_iter().fold(outcome, Outcome::of)
    }

    /// Encodes, and records: once, from the same value.
    fn finish(&self, outcome: &Outcome, deadline: Deadline) -> Answer {
        self.record(outcome, deadline);
        let body = match outcome.source() {
            Source::Shadow => self.encode(&Verdict::GoOn(vec![])),
            _ => self.encode(outcome.verdict()),
        };
        Answer { status: outcome.status(), origin: outcome.origin(), hint: outcome.hint(), body }
    }

    fn record(&self, outcome: &Outcome, deadline: Deadline) {
        let elapsed = deadline.elapsed();
        self.metrics.record(outcome, elapsed);
        telemetry::record(outcome, elapsed, &self.settings.log);
    }

    fn encode(&self, verdict: &Verdict) -> Bytes {
        verdict.encode(self.settings.response.next_code)
    }
}
