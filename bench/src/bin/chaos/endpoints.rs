//! Endpoints that die, restart, hang or fail.

use std::time::Duration;

use nix::sys::signal::Signal;
use openim_bridge_bench::load::slowest;
use tokio::time::Instant;

use crate::lab::{GRACE, Lab, PROMPT, Run, Scenario, Service, seconds, still_running, until};

/// Until a service that is back is asked: the longest pause between probes, and what a probe takes.
const BACK: Duration = Duration::from_secs(3);
/// The same where no endpoint is healthy, or this one never was.
const BACK_ALONE: Duration = Duration::from_millis(300);

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "killed",
        fault: "one of three killed (SIGKILL), back 5 s later",
        promise: "no fallback; gets calls again within 3 s",
        run: |lab| Box::pin(killed(lab)),
    },
    Scenario {
        name: "rolling-restart",
        fault: "all three restarted (SIGTERM) one after the other",
        promise: "no fallback; all get calls again",
        run: |lab| Box::pin(rolling_restart(lab)),
    },
    Scenario {
        name: "stopped",
        fault: "one of three stopped (SIGSTOP): accepts and hangs",
        promise: "ejected within 3 s, then no fallback and none slow; gets calls again within 3 s",
        run: |lab| Box::pin(stopped(lab)),
    },
    Scenario {
        name: "unavailable",
        fault: "one of three always answers UNAVAILABLE",
        promise: "no fallback",
        run: |lab| Box::pin(unavailable(lab)),
    },
    Scenario {
        name: "all-gone",
        fault: "all three killed, back 5 s later",
        promise: "all fall back, at once; none 0.3 s after all are back",
        run: |lab| Box::pin(all_gone(lab)),
    },
    Scenario {
        name: "alone",
        fault: "the only one killed, back 1 s later, five times",
        promise: "all fall back, at once; none 0.3 s after it is back",
        run: |lab| Box::pin(alone(lab)),
    },
    Scenario {
        name: "late",
        fault: "the only one starts 6 s after the bridge",
        promise: "all fall back before, at once; none 0.3 s after it has started",
        run: |lab| Box::pin(late(lab)),
    },
];

async fn killed(lab: &Lab) -> anyhow::Result<Run> {
    let ([mut one, _two, _three], mut bridge) = lab.three().await?;
    let load = lab.load(&bridge);
    seconds(3).await;
    let fault = Instant::now();
    one.kill().await?;
    seconds(5).await;
    one.start().await?;
    let again = one.is_asked(BACK).await?;
    seconds(2).await;
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    run.no_fallback_since(fault);
    run.asked_again(again, BACK);
    Ok(run)
}

async fn rolling_restart(lab: &Lab) -> anyhow::Result<Run> {
    let (mut services, mut bridge) = lab.three().await?;
    let load = lab.load(&bridge);
    seconds(2).await;
    let fault = Instant::now();
    let mut again = Vec::new();
    for service in &mut services {
        service.end().await?;
        seconds(1).await;
        service.start().await?;
        again.push(service.is_asked(BACK).await?);
        seconds(1).await;
    }
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    run.no_fallback_since(fault);
    for again in again {
        run.asked_again(again, BACK);
    }
    Ok(run)
}

async fn stopped(lab: &Lab) -> anyhow::Result<Run> {
    let ([one, _two, _three], mut bridge) = lab.three().await?;
    let load = lab.load(&bridge);
    seconds(2).await;
    let (fault, limit) = (Instant::now(), Duration::from_secs(3));
    one.program()?.signal(Signal::SIGSTOP)?;
    until(fault, Duration::from_secs(8)).await;
    one.program()?.signal(Signal::SIGCONT)?;
    let again = one.is_asked(BACK).await?;
    seconds(1).await;
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    run.found(&bridge, "is ejected", fault, limit);
    run.no_fallback_since(fault + limit);
    run.prompt_since(fault + limit);
    run.asked_again(again, BACK);
    Ok(run)
}

