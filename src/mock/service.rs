//! The rpcs: each by its row and the tables of the contract, with no code of its own. Looks the answer up, waits, answers, and
//! tells the log and the tests about it.
//!
//! tonic's server enforces a call's `grpc-timeout` itself: a call that still waits by then is dropped here, and tonic
//! answers it CANCELLED. So `hang` is silent up to the deadline, not beyond it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message as _;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Instant, sleep},
};
use tonic::{Request, Response, Status, server::Grpc};
use tracing::info;

use super::{
    answer::MockAnswer,
    call::{CallStage, MockCall, MockEvent},
    control::MockControl,
    raw::Raw,
    record::Recorded,
};
use crate::callback::{CALLBACKS, Callback};

/// IDs are free text of any length; a log line holds this many bytes of each.
const LOGGED_ID: usize = 256;
/// The same of a request.
const LOGGED_REQUEST: usize = 4096;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) control: MockControl,
    /// Those whose rpcs are as if they were not there.
    pub(super) without: Vec<&'static Callback>,
    pub(super) log_private: bool,
    pub(super) events: Option<mpsc::UnboundedSender<MockEvent>>,
    /// A permit for each call that is worked on. `None`: there is always room.
    pub(super) room: Option<Semaphore>,
    /// Its sender goes away when the mock ends.
    pub(super) stopped: watch::Receiver<()>,
}

/// What every request has beside its fields.
#[derive(Clone, PartialEq, prost::Message)]
struct Common {
    #[prost(string, tag = "1")]
    operation_id: String,
}

impl Service {
    /// Those that are served.
    pub(super) fn callbacks(&self) -> impl Iterator<Item = &'static Callback> {
        CALLBACKS.iter().filter(|callback| !self.without.iter().any(|other| other.name == callback.name))
    }

    /// The services of their rpcs, by name.
    pub(super) fn names(&self) -> BTreeSet<&'static str> {
        self.callbacks().filter_map(|callback| callback.rpc.path.split('/').nth(1)).collect()
    }

    /// Answers any rpc.
    pub(super) async fn serve(
        self: Arc<Self>,
        request: http::Request<axum::body::Body>,
    ) -> http::Response<tonic::body::Body> {
        let path = request.uri().path();
        let Some(callback) = self.callbacks().find(|callback| callback.rpc.path == path) else {
            return Status::unimplemented("The mock does not serve this rpc").into_http();
        };
        let rpc = tower::service_fn(move |request: Request<Bytes>| {
            let service = Arc::clone(&self);
            async move { service.answer(callback, request).await }
        });
        Grpc::new(Raw).max_decoding_message_size(usize::MAX).unary(rpc, request).await
    }

    async fn answer(&self, callback: &'static Callback, request: Request<Bytes>) -> Result<Response<Vec<u8>>, Status> {
        let (metadata, _, message) = request.into_parts();
        let undecodable = || Status::internal("The request does not decode");
        let Common { operation_id } = Common::decode(&*message).map_err(|_| undecodable())?;
        let json = callback.rpc.request.json_of(&message).ok_or_else(undecodable)?;
        let request = serde_json::from_str(&json).map_err(|_| undecodable())?;
        let MockAnswer { delay, reply } = self.control.rules().answer(callback, &request);
        let call = MockCall::new(callback, operation_id, request, &metadata, &reply);
        self.control.received(&Recorded::new(&call, &metadata, delay, &reply));
        let in_flight = InFlight::new(self, callback, call);
        let answer = self.unless_stopped(delay, reply.message(callback)).await?;
        in_flight.answered();
        match answer {
            Ok(message) => Ok(Response::new(message)),
            Err(code) => Err(Status::new(code, "As the mock was told to answer")),
        }
    }

    /// Waits as told. An error is the end of the mock, and no answer of its own.
    async fn unless_stopped<A>(&self, delay: Duration, answer: Option<A>) -> Result<A, Status> {
        let waits = async {
            let _place = match &self.room {
                Some(room) => room.acquire().await.ok(),
                None => None,
            };
            if !delay.is_zero() {
                sleep(delay).await;
            }
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        };
        let mut stopped = self.stopped.clone();
        tokio::select! {
            biased;
            answer = waits => Ok(answer),
            _ = stopped.changed() => Err(Status::unavailable("The mock is ending")),
        }
    }
}

/// A call from its arrival to its end, whichever way it ends: tonic drops the handler's future when nobody waits for it
/// any more.
struct InFlight<'a> {
    service: &'a Service,
    callback: &'static Callback,
    call: Arc<MockCall>,
    since: Instant,
    end: CallStage,
}

impl<'a> InFlight<'a> {
    fn new(service: &'a Service, callback: &'static Callback, call: MockCall) -> Self {
        let (call, since) = (Arc::new(call), Instant::now());
        let in_flight = Self { service, callback, call, since, end: CallStage::Cancelled };
        in_flight.tell(CallStage::Received);
        in_flight
    }

    fn answered(mut self) {
        self.end = CallStage::Answered;
    }

    fn tell(&self, stage: CallStage) {
        if let Some(events) = &self.service.events {
            // A receiver that is gone does not want to know.
            let _ = events.send(MockEvent { call: Arc::clone(&self.call), stage });
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let MockCall { callback, operation_id, request, attempt, decision, .. } = &*self.call;
        let id = |key: Option<&str>| {
            let id = key.and_then(|key| request.get(key)?.as_str()).filter(|id| !id.is_empty());
            id.map(|id| shortened(id, LOGGED_ID))
        };
        let request = self.service.log_private.then(|| request.to_string());
        info!(
            callback,
            operation_id = shortened(operation_id, LOGGED_ID),
            actor = id(self.callback.actor),
            about = id(self.callback.about),
            attempt,
            request = request.as_deref().map(|request| shortened(request, LOGGED_REQUEST)),
            decision,
            ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            "{}",
            if self.end == CallStage::Answered { "answered" } else { "cancelled" }
        );
        self.tell(self.end);
    }
}

fn shortened(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
