//! The client of callbacks: one call after another, or many at a time, over connections as OpenIM's client makes them.
//!
//! It does what that client (Go's `net/http`) does: HTTP/1.1 with at most 100 connections, of which 2 are kept when idle,
//! and over https HTTP/2 where the other side has it; the system's roots, no proxy, redirects, gzip, Basic from the URL.
//! It sends one header more, `Accept: */*`, which it cannot be kept from, and reads HTTP itself more strictly.
//! `tests/oracle` holds it against OpenIM's client, and lists where the two still differ.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, REFERER};
use http::{Method, StatusCode, Version};
use reqwest::{Response, Url, redirect};
use rustls::pki_types::{
    CertificateDer,
    pem::{self, PemObject as _},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::sync::Semaphore;

use super::body::WrongRequest;
use crate::base::{error_chain, tls};
use crate::callback::{AnswerFailure, CALLBACKS, Callback, Effects};
use crate::openim::client::{CallbackRequest, OpenIm, OpenImError, Reading};
use crate::outcome::{HINT_HEADER, ORIGIN_HEADER};

/// OpenIM's client has no more connections to one host, and its next call waits for one.
const MAX_CONNECTIONS: usize = 100;

/// Go keeps no more connections to one host that are idle.
const MAX_IDLE_CONNECTIONS: usize = 2;

/// Larger answers are not read, packed or unpacked.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Go makes no more requests than this for one.
const MAX_REQUESTS: usize = 10;

/// Go bounds the bytes of a head and not the number of its lines, of which hyper takes 100 unless told otherwise.
const MAX_HEADERS: usize = 1_000;

/// A callback that was sent, and what came of it.
#[derive(Debug)]
pub struct Exchange {
    /// Whose command was sent.
    pub callback: Option<&'static Callback>,
    /// From sending to the end of the answer, or to giving up.
    pub elapsed: Duration,
    /// The answer, or why OpenIM would have had none.
    pub answer: Result<Answered, NoAnswer>,
}

/// An answer that came in whole.
#[derive(Debug)]
pub struct Answered {
    /// For humans: OpenIM never looks at it.
    pub status: StatusCode,
    /// Where the answer came from, as the bridge's header says; `None` where something else has answered.
    pub origin: Option<String>,
    /// What would be right, as the bridge's header says.
    pub hint: Option<String>,
    /// The body, gunzipped.
    pub body: Vec<u8>,
    /// What OpenIM makes of the body.
    pub reading: Reading,
    /// What it takes of it.
    pub effects: Effects,
}

/// Why there is no answer that OpenIM could read.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Not, or not to its end, within the timeout.
    #[error("no whole answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// No connection, or one that broke before an answer, or an answer that is not HTTP.
    #[error("no answer{}", other_protocol(.0))]
    Connection(#[source] reqwest::Error),
    /// More redirects than Go follows.
    #[error("still redirected after {MAX_REQUESTS} requests")]
    Redirects,
    /// A redirect that cannot be followed.
    #[error("redirected to {location:?}, which is no URL of http or https")]
    Location { location: String },
    /// The body broke off.
    #[error("the body of the answer (status {status}) did not come in whole")]
    Body {
        status: StatusCode,
        #[source]
        source: reqwest::Error,
    },
    /// The body is not gzip, although its header says so.
    #[error("the body of the answer (status {status}) cannot be unpacked")]
    Gzip {
        status: StatusCode,
        /// How it is broken.
        #[source]
        source: io::Error,
    },
    /// The body is larger than `send` reads.
    #[error("the body of the answer (status {status}) is larger than {} MiB", MAX_ANSWER_BYTES >> 20)]
    TooLarge { status: StatusCode },
}

/// What is likely wrong with the URL, where the other side speaks something else.
fn other_protocol(error: &reqwest::Error) -> &'static str {
    let is_not_tls = |error: &io::Error| matches!(tls::inside(error), Some(rustls::Error::InvalidMessage(_)));
    for source in error_chain::sources(error) {
        if source.downcast_ref::<io::Error>().is_some_and(is_not_tls) {
            return " in TLS: does this port expect http://?";
        }
        // As the alert of a TLS server reads.
        if source
            .downcast_ref::<hyper::Error>()
            .is_some_and(|error| error.is_parse() && error.to_string().contains("version"))
        {
            return " in HTTP: does this port expect https://?";
        }
    }
    ""
}

