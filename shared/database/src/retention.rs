//! What is dropped and so sets objects free: versions that no retention keeps, trees that attempts left, deleted projects.
//! Every call is bounded and may be repeated.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{AttemptId, ProjectId, TenantId};
use uuid::Uuid;

use crate::{DatabaseError, again};

const RETAIN: &str = "SELECT last, expired FROM dd_retain_v1($1, $2, $3, make_interval(secs => $4))";
const EXPIRE_TREES: &str = "SELECT dd_expire_trees_v1(make_interval(secs => $1), $2) AS expired";
const FREE: &str = "SELECT deleted, dropped, freed FROM dd_free_project_v1(coalesce($1::timestamptz, '-infinity'), $2)";
const LOGS: &str = "SELECT a.id, j.tenant_id, a.log_object FROM project p JOIN job j ON j.project_id = p.id JOIN attempt a ON a.job_id = j.id
  WHERE p.deleted_at IS NOT NULL AND p.freed_at IS NULL AND a.log_bytes > 0
    AND a.finished_at < clock_timestamp() - make_interval(secs => $1) ORDER BY p.deleted_at, a.id LIMIT $2";
const SEGMENTS: &str = "SELECT seq FROM log_chunk WHERE attempt_id = $1 AND object IS NOT NULL ORDER BY seq";
const FORGET_LOG: &str = "WITH gone AS (UPDATE attempt SET log_bytes = 0, log_object = NULL WHERE id = $1 RETURNING id)
  DELETE FROM log_chunk WHERE attempt_id IN (SELECT id FROM gone)";
const PENDING: &str = "SELECT t.name AS tenant,
    (SELECT count(*) FROM project p CROSS JOIN LATERAL dd_unkept_v1(p.id, make_interval(secs => $1)) u WHERE p.tenant_id = t.id) AS versions,
    (SELECT count(*) FROM attempt a JOIN job j ON j.id = a.job_id
      WHERE j.tenant_id = t.id AND a.manifest_id IS NOT NULL AND a.tree_expired_at IS NULL
        AND a.finished_at < clock_timestamp() - make_interval(secs => $2)) AS trees,
    (SELECT count(*) FROM project p WHERE p.tenant_id = t.id AND p.deleted_at IS NOT NULL AND p.freed_at IS NULL) AS projects
  FROM tenant t ORDER BY t.name";
const SET_TENANT: &str = "UPDATE tenant SET keep_versions = $2, keep_for_s = $3::int WHERE name = $1 RETURNING id";
const SET_PROJECT: &str =
    "UPDATE project SET keep_versions = $2, keep_for_s = $3::int WHERE id = $1 AND deleted_at IS NULL RETURNING id";

/// What is kept of a history: what either rule keeps. Without any rule, what the level above says; at the top, everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The newest so many versions.
    pub versions: Option<i32>,
    /// Versions younger than so many seconds.
    pub seconds: Option<i32>,
}

/// How far a look at the projects' retentions came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retained {
    /// The last project looked at; `None` at the end of all.
    pub last: Option<ProjectId>,
    /// Versions dropped.
    pub expired: i32,
}

/// A step at freeing a deleted project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freed {
    /// When it was deleted: where the next one is looked for.
    pub deleted: DateTime<Utc>,
    /// Versions and trees dropped.
    pub dropped: i32,
    /// Whether nothing is left of it.
    pub done: bool,
}

/// The log of a deleted project's attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLog {
    /// Whose it was.
    pub tenant: TenantId,
    /// Its attempt.
    pub attempt: AttemptId,
    /// Whether all of it is one object.
    pub sealed: bool,
}

/// What a pass would drop, for one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The tenant's name.
    pub tenant: String,
    /// Versions that no retention keeps.
    pub versions: i64,
    /// Trees of failed attempts that were kept for long enough.
    pub trees: i64,
    /// Deleted projects of which something is left.
    pub projects: i64,
}

/// What passes would drop now, for every tenant. Reads all projects.
///
/// # Errors
/// The database does not answer.
pub async fn pending(
    conn: &impl GenericClient,
    grace: Duration,
    keep: Duration,
) -> Result<Vec<Pending>, DatabaseError> {
    let rows = conn
        .query(PENDING, &[&grace.as_secs_f64(), &keep.as_secs_f64()])
        .await
        .map_err(DatabaseError::query("look for what to drop"))?;
    let pending = |row: &tokio_postgres::Row| Pending {
        tenant: row.get("tenant"),
        versions: row.get("versions"),
        trees: row.get("trees"),
        projects: row.get("projects"),
    };
    Ok(rows.iter().map(pending).collect())
}

