//! What a daemon is handed: jobs of its project, and word of those it is to stop.

use drydock_database::{worker, workspace};
use drydock_domain::{
    AttemptId, Phase,
    daemon::{DaemonJob, SLOTS, ToDaemon},
};

use super::{hold::Held, line::End};

impl Held<'_> {
    /// Renews the daemon's lease, tells it of attempts that are to stop, and hands it jobs while it has room.
    pub(super) async fn renew(&mut self) -> Result<(), End> {
        let phases: Vec<(AttemptId, Phase)> =
            self.phases.iter().filter(|(attempt, _)| self.in_hand.contains(attempt)).copied().collect();
        let lease = self.app.config.daemon_lease;
        let renewed = worker::renew(&self.client().await?, self.worker, lease, &phases).await?;
        if !renewed.live {
            // Most likely since another folder has taken its place.
            let found = workspace::head(&self.client().await?, self.project, self.connection).await?;
            self.stands(found).await?;
            return Err(End::come_back("the lease of this daemon is over"));
        }
        let lost: Vec<AttemptId> =
            self.in_hand.iter().filter(|known| !renewed.owned.iter().any(|(own, _)| own == *known)).copied().collect();
        for attempt in lost {
            self.forget(attempt);
            self.line.send(&ToDaemon::Lost { attempt }).await?;
        }
        let cancelled = renewed.owned.into_iter().filter(|(_, cancelled)| *cancelled).map(|(attempt, _)| attempt);
        self.cancel(cancelled.collect()).await?;
        self.claim().await
    }

    /// There may be news of the project's jobs.
    pub(super) async fn hand_over(&mut self) -> Result<(), End> {
        if !self.in_hand.is_empty() {
            let in_hand: Vec<AttemptId> = self.in_hand.iter().copied().collect();
            let cancelled = workspace::cancelled(&self.client().await?, &in_hand).await?;
            self.cancel(cancelled).await?;
        }
        self.claim().await
    }

    async fn cancel(&mut self, attempts: Vec<AttemptId>) -> Result<(), End> {
        for attempt in attempts {
            if self.in_hand.contains(&attempt) && self.cancelled.insert(attempt) {
                self.line.send(&ToDaemon::Cancel { attempt }).await?;
            }
        }
        Ok(())
    }

    async fn claim(&mut self) -> Result<(), End> {
        let in_hand: Vec<AttemptId> = self.in_hand.iter().copied().collect();
        let most = usize::try_from(SLOTS).unwrap_or_default();
        let handed = workspace::claim(&self.client().await?, self.project, self.connection, &in_hand, most).await?;
        if handed.is_empty() {
            return Ok(());
        }
        self.app.waker.wake_all();
        for job in handed {
            self.in_hand.insert(job.attempt);
            let spec = job.spec;
            let frame = DaemonJob {
                attempt: job.attempt,
                job: job.job,
                project: self.project,
                number: u32::from(job.number.unsigned_abs()),
                job_type: spec.job_type,
                instruction: spec.instruction,
                argv: spec.argv,
                agent: spec.agent,
                labels: serde_json::from_value(spec.labels).unwrap_or_default(),
                timeout_s: spec.timeout_s,
                silence_timeout_s: spec.silence_timeout_s,
                read_only: spec.read_only,
            };
            self.line.send(&ToDaemon::Job(Box::new(frame))).await?;
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, attempt: AttemptId) {
        self.in_hand.remove(&attempt);
        self.cancelled.remove(&attempt);
        self.phases.retain(|(known, _)| *known != attempt);
    }
}
