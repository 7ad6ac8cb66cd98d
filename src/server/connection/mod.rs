//! One connection from OpenIM, from its acceptance to its end.
//!
//! - here: what it speaks, and when one that has never sent a request makes room.
//! - [`http1`], [`http2`]: the two that it may speak.
//! - [`tls`]: HTTPS: the handshake, and the certificate that follows its files.
//! - [`watched`]: the wrapper around a socket that knows when a request began, and keeps the limits on its head.
//! - [`paced`]: the same for HTTP/2: what one connection may cost the others.
//! - [`answer`]: an answer on its way to the client.
//! - [`resting`]: which idle connections hold no buffers.
//! - [`request`]: one HTTP request to the bridge and back.

mod answer;
mod http1;
mod http2;
mod limits;
mod paced;
mod request;
pub(super) mod resting;
pub(super) mod tls;
mod watched;

use std::{future::poll_fn, io, pin::pin, rc::Rc, sync::Arc, task::Poll, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use super::bell::this_task;
use super::connections::{ConnectionSlot, HTTP2_BYTES, TLS_BYTES};
use super::context::Context;
use crate::base::socket;
use crate::telemetry::log;
use limits::Ended;
use tls::ListenerTls;
use watched::{ConnectionWatch, OtherProtocol};

/// Until the runtime has looked at all its sockets once more: 32 of them take less than 1 ms.
const A_LOOK: Duration = Duration::from_millis(10);

/// Why a TLS handshake fails where there is plain HTTP.
const PLAIN: &str =
    "the client speaks TLS, and this port plain HTTP: without `tls.cert`, OpenIM's `url` must begin with http://";

pub(super) async fn serve(context: Rc<Context>, stream: TcpStream, place: ConnectionSlot) {
    if let Err(error) = socket::accepted(&stream) {
        return tracing::debug!(%error, "a connection went away at once");
    }
    let accepted = Instant::now();
    let watch = ConnectionWatch::new(Arc::clone(place.connection()), accepted);
    let mut serving = pin!(async {
        match &context.shared.tls {
            None => {
                let ended = pin!(http1::serve(&context, stream, Rc::clone(&watch), &place, |stream| stream)).await;
                match watch.speaks() {
                    Some(OtherProtocol::Tls) => log::no_handshake(place.peer(), PLAIN),
                    Some(OtherProtocol::Http2) => log::not_http1(place.peer()),
                    None => {}
                }
                ended
            }
            // Boxed, so that a plain connection does not pay for its size.
            Some(tls) => Box::pin(https(&context, tls, stream, watch, &place)).await,
        }
    });
    place.may_be_turned_out(this_task().await, accepted);
    let turned_out_or_ended = poll_fn(|context| match serving.as_mut().poll(context) {
        Poll::Pending if place.is_turned_out() => Poll::Ready(None),
        polled => polled.map(Some),
    });
    let ended = match turned_out_or_ended.await {
        Some(ended) => ended,
        // Its request may be there, and the runtime not have looked yet.
        None => match timeout(A_LOOK, serving.as_mut()).await {
            Ok(ended) => ended,
            Err(_) if place.is_silent() => return,
            Err(_) => serving.await,
        },
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended early");
    }
}

/// The handshake, then what it has agreed on.
async fn https(
    context: &Rc<Context>,
    tls: &ListenerTls,
    stream: TcpStream,
    watch: Rc<ConnectionWatch>,
    place: &ConnectionSlot,
) -> Ended {
    let stream = tokio::select! {
        biased;
        stream = tls.accept(stream) => stream.inspect_err(|error| no_handshake(context, place, error))?,
        () = context.too_late_to_speak(watch.first_request_by()) => return Ok(()),
    };
    let is_http2 = tls::is_http2(&stream);
    place.connection().is_itself(if is_http2 { HTTP2_BYTES } else { TLS_BYTES });
    if is_http2 {
        http2::serve(context, stream, watch, place).await
    } else {
        http1::serve(context, stream, watch, place, |stream| stream.get_ref().0).await
    }
}

/// Counts and logs it, where an operator can do something about it.
fn no_handshake(context: &Context, place: &ConnectionSlot, error: &io::Error) {
    if let Some(why) = tls::why_not(error) {
        context.shared.metrics.no_handshake();
        log::no_handshake(place.peer(), &why);
    }
}
