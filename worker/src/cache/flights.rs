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
    pub(super) async fn board(&self, key: K) -> Flight<'_, K> {
        let lane = Lane::clone(self.lock().entry(key).or_default());
        Flight { flights: self, key, turn: Some(lane.lock_owned().await) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to work on a key.
pub(super) struct Flight<'f, K: Copy + Eq + Hash> {
    flights: &'f Flights<K>,
    key: K,
    turn: Option<OwnedMutexGuard<()>>,
}

impl<K: Copy + Eq + Hash> Drop for Flight<'_, K> {
    fn drop(&mut self) {
        self.turn = None;
        let mut lanes = self.flights.lock();
        if lanes.get(&self.key).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(&self.key);
        }
    }
}
