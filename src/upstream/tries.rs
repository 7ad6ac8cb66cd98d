//! Each time that a call was tried, for its trace.

use http::Uri;
use opentelemetry::trace::SpanId;
use tokio::time::Instant;
use tonic::Code;

use super::address::Target;

/// One time that a call was tried, connecting included.
#[derive(Debug)]
pub struct Try {
    /// What the decision service was told as its parent.
    pub span: SpanId,
    pub began: Instant,
    /// When it ended, and with which status, as gRPC's own clients would report it; `None`: the deadline ended it.
    pub ended: Option<(Instant, Code)>,
    /// `None`: there was no endpoint to try.
    pub server: Option<TriedServer>,
}

#[derive(Debug)]
pub struct TriedServer {
    /// Of the configured address.
    pub origin: Uri,
    pub target: Target,
}

impl Try {
    pub(super) fn begin(span: SpanId) -> Self {
        Self { span, began: Instant::now(), ended: None, server: None }
    }

    pub(super) fn end(&mut self, code: Code) {
        self.ended = Some((Instant::now(), code));
    }
}
