//! Transitions of a job made by the dispatcher's leader: admit, redispatch, hand back; and tickets without the broker. All bounded, all safe to repeat.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use drydock_domain::{Ahead, Digest, Dispatch, JobId, Ticket, WorkerId};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use crate::{DatabaseError, again};

/// Asynchronous commit: a lost admission leaves the job queued, and its ticket fails the claim.
const ADMIT: &str = "WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
  SELECT ticket_job, ticket_seq, ticket_pool, ticket_priority, ticket_near FROM relaxed, dd_admit_v7($1, $2, $3, $4, $5, $6)";
const REDISPATCH: &str = "SELECT ticket_job, ticket_seq, ticket_pool, ticket_priority
  FROM dd_redispatch_v2($1, $2, $3, make_interval(secs => $4), $5)";
const RETURN_TICKET: &str = "SELECT dd_return_ticket_v2($1, $2, make_interval(secs => $3)) AS returned";
const PULL: &str = "SELECT ticket_job, ticket_seq, ticket_pool, ticket_priority FROM dd_pull_v1($1, $2)";

const NEXT_IN_LINE: &str =
    "SELECT worker_id, tenant_id, project_id, version, tree_id FROM dd_next_in_line_v1($1, $2, $3, $4)";

/// The right to act for the fleet: re-checked inside each transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// The dispatcher that leads.
    pub holder: Uuid,
    /// Which of its leads.
    pub number: i64,
}

/// Admits jobs for the free slots plus `lookahead`; returns the tickets to publish (none when `term` is over). `offers` are those that are out.
///
/// # Errors
/// The database does not answer.
pub async fn admit(
    conn: &impl GenericClient,
    term: Term,
    lookahead: i32,
    batch: i32,
    offers: &[(JobId, WorkerId)],
) -> Result<Vec<Dispatch>, DatabaseError> {
    let (jobs, workers): (Vec<Uuid>, Vec<Uuid>) =
        offers.iter().map(|(job, worker)| (job.uuid(), worker.uuid())).unzip();
    let parameters: [&(dyn ToSql + Sync); 6] = [&term.holder, &term.number, &lookahead, &batch, &jobs, &workers];
    let rows = again::rows(conn, "admit jobs", ADMIT, &parameters).await?;
    let near = |row: &Row| row.get::<_, Option<Uuid>>("ticket_near").map(WorkerId::from);
    Ok(rows.iter().map(|row| Dispatch { ticket: ticket(row), near: near(row) }).collect())
}

/// Versions to bring to workers ahead of their jobs: of at most `each` jobs of a group, and `most` for a pool (none when `term` is over).
///
/// # Errors
/// The database does not answer.
pub async fn next_in_line(
    conn: &impl GenericClient,
    term: Term,
    each: i32,
    most: i32,
) -> Result<Vec<Ahead>, DatabaseError> {
    const OPERATION: &str = "find the next jobs in line";
    let rows = again::rows(conn, OPERATION, NEXT_IN_LINE, &[&term.holder, &term.number, &each, &most]).await?;
    let ahead = |row: &Row| {
        let tree = <[u8; 32]>::try_from(row.get::<_, &[u8]>("tree_id"));
        let bad = |_| DatabaseError::Row { operation: OPERATION, reason: "a tree id is not 32 bytes".to_owned() };
        Ok(Ahead {
            tenant: row.get::<_, Uuid>("tenant_id").into(),
            project: row.get::<_, Uuid>("project_id").into(),
            version: row.get("version"),
            tree: Digest::from_bytes(tree.map_err(bad)?),
            worker: row.get::<_, Uuid>("worker_id").into(),
        })
    };
    rows.iter().map(ahead).collect()
}

/// Tickets to send again: those of `unconfirmed` jobs, and those nobody claimed for `unclaimed`.
///
/// # Errors
/// The database does not answer.
pub async fn redispatch(
    conn: &impl GenericClient,
    term: Term,
    unconfirmed: &[JobId],
    unclaimed: Duration,
    batch: i32,
) -> Result<Vec<Ticket>, DatabaseError> {
    let ids: Vec<Uuid> = unconfirmed.iter().map(|id| id.uuid()).collect();
    let unclaimed = unclaimed.as_secs_f64();
    let parameters: [&(dyn ToSql + Sync); 5] = [&term.holder, &term.number, &ids, &unclaimed, &batch];
    let rows = again::rows(conn, "dispatch tickets again", REDISPATCH, &parameters).await?;
    Ok(rows.iter().map(ticket).collect())
}

/// Hands a ticket back: the job is queued again, due after `pause`.
///
/// # Errors
/// The database does not answer; the ticket is then sent again for being unclaimed.
pub async fn return_ticket(conn: &impl GenericClient, ticket: &Ticket, pause: Duration) -> Result<bool, DatabaseError> {
    let parameters: [&(dyn ToSql + Sync); 3] = [&ticket.job.uuid(), &ticket.seq, &pause.as_secs_f64()];
    Ok(again::row(conn, "hand back a ticket", RETURN_TICKET, &parameters).await?.get("returned"))
}

/// Tickets of dispatched jobs that `worker` could claim now, at most `most`, read from PostgreSQL instead of the broker.
/// Others may be told of the same ones: the claim decides.
///
/// # Errors
/// The database does not answer.
pub async fn pull(conn: &impl GenericClient, worker: WorkerId, most: i32) -> Result<Vec<Ticket>, DatabaseError> {
    let failed = || DatabaseError::query("pull tickets");
    let statement = conn.prepare_cached(PULL).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&worker.uuid(), &most]).await.map_err(failed())?;
    Ok(rows.iter().map(ticket).collect())
}

fn ticket(row: &Row) -> Ticket {
    let priority: i16 = row.get("ticket_priority");
    Ticket::new(
        row.get::<_, Uuid>("ticket_job").into(),
        row.get("ticket_seq"),
        row.get("ticket_pool"),
        u8::try_from(priority).unwrap_or_default(),
    )
}
