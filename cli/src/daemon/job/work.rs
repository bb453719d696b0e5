//! What a job does in the folder: an agent, or a command.

use std::{collections::HashSet, io, path::PathBuf, time::Duration};

use drydock_agent::{self as agent, AgentError, AgentExit, AgentOutput, Launch, Protocol};
use drydock_domain::{
    JobType,
    agent::AgentRequest,
    daemon::{DaemonJob, FromDaemon},
};
use drydock_runtime::exit::chain;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Jobs, log::Log};
use crate::daemon::command;

/// Lines that wait between a pipe and the log.
const BACKLOG: usize = 64;

/// Private directories of an attempt; removed when dropped.
struct Scratch {
    top: PathBuf,
    home: PathBuf,
    tmp: PathBuf,
}

/// What was done, but for the lists of files.
pub(super) enum Done {
    Agent(AgentExit),
    Command(command::Ran),
}

/// Why it was not done, or not to its end.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing has run.
    Idle(String),
    /// Something may have run, and changed what it will.
    AtWork(String),
}

impl Fault {
    fn of(error: &AgentError) -> Self {
        let reason = chain(error);
        match error {
            AgentError::Prepare { .. } | AgentError::NoArgv(_) | AgentError::Spawn { .. } => Self::Idle(reason),
            AgentError::Processes { .. } | AgentError::Survivors { .. } | AgentError::WriteResult(_) => {
                Self::AtWork(reason)
            }
        }
    }
}

impl Jobs {
    pub(super) fn request(&self, job: &DaemonJob) -> AgentRequest {
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

    /// `None`: it was stopped before its turn.
    pub(super) async fn perform(
        &self,
        job: &DaemonJob,
        request: &AgentRequest,
        cancel: CancellationToken,
        log: &Log<'_>,
    ) -> Result<Option<Done>, Fault> {
        let scratch = Scratch::make(self.0.workshop.spool.scratch(job.attempt))
            .map_err(|error| Fault::Idle(format!("no private directory can be made: {error}")))?;
        match job.job_type {
            JobType::Command => {
                self.command(job, request, cancel, log, &scratch).await.map(|ran| Some(Done::Command(ran)))
            }
            JobType::InitialProject | JobType::Edit => {
                self.agent(job, request, cancel, log, &scratch).await.map(|exit| exit.map(Done::Agent))
            }
            JobType::Session => Err(Fault::Idle("a daemon holds no sessions: start it on a worker".to_owned())),
        }
    }

    async fn agent(
        &self,
        job: &DaemonJob,
        request: &AgentRequest,
        cancel: CancellationToken,
        log: &Log<'_>,
        scratch: &Scratch,
    ) -> Result<Option<AgentExit>, Fault> {
        let workshop = &self.0.workshop;
        let spec = workshop.agents.get(&job.agent).ok_or_else(|| {
            let known = workshop.agents.names().join(", ");
            Fault::Idle(format!("agent '{}' is not there for this daemon, which has {known}", job.agent))
        })?;
        let turn = async {
            match spec.protocol() {
                Protocol::File => (Some(self.0.exchange.write().await), None),
                Protocol::Exit | Protocol::Codex => (None, Some(self.0.exchange.read().await)),
            }
        };
        let _turn = tokio::select! {
            turn = turn => turn,
            () = cancel.cancelled() => return Ok(None),
        };
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
            egress: &drydock_egress::Egress::default(),
            jail: None,
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
        exit.map(Some).map_err(|error| Fault::of(&error))
    }

    async fn command(
        &self,
        job: &DaemonJob,
        request: &AgentRequest,
        cancel: CancellationToken,
        log: &Log<'_>,
        scratch: &Scratch,
    ) -> Result<command::Ran, Fault> {
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
        let ran = match ran {
            Ok(ran) => ran,
            Err(error) => {
                self.note(job, false, None, Some(chain(&error))).await;
                return Err(Fault::of(&error));
            }
        };
        if let Some(detail) = &ran.detail {
            log.line(format!("[worker] {detail}"));
        }
        let (exit_code, detail) = (ran.answer.exit_code, ran.detail.clone().filter(|_| ran.answer.exit_code.is_none()));
        self.note(job, ran.refused, exit_code, detail).await;
        Ok(ran)
    }

    /// For the audit log: what has run is in it, whatever came of it.
    async fn note(&self, job: &DaemonJob, refused: bool, exit_code: Option<i32>, detail: Option<String>) {
        let (id, attempt, argv) = (Uuid::now_v7(), job.attempt, job.argv.clone().unwrap_or_default());
        let told = FromDaemon::Command { id, attempt, argv, refused, exit_code, detail };
        self.keep(job, "command", || self.0.workshop.spool.command(attempt, &told)).await;
    }

    /// A command of an earlier run that nobody can tell the end of.
    pub(super) async fn note_interrupted(&self, job: &DaemonJob, detail: &str) {
        let spool = &self.0.workshop.spool;
        // Made before the command runs, gone when it was noted.
        let has_run = job.job_type == JobType::Command && spool.scratch(job.attempt).exists();
        let is_its =
            |frame: &FromDaemon| matches!(frame, FromDaemon::Command { attempt, .. } if *attempt == job.attempt);
        if has_run && !spool.next(&HashSet::new(), usize::MAX).iter().any(|(_, frame)| is_its(frame)) {
            self.note(job, false, None, Some(detail.to_owned())).await;
        }
    }
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
