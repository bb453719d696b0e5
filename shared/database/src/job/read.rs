//! One job as it stands, with its attempts.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{BatchId, JobId, JobState, JobType, ProjectId, ScheduleId, TenantId, agent::Tokens};
use serde::Deserialize;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::DatabaseError;

/// The finer state, in the words of the API: stated here and nowhere else, for showing and for filtering.
macro_rules! detail {
    () => {
        "CASE WHEN j.state = 'failed' AND j.failure_kind IN ('timeout', 'queue_timeout', 'dependency') THEN j.failure_kind
              WHEN j.state = 'failed' THEN 'error' WHEN j.state = 'succeeded' THEN 'completed' WHEN j.state = 'canceled' THEN 'cancelled'
              WHEN j.state = 'dead' THEN 'dead' WHEN j.cancel_at IS NOT NULL THEN 'cancelling'
              WHEN j.state = 'running' THEN coalesce((SELECT c.phase::text FROM attempt c WHERE c.id = j.current_attempt), 'running')
              WHEN j.state = 'queued' AND j.attempts > 0 THEN 'retrying' ELSE j.state::text END"
    };
}
pub(crate) use detail;

/// The columns of a [`JobRow`], for the queries that add a filter.
macro_rules! select_job {
    ($($filter:expr),+) => {
        concat!(
            "SELECT j.id, j.project_id, j.job_type::text AS job_type, j.title, j.instruction, j.state::text AS state, ",
            $crate::job::read::detail!(),
            " AS detail, j.depends_on, j.requires, j.queue_timeout_s, j.silence_timeout_s, j.retry_of, j.schedule_id, j.batch_id, j.batch_line, j.retried_by, j.cancel_reason,
                    j.failure_kind, j.summary, j.output, j.created_files, j.modified_files,
                    j.deleted_files, j.errors, j.version, j.preview_url, j.created_at, j.updated_at,
                    coalesce(j.queued_at, j.created_at) AS queued_at, j.started_at, j.finished_at,
                    (SELECT coalesce(jsonb_agg(jsonb_build_object(
                         'number', a.number, 'worker', w.instance, 'workspace_path', a.workspace_path, 'isolation', a.isolation,
                         'outcome', nullif(a.state::text, 'running'), 'detail', a.detail, 'base_version', a.base_version,
                         'started_at', a.started_at,
                         'agent_started_at', a.agent_started_at,
                         'finished_at', a.finished_at, 'materialize_s', a.materialize_s, 'run_s', a.run_s, 'push_s', a.push_s,
                         'tokens', CASE WHEN a.output_tokens IS NOT NULL THEN jsonb_build_object('input_tokens', a.input_tokens,
                           'cached_input_tokens', a.cached_input_tokens, 'output_tokens', a.output_tokens) END)
                         ORDER BY a.number), '[]')
                       FROM attempt a JOIN worker w ON w.id = a.worker_id WHERE a.job_id = j.id) AS attempts
               FROM job j ",
            $($filter),+
        )
    };
}
pub(crate) use select_job;

const FIND: &str = select_job!("WHERE j.tenant_id = $1 AND j.id = $2");
const STATE: &str = "SELECT state::text AS state FROM job WHERE tenant_id = $1 AND id = $2";
const MISSING: &str = "SELECT u.place FROM unnest($2::uuid[]) WITH ORDINALITY AS u (id, place)
  WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.id = u.id AND j.tenant_id = $1) ORDER BY u.place";

/// One try at a job.
#[derive(Clone, Debug, Deserialize)]
pub struct AttemptRow {
    /// Which try, from 1.
    pub number: i16,
    /// The worker's instance name.
    pub worker: String,
    /// Where the workspace was.
    pub workspace_path: String,
    /// How it was walled in.
    pub isolation: String,
    /// How it ended; `None` while it runs.
    pub outcome: Option<String>,
    /// What is known of its end.
    pub detail: Option<String>,
    /// The version it started from; 0 is the empty one.
    pub base_version: i32,
    /// When it was claimed.
    pub started_at: DateTime<Utc>,
    /// When its agent started, by the database's clock and the worker's stopwatch; known once it ended.
    pub agent_started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Seconds to create the workspace.
    pub materialize_s: Option<f64>,
    /// Seconds the agent ran.
    pub run_s: Option<f64>,
    /// Seconds to push the changes.
    pub push_s: Option<f64>,
    /// What its agent says it used of its model; known once it ended.
    pub tokens: Option<Tokens>,
}