impl NoAnswer {
    /// A name for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Connection(error) if error.is_connect() => "connect",
            Self::Connection(_) => "connection",
            Self::Redirects => "redirects",
            Self::Location { .. } => "location",
            Self::Body { .. } => "body",
            Self::Gzip { .. } => "gzip",
            Self::TooLarge { .. } => "too_large",
        }
    }
}

/// Why a callback cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum CannotSend {
    /// The flags name no callback.
    #[error(transparent)]
    Request(#[from] WrongRequest),
    /// The text is no URL once the command is appended.
    #[error("--url is not a URL: {0}; expected something like http://127.0.0.1:10006/callbackExample")]
    Url(String),
    /// The scheme is neither http nor https.
    #[error("--url has the scheme {0:?}; OpenIM posts to http:// or https://")]
    Scheme(String),
    /// The file of `--ca` holds no certificates.
    #[error("--ca must name a file with certificates in PEM, which {} is not", path.display())]
    Ca {
        /// As it was given.
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The operation ID holds what no header can.
    #[error("--operation-id holds a control character, which no HTTP header can carry")]
    OperationId,
    /// There is no memory for a table of latencies.
    #[error("latencies cannot be kept")]
    Latency(#[from] hdrhistogram::CreationError),
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

/// How a callback ends for OpenIM's user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// OpenIM goes on.
    GoesOn,
    /// OpenIM refuses.
    Refused,
    /// The user's action fails; or nobody has taken an after callback, which OpenIM never retries.
    Fails,
}

impl Ending {
    /// The exit code of `send`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::GoesOn => 0,
            Self::Refused => 3,
            Self::Fails => 4,
        }
    }
}

impl Exchange {
    /// Where the answer came from, as the bridge's header says.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.answer.as_ref().ok()?.origin.as_deref()
    }

    /// Whether the bridge says that somebody else than its fallback has answered.
    #[must_use]
    pub fn is_by_no_fallback(&self) -> bool {
        self.origin().is_some_and(|origin| !origin.starts_with("fallback"))
    }

    #[must_use]
    pub fn open_im(&self) -> OpenIm<'_> {
        match &self.answer {
            Ok(_) if self.is_after() => OpenIm::GoesOn,
            Ok(Answered { effects: Effects { failure: Some(failure), .. }, .. }) => {
                OpenIm::Fails { error: failure.error(), why: failure }
            }
            Ok(answered) => answered.reading.open_im(),
            Err(why) => OpenIm::Fails { error: OpenImError::Network, why },
        }
    }

    /// Whether OpenIM only tells.
    #[must_use]
    pub fn is_after(&self) -> bool {
        self.callback.is_some_and(Callback::is_after)
    }

    /// Whether it is an after callback that nobody has taken.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_after() && self.origin().map_or(self.answer.is_err(), |origin| origin.starts_with("rejected"))
    }

    /// What OpenIM takes of the answer, if it goes on.
    #[must_use]
    pub fn effects(&self) -> Option<&Effects> {
        let answered = self.answer.as_ref().ok()?;
        matches!(self.open_im(), OpenIm::GoesOn).then_some(&answered.effects)
    }

    /// What whoever wrote the answer should know: a name for programs, and words.
    #[must_use]
    pub fn cautions(&self) -> Vec<(&'static str, String)> {
        let Some(answered) = self.answer.as_ref().ok().filter(|_| !self.is_after()) else { return Vec::new() };
        let of_verdict =
            answered.reading.cautions().into_iter().map(|caution| (caution.into_str(), caution.to_string()));
        of_verdict.chain(answered.effects.notes.iter().map(|note| (note.into_str(), note.to_string()))).collect()
    }

    /// A name for programs of why OpenIM fails, where it does.
    #[must_use]
    pub fn cause(&self) -> Option<&'static str> {
        match &self.answer {
            Ok(answered) => match (&answered.reading.answer, answered.effects.failure) {
                (Err(why), _) => Some(why.into_str()),
                (Ok(_), failure) => failure.as_ref().map(AnswerFailure::into_str),
            },
            Err(why) => Some(why.name()),
        }
    }

    #[must_use]
    pub fn ending(&self) -> Ending {
        match self.open_im() {
            _ if self.is_lost() => Ending::Fails,
            OpenIm::GoesOn => Ending::GoesOn,
            OpenIm::Refused { .. } => Ending::Refused,
            OpenIm::Fails { .. } => Ending::Fails,
        }
    }
}

