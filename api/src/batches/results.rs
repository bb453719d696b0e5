//! `GET /batches/{id}/results`: what came of each line, as NDJSON in the order of the file; read page by page while it is sent.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::{BufMut as _, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use drydock_database::batch::{self, LineFilter, LineRow};
use drydock_domain::{BatchId, JobId, ProjectId, Status, TenantId};
use futures_util::{Stream, stream};
use serde::Serialize;
use serde_json::Value;

use super::show::view;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    state::Shared,
    validate::{Fault, rules},
};

/// Lines of one read.
const PAGE: i64 = 500;

/// A line's result.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LineView {
    /// From 1.
    line: i32,
    #[schema(value_type = Uuid)]
    job_id: JobId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    title: String,
    #[schema(value_type = String)]
    status: Status,
    status_detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// The agent's last message, at most 4 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_kind: Option<String>,
    errors: Vec<String>,
    /// The version it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    attempts: i32,
    created_files: Vec<String>,
    modified_files: Vec<String>,
    deleted_files: Vec<String>,
    #[schema(value_type = crate::openapi::Labels)]
    labels: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<DateTime<Utc>>,
    /// Seconds between the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    run_s: Option<f64>,
}

impl From<LineRow> for LineView {
    fn from(row: LineRow) -> Self {
        Self {
            line: row.line,
            job_id: row.job,
            project_id: row.project,
            title: row.title,
            status: row.state.status(),
            status_detail: row.detail,
            summary: row.summary,
            output: row.output,
            failure_kind: row.failure_kind,
            errors: row.errors,
            version: row.version,
            attempts: row.attempts,
            created_files: row.created_files,
            modified_files: row.modified_files,
            deleted_files: row.deleted_files,
            labels: row.labels,
            started_at: row.started_at,
            finished_at: row.finished_at,
            run_s: row.run_s,
        }
    }
}

/// Results of a batch
///
/// One JSON object a line. A line that was run again is told once, by its newest job.
#[utoipa::path(
    get, path = "/api/v1/batches/{id}/results", tag = "batches",
    params(
        ("id" = uuid::Uuid, Path),
        ("status" = Option<String>, Query, description = "`all` (default), `ended`, `completed` or `error`"),
        ("after_line" = Option<u32>, Query, description = "Begin after this line"),
    ),
    responses((status = 200, content_type = "application/x-ndjson", body = LineView), (status = 404), (status = 422))
)]
pub(crate) async fn batch_results(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
) -> Result<Response, ApiError> {
    let id = ids.batch()?;
    let mut fields = query.fields();
    let filter = fields.optional("status", filter).unwrap_or(LineFilter::All);
    let after = fields.optional("after_line", rules::number(0, i32::MAX.into()));
    let after = fields.finish(|| Some(after.unwrap_or(0)))?;
    view(&app, caller.tenant, id).await?;
    let mut response = Body::from_stream(pages(app, caller.tenant, id, filter, after)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

pub(super) fn filter(value: &Value) -> Result<LineFilter, Fault> {
    match value.as_str() {
        Some("all") => Ok(LineFilter::All),
        Some("ended") => Ok(LineFilter::Ended),
        Some("completed") => Ok(LineFilter::Completed),
        Some("error") => Ok(LineFilter::Failed),
        _ => Err(Fault::new("enum", "Input should be 'all', 'ended', 'completed' or 'error'")),
    }
}

/// A page is read when the one before is sent; an error cuts the answer short, so that it is not taken for the whole.
fn pages(
    app: Shared,
    tenant: TenantId,
    id: BatchId,
    filter: LineFilter,
    after: i32,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::try_unfold(Some(after), move |after| {
        let app = app.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            let client = app.client(tenant).await.map_err(std::io::Error::other)?;
            let rows = batch::lines(&client, tenant, id, filter, after, PAGE).await;
            let rows = rows.map_err(std::io::Error::other)?;
            let full = rows.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
            let next = rows.last().filter(|_| full).map(|row| row.line);
            let mut page = BytesMut::new();
            for row in rows {
                serde_json::to_writer((&mut page).writer(), &LineView::from(row))?;
                page.put_u8(b'\n');
            }
            Ok((!page.is_empty()).then(|| (page.freeze(), next)))
        }
    })
}
