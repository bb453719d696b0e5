//! Versions that copy another one: a restore on the same line, a fork on a new one. A row each, no bytes.

use deadpool_postgres::GenericClient;
use drydock_domain::{ProjectId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::Missing;
use crate::{DatabaseError, again, job::Idempotency};

const RESTORE: &str = "SELECT outcome, head FROM dd_restore_v1($1, $2, $3, $4)";
const FORK: &str = "SELECT outcome, made FROM dd_fork_v2($1, $2, $3, $4, $5, $6, $7, $8)";

/// The answer to a restore. Numbers are those of the newest version afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// A new version was made.
    New(i32),
    /// The newest version has that tree already.
    Same(i32),
    /// The newest version is none of those expected.
    Moved(i32),
    /// Version 0 has no tree that a version could have.
    Empty,
    /// There is nothing to restore, or nowhere.
    Missing(Missing),
}

/// A project to be made of another one's version.
#[derive(Clone, Debug)]
pub struct NewFork {
    /// Its id, chosen by the caller.
    pub id: ProjectId,
    /// The project to copy.
    pub origin: ProjectId,
    /// Which of its versions; the newest when `None`, an empty project for 0.
    pub version: Option<i32>,
    /// What it is for, instead of what the origin is for.
    pub instruction: Option<String>,
    /// The user's labels (an object of strings), instead of the origin's.
    pub labels: Option<serde_json::Value>,
    /// Makes a repeated request harmless.
    pub idempotency: Option<Idempotency>,
}

/// The answer to a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// It is there.
    New(ProjectId),
    /// The same request made this one before.
    Replayed(ProjectId),
    /// The key was used for another request.
    KeyReused,
    /// There is nothing to copy.
    Missing(Missing),
}

/// Makes the tree of version `number` the newest version, if the newest is one of `expected` (any when `None`). Repeating the
/// call is safe: it changes nothing.
///
/// # Errors
/// The database does not answer.
pub async fn restore(
    conn: &impl GenericClient,
    tenant: TenantId,
    project: ProjectId,
    number: i32,
    expected: Option<&[i32]>,
) -> Result<Restored, DatabaseError> {
    const OPERATION: &str = "restore a version";
    let row = again::row(conn, OPERATION, RESTORE, &[&tenant.uuid(), &project.uuid(), &number, &expected]).await?;
    match (row.get("outcome"), row.get("head")) {
        ("restored", Some(head)) => Ok(Restored::New(head)),
        ("same", Some(head)) => Ok(Restored::Same(head)),
        ("moved", Some(head)) => Ok(Restored::Moved(head)),
        ("empty", _) => Ok(Restored::Empty),
        ("expired", _) => Ok(Restored::Missing(Missing::Expired)),
        ("no_version", _) => Ok(Restored::Missing(Missing::Version)),
        ("no_project", _) => Ok(Restored::Missing(Missing::Project)),
        (other, _) => Err(unknown(OPERATION, other)),
    }
}

/// Makes a project of a version of another one.
///
/// # Errors
/// The database does not answer: it may have been made.
pub async fn fork(conn: &impl GenericClient, tenant: TenantId, new: &NewFork) -> Result<Forked, DatabaseError> {
    const OPERATION: &str = "fork a project";
    let (key, fingerprint) =
        new.idempotency.as_ref().map(|given| (given.key.as_str(), given.fingerprint.as_slice())).unzip();
    let row: Row = again::row(
        conn,
        OPERATION,
        FORK,
        &[
            &tenant.uuid(),
            &new.origin.uuid(),
            &new.version,
            &new.id.uuid(),
            &new.instruction,
            &new.labels,
            &key,
            &fingerprint,
        ],
    )
    .await?;
    match (row.get("outcome"), row.get::<_, Option<Uuid>>("made")) {
        ("forked", Some(id)) => Ok(Forked::New(id.into())),
        ("replayed", Some(id)) => Ok(Forked::Replayed(id.into())),
        ("key_reused", _) => Ok(Forked::KeyReused),
        ("expired", _) => Ok(Forked::Missing(Missing::Expired)),
        ("no_version", _) => Ok(Forked::Missing(Missing::Version)),
        ("no_project", _) => Ok(Forked::Missing(Missing::Project)),
        (other, _) => Err(unknown(OPERATION, other)),
    }
}

fn unknown(operation: &'static str, outcome: &str) -> DatabaseError {
    DatabaseError::Row { operation, reason: format!("an outcome '{outcome}' is not known") }
}
