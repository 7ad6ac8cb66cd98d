//! After callbacks beside before callbacks, and what goes wrong with the service or the bridge meanwhile.

use std::time::Duration;

use nix::sys::signal::Signal;
use openim_bridge_bench::{
    events::{Events, READERS, Sent},
    load::{Callbacks, Load, p99, slowest},
    program::Program,
};
use tokio::time::Instant;

use crate::{
    lab::{GRACE, Lab, PROMPT, Run, Scenario, seconds, still_running, until},
    told::{Counted, Record, Told, lost},
};

/// Conversations, groups and users of the events.
const KEYS: usize = 400;
/// For how long the service is away, where it is for long.
const MINUTE: Duration = Duration::from_mins(1);
/// Until what waited for a service that is back is delivered: retries wait for up to 15 s.
const DELIVERED: Duration = Duration::from_secs(30);
/// gRPC's own numbers.
const UNKNOWN: u8 = 2;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNAVAILABLE: u8 = 14;
/// An event that the service does not take, and the next of its key.
const POISON: &str = "k7.3";
const AFTER_POISON: &str = "k7.4";
/// A full queue, of about a thousand events.
const SMALL_QUEUE: [&str; 2] = ["--delivery-queue-bytes", "1048576"];

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "events-killed",
        fault: "200 events/s beside the callbacks; the only service killed (SIGKILL), back a minute later",
        promise: "no event lost; callbacks fall back at once, as fast as they were decided before",
        run: |lab| Box::pin(killed(lab)),
    },
    Scenario {
        name: "events-stopped",
        fault: "the same; the service stopped (SIGSTOP) for 8 s: accepts and hangs",
        promise: "no event lost",
        run: |lab| Box::pin(stopped(lab)),
    },
    Scenario {
        name: "events-hung",
        fault: "the same; the service answers no event for 8 s, but decides",
        promise: "no event lost, no fallback",
        run: |lab| Box::pin(during(lab, "After hang", 8)),
    },
    Scenario {
        name: "events-slow",
        fault: "the same; the service takes 1 s for each event for 10 s: at most 64 per second",
        promise: "no event lost, no fallback",
        run: |lab| Box::pin(during(lab, "After slow 1000", 10)),
    },
    Scenario {
        name: "events-unavailable",
        fault: "the same; the service answers UNAVAILABLE to everything for a minute",
        promise: "no event lost; callbacks fall back at once",
        run: |lab| Box::pin(unavailable(lab)),
    },
    Scenario {
        name: "events-exceptions",
        fault: "the same; the service answers UNKNOWN to events for 10 s, but decides",
        promise: "an event that failed five times is rejected, all others are delivered; no fallback",
        run: |lab| Box::pin(exceptions(lab)),
    },
    Scenario {
        name: "events-one-hung",
        fault: "the same; every AfterGroupMsgRead hangs, for 100 readers, more than 64 concurrently",
        promise: "no other event waits, no fallback; none lost once they are answered",
        run: |lab| Box::pin(one_hung(lab)),
    },
    Scenario {
        name: "events-poison",
        fault: "the same; one event is always answered RESOURCE_EXHAUSTED",
        promise: "it is rejected, and the next event of its key is delivered within 5 s; no other waits",
        run: |lab| Box::pin(poison(lab)),
    },
    Scenario {
        name: "events-drained",
        fault: "bridge stopped (SIGTERM) with a full queue; its service is just back and takes 0.3 s per event; the load continues for 2 s",
        promise: "the whole queue is delivered; exit 0",
        run: |lab| Box::pin(drained(lab, true)),
    },
    Scenario {
        name: "events-drained-alone",
        fault: "the same without its service",
        promise: "the queue is logged as lost, and not waited for; exit 0",
        run: |lab| Box::pin(drained(lab, false)),
    },
    Scenario {
        name: "events-bridge-killed",
        fault: "bridge killed (SIGKILL) while the service hangs on events; restarted at once",
        promise: "only the queue is lost; later events are delivered",
        run: |lab| Box::pin(bridge_killed(lab)),
    },
];

/// A service, a bridge before it, and both loads.
struct Scene {
    service: Told,
    bridge: Program,
    callbacks: Load,
    events: Events,
}

