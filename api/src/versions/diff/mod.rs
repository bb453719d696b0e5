//! `GET /projects/{id}/versions/{a}/diff/{b}`: what turns one version into another, as a list or as a patch.
//!
//! From the trees come the changes (`change`), some of which are two halves of a rename (`renames`); a page of them is taken and its
//! cost bounded (`plan`), contents are read (`content`) and compared (`lines`), and written in git's form (`patch`).

mod change;
mod content;
mod lines;
mod patch;
mod plan;
mod quote;
mod renames;
mod similarity;
mod text;
mod view;

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use drydock_domain::RelativePath;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use self::{
    change::Change,
    content::{AT_ONCE, Versions, blocking},
    patch::Section,
    plan::{Omitted, Page},
    view::FileDiff,
};
pub(crate) use self::{
    plan::{MAX_CHANGES, MAX_COMPARED, MAX_COMPARED_BYTES, MAX_COMPARED_TOTAL},
    renames::{MAX_RENAME_BYTES, MAX_RENAME_FILES},
    view::DiffView,
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    files::{Loaded, Subtree, load_version, path_cursor},
    state::{App, Shared},
    stream::media,
    validate::{Fields, rules},
};

/// Compare two versions
///
/// Renames are found by equal content, and among text files by like content. What is not compared says why (`omitted`).
#[utoipa::path(
    get, path = "/api/v1/projects/{id}/versions/{a}/diff/{b}", tag = "versions",
    params(
        ("id" = uuid::Uuid, Path),
        ("a" = u32, Path, description = "0 is the empty version"),
        ("b" = u32, Path),
        ("path" = Option<String>, Query, description = "Only this file, or what is below this directory"),
        ("patch" = Option<bool>, Query, description = "`false` for the list alone"),
        ("limit" = Option<u16>, Query, description = "1 to 10,000 files, 10,000 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "With `Accept: text/x-diff` (or `text/plain`) one patch for `git apply`", content((DiffView = "application/json"), (String = "text/x-diff"), (String = "text/plain"))),
        (status = 400), (status = 404), (status = 410, description = "The files of a version are kept no more"),
    )
)]
pub(crate) async fn diff_versions(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let project = ids.project()?;
    let (from, to) = (ids.version("a")?, ids.version("b")?);
    let asked = Asked::take(query.fields())?;
    let (old, new) = (
        load_version(&app, caller.tenant, project, from).await?,
        load_version(&app, caller.tenant, project, to).await?,
    );
    let versions = Versions { app: &app, old: &old, new: &new };
    let found = Found::between(&versions, asked.below).await?;
    let total = found.changes.len();
    let page = plan::page(found.changes, asked.after.as_ref(), asked.limit, asked.patch);
    let vary = (header::VARY, HeaderValue::from_static("accept"));
    let Some(kind) = text_kind(&headers) else {
        let view = view(&versions, page, total, found.renames_limited).await?;
        return Ok(([vary], Json(view)).into_response());
    };
    let body = text_body(app.clone(), old, new, page);
    Ok(([vary, (header::CONTENT_TYPE, kind)], body).into_response())
}

/// What of a comparison is wanted.
struct Asked {
    below: Option<Subtree>,
    patch: bool,
    limit: usize,
    after: Option<RelativePath>,
}

impl Asked {
    fn take(mut fields: Fields) -> Result<Self, ApiError> {
        let below = Subtree::take(&mut fields);
        let patch = fields.optional("patch", rules::flag).unwrap_or(true);
        let most = i64::try_from(MAX_CHANGES).unwrap_or(i64::MAX);
        let limit = fields.optional("limit", rules::number(1, most)).unwrap_or(MAX_CHANGES);
        let after = fields.optional("cursor", path_cursor);
        fields.finish(|| Some(()))?;
        Ok(Self { below: below.transpose()?, patch, limit, after })
    }
}

/// The changes, renames found.
struct Found {
    changes: Vec<Change>,
    renames_limited: bool,
}

impl Found {
    async fn between(versions: &Versions<'_>, below: Option<Subtree>) -> Result<Self, ApiError> {
        let (old, new) = (versions.old.clone(), versions.new.clone());
        let changes = blocking(move || {
            let holds = |path: &RelativePath| below.as_ref().is_none_or(|below| below.holds(path));
            renames::same(Change::between(old.tree(), new.tree(), holds))
        })
        .await?;
        let Ok(candidates) = renames::candidates(&changes, MAX_COMPARED_BYTES) else {
            return Ok(Self { changes, renames_limited: true });
        };
        if candidates.gone.is_empty() {
            return Ok(Self { changes, renames_limited: false });
        }
        let gone = versions.old_pieces(candidates.gone).await?;
        let new = versions.new_pieces(candidates.new).await?;
        let changes = blocking(move || renames::alike(changes, &gone, &new)).await?;
        Ok(Self { changes, renames_limited: false })
    }
}

/// Its section, or why it has none.
async fn compare(
    versions: &Versions<'_>,
    change: Change,
    omitted: Option<Omitted>,
) -> Result<(Change, Result<Section, Omitted>), ApiError> {
    let section = match omitted {
        Some(omitted) => Err(omitted),
        None => versions.section(change.clone()).await?.ok_or(Omitted::Binary),
    };
    Ok((change, section))
}

async fn view(versions: &Versions<'_>, page: Page, total: usize, renames_limited: bool) -> Result<DiffView, ApiError> {
    let files: Vec<FileDiff> = stream::iter(page.changes)
        .map(|(change, omitted)| compare(versions, change, omitted))
        .buffered(AT_ONCE)
        .map_ok(|(change, section)| FileDiff::of(&change, section))
        .try_collect()
        .await?;
    let mut omitted = BTreeMap::new();
    for why in files.iter().filter_map(|file| file.omitted) {
        *omitted.entry(why).or_default() += 1;
    }
    let next_cursor = page.next.as_ref().map(cursor);
    let (from, to) = (versions.old.number, versions.new.number);
    Ok(DiffView { from, to, total, files, omitted, renames_limited, next_cursor })
}

/// Sent as it is made. A failure breaks the connection, so that no client takes a part for the whole.
fn text_body(app: Shared, old: Loaded, new: Loaded, page: Page) -> Body {
    let sides = std::sync::Arc::new((app, old, new));
    let end = page.next.as_ref().map(|next| Ok(text::more(&cursor(next))));
    let parts = stream::iter(page.changes).map(move |(change, omitted)| {
        let sides = std::sync::Arc::clone(&sides);
        async move {
            let (app, old, new): &(Shared, Loaded, Loaded) = &sides;
            let app: &App = app;
            let (change, section) = compare(&Versions { app, old, new }, change, omitted).await?;
            Ok::<_, ApiError>(text::part(&change, section))
        }
    });
    let parts = parts.buffered(AT_ONCE).chain(stream::iter(end));
    Body::from_stream(parts.map_err(|error| {
        tracing::warn!("failed to compare versions: {error:?}");
        std::io::Error::other("the comparison failed")
    }))
}

fn cursor(path: &RelativePath) -> String {
    URL_SAFE_NO_PAD.encode(path.as_bytes())
}

/// The type of a patch, where one is asked for by name.
fn text_kind(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    asks.flat_map(|accept| accept.split(',')).find_map(|kind| match media(kind).as_str() {
        "text/plain" => Some(HeaderValue::from_static("text/plain; charset=utf-8")),
        "text/x-diff" => Some(HeaderValue::from_static("text/x-diff; charset=utf-8")),
        _ => None,
    })
}
