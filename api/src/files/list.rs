//! `GET /projects/{id}/files`: every file and link of a tree, in path order, in pages.

use axum::{Json, extract::State};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use drydock_domain::{Digest, Entry, EntryKind, RelativePath, TenantId};
use serde::Serialize;
use serde_json::Value;

use super::{
    path::is_listed,
    tree::{Loaded, load, which},
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    state::{App, Shared},
    validate::{Fault, rules},
};

pub(crate) const MAX_FILES_PAGE: i64 = 10_000;
const DEFAULT_FILES: usize = 1_000;

/// A page of a tree.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct FileList {
    /// The version listed, or for an attempt the one it made or started from.
    version: i32,
    files: Vec<FileView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A file or link, with `all` a directory too.
#[derive(Serialize, utoipa::ToSchema)]
struct FileView {
    path: String,
    /// `file` or `symlink`, with `all` also `dir`.
    kind: &'static str,
    /// In bytes.
    size: u64,
    /// Permission bits, octal.
    mode: String,
    /// Hash of the content, null for what has none.
    blake3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_target: Option<String>,
}

/// Reads a cursor that is the last path of the page before.
pub(crate) fn path_cursor(value: &Value) -> Result<RelativePath, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(value.as_str().unwrap_or_default()).ok();
    let path = bytes.and_then(|bytes| RelativePath::new(bytes).ok());
    path.ok_or_else(|| Fault::value("Input should be a next_cursor of this list"))
}

/// List files
///
/// Directories are left out, and links that lead out of the workspace, unless `all` is set.
#[utoipa::path(
    get, path = "/api/v1/projects/{id}/files", tag = "files",
    params(
        ("id" = uuid::Uuid, Path),
        ("version" = Option<u32>, Query, description = "The newest by default, 0 for the empty one"),
        ("attempt" = Option<String>, Query, description = "What this attempt left: its id, or its number beside `job`"),
        ("job" = Option<uuid::Uuid>, Query, description = "What this job's newest attempt left"),
        ("limit" = Option<u16>, Query, description = "1 to 10,000, 1,000 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
        ("all" = Option<bool>, Query, description = "Everything that the version has, so that a copy can be compared with it"),
    ),
    responses((status = 200, body = FileList), (status = 404), (status = 410, description = "The files of this version are kept no more"))
)]
pub(crate) async fn list_files(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
) -> Result<Json<FileList>, ApiError> {
    files(&app, caller.tenant, &ids, query).await
}

pub(crate) async fn files(app: &App, tenant: TenantId, ids: &Ids, query: Query) -> Result<Json<FileList>, ApiError> {
    let project = ids.project()?;
    let mut fields = query.fields();
    let which = which(&mut fields);
    let limit = fields.optional("limit", rules::number(1, MAX_FILES_PAGE)).unwrap_or(DEFAULT_FILES);
    let after = fields.optional("cursor", path_cursor);
    let all = fields.optional("all", rules::flag).unwrap_or_default();
    fields.finish(|| Some(()))?;
    let loaded = load(app, tenant, project, which).await?;
    Ok(Json(page(&loaded, after.as_ref(), limit, all)))
}

fn page(loaded: &Loaded, after: Option<&RelativePath>, limit: usize, all: bool) -> FileList {
    let mut files = Vec::new();
    let mut more = false;
    for (path, view) in merged(loaded, after, all) {
        if files.len() == limit {
            more = true;
            break;
        }
        files.push((path, view));
    }
    let last = files.last().filter(|_| more).map(|(path, _)| URL_SAFE_NO_PAD.encode(path.as_bytes()));
    FileList { version: loaded.number, files: files.into_iter().map(|(_, view)| view).collect(), next_cursor: last }
}

/// The tree's entries after `after`, with the documents where they belong in the order.
fn merged<'a>(
    loaded: &'a Loaded,
    after: Option<&RelativePath>,
    all: bool,
) -> impl Iterator<Item = (RelativePath, FileView)> + use<'a> {
    let tree = loaded.tree();
    let start = after.map_or(0, |after| tree.entries().partition_point(|entry| entry.path <= *after));
    let entries = tree.entries().iter().skip(start).filter(move |entry| all || is_listed(loaded.tree(), entry));
    let mut entries = entries.map(|entry| (entry.path.clone(), view(entry))).peekable();
    let names = ["request", "result"].map(|name| RelativePath::new(format!(".codex/{name}.json")));
    let names = names.into_iter().flatten().filter(|path| after.is_none_or(|after| path > after));
    let documents: Vec<_> = names.filter_map(|path| Some((document(&path, loaded)?, path))).collect();
    let mut documents = documents.into_iter().map(|(view, path)| (path, view)).peekable();
    std::iter::from_fn(move || match (documents.peek(), entries.peek()) {
        (Some((document, _)), Some((entry, _))) if document < entry => documents.next(),
        (Some(_), None) => documents.next(),
        _ => entries.next(),
    })
}

fn document(path: &RelativePath, loaded: &Loaded) -> Option<FileView> {
    let bytes = loaded.document(path.as_bytes())?;
    Some(FileView {
        path: path.to_string(),
        kind: "file",
        size: bytes.len() as u64,
        mode: "0644".to_owned(),
        blake3: Some(Digest::of(&bytes).to_string()),
        link_target: None,
    })
}

fn view(entry: &Entry) -> FileView {
    let (kind, mode, blake3, link_target) = match &entry.kind {
        EntryKind::File { mode, blob, .. } => ("file", mode.bits(), Some(blob.to_string()), None),
        EntryKind::Dir { mode } => ("dir", mode.bits(), None, None),
        EntryKind::Symlink { target } => {
            ("symlink", 0o777, None, Some(String::from_utf8_lossy(target.as_bytes()).into_owned()))
        }
    };
    let size = link_target.as_ref().map_or_else(|| entry.size(), |target| target.len() as u64);
    FileView { path: entry.path.to_string(), kind, size, mode: format!("{mode:04o}"), blake3, link_target }
}
