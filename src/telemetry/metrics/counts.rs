//! What callbacks have written so far, for people: the same numbers as in the text for Prometheus.

use std::collections::BTreeMap;

use prometheus::{
    core::Collector as _,
    proto::{Metric, MetricFamily},
};

use super::Metrics;
use super::outcomes::NO_REASON;

#[derive(Debug)]
pub(crate) struct CallbackCounts {
    pub(crate) callbacks: Vec<OutcomeCount>,
    pub(crate) callback_duration: Times,
    pub(crate) decision_duration: Times,
    pub(crate) retries: u64,
    pub(crate) abandoned: u64,
    /// After callbacks by what became of them, added up over all callbacks.
    pub(crate) deliveries: BTreeMap<String, u64>,
    pub(crate) delivery_retries: u64,
}

/// How many callbacks ended alike. Names are those of the labels.
#[derive(Debug)]
pub(crate) struct OutcomeCount {
    pub(crate) outcome: String,
    pub(crate) source: String,
    pub(crate) reason: Option<String>,
    pub(crate) count: u64,
}

/// How long something took, in seconds: a histogram.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) count: u64,
    sum: f64,
    /// Each one's upper bound, and how many took at most that long.
    buckets: Vec<(f64, u64)>,
}

/// Where a percentile lies, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Estimate {
    /// In a bucket, and where in it if times were spread evenly over it.
    Within { from: f64, to: f64, about: f64 },
    /// Beyond the last bucket.
    Over(f64),
}

impl Metrics {
    pub(crate) fn counts(&self) -> CallbackCounts {
        let families = self.outcomes.families();
        let callbacks = families.iter().flat_map(MetricFamily::get_metric).map(OutcomeCount::of);
        CallbackCounts {
            callbacks: callbacks.filter(|counted| counted.count > 0).collect(),
            callback_duration: Times::of(&self.callback_duration),
            decision_duration: Times::of(&self.decision_duration),
            retries: self.retries.get(),
            abandoned: self.abandoned.get(),
            deliveries: self.deliveries_by_result(),
            delivery_retries: self.delivery_retries.get(),
        }
    }
}

impl Metrics {
    fn deliveries_by_result(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for metric in self.deliveries.collect().iter().flat_map(MetricFamily::get_metric) {
            *sums.entry(value_of(metric, "result")).or_insert(0) += count_of(metric);
        }
        sums
    }
}

fn value_of(metric: &Metric, name: &str) -> String {
    let label = metric.get_label().iter().find(|label| label.name() == name);
    label.map(|label| label.value().to_owned()).unwrap_or_default()
}

/// The library hands on whole numbers as floating point.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn count_of(metric: &Metric) -> u64 {
    metric.get_counter().get_value() as u64
}

impl OutcomeCount {
    fn of(metric: &Metric) -> Self {
        Self {
            outcome: value_of(metric, "outcome"),
            source: value_of(metric, "source"),
            reason: Some(value_of(metric, "reason")).filter(|reason| reason != NO_REASON),
            count: count_of(metric),
        }
    }
}

// Counts stay below 2^53.
#[allow(clippy::cast_precision_loss)]
impl Times {
    fn of(histogram: &prometheus::Histogram) -> Self {
        let families = histogram.collect();
        let Some(metric) = families.iter().flat_map(MetricFamily::get_metric).next() else {
            return Self::default();
        };
        let histogram = metric.get_histogram();
        let bounds = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
        Self {
            count: histogram.get_sample_count(),
            sum: histogram.get_sample_sum(),
            buckets: bounds.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect(),
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
        for &(to, so_far) in &self.buckets {
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

    fn times(count: u64, buckets: &[(f64, u64)]) -> Times {
        Times { count, sum: 0.0, buckets: buckets.to_vec() }
    }

    #[test]
    fn a_quantile_lies_in_its_bucket_as_far_as_its_rank_does() {
        let times = times(10, &[(1.0, 0), (2.0, 8), (4.0, 9)]);
        assert_eq!(times.quantile(0.5), Some(Estimate::Within { from: 1.0, to: 2.0, about: 1.625 }));
        assert_eq!(times.quantile(0.8), Some(Estimate::Within { from: 1.0, to: 2.0, about: 2.0 }));
        assert_eq!(times.quantile(0.9), Some(Estimate::Within { from: 2.0, to: 4.0, about: 4.0 }));
        assert_eq!(times.quantile(0.99), Some(Estimate::Over(4.0)));
    }

    #[test]
    fn nothing_has_no_quantile_and_no_mean() {
        let times = times(0, &[(1.0, 0)]);
        assert_eq!((times.quantile(0.5), times.mean()), (None, None));
    }
}
