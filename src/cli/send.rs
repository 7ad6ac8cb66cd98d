//! `send`: act as OpenIM Server towards a URL, and say what OpenIM would make of the answer.
//!
//! [`exchange`] is one callback and its answer, also for `demo`, `doctor` and tests; [`run`] prints it. The HTTP client is
//! set up to do what OpenIM's (Go's `net/http`) does: HTTP/1.1, and over https HTTP/2 where the other side has it, the
//! system's roots, no proxy, redirects, gzip, Basic from the URL. It sends one header more, `Accept: */*`, which this
//! client cannot be kept from.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode};
use reqwest::{Client, Url, redirect};
use rustls::pki_types::{
    CertificateDer,
    pem::{self, PemObject as _},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::json;

use crate::error_chain;
use crate::openim::{CallbackRequest, OpenIm, OpenImError, Reading, UrlForm};

/// Larger answers are not read.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// OpenIM's HTTP client gives up after this, whatever webhooks.yml says.
const MAX_TIMEOUT: Duration = Duration::from_secs(15);

/// Go makes no more requests than this for one.
const MAX_REQUESTS: usize = 10;

/// So many characters of a body are shown.
const SHOWN_CHARS: usize = 4096;

/// The exit code for wrong usage.
const USAGE: u8 = 2;

/// Send a callback as OpenIM Server does, and say what OpenIM would make of the answer.
///
/// Exit codes: 0 OpenIM goes on, 3 it refuses, 4 its user's action fails, 2 wrong usage.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// OpenIM's url, as it is in webhooks.yml; user:pass@ in it is sent as HTTP Basic.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:10006/callbackExample")]
    pub url: String,
    /// The user who sets the remark.
    #[arg(long, value_name = "ID", default_value = "u1")]
    pub owner: String,
    /// The friend whom it is set for.
    #[arg(long, value_name = "ID", default_value = "u2")]
    pub friend: String,
    /// The remark that the user typed; may be empty.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub remark: String,
    /// A PEM file with certificates to trust for https, besides the system's, which are all that OpenIM trusts.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The header operationID; one is made up unless given.
    #[arg(long, value_name = "ID")]
    pub operation_id: Option<String>,
    /// How long OpenIM would wait for the whole answer: up to 15s, its own cap.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = timeout)]
    pub timeout: Duration,
    /// Where the URL names the command: in its path, as OpenIM Server does, or in its query, as the documented page does.
    #[arg(long, value_enum, default_value_t)]
    pub form: Form,
    /// For people, or one JSON object for programs.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// The forms of a callback's URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// URL/COMMAND
    #[default]
    Path,
    /// URL?command=COMMAND&contenttype=json
    Query,
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 500ms or 5s"))?;
    if timeout.is_zero() || timeout > MAX_TIMEOUT {
        return Err("it must be more than 0 and at most 15s, OpenIM's own cap".to_owned());
    }
    Ok(timeout)
}

/// A callback that was sent, and what came of it.
#[derive(Debug)]
pub struct Exchange {
    /// From sending to the end of the answer, or to giving up.
    pub elapsed: Duration,
    /// The answer, or why OpenIM would have had none.
    pub answer: Result<Answered, NoAnswer>,
}

/// An answer that came in whole.
#[derive(Debug)]
pub struct Answered {
    /// For people: OpenIM never looks at it.
    pub status: StatusCode,
    /// The body, gunzipped.
    pub body: Vec<u8>,
    /// What OpenIM makes of the body.
    pub reading: Reading,
}

/// Why there is no answer that OpenIM could read.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Not, or not to its end, within the timeout.
    #[error("no whole answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// No connection, or one that broke before an answer, or an answer that is not HTTP.
    #[error("no answer")]
    Connection(#[source] reqwest::Error),
    /// More redirects than Go follows.
    #[error("still redirected after {MAX_REQUESTS} requests")]
    Redirects,
    /// The body broke off, or its encoding is broken.
    #[error("the body of the answer (status {status}) did not come in whole")]
    Body {
        /// The answer's status.
        status: StatusCode,
        /// How it broke.
        #[source]
        source: reqwest::Error,
    },
    /// The body is larger than `send` reads.
    #[error("the body of the answer (status {status}) is larger than {} MiB", MAX_ANSWER_BYTES >> 20)]
    TooLarge {
        /// The answer's status.
        status: StatusCode,
    },
}

