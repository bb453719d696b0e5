//! The `usage_day` table: what tenants have used, by project and UTC day. The leader fills it from events, some seconds after a job has
//! ended; it outlives the projects.

use std::{fmt, str::FromStr};

use chrono::NaiveDate;
use deadpool_postgres::GenericClient;
use drydock_domain::{ProjectId, TenantId};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use crate::{
    DatabaseError, again,
    page::{CursorError, Page, one_more},
};

const COUNT: &str = "SELECT events, jobs FROM dd_count_usage_v2($1)";

macro_rules! sums {
    ($key:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $key,
            ", sum(u.completed)::bigint AS completed, sum(u.error)::bigint AS error, sum(u.cancelled)::bigint AS cancelled,
                    sum(u.attempts)::bigint AS attempts, sum(u.slot_ms)::bigint AS slot_ms, sum(u.log_bytes)::bigint AS log_bytes,
                    sum(u.stored_bytes)::bigint AS stored_bytes, sum(u.input_tokens)::bigint AS input_tokens,
                    sum(u.cached_input_tokens)::bigint AS cached_input_tokens, sum(u.output_tokens)::bigint AS output_tokens
               FROM usage_day u ",
            $rest
        )
    };
}

const BY_DAY: &str =
    sums!("u.day", "WHERE u.tenant_id = $1 AND u.day BETWEEN $2 AND $3 GROUP BY u.day ORDER BY u.day DESC");
// What used most comes first; ids decide between equals.
const BY_PROJECT: &str = sums!(
    "u.project_id AS id",
    "WHERE u.tenant_id = $1 AND u.day BETWEEN $2 AND $3 GROUP BY u.project_id
      HAVING (sum(u.slot_ms)::bigint, u.project_id) < ($4, $5) ORDER BY sum(u.slot_ms)::bigint DESC, u.project_id DESC LIMIT $6"
);
const BY_TENANT: &str = sums!(
    "u.tenant_id AS id, t.name",
    "LEFT JOIN tenant t ON t.id = u.tenant_id WHERE u.day BETWEEN $1 AND $2 GROUP BY u.tenant_id, t.name
      HAVING (sum(u.slot_ms)::bigint, u.tenant_id) < ($3, $4) ORDER BY sum(u.slot_ms)::bigint DESC, u.tenant_id DESC LIMIT $5"
);

/// What one look at the events came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Events that were read.
    pub events: i32,
    /// Jobs that had ended among them.
    pub jobs: i32,
}

/// Some days, the first and the last of them included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub first: NaiveDate,
    /// The last.
    pub last: NaiveDate,
}

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Jobs that ended well.
    pub completed: i64,
    /// Jobs that ended badly.
    pub error: i64,
    /// Jobs that were cancelled.
    pub cancelled: i64,
    /// Attempts of these jobs.
    pub attempts: i64,
    /// Milliseconds that these attempts held a slot each.
    pub slot_ms: i64,
    /// Bytes of their logs.
    pub log_bytes: i64,
    /// Bytes of the objects that these attempts were the ones to upload.
    pub stored_bytes: i64,
    /// Tokens of these attempts, as their agents say.
    pub tokens: UsedTokens,
}

/// Tokens, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsedTokens {
    /// Read.
    pub input: i64,
    /// Of these, those that a cache had.
    pub cached_input: i64,
    /// Written.
    pub output: i64,
}

impl UsedTokens {
    pub(crate) fn from_row(row: &Row) -> Self {
        Self {
            input: row.get("input_tokens"),
            cached_input: row.get("cached_input_tokens"),
            output: row.get("output_tokens"),
        }
    }
}

/// The key of usage by project and by tenant: most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageCursor {
    /// Its slot time.
    pub slot_ms: i64,
    /// The project or the tenant.
    pub id: Uuid,
}

impl UsageCursor {
    /// Before whatever used most.
    pub const fn start() -> Self {
        Self { slot_ms: i64::MAX, id: Uuid::max() }
    }
}

impl fmt::Display for UsageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.slot_ms, self.id.simple())
    }
}

