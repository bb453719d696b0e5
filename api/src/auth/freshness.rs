//! `Freshness`: how long what was read of callers is believed, and that nothing is which was read before somebody changed.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// What was read is too old after some time, or at once when all of it is to be read again.
#[derive(Debug)]
pub(super) struct Freshness {
    lasts: Duration,
    /// The last time that somebody changed.
    changed: Mutex<Option<Instant>>,
}

impl Freshness {
    pub(super) const fn new(lasts: Duration) -> Self {
        Self { lasts, changed: Mutex::new(None) }
    }

    /// Whether what was read from `read_at` on is still believed.
    pub(super) fn covers(&self, read_at: Instant) -> bool {
        let changed = *self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        read_at.elapsed() < self.lasts && changed.is_none_or(|changed| read_at > changed)
    }

    /// Everything is to be read again. Nobody is forgotten by it: who was known need not come as a stranger.
    pub(super) fn end(&self) {
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_a_change_is_read_again() {
        let fresh = Freshness::new(Duration::from_secs(5));
        let before = Instant::now();
        assert!(fresh.covers(before));
        fresh.end();
        assert!(!fresh.covers(before), "what was asked at the same moment may be older");
        advance(Duration::from_millis(1)).await;
        let after = Instant::now();
        assert!(fresh.covers(after) && !fresh.covers(before));
        advance(Duration::from_secs(5)).await;
        assert!(!fresh.covers(after));
    }
}
