//! What is printed: figures as they come, verdicts together at the end.

/// The verdicts so far.
#[derive(Default)]
pub(super) struct Report {
    verdicts: Vec<String>,
}

impl Report {
    #[expect(clippy::print_stdout, reason = "a command line program's own words")]
    #[expect(clippy::unused_self, reason = "one place that prints")]
    pub(super) fn line(&self, text: &str) {
        println!("{text}");
    }

    /// A value against its bar, smaller being better.
    pub(super) fn at_most(&mut self, what: &str, value: f64, bar: f64, unit: &str) {
        let verdict = if value <= bar { "met" } else { "MISSED" };
        self.verdicts.push(format!("{what:44} {value:9.1} {unit:4} bar {bar:6.0} {unit:4} {verdict}"));
    }

    /// A value against its bar, bigger being better.
    pub(super) fn at_least(&mut self, what: &str, value: f64, bar: f64, unit: &str) {
        let verdict = if value >= bar { "met" } else { "MISSED" };
        self.verdicts.push(format!("{what:44} {value:9.1} {unit:4} bar {bar:6.0} {unit:4} {verdict}"));
    }

    /// A value without a bar.
    pub(super) fn value(&mut self, what: &str, value: f64, unit: &str) {
        self.verdicts.push(format!("{what:44} {value:9.1} {unit}"));
    }

    pub(super) fn end(&self) {
        self.line("");
        for line in &self.verdicts {
            self.line(line);
        }
    }
}

/// The value below which `share` of the sorted values are: nearest rank.
pub(super) fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small counts"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

/// The middle value; of an even number of them, the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        let at = |share| percentile(&values, share);
        assert!((at(0.5) - 100.0).abs() < 1e-9 && (at(0.99) - 198.0).abs() < 1e-9);
        assert!((at(0.0) - 1.0).abs() < 1e-9 && (at(1.0) - 200.0).abs() < 1e-9);
        assert!((percentile(&[7.0], 0.99) - 7.0).abs() < 1e-9);
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9 && (median(&[4.0, 1.0]) - 2.5).abs() < 1e-9);
        assert!(percentile(&[], 0.5).is_nan() && median(&[]).is_nan());
    }
}
