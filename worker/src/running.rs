//! The attempts this process runs: what the lease tells of them, and how they are told to stop.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use drydock_domain::{AttemptId, Phase};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Why an attempt must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The user cancelled the job.
    Canceled,
    /// It is not ours any more, or we cannot know: nothing of it may be published.
    Lost,
    /// This worker stops.
    Draining,
}

/// Told once; agents watch the token.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopSignal {
    reason: Arc<OnceLock<Stop>>,
    token: CancellationToken,
}

impl StopSignal {
    pub(crate) fn stop(&self, reason: Stop) {
        if self.reason.set(reason).is_ok() {
            self.token.cancel();
        }
    }

    pub(crate) fn reason(&self) -> Option<Stop> {
        self.reason.get().copied()
    }

    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}

/// All running attempts of this process; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    attempts: Arc<Mutex<HashMap<AttemptId, Entry>>>,
    changed: Arc<Notify>,
}

#[derive(Clone, Debug)]
struct Entry {
    phase: Phase,
    stop: StopSignal,
    finishing: bool,
}

/// An attempt's place in [`Running`], given up on drop.
#[derive(Debug)]
pub(crate) struct Registration {
    running: Running,
    id: AttemptId,
    pub(crate) stop: StopSignal,
}

impl Running {
    /// Registers an attempt whose claim has returned: a renewal sent later must list it as ours.
    pub(crate) fn register(&self, id: AttemptId) -> Registration {
        let stop = StopSignal::default();
        let entry = Entry { phase: Phase::Materializing, stop: stop.clone(), finishing: false };
        self.with(|attempts| attempts.insert(id, entry));
        Registration { running: self.clone(), id, stop }
    }

    /// What to tell with a renewal.
    pub(crate) fn phases(&self) -> Vec<(AttemptId, Phase)> {
        self.with(|attempts| attempts.iter().map(|(id, entry)| (*id, entry.phase)).collect())
    }

    /// Heeds a renewal's answer: `asked` are the attempts known when it was sent; one that is not `owned` and not just being
    /// finished was taken from us.
    pub(crate) fn reconcile(&self, asked: &[(AttemptId, Phase)], owned: &[(AttemptId, bool)]) {
        self.with(|attempts| {
            for (id, _) in asked {
                let Some(entry) = attempts.get(id).filter(|entry| !entry.finishing) else {
                    continue;
                };
                match owned.iter().find(|(owned, _)| owned == id) {
                    None => entry.stop.stop(Stop::Lost),
                    Some((_, true)) => entry.stop.stop(Stop::Canceled),
                    Some((_, false)) => {}
                }
            }
        });
    }

    /// Stops every attempt.
    pub(crate) fn stop_all(&self, reason: Stop) {
        self.with(|attempts| attempts.values().for_each(|entry| entry.stop.stop(reason)));
    }

    /// How many run.
    pub(crate) fn len(&self) -> usize {
        self.with(|attempts| attempts.len())
    }

    /// Resolves when a phase has changed since the last call.
    pub(crate) async fn phase_changed(&self) {
        self.changed.notified().await;
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<AttemptId, Entry>) -> T) -> T {
        change(&mut self.attempts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Registration {
    /// The attempt reached a phase; told with the next renewal.
    pub(crate) fn reach(&self, phase: Phase) {
        self.running.with(|attempts| {
            if let Some(entry) = attempts.get_mut(&self.id) {
                entry.phase = phase;
            }
        });
        self.running.changed.notify_one();
    }

    /// Its finish is under way: a renewal that does not list it says nothing.
    pub(crate) fn finishing(&self) {
        self.running.with(|attempts| {
            if let Some(entry) = attempts.get_mut(&self.id) {
                entry.finishing = true;
            }
        });
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.running.with(|attempts| attempts.remove(&self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attempts_known_when_asked_can_be_lost() {
        let running = Running::default();
        let old = running.register(AttemptId::generate());
        let asked = running.phases();
        let fresh = running.register(AttemptId::generate());
        running.reconcile(&asked, &[]);
        assert_eq!(old.stop.reason(), Some(Stop::Lost));
        assert_eq!(fresh.stop.reason(), None);
    }

    #[test]
    fn a_finish_under_way_is_left_alone_and_a_cancel_is_heeded() {
        let running = Running::default();
        let (finishing, canceled) = (running.register(AttemptId::generate()), running.register(AttemptId::generate()));
        finishing.finishing();
        let asked = running.phases();
        running.reconcile(&asked, &[(canceled.id, true)]);
        assert_eq!(finishing.stop.reason(), None);
        assert_eq!(canceled.stop.reason(), Some(Stop::Canceled));
        drop(canceled);
        assert_eq!(running.len(), 1);
    }
}
