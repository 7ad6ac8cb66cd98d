//! The HTTP receiver that a team already has: requests go to it as they came, and its answers come back as they are.
//!
//! hyper's own client keeps the connections. A request that may have been read is never repeated: not even where the
//! receiver closes a connection as the request arrives. So that this is rare, connections that have been idle for longer
//! than any receiver's own bound are not used again.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout, timeout_at},
};
use tower_service::Service;

use super::address::{Target, UpstreamAddress};
use super::error::{CallError, ConnectError, ForwardError};
use super::forward_url::{self, ForwardUrl};
use super::resolve::Resolver;
use super::settings::{TtlBounds, UpstreamTlsSettings};
use super::spent::{Spent, Stopwatch};
use super::stream::Stream;
use super::tls::{self, ClientFiles, Secured};
use crate::base::deadline::Deadline;
use crate::base::error_chain;
use crate::base::file_watch::Reloads;
use crate::base::tls::{TlsError, Untimely};

/// Servers close idle connections after 2 s and more, as gunicorn does: one that was idle for less is still there.
const IDLE: Duration = Duration::from_secs(1);
/// Connections that a worker keeps while nothing is on them.
const MOST_IDLE: usize = 64;
/// What is read of an answer.
const MOST_ANSWER: usize = 1 << 20;

/// Where requests are forwarded to, and how.
#[derive(Debug, Clone)]
pub struct ForwardSettings {
    pub url: ForwardUrl,
    /// `user:password` from a file. It goes before what the URL says.
    pub credentials: Option<ForwardCredentials>,
    /// How long one connection may take to be made.
    pub connect_timeout: Duration,
    /// As for the decision service.
    pub resolve: TtlBounds,
    pub name_server: Option<SocketAddr>,
    pub tls: UpstreamTlsSettings,
}

/// The value of `Authorization`. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ForwardCredentials(HeaderValue);

impl ForwardCredentials {
    /// Of `user:password`.
    #[must_use]
    pub fn new(user_and_password: &str) -> Option<Self> {
        forward_url::authorization(user_and_password.as_bytes()).map(Self)
    }
}

impl fmt::Debug for ForwardCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

/// The receiver, of the process.
#[derive(Debug)]
pub struct Receiver {
    settings: ForwardSettings,
    tls: Option<Arc<ClientFiles>>,
    /// What came of connecting to each address, last.
    seen: Mutex<Vec<(Target, Option<String>)>>,
}

/// How the receiver is, for operators.
#[derive(Debug, Clone)]
pub struct ReceiverStatus {
    /// Without secrets.
    pub url: String,
    /// Each address that was connected to, and why it could not be, where the last time failed.
    pub addresses: Vec<(Target, Option<String>)>,
}

impl Receiver {
    /// Reads the files of TLS, and watches them from now on.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn start(settings: ForwardSettings) -> Result<Arc<Self>, TlsError> {
        let tls = if settings.url.address.is_secured() { Some(tls::start(&settings.tls)?.into()) } else { None };
        Ok(Arc::new(Self { settings, tls, seen: Mutex::default() }))
    }

    /// Reads the files of TLS as [`Self::start`] would.
    ///
    /// # Errors
    /// When one cannot be used, or has expired.
    pub(crate) fn inspect(settings: &ForwardSettings) -> Result<Vec<Untimely>, TlsError> {
        if settings.url.address.is_secured() { tls::inspect(&settings.tls) } else { Ok(Vec::new()) }
    }

    /// How often the files of TLS were read again; `None` where the URL is not `https`.
    pub(crate) fn reloads(&self) -> Option<Reloads> {
        self.tls.as_deref().map(|files| files.counts().now())
    }

    /// Seconds until the first of the files of TLS expires; `None` where the URL is not `https`.
    pub(crate) fn expires_in(&self) -> Option<f64> {
        self.tls.as_deref().map(tls::expires_in)
    }

    #[must_use]
    pub fn status(&self) -> ReceiverStatus {
        let addresses = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ReceiverStatus { url: self.settings.url.to_string(), addresses }
    }

    /// Only addresses of the last lookup are kept.
    fn found(&self, targets: &[Target]) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).retain(|(target, _)| targets.contains(target));
    }

    fn connected(&self, target: &Target, error: Option<&ConnectError>) {
        let error = error.map(|error| error_chain::text(error));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if let Some((_, known)) = seen.iter_mut().find(|(seen, _)| seen == target) {
            std::mem::replace(known, error.clone())
        } else {
            seen.push((target.clone(), error.clone()));
            None
        };
        match (before, error) {
            (None, Some(error)) => {
                tracing::warn!(endpoint = %target, error, "the receiver of forwarded callbacks cannot be reached");
            }
            (Some(_), None) => {
                tracing::info!(endpoint = %target, "the receiver of forwarded callbacks can be reached again");
            }
            _ => {}
        }
    }
}

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
    /// Never empty.
    pub body: Bytes,
}

