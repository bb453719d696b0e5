//! Lines in: a chunk a transaction, in any order, any number of times.

use deadpool_postgres::GenericClient;
use drydock_domain::{BatchId, TenantId};
use serde::Serialize;
use tokio_postgres::Row;

use crate::{DatabaseError, again, job::NewJob, raw_json::RawJson};

const ACCEPT: &str = "SELECT line, outcome, lacks FROM dd_batch_accept_v2($1, $2, $3, $4) ORDER BY line";
const BEYOND: &str = "SELECT line, lacks FROM dd_batch_beyond_v1($1, $2, $3)";
const OPERATION: &str = "accept lines of a batch";

/// A line, as an element of `dd_batch_accept_v2`'s array.
#[derive(Clone, Debug, Serialize)]
pub struct LineJob {
    /// From 1.
    pub line: i32,
    /// Of the line's bytes: tells the same line again from another one.
    pub hash: i64,
    /// What it asks for; without key and dependencies.
    #[serde(flatten)]
    pub job: NewJob,
}

/// Why a line made no job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineOutcome {
    /// The same line came before.
    Replayed,
    /// It came before with other contents.
    LineReused,
    /// No such project of this tenant.
    NoProject,
    /// The batch takes no further lines.
    Closed,
    /// The tenant has used up a quota: which, and how much of it is used.
    OverQuota(String),
}

/// What was not accepted of a chunk; whatever is not named was, and is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such batch of this tenant.
    NoBatch,
    /// These lines.
    Lines(Vec<(i32, LineOutcome)>),
}

/// Accepts lines of a batch in one transaction.
///
/// # Errors
/// The database does not answer: the lines may have been accepted, all or none. Asking again is harmless.
pub async fn accept(
    conn: &impl GenericClient,
    tenant: TenantId,
    batch: BatchId,
    lines: &[LineJob],
) -> Result<Refused, DatabaseError> {
    let Some(first) = lines.iter().map(|line| line.line).min() else {
        return Ok(Refused::Lines(Vec::new()));
    };
    let asked = RawJson::of(&lines, OPERATION)?;
    for _ in 0..again::TRIES {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&tenant.uuid(), &batch.uuid(), &first, &asked];
        let rows = again::rows(conn, OPERATION, ACCEPT, &parameters).await?;
        if rows.iter().any(|row| row.get::<_, Option<i32>>("line").is_none()) {
            return Ok(Refused::NoBatch);
        }
        // Another call had the same line at the same time; it has committed, or is undone, by now.
        if rows.iter().all(|row| row.get::<_, &str>("outcome") != "again") {
            return rows.iter().map(refused).collect::<Result<_, _>>().map(Refused::Lines);
        }
    }
    Err(DatabaseError::Row { operation: OPERATION, reason: "the same lines keep coming in another call".to_owned() })
}

/// Of `lines`, those that would be new to the batch while its tenant has no room for them, and what it has no room for.
///
/// # Errors
/// The database does not answer.
pub async fn beyond(
    conn: &impl GenericClient,
    tenant: TenantId,
    batch: BatchId,
    lines: &[i32],
) -> Result<Vec<(i32, String)>, DatabaseError> {
    let failed = || DatabaseError::query("look for room for lines of a batch");
    let statement = conn.prepare_cached(BEYOND).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&tenant.uuid(), &batch.uuid(), &lines]).await.map_err(failed())?;
    Ok(rows.iter().map(|row| (row.get("line"), row.get("lacks"))).collect())
}

fn refused(row: &Row) -> Result<(i32, LineOutcome), DatabaseError> {
    let outcome = match row.get("outcome") {
        "replayed" => LineOutcome::Replayed,
        "line_reused" => LineOutcome::LineReused,
        "no_project" => LineOutcome::NoProject,
        "closed" => LineOutcome::Closed,
        "over_quota" => LineOutcome::OverQuota(row.get("lacks")),
        other => {
            let reason = format!("unknown outcome '{other}'");
            return Err(DatabaseError::Row { operation: OPERATION, reason });
        }
    };
    Ok((row.get("line"), outcome))
}
