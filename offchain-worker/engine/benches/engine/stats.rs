//! Medians and ranges.

/// The middle one, the lower of two; none of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// `12.3 (10.1 to 13.0)`: the median, the smallest and the largest.
pub fn spread(values: &[f64]) -> String {
    let (Some(middle), Some(low), Some(high)) =
        (median(values), values.iter().copied().reduce(f64::min), values.iter().copied().reduce(f64::max))
    else {
        return "-".into();
    };
    match values {
        [_] => format!("{} (once)", figure(middle)),
        _ => format!("{} ({} to {})", figure(middle), figure(low), figure(high)),
    }
}

/// Three digits at least.
pub fn figure(value: f64) -> String {
    match value {
        v if v >= 1000.0 => {
            let whole = v.round() as u64;
            format!("{},{:03}", whole / 1000, whole % 1000)
        }
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Of each round's values the quotient: what disturbs a round disturbs both.
pub fn ratios(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a / b).collect()
}
