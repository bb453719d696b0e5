//! What is armed to spring at a certain byte, once or a few times.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::Direction;

/// Bytes to look for in what a server sends. Searched in each piece as it arrives: for short answers, which come in one.
pub type Pattern = &'static [u8];

#[derive(Default)]
pub(super) struct Traps {
    armed: Mutex<Armed>,
    replies_cut: AtomicU64,
    held: AtomicU64,
}

#[derive(Default)]
struct Armed {
    bytes: Option<u64>,
    reply: Option<(Pattern, u32)>,
}

/// What to do with a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// Carry this many bytes of it, then reset.
    Cut(usize),
}

impl Traps {
    pub(super) fn after_bytes(&self, bytes: u64) {
        self.armed().bytes = Some(bytes);
    }

    pub(super) fn before_reply(&self, pattern: Pattern, times: u32) {
        self.armed().reply = (times > 0).then_some((pattern, times));
    }

    pub(super) fn disarm(&self) {
        *self.armed() = Armed::default();
    }

    pub(super) fn replies_cut(&self) -> u64 {
        self.replies_cut.load(Ordering::Relaxed)
    }

    /// Bytes that arrived while their way was held.
    pub(super) fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn judge(&self, direction: Direction, piece: &[u8]) -> Verdict {
        let mut armed = self.armed();
        match direction {
            Direction::ToServer => {
                let Some(left) = armed.bytes else { return Verdict::Pass };
                let len = piece.len() as u64;
                armed.bytes = (left > len).then(|| left - len);
                if left > len { Verdict::Pass } else { Verdict::Cut(usize::try_from(left).unwrap_or(piece.len())) }
            }
            Direction::ToClient => {
                let Some((pattern, times)) = armed.reply else { return Verdict::Pass };
                if !piece.windows(pattern.len()).any(|window| window == pattern) {
                    return Verdict::Pass;
                }
                armed.reply = (times > 1).then_some((pattern, times - 1));
                self.replies_cut.fetch_add(1, Ordering::Relaxed);
                Verdict::Cut(0)
            }
        }
    }

    fn armed(&self) -> MutexGuard<'_, Armed> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
