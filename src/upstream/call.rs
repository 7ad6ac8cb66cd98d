//! One question to the decision service: within the deadline, with one retry where it is safe, and with every failure
//! as a typed [`CallError`].

use std::{
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, uri::PathAndQuery};
use opentelemetry::trace::SpanId;
use tokio::time::{Instant, timeout_at};
use tonic::Code;
use tower::retry::budget::Budget as _;

use super::address::Target;
use super::balancer::Balancer;
use super::endpoint::Endpoint;
use super::error::{CallError, Retry};
use super::pool::Pool;
use super::spent::{Spent, Stopwatch};
use super::tries::{TriedServer, Try, TryEnd};
use super::unary::{self, Reply, unary};
use crate::base::trace_context::Propagation;
use crate::base::{deadline::Deadline, memory::Gauge};

/// The metadata that carries OpenIM's operation ID.
const OPERATION_ID: HeaderName = HeaderName::from_static("operation-id");
/// The metadata that carries the ID of the callback.
const CALLBACK_ID: HeaderName = HeaderName::from_static("callback-id");
/// The metadata that carries the number of the attempt, from 1.
const ATTEMPT: HeaderName = HeaderName::from_static("attempt");

/// Connections that one call may find closing, before that counts as a retry. Services that were started together close
/// theirs together (a maximum age), so the next one may be closing too. All but the first are within the budget, for a
/// service that takes no connection not to be asked many times.
const MAX_UNSENT: u8 = 3;

/// A worker's way to the decision service.
#[derive(Debug)]
pub struct Upstream {
    pool: Arc<Pool>,
    balancer: Rc<Balancer>,
}

/// The ID of a callback, for receivers that may get it more than once: a UUID of version 7, which holds when it was
/// made.
#[derive(Debug, Clone, Copy)]
pub struct CallId([u8; uuid::fmt::Hyphenated::LENGTH]);

impl CallId {
    /// A new one, of now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "no deadline: the time of day is part of the ID")]
    pub fn now() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut random = [0; 10];
        fastrand::fill(&mut random);
        let millis = u64::try_from(now.as_millis()).unwrap_or_default();
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        id.hyphenated().encode_lower(&mut text);
        Self(text)
    }

    /// For one call. Made for each: a copy of it would take as much memory, and a counter beside.
    fn value(self) -> HeaderValue {
        // Letters, digits and hyphens.
        unary::once(HeaderValue::from_bytes(&self.0).unwrap_or(HeaderValue::from_static("")))
    }
}

/// What the service is asked.
#[derive(Debug)]
pub struct Call<'a> {
    /// `/package.Service/Method`.
    pub path: &'a PathAndQuery,
    /// The request, in its frame.
    pub frame: &'a Bytes,
    /// For the metadata `callback-id`: the same for every time that the service may get to see the callback.
    pub id: CallId,
    /// For the metadata `attempt`, of what is only told.
    pub attempt: Option<u32>,
    /// For the metadata `operation-id`.
    pub operation_id: Option<HeaderValue>,
    /// For the metadata `traceparent` and `tracestate`.
    pub trace: &'a Propagation,
    /// Where the reply is counted.
    pub memory: &'a Arc<Gauge>,
}

/// What a call is known by, beside its trace.
pub(super) fn write_metadata(
    headers: &mut HeaderMap,
    operation_id: Option<&HeaderValue>,
    id: CallId,
    attempt: Option<u32>,
) {
    if let Some(value) = operation_id {
        headers.insert(OPERATION_ID, unary::once(value.clone()));
    }
    headers.insert(CALLBACK_ID, id.value());
    if let Some(attempt) = attempt {
        headers.insert(ATTEMPT, HeaderValue::from(attempt));
    }
}

impl Call<'_> {
    /// Whether somebody waits for it. No answer by the deadline then counts against the endpoint; one that does not answer
    /// what it is only told may decide well.
    const fn is_decision(&self) -> bool {
        self.attempt.is_none()
    }
}

#[derive(Debug)]
pub struct Asked {
    /// The reply, not decoded, or why there is none.
    pub reply: Result<Reply, CallError>,
    pub endpoint: Option<Target>,
    pub spent: Spent,
    /// Each time that it was tried; empty where no trace records it.
    pub tries: Vec<Try>,
}

impl Asked {
    /// It went to nobody.
    #[must_use]
    pub fn nowhere(error: CallError) -> Self {
        Self { reply: Err(error), endpoint: None, spent: Spent::default(), tries: vec![] }
    }
}

impl Upstream {
    /// Connects to every endpoint at once, so that the first callback finds a connection. Must run in a worker's runtime.
    #[must_use]
    pub fn new(pool: Arc<Pool>) -> Self {
        Self { balancer: Balancer::start(pool.endpoints(), pool.settings.clone()), pool }
    }