/// Why a callback cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum CannotSend {
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
        /// What was found.
        #[source]
        source: pem::Error,
    },
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The operation ID holds what no header can.
    #[error("--operation-id holds a control character, which no HTTP header can carry")]
    OperationId,
    /// The client could not be set up.
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
    /// The user's action fails.
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
    /// What OpenIM does.
    #[must_use]
    pub fn open_im(&self) -> OpenIm<'_> {
        match &self.answer {
            Ok(answered) => answered.reading.open_im(),
            Err(why) => OpenIm::Fails { error: OpenImError::Network, why },
        }
    }

    /// How it ends.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match self.open_im() {
            OpenIm::GoesOn { .. } => Ending::GoesOn,
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
    let url = parse(&request.url(base))?;
    let client = client(timeout, tls(ca)?).map_err(CannotSend::Client)?;
    let begin = Instant::now();
    let answer = ask(&client, url, request).await;
    let elapsed = begin.elapsed();
    let answer = match answer {
        Ok((status, body)) => Ok(Answered { status, reading: Reading::of(&body), body }),
        Err(no_answer) if is_redirected_too_often(&no_answer) => Err(NoAnswer::Redirects),
        Err(NoAnswer::Connection(error) | NoAnswer::Body { source: error, .. }) if error.is_timeout() => {
            Err(NoAnswer::Timeout(timeout))
        }
        Err(no_answer) => Err(no_answer),
    };
    Ok(Exchange { elapsed, answer })
}

fn parse(url: &str) -> Result<Url, CannotSend> {
    let url = Url::parse(url).map_err(|error| CannotSend::Url(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(CannotSend::Scheme(scheme.to_owned())),
    }
}

fn client(timeout: Duration, tls: ClientConfig) -> reqwest::Result<Client> {
    let redirects = redirect::Policy::custom(|attempt| {
        if attempt.previous().len() >= MAX_REQUESTS { attempt.error(TooManyRedirects) } else { attempt.follow() }
    });
    Client::builder()
        .timeout(timeout)
        .redirect(redirects)
        .no_proxy()
        .http1_title_case_headers()
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

#[derive(Debug, thiserror::Error)]
#[error("too many redirects")]
struct TooManyRedirects;

fn is_redirected_too_often(error: &NoAnswer) -> bool {
    error_chain::sources(error).any(<dyn Error>::is::<TooManyRedirects>)
}

async fn ask(client: &Client, url: Url, request: &CallbackRequest) -> Result<(StatusCode, Vec<u8>), NoAnswer> {
    // Errors may name a URL, and a URL may hold a password.
    let sent = client.post(url).headers(request.headers()).body(request.body()).send().await;
    let mut response = sent.map_err(|error| NoAnswer::Connection(error.without_url()))?;
    let status = response.status();
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| NoAnswer::Body { status, source: error.without_url() };
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(NoAnswer::TooLarge { status });
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, body))
}

/// Sends one callback and prints what came of it.
///
/// # Errors
///
/// When the result cannot be printed.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let report = match send(&args).await {
        Ok(report) => report,
        Err(error) => {
            writeln!(std::io::stderr(), "error: {}", safe(&error_chain::text(&error), usize::MAX))?;
            return Ok(ExitCode::from(USAGE));
        }
    };
    let text = match args.output {
        Output::Text => report.to_string(),
        Output::Json => format!("{}\n", report.json()),
    };
    super::print(&text)?;
    Ok(ExitCode::from(report.exchange.ending().exit_code()))
}

/// Sends what `args` say.
///
/// # Errors
///
/// As [`exchange`], and when `args` make no request.
pub async fn send(args: &Args) -> Result<Report, CannotSend> {
    let operation_id = match &args.operation_id {
        Some(id) => HeaderValue::from_bytes(id.as_bytes()),
        None => HeaderValue::from_str(&format!("send-{:016x}", fastrand::u64(..))),
    };
    let request = CallbackRequest {
        owner: args.owner.clone(),
        friend: args.friend.clone(),
        remark: args.remark.clone(),
        operation_id: operation_id.map_err(|_| CannotSend::OperationId)?,
        form: match args.form {
            Form::Path => UrlForm::Path,
            Form::Query => UrlForm::Query,
        },
    };
    let exchange = exchange_trusting(args.ca.as_deref(), &request, &args.url, args.timeout).await?;
    Ok(Report { url: shown_url(&request.url(&args.url)), request, exchange })
}

