//! A callback's span as plain data: `telemetry` makes a span of it when the callback is recorded.

use std::time::Duration;

use http::{Method, Version};
use opentelemetry::trace::{SpanContext, SpanId};

/// A callback's span, from its head on.
#[derive(Debug)]
pub(crate) struct CallbackSpan {
    pub(crate) context: SpanContext,
    /// Invalid for a root.
    pub(crate) parent: SpanId,
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) https: bool,
    /// When the answer was given, if not when all was done.
    pub(crate) answered: Option<Duration>,
}

impl CallbackSpan {
    /// The answer was given so long after the first byte, and the asking goes on.
    pub(crate) fn answered(&mut self, elapsed: Duration) {
        self.answered = Some(elapsed);
    }
}
