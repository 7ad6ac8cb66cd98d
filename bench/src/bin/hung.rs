//! A decision service that accepts every call and then hangs: is every callback answered, and how late?
//!
//! Starts the bridge and its bundled decision service, opens as many connections as there are callbacks, and sends on
//! each the callback `mock:hang` in OpenIM's bytes, all at once. The fallback is `refuse`, since its answer names the
//! error class: any other answer than that of a passed deadline is wrong, and so is one that came early. Lateness runs
//! from just before the first byte is sent, so what the benchmark itself takes counts against the bridge; how late its
//! own timer fires meanwhile is shown beside it.
//!
//! Exits with 0 when all were answered rightly and in time, 1 when not, 2 for a usage error.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::{Parser, ValueEnum};
use openim_bridge_bench::{
    callback::{self, Answer},
    program::Program,
    stats::percentile,
};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{self, Instant},
};

/// The answer to a deadline that passed, with the fallback `refuse`.
const EXPECTED: &str = "{\"actionCode\":0,\"errCode\":9920,\"errMsg\":\"Please try again later\",\"errDlt\":\"\",\
                        \"nextCode\":1,\"remark\":\"\"}";

/// An answer that comes sooner before its deadline than this was not waited for.
const EARLY: Duration = Duration::from_millis(50);

/// An answer that has not come this long after its deadline is missing.
const MISSING: Duration = Duration::from_secs(10);

/// Shows that callbacks to a decision service that hangs are answered in time.
#[derive(Debug, Parser)]
#[command(after_help = "Exits with 0 when all were answered rightly and in time, 1 when not, 2 for a usage error.")]
struct Arguments {
    /// The release build of openim-bridge.
    #[arg(long, value_name = "FILE")]
    bridge: PathBuf,
    /// Callbacks outstanding at one time. Over 1,000, raise the bridge's own limit: `-- --limits-in-flight 5000`.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u16).range(1..))]
    callbacks: u16,
    /// The bridge's deadline.
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// How late the slowest answer may be.
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = humantime::parse_duration)]
    limit: Duration,
    /// How the result is written.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// More flags of `openim-bridge serve`.
    #[arg(last = true, value_name = "FLAGS")]
    serve: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// What became of all callbacks.
#[derive(Debug, Default)]
struct Report {
    /// Milliseconds past the deadline of each answer, right or wrong, ascending.
    late: Vec<f64>,
    /// What was wrong with an answer, and how often.
    wrong: BTreeMap<String, usize>,
    /// Why there was none, and how often.
    missing: BTreeMap<String, usize>,
    /// The latest that the benchmark's own timer fired around the deadline, in milliseconds.
    own_delay: f64,
    /// The most memory that the bridge held.
    peak_memory_kib: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints. Whether it passed.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    // One thread: the machine's other core is for what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            report = measure(arguments) => report,
            // The programs end as `measure` is dropped.
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })?;
    let passed = report.passed(arguments.limit);
    match arguments.output {
        Output::Text => report.print(arguments, passed),
        Output::Json => println!("{}", report.json(arguments, passed)),
    }
    Ok(passed)
}

