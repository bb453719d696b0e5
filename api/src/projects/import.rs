//! `POST /projects/import`: an uploaded archive becomes a project's version 1. Streamed: neither the archive nor any file
//! of it is held in memory, and nothing of it touches the disk but packs on their way to object storage.

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use drydock_database::{
    project::{self, Imported, NewProject},
    report::StoredTree,
};
use drydock_storage::{Limits, WriteOptions, import_tar};
use http_body_util::Limited;

use super::{
    request::{ProjectRequest, offer},
    views::ProjectView,
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::Query,
    openapi::Binary,
    packs::{self, Packs},
    state::{App, Shared},
    stream::media,
    uploads::Upload,
    validate::{Fields, rules},
};

/// What an archive may call itself; how it is compressed is told by its first bytes.
const ARCHIVES: [&str; 8] = [
    "application/x-tar",
    "application/tar",
    "application/gzip",
    "application/x-gzip",
    "application/x-gtar",
    "application/zstd",
    "application/x-zstd",
    "application/octet-stream",
];

/// Parameters of an import, for the document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents the parameters, which are validated by hand")]
struct ImportQuery {
    /// 5 to 2,000 characters.
    instruction: String,
    /// The server's default agent by default.
    agent: Option<String>,
    pool: Option<String>,
    /// `name=value`; repeated for several.
    labels: Option<String>,
    /// The least isolation its jobs accept.
    min_isolation: Option<String>,
}

/// Import a project
#[utoipa::path(
    post, path = "/api/v1/projects/import", tag = "projects",
    params(ImportQuery),
    request_body(content_type = "application/x-tar", description = "tar, tar.gz or tar.zst", content = Binary),
    responses((status = 201, body = ProjectView), (status = 400), (status = 413), (status = 415), (status = 422))
)]
pub(crate) async fn import_project(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
    request: Request,
) -> Result<Response, ApiError> {
    let named = query.first("agent");
    let offer = offer(&app, named.as_ref()).await?;
    let mut fields = query.fields();
    let labels = |fields: &mut Fields| fields.optional("labels", rules::label_pairs);
    let asked = ProjectRequest::take(&mut fields, &offer, &app.config.default_agent, labels);
    let new = fields.finish(|| asked)?.into_new(&app, caller.tenant);
    must_be_an_archive(request.headers())?;
    packs::must_have_room(&app, caller.tenant).await?;
    let place = app.uploads.begin(caller.tenant)?;
    let timeout = app.config.import_timeout;
    let stored =
        tokio::time::timeout(timeout, store(&app, &new, place, request.into_body())).await.map_err(|_| {
            ApiError::BadRequest(format!("The archive did not arrive within {}s", timeout.as_secs()).into())
        })??;
    let client = app.client(caller.tenant).await?;
    if project::import(&client, &new, &stored).await? == Imported::Gone {
        let detail = "What was stored of the archive was collected before it was named: send it again";
        return Err(ApiError::Unavailable { detail, cause: None });
    }
    let row = project::find(&client, caller.tenant, new.id).await?;
    let row = row.ok_or_else(|| ApiError::Internal(format!("project {} was imported but cannot be read", new.id)))?;
    let location = format!("/api/v1/projects/{}", new.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(ProjectView::from(row))).into_response())
}

/// Refuses a body that calls itself something else; one that says nothing is looked at.
pub(crate) fn must_be_an_archive(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(media);
    if kind.is_some_and(|kind| !ARCHIVES.contains(&kind.as_str())) {
        return Err(ApiError::UnsupportedMediaType("Content-Type should be application/x-tar, gzip or zstd"));
    }
    Ok(())
}

async fn store(app: &App, new: &NewProject, place: Upload, body: Body) -> Result<StoredTree, ApiError> {
    let limit = usize::try_from(app.config.import_limit).unwrap_or(usize::MAX);
    let archive = place.reader(Limited::new(body, limit), app.config.import_timeout);
    let options = WriteOptions {
        tenant: new.tenant,
        base: None,
        limits: Limits::default(),
        temp_dir: app.config.temp_dir.clone(),
    };
    let registry = Packs { database: app.database.clone(), tenant: new.tenant };
    let written = import_tar(&app.storage, options, &registry, archive).await;
    let written = written.map_err(|error| packs::refused(error, limit))?;
    written
        .as_ref()
        .map(packs::whole)
        .transpose()?
        .ok_or_else(|| ApiError::BadRequest("The archive has no files".into()))
}
