//! Sessions as they stand, what a worker is to run, and where there is room for one.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{JobId, JobState, ProjectId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{PREFIX, agent_of};
use crate::{
    DatabaseError,
    page::{Cursor, Page, one_more},
};

/// The columns of a [`SessionRow`], for the queries that add a filter.
macro_rules! select {
    ($filter:literal) => {
        concat!(
            "SELECT s.job_id, j.project_id, s.server, j.read_only, s.idle_timeout_s::int AS idle_timeout_s, s.host, s.port, s.preview_url,
    CASE WHEN s.ended_at IS NOT NULL AND j.state IN ('succeeded', 'canceled') THEN 'terminated' WHEN s.ended_at IS NOT NULL THEN 'failed'
         WHEN s.release_asked_at IS NOT NULL OR j.cancel_at IS NOT NULL THEN 'releasing' WHEN s.ready_at IS NOT NULL THEN 'ready'
         ELSE 'starting' END AS status,
    w.instance AS worker, j.state::text AS job_state, j.started_at, j.failure_kind, j.errors, j.output, j.version, a.detail, a.state::text AS attempt_state,
    s.created_at, s.ready_at, s.ended_at
  FROM session s JOIN job j ON j.id = s.job_id
  LEFT JOIN LATERAL (SELECT t.worker_id, t.detail, t.state FROM attempt t WHERE t.job_id = s.job_id ORDER BY t.number DESC LIMIT 1) a ON true
  LEFT JOIN worker w ON w.id = a.worker_id ",
            $filter
        )
    };
}

const FIND: &str = select!("WHERE s.tenant_id = $1 AND s.job_id = $2");
// A statement each, so that each has its index.
const LIVE: &str = select!(
    "WHERE s.tenant_id = $1 AND s.ended_at IS NULL AND (s.created_at, s.job_id) < ($2, $3) AND ($4::uuid IS NULL OR j.project_id = $4)
  ORDER BY s.created_at DESC, s.job_id DESC LIMIT $5"
);
const ALL: &str = select!(
    "WHERE s.tenant_id = $1 AND (s.created_at, s.job_id) < ($2, $3) AND ($4::uuid IS NULL OR j.project_id = $4)
  ORDER BY s.created_at DESC, s.job_id DESC LIMIT $5"
);
const PLAN: &str = "SELECT server, idle_timeout_s::int AS idle_timeout_s FROM session WHERE job_id = $1";
/// Whether a worker could take the session now. Sessions take slots that jobs take.
const ROOM: &str = "SELECT p.id IS NOT NULL AS project,
    coalesce(ARRAY(SELECT DISTINCT substr(u.name, length($4) + 1) FROM worker w CROSS JOIN unnest(w.agents) AS u (name)
                    WHERE starts_with(u.name, $4) ORDER BY 1), '{}') AS servers,
    EXISTS (SELECT FROM worker w
             WHERE w.pool = p.pool AND w.isolation >= p.min_isolation AND w.ended_at IS NULL AND NOT w.draining
               AND w.lease_until > clock_timestamp() AND $3 = ANY (w.agents)
               AND w.slots > (SELECT count(*) FROM attempt t WHERE t.worker_id = w.id AND t.state = 'running')
               AND w.session_slots > dd_sessions_of_v1(w.id)) AS free,
    EXISTS (SELECT FROM idempotency i WHERE i.tenant_id = $1 AND i.key = $5) AS asked
  FROM (SELECT) one LEFT JOIN project p ON p.tenant_id = $1 AND p.id = $2 AND p.deleted_at IS NULL";

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// It waits for a worker, or its server starts.
    Starting,
    /// Its server takes connections.
    Ready,
    /// Its server is being stopped, or its files go back.
    Releasing,
    /// It is over as it was to be.
    Terminated,
    /// It is over otherwise.
    Failed,
}

impl SessionStatus {
    const ALL: [Self; 5] = [Self::Starting, Self::Ready, Self::Releasing, Self::Terminated, Self::Failed];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Releasing => "releasing",
            Self::Terminated => "terminated",
            Self::Failed => "failed",
        }
    }

    /// Whether it ended otherwise than it was to.
    pub const fn is_failed(self) -> bool {
        matches!(self, Self::Failed)
    }

    /// Whether it is over.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Terminated | Self::Failed)
    }
}

/// A session.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Its id, which is its job's.
    pub id: JobId,
    /// On whose workspace.
    pub project_id: ProjectId,
    /// Which server.
    pub server: String,
    /// Whether its changes are discarded.
    pub read_only: bool,
    /// Seconds without a connection after which it ends.
    pub idle_timeout_s: Option<i32>,
    /// Where it is reached, since it is ready.
    pub host: Option<String>,
    /// The port there.
    pub port: Option<u16>,
    /// What its project shows of it.
    pub preview_url: Option<String>,
    /// How it stands.
    pub status: SessionStatus,
    /// The instance name of the worker that has it, or had it last.
    pub worker: Option<String>,
    /// How its job stands.
    pub job_state: JobState,
    /// When a worker first took it.
    pub started_at: Option<DateTime<Utc>>,
    /// Why its job ended badly.
    pub failure_kind: Option<String>,
    /// What went wrong.
    pub errors: Vec<String>,
    /// The last its server said; known when it is over.
    pub output: Option<String>,
    /// The version its changes became.
    pub version: Option<i32>,
    /// What is known of its end.
    pub detail: Option<String>,
    /// How its newest attempt stands.
    pub attempt_state: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When its server took connections.
    pub ready_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
}