/// What came of forwarding a request.
#[derive(Debug)]
pub struct Passed {
    pub answer: Result<ForwardAnswer, CallError>,
    pub endpoint: Option<Target>,
    pub spent: Spent,
}

/// A worker's way to the receiver.
#[derive(Debug)]
pub struct Forwarder {
    receiver: Arc<Receiver>,
    client: Client<Connector, Full<Bytes>>,
}

impl Forwarder {
    #[must_use]
    pub fn new(receiver: Arc<Receiver>) -> Self {
        let connector = Connector(Arc::new(ConnectorState {
            receiver: Arc::clone(&receiver),
            resolver: OnceCell::new(),
            found: Mutex::default(),
        }));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MOST_IDLE)
            .build(connector);
        Self { receiver, client }
    }

    /// Forwards it once.
    pub async fn pass(&self, request: &Forwarded, deadline: Deadline) -> Passed {
        let (mut spent, mut endpoint) = (Spent::default(), None);
        let answer = {
            let _calling = Stopwatch::start(&mut spent.calling);
            let answer = self.answer(request, &mut endpoint);
            timeout_at(deadline.at(), answer).await.unwrap_or(Err(CallError::Deadline))
        };
        Passed { answer, endpoint, spent }
    }

    async fn answer(&self, request: &Forwarded, endpoint: &mut Option<Target>) -> Result<ForwardAnswer, CallError> {
        let settings = &self.receiver.settings;
        let uri = settings.url.join(&request.command, request.query.as_deref()).ok_or(ForwardError::Url)?;
        let mut passed = Request::post(uri).body(Full::new(request.body.clone())).map_err(|_| ForwardError::Url)?;
        passed.headers_mut().clone_from(&request.headers);
        let from_file = settings.credentials.as_ref().map(|credentials| &credentials.0);
        if let Some(authorization) = from_file.or(settings.url.authorization.as_ref()) {
            passed.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        // What is compressed could not be read for the log and the metrics.
        passed.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let response = self.client.request(passed).await.map_err(failed)?;
        let (mut head, body) = response.into_parts();
        *endpoint = head.extensions.remove::<Target>();
        if head.status.is_redirection() {
            return Err(ForwardError::Redirect(head.status).into());
        }
        let body = Limited::new(body, MOST_ANSWER).collect().await;
        let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => ForwardError::TooLarge,
            Err(error) => ForwardError::Broken(error.into()),
        })?;
        let body = body.to_bytes();
        if body.is_empty() {
            return Err(ForwardError::NoBody(head.status).into());
        }
        without_hop_by_hop(&mut head.headers);
        Ok(ForwardAnswer { status: head.status, headers: head.headers, body })
    }
}

/// Why there is no answer: no connection could be had, or it broke.
fn failed(error: hyper_util::client::legacy::Error) -> CallError {
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if let Some(connect) = cause.downcast_ref::<ConnectError>() {
            return connect.clone().into();
        }
        source = cause.source();
    }
    ForwardError::Broken(Arc::new(error)).into()
}

