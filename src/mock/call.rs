//! What a test can see of a call: what was asked, and how it ended.

use std::sync::Arc;

use serde_json::Value;
use tonic::metadata::MetadataMap;

use super::answer::MockReply;
use crate::callback::Callback;

/// One call, as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MockCall {
    /// The callback's name.
    pub callback: &'static str,
    pub operation_id: String,
    /// The request by its names in JSON, which are OpenIM's.
    pub request: Value,
    /// The metadata `operation-id`, where it is visible ASCII.
    pub operation_id_metadata: Option<String>,
    /// The metadata `grpc-timeout`, in gRPC's notation: up to eight digits and a unit, such as `1500m`.
    pub grpc_timeout: Option<String>,
    pub traceparent: Option<String>,
    /// The metadata `callback-id`: the same for each attempt.
    pub callback_id: Option<String>,
    /// The metadata `attempt`, from 1.
    pub attempt: Option<String>,
    /// What the mock was going to answer: the name of a [`MockReply`].
    pub decision: &'static str,
}

impl MockCall {
    pub(super) fn new(
        callback: &Callback,
        operation_id: String,
        request: Value,
        metadata: &MetadataMap,
        reply: &MockReply,
    ) -> Self {
        let text = |name| metadata.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            callback: callback.name,
            operation_id,
            request,
            operation_id_metadata: text("operation-id"),
            grpc_timeout: text("grpc-timeout"),
            traceparent: text("traceparent"),
            callback_id: text("callback-id"),
            attempt: text("attempt"),
            decision: reply.into_str(),
        }
    }

    /// The text in this field of the request; empty where it holds none.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.request.get(key).and_then(Value::as_str).unwrap_or_default()
    }
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
