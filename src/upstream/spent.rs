//! Where a call's time goes.

use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    pub connecting: Duration,
    /// For a place on a connection, when the service allows no more calls on those there are. Not the service's fault:
    /// it has not seen the call yet.
    pub waiting: Duration,
    pub calling: Duration,
    pub retries: u8,
}

/// Adds the time of its life to a total, also where the deadline ends it.
#[must_use]
pub(super) struct Stopwatch<'a> {
    total: &'a mut Duration,
    since: Instant,
}

impl<'a> Stopwatch<'a> {
    pub(super) fn start(total: &'a mut Duration) -> Self {
        Self { total, since: Instant::now() }
    }

    /// When it was started.
    pub(super) fn since(&self) -> Instant {
        self.since
    }
}

impl Drop for Stopwatch<'_> {
    fn drop(&mut self) {
        *self.total += self.since.elapsed();
    }
}
