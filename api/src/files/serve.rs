//! Serving one content: conditional, ranged, raw or as JSON (RFC 9110 §13, §14).

use std::ops::Range;

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use drydock_domain::{Digest, RelativePath};
use drydock_storage::StorageError;
use futures_util::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use serde::Serialize;

use crate::{error::ApiError, extract::ByteRange};

/// Largest file given as JSON, in bytes: it is held in memory.
pub(crate) const MAX_JSON_FILE: u64 = 8 * 1024 * 1024;

type Opened = Result<BoxStream<'static, Result<Bytes, StorageError>>, StorageError>;

/// A content of known size and hash, opened when it is known which part is wanted.
pub(super) struct Content {
    pub(super) path: RelativePath,
    pub(super) size: u64,
    pub(super) digest: Digest,
    pub(super) open: Box<dyn FnOnce(Range<u64>) -> Opened + Send>,
}

impl Content {
    /// A content that is in memory already.
    pub(super) fn held(path: RelativePath, bytes: Bytes) -> Self {
        let (size, digest) = (bytes.len() as u64, Digest::of(&bytes));
        let open = move |range: Range<u64>| {
            let range =
                usize::try_from(range.start).unwrap_or(usize::MAX)..usize::try_from(range.end).unwrap_or(usize::MAX);
            let part = bytes.get(range).map_or_else(Bytes::new, |part| bytes.slice_ref(part));
            Ok(stream::iter([Ok(part)]).boxed())
        };
        Self { path, size, digest, open: Box::new(open) }
    }
}

/// A file as JSON.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct FileText {
    path: String,
    content: String,
    /// `utf-8`, or `base64` where it is no text.
    encoding: &'static str,
}

/// How a content is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Raw,
    /// `{path, content, encoding}`
    Json,
}

pub(super) async fn serve(headers: &HeaderMap, form: Form, content: Content) -> Result<Response, ApiError> {
    let etag = match form {
        Form::Raw => format!("\"{}\"", content.digest),
        Form::Json => format!("\"{}-json\"", content.digest),
    };
    let common = [
        (header::ETAG, HeaderValue::try_from(&etag).map_err(|error| ApiError::Internal(error.to_string()))?),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::VARY, HeaderValue::from_static("accept")),
    ];
    if !expected(headers, &etag) {
        return Err(ApiError::PreconditionFailed(
            format!("The file is not the one expected: its tag is {etag}").into(),
        ));
    }
    if matches(headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    match form {
        Form::Raw => raw(headers, &etag, common, content),
        Form::Json => as_json(common, content).await,
    }
}

fn raw(
    headers: &HeaderMap,
    etag: &str,
    common: [(HeaderName, HeaderValue); 3],
    content: Content,
) -> Result<Response, ApiError> {
    let size = content.size;
    let wanted = ByteRange::wanted(headers, size, Some(etag))?;
    let bytes = wanted.bytes(size);
    let body = (content.open)(bytes.clone())?.inspect_err(|error| {
        tracing::warn!("failed to read a file to its end: {}", drydock_runtime::exit::chain(error));
    });
    let own = [
        // Never a type a browser would run: files are anyone's.
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::CONTENT_LENGTH, HeaderValue::from(bytes.end - bytes.start)),
    ];
    let mut response = (common, own, Body::from_stream(body)).into_response();
    if let ByteRange::Part(_) = wanted {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response.headers_mut().insert(header::CONTENT_RANGE, content_range(&bytes, size)?);
    }
    Ok(response)
}

async fn as_json(common: [(HeaderName, HeaderValue); 3], content: Content) -> Result<Response, ApiError> {
    let Content { path, size, open, .. } = content;
    if size > MAX_JSON_FILE {
        let detail = format!("As JSON a file should have at most {MAX_JSON_FILE} bytes: ask for it raw");
        return Err(ApiError::TooLarge(detail.into()));
    }
    let bytes: Vec<u8> = open(0..size)?.map_ok(|part| part.to_vec()).try_concat().await?;
    let (content, encoding) = match String::from_utf8(bytes) {
        Ok(text) => (text, "utf-8"),
        Err(error) => (STANDARD.encode(error.as_bytes()), "base64"),
    };
    Ok((common, Json(FileText { path: path.to_string(), content, encoding })).into_response())
}

/// `If-Match`, compared strongly: without it, any content will do.
fn expected(headers: &HeaderMap, etag: &str) -> bool {
    let mut given = headers.get_all(header::IF_MATCH).iter().filter_map(|value| value.to_str().ok()).peekable();
    given.peek().is_none() || given.flat_map(|list| list.split(',')).map(str::trim).any(|tag| tag == "*" || tag == etag)
}

/// `If-None-Match`, compared weakly.
pub(super) fn matches(headers: &HeaderMap, etag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|list| list.split(',')).map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// `bytes 0-9/100`
pub(crate) fn content_range(bytes: &Range<u64>, size: u64) -> Result<HeaderValue, ApiError> {
    let text = format!("bytes {}-{}/{size}", bytes.start, bytes.end.saturating_sub(1));
    HeaderValue::try_from(text).map_err(|error| ApiError::Internal(error.to_string()))
}