/// Takes out what a message says of its own connection, and not of itself (RFC 9110, section 7.6.1), and its length, which
/// whoever sends it says anew.
pub fn without_hop_by_hop(headers: &mut HeaderMap) {
    const HOP_BY_HOP: [&str; 9] = [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in named.iter().map(String::as_str).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove(header::TRAILER);
}

/// What they hold, names and values.
#[must_use]
pub fn bytes_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// For hyper's client, which keeps with a connection what is known of it, and hands that out with each response.
impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        let connected = match self.peer() {
            Some(address) => connected.extra(Target::Tcp(address)),
            None => connected,
        };
        if matches!(self, Self::Tls(stream) if tls::is_http2(stream)) { connected.negotiated_h2() } else { connected }
    }
}

/// Makes the connections of one worker.
#[derive(Debug, Clone)]
struct Connector(Arc<ConnectorState>);

#[derive(Debug)]
struct ConnectorState {
    receiver: Arc<Receiver>,
    /// To be made in the worker's runtime.
    resolver: OnceCell<Resolver>,
    /// The addresses, and how long they are taken for true.
    found: Mutex<Option<(Arc<[Target]>, Instant)>>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let state = Arc::clone(&self.0);
        Box::pin(async move { state.connect().await.map(TokioIo::new) })
    }
}

impl ConnectorState {
    /// To the first address that takes a connection.
    async fn connect(&self) -> Result<Stream, ConnectError> {
        let settings = &self.receiver.settings;
        let mut error = None;
        for target in &*self.targets().await? {
            let connecting = timeout(settings.connect_timeout, self.connect_to(target)).await;
            match connecting.unwrap_or_else(|_| Err(ConnectError::Timeout(target.clone()))) {
                Ok(connection) => {
                    self.receiver.connected(target, None);
                    return Ok(connection);
                }
                Err(failed) => {
                    self.receiver.connected(target, Some(&failed));
                    error = Some(failed);
                }
            }
        }
        // Its addresses may have changed.
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Err(error.unwrap_or(ConnectError::NoAddress))
    }

    async fn targets(&self) -> Result<Arc<[Target]>, ConnectError> {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((targets, until)) = known
            && Instant::now() < until
        {
            return Ok(targets);
        }
        let settings = &self.receiver.settings;
        let UpstreamAddress::Http { host, port, .. } = &settings.url.address else {
            return Err(ConnectError::NoAddress);
        };
        let resolver = self.resolver.get_or_init(|| async {
            match settings.name_server {
                Some(server) => Resolver::asking(server, settings.resolve),
                None => Resolver::system(settings.resolve),
            }
        });
        let found = resolver.await.lookup(host).await.map_err(|error| ConnectError::Name(Arc::new(error)))?;
        let targets: Arc<[Target]> =
            found.addresses.into_iter().map(|ip| Target::Tcp(SocketAddr::new(ip, *port))).collect();
        self.receiver.found(&targets);
        let until = Instant::now() + found.valid_for;
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&targets), until));
        Ok(targets)
    }

    async fn connect_to(&self, target: &Target) -> Result<Stream, ConnectError> {
        let connected = Stream::connect(target).await;
        let (stream, _) = connected.map_err(|error| ConnectError::Io(target.clone(), Arc::new(error)))?;
        let settings = &self.receiver.settings;
        let (UpstreamAddress::Http { tls: Some(of_host), .. }, Some(files)) =
            (&settings.url.address, &self.receiver.tls)
        else {
            return Ok(stream);
        };
        let name = settings.tls.server_name.as_ref().unwrap_or(of_host).clone();
        let shaken = Secured { files: Arc::clone(files), name }.connect(stream).await;
        shaken
            .map(|stream| Stream::Tls(Box::new(stream)))
            .map_err(|error| ConnectError::Tls(target.clone(), Arc::new(error)))
    }
}
