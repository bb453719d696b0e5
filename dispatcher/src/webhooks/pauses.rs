//! The pauses between the tries of a message. The default is the list that Standard Webhooks recommends.

use std::{str::FromStr, time::Duration};

use drydock_runtime::config::positive_duration;
use rand::RngExt as _;

/// Pauses in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pauses(Vec<Duration>);

impl FromStr for Pauses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(|pause| positive_duration(pause.trim())).collect::<Result<_, _>>().map(Self)
    }
}

impl Pauses {
    /// The pause after the failure number `step`, from 0, and up to a fifth more at random, so that messages that failed together do not
    /// come together. `None`: there is no further try.
    pub(crate) fn after(&self, step: usize) -> Option<Duration> {
        let pause = self.0.get(step)?;
        Some(pause.mul_f64(rand::rng().random_range(1.0..=1.2)))
    }

    /// Longer than any pause, with what is added and the time that a try takes.
    pub(crate) fn longest(&self) -> Duration {
        self.0.iter().max().map_or(Duration::ZERO, |longest| longest.mul_f64(1.3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_has_its_turn_and_a_little_more() {
        let pauses: Pauses = "5s, 5m,24h".parse().unwrap();
        for (step, least) in [(0, 5), (1, 300), (2, 86_400)] {
            let least = Duration::from_secs(least);
            let drawn: Vec<_> = (0..100).map(|_| pauses.after(step).unwrap()).collect();
            assert!(drawn.iter().all(|pause| (least..=least.mul_f64(1.2)).contains(pause)), "{drawn:?}");
            assert!(drawn.iter().any(|pause| *pause != drawn[0]));
        }
        assert_eq!(pauses.after(3), None);
        for text in ["", "5", "5s,,5m", "0s"] {
            assert!(text.parse::<Pauses>().is_err(), "{text}");
        }
    }
}
