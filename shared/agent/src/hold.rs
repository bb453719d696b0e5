//! Whether an agent may run: whoever gave it leave holds one end, the run the other. While held, its processes are stopped
//! and its clock stands still; none starts.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::Pid;
use tokio::sync::watch;

use super::process::{Belongings, Frozen};

/// A handle on one run's leave to go on; cheap to clone.
#[derive(Clone, Debug)]
pub struct Hold {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    held: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    began: Instant,
    held_since: Option<Instant>,
    held_for: Duration,
    condemned: bool,
    processes: Option<(Pid, Belongings)>,
    frozen: Frozen,
}

impl Default for Hold {
    fn default() -> Self {
        let state = State {
            began: Instant::now(),
            held_since: None,
            held_for: Duration::ZERO,
            condemned: false,
            processes: None,
            frozen: Frozen::default(),
        };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), held: watch::Sender::new(false) }) }
    }
}

impl Hold {
    /// Stops every process of the run until [`Self::thaw`]; answers whether that is new. Blocking: reads the process table.
    pub fn freeze(&self) -> bool {
        let mut state = self.state();
        if state.held_since.is_some() {
            return false;
        }
        state.held_since = Some(Instant::now());
        state.stop();
        self.inner.held.send_replace(true);
        true
    }

    /// Lets them go on; answers whether they were held. Blocking: reads the process table.
    pub fn thaw(&self) -> bool {
        let mut state = self.state();
        let Some(since) = state.held_since.take() else {
            return false;
        };
        state.held_for += since.elapsed();
        state.go_on();
        self.inner.held.send_replace(false);
        true
    }

    /// Whoever ends this run gives it no grace.
    pub fn condemn(&self) {
        self.state().condemned = true;
    }

    /// Whether it is held now.
    pub fn is_held(&self) -> bool {
        self.state().held_since.is_some()
    }

    /// Resolves when it is not held.
    pub async fn released(&self) {
        // The sender lives as long as this handle.
        let mut held = self.inner.held.subscribe();
        drop(held.wait_for(|held| !held).await);
    }

    pub(super) fn is_condemned(&self) -> bool {
        self.state().condemned
    }

    /// Time since the start without the time held.
    pub(super) fn elapsed(&self) -> Duration {
        let state = self.state();
        let held = state.held_for + state.held_since.map_or(Duration::ZERO, |since| since.elapsed());
        state.began.elapsed().saturating_sub(held)
    }

    /// Resolves when [`Self::elapsed`] has reached `moment`.
    pub(super) async fn reaches(&self, moment: Duration) {
        let mut held = self.inner.held.subscribe();
        loop {
            drop(held.wait_for(|held| !held).await);
            let left = moment.saturating_sub(self.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                told = held.wait_for(|held| *held) => drop(told),
            }
        }
    }

    /// The run has processes from now on, until what this answers is dropped.
    pub(super) fn enter(&self, leader: Pid, belongings: Belongings) -> Entered {
        let mut state = self.state();
        state.processes = Some((leader, belongings));
        if state.held_since.is_some() {
            state.stop();
        }
        Entered(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stop(&mut self) {
        if let Some((leader, belongings)) = &self.processes {
            self.frozen.stop(*leader, belongings);
        }
    }

    fn go_on(&mut self) {
        if let Some((leader, belongings)) = &self.processes {
            self.frozen.go_on(*leader, belongings);
        }
    }
}

/// A run with processes.
pub(super) struct Entered(Hold);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.state().processes = None;
    }
}
