//! What OpenIM would have made of many answers, and how long each took.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};
use serde_json::{Value, json};

use super::client::Exchange;
use super::report::decider;
use crate::base::error_chain;
use crate::base::text::one_line;
use crate::openim::client::OpenIm;

/// The percentiles that are told: their names, and the quantiles.
const PERCENTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];

/// Longer latencies are counted as this: an hour.
const MAX_LATENCY_MICROS: u64 = 3_600_000_000;

/// The longest bar of the histogram, in characters.
const BAR: u64 = 40;

/// So many characters are shown of a text from an answer.
const SHOWN_BYTES: usize = 200;

/// Beyond so many ends, further codes are not told apart: an answer can hold any number.
const MAX_KINDS: usize = 100;

/// How callbacks ended, and how long they took.
#[derive(Debug)]
pub struct Tally {
    ends: BTreeMap<TallyEnd, TallyEntry>,
    /// By what the answers' headers say of who decided.
    origins: BTreeMap<Option<String>, u64>,
    by_fallback: u64,
    /// In microseconds, each to three digits.
    latency: Histogram<u64>,
}

/// What OpenIM does. The order is that in which it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum TallyEnd {
    GoesOn {
        replaced: bool,
    },
    /// An after callback was taken.
    Told,
    Refused {
        code: i32,
    },
    OtherRefused,
    Fails {
        code: i32,
        name: &'static str,
        cause: &'static str,
    },
    /// An after callback was not taken.
    Lost {
        cause: &'static str,
    },
}

/// Callbacks with one end.
#[derive(Debug)]
struct TallyEntry {
    count: u64,
    /// Of the first one: the message of a refusal, or why it failed.
    text: String,
    /// Of the first one, where there is more to say.
    note: String,
}

