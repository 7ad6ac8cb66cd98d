//! A decision service that accepts every call and then hangs: is every callback answered, and how late?
//!
//! Starts the bridge and its bundled decision service, opens as many connections as there are callbacks, and sends on
//! each the callback `mock:hang` in OpenIM's bytes, all at once. The fallback is `refuse`, since its answer names the
//! error class: any other answer than that of a passed deadline is wrong, and so is one that came early. Lateness runs
//! from just before the first byte is sent, so what the benchmark itself takes counts against the bridge; how late its
//! own timer fires meanwhile is shown beside it.
//!
//! Exits with 0 when all were answered rightly and in time, 1 when not, 2 for a usage error.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::{Parser, ValueEnum};
use openim_bridge_bench::{
    callback::Answer,
    outstanding::{self, Outcome},
    program::Program,
    runtime,
};
use serde_json::json;

/// The answer to a deadline that passed, with the fallback `refuse`.
const EXPECTED: &str = "{\"actionCode\":0,\"errCode\":9920,\"errMsg\":\"Please try again later\",\"errDlt\":\"\",\
                        \"nextCode\":1,\"remark\":\"mock:hang\"}";

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

struct Report {
    outcome: Outcome,
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
    let report = runtime::run(measure(arguments))?;
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

    let outcome = outstanding::ask(bridge.address, arguments.callbacks.into(), arguments.timeout, right).await?;
    let report = Report { outcome, peak_memory_kib: bridge.peak_memory_kib() };
    if let Some(status) = bridge.ended()? {
        bail!("the bridge ended: {status}");
    }
    bridge.stop().await?;
    service.stop().await?;
    Ok(report)
}

fn right(answer: &Answer) -> bool {
    answer.status == 200 && answer.body == EXPECTED.as_bytes()
}

impl Report {
    fn passed(&self, limit: Duration) -> bool {
        self.outcome.all_right() && self.outcome.late_at(100) <= limit.as_secs_f64() * 1000.0
    }

    fn print(&self, arguments: &Arguments, passed: bool) {
        let Arguments { callbacks, timeout, limit, .. } = arguments;
        println!("{callbacks} callbacks to a decision service that hangs, deadline {timeout:?}\n");
        println!("  answered   wrong   late p50   late p99   late max   peak memory   own delay");
        println!(
            "{:>10}{:>8}{:>8.1} ms{:>8.1} ms{:>8.1} ms{:>14}{:>9.1} ms\n",
            self.outcome.late.len(),
            self.outcome.wrong.values().sum::<usize>(),
            self.outcome.late_at(50),
            self.outcome.late_at(99),
            self.outcome.late_at(100),
            self.peak_memory_kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{} MiB", kib.div_ceil(1024))),
            self.outcome.own_delay,
        );
        for (what, number) in &self.outcome.wrong {
            println!("wrong, {number} times: {what}");
        }
        for (why, number) in &self.outcome.missing {
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
            "answered": self.outcome.late.len(),
            "wrong": self.outcome.wrong,
            "missing": self.outcome.missing,
            "late_ms": { "p50": self.outcome.late_at(50), "p99": self.outcome.late_at(99), "max": self.outcome.late_at(100) },
            "own_delay_ms": self.outcome.own_delay,
            "bridge_peak_memory_kib": self.peak_memory_kib,
        })
    }
}
