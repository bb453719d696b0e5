//! The `pack` table: a row is written before the object is uploaded, so that no listing ever decides what lives.

use deadpool_postgres::GenericClient;
use drydock_domain::TenantId;

use crate::DatabaseError;

const UPLOADING: &str = "INSERT INTO pack (tenant_id, id, bytes) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// Records that a pack is about to be uploaded; `finish` makes it live.
///
/// # Errors
/// The database does not answer.
pub async fn uploading(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: &[u8; 32],
    bytes: i64,
) -> Result<(), DatabaseError> {
    let statement = conn.prepare_cached(UPLOADING).await.map_err(DatabaseError::query("record a pack"))?;
    conn.execute(&statement, &[&tenant.uuid(), &id.as_slice(), &bytes])
        .await
        .map_err(DatabaseError::query("record a pack"))?;
    Ok(())
}
