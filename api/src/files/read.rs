//! `GET /projects/{id}/files/{path}`: one file, raw or as JSON.

use axum::{
    extract::State,
    http::{HeaderMap, Uri, header},
    response::Response,
};
use bytes::Bytes;
use drydock_domain::{EntryKind, RelativePath, TenantId};
use drydock_storage::read_file;
use futures_util::TryStreamExt as _;

use super::{
    path::{PathFault, Target, parse, resolve},
    serve::{Content, FileText, Form, serve},
    tree::{Loaded, load, which},
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    openapi::Binary,
    state::{App, Shared},
    stream::media,
};

impl From<PathFault> for ApiError {
    fn from(fault: PathFault) -> Self {
        match fault {
            PathFault::Invalid => Self::INVALID_PATH,
            PathFault::Absent => Self::NO_FILE,
        }
    }
}

/// Read a file
#[utoipa::path(
    get, path = "/api/v1/projects/{id}/files/{*path}", tag = "files",
    params(
        ("id" = uuid::Uuid, Path), ("path" = String, Path),
        ("version" = Option<u32>, Query, description = "The newest by default"),
        ("attempt" = Option<String>, Query, description = "What this attempt left: its id, or its number beside `job`"),
        ("job" = Option<uuid::Uuid>, Query, description = "What this job's newest attempt left"),
        ("Range" = Option<String>, Header), ("If-Range" = Option<String>, Header),
        ("If-None-Match" = Option<String>, Header), ("If-Match" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "Raw bytes, or `{path, content, encoding}` with `Accept: application/json`", content((Binary = "application/octet-stream"), (FileText = "application/json"))),
        (status = 206, description = "The part that `Range` asks for", body = Binary, content_type = "application/octet-stream"),
        (status = 304), (status = 400), (status = 404), (status = 410, description = "The files of this version are kept no more"),
        (status = 412), (status = 413, description = "Too long to be given as JSON"), (status = 416),
    )
)]
pub(crate) async fn read_project_file(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    uri: Uri,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    file(&app, caller.tenant, &ids, &uri, &headers, query).await
}

pub(crate) async fn file(
    app: &App,
    tenant: TenantId,
    ids: &Ids,
    uri: &Uri,
    headers: &HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let project = ids.project()?;
    // Not the router's parameter: that is decoded already, and only where it is UTF-8.
    let raw = uri.path().split_once("/files/").map_or("", |(_, path)| path);
    let asked = parse(raw)?;
    let mut fields = query.fields();
    let which = which(&mut fields);
    fields.finish(|| Some(()))?;
    let loaded = load(app, tenant, project, which).await?;
    let form = if wants_json(headers) { Form::Json } else { Form::Raw };
    serve(headers, form, open(app, &loaded, &asked)?).await
}

fn open(app: &App, loaded: &Loaded, asked: &RelativePath) -> Result<Content, ApiError> {
    let entry = match resolve(loaded.tree(), asked)? {
        Target::Exchange(path) => {
            let bytes = loaded.document(path.as_bytes()).ok_or(ApiError::NO_FILE)?;
            return Ok(Content::held(asked.clone(), bytes.into()));
        }
        Target::Entry(entry) => entry,
        Target::Top => return Err(ApiError::NO_FILE),
    };
    let (EntryKind::File { size, blob, .. }, Some(manifest)) = (&entry.kind, &loaded.manifest) else {
        return Err(ApiError::NO_FILE);
    };
    let (storage, tenant, manifest, path) = (app.storage.clone(), loaded.tenant, manifest.clone(), entry.path.clone());
    Ok(Content {
        path: asked.clone(),
        size: *size,
        digest: *blob,
        open: Box::new(move |range| {
            let file = read_file(&storage, tenant, &manifest, &path, Some(range))?;
            Ok(Box::pin(file.stream.map_ok(Bytes::from)))
        }),
    })
}

/// JSON only where it is asked for by name: `*/*` means the file.
fn wants_json(headers: &HeaderMap) -> bool {
    let asks = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    asks.flat_map(|accept| accept.split(',')).any(|kind| media(kind) == "application/json")
}
