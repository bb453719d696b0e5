//! Ends of waits, moved by the dispatcher's leader: time, back-off, dependencies, deadlines. All bounded, all safe to repeat.

use deadpool_postgres::GenericClient;
use futures_util::future::try_join4;

use crate::{DatabaseError, again};

const DUE: &str = "SELECT dd_due_v2($1) AS moved";
const READY: &str = "SELECT dd_ready_v1($1) AS moved";
const DEPEND: &str = "SELECT dd_depend_v1($1) AS moved";
const EXPIRE: &str = "SELECT dd_expire_v2($1) AS moved";

/// How many jobs were moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Scheduled ones that joined their lane.
    pub due: i32,
    /// Those whose back-off is over.
    pub ready: i32,
    /// Those of whose dependencies one or more have ended.
    pub depend: i32,
    /// Those that waited longer than they allow.
    pub expired: i32,
}

impl Moved {
    /// Jobs moved for any reason.
    pub const fn total(self) -> i32 {
        self.due + self.ready + self.depend + self.expired
    }

    /// Whether a reason had more than fits one batch.
    pub const fn is_full(self, batch: i32) -> bool {
        self.due >= batch || self.ready >= batch || self.depend >= batch || self.expired >= batch
    }
}

/// Moves the jobs whose wait is over, at most `batch` a reason, in one round trip.
///
/// # Errors
/// The database does not answer.
pub async fn end_waits(conn: &impl GenericClient, batch: i32) -> Result<Moved, DatabaseError> {
    let (due, ready, depend, expired) = try_join4(
        moved(conn, DUE, batch),
        moved(conn, READY, batch),
        moved(conn, DEPEND, batch),
        moved(conn, EXPIRE, batch),
    )
    .await?;
    Ok(Moved { due, ready, depend, expired })
}

async fn moved(conn: &impl GenericClient, sql: &str, batch: i32) -> Result<i32, DatabaseError> {
    Ok(again::row(conn, "move jobs whose wait is over", sql, &[&batch]).await?.get("moved"))
}
