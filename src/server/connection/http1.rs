//! A connection that speaks HTTP/1.1: one request after another, and closing by announcement.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context as TaskContext, Poll},
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
use super::watched::{self, ConnectionWatch, WatchedSocket};
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
    let watched = TokioIo::new(WatchedSocket::new(Rc::clone(&socket), Rc::clone(&watch)));
    // A client that has sent all may say so by a FIN, and waits for its answer. One that resets its connection has gone.
    // Told that the first is fine, hyper does not look for the other; it would do so by reading on, which takes a new buffer
    // for every callback.
    let mut connection =
        pin!(http1::Builder::new().max_buf_size(HEAD_BYTES).half_close(true).serve_connection(watched, webhook));
    let poll_gone = |context: &mut TaskContext<'_>| {
        if watch.has_read_whole() { watched::poll_gone(tcp(&socket.borrow()), context) } else { Poll::Pending }
    };

    let ended = context.finishing.or(&mut unless(poll_gone, connection.as_mut())).await;
    if let Some(ended) = ended {
        return ended;
    }
    let looked = timeout(LAST_LOOK, unless(poll_gone, connection.as_mut())).await;
    match looked {
        Ok(ended) => ended,
        Err(_) if watch.is_silent() => Ok(()),
        Err(_) => {
            // hyper would close with half of a request there; its answer will announce that the connection closes.
            if !watch.is_in_head() {
                connection.as_mut().graceful_shutdown();
            }
            unless(poll_gone, connection).await
        }
    }
}

/// Ends with the connection, or when its client has gone.
fn unless<C: Future<Output = hyper::Result<()>>>(
    poll_gone: impl Fn(&mut TaskContext<'_>) -> Poll<()> + Unpin,
    mut connection: Pin<&mut C>,
) -> impl Future<Output = Ended> + Unpin {
    poll_fn(move |context| match connection.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(ended.map_err(Into::into)),
        Poll::Pending => poll_gone(context).map(|()| Err("the client has gone".into())),
    })
}
