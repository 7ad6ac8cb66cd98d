//! `send`: act as OpenIM Server towards a URL, and say what OpenIM would make of the answer.
//!
//! - [`body`]: which callback, and its body.
//! - [`client`]: one callback and its answer, also for `demo`, `doctor` and tests.
//! - [`report`]: what became of it, in words and as JSON.
//! - [`mod@load`]: many callbacks, with a concurrency or a rate.
//! - [`tally`]: what became of them.

mod body;
mod client;
mod load;
mod report;
mod tally;

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use http::HeaderValue;

pub use body::WrongRequest;
pub use client::{Answered, CannotSend, Ending, Exchange, NoAnswer, OpenImClient, exchange, exchange_trusting};
use load::Part;
pub use load::{LoadPlan, LoadReport};
pub use report::{SendReport, decider, outcome, words};
pub use tally::Tally;

use super::terminal::{Output, WRONG_USAGE, complain, print, stop_signal};
use crate::base::error_chain;
use crate::base::text::{one_line, without_password};
use crate::callback::rpc;
use crate::openim::client::{CallbackRequest, UrlForm};

/// OpenIM's HTTP client gives up after this, whatever webhooks.yml says.
const MAX_TIMEOUT: Duration = Duration::from_secs(15);

/// The exit code of `--fail-on-fallback`.
const BY_FALLBACK: u8 = 5;

/// Send a callback as OpenIM Server does, and show what OpenIM would do with the answer.
///
/// The body is one that a real server sent, changed by --set, --owner, --friend and --remark, or the one of --body. With --count,
/// it is a load test: it opens connections as OpenIM's client does, and reports outcomes and latency percentiles.
///
/// Exit codes: 0 OpenIM goes on, 3 it refuses, 4 its user's action fails or an after callback is lost, 2 wrong usage. With
/// --count: 0 OpenIM could read every answer, 1 otherwise. With --fail-on-fallback, if OpenIM could read every answer: 5 the
/// fallback decided at least one, or an answer does not name who decided. Ctrl-C prints what was measured so far.
#[derive(Debug, Clone, clap::Args)]
pub struct SendArgs {
    /// The callback's key in webhooks.yml, such as beforeSendSingleMsg, or its command.
    #[arg(value_name = "CALLBACK", default_value = rpc::BEFORE_SET_FRIEND_REMARK.name)]
    pub callback: String,
    /// OpenIM's url, as in webhooks.yml; user:pass@ in it is sent as HTTP Basic.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:10006/callbackExample")]
    pub url: String,
    /// Set a field of the body, by its name in JSON: a text as it is, anything else as JSON. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "mix")]
    pub set: Vec<String>,
    /// A file with the whole body, sent unchanged; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["set", "owner", "friend", "remark", "mix"])]
    pub body: Option<PathBuf>,
    /// The user who sets the remark: short for --set ownerUserID=ID.
    #[arg(long, value_name = "ID", conflicts_with = "mix")]
    pub owner: Option<String>,
    /// The friend who gets it: short for --set friendUserID=ID.
    #[arg(long, value_name = "ID", conflicts_with = "mix")]
    pub friend: Option<String>,
    /// The remark that the user typed: short for --set remark=TEXT; may be empty.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "mix")]
    pub remark: Option<String>,
    /// A PEM file with certificates to trust for https, besides the system's. OpenIM trusts only the system's.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The header operationID [default: a random one].
    #[arg(long, value_name = "ID")]
    pub operation_id: Option<String>,
    /// How long OpenIM would wait for the whole answer: up to 15s, its own cap.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = timeout)]
    pub timeout: Duration,
    /// Where the URL names the command: in its path, as OpenIM Server does, or in its query, as OpenIM's documentation does.
    #[arg(long, value_enum, default_value_t)]
    pub form: Form,
    /// Exit with 5 if the bridge's fallback decided, and not the decision service.
    #[arg(long)]
    pub fail_on_fallback: bool,
    /// Send this many callbacks, and report what OpenIM would do with the answers, and their latency.
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub count: Option<NonZeroU64>,
    /// The most requests in flight. Over http, requests beyond 100 wait for a connection, as OpenIM's do.
    #[arg(long, value_name = "N", default_value = "100", requires = "count", help_heading = "Load")]
    pub concurrency: NonZeroUsize,
    /// Callbacks per second, at even intervals; latency is then measured from the scheduled send time, so queueing is visible
    /// [default: as fast as the answers come].
    #[arg(long, value_name = "N", requires = "count", help_heading = "Load")]
    pub rate: Option<NonZeroU32>,
    /// Several callbacks, with their weights: beforeSendSingleMsg=10,afterSendSingleMsg=10,beforeSetFriendRemark=1.
    #[arg(
        long,
        value_name = "CALLBACK=WEIGHT",
        value_delimiter = ',',
        requires = "count",
        conflicts_with = "callback",
        help_heading = "Load"
    )]
    pub mix: Vec<String>,
    /// Human-readable text, or one JSON object for programs.
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

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 500ms or 5s"))?;
    if timeout.is_zero() || timeout > MAX_TIMEOUT {
        return Err("it must be more than 0 and at most 15s, OpenIM's own cap".to_owned());
    }
    Ok(timeout)
}