/// Sends `request` to `base`, which is OpenIM's `url`. `timeout` covers everything from connecting to the end of the
/// answer.
///
/// # Errors
///
/// Only when nothing could be found out about OpenIM. That there is no answer is a result, not an error.
pub async fn exchange(request: &CallbackRequest, base: &str, timeout: Duration) -> Result<Exchange, CannotSend> {
    exchange_trusting(None, request, base, timeout).await
}

/// The same, trusting for https what the PEM file `ca` holds besides the system's roots.
///
/// # Errors
///
/// As [`exchange`], and when there is no certificate in `ca`.
pub async fn exchange_trusting(
    ca: Option<&Path>,
    request: &CallbackRequest,
    base: &str,
    timeout: Duration,
) -> Result<Exchange, CannotSend> {
    Ok(OpenImClient::new(&request.url(base), ca, timeout)?.exchange(request).await)
}

/// A client of one URL.
#[derive(Debug)]
pub struct OpenImClient {
    http: reqwest::Client,
    url: Url,
    timeout: Duration,
    /// One permit for each call in flight. hyper's pool, as Go's, uses an idle connection before it opens one, so that
    /// there are no more connections than calls, but for the two that are idle.
    connections: Semaphore,
    /// Whether the other side speaks HTTP/2, where calls share a connection.
    shares: AtomicBool,
}

impl OpenImClient {
    /// A client of `url`, which is whole: see [`CallbackRequest::url`]. `timeout` covers a call from its start, a wait
    /// for a connection included, to the end of the answer. `ca` is a PEM file with certificates to trust for https
    /// besides the system's roots.
    ///
    /// # Errors
    ///
    /// When this is no URL of http or https, or `ca` holds no certificates.
    pub fn new(url: &str, ca: Option<&Path>, timeout: Duration) -> Result<Self, CannotSend> {
        Ok(Self {
            url: parse(url)?,
            http: http_client(tls(ca)?).map_err(CannotSend::Client)?,
            timeout,
            connections: Semaphore::new(MAX_CONNECTIONS),
            shares: AtomicBool::new(false),
        })
    }

    /// Sends one callback. That there is no answer is a result, too.
    pub async fn exchange(&self, request: &CallbackRequest) -> Exchange {
        self.exchange_at(&self.url, request).await
    }

    /// The same to another URL of the same server.
    pub(super) async fn exchange_at(&self, url: &Url, request: &CallbackRequest) -> Exchange {
        let begin = Instant::now();
        let answer = tokio::time::timeout(self.timeout, self.ask(url, request)).await;
        let elapsed = begin.elapsed();
        let callback = CALLBACKS.iter().find(|callback| callback.is_named(request.command));
        let answer = match answer {
            Ok(Ok(response)) => Ok(response.read(callback, request)),
            Ok(Err(why)) => Err(why),
            Err(_elapsed) => Err(NoAnswer::Timeout(self.timeout)),
        };
        Exchange { callback, elapsed, answer }
    }

    async fn ask(&self, url: &Url, request: &CallbackRequest) -> Result<Whole, NoAnswer> {
        let mut hop = Hop { method: Method::POST, url: url.clone(), from: None };
        for _ in 0..MAX_REQUESTS {
            let _connection =
                if self.shares.load(Ordering::Relaxed) { None } else { self.connections.acquire().await.ok() };
            // Errors may name a URL, and a URL may hold a password.
            let sent = hop.request(&self.http, request).send().await;
            let response = sent.map_err(|error| NoAnswer::Connection(error.without_url()))?;
            self.shares.store(response.version() == Version::HTTP_2, Ordering::Relaxed);
            match hop.next(&response)? {
                Some(next) => hop = next,
                None => return whole(response).await,
            }
        }
        Err(NoAnswer::Redirects)
    }
}

/// An answer that came in whole, and has not been read.
struct Whole {
    status: StatusCode,
    origin: Option<String>,
    hint: Option<String>,
    body: Vec<u8>,
}

