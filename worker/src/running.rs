//! The attempts this process runs: what the lease tells of them, and how they are held up or told to stop.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use drydock_domain::{AttemptId, Phase};
use tokio::sync::Notify;

use drydock_agent::Hold;

use crate::boottime::Deadline;

pub(crate) use crate::permit::{Permit, Stop, StopSignal};

/// All running attempts of this process; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    attempts: Arc<Mutex<HashMap<AttemptId, Entry>>>,
    /// Claims under way: the job may be ours before we know.
    claiming: Arc<Mutex<HashSet<AttemptId>>>,
    /// Attempts that nobody runs and that are being ended.
    ending: Arc<Mutex<HashSet<AttemptId>>>,
    changed: Arc<Notify>,
    /// Until when the lease surely stands.
    pub(crate) deadline: Deadline,
}

#[derive(Clone, Debug)]
struct Entry {
    phase: Phase,
    told: Option<Phase>,
    stop: StopSignal,
    release: StopSignal,
    hold: Hold,
    finishing: bool,
}

impl Entry {
    /// Stops it; what was lost gets no grace.
    fn stop(&self, reason: Stop) -> bool {
        if reason == Stop::Lost {
            self.hold.condemn();
        }
        self.stop.stop(reason)
    }
}

/// An attempt's place in [`Running`], given up on drop.
#[derive(Debug)]
pub(crate) struct Registration {
    running: Running,
    id: AttemptId,
    pub(crate) permit: Permit,
}

/// A claim under way, until dropped.
#[derive(Debug)]
pub(crate) struct Claiming {
    running: Running,
    id: AttemptId,
}

impl Drop for Claiming {
    fn drop(&mut self) {
        locked(&self.running.claiming).remove(&self.id);
    }
}

/// What is known when a renewal leaves.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    known: Vec<AttemptId>,
    /// Phases not told yet.
    pub(crate) news: Vec<(AttemptId, Phase)>,
}

/// What a renewal's answer meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heeded {
    /// Attempts told to stop because they are not ours any more.
    pub(crate) lost: usize,
    /// Ours, and nobody runs them: the answer to the claim never came, or the database forgot our finish (it failed over to a
    /// standby that was behind). Named once, until [`Running::settled`].
    pub(crate) unknown: Vec<AttemptId>,
}

impl Running {
    /// Registers an attempt whose claim has returned: a renewal sent later must list it as ours.
    pub(crate) fn register(&self, id: AttemptId) -> Registration {
        let permit = Permit::new(self.deadline.clone());
        let entry = Entry {
            phase: Phase::Materializing,
            told: Some(Phase::Materializing),
            stop: permit.stop.clone(),
            release: permit.release.clone(),
            hold: permit.hold.clone(),
            finishing: false,
        };
        self.with(|attempts| attempts.insert(id, entry));
        Registration { running: self.clone(), id, permit }
    }

    /// A claim as `id` begins. To be held until it is registered or given up.
    pub(crate) fn claiming(&self, id: AttemptId) -> Claiming {
        locked(&self.claiming).insert(id);
        Claiming { running: self.clone(), id }
    }

    /// Nobody is ending this attempt any more.
    pub(crate) fn settled(&self, id: AttemptId) {
        locked(&self.ending).remove(&id);
    }

    /// What to tell with a renewal that leaves now.
    pub(crate) fn ask(&self) -> Asked {
        self.with(|attempts| Asked {
            known: attempts.keys().copied().collect(),
            news: attempts
                .iter()
                .filter(|(_, entry)| entry.told != Some(entry.phase))
                .map(|(id, entry)| (*id, entry.phase))
                .collect(),
        })
    }

    /// Heeds a renewal's answer: an attempt known when it was `asked` that is not `owned` and not just being finished was
    /// taken from us.
    pub(crate) fn heed(&self, asked: &Asked, owned: &[(AttemptId, bool)]) -> Heeded {
        let owned: HashMap<AttemptId, bool> = owned.iter().copied().collect();
        let lost = self.with(|attempts| {
            for (id, phase) in &asked.news {
                if let Some(entry) = attempts.get_mut(id) {
                    entry.told = Some(*phase);
                }
            }
            let mut lost = 0;
            for id in &asked.known {
                let Some(entry) = attempts.get(id).filter(|entry| !entry.finishing) else {
                    continue;
                };
                match owned.get(id) {
                    None => lost += usize::from(entry.stop(Stop::Lost)),
                    Some(true) => drop(entry.stop(Stop::Canceled)),
                    Some(false) => {}
                }
            }
            lost
        });
        Heeded { lost, unknown: self.unknown(asked, owned.into_keys()) }
    }

    /// Those of `owned` that were not ours to run when it was `asked`, nor are now.
    fn unknown(&self, asked: &Asked, owned: impl Iterator<Item = AttemptId>) -> Vec<AttemptId> {
        let mut ending = locked(&self.ending);
        // Claims first: what is claimed meanwhile is registered before it leaves them.
        let claiming = locked(&self.claiming).clone();
        let strange = owned.filter(|id| !asked.known.contains(id) && !claiming.contains(id));
        let unknown = self.with(|attempts| strange.filter(|id| !attempts.contains_key(id)).collect::<Vec<_>>());
        unknown.into_iter().filter(|id| ending.insert(*id)).collect()
    }

