//! A connection that speaks HTTP/1.1: one request after another, and closing by announcement.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::limits::{Ended, HEAD_BYTES};
use super::request::answer_http1;
use super::watched::{ConnectionWatch, WatchedSocket, poll_gone};
use crate::server::connections::ConnectionSlot;
use crate::server::context::{Context, LAST_LOOK};

/// `tcp` is the TCP connection under it.
pub(super) async fn serve<S>(
    context: &Rc<Context>,
    stream: S,
    watch: Rc<ConnectionWatch>,
    place: &ConnectionSlot,
    tcp: fn(&S) -> &TcpStream,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let webhook = service_fn(|request| {
        let started = watch.request();
        place.hears(context, &request);
        place.asks(started);
        answer_http1(Rc::clone(context), Rc::clone(&watch), place, request, started)
    });
    let socket = Rc::new(RefCell::new(stream));
    let closes = Cell::new(false);
    let mut requests = pin!(async {
        let mut watched = WatchedSocket::new(Rc::clone(&socket), Rc::clone(&watch));
        loop {
            let mut awake = None;
            // A client that has sent all may say so by a FIN, and waits for its answer. One that resets its connection has
            // gone. Told that the first is fine, hyper does not look for the other; it would do so by reading on, which takes
            // a new buffer for every callback.
            let mut connection = http1::Builder::new()
                .max_buf_size(HEAD_BYTES)
                .half_close(true)
                .serve_connection(TokioIo::new(watched), &webhook);
            let ended = poll_fn(|task| {
                // hyper would close with half of a request there; its answer will announce that the connection closes.
                if closes.get() && !watch.is_in_head() {
                    Pin::new(&mut connection).graceful_shutdown();
                }
                let polled = Pin::new(&mut connection).poll(task);
                if awake.is_none() && !watch.is_silent() {
                    awake = Some(context.awake.enter(task.waker().clone(), &watch));
                }
                match polled {
                    Poll::Ready(ended) => Poll::Ready(Some(ended.map_err(Into::into))),
                    Poll::Pending if watch.is_resting() => Poll::Ready(None),
                    Poll::Pending if watch.has_read_whole() => {
                        poll_gone(tcp(&socket.borrow()), task).map(|()| Some(Err("the client has gone".into())))
                    }
                    Poll::Pending => Poll::Pending,
                }
            });
            if let Some(ended) = ended.await {
                return ended;
            }
            drop(awake);
            let parts = connection.into_parts();
            watched = parts.io.into_inner();
            watched.rests(parts.read_buf);
            poll_fn(|task| watched.poll_readable(tcp, task)).await?;
        }
    });

    if let Some(ended) = context.finishing.or(&mut requests).await {
        return ended;
    }
    match timeout(LAST_LOOK, requests.as_mut()).await {
        Ok(ended) => ended,
        Err(_) if watch.is_silent() || watch.is_resting() => Ok(()),
        Err(_) => {
            closes.set(true);
            requests.await
        }
    }
}
