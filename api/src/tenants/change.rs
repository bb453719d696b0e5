//! `PATCH /tenants/{id}`: a tenant's name, share of the fleet, quotas, and whether it counts. What is not named stays.

use axum::{extract::State, http::HeaderMap, response::Response};
use drydock_database::{
    audit::Changes,
    tenant::{self, Changed, Quotas, TenantChange},
};
use serde_json::Value;

use super::views::TenantView;
use crate::{
    audit::changed,
    auth::Caller,
    error::ApiError,
    extract::{Expected, Ids, JsonBody, tagged},
    state::Shared,
    validate::{Fields, rules},
};

/// Largest share of the fleet, over the smallest.
const MAX_WEIGHT: i64 = 1000;
/// Largest quota: beyond it there is none.
const QUOTA_MAX: i64 = 1_000_000_000;

/// How often to look again at a tenant that others change meanwhile.
const TRIES: u8 = 5;

/// What the audit log tells of a change.
const NOTED: [&str; 8] = [
    "name",
    "weight",
    "disabled_at",
    "max_projects",
    "max_running",
    "max_queued_jobs",
    "max_held_jobs",
    "max_storage_bytes",
];

/// Body of a change, for the document.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct TenantChangeBody {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`, unique.
    name: Option<String>,
    /// Its share of the fleet: of tenants that want slots at the same time, one of weight 3 gets three for each one of weight 1.
    #[schema(minimum = 1, maximum = 1000)]
    weight: Option<i32>,
    /// Its keys and tokens are refused within seconds, and nothing of it starts; what runs goes on to its end, what waits is kept.
    disabled: Option<bool>,
    /// Most projects it may have; 0 is no quota. Beyond it a new one is 429. Fewer than it has now deletes none.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    max_projects: Option<i32>,
    /// Most slots it holds at once; 0 is no quota. Beyond it jobs wait.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    max_running: Option<i32>,
    /// Most jobs of no batch that wait; 0 is no quota. Beyond it a new one is 429, a schedule's time passes without a job.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    max_queued_jobs: Option<i32>,
    /// Most lines that its batches hold; 0 is no quota. Beyond it a line is refused; the batch stays open for it.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    max_held_jobs: Option<i32>,
    /// Most bytes of objects and logs; 0 is no quota. At it, uploads, new jobs and lines are 429, and batches pause; what runs keeps its
    /// result. Less than it has now deletes nothing.
    #[schema(minimum = 0)]
    max_storage_bytes: Option<i64>,
}

/// Change a tenant
#[utoipa::path(
    patch, path = "/api/v1/tenants/{id}", tag = "tenants",
    params(
        ("id" = uuid::Uuid, Path),
        ("If-Match" = Option<String>, Header, description = "Only while this is its `ETag`"),
    ),
    request_body = TenantChangeBody,
    responses(
        (status = 200, body = TenantView),
        (status = 404),
        (status = 409, description = "The name is taken, or it is the caller's own tenant that would be disabled"),
        (status = 412),
        (status = 422)
    )
)]
pub(crate) async fn change_tenant(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let (id, expected) = (ids.tenant()?, Expected::read(&headers));
    let change = read(body.value)?;
    if change.disabled == Some(true) && id == caller.tenant {
        return Err(ApiError::Conflict("This is your own tenant: nobody in it could enable it again".into()));
    }
    let client = app.unscoped().await?;
    for _ in 0..TRIES {
        let before = tenant::find(&client, id).await?.ok_or(ApiError::NO_TENANT)?;
        if !expected.accepts(before.revision) {
            return Err(stale(before.revision));
        }
        // Of the row that was read, so that the audit log can tell what it was.
        match tenant::change(&client, id, Some(&[before.revision]), &change).await? {
            Changed::Done => app.forget_callers(),
            Changed::Stale => continue,
            Changed::NoTenant => return Err(ApiError::NO_TENANT),
            Changed::NameTaken => return Err(ApiError::Conflict("There is a tenant with this name".into())),
        }
        let now = tenant::find(&client, id).await?.ok_or(ApiError::NO_TENANT)?;
        let (revision, before, now) = (now.revision, TenantView::from(before), TenantView::from(now));
        let changes = Changes::between(&before, &now, &NOTED);
        return Ok(changed(tagged(revision, now), changes));
    }
    Err(ApiError::Conflict("Others change this tenant at the same time: send it again".into()))
}

fn stale(revision: i32) -> ApiError {
    let detail = format!("The tenant was changed: look at it, then send If-Match: \"{revision}\"");
    ApiError::PreconditionFailed(detail.into())
}

fn read(body: Value) -> Result<TenantChange, ApiError> {
    let mut fields = Fields::body(body)?;
    let change = TenantChange {
        name: fields.optional("name", rules::name),
        weight: fields.optional("weight", rules::number(1, MAX_WEIGHT)),
        disabled: fields.optional("disabled", rules::boolean),
        quotas: Quotas {
            max_projects: fields.optional("max_projects", rules::number(0, QUOTA_MAX)),
            max_running: fields.optional("max_running", rules::number(0, QUOTA_MAX)),
            max_queued_jobs: fields.optional("max_queued_jobs", rules::number(0, QUOTA_MAX)),
            max_held_jobs: fields.optional("max_held_jobs", rules::number(0, QUOTA_MAX)),
            max_storage_bytes: fields.optional("max_storage_bytes", rules::number(0, i64::MAX)),
        },
    };
    fields.finish(|| Some(change))
}
