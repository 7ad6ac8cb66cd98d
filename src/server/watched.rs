//! The wrapper around a socket that notes when each request began, and keeps the limits on its head.
//!
//! hyper's own `header_read_timeout` would also run between requests, and close kept connections unannounced.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// From accepting a connection to its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// From the first byte of a request to the end of its head.
const HEAD: Duration = Duration::from_secs(5);

/// What a connection is doing; shared by the socket's wrapper and the requests on it.
#[derive(Debug)]
pub(super) struct Watch {
    accepted: Instant,
    phase: Cell<Phase>,
    /// Whether nothing was there to be read at first.
    has_waited: Cell<bool>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Has never sent a byte.
    Silent,
    /// Part of a head is there, since then.
    Head { first_byte: Instant, is_first: bool },
    /// A request is being answered.
    Serving,
    /// Kept, between requests. Without a limit.
    Idle,
}

impl Watch {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { accepted: Instant::now(), phase: Cell::new(Phase::Silent), has_waited: Cell::new(false) })
    }

    /// A head is complete. Returns when its first byte came, and whether it is the connection's first.
    pub(super) fn request(&self) -> (Instant, bool) {
        match self.phase.replace(Phase::Serving) {
            Phase::Head { first_byte, is_first } => (first_byte, is_first),
            // It was read together with the end of the request before it.
            Phase::Silent | Phase::Serving | Phase::Idle => (Instant::now(), false),
        }
    }

    /// The request has been read whole, and its answer is ready: what comes next is another request.
    pub(super) fn answered(&self) {
        self.phase.set(Phase::Idle);
    }

    /// The latest that its first request may come.
    pub(super) fn first_request_by(&self) -> Instant {
        self.accepted + FIRST_REQUEST
    }

    pub(super) fn is_silent(&self) -> bool {
        matches!(self.phase.get(), Phase::Silent)
    }

    /// Part of a head is there.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.phase.get(), Phase::Head { .. })
    }

    fn bytes_came(&self) {
        let is_first = match self.phase.get() {
            Phase::Silent => true,
            Phase::Idle => false,
            Phase::Head { .. } | Phase::Serving => return,
        };
        // What was there from the start may have waited as long as the connection itself.
        let first_byte = if self.has_waited.get() { Instant::now() } else { self.accepted };
        self.phase.set(Phase::Head { first_byte, is_first });
    }

    /// When waiting for more bytes ends.
    fn limit(&self) -> Option<Instant> {
        let first_request = self.first_request_by();
        match self.phase.get() {
            Phase::Silent => Some(first_request),
            Phase::Head { first_byte, is_first: true } => Some(first_request.min(first_byte + HEAD)),
            Phase::Head { first_byte, is_first: false } => Some(first_byte + HEAD),
            Phase::Serving | Phase::Idle => None,
        }
    }
}

/// A socket under a [`Watch`].
#[derive(Debug)]
pub(super) struct Watched<S> {
    socket: S,
    watch: Rc<Watch>,
    /// Only while a limit runs.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(super) fn new(socket: S, watch: Rc<Watch>) -> Self {
        Self { socket, watch, timer: None }
    }

    fn poll_limit(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.watch.limit() else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(limit)));
        if timer.deadline() != limit {
            timer.as_mut().reset(limit);
        }
        timer.as_mut().poll(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.socket).poll_read(context, buffer) {
            Poll::Ready(read) => {
                if buffer.filled().len() > before {
                    self.watch.bytes_came();
                }
                Poll::Ready(read)
            }
            Poll::Pending => {
                self.watch.has_waited.set(true);
                ready!(self.poll_limit(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
