//! `probe`: ask the admin listener of a running bridge, for probes and hooks where there is no curl.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{ArgGroup, ArgMatches, Args as _, Command, FromArgMatches as _};
use http::{Method, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::terminal::{WRONG_USAGE, complain, print, runtime};
use crate::config::{self, Sources};

/// Ask a running bridge on this machine whether it is live or ready, or start its drain
///
/// For exec probes and preStop hooks in an image without a shell. The address of the admin listener comes from the same file,
/// variables and flags as for `serve`; other settings are not read.
///
/// Exit codes: 0 yes, 1 no or no answer, 2 wrong flags or configuration.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("question").required(true))]
struct ProbeArgs {
    /// Is it running?
    #[arg(long, group = "question")]
    live: bool,

    /// Is it ready for callbacks? Prints why, if not
    #[arg(long, group = "question")]
    ready: bool,

    /// Start the drain: the bridge is no longer ready, and every answer closes its connection. SIGTERM then stops it
    #[arg(long, group = "question")]
    drain: bool,

    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// What an answer may hold: a head, and a line.
const ANSWER_BYTES: u64 = 8192;

#[must_use]
pub fn command() -> Command {
    ProbeArgs::augment_args(Command::new("probe")).args(config::admin_args())
}

/// Asks, and prints the answer.
///
/// # Errors
///
/// When there is no answer, or it is no.
pub fn run(
    flags: &ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> anyhow::Result<ExitCode> {
    let args = ProbeArgs::from_arg_matches(flags)?;
    let address = match Sources::new(flags, environment).admin_listen() {
        Ok(Some(address)) => address,
        Ok(None) => {
            complain("admin.listen is `off`: there is no admin listener to ask");
            return Ok(ExitCode::from(WRONG_USAGE));
        }
        Err(wrong) => {
            complain(&wrong.to_string());
            return Ok(ExitCode::from(WRONG_USAGE));
        }
    };
    let (method, path) = match args {
        ProbeArgs { live: true, .. } => (Method::GET, "/live"),
        ProbeArgs { ready: true, .. } => (Method::GET, "/ready"),
        _ => (Method::POST, "/drain"),
    };
    let address = from_here(address);
    let asked = async { timeout(args.timeout, ask(method, address, path)).await? };
    let (status, body) = runtime()?.block_on(asked).with_context(|| {
        format!("no answer from http://{address}{path}: does the bridge run, with this admin.listen?")
    })?;
    if !status.is_success() {
        bail!("http://{address}{path} answers {status}: {body}");
    }
    print(&format!("{body}\n"))?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(method: Method, address: SocketAddr, path: &str) -> anyhow::Result<(StatusCode, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let (httparse::Status::Complete(end), Some(status)) = (response.parse(&answer)?, response.code) else {
        bail!("the answer broke off");
    };
    Ok((StatusCode::from_u16(status)?, String::from_utf8_lossy(&answer[end..]).trim_end().to_owned()))
}

/// Where a listener on this address is reached from the same machine. `[::]` takes IPv4 too, and is IPv4 where there is no
/// IPv6.
fn from_here(listen: SocketAddr) -> SocketAddr {
    let address = if listen.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listen.ip() };
    SocketAddr::new(address, listen.port())
}
