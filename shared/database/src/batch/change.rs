//! What people do to a batch.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{BatchId, JobId, TenantId};
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{DatabaseError, again, job::Idempotency};

const CREATE: &str = "SELECT outcome, made FROM dd_batch_create_v2($1, $2, $3, $4, $5, $6, $7)";
const CLOSE: &str = "SELECT dd_batch_close_v1($1, $2) AS answer";
const CANCEL: &str = "SELECT dd_batch_cancel_v1($1, $2, $3) AS answer";
const PAUSE: &str = "SELECT dd_batch_pause_v1($1, $2) AS answer";
const RESUME: &str = "SELECT dd_batch_resume_v2($1, $2) AS answer";
const CHANGE: &str = "SELECT dd_batch_change_v2($1, $2, $3, $4, $5) AS answer";
const RETRY: &str = "SELECT dd_batch_retry_v1($1, $2, $3, $4) AS again";

/// How a batch goes about its jobs; what is none has no limit, or stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BatchSettings {
    /// So many jobs go first, and the others once all of these ended well.
    pub canary: Option<i32>,
    /// Most jobs under way at once.
    pub max_running: Option<i32>,
    /// It pauses once more than this share of those that ended have failed, 0 to 1.
    pub max_failure_rate: Option<f64>,
    /// It pauses once its attempts have held slots for so many seconds.
    pub budget_slot_s: Option<i64>,
    /// It pauses once its attempts have used so many tokens, read and written.
    pub budget_tokens: Option<i64>,
}

/// A batch to be made.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// Its id, chosen by the caller.
    pub id: BatchId,
    /// For lists.
    pub name: String,
    /// The user's labels: an object of strings.
    pub labels: Value,
    /// How it goes about its jobs.
    pub settings: BatchSettings,
    /// Makes a repeated request harmless.
    pub idempotency: Option<Idempotency>,
}

/// The answer to a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    New(BatchId),
    /// The same request made this one before.
    Replayed(BatchId),
    /// The key was used for another request.
    KeyReused,
}

/// What came of a change; repeating one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is so, by this call or before.
    Done,
    /// No such batch of this tenant.
    NoBatch,
    /// It is over.
    Final,
    /// It is being cancelled.
    Cancelling,
    /// Its budget is used up: it would pause again at once.
    Budget,
    /// Its tenant has used up its quota of stored bytes: it would pause again at once.
    Storage,
}

/// Makes a batch.
///
/// # Errors
/// The database does not answer: it may have been made.
pub async fn create(conn: &impl GenericClient, tenant: TenantId, new: &NewBatch) -> Result<Created, DatabaseError> {
    const OPERATION: &str = "create a batch";
    let (key, fingerprint) = match &new.idempotency {
        Some(Idempotency { key, fingerprint }) => (Some(key.as_str()), Some(fingerprint.as_slice())),
        None => (None, None),
    };
    let settings = settings(OPERATION, &new.settings)?;
    let parameters: [&(dyn ToSql + Sync); 7] =
        [&tenant.uuid(), &new.id.uuid(), &new.name, &new.labels, &settings, &key, &fingerprint];
    let row = again::row(conn, OPERATION, CREATE, &parameters).await?;
    let made = || row.get::<_, Uuid>("made").into();
    match row.get("outcome") {
        "created" => Ok(Created::New(made())),
        "replayed" => Ok(Created::Replayed(made())),
        "key_reused" => Ok(Created::KeyReused),
        other => Err(unknown(OPERATION, other)),
    }
}

/// Takes no further lines.
///
/// # Errors
/// The database does not answer.
pub async fn close(conn: &impl GenericClient, tenant: TenantId, id: BatchId) -> Result<Changed, DatabaseError> {
    changed(conn, "close a batch", CLOSE, &[&tenant.uuid(), &id.uuid()]).await
}

/// Cancels what is not over, by and by; with `reason`, for whoever asks later.
///
/// # Errors
/// The database does not answer.
pub async fn cancel(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: BatchId,
    reason: Option<&str>,
) -> Result<Changed, DatabaseError> {
    changed(conn, "cancel a batch", CANCEL, &[&tenant.uuid(), &id.uuid(), &reason]).await
}

/// Lets no further jobs go, and takes back those that wait.
///
/// # Errors
/// The database does not answer.
pub async fn pause(conn: &impl GenericClient, tenant: TenantId, id: BatchId) -> Result<Changed, DatabaseError> {
    changed(conn, "pause a batch", PAUSE, &[&tenant.uuid(), &id.uuid()]).await
}

/// Goes on after a pause, whatever the reason was.
///
/// # Errors
/// The database does not answer.
pub async fn resume(conn: &impl GenericClient, tenant: TenantId, id: BatchId) -> Result<Changed, DatabaseError> {
    changed(conn, "resume a batch", RESUME, &[&tenant.uuid(), &id.uuid()]).await
}

/// Changes what is given.
///
/// # Errors
/// The database does not answer.
pub async fn change(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: BatchId,
    name: Option<&str>,
    labels: Option<&Value>,
    to: &BatchSettings,
) -> Result<Changed, DatabaseError> {
    const OPERATION: &str = "change a batch";
    let to = settings(OPERATION, to)?;
    changed(conn, OPERATION, CHANGE, &[&tenant.uuid(), &id.uuid(), &name, &labels, &to]).await
}

/// Runs up to `most` lines again that failed until `before`; answers how many, `None` where the tenant has no such batch.
///
/// # Errors
/// The database does not answer; [`Changed::Cancelling`] as the inner error.
pub async fn retry_failed(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: BatchId,
    before: DateTime<Utc>,
    most: usize,
) -> Result<Result<usize, Changed>, DatabaseError> {
    const OPERATION: &str = "retry a batch's failures";
    let ids: Vec<Uuid> = (0..most).map(|_| JobId::generate().uuid()).collect();
    let row = again::row(conn, OPERATION, RETRY, &[&tenant.uuid(), &id.uuid(), &ids, &before]).await?;
    Ok(match row.get::<_, i32>("again") {
        -1 => Err(Changed::NoBatch),
        -2 => Err(Changed::Cancelling),
        again => Ok(usize::try_from(again).unwrap_or(0)),
    })
}

async fn changed(
    conn: &impl GenericClient,
    operation: &'static str,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Changed, DatabaseError> {
    match again::row(conn, operation, sql, parameters).await?.get("answer") {
        "done" => Ok(Changed::Done),
        "no_batch" => Ok(Changed::NoBatch),
        "final" => Ok(Changed::Final),
        "cancelling" => Ok(Changed::Cancelling),
        "budget" => Ok(Changed::Budget),
        "storage" => Ok(Changed::Storage),
        other => Err(unknown(operation, other)),
    }
}

fn settings(operation: &'static str, settings: &BatchSettings) -> Result<Value, DatabaseError> {
    serde_json::to_value(settings).map_err(|error| DatabaseError::Row { operation, reason: error.to_string() })
}

fn unknown(operation: &'static str, word: &str) -> DatabaseError {
    DatabaseError::Row { operation, reason: format!("unknown answer '{word}'") }
}
