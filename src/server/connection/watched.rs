//! The wrapper around a socket that notes when each request began, and keeps the limits on its head.
//!
//! hyper's own `header_read_timeout` would also run between requests, and close kept connections unannounced.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::limits::HEAD_BYTES;
use crate::server::connections::OpenConnection;

/// A body is read in pieces of less than 16 KiB: each time that hyper's buffer has been filled it takes a larger one, up to
/// the longest head.
const BODY_READ: usize = (16 << 10) - 1;

/// What every TLS connection begins with (RFC 8446, section 5.1), and no HTTP one.
const HANDSHAKE: u8 = 22;

/// From accepting a connection to its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// From the first byte of a request to the end of its head.
pub(super) const HEAD: Duration = Duration::from_secs(5);

/// What a connection is doing; shared by the socket's wrapper and the requests on it.
#[derive(Debug)]
pub(super) struct ConnectionWatch {
    accepted: Instant,
    phase: Cell<Phase>,
    /// Whether nothing was there to be read at first.
    has_waited: Cell<bool>,
    /// What its first bytes are, where they are not HTTP/1.
    speaks: Cell<Option<OtherProtocol>>,
    /// Bytes of the head that is being read.
    head: Cell<usize>,
    connection: Arc<OpenConnection>,
}

/// What clients speak by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OtherProtocol {
    Tls,
    Http2,
}

