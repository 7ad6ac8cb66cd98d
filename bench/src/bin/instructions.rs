//! How many instructions a callback costs the bridge, outside of the kernel: a measure of its path that repeats to about
//! 1 %, where times depend on the machine and on whatever else it does.
//!
//! Runs the bridge under valgrind's callgrind, once with so many callbacks and once with three times as many. What the
//! second run has executed more is the cost of the callbacks between; start and end are the same in both. Callbacks come
//! one after the other, so that nothing depends on how many there are at one time.
//!
//! Exits with 0 when every cost is within its bound, 1 when not, 2 for a usage error.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Parser;
use http::Request;
use openim_bridge_bench::{
    allowing::{self, ALLOW},
    callback::read_answer,
    certificates::{Authority, Secret},
    program::Program,
    proxy::Proxy,
    runtime,
};
use rustls::pki_types::ServerName;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

/// What is measured, and what it may cost. A bound is about 1 % above the most of three measurements when it was last set, or
/// less where an older bound was lower.
const CASES: [Case; 11] = [
    KEEP_ALIVE,
    Case { name: "new-connection", connections: Connections::New, bound: 79_500, ..KEEP_ALIVE },
    Case { name: "https", connections: Connections::Secure, bound: 93_000, ..KEEP_ALIVE },
    Case { name: "100 endpoints", endpoints: 100, bound: 67_000, ..KEEP_ALIVE },
    Case { name: "8 connections", connections: Connections::Kept(8), bound: 65_700, ..KEEP_ALIVE },
    Case { name: "the same, 2 workers", connections: Connections::Kept(8), workers: "2", bound: 65_700, ..KEEP_ALIVE },
    Case { name: "a message", callback: MESSAGE, bound: 75_900, ..KEEP_ALIVE },
    Case { name: "a message, changed", callback: MODIFY, answer: CHANGE, says: "edited", bound: 86_500, ..KEEP_ALIVE },
    Case { name: "a message, told of", callback: AFTER, answer: TOLD, bound: 81_300, ..KEEP_ALIVE },
    Case { name: "a group, echoed", callback: GROUP, says: "Group 1c", bound: 72_500, ..KEEP_ALIVE },
    Case { name: "forwarded", route: Route::Forward, bound: 49_500, ..KEEP_ALIVE },
];

const KEEP_ALIVE: Case = Case {
    name: "keep-alive",
    callback: REMARK,
    answer: ALLOW,
    says: "\"nextCode\":0",
    connections: Connections::Kept(1),
    endpoints: 1,
    workers: "1",
    route: Route::Service,
    bound: 65_600,
};

/// Requests of a real server. Each is sent over and over.
const REMARK: &str = include_str!("../../../tests/fixtures/callbacks/beforeSetFriendRemark.http");
const MESSAGE: &str = include_str!("../../../tests/fixtures/callbacks/beforeSendSingleMsg.http");
const MODIFY: &str = include_str!("../../../tests/fixtures/callbacks/beforeMsgModify.http");
const AFTER: &str = include_str!("../../../tests/fixtures/callbacks/afterSendSingleMsg.http");
const GROUP: &str = include_str!("../../../tests/fixtures/callbacks/beforeSetGroupInfoEx.http");

/// A `BeforeMsgModifyResponse` with a change of the content, in gRPC's frame.
const CHANGE: &[u8] = b"\0\0\0\0\x18\x1a\x16\x0a\x14{\"content\":\"edited\"}";
/// An empty message: what every after callback is answered.
const TOLD: &[u8] = &[0; 5];

/// Shows that a callback costs the bridge no more instructions than it may.
#[derive(Parser)]
#[command(after_help = "Exits with 0 when every cost is within its bound, 1 when not, 2 for a usage error.")]
struct Arguments {
    /// The release build of openim-bridge.
    #[arg(long, value_name = "FILE")]
    bridge: PathBuf,
    /// Callbacks of the shorter run; the longer one has three times as many.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
    callbacks: u32,
    /// These cases only, by the beginnings of their names.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    cases: Vec<String>,
    /// Leave callgrind's profiles in this folder, for `callgrind_annotate`. They name functions where the bridge was built
    /// with `CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only`.
    #[arg(long, value_name = "FOLDER")]
    profiles: Option<PathBuf>,
}

