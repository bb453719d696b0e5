//! `GET /audit/export`: the chain as NDJSON, oldest first; read page by page while it is sent.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use drydock_database::audit::{self, ChainedRecord};
use futures_util::{Stream, stream};
use serde::Serialize;

use crate::{auth::Caller, error::ApiError, extract::Query, state::Shared, validate::rules};

/// Records of one read.
const PAGE: i64 = 1000;

/// A line of the export, for the document.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ChainLine {
    /// From 1, without gaps.
    position: i64,
    /// SHA-256 in hex of: the hash before (64 zeros before the first), a line feed, the text of `record` as it stands in the line.
    hash: String,
    /// `{id, tenant_id, at, action, actor, …}`, or `{id, tenant_id, at, answers, outcome, …}` for what came of an earlier one.
    #[schema(value_type = Object)]
    record: serde_json::Value,
}

/// Export the audit log
///
/// Every record in the order of the chain, with its hash; a record gets there a second or so after it was written. `record` stands last
/// in its line and letter by letter as it was hashed, so `drydock audit verify`, or any program, can tell whether one was changed,
/// removed or put in. Keep the last position and hash elsewhere: with them, nobody can write another history.
#[utoipa::path(
    get, path = "/api/v1/audit/export", tag = "audit",
    params(("after" = Option<u64>, Query, description = "Begin after this position")),
    responses((status = 200, content_type = "application/x-ndjson", body = ChainLine), (status = 422))
)]
pub(crate) async fn export_audit(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Response, ApiError> {
    let mut fields = query.fields();
    let after = fields.optional("after", rules::number(0, i64::MAX));
    let after = fields.finish(|| Some(after.unwrap_or(0)))?;
    let mut response = Body::from_stream(pages(app, caller, after)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

/// An error cuts the answer short, so that it is not taken for the whole; so does the end of the caller's right to it.
fn pages(app: Shared, caller: Caller, after: i64) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::try_unfold(Some(after), move |after| {
        let app = app.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            if !caller.is_still_let_in(&app).await {
                return Err(std::io::Error::other("the caller counts no more"));
            }
            let client = app.client(caller.tenant).await.map_err(std::io::Error::other)?;
            let records = audit::chained(&client, caller.tenant, after, PAGE).await.map_err(std::io::Error::other)?;
            let full = i64::try_from(records.len()).unwrap_or(i64::MAX) == PAGE;
            let next = records.last().filter(|_| full).map(|record| record.position);
            let page: String = records.iter().map(line).collect();
            Ok((!page.is_empty()).then(|| (Bytes::from(page), next)))
        }
    })
}

/// Put together by hand: the record must stay as it is.
fn line(record: &ChainedRecord) -> String {
    let ChainedRecord { position, hash, record } = record;
    format!("{{\"position\":{position},\"hash\":\"{hash}\",\"record\":{record}}}\n")
}