async fn measure(arguments: &Arguments) -> anyhow::Result<Report> {
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit on open files")?;
    let service = Program::start(&arguments.bridge, &["mock", "--listen", "127.0.0.1:0"]).await?;
    let upstream = format!("http://{}", service.address);
    let timeout = format!("{}ms", arguments.timeout.as_millis());
    let mut serve = vec!["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    serve.extend(["--upstream", &upstream, "--timeout", &timeout, "--fallback", "refuse"]);
    serve.extend(arguments.serve.iter().map(String::as_str));
    let mut bridge = Program::start(&arguments.bridge, &serve).await?;

    let mut report = ask_all(arguments, &bridge).await?;
    report.peak_memory_kib = bridge.peak_memory_kib();
    if let Some(status) = bridge.ended()? {
        bail!("the bridge ended: {status}");
    }
    bridge.stop().await?;
    service.stop().await?;
    Ok(report)
}

async fn ask_all(arguments: &Arguments, bridge: &Program) -> anyhow::Result<Report> {
    let mut connections = Vec::with_capacity(arguments.callbacks.into());
    for number in 0..arguments.callbacks {
        let stream = TcpStream::connect(bridge.address)
            .await
            .with_context(|| format!("cannot open connection {number} to the bridge"))?;
        let request = callback::request(bridge.address, &format!("hung-{number}"), "mock:hang");
        connections.push((stream, request));
    }
    let mut answers = JoinSet::new();
    let started = Instant::now();
    for (mut stream, request) in connections {
        let deadline = Instant::now() + arguments.timeout;
        stream.write_all(&request).await.context("cannot send")?;
        answers.spawn(async move {
            let answer = time::timeout_at(deadline + MISSING, callback::read_answer(&mut stream)).await;
            (deadline, answer.unwrap_or_else(|_| bail!("no answer {MISSING:?} after the deadline")))
        });
    }
    let own_delay = tokio::spawn(own_delay(started + arguments.timeout, arguments.limit));
    let mut report = Report::default();
    while let Some(joined) = answers.join_next().await {
        report.add(joined?);
    }
    report.own_delay = own_delay.await?;
    report.late.sort_by(f64::total_cmp);
    Ok(report)
}

/// How late, at most, a timer of this program's fires around the deadline, in milliseconds.
async fn own_delay(deadline: Instant, limit: Duration) -> f64 {
    time::sleep_until(deadline - Duration::from_millis(20)).await;
    let mut most = 0.0_f64;
    while Instant::now() < deadline + limit {
        let due = Instant::now() + Duration::from_millis(1);
        time::sleep_until(due).await;
        most = most.max(milliseconds(Instant::now(), due));
    }
    most
}

/// From `past` to `now`, negative when `past` is still to come.
fn milliseconds(now: Instant, past: Instant) -> f64 {
    let late = now.saturating_duration_since(past).as_secs_f64();
    let early = past.saturating_duration_since(now).as_secs_f64();
    (late - early) * 1000.0
}

impl Report {
    fn add(&mut self, (deadline, answer): (Instant, anyhow::Result<Answer>)) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return *self.missing.entry(format!("{error:#}")).or_default() += 1,
        };
        self.late.push(milliseconds(answer.at, deadline));
        let wrong = if answer.status != 200 || answer.body != EXPECTED.as_bytes() {
            format!("{} {}", answer.status, answer.body.escape_ascii())
        } else if answer.at + EARLY < deadline {
            format!("more than {EARLY:?} before the deadline")
        } else {
            return;
        };
        *self.wrong.entry(wrong).or_default() += 1;
    }

    fn passed(&self, limit: Duration) -> bool {
        let in_time = self.late.last().is_some_and(|late| *late <= limit.as_secs_f64() * 1000.0);
        self.wrong.is_empty() && self.missing.is_empty() && in_time
    }

    fn late_at(&self, percent: usize) -> f64 {
        percentile(&self.late, percent).unwrap_or(f64::NAN)
    }

    fn print(&self, arguments: &Arguments, passed: bool) {
        let Arguments { callbacks, timeout, limit, .. } = arguments;
        println!("{callbacks} callbacks to a decision service that hangs, deadline {timeout:?}\n");
        println!("  answered   wrong   late p50   late p99   late max   peak memory   own delay");
        println!(
            "{:>10}{:>8}{:>8.1} ms{:>8.1} ms{:>8.1} ms{:>14}{:>9.1} ms\n",
            self.late.len(),
            self.wrong.values().sum::<usize>(),
            self.late_at(50),
            self.late_at(99),
            self.late_at(100),
            self.peak_memory_kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{} MiB", kib.div_ceil(1024))),
            self.own_delay,
        );
        for (what, number) in &self.wrong {
            println!("wrong, {number} times: {what}");
        }
        for (why, number) in &self.missing {
            println!("missing, {number} times: {why}");
        }
        println!("{}: the slowest may be {limit:?} late", if passed { "passed" } else { "FAILED" });
    }

    fn json(&self, arguments: &Arguments, passed: bool) -> serde_json::Value {
        json!({
            "passed": passed,
            "callbacks": arguments.callbacks,
            "timeout_ms": arguments.timeout.as_secs_f64() * 1000.0,
            "limit_ms": arguments.limit.as_secs_f64() * 1000.0,
            "answered": self.late.len(),
            "wrong": self.wrong,
            "missing": self.missing,
            "late_ms": { "p50": self.late_at(50), "p99": self.late_at(99), "max": self.late_at(100) },
            "own_delay_ms": self.own_delay,
            "bridge_peak_memory_kib": self.peak_memory_kib,
        })
    }
}
