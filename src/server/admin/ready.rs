//! Whether the bridge is ready for callbacks. Configuration and listeners are always there: whoever asks has been
//! answered by the last of them.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use crate::server::context::Shared;
use crate::server::drain::DrainStage;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotReady {
    #[error("draining")]
    Draining,
    #[error(
        "the decision service has not answered yet; the bridge waits for it for up to {} after its start \
         (`ready.wait_for_upstream`)",
        humantime::format_duration(*.0)
    )]
    Waiting(Duration),
    #[error("no endpoint of the decision service is connected, and `ready.require_upstream` is true")]
    Unreachable,
}

/// The wait for the decision service's first answer, which stays over once it is.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    is_over: AtomicBool,
}

impl Readiness {
    /// `uptime`: since the bridge's start.
    pub(super) fn check(&self, shared: &Shared, uptime: Duration) -> Result<(), NotReady> {
        if shared.drain.stage() >= DrainStage::Announcing {
            return Err(NotReady::Draining);
        }
        let (settings, upstream) = (shared.settings.borrow().ready, shared.pool.status());
        if !self.is_over.load(Relaxed) {
            if !upstream.reached && uptime < settings.wait_for_upstream {
                return Err(NotReady::Waiting(settings.wait_for_upstream));
            }
            self.is_over.store(true, Relaxed);
        }
        if settings.require_upstream && !upstream.is_connected() {
            return Err(NotReady::Unreachable);
        }
        Ok(())
    }
}
