//! The boot-time clock: counts while the host is suspended, never jumps with the wall clock. A worker's deadlines use no other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A moment on `CLOCK_BOOTTIME` (`clock_gettime(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BootInstant(Duration);

impl BootInstant {
    /// Now.
    pub(crate) fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Self(Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0)))
    }

    /// Time since then.
    pub(crate) fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// A moment that is put off again and again; cheap to clone, all clones move together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deadline(Arc<AtomicU64>);

impl Deadline {
    /// It is now this long after `from`.
    pub(crate) fn put_off(&self, from: BootInstant, by: Duration) {
        let nanos = u64::try_from((from.0 + by).as_nanos()).unwrap_or(u64::MAX);
        self.0.store(nanos, Ordering::Release);
    }

    /// Time until then; zero when it is over, and before it was put off for the first time.
    pub(crate) fn left(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire)).saturating_sub(BootInstant::now().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_over_until_put_off_and_counts_from_where_it_is_told() {
        let deadline = Deadline::default();
        assert!(deadline.left().is_zero());
        deadline.put_off(BootInstant::now(), Duration::from_secs(60));
        assert!(deadline.left() > Duration::from_secs(50));
        deadline.put_off(BootInstant(Duration::ZERO), Duration::from_nanos(1));
        assert!(deadline.left().is_zero());
    }
}
