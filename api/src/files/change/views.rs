//! What a change by hand came to.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use drydock_domain::Changes;
use serde::Serialize;

use crate::extract::head_tag;

/// One file that was changed.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct FileChange {
    /// The version that has it so; the newest one where nothing had to change.
    pub(super) version: i32,
    pub(super) path: String,
    /// `created`, `modified`, `deleted` or `unchanged`.
    pub(super) change: &'static str,
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    /// Permission bits, octal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<String>,
    /// Hash of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blake3: Option<String>,
}

/// Files that were changed together.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct FilesChange {
    /// The version that was made; the newest one where nothing had to change.
    version: i32,
    /// The version it was made of.
    parent: i32,
    created: usize,
    modified: usize,
    deleted: usize,
}

impl FileChange {
    /// 201 for a file that was not there, else 200; `ETag` is the version's number in quotes.
    pub(super) fn answer(self) -> Response {
        let status = if self.change == "created" { StatusCode::CREATED } else { StatusCode::OK };
        tagged(status, self.version, Json(self))
    }
}

impl FilesChange {
    pub(super) fn answer(version: i32, parent: i32, changes: &Changes) -> Response {
        let view = Self {
            version,
            parent,
            created: changes.created.len(),
            modified: changes.modified.len(),
            deleted: changes.deleted.len(),
        };
        let status = if version == parent { StatusCode::OK } else { StatusCode::CREATED };
        tagged(status, version, Json(view))
    }
}

fn tagged(status: StatusCode, version: i32, body: Json<impl Serialize>) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().extend(head_tag(version).map(|tag| (header::ETAG, tag)));
    response
}
