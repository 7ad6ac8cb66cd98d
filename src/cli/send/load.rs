//! Many callbacks: so many callers at a time, or so many callbacks a second, or both.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use reqwest::Url;
use tokio::sync::Semaphore;

use super::client::OpenImClient;
use super::report::SHOWN_BYTES;
use super::tally::Tally;
use crate::base::text::one_line;
use crate::callback::Callback;
use crate::cli::progress::Progress;
use crate::openim::client::CallbackRequest;

/// How often the progress line is written again.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
pub struct LoadPlan {
    pub count: NonZeroU64,
    /// Requests in flight, at most.
    pub concurrency: NonZeroUsize,
    /// So many a second, or as fast as the answers come.
    pub rate: Option<NonZeroU32>,
}

/// One of the callbacks that are sent.
pub(super) struct Part {
    pub(super) callback: &'static Callback,
    pub(super) url: Url,
    pub(super) request: CallbackRequest,
    /// How often it is sent, of the sum of all weights.
    pub(super) weight: i64,
    /// Where there are others.
    pub(super) tally: Option<Tally>,
}

/// Which of the parts is next: as evenly as their weights allow, so that no part comes in a burst.
struct Turns {
    /// By how much each has fallen behind.
    behind: Vec<i64>,
}

impl Turns {
    fn next(&mut self, parts: &[Part]) -> usize {
        let total: i64 = parts.iter().map(|part| part.weight).sum();
        for (behind, part) in self.behind.iter_mut().zip(parts) {
            *behind += part.weight;
        }
        let turn = (0..parts.len()).rev().max_by_key(|index| self.behind[*index]).unwrap_or_default();
        self.behind[turn] -= total;
        turn
    }
}

/// What came of it. Its `Display` is human-readable.
#[derive(Debug)]
pub struct LoadReport {
    /// Where it was posted to, without a password.
    pub url: String,
    /// What was to be sent.
    pub plan: LoadPlan,
    /// How long it took.
    pub elapsed: Duration,
    /// What was found of the callbacks that have ended. Fewer than planned where it was interrupted.
    pub tally: Tally,
    /// The same of each callback, where there are several.
    pub by_callback: Vec<(&'static str, Tally)>,
    /// How many were in flight when it was interrupted, of which nothing is known.
    pub given_up: u64,
}

/// Sends what `plan` says, until all is sent and has ended, or `interrupted`.
pub(super) async fn load(
    url: String,
    client: &OpenImClient,
    parts: Vec<Part>,
    own_id: impl Fn(&mut CallbackRequest, u64),
    plan: LoadPlan,
    tally: Tally,
    interrupted: impl Future<Output = ()>,
) -> LoadReport {
    let begin = Instant::now();
    let turns = RefCell::new(Turns { behind: vec![0; parts.len()] });
    let (parts, tally) = (RefCell::new(parts), RefCell::new(tally));
    let (next, under_way) = (Cell::new(0), Cell::new(0));
    let pacer = plan.rate.map(|rate| Pacer::start(begin, rate, plan.count));
    let call = async || {
        while next.get() < plan.count.get() {
            let number = next.replace(next.get() + 1);
            let due = match &pacer {
                Some(pacer) => pacer.due(number).await,
                None => Instant::now(),
            };
            let turn = turns.borrow_mut().next(&parts.borrow());
            let (url, mut request) = {
                let part = &parts.borrow()[turn];
                (part.url.clone(), part.request.clone())
            };
            own_id(&mut request, number);
            under_way.update(|calls| calls + 1);
            // To the end of the answer: to read what it says is not the bridge's time.
            let late = due.elapsed();
            let exchange = client.exchange_at(&url, &request).await;
            under_way.update(|calls| calls - 1);
            let latency = late + exchange.elapsed;
            tally.borrow_mut().add(latency, &exchange);
            if let Some(tally) = &mut parts.borrow_mut()[turn].tally {
                tally.add(latency, &exchange);
            }
        }
    };
    let show = async {
        let (mut progress, mut tick) = (Progress::new(), tokio::time::interval(TICK));
        loop {
            tick.tick().await;
            progress.show(&format!("{} of {}, {} in flight", tally.borrow().callbacks(), plan.count, under_way.get()));
        }
    };
    let callers =
        usize::try_from(plan.count.get()).map_or(plan.concurrency.get(), |all| plan.concurrency.get().min(all));
    let all = (0..callers).map(|_| call()).collect::<FuturesUnordered<_>>().for_each(async |()| {});
    tokio::select! {
        biased;
        () = interrupted => {}
        () = all => {}
        () = show => {}
    }
    let (elapsed, given_up) = (begin.elapsed(), under_way.get());
    let parts = parts.into_inner().into_iter();
    let by_callback = parts.filter_map(|part| Some((part.callback.name, part.tally?))).collect();
    let tally = tally.into_inner();
    LoadReport { url, plan, elapsed, tally, by_callback, given_up }
}

/// Says when each callback is due. It has a thread of its own since tokio's timers go by the millisecond, which would be
/// counted as latency.
struct Pacer {
    begin: Instant,
    rate: NonZeroU32,
    /// A permit for each callback that is due. Waiting is first come, first served, so that they go in order.
    permits: Arc<Semaphore>,
    /// Dropped, the thread ends.
    _stop: mpsc::Sender<()>,
}

impl Pacer {
    fn start(begin: Instant, rate: NonZeroU32, count: NonZeroU64) -> Self {
        let permits = Arc::new(Semaphore::new(0));
        let (stop, stopped) = mpsc::channel();
        let released = Arc::clone(&permits);
        thread::spawn(move || {
            for number in 0..count.get() {
                let wait = (begin + offset(number, rate)).saturating_duration_since(Instant::now());
                if stopped.recv_timeout(wait) != Err(mpsc::RecvTimeoutError::Timeout) {
                    return;
                }
                released.add_permits(1);
            }
        });
        Self { begin, rate, permits, _stop: stop }
    }

