//! The process's connections from OpenIM: how many there are, and which one goes when there are too many.
//!
//! A connection that has carried a request is never closed unannounced (OpenIM would not send the next request again),
//! so only one that has never sent any may be turned out. Where there is none, the one that has been idle longest is told
//! to close at its next answer, and so is the new one; further ones wait in the accept queue meanwhile.

use std::{
    cell::Cell,
    collections::VecDeque,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::Waker,
    time::Duration,
};

use slab::Slab;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use crate::base::memory::Gauge;

/// How long a new connection cannot be turned out: its first request is likely to be on its way, or there already.
const TIME_TO_SPEAK: Duration = Duration::from_millis(100);
/// How often a silent connection is looked for that has had its time.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long one that was told to close is waited for, before another one is told too.
const TIME_TO_LEAVE: Duration = Duration::from_secs(1);

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionLimits {
    pub(super) count: usize,
    /// Of memory, for all of them.
    pub(super) bytes: usize,
}

/// What a connection holds, in this process and in the kernel: over plain HTTP; over TLS; and over HTTP/2. Without what it
/// reads into, which is counted as it is.
pub(super) const PLAIN_BYTES: usize = 9 << 10;
pub(super) const TLS_BYTES: usize = 24 << 10;
pub(super) const HTTP2_BYTES: usize = 48 << 10;

/// In order of age: of their numbers.
type Silent = VecDeque<SilentConnection>;

#[derive(Debug)]
struct SilentConnection {
    number: u64,
    accepted: Instant,
    task: Waker,
}

/// What is known of one connection, and what it holds.
#[derive(Debug)]
pub(super) struct OpenConnection {
    /// When its last request came, in milliseconds after `Connections::started`.
    asked: AtomicU64,
    is_to_leave: AtomicBool,
    /// What all of them hold.
    all: Arc<Gauge>,
    /// Bytes of this one, without its buffers.
    itself: AtomicUsize,
    buffers: AtomicUsize,
}

#[derive(Debug)]
pub(super) struct Connections {
    limit: AtomicUsize,
    /// What they hold.
    memory: Arc<Gauge>,
    started: Instant,
    /// The system has no file descriptor or memory for another one.
    starved: AtomicBool,
    open: AtomicUsize,
    next: AtomicU64,
    /// Those that have never sent a request, but for those that have been turned out.
    silent: Mutex<Silent>,
    kept: Mutex<Slab<Arc<OpenConnection>>>,
    /// When the last one was told to close.
    told: Mutex<Option<Instant>>,
    closed: Notify,
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    connections: Arc<Connections>,
    number: u64,
    peer: IpAddr,
    is_silent: Cell<bool>,
    connection: Arc<OpenConnection>,
    /// Its place among those that are kept, once it has spoken.
    place: Cell<usize>,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limits.count),
            memory: Gauge::new(limits.bytes),
            started: Instant::now(),
            starved: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            silent: Mutex::default(),
            kept: Mutex::default(),
            told: Mutex::default(),
            closed: Notify::new(),
        })
    }

    /// Other limits from now on. Where there are more connections than a lower one allows, they make room as for a new one.
    pub(super) fn change_limits(&self, limits: ConnectionLimits) {
        self.limit.store(limits.count, Relaxed);
        self.memory.change(limits.bytes);
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

    /// Bytes that they hold, and the limit.
    pub(super) fn bytes(&self) -> (usize, usize) {
        (self.memory.held(), self.memory.limit())
    }

    fn are_too_many(&self) -> bool {
        self.open() > self.limit() || self.memory.held() > self.memory.limit()
    }

    /// Whether the system has no place left. Responses then announce that their connection closes, so that others get one.
    pub(super) fn are_starved(&self) -> bool {
        self.starved.load(Relaxed)
    }

    /// Notes whether the system has room for another one. Returns what was noted before.
    pub(super) fn starved(&self, starved: bool) -> bool {
        self.starved.swap(starved, Relaxed)
    }

    /// A place for a new connection. Beyond the limit, another one makes room.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> ConnectionSlot {
        let number = self.next.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        let connection = OpenConnection::new(&self.memory);
        let is_beyond = self.are_too_many();
        if is_beyond {
            self.make_room();
        }
        // It leaves with its first answer: those that are idle may never ask again, and others wait for a place.
        connection.is_to_leave.store(is_beyond, Relaxed);
        ConnectionSlot {
            connections: Arc::clone(self),
            number,
            peer,
            is_silent: Cell::new(true),
            connection,
            place: Cell::new(0),
        }
    }

    /// Turns out the oldest connection that has never sent a request, once it has had time to. Where there is none, tells
    /// the one that has been idle longest to close.
    pub(super) fn make_room(&self) {
        let mut silent = self.silent();
        if silent.is_empty() {
            drop(silent);
            return self.tell_the_longest_idle();
        }
        if let Some(oldest) = silent.pop_front_if(|oldest| oldest.accepted.elapsed() >= TIME_TO_SPEAK) {
            oldest.task.wake();
        }
    }

    fn tell_the_longest_idle(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.kept();
        // Others than the newest have sent nothing, and go first: they close already, or have just come.
        if self.open() > kept.len() + 1 {
            return;
        }
        let waits_for_one = || kept.iter().any(|(_, kept)| kept.is_to_leave.load(Relaxed));
        if told.is_some_and(|told| told.elapsed() < TIME_TO_LEAVE) && waits_for_one() {
            return;
        }
        let staying = kept.iter().map(|(_, kept)| kept).filter(|kept| !kept.is_to_leave.load(Relaxed));
        if let Some(longest) = staying.min_by_key(|kept| kept.asked.load(Relaxed)) {
            longest.is_to_leave.store(true, Relaxed);
            *told = Some(Instant::now());
        }
    }

    /// Waits until the limit leaves a place, and sees to it.
    pub(super) async fn room(&self) {
        loop {
            let closed = self.closed.notified();
            if !self.are_too_many() {
                return;
            }
            if timeout(LOOK_AGAIN, closed).await.is_err() {
                self.make_room();
            }
        }
    }

    /// Waits until one connection has closed.
    pub(super) async fn one_closed(&self) {
        self.closed.notified().await;
    }

    fn kept(&self) -> MutexGuard<'_, Slab<Arc<OpenConnection>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silent(&self) -> MutexGuard<'_, Silent> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn no_longer_silent(&self, number: u64) {
        let mut silent = self.silent();
        if let Ok(place) = silent.binary_search_by_key(&number, |silent| silent.number) {
            silent.remove(place);
        }
    }
}

