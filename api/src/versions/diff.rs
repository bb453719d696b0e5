//! `GET /projects/{id}/versions/{a}/diff/{b}`: what turns one version into another, as a list and as a patch.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use drydock_domain::{Changes, Entry, EntryKind, RelativePath};
use drydock_storage::read_file;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::compare::{Side, compare};
use crate::{
    error::ApiError,
    extract::{Ids, Query},
    files::{Loaded, load_version},
    state::{App, Shared},
    stream::media,
};

/// Changed files listed at most; what is beyond is counted.
pub(crate) const MAX_CHANGES: usize = 10_000;
/// Files whose contents are compared at most.
pub(crate) const MAX_COMPARED: usize = 300;
/// Largest file that is compared, in bytes.
pub(crate) const MAX_COMPARED_BYTES: u64 = 512 * 1024;
/// Files compared at the same time.
const AT_ONCE: usize = 4;

/// What differs between two versions.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct DiffView {
    from: i32,
    to: i32,
    /// Files that differ, all of them counted.
    total: usize,
    /// In path order, at most 10,000.
    files: Vec<FileDiff>,
}

/// What became of a file.
#[derive(Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Change {
    Created,
    Modified,
    Deleted,
}

impl Change {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
        }
    }
}

/// How one file differs.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct FileDiff {
    path: String,
    change: Change,
    /// Unified diff in the form `git apply` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    /// Why there is no diff: `binary`, `too_large` or `too_many`.
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<&'static str>,
}

/// Compare two versions
#[utoipa::path(
    get, path = "/api/v1/projects/{id}/versions/{a}/diff/{b}", tag = "versions",
    params(
        ("id" = uuid::Uuid, Path),
        ("a" = u32, Path, description = "0 is the empty version"),
        ("b" = u32, Path),
    ),
    responses((status = 200, description = "The patch alone with `Accept: text/plain`", body = DiffView), (status = 404))
)]
pub(crate) async fn diff_versions(
    State(app): State<Shared>,
    ids: Ids,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let project = ids.project()?;
    let (from, to) = (ids.version("a")?, ids.version("b")?);
    query.fields().finish(|| Some(()))?;
    let (from, to) = (load_version(&app, project, from).await?, load_version(&app, project, to).await?);
    let view = diff(&app, &from, &to).await?;
    let vary = (header::VARY, HeaderValue::from_static("accept"));
    if !wants_text(&headers) {
        return Ok(([vary], Json(view)).into_response());
    }
    let text: String = view.files.iter().map(FileDiff::as_text).collect();
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(([vary, kind], text).into_response())
}

impl FileDiff {
    fn as_text(&self) -> String {
        match (&self.diff, self.omitted) {
            (Some(diff), _) => diff.clone(),
            (None, omitted) => {
                let (path, why) = (&self.path, omitted.unwrap_or("omitted").replace('_', " "));
                format!("# {} {path}: {why}\n", self.change.as_str())
            }
        }
    }
}

async fn diff(app: &App, from: &Loaded, to: &Loaded) -> Result<DiffView, ApiError> {
    let Changes { created, modified, deleted } = Changes::between(from.tree(), to.tree());
    let named = |paths: Vec<RelativePath>, change: Change| paths.into_iter().map(move |path| (path, change));
    let mut changes: Vec<(RelativePath, Change)> = named(created, Change::Created)
        .chain(named(modified, Change::Modified))
        .chain(named(deleted, Change::Deleted))
        .collect();
    changes.sort_by(|a, b| a.0.cmp(&b.0));
    let total = changes.len();
    let files = stream::iter(changes.into_iter().take(MAX_CHANGES).enumerate())
        .map(|(at, (path, change))| one(app, from, to, at, path, change))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(DiffView { from: from.number, to: to.number, total, files })
}

async fn one(
    app: &App,
    from: &Loaded,
    to: &Loaded,
    at: usize,
    path: RelativePath,
    change: Change,
) -> Result<FileDiff, ApiError> {
    let name = path.to_string();
    let omit = |omitted| FileDiff { path: name.clone(), change, diff: None, omitted: Some(omitted) };
    if at >= MAX_COMPARED {
        return Ok(omit("too_many"));
    }
    let size = |loaded: &Loaded| loaded.tree().get(&path).map_or(0, Entry::size);
    if size(from).max(size(to)) > MAX_COMPARED_BYTES {
        return Ok(omit("too_large"));
    }
    let (old, new) = (side(app, from, &path).await?, side(app, to, &path).await?);
    let header = name.clone();
    let compared = tokio::task::spawn_blocking(move || compare(&header, old, new)).await;
    let compared = compared.map_err(|error| ApiError::Internal(format!("failed to compare a file: {error}")))?;
    Ok(compared.map_or_else(&omit, |diff| FileDiff { path: name.clone(), change, diff: Some(diff), omitted: None }))
}

/// A file's mode and content on one side; a link's content is where it points, as in git.
async fn side(app: &App, loaded: &Loaded, path: &RelativePath) -> Result<Option<Side>, ApiError> {
    let Some(entry) = loaded.tree().get(path) else {
        return Ok(None);
    };
    match (&entry.kind, &loaded.manifest) {
        (EntryKind::Symlink { target }, _) => Ok(Some(Side { mode: 0o120_000, content: target.as_bytes().to_vec() })),
        (EntryKind::File { mode, .. }, Some(manifest)) => {
            let file = read_file(&app.storage, app.tenant(), manifest, path, None)?;
            let content = file.stream.map_ok(|part: Bytes| part.to_vec()).try_concat().await?;
            Ok(Some(Side { mode: 0o100_000 | mode.bits(), content }))
        }
        _ => Ok(None),
    }
}

fn wants_text(headers: &HeaderMap) -> bool {
    let asks = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    asks.flat_map(|accept| accept.split(',')).any(|kind| matches!(media(kind).as_str(), "text/plain" | "text/x-diff"))
}
