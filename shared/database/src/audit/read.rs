//! The log as people read it: one row a request, with what came of it and the names of who asked.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::TenantId;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    DatabaseError,
    page::{Cursor, Page, one_more},
};

macro_rules! select {
    ($($from:expr),+) => {
        concat!(
            "SELECT r.id, r.at, r.record, a.record AS answer, k.name AS key_name, u.name AS user_name
               FROM ",
            $($from,)+
            " LEFT JOIN audit_record a ON a.answers = r.id LEFT JOIN api_key k ON k.id = r.key_id
               LEFT JOIN user_account u ON u.id = coalesce(r.user_id, k.user_id)
              WHERE r.tenant_id = $1 AND r.answers IS NULL AND (r.at, r.id) < ($2, $3)
                AND ($5::text IS NULL OR starts_with(r.action, $5))
                AND ($6::uuid IS NULL OR r.key_id = $6 OR r.user_id = $6)
                AND r.at >= coalesce($7::timestamptz, '-infinity')
              ORDER BY r.at DESC, r.id DESC LIMIT $4"
        )
    };
}

/// The newest of each action that begins with $5, of the records that pass `$whose`: first the names one after the other, then of each no
/// more than a page. What it costs follows from how many actions there are, not from the log.
macro_rules! newest {
    ($whose:literal) => {
        concat!(
            "(WITH RECURSIVE name AS (
                (SELECT m.action COLLATE \"C\" AS action FROM audit_record m
                  WHERE m.tenant_id = $1 AND m.answers IS NULL AND m.action COLLATE \"C\" >= coalesce($5, '')", $whose, "
                  ORDER BY m.action COLLATE \"C\" LIMIT 1)
                UNION ALL
                SELECT (SELECT m.action COLLATE \"C\" FROM audit_record m
                         WHERE m.tenant_id = $1 AND m.answers IS NULL AND m.action COLLATE \"C\" > name.action", $whose, "
                         ORDER BY m.action COLLATE \"C\" LIMIT 1)
                  FROM name WHERE starts_with(name.action, coalesce($5, '')))
              SELECT f.id FROM name CROSS JOIN LATERAL (
                SELECT m.id FROM audit_record m
                 WHERE m.tenant_id = $1 AND m.answers IS NULL AND m.action COLLATE \"C\" = name.action AND (m.at, m.id) < ($2, $3)
                   AND m.at >= coalesce($7::timestamptz, '-infinity')", $whose, "
                 ORDER BY m.at DESC, m.id DESC LIMIT $4) f
               WHERE starts_with(name.action, coalesce($5, '')))"
        )
    };
}

const LIST: &str = select!("audit_record r");
/// Of one thing: as many as there are of it are looked at, not the log.
const OF_OBJECT: &str = select!(
    "(SELECT id FROM audit_record WHERE tenant_id = $1 AND target = $8
      UNION SELECT coalesce(answers, id) FROM audit_record WHERE tenant_id = $1 AND created = $8) o JOIN audit_record r ON r.id = o.id"
);

const OF_ACTION: &str = select!(newest!(""), " o JOIN audit_record r ON r.id = o.id");
const OF_ACTOR: &str = select!(
    "(",
    newest!(" AND m.key_id = $6"),
    " UNION ",
    newest!(" AND m.user_id = $6"),
    ") o JOIN audit_record r ON r.id = o.id"
);

/// What to show.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Actions that begin so.
    pub action: Option<String>,
    /// A key or a user.
    pub actor: Option<Uuid>,
    /// What was asked of, or made.
    pub object: Option<Uuid>,
    /// At or after this time.
    pub since: Option<DateTime<Utc>>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// The record's id.
    pub id: Uuid,
    /// When it was asked.
    pub at: DateTime<Utc>,
    /// The record.
    pub record: Value,
    /// The record of what came of it, where that is one of its own and known.
    pub answer: Option<Value>,
    /// What the key is called now.
    pub key_name: Option<String>,
    /// What the user is called now.
    pub user_name: Option<String>,
}

impl AuditRow {
    fn from_row(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            at: row.get("at"),
            record: row.get("record"),
            answer: row.get("answer"),
            key_name: row.get("key_name"),
            user_name: row.get("user_name"),
        }
    }
}

/// The tenant's log that passes `filter`, newest first.
///
/// # Errors
/// The database does not answer.
pub async fn list(
    conn: &impl GenericClient,
    tenant: TenantId,
    filter: &AuditFilter,
    after: Cursor,
    limit: usize,
) -> Result<Page<AuditRow>, DatabaseError> {
    let failed = || DatabaseError::query("read the audit log");
    let (tenant, at, id, limit_and_one) = (tenant.uuid(), after.bound(), after.id, one_more(limit));
    let AuditFilter { action, actor, object, since } = filter;
    let rows = match object {
        None => {
            let sql = match (action, actor) {
                (None, None) => LIST,
                (Some(_), None) => OF_ACTION,
                (_, Some(_)) => OF_ACTOR,
            };
            let statement = conn.prepare_cached(sql).await.map_err(failed())?;
            conn.query(&statement, &[&tenant, &at, &id, &limit_and_one, action, actor, since]).await
        }
        Some(object) => {
            let statement = conn.prepare_cached(OF_OBJECT).await.map_err(failed())?;
            conn.query(&statement, &[&tenant, &at, &id, &limit_and_one, action, actor, since, object]).await
        }
    };
    let rows = rows.map_err(failed())?.iter().map(AuditRow::from_row).collect();
    Ok(Page::cut(rows, limit, |last: &AuditRow| Cursor { at: last.at, id: last.id }))
}
