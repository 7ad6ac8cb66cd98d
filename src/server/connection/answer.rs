//! An answer on its way to the client. It counts as held until the client has taken it, or the connection is gone.
//!
//! Over HTTP/1.1 the socket's own limit ends a connection whose client takes nothing. Over HTTP/2 a client can keep the
//! window of a stream closed while the socket is fine; [`Answers`] sees to that: an answer that makes no progress for
//! [`STALLED`] is reset.

use std::{
    cell::Cell,
    collections::BTreeMap,
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    future::{FutureExt as _, LocalBoxFuture},
    stream::{self, StreamExt as _},
};
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::unconstrained,
    time::{Instant, Sleep, sleep, sleep_until},
};

use crate::bridge::Held;

/// How long an answer may make no progress: as long as the socket's own limit.
const STALLED: Duration = Duration::from_secs(30);
/// A connection that keeps what it was sent of an answer ends when its stream should have been reset so long ago.
const GRACE: Duration = Duration::from_secs(5);
/// Over HTTP/2 an answer is handed on in pieces of so many bytes, each when the client lets out some of it.
const PIECE: usize = 16 << 10;

/// The body of an answer.
#[derive(Debug)]
pub(super) struct AnswerBody {
    left: Bytes,
    /// `None` once it goes with the bytes.
    held: Option<Held>,
    /// Over HTTP/2.
    open: Option<Arc<OpenAnswer>>,
}

impl AnswerBody {
    pub(super) fn new(bytes: Bytes, held: Held) -> Self {
        Self { left: bytes, held: Some(held), open: None }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        if let Some(held) = self.held.take() {
            let bytes = std::mem::take(&mut self.left);
            self.left = Bytes::from_owner(HeldBytes { bytes, _held: held, _open: self.open.clone() });
        }
        let piece = match &self.open {
            Some(open) => {
                open.moves();
                PIECE.min(self.left.len())
            }
            None => self.left.len(),
        };
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

/// Bytes that count as held until the last of them has been sent or dropped.
struct HeldBytes {
    bytes: Bytes,
    _held: Held,
    _open: Option<Arc<OpenAnswer>>,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// When each answer of a connection moved last, by the answer's number.
type Moved = Mutex<BTreeMap<u64, Instant>>;

fn lock(moved: &Moved) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
    moved.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answers of one HTTP/2 connection that its client has not taken.
#[derive(Debug, Default)]
pub(super) struct Answers {
    moved: Arc<Moved>,
    next: Cell<u64>,
    /// The one that has begun while its stream was looked at, which is the one that is being looked at.
    begun: Cell<Option<u64>>,
}

/// An answer that is not taken yet. It goes with the last of its bytes.
#[derive(Debug)]
struct OpenAnswer {
    moved: Arc<Moved>,
    number: u64,
}

impl OpenAnswer {
    fn moves(&self) {
        lock(&self.moved).insert(self.number, Instant::now());
    }
}

impl Drop for OpenAnswer {
    fn drop(&mut self) {
        lock(&self.moved).remove(&self.number);
    }
}

impl Answers {
    /// The body is one of these answers.
    pub(super) fn begin(&self, body: AnswerBody) -> AnswerBody {
        let number = self.next.get();
        self.next.set(number + 1);
        self.begun.set(Some(number));
        let open = OpenAnswer { moved: Arc::clone(&self.moved), number };
        open.moves();
        AnswerBody { open: Some(Arc::new(open)), ..body }
    }

    /// Returns when the connection is to end: part of an answer lies in it that the client does not let out. By then the
    /// stream would have been reset, if there were more to come of the answer.
    pub(super) async fn stuck(&self) {
        loop {
            sleep(GRACE).await;
            if lock(&self.moved).values().any(|moved| moved.elapsed() >= STALLED + GRACE) {
                return;
            }
        }
    }
}

/// Runs the streams of a connection on the worker's own thread, all in one of tokio's tasks: with a task each, p99 is higher. One
/// whose answer is stalled is dropped, which resets it; one that panics ends alone.
#[derive(Clone)]
pub(super) struct Streams {
    answers: Rc<Answers>,
    begun: UnboundedSender<LocalBoxFuture<'static, ()>>,
}

impl Streams {
    /// Must be called in a worker's runtime.
    pub(super) fn start(answers: Rc<Answers>) -> Self {
        let (begun, mut beginning) = unbounded_channel();
        let beginning = stream::poll_fn(move |context| beginning.poll_recv(context));
        // h2 bounds how many there are.
        tokio::task::spawn_local(beginning.for_each_concurrent(None, |stream| stream));
        Self { answers, begun }
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let stream = StreamTask { stream, answers: Rc::clone(&self.answers), answer: None, timer: None };
        // They would share what tokio lets one task do in a turn.
        let stream = unconstrained(AssertUnwindSafe(stream).catch_unwind().map(drop));
        // Fails only as the runtime ends.
        let _sent = self.begun.send(Box::pin(stream));
    }
}

pin_project! {
    /// One stream. An async block would hold it twice: as it was given, and pinned.
    struct StreamTask<F> {
        #[pin]
        stream: F,
        answers: Rc<Answers>,
        // The number of its answer, once that has begun.
        answer: Option<u64>,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future<Output = ()>> Future for StreamTask<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let polled = this.stream.poll(context);
        *this.answer = this.answers.begun.take().or(*this.answer);
        if polled.is_ready() {
            return polled;
        }
        let moved = this.answer.and_then(|answer| lock(&this.answers.moved).get(&answer).copied());
        let Some(stalled) = moved.map(|moved| moved + STALLED) else { return Poll::Pending };
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(stalled)));
        if timer.deadline() != stalled {
            timer.as_mut().reset(stalled);
        }
        timer.as_mut().poll(context)
    }
}
