//! What dispatchers do: see what is pending, take some, say what came of it, forget what is old.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{DeliveryId, JobId, TenantId, WebhookId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::read::Disabled;
use crate::{DatabaseError, again};

const PENDING: &str = "SELECT id, due FROM dd_webhooks_pending_v1($1, $2)";
const CLAIM: &str =
    "SELECT delivery, webhook, tenant, url, secret, old_secrets, event, job, batch, data, step, happened_at, revision
  FROM dd_webhook_claim_v2($1, $2, $3, $4, $5, make_interval(secs => $6))";
const RECORD: &str = "SELECT outcome, disabled
  FROM dd_webhook_record_v2($1, $2, $3, $4, $5, $6, $7, make_interval(secs => $8), $9, $10, make_interval(secs => $11),
    make_interval(secs => $12))";
const FORGET: &str = "SELECT dd_webhook_forget_v1(make_interval(secs => $1), $2) AS forgotten";
/// Counted up to a bound: beyond it only its being beyond matters. What is paused or disabled is late by intention.
const BACKLOG: &str = "SELECT (SELECT count(*) FROM (SELECT FROM webhook_delivery WHERE state = 'pending' LIMIT $1) counted) AS pending,
    coalesce((SELECT max(extract(epoch FROM clock_timestamp() - f.due_at)) FROM webhook w CROSS JOIN LATERAL (
      SELECT d.due_at FROM webhook_delivery d WHERE d.webhook_id = w.id AND d.state = 'pending' ORDER BY d.due_at LIMIT 1) f
     WHERE NOT w.paused AND w.disabled_at IS NULL), 0)::float8 AS late_s";
/// Beyond this many, pending deliveries are not counted.
const COUNTED: i64 = 100_000;

/// A webhook that has deliveries pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Which.
    pub webhook: WebhookId,
    /// One of them is to be sent now.
    pub is_due: bool,
}

/// A delivery that this dispatcher is to send. No `Debug`: its URL and its sealed secrets are not for logs.
#[derive(Clone)]
pub struct Claim {
    /// Which, and the id of the message.
    pub id: DeliveryId,
    /// To whom.
    pub webhook: WebhookId,
    /// Whose.
    pub tenant: TenantId,
    /// Where to.
    pub url: String,
    /// The signing secret, sealed.
    pub secret: Vec<u8>,
    /// Those before it, while they sign as well.
    pub old_secrets: Vec<Vec<u8>>,
    /// What it tells of.
    pub event: String,
    /// Which job ended.
    pub job: Option<JobId>,
    /// Which batch ended.
    pub batch: Option<Uuid>,
    /// How that ended.
    pub data: Option<serde_json::Value>,
    /// How often it failed since it was last begun with.
    pub step: i16,
    /// When it happened.
    pub happened_at: DateTime<Utc>,
    /// That of the webhook: what comes of the message says nothing of another.
    pub revision: i32,
}

/// When a webhook has failed for too long.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// It failed for so long.
    pub disable_after: Duration,
    /// And never stopped failing for so long: longer than any pause between two tries.
    pub calm: Duration,
}

/// How many messages may be under way, from all processes.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// To one webhook, from 1; to one whose last message did not arrive goes one at a time.
    pub webhook: i32,
    /// To all of one tenant's, from 1.
    pub tenant: i32,
}

/// What came of a try.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    /// It arrived.
    pub arrived: bool,
    /// The answer's status.
    pub status: Option<i32>,
    /// What went wrong, as a word.
    pub error: Option<&'static str>,
    /// How long it took.
    pub took: Duration,
    /// The pause before the next try; `None`: there is none.
    pub again: Option<Duration>,
    /// The receiver wants no more.
    pub gone: bool,
    /// The fault was ours: it counts neither as a try nor against the webhook.
    pub ours: bool,
}

