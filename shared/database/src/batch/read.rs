//! Batches as they stand: what is folded in plus what is not, in one snapshot.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{BatchId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::BatchSettings;
use crate::{
    DatabaseError,
    page::{Cursor, Page, one_more},
    usage::UsedTokens,
};

const OPERATION: &str = "read a batch";

macro_rules! select {
    ($($filter:literal),+) => {
        concat!(
            "SELECT b.id, b.name, b.labels, b.canary, b.max_running, b.max_failure_rate::float8 AS max_failure_rate, b.budget_slot_s,
                    b.budget_tokens, b.input_tokens + y.input_tokens AS input_tokens,
                    b.cached_input_tokens + y.cached_input_tokens AS cached_input_tokens, b.output_tokens + y.output_tokens AS output_tokens,
                    b.queued + y.queued AS queued, b.in_progress + y.in_progress AS in_progress, b.completed + y.completed AS completed,
                    b.error + y.error AS error, b.cancelled + y.cancelled AS cancelled, b.held + y.held AS held, b.slot_s + y.slot_s AS slot_s,
                    dd_faded_v1(b.rate, extract(epoch FROM clock_timestamp() - b.stepped_at)::float8) AS rate,
                    extract(epoch FROM clock_timestamp() - b.started_at)::float8 AS age_s,
                    b.canary_passed, b.pause_reason, b.cancel_at IS NOT NULL AS cancelling, b.cancel_reason, b.closed_at IS NOT NULL AS closed,
                    b.paused_at, b.started_at, b.finished_at, b.created_at, b.updated_at
               FROM batch b CROSS JOIN LATERAL (
                 SELECT coalesce(sum(m.jobs) FILTER (WHERE m.status = 'queued'), 0)::int AS queued,
                        coalesce(sum(m.jobs) FILTER (WHERE m.status = 'in_progress'), 0)::int AS in_progress,
                        coalesce(sum(m.jobs) FILTER (WHERE m.status = 'completed'), 0)::int AS completed,
                        coalesce(sum(m.jobs) FILTER (WHERE m.status = 'error'), 0)::int AS error,
                        coalesce(sum(m.jobs) FILTER (WHERE m.status = 'cancelled'), 0)::int AS cancelled,
                        coalesce(sum(m.held), 0)::int AS held, coalesce(sum(m.slot_s), 0) AS slot_s,
                        coalesce(sum(m.input_tokens), 0)::bigint AS input_tokens,
                        coalesce(sum(m.cached_input_tokens), 0)::bigint AS cached_input_tokens,
                        coalesce(sum(m.output_tokens), 0)::bigint AS output_tokens
                   FROM (SELECT now AS status, jobs, held, slot_s, input_tokens, cached_input_tokens, output_tokens
                           FROM batch_tally WHERE batch_id = b.id
                         UNION ALL SELECT was, -jobs, 0, 0, 0, 0, 0 FROM batch_tally WHERE batch_id = b.id) m) y
              WHERE b.tenant_id = $1 AND ",
            $($filter),+
        )
    };
}

const FIND: &str = select!("b.id = $2");
const LIST: &str = select!("(b.created_at, b.id) < ($2, $3) ORDER BY b.created_at DESC, b.id DESC LIMIT $4");

/// Why a batch lets no further jobs go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// Somebody asked.
    Asked,
    /// One of the first jobs did not end well.
    Canary,
    /// Too many failed.
    FailureRate,
    /// Its slot time or its tokens are used up.
    Budget,
    /// Its tenant has used up its quota of stored bytes.
    Storage,
}

impl PauseReason {
    /// The word for it, in rows and for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Canary => "canary",
            Self::FailureRate => "failure_rate",
            Self::Budget => "budget",
            Self::Storage => "storage",
        }
    }

    pub(crate) fn from_word(word: Option<&str>, operation: &'static str) -> Result<Option<Self>, DatabaseError> {
        match word {
            None => Ok(None),
            Some("asked") => Ok(Some(Self::Asked)),
            Some("canary") => Ok(Some(Self::Canary)),
            Some("failure_rate") => Ok(Some(Self::FailureRate)),
            Some("budget") => Ok(Some(Self::Budget)),
            Some("storage") => Ok(Some(Self::Storage)),
            Some(other) => {
                Err(DatabaseError::Row { operation, reason: format!("unknown reason of a pause '{other}'") })
            }
        }
    }
}

/// Its jobs by status; of each line one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting.
    pub queued: i32,
    /// Running.
    pub in_progress: i32,
    /// Ended well.
    pub completed: i32,
    /// Ended badly.
    pub error: i32,
    /// Cancelled.
    pub cancelled: i32,
}

