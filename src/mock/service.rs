//! The rpc: looks the answer up, waits, answers, and tells the log and the tests about it.
//!
//! tonic's server enforces a call's `grpc-timeout` itself: a call that still waits by then is dropped here, and tonic
//! answers it CANCELLED. So `hang` is silent up to the deadline, not beyond it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Instant, sleep},
};
use tonic::{Request, Response, Status, metadata::MetadataMap};
use tracing::info;

use super::{MockAnswer, MockControl, MockInvalid, MockReply, record::Recorded};
use crate::proto::{
    Allow, BeforeSetFriendRemarkRequest, BeforeSetFriendRemarkResponse, Refuse, ReplaceRemark,
    before_set_friend_remark_response::Decision, friend_callback_service_server::FriendCallbackService,
};

/// IDs and remarks are free text of any length; a log line holds this many bytes of each.
const LOGGED_BYTES: usize = 256;

/// One call, as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MockCall {
    pub operation_id: String,
    pub owner: String,
    pub friend: String,
    pub remark: String,
    /// The metadata `operation-id`, where it is visible ASCII.
    pub operation_id_metadata: Option<String>,
    /// The metadata `grpc-timeout`, in gRPC's notation: up to eight digits and a unit, such as `1500m`.
    pub grpc_timeout: Option<String>,
    pub traceparent: Option<String>,
    /// What the mock was going to answer: the name of a [`MockReply`].
    pub decision: &'static str,
}

/// What happened to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MockEvent {
    /// Which call; the same `Arc` in all events of a call.
    pub call: Arc<MockCall>,
    /// What happened to it.
    pub stage: CallStage,
}

/// What can happen to a call: it is received, and then ends in one of two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallStage {
    Received,
    Answered,
    /// It ended without an answer of the mock: the client cancelled it or went away, its deadline passed, or the mock
    /// ended.
    Cancelled,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) control: MockControl,
    pub(super) log_private: bool,
    pub(super) events: Option<mpsc::UnboundedSender<MockEvent>>,
    /// A permit for each call that is worked on. `None`: there is always room.
    pub(super) room: Option<Semaphore>,
    /// Its sender goes away when the mock ends.
    pub(super) stopped: watch::Receiver<()>,
}

#[tonic::async_trait]
impl FriendCallbackService for Service {
    async fn before_set_friend_remark(
        &self,
        request: Request<BeforeSetFriendRemarkRequest>,
    ) -> Result<Response<BeforeSetFriendRemarkResponse>, Status> {
        let MockAnswer { delay, reply } = self.control.rules().answer(request.get_ref());
        self.control.received(&Recorded::new(request.get_ref(), request.metadata(), delay, &reply));
        let in_flight = InFlight::new(self, call(request, &reply));
        let answer = self.unless_stopped(delay, reply).await?;
        in_flight.answered();
        answer
    }
}

/// A reply in gRPC's terms.
type MockOutcome = Result<Response<BeforeSetFriendRemarkResponse>, Status>;

impl Service {
    /// Waits as told. The outer error is the end of the mock, and no answer of its own.
    async fn unless_stopped(&self, delay: Duration, reply: MockReply) -> Result<MockOutcome, Status> {
        let answer = async {
            let _place = match &self.room {
                Some(room) => room.acquire().await.ok(),
                None => None,
            };
            if !delay.is_zero() {
                sleep(delay).await;
            }
            outcome(reply).await
        };
        let mut stopped = self.stopped.clone();
        tokio::select! {
            biased;
            outcome = answer => Ok(outcome),
            _ = stopped.changed() => Err(Status::unavailable("The mock is ending")),
        }
    }
}

async fn outcome(reply: MockReply) -> MockOutcome {
    let decision = match reply {
        MockReply::Allow => Some(Decision::Allow(Allow {})),
        MockReply::Refuse { code, message, detail } => Some(Decision::Refuse(Refuse { code, message, detail })),
        MockReply::Replace(remark) => Some(Decision::ReplaceRemark(ReplaceRemark { remark })),
        MockReply::Hang => std::future::pending().await,
        MockReply::Status(code) => return Err(Status::new(code, "As the mock was told to answer")),
        MockReply::Invalid(MockInvalid::Unset) => None,
        MockReply::Invalid(MockInvalid::Code) => {
            let message = "A refusal with a code outside 5000 to 9899".to_owned();
            Some(Decision::Refuse(Refuse { code: 42, message, detail: String::new() }))
        }
        MockReply::Invalid(MockInvalid::Empty) => {
            Some(Decision::ReplaceRemark(ReplaceRemark { remark: String::new() }))
        }
    };
    Ok(Response::new(BeforeSetFriendRemarkResponse { decision }))
}

fn call(request: Request<BeforeSetFriendRemarkRequest>, reply: &MockReply) -> MockCall {
    let (metadata, _, message) = request.into_parts();
    MockCall {
        operation_id: message.operation_id,
        owner: message.owner_user_id,
        friend: message.friend_user_id,
        remark: message.remark,
        operation_id_metadata: text(&metadata, "operation-id"),
        grpc_timeout: text(&metadata, "grpc-timeout"),
        traceparent: text(&metadata, "traceparent"),
        decision: reply.into_str(),
    }
}

fn text(metadata: &MetadataMap, name: &str) -> Option<String> {
    metadata.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// A call from its arrival to its end, whichever way it ends: tonic drops the handler's future when nobody waits for it
/// any more.
struct InFlight<'a> {
    service: &'a Service,
    call: Arc<MockCall>,
    since: Instant,
    end: CallStage,
}

impl<'a> InFlight<'a> {
    fn new(service: &'a Service, call: MockCall) -> Self {
        let in_flight = Self { service, call: Arc::new(call), since: Instant::now(), end: CallStage::Cancelled };
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
        let MockCall { operation_id, owner, friend, remark, decision, .. } = &*self.call;
        info!(
            operation_id = shortened(operation_id),
            owner = shortened(owner),
            friend = shortened(friend),
            remark = self.service.log_private.then(|| shortened(remark)),
            decision,
            ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            "{}",
            if self.end == CallStage::Answered { "answered" } else { "cancelled" }
        );
        self.tell(self.end);
    }
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(LOGGED_BYTES)]
}
