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

use super::terminal::{WRONG_USAGE, cannot_listen, complain};
use crate::callback::Callback;
use crate::mock::{ControlPort, Mock, MockAddress, MockError, MockTls, Rules, callback_named};
use crate::telemetry::log::{self, LogFormat, LogIds, LogLevel, LogSettings};

/// Run the bundled decision service: scripted answers, delays, errors and hangs, with gRPC health and reflection
///
/// It serves every callback. A text in a callback, such as a remark, a group's name or the content of a message, selects the
/// answer: mock:allow, mock:refuse, mock:refuse=5001,text, mock:replace=New name (replaces the text itself),
/// mock:change=KEY:VALUE, mock:delay=250ms, mock:hang, mock:status=UNAVAILABLE (any gRPC status name),
/// mock:invalid=unset|code|empty. Otherwise the rules decide; if no rule matches, the answer is allow.
///
/// Exit codes: 0 stopped by SIGTERM or SIGINT, 1 cannot start, 2 wrong flags or rules.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("by-tls").args(["tls", "tls_cert"]))]
pub struct MockArgs {
    /// Where to listen: an address and a port, or `unix:///PATH`. Port 0 takes a free one; the first log line names it
    ///
    /// Any user may connect to a socket. It is removed at the end.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    listen: MockAddress,

    /// Serve over TLS, with a new self-made certificate for this address and localhost
    #[arg(long)]
    tls: bool,

    /// Write the CA certificate of --tls to this file, in PEM, before the log names the port
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_ca_out: Option<PathBuf>,

    /// Serve over TLS, with this certificate, in PEM. Reloaded when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "tls")]
    tls_cert: Option<PathBuf>,

    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Accept only clients with a certificate of the CA in this file, in PEM
    #[arg(long, value_name = "FILE", requires = "by-tls")]
    tls_client_ca: Option<PathBuf>,

    /// Serve an HTTP API on this address, by which a test sets the rules and reads the calls [default: none]
    ///
    /// GET and PUT /rules (YAML or JSON), GET and DELETE /calls (JSON), POST /reset. Port 0 takes a free one; a log line names
    /// it. Use it for tests only: it shows what users write, which is personal data, and anyone who reaches it may change the
    /// rules.
    #[arg(long, value_name = "ADDR")]
    control: Option<SocketAddr>,

    /// Answer this callback's rpc with UNIMPLEMENTED, like a service that lacks it. May be repeated
    #[arg(long, value_name = "CALLBACK", value_parser = callback_named)]
    without: Vec<&'static Callback>,

    /// Handle at most this many calls concurrently, like a thread pool; others wait [default: no limit]
    #[arg(long, value_name = "CALLS")]
    concurrency: Option<NonZeroUsize>,

    /// Close a connection by GOAWAY when it is this old, such as 30s [default: never]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    max_connection_age: Option<Duration>,

    /// A YAML file of rules: which calls get which answer. Reloaded when it changes
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,

    /// Write one line of JSON per call to this file, which is emptied first, or to standard output with `-`
    ///
    /// The line is written before the call is answered: time, callback, operation ID, request, answer, remaining deadline,
    /// metadata. Use it for tests only: it always includes what users write, which is personal data.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// The lowest level of log lines; the addresses are logged at info
    #[arg(long, value_name = "LEVEL", value_parser = log_level, default_value = "info")]
    log_level: LogLevel,

    /// Log requests, which contain personal data
    #[arg(long)]
    log_private: bool,

    /// The format of log lines
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
    let bind = |address: SocketAddr| {
        ControlPort::bind(address, control).map_err(|source| MockError::Bind { address: address.into(), source })
    };
    let port = args.control.map(bind).transpose();
    let port = port.map_err(|error| cannot_listen(&error, "--control"))?;
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
    Mock::bind(address, rules).await.map_err(|error| cannot_listen(&error, "--listen"))
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
        insta::assert_snapshot!(text, @"cannot listen on ADDRESS: Address already in use (os error 98). Is another bridge running? Stop it, or choose another port with --listen (0 takes a free one).");
    }
}