impl Scene {
    async fn start(lab: &Lab, args: &[&str]) -> anyhow::Result<Self> {
        let service = Told::start().await?;
        let bridge = lab.bridge(&[service.url()], args).await?;
        let (callbacks, events) = (lab.load(&bridge), Events::start(bridge.address, lab.rate, KEYS));
        Ok(Self { service, bridge, callbacks, events })
    }

    /// Stops the loads, and waits until nothing is queued.
    async fn end(mut self) -> anyhow::Result<Ended> {
        let (callbacks, events) = (self.callbacks.finish().await?, self.events.finish().await?);
        let counted = Counted::settled(&self.bridge, DELIVERED).await?;
        still_running(&mut self.bridge)?;
        let (run, record) = (Run::of(callbacks, &self.bridge), self.service.record()?);
        Ok(Ended { run, sent: events, counted, record, bridge: self.bridge })
    }
}

struct Ended {
    bridge: Program,
    run: Run,
    sent: Sent,
    counted: Counted,
    record: Record,
}

async fn killed(lab: &Lab) -> anyhow::Result<Run> {
    let mut scene = Scene::start(lab, &[]).await?;
    let began = Instant::now();
    seconds(8).await;
    let fault = Instant::now();
    scene.service.kill().await?;
    until(fault, MINUTE).await;
    let queued = Counted::by(&scene.bridge).await?.queued;
    scene.service.start_again().await?;
    let back = Instant::now();
    seconds(8).await;
    let Ended { mut run, sent, counted, record, .. } = scene.end().await?;
    run.note(format!("{queued} queued after a minute"));
    run.all_delivered(&sent, &counted, &record);
    let meanwhile = run.callbacks.within(fault + GRACE, fault + MINUTE);
    let before = run.callbacks.within(began, fault);
    quick(&mut run, &before, &meanwhile, "while it is away");
    let after = run.callbacks.since(back + GRACE);
    quick(&mut run, &before, &after, "while what was queued is delivered");
    run.no_fallback_since(back + GRACE);
    Ok(run)
}

/// Holds how quickly callbacks are answered against how quickly they were decided before.
fn quick(run: &mut Run, before: &Callbacks, now: &Callbacks, when: &str) {
    let (before, now) = (p99(before.all()), p99(now.all()));
    run.note(format!("p99 {:.1} -> {:.1} ms {when}", before.as_secs_f64() * 1e3, now.as_secs_f64() * 1e3));
    let most = (before * 2).max(before + Duration::from_millis(2));
    run.promise(now <= most, format!("p99 rose from {before:?} to {now:?} {when}"));
}

async fn stopped(lab: &Lab) -> anyhow::Result<Run> {
    let scene = Scene::start(lab, &[]).await?;
    seconds(3).await;
    let (fault, limit) = (Instant::now(), Duration::from_secs(3));
    scene.service.program()?.signal(Signal::SIGSTOP)?;
    until(fault, Duration::from_secs(8)).await;
    scene.service.program()?.signal(Signal::SIGCONT)?;
    let back = Instant::now();
    seconds(5).await;
    let Ended { mut run, sent, counted, record, bridge } = scene.end().await?;
    run.found(&bridge, "is ejected", fault, limit);
    run.all_delivered(&sent, &counted, &record);
    let longest = slowest(run.callbacks.within(fault + limit, back).fell_back());
    run.promise(longest <= PROMPT, format!("a fallback took {longest:?} with no endpoint healthy"));
    run.no_fallback_since(back + Duration::from_secs(1));
    Ok(run)
}

/// The service does this with events for a while, and decides all the time.
async fn during(lab: &Lab, rules: &str, time: u64) -> anyhow::Result<Run> {
    let scene = Scene::start(lab, &[]).await?;
    let began = Instant::now();
    seconds(4).await;
    let fault = Instant::now();
    scene.service.does(rules)?;
    seconds(time).await;
    let queued = Counted::by(&scene.bridge).await?.queued;
    scene.service.does("")?;
    let back = Instant::now();
    seconds(4).await;
    let Ended { mut run, sent, counted, record, .. } = scene.end().await?;
    run.note(format!("{queued} queued at the end of it"));
    run.all_delivered(&sent, &counted, &record);
    run.no_fallback_since(began);
    let (before, meanwhile) = (run.callbacks.within(began, fault), run.callbacks.within(fault, back));
    quick(&mut run, &before, &meanwhile, "meanwhile");
    Ok(run)
}

