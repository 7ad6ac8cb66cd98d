//! Whether the bridge is ready for callbacks. Configuration and listeners are always there: whoever asks has been
//! answered by the last of them.

use std::time::Duration;

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

/// `uptime`: since the bridge's start.
pub(super) fn check(shared: &Shared, uptime: Duration) -> Result<(), NotReady> {
    if shared.drain.stage() >= DrainStage::Announcing {
        return Err(NotReady::Draining);
    }
    let (settings, upstream) = (shared.settings.borrow().ready, shared.pool.status());
    // Once it has answered, the wait is over.
    if !upstream.has_answered && uptime < settings.wait_for_upstream {
        return Err(NotReady::Waiting(settings.wait_for_upstream));
    }
    if settings.require_upstream && !upstream.is_connected() {
        return Err(NotReady::Unreachable);
    }
    Ok(())
}
