//! Percentiles and paired ratios.

/// The value below which `share` (0 to 1) of the samples lie, by nearest rank. Zero for no samples.
pub(super) fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank among some thousand samples"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// Median, least and greatest of some ratios.
pub(super) fn spread(ratios: &[f64]) -> (f64, f64, f64) {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (percentile(ratios, 0.5), least, greatest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let samples: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((percentile(&samples, 0.5) - 50.0).abs() < f64::EPSILON);
        assert!((percentile(&samples, 0.99) - 99.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 0.5).abs() < f64::EPSILON);
        assert_eq!(spread(&[1.2, 1.0, 1.1]), (1.1, 1.0, 1.2));
    }
}
