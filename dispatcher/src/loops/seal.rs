//! Finishing the logs of workers that died before they could: rows and segments become the one object.

use std::time::Duration;

use drydock_database::{DatabaseError, attempt, log_read, log_read::Chunk};
use drydock_domain::{AttemptId, TenantId};
use drydock_runtime::{exit::chain, periodic::Next};
use drydock_storage::{SealedLogWriter, Storage, StorageError};

use crate::context::Context;

/// A living worker seals within seconds of its finish.
const AGE: Duration = Duration::from_secs(120);
const BATCH: i64 = 20;
/// Rows read at once: at most 32 KiB each, or one segment of 4 MiB.
const ROWS: i64 = 32;
/// Largest segment a worker writes.
const SEGMENT: u64 = 8 << 20;

#[derive(Debug, thiserror::Error)]
enum SealError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("cannot write the log to object storage")]
    Storage(#[from] StorageError),
}

pub(crate) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let unsealed = attempt::unsealed(&context.database.client().await?, AGE, BATCH).await?;
    for (attempt, tenant) in unsealed {
        match seal(&context, attempt, tenant).await {
            Ok(()) => context.metrics.sealed.inc(),
            Err(error) => {
                tracing::warn!(attempt = %attempt, "failed to seal a log: {}", chain(&error))
            }
        }
    }
    Ok(Next::Wait)
}

async fn seal(context: &Context, attempt: AttemptId, tenant: TenantId) -> Result<(), SealError> {
    let client = context.database.client().await?;
    let keys = context.storage.keys(tenant);
    let mut sealed = SealedLogWriter::create(&std::env::temp_dir())?;
    let (mut after, mut segments) = (-1, Vec::new());
    loop {
        let chunks = log_read::chunks(&client, attempt, after, 0, ROWS).await?;
        let Some(last) = chunks.last() else { break };
        after = last.seq;
        for chunk in &chunks {
            if chunk.object.is_some() {
                segments.push(keys.log_segment(attempt, u64::from(chunk.seq.unsigned_abs())));
            }
            sealed.push(&bytes(&context.storage, attempt, tenant, chunk).await?)?;
        }
    }
    let (bytes, key) = (i64::try_from(sealed.len()).unwrap_or(i64::MAX), keys.log(attempt));
    sealed.seal(&context.storage, &key).await?;
    attempt::seal(&client, attempt, key.as_str(), bytes).await?;
    for segment in segments {
        context.storage.delete(&segment).await?;
    }
    Ok(())
}

async fn bytes(storage: &Storage, attempt: AttemptId, tenant: TenantId, chunk: &Chunk) -> Result<Vec<u8>, SealError> {
    if let Some(data) = &chunk.data {
        return Ok(data.clone());
    }
    let key = storage.keys(tenant).log_segment(attempt, u64::from(chunk.seq.unsigned_abs()));
    Ok(storage.get(&key, SEGMENT).await?.to_vec())
}
