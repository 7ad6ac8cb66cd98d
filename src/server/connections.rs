//! The process's connections from OpenIM: how many there are, and which one goes when there are too many.
//!
//! A connection that has carried a request is never closed unannounced (OpenIM would not send the next request again),
//! so only one that has never sent any may be turned out.

use std::{
    cell::Cell,
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::Waker,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

/// How long a new connection cannot be turned out: its first request is likely to be on its way, or there already.
const TIME_TO_SPEAK: Duration = Duration::from_millis(100);
/// How often a silent connection is looked for that has had its time.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// In order of age.
type Silent = BTreeMap<u64, SilentConnection>;

#[derive(Debug)]
struct SilentConnection {
    since: Instant,
    task: Waker,
}

#[derive(Debug)]
pub(super) struct Connections {
    limit: AtomicUsize,
    /// The system has no file descriptor or memory for another one.
    starved: AtomicBool,
    open: AtomicUsize,
    next: AtomicU64,
    /// Those that have never sent a request, but for those that have been turned out.
    silent: Mutex<Silent>,
    closed: Notify,
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    connections: Arc<Connections>,
    number: u64,
    peer: IpAddr,
    is_silent: Cell<bool>,
}

impl Connections {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            starved: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            silent: Mutex::default(),
            closed: Notify::new(),
        })
    }

    /// Another limit from now on. Connections beyond a lower one close after their next answer, and those that have sent
    /// no request make room.
    pub(super) fn change_limit(&self, limit: usize) {
        self.limit.store(limit, Relaxed);
        // Whoever waits for room looks again.
        self.closed.notify_waiters();
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    pub(super) fn accepted(&self) -> u64 {
        self.next.load(Relaxed)
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Whether there is no place left. Responses then announce that their connection closes.
    pub(super) fn are_full(&self) -> bool {
        self.open() >= self.limit() || self.starved.load(Relaxed)
    }

    /// Notes whether the system has room for another one. Returns what was noted before.
    pub(super) fn starved(&self, starved: bool) -> bool {
        self.starved.swap(starved, Relaxed)
    }

    /// A place for a new connection. Beyond the limit, the oldest that has never sent a request makes room, where it has
    /// had time to send one.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> ConnectionSlot {
        let number = self.next.fetch_add(1, Relaxed);
        if self.open.fetch_add(1, Relaxed) >= self.limit() {
            self.turn_out_oldest();
        }
        ConnectionSlot { connections: Arc::clone(self), number, peer, is_silent: Cell::new(true) }
    }

    /// Turns out the oldest connection that has never sent a request, where it has had time to.
    pub(super) fn turn_out_oldest(&self) {
        let mut silent = self.silent();
        let Some(oldest) = silent.first_entry() else { return };
        if oldest.get().since.elapsed() >= TIME_TO_SPEAK {
            oldest.remove().task.wake();
        }
    }

    /// Waits until the limit leaves a place, and sees to it.
    pub(super) async fn room(&self) {
        loop {
            let closed = self.closed.notified();
            if self.open() <= self.limit() {
                return;
            }
            if timeout(LOOK_AGAIN, closed).await.is_err() {
                self.turn_out_oldest();
            }
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

impl ConnectionSlot {
    /// The other side's address.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// From now on the connection can be turned out, until it speaks. Its task is woken to find that out. It must not have
    /// begun yet.
    pub(super) fn may_be_turned_out(&self, task: Waker) {
        self.connections.silent().insert(self.number, SilentConnection { since: Instant::now(), task });
    }

    /// Whether it is to go.
    pub(super) fn is_turned_out(&self) -> bool {
        self.is_silent() && !self.connections.silent().contains_key(&self.number)
    }

    pub(super) fn is_silent(&self) -> bool {
        self.is_silent.get()
    }

    /// It has sent a request that its peer may send, and may stay.
    pub(super) fn has_spoken(&self) {
        if self.is_silent.replace(false) {
            self.connections.silent().remove(&self.number);
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.has_spoken();
        self.connections.open.fetch_sub(1, Relaxed);
        self.connections.closed.notify_waiters();
    }
}