/// A URL without its password.
fn shown_url(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            let hidden = parsed.set_password(Some("***"));
            debug_assert!(hidden.is_ok(), "it has a password already");
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

/// All that `send` tells. Its `Display` is for people.
#[derive(Debug)]
pub struct Report {
    /// Where it was posted to, without a password.
    pub url: String,
    /// What was sent.
    pub request: CallbackRequest,
    /// What came of it.
    pub exchange: Exchange,
}

impl Report {
    fn operation_id(&self) -> String {
        String::from_utf8_lossy(self.request.operation_id.as_bytes()).into_owned()
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let answered = self.exchange.answer.as_ref().ok();
        let verdict = match self.exchange.open_im() {
            OpenIm::GoesOn { remark } => json!({"kind": "goesOn", "remark": remark}),
            OpenIm::Refused { code, message, detail } => {
                json!({"kind": "refused", "errCode": code, "errMsg": message, "errDlt": detail})
            }
            OpenIm::Fails { error, why } => {
                json!({"kind": "fails", "errCode": error.code(), "errMsg": error.name(), "why": error_chain::text(why)})
            }
        };
        let cautions = answered.map(|answered| answered.reading.cautions()).unwrap_or_default();
        let cautions = cautions.iter().map(|caution| json!({"kind": caution.name(), "text": caution.to_string()}));
        json!({
            "url": self.url,
            "operationID": self.operation_id(),
            "status": answered.map(|answered| answered.status.as_u16()),
            "elapsedMs": u64::try_from(self.exchange.elapsed.as_millis()).unwrap_or(u64::MAX),
            "body": answered.map(|answered| String::from_utf8_lossy(&answered.body)),
            "verdict": verdict,
            "fields": answered.and_then(|answered| answered.reading.answer.as_ref().ok()),
            "cautions": cautions.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "POST {}", safe(&self.url, SHOWN_CHARS))?;
        writeln!(f, "operationID: {}", safe(&self.operation_id(), SHOWN_CHARS))?;
        write!(f, "sent: {}", shown_body(self.request.body().trim_end().as_bytes()))?;
        match &self.exchange.answer {
            Ok(Answered { status, body, reading }) => {
                writeln!(f, "\nanswer: {status}, after {} ms", self.exchange.elapsed.as_millis())?;
                if !status.is_success() {
                    writeln!(f, "(OpenIM does not look at the status, only at the body)")?;
                }
                writeln!(f, "body: {}", shown_body(body))?;
                writeln!(f, "\n{}", words(self.exchange.open_im()))?;
                for caution in reading.cautions() {
                    writeln!(f, "caution: {caution}")?;
                }
                Ok(())
            }
            Err(_) => writeln!(
                f,
                "\nanswer: none, after {} ms\n\n{}",
                self.exchange.elapsed.as_millis(),
                words(self.exchange.open_im())
            ),
        }
    }
}

/// What OpenIM does, in one line that is safe to print.
#[must_use]
pub fn words(open_im: OpenIm<'_>) -> String {
    let quoted = |text: &str| format!("\"{}\"", safe(text, SHOWN_CHARS));
    match open_im {
        OpenIm::GoesOn { remark: None } => "OpenIM goes on, with the remark that its user typed.".to_owned(),
        OpenIm::GoesOn { remark: Some(remark) } => format!("OpenIM goes on, with the remark {}.", quoted(remark)),
        OpenIm::Refused { code, message, detail } => format!(
            "OpenIM refuses: the API's caller gets errCode {code}, errMsg {}, errDlt {}.",
            quoted(message),
            quoted(detail)
        ),
        OpenIm::Fails { error, why } => format!(
            "OpenIM fails its user's action with {} {}: {}.",
            error.code(),
            error.name(),
            safe(&error_chain::text(why), SHOWN_CHARS)
        ),
    }
}

fn shown_body(body: &[u8]) -> String {
    if body.is_empty() {
        return "(empty)".to_owned();
    }
    let text = safe(&String::from_utf8_lossy(body), SHOWN_CHARS);
    if text.ends_with('…') { format!("{text} ({} bytes in all)", body.len()) } else { text }
}

/// At most `limit` characters of `text`, in one line, with those escaped that could steer a terminal or the order of
/// what is read. What is cut off ends in `…`.
fn safe(text: &str, limit: usize) -> String {
    let mut safe = String::new();
    for (index, char) in text.chars().enumerate() {
        if index == limit {
            safe.push('…');
            break;
        }
        let steers = matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        if char.is_control() || steers {
            let _ = write!(safe, "{}", char.escape_default());
        } else {
            safe.push(char);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_bounded_line_that_steers_nothing() {
        assert_eq!(safe("a\n\x1b[2J\u{9b}\u{202e}é", 99), r"a\n\u{1b}[2J\u{9b}\u{202e}é");
        assert_eq!(safe("äöü", 3), "äöü");
        assert_eq!(safe("äöü", 2), "äö…");
        assert_eq!(shown_body(&vec![b'a'; SHOWN_CHARS + 5]).len(), SHOWN_CHARS + "… (4101 bytes in all)".len());
    }
}
