//! The chain: each record's hash is over the one before, so that whoever kept a later hash can tell a changed or missing record.

use deadpool_postgres::GenericClient;
use drydock_domain::TenantId;

use crate::{DatabaseError, again};

const CHAIN: &str = "SELECT dd_audit_chain_v1($1) AS chained";
const PENDING: &str = "SELECT count(*) AS records FROM (SELECT FROM audit_pending LIMIT $1) p";
const CHAINED: &str =
    "SELECT c.position, encode(c.hash, 'hex') AS hash, a.record::text AS record FROM audit_chain c JOIN audit_record a ON a.id = c.record_id
  WHERE c.tenant_id = $1 AND c.position > $2 ORDER BY c.position LIMIT $3";
const OPERATION: &str = "read the audit chain";

/// A record in its tenant's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainedRecord {
    /// From 1, without gaps.
    pub position: i64,
    /// SHA-256 in hex of the hash before (64 zeros before the first), a line feed, and the record's text.
    pub hash: String,
    /// The record's text.
    pub record: String,
}

/// Chains at most `most` records, oldest first; the number of those it chained. Safe beside others that do the same.
///
/// # Errors
/// The database does not answer: they may be chained.
pub async fn chain(conn: &impl GenericClient, most: i32) -> Result<i32, DatabaseError> {
    let rows = again::rows(conn, "chain the audit log", CHAIN, &[&most]).await?;
    Ok(rows.first().map_or(0, |row| row.get("chained")))
}

/// How many records wait to be chained, counted up to `most`.
///
/// # Errors
/// The database does not answer.
pub async fn pending(conn: &impl GenericClient, most: i64) -> Result<i64, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(PENDING).await.map_err(failed())?;
    Ok(conn.query_one(&statement, &[&most]).await.map_err(failed())?.get("records"))
}

/// At most `most` of the tenant's chained records after position `after`, in order.
///
/// # Errors
/// The database does not answer.
pub async fn chained(
    conn: &impl GenericClient,
    tenant: TenantId,
    after: i64,
    most: i64,
) -> Result<Vec<ChainedRecord>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(CHAINED).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&tenant.uuid(), &after, &most]).await.map_err(failed())?;
    let record = |row: &tokio_postgres::Row| ChainedRecord {
        position: row.get("position"),
        hash: row.get("hash"),
        record: row.get("record"),
    };
    Ok(rows.iter().map(record).collect())
}