    /// Whether there is an endpoint that gets calls.
    #[must_use]
    pub fn has_endpoint(&self) -> bool {
        self.balancer.has_endpoint()
    }

    /// Asks, and retries once, elsewhere if possible, where that is safe. A delivery is one call, unless the service has not
    /// seen it.
    pub async fn ask(&self, call: &Call<'_>, deadline: Deadline) -> Asked {
        let mut spent = Spent::default();
        let mut tried = None;
        let mut tries = Vec::new();
        let reply = {
            // Pinned where it is: it takes some kilobytes to move.
            let attempts = pin!(self.attempts(call, deadline, &mut spent, &mut tried, &mut tries));
            timeout_at(deadline.at(), attempts).await.unwrap_or(Err(CallError::Deadline))
        };
        if let (true, Err(CallError::Deadline), Some(tried)) = (call.is_decision(), &reply, &tried)
            && tried.sent.is_some_and(|sent| deadline.leaves_half(sent))
        {
            tried.endpoint.failed();
        }
        Asked { reply, endpoint: tried.map(|tried| tried.endpoint.target.clone()), spent, tries }
    }

    /// Leaves in `tried` what was tried last.
    async fn attempts(
        &self,
        call: &Call<'_>,
        deadline: Deadline,
        spent: &mut Spent,
        tried: &mut Option<Tried>,
        tries: &mut Vec<Try>,
    ) -> Result<Reply, CallError> {
        // What is only told comes again by itself, after a pause, and leaves the budget to decisions.
        let is_decision = call.is_decision();
        if is_decision {
            self.pool.budget.deposit();
        }
        let withdraw = || is_decision && self.pool.budget.withdraw();
        let mut unsent = 0;
        loop {
            let span = call.trace.next_span();
            if call.trace.is_recorded() {
                tries.push(Try::begin(span));
            }
            let result = self.attempt(call, span, deadline, spent, tried, tries.last_mut()).await;
            if let Some(this) = tries.last_mut() {
                this.end(TryEnd::Rpc(result.as_ref().map_or_else(CallError::code, |_| Code::Ok)));
            }
            let error = match result {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let retry = error.retry();
            if retry == Retry::Unsent && unsent < MAX_UNSENT && (unsent == 0 || withdraw()) {
                unsent += 1;
                continue;
            }
            let may_retry = spent.retries == 0
                && match retry {
                    Retry::Never => false,
                    Retry::Unsent | Retry::Free => true,
                    Retry::Budgeted => withdraw(),
                };
            if !may_retry {
                return Err(error);
            }
            spent.retries += 1;
        }
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        span: SpanId,
        deadline: Deadline,
        spent: &mut Spent,
        tried: &mut Option<Tried>,
        noted: Option<&mut Try>,
    ) -> Result<Reply, CallError> {
        let channel = self.balancer.pick(tried.as_ref().map(|tried| &tried.endpoint), spent).await?;
        let avoided = tried.take().filter(|tried| Arc::ptr_eq(&tried.endpoint, &channel.endpoint));
        let endpoint = Arc::clone(&channel.endpoint);
        if let Some(noted) = noted {
            noted.server = Some(TriedServer { origin: endpoint.origin.clone(), target: Some(endpoint.target.clone()) });
        }
        let tried = tried.insert(Tried { endpoint: Arc::clone(&endpoint), broken_connection: None, sent: None });
        let mut place = channel.place(avoided.and_then(|tried| tried.broken_connection), spent).await?;
        let calling = Stopwatch::start(&mut spent.calling);
        tried.sent = Some(calling.since());

        let connection = place.connection_number();
        let (sender, given_up) = place.parts();
        // A block, for the future not to keep room for the head.
        let called = {
            let mut head = unary::head(&endpoint.origin, call.path.clone(), deadline.remaining());
            write_metadata(head.headers_mut(), call.operation_id.as_ref(), call.id, call.attempt);
            call.trace.write(span, head.headers_mut());
            unary(sender, head, call.frame.clone(), Some(call.memory), Some(given_up))
        };
        match called.await {
            Ok(reply) => {
                endpoint.answered();
                Ok(reply)
            }
            Err(error) => {
                let error = error.without_quotes(call.frame);
                match &error {
                    CallError::Status(status) if status.code() == Code::Unavailable => endpoint.failed(),
                    CallError::Status(_)
                    | CallError::TwoMessages
                    | CallError::InvalidReply(_)
                    | CallError::Limit(_) => {
                        endpoint.answered();
                    }
                    // Counted once for the whole connection, where it broke.
                    _ => tried.broken_connection = Some(connection),
                }
                Err(error)
            }
        }
    }
}

#[derive(Debug)]
struct Tried {
    endpoint: Arc<Endpoint>,
    broken_connection: Option<u64>,
    /// `None`: it waited for a connection, or for a place on one.
    sent: Option<Instant>,
}
