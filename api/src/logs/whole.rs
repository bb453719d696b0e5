//! `GET …/logs`: the bytes as they are, all that are there now, or a range of them.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;

use super::reader::{LogReader, Step};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{ByteRange, Ids, Query},
    files::content_range,
    state::Shared,
};

/// Read a log
#[utoipa::path(
    get, path = "/api/v1/projects/{id}/jobs/{job_id}/logs", tag = "logs",
    params(
        ("id" = uuid::Uuid, Path), ("job_id" = uuid::Uuid, Path),
        ("attempt" = Option<u16>, Query, description = "Which try, the newest by default"),
        ("Range" = Option<String>, Header),
    ),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 206, body = String, content_type = "text/plain"), (status = 404), (status = 416))
)]
pub(crate) async fn read_log(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let (_, _, log) = super::find(&app, caller.tenant, &ids, query.fields()).await?;
    let Some(log) = log else {
        return respond(&headers, 0, |_| Body::empty());
    };
    let mut reader = LogReader::new(app.clone(), caller.tenant, log.clone(), 0);
    let size = reader.available().await?;
    respond(&headers, size, |range| bytes(LogReader::new(app.clone(), caller.tenant, log, range.start), range.end))
}

fn respond(
    headers: &HeaderMap,
    size: u64,
    body: impl FnOnce(std::ops::Range<u64>) -> Body,
) -> Result<Response, ApiError> {
    let wanted = ByteRange::wanted(headers, size, None)?;
    let bytes = wanted.bytes(size);
    let length = bytes.end - bytes.start;
    let mut response = (
        [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
            (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::CONTENT_LENGTH, HeaderValue::from(length)),
        ],
        body(bytes.clone()),
    )
        .into_response();
    if let ByteRange::Part(_) = wanted {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response.headers_mut().insert(header::CONTENT_RANGE, content_range(&bytes, size)?);
    }
    Ok(response)
}

/// The bytes up to `end`. A failure on the way breaks the connection, so that no client takes a part for the whole.
fn bytes(reader: LogReader, end: u64) -> Body {
    Body::from_stream(stream::try_unfold(reader, move |mut reader| async move {
        let left = usize::try_from(end.saturating_sub(reader.offset())).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        match reader.next().await {
            Ok(Step::Bytes(mut bytes)) => {
                bytes.truncate(left);
                Ok(Some((bytes, reader)))
            }
            Ok(Step::Wait | Step::End) => Err(std::io::Error::other("the log is shorter than it was")),
            Err(error) => {
                tracing::warn!(?error, "failed to read a log to its end");
                Err(std::io::Error::other("the log cannot be read"))
            }
        }
    }))
}
