//! How fast jobs are admitted, over the last second or so.

use std::time::Duration;

use tokio::time::Instant;

/// Rest between two rounds while tickets for many times as long wait in the broker.
const REST: Duration = Duration::from_millis(20);
/// Share of a second of claims that may wait in the broker, so that short jobs find their next ticket there.
const LOOKAHEAD_S: f64 = 0.25;

pub(super) struct Pace {
    since: Instant,
    count: usize,
    per_second: f64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), count: 0, per_second: 0.0 }
    }

    pub(super) fn admitted(&mut self, count: usize) {
        self.count += count;
        let elapsed = self.since.elapsed();
        if elapsed.as_secs() >= 1 {
            self.per_second = self.count as f64 / elapsed.as_secs_f64();
            (self.since, self.count) = (Instant::now(), 0);
        }
    }

    /// Tickets beyond the free slots: none for long jobs.
    #[expect(clippy::cast_possible_truncation, reason = "a rate of admissions is far below i32::MAX")]
    pub(super) fn lookahead(&self) -> i32 {
        (self.per_second * LOOKAHEAD_S) as i32
    }

    /// How long to let places come free before the next round: nothing for long jobs, nor after a pause.
    pub(super) fn rest(&self) -> Duration {
        if self.lookahead() >= 10 && self.since.elapsed() < Duration::from_secs(2) { REST } else { Duration::ZERO }
    }
}
