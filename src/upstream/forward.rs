//! The HTTP receiver that a team already has: requests go to it as they came, and its answers come back as they are.
//!
//! A request that may have been read is never repeated: not even where the receiver closes a connection as the request
//! arrives. So that this is rare, connections that have been idle for longer than any receiver's own bound are not used
//! again.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use opentelemetry::trace::SpanId;
use tokio::time::timeout_at;

use super::address::Target;
use super::error::{CallError, ForwardError};
use super::forward_connection::{Failure, ReceiverConnections};
use super::incoming_message::IncomingMessage;
use super::receiver::{ForwardCredentials, Receiver};
use super::spent::{Spent, Stopwatch};
use super::tries::{TriedServer, Try, TryEnd};
use crate::base::{
    deadline::Deadline,
    memory::{Gauge, Permit},
};

/// What is read of an answer.
const MOST_ANSWER: usize = 1 << 20;

/// A request to be forwarded.
#[derive(Debug, Clone)]
pub struct Forwarded {
    /// The last segment of its path where that is the command, or nothing.
    pub command: String,
    pub query: Option<String>,
    /// Those of the client, without what is about its connection.
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What the receiver said.
#[derive(Debug)]
pub struct ForwardAnswer {
    pub status: StatusCode,
    /// Without what is about its connection.
    pub headers: HeaderMap,
    /// Empty only where it was not to be kept.
    pub body: Bytes,
    /// What a long one holds of the process's memory.
    pub held: Option<Permit>,
}

/// What came of forwarding a request.
#[derive(Debug)]
pub struct Passed {
    pub answer: Result<ForwardAnswer, CallError>,
    pub endpoint: Option<Target>,
    pub spent: Spent,
    /// The one try; empty where no trace records it.
    pub tries: Vec<Try>,
}

impl Passed {
    /// It went to nobody.
    #[must_use]
    pub fn nowhere(error: CallError) -> Self {
        Self { answer: Err(error), endpoint: None, spent: Spent::default(), tries: vec![] }
    }
}

/// What the receiver gets, and its path. Boxed, for the futures that hand it on not to keep room for it.
type Requested = (Box<Request<Full<Bytes>>>, PathAndQuery);

/// A worker's way to the receiver.
#[derive(Debug)]
pub struct Forwarder {
    receiver: Arc<Receiver>,
    connections: ReceiverConnections,
}

impl Forwarder {
    #[must_use]
    pub fn new(receiver: Arc<Receiver>) -> Self {
        Self { connections: ReceiverConnections::new(Arc::clone(&receiver)), receiver }
    }

    /// Forwards it once. `memory`: where the answer's body is counted; `None`: it is not kept. `span`: that of the try, where a
    /// trace records it.
    pub fn pass<'a>(
        &'a self,
        request: Forwarded,
        deadline: Deadline,
        memory: Option<&'a Arc<Gauge>>,
        span: Option<SpanId>,
    ) -> impl Future<Output = Passed> + use<'a> {
        // Made at once, for the future not to keep room for what it is made of.
        let request = self.request(request);
        async move {
            let (mut spent, mut endpoint) = (Spent::default(), None);
            let mut tries: Vec<Try> = span.map(Try::begin_forward).into_iter().collect();
            let answer = {
                let _calling = Stopwatch::start(&mut spent.calling);
                let answer = pin!(self.answer(request, memory, &mut endpoint));
                timeout_at(deadline.at(), answer).await.unwrap_or(Err(CallError::Deadline))
            };
            if let Some(tried) = tries.last_mut() {
                let origin = self.receiver.settings.url.origin();
                tried.server = Some(TriedServer { origin, target: endpoint.clone() });
                match &answer {
                    Ok(answer) => tried.end(TryEnd::Forward(Ok(answer.status))),
                    Err(CallError::Deadline) => {}
                    Err(error) => tried.end(TryEnd::Forward(Err(error.class(deadline.remaining())))),
                }
            }
            Passed { answer, endpoint, spent, tries }
        }
    }

    async fn answer(
        &self,
        request: Result<Requested, CallError>,
        memory: Option<&Arc<Gauge>>,
        endpoint: &mut Option<Target>,
    ) -> Result<ForwardAnswer, CallError> {
        let (mut request, path) = request?;
        loop {
            let mut connection = self.connections.get().await?;
            *endpoint = Some(connection.target.clone());
            self.receiver.settings.url.address(&mut request, path.clone(), connection.is_http2());
            match connection.exchange(request, |response| read(response, memory)).await {
                Ok(answer) => {
                    self.connections.keep(connection);
                    return Ok(answer);
                }
                Err(Failure::Unsent(unsent)) if !connection.is_new => request = unsent,
                Err(Failure::Unsent(_)) => return Err(ForwardError::Closed.into()),
                Err(Failure::Failed(error)) => return Err(error),
            }
        }
    }

    fn request(&self, request: Forwarded) -> Result<Requested, CallError> {
        let settings = &self.receiver.settings;
        let Forwarded { command, query, headers, body } = request;
        let path = settings.url.path(&command, query.as_deref()).ok_or(ForwardError::Url)?;
        let mut request = Box::new(Request::new(Full::new(body)));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers;
        let from_file = settings.credentials.as_ref().map(ForwardCredentials::value);
        if let Some(authorization) = from_file.or(settings.url.authorization.as_ref()) {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        // What is compressed could not be read for the log and the metrics.
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok((request, path))
    }
}

async fn read(response: Response<Incoming>, memory: Option<&Arc<Gauge>>) -> Result<ForwardAnswer, CallError> {
    let (mut head, mut body) = response.into_parts();
    if head.status.is_redirection() {
        return Err(ForwardError::Redirect(head.status).into());
    }
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let (mut received, mut length) = (IncomingMessage::counted_in(memory), 0);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(ForwardError::broken)?.into_data() else { continue };
        length += chunk.len();
        if announced.max(length) > MOST_ANSWER {
            return Err(ForwardError::TooLarge.into());
        }
        if memory.is_some() {
            received.push(chunk, announced)?;
        }
    }
    let (body, held) = received.done();
    if length == 0 {
        return Err(ForwardError::NoBody(head.status).into());
    }
    without_hop_by_hop(&mut head.headers);
    Ok(ForwardAnswer { status: head.status, headers: head.headers, body, held })
}

/// Takes out what a message says of its own connection, and not of itself (RFC 9110, section 7.6.1), and its length, which
/// whoever sends it says anew.
pub fn without_hop_by_hop(headers: &mut HeaderMap) {
    static HOP_BY_HOP: [HeaderName; 9] = [
        header::CONNECTION,
        HeaderName::from_static("keep-alive"),
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        HeaderName::from_static("proxy-connection"),
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    // This one is always there. The others mostly are not, and each look costs a hash: one pass for all.
    headers.remove(header::CONTENT_LENGTH);
    let mut found = Vec::new();
    for (name, value) in &*headers {
        if name == header::CONNECTION {
            let named = value.as_bytes().split(|byte| *byte == b',');
            found.extend(named.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()));
        }
        if HOP_BY_HOP.contains(name) {
            found.push(name.clone());
        }
    }
    for name in found {
        headers.remove(name);
    }
}

/// What they hold, names and values.
#[must_use]
pub fn bytes_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
