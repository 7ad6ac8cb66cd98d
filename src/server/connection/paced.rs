//! The socket under an HTTP/2 connection: it counts the frames that come before h2 sees them, and bounds what h2 cannot:
//! what one connection costs the others in one turn of the worker, the frames that make h2 walk over all streams, and how
//! long a block of headers may take.
//!
//! A turn is what tokio lets one task do before others have theirs: [`BUDGET`] reads from a socket. h2 takes one read for
//! hundreds of frames, so that each frame is paid for from the same budget, by what it costs. What is owed is paid before the
//! next read, if that takes several turns.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop::poll_proceed,
    time::{Instant, Sleep, sleep_until},
};

use super::watched::HEAD as HEAD_TIME;
use crate::base::http2_frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, FrameHead, FrameHeads, GOAWAY, HEADERS, SETTINGS,
};

/// What one turn may cost: tokio's own number, of which a read from a socket is 1.
const BUDGET: u32 = 128;
/// A frame that only changes a number.
const COST_OF_FRAME: u32 = 1;
/// A request. With its body, a turn takes some 20 of them; the worker takes 32 of as many plain connections.
const COST_OF_REQUEST: u32 = BUDGET / 32;
/// SETTINGS and GOAWAY, for which h2 walks over all streams.
const COST_OF_WALK: u32 = 32;
/// Bytes of headers that are decoded for a cost of 1. Each may stand for a whole header.
const HEADER_BYTES: u32 = 64;
/// Bytes of a body for a cost of 1.
const DATA_BYTES: u32 = 1024;

/// The least and the most bytes that are read at once. Fewer where frames are small and cost much.
const LEAST_READ: usize = 256;
const MOST_READ: usize = 16 << 10;

/// SETTINGS and GOAWAY that may come at once, and how often one more may. Clients send SETTINGS when they begin, and a few
/// when they find out how fast the network is.
const WALKS: u32 = 100;
const WALK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct PacedSocket<S> {
    socket: S,
    frames: FrameHeads,
    /// What has been read and not paid for.
    owed: u32,
    /// How many bytes are read next.
    read: usize,
    /// How many more frames may come that make h2 walk over all streams, as of then.
    walks: u32,
    walks_at: Instant,
    block: Block,
    /// Only while a block of headers has not come whole.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Where a block of headers is: a HEADERS frame and the CONTINUATION frames behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Outside,
    /// In its last frame.
    Last,
    /// More frames are to come.
    More,
}

impl<S> PacedSocket<S> {
    pub(super) fn new(socket: S) -> Self {
        Self {
            socket,
            frames: FrameHeads::of_client(),
            owed: 0,
            read: MOST_READ,
            walks: WALKS,
            walks_at: Instant::now(),
            block: Block::Outside,
            timer: None,
        }
    }

    /// Takes note of what was read.
    fn note(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (cost, walks, block) = (Cell::new(0_u32), Cell::new(0_u32), Cell::new(self.block));
        self.frames.read(bytes, |head| {
            cost.set(cost.get().saturating_add(cost_of(head)));
            walks.set(walks.get() + u32::from(makes_walk(head)));
            block.set(match head.kind {
                HEADERS | CONTINUATION if head.flags & END_HEADERS == 0 => Block::More,
                HEADERS | CONTINUATION => Block::Last,
                // Nothing may come within a block: h2 sees to that.
                _ => Block::Outside,
            });
        });
        self.owed = self.owed.saturating_add(cost.get());
        let is_costly = cost.get() > BUDGET / 2;
        self.read = if is_costly { self.read / 2 } else { self.read * 2 }.clamp(LEAST_READ, MOST_READ);
        self.block = match block.get() {
            Block::Last if self.frames.is_between() => Block::Outside,
            block => block,
        };
        match self.block {
            Block::Outside => self.timer = None,
            // It goes on from frame to frame.
            Block::Last | Block::More if self.timer.is_some() => {}
            Block::Last | Block::More => self.timer = Some(Box::pin(sleep_until(Instant::now() + HEAD_TIME))),
        }
        if walks.get() == 0 { Ok(()) } else { self.walk(walks.get()) }
    }

    fn walk(&mut self, walks: u32) -> io::Result<()> {
        let now = Instant::now();
        let more = now.duration_since(self.walks_at).as_millis() / WALK_EVERY.as_millis();
        if more > 0 {
            self.walks = self.walks.saturating_add(u32::try_from(more).unwrap_or(WALKS)).min(WALKS);
            self.walks_at = now;
        }
        match self.walks.checked_sub(walks) {
            Some(left) => self.walks = left,
            None => return Err(io::Error::other("too many SETTINGS or GOAWAY frames")),
        }
        Ok(())
    }
}

const fn makes_walk(head: FrameHead) -> bool {
    head.kind == GOAWAY || (head.kind == SETTINGS && head.flags & ACK == 0)
}

const fn cost_of(head: FrameHead) -> u32 {
    match head.kind {
        DATA => COST_OF_FRAME + head.length / DATA_BYTES,
        HEADERS => COST_OF_REQUEST + head.length / HEADER_BYTES,
        CONTINUATION => COST_OF_FRAME + head.length / HEADER_BYTES,
        _ if makes_walk(head) => COST_OF_WALK,
        _ => COST_OF_FRAME,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.owed > 0 {
            ready!(poll_proceed(context)).made_progress();
            self.owed -= 1;
        }
        let before = buffer.filled().len();
        let most = self.read;
        let read = if most == MOST_READ {
            Pin::new(&mut self.socket).poll_read(context, buffer)
        } else {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most.min(buffer.remaining())));
            let read = Pin::new(&mut self.socket).poll_read(context, &mut part);
            let filled = part.filled().len();
            buffer.advance(filled);
            read
        };
        match read {
            Poll::Ready(Ok(())) => Poll::Ready(self.note(&buffer.filled()[before..])),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match &mut self.timer {
                Some(timer) => timer.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
                None => Poll::Pending,
            },
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedSocket<S> {
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