/// Drops versions that no retention keeps: of up to `projects` projects from `after` on, up to `most` versions. A version stays
/// for `grace` after its successor was made.
///
/// # Errors
/// The database does not answer.
pub async fn retain(
    conn: &impl GenericClient,
    after: Option<ProjectId>,
    projects: i32,
    most: i32,
    grace: Duration,
) -> Result<Retained, DatabaseError> {
    let after = after.map_or_else(Uuid::nil, ProjectId::uuid);
    let row = again::row(conn, "drop versions", RETAIN, &[&after, &projects, &most, &grace.as_secs_f64()]).await?;
    Ok(Retained { last: row.get::<_, Option<Uuid>>("last").map(Into::into), expired: row.get("expired") })
}

/// Drops up to `most` trees of attempts that ended `keep` ago without publishing them.
///
/// # Errors
/// The database does not answer.
pub async fn expire_trees(conn: &impl GenericClient, keep: Duration, most: i32) -> Result<i32, DatabaseError> {
    Ok(again::row(conn, "drop trees", EXPIRE_TREES, &[&keep.as_secs_f64(), &most]).await?.get("expired"))
}

/// Drops up to `most` versions and trees of the first project deleted later than `after` (`None`: of the first); `None` where
/// there is no such project.
///
/// # Errors
/// The database does not answer.
pub async fn free_project(
    conn: &impl GenericClient,
    after: Option<DateTime<Utc>>,
    most: i32,
) -> Result<Option<Freed>, DatabaseError> {
    let rows = again::rows(conn, "free a deleted project", FREE, &[&after, &most]).await?;
    Ok(rows.first().map(|row| Freed {
        deleted: row.get("deleted"),
        dropped: row.get("dropped"),
        done: row.get("freed"),
    }))
}

/// Up to `limit` logs of deleted projects whose attempts ended at least `age` ago, so that nobody is sealing them.
///
/// # Errors
/// The database does not answer.
pub async fn dead_logs(conn: &impl GenericClient, age: Duration, limit: i64) -> Result<Vec<DeadLog>, DatabaseError> {
    let rows = conn
        .query(LOGS, &[&age.as_secs_f64(), &limit])
        .await
        .map_err(DatabaseError::query("list logs of deleted projects"))?;
    let log = |row: &tokio_postgres::Row| DeadLog {
        tenant: row.get::<_, Uuid>("tenant_id").into(),
        attempt: row.get::<_, Uuid>("id").into(),
        sealed: row.get::<_, Option<String>>("log_object").is_some(),
    };
    Ok(rows.iter().map(log).collect())
}

/// Numbers of the pieces of a log that are objects of their own.
///
/// # Errors
/// The database does not answer.
pub async fn segments(conn: &impl GenericClient, attempt: AttemptId) -> Result<Vec<u64>, DatabaseError> {
    let rows =
        conn.query(SEGMENTS, &[&attempt.uuid()]).await.map_err(DatabaseError::query("list the pieces of a log"))?;
    Ok(rows.iter().map(|row| row.get::<_, i32>("seq").unsigned_abs().into()).collect())
}

/// The log's objects are gone: so go its rows.
///
/// # Errors
/// The database does not answer.
pub async fn forget_log(conn: &impl GenericClient, attempt: AttemptId) -> Result<(), DatabaseError> {
    conn.execute(FORGET_LOG, &[&attempt.uuid()]).await.map_err(DatabaseError::query("forget a log"))?;
    Ok(())
}

/// Sets what a tenant's projects keep that say nothing themselves; `false` where there is no such tenant.
///
/// # Errors
/// The database does not answer.
pub async fn set_of_tenant(conn: &impl GenericClient, name: &str, keep: Retention) -> Result<bool, DatabaseError> {
    let row = conn.query_opt(SET_TENANT, &[&name, &keep.versions, &keep.seconds]).await;
    Ok(row.map_err(DatabaseError::query("set a retention"))?.is_some())
}

/// Sets what a project keeps; `false` where there is no such project.
///
/// # Errors
/// The database does not answer.
pub async fn set_of_project(
    conn: &impl GenericClient,
    project: ProjectId,
    keep: Retention,
) -> Result<bool, DatabaseError> {
    let row = conn.query_opt(SET_PROJECT, &[&project.uuid(), &keep.versions, &keep.seconds]).await;
    Ok(row.map_err(DatabaseError::query("set a retention"))?.is_some())
}
