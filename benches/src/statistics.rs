//! The few statistics in use.

/// The smallest value.
pub fn minimum(values: &[f64]) -> Option<f64> {
    values.iter().copied().min_by(f64::total_cmp)
}

/// The value in the middle; of an even number of values the mean of both in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, upper))
}

/// The smallest value that at least `percent` of all are not above (nearest rank).
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let sorted = sorted(values);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Rounded to two decimals, as more of them would only pretend.
pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_nothing_there_is_nothing() {
        assert_eq!(minimum(&[]), None);
        assert_eq!(median(&[]), None);
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn order_does_not_matter() {
        let values = [5.0, 1.0, 4.0, 2.0];
        assert_eq!(minimum(&values), Some(1.0));
        assert_eq!(median(&values), Some(3.0));
        assert_eq!(median(&values[..3]), Some(4.0));
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=50).map(f64::from).collect();
        assert_eq!(percentile(&values, 50), Some(25.0));
        assert_eq!(percentile(&values, 99), Some(50.0));
        assert_eq!(percentile(&values, 0), Some(1.0));
    }
}
