//! `Transfers`: how many requests for contents may be under way at once, for all trees of this node together.
//!
//! Owns the limit, which follows what object storage bears by additive increase and multiplicative decrease (AIMD, as TCP
//! does it: Chiu and Jain 1989; RFC 5681): one more after a whole window of successes, half after a request that
//! storage was too busy for. Knows nothing of what the requests bring, and bounds no memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use drydock_storage::{StorageError, StorageErrorKind};
use prometheus::{IntCounter, IntGauge};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Requests at once at least, however badly it goes.
const MIN: u32 = 4;
/// Requests at once at most.
pub(super) const MAX: u32 = 32;
/// What is tried first.
const START: u32 = 16;

/// The limit and how it moves. Pure.
#[derive(Debug)]
struct Window {
    limit: u32,
    successes: u32,
    /// How often it was halved.
    epoch: u32,
}

impl Window {
    const fn new() -> Self {
        Self { limit: START, successes: 0, epoch: 0 }
    }

    /// A request succeeded; one more may be under way after as many as there may be. `in_use` requests were under way: a
    /// limit that is not felt is not known to be too low.
    fn succeeded(&mut self, in_use: u32) {
        if in_use.saturating_mul(2) < self.limit {
            return;
        }
        self.successes += 1;
        if self.successes >= self.limit {
            self.successes = 0;
            self.limit = (self.limit + 1).min(MAX);
        }
    }

    /// A request that began in `epoch` was too much; answers whether the limit was halved. Of those that were under way
    /// together only the first tells something.
    fn overloaded(&mut self, epoch: u32) -> bool {
        if epoch != self.epoch {
            return false;
        }
        self.epoch += 1;
        self.successes = 0;
        self.limit = (self.limit / 2).max(MIN);
        true
    }
}

/// Turns for requests, given in the order they are asked for.
#[derive(Debug)]
pub(super) struct Transfers {
    state: Mutex<State>,
    turns: Semaphore,
    limit: IntGauge,
    halved: IntCounter,
}

#[derive(Debug)]
struct State {
    window: Window,
    /// Permits of the semaphore, in use or not: those in use when the limit falls go as they come back.
    permits: u32,
}

impl Transfers {
    pub(super) fn new(limit: IntGauge, halved: IntCounter) -> Self {
        limit.set(i64::from(START));
        let state = Mutex::new(State { window: Window::new(), permits: START });
        Self { state, turns: Semaphore::new(START as usize), limit, halved }
    }

    /// Waits until one more request may be under way. `None` only when the process ends.
    pub(super) async fn turn(&self) -> Option<Turn<'_>> {
        let permit = self.turns.acquire().await.ok()?;
        let epoch = self.state().window.epoch;
        Some(Turn { transfers: self, permit: Some(permit), epoch })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Consistent between any two calls, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_use(&self, state: &State) -> u32 {
        state.permits.saturating_sub(u32::try_from(self.turns.available_permits()).unwrap_or(u32::MAX))
    }
}

/// The right to one request. Dropped before its end is told, it only makes room.
#[derive(Debug)]
pub(super) struct Turn<'t> {
    transfers: &'t Transfers,
    permit: Option<SemaphorePermit<'t>>,
    epoch: u32,
}

