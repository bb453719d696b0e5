//! How a batch goes about its jobs, on the command line.

use clap::Args;
use serde_json::{Map, Value};

/// Limits of a batch.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Settings {
    /// Run so many jobs first, and the others once all of these ended well; else pause
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    canary: Option<u32>,
    /// Have at most so many jobs under way at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_running: Option<u32>,
    /// Pause once more than this share of the jobs that ended have failed, like 10% or 0.1
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_failure_rate: Option<f64>,
    /// Pause once the batch has used so many minutes of slots
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..))]
    budget_slot_minutes: Option<u32>,
    /// Pause once the batch has used so many tokens, read and written, as its agents say
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..))]
    budget_tokens: Option<u64>,
}

impl Settings {
    /// As the API's fields; only what was given.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let fields = [
            ("canary", self.canary.map(Value::from)),
            ("max_running", self.max_running.map(Value::from)),
            ("max_failure_rate", self.max_failure_rate.map(Value::from)),
            ("budget_slot_minutes", self.budget_slot_minutes.map(Value::from)),
            ("budget_tokens", self.budget_tokens.map(Value::from)),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

fn share(text: &str) -> Result<f64, String> {
    let (digits, whole) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, 100.0));
    let share = digits.parse::<f64>().ok().map(|number| number / whole);
    share.filter(|share| (0.0..1.0).contains(share)).ok_or_else(|| "a share is written like 10% or 0.1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_both_ways() {
        for (text, is) in [("10%", 0.1), ("0.1", 0.1), ("0", 0.0), ("12.5%", 0.125)] {
            assert!((share(text).unwrap() - is).abs() < 1e-9, "{text}");
        }
        for text in ["10", "1", "100%", "-1%", "x", "%", "NaN"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
