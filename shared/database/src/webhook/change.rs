//! Making, changing and removing webhooks.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use drydock_domain::{ProjectId, TenantId, WebhookEvent, WebhookId};
use tokio_postgres::types::ToSql;

use crate::{DatabaseError, again};

const CREATE: &str = "SELECT dd_webhook_create_v1($1, $2, $3, $4, $5, $6, $7, $8, $9) AS outcome";
/// Whoever resumes it has seen why it was disabled.
const UPDATE: &str =
    "UPDATE webhook SET name = coalesce($4, name), url = coalesce($5, url), events = coalesce($6, events),
    paused = coalesce($7, paused), revision = revision + 1,
    failing_since = CASE WHEN $7 IS FALSE OR $5 IS NOT NULL THEN NULL ELSE failing_since END,
    disabled_at = CASE WHEN $7 IS FALSE THEN NULL ELSE disabled_at END,
    disabled_reason = CASE WHEN $7 IS FALSE THEN NULL ELSE disabled_reason END
  WHERE tenant_id = $1 AND id = $2 AND ($3::int[] IS NULL OR revision = ANY ($3))";
/// The two before it go on signing: whoever rotates again, having lost the answer, has told receivers neither.
const ROTATE: &str = "UPDATE webhook SET secret = $3, revision = revision + 1, old_secret = secret,
    older_secret = CASE WHEN old_secret_until > clock_timestamp() THEN old_secret END,
    old_secret_until = clock_timestamp() + make_interval(secs => $4)
  WHERE tenant_id = $1 AND id = $2";
const DELETE: &str = "DELETE FROM webhook WHERE tenant_id = $1 AND id = $2";

/// A webhook to be made.
#[derive(Clone)]
pub struct NewWebhook {
    /// Its id, chosen by the caller.
    pub id: WebhookId,
    /// Only the jobs of this one.
    pub project: Option<ProjectId>,
    /// For lists.
    pub name: String,
    /// Where messages go.
    pub url: String,
    /// What it is told of; empty: everything.
    pub events: Vec<WebhookEvent>,
    /// The signing secret, sealed.
    pub secret: Vec<u8>,
    /// It is told of nothing until resumed.
    pub paused: bool,
}

/// The answer to a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    New,
    /// The tenant has as many as it may.
    TooMany,
    /// No such project of this tenant.
    NoProject,
}

/// What is to be changed; what is `None` stays.
#[derive(Clone, Default)]
pub struct WebhookChange {
    /// For lists.
    pub name: Option<String>,
    /// Where messages go.
    pub url: Option<String>,
    /// What it is told of; empty: everything.
    pub events: Option<Vec<WebhookEvent>>,
    /// `false` also ends its being disabled.
    pub paused: Option<bool>,
}

/// Makes a webhook, unless the tenant has `most`.
///
/// # Errors
/// The database does not answer: it may have been made.
pub async fn create(
    conn: &impl GenericClient,
    tenant: TenantId,
    new: &NewWebhook,
    most: i32,
) -> Result<Created, DatabaseError> {
    const OPERATION: &str = "create a webhook";
    let (project, events) = (new.project.map(ProjectId::uuid), words(&new.events));
    let parameters: [&(dyn ToSql + Sync); 9] =
        [&tenant.uuid(), &new.id.uuid(), &project, &new.name, &new.url, &events, &new.secret, &new.paused, &most];
    match again::row(conn, OPERATION, CREATE, &parameters).await?.get("outcome") {
        "created" => Ok(Created::New),
        "too_many" => Ok(Created::TooMany),
        "no_project" => Ok(Created::NoProject),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown outcome '{other}'") }),
    }
}

/// Changes it, if its revision is one of `expected`. `false`: it is not, or there is none.
///
/// # Errors
/// The database does not answer: it may have been changed.
pub async fn update(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: WebhookId,
    expected: Option<&[i32]>,
    to: &WebhookChange,
) -> Result<bool, DatabaseError> {
    let events = to.events.as_deref().map(words);
    let parameters: [&(dyn ToSql + Sync); 7] =
        [&tenant.uuid(), &id.uuid(), &expected, &to.name, &to.url, &events, &to.paused];
    let changed = conn.execute(UPDATE, &parameters).await.map_err(DatabaseError::query("change a webhook"))?;
    Ok(changed == 1)
}

/// Puts a new secret, sealed, beside the one it has and the one before that if it still signs: these sign for `both` more. `false`: there is none.
///
/// # Errors
/// The database does not answer: it may have been changed.
pub async fn rotate(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: WebhookId,
    secret: &[u8],
    both: Duration,
) -> Result<bool, DatabaseError> {
    let parameters: [&(dyn ToSql + Sync); 4] = [&tenant.uuid(), &id.uuid(), &secret, &both.as_secs_f64()];
    let changed = conn.execute(ROTATE, &parameters).await.map_err(DatabaseError::query("change a webhook's secret"))?;
    Ok(changed == 1)
}

/// Removes it; what is pending for it is sent no more. `false`: there is none.
///
/// # Errors
/// The database does not answer: it may have been removed.
pub async fn delete(conn: &impl GenericClient, tenant: TenantId, id: WebhookId) -> Result<bool, DatabaseError> {
    let removed =
        conn.execute(DELETE, &[&tenant.uuid(), &id.uuid()]).await.map_err(DatabaseError::query("remove a webhook"))?;
    Ok(removed == 1)
}

fn words(events: &[WebhookEvent]) -> Vec<&'static str> {
    events.iter().map(|event| event.as_str()).collect()
}
