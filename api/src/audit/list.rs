//! `GET /audit`: newest first, filtered, in pages.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use drydock_database::{
    audit::{self, AuditFilter, AuditRow},
    page::Page,
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Paging, Query},
    state::Shared,
    validate::rules,
};

/// Longest beginning of an action, in characters.
const MAX_ACTION: usize = 64;

/// A request as the log tells it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AuditView {
    id: Uuid,
    at: DateTime<Utc>,
    /// `job.submit`, `key.revoke`, …: new ones may come.
    action: Value,
    /// `{kind, key?, user?}`; the kind is `key`, `token`, `anyone` while no key existed, or `operator` for `drydock admin`.
    #[schema(value_type = Object)]
    actor: Value,
    /// What the key is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_name: Option<String>,
    /// What the key's user is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    /// What it was asked of.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Uuid>)]
    target: Value,
    /// What it made.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Uuid>)]
    created: Value,
    /// `done`, `refused`, `failed` or `abandoned`; of the last two, it may have been done. None: it runs, or was cut off.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<String>)]
    outcome: Value,
    /// What changed: by field `{from, to}`, or `{to}` where it is not known what was before. Long values are cut; no secret is among them.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Object>)]
    changes: Value,
    /// The answer's status.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<u16>)]
    status: Value,
    /// The peer's address.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<String>)]
    ip: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<String>)]
    request_id: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<String>)]
    path: Value,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        let AuditRow { id, at, mut record, mut answer, key_name, user_name } = row;
        let mut asked = |name: &str| record.get_mut(name).map(Value::take).unwrap_or_default();
        let (action, actor, target) = (asked("action"), asked("actor"), asked("target"));
        let (ip, request_id, path) = (asked("ip"), asked("request_id"), asked("path"));
        let result = answer.as_mut().unwrap_or(&mut record);
        let mut told = |name: &str| result.get_mut(name).map(Value::take).unwrap_or_default();
        let (created, outcome, status, changes) = (told("created"), told("outcome"), told("status"), told("changes"));
        Self {
            id,
            at,
            action,
            actor,
            key_name,
            user_name,
            target,
            created,
            outcome,
            changes,
            status,
            ip,
            request_id,
            path,
        }
    }
}

/// A page of the log.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AuditList {
    items: Vec<AuditView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Filters of the log, for the document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents the parameters, which are validated by hand")]
struct AuditQuery {
    /// Actions that begin so: `job.submit`, or `job.` for all of jobs.
    action: Option<String>,
    /// A key or a user.
    actor: Option<Uuid>,
    /// What was asked of, or made: the id of a project, job, batch, key, ….
    object: Option<Uuid>,
    /// At or after this time.
    since: Option<DateTime<Utc>>,
    /// 1 to 500, 50 by default.
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Read the audit log
///
/// Requests that may have changed something, newest first. Those that were not let in are in the server's log only.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(AuditQuery), responses((status = 200, body = AuditList), (status = 422))
)]
pub(crate) async fn list_audit(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Json<AuditList>, ApiError> {
    let mut fields = query.fields();
    let action = fields.optional("action", rules::text(1, MAX_ACTION));
    let actor = fields.optional("actor", rules::id);
    let object = fields.optional("object", rules::id);
    let since = fields.optional("since", rules::timestamp);
    let paging = Paging::take(&mut fields);
    let filter = fields.finish(|| Some(AuditFilter { action, actor, object, since }))?;
    let page =
        audit::list(&app.client(caller.tenant).await?, caller.tenant, &filter, paging.after, paging.limit).await?;
    let Page { items, next } = page;
    Ok(Json(AuditList {
        items: items.into_iter().map(AuditView::from).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}
