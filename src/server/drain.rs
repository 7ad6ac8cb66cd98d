//! The stages of stopping. They only go forward.

use tokio::sync::watch;

/// How far stopping has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainStage {
    /// Not stopping.
    #[default]
    Serving,
    /// New connections are accepted, and every response announces that its connection closes.
    Announcing,
    /// No connection is accepted any more; what comes on the open ones is answered.
    Closing,
    /// Connections close, those in use after their answer.
    Finishing,
    Stopped,
}

/// The one value that all connections look at.
#[derive(Debug, Default)]
pub(super) struct Drain(watch::Sender<DrainStage>);

impl Drain {
    pub(super) fn stage(&self) -> DrainStage {
        *self.0.borrow()
    }

    pub(super) fn advance(&self, to: DrainStage) {
        self.0.send_if_modified(|stage| {
            let forward = to > *stage;
            if forward {
                *stage = to;
            }
            forward
        });
    }

    pub(super) async fn reached(&self, stage: DrainStage) {
        // The sender lives as long as this borrow of it, so that waiting cannot fail.
        let mut now = self.0.subscribe();
        let _reached = now.wait_for(|now| *now >= stage).await;
    }
}
