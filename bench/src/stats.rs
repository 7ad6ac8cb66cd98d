//! Percentiles, and what several rounds come to.

/// The value that `percent` % of `sorted` do not exceed (the nearest rank). `None` of nothing.
#[must_use]
pub fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    per_mille(sorted, percent * 10)
}

/// The value that `per_mille` of a thousand of `sorted` do not exceed (the nearest rank). `None` of nothing.
#[must_use]
pub fn per_mille(sorted: &[f64], per_mille: usize) -> Option<f64> {
    let rank = (sorted.len() * per_mille).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The middle of these values: of an even number of them, the mean of the two in the middle. `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the values are copied, not computed")]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 50), Some(100.0));
        assert_eq!(percentile(&sorted, 99), Some(198.0));
        assert_eq!(percentile(&sorted, 100), Some(200.0));
        assert_eq!(percentile(&sorted[..1], 50), Some(1.0));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn the_thousandth_is_left_out_by_999_per_mille() {
        let sorted: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(per_mille(&sorted, 999), Some(999.0));
        assert_eq!(per_mille(&sorted[..999], 999), Some(999.0));
    }

    #[test]
    fn a_median_is_the_middle_in_whatever_order() {
        assert_eq!(median(&[9.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 100.0, 2.0]), Some(3.0));
        assert_eq!(median(&[]), None);
    }
}