async fn unavailable(lab: &Lab) -> anyhow::Result<Run> {
    let scene = Scene::start(lab, &[]).await?;
    let began = Instant::now();
    seconds(8).await;
    let fault = Instant::now();
    scene.service.does(&format!("After status {UNAVAILABLE}\nBefore status {UNAVAILABLE}\n"))?;
    until(fault, MINUTE).await;
    scene.service.does("")?;
    let back = Instant::now();
    seconds(8).await;
    let Ended { mut run, sent, counted, record, .. } = scene.end().await?;
    run.all_delivered(&sent, &counted, &record);
    let before = run.callbacks.within(began, fault);
    let meanwhile = run.callbacks.within(fault + GRACE, fault + MINUTE);
    let decided = meanwhile.decided().count();
    run.promise(decided == 0, format!("{decided} were decided by nobody"));
    quick(&mut run, &before, &meanwhile, "meanwhile");
    // Probes of an ejected endpoint come up to 2 s after one another.
    run.no_fallback_since(back + Duration::from_secs(3));
    Ok(run)
}

async fn exceptions(lab: &Lab) -> anyhow::Result<Run> {
    let scene = Scene::start(lab, &[]).await?;
    let began = Instant::now();
    seconds(4).await;
    scene.service.does(&format!("After status {UNKNOWN}"))?;
    seconds(10).await;
    scene.service.does("")?;
    seconds(4).await;
    let Ended { mut run, sent, counted, record, .. } = scene.end().await?;
    run.even(&sent, &counted, &record);
    run.all_answered(&sent);
    let (answered, ended) = (sent.answered(), counted.delivered + counted.rejected);
    run.promise(ended == answered, format!("{ended} of {answered} were delivered or rejected"));
    let too_few = record.given_up(5);
    run.promise(too_few == 0, format!("{too_few} were given up after fewer than five attempts"));
    run.no_fallback_since(began);
    Ok(run)
}

/// One callback takes half of the calls at most: so what waits behind it is only its own.
async fn one_hung(lab: &Lab) -> anyhow::Result<Run> {
    let scene = Scene::start(lab, &[]).await?;
    let began = Instant::now();
    seconds(4).await;
    // A callback that is not among the others.
    let readers = Events::start_of(READERS, scene.bridge.address, 20, 100, "reader");
    scene.service.does("AfterGroupMsgRead hang")?;
    seconds(12).await;
    let queued = Counted::by(&scene.bridge).await?.queued;
    scene.service.does("")?;
    let mut all = readers.finish().await?;
    seconds(4).await;
    let Ended { mut run, sent, counted, record, .. } = scene.end().await?;
    all.extend(sent);
    run.note(format!("{queued} queued at the end of it"));
    run.promise(queued > 64, format!("only {queued} were queued, too few to show anything"));
    run.all_delivered(&all, &counted, &record);
    let (delay, number) = record.delay(100, |operation| !operation.starts_with("reader"));
    run.note(format!("the slowest of {number} others delivered within {delay:.0} ms"));
    run.promise(delay <= PROMPT.as_secs_f64() * 1000.0, format!("another event waited for {delay:.0} ms"));
    run.no_fallback_since(began);
    Ok(run)
}

async fn poison(lab: &Lab) -> anyhow::Result<Run> {
    let scene = Scene::start(lab, &[]).await?;
    let began = Instant::now();
    scene.service.does(&format!("{POISON} status {RESOURCE_EXHAUSTED}"))?;
    seconds(12).await;
    let Ended { mut run, sent, counted, record, .. } = scene.end().await?;
    run.even(&sent, &counted, &record);
    run.all_answered(&sent);
    run.promise(counted.rejected == 1, format!("{} were rejected", counted.rejected));
    run.promise(record.attempts(POISON) == 5, format!("it was tried {} times", record.attempts(POISON)));
    match record.between(POISON, AFTER_POISON) {
        Some(time) => {
            run.note(format!("its key's next delivered {:.1} s after", time.as_secs_f64()));
            run.promise(time <= Duration::from_secs(5), format!("its key waited for {time:?}"));
        }
        None => run.promise(false, "the next of its key was not delivered"),
    }
    let (delay, _) = record.delay(100, |operation| !operation.starts_with("k7."));
    run.promise(delay <= PROMPT.as_secs_f64() * 1000.0, format!("another event waited for {delay:.0} ms"));
    run.no_fallback_since(began);
    Ok(run)
}