impl Tally {
    /// With nothing in it.
    ///
    /// # Errors
    ///
    /// When the table of latencies cannot be made.
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            ends: BTreeMap::new(),
            origins: BTreeMap::new(),
            by_fallback: 0,
            latency: Histogram::new_with_bounds(1, MAX_LATENCY_MICROS, 3)?,
        })
    }

    /// Adds a callback that took so long, whatever its result: OpenIM's user waited for it.
    pub(super) fn add(&mut self, latency: Duration, exchange: &Exchange) {
        self.latency.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1));
        let mut end = TallyEnd::of(exchange);
        let is_new_code = matches!(end, TallyEnd::Refused { .. }) && !self.ends.contains_key(&end);
        if is_new_code && self.ends.len() >= MAX_KINDS {
            end = TallyEnd::OtherRefused;
        }
        self.ends.entry(end).or_insert_with(|| TallyEntry::like(exchange)).count += 1;
        if exchange.answer.is_ok() {
            let origin = exchange.origin().map(|origin| one_line(origin, SHOWN_BYTES).into_owned());
            let is_other = self.origins.len() >= MAX_KINDS && !self.origins.contains_key(&origin);
            *self.origins.entry(origin.filter(|_| !is_other)).or_default() += 1;
            self.by_fallback += u64::from(!exchange.is_by_no_fallback());
        }
    }

    /// How many callbacks there were.
    #[must_use]
    pub fn callbacks(&self) -> u64 {
        self.latency.len()
    }

    /// How many of them OpenIM could make nothing of.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let failed = self.ends.iter().filter(|(end, _)| matches!(end, TallyEnd::Fails { .. } | TallyEnd::Lost { .. }));
        failed.map(|(_, ends)| ends.count).sum()
    }

    /// How many the fallback decided, or who knows who.
    #[must_use]
    pub fn by_fallback(&self) -> u64 {
        self.by_fallback
    }

    /// How many OpenIM goes on with, with what its user did not ask for or not.
    #[must_use]
    pub fn gone_on(&self, replaced: bool) -> u64 {
        self.ends.get(&TallyEnd::GoesOn { replaced }).map_or(0, |ends| ends.count)
    }

    /// How many OpenIM refuses with this code.
    #[must_use]
    pub fn refused(&self, code: i32) -> u64 {
        self.ends.get(&TallyEnd::Refused { code }).map_or(0, |ends| ends.count)
    }

    /// A latency that this share of the callbacks did not exceed. `quantile` is from 0 to 1.
    #[must_use]
    pub fn latency_at(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(quantile))
    }

    pub(super) fn verdicts_json(&self) -> Value {
        let verdict = |(end, TallyEntry { count, text, .. }): (&TallyEnd, &TallyEntry)| match *end {
            TallyEnd::GoesOn { replaced } => json!({"kind": "goesOn", "replaced": replaced, "count": count}),
            TallyEnd::Told => json!({"kind": "told", "count": count}),
            TallyEnd::Lost { cause } => json!({"kind": "lost", "cause": cause, "why": text, "count": count}),
            TallyEnd::Refused { code } => json!({"kind": "refused", "errCode": code, "errMsg": text, "count": count}),
            TallyEnd::OtherRefused => json!({"kind": "refused", "errCode": null, "count": count}),
            TallyEnd::Fails { code, name, cause } => {
                json!({"kind": "fails", "errCode": code, "errMsg": name, "cause": cause, "why": text, "count": count})
            }
        };
        self.ends.iter().map(verdict).collect()
    }

    pub(super) fn origins_json(&self) -> Value {
        self.origins.iter().map(|(origin, count)| json!({"origin": origin, "count": count})).collect()
    }

    /// In microseconds; `null` where nothing was measured.
    pub(super) fn latency_json(&self) -> Value {
        if self.latency.is_empty() {
            return Value::Null;
        }
        let percentiles = PERCENTILES.map(|(name, quantile)| (name, self.latency.value_at_quantile(quantile)));
        let all = [("min", self.latency.min())].into_iter().chain(percentiles).chain([("max", self.latency.max())]);
        all.map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<serde_json::Map<_, _>>().into()
    }

    pub(super) fn histogram_json(&self) -> Value {
        self.bars().map(|(up_to, count)| json!({"upToMicros": up_to, "count": count})).collect()
    }

    /// In a line: how many, and how long they took.
    pub(super) fn summary(&self) -> String {
        let [p50, p99] = [0.5, 0.99].map(|quantile| millis(self.latency.value_at_quantile(quantile)));
        format!("{} callbacks, p50 {p50}, p99 {p99}", self.callbacks())
    }

    pub(super) fn write_verdicts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (end, TallyEntry { count, text, note }) in &self.ends {
            write!(f, "  {count:>9}  ")?;
            match end {
                TallyEnd::GoesOn { replaced: false } => write!(f, "goes on as its user asked")?,
                TallyEnd::GoesOn { replaced: true } => write!(f, "goes on with a change")?,
                TallyEnd::Told => write!(f, "goes on, and reads nothing of the answer")?,
                TallyEnd::Lost { .. } => write!(f, "goes on, and the callback is lost: {text}")?,
                TallyEnd::Refused { code } => write!(f, "refuses with errCode {code} \"{text}\"")?,
                TallyEnd::OtherRefused => write!(f, "refuses with still other codes")?,
                TallyEnd::Fails { code, name, .. } => write!(f, "fails its user's action with {code} {name}: {text}")?,
            }
            writeln!(f)?;
            if !note.is_empty() {
                writeln!(f, "             ({note})")?;
            }
        }
        if self.ends.is_empty() { writeln!(f, "  nothing: no callback has ended") } else { Ok(()) }
    }

    pub(super) fn write_origins(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (origin, count) in &self.origins {
            writeln!(f, "  {count:>9}  {}", decider(origin.as_deref()))?;
        }
        Ok(())
    }

    pub(super) fn write_latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.latency.is_empty() {
            return Ok(());
        }
        for (name, quantile) in PERCENTILES {
            writeln!(f, "  {name:<5} {:>9}", millis(self.latency.value_at_quantile(quantile)))?;
        }
        writeln!(f, "  {:<5} {:>9}\n", "max", millis(self.latency.max()))?;
        let longest = self.bars().map(|(_, count)| count).max().unwrap_or_default().max(1);
        for (up_to, count) in self.bars() {
            let bar = usize::try_from((count * BAR).div_ceil(longest)).unwrap_or_default();
            let line = format!("  up to {:>9}  {count:>9}  {}", millis(up_to), "#".repeat(bar));
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Bars of 1, 2, 5, 10, 20, 50 and so on: up to which microsecond, and how many. From the first to the last that
    /// has any.
    fn bars(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut bars: BTreeMap<u64, u64> = BTreeMap::new();
        for recorded in self.latency.iter_recorded() {
            *bars.entry(bar(recorded.value_iterated_to())).or_default() += recorded.count_at_value();
        }
        let last = bars.keys().next_back().copied().unwrap_or_default();
        let first = bars.keys().next().copied();
        std::iter::successors(first, |up_to| Some(bar(up_to + 1)))
            .take_while(move |up_to| *up_to <= last)
            .map(move |up_to| (up_to, bars.get(&up_to).copied().unwrap_or_default()))
    }
}

