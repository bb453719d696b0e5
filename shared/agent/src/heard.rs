//! When a run was last heard of, on the clock that stands still while it is frozen.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::hold::Hold;

/// How soon a wait that our own slowness holds up looks again.
const AGAIN: Duration = Duration::from_millis(500);

/// Shared by whoever reads the run and whoever watches it.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    hold: Hold,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    last: Duration,
    /// Readers that are handing on what they read: the run may want to say more and cannot.
    busy: usize,
}

/// Output being handed on; while it lives, nothing counts as silence.
pub(super) struct HandingOn<'a>(&'a Heard);

impl Heard {
    pub(super) fn new(hold: &Hold) -> Self {
        let state = State { last: hold.elapsed(), busy: 0 };
        Self { hold: hold.clone(), state: Arc::new(Mutex::new(state)) }
    }

    /// Something was read.
    pub(super) fn something(&self) -> HandingOn<'_> {
        self.change(|state| state.busy += 1);
        HandingOn(self)
    }

    /// Resolves when nothing was heard for `limit`, counted from now at the earliest.
    pub(super) async fn nothing_for(&self, limit: Duration) {
        self.change(|state| state.last = state.last.max(self.hold.elapsed()));
        loop {
            let (last, busy) = self.change(|state| (state.last, state.busy > 0));
            if busy {
                tokio::time::sleep(AGAIN.min(limit)).await;
                continue;
            }
            if self.hold.elapsed() >= last + limit {
                return;
            }
            self.hold.reaches(last + limit).await;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for HandingOn<'_> {
    fn drop(&mut self) {
        let now = self.0.hold.elapsed();
        self.0.change(|state| {
            state.busy -= 1;
            state.last = now;
        });
    }
}
