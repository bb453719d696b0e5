//! One attempt, from the comparison before it to the result after it.

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use drydock_database::report::Report;
use drydock_domain::{
    JobType, Outcome, Phase,
    agent::{AgentRequest, AgentStatus},
    daemon::{DaemonJob, FromDaemon},
};
use drydock_runtime::{Backoff, exit::chain};
use drydock_worker::agent::{self, AgentExit, AgentOutput, Ending, Launch, Protocol};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Jobs, Why,
    changes::Changes,
    log::Log,
    report::{fit, of_agent, of_command, of_fault},
};
use crate::daemon::{
    command,
    spool::Ended,
    sync::{Look, RETRY, Snapshot},
};

/// Lines that wait between a pipe and the log.
const BACKLOG: usize = 64;
/// How long the comparison before a job may be tried.
const BEFORE: Duration = Duration::from_secs(60);

/// Private directories of an attempt; removed when dropped.
struct Scratch {
    top: PathBuf,
    home: PathBuf,
    tmp: PathBuf,
}

/// What was done, but for the lists of files.
enum Done {
    Agent(AgentExit),
    Command(command::Ran),
}

impl Jobs {
    pub(super) async fn run(&self, job: DaemonJob, cancel: CancellationToken) {
        // Never closed.
        let _slot = self.0.slots.acquire().await;
        let workshop = &self.0.workshop;
        let log = Log::new(&workshop.spool, &workshop.events, job.attempt);
        let ended = log.during(self.carry_out(&job, cancel, &log)).await;
        if self.why(job.attempt) != Some(Why::Lost) {
            if let Err(error) = workshop.spool.ended(job.attempt, &ended) {
                workshop.events.warn(&format!("cannot keep the result of job {}: {error}", job.job));
            }
            self.enters(job.attempt, Phase::Pushing);
            self.finish(&job, ended).await;
        }
        self.running().remove(&job.attempt);
    }

    async fn carry_out(&self, job: &DaemonJob, cancel: CancellationToken, log: &Log<'_>) -> Ended {
        let began = Instant::now();
        let root = self.0.workshop.folder.root();
        log.line(format!("[worker] Workspace: {} (live folder)", root.display()));
        let before = tokio::select! {
            before = self.before() => before,
            () = cancel.cancelled() => return self.stopped(job),
        };
        let before = match before {
            Ok(before) => before,
            Err(reason) => return fault(log, &format!("the folder cannot be made like the newest version: {reason}")),
        };
        let synced = began.elapsed().as_secs_f64();
        self.enters(job.attempt, Phase::Running);
        let request = self.request(job);
        let done = match self.do_it(job, &request, cancel, log).await {
            Ok(done) => done,
            Err(reason) => return fault(log, &reason),
        };
        log.line("[worker] Generation complete");
        let changes = match self.0.workshop.folder.snapshot().await {
            Ok(after) => Changes::between(&before, &after),
            Err(error) => return fault(log, &format!("the folder cannot be read: {error}")),
        };
        changes.say(root, log);
        let ended = self.judge(job, done, &request, &changes);
        Ended { report: Report { materialize_s: Some(synced), agent_start_s: Some(synced), ..ended.report }, ..ended }
    }

    /// The folder as it is before, like the newest version.
    async fn before(&self) -> Result<Snapshot, String> {
        let (folder, mut backoff) = (&self.0.workshop.folder, Backoff::new(RETRY.0, RETRY.1));
        let end = Instant::now() + BEFORE;
        while let Err(error) = folder.sync(Look::Newest).await {
            if error.is_final() || Instant::now() >= end {
                return Err(chain(&error));
            }
            sleep(RETRY.0 / 2 + backoff.next_delay()).await;
        }
        folder.snapshot().await.map_err(|error| error.to_string())
    }