    /// Waits until this callback is due; when it was.
    async fn due(&self, number: u64) -> Instant {
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
        self.begin + offset(number, self.rate)
    }
}

/// When a callback is due, from the beginning.
fn offset(number: u64, rate: NonZeroU32) -> Duration {
    let rate = u64::from(rate.get());
    Duration::from_secs(number / rate) + Duration::from_nanos(number % rate * 1_000_000_000 / rate)
}

impl LoadReport {
    /// 0 when OpenIM could read every answer, 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(self.tally.callbacks() == 0 || self.tally.failed() > 0)
    }

    /// Whether it ended before all was sent and had ended.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.tally.callbacks() < self.plan.count.get()
    }

    fn per_second(&self) -> u64 {
        let micros = self.elapsed.as_micros().max(1);
        u64::try_from(u128::from(self.tally.callbacks()) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }

    const fn latency_from(&self) -> &'static str {
        if self.plan.rate.is_some() { "due" } else { "sent" }
    }

    /// For programs. Times are in microseconds.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "url": self.url,
            "count": self.plan.count,
            "concurrency": self.plan.concurrency,
            "rate": self.plan.rate,
            "interrupted": self.is_interrupted(),
            "givenUp": self.given_up,
            "elapsedMicros": u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX),
            "callbacks": self.tally.callbacks(),
            "perSecond": self.per_second(),
            "verdicts": self.tally.verdicts_json(),
            "origins": self.tally.origins_json(),
            "latencyFrom": self.latency_from(),
            "latencyMicros": self.tally.latency_json(),
            "histogram": self.tally.histogram_json(),
            "byCallback": self.by_callback.iter().map(|(name, tally)| serde_json::json!({
                "callback": name,
                "callbacks": tally.callbacks(),
                "verdicts": tally.verdicts_json(),
                "origins": tally.origins_json(),
                "latencyMicros": tally.latency_json(),
            })).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoadPlan { count, concurrency, rate } = self.plan;
        writeln!(f, "POST {}", one_line(&self.url, SHOWN_BYTES))?;
        let millis = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        write!(
            f,
            "{} callbacks in {}: {} a second",
            self.tally.callbacks(),
            humantime::format_duration(Duration::from_millis(millis)),
            self.per_second()
        )?;
        if let Some(rate) = rate {
            write!(f, ", where {rate} were due")?;
        }
        writeln!(f, "; up to {concurrency} in flight")?;
        if self.is_interrupted() {
            let unsent = count.get() - self.tally.callbacks() - self.given_up;
            writeln!(f, "interrupted: {} more were in flight, and {unsent} not sent", self.given_up)?;
        }
        writeln!(f, "\nwhat OpenIM would have made of the answers")?;
        self.tally.write_verdicts(f)?;
        writeln!(f, "\nwho decided")?;
        self.tally.write_origins(f)?;
        for (name, tally) in &self.by_callback {
            writeln!(f, "\n{name}: {}", tally.summary())?;
            tally.write_verdicts(f)?;
        }
        let from = if rate.is_some() { "when each callback was due" } else { "sending" };
        writeln!(f, "\nlatency, from {from} to the end of its answer, or to giving up")?;
        self.tally.write_latency(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_are_due_evenly() {
        let rate = |rate| NonZeroU32::new(rate).expect("a rate");
        assert_eq!(offset(0, rate(3)), Duration::ZERO);
        assert_eq!(offset(1, rate(3)), Duration::from_nanos(333_333_333));
        assert_eq!(offset(7, rate(3)), Duration::from_nanos(2_333_333_333));
        assert_eq!(offset(u64::MAX, NonZeroU32::MAX).as_secs(), u64::MAX / u64::from(u32::MAX));
    }
}