impl Tried {
    /// What it makes of the delivery.
    pub const fn outcome(&self) -> Outcome {
        match (self.arrived, self.again) {
            (true, _) => Outcome::Delivered,
            (false, Some(_)) => Outcome::Retrying,
            (false, None) => Outcome::Failed,
        }
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has arrived.
    Delivered,
    /// It is sent again later.
    Retrying,
    /// It was given up.
    Failed,
    /// Somebody else has it: this try took longer than it may.
    Lost,
}

impl Outcome {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// The answer to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What became of the delivery.
    pub outcome: Outcome,
    /// The webhook was disabled by this.
    pub disabled: Option<Disabled>,
}

/// The next `most` webhooks after `after`, by id, that have deliveries pending.
///
/// # Errors
/// The database does not answer.
pub async fn pending(conn: &impl GenericClient, after: Uuid, most: i32) -> Result<Vec<Pending>, DatabaseError> {
    let rows = again::rows(conn, "look for deliveries", PENDING, &[&after, &most]).await?;
    let one = |row: &tokio_postgres::Row| Pending { webhook: row.get::<_, Uuid>("id").into(), is_due: row.get("due") };
    Ok(rows.iter().map(one).collect())
}

/// Takes up to `most` due deliveries of `webhooks` for `lease`, so many that no share is exceeded; as `who`, by which the outcome is
/// recorded.
///
/// # Errors
/// The database does not answer: some may have been taken, and come again after the lease.
pub async fn claim(
    conn: &impl GenericClient,
    webhooks: &[WebhookId],
    who: Uuid,
    most: i32,
    shares: Shares,
    lease: Duration,
) -> Result<Vec<Claim>, DatabaseError> {
    let webhooks: Vec<Uuid> = webhooks.iter().map(|webhook| webhook.uuid()).collect();
    let parameters: [&(dyn ToSql + Sync); 6] =
        [&webhooks, &who, &most, &shares.webhook, &shares.tenant, &lease.as_secs_f64()];
    let rows = again::rows(conn, "take deliveries", CLAIM, &parameters).await?;
    let one = |row: &tokio_postgres::Row| Claim {
        id: row.get::<_, Uuid>("delivery").into(),
        webhook: row.get::<_, Uuid>("webhook").into(),
        tenant: row.get::<_, Uuid>("tenant").into(),
        url: row.get("url"),
        secret: row.get("secret"),
        old_secrets: row.get("old_secrets"),
        event: row.get("event"),
        job: row.get::<_, Option<Uuid>>("job").map(JobId::from),
        batch: row.get("batch"),
        data: row.get("data"),
        step: row.get("step"),
        happened_at: row.get("happened_at"),
        revision: row.get("revision"),
    };
    Ok(rows.iter().map(one).collect())
}

/// Records what came of a delivery that was taken as `who`. A webhook that failed for too long is disabled.
///
/// # Errors
/// The database does not answer: the delivery is sent again after its lease.
pub async fn record(
    conn: &impl GenericClient,
    claim: &Claim,
    who: Uuid,
    tried: &Tried,
    patience: &Patience,
) -> Result<Recorded, DatabaseError> {
    const OPERATION: &str = "record a delivery";
    let took = i32::try_from(tried.took.as_millis()).unwrap_or(i32::MAX);
    let again_s = tried.again.map(|pause| pause.as_secs_f64());
    let parameters: [&(dyn ToSql + Sync); 12] = [
        &claim.id.uuid(),
        &who,
        &claim.revision,
        &tried.arrived,
        &tried.status,
        &tried.error,
        &took,
        &again_s,
        &tried.gone,
        &tried.ours,
        &patience.disable_after.as_secs_f64(),
        &patience.calm.as_secs_f64(),
    ];
    let row = again::row(conn, OPERATION, RECORD, &parameters).await?;
    let outcome = match row.get("outcome") {
        "delivered" => Outcome::Delivered,
        "retrying" => Outcome::Retrying,
        "failed" => Outcome::Failed,
        "lost" => Outcome::Lost,
        other => return Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown outcome '{other}'") }),
    };
    Ok(Recorded { outcome, disabled: Disabled::from_word(row.get("disabled"), OPERATION)? })
}

/// Forgets up to `most` deliveries that ended more than `keep` ago. Answers how many.
///
/// # Errors
/// The database does not answer.
pub async fn forget(conn: &impl GenericClient, keep: Duration, most: i32) -> Result<i32, DatabaseError> {
    Ok(again::row(conn, "forget deliveries", FORGET, &[&keep.as_secs_f64(), &most]).await?.get("forgotten"))
}

/// How many deliveries are pending, up to 100,000, and for how long the one that waits longest has been due.
///
/// # Errors
/// The database does not answer.
pub async fn backlog(conn: &impl GenericClient) -> Result<(i64, Duration), DatabaseError> {
    let failed = || DatabaseError::query("count deliveries");
    let statement = conn.prepare_cached(BACKLOG).await.map_err(failed())?;
    let row = conn.query_one(&statement, &[&COUNTED]).await.map_err(failed())?;
    Ok((row.get("pending"), Duration::from_secs_f64(row.get::<_, f64>("late_s").max(0.0))))
}
