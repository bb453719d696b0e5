//! Run: the agent works in the workspace, its output streams out while it does.

use std::time::Duration;

use drydock_agent::{self as agent, AgentExit, AgentOutput, AgentSpec, Ending, Launch};
use drydock_domain::{
    JobType, Outcome, Phase,
    agent::{AgentRequest, AgentResult, AgentStatus},
};
use tokio::sync::mpsc;

use super::{Attempt, error::JobError, prepare::Prepared, serve};
use crate::running::Stop;

/// Lines that wait between the agent's pipe and the log.
pub(super) const BACKLOG: usize = 64;

/// An agent that has ended; nothing of it is alive.
pub(super) struct Executed {
    pub(super) outcome: Outcome,
    pub(super) detail: Option<String>,
    pub(super) request: AgentRequest,
    pub(super) result: AgentResult,
    pub(super) last_message: Option<String>,
    /// Whether its files are looked at.
    pub(super) kept: bool,
    /// From the claim to the agent's start.
    pub(super) start_s: f64,
    pub(super) seconds: f64,
}

pub(super) async fn execute(attempt: &Attempt, _workspace: &Prepared) -> Result<Executed, JobError> {
    attempt.registration.permit.granted().await.map_err(JobError::Stopped)?;
    if attempt.claim.spec.job_type == JobType::Session {
        return serve::serve(attempt).await;
    }
    let stage = attempt.enter(Phase::Running).await;
    let request = request(attempt);
    let start_s = attempt.claimed.elapsed().as_secs_f64();
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let (exit, ()) = match agent_of(attempt) {
        Some(spec) => {
            if let Some(why) = refusal(attempt, spec) {
                return Ok(not_run(request, why, start_s));
            }
            let (home, tmp) = (attempt.scratch.home(), attempt.scratch.temp());
            let launch = Launch {
                spec,
                request: &request,
                attempt: attempt.id,
                argv: attempt.claim.spec.argv.as_deref(),
                workspace: attempt.scratch.workspace(),
                shared: false,
                egress: &attempt.context.egress,
                jail: attempt.context.jail.as_ref(),
                home: &home,
                tmp: &tmp,
                timeout: attempt.claim.spec.timeout_s.map(|seconds| Duration::from_secs(seconds.into())),
                silence: attempt.claim.spec.silence_timeout_s.map(|seconds| Duration::from_secs(seconds.into())),
                cancel: attempt.registration.permit.stop.token(),
                hold: attempt.registration.permit.hold.clone(),
                // The directory goes; the result stands in the attempt's row.
                completes_result: false,
                output: sender,
            };
            tokio::join!(agent::run(launch), pump(attempt, receiver))
        }
        None => return Ok(unknown_agent(attempt, request, start_s)),
    };
    let exit = exit.map_err(JobError::Agent)?;
    attempt.log.line("[worker] Generation complete").await;
    let (outcome, detail) = judge(attempt, &exit);
    let seconds = stage.leave(&attempt.context);
    Ok(Executed {
        outcome,
        detail,
        request,
        result: exit.result,
        last_message: exit.last_message,
        kept: true,
        start_s,
        seconds,
    })
}

/// Why the job's command line is not run here, if it is not.
fn refusal(attempt: &Attempt, spec: &AgentSpec) -> Option<String> {
    let argv = attempt.claim.spec.argv.as_deref().filter(|_| spec.takes_argv())?;
    let why = attempt.context.config.commands.refusal(argv)?;
    attempt.context.metrics.commands_refused.inc();
    Some(why)
}

fn agent_of(attempt: &Attempt) -> Option<&AgentSpec> {
    let spec = &attempt.claim.spec;
    attempt.context.agents.get(if spec.job_type == JobType::Command { "command" } else { &spec.agent })
}

pub(super) fn request(attempt: &Attempt) -> AgentRequest {
    let spec = &attempt.claim.spec;
    AgentRequest {
        project_id: spec.project_id,
        job_id: attempt.job,
        attempt: u32::from(attempt.claim.number.unsigned_abs()),
        job_type: spec.job_type,
        instruction: spec.instruction.clone(),
        workspace_path: attempt.scratch.workspace().display().to_string(),
        labels: serde_json::from_value(spec.labels.clone()).unwrap_or_default(),
    }
}

pub(super) async fn pump(attempt: &Attempt, mut receiver: mpsc::Receiver<AgentOutput>) {
    while let Some(said) = receiver.recv().await {
        match said {
            AgentOutput::Line(line) => attempt.log.line(line).await,
            AgentOutput::Progress(text) => attempt.log.progress(text).await,
        }
    }
}

/// The agent's failure is a result; what we did to it is told by why it was stopped.
fn judge(attempt: &Attempt, exit: &AgentExit) -> (Outcome, Option<String>) {
    if let Ending::OverLimit(excess) = &exit.ending {
        attempt.context.metrics.was_over_limit(excess.resource);
    }
    match (&exit.ending, attempt.registration.permit.stop.reason()) {
        (Ending::Canceled, Some(Stop::Canceled)) => (Outcome::Canceled, Some("the job was cancelled".to_owned())),
        (Ending::Canceled, _) => (Outcome::Interrupted, Some("the worker had to stop it".to_owned())),
        (Ending::TimedOut | Ending::Silent(_), _) => (Outcome::Timeout, Some(format!("the agent {}", exit.ending))),
        (Ending::Exited(0), _) if exit.result.status == AgentStatus::Completed => (Outcome::Succeeded, None),
        (Ending::Exited(0), _) => (Outcome::Failed, Some("the agent says it failed".to_owned())),
        (ending, _) => (Outcome::Failed, Some(format!("the agent {ending}"))),
    }
}

/// The claim has checked the name; only a configuration that changed meanwhile leads here.
fn unknown_agent(attempt: &Attempt, request: AgentRequest, start_s: f64) -> Executed {
    not_run(request, format!("agent '{}' is not configured on this worker", attempt.claim.spec.agent), start_s)
}

/// A job that fails before anything of it runs.
fn not_run(request: AgentRequest, error: String, start_s: f64) -> Executed {
    let result = AgentResult::error(error.clone(), vec![error.clone()]);
    Executed {
        outcome: Outcome::Failed,
        detail: Some(error),
        request,
        result,
        last_message: None,
        kept: true,
        start_s,
        seconds: 0.0,
    }
}
