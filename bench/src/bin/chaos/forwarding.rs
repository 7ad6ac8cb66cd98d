//! Callbacks that are forwarded to the receiver that a team already has, and what goes wrong with that receiver.

use std::time::Duration;

use openim_bridge_bench::{answer::Told, load::Callbacks, metrics::Metrics, program::Program};
use tokio::time::Instant;

use crate::{
    lab::{GRACE, Lab, MARGIN, PROMPT, Run, Scenario, seconds, still_running, until},
    old_receiver::{GARBAGE, OldReceiver, Way},
};

/// For how long the receiver is at fault.
const FAULT: Duration = Duration::from_secs(5);
/// The callback's own deadline: at 200 a second fewer callbacks wait at one time than OpenIM's client has connections.
const TIMEOUT: Duration = Duration::from_millis(400);

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "forward-killed",
        fault: "`route: forward`; the old receiver's connections reset and its port closed, back 5 s later",
        promise: "all fall back, at once; none 0.5 s after it is back; none received twice",
        run: |lab| Box::pin(during(lab, Way::Gone)),
    },
    Scenario {
        name: "forward-hung",
        fault: "the same; it reads for 5 s and answers nothing; the callback's `timeout` is 400 ms",
        promise: "all fall back as timeout, at the deadline; none 0.5 s after; none received twice",
        run: |lab| Box::pin(during(lab, Way::Hangs)),
    },
    Scenario {
        name: "forward-closing",
        fault: "the same; for 5 s it closes each kept connection as the next request arrives",
        promise: "the callback on it falls back, at once; the next is decided on a new one; none received twice",
        run: |lab| Box::pin(during(lab, Way::ClosesKept)),
    },
    Scenario {
        name: "forward-large",
        fault: "the same; for 5 s it answers 3 MB",
        promise: "all fall back; none 0.5 s after; none received twice",
        run: |lab| Box::pin(during(lab, Way::Large)),
    },
    Scenario {
        name: "forward-garbage",
        fault: "the same; for 5 s it answers HTML",
        promise: "passed on unchanged, and each counted as `undecodable`; no fallback",
        run: |lab| Box::pin(during(lab, Way::Garbage)),
    },
];

async fn during(lab: &Lab, way: Way) -> anyhow::Result<Run> {
    let mut receiver = OldReceiver::start()?;
    let callback = format!("beforeSetFriendRemark.timeout={}ms", TIMEOUT.as_millis());
    let url = format!("http://{}/old", receiver.address);
    let args = ["--callback", "beforeSetFriendRemark.route=forward", "--callback", &callback, "--forward-url", &url];
    let mut bridge = lab.bridge(&[], &args).await?;
    let load = lab.load(&bridge);
    seconds(3).await;
    let fault = Instant::now();
    receiver.turn(way).await?;
    until(fault, FAULT).await;
    receiver.turn(Way::Answers).await?;
    let back = Instant::now();
    seconds(3).await;
    still_running(&mut bridge)?;
    let callbacks = load.finish().await?;
    let meanwhile = callbacks.within(fault + GRACE, back - GRACE);
    let mut run = if way == Way::Garbage {
        garbage(callbacks, &bridge).await?
    } else {
        let mut run = Run::of(callbacks, &bridge);
        fell_back(&mut run, &meanwhile, way);
        run
    };
    let slowest = run.callbacks.slowest();
    run.promise(slowest <= TIMEOUT + MARGIN, format!("one took {slowest:?}"));
    run.no_fallback_since(back + GRACE);
    let twice = receiver.twice();
    run.promise(twice == 0, format!("the receiver got {twice} callbacks more than once"));
    run.note(format!("{} received by the receiver, {twice} of them twice", receiver.got()));
    run.note(format!("{} connections", receiver.connections()));
    Ok(run)
}

/// Holds what fell back, while the receiver was at fault, against what is promised of that fault.
fn fell_back(run: &mut Run, meanwhile: &Callbacks, way: Way) {
    let (sent, fell) = (meanwhile.sent(), meanwhile.fell_back().count());
    run.promise(sent > 0, "nothing was sent meanwhile");
    if way == Way::ClosesKept {
        let decided = meanwhile.decided().count();
        run.promise(fell > 0 && decided > 0, format!("{fell} fell back and {decided} were decided"));
    } else {
        run.promise(fell == sent, format!("{fell} of {sent} fell back"));
    }
    if way == Way::Hangs {
        let late = meanwhile.fell_back().filter(|callback| callback.told == Told::FellBack(9920)).count();
        run.promise(late == fell, format!("{late} of {fell} as timeout"));
    } else {
        let slowest = meanwhile.slowest();
        run.promise(slowest < TIMEOUT.min(PROMPT), format!("a fallback took {slowest:?}"));
    }
}

/// Garbage is no answer in OpenIM's shape, so it is held by what it is.
async fn garbage(callbacks: Callbacks, bridge: &Program) -> anyhow::Result<Run> {
    let all = callbacks.bad().count();
    let wanted = Told::Wrong(GARBAGE.escape_ascii().to_string());
    let passed = callbacks.bad().filter(|callback| callback.told == wanted).count();
    let admin = bridge.admin().ok_or_else(|| anyhow::anyhow!("no listener for operators"))?;
    let counted = Metrics::scrape(admin).await?.count("openim_bridge_callbacks_total", "reason=\"undecodable\"");
    let fell_back = callbacks.fell_back().count();
    let mut run = Run { callbacks, ..Run::default() };
    run.promise(passed > 0 && passed == all, format!("{all} were not answered right, {passed} as the receiver did"));
    run.promise(counted == passed, format!("{counted} counted as undecodable of {passed}"));
    run.promise(fell_back == 0, format!("{fell_back} fell back"));
    run.note(format!("{passed} passed on, {counted} counted as undecodable"));
    Ok(run)
}
