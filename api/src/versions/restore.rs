//! `POST /projects/{id}/versions/{n}/restore`: what was is the newest again, as a new version. No bytes are copied.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use drydock_database::version::{self, Restored};
use drydock_domain::{ProjectId, TenantId};

use super::views::VersionView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Expected, Ids, OptionalJson, head_tag},
    state::{App, Shared},
    validate::Fields,
};

/// Restore a version
///
/// Makes a new version with the tree of an older one. Where the newest has that tree already, nothing is made and it is answered, so that
/// the call can be repeated. Jobs that run go on; one that changed files meets a conflict when it finishes, and runs again on the
/// restored tree.
#[utoipa::path(
    post, path = "/api/v1/projects/{id}/versions/{n}/restore", tag = "versions",
    params(
        ("id" = uuid::Uuid, Path),
        ("n" = u32, Path, description = "The version to go back to"),
        ("If-Match" = Option<String>, Header, description = "Only while this is the newest version: its number in quotes, like `\"3\"`"),
    ),
    responses(
        (status = 201, description = "The new version; `ETag` is its number in quotes", body = VersionView),
        (status = 200, description = "The newest version, which has that tree already", body = VersionView),
        (status = 404), (status = 409, description = "Version 0 has no tree"), (status = 412, description = "Another version is the newest"),
    )
)]
pub(crate) async fn restore_version(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson,
) -> Result<Response, ApiError> {
    let (project, number) = (ids.project()?, ids.version("n")?);
    Fields::body(body.value)?.finish(|| Some(()))?;
    let expected = Expected::read(&headers);
    let restored =
        version::restore(&app.client(caller.tenant).await?, caller.tenant, project, number, expected.numbers()).await?;
    match restored {
        Restored::New(head) => answer(&app, caller.tenant, project, head, StatusCode::CREATED).await,
        Restored::Same(0) | Restored::Empty => {
            Err(ApiError::Conflict("Version 0 is the empty one: there is nothing to restore".into()))
        }
        Restored::Same(head) => answer(&app, caller.tenant, project, head, StatusCode::OK).await,
        Restored::Moved(head) => {
            let detail = format!("The newest version is {head}: look at it, then send If-Match: \"{head}\"");
            Err(ApiError::PreconditionFailed(detail.into()))
        }
        Restored::Missing(missing) => Err(missing.into()),
    }
}

async fn answer(
    app: &App,
    tenant: TenantId,
    project: ProjectId,
    head: i32,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let page = version::list(&app.client(tenant).await?, tenant, project, head.saturating_add(1), 1).await?;
    let row = page.items.into_iter().find(|row| row.number == head);
    let row = row.ok_or_else(|| ApiError::Internal(format!("version {head} of {project} cannot be read")))?;
    let mut response = (status, Json(VersionView::from(row))).into_response();
    response.headers_mut().extend(head_tag(head).map(|tag| (header::ETAG, tag)));
    Ok(response)
}