    /// Tells these attempts' sessions that they are released.
    pub(crate) fn release(&self, released: &[AttemptId]) {
        self.with(|attempts| {
            for entry in released.iter().filter_map(|id| attempts.get(id)) {
                entry.release.stop(Stop::Canceled);
            }
        });
    }

    /// Ends every session in order. It means nothing to other attempts.
    pub(crate) fn release_all(&self, reason: Stop) {
        self.with(|attempts| {
            for entry in attempts.values() {
                entry.release.stop(reason);
            }
        });
    }

    /// Stops every attempt; answers how many were not stopping already.
    pub(crate) fn stop_all(&self, reason: Stop) -> usize {
        self.with(|attempts| attempts.values().filter(|entry| entry.stop(reason)).count())
    }

    /// Freezes the agents of all attempts; answers how many were not frozen before. Blocking.
    pub(crate) fn freeze_all(&self) -> usize {
        self.holds().iter().filter(|hold| hold.freeze()).count()
    }

    /// Lets the agents of all attempts that need not stop go on; answers how many. Blocking.
    pub(crate) fn thaw_all(&self) -> usize {
        self.holds().iter().filter(|hold| hold.thaw()).count()
    }

    /// How many run.
    pub(crate) fn len(&self) -> usize {
        self.with(|attempts| attempts.len())
    }

    /// Resolves when a phase has changed since the last call.
    pub(crate) async fn phase_changed(&self) {
        self.changed.notified().await;
    }

    /// Holds of attempts that were not lost: those stay as they are until killed.
    fn holds(&self) -> Vec<Hold> {
        self.with(|attempts| {
            let kept = attempts.values().filter(|entry| entry.stop.reason() != Some(Stop::Lost));
            kept.map(|entry| entry.hold.clone()).collect()
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<AttemptId, Entry>) -> T) -> T {
        change(&mut locked(&self.attempts))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::time::Duration;

    use super::*;
    use crate::boottime::BootInstant;

    #[test]
    fn t69_only_attempts_known_when_asked_can_be_lost() {
        let running = Running::default();
        let old = running.register(AttemptId::generate());
        let asked = running.ask();
        let fresh = running.register(AttemptId::generate());
        assert_eq!(running.heed(&asked, &[]).lost, 1);
        assert_eq!(old.permit.stop.reason(), Some(Stop::Lost));
        assert_eq!(fresh.permit.stop.reason(), None);
    }

    #[test]
    fn a_finish_under_way_is_left_alone_and_a_cancel_is_heeded() {
        let running = Running::default();
        let (finishing, canceled) = (running.register(AttemptId::generate()), running.register(AttemptId::generate()));
        finishing.finishing();
        let asked = running.ask();
        assert_eq!(running.heed(&asked, &[(canceled.id, true)]), Heeded::default());
        assert_eq!(finishing.permit.stop.reason(), None);
        assert_eq!(canceled.permit.stop.reason(), Some(Stop::Canceled));
        drop(canceled);
        assert_eq!(running.len(), 1);
    }

    #[test]
    fn a_phase_is_news_until_a_renewal_told_it() {
        let running = Running::default();
        let attempt = running.register(AttemptId::generate());
        assert!(running.ask().news.is_empty(), "the claim told the first phase");
        attempt.reach(Phase::Running);
        let asked = running.ask();
        assert_eq!(asked.news, [(attempt.id, Phase::Running)]);
        attempt.reach(Phase::Pushing);
        running.heed(&asked, &[(attempt.id, false)]);
        assert_eq!(running.ask().news, [(attempt.id, Phase::Pushing)], "reached while the renewal was under way");
    }

    /// Red when claims under way are not remembered, when what was known when asked is not left out, and when an attempt is
    /// named with every renewal.
    #[test]
    fn what_is_ours_and_nobody_runs_is_named_once_and_a_claim_under_way_is_not() {
        let (running, id) = (Running::default(), AttemptId::generate());
        let heed = |asked: &Asked| running.heed(asked, &[(id, false)]).unknown;
        let claim = running.claiming(id);
        let asked = running.ask();
        assert_eq!(heed(&asked), [], "its answer is still to come");
        let attempt = running.register(id);
        drop(claim);
        assert_eq!(heed(&asked), [], "it came while the renewal was under way");
        let asked = running.ask();
        drop(attempt);
        assert_eq!(heed(&asked), [], "it ended while the renewal was under way");
        assert_eq!(heed(&running.ask()), [id], "the database forgot its end, or the claim's answer never came");
        assert_eq!(heed(&running.ask()), [], "it is being ended");
        running.settled(id);
        assert_eq!(heed(&running.ask()), [id], "that did not work");
    }

    #[tokio::test]
    async fn nothing_begins_without_a_lease_while_frozen_or_after_a_stop() {
        let running = Running::default();
        let attempt = running.register(AttemptId::generate());
        let begins = || tokio::time::timeout(Duration::from_millis(200), attempt.permit.granted());
        assert!(begins().await.is_err(), "no lease yet");
        running.deadline.put_off(BootInstant::now(), Duration::from_secs(60));
        assert_eq!(begins().await, Ok(Ok(())));
        assert_eq!(running.freeze_all(), 1);
        assert!(begins().await.is_err(), "frozen");
        assert_eq!((running.thaw_all(), begins().await), (1, Ok(Ok(()))));
        running.stop_all(Stop::Lost);
        assert_eq!(begins().await, Ok(Err(Stop::Lost)));
        assert_eq!(running.freeze_all(), 0, "what is lost is killed, not frozen");
    }
}
