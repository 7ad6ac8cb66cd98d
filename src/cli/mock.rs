//! `openim-bridge mock`: the bundled decision service.

use std::{
    fs::{self, OpenOptions},
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use serde::{Deserialize as _, de::value::StrDeserializer};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::terminal::{WRONG_USAGE, complain};
use crate::callback::Callback;
use crate::mock::{ControlPort, Mock, MockAddress, MockTls, Rules, callback_named};
use crate::telemetry::log::{self, LogFormat, LogIds, LogLevel, LogSettings};

/// Run the bundled decision service: scripted answers, delays, errors and hangs, with gRPC health and reflection
///
/// It serves every callback. A text in a callback, such as a remark, a group's name or the content of a message, tells it what
/// to answer: mock:allow, mock:refuse, mock:refuse=5001,text, mock:replace=New name (in place of the text itself),
/// mock:change=KEY:VALUE, mock:delay=250ms, mock:hang, mock:status=UNAVAILABLE (any gRPC status name),
/// mock:invalid=unset|code|empty. All else is answered by the rules, and allowed where none holds.
///
/// Exit codes: 0 stopped by SIGTERM or SIGINT, 1 cannot start, 2 wrong flags or rules.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("by-tls").args(["tls", "tls_cert"]))]
pub struct MockArgs {
    /// Where to listen: an address and a port, or `unix:///PATH`. Port 0 takes a free one; the first log line names it
    ///
    /// A socket may be connected to by any user, and is removed at the end.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    listen: MockAddress,

    /// Serve by TLS, with a certificate made on the spot for this address and localhost
    #[arg(long)]
    tls: bool,

    /// Where the certificate of the authority that has signed it is written, in PEM, before the port is named
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_ca_out: Option<PathBuf>,

    /// Serve by TLS, with this certificate, in PEM. Read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "tls")]
    tls_cert: Option<PathBuf>,

    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Take only clients with a certificate of the authority in this file, in PEM
    #[arg(long, value_name = "FILE", requires = "by-tls")]
    tls_client_ca: Option<PathBuf>,

    /// Where a test sets the rules and reads the calls by HTTP [default: nowhere]
    ///
    /// GET and PUT /rules (YAML or JSON), GET and DELETE /calls (JSON), POST /reset. Port 0 takes a free one, and a log
    /// line names it. What users write is in it, which is personal data, and whoever reaches it may change everything: it is
    /// for tests.
    #[arg(long, value_name = "ADDR")]
    control: Option<SocketAddr>,

    /// Leave this callback out: its rpc is answered UNIMPLEMENTED, as by a service that lacks it. May be given several times
    #[arg(long, value_name = "CALLBACK", value_parser = callback_named)]
    without: Vec<&'static Callback>,

    /// Work on at most this many calls concurrently, as a thread pool does; others wait [default: any number]
    #[arg(long, value_name = "CALLS")]
    concurrency: Option<NonZeroUsize>,

    /// Tell a connection this old to go away, such as 30s [default: never]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    max_connection_age: Option<Duration>,

    /// A YAML file of rules: which calls get which answer. Read again when it changes
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,

    /// Write a line of JSON for each call to this file, which is emptied first, or to standard output with `-`
    ///
    /// It is there before the call is answered: time, callback, operation ID, request, answer, deadline left, metadata. What
    /// users write, which is personal data, is always in it: it is for tests.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// From which level on log lines are written; the addresses are at info
    #[arg(long, value_name = "LEVEL", value_parser = log_level, default_value = "info")]
    log_level: LogLevel,

    /// Show requests, which hold personal data, in the log
    #[arg(long)]
    log_private: bool,

    /// How log lines are written
    #[arg(long, value_name = "FORMAT", value_parser = log_format, default_value = "text")]
    log_format: LogFormat,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
///
/// Where the address cannot be listened on.
pub async fn run(args: MockArgs) -> anyhow::Result<ExitCode> {
    log::init(&LogSettings {
        level: args.log_level,
        format: args.log_format,
        private: args.log_private,
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
        info!("stopping");
    };
    let mut mock = bind(args.listen.clone(), rules)
        .await?
        .without(args.without.clone())
        .log_private(args.log_private)
        .concurrency(args.concurrency)
        .max_connection_age(args.max_connection_age);
    if let Some(tls) = tls(&args)? {
        mock = mock.secured(tls);
    }
    let control = mock.control();
    let _watched = args.rules.map(|path| control.watch(path, &control.rules())).transpose()?;
    if let Some(path) = args.record {
        mock = record(mock, &path)?;
    }
    let port = args.control.map(|address| ControlPort::bind(address, control)).transpose();
    let port = port.context("--control needs an address of this machine that nothing else listens on")?;
    info!(address = %mock.address(), "listening");
    if let Some(port) = &port {
        info!(address = %port.local_addr(), "listening for tests");
    }
    let controlling = async {
        match port {
            Some(port) => port.serve().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        served = mock.serve(shutdown) => served?,
        () = controlling => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn tls(args: &MockArgs) -> anyhow::Result<Option<MockTls>> {
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => MockTls::from_files(cert.clone(), key.clone())?,
        _ if args.tls => {
            let address = args.listen.tcp().map(|address| address.ip());
            let (tls, ca) = MockTls::made_on_the_spot(address.as_slice())?;
            if let Some(path) = &args.tls_ca_out {
                let written = fs::write(path, ca);
                written.with_context(|| format!("--tls-ca-out: cannot write to {}", path.display()))?;
            }
            tls
        }
        _ => return Ok(None),
    };
    Ok(Some(match &args.tls_client_ca {
        Some(ca) => tls.for_clients_of(ca.clone())?,
        None => tls,
    }))
}

async fn bind(address: MockAddress, rules: Rules) -> anyhow::Result<Mock> {
    Mock::bind(address, rules)
        .await
        .context("--listen needs an address of this machine that nothing else listens on (port 0 takes a free one)")
}

fn record(mock: Mock, path: &Path) -> anyhow::Result<Mock> {
    if path == Path::new("-") {
        return Ok(mock.record_to(io::stdout()));
    }
    // Only its owner may read a new one.
    let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
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
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into();
        let first = bind(free, Rules::default()).await.expect("a free port");
        let taken = first.address();
        let error = bind(taken.clone(), Rules::default()).await.expect_err("the port is in use");
        let text = format!("{error:#}").replace(&taken.to_string(), "ADDRESS");
        insta::assert_snapshot!(text, @"--listen needs an address of this machine that nothing else listens on (port 0 takes a free one): cannot listen on ADDRESS: Address already in use (os error 98)");
    }
}
