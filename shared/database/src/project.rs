//! The `project` table: created empty or by import, read with the standing of its newest job.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{Isolation, JobState, ProjectId, TenantId};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use crate::{
    DatabaseError, again,
    page::{Cursor, Page, one_more},
    report::StoredTree,
};

const CREATE: &str = "SELECT dd_create_project_v1($1, $2, $3, $4, $5, $6, $7)";
const CHANGE: &str = "SELECT dd_change_project_v1($1, $2, $3, $4, $5, $6, $7) AS found";
const DELETE: &str = "SELECT dd_delete_project_v1($1, $2, $3) AS answer";
const IMPORT: &str = "SELECT dd_import_v2($1, $2, $3, $4, $5, $6, $7, $8) AS made";

macro_rules! select {
    ($($filter:literal),+) => {
        concat!(
            "SELECT p.id, t.name AS owner, p.instruction, p.agent, coalesce(p.home_pool, p.pool) AS pool, p.labels, p.min_isolation::text AS min_isolation, p.head_version,
                    p.preview_url, p.created_at,
                    greatest(p.updated_at, j.updated_at) AS updated_at, j.state::text AS state, j.summary
               FROM project p JOIN tenant t ON t.id = p.tenant_id
               LEFT JOIN LATERAL (SELECT n.state, n.summary, n.updated_at FROM job n
                                   WHERE n.project_id = p.id AND n.job_type <> 'session'
                                   ORDER BY n.created_at DESC, n.id DESC LIMIT 1) j ON true
              WHERE p.tenant_id = $1 AND p.deleted_at IS NULL AND ",
            $($filter),+
        )
    };
}

const FIND: &str = select!("p.id = $2");
const LIST: &str = select!("(p.created_at, p.id) < ($2, $3) ORDER BY p.created_at DESC, p.id DESC LIMIT $4");

/// A project to be made.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// Its id, chosen by the caller.
    pub id: ProjectId,
    /// Owner.
    pub tenant: TenantId,
    /// What it is for.
    pub instruction: String,
    /// The agent of jobs that name none.
    pub agent: String,
    /// Where its jobs run.
    pub pool: String,
    /// The user's labels: an object of strings.
    pub labels: serde_json::Value,
    /// The least isolation its jobs accept.
    pub min_isolation: Isolation,
}

/// A project as it stands.
#[derive(Clone, Debug)]
pub struct ProjectRow {
    /// Its id.
    pub id: ProjectId,
    /// The tenant's name.
    pub owner: String,
    /// What it is for.
    pub instruction: String,
    /// State of its newest job; `None` where there is none, as after an import.
    pub state: Option<JobState>,
    /// Summary of its newest job.
    pub summary: Option<String>,
    /// The agent of jobs that name none.
    pub agent: String,
    /// Where its jobs run.
    pub pool: String,
    /// The user's labels: an object of strings.
    pub labels: serde_json::Value,
    /// The least isolation its jobs accept.
    pub min_isolation: String,
    /// The newest version; 0 is the empty one.
    pub head_version: i32,
    /// Where its work can be seen.
    pub preview_url: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it or its newest job last changed.
    pub updated_at: DateTime<Utc>,
}

impl ProjectRow {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let state: Option<&str> = row.get("state");
        let state = state
            .map(str::parse)
            .transpose()
            .map_err(|error| DatabaseError::Row { operation: "read a project", reason: format!("{error}") })?;
        Ok(Self {
            id: row.get::<_, Uuid>("id").into(),
            owner: row.get("owner"),
            instruction: row.get("instruction"),
            state,
            summary: row.get("summary"),
            agent: row.get("agent"),
            pool: row.get("pool"),
            labels: row.get("labels"),
            min_isolation: row.get("min_isolation"),
            head_version: row.get("head_version"),
            preview_url: row.get("preview_url"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        })
    }
}

/// Creates an empty project.
///
/// # Errors
/// The database does not answer.
pub async fn create(conn: &impl GenericClient, new: &NewProject) -> Result<(), DatabaseError> {
    let failed = || DatabaseError::query("create a project");
    let statement = conn.prepare_cached(CREATE).await.map_err(failed())?;
    let (id, tenant, isolation) = (new.id.uuid(), new.tenant.uuid(), new.min_isolation.as_str());
    conn.execute(&statement, &[&id, &tenant, &new.instruction, &new.agent, &new.pool, &new.labels, &isolation])
        .await
        .map_err(failed())?;
    Ok(())
}

