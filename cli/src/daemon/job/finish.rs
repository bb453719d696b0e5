//! The end of an attempt: judged, its changes made a version, told.

use std::{io, time::Instant};

use drydock_agent::{AgentExit, Ending};
use drydock_database::report::Report;
use drydock_domain::{
    Outcome,
    agent::{AgentRequest, AgentStatus},
    daemon::DaemonJob,
};
use drydock_runtime::{Backoff, exit::chain};
use tokio::time::{sleep, timeout};

use super::{
    Jobs, Why,
    changes::Changes,
    log::Log,
    report::{fit, of_agent, of_command, of_fault},
    work::Done,
};
use crate::daemon::{
    spool::Ended,
    sync::{Look, RETRY},
};

impl Jobs {
    pub(super) fn judge(&self, job: &DaemonJob, done: Done, request: &AgentRequest, changes: &Changes) -> Ended {
        match done {
            Done::Agent(exit) => {
                let (outcome, detail) = self.judge_agent(job, &exit);
                Ended { outcome, report: Report { detail, ..of_agent(exit, request, changes) } }
            }
            Done::Command(ran) => {
                let stopped = (ran.outcome == Outcome::Canceled).then(|| self.stopped(job));
                let outcome = stopped.map_or(ran.outcome, |stopped| stopped.outcome);
                let report = of_command(&ran.answer, ran.detail.as_deref(), request, changes);
                Ended { outcome, report: Report { detail: ran.detail, ..report } }
            }
        }
    }

    /// As workers judge: the agent's failure is a result; what was done to it is told by why it was stopped.
    fn judge_agent(&self, job: &DaemonJob, exit: &AgentExit) -> (Outcome, Option<String>) {
        match &exit.ending {
            Ending::Canceled => {
                let stopped = self.stopped(job);
                (stopped.outcome, stopped.report.detail)
            }
            Ending::TimedOut | Ending::Silent(_) => (Outcome::Timeout, Some(format!("the agent {}", exit.ending))),
            Ending::Exited(0) if exit.result.status == AgentStatus::Completed => (Outcome::Succeeded, None),
            Ending::Exited(0) => (Outcome::Failed, Some("the agent says it failed".to_owned())),
            ending => (Outcome::Failed, Some(format!("the agent {ending}"))),
        }
    }

    /// What a stopped attempt comes to.
    pub(super) fn stopped(&self, job: &DaemonJob) -> Ended {
        let (outcome, detail) = match self.why(job.attempt) {
            Some(Why::Canceled) => (Outcome::Canceled, "the job was cancelled"),
            _ => (Outcome::Interrupted, "the daemon had to stop it"),
        };
        Ended { outcome, report: of_fault(detail.to_owned()) }
    }

    /// Makes a version of what was changed, then the result. Where that has to wait, it does; a restart goes on with it.
    /// `base` is the version that it began with, as far as that is known.
    pub(super) async fn finish(&self, job: &DaemonJob, base: Option<u64>, ended: Ended) {
        let workshop = &self.0.workshop;
        let began = Instant::now();
        let Ended { outcome, mut report } = ended;
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let synced = loop {
            match workshop.folder.sync(Look::Known).await {
                Ok(version) => break Some(version),
                Err(error) if error.is_final() => {
                    // What was done stays done: nobody is to do it once more for that.
                    report.errors.push(format!("the changed files could not be stored: {}", chain(&error)));
                    break None;
                }
                Err(_) if !workshop.spool.in_hand().contains(&job.attempt) => return,
                // The loop that keeps the folder in step says why.
                Err(_) => drop(timeout(RETRY.0 / 2 + backoff.next_delay(), workshop.folder.moved()).await),
            }
        };
        let is_changed =
            [&report.created_files, &report.modified_files, &report.deleted_files].iter().any(|list| !list.is_empty());
        let put = report.created_files.iter().chain(&report.modified_files);
        for path in workshop.folder.left_out(put).await {
            report.errors.push(format!("'{path}' is in no version: the server does not take it"));
        }
        report.push_s = Some(began.elapsed().as_secs_f64());
        report.log_bytes = workshop.spool.log_bytes(job.attempt);
        let version = match synced.filter(|_| is_changed) {
            // Somebody else may have made the newest since.
            Some(newest) => {
                let ours = workshop.folder.made().await.filter(|made| base.is_none_or(|base| *made > base));
                i32::try_from(ours.unwrap_or(newest)).ok()
            }
            None => None,
        };
        self.tell(job, outcome, version, report).await;
    }

    /// Tells that it came to nothing, and why.
    pub(super) async fn fail(&self, job: &DaemonJob, outcome: Outcome, detail: &str) {
        let workshop = &self.0.workshop;
        let log = Log::new(&workshop.spool, &workshop.events, job.attempt);
        log.line(format!("[worker] Not finished: {detail}"));
        log.flush();
        let report = Report { log_bytes: workshop.spool.log_bytes(job.attempt), ..of_fault(detail.to_owned()) };
        self.tell(job, outcome, None, report).await;
    }

    async fn tell(&self, job: &DaemonJob, outcome: Outcome, version: Option<i32>, report: Report) {
        let (workshop, report) = (&self.0.workshop, fit(report));
        let result = || workshop.spool.result(job.attempt, job.job, outcome, version, report.clone());
        if self.keep(job, "result", result).await {
            workshop.events.job_finished(job.job, job.attempt, outcome);
        }
    }

    /// Tries until it is on disk, as nobody else can tell it; `false`: it is not to be told any more.
    pub(super) async fn keep(&self, job: &DaemonJob, what: &str, put: impl Fn() -> io::Result<()>) -> bool {
        let workshop = &self.0.workshop;
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            match put() {
                Ok(()) => return true,
                Err(_) if !workshop.spool.in_hand().contains(&job.attempt) => return false,
                Err(error) => {
                    let text = format!("cannot keep the {what} of job {}, trying again: {error}", job.job);
                    workshop.events.once(&text);
                }
            }
            sleep(RETRY.0 / 2 + backoff.next_delay()).await;
        }
    }
}
