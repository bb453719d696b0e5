//! The cap on a job's log: what is beyond is counted and said, not kept.

use bytes::Bytes;

/// Room kept for our own last lines, so that the end of a flooded log still says how the job ended.
const RESERVE: u64 = 64 * 1024;

/// Counts what is kept and what is not.
#[derive(Debug)]
pub(super) struct Cap {
    limit: u64,
    kept: u64,
    dropped: u64,
    announced: bool,
}

/// What to do with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Keep it.
    Keep,
    /// Keep this marker in its place; it is said once.
    Announce(String),
    /// Count it, no more.
    Drop,
}

impl Cap {
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, kept: 0, dropped: 0, announced: false }
    }

    pub(super) fn judge(&mut self, line: &Bytes) -> Verdict {
        let length = line.len() as u64 + 1;
        let limit = if line.starts_with(b"[worker] ") { self.limit + RESERVE } else { self.limit };
        if self.kept + length <= limit && !(self.announced && limit == self.limit) {
            self.kept += length;
            return Verdict::Keep;
        }
        self.dropped += length;
        if std::mem::replace(&mut self.announced, true) {
            return Verdict::Drop;
        }
        Verdict::Announce(format!("[worker] Output is more than {} bytes; the rest is counted, not kept", self.limit))
    }

    /// What to say at the end, where something was dropped.
    pub(super) fn summary(&self) -> Option<String> {
        (self.dropped > 0)
            .then(|| format!("[worker] Output: {} bytes kept, {} bytes not kept", self.kept, self.dropped))
    }

    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_once_that_it_drops_and_keeps_our_own_lines() {
        let mut cap = Cap::new(10);
        let line = Bytes::from_static(b"12345");
        assert_eq!(cap.judge(&line), Verdict::Keep);
        assert!(matches!(cap.judge(&line), Verdict::Announce(_)));
        assert_eq!(cap.judge(&Bytes::from_static(b"1")), Verdict::Drop);
        assert_eq!(cap.judge(&Bytes::from_static(b"[worker] ended")), Verdict::Keep);
        assert_eq!(cap.summary().unwrap(), "[worker] Output: 21 bytes kept, 8 bytes not kept");
    }
}
