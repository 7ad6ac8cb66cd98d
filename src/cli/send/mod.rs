//! `send`: act as OpenIM Server towards a URL, and say what OpenIM would make of the answer.
//!
//! - [`client`]: one callback and its answer, also for `demo`, `doctor` and tests.
//! - [`report`]: what became of it, in words and as JSON.

mod client;
mod report;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use http::HeaderValue;

pub use client::{Answered, CannotSend, Client, Ending, Exchange, NoAnswer, exchange, exchange_trusting};
pub use report::{Report, words};
use report::{safe, shown_url};

use crate::error_chain;
use crate::openim::{CallbackRequest, UrlForm};

/// OpenIM's HTTP client gives up after this, whatever webhooks.yml says.
const MAX_TIMEOUT: Duration = Duration::from_secs(15);

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
