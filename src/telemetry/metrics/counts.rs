//! What callbacks have written so far, for the status page: the same numbers as in the text for Prometheus.

use prometheus::{core::Collector as _, proto::MetricFamily};

use crate::callback::Callback;
use crate::outcome::{Delivered, OutcomeKind, Reason, Source};

/// Seconds, from what a decision next door takes up to OpenIM's own cap.
pub(super) const BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0];

#[derive(Debug, Clone, Default)]
pub(crate) struct CallbackCounts {
    /// Those counted later stand behind.
    pub(crate) callbacks: Vec<OutcomeCount>,
    pub(crate) callback_duration: Times,
    pub(crate) decision_duration: Times,
    pub(crate) retries: u64,
    pub(crate) abandoned: u64,
    /// After callbacks by what became of them, added up over all callbacks; as [`Delivered::ALL`].
    pub(crate) deliveries: [u64; Delivered::ALL.len()],
    pub(crate) delivery_retries: u64,
}

/// What a series counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels {
    /// `None`: one that is not served.
    pub(crate) callback: Option<&'static Callback>,
    pub(crate) kind: OutcomeKind,
    pub(crate) source: Source,
    pub(crate) reason: Option<Reason>,
}

/// How many callbacks ended alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutcomeCount {
    pub(crate) of: Labels,
    pub(crate) count: u64,
}

/// How long something took, in seconds: a histogram.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) count: u64,
    sum: f64,
    /// How many took at most as long as the same place of [`BUCKETS`].
    buckets: [u64; BUCKETS.len()],
}

/// Where a percentile lies, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Estimate {
    /// In a bucket, and where in it if times were spread evenly over it.
    Within { from: f64, to: f64, about: f64 },
    /// Beyond the last bucket.
    Over(f64),
}

impl CallbackCounts {
    /// How many callbacks are of this kind.
    #[inline(never)]
    pub(crate) fn of(&self, is_of: &dyn Fn(&Labels) -> bool) -> u64 {
        self.callbacks.iter().filter(|counted| is_of(&counted.of)).map(|counted| counted.count).sum()
    }

    /// What was counted after `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let mut counts = self.clone();
        for (counted, before) in counts.callbacks.iter_mut().zip(&before.callbacks) {
            subtract(&mut counted.count, before.count);
        }
        for (counted, before) in counts.deliveries.iter_mut().zip(before.deliveries) {
            subtract(counted, before);
        }
        counts.callback_duration.subtract(&before.callback_duration);
        counts.decision_duration.subtract(&before.decision_duration);
        subtract(&mut counts.retries, before.retries);
        subtract(&mut counts.abandoned, before.abandoned);
        subtract(&mut counts.delivery_retries, before.delivery_retries);
        counts
    }
}

/// A counter never falls.
fn subtract(counted: &mut u64, before: u64) {
    *counted = counted.saturating_sub(before);
}

// Counts stay below 2^53.
#[allow(clippy::cast_precision_loss)]
impl Times {
    pub(super) fn of(histogram: &prometheus::Histogram) -> Self {
        let families = histogram.collect();
        let Some(metric) = families.iter().flat_map(MetricFamily::get_metric).next() else {
            return Self::default();
        };
        let histogram = metric.get_histogram();
        let mut times = Self { count: histogram.get_sample_count(), sum: histogram.get_sample_sum(), buckets: [0; _] };
        for (count, bucket) in times.buckets.iter_mut().zip(histogram.get_bucket()) {
            *count = bucket.cumulative_count();
        }
        times
    }

    fn subtract(&mut self, before: &Self) {
        subtract(&mut self.count, before.count);
        self.sum -= before.sum;
        for (count, before) in self.buckets.iter_mut().zip(before.buckets) {
            subtract(count, before);
        }
    }

    /// Seconds; `None` of nothing.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// What this part of all (0 to 1) takes at most, reckoned as Prometheus' `histogram_quantile` does; `None` of nothing.
    pub(crate) fn quantile(&self, part: f64) -> Option<Estimate> {
        if self.count == 0 {
            return None;
        }
        let rank = part * self.count as f64;
        let (mut from, mut before) = (0.0, 0);
        for (to, so_far) in BUCKETS.into_iter().zip(self.buckets) {
            if so_far > before && so_far as f64 >= rank {
                let into = (rank - before as f64) / (so_far - before) as f64;
                return Some(Estimate::Within { from, to, about: from + (to - from) * into.max(0.0) });
            }
            (from, before) = (to, so_far);
        }
        Some(Estimate::Over(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many took up to 1 s, 2 s and 4 s; nothing was quicker.
    fn times(count: u64, up_to: [u64; 3]) -> Times {
        let mut buckets = [0; BUCKETS.len()];
        let first = BUCKETS.iter().position(|bound| *bound >= 1.0).expect("a bucket");
        buckets[first..first + 3].copy_from_slice(&up_to);
        buckets[first + 3..].fill(up_to[2]);
        Times { count, sum: 0.0, buckets }
    }

    #[test]
    fn a_quantile_lies_in_its_bucket_as_far_as_its_rank_does() {
        let times = times(10, [0, 8, 9]);
        assert_eq!(times.quantile(0.5), Some(Estimate::Within { from: 1.0, to: 2.0, about: 1.625 }));
        assert_eq!(times.quantile(0.8), Some(Estimate::Within { from: 1.0, to: 2.0, about: 2.0 }));
        assert_eq!(times.quantile(0.9), Some(Estimate::Within { from: 2.0, to: 4.0, about: 4.0 }));
        assert_eq!(times.quantile(0.99), Some(Estimate::Over(15.0)));
    }

    #[test]
    fn nothing_has_no_quantile_and_no_mean() {
        let times = times(0, [0, 0, 0]);
        assert_eq!((times.quantile(0.5), times.mean()), (None, None));
    }
}
