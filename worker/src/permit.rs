//! What one attempt is told: whether it may begin something, and why it must stop.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::boottime::Deadline;
use drydock_agent::Hold;

/// How often a wait for leave looks at the boot-time clock, which no timer of ours follows.
const LOOK: Duration = Duration::from_millis(50);

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
    /// Answers whether it is the first to say so.
    pub(crate) fn stop(&self, reason: Stop) -> bool {
        let first = self.reason.set(reason).is_ok();
        if first {
            self.token.cancel();
        }
        first
    }

    pub(crate) fn reason(&self) -> Option<Stop> {
        self.reason.get().copied()
    }

    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}

/// What an attempt needs to go on: neither stopped nor frozen, and the lease stands.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    pub(crate) stop: StopSignal,
    /// Tells a session to end in order: because it is released, or because the worker stops.
    pub(crate) release: StopSignal,
    pub(crate) hold: Hold,
    deadline: Deadline,
}

impl Permit {
    pub(crate) fn new(deadline: Deadline) -> Self {
        Self { stop: StopSignal::default(), release: StopSignal::default(), hold: Hold::default(), deadline }
    }

    /// Resolves when something that others could see may begin: an agent, a write to object storage.
    ///
    /// # Errors
    /// It must not begin any more.
    pub(crate) async fn granted(&self) -> Result<(), Stop> {
        let token = self.stop.token();
        loop {
            match self.stop.reason() {
                Some(reason @ (Stop::Lost | Stop::Canceled)) => return Err(reason),
                // A draining worker waits for nothing, but what can be finished at once is.
                Some(Stop::Draining) if self.is_out() => return Err(Stop::Draining),
                _ if !self.is_out() => return Ok(()),
                _ => {}
            }
            tokio::select! {
                () = token.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn is_out(&self) -> bool {
        self.hold.is_held() || self.deadline.left().is_zero()
    }
}
