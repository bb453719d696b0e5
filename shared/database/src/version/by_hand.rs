//! Versions made by hand: files put, removed or pushed through the API.

use deadpool_postgres::GenericClient;
use drydock_domain::{JobId, ProjectId, TenantId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{DatabaseError, again, report::StoredTree};

const CHANGE: &str = "SELECT outcome, head, writer FROM dd_change_files_v3($1, $2, $3, $4, $5, $6, $7)";
const WRITER: &str =
    "SELECT id FROM job WHERE project_id = $1 AND tenant_id = $2 AND state = 'running' AND NOT read_only";

/// Who makes a version by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A key or user; or the project itself where nobody had to show a key.
    User(Uuid),
    /// The daemon that holds the project's workspace, by its token.
    Daemon(Uuid),
}

/// A version about to be made.
#[derive(Clone, Debug)]
pub struct ByHand {
    /// Whose line it continues.
    pub project: ProjectId,
    /// The version it was made of, which must be the newest still.
    pub base: i32,
    /// Its files.
    pub tree: StoredTree,
    /// Who makes it.
    pub author: Author,
    /// Also while a job that writes runs, which then runs again on the new version.
    pub while_running: bool,
}

/// The answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is the newest version and has this number.
    Made(i32),
    /// The newest version is this one by now.
    Moved(i32),
    /// This job is at work on the project.
    Busy(JobId),
    /// What was stored of it was collected before it was named: store it again.
    Gone,
    /// No such project of this tenant.
    NoProject,
}

/// Makes a version of a stored tree. A call that is repeated after its answer was lost finds the head moved.
///
/// # Errors
/// The database does not answer: it may have been made.
pub async fn change_files(conn: &impl GenericClient, tenant: TenantId, new: &ByHand) -> Result<Changed, DatabaseError> {
    const OPERATION: &str = "make a version";
    let bad = |reason: String| DatabaseError::Row { operation: OPERATION, reason };
    let tree = serde_json::to_value(&new.tree).map_err(|error| bad(error.to_string()))?;
    let (kind, by) = match new.author {
        Author::User(by) => ("user", by),
        Author::Daemon(by) => ("daemon", by),
    };
    let parameters: [&(dyn ToSql + Sync); 7] =
        [&tenant.uuid(), &new.project.uuid(), &new.base, &tree, &kind, &by, &new.while_running];
    let row = again::row(conn, OPERATION, CHANGE, &parameters).await?;
    match (row.get("outcome"), row.get("head"), row.get::<_, Option<Uuid>>("writer")) {
        ("made", Some(head), _) => Ok(Changed::Made(head)),
        ("moved", Some(head), _) => Ok(Changed::Moved(head)),
        ("busy", _, Some(job)) => Ok(Changed::Busy(job.into())),
        ("gone", ..) => Ok(Changed::Gone),
        ("no_project", ..) => Ok(Changed::NoProject),
        (other, ..) => Err(bad(format!("an outcome '{other}' is not known"))),
    }
}

/// The job that is at work on a project and may change its files.
///
/// # Errors
/// The database does not answer.
pub async fn writer(
    conn: &impl GenericClient,
    tenant: TenantId,
    project: ProjectId,
) -> Result<Option<JobId>, DatabaseError> {
    let failed = || DatabaseError::query("find the job at work");
    let statement = conn.prepare_cached(WRITER).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&project.uuid(), &tenant.uuid()]).await.map_err(failed())?;
    Ok(row.map(|row| row.get::<_, Uuid>("id").into()))
}
