//! What the decision service sends, before h2 sees it: empty DATA frames are taken out, and a peer that does not speak HTTP/2
//! is named as what it is.
//!
//! Jetty, Bun and several proxies write one between a reply and its trailers. It is allowed, and says nothing; but h2 counts
//! such frames over a connection's whole life, and ends it at the 101st, with all calls that are on it. It has no setting for
//! that.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::http2_frames::{FrameHead, HEAD};

#[derive(Debug)]
pub(super) struct WithoutEmptyData<S> {
    stream: S,
    /// Whether anything has come. HTTP/2 begins with a frame from each side.
    heard: Arc<AtomicBool>,
    /// What the peer speaks instead of HTTP/2.
    speaks: Option<&'static str>,
    /// So many bytes of a payload come before the next head.
    skip: usize,
    /// The beginning of a head that has not come whole, or one that has and did not fit into the reader's buffer.
    held: [u8; HEAD],
    there: usize,
    /// How much of `held` is to be handed on before anything else is read.
    ready: usize,
}

impl<S> WithoutEmptyData<S> {
    /// `heard` is set when the peer has sent something in HTTP/2.
    pub(super) const fn new(stream: S, heard: Arc<AtomicBool>) -> Self {
        Self { stream, heard, speaks: None, skip: 0, held: [0; HEAD], there: 0, ready: 0 }
    }

    /// Takes the empty frames out of `bytes`, which begin where the last ones ended, and keeps the beginning of a head at
    /// their end. Returns how many are left.
    fn strip(&mut self, bytes: &mut [u8]) -> usize {
        // Nothing is moved until the first empty frame: `to` is where the next bytes belong.
        let (mut from, mut to) = (0, 0);
        while from < bytes.len() {
            let rest = bytes.len() - from;
            let (taken, is_kept) = if self.skip > 0 {
                let payload = rest.min(self.skip);
                self.skip -= payload;
                (payload, true)
            } else if let Some(head) = bytes[from..].first_chunk::<HEAD>() {
                let head = FrameHead::of(*head);
                self.skip = head.length as usize;
                (HEAD, !head.says_nothing())
            } else {
                self.held[..rest].copy_from_slice(&bytes[from..]);
                self.there = rest;
                (rest, false)
            };
            if is_kept {
                if from != to {
                    bytes.copy_within(from..from + taken, to);
                }
                to += taken;
            }
            from += taken;
        }
        to
    }
}

/// What a peer speaks instead of HTTP/2, by the first bytes that it sends.
fn something_else(first: &[u8]) -> Option<&'static str> {
    /// The first byte of a TLS alert: a TLS server sends one when it is not greeted in TLS.
    const ALERT: u8 = 21;
    /// The largest type of a frame in RFC 9113.
    const CONTINUATION: u8 = 9;
    Some(match first {
        [ALERT, 3, ..] => "it speaks TLS: its address must begin with https://",
        [b'H', b'T', b'T', b'P', ..] => "it speaks HTTP/1, and gRPC needs HTTP/2: is this the service's gRPC port?",
        [_, _, _, kind, ..] if *kind > CONTINUATION => {
            "it does not speak HTTP/2, which gRPC needs: is this the service's gRPC port?"
        }
        _ => return None,
    })
}