struct Case {
    name: &'static str,
    callback: &'static str,
    /// Of the decision service.
    answer: &'static [u8],
    /// What OpenIM's answer holds, which the bridge's fallback does not.
    says: &'static str,
    connections: Connections,
    /// Of the decision service.
    endpoints: usize,
    workers: &'static str,
    route: Route,
    /// Instructions per callback.
    bound: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connections {
    /// So many carry all callbacks, in turn.
    Kept(usize),
    /// Each callback has its own.
    New,
    /// One carries all, by HTTP/2 over TLS, as OpenIM's does.
    Secure,
}

/// Where the bridge sends callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Service,
    /// To an HTTP receiver.
    Forward,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match runtime::run(measure(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints. Whether all are within their bounds.
async fn measure(arguments: &Arguments) -> anyhow::Result<bool> {
    let scratch = tempfile::tempdir()?;
    let folder = arguments.profiles.as_deref().unwrap_or(scratch.path());
    fs::create_dir_all(folder)?;
    println!("instructions per callback   measured      bound");
    let mut passed = true;
    let is_chosen = |case: &&Case| arguments.cases.iter().any(|name| case.name.starts_with(name.as_str()));
    for case in CASES.iter().filter(|case| arguments.cases.is_empty() || is_chosen(case)) {
        let cost = case.cost(arguments, folder).await.with_context(|| format!("{} was not measured", case.name))?;
        let within = cost <= case.bound;
        println!("{:<25}{cost:>11}{:>11}{}", case.name, case.bound, if within { "" } else { "   FAILED" });
        passed &= within;
    }
    Ok(passed)
}

impl Case {
    /// Instructions per callback.
    async fn cost(&self, arguments: &Arguments, folder: &Path) -> anyhow::Result<u64> {
        let profile = |run| folder.join(format!("{}-{run}.callgrind", self.name.replace(' ', "-")));
        let short = self.run(arguments, arguments.callbacks, &profile("short")).await?;
        let long = self.run(arguments, arguments.callbacks * 3, &profile("long")).await?;
        let more = long.checked_sub(short).context("three times the callbacks took fewer instructions")?;
        Ok(more / u64::from(arguments.callbacks * 2))
    }

    /// All instructions of one run.
    async fn run(&self, arguments: &Arguments, callbacks: u32, profile: &Path) -> anyhow::Result<u64> {
        let service = allowing::serve_answer(self.answer).await?;
        let mut endpoints = Vec::new();
        for _ in 0..self.endpoints {
            endpoints.push(Proxy::start(service).await?);
        }
        let upstreams: Vec<_> = endpoints.iter().map(|endpoint| format!("http://{}", endpoint.address)).collect();
        let mut serve = vec!["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        // What it does by the clock is none of a callback's cost.
        serve.extend(["--upstream-health-interval", "59m", "--drain-delay", "0s", "--fallback", "refuse"]);
        // Nor is what a first check of an endpoint takes under valgrind, beside other programs.
        serve.extend(["--upstream-health-timeout", "14s", "--workers", self.workers]);
        serve.extend(upstreams.iter().flat_map(|upstream| ["--upstream", upstream]));
        let receiver = format!("http://{}/callbackExample", allowing::serve_http().await?);
        if self.route == Route::Forward {
            serve.extend(["--callbacks-default-route", "forward", "--forward-url", &receiver]);
        }
        let authority = Authority::new("openim-bridge instructions")?;
        #[allow(clippy::disallowed_methods, reason = "certificates are valid by the wall clock")]
        let until = SystemTime::now() + Duration::from_hours(24);
        let secret = Secret::new(&authority, &authority.sign("127.0.0.1", until)?)?;
        let (cert, key) = (secret.path("cert.pem"), secret.path("key.pem"));
        if self.connections == Connections::Secure {
            serve.extend(["--tls-cert", &cert, "--tls-key", &key]);
        }
        let out_file = format!("--callgrind-out-file={}", profile.display());
        let callgrind = ["valgrind", "--quiet", "--tool=callgrind", &out_file];
        let bridge = Program::start_by(&callgrind, &arguments.bridge, &serve).await?;
        match self.connections {
            Connections::Kept(connections) => self.send_in_turn(bridge.address, callbacks, connections).await?,
            Connections::New => {
                for _ in 0..callbacks {
                    self.exchange(&mut connect(bridge.address).await?).await?;
                }
            }
            Connections::Secure => self.send_secure(bridge.address, callbacks, &authority).await?,
        }
        // What is queued is delivered first.
        bridge.end().await?;
        total(&fs::read_to_string(profile).context("callgrind left no profile")?)
    }

    /// One callback after the other, on each connection in turn.
    async fn send_in_turn(&self, bridge: SocketAddr, callbacks: u32, connections: usize) -> anyhow::Result<()> {
        let mut streams = Vec::new();
        for _ in 0..connections {
            streams.push(connect(bridge).await?);
        }
        for number in 0..callbacks as usize {
            self.exchange(&mut streams[number % connections]).await?;
        }
        Ok(())
    }

    async fn exchange(&self, stream: &mut TcpStream) -> anyhow::Result<()> {
        stream.write_all(self.callback.as_bytes()).await?;
        self.check(&read_answer(stream).await?.body)
    }

    /// One callback after the other, by HTTP/2.
    async fn send_secure(&self, bridge: SocketAddr, callbacks: u32, authority: &Authority) -> anyhow::Result<()> {
        let connector = authority.trusting_client_of("h2")?;
        let stream = connector.connect(ServerName::from(bridge.ip()), connect(bridge).await?).await?;
        let (mut client, connection) = h2::client::handshake(stream).await?;
        let connection = tokio::spawn(connection);
        let (head, body) = self.callback.split_once("\r\n\r\n").context("a whole request")?;
        let mut lines = head.lines();
        let target = lines.next().and_then(|line| line.split(' ').nth(1)).context("a request's first line")?;
        let mut request = Request::post(format!("https://{bridge}{target}"));
        // The host is in the URL.
        for (name, value) in lines.filter_map(|line| line.split_once(": ")).filter(|(name, _)| *name != "Host") {
            request = request.header(name, value);
        }
        let request = request.body(())?;
        for _ in 0..callbacks {
            client = client.ready().await?;
            let (response, mut stream) = client.send_request(request.clone(), false)?;
            stream.send_data(Bytes::from_static(body.as_bytes()), true)?;
            let mut answer = response.await?.into_body();
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.data().await {
                let chunk = chunk?;
                answer.flow_control().release_capacity(chunk.len())?;
                bytes.extend_from_slice(&chunk);
            }
            self.check(&bytes)?;
        }
        connection.abort();
        Ok(())
    }

    /// Each must be decided, or taken in.
    fn check(&self, answer: &[u8]) -> anyhow::Result<()> {
        let answer = String::from_utf8_lossy(answer);
        ensure!(answer.contains("\"nextCode\":0") && answer.contains(self.says), "another answer: {answer}");
        Ok(())
    }
}

async fn connect(bridge: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(bridge).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What callgrind's profile says of the whole run.
fn total(profile: &str) -> anyhow::Result<u64> {
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.context("callgrind's profile holds no total")?.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_that_of_callgrind() {
        let profile = "# callgrind format\nversion: 1\nevents: Ir\nsummary: 12\n\nfn=(1) main\n0 12\n\ntotals: 34567\n";
        assert_eq!(total(profile).expect("a total"), 34567);
        assert!(total("# callgrind format\n").is_err());
    }
}