    fn request(&self, job: &DaemonJob) -> AgentRequest {
        AgentRequest {
            project_id: job.project,
            job_id: job.job,
            attempt: job.number,
            job_type: job.job_type,
            instruction: job.instruction.clone(),
            workspace_path: self.0.workshop.folder.root().display().to_string(),
            labels: job.labels.clone(),
        }
    }

    async fn do_it(
        &self,
        job: &DaemonJob,
        request: &AgentRequest,
        cancel: CancellationToken,
        log: &Log<'_>,
    ) -> Result<Done, String> {
        let scratch = Scratch::make(self.0.workshop.spool.scratch(job.attempt))
            .map_err(|error| format!("no private directory can be made: {error}"))?;
        match job.job_type {
            JobType::Command => self.command(job, request, cancel, log, &scratch).await.map(Done::Command),
            JobType::InitialProject | JobType::Edit => {
                self.agent(job, request, cancel, log, &scratch).await.map(Done::Agent)
            }
            JobType::Session => Err("a daemon holds no sessions: start it on a worker".to_owned()),
        }
    }

    async fn agent(
        &self,
        job: &DaemonJob,
        request: &AgentRequest,
        cancel: CancellationToken,
        log: &Log<'_>,
        scratch: &Scratch,
    ) -> Result<AgentExit, String> {
        let workshop = &self.0.workshop;
        let spec = workshop.agents.get(&job.agent).ok_or_else(|| {
            let known = workshop.agents.names().join(", ");
            format!("agent '{}' is not there for this daemon, which has {known}", job.agent)
        })?;
        let writes_result = spec.protocol() == Protocol::File;
        let _alone = if writes_result { Some(self.0.exchange.write().await) } else { None };
        let _shared = if writes_result { None } else { Some(self.0.exchange.read().await) };
        let (output, mut said) = mpsc::channel(BACKLOG);
        let launch = Launch {
            spec,
            request,
            attempt: job.attempt,
            argv: job.argv.as_deref(),
            workspace: workshop.folder.root(),
            shared: true,
            home: &scratch.home,
            tmp: &scratch.tmp,
            timeout: job.timeout_s.map(|seconds| Duration::from_secs(seconds.into())),
            silence: job.silence_timeout_s.map(|seconds| Duration::from_secs(seconds.into())),
            cancel,
            hold: agent::Hold::default(),
            completes_result: true,
            output,
        };
        let hearing = async {
            while let Some(said) = said.recv().await {
                match said {
                    AgentOutput::Line(line) => log.line(line),
                    // Workers tell it as an event; here it has no way of its own.
                    AgentOutput::Progress(_) => {}
                }
            }
        };
        let (exit, ()) = tokio::join!(agent::run(launch), hearing);
        exit.map_err(|error| chain(&error))
    }

    async fn command(
        &self,
        job: &DaemonJob,
        request: &AgentRequest,
        cancel: CancellationToken,
        log: &Log<'_>,
        scratch: &Scratch,
    ) -> Result<command::Ran, String> {
        let workshop = &self.0.workshop;
        let argv = job.argv.clone().unwrap_or_default();
        let (output, mut said) = mpsc::channel(BACKLOG);
        let run = command::Run {
            argv: &argv,
            policy: &workshop.policy,
            limits: workshop.limits,
            timeout: job.timeout_s.map(|seconds| Duration::from_secs(seconds.into())),
            request,
            attempt: job.attempt,
            root: workshop.folder.root(),
            home: &scratch.home,
            tmp: &scratch.tmp,
            cancel,
            output,
        };
        let hearing = async {
            while let Some(line) = said.recv().await {
                log.line(line);
            }
        };
        let (ran, ()) = tokio::join!(command::run(run), hearing);
        let ran = ran.map_err(|error| chain(&error))?;
        if let Some(detail) = &ran.detail {
            log.line(format!("[worker] {detail}"));
        }
        let (exit_code, detail) = (ran.answer.exit_code, ran.detail.clone().filter(|_| ran.answer.exit_code.is_none()));
        let (id, attempt, refused) = (Uuid::now_v7(), job.attempt, ran.refused);
        let told = FromDaemon::Command { id, attempt, argv, refused, exit_code, detail };
        workshop.spool.command(job.attempt, &told).map_err(|error| format!("the command cannot be noted: {error}"))?;
        Ok(ran)
    }