impl TallyEnd {
    fn of(exchange: &Exchange) -> Self {
        if exchange.is_lost() {
            return Self::Lost { cause: exchange.cause().unwrap_or("rejected") };
        }
        match exchange.open_im() {
            OpenIm::GoesOn if exchange.is_after() => Self::Told,
            OpenIm::GoesOn => {
                Self::GoesOn { replaced: exchange.effects().is_some_and(|effects| effects.changes().next().is_some()) }
            }
            OpenIm::Refused { code, .. } => Self::Refused { code },
            OpenIm::Fails { error, .. } => {
                Self::Fails { code: error.code(), name: error.name(), cause: exchange.cause().unwrap_or_default() }
            }
        }
    }
}

impl TallyEntry {
    fn like(exchange: &Exchange) -> Self {
        let text = match exchange.open_im() {
            OpenIm::GoesOn if exchange.is_lost() => "the bridge rejected it".to_owned(),
            OpenIm::GoesOn => String::new(),
            OpenIm::Refused { message, .. } => message.to_owned(),
            OpenIm::Fails { why, .. } => error_chain::text(why),
        };
        let note = exchange.cautions().into_iter().map(|(_, words)| words).collect::<Vec<_>>().join("; ");
        Self {
            count: 0,
            text: one_line(&text, SHOWN_BYTES).into_owned(),
            note: one_line(&note, SHOWN_BYTES).into_owned(),
        }
    }
}

/// The bar that a latency belongs to, by its upper end.
fn bar(micros: u64) -> u64 {
    let decade = 10_u64.saturating_pow(micros.max(1).ilog10());
    [1, 2, 5, 10].into_iter().map(|step| decade.saturating_mul(step)).find(|up_to| micros <= *up_to).unwrap_or(u64::MAX)
}

fn millis(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_go_by_1_2_and_5() {
        let up_to = [0, 1, 2, 3, 5, 6, 10, 11, 20, 21, 50, 51, 100, 101, 999_999].map(bar);
        assert_eq!(up_to, [1, 1, 2, 5, 5, 10, 10, 20, 20, 50, 50, 100, 100, 200, 1_000_000]);
        assert_eq!(bar(u64::MAX), u64::MAX);
    }

    #[test]
    fn bars_have_no_gaps_and_hold_every_latency() {
        let mut tally = Tally::new().expect("a tally");
        for micros in [3, 180, 200, 201, MAX_LATENCY_MICROS + 1] {
            tally.latency.saturating_record(micros);
        }
        let bars: Vec<_> = tally.bars().collect();
        assert_eq!(bars[..7], [(5, 1), (10, 0), (20, 0), (50, 0), (100, 0), (200, 2), (500, 1)]);
        assert_eq!(bars.iter().map(|(_, count)| count).sum::<u64>(), 5);
    }
}
