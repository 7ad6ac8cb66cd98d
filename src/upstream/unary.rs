//! A gRPC call with one message each way, on an HTTP/2 connection.
//!
//! Written over h2, since a callback is one such call: under tonic's client and hyper's connection it would take a channel,
//! two tasks, four boxes and two buffers of 8 KiB. The status codes are still tonic's.
//! Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use std::{future::ready, sync::Arc, time::Duration};

use bytes::{Buf as _, Bytes};
use futures_util::future::Either;
use h2::{
    Reason, RecvStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header, uri::PathAndQuery};
use percent_encoding::percent_decode;
use scopeguard::{ScopeGuard, guard};
use tonic::{Code, Status};

use super::error::{CallError, Retry};
use super::given_up::{GivenUp, Unfinished};
use super::incoming_message::IncomingMessage;
use crate::base::{
    grpc_frame,
    memory::{Gauge, Permit},
};
use crate::callback::InvalidDecision;

pub(super) type Sender = SendRequest<Bytes>;

/// The message with which a call was answered.
#[derive(Debug)]
pub struct Reply {
    pub message: Bytes,
    /// What a long one holds of the process's memory.
    _held: Option<Permit>,
}

/// A reply may be so much longer than the question: a decision needs no more.
const BEYOND_QUESTION: usize = 64 << 10;

const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A call's head. `path` is `/package.Service/Method`; metadata are headers.
pub(super) fn head(origin: &Uri, path: PathAndQuery, timeout: Duration) -> Request<()> {
    let mut uri = origin.clone().into_parts();
    uri.path_and_query = Some(path);
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    // An origin has all that a URI needs beside a path.
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
    let headers = request.headers_mut();
    headers.reserve(6);
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_TIMEOUT, once(timeout_value(timeout)));
    request
}

/// Not to be kept by either side to refer to: another value comes next time, and all that are kept are searched each time.
pub(super) fn once(mut value: HeaderValue) -> HeaderValue {
    // "Never indexed", by HPACK's word for it.
    value.set_sensitive(true);
    value
}

/// At most eight digits and a unit.
fn timeout_value(timeout: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let text = match timeout.as_micros() {
        micros @ ..=MOST => format!("{micros}u"),
        micros => format!("{}m", (micros / 1000).min(MOST)),
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0u"))
}

/// Makes the call, with a message in its frame. Dropped before its end, it is given up: cancelled where there is no `given_up`.
/// A reply that is longer than a decision can be is invalid; the others are counted in `memory`.
pub(super) fn unary<'a>(
    sender: &mut Sender,
    head: Request<()>,
    frame: Bytes,
    memory: Option<&'a Arc<Gauge>>,
    given_up: Option<&'a GivenUp>,
) -> impl Future<Output = Result<Reply, CallError>> + use<'a> {
    let longest = frame.len() + BEYOND_QUESTION;
    // Sent at once, for the future not to keep room for the head.
    match send(sender, head, frame) {
        Ok(response) => Either::Left(reply(response, longest, memory, given_up)),
        Err(error) => Either::Right(ready(Err(error))),
    }
}

fn send(sender: &mut Sender, head: Request<()>, frame: Bytes) -> Result<ResponseFuture, CallError> {
    let (response, mut request) = sender.send_request(head, false).map_err(never_sent)?;
    request.send_data(frame, true).map_err(no_response)?;
    Ok(response)
}

async fn reply(
    response: ResponseFuture,
    longest: usize,
    memory: Option<&Arc<Gauge>>,
    given_up: Option<&GivenUp>,
) -> Result<Reply, CallError> {
    let leave = |call| {
        if let Some(given_up) = given_up {
            given_up.take(call);
        }
    };
    let mut response = guard(response, |response| leave(Unfinished::Head(response)));
    let answered = (&mut *response).await;
    drop(ScopeGuard::into_inner(response));
    let (http_status, in_head, body) = {
        let (head, body) = answered.map_err(no_response)?.into_parts();
        (head.status, outcome(&head.headers), body)
    };
    let mut body = guard(body, |body| {
        if !body.is_end_stream() {
            leave(Unfinished::Body(body));
        }
    });
    if http_status != StatusCode::OK && in_head.is_none() {
        // Something in the service's place has answered, such as a proxy.
        let text = format!("the answer is not gRPC, but HTTP status {http_status}");
        return Err(status(code_of_http(http_status), text));
    }
    let (received, in_trailers) = match (rest(&mut body, longest, memory).await, in_head.as_ref()) {
        // It has failed already, and ends early.
        (Err(_), Some(Err(_))) => ((Bytes::new(), None), None),
        (rest, _) => rest?,
    };
    // Of two statuses the trailers' counts. An answer that is only a head has one alone.
    in_trailers.or(in_head).unwrap_or_else(|| Err(no_status()))?;
    let (message, held) = received;
    Ok(Reply { message: unframed(message)?, _held: held })
}

/// The body, and what it holds.
type Received = (Bytes, Option<Permit>);

/// What comes after the head: the body, and the status in the trailers.
async fn rest(
    body: &mut RecvStream,
    longest: usize,
    memory: Option<&Arc<Gauge>>,
) -> Result<(Received, Option<Result<(), CallError>>), CallError> {
    let received = receive(body, longest, memory).await?;
    let trailers = body.trailers().await.map_err(broken_within)?;
    Ok((received, trailers.as_ref().and_then(outcome)))
}

