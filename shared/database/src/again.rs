//! Calling a transition, and the one thing that is repeated here: what PostgreSQL undid. Of transactions that deadlock, or that
//! cannot be put in order, it rolls one back and leaves it to the client to ask again (manual, §13.3.4 and §13.5.1). A transition
//! is one statement and so one transaction, so it is asked again as it is.
//!
//! Nothing else is repeated here: after a lost connection a commit may have happened, which only the caller can judge, and what
//! took too long is not helped by having it done again.

use std::{sync::LazyLock, time::Duration};

use deadpool_postgres::GenericClient;
use drydock_runtime::Backoff;
use prometheus::{IntCounterVec, Opts, Registry};
use tokio_postgres::{Row, types::ToSql};

use crate::{DatabaseError, error::Conflict};

/// How often a transaction is tried at most.
pub const TRIES: u32 = 5;
/// Upper end of the first pause, which is doubled with each; whoever collided shall not collide again.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// One for the process: a connection does not know whose it is.
static CONFLICTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help =
        "Transactions that PostgreSQL rolled back for another one's sake, by kind, and whether they were repeated.";
    let conflicts = IntCounterVec::new(Opts::new("drydock_database_conflicts_total", help), &["kind", "outcome"]);
    let conflicts = conflicts.expect("the name and the labels are valid");
    for kind in [Conflict::Deadlock, Conflict::Serialization] {
        for outcome in ["repeated", "given_up"] {
            conflicts.with_label_values(&[kind.as_str(), outcome]);
        }
    }
    conflicts
});

/// Registers the counter of conflicts.
///
/// # Errors
/// It is registered already.
pub fn register(registry: &Registry) -> prometheus::Result<()> {
    registry.register(Box::new(CONFLICTS.clone()))
}

/// How often one transaction was tried.
#[derive(Debug)]
pub struct Again {
    backoff: Backoff,
    undone: Option<DatabaseError>,
}

impl Default for Again {
    fn default() -> Self {
        Self { backoff: Backoff::new(PAUSE, LONGEST_PAUSE), undone: None }
    }
}

impl Again {
    /// Waits a moment, at random, when the transaction that failed with `error` was undone for another one's sake.
    ///
    /// # Errors
    /// It failed for another reason, or for the fifth time.
    pub async fn after(&mut self, error: DatabaseError) -> Result<(), DatabaseError> {
        let error = match self.undone.take() {
            // A statement of a transaction that the caller began, and has to begin again.
            Some(undone) if error.is_in_failed_transaction() => return Err(undone),
            _ => error,
        };
        let Some(conflict) = error.conflict() else { return Err(error) };
        let count = |outcome| CONFLICTS.with_label_values(&[conflict.as_str(), outcome]).inc();
        if self.backoff.tries() + 1 >= TRIES {
            count("given_up");
            return Err(error);
        }
        count("repeated");
        tokio::time::sleep(self.backoff.next_delay()).await;
        self.undone = Some(error);
        Ok(())
    }
}

/// What a transition answers.
pub(crate) async fn rows(
    conn: &impl GenericClient,
    operation: &'static str,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, DatabaseError> {
    let failed = || DatabaseError::query(operation);
    let statement = conn.prepare_cached(sql).await.map_err(failed())?;
    let mut again = Again::default();
    loop {
        match conn.query(&statement, parameters).await.map_err(failed()) {
            Err(error) => again.after(error).await?,
            answer => return answer,
        }
    }
}

/// What a transition answers that answers one row.
pub(crate) async fn row(
    conn: &impl GenericClient,
    operation: &'static str,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Row, DatabaseError> {
    let mut rows = rows(conn, operation, sql, parameters).await?;
    match (rows.pop(), rows.len()) {
        (Some(row), 0) => Ok(row),
        (_, others) => {
            Err(DatabaseError::Row { operation, reason: format!("one row was expected, not {}", others + 1) })
        }
    }
}
