//! The process's connections from OpenIM: how many there are, and which one goes when there are too many.
//!
//! A connection that has carried a request is never closed unannounced (OpenIM would not send the next request again),
//! so only one that has never sent any may be turned out.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{sync::Notify, task::AbortHandle};

/// In order of age.
type Silent = BTreeMap<u64, Option<AbortHandle>>;

#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    open: AtomicUsize,
    next: AtomicU64,
    /// Those that have never sent a request.
    silent: Mutex<Silent>,
    closed: Notify,
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
}

impl Connections {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            open: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            silent: Mutex::default(),
            closed: Notify::new(),
        })
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Whether there is no place left. Responses then announce that their connection closes.
    pub(super) fn are_full(&self) -> bool {
        self.open() >= self.limit
    }

    /// A place for a new connection. Beyond the limit, the oldest that has never sent a request makes room.
    pub(super) fn enter(self: &Arc<Self>) -> Place {
        let number = self.next.fetch_add(1, Relaxed);
        if self.open.fetch_add(1, Relaxed) >= self.limit {
            self.turn_out_oldest();
        }
        self.silent().insert(number, None);
        Place { connections: Arc::clone(self), number }
    }

    /// From now on the connection can be turned out, unless it has spoken or gone already.
    pub(super) fn may_turn_out(&self, number: u64, handle: AbortHandle) {
        if let Some(entry) = self.silent().get_mut(&number) {
            *entry = Some(handle);
        }
    }

    /// Ends the oldest connection that has never sent a request; false when there is none.
    pub(super) fn turn_out_oldest(&self) -> bool {
        let mut silent = self.silent();
        // One without a handle is being accepted at this moment.
        let Some(number) = silent.iter().find(|(_, handle)| handle.is_some()).map(|(number, _)| *number) else {
            return false;
        };
        if let Some(Some(handle)) = silent.remove(&number) {
            handle.abort();
        }
        true
    }

    /// Waits until the limit leaves a place.
    pub(super) async fn room(&self) {
        loop {
            let closed = self.closed.notified();
            if self.open() <= self.limit {
                return;
            }
            closed.await;
        }
    }

    /// Waits until one connection has closed.
    pub(super) async fn one_closed(&self) {
        self.closed.notified().await;
    }

    fn silent(&self) -> MutexGuard<'_, Silent> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// It has sent a request, and may stay.
    pub(super) fn has_spoken(&self) {
        self.connections.silent().remove(&self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.silent().remove(&self.number);
        self.connections.open.fetch_sub(1, Relaxed);
        self.connections.closed.notify_waiters();
    }
}
