//! A job as clients see it. Optional fields are left out when they have no value, the others never.

use chrono::{DateTime, Utc};
use drydock_database::job::{AttemptRow, JobRow};
use drydock_domain::{BatchId, JobId, JobState, JobType, ProjectId, ScheduleId, Status};
use serde::Serialize;
use serde_json::Value;

use super::{tokens::TokensView, waiting::WaitingView};

/// A job.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct JobView {
    #[schema(value_type = Uuid)]
    pub(crate) id: JobId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    /// `initial_project`, `edit` or `command`.
    #[schema(value_type = String)]
    job_type: JobType,
    /// The instruction's first line, unless another was given.
    title: String,
    instruction: String,
    /// `queued`, `in_progress`, `completed`, `error` or `cancelled`.
    #[schema(value_type = String)]
    pub(crate) status: Status,
    /// Finer than `status`; new words may come.
    status_detail: String,
    /// Why it waits, when one job is asked for and it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waiting: Option<WaitingView>,
    /// Jobs that must have completed before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Uuid>)]
    depends_on: Vec<JobId>,
    /// Labels a worker must carry.
    #[serde(skip_serializing_if = "is_empty")]
    #[schema(value_type = crate::openapi::Labels)]
    requires: Value,
    /// Longest wait for a worker, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_timeout_s: Option<i32>,
    /// Longest time without output, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    silence_timeout_s: Option<i32>,
    /// The job this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    retry_of: Option<JobId>,
    /// The schedule that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    schedule_id: Option<ScheduleId>,
    /// The batch it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    batch_id: Option<BatchId>,
    /// Its line there, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_line: Option<i32>,
    /// The job that took its line over, once its batch ran it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    retried_by: Option<JobId>,
    /// Why it was cancelled, as said by who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<String>,
    /// What ended it badly, or its last attempt: `agent`, `timeout`, `infra`, `lost`, `conflict`, `dependency`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_kind: Option<String>,
    /// Where to POST to run it again, once it ended otherwise than well.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// The agent's last message, at most 4 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    created_files: Vec<String>,
    modified_files: Vec<String>,
    deleted_files: Vec<String>,
    errors: Vec<String>,
    /// The version it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    /// What its attempts used of their models; not there while no agent has said any.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<TokensView>,
    attempts: Vec<AttemptView>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    queued_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<DateTime<Utc>>,
    timings: Timings,
    /// Where the result is among the project's files.
    result_path: &'static str,
    /// URL of the log.
    logs_path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview_url: Option<String>,
}

/// One try at a job.
#[derive(Serialize, utoipa::ToSchema)]
struct AttemptView {
    /// From 1.
    number: i16,
    worker: String,
    workspace_path: String,
    isolation: String,
    /// Null while it runs.
    outcome: Option<String>,
    /// What is known of its end, where it did not end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The version it started from; 0 is the empty one.
    base_version: i32,
    started_at: DateTime<Utc>,
    /// When the agent's program started; known once the attempt ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    /// What its agent said it used of its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<TokensView>,
}

/// Seconds of the newest attempt's phases, as far as it got.
#[derive(Default, Serialize, utoipa::ToSchema)]
struct Timings {
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    materialize_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    push_s: Option<f64>,
}

impl From<JobRow> for JobView {
    fn from(row: JobRow) -> Self {
        Self {
            retry_path: retryable(row.state).then(|| format!("/api/v1/jobs/{}/retry", row.id)),
            timings: timings(&row),
            logs_path: format!("/api/v1/projects/{}/jobs/{}/logs", row.project_id, row.id),
            id: row.id,
            project_id: row.project_id,
            job_type: row.job_type,
            title: row.title,
            instruction: row.instruction,
            status: row.state.status(),
            status_detail: row.detail,
            waiting: None,
            depends_on: row.depends_on,
            requires: row.requires,
            queue_timeout_s: row.queue_timeout_s,
            silence_timeout_s: row.silence_timeout_s,
            retry_of: row.retry_of,
            schedule_id: row.schedule_id,
            batch_id: row.batch_id,
            batch_line: row.batch_line,
            retried_by: row.retried_by,
            cancel_reason: row.cancel_reason,
            failure_kind: row.failure_kind,
            summary: row.summary,
            output: row.output,
            created_files: row.created_files,
            modified_files: row.modified_files,
            deleted_files: row.deleted_files,
            errors: row.errors,
            version: row.version,
            tokens: TokensView::sum(row.attempts.iter().map(|attempt| attempt.tokens)),
            attempts: row.attempts.into_iter().map(AttemptView::from).collect(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            queued_at: row.queued_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            result_path: ".codex/result.json",
            preview_url: row.preview_url,
        }
    }
}

impl From<AttemptRow> for AttemptView {
    fn from(row: AttemptRow) -> Self {
        Self {
            number: row.number,
            worker: row.worker,
            workspace_path: row.workspace_path,
            isolation: row.isolation,
            outcome: row.outcome,
            detail: row.detail,
            base_version: row.base_version,
            started_at: row.started_at,
            agent_started_at: row.agent_started_at,
            finished_at: row.finished_at,
            tokens: row.tokens.map(TokensView::from),
        }
    }
}

const fn retryable(state: JobState) -> bool {
    matches!(state, JobState::Failed | JobState::Dead | JobState::Canceled)
}

fn is_empty(object: &Value) -> bool {
    object.as_object().is_none_or(serde_json::Map::is_empty)
}

fn timings(row: &JobRow) -> Timings {
    let Some(newest) = row.attempts.last() else {
        return Timings::default();
    };
    let queued = (newest.started_at - row.queued_at).to_std().ok();
    Timings {
        queue_s: queued.map(|time| milli(time.as_secs_f64())),
        materialize_s: newest.materialize_s.map(milli),
        run_s: newest.run_s.map(milli),
        push_s: newest.push_s.map(milli),
    }
}

/// To the millisecond: what the clock is good for, and no float noise in JSON.
fn milli(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
