//! Jobs of a daemon: claimed by the API that holds its connection, ended as it reports.

use deadpool_postgres::GenericClient;
use drydock_domain::{AttemptId, JobId, Outcome, ProjectId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{
    DatabaseError, again,
    job::{
        Finished, JobSpec,
        finish::{answer, told},
    },
    report::Report,
};

const CLAIM: &str = "SELECT attempt_id, job_id, attempt_number, spec FROM dd_workspace_claim_v1($1, $2, $3, $4, $5)";
const CANCELLED: &str = "SELECT a.id FROM attempt a JOIN job j ON j.id = a.job_id
  WHERE a.id = ANY ($1) AND a.state = 'running' AND j.cancel_at IS NOT NULL";
const FINISH: &str = "SELECT dd_workspace_finish_v1($1, $2, $3, $4, $5) AS answer";

/// A job to be handed to a daemon.
#[derive(Clone, Debug)]
pub struct Handed {
    /// This try.
    pub attempt: AttemptId,
    /// The job.
    pub job: JobId,
    /// Which try it is, from 1.
    pub number: i16,
    /// What it asks for.
    pub spec: JobSpec,
}

/// Claims what the daemon connected as `connection` has room for, at most `most`; and answers all attempts of its own that are not among
/// `in_hand`, those claimed before included: telling one may have failed.
///
/// # Errors
/// The database does not answer: jobs may have been claimed, and are among the answers of the next call.
pub async fn claim(
    conn: &impl GenericClient,
    project: ProjectId,
    connection: Uuid,
    in_hand: &[AttemptId],
    most: usize,
) -> Result<Vec<Handed>, DatabaseError> {
    const OPERATION: &str = "claim jobs for a daemon";
    let fresh: Vec<Uuid> = std::iter::repeat_with(|| AttemptId::generate().uuid()).take(most).collect();
    let in_hand: Vec<Uuid> = in_hand.iter().map(|id| id.uuid()).collect();
    let parameters: [&(dyn ToSql + Sync); 5] = [&project.uuid(), &connection, &fresh, &in_hand, &"live folder"];
    let rows = again::rows(conn, OPERATION, CLAIM, &parameters).await?;
    let handed = rows.iter().map(|row| {
        let spec = serde_json::from_value(row.get("spec"));
        Ok(Handed {
            attempt: row.get::<_, Uuid>("attempt_id").into(),
            job: row.get::<_, Uuid>("job_id").into(),
            number: row.get("attempt_number"),
            spec: spec.map_err(|error| DatabaseError::Row { operation: OPERATION, reason: error.to_string() })?,
        })
    });
    handed.collect()
}

/// Which of these attempts are to be stopped.
///
/// # Errors
/// The database does not answer.
pub async fn cancelled(conn: &impl GenericClient, attempts: &[AttemptId]) -> Result<Vec<AttemptId>, DatabaseError> {
    let failed = || DatabaseError::query("look for cancelled attempts");
    let ids: Vec<Uuid> = attempts.iter().map(|id| id.uuid()).collect();
    let statement = conn.prepare_cached(CANCELLED).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&ids]).await.map_err(failed())?;
    Ok(rows.iter().map(|row| row.get::<_, Uuid>("id").into()).collect())
}

/// Ends an attempt of a daemon's; `version` has its changes, if it made any. Repeating the call is safe.
///
/// # Errors
/// The database does not answer: it may have ended.
pub async fn finish(
    conn: &impl GenericClient,
    (job, attempt): (JobId, AttemptId),
    outcome: Outcome,
    report: &Report,
    version: Option<i32>,
) -> Result<Finished, DatabaseError> {
    const OPERATION: &str = "finish a daemon's attempt";
    let report = told(report)?;
    let parameters: [&(dyn ToSql + Sync); 5] = [&job.uuid(), &attempt.uuid(), &outcome.as_str(), &report, &version];
    answer(again::row(conn, OPERATION, FINISH, &parameters).await?.get("answer"))
}
