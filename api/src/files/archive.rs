//! `GET /projects/{id}/archive`: a version as a tar stream.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use drydock_runtime::exit::chain;
use drydock_storage::export_tar;
use futures_util::TryStreamExt as _;

use super::tree::{load, which};
use crate::{
    error::ApiError,
    extract::{Ids, Query},
    state::Shared,
};

/// Two blocks of zeros: what ends a tar archive, and all of an empty one.
const EMPTY_TAR: [u8; 1024] = [0; 1024];

/// Download a version
#[utoipa::path(
    get, path = "/api/v1/projects/{id}/archive", tag = "files",
    params(
        ("id" = uuid::Uuid, Path),
        ("version" = Option<u32>, Query, description = "The newest by default"),
        ("attempt" = Option<String>, Query, description = "What this attempt left: its id, or its number beside `job`"),
        ("job" = Option<uuid::Uuid>, Query, description = "What this job's newest attempt left"),
    ),
    responses((status = 200, body = Vec<u8>, content_type = "application/x-tar"), (status = 404))
)]
pub(crate) async fn archive(State(app): State<Shared>, ids: Ids, query: Query) -> Result<Response, ApiError> {
    let project = ids.project()?;
    let mut fields = query.fields();
    let which = which(&mut fields);
    fields.finish(|| Some(()))?;
    let loaded = load(&app, project, which).await?;
    let name = format!("attachment; filename=\"{project}-v{}.tar\"", loaded.number);
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    let body = match &loaded.manifest {
        None => Body::from(EMPTY_TAR.to_vec()),
        Some(manifest) => {
            let tar = export_tar(&app.storage, app.tenant(), Arc::clone(manifest));
            // A failure breaks the connection, so that no client takes a part for the whole.
            Body::from_stream(tar.inspect_err(|error| tracing::warn!("failed to export a version: {}", chain(error))))
        }
    };
    Ok((headers, body).into_response())
}
