//! Jobs in hand: taken, run in the folder, stopped, told. Each is told once, however often the daemon or the connection breaks.

mod changes;
mod finish;
mod log;
mod report;
mod run;
mod work;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use drydock_agent::Agents;
use drydock_domain::{
    AttemptId, Outcome, Phase,
    daemon::{DaemonJob, SLOTS},
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::{RwLock, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    command::{Limits, Policy},
    events::Events,
    spool::{Ended, Spool},
    sync::Folder,
};

/// Between two looks whether jobs have ended.
const LOOK: Duration = Duration::from_millis(20);
/// Of an attempt that an earlier run left.
const STOPPED: &str = "the daemon stopped while it ran";

/// What jobs run with.
#[derive(Debug)]
pub(crate) struct Workshop {
    /// The folder they run in.
    pub(crate) folder: Arc<Folder>,
    /// What is told of them.
    pub(crate) spool: Arc<Spool>,
    /// What they are run by.
    pub(crate) agents: Agents,
    /// Which commands are run.
    pub(crate) policy: Policy,
    /// What those may take.
    pub(crate) limits: Limits,
    /// Who is told.
    pub(crate) events: Arc<Events>,
}

/// Jobs in hand. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    workshop: Workshop,
    running: Mutex<HashMap<AttemptId, Running>>,
    slots: Semaphore,
    /// Agents that write `.codex/result.json` have the folder's only one to themselves; others share.
    exchange: RwLock<()>,
    stopping: CancellationToken,
    tasks: mpsc::UnboundedSender<Task>,
}

/// What is to be carried on with.
#[derive(Debug)]
pub(crate) struct Task {
    job: DaemonJob,
    from: From,
}

#[derive(Debug)]
enum From {
    Start(CancellationToken),
    Ended(Box<Ended>),
    Interrupted,
}

/// An attempt that runs.
#[derive(Clone, Debug)]
struct Running {
    cancel: CancellationToken,
    why: Option<Why>,
    phase: Phase,
}

/// Why an attempt was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Canceled,
    Lost,
    Stopping,
}

impl Jobs {
    /// None yet, and what is to be given to [`Self::work`].
    pub(crate) fn new(workshop: Workshop) -> (Self, mpsc::UnboundedReceiver<Task>) {
        let (tasks, work) = mpsc::unbounded_channel();
        let slots = Semaphore::new(usize::try_from(SLOTS).unwrap_or(1));
        let inner = Inner {
            workshop,
            running: Mutex::default(),
            slots,
            exchange: RwLock::default(),
            stopping: CancellationToken::new(),
            tasks,
        };
        (Self(Arc::new(inner)), work)
    }

    /// Carries jobs out as they come, beside each other; never ends by itself.
    pub(crate) async fn work(&self, mut work: mpsc::UnboundedReceiver<Task>) {
        let mut at_work = FuturesUnordered::new();
        loop {
            tokio::select! {
                task = work.recv() => match task {
                    Some(task) => at_work.push(self.carry_on(task)),
                    None => return,
                },
                Some(()) = at_work.next() => {}
            }
        }
    }

    async fn carry_on(&self, Task { job, from }: Task) {
        match from {
            From::Start(cancel) => self.run(job, cancel).await,
            From::Ended(ended) => self.finish(&job, None, *ended).await,
            From::Interrupted => {
                self.note_interrupted(&job, STOPPED).await;
                self.fail(&job, Outcome::Interrupted, STOPPED).await;
            }
        }
    }

    fn send(&self, job: DaemonJob, from: From) {
        // Its receiver lives as long as the daemon.
        let _over = self.0.tasks.send(Task { job, from });
    }

    fn running(&self) -> MutexGuard<'_, HashMap<AttemptId, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of what an earlier run left: interrupted where it had not ended, else as it had.
    pub(crate) fn resume(&self) {
        for (job, ended) in self.0.workshop.spool.unfinished() {
            self.send(job, ended.map_or(From::Interrupted, |ended| From::Ended(Box::new(ended))));
        }
    }

    /// Takes a job, unless it is in hand or the daemon stops.
    pub(crate) fn start(&self, job: DaemonJob) {
        let workshop = &self.0.workshop;
        if self.0.stopping.is_cancelled() {
            return;
        }
        match workshop.spool.begin(&job) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                return workshop.events.warn(&format!("cannot take job {}: {error}", job.job));
            }
        }
        let running = Running { cancel: CancellationToken::new(), why: None, phase: Phase::Materializing };
        self.running().insert(job.attempt, running.clone());
        workshop.events.job_started(job.job, job.attempt);
        self.send(job, From::Start(running.cancel));
    }

    /// Stops an attempt; it is told as cancelled.
    pub(crate) fn cancel(&self, attempt: AttemptId) {
        self.stop(attempt, Why::Canceled);
    }

    /// Stops an attempt that is not ours any more; nothing is told.
    pub(crate) fn lose(&self, attempt: AttemptId) {
        self.stop(attempt, Why::Lost);
        self.0.workshop.spool.forget(attempt);
    }

    /// Takes no more, and stops those that run.
    pub(crate) fn stop_all(&self) {
        self.0.stopping.cancel();
        let all: Vec<AttemptId> = self.running().keys().copied().collect();
        all.into_iter().for_each(|attempt| self.stop(attempt, Why::Stopping));
    }

    /// What each is at.
    pub(crate) fn phases(&self) -> Vec<(AttemptId, Phase)> {
        self.running().iter().map(|(attempt, running)| (*attempt, running.phase)).collect()
    }

    /// Resolves when none runs.
    pub(crate) async fn idle(&self) {
        while !self.running().is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn stop(&self, attempt: AttemptId, why: Why) {
        if let Some(running) = self.running().get_mut(&attempt) {
            running.why.get_or_insert(why);
            running.cancel.cancel();
        }
    }

    fn why(&self, attempt: AttemptId) -> Option<Why> {
        self.running().get(&attempt).and_then(|running| running.why)
    }

    fn enters(&self, attempt: AttemptId, phase: Phase) {
        if let Some(running) = self.running().get_mut(&attempt) {
            running.phase = phase;
        }
    }
}

#[cfg(test)]
mod tests;
