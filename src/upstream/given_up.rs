//! Calls on a connection that nobody waits for any more. To cancel one is to reset its stream, and peers take many resets for an
//! attack and end the connection, with all other calls on it: reactor-netty after 200 in 30 s, others after 20 at once. So few
//! are reset; the others are left to end by themselves, which a service does at the deadline that it was told. Until then they
//! keep their places, and a call that finds no place waits.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use h2::{RecvStream, client::ResponseFuture};
use tokio::time::Instant;

/// Resets that may come at once, and how often one more may: 18 in 30 s.
const RESETS: u32 = 8;
const RESET_EVERY: Duration = Duration::from_secs(3);
/// How long a call may take to end by itself, and how many bytes it may take.
const TIME_TO_END: Duration = Duration::from_secs(10);
const BYTES_TO_END: usize = 64 << 10;
/// One that has had this long is cancelled if another call needs its place. So many that have not let no other begin: a service
/// is not to be flooded by what nobody waits for.
const TIME_OF_ITS_OWN: Duration = Duration::from_secs(2);
const MOST: usize = 256;

/// A call of which not all has come.
#[derive(Debug)]
pub(super) enum Unfinished {
    Head(ResponseFuture),
    Body(RecvStream),
}

impl Unfinished {
    /// Reads on, and throws away what comes: whether it has ended, or has sent too much.
    fn ends(&mut self, left: &mut usize, context: &mut Context<'_>) -> bool {
        loop {
            match self {
                Self::Head(response) => match Pin::new(response).poll(context) {
                    Poll::Pending => return false,
                    Poll::Ready(Err(_)) => return true,
                    Poll::Ready(Ok(response)) => *self = Self::Body(response.into_body()),
                },
                Self::Body(body) => match body.poll_data(context) {
                    Poll::Pending => return false,
                    Poll::Ready(None | Some(Err(_))) => return true,
                    Poll::Ready(Some(Ok(chunk))) => {
                        // It fails only for more than was received.
                        let _released = body.flow_control().release_capacity(chunk.len());
                        match left.checked_sub(chunk.len()) {
                            Some(less) => *left = less,
                            None => return true,
                        }
                    }
                },
            }
        }
    }
}

#[derive(Debug)]
struct GivenUpCall {
    call: Unfinished,
    /// Bytes that it may still take.
    left: usize,
    since: Instant,
}

/// Those of one connection.
#[derive(Debug)]
pub(super) struct GivenUp {
    left: Mutex<LeftAlone>,
    /// How many there are.
    count: AtomicUsize,
}

#[derive(Debug)]
struct LeftAlone {
    /// The oldest first.
    calls: VecDeque<GivenUpCall>,
    /// How many more may be reset, as of then.
    resets: u32,
    since: Instant,
}

impl GivenUp {
    pub(super) fn new() -> Self {
        let left = LeftAlone { calls: VecDeque::new(), resets: RESETS, since: Instant::now() };
        Self { left: Mutex::new(left), count: AtomicUsize::new(0) }
    }

    /// Whether one more call may begin, beside so many that somebody waits for, where the peer allows `most`. If it has no
    /// place, the oldest of these that has had its time is cancelled for it.
    pub(super) fn leave_room(&self, calls: usize, most: usize) -> bool {
        let count = self.count.load(Relaxed);
        if calls + count < most && count < MOST {
            return true;
        }
        let (mut left, now) = (self.left(), Instant::now());
        let has_had_time = |call: &GivenUpCall| call.is_late(TIME_OF_ITS_OWN, now);
        if calls + left.calls.len() >= most && left.calls.pop_front_if(|call| has_had_time(call)).is_some() {
            self.count.store(left.calls.len(), Relaxed);
        }
        let count = left.calls.len();
        calls + count < most && count - left.calls.partition_point(has_had_time) < MOST
    }

    fn left(&self) -> MutexGuard<'_, LeftAlone> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels the call, or leaves it to itself.
    pub(super) fn take(&self, call: Unfinished) {
        let mut call = GivenUpCall { call, left: BYTES_TO_END, since: Instant::now() };
        // One that the peer has ended meanwhile, or the end of the connection, is over without a reset.
        if call.call.ends(&mut call.left, &mut Context::from_waker(Waker::noop())) {
            return;
        }
        let mut left = self.left();
        if !left.may_reset() {
            left.calls.push_back(call);
            self.count.store(left.calls.len(), Relaxed);
        }
    }

    /// To be called whenever the connection has been read. Whether some have ended. One that takes too long is cancelled.
    pub(super) fn end_some(&self, context: &mut Context<'_>) -> bool {
        let before = self.count.load(Relaxed);
        if before == 0 {
            return false;
        }
        let (mut left, now) = (self.left(), Instant::now());
        left.calls.retain_mut(|call| !call.is_late(TIME_TO_END, now) && !call.call.ends(&mut call.left, context));
        self.count.store(left.calls.len(), Relaxed);
        left.calls.len() < before
    }
}

impl GivenUpCall {
    fn is_late(&self, time: Duration, now: Instant) -> bool {
        now.duration_since(self.since) >= time
    }
}

impl LeftAlone {
    fn may_reset(&mut self) -> bool {
        let now = Instant::now();
        let more = now.duration_since(self.since).as_millis() / RESET_EVERY.as_millis();
        if more > 0 {
            self.resets = self.resets.saturating_add(u32::try_from(more).unwrap_or(RESETS)).min(RESETS);
            self.since = now;
        }
        let may = self.resets > 0;
        self.resets = self.resets.saturating_sub(1);
        may
    }
}