/// What came of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The project is there.
    Made,
    /// Objects of the tree were collected before anything named them: nothing was made, the archive is to be stored again.
    Gone,
}

/// Creates a project whose version 1 is an uploaded tree; its objects become live in the same transaction.
///
/// # Errors
/// The database does not answer.
pub async fn import(conn: &impl GenericClient, new: &NewProject, tree: &StoredTree) -> Result<Imported, DatabaseError> {
    const OPERATION: &str = "import a project";
    let tree = serde_json::to_value(tree)
        .map_err(|error| DatabaseError::Row { operation: OPERATION, reason: error.to_string() })?;
    let (id, tenant, isolation) = (new.id.uuid(), new.tenant.uuid(), new.min_isolation.as_str());
    let parameters: [&(dyn ToSql + Sync); 8] =
        [&id, &tenant, &new.instruction, &new.agent, &new.pool, &new.labels, &isolation, &tree];
    let row = again::row(conn, OPERATION, IMPORT, &parameters).await?;
    Ok(if row.get("made") { Imported::Made } else { Imported::Gone })
}

/// Settings to change; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct ProjectChange {
    /// What it is for.
    pub instruction: Option<String>,
    /// The agent of jobs that name none.
    pub agent: Option<String>,
    /// Where its jobs run.
    pub pool: Option<String>,
    /// The user's labels, all of them.
    pub labels: Option<serde_json::Value>,
    /// The least isolation its jobs accept.
    pub min_isolation: Option<Isolation>,
}

/// Changes a project's settings, for jobs that are accepted from now on; answers whether the tenant has the project. Repeating it
/// changes nothing.
///
/// # Errors
/// The database does not answer.
pub async fn change(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: ProjectId,
    change: &ProjectChange,
) -> Result<bool, DatabaseError> {
    let ProjectChange { instruction, agent, pool, labels, min_isolation } = change;
    let isolation = min_isolation.map(Isolation::as_str);
    let parameters: [&(dyn ToSql + Sync); 7] =
        [&id.uuid(), &tenant.uuid(), instruction, agent, pool, labels, &isolation];
    Ok(again::row(conn, "change a project", CHANGE, &parameters).await?.get("found"))
}

/// What came of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is deleted, by this call or before, and all its jobs are cancelled.
    Done,
    /// It is deleted, and there are more jobs to cancel: call again.
    More,
    /// The tenant never had it.
    NoProject,
}

/// Deletes a project: it is seen no more, takes no jobs, its jobs are cancelled, up to `most` a call; its files go with the next
/// collections. Repeating it changes nothing.
///
/// # Errors
/// The database does not answer.
pub async fn delete(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: ProjectId,
    most: i32,
) -> Result<Deleted, DatabaseError> {
    const OPERATION: &str = "delete a project";
    match again::row(conn, OPERATION, DELETE, &[&tenant.uuid(), &id.uuid(), &most]).await?.get("answer") {
        "deleted" => Ok(Deleted::Done),
        "more" => Ok(Deleted::More),
        "no_project" => Ok(Deleted::NoProject),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown answer '{other}'") }),
    }
}

/// The project, unless it is deleted or another tenant's.
///
/// # Errors
/// The database does not answer.
pub async fn find(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: ProjectId,
) -> Result<Option<ProjectRow>, DatabaseError> {
    let failed = || DatabaseError::query("read a project");
    let statement = conn.prepare_cached(FIND).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &id.uuid()]).await.map_err(failed())?;
    row.as_ref().map(ProjectRow::from_row).transpose()
}

/// The tenant's projects, newest first.
///
/// # Errors
/// The database does not answer.
pub async fn list(
    conn: &impl GenericClient,
    tenant: TenantId,
    after: Cursor,
    limit: usize,
) -> Result<Page<ProjectRow>, DatabaseError> {
    let failed = || DatabaseError::query("list projects");
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let rows = conn
        .query(&statement, &[&tenant.uuid(), &after.bound(), &after.id, &one_more(limit)])
        .await
        .map_err(failed())?;
    let rows = rows.iter().map(ProjectRow::from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |last| Cursor { at: last.created_at, id: last.id.uuid() }))
}
