//! One attempt, from the comparison before it to the result after it.

use std::time::{Duration, Instant};

use drydock_database::report::Report;
use drydock_domain::{Outcome, Phase, daemon::DaemonJob};
use drydock_runtime::{Backoff, exit::chain};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Jobs, Why, changes::Changes, log::Log, report::of_fault, work::Fault};
use crate::daemon::{
    spool::Ended,
    sync::{Before, Look, RETRY},
};

/// How long the comparison before a job may be tried.
const BEFORE: Duration = Duration::from_secs(60);

impl Jobs {
    pub(super) async fn run(&self, job: DaemonJob, cancel: CancellationToken) {
        // Never closed. Who is stopped while it waits has nothing to wait for.
        let _slot = tokio::select! {
            slot = self.0.slots.acquire() => slot.ok(),
            () = cancel.cancelled() => None,
        };
        let workshop = &self.0.workshop;
        let log = Log::new(&workshop.spool, &workshop.events, job.attempt);
        let mut base = None;
        let ended = log.during(self.carry_out(&job, cancel, &log, &mut base)).await;
        if self.why(job.attempt) != Some(Why::Lost) {
            if let Err(error) = workshop.spool.ended(job.attempt, &ended) {
                workshop.events.warn(&format!("cannot keep the result of job {}: {error}", job.job));
            }
            self.enters(job.attempt, Phase::Pushing);
            self.finish(&job, base, ended).await;
        }
        self.running().remove(&job.attempt);
    }

    /// Tells the version that it began with as soon as that is known.
    async fn carry_out(
        &self,
        job: &DaemonJob,
        cancel: CancellationToken,
        log: &Log<'_>,
        base: &mut Option<u64>,
    ) -> Ended {
        let began = Instant::now();
        let root = self.0.workshop.folder.root();
        log.line(format!("[worker] Workspace: {} (live folder)", root.display()));
        let before = tokio::select! {
            before = self.before() => before,
            () = cancel.cancelled() => return self.stopped(job),
        };
        let before = match before {
            Ok((version, before)) => {
                *base = Some(version);
                before
            }
            Err(reason) => return fault(log, &format!("the folder cannot be made like the newest version: {reason}")),
        };
        let synced = began.elapsed().as_secs_f64();
        self.enters(job.attempt, Phase::Running);
        let request = self.request(job);
        let done = match self.perform(job, &request, cancel, log).await {
            Ok(Some(done)) => done,
            Ok(None) => return self.stopped(job),
            Err(Fault::Idle(reason)) => return fault(log, &reason),
            // The fleet would run it once more, on top of what it did.
            Err(Fault::AtWork(reason)) => {
                return Ended { outcome: Outcome::Failed, ..fault(log, &reason) };
            }
        };
        log.line("[worker] Generation complete");
        let (changes, unread) = match self.0.workshop.folder.since(&before).await {
            Ok((before, after)) => (Changes::between(&before, &after), None),
            Err(error) => (Changes::default(), Some(format!("what was changed cannot be read: {error}"))),
        };
        changes.say(root, log);
        let mut ended = self.judge(job, done, &request, &changes);
        ended.report.errors.extend(unread);
        Ended { report: Report { materialize_s: Some(synced), agent_start_s: Some(synced), ..ended.report }, ..ended }
    }

    /// The folder as it is before, like the newest version.
    async fn before(&self) -> Result<(u64, Before), String> {
        let (folder, mut backoff) = (&self.0.workshop.folder, Backoff::new(RETRY.0, RETRY.1));
        let end = Instant::now() + BEFORE;
        let version = loop {
            match folder.sync(Look::Newest).await {
                Ok(version) => break version,
                Err(error) if error.is_final() || Instant::now() >= end => return Err(chain(&error)),
                Err(_) => sleep(RETRY.0 / 2 + backoff.next_delay()).await,
            }
        };
        let before = folder.before().await.map_err(|error| error.to_string())?;
        Ok((version, before))
    }
}

/// A fault of ours.
fn fault(log: &Log<'_>, detail: &str) -> Ended {
    log.line(format!("[worker] Not finished: {detail}"));
    Ended { outcome: Outcome::Infra, report: of_fault(detail.to_owned()) }
}
