//! The claim: a worker's one statement that makes a ticket into an attempt.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{AttemptId, JobType, ProjectId, TenantId, Ticket, WorkerId};
use serde::Deserialize;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{DatabaseError, again, version::StoredAt};

const CLAIM: &str = "SELECT outcome, attempt_number, base, base_tree, base_manifest, base_delta, at, spec FROM dd_claim_v4($1, $2, $3, $4, $5)";
const CLAIM_GROUP: &str = "SELECT outcome, attempt_number, base, base_tree, base_manifest, base_delta, at, spec
  FROM dd_claim_group_v3($1, $2, $3, $4, $5) ORDER BY place";
const OPERATION: &str = "claim jobs";

/// What the job asks for, as far as a worker needs it.
#[derive(Clone, Debug, Deserialize)]
pub struct JobSpec {
    /// Owner; also the domain of its objects.
    pub tenant_id: TenantId,
    /// Whose workspace.
    pub project_id: ProjectId,
    /// What kind of work.
    pub job_type: JobType,
    /// What to do.
    pub instruction: String,
    /// The command line of a `command` job.
    pub argv: Option<Vec<String>>,
    /// The agent to run.
    pub agent: String,
    /// The user's labels.
    pub labels: serde_json::Value,
    /// Longest run.
    pub timeout_s: Option<u32>,
    /// Longest time without output.
    pub silence_timeout_s: Option<u32>,
    /// Its changes are discarded.
    pub read_only: bool,
    /// A failed attempt's files become a listed version.
    pub keep_on_error: bool,
}

/// A claimed job.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Which try this is, from 1.
    pub number: i16,
    /// The version to start from; 0 is the empty one.
    pub base_version: i32,
    /// Where its tree is stored; `None` for the empty version.
    pub base: Option<StoredAt>,
    /// When it was claimed, by the database's clock.
    pub at: DateTime<Utc>,
    /// The job.
    pub spec: JobSpec,
}

/// The answer to a claim.
#[derive(Clone, Debug)]
pub enum Claimed {
    /// This worker's from now on.
    Mine(Box<Claim>),
    /// Duplicate, old or cancelled: acknowledge and forget.
    Stale,
    /// This worker is over or draining.
    Refused,
    /// Not this agent, pool or isolation here: hand the ticket back.
    Unsuited,
}

/// One ticket's claim.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The ticket.
    pub ticket: Ticket,
    /// The attempt's id, chosen before the call: the fencing token.
    pub attempt: AttemptId,
    /// Where the attempt will work.
    pub workspace_path: String,
}

/// Claims the ticket's job as `attempt`. Repeating the call after a lost reply gives the same answer.
///
/// # Errors
/// The database does not answer: the claim may have happened.
pub async fn claim(
    conn: &impl GenericClient,
    ticket: &Ticket,
    attempt: AttemptId,
    worker: WorkerId,
    workspace_path: &str,
) -> Result<Claimed, DatabaseError> {
    let (job, attempt, worker) = (ticket.job.uuid(), attempt.uuid(), worker.uuid());
    answer(&again::row(conn, OPERATION, CLAIM, &[&job, &ticket.seq, &attempt, &worker, &workspace_path]).await?)
}

/// Claims several tickets' jobs in one transaction; an answer each, in their order. `None`: somebody else holds the job, ask for
/// it alone.
///
/// # Errors
/// The database does not answer: the claims may have happened.
pub async fn claim_group(
    conn: &impl GenericClient,
    worker: WorkerId,
    group: &[Asking],
) -> Result<Vec<Option<Claimed>>, DatabaseError> {
    let jobs: Vec<Uuid> = group.iter().map(|one| one.ticket.job.uuid()).collect();
    let seqs: Vec<i32> = group.iter().map(|one| one.ticket.seq).collect();
    let attempts: Vec<Uuid> = group.iter().map(|one| one.attempt.uuid()).collect();
    let paths: Vec<&str> = group.iter().map(|one| one.workspace_path.as_str()).collect();
    let rows = again::rows(conn, OPERATION, CLAIM_GROUP, &[&jobs, &seqs, &attempts, &worker.uuid(), &paths]).await?;
    if rows.len() != group.len() {
        return Err(bad(format!("{} answers to {} claims", rows.len(), group.len())));
    }
    let is_answered = |row: &Row| row.get::<_, Option<&str>>("outcome").is_some();
    rows.iter().map(|row| is_answered(row).then(|| answer(row)).transpose()).collect()
}

fn answer(row: &Row) -> Result<Claimed, DatabaseError> {
    match row.get::<_, &str>("outcome") {
        "stale" => Ok(Claimed::Stale),
        "refused" => Ok(Claimed::Refused),
        "unsuited" => Ok(Claimed::Unsuited),
        "claimed" => {
            let base = StoredAt::from_row(row, ["base_tree", "base_manifest", "base_delta"]).map_err(bad)?;
            Ok(Claimed::Mine(Box::new(Claim {
                number: row.get("attempt_number"),
                base_version: row.get("base"),
                base,
                at: row.get("at"),
                spec: serde_json::from_value(row.get("spec")).map_err(|error| bad(error.to_string()))?,
            })))
        }
        other => Err(bad(format!("unknown outcome '{other}'"))),
    }
}

fn bad(reason: String) -> DatabaseError {
    DatabaseError::Row { operation: OPERATION, reason }
}
