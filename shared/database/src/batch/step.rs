//! Steps of batches, taken by the dispatcher's leader: bounded, safe to repeat, and safe beside those of another who leads.

use deadpool_postgres::GenericClient;
use drydock_domain::BatchId;
use uuid::Uuid;

use super::read::PauseReason;
use crate::{DatabaseError, again};

const DUE: &str = "SELECT dd_batches_due_v1($1) AS id";
const STEP: &str = "SELECT let_go, taken_back, cancelled, paused, finished FROM dd_batch_step_v2($1, $2, $3)";
const OPERATION: &str = "take a step of a batch";

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stepped {
    /// Jobs that joined their lanes.
    pub let_go: i32,
    /// Jobs of a paused batch that are held again.
    pub taken_back: i32,
    /// Jobs cancelled, or told to stop.
    pub cancelled: i32,
    /// It paused by its own rules.
    pub paused: Option<PauseReason>,
    /// All its jobs are over and no more come.
    pub finished: bool,
}

impl Stepped {
    /// Jobs moved for any reason.
    pub const fn moved(self) -> i32 {
        self.let_go + self.taken_back + self.cancelled
    }
}

/// Batches that something is to be done for, at most `most`.
///
/// # Errors
/// The database does not answer.
pub async fn due(conn: &impl GenericClient, most: i32) -> Result<Vec<BatchId>, DatabaseError> {
    let rows = again::rows(conn, "find batches to step", DUE, &[&most]).await?;
    Ok(rows.iter().map(|row| row.get::<_, Uuid>("id").into()).collect())
}

/// One step: counts, the batch's own rules, then at most `most` jobs let go, taken back or cancelled. `ahead` is how many jobs may
/// wait at the head of their lanes. `None`: another holds it, or it is over.
///
/// # Errors
/// The database does not answer.
pub async fn step(
    conn: &impl GenericClient,
    batch: BatchId,
    ahead: i32,
    most: i32,
) -> Result<Option<Stepped>, DatabaseError> {
    let rows = again::rows(conn, OPERATION, STEP, &[&batch.uuid(), &ahead, &most]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(Stepped {
        let_go: row.get("let_go"),
        taken_back: row.get("taken_back"),
        cancelled: row.get("cancelled"),
        paused: PauseReason::from_word(row.get("paused"), OPERATION)?,
        finished: row.get("finished"),
    }))
}
