//! What the man in the middle is told to do, and what he saw.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A delivery: its connection, its channel, its tag.
pub(super) type Key = (u64, u16, u64);

/// What to do with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Carry,
    Lose,
    Strand,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) delivered: u64,
    pub(super) lost: u64,
}

#[derive(Default)]
pub(super) struct Notes(Mutex<State>);

#[derive(Default)]
struct State {
    connections: u64,
    lose_of_ten: u64,
    seen: u64,
    strand: u32,
    counts: Counts,
    held: HashMap<Key, Instant>,
    stranded: Vec<Key>,
    longest: Duration,
}

impl Notes {
    pub(super) fn lose(&self, of_ten: u64) {
        self.state().lose_of_ten = of_ten;
    }

    pub(super) fn strand(&self, count: u32) {
        self.state().strand = count;
    }

    pub(super) fn counts(&self) -> Counts {
        self.state().counts
    }

    pub(super) fn stranded(&self) -> usize {
        self.state().stranded.len()
    }

    pub(super) fn held(&self) -> usize {
        self.state().held.len()
    }

    pub(super) fn longest_hold(&self) -> Duration {
        let state = self.state();
        state.held.values().map(Instant::elapsed).fold(state.longest, Duration::max)
    }

    pub(super) fn connection(&self) -> u64 {
        let mut state = self.state();
        state.connections += 1;
        state.connections
    }

    /// A ticket is being delivered.
    pub(super) fn judge(&self, key: Key) -> Verdict {
        let mut state = self.state();
        if state.strand > 0 {
            state.strand -= 1;
            state.stranded.push(key);
            return Verdict::Strand;
        }
        let turn = state.seen * state.lose_of_ten % 10;
        if state.lose_of_ten > 0 {
            state.seen += 1;
        }
        if turn < state.lose_of_ten {
            state.counts.lost += 1;
            return Verdict::Lose;
        }
        state.counts.delivered += 1;
        state.held.insert(key, Instant::now());
        Verdict::Carry
    }

    /// A consumer acknowledges.
    pub(super) fn acknowledged(&self, key: Key, multiple: bool) {
        let covers = |other: &Key| {
            other.0 == key.0 && other.1 == key.1 && (other.2 == key.2 || multiple && (key.2 == 0 || other.2 < key.2))
        };
        self.release(covers);
    }

    /// What it held is delivered again, to whoever is there.
    pub(super) fn disconnected(&self, connection: u64) {
        self.release(|key| key.0 == connection);
        self.state().stranded.retain(|key| key.0 != connection);
    }

    fn release(&self, covers: impl Fn(&Key) -> bool) {
        let mut state = self.state();
        let released = state.held.extract_if(|key, _| covers(key)).map(|(_, since)| since.elapsed()).max();
        state.longest = state.longest.max(released.unwrap_or_default());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
