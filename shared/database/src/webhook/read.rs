//! Webhooks as they stand. Their secrets are not read here.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{ProjectId, TenantId, WebhookEvent, WebhookId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    DatabaseError,
    page::{Cursor, Page, one_more},
};

const OPERATION: &str = "read a webhook";

macro_rules! select {
    ($filter:literal) => {
        concat!(
            "SELECT id, project_id, name, url, events, paused, failing_since, disabled_at, disabled_reason, revision, created_at, updated_at,
                    CASE WHEN old_secret_until > clock_timestamp() THEN old_secret_until END AS old_secret_until
               FROM webhook WHERE tenant_id = $1 AND ",
            $filter
        )
    };
}

const FIND: &str = select!("id = $2");
const LIST: &str = select!("(created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4");

/// Why nothing is sent to a webhook any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disabled {
    /// Its receiver answered 410.
    Gone,
    /// Nothing has reached it for days.
    Failing,
}

impl Disabled {
    /// The word used in rows, answers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    pub(super) fn from_word(word: Option<&str>, operation: &'static str) -> Result<Option<Self>, DatabaseError> {
        match word {
            None => Ok(None),
            Some("gone") => Ok(Some(Self::Gone)),
            Some("failing") => Ok(Some(Self::Failing)),
            Some(other) => Err(DatabaseError::Row { operation, reason: format!("unknown reason '{other}'") }),
        }
    }
}

/// A webhook as it stands.
#[derive(Clone)]
pub struct WebhookRow {
    /// Its id.
    pub id: WebhookId,
    /// Only the jobs of this one.
    pub project_id: Option<ProjectId>,
    /// For lists.
    pub name: String,
    /// Where messages go. Paths of such URLs are often secrets: not for logs.
    pub url: String,
    /// What it is told of; empty: everything.
    pub events: Vec<WebhookEvent>,
    /// It is told of nothing until resumed.
    pub paused: bool,
    /// Since when no message has arrived.
    pub failing_since: Option<DateTime<Utc>>,
    /// Since when, and why, nothing is sent any more.
    pub disabled: Option<(DateTime<Utc>, Disabled)>,
    /// Until when the secret before this one signs as well.
    pub old_secret_until: Option<DateTime<Utc>>,
    /// Counts what people changed.
    pub revision: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl std::fmt::Debug for WebhookRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookRow").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl WebhookRow {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let disabled = Disabled::from_word(row.get("disabled_reason"), OPERATION)?;
        Ok(Self {
            id: row.get::<_, Uuid>("id").into(),
            project_id: row.get::<_, Option<Uuid>>("project_id").map(ProjectId::from),
            name: row.get("name"),
            url: row.get("url"),
            events: events(row)?,
            paused: row.get("paused"),
            failing_since: row.get("failing_since"),
            disabled: row.get::<_, Option<DateTime<Utc>>>("disabled_at").zip(disabled),
            old_secret_until: row.get("old_secret_until"),
            revision: row.get("revision"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        })
    }

    /// Whether events make deliveries for it now.
    pub const fn is_live(&self) -> bool {
        !self.paused && self.disabled.is_none()
    }
}

fn events(row: &Row) -> Result<Vec<WebhookEvent>, DatabaseError> {
    let words = row.get::<_, Vec<String>>("events");
    let read = |word: String| {
        word.parse().map_err(|error| DatabaseError::Row { operation: OPERATION, reason: format!("{error}") })
    };
    words.into_iter().map(read).collect()
}

/// The tenant's webhook.
///
/// # Errors
/// The database does not answer.
pub async fn find(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: WebhookId,
) -> Result<Option<WebhookRow>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(FIND).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &id.uuid()]).await.map_err(failed())?;
    row.as_ref().map(WebhookRow::from_row).transpose()
}

/// The tenant's webhooks, newest first.
///
/// # Errors
/// The database does not answer.
pub async fn list(
    conn: &impl GenericClient,
    tenant: TenantId,
    after: Cursor,
    limit: usize,
) -> Result<Page<WebhookRow>, DatabaseError> {
    let failed = || DatabaseError::query("list webhooks");
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let rows = conn
        .query(&statement, &[&tenant.uuid(), &after.bound(), &after.id, &one_more(limit)])
        .await
        .map_err(failed())?;
    let rows = rows.iter().map(WebhookRow::from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |last| Cursor { at: last.created_at, id: last.id.uuid() }))
}