impl OtherProtocol {
    fn of(first: &[u8]) -> Option<Self> {
        match first {
            [HANDSHAKE, ..] => Some(Self::Tls),
            // The rest of HTTP/2's preface (RFC 9113, section 3.4) may not have come yet. No method begins so.
            [b'P', b'R', b'I', b' ', ..] => Some(Self::Http2),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Has never sent a byte.
    Silent,
    /// Part of a head is there, since then.
    Head { first_byte: Instant, is_first: bool },
    /// A request is being answered.
    Serving,
    /// The same, and nothing of it is left to be read.
    ReadWhole,
    /// Kept, between requests. Without a limit.
    Idle { is_passed: bool },
    /// The same, and it is to give up what reading takes.
    Resting,
}

impl ConnectionWatch {
    pub(super) fn new(connection: Arc<OpenConnection>, accepted: Instant) -> Rc<Self> {
        Rc::new(Self {
            accepted,
            phase: Cell::new(Phase::Silent),
            has_waited: Cell::new(false),
            speaks: Cell::new(None),
            head: Cell::new(0),
            connection,
        })
    }

    /// What it speaks instead of HTTP/1.
    pub(super) fn speaks(&self) -> Option<OtherProtocol> {
        self.speaks.get()
    }

    /// A head is complete. Returns when its first byte came.
    pub(super) fn request(&self) -> Instant {
        match self.phase.replace(Phase::Serving) {
            Phase::Head { first_byte, .. } => first_byte,
            // It was read together with the end of the request before it.
            Phase::Silent | Phase::Serving | Phase::ReadWhole | Phase::Idle { .. } | Phase::Resting => Instant::now(),
        }
    }

    /// The request has been read whole, and its answer is ready: what comes next is another request.
    pub(super) fn answered(&self) {
        self.phase.set(Phase::Idle { is_passed: false });
    }

    /// The hand of the clock passes (see [`super::resting`]). Returns whether it is to rest from now on.
    pub(super) fn pass(&self) -> bool {
        let Phase::Idle { is_passed } = self.phase.get() else { return false };
        self.phase.set(if is_passed { Phase::Resting } else { Phase::Idle { is_passed: true } });
        is_passed
    }

    pub(super) fn is_resting(&self) -> bool {
        matches!(self.phase.get(), Phase::Resting)
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

    /// A request's body has ended.
    pub(super) fn read_whole(&self) {
        self.phase.set(Phase::ReadWhole);
    }

    pub(super) fn has_read_whole(&self) -> bool {
        matches!(self.phase.get(), Phase::ReadWhole)
    }

    /// How many bytes more may be read now.
    fn room(&self) -> usize {
        match self.phase.get() {
            Phase::Silent | Phase::Idle { .. } | Phase::Resting => HEAD_BYTES,
            Phase::Head { .. } => HEAD_BYTES.saturating_sub(self.head.get()),
            Phase::Serving | Phase::ReadWhole => BODY_READ,
        }
    }

    fn bytes_came(&self, count: usize) {
        self.head.set(self.head.get() + count);
        let is_first = match self.phase.get() {
            Phase::Silent => true,
            Phase::Idle { .. } | Phase::Resting => false,
            Phase::Head { .. } | Phase::Serving | Phase::ReadWhole => return,
        };
        // What was there from the start may have waited as long as the connection itself.
        let first_byte = if is_first && !self.has_waited.get() { self.accepted } else { Instant::now() };
        self.head.set(count);
        self.phase.set(Phase::Head { first_byte, is_first });
    }

    /// What it is read into has so many bytes.
    fn reads_into(&self, bytes: usize) {
        let is_idle = matches!(self.phase.get(), Phase::Silent | Phase::Idle { .. } | Phase::Resting);
        self.connection.has_buffers(if is_idle { bytes } else { bytes.max(self.connection.buffers()) });
    }

    /// When waiting for more bytes ends.
    fn limit(&self) -> Option<Instant> {
        let first_request = self.first_request_by();
        match self.phase.get() {
            Phase::Silent => Some(first_request),
            Phase::Head { first_byte, is_first: true } => Some(first_request.min(first_byte + HEAD)),
            Phase::Head { first_byte, is_first: false } => Some(first_byte + HEAD),
            Phase::Serving | Phase::ReadWhole | Phase::Idle { .. } | Phase::Resting => None,
        }
    }
}

/// Returns when the other end has reset the connection. Reads nothing, and so takes no buffer: hyper would take one for every
/// request, to find nothing in it.
pub(super) fn poll_gone(socket: &TcpStream, context: &mut Context<'_>) -> Poll<()> {
    match socket.poll_peek(context, &mut ReadBuf::new(&mut [0])) {
        Poll::Ready(Err(_)) => Poll::Ready(()),
        // A FIN: it sends no more, and waits for its answer.
        Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
    }
}

/// A socket under a [`ConnectionWatch`].
#[derive(Debug)]
pub(super) struct WatchedSocket<S> {
    socket: Rc<RefCell<S>>,
    watch: Rc<ConnectionWatch>,
    /// What was read of the next request before the connection rested: it is read first.
    unread: Bytes,
    /// Only while a limit runs.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> WatchedSocket<S> {
    pub(super) fn new(socket: Rc<RefCell<S>>, watch: Rc<ConnectionWatch>) -> Self {
        Self { socket, watch, unread: Bytes::new(), timer: None }
    }

    /// Whoever has read from it does so no more, and has not used these bytes.
    pub(super) fn rests(&mut self, unread: Bytes) {
        // What is empty may keep the buffer that it was read into.
        self.unread = if unread.is_empty() { Bytes::new() } else { unread };
        self.watch.connection.has_buffers(0);
    }

    /// Returns when there is something to be read. `tcp` is the connection under it.
    pub(super) fn poll_readable(&self, tcp: fn(&S) -> &TcpStream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() { tcp(&self.socket.borrow()).poll_read_ready(context) } else { Poll::Ready(Ok(())) }
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

impl<S: AsyncRead + Unpin> AsyncRead for WatchedSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        self.watch.reads_into(buffer.capacity());
        let room = self.watch.room();
        let read = if self.unread.is_empty() {
            let mut socket = self.socket.borrow_mut();
            if room < buffer.remaining() {
                Pin::new(&mut (&mut *socket).take(room as u64)).poll_read(context, buffer)
            } else {
                Pin::new(&mut *socket).poll_read(context, buffer)
            }
        } else {
            let count = room.min(buffer.remaining()).min(self.unread.len());
            buffer.put_slice(&self.unread.split_to(count));
            Poll::Ready(Ok(()))
        };
        match read {
            Poll::Ready(read) => {
                let came = &buffer.filled()[before..];
                let count = came.len();
                if count > 0 {
                    if self.watch.is_silent() {
                        self.watch.speaks.set(OtherProtocol::of(came));
                    }
                    self.watch.bytes_came(count);
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

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedSocket<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.socket.borrow_mut()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket.borrow_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket.borrow_mut()).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.socket.borrow_mut()).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.borrow().is_write_vectored()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::thread::sleep;

    use super::*;
    use crate::base::memory::Gauge;

    /// Longer than any clock's step.
    const STEP: Duration = Duration::from_millis(5);

    #[test]
    fn a_request_begins_with_its_first_byte_and_not_before() {
        let watch = ConnectionWatch::new(OpenConnection::new(&Gauge::new(usize::MAX)), Instant::now());
        sleep(STEP);
        // Nothing was waited for: these bytes may be as old as the connection.
        watch.bytes_came(1);
        let first = watch.request();
        assert_eq!(first, watch.accepted);
        watch.read_whole();
        watch.answered();

        // Nor is anything now, but the connection's age is not that of its second request.
        watch.bytes_came(1);
        let second = watch.request();
        assert!(second >= first + STEP);
    }
}