impl ConnectionSlot {
    /// The other side's address.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// From now on the connection can be turned out, until it speaks. Its task is woken to find that out. It must not have
    /// begun yet.
    pub(super) fn may_be_turned_out(&self, task: Waker, accepted: Instant) {
        let new = SilentConnection { number: self.number, accepted, task };
        let mut silent = self.connections.silent();
        // Mostly the last: another worker may have entered one meanwhile.
        let place = silent.iter().rposition(|silent| silent.number < new.number).map_or(0, |before| before + 1);
        silent.insert(place, new);
    }

    /// Whether it is to go.
    pub(super) fn is_turned_out(&self) -> bool {
        let is_in_list =
            || self.connections.silent().binary_search_by_key(&self.number, |silent| silent.number).is_ok();
        self.is_silent() && !is_in_list()
    }

    pub(super) fn is_silent(&self) -> bool {
        self.is_silent.get()
    }

    /// It has sent a request that its peer may send, and may stay.
    pub(super) fn has_spoken(&self) {
        if self.is_silent.replace(false) {
            self.connections.no_longer_silent(self.number);
            self.place.set(self.connections.kept().insert(Arc::clone(&self.connection)));
        }
    }

    /// A request has come, at this time.
    pub(super) fn asks(&self, at: Instant) {
        let since_start = at.saturating_duration_since(self.connections.started);
        self.connection.asked.store(u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Whether its next answer announces that it closes.
    pub(super) fn is_to_leave(&self) -> bool {
        self.connection.is_to_leave.load(Relaxed)
    }

    /// What is known of it, and what it holds.
    pub(super) fn connection(&self) -> &Arc<OpenConnection> {
        &self.connection
    }
}

impl OpenConnection {
    pub(super) fn new(all: &Arc<Gauge>) -> Arc<Self> {
        all.shift(0, PLAIN_BYTES);
        Arc::new(Self {
            asked: AtomicU64::new(0),
            is_to_leave: AtomicBool::new(false),
            all: Arc::clone(all),
            itself: AtomicUsize::new(PLAIN_BYTES),
            buffers: AtomicUsize::new(0),
        })
    }

    /// Its own size, without its buffers, is this from now on. Its own thread alone says so.
    pub(super) fn is_itself(&self, bytes: usize) {
        self.all.shift(self.itself.load(Relaxed), bytes);
        self.itself.store(bytes, Relaxed);
    }

    /// Its buffers hold so many bytes. Its own thread alone says so.
    pub(super) fn has_buffers(&self, bytes: usize) {
        self.all.shift(self.buffers(), bytes);
        self.buffers.store(bytes, Relaxed);
    }

    pub(super) fn buffers(&self) -> usize {
        self.buffers.load(Relaxed)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        if self.is_silent() {
            self.connections.no_longer_silent(self.number);
        } else {
            self.connections.kept().remove(self.place.get());
        }
        // Its bytes before its place, for whoever waits for either.
        self.connection.is_itself(0);
        self.connection.has_buffers(0);
        self.connections.open.fetch_sub(1, Relaxed);
        self.connections.closed.notify_waiters();
    }
}
