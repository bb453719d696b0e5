//! The `version` table, and the trees that are read like versions: those of attempts. `change` makes versions of versions, `by_hand` those of a user's changes; the
//! others come with the transitions that end attempts and import projects.

mod by_hand;
mod change;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{AttemptId, JobId, ProjectId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

pub use self::by_hand::{Author, ByHand, Changed, change_files, writer};
pub use self::change::{Forked, NewFork, Restored, fork, restore};
use crate::{
    DatabaseError,
    page::{Page, one_more},
};

/// With what is known of the job that made it.
const LIST: &str =
    "SELECT v.number, v.parent, v.tree_id, v.file_count, v.total_bytes, v.author_kind, v.author_id, v.source_version, v.created_at, v.expired_at,
    j.title, a.number AS attempt, cardinality(j.created_files) AS created, cardinality(j.modified_files) AS modified,
    cardinality(j.deleted_files) AS deleted
  FROM version v JOIN project p ON p.id = v.project_id AND p.tenant_id = $1 AND p.deleted_at IS NULL
  LEFT JOIN job j ON v.author_kind = 'job' AND j.id = v.author_id
  LEFT JOIN attempt a ON a.id = v.attempt_id
 WHERE v.project_id = $2 AND v.number < $3 ORDER BY v.number DESC LIMIT $4";
const TREE: &str =
    "SELECT coalesce($3, p.head_version) AS number, v.number IS NOT NULL AS stored, v.tree_id, v.manifest_id, v.delta,
    v.expired_at IS NOT NULL AS expired
  FROM project p LEFT JOIN version v ON v.project_id = p.id AND v.number = coalesce($3, p.head_version)
 WHERE p.tenant_id = $1 AND p.id = $2 AND p.deleted_at IS NULL";
/// An attempt's tree is the version it published, else what a failed one left, else what it started from.
const TREE_OF_ATTEMPT: &str =
    "SELECT coalesce(made.number, a.base_version) AS number, a.finished_at IS NOT NULL AS finished,
    coalesce(made.tree_id, a.tree_id, base.tree_id) AS tree_id,
    coalesce(made.manifest_id, a.manifest_id, base.manifest_id) AS manifest_id,
    CASE WHEN made.number IS NOT NULL THEN made.delta WHEN a.manifest_id IS NOT NULL THEN a.delta ELSE base.delta END AS delta,
    CASE WHEN made.number IS NOT NULL THEN made.expired_at WHEN a.manifest_id IS NOT NULL THEN a.tree_expired_at
         ELSE base.expired_at END IS NOT NULL AS expired
  FROM attempt a JOIN job j ON j.id = a.job_id JOIN project p ON p.id = j.project_id
  LEFT JOIN version made ON made.attempt_id = a.id
  LEFT JOIN version base ON base.project_id = p.id AND base.number = a.base_version
 WHERE p.tenant_id = $1 AND p.id = $2 AND p.deleted_at IS NULL
   AND (a.id = $3 OR (a.job_id = $4 AND ($5::smallint IS NULL OR a.number = $5)))
 ORDER BY a.number DESC LIMIT 1";
const EXCHANGE: &str = "SELECT a.request, a.result
  FROM job j JOIN attempt a ON a.job_id = j.id
 WHERE j.project_id = $1 AND ($2::uuid IS NULL OR j.id = $2) AND ($3::smallint IS NULL OR a.number = $3)
   AND ($4::uuid IS NULL OR a.id = $4) AND (a.request IS NOT NULL OR a.result IS NOT NULL)
 ORDER BY j.created_at DESC, j.id DESC, a.number DESC LIMIT 1";

/// A version, without its files.
#[derive(Clone, Debug)]
pub struct VersionRow {
    /// Its number in its project, from 1.
    pub number: i32,
    /// The one before.
    pub parent: i32,
    /// Merkle id of its tree.
    pub tree_id: Vec<u8>,
    /// Files and symlinks.
    pub file_count: i32,
    /// Bytes of its files.
    pub total_bytes: i64,
    /// What made it: `job`, `import`, ….
    pub author_kind: String,
    /// Which one: the job, the key of a change by hand, or the project of an import, a restore or (the origin's) a fork.
    pub author_id: Uuid,
    /// The version that a restore or a fork copied.
    pub source_version: Option<i32>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When its files were dropped; `None` while they are kept.
    pub expired_at: Option<DateTime<Utc>>,
    /// The job that made it.
    pub job: Option<MadeBy>,
}

/// What is told of the job that made a version.
#[derive(Clone, Debug)]
pub struct MadeBy {
    /// Its title.
    pub title: String,
    /// Which of its attempts, from 1.
    pub attempt: Option<i16>,
    /// Paths that are new.
    pub created: i32,
    /// Paths that differ.
    pub modified: i32,
    /// Paths that are gone.
    pub deleted: i32,
}

impl MadeBy {
    fn from_row(row: &Row) -> Option<Self> {
        Some(Self {
            title: row.get::<_, Option<String>>("title")?,
            attempt: row.get("attempt"),
            created: row.get("created"),
            modified: row.get("modified"),
            deleted: row.get("deleted"),
        })
    }
}

impl VersionRow {
    fn from_row(row: &Row) -> Self {
        Self {
            number: row.get("number"),
            parent: row.get("parent"),
            tree_id: row.get("tree_id"),
            file_count: row.get("file_count"),
            total_bytes: row.get("total_bytes"),
            author_kind: row.get("author_kind"),
            author_id: row.get("author_id"),
            source_version: row.get("source_version"),
            created_at: row.get("created_at"),
            expired_at: row.get("expired_at"),
            job: MadeBy::from_row(row),
        }
    }
}

/// Where a tree is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAt {
    /// The tree's Merkle id.
    pub tree: [u8; 32],
    /// Its manifest, or that its delta belongs to.
    pub manifest: [u8; 32],
    /// Its delta, where it has one.
    pub delta: Option<Vec<u8>>,
}

