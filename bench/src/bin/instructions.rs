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
};

use anyhow::{Context as _, bail};
use clap::Parser;
use openim_bridge_bench::{allowing, callback::read_answer, program::Program, proxy::Proxy, runtime};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

/// What is measured, and what it may cost. A bound is about 5 % above what was measured when it was last set.
const CASES: [Case; 6] = [
    KEEP_ALIVE,
    Case { name: "new-connection", connections: Connections::New, bound: 79_500, ..KEEP_ALIVE },
    Case { name: "100 endpoints", endpoints: 100, bound: 67_000, ..KEEP_ALIVE },
    Case { name: "a message", callback: MESSAGE, bound: 77_000, ..KEEP_ALIVE },
    Case { name: "a group, echoed", callback: GROUP, bound: 74_500, ..KEEP_ALIVE },
    Case { name: "forwarded", route: Route::Forward, bound: 60_000, ..KEEP_ALIVE },
];

const KEEP_ALIVE: Case = Case {
    name: "keep-alive",
    callback: REMARK,
    connections: Connections::Kept,
    endpoints: 1,
    route: Route::Service,
    bound: 66_000,
};

/// Requests of a real server. Each is sent over and over.
const REMARK: &str = include_str!("../../../tests/fixtures/callbacks/beforeSetFriendRemark.http");
const MESSAGE: &str = include_str!("../../../tests/fixtures/callbacks/beforeSendSingleMsg.http");
const GROUP: &str = include_str!("../../../tests/fixtures/callbacks/beforeSetGroupInfoEx.http");

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
    /// Leave callgrind's profiles in this folder, for `callgrind_annotate`. They name functions where the bridge was built
    /// with `CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only`.
    #[arg(long, value_name = "FOLDER")]
    profiles: Option<PathBuf>,
}

struct Case {
    name: &'static str,
    callback: &'static str,
    connections: Connections,
    /// Of the decision service.
    endpoints: usize,
    route: Route,
    /// Instructions per callback.
    bound: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connections {
    /// One carries all callbacks.
    Kept,
    /// Each callback has its own.
    New,
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
    for case in &CASES {
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
        let service = allowing::serve().await?;
        let mut endpoints = Vec::new();
        for _ in 0..self.endpoints {
            endpoints.push(Proxy::start(service).await?);
        }
        let upstreams: Vec<_> = endpoints.iter().map(|endpoint| format!("http://{}", endpoint.address)).collect();
        let mut serve = vec!["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        // What it does by the clock is none of a callback's cost.
        serve.extend(["--upstream-health-interval", "59m", "--drain-delay", "0s", "--fallback", "refuse"]);
        serve.extend(upstreams.iter().flat_map(|upstream| ["--upstream", upstream]));
        let receiver = format!("http://{}/callbackExample", allowing::serve_http().await?);
        if self.route == Route::Forward {
            serve.extend(["--callbacks-default-route", "forward", "--forward-url", &receiver]);
        }
        let out_file = format!("--callgrind-out-file={}", profile.display());
        let callgrind = ["valgrind", "--quiet", "--tool=callgrind", &out_file];
        let bridge = Program::start_by(&callgrind, &arguments.bridge, &serve).await?;
        send(bridge.address, self.callback, callbacks, self.connections).await?;
        bridge.end().await?;
        total(&fs::read_to_string(profile).context("callgrind left no profile")?)
    }
}

/// One callback after the other; each must be decided.
async fn send(bridge: SocketAddr, callback: &str, callbacks: u32, connections: Connections) -> anyhow::Result<()> {
    let mut kept: Option<TcpStream> = None;
    for number in 0..callbacks {
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => TcpStream::connect(bridge).await?,
        };
        stream.set_nodelay(true)?;
        stream.write_all(callback.as_bytes()).await?;
        let answer = read_answer(&mut stream).await?;
        // Its fallback would refuse.
        if !answer.body.windows(12).any(|part| part == b"\"nextCode\":0") {
            bail!("callback {number} was not decided: {}", answer.body.escape_ascii());
        }
        if connections == Connections::Kept {
            kept = Some(stream);
        }
    }
    Ok(())
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
