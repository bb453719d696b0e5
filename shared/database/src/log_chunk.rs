//! The `log_chunk` table, writing side: the log of a running attempt in rows of at most 32 KiB, or in objects above that rate.

use deadpool_postgres::GenericClient;
use drydock_domain::AttemptId;

use crate::DatabaseError;

/// Most bytes a row holds.
pub const MAX_INLINE: usize = 32 * 1024;

/// Asynchronous commit: the finish that follows is synchronous, and flushing the WAL is in order.
const APPEND: &str = "WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
  INSERT INTO log_chunk (attempt_id, seq, byte_offset, length, data, object)
  SELECT $1, $2, $3, $4, $5, $6 FROM relaxed ON CONFLICT DO NOTHING";

/// Where the bytes of a chunk are.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// In the row.
    Inline(&'a [u8]),
    /// In the object of this key.
    Object {
        /// Its key.
        key: &'a str,
        /// Its bytes.
        length: i32,
    },
}

/// Appends a chunk; repeating a call is harmless.
///
/// # Errors
/// The database does not answer.
pub async fn append(
    conn: &impl GenericClient,
    attempt: AttemptId,
    seq: i32,
    byte_offset: i64,
    body: Body<'_>,
) -> Result<(), DatabaseError> {
    let failed = || DatabaseError::query("append to the log");
    let (length, data, object) = match body {
        Body::Inline(data) => (i32::try_from(data.len()).unwrap_or(i32::MAX), Some(data), None),
        Body::Object { key, length } => (length, None, Some(key)),
    };
    let statement = conn.prepare_cached(APPEND).await.map_err(failed())?;
    conn.execute(&statement, &[&attempt.uuid(), &seq, &byte_offset, &length, &data, &object]).await.map_err(failed())?;
    Ok(())
}
