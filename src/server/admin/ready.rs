//! Whether the bridge is ready for callbacks. Configuration and listeners are always there: whoever asks has been
//! answered by the last of them.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::server::{Shared, Stage};

/// Why the bridge is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotReady {
    #[error("draining")]
    Draining,
    #[error("the decision service is being tried for the first time")]
    Untried,
    #[error("no endpoint of the decision service is connected, and ready.require_upstream is true")]
    Unreachable,
}

/// The first try at the decision service, which stays over once it is.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    was_tried: AtomicBool,
}

impl Readiness {
    pub(super) fn check(&self, shared: &Shared) -> Result<(), NotReady> {
        if shared.drain.stage() >= Stage::Announcing {
            return Err(NotReady::Draining);
        }
        let upstream = shared.pool.status();
        if !self.was_tried.load(Relaxed) {
            if !upstream.was_tried() {
                return Err(NotReady::Untried);
            }
            self.was_tried.store(true, Relaxed);
        }
        if shared.settings.borrow().ready.require_upstream && !upstream.is_connected() {
            return Err(NotReady::Unreachable);
        }
        Ok(())
    }
}
