//! Each time that a call was tried, for its trace.

use http::{StatusCode, Uri};
use opentelemetry::trace::SpanId;
use tokio::time::Instant;
use tonic::Code;

use super::address::Target;
use super::error::ErrorClass;

/// One time that a call was tried, connecting included.
#[derive(Debug)]
pub struct Try {
    /// What the other side was told as its parent.
    pub span: SpanId,
    pub began: Instant,
    /// `None`: the deadline ended it.
    pub ended: Option<Instant>,
    pub end: TryEnd,
    /// `None`: there was no endpoint to try.
    pub server: Option<TriedServer>,
}

/// How a try ended.
#[derive(Debug, Clone, Copy)]
pub enum TryEnd {
    /// A call, with this status, as gRPC's own clients would report it.
    Rpc(Code),
    /// A forwarded request, with this status, or why there was no answer.
    Forward(Result<StatusCode, ErrorClass>),
}

#[derive(Debug)]
pub struct TriedServer {
    /// Of the configured address.
    pub origin: Uri,
    /// `None`: it could not be connected to.
    pub target: Option<Target>,
}

impl Try {
    pub(super) fn begin(span: SpanId) -> Self {
        Self::begin_until(span, TryEnd::Rpc(Code::DeadlineExceeded))
    }

    pub(super) fn begin_forward(span: SpanId) -> Self {
        Self::begin_until(span, TryEnd::Forward(Err(ErrorClass::Timeout)))
    }

    /// `end`: what it is when the deadline ends it.
    fn begin_until(span: SpanId, end: TryEnd) -> Self {
        Self { span, began: Instant::now(), ended: None, end, server: None }
    }

    pub(super) fn end(&mut self, end: TryEnd) {
        (self.ended, self.end) = (Some(Instant::now()), end);
    }
}