impl Whole {
    fn read(self, callback: Option<&'static Callback>, request: &CallbackRequest) -> Answered {
        let Self { status, origin, hint, body } = self;
        let (reading, effects) = match callback {
            Some(callback) => callback.read_answer(&request.body, &body),
            None => (Reading::of(&body), Effects::default()),
        };
        Answered { status, origin, hint, body, reading, effects }
    }
}

/// One request of those that redirects make of a callback.
struct Hop {
    method: Method,
    url: Url,
    from: Option<Url>,
}

impl Hop {
    fn request(&self, http: &reqwest::Client, request: &CallbackRequest) -> reqwest::RequestBuilder {
        let mut headers = request.headers();
        if let Some(referer) = self.referer() {
            headers.insert(REFERER, referer);
        }
        let is_post = self.method == Method::POST;
        if !is_post {
            headers.remove(CONTENT_TYPE);
        }
        let call = http.request(self.method.clone(), self.url.clone()).headers(headers);
        if is_post { call.body(request.body.clone()) } else { call }
    }

    /// Not for http:// what was https://, and never with credentials.
    fn referer(&self) -> Option<http::HeaderValue> {
        let mut from = self.from.clone()?;
        if from.scheme() == "https" && self.url.scheme() == "http" {
            return None;
        }
        from.set_username("").and_then(|()| from.set_password(None)).ok()?;
        from.as_str().parse().ok()
    }

    /// Where `response` redirects to, by Go's rules: 301, 302 and 303 become a GET, and without a `Location` the
    /// response is the answer.
    fn next(&self, response: &Response) -> Result<Option<Self>, NoAnswer> {
        let method = match response.status().as_u16() {
            301..=303 => Method::GET,
            307 | 308 => self.method.clone(),
            _ => return Ok(None),
        };
        let Some(location) = response.headers().get(LOCATION).filter(|location| !location.is_empty()) else {
            return Ok(None);
        };
        let location = String::from_utf8_lossy(location.as_bytes());
        match self.url.join(&location) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                Ok(Some(Self { method, url, from: Some(self.url.clone()) }))
            }
            _ => Err(NoAnswer::Location { location: location.into_owned() }),
        }
    }
}

/// An answer with its whole body, gunzipped where it is packed.
async fn whole(mut response: Response) -> Result<Whole, NoAnswer> {
    let status = response.status();
    let header =
        |name| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (origin, hint) = (header(ORIGIN_HEADER), header(HINT_HEADER));
    let is_gzip =
        response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| NoAnswer::Body { status, source: error.without_url() };
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(NoAnswer::TooLarge { status });
        }
        body.extend_from_slice(&chunk);
    }
    if is_gzip && !body.is_empty() {
        body = gunzip(&body).map_err(|source| NoAnswer::Gzip { status, source })?;
        if body.len() > MAX_ANSWER_BYTES {
            return Err(NoAnswer::TooLarge { status });
        }
    }
    Ok(Whole { status, origin, hint, body })
}

/// One byte more than the largest answer, at most.
fn gunzip(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    MultiGzDecoder::new(packed).take(MAX_ANSWER_BYTES as u64 + 1).read_to_end(&mut body)?;
    Ok(body)
}

pub(super) fn parse(url: &str) -> Result<Url, CannotSend> {
    let url = Url::parse(url).map_err(|error| CannotSend::Url(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(CannotSend::Scheme(scheme.to_owned())),
    }
}

fn http_client(tls: ClientConfig) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
        .pool_idle_timeout(None)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .http1_title_case_headers()
        .http1_max_headers(MAX_HEADERS)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .tls_backend_preconfigured(tls)
        .build()
}

/// As Go's: the system's roots, and HTTP/2 first. reqwest's own would fail where there are no roots, for http:// too.
fn tls(ca: Option<&Path>) -> Result<ClientConfig, CannotSend> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let wrong = |source| CannotSend::Ca { path: path.to_owned(), source };
        let mut certificates = CertificateDer::pem_file_iter(path).map_err(wrong)?.peekable();
        if certificates.peek().is_none() {
            return Err(wrong(pem::Error::NoItemsFound));
        }
        for certificate in certificates {
            roots.add(certificate.map_err(wrong)?).map_err(CannotSend::Tls)?;
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(CannotSend::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
