//! When the answer must be out.

use std::time::Duration;

use tokio::time::Instant;

/// From the first byte of OpenIM's request to the moment when its answer is due.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    at: Instant,
}

impl Deadline {
    /// `timeout` after `started`.
    #[must_use]
    pub fn new(started: Instant, timeout: Duration) -> Self {
        Self { started, at: started + timeout }
    }

    /// The moment itself.
    #[must_use]
    pub const fn at(self) -> Instant {
        self.at
    }

    /// How long ago the first byte came.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.started.elapsed()
    }

    /// What is left; zero when it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}
