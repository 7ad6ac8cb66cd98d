//! What a bridge is made of, and what every stage of the path may use.

use std::{net::IpAddr, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::delivery::{Deliveries, Events, WorkerDeliveries};
use super::limits::{Held, SharedLimits};
use super::settings::{BridgeSettings, CallbackPolicy};
use crate::base::deadline::Deadline;
use crate::callback::{Callbacks, Question};
use crate::openim::{Fields, OperationId, Verdict};
use crate::outcome::{CallbackSpan, Origin, Outcome, Source};
use crate::telemetry::{self, metrics::Metrics};
use crate::upstream::{Forwarder, Pool, Receiver, Upstream};

/// One worker's bridge, on settings that never change: a callback that has begun on one ends on it, and after a reload the
/// next one begins on another (see [`Bridge::on`]).
#[derive(Debug)]
pub struct Bridge {
    pub(super) settings: Arc<BridgeSettings>,
    pub(super) limits: Arc<SharedLimits>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) callbacks: Arc<Callbacks>,
    pub(super) upstream: Rc<Upstream>,
    pub(super) deliveries: Arc<Deliveries>,
    /// `None`: there is no `forward.url`.
    pub(super) forwarder: Option<Rc<Forwarder>>,
    /// Whether OpenIM comes by HTTPS.
    pub(super) https: bool,
}

/// A callback that is to be decided.
pub(super) struct Arrived {
    pub(super) operation_id: OperationId,
    pub(super) question: Question,
    pub(super) policy: CallbackPolicy,
    /// As the callback's policy has it.
    pub(super) deadline: Deadline,
}

#[derive(Debug)]
pub struct Answer {
    /// For humans and proxies: OpenIM never looks at it.
    pub status: StatusCode,
    pub origin: Origin,
    /// What would be right, where the request was not.
    pub hint: Option<&'static str>,
    /// Those of another receiver, whose answer this is.
    pub headers: Option<Box<HeaderMap>>,
    pub body: Bytes,
    /// What the answer holds of `limits.body_bytes`, until it has been taken or dropped.
    pub held: Held,
}

impl Bridge {
    /// A bridge for one worker, in whose runtime this must be called. `limits`, `pool`, `receiver` and `deliveries` are the whole
    /// process's, and `events` what this worker delivers.
    #[must_use]
    pub fn new(
        settings: Arc<BridgeSettings>,
        limits: Arc<SharedLimits>,
        pool: Arc<Pool>,
        receiver: Option<Arc<Receiver>>,
        deliveries: Arc<Deliveries>,
        events: Events,
        https: bool,
    ) -> Self {
        let upstream = Rc::new(Upstream::new(pool));
        let forwarder = receiver.map(|receiver| Rc::new(Forwarder::new(receiver)));
        let (told, bounds) = (Rc::clone(&upstream), Arc::clone(&limits));
        WorkerDeliveries::start(Arc::clone(&deliveries), told, forwarder.clone(), bounds, events);
        let (metrics, callbacks) = (Arc::clone(deliveries.metrics()), Arc::clone(deliveries.callbacks()));
        Self { settings, limits, metrics, callbacks, upstream, deliveries, forwarder, https }
    }

    /// The same bridge, with the same connections, on other settings.
    #[must_use]
    pub fn on(&self, settings: Arc<BridgeSettings>) -> Self {
        Self {
            settings,
            limits: Arc::clone(&self.limits),
            metrics: Arc::clone(&self.metrics),
            callbacks: Arc::clone(&self.callbacks),
            upstream: Rc::clone(&self.upstream),
            deliveries: Arc::clone(&self.deliveries),
            forwarder: self.forwarder.clone(),
            https: self.https,
        }
    }

    /// The deadline of a request whose first byte came at `started`, as long as nothing is known of its callback.
    #[must_use]
    pub fn deadline(&self, started: Instant) -> Deadline {
        Deadline::new(started, self.settings.decision.timeout)
    }

    /// Whether this peer may call with these headers.
    #[must_use]
    pub fn admits(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        self.settings.access.check(peer, headers).is_ok()
    }

    /// Counts a callback whose connection went away before there was an answer, and so an outcome.
    pub fn abandoned(&self) {
        self.metrics.abandoned();
    }

    /// Records and encodes the same value, so that nobody is told another thing. `held`: what the callback holds until now.
    pub(super) fn finish(
        &self,
        outcome: Outcome,
        span: Option<Box<CallbackSpan>>,
        held: Option<Held>,
        deadline: Deadline,
    ) -> Answer {
        let outcome = outcome.recorded_by(span);
        self.record(&outcome, deadline);
        self.encode(&outcome, held)
    }

    /// Once for each callback.
    pub(super) fn record(&self, outcome: &Outcome, deadline: Deadline) {
        telemetry::record(outcome, deadline, &self.metrics, &self.settings.log);
    }

    /// What OpenIM is told. `held`: what its callback holds until now.
    pub(super) fn encode(&self, outcome: &Outcome, held: Option<Held>) -> Answer {
        let body = match outcome.source() {
            Source::Shadow => self.body(&Verdict::go_on(Fields::default())),
            _ => self.body(outcome.verdict()),
        };
        let mut held = held.unwrap_or_else(|| self.limits.answer(0));
        held.answered(body.len());
        let (status, origin, hint) = (outcome.status(), outcome.origin(), outcome.hint());
        Answer { status, origin, hint, headers: None, body, held }
    }

    pub(super) fn body(&self, verdict: &Verdict) -> Bytes {
        verdict.encode(self.settings.response.next_code)
    }
}
