//! When the answer must be out.

use std::time::Duration;

use tokio::time::Instant;

/// The share of the timeout that is kept for answering: 1 %. Many requests may give up at one moment, and each answer
/// must be out by the deadline, not just begun.
const FOR_ANSWERING: u32 = 100;

/// From the first byte of a request to the moment when waiting for anything ends, so that the answer is out by
/// the time it is due.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    at: Instant,
}

impl Deadline {
    /// The answer is due `timeout` after `started`.
    #[must_use]
    pub fn new(started: Instant, timeout: Duration) -> Self {
        Self { started, at: started + timeout - timeout / FOR_ANSWERING }
    }

    /// The same beginning, with another time until the answer is due.
    #[must_use]
    pub fn of(self, timeout: Duration) -> Self {
        Self::new(self.started, timeout)
    }

    #[must_use]
    pub const fn at(self) -> Instant {
        self.at
    }

    /// Whether half of all the time was left at this moment.
    pub(crate) fn leaves_half(self, moment: Instant) -> bool {
        self.at.saturating_duration_since(moment) >= (self.at - self.started) / 2
    }

    /// When the first byte came.
    #[must_use]
    pub(crate) const fn started(self) -> Instant {
        self.started
    }

    /// How long ago the first byte came.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.started.elapsed()
    }

    /// What is left for waiting; zero when it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}
