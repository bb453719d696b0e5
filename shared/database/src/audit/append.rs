//! Adding records.

use deadpool_postgres::GenericClient;

use super::record::AuditRecord;
use crate::{DatabaseError, again};

const APPEND: &str = "SELECT dd_audit_v1($1)";

/// Adds records, all or none. One that is there already stays as it is, so this may be repeated.
///
/// # Errors
/// The database does not answer: they may be there.
pub async fn append(conn: &impl GenericClient, records: &[AuditRecord]) -> Result<(), DatabaseError> {
    let texts: Vec<String> = records.iter().map(AuditRecord::text).collect();
    again::rows(conn, "write the audit log", APPEND, &[&texts]).await.map(drop)
}
