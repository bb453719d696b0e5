//! What clients were told.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use uuid::Uuid;

use crate::chaos::history::{Accepted, Sighting};

/// The clients' common notebook.
#[derive(Default)]
pub(crate) struct Ledger {
    notes: Mutex<Notes>,
    /// What happened to requests.
    pub(crate) counts: Counts,
}

#[derive(Default)]
struct Notes {
    accepted: Vec<Accepted>,
    canceled: Vec<Uuid>,
    sightings: Vec<Sighting>,
    refusals: Vec<String>,
}

/// How often things happened that only clients see.
#[derive(Default)]
pub(crate) struct Counts {
    /// Requests without an answer, or with "not now".
    pub(crate) retried: AtomicU64,
    /// Accepted before, as the repeated request was told: the first answer was lost after the commit.
    pub(crate) replayed_after_doubt: AtomicU64,
    /// Accepted cancellations.
    pub(crate) cancels: AtomicU64,
    /// Versions made beside the jobs.
    pub(crate) edits: AtomicU64,
}

impl Counts {
    pub(super) fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Ledger {
    pub(super) fn accepted(&self, key: &str, job: Uuid) {
        self.notes().accepted.push(Accepted { key: key.to_owned(), job });
    }

    pub(super) fn canceled_soon(&self, job: Uuid) {
        self.notes().canceled.push(job);
    }

    pub(super) fn seen(&self, job: Uuid, status: &str) {
        self.notes().sightings.push(Sighting { job, status: status.to_owned() });
    }

    pub(super) fn refused(&self, what: String) {
        self.notes().refusals.push(what);
    }

    /// Some job that was accepted lately.
    pub(super) fn recent(&self, back: usize) -> Option<Uuid> {
        let notes = self.notes();
        notes.accepted.iter().rev().nth(back).map(|accepted| accepted.job)
    }

    /// Every acceptance.
    pub(crate) fn all_accepted(&self) -> Vec<Accepted> {
        self.notes().accepted.clone()
    }

    /// Every job whose cancellation was accepted.
    pub(crate) fn canceled(&self) -> Vec<Uuid> {
        self.notes().canceled.clone()
    }

    /// Every end that was seen.
    pub(crate) fn sightings(&self) -> Vec<Sighting> {
        self.notes().sightings.clone()
    }

    /// Answers that no client should ever get.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.notes().refusals.clone()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
