//! What all stages of one attempt share.

use drydock_database::job::Claim;
use drydock_domain::{AttemptId, JobId, JobType, Phase};
use tokio::time::Instant;

use crate::{context::Context, log::JobLog, running::Registration, workspace::Scratch};

/// A claimed job: ours until it is finished or taken from us.
pub(crate) struct Attempt {
    pub(crate) context: Context,
    pub(crate) job: JobId,
    pub(crate) id: AttemptId,
    pub(crate) claim: Claim,
    pub(super) scratch: Scratch,
    pub(super) log: JobLog,
    pub(super) registration: Registration,
    pub(super) claimed: Instant,
}

impl Attempt {
    pub(crate) fn new(context: &Context, job: JobId, id: AttemptId, claim: Claim, scratch: Scratch) -> Self {
        Self {
            log: JobLog::open(context, claim.spec.tenant_id, id),
            registration: context.running.register(id),
            claimed: Instant::now(),
            context: context.clone(),
            job,
            id,
            claim,
            scratch,
        }
    }

    /// Enters a phase: known to the lease, told to watchers, timed.
    pub(super) async fn enter(&self, phase: Phase) -> Stage {
        self.registration.reach(phase);
        let text = match phase {
            Phase::Materializing => "creating the workspace",
            Phase::Running if self.claim.spec.job_type == JobType::Session => "starting the session's server",
            Phase::Running => "running the agent",
            Phase::Pushing => "storing the changed files",
        };
        self.log.progress(text).await;
        tracing::debug!(phase = %phase, "entered a phase");
        Stage { began: Instant::now(), phase }
    }
}

/// A phase being timed.
pub(super) struct Stage {
    began: Instant,
    phase: Phase,
}

impl Stage {
    /// Seconds it took; our own stages are also counted.
    pub(super) fn leave(self, context: &Context) -> f64 {
        let seconds = self.began.elapsed().as_secs_f64();
        match self.phase {
            Phase::Running => context.metrics.run_seconds.observe(seconds),
            own => context.metrics.stages.with_label_values(&[own.as_str()]).observe(seconds),
        }
        seconds
    }
}
