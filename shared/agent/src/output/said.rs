//! How much a run has said.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one run's output, as it comes from its pipes.
#[derive(Debug, Default)]
pub(crate) struct Said {
    bytes: AtomicU64,
    lines: AtomicU64,
}

impl Said {
    /// One line more; its end counts as a byte.
    pub(super) fn line(&self, line: &[u8]) {
        self.bytes.fetch_add(line.len() as u64 + 1, Ordering::Relaxed);
        self.lines.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }
}