async fn unavailable(lab: &Lab) -> anyhow::Result<Run> {
    let rules = tempfile::NamedTempFile::new()?;
    std::fs::write(rules.path(), "rules: [{ then: { status: UNAVAILABLE } }]\n")?;
    let bad = lab.service(1, &["--rules", &rules.path().display().to_string()]).await?;
    let good = [lab.service(2, &[]).await?, lab.service(3, &[]).await?];
    let urls = [bad.url(), good[0].url(), good[1].url()];
    let mut bridge = lab.bridge(&urls, &[]).await?;
    let load = lab.load(&bridge);
    seconds(12).await;
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    let fell_back = run.callbacks.fell_back().count();
    run.promise(fell_back == 0, format!("{fell_back} fell back"));
    // It answers UNAVAILABLE, which its log calls answered.
    run.note(format!("called {} times", bad.program()?.answered()));
    Ok(run)
}

async fn all_gone(lab: &Lab) -> anyhow::Result<Run> {
    let (mut services, mut bridge) = lab.three().await?;
    let load = lab.load(&bridge);
    seconds(2).await;
    let fault = Instant::now();
    for service in &mut services {
        service.kill().await?;
    }
    let gone = Instant::now();
    until(gone, Duration::from_secs(5)).await;
    let before = Instant::now();
    for service in &mut services {
        service.start().await?;
    }
    let back = Instant::now();
    let mut again = Vec::new();
    for service in &services {
        again.push(Service::is_asked(service, BACK).await?);
    }
    until(back, BACK + Duration::from_secs(2)).await;
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    let healthy = run.callbacks.within(fault - Duration::from_secs(2), fault).fell_back().count();
    run.promise(healthy == 0, format!("{healthy} fell back before the fault"));
    let while_gone = run.callbacks.within(gone + GRACE, before);
    let decided = while_gone.decided().count();
    run.promise(decided == 0, format!("{decided} were decided by nobody"));
    let longest = slowest(while_gone.fell_back());
    run.note(format!("slowest with none healthy {:.0} ms", longest.as_secs_f64() * 1000.0));
    run.promise(longest <= PROMPT, format!("a fallback took {longest:?} with no endpoint in"));
    if let Some(last) = run.callbacks.since(gone).fell_back().map(|callback| callback.began).max() {
        run.note(format!("last fallback {:.1} s after", last.saturating_duration_since(back).as_secs_f64()));
    }
    run.no_fallback_since(back + BACK_ALONE);
    for again in again {
        run.promise(again.is_some(), "one gets no calls again");
    }
    Ok(run)
}

async fn alone(lab: &Lab) -> anyhow::Result<Run> {
    let mut service = lab.service(1, &[]).await?;
    let mut bridge = lab.bridge(&[service.url()], &[]).await?;
    let load = lab.load(&bridge);
    let mut gone = Vec::new();
    for _ in 0..5 {
        seconds(1).await;
        let fault = Instant::now();
        service.kill().await?;
        until(fault, Duration::from_secs(1)).await;
        service.start().await?;
        gone.push((fault, Instant::now()));
    }
    seconds(1).await;
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    let ends = gone.iter().skip(1).map(|(fault, _)| *fault).chain([Instant::now()]);
    for ((_, back), end) in gone.iter().zip(ends) {
        let late = run.callbacks.within(*back, end).fell_back().map(|callback| callback.began - *back).max();
        let late = late.unwrap_or_default();
        run.note(format!("last fallback {} ms after", late.as_millis()));
        run.promise(late <= BACK_ALONE, format!("one fell back {late:?} after it was back"));
    }
    let longest = slowest(run.callbacks.fell_back());
    run.promise(longest <= PROMPT, format!("a fallback took {longest:?}"));
    Ok(run)
}

async fn late(lab: &Lab) -> anyhow::Result<Run> {
    let mut service = lab.service(1, &[]).await?;
    service.kill().await?;
    let mut bridge = lab.bridge(&[service.url()], &[]).await?;
    let load = lab.load(&bridge);
    seconds(6).await;
    service.start().await?;
    let there = Instant::now();
    seconds(2).await;
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    run.promise(
        bridge.said("an endpoint is healthy", there - BACK_ALONE).is_some(),
        "the bridge did not log that it is healthy",
    );
    let late = run.callbacks.since(there).fell_back().map(|callback| callback.began - there).max().unwrap_or_default();
    run.note(format!("last fallback {} ms after", late.as_millis()));
    run.promise(late <= BACK_ALONE, format!("one fell back {late:?} after it was there"));
    Ok(run)
}
