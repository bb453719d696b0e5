//! Why a batch has not let a job go.

use deadpool_postgres::GenericClient;
use drydock_domain::{BatchId, JobId};
use uuid::Uuid;

use super::waiting::{MOST, Place};
use crate::{DatabaseError, batch::PauseReason};

const OPERATION: &str = "find why a job is held";
/// Those before it in one range each: of higher priority, then earlier lines of its own.
const HELD: &str = "SELECT b.id, b.pause_reason, b.canary IS NOT NULL AND NOT b.canary_passed AS canary, b.max_running,
    (SELECT count(*) FROM (
      (SELECT 1 FROM job j WHERE j.batch_id = w.batch_id AND j.on_hold AND j.state = 'scheduled' AND j.priority > w.priority
        ORDER BY j.priority DESC, j.batch_line LIMIT $2)
      UNION ALL
      (SELECT 1 FROM job j WHERE j.batch_id = w.batch_id AND j.on_hold AND j.state = 'scheduled' AND j.priority = w.priority
          AND j.batch_line < w.batch_line ORDER BY j.batch_line LIMIT $2) LIMIT $2) a) AS ahead
  FROM job w JOIN batch b ON b.id = w.batch_id WHERE w.id = $1";

/// What holds a job of a batch.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its batch.
    pub batch: BatchId,
    /// Why that is paused, if it is.
    pub paused: Option<PauseReason>,
    /// The batch's first jobs have not all ended well yet.
    pub canary: bool,
    /// Most jobs the batch has under way at once.
    pub max_running: Option<i32>,
    /// Among those the batch holds.
    pub place: Place,
}

pub(super) async fn held(conn: &impl GenericClient, id: JobId) -> Result<Option<Held>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(HELD).await.map_err(failed())?;
    let Some(row) = conn.query_opt(&statement, &[&id.uuid(), &MOST]).await.map_err(failed())? else {
        return Ok(None);
    };
    Ok(Some(Held {
        batch: row.get::<_, Uuid>("id").into(),
        paused: PauseReason::from_word(row.get("pause_reason"), OPERATION)?,
        canary: row.get("canary"),
        max_running: row.get("max_running"),
        place: Place::after(row.get("ahead")),
    }))
}