impl StoredAt {
    /// From three columns; `None` where they are null: the empty tree.
    pub(crate) fn from_row(row: &Row, [tree, manifest, delta]: [&str; 3]) -> Result<Option<Self>, String> {
        let digest = |bytes: Vec<u8>, what: &str| {
            <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| format!("{what} is not 32 bytes"))
        };
        let columns = row.get::<_, Option<Vec<u8>>>(tree).zip(row.get::<_, Option<Vec<u8>>>(manifest));
        let Some((tree, manifest)) = columns else { return Ok(None) };
        let (tree, manifest) = (digest(tree, "a tree id")?, digest(manifest, "a manifest id")?);
        Ok(Some(Self { tree, manifest, delta: row.get(delta) }))
    }
}

/// A tree to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeRef {
    /// The version it is, or for a failed attempt the one it started from.
    pub number: i32,
    /// Where it is stored; `None` for the empty tree.
    pub stored: Option<StoredAt>,
}

/// Why there is no tree to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No such project of this tenant.
    Project,
    /// The project has no such version.
    Version,
    /// The project has no such attempt, or it still runs.
    Attempt,
    /// It was there; its files are kept no more.
    Expired,
}

/// Whose tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptRef {
    /// This one.
    Id(AttemptId),
    /// The job's attempt of this number, or its newest.
    OfJob(JobId, Option<i16>),
}

impl AttemptRef {
    fn parts(self) -> (Option<Uuid>, Option<Uuid>, Option<i16>) {
        match self {
            Self::Id(id) => (Some(id.uuid()), None, None),
            Self::OfJob(job, number) => (None, Some(job.uuid()), number),
        }
    }
}

/// The two documents that passed between the fleet and an agent.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// `.codex/request.json`
    pub request: Option<serde_json::Value>,
    /// `.codex/result.json`
    pub result: Option<serde_json::Value>,
}

/// Versions below `before`, newest first. An unknown project has none.
///
/// # Errors
/// The database does not answer.
pub async fn list(
    conn: &impl GenericClient,
    tenant: TenantId,
    project: ProjectId,
    before: i32,
    limit: usize,
) -> Result<Page<VersionRow, i32>, DatabaseError> {
    let failed = || DatabaseError::query("list versions");
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let rows =
        conn.query(&statement, &[&tenant.uuid(), &project.uuid(), &before, &one_more(limit)]).await.map_err(failed())?;
    Ok(Page::cut(rows.iter().map(VersionRow::from_row).collect(), limit, |last: &VersionRow| last.number))
}

/// The tree of version `number`, of the head when `None`; version 0 is the empty tree.
///
/// # Errors
/// The database does not answer.
pub async fn tree(
    conn: &impl GenericClient,
    tenant: TenantId,
    project: ProjectId,
    number: Option<i32>,
) -> Result<Result<TreeRef, Missing>, DatabaseError> {
    let failed = || DatabaseError::query("find a version");
    let statement = conn.prepare_cached(TREE).await.map_err(failed())?;
    let Some(row) = conn.query_opt(&statement, &[&tenant.uuid(), &project.uuid(), &number]).await.map_err(failed())?
    else {
        return Ok(Err(Missing::Project));
    };
    let number: i32 = row.get("number");
    if number != 0 && !row.get::<_, bool>("stored") {
        return Ok(Err(Missing::Version));
    }
    if row.get("expired") {
        return Ok(Err(Missing::Expired));
    }
    Ok(Ok(TreeRef { number, stored: stored(&row)? }))
}

/// The tree an attempt left: the version it made, the unlisted one of a failed attempt, or the one it started from.
///
/// # Errors
/// The database does not answer.
pub async fn tree_of_attempt(
    conn: &impl GenericClient,
    tenant: TenantId,
    project: ProjectId,
    attempt: AttemptRef,
) -> Result<Result<TreeRef, Missing>, DatabaseError> {
    let failed = || DatabaseError::query("find an attempt's tree");
    let (id, job, number) = attempt.parts();
    let statement = conn.prepare_cached(TREE_OF_ATTEMPT).await.map_err(failed())?;
    let row =
        conn.query_opt(&statement, &[&tenant.uuid(), &project.uuid(), &id, &job, &number]).await.map_err(failed())?;
    match row.filter(|row| row.get("finished")) {
        Some(row) if row.get("expired") => Ok(Err(Missing::Expired)),
        Some(row) => Ok(Ok(TreeRef { number: row.get("number"), stored: stored(&row)? })),
        None => Ok(Err(Missing::Attempt)),
    }
}

/// What passed between the fleet and the agent in `of`, or in the project's newest attempt that has it.
///
/// # Errors
/// The database does not answer.
pub async fn exchange(
    conn: &impl GenericClient,
    project: ProjectId,
    of: Option<AttemptRef>,
) -> Result<Exchange, DatabaseError> {
    let failed = || DatabaseError::query("read a request and result");
    let (id, job, number) = of.map_or((None, None, None), AttemptRef::parts);
    let statement = conn.prepare_cached(EXCHANGE).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&project.uuid(), &job, &number, &id]).await.map_err(failed())?;
    Ok(row.map_or_else(Exchange::default, |row| Exchange { request: row.get("request"), result: row.get("result") }))
}

fn stored(row: &Row) -> Result<Option<StoredAt>, DatabaseError> {
    StoredAt::from_row(row, ["tree_id", "manifest_id", "delta"])
        .map_err(|reason| DatabaseError::Row { operation: "read a version", reason })
}