impl FromStr for UsageCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (slot_ms, id) = text.split_once('-').ok_or(CursorError)?;
        let slot_ms = i64::from_str_radix(slot_ms, 16).map_err(|_| CursorError)?;
        Ok(Self { slot_ms, id: Uuid::try_parse(id).map_err(|_| CursorError)? })
    }
}

/// Usage of one of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow<K> {
    /// Whose.
    pub of: K,
    /// What it used.
    pub usage: Usage,
}

/// A tenant, as far as it is known by name.
pub type NamedTenant = (TenantId, Option<String>);

/// Counts the jobs that ended among the next `most` events; nothing where another one does it now. Each counts once: it can be repeated
/// whatever became of the call before.
///
/// # Errors
/// The database does not answer.
pub async fn count(conn: &impl GenericClient, most: i32) -> Result<Counted, DatabaseError> {
    let rows = again::rows(conn, "count usage", COUNT, &[&most]).await?;
    Ok(rows.first().map_or_else(Counted::default, |row| Counted { events: row.get("events"), jobs: row.get("jobs") }))
}

/// A tenant's usage by day, the newest first.
///
/// # Errors
/// The database does not answer.
pub async fn by_day(
    conn: &impl GenericClient,
    tenant: TenantId,
    days: Days,
) -> Result<Vec<UsageRow<NaiveDate>>, DatabaseError> {
    let rows = read(conn, BY_DAY, &[&tenant.uuid(), &days.first, &days.last]).await?;
    Ok(rows.iter().map(|row| UsageRow { of: row.get("day"), usage: usage(row) }).collect())
}

/// A tenant's usage by project, the greatest first.
///
/// # Errors
/// The database does not answer.
pub async fn by_project(
    conn: &impl GenericClient,
    tenant: TenantId,
    days: Days,
    after: UsageCursor,
    limit: usize,
) -> Result<Page<UsageRow<ProjectId>, UsageCursor>, DatabaseError> {
    let UsageCursor { slot_ms, id } = after;
    let most = one_more(limit);
    let rows = read(conn, BY_PROJECT, &[&tenant.uuid(), &days.first, &days.last, &slot_ms, &id, &most]).await?;
    let rows = rows.iter().map(|row| UsageRow { of: row.get::<_, Uuid>("id").into(), usage: usage(row) }).collect();
    Ok(Page::cut(rows, limit, |last: &UsageRow<ProjectId>| key(last.usage, last.of.uuid())))
}

/// All tenants' usage, the greatest first.
///
/// # Errors
/// The database does not answer.
pub async fn by_tenant(
    conn: &impl GenericClient,
    days: Days,
    after: UsageCursor,
    limit: usize,
) -> Result<Page<UsageRow<NamedTenant>, UsageCursor>, DatabaseError> {
    let UsageCursor { slot_ms, id } = after;
    let rows = read(conn, BY_TENANT, &[&days.first, &days.last, &slot_ms, &id, &one_more(limit)]).await?;
    let of = |row: &Row| (row.get::<_, Uuid>("id").into(), row.get("name"));
    let rows = rows.iter().map(|row| UsageRow { of: of(row), usage: usage(row) }).collect();
    Ok(Page::cut(rows, limit, |last: &UsageRow<NamedTenant>| key(last.usage, last.of.0.uuid())))
}

async fn read(
    conn: &impl GenericClient,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, DatabaseError> {
    let failed = || DatabaseError::query("read usage");
    let statement = conn.prepare_cached(sql).await.map_err(failed())?;
    conn.query(&statement, parameters).await.map_err(failed())
}

const fn key(usage: Usage, id: Uuid) -> UsageCursor {
    UsageCursor { slot_ms: usage.slot_ms, id }
}

fn usage(row: &Row) -> Usage {
    Usage {
        completed: row.get("completed"),
        error: row.get("error"),
        cancelled: row.get("cancelled"),
        attempts: row.get("attempts"),
        slot_ms: row.get("slot_ms"),
        log_bytes: row.get("log_bytes"),
        stored_bytes: row.get("stored_bytes"),
        tokens: UsedTokens::from_row(row),
    }
}
