//! One job as it stands, with its attempts, and why it waits.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{JobId, JobState, JobType, Phase, ProjectId, TenantId};
use serde::Deserialize;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

use crate::DatabaseError;

/// The columns of a [`JobRow`], for the queries that add a filter.
macro_rules! select_job {
    ($($filter:literal),+) => {
        concat!(
            "SELECT j.id, j.project_id, j.job_type::text AS job_type, j.title, j.instruction, j.state::text AS state,
                    j.cancel_at IS NOT NULL AS cancelling, j.failure_kind, j.summary, j.output, j.created_files, j.modified_files,
                    j.deleted_files, j.errors, j.version, j.preview_url, j.created_at, j.updated_at,
                    coalesce(j.queued_at, j.created_at) AS queued_at, j.started_at, j.finished_at,
                    (SELECT coalesce(jsonb_agg(jsonb_build_object(
                         'number', a.number, 'worker', w.instance, 'workspace_path', a.workspace_path, 'isolation', a.isolation,
                         'outcome', nullif(a.state::text, 'running'), 'phase', a.phase, 'started_at', a.started_at,
                         'agent_started_at', a.agent_started_at,
                         'finished_at', a.finished_at, 'materialize_s', a.materialize_s, 'run_s', a.run_s, 'push_s', a.push_s)
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
const WAITING: &str = "SELECT j.pool, j.agent, j.job_type = 'command' AS any_agent, j.min_isolation::text AS min_isolation,
    CASE WHEN j.run_at > clock_timestamp() THEN j.run_at END AS due,
    count(w.id) AS workers,
    count(w.id) FILTER (WHERE j.job_type = 'command' OR j.agent = ANY (w.agents)) AS with_agent,
    count(w.id) FILTER (WHERE w.isolation >= j.min_isolation) AS with_isolation,
    count(w.id) FILTER (WHERE (j.job_type = 'command' OR j.agent = ANY (w.agents)) AND w.isolation >= j.min_isolation) AS suited
  FROM job j LEFT JOIN worker w ON w.pool = j.pool AND w.ended_at IS NULL AND NOT w.draining AND w.lease_until > clock_timestamp()
 WHERE j.id = $1 GROUP BY j.id";

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
    /// How far it is or got.
    pub phase: Option<Phase>,
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
    /// Whether a cancel was asked for.
    pub cancelling: bool,
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
            cancelling: row.get("cancelling"),
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

/// What a waiting job waits for, as counts of live workers in its pool.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its pool.
    pub pool: String,
    /// Its agent; `None` for a command.
    pub agent: Option<String>,
    /// The least isolation it accepts.
    pub min_isolation: String,
    /// When it is due, if that is later than now.
    pub due: Option<DateTime<Utc>>,
    /// Workers in its pool.
    pub workers: i64,
    /// Those with its agent.
    pub with_agent: i64,
    /// Those with its isolation.
    pub with_isolation: i64,
    /// Those with both.
    pub suited: i64,
}

/// The tenant's job.
///
/// # Errors
/// The database does not answer.
pub async fn find(conn: &impl GenericClient, tenant: TenantId, id: JobId) -> Result<Option<JobRow>, DatabaseError> {
    let statement = prepare_find(conn).await?;
    find_prepared(conn, &statement, tenant, id).await
}

/// Prepared apart, so that the read can be sent right behind another statement.
pub(crate) async fn prepare_find(conn: &impl GenericClient) -> Result<Statement, DatabaseError> {
    conn.prepare_cached(FIND).await.map_err(DatabaseError::query("read a job"))
}

pub(crate) async fn find_prepared(
    conn: &impl GenericClient,
    statement: &Statement,
    tenant: TenantId,
    id: JobId,
) -> Result<Option<JobRow>, DatabaseError> {
    let row =
        conn.query_opt(statement, &[&tenant.uuid(), &id.uuid()]).await.map_err(DatabaseError::query("read a job"))?;
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

/// What a job that is queued or scheduled waits for.
///
/// # Errors
/// The database does not answer.
pub async fn waiting(conn: &impl GenericClient, id: JobId) -> Result<Option<Waiting>, DatabaseError> {
    let failed = || DatabaseError::query("find why a job waits");
    let statement = conn.prepare_cached(WAITING).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&id.uuid()]).await.map_err(failed())?;
    Ok(row.map(|row| Waiting {
        pool: row.get("pool"),
        agent: if row.get("any_agent") { None } else { Some(row.get("agent")) },
        min_isolation: row.get("min_isolation"),
        due: row.get("due"),
        workers: row.get("workers"),
        with_agent: row.get("with_agent"),
        with_isolation: row.get("with_isolation"),
        suited: row.get("suited"),
    }))
}