/// Whoever sees an error of this kind finds what the peer speaks in its text.
fn not_http2(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl<S: AsyncRead + Unpin> WithoutEmptyData<S> {
    /// A peer that did not understand what it read may have said so, and closed, before all was written. Where it has, what it
    /// said is there to be read as soon as the runtime knows.
    fn poll_why_not_written(&mut self, context: &mut Context<'_>, error: io::Error) -> Poll<io::Error> {
        let is_closed = matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        if is_closed && self.speaks.is_none() && !self.heard.load(Relaxed) && self.there == 0 {
            let mut first = ReadBuf::new(&mut self.held);
            if ready!(Pin::new(&mut self.stream).poll_read(context, &mut first)).is_ok() {
                self.speaks = something_else(first.filled());
                // The beginning of a frame is kept: it may be a GOAWAY.
                self.there = first.filled().len();
            }
        }
        Poll::Ready(self.speaks.map_or(error, not_http2))
    }

    /// Reads the rest of the head whose beginning is held, and whether the stream goes on. For a buffer in which not even
    /// that has room.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.there < HEAD {
            let mut part = ReadBuf::new(&mut self.held[self.there..]);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
            match part.filled().len() {
                0 => return Poll::Ready(Ok(false)),
                read => self.there += read,
            }
        }
        let head = FrameHead::of(self.held);
        self.skip = head.length as usize;
        self.there = 0;
        self.ready = if head.says_nothing() { 0 } else { HEAD };
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WithoutEmptyData<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        // Known since a write failed, whose error may not have been looked at.
        if let Some(text) = this.speaks {
            return Poll::Ready(Err(not_http2(text)));
        }
        loop {
            if this.ready > 0 {
                let handed = this.ready.min(buffer.remaining());
                buffer.put_slice(&this.held[HEAD - this.ready..][..handed]);
                this.ready -= handed;
                return Poll::Ready(Ok(()));
            }
            let held = this.there;
            if held > 0 && buffer.remaining() <= held {
                if !ready!(this.poll_head(context))? {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            buffer.put_slice(&this.held[..held]);
            let read = Pin::new(&mut this.stream).poll_read(context, buffer);
            let is_end = buffer.filled().len() == before + held;
            if is_end || !matches!(read, Poll::Ready(Ok(()))) {
                // What is held stays so, and at the end nobody wants it.
                buffer.set_filled(before);
                return read;
            }
            this.there = 0;
            if !this.heard.load(Relaxed) {
                this.speaks = something_else(&buffer.filled()[before..]);
                if let Some(text) = this.speaks {
                    return Poll::Ready(Err(not_http2(text)));
                }
                this.heard.store(true, Relaxed);
            }
            let left = this.strip(&mut buffer.filled_mut()[before..]);
            buffer.set_filled(before + left);
            // Nothing would mean that the stream has ended.
            if left > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WithoutEmptyData<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.stream).poll_write(context, bytes)) {
            Ok(written) => Poll::Ready(Ok(written)),
            Err(error) => self.poll_why_not_written(context, error).map(Err),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices)) {
            Ok(written) => Poll::Ready(Ok(written)),
            Err(error) => self.poll_why_not_written(context, error).map(Err),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// Reads in steps of at most `sent` bytes into a buffer of `room`.
    async fn read(bytes: &[u8], sent: usize, room: usize) -> Vec<u8> {
        let (mut peer, stream) = tokio::io::duplex(sent);
        let bytes = bytes.to_vec();
        tokio::spawn(async move { peer.write_all(&bytes).await });
        let mut stream = WithoutEmptyData::new(stream, Arc::default());
        let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
        loop {
            match stream.read(&mut buffer).await.expect("no error") {
                0 => return all,
                read => all.extend_from_slice(&buffer[..read]),
            }
        }
    }

    #[tokio::test]
    async fn empty_frames_go_and_all_else_stays_however_it_comes() {
        let (head, reply, empty) = (frame(1, 4, &[1; 40]), frame(0, 0, &[2; 7]), frame(0, 0, &[]));
        let (end, trailers) = (frame(0, 1, &[]), frame(1, 5, &[3; 9]));
        let sent = [&empty[..], &empty, &head, &reply, &empty, &trailers, &end, &empty].concat();
        let expected = [head, reply, trailers, end].concat();
        for step in 1..=sent.len() {
            for room in [1, 2, 5, 8, 9, 10, 17, 200] {
                assert_eq!(read(&sent, step, room).await, expected, "{step} bytes into {room}");
            }
        }
    }
}
