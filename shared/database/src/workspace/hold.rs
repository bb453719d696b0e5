//! Who holds a project's workspace: a daemon connects, is seen, leaves; then its project's jobs go home.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{ProjectId, TenantId, WorkerId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{DatabaseError, again};

const CONNECT: &str =
    "SELECT outcome, worker, head FROM dd_workspace_connect_v1($1, $2, $3, $4, $5, $6, $7, make_interval(secs => $8))";
const SEEN: &str = "SELECT head FROM dd_workspace_seen_v1($1, $2, $3) AS head";
const HEAD: &str = "SELECT p.head_version FROM workspace k JOIN project p ON p.id = k.project_id
  WHERE k.project_id = $1 AND k.connection = $2 AND p.deleted_at IS NULL";
const LEFT: &str = "SELECT dd_workspace_left_v1($1, $2, $3)";
const HOME: &str = "SELECT dd_workspace_home_v1($1)";
const ORPHANS: &str = "SELECT p FROM dd_workspace_orphans_v1($1) AS p";
/// Of every project of the tenant, those that no daemon ever held included. A connection that was silent for `$3` seconds is none.
const FIND: &str = "SELECT p.id, k.instance, k.connected_at, k.last_seen_at,
    coalesce(k.connection IS NOT NULL AND k.last_seen_at > clock_timestamp() - make_interval(secs => $3), false) AS connected,
    coalesce(k.syncing, false) AS syncing, p.pool = '@workspace' AS holds
  FROM project p LEFT JOIN workspace k ON k.project_id = p.id WHERE p.tenant_id = $1 AND p.id = $2 AND p.deleted_at IS NULL";

/// A daemon that connects.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Whose workspace it holds.
    pub project: ProjectId,
    /// Its folder's own id.
    pub instance: Uuid,
    /// This connection.
    pub connection: Uuid,
    /// Agents it can run.
    pub agents: Vec<String>,
    /// Its build.
    pub build: String,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connected {
    /// Its project's jobs come to it.
    Yes {
        /// The worker that it is.
        worker: WorkerId,
        /// The newest version.
        head: i32,
    },
    /// No such project of this tenant.
    NoProject,
    /// The project asks for isolation, which a daemon does not give.
    Isolation,
}

/// Connects a daemon; an earlier connection is over. Attempts of its folder stay its own for `lease` after it was last heard.
///
/// # Errors
/// The database does not answer: it may be connected.
pub async fn connect(
    conn: &impl GenericClient,
    tenant: TenantId,
    daemon: &Connect,
    lease: Duration,
) -> Result<Connected, DatabaseError> {
    const OPERATION: &str = "connect a daemon";
    let parameters: [&(dyn ToSql + Sync); 8] = [
        &tenant.uuid(),
        &daemon.project.uuid(),
        &daemon.instance,
        &daemon.connection,
        &WorkerId::generate().uuid(),
        &daemon.agents,
        &daemon.build,
        &lease.as_secs_f64(),
    ];
    let row = again::row(conn, OPERATION, CONNECT, &parameters).await?;
    match row.get::<_, &str>("outcome") {
        "connected" => Ok(Connected::Yes { worker: row.get::<_, Uuid>("worker").into(), head: row.get("head") }),
        "no_project" => Ok(Connected::NoProject),
        "isolation" => Ok(Connected::Isolation),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown outcome '{other}'") }),
    }
}

/// The daemon connected as `connection` is there, and perhaps has changes on their way. The newest version; `None`: another connection
/// has taken its place, or the project is gone.
///
/// # Errors
/// The database does not answer.
pub async fn seen(
    conn: &impl GenericClient,
    project: ProjectId,
    connection: Uuid,
    syncing: Option<bool>,
) -> Result<Option<i32>, DatabaseError> {
    let rows = again::rows(conn, "note a daemon", SEEN, &[&project.uuid(), &connection, &syncing]).await?;
    Ok(rows.first().map(|row| row.get("head")))
}

/// The newest version, while the daemon connected as `connection` holds the project's workspace.
///
/// # Errors
/// The database does not answer.
pub async fn head(
    conn: &impl GenericClient,
    project: ProjectId,
    connection: Uuid,
) -> Result<Option<i32>, DatabaseError> {
    let failed = || DatabaseError::query("look whether a daemon holds its workspace");
    let statement = conn.prepare_cached(HEAD).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&project.uuid(), &connection]).await.map_err(failed())?;
    Ok(row.map(|row| row.get("head_version")))
}

/// The connection is over; `bye`: and its daemon does not come back soon, so that its project's jobs go home now.
///
/// # Errors
/// The database does not answer.
pub async fn left(
    conn: &impl GenericClient,
    project: ProjectId,
    connection: Uuid,
    bye: bool,
) -> Result<(), DatabaseError> {
    again::row(conn, "part with a daemon", LEFT, &[&project.uuid(), &connection, &bye]).await?;
    if bye { home(conn, project).await } else { Ok(()) }
}

/// The project's jobs go where they went before, unless a daemon holds its workspace. Repeating the call changes nothing.
///
/// # Errors
/// The database does not answer.
pub async fn home(conn: &impl GenericClient, project: ProjectId) -> Result<(), DatabaseError> {
    again::row(conn, "send a project's jobs home", HOME, &[&project.uuid()]).await.map(drop)
}

/// Projects whose daemon is over, at most `most`.
///
/// # Errors
/// The database does not answer.
pub async fn orphans(conn: &impl GenericClient, most: i32) -> Result<Vec<ProjectId>, DatabaseError> {
    let rows = again::rows(conn, "find workspaces without a daemon", ORPHANS, &[&most]).await?;
    Ok(rows.iter().map(|row| row.get::<_, Uuid>("p").into()).collect())
}

/// A workspace as it stands.
#[derive(Clone, Debug)]
pub struct WorkspaceRow {
    /// Its project.
    pub project: ProjectId,
    /// The folder that a daemon held last.
    pub instance: Option<Uuid>,
    /// Whether a daemon is connected.
    pub connected: bool,
    /// Whether changes are on their way.
    pub syncing: bool,
    /// Whether the project's jobs go to a daemon, which may be away for a moment.
    pub holds: bool,
    /// When the newest connection was made.
    pub connected_at: Option<DateTime<Utc>>,
    /// When it was last heard of.
    pub last_seen_at: Option<DateTime<Utc>>,
}

/// The workspace of the tenant's project. A daemon that was not heard of for `silence` is away.
///
/// # Errors
/// The database does not answer.
pub async fn find(
    conn: &impl GenericClient,
    tenant: TenantId,
    project: ProjectId,
    silence: Duration,
) -> Result<Option<WorkspaceRow>, DatabaseError> {
    let failed = || DatabaseError::query("read a workspace");
    let statement = conn.prepare_cached(FIND).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &project.uuid(), &silence.as_secs_f64()]).await;
    Ok(row.map_err(failed())?.map(|row| WorkspaceRow {
        project: row.get::<_, Uuid>("id").into(),
        instance: row.get("instance"),
        connected: row.get("connected"),
        syncing: row.get("syncing"),
        holds: row.get("holds"),
        connected_at: row.get("connected_at"),
        last_seen_at: row.get("last_seen_at"),
    }))
}