impl Counts {
    /// All lines.
    pub const fn total(self) -> i32 {
        self.queued + self.in_progress + self.ended()
    }

    /// Those that are over.
    pub const fn ended(self) -> i32 {
        self.completed + self.error + self.cancelled
    }
}

/// A batch as it stands.
#[derive(Clone, Debug)]
pub struct BatchRow {
    /// Its id.
    pub id: BatchId,
    /// For lists.
    pub name: String,
    /// The user's labels: an object of strings.
    pub labels: serde_json::Value,
    /// How it goes about its jobs.
    pub settings: BatchSettings,
    /// Its jobs by status.
    pub counts: Counts,
    /// Of the queued ones, those not let go yet.
    pub held: i32,
    /// Seconds that its attempts have held slots.
    pub slot_s: f64,
    /// Tokens that its attempts have used, as their agents say.
    pub tokens: UsedTokens,
    /// Jobs that ended a second over the last minutes; `None` until one did.
    pub rate: Option<f64>,
    /// Its first jobs have all ended well, or it went on all the same.
    pub canary_passed: bool,
    /// Why it lets no further jobs go.
    pub paused: Option<PauseReason>,
    /// It is, or was, cancelled.
    pub cancelling: bool,
    /// Why, as said by who did it.
    pub cancel_reason: Option<String>,
    /// No further lines come.
    pub closed: bool,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// When its first job started.
    pub started_at: Option<DateTime<Utc>>,
    /// When all its jobs were over.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// The rate's memory, in seconds, as in `dd_batch_fold_v2`.
const MEMORY_S: f64 = 60.0;

impl BatchRow {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let age: Option<f64> = row.get("age_s");
        Ok(Self {
            id: row.get::<_, Uuid>("id").into(),
            name: row.get("name"),
            labels: row.get("labels"),
            settings: BatchSettings {
                canary: row.get("canary"),
                max_running: row.get("max_running"),
                max_failure_rate: row.get("max_failure_rate"),
                budget_slot_s: row.get("budget_slot_s"),
                budget_tokens: row.get("budget_tokens"),
            },
            counts: Counts {
                queued: row.get("queued"),
                in_progress: row.get("in_progress"),
                completed: row.get("completed"),
                error: row.get("error"),
                cancelled: row.get("cancelled"),
            },
            held: row.get("held"),
            slot_s: row.get("slot_s"),
            tokens: UsedTokens::from_row(row),
            rate: age.and_then(|age| unbiased(row.get("rate"), age)),
            canary_passed: row.get("canary_passed"),
            paused: PauseReason::from_word(row.get("pause_reason"), OPERATION)?,
            cancelling: row.get("cancelling"),
            cancel_reason: row.get("cancel_reason"),
            closed: row.get("closed"),
            paused_at: row.get("paused_at"),
            started_at: row.get("started_at"),
            finished_at: row.get("finished_at"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        })
    }
}

/// A young average knows less than its memory: it is divided by the part of it that is filled.
fn unbiased(rate: f64, age_s: f64) -> Option<f64> {
    let filled = 1.0 - (-age_s / MEMORY_S).exp();
    (rate > 0.0 && filled > 0.0).then(|| rate / filled)
}

/// The tenant's batch.
///
/// # Errors
/// The database does not answer.
pub async fn find(conn: &impl GenericClient, tenant: TenantId, id: BatchId) -> Result<Option<BatchRow>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(FIND).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &id.uuid()]).await.map_err(failed())?;
    row.as_ref().map(BatchRow::from_row).transpose()
}

/// The tenant's batches, newest first.
///
/// # Errors
/// The database does not answer.
pub async fn list(
    conn: &impl GenericClient,
    tenant: TenantId,
    after: Cursor,
    limit: usize,
) -> Result<Page<BatchRow>, DatabaseError> {
    let failed = || DatabaseError::query("list batches");
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let rows = conn
        .query(&statement, &[&tenant.uuid(), &after.bound(), &after.id, &one_more(limit)])
        .await
        .map_err(failed())?;
    let rows = rows.iter().map(BatchRow::from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |last| Cursor { at: last.created_at, id: last.id.uuid() }))
}

#[cfg(test)]
mod tests {
    use super::unbiased;

    #[test]
    fn a_steady_rate_is_told_from_the_first_second_on() {
        for age in [1.0, 30.0, 600.0] {
            // What five ends a second have left after so long.
            let average = 5.0 * (1.0 - f64::exp(-age / 60.0));
            assert!((unbiased(average, age).unwrap() - 5.0).abs() < 1e-9, "after {age} s");
        }
        assert_eq!(unbiased(0.0, 10.0), None);
    }
}
