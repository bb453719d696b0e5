//! `GET /projects/{id}/archive`: a version, or a part of it, as a stream of one of four kinds.

use std::str::FromStr;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use drydock_domain::{Digest, RelativePath};
use drydock_runtime::exit::chain;
use drydock_storage::{Format, Part, export};
use futures_util::TryStreamExt as _;

use super::{
    path::Subtree,
    serve::matches,
    tree::{Loaded, load, which},
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    openapi::Binary,
    state::Shared,
    validate::rules,
};

/// A kind of archive by its name's ending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kind(Format);

impl FromStr for Kind {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let formats = [Format::Tar, Format::TarGz, Format::TarZst, Format::Zip];
        formats.into_iter().map(Self).find(|kind| kind.ending() == word).ok_or(())
    }
}

impl Kind {
    const fn ending(self) -> &'static str {
        match self.0 {
            Format::Tar => "tar",
            Format::TarGz => "tar.gz",
            Format::TarZst => "tar.zst",
            Format::Zip => "zip",
        }
    }

    const fn media(self) -> &'static str {
        match self.0 {
            Format::Tar => "application/x-tar",
            Format::TarGz => "application/gzip",
            Format::TarZst => "application/zstd",
            Format::Zip => "application/zip",
        }
    }
}

/// Download a version
///
/// The same version gives the same bytes. A zip keeps permissions and links in Info-ZIP's way.
#[utoipa::path(
    get, path = "/api/v1/projects/{id}/archive", tag = "files",
    params(
        ("id" = uuid::Uuid, Path),
        ("version" = Option<u32>, Query, description = "The newest by default"),
        ("attempt" = Option<String>, Query, description = "What this attempt left: its id, or its number beside `job`"),
        ("job" = Option<uuid::Uuid>, Query, description = "What this job's newest attempt left"),
        ("format" = Option<String>, Query, description = "`tar` (the default), `tar.gz`, `tar.zst` or `zip`"),
        ("path" = Option<String>, Query, description = "Only this file, or this directory and what is below it"),
        ("If-None-Match" = Option<String>, Header),
    ),
    responses(
        (status = 200, content(
            (Binary = "application/x-tar"), (Binary = "application/gzip"), (Binary = "application/zstd"), (Binary = "application/zip")
        )),
        (status = 304), (status = 400), (status = 404), (status = 410, description = "The files of this version are kept no more"),
    )
)]
pub(crate) async fn archive(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let project = ids.project()?;
    let mut fields = query.fields();
    let which = which(&mut fields);
    let kind: Kind =
        fields.optional("format", rules::one_of("'tar', 'tar.gz', 'tar.zst' or 'zip'")).unwrap_or_default();
    let below = Subtree::take(&mut fields);
    fields.finish(|| Some(()))?;
    let below = below.transpose()?;
    let loaded = load(&app, caller.tenant, project, which).await?;
    if below.as_ref().is_some_and(|below| loaded.tree().get(below.path()).is_none()) {
        return Err(ApiError::NO_FILE);
    }
    let etag = tag(&loaded, kind, below.as_ref());
    let common = [value(header::ETAG, &etag)?, (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if matches(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let name = format!("attachment; filename=\"{project}-v{}.{}\"", loaded.number, kind.ending());
    let own = [value(header::CONTENT_TYPE, kind.media())?, value(header::CONTENT_DISPOSITION, &name)?];
    let part: Part = Box::new(move |path: &RelativePath| below.as_ref().is_none_or(|below| below.holds(path)));
    let archive = export(&app.storage, caller.tenant, loaded.manifest, kind.0, part);
    // A failure breaks the connection, so that no client takes a part for the whole.
    let archive = archive.inspect_err(|error| tracing::warn!("failed to export a version: {}", chain(error)));
    Ok((common, own, Body::from_stream(archive)).into_response())
}

/// Follows from the tree, the kind and the part: another project's version with the same tree has the same.
fn tag(loaded: &Loaded, kind: Kind, below: Option<&Subtree>) -> String {
    let tree = loaded.manifest.as_ref().map_or_else(|| loaded.tree().id(), |manifest| manifest.tree_id());
    let part = below.map(|below| format!("-{}", Digest::of(below.path().as_bytes()))).unwrap_or_default();
    format!("\"{tree}{part}.{}\"", kind.ending())
}

fn value(name: HeaderName, text: &str) -> Result<(HeaderName, HeaderValue), ApiError> {
    let value = HeaderValue::try_from(text).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok((name, value))
}