    fn judge(&self, job: &DaemonJob, done: Done, request: &AgentRequest, changes: &Changes) -> Ended {
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
    fn stopped(&self, job: &DaemonJob) -> Ended {
        let (outcome, detail) = match self.why(job.attempt) {
            Some(Why::Canceled) => (Outcome::Canceled, "the job was cancelled"),
            _ => (Outcome::Interrupted, "the daemon had to stop it"),
        };
        Ended { outcome, report: of_fault(detail.to_owned()) }
    }

    /// Makes a version of what was changed, then the result. Where that has to wait, it does; a restart goes on with it.
    pub(super) async fn finish(&self, job: &DaemonJob, ended: Ended) {
        let workshop = &self.0.workshop;
        let began = Instant::now();
        let Ended { mut outcome, mut report } = ended;
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let synced = loop {
            match workshop.folder.sync(Look::Known).await {
                Ok(version) => break Some(version),
                Err(error) if error.is_final() => {
                    let detail = format!("the changed files could not be stored: {}", chain(&error));
                    outcome = Outcome::Infra;
                    report.errors.push(detail.clone());
                    report.detail = Some(detail);
                    break None;
                }
                Err(_) if !workshop.spool.in_hand().contains(&job.attempt) => return,
                // The loop that keeps the folder in step says why.
                Err(_) => drop(timeout(RETRY.0 / 2 + backoff.next_delay(), workshop.folder.moved()).await),
            }
        };
        let is_changed =
            [&report.created_files, &report.modified_files, &report.deleted_files].iter().any(|list| !list.is_empty());
        report.push_s = Some(began.elapsed().as_secs_f64());
        report.log_bytes = workshop.spool.log_bytes(job.attempt);
        let version = synced.filter(|_| is_changed).and_then(|version| i32::try_from(version).ok());
        self.tell(job, outcome, version, report);
    }

    /// Tells that it came to nothing, and why.
    pub(super) fn fail(&self, job: &DaemonJob, outcome: Outcome, detail: &str) {
        let workshop = &self.0.workshop;
        let log = Log::new(&workshop.spool, &workshop.events, job.attempt);
        log.line(format!("[worker] Not finished: {detail}"));
        log.flush();
        let report = Report { log_bytes: workshop.spool.log_bytes(job.attempt), ..of_fault(detail.to_owned()) };
        self.tell(job, outcome, None, report);
    }

    fn tell(&self, job: &DaemonJob, outcome: Outcome, version: Option<i32>, report: Report) {
        let workshop = &self.0.workshop;
        match workshop.spool.result(job.attempt, job.job, outcome, version, fit(report)) {
            Ok(()) => workshop.events.job_finished(job.job, job.attempt, outcome),
            Err(error) => workshop.events.warn(&format!("cannot keep the result of job {}: {error}", job.job)),
        }
    }
}

/// A fault of ours.
fn fault(log: &Log<'_>, detail: &str) -> Ended {
    log.line(format!("[worker] Not finished: {detail}"));
    Ended { outcome: Outcome::Infra, report: of_fault(detail.to_owned()) }
}

impl Scratch {
    fn make(top: PathBuf) -> io::Result<Self> {
        let (home, tmp) = (top.join("home"), top.join("tmp"));
        fs_err::create_dir_all(&home)?;
        fs_err::create_dir_all(&tmp)?;
        Ok(Self { top, home, tmp })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The attempt's whole directory goes with its result.
        let _left = fs_err::remove_dir_all(&self.top);
    }
}
