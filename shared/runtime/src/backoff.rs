//! Exponential back-off with full jitter (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).

use std::time::Duration;

use rand::RngExt as _;

/// Delays between tries of one operation.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    tries: u32,
}

impl Backoff {
    /// Delays uniform in `0..=min(cap, base · 2ⁿ)`.
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, tries: 0 }
    }

    /// The delay before the next try.
    pub fn next_delay(&mut self) -> Duration {
        let ceiling = self.base.saturating_mul(1 << self.tries.min(20)).min(self.cap);
        self.tries = self.tries.saturating_add(1);
        ceiling.mul_f64(rand::rng().random_range(0.0..=1.0))
    }

    /// How many delays were given out since the start or the last reset.
    pub const fn tries(&self) -> u32 {
        self.tries
    }

    /// The operation worked: start over.
    pub const fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_cap_and_starts_over() {
        let cap = Duration::from_secs(1);
        let mut backoff = Backoff::new(Duration::from_millis(10), cap);
        assert!(backoff.next_delay() <= Duration::from_millis(10));
        let longest = (0..200).map(|_| backoff.next_delay()).max().unwrap();
        assert!(longest <= cap && longest > cap / 2, "{longest:?}");
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(10));
    }
}