/// A job as it stands.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// Whose.
    pub project_id: ProjectId,
    /// What kind.
    pub job_type: JobType,
    /// For lists.
    pub title: String,
    /// What to do.
    pub instruction: String,
    /// Where it stands.
    pub state: JobState,
    /// Where exactly, in the words of the API.
    pub detail: String,
    /// Jobs that must have completed before.
    pub depends_on: Vec<JobId>,
    /// Labels a worker must carry: an object of strings.
    pub requires: serde_json::Value,
    /// Longest wait for a worker, in seconds.
    pub queue_timeout_s: Option<i32>,
    /// Longest time without output, in seconds.
    pub silence_timeout_s: Option<i32>,
    /// The job this one repeats.
    pub retry_of: Option<JobId>,
    /// The schedule that made it.
    pub schedule_id: Option<ScheduleId>,
    /// The batch it came with.
    pub batch_id: Option<BatchId>,
    /// Its line there, from 1.
    pub batch_line: Option<i32>,
    /// The job that took its line over after it failed.
    pub retried_by: Option<JobId>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
    /// Why its last attempt ended badly.
    pub failure_kind: Option<String>,
    /// The agent's summary.
    pub summary: Option<String>,
    /// The agent's last message.
    pub output: Option<String>,
    /// Paths that were new.
    pub created_files: Vec<String>,
    /// Paths that changed.
    pub modified_files: Vec<String>,
    /// Paths that went.
    pub deleted_files: Vec<String>,
    /// What went wrong.
    pub errors: Vec<String>,
    /// The version it made.
    pub version: Option<i32>,
    /// Where its work can be seen.
    pub preview_url: Option<String>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its row last changed.
    pub updated_at: DateTime<Utc>,
    /// When it last joined the queue; until it heads its lane, when it was accepted.
    pub queued_at: DateTime<Utc>,
    /// When it was first claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Its tries, oldest first.
    pub attempts: Vec<AttemptRow>,
}

impl JobRow {
    pub(crate) fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let bad = |reason: String| DatabaseError::Row { operation: "read a job", reason };
        Ok(Self {
            id: row.get::<_, Uuid>("id").into(),
            project_id: row.get::<_, Uuid>("project_id").into(),
            job_type: row.get::<_, &str>("job_type").parse().map_err(|error| bad(format!("{error}")))?,
            title: row.get("title"),
            instruction: row.get("instruction"),
            state: row.get::<_, &str>("state").parse().map_err(|error| bad(format!("{error}")))?,
            detail: row.get("detail"),
            depends_on: row.get::<_, Vec<Uuid>>("depends_on").into_iter().map(JobId::from).collect(),
            requires: row.get("requires"),
            queue_timeout_s: row.get("queue_timeout_s"),
            silence_timeout_s: row.get("silence_timeout_s"),
            retry_of: row.get::<_, Option<Uuid>>("retry_of").map(JobId::from),
            schedule_id: row.get::<_, Option<Uuid>>("schedule_id").map(ScheduleId::from),
            batch_id: row.get::<_, Option<Uuid>>("batch_id").map(BatchId::from),
            batch_line: row.get("batch_line"),
            retried_by: row.get::<_, Option<Uuid>>("retried_by").map(JobId::from),
            cancel_reason: row.get("cancel_reason"),
            failure_kind: row.get("failure_kind"),
            summary: row.get("summary"),
            output: row.get("output"),
            created_files: row.get("created_files"),
            modified_files: row.get("modified_files"),
            deleted_files: row.get("deleted_files"),
            errors: row.get("errors"),
            version: row.get("version"),
            preview_url: row.get("preview_url"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
            queued_at: row.get("queued_at"),
            started_at: row.get("started_at"),
            finished_at: row.get("finished_at"),
            attempts: serde_json::from_value(row.get("attempts")).map_err(|error| bad(error.to_string()))?,
        })
    }
}

/// The tenant's job.
///
/// # Errors
/// The database does not answer.
pub async fn find(conn: &impl GenericClient, tenant: TenantId, id: JobId) -> Result<Option<JobRow>, DatabaseError> {
    let failed = || DatabaseError::query("read a job");
    let statement = conn.prepare_cached(FIND).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &id.uuid()]).await.map_err(failed())?;
    row.as_ref().map(JobRow::from_row).transpose()
}

/// Only where the tenant's job stands: for those who wait for its end.
///
/// # Errors
/// The database does not answer.
pub async fn state(conn: &impl GenericClient, tenant: TenantId, id: JobId) -> Result<Option<JobState>, DatabaseError> {
    let failed = || DatabaseError::query("read a job's state");
    let statement = conn.prepare_cached(STATE).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &id.uuid()]).await.map_err(failed())?;
    row.map(|row| row.get::<_, &str>("state").parse())
        .transpose()
        .map_err(|error| DatabaseError::Row { operation: "read a job's state", reason: format!("{error}") })
}

/// Which of `ids` are not this tenant's jobs: their places in the list, from 0.
///
/// # Errors
/// The database does not answer.
pub async fn missing(conn: &impl GenericClient, tenant: TenantId, ids: &[JobId]) -> Result<Vec<usize>, DatabaseError> {
    let failed = || DatabaseError::query("look for jobs");
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let statement = conn.prepare_cached(MISSING).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&tenant.uuid(), &ids]).await.map_err(failed())?;
    Ok(rows.iter().filter_map(|row| usize::try_from(row.get::<_, i64>("place") - 1).ok()).collect())
}