impl Turn<'_> {
    /// Learns from how the request ended.
    pub(super) fn ended<T>(self, result: &Result<T, StorageError>) {
        let Transfers { turns, limit, halved, .. } = self.transfers;
        let mut state = self.transfers.state();
        match result {
            Ok(_) => {
                let in_use = self.transfers.in_use(&state);
                state.window.succeeded(in_use);
            }
            // Refused for load (429, 503 and `SlowDown`), not answered in time, or cut off.
            Err(error) if error.kind() == StorageErrorKind::Unavailable => {
                if state.window.overloaded(self.epoch) {
                    halved.inc();
                }
            }
            // An answer about this object says nothing about load.
            Err(_) => {}
        }
        let allowed = state.window.limit;
        if let more @ 1.. = allowed.saturating_sub(state.permits) {
            turns.add_permits(more as usize);
            state.permits += more;
        }
        let surplus = state.permits.saturating_sub(allowed);
        state.permits -= u32::try_from(turns.forget_permits(surplus as usize)).unwrap_or(surplus);
        limit.set(i64::from(allowed));
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.transfers.state();
        let surplus = state.permits > state.window.limit;
        if let Some(permit) = self.permit.take().filter(|_| surplus) {
            permit.forget();
            state.permits -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfers() -> Transfers {
        let (limit, halved) = (IntGauge::new("limit", "limit"), IntCounter::new("halved", "halved"));
        Transfers::new(limit.unwrap(), halved.unwrap())
    }

    fn busy() -> Result<(), StorageError> {
        Err(StorageError::Timeout { operation: "test" })
    }

    #[test]
    fn a_whole_window_of_successes_allows_one_more_up_to_the_most() {
        let mut window = Window::new();
        for expected in START..MAX {
            assert_eq!(window.limit, expected);
            (1..expected).for_each(|_| window.succeeded(expected));
            assert_eq!(window.limit, expected, "one success is missing");
            window.succeeded(expected);
        }
        (0..10 * MAX).for_each(|_| window.succeeded(MAX));
        assert_eq!(window.limit, MAX);
    }

    #[test]
    fn an_overload_halves_once_however_many_requests_it_hits() {
        let mut window = Window::new();
        let together = window.epoch;
        assert_eq!([(); 3].map(|()| window.overloaded(together)), [true, false, false]);
        assert_eq!(window.limit, START / 2);
        for _ in 0..5 {
            window.overloaded(window.epoch);
        }
        assert_eq!(window.limit, MIN);
    }

    #[test]
    fn a_limit_that_is_not_felt_does_not_grow() {
        let mut window = Window::new();
        (0..100).for_each(|_| window.succeeded(START / 2 - 1));
        assert_eq!(window.limit, START);
        (0..START).for_each(|_| window.succeeded(START / 2));
        assert_eq!(window.limit, START + 1);
    }

    #[test]
    fn an_overload_costs_the_successes_before_it() {
        let mut window = Window::new();
        (1..START).for_each(|_| window.succeeded(START));
        window.overloaded(window.epoch);
        window.succeeded(START);
        assert_eq!(window.limit, START / 2);
    }

    /// As many as the window says, whether it moved while all of them were in use or none.
    #[tokio::test]
    async fn turns_follow_the_window() {
        let transfers = transfers();
        let mut turns = Vec::new();
        while transfers.turns.available_permits() > 0 {
            turns.push(transfers.turn().await.unwrap());
        }
        assert_eq!(turns.len(), START as usize);
        turns.pop().unwrap().ended(&busy());
        assert_eq!((transfers.limit.get(), transfers.halved.get()), (i64::from(START / 2), 1));
        while turns.len() > START as usize / 2 {
            assert_eq!(transfers.turns.available_permits(), 0, "{} are under way", turns.len());
            turns.pop().unwrap().ended(&busy());
        }
        assert_eq!(transfers.halved.get(), 1, "all of them were under way together");
        drop(turns);
        assert_eq!(transfers.turns.available_permits(), START as usize / 2);
        transfers.turn().await.unwrap().ended(&busy());
        assert_eq!(transfers.turns.available_permits(), MIN as usize);
        for _ in 0..MIN {
            let turns = [transfers.turn().await.unwrap(), transfers.turn().await.unwrap()];
            turns.into_iter().for_each(|turn| turn.ended(&Ok(())));
        }
        // The second of each pair ended alone: a quarter of the window is not felt.
        assert_eq!(transfers.turns.available_permits(), MIN as usize + 1);
    }

    #[tokio::test]
    async fn what_is_not_there_and_what_is_given_up_say_nothing_of_load() {
        let transfers = transfers();
        let missing: Result<(), _> = Err(StorageError::NotFound { key: "key".to_owned() });
        transfers.turn().await.unwrap().ended(&missing);
        drop(transfers.turn().await.unwrap());
        assert_eq!(transfers.turns.available_permits(), START as usize);
        assert_eq!(transfers.halved.get(), 0);
    }
}