async fn drained(lab: &Lab, with_service: bool) -> anyhow::Result<Run> {
    let mut scene = Scene::start(lab, &SMALL_QUEUE).await?;
    seconds(3).await;
    scene.service.kill().await?;
    let full = Instant::now();
    while Counted::by(&scene.bridge).await?.dropped == 0 {
        anyhow::ensure!(full.elapsed() < MINUTE, "the queue does not fill");
        seconds(1).await;
    }
    let queued = Counted::by(&scene.bridge).await?.queued;
    // 213 a second: delivering takes longer than the listener is open.
    scene.service.does("After slow 300")?;
    if with_service {
        scene.service.start_again().await?;
    }
    let fault = Instant::now();
    scene.bridge.signal(Signal::SIGTERM)?;
    until(fault, Duration::from_secs(2)).await;
    let (callbacks, sent) = (scene.callbacks.finish().await?, scene.events.finish().await?);
    // The last that it counts before it is gone.
    let mut counted = Counted::by(&scene.bridge).await?;
    let status = loop {
        match Counted::by(&scene.bridge).await {
            Ok(newer) => counted = newer,
            Err(_gone) => break scene.bridge.wait().await?,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let took = fault.elapsed();
    let lost = lost(&scene.bridge)?;
    let mut run = Run::of(callbacks, &scene.bridge);
    run.note(format!("{queued} queued at the signal, exit after {:.1} s", took.as_secs_f64()));
    run.promise(status.success(), format!("it ended with {status}"));
    run.promise(took <= Duration::from_secs(26), format!("it ended after {took:?}"));
    let record = scene.service.record()?;
    // What it counted last may be of just before the end.
    counted = Counted { lost, queued: 0, delivered: counted.delivered.max(record.ok.len()), ..counted };
    run.even(&sent, &counted, &record);
    run.all_answered(&sent);
    run.promise(counted.dropped > 0 && queued > 500, "the queue was not full");
    if with_service {
        run.promise(lost == 0, format!("{lost} were lost"));
        run.no_fallback_since(fault + GRACE);
    } else {
        run.promise(lost >= queued && lost > 0, format!("{lost} were lost, of {queued} and more that were queued"));
        run.promise(took <= Duration::from_secs(7), "it waited for a service that was not there");
    }
    Ok(run)
}

async fn bridge_killed(lab: &Lab) -> anyhow::Result<Run> {
    let scene = Scene::start(lab, &[]).await?;
    seconds(3).await;
    scene.service.does("After hang")?;
    seconds(3).await;
    let (callbacks, sent) = (scene.callbacks.finish().await?, scene.events.finish().await?);
    // Nothing comes any more and nothing is delivered, so that all stays as it is counted.
    let mut counted = Counted::by(&scene.bridge).await?;
    scene.bridge.stop().await?;
    scene.service.does("")?;
    let record = scene.service.record()?;
    let not_told = sent.answered() - record.ok.len();

    let bridge = lab.bridge(&[scene.service.url()], &[]).await?;
    let (again, more) = (lab.load(&bridge), Events::start_named(bridge.address, lab.rate, KEYS, "again"));
    let back = Instant::now();
    seconds(3).await;
    let (again, more) = (again.finish().await?, more.finish().await?);
    let after = Counted::settled(&bridge, DELIVERED).await?;
    let mut run = Run::of(callbacks, &bridge);
    run.callbacks.extend(again);
    run.no_fallback_since(back);
    run.promise(counted.queued > 300, format!("only {} were queued, too few to show anything", counted.queued));
    run.promise(not_told == counted.queued, format!("{not_told} were lost, and {} were queued", counted.queued));
    (counted.lost, counted.queued) = (counted.queued, 0);
    run.even(&sent, &counted, &record);
    run.all_answered(&sent);
    let record = scene.service.record()?.of_keys("again");
    run.all_delivered(&more, &after, &record);
    Ok(run)
}
