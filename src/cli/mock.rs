//! `openim-bridge mock`: the bundled decision service.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use serde::{Deserialize as _, de::value::StrDeserializer};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::{WRONG_USAGE, complain};
use crate::config::{LogFormat, LogIds, LogLevel, LogSettings};
use crate::mock::{Mock, Rules};
use crate::telemetry;

/// Run the bundled decision service: scripted answers, delays, errors and hangs, with gRPC health and reflection
///
/// A remark tells it what to answer: mock:allow, mock:refuse, mock:refuse=5001,text, mock:replace=New name,
/// mock:delay=250ms, mock:hang, mock:status=UNAVAILABLE (any gRPC status name), mock:invalid=unset|code|empty. Every
/// other remark is answered by the rules, and allowed where none holds.
///
/// Exit codes: 0 stopped by SIGTERM or SIGINT, 1 cannot start, 2 wrong flags or rules.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen; port 0 takes a free one, and the first log line names it
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,

    /// A YAML file of rules: which calls get which answer. Read again when it changes
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,

    /// Write a line of JSON for each call to this file, which is emptied first, or to standard output with `-`
    ///
    /// It is there before the call is answered: time, operation ID, owner, friend, remark, answer, deadline left, metadata.
    /// Remarks, which are personal data, are always in it: it is for tests.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// From which level on log lines are written; the addresses are at info
    #[arg(long, value_name = "LEVEL", value_parser = log_level, default_value = "info")]
    log_level: LogLevel,

    /// Show remarks, which are personal data, in the log
    #[arg(long)]
    log_remarks: bool,

    /// How log lines are written
    #[arg(long, value_name = "FORMAT", value_parser = log_format, default_value = "text")]
    log_format: LogFormat,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
///
/// Where the address cannot be listened on.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    telemetry::init_logs(&LogSettings {
        level: args.log_level,
        format: args.log_format,
        remarks: args.log_remarks,
        ids: LogIds::Plain,
    });
    let rules = match args.rules.as_deref().map(Rules::load).transpose() {
        Ok(rules) => rules.unwrap_or_default(),
        Err(wrong) => {
            complain(&format!("{:#}", anyhow::Error::from(wrong)));
            return Ok(ExitCode::from(WRONG_USAGE));
        }
    };
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let shutdown = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        info!("ending");
    };
    let mut mock = bind(args.listen, rules).await?.log_remarks(args.log_remarks);
    let control = mock.control();
    let _watched = args.rules.map(|path| control.watch(path, &control.rules())).transpose()?;
    if let Some(path) = args.record {
        mock = record(mock, &path)?;
    }
    info!(address = %mock.local_addr(), "listening");
    mock.serve(shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

async fn bind(address: SocketAddr, rules: Rules) -> anyhow::Result<Mock> {
    Mock::bind(address, rules)
        .await
        .context("--listen needs an address of this machine that nothing else listens on (port 0 takes a free one)")
}

fn record(mock: Mock, path: &Path) -> anyhow::Result<Mock> {
    if path == Path::new("-") {
        return Ok(mock.record_to(io::stdout()));
    }
    let file = File::create(path);
    Ok(mock.record_to(file.with_context(|| format!("--record: cannot write to {}", path.display()))?))
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    let text: StrDeserializer<'_, serde::de::value::Error> = StrDeserializer::new(text);
    LogLevel::deserialize(text).map_err(|_| "expected error, warn, info, debug or trace".to_owned())
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("expected text or json".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_what_to_do() {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let first = bind(free, Rules::default()).await.expect("a free port");
        let taken = first.local_addr();
        let error = bind(taken, Rules::default()).await.expect_err("the port is in use");
        let text = format!("{error:#}").replace(&taken.to_string(), "ADDRESS");
        insta::assert_snapshot!(text, @"--listen needs an address of this machine that nothing else listens on (port 0 takes a free one): cannot listen on ADDRESS: Address already in use (os error 98)");
    }
}
