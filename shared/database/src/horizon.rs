//! What keeps PostgreSQL from removing old row versions. A transaction that stays open holds back all that ended after its
//! snapshot, and a queue ends much: its tables and indexes grow until that transaction is over.

use std::time::Duration;

use deadpool_postgres::GenericClient;

use crate::DatabaseError;

/// Sessions with a snapshot or a transaction id, and prepared transactions, which survive their session. Sessions of other roles
/// show their times only to members of `pg_read_all_stats` (manual, §28.2).
const OLDEST: &str = "SELECT pid, holder, extract(epoch FROM clock_timestamp() - since)::float8 AS seconds FROM (
    SELECT a.pid, coalesce(nullif(a.application_name, ''), 'no name') || ' of ' || a.usename AS holder, a.xact_start AS since
      FROM pg_stat_activity a
     WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
       AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL) AND a.xact_start IS NOT NULL
    UNION ALL
    SELECT NULL, p.gid, p.prepared FROM pg_prepared_xacts p WHERE p.database = current_database()) open
  ORDER BY since LIMIT 1";

/// The transaction that holds back the most.
#[derive(Clone, Debug, PartialEq)]
pub struct OldestTransaction {
    /// The session's process; `None` for a prepared transaction.
    pub pid: Option<i32>,
    /// The application and its role, or the prepared transaction's name.
    pub holder: String,
    /// How long it has been open.
    pub age: Duration,
}

impl OldestTransaction {
    /// What ends it, as SQL.
    pub fn remedy(&self) -> String {
        match self.pid {
            Some(pid) => format!("SELECT pg_terminate_backend({pid})"),
            None => format!("ROLLBACK PREPARED '{}'", self.holder.replace('\'', "''")),
        }
    }
}

/// The oldest open transaction of this database, as far as our role may see.
///
/// # Errors
/// The database does not answer.
pub async fn oldest_transaction(conn: &impl GenericClient) -> Result<Option<OldestTransaction>, DatabaseError> {
    let failed = || DatabaseError::query("look for old transactions");
    let statement = conn.prepare_cached(OLDEST).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[]).await.map_err(failed())?;
    Ok(row.map(|row| OldestTransaction {
        pid: row.get("pid"),
        holder: row.get("holder"),
        age: Duration::from_secs_f64(row.get::<_, f64>("seconds").max(0.0)),
    }))
}
