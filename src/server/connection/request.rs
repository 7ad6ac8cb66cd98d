//! One HTTP request to the bridge and back: the bare service on hyper's own connections. It has one route, so it needs
//! no router.

use std::{
    convert::Infallible,
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use scopeguard::ScopeGuard;
use tokio::time::{Instant, timeout_at};

use super::answer::AnswerBody;
use super::watched::ConnectionWatch;
use crate::base::deadline::Deadline;
use crate::bridge::{Answer, Bridge};
use crate::openim::ReservedCode;
use crate::outcome::{HINT_HEADER, ORIGIN_HEADER, Origin};
use crate::server::connections::ConnectionSlot;
use crate::server::context::Context;

/// How much of an unread body is read and discarded, so that its sender gets to see the answer: most
/// clients read none before they have sent all.
const DISCARDED_BYTES: usize = 32 << 20;

/// The same of a peer that may not call, and for how long.
const DISCARDED_OF_STRANGERS: (usize, Duration) = (64 << 10, Duration::from_secs(1));
/// A body over HTTP/2 that nobody wants and that is no longer than this is read before its answer.
const SMALL_BODY: usize = 64 << 10;

impl ConnectionSlot {
    /// Takes note of a request. One that its peer may not send leaves the connection as silent as it was.
    pub(super) fn hears<B>(&self, context: &Context, request: &Request<B>) {
        if self.is_silent() && context.bridge().admits(self.peer(), request.headers()) {
            self.has_spoken();
        }
    }
}

/// Answers one request over HTTP/1.1, whose first byte came at `started`. Not an `async fn`, which would keep room for the
/// request beside its parts.
pub(super) fn answer_http1(
    context: Rc<Context>,
    watch: Rc<ConnectionWatch>,
    place: &ConnectionSlot,
    request: Request<Incoming>,
    started: Instant,
) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> {
    let bridge = context.bridge();
    let deadline = bridge.deadline(started);
    let (mut head, body) = request.into_parts();
    async move {
        let mut body = Noted { body, watch: &watch, is_broken: false };
        // Pinned where it is: it takes some kilobytes to move, and an await would.
        let answer = pin!(answer(&bridge, place.peer(), &mut head, &mut body, deadline)).await;
        let is_stranger = is_of_stranger(&answer, place.is_silent());
        let mut response = response(answer);

        let all_read = watch.has_read_whole() || body.is_there_whole();
        if all_read {
            watch.answered();
        } else {
            let (most, time) = DISCARDED_OF_STRANGERS;
            let (most, by) = if is_stranger { (most, Instant::now() + time) } else { (DISCARDED_BYTES, deadline.at()) };
            tokio::task::spawn_local(discard(body.body, most, by));
        }
        if !all_read || is_stranger || place.is_to_leave() || context.announces_close() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// Answers one request of this peer over HTTP/2, whose head is there, on a connection that `is_silent` or not. Returns also
/// whether it is to end. A large body that nobody wants is taken back from its sender by resetting the stream, and a connection
/// is closed by GOAWAY, both of which is not this function's.
pub(super) fn answer_http2(
    context: &Context,
    peer: IpAddr,
    is_silent: bool,
    request: Request<Incoming>,
) -> impl Future<Output = (Response<AnswerBody>, bool)> + use<> {
    let bridge = context.bridge();
    let deadline = bridge.deadline(Instant::now());
    let (mut head, body) = request.into_parts();
    // Each piece would keep all that was read with it, for as long as the body is held.
    let mut body = body.map_frame(|frame| frame.map_data(|data| Bytes::copy_from_slice(&data)));
    async move {
        let answer = pin!(answer(&bridge, peer, &mut head, &mut body, deadline)).await;
        // To reset the stream costs more than to read a small body, which mostly is on its way.
        if !body.is_end_stream() && body.size_hint().lower() <= SMALL_BODY as u64 {
            discard(body, SMALL_BODY, deadline.at()).await;
        }
        let is_stranger = is_of_stranger(&answer, is_silent);
        (response(answer), is_stranger)
    }
}

/// Whether a connection ends with this answer, since its peer may not call. On one that has carried a call, credentials may
/// be those of somebody else who shares it.
fn is_of_stranger(answer: &Answer, is_silent: bool) -> bool {
    match answer.origin {
        Origin::Rejected(ReservedCode::Address) => true,
        Origin::Rejected(ReservedCode::Credentials) => is_silent,
        _ => false,
    }
}

/// A request's body. The path is compiled once for both versions of HTTP.
type AnyBody<'a> = dyn Body<Data = Bytes, Error = hyper::Error> + Unpin + 'a;

async fn answer(
    bridge: &Rc<Bridge>,
    peer: IpAddr,
    head: &mut Parts,
    mut body: &mut AnyBody<'_>,
    deadline: Deadline,
) -> Answer {
    // Dropped where OpenIM does not wait for the end.
    let abandoned = scopeguard::guard((), |()| bridge.abandoned());
    let answered = {
        let answering = pin!(bridge.answer(peer, head, &mut body, deadline));
        AssertUnwindSafe(answering).catch_unwind().await
    };
    let answer = answered.unwrap_or_else(|_| bridge.answer_to_panic(head, deadline));
    ScopeGuard::into_inner(abandoned);
    answer
}

/// A body of HTTP/1.1, which notes its end.
struct Noted<'a> {
    body: Incoming,
    watch: &'a ConnectionWatch,
    /// Then hyper too says that nothing more comes, and closes: what is behind it is no request.
    is_broken: bool,
}

impl Noted<'_> {
    /// Whether it ends here, although nobody wanted it.
    fn is_there_whole(&mut self) -> bool {
        let _unwanted = self.frame().now_or_never();
        self.watch.has_read_whole()
    }
}

impl Body for Noted<'_> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.body).poll_frame(task);
        self.is_broken |= matches!(frame, Poll::Ready(Some(Err(_))));
        if !self.is_broken && (matches!(frame, Poll::Ready(None)) || self.body.is_end_stream()) {
            self.watch.read_whole();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn response(answer: Answer) -> Response<AnswerBody> {
    let status = answer.status;
    let mut response = Response::new(AnswerBody::new(answer.body, answer.held));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    match answer.headers {
        Some(of_receiver) => *headers = *of_receiver,
        None => _ = headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
    }
    headers.insert(ORIGIN_HEADER, HeaderValue::from_static(answer.origin.header()));
    if let Some(hint) = answer.hint {
        headers.insert(HINT_HEADER, HeaderValue::from_static(hint));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"openim-bridge\""));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

/// Reads and discards what is left of a body, up to so many bytes. Over HTTP/1.1 hyper closes the connection when this
/// ends.
async fn discard(mut body: impl Body<Data = Bytes> + Unpin, most: usize, by: Instant) {
    let mut left = most;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(bytes) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // Past the deadline its sender has had its chance.
    let _late = timeout_at(by, reading).await;
}
