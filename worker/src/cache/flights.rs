//! Single flight: of several who want the same thing at once, one works and the others wait and look again.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

type Lane = Arc<tokio::sync::Mutex<()>>;

/// Locks by key; a key nobody holds or waits for takes no memory.
#[derive(Debug)]
pub(super) struct Flights<K: Eq + Hash> {
    lanes: Mutex<HashMap<K, Lane>>,
}

impl<K: Eq + Hash> Default for Flights<K> {
    fn default() -> Self {
        Self { lanes: Mutex::default() }
    }
}

impl<K: Copy + Eq + Hash> Flights<K> {
    /// Waits for its turn with `key`.
    pub(super) async fn board(self: &Arc<Self>, key: K) -> Flight<K> {
        let mut flight = Flight { flights: Arc::clone(self), key, turn: None };
        let lane = Lane::clone(self.lock().entry(key).or_default());
        flight.turn = Some(lane.lock_owned().await);
        flight
    }

    /// Its turn with `key`, unless somebody has it.
    pub(super) fn try_board(self: &Arc<Self>, key: K) -> Option<Flight<K>> {
        let mut flight = Flight { flights: Arc::clone(self), key, turn: None };
        let lane = Lane::clone(self.lock().entry(key).or_default());
        flight.turn = Some(lane.try_lock_owned().ok()?);
        Some(flight)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to work on a key; moved to where the work is done, so that it lasts as long as that.
pub(super) struct Flight<K: Copy + Eq + Hash> {
    flights: Arc<Flights<K>>,
    key: K,
    turn: Option<OwnedMutexGuard<()>>,
}

impl<K: Copy + Eq + Hash> Drop for Flight<K> {
    fn drop(&mut self) {
        self.turn = None;
        let mut lanes = self.flights.lock();
        if lanes.get(&self.key).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(&self.key);
        }
    }
}