/// Sends one callback, or as many as asked for, and prints what came of it.
///
/// # Errors
///
/// When the result cannot be printed.
pub async fn run(args: SendArgs) -> anyhow::Result<ExitCode> {
    let sent = match args.count {
        None => {
            let report = send(&args).await;
            report.map(|report| (report.to_string(), report.json(), exit_code(&args, &report.exchange)))
        }
        Some(count) => {
            let interrupted = async { drop(stop_signal().await) };
            let report = load(&args, count, interrupted).await;
            report.map(|report| {
                let by_fallback = args.fail_on_fallback && report.tally.by_fallback() > 0;
                let code = report.exit_code();
                (report.to_string(), report.json(), if code == 0 && by_fallback { BY_FALLBACK } else { code })
            })
        }
    };
    let (text, json, code) = match sent {
        Ok(sent) => sent,
        Err(error) => {
            complain(&one_line(&error_chain::text(&error), usize::MAX));
            return Ok(ExitCode::from(WRONG_USAGE));
        }
    };
    print(&match args.output {
        Output::Text => text,
        Output::Json => format!("{json}\n"),
    })?;
    Ok(ExitCode::from(code))
}

fn exit_code(args: &SendArgs, exchange: &Exchange) -> u8 {
    let is_read = exchange.ending() != Ending::Fails;
    if args.fail_on_fallback && is_read && !exchange.is_by_no_fallback() {
        BY_FALLBACK
    } else {
        exchange.ending().exit_code()
    }
}

/// Sends what `args` say, once.
///
/// # Errors
///
/// As [`exchange`], and when `args` make no request.
pub async fn send(args: &SendArgs) -> Result<SendReport, CannotSend> {
    let request = args.request()?;
    let exchange = exchange_trusting(args.ca.as_deref(), &request, &args.url, args.timeout).await?;
    Ok(SendReport { url: without_password(&request.url(&args.url)), request, exchange })
}

/// Sends what `args` say `count` times, each with an operation ID of its own unless one is given. Ends when all is done,
/// or `interrupted`.
///
/// # Errors
///
/// As [`send`].
pub async fn load(
    args: &SendArgs,
    count: NonZeroU64,
    interrupted: impl Future<Output = ()>,
) -> Result<LoadReport, CannotSend> {
    let parts = args.mixed()?;
    let url = if args.mix.is_empty() { parts[0].request.url(&args.url) } else { args.url.clone() };
    let client = OpenImClient::new(&url, args.ca.as_deref(), args.timeout)?;
    let run = fastrand::u64(..);
    let own_id = |request: &mut CallbackRequest, number: u64| {
        if let (None, Ok(own)) = (&args.operation_id, HeaderValue::from_str(&format!("send-{run:016x}-{number}"))) {
            request.operation_id = own;
        }
    };
    let plan = LoadPlan { count, concurrency: args.concurrency, rate: args.rate };
    Ok(load::load(without_password(&url), &client, parts, own_id, plan, Tally::new()?, interrupted).await)
}

/// A callback with these values, each as `KEY=VALUE`.
///
/// # Errors
///
/// When there is no such callback, or it has no such fields.
pub fn request(callback: &str, set: &[String], operation_id: &str) -> Result<CallbackRequest, CannotSend> {
    let (callback, command) = body::named(callback)?;
    let values = set.iter().map(|flag| body::set(callback, flag)).collect::<Result<Vec<_>, _>>()?;
    let body = body::sample(callback, command, operation_id, &values);
    let operation_id = HeaderValue::from_bytes(operation_id.as_bytes()).map_err(|_| CannotSend::OperationId)?;
    Ok(CallbackRequest { command, body, operation_id, form: UrlForm::Path })
}

impl SendArgs {
    /// The callbacks of `--mix`, or the one that is named.
    fn mixed(&self) -> Result<Vec<Part>, CannotSend> {
        if self.mix.is_empty() {
            return Ok(vec![self.part(&self.callback, self.request()?, 1, None)?]);
        }
        let mut parts = Vec::new();
        for named in &self.mix {
            let wrong = || WrongRequest::Weight(named.clone());
            let (name, weight) = named.split_once('=').ok_or_else(wrong)?;
            let weight = weight.parse().ok().filter(|weight| (1..=1_000_000).contains(weight)).ok_or_else(wrong)?;
            parts.push(self.part(name, self.of(name, &[])?, weight, Some(Tally::new()?))?);
        }
        Ok(parts)
    }

    fn part(
        &self,
        name: &str,
        request: CallbackRequest,
        weight: i64,
        tally: Option<Tally>,
    ) -> Result<Part, CannotSend> {
        let (callback, _) = body::named(name)?;
        let url = client::parse(&request.url(&self.url))?;
        Ok(Part { callback, url, request, weight, tally })
    }

    /// Of the callback that is named.
    fn request(&self) -> Result<CallbackRequest, CannotSend> {
        let shorthands = [("ownerUserID", &self.owner), ("friendUserID", &self.friend), ("remark", &self.remark)];
        let shorthands = shorthands.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_ref()?)));
        self.of(&self.callback, &shorthands.chain(self.set.iter().cloned()).collect::<Vec<_>>())
    }

    fn of(&self, name: &str, set: &[String]) -> Result<CallbackRequest, CannotSend> {
        let id = self.operation_id.clone().unwrap_or_else(|| format!("send-{:016x}", fastrand::u64(..)));
        let mut request = request(name, set, &id)?;
        if let Some(path) = &self.body {
            request.body = body::read(path)?;
        }
        request.form = match self.form {
            Form::Path => UrlForm::Path,
            Form::Query => UrlForm::Query,
        };
        Ok(request)
    }
}
