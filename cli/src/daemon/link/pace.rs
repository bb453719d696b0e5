//! When to connect again: at once after a connection that stood, then ever more rarely.

use std::time::Duration;

use drydock_runtime::Backoff;

/// The first delay; each further one is up to twice as long.
const BASE: Duration = Duration::from_secs(1);
/// The longest.
const CAP: Duration = Duration::from_secs(60);
/// Failures in a row that are told.
const TOLD: u32 = 10;
/// A connection that stood for so long earns tries without delay.
const STEADY: Duration = Duration::from_secs(5);
/// How many of those there are in a row for connections that break soon.
const FREE: u32 = 3;

/// The delays between tries.
#[derive(Debug)]
pub(crate) struct Pace {
    failures: u32,
    free: u32,
    jitter: Backoff,
}

impl Default for Pace {
    fn default() -> Self {
        Self { failures: 0, free: FREE, jitter: Backoff::new(BASE / 2, CAP / 2) }
    }
}

impl Pace {
    /// A connection ended that had stood for so long: the delay before the next try.
    pub(crate) fn lost(&mut self, stood: Duration) -> Duration {
        if stood >= STEADY {
            self.free = FREE;
        }
        self.failures = 0;
        if self.free > 0 {
            self.free -= 1;
            self.jitter.reset();
            return Duration::ZERO;
        }
        self.delay()
    }

    /// A try failed: the delay before the next.
    pub(crate) fn failed(&mut self) -> Duration {
        self.failures += 1;
        self.delay()
    }

    /// Half of it for certain, the other half by chance, so that daemons do not come back all at once.
    fn delay(&mut self) -> Duration {
        let whole = BASE.saturating_mul(1 << self.jitter.tries().min(20)).min(CAP);
        whole / 2 + self.jitter.next_delay()
    }

    /// Failures in a row, where that is to be told now.
    pub(crate) const fn to_tell(&self) -> Option<u32> {
        if self.failures == TOLD { Some(self.failures) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_then_doubling_to_the_cap() {
        let mut pace = Pace::default();
        assert_eq!(pace.lost(Duration::from_secs(60)), Duration::ZERO);
        let mut told = Vec::new();
        for number in 0..12 {
            let (delay, whole) = (pace.failed(), f64::from((1 << number).min(60)));
            assert!((whole / 2.0..=whole).contains(&delay.as_secs_f64()), "{number}: {delay:?}");
            told.push(pace.to_tell());
        }
        assert_eq!(told.iter().flatten().count(), 1, "told once");
        assert_eq!(told[9], Some(10));
    }

    #[test]
    fn connections_that_break_at_once_are_not_made_again_at_once_for_ever() {
        let mut pace = Pace::default();
        let delays: Vec<Duration> = (0..5).map(|_| pace.lost(Duration::ZERO)).collect();
        assert_eq!(delays[..3], [Duration::ZERO; 3]);
        assert!(delays[3] >= Duration::from_millis(500) && delays[4] > Duration::from_millis(900), "{delays:?}");
        assert_eq!(pace.lost(STEADY), Duration::ZERO);
    }
}
