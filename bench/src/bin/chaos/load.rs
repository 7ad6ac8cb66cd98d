//! More callbacks than the service can do, and connections that do not live long.

use std::time::Duration;

use openim_bridge_bench::{
    answer::Told,
    load::{Load, Scheme, p99},
    proxy::Proxy,
};
use tokio::time::Instant;

use crate::lab::{GRACE, Lab, PROMPT, Run, Scenario, mib, seconds, still_running, until};

/// What the service works on at one time, and for how long: 200 calls a second.
const CONCURRENCY: u32 = 20;
const WORK: Duration = Duration::from_millis(100);
/// For how long too much is sent.
const OVERLOAD: u64 = 10;
/// The code of `overloaded`.
const OVERLOADED: i32 = 9922;
/// More than this is not the machine's noise.
const GROWTH_KIB: u64 = 4 * 1024;

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "overload",
        fault: "three times the callbacks that the service can handle (limits.in_flight: what it handles concurrently)",
        promise: "the remainder is shed at once; p99 of decisions near that without overload; memory flat",
        run: |lab| Box::pin(overload(lab)),
    },
    Scenario {
        name: "goaway",
        fault: "each of three closes every connection after 1 s (max connection age, GOAWAY)",
        promise: "no fallback",
        run: |lab| Box::pin(goaway(lab)),
    },
];

async fn overload(lab: &Lab) -> anyhow::Result<Run> {
    let rules = tempfile::NamedTempFile::new()?;
    std::fs::write(rules.path(), format!("rules: [{{ then: allow, delay: {}ms }}]\n", WORK.as_millis()))?;
    let (rules, concurrency) = (rules.path().display().to_string(), CONCURRENCY.to_string());
    let service = lab.service(1, &["--rules", &rules, "--concurrency", &concurrency]).await?;
    let mut bridge = lab.bridge(&[service.url()], &["--limits-in-flight", &concurrency]).await?;
    let capacity = CONCURRENCY * 1000 / u32::try_from(WORK.as_millis())?;

    let load = Load::start(bridge.address, capacity / 4, Scheme::Http);
    seconds(4).await;
    let unloaded = load.finish().await?;
    let before = p99(unloaded.decided());

    let fault = Instant::now();
    let load = Load::start(bridge.address, capacity * 3, Scheme::Http);
    seconds(OVERLOAD / 4).await;
    let early = bridge.memory_kib();
    until(fault, Duration::from_secs(OVERLOAD)).await;
    let late = bridge.memory_kib();
    still_running(&mut bridge)?;
    let mut all = load.finish().await?;
    let (after, shed) = (p99(all.since(fault + GRACE).decided()), p99(all.fell_back()));
    let served = all.decided().count();
    all.extend(unloaded);

    let mut run = Run::of(all, &bridge);
    run.note(format!("{served} decided"));
    run.note(format!("p99 {} -> {} ms", before.as_millis(), after.as_millis()));
    run.note(format!("shed in {:.1} ms (p99)", shed.as_secs_f64() * 1000.0));
    let least = usize::try_from(u64::from(capacity) * OVERLOAD * 8 / 10)?;
    run.promise(served >= least, format!("only {served} were decided, of {least} and more that could be"));
    run.promise(
        after <= before.mul_f64(1.5) + Duration::from_millis(50),
        format!("p99 rose from {before:?} to {after:?}"),
    );
    run.promise(shed <= PROMPT / 2, format!("shedding took {shed:?}"));
    if let Some((early, late)) = early.zip(late) {
        run.note(format!("memory {:.1} -> {:.1} MiB", mib(early), mib(late)));
        run.promise(late <= early + GROWTH_KIB, format!("memory grew from {early} to {late} KiB"));
    }
    let other = run.callbacks.fell_back().filter(|callback| callback.told != Told::FellBack(OVERLOADED)).count();
    run.promise(other == 0, format!("{other} fell back as another class than overloaded"));
    Ok(run)
}

async fn goaway(lab: &Lab) -> anyhow::Result<Run> {
    let age = ["--max-connection-age", "1s"];
    let services = [lab.service(1, &age).await?, lab.service(2, &age).await?, lab.service(3, &age).await?];
    let mut proxies = Vec::new();
    for service in &services {
        proxies.push(Proxy::start(service.address).await?);
    }
    let urls: Vec<_> = proxies.iter().map(|proxy| format!("http://{}", proxy.address)).collect();
    let mut bridge = lab.bridge(&urls, &[]).await?;
    let load = lab.load(&bridge);
    seconds(12).await;
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    let fell_back = run.callbacks.fell_back().count();
    run.promise(fell_back == 0, format!("{fell_back} fell back"));
    let goaways: usize = proxies.iter().map(Proxy::goaways).sum();
    run.note(format!("{goaways} GOAWAYs"));
    run.promise(goaways >= 20, "too few connections were ended to show anything");
    Ok(run)
}
