//! Far more after callbacks than the service can be told of.

use std::time::Duration;

use anyhow::Context as _;
use openim_bridge_bench::{events::Events, load::p99, program::Program, stats::median};
use tokio::time::Instant;

use crate::{
    lab::{Lab, Run, Scenario, mib, seconds, still_running, until},
    told::{Counted, Told, lost},
};

/// Events a second, and what the service does of them.
const FLOOD: u32 = 10_000;
const PACE: &str = "After paced 100";
/// Conversations, groups and users of the events.
const KEYS: usize = 1_000;
/// For how long the long one goes on, and each of the short ones.
const LONG: Duration = Duration::from_mins(1);
const SHORT: u64 = 6;
/// How often either of two is measured.
const ROUNDS: usize = 5;
/// More than this is not the machine's noise.
const GROWTH_KIB: u64 = 4 * 1024;
/// Lines of deliveries and of fallbacks that the log may have in a second, and one that tells of others.
const LINES_A_SECOND: u64 = 21;

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "flood",
        fault: "10,000 events/s for a minute beside the callbacks, of which the service does 100 a second",
        promise: "memory flat once the queue is full; every event in one number; log lines suppressed; no fallback",
        run: |lab| Box::pin(flood(lab)),
    },
    Scenario {
        name: "flood-latency",
        fault: "the same for 6 s, five times, each beside one with `route: allow` for after callbacks",
        promise: "p99 of callbacks at most twice, or 2 ms more than, with `route: allow` (medians)",
        run: |lab| Box::pin(latency(lab)),
    },
];

async fn flood(lab: &Lab) -> anyhow::Result<Run> {
    let service = Told::start().await?;
    service.does(PACE)?;
    let mut bridge = lab.bridge(&[service.url()], &[]).await?;
    let lines = bridge.logged();
    let (callbacks, events) = (lab.load(&bridge), Events::start(bridge.address, FLOOD, KEYS));
    let fault = Instant::now();
    // The queue is full after about 2 s.
    until(fault, LONG / 6).await;
    let early = bridge.memory_kib().context("no memory to be read")?;
    until(fault, LONG / 2).await;
    let middle = bridge.memory_kib().context("no memory to be read")?;
    until(fault, LONG).await;
    let late = bridge.memory_kib().context("no memory to be read")?;
    still_running(&mut bridge)?;
    let (callbacks, sent) = (callbacks.finish().await?, events.finish().await?);
    let took = fault.elapsed();
    let lines = u64::try_from(bridge.logged() - lines)?;

    // The service holds still, and the numbers with it.
    service.does("After hang")?;
    seconds(2).await;
    let still = Counted::by(&bridge).await?;
    let told = service.record()?.ok.len();
    service.does(PACE)?;
    bridge.signal(nix::sys::signal::Signal::SIGTERM)?;
    let status = bridge.wait().await?;
    let lost = lost(&bridge)?;

    let mut run = Run::of(callbacks, &bridge);
    let record = service.record()?;
    run.promise(
        still.delivered == told && still.sum() == sent.answered(),
        format!("while nothing moved {told} were told of {}, and counted were {still:?}", sent.answered()),
    );
    let counted = Counted { delivered: record.ok.len(), queued: 0, lost, ..still };
    run.even(&sent, &counted, &record);
    run.all_answered(&sent);
    run.promise(status.success(), format!("it ended with {status}"));
    let rate = u64::try_from(sent.answered())? / took.as_secs();
    run.promise(rate >= u64::from(FLOOD) * 95 / 100, format!("only {rate} events a second were sent"));
    run.promise(counted.dropped > sent.answered() / 2, "the queue was not full");
    run.note(format!("memory {:.1} -> {:.1} -> {:.1} MiB", mib(early), mib(middle), mib(late)));
    run.promise(late <= early + GROWTH_KIB, format!("memory grew from {early} over {middle} to {late} KiB"));
    run.note(format!("{lines} log lines"));
    let most = LINES_A_SECOND * (took.as_secs() + 1);
    run.promise(lines <= most, format!("{lines} log lines, of {most} at most"));
    run.no_fallback_since(fault);
    run.note(format!("p99 of callbacks {:.2} ms", millis(p99(run.callbacks.all()))));
    Ok(run)
}

async fn latency(lab: &Lab) -> anyhow::Result<Run> {
    let mut all = Run::default();
    let (mut queued, mut allowed) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        queued.add(one(lab, &mut all, false).await?);
        allowed.add(one(lab, &mut all, true).await?);
    }
    let (ours, theirs) = (queued.p99(), allowed.p99());
    all.note(format!("p99 {}; with `route: allow` {}", queued.figures(), allowed.figures()));
    let most = (theirs * 2.0).max(theirs + 2.0);
    all.promise(ours <= most, format!("p99 is {ours:.2} ms, of {most:.2} at most"));
    Ok(all)
}

/// Several times the p99 of callbacks, in milliseconds, and the CPU that the bridge used, in percent of a core.
#[derive(Default)]
struct Rounds {
    p99: Vec<f64>,
    cpu: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, (p99, cpu): (f64, f64)) {
        self.p99.push(p99);
        self.cpu.push(cpu);
    }

    fn p99(&self) -> f64 {
        median(&self.p99).unwrap_or_default()
    }

    fn figures(&self) -> String {
        let each: Vec<_> = self.p99.iter().map(|value| format!("{value:.2}")).collect();
        let cpu = median(&self.cpu).unwrap_or_default();
        format!("{} ms, median {:.2} ms, by {cpu:.0} % of a core", each.join("/"), self.p99())
    }
}

/// The p99 of the callbacks once the queue is full, and the bridge's CPU.
async fn one(lab: &Lab, all: &mut Run, allow: bool) -> anyhow::Result<(f64, f64)> {
    let service = Told::start().await?;
    service.does(PACE)?;
    let bridge = bridge(lab, &service, allow).await?;
    let (callbacks, events) = (lab.load(&bridge), Events::start(bridge.address, FLOOD, KEYS));
    seconds(3).await;
    let (full, cpu) = (Instant::now(), bridge.cpu()?);
    seconds(SHORT - 3).await;
    let cpu = 100.0 * bridge.cpu()?.saturating_sub(cpu).as_secs_f64() / full.elapsed().as_secs_f64();
    let (callbacks, sent) = (callbacks.finish().await?, events.finish().await?);
    let dropped = Counted::by(&bridge).await?.dropped;
    all.promise((dropped > 0) != allow, format!("{dropped} events were dropped, with `route: allow`: {allow}"));
    all.promise(sent.unanswered.is_empty(), format!("{} events were not answered", sent.unanswered.len()));
    let p99 = millis(p99(callbacks.since(full).all()));
    let run = Run::of(callbacks, &bridge);
    all.callbacks.extend(run.callbacks);
    all.broken.extend(run.broken);
    Ok((p99, cpu))
}

async fn bridge(lab: &Lab, service: &Told, allow: bool) -> anyhow::Result<Program> {
    let routes: Vec<_> = ROUTED.iter().map(|callback| format!("--callback={callback}.route=allow")).collect();
    let args: Vec<_> = routes.iter().map(String::as_str).filter(|_| allow).collect();
    lab.bridge(&[service.url()], &args).await
}

/// The callbacks of the events.
const ROUTED: [&str; 8] = [
    "afterSendGroupMsg",
    "afterSetGroupInfo",
    "afterSendSingleMsg",
    "afterMsgSaveDB",
    "afterUserOnline",
    "afterUserOffline",
    "afterSetFriendRemark",
    "afterDeleteFriend",
];

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
