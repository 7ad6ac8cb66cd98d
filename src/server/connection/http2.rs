//! A connection on which the handshake agreed on HTTP/2: many requests at a time, and closing by GOAWAY.
//!
//! The limits of [`super::watched`] are about the bytes of one request after another, which is not how HTTP/2
//! is. Here the first request is due by the same time, h2 bounds what a head may be, and a request's time runs from its
//! head.

use std::{cell::Cell, convert::Infallible, future::pending, pin::pin, rc::Rc, time::Duration};

use futures_util::{
    future::{FutureExt as _, LocalBoxFuture},
    stream::{FuturesUnordered, StreamExt as _},
};
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    time::{Instant, sleep},
};

use super::answer::{self, Answers};
use super::limits::Ended;
use super::paced::PacedSocket;
use super::request::answer_http2;
use super::watched::ConnectionWatch;
use crate::server::connections::ConnectionSlot;
use crate::server::context::Context;
use crate::server::drain::DrainStage;

/// How many requests one connection may have open: as many as Go's own servers take. OpenIM opens another connection beyond it.
const STREAMS: u32 = 250;

/// The longest head that is taken: its names and values, and 32 bytes for each, as HTTP/2 counts. In memory it takes up to
/// four times as much until it has been read.
const HEAD_BYTES: u32 = 16 << 10;

/// How often a drain that has come to its end looks whether a connection still answers. A client has this long to take in
/// its last answer, and the GOAWAY.
const LAST_LOOKS: Duration = Duration::from_secs(1);

/// How often it looks, at most, whether one that may not call has been answered.
const LOOKS_AT_STRANGERS: usize = 5;
/// Why a connection ends whose client reads no answers.
const STUCK: &str = "an answer made no progress for 30 s";

/// What a connection is doing; shared by it and the requests on it.
#[derive(Default)]
struct Streams {
    /// Whether there ever was a request.
    any: Cell<bool>,
    open: Cell<usize>,
    /// Told when a request came while connections are to close.
    leave: Notify,
}

/// One request being answered.
struct OpenStream(Rc<Streams>);

impl OpenStream {
    fn new(streams: &Rc<Streams>) -> Self {
        streams.open.set(streams.open.get() + 1);
        Self(Rc::clone(streams))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

pub(super) async fn serve<S>(
    context: &Rc<Context>,
    stream: S,
    watch: Rc<ConnectionWatch>,
    place: &ConnectionSlot,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let streams = Rc::new(Streams::default());
    let answers = Rc::<Answers>::default();
    let webhook = service_fn(|request| {
        streams.any.set(true);
        place.hears(context, &request);
        place.asks(Instant::now());
        if context.announces_close() || place.is_to_leave() {
            streams.leave.notify_one();
        }
        let open = OpenStream::new(&streams);
        // Boxed, since hyper moves it several times, and it takes some kilobytes.
        let answer = Box::pin(answer_http2(context, place.peer(), place.is_silent(), request));
        let answers = Rc::clone(&answers);
        async move {
            let (response, is_last) = answer.await;
            if is_last {
                open.0.leave.notify_one();
            }
            Ok::<_, Infallible>(response.map(|body| answers.begin(body)))
        }
    });
    let mut connection = pin!(
        http2::Builder::new(answer::Streams::start(Rc::clone(&answers)))
            .max_concurrent_streams(STREAMS)
            // All of them may give up while the worker has no time for them: h2 would take more than 20 for an attack,
            // and close on the others too.
            .max_pending_accept_reset_streams(STREAMS as usize)
            // What comes late, for requests that were rejected, is no abuse. Over all of a connection's life h2 would count
            // 1024 of them, and then end it. What they cost is counted by the socket.
            .max_local_error_reset_streams(None)
            .max_header_list_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(PacedSocket::new(stream)), webhook)
    );
    // Looked at when something has come of them, and not whenever the connection is.
    let mut limits = FuturesUnordered::<LocalBoxFuture<'_, Limit>>::new();
    limits.push(Box::pin(too_late(context, &watch, &streams)));
    limits.push(Box::pin(to_leave(context, &streams)));
    limits.push(Box::pin(answers.stuck().map(|()| Limit::Stuck)));
    loop {
        let reached = tokio::select! {
            // A request that is there comes before its time being over.
            biased;
            ended = connection.as_mut() => return Ok(ended?),
            Some(reached) = limits.next() => reached,
        };
        match reached {
            Limit::Over => return Ok(()),
            Limit::Stuck => return Err(STUCK.into()),
            Limit::Leave => {
                connection.as_mut().graceful_shutdown();
                limits.push(Box::pin(all_over(context, &streams)));
                limits.push(Box::pin(shut_out(place, &streams)));
            }
        }
    }
}

/// What a connection comes to beside its own end.
enum Limit {
    /// It closes at once.
    Over,
    /// Its client reads no answers.
    Stuck,
    /// It closes when all is answered.
    Leave,
}

/// Returns when no request came in time. One that has come puts an end to this limit.
async fn too_late(context: &Context, watch: &ConnectionWatch, streams: &Streams) -> Limit {
    context.too_late_to_speak(watch.first_request_by()).await;
    if streams.any.get() { pending().await } else { Limit::Over }
}

/// Returns when it is time for the GOAWAY. Not before the first request: it is on its way, and its sender may take
/// the GOAWAY for an answer to it.
async fn to_leave(context: &Context, streams: &Streams) -> Limit {
    let announcing = async {
        context.shared.drain.reached(DrainStage::Announcing).await;
        if !streams.any.get() {
            pending::<()>().await;
        }
    };
    tokio::select! {
        () = announcing => {}
        () = streams.leave.notified() => {}
    }
    Limit::Leave
}

/// After the GOAWAY the client closes the connection, or hyper does once all is answered and the client has seen
/// it. Returns when a drain waits no longer for a client that does neither.
async fn all_over(context: &Context, streams: &Streams) -> Limit {
    context.shared.drain.reached(DrainStage::Finishing).await;
    loop {
        sleep(LAST_LOOKS).await;
        if streams.open.get() == 0 {
            return Limit::Over;
        }
    }
}

/// After the GOAWAY a peer that may not call has this long. Returns when it is over.
async fn shut_out(place: &ConnectionSlot, streams: &Streams) -> Limit {
    for _ in 0..LOOKS_AT_STRANGERS {
        sleep(LAST_LOOKS).await;
        if !place.is_silent() {
            return pending().await;
        }
        if streams.open.get() == 0 {
            return Limit::Over;
        }
    }
    Limit::Over
}
