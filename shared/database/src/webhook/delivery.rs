//! The log of deliveries, and what people do with it.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{BatchId, DeliveryId, JobId, TenantId, WebhookId, webhook::TEST_EVENT};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    DatabaseError,
    page::{Cursor, Page, one_more},
};

const OPERATION: &str = "read deliveries of a webhook";

// The webhook is the tenant's: a delivery has no tenant of its own.
macro_rules! select {
    ($filter:literal) => {
        concat!(
            "SELECT d.id, d.event, d.job_id, d.batch_id, d.state, d.due_at, d.claim IS NOT NULL AND d.due_at > clock_timestamp() AS sending,
                    d.attempts, d.last_at, d.last_status, d.last_error, d.last_ms, d.created_at, d.ended_at
               FROM webhook w JOIN webhook_delivery d ON d.webhook_id = w.id WHERE w.tenant_id = $1 AND w.id = $2 AND ",
            $filter
        )
    };
}

const FIND: &str = select!("d.id = $3");
const LIST: &str = select!("(d.created_at, d.id) < ($3, $4) ORDER BY d.created_at DESC, d.id DESC LIMIT $5");
/// One that is being sent stays with whoever sends it.
const REDELIVER: &str = "UPDATE webhook_delivery d SET state = 'pending', ended_at = NULL, step = 0, due_at = clock_timestamp(), claim = NULL
   FROM webhook w WHERE w.tenant_id = $1 AND w.id = $2 AND d.webhook_id = w.id AND d.id = $3
    AND (d.claim IS NULL OR d.due_at <= clock_timestamp())";
const TEST: &str = "INSERT INTO webhook_delivery (id, webhook_id, event)
  SELECT $3, w.id, $4 FROM webhook w WHERE w.tenant_id = $1 AND w.id = $2";

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Waits to be sent, for the first time or again.
    Pending,
    /// Somebody sends it now.
    Sending,
    /// It has arrived.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// A delivery as it stands.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    /// Its id, and that of the message.
    pub id: DeliveryId,
    /// What it tells of: an event, or the test.
    pub event: String,
    /// Which job ended.
    pub job_id: Option<JobId>,
    /// Which batch ended.
    pub batch_id: Option<BatchId>,
    /// Where it stands.
    pub state: DeliveryState,
    /// When it is sent next, while it is pending.
    pub due_at: Option<DateTime<Utc>>,
    /// How often it was sent.
    pub attempts: i32,
    /// When it was last sent.
    pub last_at: Option<DateTime<Utc>>,
    /// The status of the last answer.
    pub last_status: Option<i32>,
    /// What went wrong then, as a word.
    pub last_error: Option<String>,
    /// How long the last try took, in milliseconds.
    pub last_ms: Option<i32>,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// When it arrived or was given up.
    pub ended_at: Option<DateTime<Utc>>,
}

impl DeliveryRow {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let state = match (row.get("state"), row.get("sending")) {
            ("pending", true) => DeliveryState::Sending,
            ("pending", false) => DeliveryState::Pending,
            ("delivered", _) => DeliveryState::Delivered,
            ("failed", _) => DeliveryState::Failed,
            (other, _) => {
                return Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown state '{other}'") });
            }
        };
        Ok(Self {
            id: row.get::<_, Uuid>("id").into(),
            event: row.get("event"),
            job_id: row.get::<_, Option<Uuid>>("job_id").map(JobId::from),
            batch_id: row.get::<_, Option<Uuid>>("batch_id").map(BatchId::from),
            state,
            due_at: (state == DeliveryState::Pending).then(|| row.get("due_at")),
            attempts: row.get("attempts"),
            last_at: row.get("last_at"),
            last_status: row.get("last_status"),
            last_error: row.get("last_error"),
            last_ms: row.get("last_ms"),
            created_at: row.get("created_at"),
            ended_at: row.get("ended_at"),
        })
    }
}

/// One delivery of the tenant's webhook.
///
/// # Errors
/// The database does not answer.
pub async fn delivery(
    conn: &impl GenericClient,
    tenant: TenantId,
    webhook: WebhookId,
    id: DeliveryId,
) -> Result<Option<DeliveryRow>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(FIND).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &webhook.uuid(), &id.uuid()]).await.map_err(failed())?;
    row.as_ref().map(DeliveryRow::from_row).transpose()
}

/// Deliveries of the tenant's webhook, newest first.
///
/// # Errors
/// The database does not answer.
pub async fn deliveries(
    conn: &impl GenericClient,
    tenant: TenantId,
    webhook: WebhookId,
    after: Cursor,
    limit: usize,
) -> Result<Page<DeliveryRow>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let rows = conn
        .query(&statement, &[&tenant.uuid(), &webhook.uuid(), &after.bound(), &after.id, &one_more(limit)])
        .await
        .map_err(failed())?;
    let rows = rows.iter().map(DeliveryRow::from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |last| Cursor { at: last.created_at, id: last.id.uuid() }))
}

/// Sends a delivery again now, whatever became of it, with all its tries before it. One that is being sent is left to that.
///
/// # Errors
/// The database does not answer: it may be sent again.
pub async fn redeliver(
    conn: &impl GenericClient,
    tenant: TenantId,
    webhook: WebhookId,
    id: DeliveryId,
) -> Result<(), DatabaseError> {
    let failed = DatabaseError::query("send a delivery again");
    conn.execute(REDELIVER, &[&tenant.uuid(), &webhook.uuid(), &id.uuid()]).await.map_err(failed)?;
    Ok(())
}

/// Makes a delivery that tells of nothing. `false`: there is no such webhook.
///
/// # Errors
/// The database does not answer: it may have been made.
pub async fn test(
    conn: &impl GenericClient,
    tenant: TenantId,
    webhook: WebhookId,
    id: DeliveryId,
) -> Result<bool, DatabaseError> {
    let failed = DatabaseError::query("test a webhook");
    let made = conn.execute(TEST, &[&tenant.uuid(), &webhook.uuid(), &id.uuid(), &TEST_EVENT]).await.map_err(failed)?;
    Ok(made == 1)
}
