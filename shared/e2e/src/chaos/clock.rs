//! One clock for all processes of a run: milliseconds since boot, which no clock change and no suspend can bend.

use rustix::time::{ClockId, clock_gettime};

/// A moment, in milliseconds since boot.
pub(crate) type Millis = u64;

/// Now.
pub(crate) fn now() -> Millis {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}