async fn receive(body: &mut RecvStream, longest: usize, memory: Option<&Arc<Gauge>>) -> Result<Received, CallError> {
    let mut received = IncomingMessage::counted_in(memory);
    while let Some(chunk) = body.data().await {
        let chunk = chunk.map_err(broken_within)?;
        // It fails only for more than was received.
        let _released = body.flow_control().release_capacity(chunk.len());
        if received.len() + chunk.len() > longest {
            return Err(too_long(if received.len() > 0 { received.bytes() } else { &chunk }));
        }
        let expected = announced(received.bytes()).map_or(0, |length| grpc_frame::HEAD + length);
        received.push(chunk, expected)?;
        if announced(received.bytes()).is_some_and(|length| length > longest) {
            return Err(too_long(received.bytes()));
        }
    }
    Ok(received.done())
}

/// What has begun like this is longer than a decision can be, or no message at all.
fn too_long(begun: &[u8]) -> CallError {
    match begun.first() {
        // Whether it is compressed.
        Some(0 | 1) => CallError::InvalidReply(InvalidDecision::TooLong),
        _ => status(Code::Internal, "the answer is not gRPC"),
    }
}

/// The announced length of the message, once it is there.
fn announced(received: &[u8]) -> Option<usize> {
    received.get(1..grpc_frame::HEAD).map(|mut length| length.get_u32() as usize)
}

fn unframed(mut received: Bytes) -> Result<Bytes, CallError> {
    if received.len() < grpc_frame::HEAD {
        return Err(status(Code::Internal, "the reply holds no message"));
    }
    let length = announced(&received).unwrap_or_default();
    if received[0] != 0 {
        return Err(status(Code::Internal, "the reply is compressed, which was not asked for"));
    }
    received.advance(grpc_frame::HEAD);
    if received.len() < length {
        return Err(status(Code::Internal, "the reply ends within the message"));
    }
    if received.len() > length {
        return Err(CallError::TwoMessages);
    }
    Ok(received)
}

/// The status that these headers or trailers hold: its code, whatever else they hold. Not read by tonic, which panics on
/// `grpc-status-details-bin` that is not base64, and takes the code for another where the message is not UTF-8.
fn outcome(headers: &HeaderMap) -> Option<Result<(), CallError>> {
    let code = Code::from_bytes(headers.get(Status::GRPC_STATUS)?.as_bytes());
    if code == Code::Ok {
        return Some(Ok(()));
    }
    let text = headers.get(GRPC_MESSAGE).map_or(&[][..], HeaderValue::as_bytes);
    Some(Err(status(code, percent_decode(text).decode_utf8_lossy())))
}

fn status(code: Code, text: impl Into<String>) -> CallError {
    CallError::Status(Box::new(Status::new(code, text)))
}

fn no_status() -> CallError {
    status(Code::Unknown, "the answer ended without a status")
}

/// The connection was closing: the request never left the bridge.
fn never_sent(error: h2::Error) -> CallError {
    broken(Retry::Unsent, error)
}

/// Before the head of a response.
fn no_response(error: h2::Error) -> CallError {
    match of_one_stream(&error) {
        Some(status) => status,
        None if is_beyond_goaway(&error) => broken(Retry::Unsent, error),
        None if error.reason() == Some(Reason::REFUSED_STREAM) => broken(Retry::Free, error),
        None => broken(Retry::Budgeted, error),
    }
}

/// After the head of a response.
fn broken_within(error: h2::Error) -> CallError {
    of_one_stream(&error).unwrap_or_else(|| broken(Retry::Never, error))
}

fn broken(retry: Retry, error: h2::Error) -> CallError {
    CallError::Broken { retry, error: Box::new(error) }
}

/// The peer goes away, and says that it has not looked at the request: it came beyond the last stream of its GOAWAY.
fn is_beyond_goaway(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR)
}

/// This one stream was reset, and the connection lives: a status, by the table of gRPC over HTTP/2. `None` for everything
/// else, a refused stream included.
fn of_one_stream(error: &h2::Error) -> Option<CallError> {
    if !error.is_reset() {
        return None;
    }
    if error.is_library() {
        // By the bridge's own side of HTTP/2. The service has answered, and would do so again.
        return Some(status(Code::Internal, "the answer is malformed, or its headers are too long"));
    }
    let code = match error.reason()? {
        Reason::REFUSED_STREAM => return None,
        Reason::CANCEL => Code::Cancelled,
        Reason::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        Reason::INADEQUATE_SECURITY => Code::PermissionDenied,
        _ => Code::Internal,
    };
    Some(status(code, "the stream was reset"))
}

/// By the table of gRPC for answers without a `grpc-status`.
/// Source: <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>.
const fn code_of_http(status: StatusCode) -> Code {
    match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_eight_digits_at_the_most() {
        for (timeout, value) in [
            (Duration::ZERO, "0u"),
            (Duration::from_millis(250), "250000u"),
            (Duration::from_micros(99_999_999), "99999999u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::MAX, "99999999m"),
        ] {
            assert_eq!(timeout_value(timeout), value);
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_framed_and_cut_short_it_is_none() {
        let framed = grpc_frame::of(b"message");
        assert_eq!(&framed[..], b"\0\0\0\0\x07message");
        for end in 0..framed.len() {
            assert!(unframed(framed.slice(..end)).is_err(), "{end} bytes");
        }
        assert_eq!(unframed(framed).expect("whole"), "message");
    }
}