impl SessionRow {
    /// Why it ended otherwise than it was to, where it did and that is known.
    pub fn failure(&self) -> Option<&str> {
        let known = self.errors.first().or(self.detail.as_ref());
        known.filter(|_| self.status.is_failed()).map(String::as_str)
    }

    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let bad = |reason: String| DatabaseError::Row { operation: "read a session", reason };
        let status: &str = row.get("status");
        Ok(Self {
            id: row.get::<_, Uuid>("job_id").into(),
            project_id: row.get::<_, Uuid>("project_id").into(),
            server: row.get("server"),
            read_only: row.get("read_only"),
            idle_timeout_s: row.get("idle_timeout_s"),
            host: row.get("host"),
            port: row.get::<_, Option<i32>>("port").and_then(|port| port.try_into().ok()),
            preview_url: row.get("preview_url"),
            status: SessionStatus::ALL
                .into_iter()
                .find(|known| known.as_str() == status)
                .ok_or_else(|| bad(format!("unknown status '{status}'")))?,
            worker: row.get("worker"),
            job_state: row.get::<_, &str>("job_state").parse().map_err(|error| bad(format!("{error}")))?,
            started_at: row.get("started_at"),
            failure_kind: row.get("failure_kind"),
            errors: row.get("errors"),
            output: row.get("output"),
            version: row.get("version"),
            detail: row.get("detail"),
            attempt_state: row.get("attempt_state"),
            created_at: row.get("created_at"),
            ready_at: row.get("ready_at"),
            ended_at: row.get("ended_at"),
        })
    }
}

/// The tenant's session, over or not.
///
/// # Errors
/// The database does not answer.
pub async fn find(
    conn: &impl GenericClient,
    tenant: TenantId,
    session: JobId,
) -> Result<Option<SessionRow>, DatabaseError> {
    let failed = || DatabaseError::query("read a session");
    let statement = conn.prepare_cached(FIND).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &session.uuid()]).await.map_err(failed())?;
    row.as_ref().map(SessionRow::from_row).transpose()
}

/// Which sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionFilter {
    /// On this project's workspace only.
    pub project: Option<ProjectId>,
    /// Those that are over as well.
    pub ended: bool,
}

/// The tenant's sessions, newest first.
///
/// # Errors
/// The database does not answer.
pub async fn list(
    conn: &impl GenericClient,
    tenant: TenantId,
    filter: SessionFilter,
    after: Cursor,
    limit: usize,
) -> Result<Page<SessionRow>, DatabaseError> {
    let failed = || DatabaseError::query("list sessions");
    let statement = conn.prepare_cached(if filter.ended { ALL } else { LIVE }).await.map_err(failed())?;
    let project = filter.project.map(ProjectId::uuid);
    let rows = conn
        .query(&statement, &[&tenant.uuid(), &after.bound(), &after.id, &project, &one_more(limit)])
        .await
        .map_err(failed())?;
    let rows = rows.iter().map(SessionRow::from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |last| Cursor { at: last.created_at, id: last.id.uuid() }))
}

/// What a worker needs to know of a session beside its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPlan {
    /// Which of its servers.
    pub server: String,
    /// Seconds without a connection after which it ends.
    pub idle_timeout_s: Option<i32>,
}

/// What a session's worker is to run.
///
/// # Errors
/// The database does not answer.
pub async fn plan(conn: &impl GenericClient, session: JobId) -> Result<Option<SessionPlan>, DatabaseError> {
    let failed = || DatabaseError::query("read what a session runs");
    let statement = conn.prepare_cached(PLAN).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&session.uuid()]).await.map_err(failed())?;
    Ok(row.map(|row| SessionPlan { server: row.get("server"), idle_timeout_s: row.get("idle_timeout_s") }))
}

/// What there is for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Whether the tenant has the project.
    pub project: bool,
    /// Every server any worker has ever offered, sorted.
    pub servers: Vec<String>,
    /// Whether a worker of the project's pool could take it now.
    pub free: bool,
    /// Whether a request with this key was accepted before.
    pub asked: bool,
}

/// Whether there is room for a session of `server` on the tenant's `project` now. A hint: others may be faster.
///
/// # Errors
/// The database does not answer.
pub async fn room(
    conn: &impl GenericClient,
    tenant: TenantId,
    project: ProjectId,
    server: &str,
    key: Option<&str>,
) -> Result<Room, DatabaseError> {
    let failed = || DatabaseError::query("look for room for a session");
    let statement = conn.prepare_cached(ROOM).await.map_err(failed())?;
    let row = conn
        .query_one(&statement, &[&tenant.uuid(), &project.uuid(), &agent_of(server), &PREFIX, &key])
        .await
        .map_err(failed())?;
    Ok(Room {
        project: row.get("project"),
        servers: row.get("servers"),
        free: row.get("free"),
        asked: row.get("asked"),
    })
}
