//! `PATCH /projects/{id}/files`: many files at once, as an archive of what changes. Streamed, like an import.

use axum::{body::Body, extract::State, http::HeaderMap, response::Response};
use drydock_database::report::StoredTree;
use drydock_domain::{Changes, Tree};
use drydock_storage::{ChangeOptions, Delta, Limits, WriteOptions, change_tar, import_tar};
use http_body_util::Limited;

use super::{
    super::tree::Loaded,
    commit::{Change, Try},
    condition::{Condition, moved},
    views::FilesChange,
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    packs::{self, Packs},
    projects::must_be_an_archive,
    state::{App, Shared},
    uploads::Upload,
};

/// Change files
///
/// Makes one new version of the newest: the entries of the archive are put in place of what is there; what it does not name stays. An
/// entry with the pax record `DRYDOCK.remove=1` stands for a path that goes, with all below it; such entries come first. All of it or
/// nothing happens. While a job that writes runs, it is refused, unless `while_running` is set: the job then meets a conflict
/// when it finishes, and runs again on the new version.
#[utoipa::path(
    patch, path = "/api/v1/projects/{id}/files", tag = "files",
    params(
        ("id" = uuid::Uuid, Path),
        ("while_running" = Option<bool>, Query, description = "Also while a job that writes runs"),
        ("If-Match" = Option<String>, Header, description = "Only while this is the newest version: its number in quotes, like `\"3\"`"),
    ),
    request_body(content_type = "application/x-tar", description = "tar, tar.gz or tar.zst; its limit is `import_bytes` of `/limits`", content = Vec<u8>),
    responses(
        (status = 201, description = "The new version; `ETag` is its number in quotes", body = FilesChange),
        (status = 200, description = "The newest version, in which nothing had to change", body = FilesChange),
        (status = 400), (status = 404), (status = 409, description = "A job is at work, or another change came first"),
        (status = 412, description = "Another version is the newest"), (status = 413), (status = 415),
    )
)]
pub(crate) async fn change_files(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    query: Query,
    body: Body,
) -> Result<Response, ApiError> {
    let project = ids.project()?;
    let mut fields = query.fields();
    let change = Change::take(caller, project, &mut fields);
    fields.finish(|| Some(()))?;
    let condition = Condition::read(&headers);
    let base = change.head(&app).await?;
    condition.check(&base, None)?;
    must_be_an_archive(&headers)?;
    packs::must_have_room(&app, change.caller.tenant).await?;
    let place = app.uploads.begin(change.caller.tenant)?;
    let timeout = app.config.import_timeout;
    let stored = Box::pin(store(&app, change, &base, place, body));
    let stored = tokio::time::timeout(timeout, stored).await.map_err(|_| {
        ApiError::BadRequest(format!("The archive did not arrive within {}s", timeout.as_secs()).into())
    })??;
    let Some((tree, changes)) = stored else {
        return Ok(FilesChange::answer(base.number, base.number, &Changes::default()));
    };
    match change.commit(&app, base.number, tree).await? {
        Try::Made(version) => Ok(FilesChange::answer(version, base.number, &changes)),
        Try::Again(head) if head == base.number => {
            let detail = "What was stored of the archive was collected before it was named: send it again";
            Err(ApiError::Unavailable { detail, cause: None })
        }
        Try::Again(head) if condition.is_given() => Err(moved(head)),
        Try::Again(head) => {
            let detail =
                format!("Version {head} was made while the archive came: look at it, then send the archive again");
            Err(ApiError::Conflict(detail.into()))
        }
    }
}

async fn store(
    app: &App,
    change: Change,
    base: &Loaded,
    place: Upload,
    body: Body,
) -> Result<Option<(StoredTree, Changes)>, ApiError> {
    let limit = usize::try_from(app.config.import_limit).unwrap_or(usize::MAX);
    let archive = place.reader(Limited::new(body, limit), app.config.import_timeout);
    let tenant = change.caller.tenant;
    let registry = Packs { database: app.database.clone(), tenant };
    let (limits, temp_dir) = (Limits::default(), app.config.temp_dir.clone());
    let failed = |error| packs::refused(error, limit);
    let Some(manifest) = &base.manifest else {
        let options = WriteOptions { tenant, base: None, limits, temp_dir };
        let written = import_tar(&app.storage, options, &registry, archive).await.map_err(failed)?;
        let told = |written: &drydock_storage::Written| {
            Ok((packs::whole(written)?, Changes::between(&Tree::default(), written.manifest.tree())))
        };
        return written.as_ref().map(told).transpose();
    };
    let options = ChangeOptions { tenant, base: manifest.clone(), limits, temp_dir, inline_max: Delta::INLINE_MAX };
    let written = change_tar(&app.storage, options, &registry, archive).await.map_err(failed)?;
    written.map(|written| Ok((packs::changes(&written)?, written.changes))).transpose()
}
