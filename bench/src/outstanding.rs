//! Many callbacks at one time to a decision service that hangs: is each answered, and how late?
//!
//! Lateness runs from just before the first byte is sent, so what the benchmark itself takes counts against what it
//! measures; how late its own timer fires meanwhile is told beside it.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    task::JoinSet,
    time::{self, Instant},
};

use crate::{
    callback::{self, Answer},
    stats::percentile,
};

/// The remark at which the decision services of the benchmarks hang.
pub const HANGS: &str = "mock:hang";

/// An answer that comes sooner before its deadline than this was not waited for.
const EARLY: Duration = Duration::from_millis(50);

/// An answer that has not come this long after its deadline is missing.
const MISSING: Duration = Duration::from_secs(10);

/// How long around the deadline this program's own timer is watched.
const WATCHED: Duration = Duration::from_millis(50);

/// What became of all callbacks.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Milliseconds past the deadline of each answer, right or wrong, ascending.
    pub late: Vec<f64>,
    /// What was wrong with an answer, and how often.
    pub wrong: BTreeMap<String, usize>,
    /// Why there was none, and how often.
    pub missing: BTreeMap<String, usize>,
    /// The latest that the benchmark's own timer fired around the deadline, in milliseconds.
    pub own_delay: f64,
}

/// Opens as many connections as there are callbacks, and sends on each a callback at which the decision service hangs, all
/// at once. An answer is right when `right` says so and it came no sooner than at `timeout`.
///
/// # Errors
///
/// When a connection cannot be had.
pub async fn ask(
    address: SocketAddr,
    callbacks: usize,
    timeout: Duration,
    right: impl Fn(&Answer) -> bool,
) -> anyhow::Result<Outcome> {
    let mut connections = Vec::with_capacity(callbacks);
    for number in 0..callbacks {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot open connection {number}"))?;
        connections.push((stream, callback::request(address, &format!("hung-{number}"), HANGS)));
    }
    let mut answers = JoinSet::new();
    let started = Instant::now();
    for (mut stream, request) in connections {
        let deadline = Instant::now() + timeout;
        stream.write_all(&request).await.context("cannot send")?;
        answers.spawn(async move {
            let answer = time::timeout_at(deadline + MISSING, callback::read_answer(&mut stream)).await;
            (deadline, answer.unwrap_or_else(|_| bail!("no answer {MISSING:?} after the deadline")))
        });
    }
    let own_delay = tokio::spawn(own_delay(started + timeout));
    let mut outcome = Outcome::default();
    while let Some(joined) = answers.join_next().await {
        let (deadline, answer) = joined?;
        outcome.add(deadline, answer, &right);
    }
    outcome.own_delay = own_delay.await?;
    outcome.late.sort_by(f64::total_cmp);
    Ok(outcome)
}

/// How late, at most, a timer of this program's fires around the deadline, in milliseconds.
async fn own_delay(deadline: Instant) -> f64 {
    time::sleep_until(deadline - Duration::from_millis(20)).await;
    let mut most = 0.0_f64;
    while Instant::now() < deadline + WATCHED {
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

impl Outcome {
    fn add(&mut self, deadline: Instant, answer: anyhow::Result<Answer>, right: &impl Fn(&Answer) -> bool) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return *self.missing.entry(format!("{error:#}")).or_default() += 1,
        };
        self.late.push(milliseconds(answer.at, deadline));
        let wrong = if !right(&answer) {
            format!("{} {}", answer.status, answer.body.escape_ascii())
        } else if answer.at + EARLY < deadline {
            format!("more than {EARLY:?} before the deadline")
        } else {
            return;
        };
        *self.wrong.entry(wrong).or_default() += 1;
    }

    /// Whether all were answered rightly, however late.
    #[must_use]
    pub fn all_right(&self) -> bool {
        self.wrong.is_empty() && self.missing.is_empty()
    }

    /// The milliseconds past the deadline that `percent` % of the answers did not exceed.
    #[must_use]
    pub fn late_at(&self, percent: usize) -> f64 {
        percentile(&self.late, percent).unwrap_or(f64::NAN)
    }
}
